// An entry's life: how it is found, written, hidden, removed, expired and evicted.
//
// The one file that knows all structures and keeps them in step; they do not know each other. Every
// operation works on the current key (keys.ts) and answers a slot with a state in one number, so that the
// host needs one crossing. Whatever leaves goes through `detach`, which is therefore the list of places
// an entry is known in: index, policy, wheel.
//
// A slot is taken from the free ones or from a victim; a victim's slot is used again by the same write.
// Slots that become free without the host asking are always recorded (removals.ts), because the host
// holds a value for each.

import * as arena from './arena'
import {
  ANY,
  bytesIn,
  freshUntilOf,
  generationOf,
  hide as hideEntry,
  INLINE_KEY_BYTES,
  inlineKeyAt,
  isLive,
  isVisible,
  keyReferenceOf,
  NONE,
  renew,
  retire,
  setDeadlines,
  setKeyReference,
  setSignature,
  usableUntilOf,
  VISIBLE,
  wordOf,
} from './entry'
import { prepareSeeds } from './hash'
import { copyInline, copyLong, currentKey } from './keys'
import {
  AUTHORITY,
  FREE_SLOT_AT,
  flags,
  MAX_ENTRIES,
  MAX_ENTRIES_AT,
  maxEntries,
  REPORT_KEYS,
  reserve,
  SIZE_AT,
  USED_SLOTS_AT,
} from './layout'
import * as partitions from './partitions'
import * as policy from './policies/policy'
import * as removals from './removals'
import * as stats from './stats'
import * as table from './table'
import * as wheel from './wheel'

/** Answers are a slot and, in these bits, its state. */
const STATE_BITS: i32 = 7
export const FRESH: i32 = 0
export const STALE: i32 = 1
export const SUSPECT: i32 = 2

export const INSERTED: i32 = 0
export const REPLACED: i32 = 1
export const REPLACED_EXPIRED: i32 = 2

/** Entries that a write expires at most before it evicts one. */
const EXPIRY_PER_EVICTION: u32 = 16

/**
 * Prepares an empty cache. 0 on success, -1 when the engine refuses the memory, -2 for sizes or a policy
 * that this core does not have, and for a second call.
 */
export function create(entries: u32, policyNumber: u32, wantedFlags: u32, partitionCount: u32): i32 {
  const isSecond = load<u32>(MAX_ENTRIES_AT) != 0
  if (isSecond || entries == 0 || entries > MAX_ENTRIES || !policy.isKnown(policyNumber)) return -2
  const needed = wantedFlags & AUTHORITY ? max<u32>(partitionCount, 1) : 0
  if (!reserve(entries, policyNumber, wantedFlags, needed)) return -1
  prepareSeeds()
  policy.reset()
  wheel.reset()
  arena.reset()
  partitions.reset()
  return 0
}

export function get(now: f64): i32 {
  return use(table.find(currentKey(), VISIBLE), now)
}

/** As `get`, of an integer that is not staged. */
export function getInteger(value: f64, now: f64): i32 {
  return use(table.findInteger(value), now)
}

/**
 * As `get`, of the entry that `slot` held at `generation`: nothing is hashed and no index read. -2, and nothing is
 * counted, when that entry has left or is hidden; whether the key has another one is not known then.
 */
export function getAt(slot: u32, generation: u32, now: f64): i32 {
  if (generationOf(slot) != generation || !isVisible(slot)) return -2
  return use(slot, now)
}

function use(slot: i32, now: f64): i32 {
  if (slot < 0) {
    stats.count(stats.MISSES)
    return -1
  }
  if (usableUntilOf(slot) <= now) {
    stats.count(stats.MISSES)
    expire(slot)
    return -1
  }
  policy.onHit(slot)
  const result = answer(slot, now)
  // A suspect entry is no answer yet: the host has to ask elsewhere.
  stats.count((result & STATE_BITS) == SUSPECT ? stats.MISSES : stats.HITS)
  return result
}

/** As `get`, but nobody notices. */
export function peek(now: f64): i32 {
  return look(table.find(currentKey(), VISIBLE), now)
}

/** As `getAt`, but nobody notices. */
export function peekAt(slot: u32, generation: u32, now: f64): i32 {
  if (generationOf(slot) != generation || !isVisible(slot)) return -2
  return look(slot, now)
}

function look(slot: i32, now: f64): i32 {
  return slot < 0 || usableUntilOf(slot) <= now ? -1 : answer(slot, now)
}

/** Gives the usable entry in `slot` new deadlines and nothing else: its use was counted by who found it. */
export function extend(slot: u32, freshUntil: f64, usableUntil: f64, now: f64): void {
  setTimes(slot, freshUntil, usableUntil, now)
}

export function set(freshUntil: f64, usableUntil: f64, now: f64): i32 {
  const slot = table.find(currentKey(), ANY)
  return slot < 0 ? insert(freshUntil, usableUntil, now) : replace(slot, freshUntil, usableUntil, now)
}

/** Removes a usable entry and answers as `get` would have; hidden ones too. */
export function remove(now: f64): i32 {
  const slot = table.find(currentKey(), ANY)
  if (slot < 0) return -1
  if (usableUntilOf(slot) <= now) {
    expire(slot)
    return -1
  }
  const result = answer(slot, now)
  stats.count(stats.DELETES)
  detach(slot)
  removals.releaseKey(slot)
  free(slot)
  return result
}

/** Gives a visible, usable entry new deadlines, and the pending stamp if there is one. */
export function touch(freshUntil: f64, usableUntil: f64, now: f64): i32 {
  const slot = table.find(currentKey(), VISIBLE)
  if (slot < 0 || usableUntilOf(slot) <= now) return -1
  setTimes(slot, freshUntil, usableUntil, now)
  if (flags & AUTHORITY) partitions.stampTouched(slot)
  policy.onHit(slot)
  return answer(slot, now)
}

/** Makes the entry invisible until it is written again. Answers its slot with state 0, or -1. */
export function hide(): i32 {
  const slot = table.find(currentKey(), ANY)
  if (slot < 0) return -1
  hideEntry(slot)
  return slot << 3
}

/** Expires up to `budget` entries that are due; answers how many, fewer when the host has to drain. */
export function advance(now: f64, budget: u32): u32 {
  let expired: u32 = 0
  // An entry that is only placed again is work too, or a crowd of them would not be bounded.
  for (let work: u32 = 0; work < budget && !removals.isFull(); ++work) {
    const slot = wheel.nextDue(now)
    if (slot == NONE) break
    if (usableUntilOf(slot) > now) {
      wheel.placeAgain(slot, now)
    } else {
      expire(slot)
      expired += 1
    }
  }
  return expired
}

/** Removes everything without records. Old handles become invalid, keys in undrained records stay. */
export function clear(): void {
  const used = load<u32>(USED_SLOTS_AT)
  const areKeysHeld = removals.removalCount() != 0
  for (let slot: u32 = 0; slot < used; ++slot) {
    if (!isLive(slot)) continue
    if (areKeysHeld) removals.releaseKey(slot)
    retire(slot)
    stats.count(stats.DELETES)
  }
  if (!areKeysHeld) arena.reset()
  table.reset()
  policy.clear()
  wheel.reset()
  store<u32>(SIZE_AT, 0)
  store<u32>(USED_SLOTS_AT, 0)
  store<u32>(FREE_SLOT_AT, 0)
}

function insert(freshUntil: f64, usableUntil: f64, now: f64): i32 {
  const sign = currentKey()
  const bytes = bytesIn(wordOf(sign))
  let block: usize = 0
  if (bytes > INLINE_KEY_BYTES) {
    block = arena.allocate(bytes)
    if (block == 0) {
      stats.count(stats.REFUSALS)
      return -1
    }
    copyLong(block, bytes)
  }
  policy.onArrival(u32(sign))
  const slot = takeSlot(now)
  setSignature(slot, sign)
  if (block != 0) setKeyReference(slot, u32(block))
  else copyInline(inlineKeyAt(slot))
  setDeadlines(slot, freshUntil, usableUntil)
  if (usableUntil < Infinity) wheel.schedule(slot, usableUntil, now)
  if (flags & AUTHORITY) partitions.stampWritten(slot)
  table.insert(slot, u32(sign))
  policy.onInsert(slot)
  store<u32>(SIZE_AT, load<u32>(SIZE_AT) + 1)
  stats.count(stats.INSERTS)
  return i32(slot << 3) | INSERTED
}

function replace(slot: u32, freshUntil: f64, usableUntil: f64, now: f64): i32 {
  const isExpired = usableUntilOf(slot) <= now
  setSignature(slot, currentKey())
  setTimes(slot, freshUntil, usableUntil, now)
  if (flags & AUTHORITY) partitions.stampWritten(slot)
  policy.onHit(slot)
  if (isExpired) {
    renew(slot)
    stats.count(stats.EXPIRATIONS)
    stats.count(stats.INSERTS)
    return i32(slot << 3) | REPLACED_EXPIRED
  }
  stats.count(stats.REPLACES)
  return i32(slot << 3) | REPLACED
}

/** A later deadline leaves the entry in its bucket; the wheel places it again when it gets there. */
function setTimes(slot: u32, freshUntil: f64, usableUntil: f64, now: f64): void {
  const deadline = usableUntilOf(slot)
  setDeadlines(slot, freshUntil, usableUntil)
  const isScheduled = deadline < Infinity
  const isWanted = usableUntil < Infinity
  if (isScheduled && isWanted && usableUntil >= deadline) return
  if (isScheduled) wheel.unschedule(slot)
  if (isWanted) wheel.schedule(slot, usableUntil, now)
}

/**
 * A slot for a new entry: one that was freed, else the next that was never used, else that of an entry
 * that is due, else a victim's.
 */
function takeSlot(now: f64): u32 {
  let slot = takeFree()
  if (slot != NONE) return slot
  const used = load<u32>(USED_SLOTS_AT)
  if (used < maxEntries) {
    store<u32>(USED_SLOTS_AT, used + 1)
    return used
  }
  if (wheel.scheduledCount() != 0 && advance(now, EXPIRY_PER_EVICTION) != 0) {
    slot = takeFree()
    if (slot != NONE) return slot
  }
  return evict(now)
}

function takeFree(): u32 {
  const first = load<u32>(FREE_SLOT_AT)
  if (first == 0) return NONE
  const slot = first - 1
  store<u32>(FREE_SLOT_AT, keyReferenceOf(slot))
  return slot
}

function evict(now: f64): u32 {
  const slot = policy.victim(now)
  stats.count(stats.EVICTIONS)
  detach(slot)
  if (flags & REPORT_KEYS) removals.record(slot, removals.EVICTED)
  else removals.releaseKey(slot)
  retire(slot)
  return slot
}

/** Leaves the entry where it is when the list is full: it is unusable already, and not lost. */
function expire(slot: u32): void {
  if (removals.isFull()) return
  stats.count(stats.EXPIRATIONS)
  detach(slot)
  removals.record(slot, removals.EXPIRED)
  free(slot)
}

/** Takes the entry out of everything that leads to it. Its record is still whole. */
function detach(slot: u32): void {
  table.remove(slot)
  policy.onRemove(slot)
  if (usableUntilOf(slot) < Infinity) wheel.unschedule(slot)
  store<u32>(SIZE_AT, load<u32>(SIZE_AT) - 1)
}

function free(slot: u32): void {
  retire(slot)
  setKeyReference(slot, load<u32>(FREE_SLOT_AT))
  store<u32>(FREE_SLOT_AT, slot + 1)
}

function answer(slot: u32, now: f64): i32 {
  let state = freshUntilOf(slot) <= now ? STALE : FRESH
  if (flags & AUTHORITY && partitions.isSuspect(slot, now)) state = SUSPECT
  return i32(slot << 3) | state
}
