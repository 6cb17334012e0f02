// The heap: blocks of keys and values, in a region that never grows.
//
//    at  bytes  a block in use                     a free block
//     0      4  bytes and flags                    bytes; neither neighbour is free
//     4      4  owner: the slot it belongs to      next in its list
//     8      …  key and value                      8: the one before it in its list
//   last     4                                     bytes, so that the block behind finds its start
//
// All sizes are multiples of 16. A block that is given back is merged with its free neighbours at once. Free blocks
// are in 216 lists by size: one for each multiple of 16 below 256, then eight steps to each doubling; a bitmap says
// which have any. A request takes the first block of the next list up, so it costs no search, and what is over stays
// a free block: nothing is lost but the header and the rounding.
//
// Sizes that change leave holes, so there can be room enough and no hole that is large enough. Every block in use has
// one owner and nothing else points to it, so blocks can be moved: `gather` clears a stretch of the asked size by
// moving what lies in it into holes elsewhere. The work is in proportion to what is asked for. That is how
// fragmentation is bounded: store.ts evicts until the bytes suffice and the slack is SLACK, and then gathers.
//
// A block that is lent to the host is pinned: it is neither moved nor given to somebody else, and one that is given
// back meanwhile becomes free when the last pin goes.
//
// Source: Masmano, Ripoll, Crespo and Real, TLSF: a New Dynamic Memory Allocator for Real-Time Systems (2004), for
// lists in two levels with bitmaps; boundary tags from Knuth, The Art of Computer Programming 1, 2.5. Differences:
// a look into the list that may fit before giving up, owners, moving, pins.

import { BLOCK_BITMAPS_AT, BLOCK_LISTS, blockListsAt, FREE_BYTES_AT, heapAt, heapEnd } from './layout'
import { BLOCK_HEADER_BYTES, blockBytes, follow } from './values'

const USED: u32 = 1
const IS_BEHIND_FREE: u32 = 2
const PINNED: u32 = 4
/** Given back while it was pinned. */
const ABANDONED: u32 = 8
const FLAGS: u32 = 15

const OWNER = 4
const NEXT = 4
const BEFORE = 8

/** Lists of one size each. */
const EXACT_LISTS: u32 = 16
/** Blocks of the list that may fit at which an allocation looks. */
const LOOKS: u32 = 8
/** Starts that `gather` tries. */
const STARTS: u32 = 8
/** The part of the heap that may be free, in holes too small, before holes are gathered; as a shift. */
const SLACK_SHIFT: u32 = 5
const NOBODY: u32 = 0xffff_ffff

/** Makes the heap one free block, with an end that is never free. */
export function reset(): void {
  memory.fill(blockListsAt, 0, BLOCK_LISTS * 4)
  memory.fill(BLOCK_BITMAPS_AT, 0, 32)
  const end = heapEnd - 16
  store<u32>(end, 16 | USED)
  store<u32>(end, NOBODY, OWNER)
  enlist(heapAt, u32(end - heapAt))
  store<u32>(FREE_BYTES_AT, u32(end - heapAt))
}

export function freeBytes(): u32 {
  return load<u32>(FREE_BYTES_AT)
}

/** Bytes that blocks can take together. */
export function heapBytes(): u32 {
  return u32(heapEnd - heapAt) - 16
}

/** Whether there is so much free that a block of `bytes` should be had by moving others. */
export function isLoose(bytes: u32): bool {
  return u64(freeBytes()) >= u64(blockBytes(bytes)) + u64(heapBytes() >> SLACK_SHIFT)
}

/** A block for `bytes` (below 2^29), or 0. */
export function allocate(bytes: u32, owner: u32): usize {
  const size = blockBytes(bytes)
  const block = findFree(size)
  if (block == 0) return 0
  unlist(block)
  carve(block, sizeOf(block), size, owner)
  return block
}

export function release(block: usize): void {
  const word = load<u32>(block)
  if (word & PINNED) {
    store<u32>(block, word | ABANDONED)
    return
  }
  free(block)
}

/** Changes what a block holds without moving it, if there is room behind it; a pinned block stays as it is. */
export function resize(block: usize, bytes: u32): bool {
  const wanted = blockBytes(bytes)
  const size = sizeOf(block)
  const word = load<u32>(block)
  if (word & PINNED) return false
  if (wanted == size) return true
  const behind = block + size
  if (wanted < size) {
    store<u32>(block, wanted | (word & FLAGS))
    store<u32>(block + wanted, (size - wanted) | USED)
    free(block + wanted)
    return true
  }
  if (isUsed(behind) || size + sizeOf(behind) < wanted) return false
  const whole = size + sizeOf(behind)
  unlist(behind)
  store<u32>(FREE_BYTES_AT, freeBytes() + size)
  const isBehindFree = word & IS_BEHIND_FREE
  carve(block, whole, wanted, load<u32>(block, OWNER))
  store<u32>(block, load<u32>(block) | isBehindFree)
  return true
}

export function setOwner(block: usize, slot: u32): void {
  store<u32>(block, slot, OWNER)
}

/** Keeps a block in use as it is and where it is until `unpin`. Pins are not counted. */
export function pin(block: usize): void {
  store<u32>(block, load<u32>(block) | PINNED)
}

export function unpin(block: usize): void {
  const word = load<u32>(block) & ~PINNED
  store<u32>(block, word & ~ABANDONED)
  if (word & ABANDONED) free(block)
}

/** Makes a hole in which a block for `bytes` fits, by moving others. False when it could not be had like that. */
export function gather(bytes: u32): bool {
  const size = blockBytes(bytes)
  // The larger a hole is, the less is in the way behind it.
  let tried: u32 = 0
  for (let list = lastList(BLOCK_LISTS); list >= 0 && tried < STARTS; list = lastList(list)) {
    const start = firstOf(list)
    const end = stretchFrom(start, size)
    if (end == 0) continue
    if (vacate(start, end)) return true
    tried += 1
  }
  const end = stretchFrom(heapAt, size)
  return end != 0 && vacate(heapAt, end)
}

/** The least end of blocks from `start` on that is `size` further; 0 when the heap or a pin is in the way. */
function stretchFrom(start: usize, size: u32): usize {
  let at = start
  while (at - start < size) {
    if (at == heapEnd - 16 || load<u32>(at) & PINNED) return 0
    at += sizeOf(at)
  }
  return isUsed(at) ? at : at + sizeOf(at)
}

/** Moves what is between two boundaries elsewhere. What has found no place stays, and then the answer is false. */
function vacate(start: usize, end: usize): bool {
  for (let at = start; at < end; at += sizeOf(at)) if (!isUsed(at)) unlist(at)
  let isVacant = true
  for (let at = start; at < end; at += sizeOf(at)) {
    if (!isUsed(at)) continue
    const size = sizeOf(at)
    const target = isVacant ? findFree(size) : 0
    if (target == 0) {
      isVacant = false
      continue
    }
    unlist(target)
    const owner = load<u32>(at, OWNER)
    carve(target, sizeOf(target), size, owner)
    memory.copy(target + BLOCK_HEADER_BYTES, at + BLOCK_HEADER_BYTES, size - BLOCK_HEADER_BYTES)
    follow(owner, i32(target - at))
    store<u32>(at, size)
    store<u32>(FREE_BYTES_AT, freeBytes() + size)
  }
  let at = start
  while (at < end) {
    let size: u32 = 0
    while (at + size < end && !isUsed(at + size)) size += sizeOf(at + size)
    if (size != 0) enlist(at, size)
    at += size
    if (at == end) break
    // What lies behind a free stretch was told by `enlist`; what lies behind a block in use, here.
    at += sizeOf(at)
    if (at < end && isUsed(at)) store<u32>(at, load<u32>(at) & ~IS_BEHIND_FREE)
  }
  return isVacant
}

export function sizeOf(block: usize): u32 {
  return load<u32>(block) & ~FLAGS
}

function isUsed(block: usize): bool {
  return (load<u32>(block) & USED) != 0
}

/** Makes `size` bytes of a free stretch of `whole`, which is in no list, a block in use. */
function carve(block: usize, whole: u32, size: u32, owner: u32): void {
  store<u32>(block, size | USED)
  store<u32>(block, owner, OWNER)
  const behind = block + size
  if (whole != size) enlist(behind, whole - size)
  else store<u32>(behind, load<u32>(behind) & ~IS_BEHIND_FREE)
  store<u32>(FREE_BYTES_AT, freeBytes() - size)
}

/** Makes a block in use a free one, with its free neighbours. */
function free(block: usize): void {
  let start = block
  let size = sizeOf(block)
  store<u32>(FREE_BYTES_AT, freeBytes() + size)
  if (load<u32>(block) & IS_BEHIND_FREE) {
    const before = load<u32>(block - 4)
    start -= before
    size += before
    unlist(start)
  }
  const behind = start + size
  if (!isUsed(behind)) {
    size += sizeOf(behind)
    unlist(behind)
  }
  enlist(start, size)
}

/** A free block of at least `size`, still in its list; 0 when there is none. */
function findFree(size: u32): usize {
  const list = listOf(size)
  // In an exact list, and at the lower end of a step, any block fits.
  const isExact = leastIn(list) == size
  const larger = nextList(isExact ? list : list + 1)
  if (larger >= 0) return firstOf(larger)
  let block = usize(firstOf(list))
  for (let look: u32 = 0; block != 0 && look < LOOKS; ++look) {
    if (sizeOf(block) >= size) return block
    block = load<u32>(block, NEXT)
  }
  return 0
}

/** Writes the tags of a free block, puts it into its list, and tells the block behind. */
function enlist(block: usize, size: u32): void {
  const list = listOf(size)
  const first = firstOf(list)
  store<u32>(block, size)
  store<u32>(block, first, NEXT)
  store<u32>(block, 0, BEFORE)
  store<u32>(block + size - 4, size)
  if (first != 0) store<u32>(first, u32(block), BEFORE)
  setFirst(list, u32(block))
  const behind = block + size
  store<u32>(behind, load<u32>(behind) | IS_BEHIND_FREE)
}

function unlist(block: usize): void {
  const next = load<u32>(block, NEXT)
  const before = load<u32>(block, BEFORE)
  if (next != 0) store<u32>(next, before, BEFORE)
  if (before != 0) store<u32>(before, next, NEXT)
  else setFirst(listOf(sizeOf(block)), next)
}

/** The list of free blocks of a size. */
export function listOf(size: u32): u32 {
  const granules = size >> 4
  if (granules < EXACT_LISTS) return granules
  const log = 31 - u32(clz(granules))
  return EXACT_LISTS + ((log - 4) << 3) + ((granules >> (log - 3)) & 7)
}

function leastIn(list: u32): u32 {
  if (list < EXACT_LISTS) return list << 4
  const step = list - EXACT_LISTS
  return ((8 + (step & 7)) << 4) << ((step >> 3) + 1)
}

export function firstOf(list: u32): u32 {
  return load<u32>(blockListsAt + list * 4)
}

function setFirst(list: u32, block: u32): void {
  store<u32>(blockListsAt + list * 4, block)
  const word = BLOCK_BITMAPS_AT + ((list >> 6) << 3)
  const bit = u64(1) << u64(list & 63)
  store<u64>(word, block != 0 ? load<u64>(word) | bit : load<u64>(word) & ~bit)
}

/** The first list from `list` on that is not empty, or -1. */
function nextList(list: u32): i32 {
  if (list >= BLOCK_LISTS) return -1
  let word = list >> 6
  let bits = load<u64>(BLOCK_BITMAPS_AT + (word << 3)) & (~u64(0) << u64(list & 63))
  while (bits == 0) {
    word += 1
    if (word == 4) return -1
    bits = load<u64>(BLOCK_BITMAPS_AT + (word << 3))
  }
  return i32((word << 6) + u32(ctz(bits)))
}

/** The last list before `list` that is not empty, or -1. */
function lastList(list: i32): i32 {
  for (let at = list - 1; at >= 0; --at) if (firstOf(at) != 0) return at
  return -1
}

/** The largest free block, as far as the first of its list is; 0 when nothing is free. */
export function largestFree(): u32 {
  const list = lastList(BLOCK_LISTS)
  return list < 0 ? 0 : sizeOf(firstOf(list))
}

// For the checker.

export function isListed(list: u32): bool {
  return ((load<u64>(BLOCK_BITMAPS_AT + ((list >> 6) << 3)) >> u64(list & 63)) & 1) != 0
}

export function ownerOf(block: usize): u32 {
  return load<u32>(block, OWNER)
}

export function nextFree(block: usize): u32 {
  return load<u32>(block, NEXT)
}

export function isInUse(block: usize): bool {
  return isUsed(block)
}

export function isAbandoned(block: usize): bool {
  return (load<u32>(block) & ABANDONED) != 0
}

/** Whether a block says truly what is in front of it. */
export function knowsBefore(block: usize, isBehindFree: bool, before: u32): bool {
  if (((load<u32>(block) & IS_BEHIND_FREE) != 0) != isBehindFree) return false
  return !isBehindFree || load<u32>(block - 4) == before
}
