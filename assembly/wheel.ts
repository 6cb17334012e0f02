// A timing wheel that does not cascade: when entries with a deadline give their memory back.
//
// Ten levels of 64 buckets. A tick is 128 ms; on level L a bucket spans 8^L ticks. A deadline goes to the
// finest level whose 64 buckets reach it, rounded up to a bucket's start, and stays there: nothing is
// dealt again into finer levels, so no tick is ever expensive. The price is that an entry leaves up to
// one bucket late, which is an eighth of its remaining life and a tick at most. `get` compares the exact
// deadline itself; the wheel only decides when memory comes back.
//
// Per level there are a cursor, the last position worked off, and a bitmap of the buckets that hold
// entries. When time moves, the buckets that came due are moved as they are to one ring of due entries, and
// all cursors are up to date at once; budgets bound only the work on that ring. So a jump of years costs no
// more than 640 moves of a bucket, whatever is in them, and an idle tick ten comparisons.
//
// An entry that comes up before its deadline is placed again. That happens when its deadline was put off
// (which leaves it where it is, so that writing a key again and again costs the wheel nothing) and when
// it was put nearer than it belongs because its level did not reach so far from where the cursor was.
//
// Source: Gleixner's rewrite of the Linux timer wheel (kernel/time/timer.c since 4.8), after Varghese and
// Lauck, Hashed and Hierarchical Timing Wheels (1997). Differences: an exact check and a second placing,
// which let a level use all of its 64 buckets and keep the delay to an eighth; budgets; jumps.

import { NONE, usableUntilOf } from './entry'
import {
  SCHEDULED_COUNT_AT,
  WHEEL_BITMAPS_AT,
  WHEEL_CURSORS_AT,
  WHEEL_HEADS,
  WHEEL_LEVELS,
  WHEEL_TICK_AT,
  wheelAt,
} from './layout'
import { addFirst, behind, empty, isHead, moveAll, unlink } from './list'

const TICKS_PER_MS: f64 = 1.0 / 128.0
const BUCKETS: i64 = 64
/** The ring of due entries: a bucket behind the last one, without a bit. */
const DUE: u32 = 640
/** Deadlines beyond are cut to it, so that arithmetic with ticks cannot overflow; `now` stays below. */
const LAST_TICK: f64 = 4_503_599_627_370_496

export function reset(): void {
  for (let bucket: u32 = 0; bucket < WHEEL_HEADS; ++bucket) empty(wheelAt, headOf(bucket))
  memory.fill(WHEEL_TICK_AT, 0, 8)
  memory.fill(WHEEL_CURSORS_AT, 0, WHEEL_LEVELS * 8)
  memory.fill(WHEEL_BITMAPS_AT, 0, WHEEL_LEVELS * 8)
  store<u32>(SCHEDULED_COUNT_AT, 0)
}

export function scheduledCount(): u32 {
  return load<u32>(SCHEDULED_COUNT_AT)
}

/** Adds an entry that is in no bucket; its deadline is finite. */
export function schedule(slot: u32, deadline: f64, now: f64): void {
  const scheduled = scheduledCount()
  if (scheduled == 0) turnTo(tickOf(now))
  store<u32>(SCHEDULED_COUNT_AT, scheduled + 1)
  put(slot, deadline, tickOf(now))
}

/** Takes out an entry that is in a bucket. */
export function unschedule(slot: u32): void {
  store<u32>(SCHEDULED_COUNT_AT, scheduledCount() - 1)
  take(slot)
}

/**
 * Answers an entry that came up, or -1 when the wheel has caught up with `now`. The caller takes it out, or
 * places it again if it is not due itself.
 */
export function nextDue(now: f64): u32 {
  const tick = tickOf(now)
  if (tick > load<i64>(WHEEL_TICK_AT)) collect(tick)
  const first = behind(wheelAt, headOf(DUE))
  return isHead(first) ? NONE : first
}

/** Puts an entry that came up too early where its deadline belongs. */
export function placeAgain(slot: u32, now: f64): void {
  take(slot)
  put(slot, usableUntilOf(slot), tickOf(now))
}

/** How many buckets are due and not yet worked off; those that were moved together count as one. */
export function backlog(now: f64): u32 {
  const tick = tickOf(now)
  let due: u32 = isOccupied(DUE) ? 1 : 0
  for (let level: u32 = 0; level < WHEEL_LEVELS; ++level) {
    const cursor = cursorOf(level)
    const span = min((tick >> shiftOf(level)) - cursor, BUCKETS)
    if (span <= 0) continue
    const ahead = rotr(bitmapOf(level), u64(cursor + 1) & 63)
    due += u32(popcnt(span == BUCKETS ? ahead : ahead & ((u64(1) << u64(span)) - 1)))
  }
  return due
}

/** Whether the bucket of a scheduled entry is met no later than its deadline asks for; for the checker. */
export function isInTime(slot: u32, bucket: u32): bool {
  if (bucket == DUE) return true
  const level = bucket >> 6
  const next = cursorOf(level) + 1
  const position = next + ((i64(bucket & 63) - next) & 63)
  return position <= max(positionFor(level, deadlineTick(usableUntilOf(slot))), next)
}

/** The first tick at or after `deadline`. */
function deadlineTick(deadline: f64): i64 {
  return i64(ceil(bounded(deadline * TICKS_PER_MS, LAST_TICK)))
}

/** Whether a bucket holds entries, by its bitmap where it has one. */
export function isOccupied(bucket: u32): bool {
  if (bucket == DUE) return !isHead(behind(wheelAt, headOf(DUE)))
  return ((bitmapOf(bucket >> 6) >> u64(bucket & 63)) & 1) != 0
}

/** Moves what came due by `tick` to the ring of due entries. */
function collect(tick: i64): void {
  store<i64>(WHEEL_TICK_AT, tick)
  for (let level: u32 = 0; level < WHEEL_LEVELS; ++level) {
    const target = tick >> shiftOf(level)
    let position = nextOccupied(level, cursorOf(level))
    while (position <= target) {
      const bucket = bucketOf(level, position)
      moveAll(wheelAt, headOf(bucket), headOf(DUE))
      markEmpty(bucket)
      position = nextOccupied(level, position)
    }
    setCursor(level, max(target, cursorOf(level)))
  }
}

function put(slot: u32, deadline: f64, tick: i64): void {
  const due = deadlineTick(deadline)
  const level = levelFor(due - tick)
  const cursor = cursorOf(level)
  let position = positionFor(level, due)
  // Beyond its 64 buckets a position would wrap to one that comes up sooner, and sooner yet.
  if (position <= cursor) position = cursor + 1
  else if (position > cursor + BUCKETS) position = cursor + BUCKETS
  const bucket = bucketOf(level, position)
  addFirst(wheelAt, headOf(bucket), slot)
  setBitmap(level, bitmapOf(level) | (u64(1) << u64(bucket & 63)))
}

function take(slot: u32): void {
  const next = behind(wheelAt, slot)
  unlink(wheelAt, slot)
  // A bucket is empty when its head is its own neighbour, and only a head can be.
  if (isHead(next) && behind(wheelAt, next) == next && headOf(next) != DUE) markEmpty(headOf(next))
}

function markEmpty(bucket: u32): void {
  setBitmap(bucket >> 6, bitmapOf(bucket >> 6) & ~(u64(1) << u64(bucket & 63)))
}

/** Sets an empty wheel to `tick`. */
function turnTo(tick: i64): void {
  store<i64>(WHEEL_TICK_AT, tick)
  for (let level: u32 = 0; level < WHEEL_LEVELS; ++level) setCursor(level, tick >> shiftOf(level))
}

/** The level whose buckets are an eighth of the way to `delta` or finer, as far as there are levels. */
function levelFor(delta: i64): u32 {
  if (delta < BUCKETS) return 0
  return min((60 - u32(clz(delta))) / 3, WHEEL_LEVELS - 1)
}

/** The position that starts at or after a tick. */
function positionFor(level: u32, tick: i64): i64 {
  const shift = shiftOf(level)
  return (tick + (i64(1) << shift) - 1) >> shift
}

/** The first occupied position behind `cursor`, at most 64 further; out of reach when there is none. */
function nextOccupied(level: u32, cursor: i64): i64 {
  const bitmap = bitmapOf(level)
  if (bitmap == 0) return i64.MAX_VALUE
  return cursor + 1 + i64(ctz(rotr(bitmap, u64(cursor + 1) & 63)))
}

function tickOf(now: f64): i64 {
  return i64(floor(bounded(now * TICKS_PER_MS, LAST_TICK - 1)))
}

/** Between 0 and `last`, and 0 for what is no number: the conversion that follows would trap. */
function bounded(ticks: f64, last: f64): f64 {
  if (!(ticks > 0)) return 0
  return ticks < last ? ticks : last
}

function shiftOf(level: u32): i64 {
  return i64(level * 3)
}

function bucketOf(level: u32, position: i64): u32 {
  return (level << 6) | u32(position & 63)
}

/** Heads are numbered from -1 downward, so this turns a bucket into its head and back. */
export function headOf(bucket: u32): u32 {
  return ~bucket
}

function cursorOf(level: u32): i64 {
  return load<i64>(WHEEL_CURSORS_AT + level * 8)
}

function setCursor(level: u32, position: i64): void {
  store<i64>(WHEEL_CURSORS_AT + level * 8, position)
}

function bitmapOf(level: u32): u64 {
  return load<u64>(WHEEL_BITMAPS_AT + level * 8)
}

function setBitmap(level: u32, bitmap: u64): void {
  store<u64>(WHEEL_BITMAPS_AT + level * 8, bitmap)
}
