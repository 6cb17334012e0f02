// Recency: the entry that has not been used for the longest time leaves first. Exact, not sampled.
//
// One ring (list.ts): newest first, oldest last. A hit on the newest entry, the commonest hit of a skewed
// workload, reads one word that is in cache anyway and writes nothing.

import { NONE } from '../entry'
import { recencyAt } from '../layout'
import { addFirst, before, behind, empty, unlink } from '../list'

/** The head of the ring is the node in front of slot 0, which is also what "no slot" is called. */
const RING: u32 = NONE

export function reset(): void {
  empty(recencyAt, RING)
}

export function onInsert(slot: u32): void {
  addFirst(recencyAt, RING, slot)
}

export function onHit(slot: u32): void {
  if (behind(recencyAt, RING) == slot) return
  unlink(recencyAt, slot)
  addFirst(recencyAt, RING, slot)
}

export function onRemove(slot: u32): void {
  unlink(recencyAt, slot)
}

export function victim(): u32 {
  return before(recencyAt, RING)
}

/** The entry used just before `slot`; from -1 the newest, and -1 behind the oldest. */
export function nextOlder(slot: u32): u32 {
  return behind(recencyAt, slot)
}
