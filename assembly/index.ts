// The core's ABI: what a host can call and read. Base entry: no imports, only i32 and f64.
//
// Numbers above 2^31 arrive signed in JavaScript; the binding puts that right. Operations work on the
// key that was staged last; the fused ones stage it in the same crossing. Answers:
//
//   get, peek, touch, remove   -1 absent, else slot << 3 | state: 0 fresh, 1 stale, 2 suspect
//   set                        -1 no memory, else slot << 3 | outcome: 0 inserted, 1 replaced a live
//                              entry, 2 replaced an expired one; under a budget in bytes, where the value was
//                              announced by `valueNext`, also -3: drain the removals and call again
//   hide                       -1 absent, else slot << 3
//
// Times are milliseconds of the host's monotonic clock, Infinity for never.

import * as blocks from './blocks'
import * as entry from './entry'
import * as keys from './keys'
import * as layout from './layout'
import * as partitions from './partitions'
import * as policy from './policies/policy'
import * as removals from './removals'
import * as store from './store'
import * as values from './values'
import * as wheel from './wheel'

export { HEADER_AT, REMOVAL_COUNT_AT, SEED_AT, SIZE_AT, STATS_AT } from './layout'

/** `policy` by its number in layout.ts. 0 when the cache is ready, -1 when the engine refused the memory, -2 when the sizes make no sense. */
export function create(maxEntries: u32, policy: u32, flags: u32, partitions: u32, maxBytes: u32): i32 {
  return store.create(maxEntries, policy, flags, partitions, maxBytes)
}

/** What the next `set` brings, under a budget in bytes; it is good until that answers something else than -3. */
export function valueNext(bytes: u32, kind: u32, from: usize): void {
  store.valueNext(bytes, kind, from)
}

/** Where 8 bytes per slot say where its value is and how large, where values lie in this memory. */
export function valuesAt(): usize {
  return layout.valuesAt
}

/** Keeps the bytes of a slot's value as they are until `unlend` of what is answered; lending is not counted. */
export function lend(slot: u32): usize {
  if (!(layout.flags & layout.BYTES)) return 0
  const block = values.blockOf(slot)
  blocks.pin(block)
  return block
}

export function unlend(block: usize): void {
  if (block != 0) blocks.unpin(block)
}

/** The largest block that could be had at once. */
export function largestFree(): u32 {
  return layout.flags & layout.BYTES ? blocks.largestFree() : 0
}

/** Where a region starts, by its number in the order of the map in layout.ts, and after the last one where it ends. */
export function regionAt(number: u32): usize {
  return layout.regionAt(number)
}

/** Where the host writes key bytes. */
export function scratchAt(): usize {
  return layout.scratchAt
}

export function removalsAt(): usize {
  return layout.removalsAt
}

/** Makes what the host wrote to scratch the current key; `length` in characters, 8 for an integer. */
export function stage(length: u32, encoding: u32): void {
  keys.stage(length, encoding)
}

export function stageInteger(value: f64): void {
  keys.stageInteger(value)
}

export function get(now: f64): i32 {
  return store.get(now)
}

export function getStaged(length: u32, encoding: u32, now: f64): i32 {
  keys.stage(length, encoding)
  return store.get(now)
}

export function getInteger(value: f64, now: f64): i32 {
  return store.getInteger(value, now)
}

/** As `get`, of the entry that `slot` held at `generation`; -2 when it has left or is hidden. */
export function getAt(slot: u32, generation: u32, now: f64): i32 {
  return store.getAt(slot, generation, now)
}

/** As `get`, without counting, without recency, and leaving an expired entry where it is. */
export function peek(now: f64): i32 {
  return store.peek(now)
}

/** As `peek`, of the entry that `slot` held at `generation`; -2 when it has left or is hidden. */
export function peekAt(slot: u32, generation: u32, now: f64): i32 {
  return store.peekAt(slot, generation, now)
}

export function set(freshUntil: f64, usableUntil: f64, now: f64): i32 {
  return store.set(freshUntil, usableUntil, now)
}

export function setStaged(length: u32, encoding: u32, freshUntil: f64, usableUntil: f64, now: f64): i32 {
  keys.stage(length, encoding)
  return store.set(freshUntil, usableUntil, now)
}

export function setInteger(value: f64, freshUntil: f64, usableUntil: f64, now: f64): i32 {
  keys.stageInteger(value)
  return store.set(freshUntil, usableUntil, now)
}

export function remove(now: f64): i32 {
  return store.remove(now)
}

export function touch(freshUntil: f64, usableUntil: f64, now: f64): i32 {
  return store.touch(freshUntil, usableUntil, now)
}

/** Gives the entry in `slot`, which an operation has just answered with, new deadlines; not as a use of it. */
export function extend(slot: u32, freshUntil: f64, usableUntil: f64, now: f64): void {
  store.extend(slot, freshUntil, usableUntil, now)
}

/** Makes the current key's entry invisible to `get` and `peek` until it is set again. */
export function hide(): i32 {
  return store.hide()
}

/** Expires up to `budget` entries; answers how many. Stops early when the removal list is full. */
export function advance(now: f64, budget: u32): u32 {
  return store.advance(now, budget)
}

/** Buckets of the wheel that are due and not worked off yet. */
export function wheelBacklog(now: f64): u32 {
  return wheel.backlog(now)
}

/** Forgets the removal records and gives back their keys. */
export function drain(): void {
  removals.drain()
}

export function clear(): void {
  store.clear()
}

/** From -1 the entry the policy would keep longest, then the next, -1 behind the last. */
export function nextOlder(slot: i32): i32 {
  return i32(policy.nextOlder(slot))
}

export function keyAt(slot: u32): usize {
  return entry.keyAt(slot)
}

export function keyLength(slot: u32): u32 {
  return entry.lengthIn(entry.keyWordOf(slot))
}

export function keyEncoding(slot: u32): u32 {
  return entry.encodingIn(entry.keyWordOf(slot))
}

export function generation(slot: u32): u32 {
  return entry.generationOf(slot)
}

export function freshUntil(slot: u32): f64 {
  return entry.freshUntilOf(slot)
}

export function usableUntil(slot: u32): f64 {
  return entry.usableUntilOf(slot)
}

export function isLive(slot: u32): i32 {
  return i32(entry.isLive(slot))
}

export function isHidden(slot: u32): i32 {
  return i32(entry.isHidden(slot))
}

/** What the policy knows of an entry: bits 0-7 uses noted since it was last looked at, 8-15 queue, 16-23 frequency. */
export function policyState(slot: u32): u32 {
  return policy.stateOf(slot)
}

/** What the policy has learnt beside its entries: a number for `adapt` of another cache of the same size. */
export function policyMemory(): u32 {
  return policy.learnt()
}

export function adapt(learnt: u32): void {
  policy.adapt(learnt)
}

/** Stores the current key as an entry of an earlier cache, with its `policyState` there; -1 when it cannot. */
export function restore(freshUntil: f64, usableUntil: f64, now: f64, state: u32): i32 {
  return store.restore(freshUntil, usableUntil, now, state)
}

/** Says what the next write or touch knows of its entry; authority caches only. */
export function stampNext(partition: u32, epochIndex: u32, asOf: f64, tagSequence: f64): void {
  partitions.stampNext(partition, epochIndex, asOf, tagSequence)
}

export function setPartition(partition: u32, epochIndex: u32, suspectBelow: f64): void {
  partitions.setPartition(partition, epochIndex, suspectBelow)
}

/** From `until` on every entry is suspect; Infinity at creation. */
export function setLease(until: f64): void {
  partitions.setLease(until)
}

export function asOf(slot: u32): f64 {
  return partitions.asOf(slot)
}

export function partitionOf(slot: u32): i32 {
  return partitions.partitionOf(slot)
}

export function epochOf(slot: u32): i32 {
  return partitions.epochOf(slot)
}

export function tagSequence(slot: u32): f64 {
  return partitions.tagSequence(slot)
}
