// What left on the core's own initiative since the host last drained, so that it can let go of values
// and tell its listener. The core has no imports and cannot call out.
//
//    at  bytes  field
//     0      4  slot
//     4      4  cause        0 evicted, 1 expired
//     8      4  keyLength    in characters, 8 for an integer; 0 unless keys are reported
//    12      4  encoding
//    16     32  key          its bytes when they fit, else their address in the arena
//    48         next record
//
// The record takes over the key's arena block, so the bytes outlive the reuse of the slot until the host
// has drained the list. A listener may call the cache meanwhile. Where values lie in this memory nothing is
// recorded unless keys are reported, and then the whole block waits, and where the value is stays written at the
// slot: a write asks for a drain before it takes one (store.ts).

import { release } from './arena'
import * as blocks from './blocks'
import {
  bytesIn,
  encodingIn,
  INLINE_KEY_BYTES,
  inlineKeyAt,
  keyReferenceOf,
  keyWord,
  keyWordOf,
  lengthIn,
} from './entry'
import {
  BYTES,
  flags,
  REMOVAL_BYTES,
  REMOVAL_COUNT_AT,
  REMOVAL_LIMIT,
  REMOVAL_SPARE,
  REPORT_KEYS,
  removalsAt,
} from './layout'
import { blockBefore, blockOf, valueAtOf } from './values'

export const EVICTED: u32 = 0
export const EXPIRED: u32 = 1

const CAUSE = 4
const KEY_LENGTH = 8
const ENCODING = 12
const KEY = 16

export function removalCount(): u32 {
  return load<u32>(REMOVAL_COUNT_AT)
}

/** Whether expiry has to wait for the host. */
export function isFull(): bool {
  return removalCount() >= REMOVAL_LIMIT
}

/**
 * Records that `slot` leaves, and takes over or gives back its key. A host that never drains loses the
 * records that do not fit, not memory.
 */
export function record(slot: u32, cause: u32): void {
  const number = removalCount()
  const word = keyWordOf(slot)
  const isListed = number < REMOVAL_LIMIT + REMOVAL_SPARE
  const isReported = isListed && (flags & REPORT_KEYS) != 0
  if (isListed) {
    const at = recordAt(number)
    store<u32>(at, slot)
    store<u32>(at, cause, CAUSE)
    store<u32>(at, isReported ? lengthIn(word) : 0, KEY_LENGTH)
    store<u32>(at, encodingIn(word), ENCODING)
    if (isReported) copyKey(at + KEY, inlineKeyAt(slot))
    store<u32>(REMOVAL_COUNT_AT, number + 1)
  }
  if (!isReported) releaseKey(slot)
}

/** Lets an entry go that is in nothing any more: it is recorded where the host has to know, else given back. */
export function letGo(slot: u32, cause: u32): void {
  if (flags & BYTES && !(flags & REPORT_KEYS)) releaseKey(slot)
  else record(slot, cause)
}

/** Gives back the arena block of a key that is too long for its record, or the block of key and value. */
export function releaseKey(slot: u32): void {
  if (flags & BYTES) {
    blocks.release(blockOf(slot))
    return
  }
  const bytes = bytesIn(keyWordOf(slot))
  if (bytes > INLINE_KEY_BYTES) release(usize(keyReferenceOf(slot)), bytes)
}

/** The host has seen every record: empties the list and gives back the keys. */
export function drain(): void {
  const count = removalCount()
  for (let number: u32 = 0; number < count; ++number) {
    const bytes = keyBytesOf(number)
    if (flags & BYTES) blocks.release(blockOfRecord(number))
    else if (bytes > INLINE_KEY_BYTES) release(keyBlockOf(number), bytes)
  }
  store<u32>(REMOVAL_COUNT_AT, 0)
}

/** Bytes of the key that a record keeps; 0 when it keeps none. */
export function keyBytesOf(number: u32): u32 {
  const at = recordAt(number)
  return bytesIn(keyWord(load<u32>(at, KEY_LENGTH), load<u32>(at, ENCODING)))
}

/** The block of key and value that a record keeps. */
export function blockOfRecord(number: u32): usize {
  const at = recordAt(number)
  const word = keyWord(load<u32>(at, KEY_LENGTH), load<u32>(at, ENCODING))
  return blockBefore(valueAtOf(load<u32>(at)), word)
}

/** The arena block of a record whose key is longer than the record. */
export function keyBlockOf(number: u32): usize {
  return usize(load<u32>(recordAt(number), KEY))
}

function recordAt(number: u32): usize {
  return removalsAt + usize(number) * REMOVAL_BYTES
}

function copyKey(target: usize, source: usize): void {
  store<u64>(target, load<u64>(source))
  store<u64>(target, load<u64>(source, 8), 8)
  store<u64>(target, load<u64>(source, 16), 16)
  store<u64>(target, load<u64>(source, 24), 24)
}
