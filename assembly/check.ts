// The invariants of a whole cache, checked by walking it; debug and testing builds only.
//
// Answers 0, or the number of the first invariant found broken. Each structure is walked on its own and
// the counts are compared, so an entry that is in one and not in another is found from either side. Slow
// on purpose: it takes time for every bucket and entry, and is meant to run after each operation of a
// small cache. Its working memory is the upper half of scratch, so a current key that long is lost, or what
// lies behind the arena when that is not enough.

import * as arena from './arena'
import * as blocks from './blocks'
import {
  bytesIn,
  encodingIn,
  generationOf,
  hashOf,
  INLINE_KEY_BYTES,
  INTEGER,
  isLive,
  keyAt,
  keyReferenceOf,
  keyWordOf,
  lengthIn,
  NONE,
  policyByteOf,
  stampAt,
  TWO_BYTE,
  usableUntilOf,
} from './entry'
import { hashBytes, hashWord, seedFor } from './hash'
import {
  ARENA_CLASSES,
  AUTHORITY,
  arenaAt,
  BLOCK_LISTS,
  BYTES,
  bucketCount,
  capacity,
  FREE_SLOT_AT,
  flags,
  growTo,
  heapAt,
  heapEnd,
  LRU,
  maxEntries,
  PASSED_BUCKETS_AT,
  partitionCount,
  policyNumber,
  REMOVAL_LIMIT,
  REMOVAL_SPARE,
  recencyAt,
  SCRATCH_BYTES,
  SIZE_AT,
  scratchAt,
  USED_SLOTS_AT,
  WEIGHED,
  WEIGHT_AT,
  WHEEL_HEADS,
  wheelAt,
} from './layout'
import { before, behind, isHead } from './list'
import { markOf } from './policies/marks'
import * as policy from './policies/policy'
import * as queues from './policies/queues'
import { blockOfRecord, keyBlockOf, keyBytesOf, removalCount } from './removals'
import * as stats from './stats'
import * as table from './table'
import { blockOf, keyBytesInBlock, weightOf } from './values'
import * as wheel from './wheel'

export const HEADER_BROKEN: i32 = 1
export const SIZE_BROKEN: i32 = 2
export const FREE_SLOTS_BROKEN: i32 = 3
export const POLICY_BROKEN: i32 = 4
export const INDEX_BROKEN: i32 = 5
export const OVERFLOW_BROKEN: i32 = 6
export const KEY_BROKEN: i32 = 7
export const WHEEL_BROKEN: i32 = 8
export const WHEEL_BUCKET_BROKEN: i32 = 9
export const ARENA_BROKEN: i32 = 10
export const ARENA_OVERLAP: i32 = 11
export const ARENA_LEAK: i32 = 12
export const COUNTERS_BROKEN: i32 = 13
export const STAMP_BROKEN: i32 = 14
export const HEAP_BROKEN: i32 = 15
export const HEAP_LEAK: i32 = 16
export const FREE_LISTS_BROKEN: i32 = 17
export const WEIGHT_BROKEN: i32 = 18
/** Not an invariant: the engine refused the checker its working memory. */
export const NO_MEMORY_TO_CHECK: i32 = 99

export function check(): i32 {
  let broken = checkSlots()
  if (broken == 0) broken = checkPolicy()
  if (broken == 0) broken = checkTable()
  if (broken == 0) broken = checkKeys()
  if (broken == 0) broken = checkWheel()
  if (broken == 0) broken = flags & BYTES ? checkHeap() : checkArena()
  if (broken == 0) broken = checkWeights()
  if (broken == 0) broken = checkCounters()
  return broken
}

/** Every used slot is either live or on the free list, once; no other slot is live. */
function checkSlots(): i32 {
  const size = load<u32>(SIZE_AT)
  const used = load<u32>(USED_SLOTS_AT)
  if (size > used || used > maxEntries || removalCount() > REMOVAL_LIMIT + REMOVAL_SPARE) return HEADER_BROKEN
  let live: u32 = 0
  for (let slot: u32 = 0; slot < maxEntries; ++slot) {
    if (!isLive(slot)) continue
    if (slot >= used) return SIZE_BROKEN
    live += 1
  }
  if (live != size) return SIZE_BROKEN

  // A chain of single links that ends names no slot twice, so counting it is enough.
  let listed: u32 = 0
  let next = load<u32>(FREE_SLOT_AT)
  while (next != 0) {
    const slot = next - 1
    if (slot >= used || isLive(slot) || generationOf(slot) == 0) return FREE_SLOTS_BROKEN
    listed += 1
    if (listed > used - live) return FREE_SLOTS_BROKEN
    next = keyReferenceOf(slot)
  }
  return listed == used - live ? 0 : FREE_SLOTS_BROKEN
}

/** The policy's walk meets every live entry once, each in the queue it belongs to. */
function checkPolicy(): i32 {
  const size = load<u32>(SIZE_AT)
  let walked: u32 = 0
  for (let slot = policy.nextOlder(NONE); !isHead(slot); slot = policy.nextOlder(slot)) {
    walked += 1
    if (walked > size || slot >= maxEntries || !isLive(slot)) return POLICY_BROKEN
  }
  let met: u32 = 0
  const count = policy.queueCount()
  for (let queue: u32 = 0; queue < count; ++queue) {
    const length = checkQueue(queue, size - met)
    if (length < 0 || (count > 1 && weightIn(queue) != queues.lengthOf(queue))) return POLICY_BROKEN
    met += length
  }
  const areAllMet = count == 0 || met == size
  return walked == size && areAllMet && policy.isSound() ? 0 : POLICY_BROKEN
}

/** What the entries of a queue, whose links are in order, weigh together. */
function weightIn(queue: u32): u32 {
  const head = queues.headOf(queue)
  let weight: u32 = 0
  for (let slot = behind(recencyAt, head); slot != head; slot = behind(recencyAt, slot))
    weight += weightOf(slot)
  return weight
}

/** The length of one queue whose links agree in both directions, else -1. */
function checkQueue(queue: u32, most: u32): i32 {
  const head = queues.headOf(queue)
  let length: u32 = 0
  let newer = head
  for (let slot = behind(recencyAt, head); slot != head; slot = behind(recencyAt, slot)) {
    if (slot >= maxEntries || !isLive(slot) || before(recencyAt, slot) != newer) return -1
    if (policy.queueCount() > 1 && policyByteOf(slot) != queue) return -1
    if (policyNumber != LRU && markOf(slot) > policy.markLimit()) return -1
    length += 1
    if (length > most) return -1
    newer = slot
  }
  return before(recencyAt, head) == newer ? length : -1
}

/** The table holds every live slot once, within reach of its home, and counts what passed each bucket. */
export function checkTable(): i32 {
  const counts = workingMemory(u64(bucketCount) * 4)
  if (counts == 0) return NO_MEMORY_TO_CHECK
  let live: u32 = 0
  for (let slot: u32 = 0; slot < maxEntries; ++slot) {
    if (!isLive(slot)) continue
    live += 1
    let bucket = table.homeIndex(hashOf(slot))
    let passed: u32 = 0
    while (!isIn(bucket, slot)) {
      const count = counts + (bucket << 2)
      store<u32>(count, load<u32>(count) + 1)
      passed += 1
      if (passed == bucketCount) return INDEX_BROKEN
      bucket = bucket + 1 == bucketCount ? 0 : bucket + 1
    }
  }
  let passes: u32 = 0
  let occupied: u32 = 0
  for (let bucket: u32 = 0; bucket < bucketCount; ++bucket) {
    if (table.overflowIn(bucket) != load<u32>(counts + (bucket << 2))) return OVERFLOW_BROKEN
    passes += table.overflowIn(bucket)
    for (let lane: u32 = 0; lane < table.PLACES; ++lane) {
      const slot = table.slotIn(bucket, lane)
      if (slot < 0) continue
      if (u32(slot) >= maxEntries || !isLive(slot) || !table.hasTag(bucket, lane, hashOf(slot)))
        return INDEX_BROKEN
      occupied += 1
    }
  }
  if (passes != load<u32>(PASSED_BUCKETS_AT)) return OVERFLOW_BROKEN
  return occupied == live ? 0 : INDEX_BROKEN
}

function isIn(bucket: u32, slot: u32): bool {
  for (let lane: u32 = 0; lane < table.PLACES; ++lane) {
    if (table.slotIn(bucket, lane) == i32(slot)) return true
  }
  return false
}

/** Hash, encoding and padding agree with the key's bytes. */
function checkKeys(): i32 {
  for (let slot: u32 = 0; slot < maxEntries; ++slot) {
    if (!isLive(slot)) continue
    const word = keyWordOf(slot)
    const bytes = bytesIn(word)
    const encoding = encodingIn(word)
    const at = keyAt(slot)
    if (hashOfKey(at, bytes, encoding) != hashOf(slot)) return KEY_BROKEN
    const padded = bytes <= INLINE_KEY_BYTES ? INLINE_KEY_BYTES : (bytes + 7) & ~7
    for (let index = bytes; index < padded; ++index) {
      if (load<u8>(at + index) != 0) return KEY_BROKEN
    }
    if (encoding == TWO_BYTE && !hasWideCharacter(at, lengthIn(word))) return KEY_BROKEN
    if (encoding > 2) return KEY_BROKEN
    if (flags & AUTHORITY && load<u32>(stampAt(slot)) >= partitionCount) return STAMP_BROKEN
  }
  return 0
}

function hasWideCharacter(at: usize, length: u32): bool {
  for (let index: u32 = 0; index < length; ++index) {
    if (load<u16>(at + (index << 1)) > 255) return true
  }
  return false
}

/** Every entry with a deadline is in a bucket that is met no later than the deadline asks for. */
function checkWheel(): i32 {
  let wanted: u32 = 0
  for (let slot: u32 = 0; slot < maxEntries; ++slot) {
    if (isLive(slot) && usableUntilOf(slot) < Infinity) wanted += 1
  }
  if (wanted != wheel.scheduledCount()) return WHEEL_BROKEN
  let met: u32 = 0
  for (let bucket: u32 = 0; bucket < WHEEL_HEADS; ++bucket) {
    const head = wheel.headOf(bucket)
    let last = head
    let slot = behind(wheelAt, head)
    if (wheel.isOccupied(bucket) != (slot != head)) return WHEEL_BROKEN
    while (slot != head) {
      if (slot >= maxEntries || !isLive(slot) || before(wheelAt, slot) != last) return WHEEL_BROKEN
      if (!(usableUntilOf(slot) < Infinity)) return WHEEL_BROKEN
      if (!wheel.isInTime(slot, bucket)) return WHEEL_BUCKET_BROKEN
      met += 1
      if (met > wanted) return WHEEL_BROKEN
      last = slot
      slot = behind(wheelAt, slot)
    }
  }
  return met == wanted ? 0 : WHEEL_BROKEN
}

/** The blocks of keys, of removal records and of the free lists cover the arena exactly once. */
export function checkArena(): i32 {
  const granules = (arena.top() - u32(arenaAt)) >> 4
  marks = workingMemory((u64(granules) >> 3) + 8)
  if (marks == 0) return NO_MEMORY_TO_CHECK
  covered = 0
  for (let slot: u32 = 0; slot < maxEntries; ++slot) {
    if (!isLive(slot)) continue
    const bytes = bytesIn(keyWordOf(slot))
    if (bytes <= INLINE_KEY_BYTES) continue
    const broken = mark(keyReferenceOf(slot), arena.blockBytes(bytes))
    if (broken != 0) return broken
  }
  const count = removalCount()
  for (let number: u32 = 0; number < count; ++number) {
    const bytes = keyBytesOf(number)
    if (bytes <= INLINE_KEY_BYTES) continue
    const broken = mark(u32(keyBlockOf(number)), arena.blockBytes(bytes))
    if (broken != 0) return broken
  }
  for (let sizeClass: u32 = 0; sizeClass < ARENA_CLASSES; ++sizeClass) {
    for (let block = arena.firstOf(sizeClass); block != 0; block = load<u32>(block)) {
      const broken = mark(block, arena.sizeOf(sizeClass))
      if (broken != 0) return broken
    }
  }
  return covered == granules ? 0 : ARENA_LEAK
}

/**
 * The blocks cover the heap; each in use is that of one entry, of one removal record, or lent and given up; each free
 * one is in the list of its size and has no free neighbour.
 */
function checkHeap(): i32 {
  const end = heapEnd - 16
  let before: u32 = 0
  let isBehindFree = false
  let free: u32 = 0
  let freeBlocks: u32 = 0
  let owned: u32 = 0
  let at = heapAt
  while (at < end) {
    const size = blocks.sizeOf(at)
    if (size < 16 || at + size > end || !blocks.knowsBefore(at, isBehindFree, before)) return HEAP_BROKEN
    const isFree = !blocks.isInUse(at)
    if (isFree) {
      if (isBehindFree) return HEAP_BROKEN
      free += size
      freeBlocks += 1
    } else if (!blocks.isAbandoned(at)) {
      owned += 1
      const slot = blocks.ownerOf(at)
      if (slot >= load<u32>(USED_SLOTS_AT) || (isLive(slot) ? blockOf(slot) != at : !isRecorded(at))) {
        return HEAP_LEAK
      }
      if (isLive(slot) && size != weightOf(slot)) return WEIGHT_BROKEN
      if (isLive(slot) && keyBytesInBlock(keyWordOf(slot)) != 0 && keyReferenceOf(slot) != at + 8) {
        return HEAP_BROKEN
      }
    }
    before = size
    isBehindFree = isFree
    at += size
  }
  if (!blocks.knowsBefore(end, isBehindFree, before) || free != blocks.freeBytes()) return HEAP_BROKEN
  if (owned != load<u32>(SIZE_AT) + removalCount()) return HEAP_LEAK
  return checkFreeLists(freeBlocks)
}

function isRecorded(block: usize): bool {
  const count = removalCount()
  for (let number: u32 = 0; number < count; ++number) if (blockOfRecord(number) == block) return true
  return false
}

function checkFreeLists(wanted: u32): i32 {
  let met: u32 = 0
  for (let list: u32 = 0; list < BLOCK_LISTS; ++list) {
    for (let block = blocks.firstOf(list); block != 0; block = blocks.nextFree(block)) {
      if (blocks.isInUse(block) || blocks.listOf(blocks.sizeOf(block)) != list) return FREE_LISTS_BROKEN
      met += 1
      if (met > wanted) return FREE_LISTS_BROKEN
    }
    if (blocks.isListed(list) != (blocks.firstOf(list) != 0)) return FREE_LISTS_BROKEN
  }
  return met == wanted ? 0 : FREE_LISTS_BROKEN
}

/** Under a budget the entries' weights are what is counted, and within it. */
function checkWeights(): i32 {
  if (!(flags & WEIGHED)) return 0
  let weight: u64 = 0
  for (let slot: u32 = 0; slot < maxEntries; ++slot) if (isLive(slot)) weight += weightOf(slot)
  if (weight > capacity) return WEIGHT_BROKEN
  return flags & BYTES || weight == load<u32>(WEIGHT_AT) ? 0 : WEIGHT_BROKEN
}

let marks: usize = 0
let covered: u32 = 0

function mark(block: u32, bytes: u32): i32 {
  if (block & 15 || block < u32(arenaAt) || block + bytes > arena.top()) return ARENA_BROKEN
  const first = (block - u32(arenaAt)) >> 4
  const end = first + (bytes >> 4)
  for (let granule = first; granule < end; ++granule) {
    const at = marks + (granule >> 3)
    const bit = u8(u32(1) << (granule & 7))
    if (load<u8>(at) & bit) return ARENA_OVERLAP
    store<u8>(at, load<u8>(at) | bit)
  }
  covered += bytes >> 4
  return 0
}

/** What came in is still there or has left in one of the counted ways. */
function checkCounters(): i32 {
  const left =
    stats.countOf(stats.EVICTIONS) + stats.countOf(stats.EXPIRATIONS) + stats.countOf(stats.DELETES)
  return stats.countOf(stats.INSERTS) == left + u64(load<u32>(SIZE_AT)) ? 0 : COUNTERS_BROKEN
}

/** Zeroed memory; 0 when refused. */
function workingMemory(bytes: u64): usize {
  let at = (scratchAt + SCRATCH_BYTES / 2) & ~7
  if (bytes > SCRATCH_BYTES / 2) {
    at = usize(arena.top())
    if (!growTo(u64(at) + bytes)) return 0
  }
  memory.fill(at, 0, usize(bytes))
  return at
}

function hashOfKey(at: usize, bytes: u32, encoding: u32): u32 {
  const seed = seedFor(encoding)
  return encoding == INTEGER ? hashWord(load<u64>(at), seed) : u32(hashBytes(at, bytes, seed))
}
