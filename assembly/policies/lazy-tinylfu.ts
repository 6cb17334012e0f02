// Lazy TinyLFU: three first-in-first-out queues, admission by frequency, and hits that write one byte.
//
//            new ──► window ──► probation ──► protected
//                      │ tail      │  ▲   hit    │ tail
//                      ▼           ▼  └──────────┘
//                   rejected   displaced
//
// A new entry enters the window. At the window's tail it goes on to probation if it was hit twice or there
// is room; otherwise it has a contest with the entry that would leave the main area, and the one that was
// asked for more often stays. A tie is the resident's: a loop longer than the cache keeps what it has. What
// was hit in probation goes to the protected queue, whose overflow comes back to probation.
//
// Hits only raise the entry's mark. They reach the sketch of frequencies when the entry is at a tail, so the
// sketch is written by misses alone. The size of the window is steered by ghosts: a key that comes back
// soon after it was rejected asks for a larger window, one that comes back soon after it was displaced for
// a smaller one. One lost contest in 128 is won nevertheless, if the candidate is asked for often at all: nobody
// can freeze the main area by making its entries look hot.
//
// Under a budget in bytes queues, window and limits are in bytes, and the contest is still one of frequencies:
// that answers most bytes from the cache (docs/decisions/0017). Then one write may need several victims.
//
// The work of a write is bounded: two ghosts, the units of a few entries, two estimates, and GUARD second
// chances. Expiry and deletion leave no ghost, as they say nothing about the window.
//
// Source: a window in front of TinyLFU admission from Einziger, Friedman and Manes, TinyLFU (2017); queues
// with deferred promotion from CLOCK and from Yang et al., FIFO Queues Are All You Need (SOSP 2023); steering
// by ghosts from Megiddo and Modha, ARC (FAST 2003). Measured in docs/decisions/0017.

import { hashOf, usableUntilOf } from '../entry'
import { capacity, INCOMING_AT, POLICY_STATE_AT, REFUSED_ADMISSIONS_AT, recencyAt } from '../layout'
import { nextThrough } from '../list'
import { count as countIn } from '../stats'
import * as chance from './chance'
import * as ghost from './ghost'
import { markOf, setMark } from './marks'
import * as queues from './queues'
import * as sketch from './sketch'

/** What the window may hold, in entries or bytes; u32. */
const TARGET_AT: u32 = POLICY_STATE_AT + 16

const PROTECTED: u32 = 0
const PROBATION: u32 = 1
const WINDOW: u32 = 2
export const QUEUES: u32 = 3

/** Ghosts of what lost at the window's tail, and of what was evicted from the main area. */
const REJECTED: u32 = 0
const DISPLACED: u32 = 1

/** Hits that are told apart from each other. */
export const MARK_LIMIT: u32 = 3
/** Hits in the window that spare the contest. */
const PROMOTE: u32 = 2
/** Second chances that one write gives at most. */
const GUARD: u32 = 16
/** From here on a candidate that lost may win by chance. */
const FREQUENT: u32 = 6
/** As many bits have to be 0 for that. */
const CHANCE_BITS: u32 = 7

export function reset(): void {
  queues.reset(QUEUES)
  sketch.reset()
  ghost.reset(REJECTED)
  ghost.reset(DISPLACED)
  setTarget(max<u32>(capacity / 10, 1))
  chance.reset()
}

export function onArrival(hash: u32): void {
  if (ghost.take(REJECTED, hash)) {
    setTarget(u32(min(u64(target()) + incoming(), u64(greatestTarget()))))
    trimProtected(GUARD)
  } else if (ghost.take(DISPLACED, hash)) {
    setTarget(u32(max(i64(target()) - i64(incoming()), i64(leastTarget()))))
  }
  sketch.add(hash, 1)
}

/**
 * The entry that leaves so that one can come. The window is looked at as if the new entry were in it already,
 * and so its tail is never the new one: with room for a single entry the old one leaves.
 */
export function victim(now: f64): u32 {
  while (queues.lengthOf(WINDOW) != 0 && (isWindowFull() || isMainEmpty())) {
    const candidate = queues.tailOf(WINDOW)
    if (isExpired(candidate, now)) return candidate
    if (settle(candidate) < PROMOTE) return loser(candidate, now)
    queues.move(candidate, PROBATION)
  }
  return displaced(coldest(now), now)
}

/** What of the window is too much by now goes on to probation: there is room, as one has left. */
export function onInsert(slot: u32): void {
  setMark(slot, 0)
  queues.enter(slot, WINDOW)
  trimWindow()
}

/** An entry was written again and weighs something else. */
export function onResize(slot: u32, weightBefore: u32): void {
  queues.reweigh(slot, weightBefore)
  trimWindow()
  trimProtected(GUARD)
}

/** The newest entry stays in the window, whatever it weighs. */
function trimWindow(): void {
  while (queues.lengthOf(WINDOW) > target() && !queues.isSingle(WINDOW)) {
    const candidate = queues.tailOf(WINDOW)
    settle(candidate)
    queues.move(candidate, PROBATION)
  }
}

export function onRemove(slot: u32): void {
  queues.leave(slot)
}

/** Puts an entry where another cache had it, as far as there is room for it there. */
export function onRestore(slot: u32, queue: u32, frequency: u32): void {
  // One unit was counted as it came.
  sketch.add(hashOf(slot), max<u32>(min(frequency, sketch.MOST), 1) - 1)
  if (queue == PROTECTED && queues.lengthOf(PROTECTED) < protectedLimit()) queues.enter(slot, PROTECTED)
  else if (queue == WINDOW && queues.lengthOf(WINDOW) < target()) queues.enter(slot, WINDOW)
  else queues.enter(slot, PROBATION)
}

/** Lets the window have `entries`, or as many as it may. */
export function adapt(entries: u32): void {
  setTarget(min(max(entries, leastTarget()), greatestTarget()))
  while (queues.lengthOf(WINDOW) > target()) queues.move(queues.tailOf(WINDOW), PROBATION)
  trimProtected(GUARD)
}

/** Protected, probation and window, each from its head to its tail. */
export function nextOlder(slot: u32): u32 {
  return nextThrough(recencyAt, slot, QUEUES)
}

/** The contest at the window's tail: who of `candidate` and the coldest resident has to leave. */
function loser(candidate: u32, now: f64): u32 {
  // The whole cache is window only where it has a single entry.
  if (!isMainEmpty()) {
    const resident = coldest(now)
    if (isExpired(resident, now) || wins(hashOf(candidate), hashOf(resident))) {
      queues.move(candidate, PROBATION)
      return displaced(resident, now)
    }
  }
  ghost.note(REJECTED, hashOf(candidate))
  countIn(REFUSED_ADMISSIONS_AT)
  return candidate
}

function wins(candidate: u32, resident: u32): bool {
  const frequency = sketch.estimate(candidate)
  if (frequency > sketch.estimate(resident)) return true
  return frequency >= FREQUENT && chance.random() >> (32 - CHANCE_BITS) == 0
}

function displaced(slot: u32, now: f64): u32 {
  if (!isExpired(slot, now)) ghost.note(DISPLACED, hashOf(slot))
  return slot
}

/** The entry of the main area, which is not empty, that leaves next. It stays where it is. */
function coldest(now: f64): u32 {
  let chances = GUARD
  while (true) {
    if (queues.lengthOf(PROBATION) == 0) {
      chances = demote(chances)
      continue
    }
    const slot = queues.tailOf(PROBATION)
    if (markOf(slot) == 0 || chances == 0 || isExpired(slot, now)) return slot
    settle(slot)
    queues.move(slot, PROTECTED)
    chances = trimProtected(chances - 1)
  }
}

/** Sends the protected queue's overflow back to probation. Answers how many of `chances` are left. */
function trimProtected(chances: u32): u32 {
  const limit = protectedLimit()
  while (queues.lengthOf(PROTECTED) > limit) chances = demote(chances)
  return chances
}

/** Gives the tail of the protected queue a second chance, or sends it to probation. */
function demote(chances: u32): u32 {
  const slot = queues.tailOf(PROTECTED)
  const mark = markOf(slot)
  if (mark == 0 || chances == 0) {
    queues.move(slot, PROBATION)
    return chances
  }
  sketch.add(hashOf(slot), 1)
  setMark(slot, mark - 1)
  queues.move(slot, PROTECTED)
  return chances - 1
}

/** Takes an entry's hits over into the sketch; answers how many there were. */
function settle(slot: u32): u32 {
  const mark = markOf(slot)
  sketch.add(hashOf(slot), mark)
  setMark(slot, 0)
  return mark
}

function isExpired(slot: u32, now: f64): bool {
  return usableUntilOf(slot) <= now
}

function isWindowFull(): bool {
  return u64(queues.lengthOf(WINDOW)) + incoming() > target()
}

function isMainEmpty(): bool {
  return queues.lengthOf(PROBATION) + queues.lengthOf(PROTECTED) == 0
}

/** What the entry that is about to come weighs. */
function incoming(): u64 {
  return load<u32>(INCOMING_AT)
}

/** How many entries the window may have. */
export function target(): u32 {
  return load<u32>(TARGET_AT)
}

function setTarget(weight: u32): void {
  store<u32>(TARGET_AT, weight)
}

function protectedLimit(): u32 {
  return u32((u64(capacity - target()) * 4) / 5)
}

function leastTarget(): u32 {
  return max<u32>(capacity / 100, 1)
}

function greatestTarget(): u32 {
  return max<u32>(u32((u64(capacity) * 95) / 100), 1)
}

/** For the checker: the window keeps to its target, the target to its bounds, the protected queue to its share. */
export function isSound(): bool {
  return (
    target() >= leastTarget() &&
    target() <= greatestTarget() &&
    (queues.lengthOf(WINDOW) <= target() || queues.isSingle(WINDOW)) &&
    queues.lengthOf(PROTECTED) <= protectedLimit()
  )
}
