// The hash table: from a key's signature to its slot.
//
// An array of buckets, each one cache line:
//
//    at  bytes  field
//     0     12  tags       one for each place: 0 is empty, else 0x80 and seven bits of the hash
//    12      4  overflow   how many entries found this bucket full and live in a later one
//    16     48  slots      one u32 for each place
//
// A key's home bucket comes from the high end of its 32-bit hash by multiply and shift, so any number of
// buckets serves; its tag from the low end. All twelve tags are compared at once in two words (SWAR). A
// key that finds its home full lives in the next bucket with room, and every bucket it passed counts it;
// so a probe goes on only while that count is above zero, and deleting restores the table to exactly what
// it would be had the key never been there: no tombstones, no decay under churn, no rehashing pauses.
// A full cache has seven entries per bucket on average (layout.ts), so a second line is rarely read.
//
// Source: overflow counts as in F14 (Bronson and Shi, Open-sourcing F14, Facebook 2019); matching tags
// in a word after Hacker's Delight, 6-1.

import { hashOf, inlineKeyAt, signatureOf, wordOf } from './entry'
import { bitsOf, hasCurrentBytes, integerSignature } from './keys'
import { BUCKET_BYTES, bucketCount, indexAt, indexEnd, PASSED_BUCKETS_AT } from './layout'

/** Entries that fit a bucket. */
export const PLACES: u32 = 12
const OVERFLOW = 12
const SLOTS = 16
const HIGH_BITS: u64 = 0x8080_8080_8080_8080
const LOW_BITS: u64 = 0x0101_0101_0101_0101

/** The slot of the current key, whose signature is `sign`, or -1. `mask` says which bits must agree. */
export function find(sign: u64, mask: u64): i32 {
  const hash = u32(sign)
  const pattern = LOW_BITS * tagOf(hash)
  const home = homeOf(hash)
  let bucket = home
  do {
    let matches = matchesIn(bucket, pattern)
    while (matches != 0) {
      const slot = slotAt(bucket, laneOf(matches))
      if (((signatureOf(slot) ^ sign) & mask) == 0 && hasCurrentBytes(slot, wordOf(sign))) return i32(slot)
      matches &= matches - 1
    }
    if (overflowOf(bucket) == 0) return -1
    bucket = nextOf(bucket)
    // Every bucket can have overflowed at some time, so the count alone does not end the probe.
  } while (bucket != home)
  return -1
}

/** As `find`, of an integer that is not staged: its bytes are one word, and the padding is the same in every key. */
export function findInteger(value: f64): i32 {
  const bits = bitsOf(value)
  const sign = integerSignature(bits)
  const hash = u32(sign)
  const pattern = LOW_BITS * tagOf(hash)
  const home = homeOf(hash)
  let bucket = home
  do {
    let matches = matchesIn(bucket, pattern)
    while (matches != 0) {
      const slot = slotAt(bucket, laneOf(matches))
      if (signatureOf(slot) == sign && load<u64>(inlineKeyAt(slot)) == bits) return i32(slot)
      matches &= matches - 1
    }
    if (overflowOf(bucket) == 0) return -1
    bucket = nextOf(bucket)
  } while (bucket != home)
  return -1
}

/** Enters `slot`, whose key is not there yet. */
export function insert(slot: u32, hash: u32): void {
  let bucket = homeOf(hash)
  let free = placesIn(bucket)
  while (free == 0) {
    pass(bucket, 1)
    bucket = nextOf(bucket)
    free = placesIn(bucket)
  }
  const lane = laneOf(free)
  store<u8>(bucket + lane, u8(tagOf(hash)))
  store<u32>(bucket + (lane << 2), slot, SLOTS)
}

/** Takes `slot` out; its record must still hold its hash. */
export function remove(slot: u32): void {
  const hash = hashOf(slot)
  const pattern = LOW_BITS * tagOf(hash)
  let bucket = homeOf(hash)
  while (true) {
    let matches = matchesIn(bucket, pattern)
    while (matches != 0) {
      const lane = laneOf(matches)
      if (slotAt(bucket, lane) == slot) {
        store<u8>(bucket + lane, 0)
        return
      }
      matches &= matches - 1
    }
    assert(overflowOf(bucket) > 0, 'a slot that is removed is in the table')
    pass(bucket, -1)
    bucket = nextOf(bucket)
  }
}

/** Empties the table. */
export function reset(): void {
  memory.fill(indexAt, 0, indexEnd - indexAt)
  store<u32>(PASSED_BUCKETS_AT, 0)
}

function tagOf(hash: u32): u64 {
  return u64(0x80 | (hash & 0x7f))
}

function homeOf(hash: u32): usize {
  return indexAt + usize((u64(hash) * u64(bucketCount)) >> 32) * BUCKET_BYTES
}

function nextOf(bucket: usize): usize {
  const next = bucket + BUCKET_BYTES
  return next == indexEnd ? indexAt : next
}

/**
 * The places whose tag matches, as bits: those of the first eight tags at the low end of each byte, those
 * of the last four at the high end. A false match is possible behind a true one and never on an empty
 * place; the comparison that follows sorts it out.
 */
function matchesIn(bucket: usize, pattern: u64): u64 {
  const left = load<u64>(bucket) ^ pattern
  const right = load<u32>(bucket, 8) ^ u32(pattern)
  const leftMatches = (left - LOW_BITS) & ~left & HIGH_BITS
  const rightMatches = (right - u32(LOW_BITS)) & ~right & u32(HIGH_BITS)
  return (leftMatches >> 7) | u64(rightMatches)
}

/** The empty places, in the form of `matchesIn`. */
function placesIn(bucket: usize): u64 {
  return ((~load<u64>(bucket) & HIGH_BITS) >> 7) | u64(~load<u32>(bucket, 8) & u32(HIGH_BITS))
}

/** The lane of the lowest bit in a set made by `matchesIn` or `placesIn`. */
function laneOf(places: u64): u32 {
  const bit = u32(ctz(places))
  return (bit >> 3) + ((bit & 1) << 3)
}

function slotAt(bucket: usize, lane: u32): u32 {
  return load<u32>(bucket + (lane << 2), SLOTS)
}

function overflowOf(bucket: usize): u32 {
  return load<u32>(bucket, OVERFLOW)
}

function pass(bucket: usize, change: u32): void {
  store<u32>(bucket, overflowOf(bucket) + change, OVERFLOW)
  store<u32>(PASSED_BUCKETS_AT, load<u32>(PASSED_BUCKETS_AT) + change)
}

/** For the checker: the slot at a place of bucket number `index`, or -1 when it is empty. */
export function slotIn(index: u32, lane: u32): i32 {
  const bucket = indexAt + usize(index) * BUCKET_BYTES
  return load<u8>(bucket + lane) == 0 ? -1 : i32(slotAt(bucket, lane))
}

/** For the checker: the overflow count of bucket number `index`. */
export function overflowIn(index: u32): u32 {
  return overflowOf(indexAt + usize(index) * BUCKET_BYTES)
}

/** For the checker: whether a place's tag is the one that `hash` asks for. */
export function hasTag(index: u32, lane: u32, hash: u32): bool {
  return u64(load<u8>(indexAt + usize(index) * BUCKET_BYTES + lane)) == tagOf(hash)
}

/** For the checker: the number of the home bucket. */
export function homeIndex(hash: u32): u32 {
  return u32((homeOf(hash) - indexAt) / BUCKET_BYTES)
}
