// Keys that were evicted a short while ago, by their hashes: so that a policy learns what it should have kept.
//
// A table of 4-byte cells, each for the key that was last written to it:
//
//    bits 16-31   the high half of the key's hash, never 0, so that an empty cell is 0
//    bits  0-15   when: the number of evictions noted before, in steps
//
// A cell is chosen by the low bits of the hash, so a later key overwrites an earlier one; nothing is searched
// and nothing is linked. A ghost counts as long as no more than `ghostReach` evictions were noted after it.
// A step is a power of two, such that reach is 256 to 511 of them in a large cache, and one eviction in a
// small one. Steps are counted modulo 65,536, at least 128 times the reach: by the time a ghost could look
// young again its cell has been overwritten but for one chance in e^64.

import {
  flags,
  GHOST_CELL_BYTES,
  ghostCells,
  ghostReach,
  ghostsAt,
  maxEntries,
  POLICY_STATE_AT,
  SIZE_AT,
  WEIGHED,
} from '../layout'

/** Per table, how many evictions it has noted; u64. */
const NOTED_AT: u32 = POLICY_STATE_AT + 72
const LEAST_REACH: u32 = 16

export function reset(table: u32): void {
  store<u64>(notedAt(table), 0)
}

/** Notes that the key with this hash was evicted. */
export function note(table: u32, hash: u32): void {
  const noted = load<u64>(notedAt(table)) + 1
  store<u64>(notedAt(table), noted)
  store<u32>(cellAt(table, hash), (partOf(hash) << 16) | stepOf(noted))
}

/** Whether the key with this hash has a ghost within reach; if so, it is gone now. */
export function take(table: u32, hash: u32): bool {
  const cell = cellAt(table, hash)
  const ghost = load<u32>(cell)
  if (ghost >> 16 != partOf(hash)) return false
  store<u32>(cell, 0)
  const age = (stepOf(load<u64>(notedAt(table))) - ghost) & 0xffff
  return age <= reach() >> stepShift()
}

function notedAt(table: u32): u32 {
  return NOTED_AT + table * 8
}

function cellAt(table: u32, hash: u32): usize {
  return ghostsAt + usize(table * ghostCells + (hash & (ghostCells - 1))) * GHOST_CELL_BYTES
}

/** Under a budget in bytes, in proportion to the entries there are. */
function reach(): u32 {
  if (!(flags & WEIGHED)) return ghostReach
  return max<u32>(u32((u64(ghostReach) * load<u32>(SIZE_AT)) / maxEntries), LEAST_REACH)
}

function partOf(hash: u32): u32 {
  return max(hash >> 16, 1)
}

function stepOf(noted: u64): u32 {
  return u32(noted >> u64(stepShift())) & 0xffff
}

/** The logarithm of the evictions in one step. */
function stepShift(): u32 {
  return ghostReach < 512 ? 0 : 23 - u32(clz(ghostReach))
}
