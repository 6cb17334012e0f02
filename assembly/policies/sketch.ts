// How often keys were asked for of late, also those that are not here: a count-min sketch of 4-bit counters.
//
//   block, 64 bytes, one cache line
//   │ row 0: 4 words │ row 1: 4 words │ row 2: 4 words │ row 3: 4 words │      a word: 8 counters
//
// A key belongs to one block and has one of 32 counters in each of its rows. Adding raises all four, up to
// 15; the estimate is the least of them, which is never below the truth as long as nothing was halved.
//
// To forget, all counters are halved when ten times as many units were added as the cache has entries. Doing
// that at once would be a pause in proportion to the cache, so it only raises the sketch's age; a block has
// the age at which it was last halved in a byte, and catches up when it is met. That is the same to every
// reader, but for a block that nobody met for 256 halvings: its counts stay as they were.
//
// Source: Cormode and Muthukrishnan, An Improved Data Stream Summary: The Count-Min Sketch (2005); aging
// by halving from Einziger, Friedman and Manes, TinyLFU (2017); one line per key as in Caffeine.

import {
  flags,
  maxEntries,
  POLICY_STATE_AT,
  SIZE_AT,
  SKETCH_BLOCK_BYTES,
  sketchAgesAt,
  sketchAt,
  sketchBlocks,
  WEIGHED,
} from '../layout'

/** Units added since the last halving; u32. */
const UNITS_AT: u32 = POLICY_STATE_AT + 64
/** How often all was halved; u32, its lowest byte is compared with the ages of blocks. */
const AGE_AT: u32 = POLICY_STATE_AT + 68

export const MOST: u32 = 15
const ROWS: u32 = 4
const ROW_BYTES = 16
const UNITS_PER_ENTRY: u32 = 10
const LEAST_ENTRIES: u32 = 16

export function reset(): void {
  store<u32>(UNITS_AT, 0)
  store<u32>(AGE_AT, 0)
}

/** Counts `units` more for the key with this hash. */
export function add(hash: u32, units: u32): void {
  if (units == 0) return
  const block = blockOf(hash)
  const columns = columnsOf(hash)
  for (let row: u32 = 0; row < ROWS; ++row) {
    const column = columnIn(columns, row)
    const word = wordAt(block, row, column)
    const shift = shiftOf(column)
    const value = load<u32>(word)
    const raised = min(((value >> shift) & MOST) + units, MOST)
    store<u32>(word, (value & ~(MOST << shift)) | (raised << shift))
  }
  const added = load<u32>(UNITS_AT) + units
  const isFull = added >= UNITS_PER_ENTRY * entries()
  store<u32>(UNITS_AT, isFull ? 0 : added)
  if (isFull) store<u32>(AGE_AT, load<u32>(AGE_AT) + 1)
}

/** Under a budget in bytes, as many as there are: there may be room for far more small ones. */
function entries(): u32 {
  return flags & WEIGHED ? max<u32>(load<u32>(SIZE_AT), LEAST_ENTRIES) : maxEntries
}

/** How often the key was counted, or more; at most 15. */
export function estimate(hash: u32): u32 {
  const block = blockOf(hash)
  const columns = columnsOf(hash)
  let least = MOST
  for (let row: u32 = 0; row < ROWS; ++row) {
    const column = columnIn(columns, row)
    least = min(least, (load<u32>(wordAt(block, row, column)) >> shiftOf(column)) & MOST)
  }
  return least
}

/** The block of a hash, halved as often as is due. */
function blockOf(hash: u32): usize {
  const number = u32((u64(hash * 0x9e37_79b1) * u64(sketchBlocks)) >> 32)
  const block = sketchAt + usize(number) * SKETCH_BLOCK_BYTES
  const age = load<u8>(AGE_AT)
  const halvings = age - load<u8>(sketchAgesAt + number)
  if (halvings != 0) {
    halve(block, halvings)
    store<u8>(sketchAgesAt + number, age)
  }
  return block
}

function halve(block: usize, times: u8): void {
  // What is shifted out of a counter would go into its neighbour, and is cut off.
  const kept: u64 = times < 4 ? 0x1111_1111_1111_1111 * (u64(MOST) >> u64(times)) : 0
  for (let at: u32 = 0; at < SKETCH_BLOCK_BYTES; at += 8) {
    store<u64>(block + at, (load<u64>(block + at) >> u64(times & 3)) & kept)
  }
}

/** Bits for the columns of a hash, other ones than those that chose its block. */
function columnsOf(hash: u32): u32 {
  return ((hash ^ (hash >> 15)) * 0x85eb_ca77) >> 12
}

function columnIn(columns: u32, row: u32): u32 {
  return (columns >> (row * 5)) & 31
}

function wordAt(block: usize, row: u32, column: u32): usize {
  return block + row * ROW_BYTES + ((column >> 3) << 2)
}

function shiftOf(column: u32): u32 {
  return (column & 7) << 2
}
