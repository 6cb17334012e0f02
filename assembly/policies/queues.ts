// Up to four first-in-first-out queues over the recency links: new entries at the head, the oldest at the
// tail, and out of the middle whatever is deleted or expires.
//
// A queue is a ring (list.ts) whose head is the queue's number counted downward from -1. The number of its
// queue is in each entry's policy byte, so that an entry can be taken out of wherever it is; the lengths are
// the first 16 bytes of the policy's part of the header. A length is what the queue's entries weigh together:
// their number, where there is no budget in bytes.

import { policyByteOf as queueOf, setPolicyByte as setQueue } from '../entry'
import { POLICY_STATE_AT, recencyAt } from '../layout'
import { addFirst, before, behind, empty, unlink } from '../list'
import { weightOf } from '../values'

export function headOf(queue: u32): u32 {
  return ~queue
}

export function lengthOf(queue: u32): u32 {
  return load<u32>(POLICY_STATE_AT + queue * 4)
}

function setLength(queue: u32, length: u32): void {
  store<u32>(POLICY_STATE_AT + queue * 4, length)
}

/** Empties the first `count` queues. */
export function reset(count: u32): void {
  for (let queue: u32 = 0; queue < count; ++queue) {
    empty(recencyAt, headOf(queue))
    setLength(queue, 0)
  }
}

/** Puts an entry that is in no queue at the head of `queue`. */
export function enter(slot: u32, queue: u32): void {
  addFirst(recencyAt, headOf(queue), slot)
  setQueue(slot, queue)
  setLength(queue, lengthOf(queue) + weightOf(slot))
}

export function leave(slot: u32): void {
  unlink(recencyAt, slot)
  const queue = queueOf(slot)
  setLength(queue, lengthOf(queue) - weightOf(slot))
}

/** An entry weighs something else than before. */
export function reweigh(slot: u32, weightBefore: u32): void {
  const queue = queueOf(slot)
  setLength(queue, lengthOf(queue) + weightOf(slot) - weightBefore)
}

/** Moves an entry to the head of `queue`, which may be its own. */
export function move(slot: u32, queue: u32): void {
  leave(slot)
  enter(slot, queue)
}

/** The oldest entry of a queue that is not empty. */
export function tailOf(queue: u32): u32 {
  return before(recencyAt, headOf(queue))
}

/** Whether a queue that is not empty has one entry. */
export function isSingle(queue: u32): bool {
  return behind(recencyAt, headOf(queue)) == before(recencyAt, headOf(queue))
}
