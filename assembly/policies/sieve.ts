// SIEVE: one queue, one bit, one hand. Good on scans with little memory; poor when what is hot moves on.
//
// New entries come in at the head. A hit sets the entry's bit. To evict, the hand goes from where it stands
// toward the head, clears the bits it meets, and takes the first entry that has none; behind the head it
// starts again at the tail. Entries never move. A pass of the hand takes as many steps as there are set bits,
// each of which was paid for by a hit: constant on average, not in the worst case.
//
// Source: Zhang, Yang, Yue, Vigfusson and Rashmi, SIEVE is Simpler than LRU (NSDI 2024).

import { isLive, NONE, usableUntilOf } from '../entry'
import { maxEntries, POLICY_STATE_AT, recencyAt } from '../layout'
import { addFirst, before, behind, empty, isHead, unlink } from '../list'
import { markOf, setMark } from './marks'

/** Where the hand stands: a slot, or the head of the ring, from which the next step is to the tail; u32. */
const HAND_AT: u32 = POLICY_STATE_AT
/** The head of the ring is the node in front of slot 0, which is also what "no slot" is called. */
const RING: u32 = NONE
/** Hits that are told apart from each other. */
export const MARK_LIMIT: u32 = 1

export function reset(): void {
  empty(recencyAt, RING)
  setHand(RING)
}

export function onInsert(slot: u32): void {
  addFirst(recencyAt, RING, slot)
  setMark(slot, 0)
}

export function onRemove(slot: u32): void {
  if (handAt() == slot) setHand(before(recencyAt, slot))
  unlink(recencyAt, slot)
}

export function victim(now: f64): u32 {
  let slot = handAt()
  if (isHead(slot)) slot = before(recencyAt, RING)
  while (markOf(slot) != 0 && usableUntilOf(slot) > now) {
    setMark(slot, 0)
    slot = before(recencyAt, slot)
    if (isHead(slot)) slot = before(recencyAt, RING)
  }
  setHand(slot)
  return slot
}

/** From the newest entry to the oldest. */
export function nextOlder(slot: u32): u32 {
  return behind(recencyAt, slot)
}

/** For the checker: the hand is on an entry or on the ring's head. */
export function isSound(): bool {
  return handAt() == RING || (handAt() < maxEntries && isLive(handAt()))
}

function handAt(): u32 {
  return load<u32>(HAND_AT)
}

function setHand(node: u32): void {
  store<u32>(HAND_AT, node)
}
