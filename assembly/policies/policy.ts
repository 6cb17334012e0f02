// Which entry makes room: what a policy has to answer, and who answers it in this cache.
//
// A policy is a file of functions with these names over links, a queue number and a mark per entry; the
// store calls them through here and knows no policy by name. To add one: write its file, give it the next
// number in layout.ts and the memory it needs there, and add its branch to each function below. The number
// is fixed at creation, so the branches are predicted; a hit takes one of two.
//
//   reset()          forget every entry; the policy's memory is zero
//   onArrival(hash)  a key that is not here is about to come
//   victim(now)      which entry leaves so that it can, in a full cache; under a budget in bytes again and again,
//                    until there is room. What a policy remembers of evicted
//                    keys is noted here, since onRemove does not say why. An entry that is past its
//                    deadline leaves without a contest and is not remembered
//   onInsert(slot)   it has come; its hash is in its record
//   onRestore(slot…) it has come out of a snapshot, with what was known of it there
//   onHit(slot)      it was read, written again or touched
//   onResize(slot, weightBefore)   it was written again and weighs something else (values.ts)
//   onRemove(slot)   it leaves, for whatever reason; the record is still whole
//   nextOlder(slot)  a walk over all entries, the one to keep longest first; -1 starts and ends it

import { hashOf, policyByteOf } from '../entry'
import { GDSF, LAZY_TINYLFU, LRU, marksAt, policyEnd, policyNumber, S3FIFO, SIEVE } from '../layout'
import * as gdsf from './gdsf'
import * as lazyTinyLfu from './lazy-tinylfu'
import * as lru from './lru'
import * as marks from './marks'
import * as queues from './queues'
import * as s3fifo from './s3fifo'
import * as sieve from './sieve'
import * as sketch from './sketch'

export function isKnown(policy: u32): bool {
  return policy <= GDSF
}

export function reset(): void {
  if (policyNumber == LRU) lru.reset()
  else if (policyNumber == LAZY_TINYLFU) lazyTinyLfu.reset()
  else if (policyNumber == SIEVE) sieve.reset()
  else if (policyNumber == S3FIFO) s3fifo.reset()
  else gdsf.reset()
}

/** As `reset`, in memory that has been used. */
export function clear(): void {
  memory.fill(marksAt, 0, policyEnd - marksAt)
  reset()
}

export function onArrival(hash: u32): void {
  if (policyNumber == LAZY_TINYLFU) lazyTinyLfu.onArrival(hash)
  else if (policyNumber == S3FIFO) s3fifo.onArrival(hash)
}

export function victim(now: f64): u32 {
  if (policyNumber == LRU) return lru.victim()
  if (policyNumber == LAZY_TINYLFU) return lazyTinyLfu.victim(now)
  if (policyNumber == SIEVE) return sieve.victim(now)
  return policyNumber == S3FIFO ? s3fifo.victim(now) : gdsf.victim(now)
}

export function onInsert(slot: u32): void {
  if (policyNumber == LRU) lru.onInsert(slot)
  else if (policyNumber == LAZY_TINYLFU) lazyTinyLfu.onInsert(slot)
  else if (policyNumber == SIEVE) sieve.onInsert(slot)
  else if (policyNumber == S3FIFO) s3fifo.onInsert(slot)
  else gdsf.onInsert(slot)
}

export function onHit(slot: u32): void {
  if (policyNumber == LRU) lru.onHit(slot)
  else marks.count(slot, markLimit())
}

export function onRemove(slot: u32): void {
  if (policyNumber == LRU) lru.onRemove(slot)
  else if (policyNumber == LAZY_TINYLFU) lazyTinyLfu.onRemove(slot)
  else if (policyNumber == SIEVE) sieve.onRemove(slot)
  else if (policyNumber == S3FIFO) s3fifo.onRemove(slot)
}

export function onResize(slot: u32, weightBefore: u32): void {
  if (policyNumber == LAZY_TINYLFU) lazyTinyLfu.onResize(slot, weightBefore)
  else if (policyNumber == S3FIFO) queues.reweigh(slot, weightBefore)
}

export function nextOlder(slot: u32): u32 {
  if (policyNumber == LRU) return lru.nextOlder(slot)
  if (policyNumber == LAZY_TINYLFU) return lazyTinyLfu.nextOlder(slot)
  if (policyNumber == SIEVE) return sieve.nextOlder(slot)
  return policyNumber == S3FIFO ? s3fifo.nextOlder(slot) : gdsf.nextOlder(slot)
}

/**
 * What there is to see of an entry: bits 0-7 its mark, 8-15 the queue it is in, 16-23 how often its key was asked
 * for of late, as far as the policy knows.
 */
export function stateOf(slot: u32): u32 {
  if (policyNumber == LRU) return 0
  const frequency = policyNumber == LAZY_TINYLFU ? sketch.estimate(hashOf(slot)) : 0
  const queue = queueCount() > 1 ? policyByteOf(slot) : 0
  return marks.markOf(slot) | (queue << 8) | (frequency << 16)
}

/** An entry has come of which `stateOf` said this in another cache; those that come first are the colder ones. */
export function onRestore(slot: u32, state: u32): void {
  const queue = (state >> 8) & 255
  if (policyNumber == LRU) lru.onInsert(slot)
  else if (policyNumber == SIEVE) sieve.onInsert(slot)
  else if (policyNumber == LAZY_TINYLFU) lazyTinyLfu.onRestore(slot, queue, state >> 16)
  else if (policyNumber == S3FIFO) s3fifo.onRestore(slot, queue)
  else gdsf.onInsert(slot)
  if (policyNumber != LRU) marks.setMark(slot, min(state & 255, markLimit()))
}

/** What the policy has learnt for itself, beside what it knows of entries; 0 when it learns nothing. */
export function learnt(): u32 {
  return policyNumber == LAZY_TINYLFU ? lazyTinyLfu.target() : 0
}

/** Takes over what `learnt` said in a cache of the same size. */
export function adapt(learnt: u32): void {
  if (policyNumber == LAZY_TINYLFU) lazyTinyLfu.adapt(learnt)
}

/** How many hits of an entry are told apart, where hits leave marks. */
export function markLimit(): u32 {
  if (policyNumber == GDSF) return gdsf.MARK_LIMIT
  return policyNumber == SIEVE ? sieve.MARK_LIMIT : s3fifo.MARK_LIMIT
}

/** For the checker: how many queues there are. With more than one, an entry says which it is in; `gdsf` has none. */
export function queueCount(): u32 {
  if (policyNumber == GDSF) return 0
  if (policyNumber == LAZY_TINYLFU) return lazyTinyLfu.QUEUES
  return policyNumber == S3FIFO ? s3fifo.QUEUES : 1
}

/** For the checker: what the policy itself says of its state. */
export function isSound(): bool {
  if (policyNumber == LAZY_TINYLFU) return lazyTinyLfu.isSound()
  return policyNumber == SIEVE ? sieve.isSound() : true
}
