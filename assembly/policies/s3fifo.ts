// S3-FIFO: three first-in-first-out queues, of which one holds only ghosts. Quick to drop what is used once.
//
// New entries come into a small queue of a tenth of the cache, those with a ghost into the main one. Room is
// made in the small queue while it has its tenth: an entry that was hit twice moves to the main queue, the
// first other one is evicted and leaves a ghost. Else room is made in the main queue: an entry that was hit
// goes round again for one hit less. A pass takes as many steps as hits have paid for: constant on average,
// not in the worst case.
//
// Source: Yang, Zhang, Qiu, Yue and Rashmi, FIFO Queues Are All You Need for Cache Eviction (SOSP 2023),
// algorithm 1. There, moving an entry into a full main queue evicts from that at once; here one write evicts
// one entry, so the main queue may be longer until the next eviction, which then takes from it.

import { hashOf, usableUntilOf } from '../entry'
import { capacity, POLICY_STATE_AT, REFUSED_ADMISSIONS_AT, recencyAt } from '../layout'
import { nextThrough } from '../list'
import { count as countIn } from '../stats'
import * as ghost from './ghost'
import { markOf, setMark } from './marks'
import * as queues from './queues'

/** Whether the key that comes has a ghost; u32. */
const IS_KNOWN_AT: u32 = POLICY_STATE_AT + 16

const MAIN: u32 = 0
const SMALL: u32 = 1
export const QUEUES: u32 = 2
const GHOSTS: u32 = 0
/** Hits that are told apart from each other. */
export const MARK_LIMIT: u32 = 3
/** Hits in the small queue for which an entry moves to the main one. */
const PROMOTE: u32 = 2

export function reset(): void {
  queues.reset(QUEUES)
  ghost.reset(GHOSTS)
}

export function onArrival(hash: u32): void {
  store<u32>(IS_KNOWN_AT, u32(ghost.take(GHOSTS, hash)))
}

export function onInsert(slot: u32): void {
  setMark(slot, 0)
  queues.enter(slot, load<u32>(IS_KNOWN_AT) ? MAIN : SMALL)
}

export function onRemove(slot: u32): void {
  queues.leave(slot)
}

export function victim(now: f64): u32 {
  // Under a budget in bytes one entry may be larger than what is left in the main queue.
  if (queues.lengthOf(SMALL) >= smallLimit() || queues.lengthOf(MAIN) == 0) {
    while (queues.lengthOf(SMALL) != 0) {
      const slot = queues.tailOf(SMALL)
      if (usableUntilOf(slot) <= now) return slot
      if (markOf(slot) < PROMOTE) {
        ghost.note(GHOSTS, hashOf(slot))
        countIn(REFUSED_ADMISSIONS_AT)
        return slot
      }
      setMark(slot, 0)
      queues.move(slot, MAIN)
    }
  }
  while (true) {
    const slot = queues.tailOf(MAIN)
    const mark = markOf(slot)
    if (mark == 0 || usableUntilOf(slot) <= now) return slot
    setMark(slot, mark - 1)
    queues.move(slot, MAIN)
  }
}

/** Puts an entry where another cache had it. */
export function onRestore(slot: u32, queue: u32): void {
  queues.enter(slot, queue == MAIN ? MAIN : SMALL)
}

/** The main queue and then the small one, each from its head to its tail. */
export function nextOlder(slot: u32): u32 {
  return nextThrough(recencyAt, slot, QUEUES)
}

function smallLimit(): u32 {
  return max<u32>(capacity / 10, 1)
}
