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
//
// Under a budget in bytes (WEIGHED) a write makes room until what it brings fits: what is due expires first, then the
// policy names one victim after the other. Where values lie here (BYTES) what fits is for the heap to say. When the
// host has to be told of removals before more can happen, the write answers DRAIN_FIRST; the host drains and calls
// again, and the policy, which has been told of the key, is not told twice.

import * as arena from './arena'
import * as blocks from './blocks'
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
  BYTES,
  capacity,
  FREE_SLOT_AT,
  flags,
  GDSF,
  INCOMING_AT,
  MAX_ENTRIES,
  MAX_ENTRIES_AT,
  MOVES_AT,
  maxEntries,
  NEXT_VALUE_AT,
  REPORT_KEYS,
  reserve,
  SIZE_AT,
  USED_SLOTS_AT,
  WAITING_KEY_AT,
  WEIGHED,
  WEIGHT_AT,
} from './layout'
import * as partitions from './partitions'
import * as policy from './policies/policy'
import * as removals from './removals'
import * as stats from './stats'
import * as table from './table'
import {
  BLOCK_HEADER_BYTES,
  blockBytes,
  blockOf,
  keyBytesInBlock,
  setValue,
  valueWord,
  valueWordOf,
  weightOf,
} from './values'
import * as wheel from './wheel'

/** Answers are a slot and, in these bits, its state. */
const STATE_BITS: i32 = 7
export const FRESH: i32 = 0
export const STALE: i32 = 1
export const SUSPECT: i32 = 2

export const INSERTED: i32 = 0
export const REPLACED: i32 = 1
export const REPLACED_EXPIRED: i32 = 2

/** A write has not happened yet: the host has to drain the removals and call again. */
export const DRAIN_FIRST: i32 = -3

/** What `roomFor` answers where the block of the entry would stand. No block lies that low. */
const NO_ROOM: usize = 0
const WAIT: usize = 1
const ROOM: usize = 2

/** Entries that a write expires at most before it evicts one. */
const EXPIRY_PER_EVICTION: u32 = 16

/**
 * Prepares an empty cache. 0 on success, -1 when the engine refuses the memory, -2 for sizes or a policy
 * that this core does not have, and for a second call.
 */
export function create(
  entries: u32,
  policyNumber: u32,
  wantedFlags: u32,
  partitionCount: u32,
  maxBytes: u32,
): i32 {
  const isSecond = load<u32>(MAX_ENTRIES_AT) != 0
  if (isSecond || entries == 0 || entries > MAX_ENTRIES || !policy.isKnown(policyNumber)) return -2
  const needed = wantedFlags & AUTHORITY ? max<u32>(partitionCount, 1) : 0
  const isWeighed = (wantedFlags & WEIGHED) != 0
  if (isWeighed != (maxBytes != 0) || (policyNumber == GDSF && !isWeighed)) return -2
  if (!reserve(entries, policyNumber, wantedFlags, needed, maxBytes)) return -1
  prepareSeeds()
  policy.reset()
  wheel.reset()
  arena.reset()
  partitions.reset()
  if (wantedFlags & BYTES) blocks.reset()
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

/**
 * Says what the next write brings: a value of `bytes`, which the core copies from `from` or, if that is 0, the host
 * writes when it knows the slot. Where the host holds values, `bytes` is what the entry weighs, key and all.
 */
export function valueNext(bytes: u32, kind: u32, from: usize): void {
  store<u32>(NEXT_VALUE_AT, bytes)
  store<u32>(NEXT_VALUE_AT, kind, 4)
  store<u32>(NEXT_VALUE_AT, u32(from), 8)
}

export function set(freshUntil: f64, usableUntil: f64, now: f64): i32 {
  if (flags & WEIGHED) return setWeighed(freshUntil, usableUntil, now)
  const slot = table.find(currentKey(), ANY)
  return slot < 0 ? insert(freshUntil, usableUntil, now, -1) : replace(slot, freshUntil, usableUntil, now)
}

/**
 * Stores the current key as an entry of an earlier cache, with what its policy knew; -1, and nothing is changed, when
 * the key is there or there is no room. Answers as `set`. Not for caches with a budget in bytes.
 */
export function restore(freshUntil: f64, usableUntil: f64, now: f64, state: u32): i32 {
  if (flags & WEIGHED) return -1
  if (table.find(currentKey(), ANY) >= 0 || load<u32>(SIZE_AT) >= maxEntries) return -1
  return insert(freshUntil, usableUntil, now, i64(state))
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
  const areKeysHeld = removals.removalCount() != 0 || (flags & BYTES) != 0
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
  store<u32>(WEIGHT_AT, 0)
  store<u32>(USED_SLOTS_AT, 0)
  store<u32>(FREE_SLOT_AT, 0)
}

function insert(freshUntil: f64, usableUntil: f64, now: f64, known: i64): i32 {
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
  return admit(slot, sign, freshUntil, usableUntil, now, known)
}

/**
 * Enters a slot, whose key is written, wherever entries are known. `known` is what a policy said of the entry in
 * another cache; below 0 for one that is new to everybody.
 */
function admit(slot: u32, sign: u64, freshUntil: f64, usableUntil: f64, now: f64, known: i64): i32 {
  setDeadlines(slot, freshUntil, usableUntil)
  if (usableUntil < Infinity) wheel.schedule(slot, usableUntil, now)
  if (flags & AUTHORITY) partitions.stampWritten(slot)
  table.insert(slot, u32(sign))
  if (known < 0) policy.onInsert(slot)
  else policy.onRestore(slot, u32(known))
  store<u32>(SIZE_AT, load<u32>(SIZE_AT) + 1)
  stats.count(stats.INSERTS)
  return i32(slot << 3) | INSERTED
}

function setWeighed(freshUntil: f64, usableUntil: f64, now: f64): i32 {
  // A block that waits for the host is not free, and the slot it was at says where it is.
  if (removals.removalCount() != 0) return DRAIN_FIRST
  const slot = table.find(currentKey(), ANY)
  if (slot < 0) return insertWeighed(freshUntil, usableUntil, now)
  if (usableUntilOf(slot) > now) return replaceWeighed(slot, freshUntil, usableUntil, now)
  expire(slot)
  return removals.removalCount() != 0 ? DRAIN_FIRST : insertWeighed(freshUntil, usableUntil, now)
}

function insertWeighed(freshUntil: f64, usableUntil: f64, now: f64): i32 {
  const sign = currentKey()
  const word = wordOf(sign)
  const weight = nextWeight(word)
  store<u32>(INCOMING_AT, weight)
  if (load<u64>(WAITING_KEY_AT) != sign) policy.onArrival(u32(sign))
  store<u64>(WAITING_KEY_AT, sign)
  const room = roomFor(weight, NONE, now)
  if (room == WAIT) return DRAIN_FIRST
  store<u64>(WAITING_KEY_AT, 0)
  if (room == NO_ROOM) return refused()
  const bytes = bytesIn(word)
  const isLong = bytes > INLINE_KEY_BYTES
  let keyBlock: usize = room + BLOCK_HEADER_BYTES
  if (isLong && !(flags & BYTES)) {
    keyBlock = arena.allocate(bytes)
    if (keyBlock == 0) return refused()
  }
  if (isLong) copyLong(keyBlock, bytes)
  let slot = takeFree()
  if (slot == NONE) {
    slot = load<u32>(USED_SLOTS_AT)
    store<u32>(USED_SLOTS_AT, slot + 1)
  }
  setSignature(slot, sign)
  if (isLong) setKeyReference(slot, u32(keyBlock))
  else copyInline(inlineKeyAt(slot))
  if (flags & BYTES) blocks.setOwner(room, slot)
  writeValue(slot, room, word)
  return admit(slot, sign, freshUntil, usableUntil, now, -1)
}

/** The entry keeps its place, unless the policy names it itself when room has to be made: then it comes in anew. */
function replaceWeighed(slot: u32, freshUntil: f64, usableUntil: f64, now: f64): i32 {
  const sign = currentKey()
  const word = wordOf(sign)
  const before = weightOf(slot)
  const weight = nextWeight(word)
  if (load<u64>(WAITING_KEY_AT) != sign) policy.onHit(slot)
  store<u64>(WAITING_KEY_AT, sign)
  store<u32>(INCOMING_AT, 0)
  const room = roomFor(weight, slot, now)
  if (room == WAIT && isLive(slot)) return DRAIN_FIRST
  store<u64>(WAITING_KEY_AT, 0)
  // Its own victim, so there was no room yet.
  if (!isLive(slot)) {
    return removals.removalCount() != 0 ? DRAIN_FIRST : insertWeighed(freshUntil, usableUntil, now)
  }
  setSignature(slot, sign)
  setTimes(slot, freshUntil, usableUntil, now)
  if (flags & AUTHORITY) partitions.stampWritten(slot)
  if (flags & BYTES && room != blockOf(slot)) {
    const bytes = bytesIn(word)
    if (bytes > INLINE_KEY_BYTES) {
      copyLong(room + BLOCK_HEADER_BYTES, bytes)
      setKeyReference(slot, u32(room) + BLOCK_HEADER_BYTES)
    }
    blocks.release(blockOf(slot))
    stats.count(MOVES_AT)
  }
  if (!(flags & BYTES)) store<u32>(WEIGHT_AT, load<u32>(WEIGHT_AT) - before)
  writeValue(slot, room, word)
  if (weight != before) policy.onResize(slot, before)
  stats.count(stats.REPLACES)
  return i32(slot << 3) | REPLACED
}

function refused(): i32 {
  stats.count(stats.REFUSALS)
  return -1
}

/** What the value of `valueNext` weighs with the key that has this key word. */
function nextWeight(word: u32): u32 {
  const bytes = load<u32>(NEXT_VALUE_AT)
  return flags & BYTES ? blockBytes(keyBytesInBlock(word) + bytes) : bytes
}

function writeValue(slot: u32, block: usize, word: u32): void {
  const bytes = load<u32>(NEXT_VALUE_AT)
  if (!(flags & BYTES)) {
    setValue(slot, 0, bytes)
    store<u32>(WEIGHT_AT, load<u32>(WEIGHT_AT) + bytes)
    return
  }
  const at = block + BLOCK_HEADER_BYTES + keyBytesInBlock(word)
  setValue(slot, at, valueWord(bytes, load<u32>(NEXT_VALUE_AT, 4)))
  const from = load<u32>(NEXT_VALUE_AT, 8)
  if (from != 0) memory.copy(at, from, bytes)
}

/**
 * Makes room for an entry of `weight`, new or at `slot`: ROOM, or where values lie here its block; NO_ROOM when
 * there is none in an empty cache; WAIT when the host has to drain first.
 */
function roomFor(weight: u32, slot: u32, now: f64): usize {
  while (true) {
    const room = hasSlot() || (slot != NONE && isLive(slot)) ? roomNow(weight, slot) : NO_ROOM
    if (room != NO_ROOM) return room
    if (load<u32>(SIZE_AT) == 0) return NO_ROOM
    if (wheel.scheduledCount() == 0 || advance(now, EXPIRY_PER_EVICTION) == 0) {
      const victim = policy.victim(now)
      stats.count(stats.EVICTIONS)
      detach(victim)
      removals.letGo(victim, removals.EVICTED)
      free(victim)
    }
    if (flags & BYTES ? removals.removalCount() != 0 : removals.isFull()) return WAIT
    if (slot != NONE && !isLive(slot)) return ROOM
  }
}

/** Room for an entry as things are. One whose block has no room behind it gets another before it gives up its own. */
function roomNow(weight: u32, slot: u32): usize {
  const isThere = slot != NONE
  if (!(flags & BYTES)) {
    const present = u64(load<u32>(WEIGHT_AT)) - (isThere ? weightOf(slot) : 0)
    return present + weight <= capacity ? ROOM : NO_ROOM
  }
  const bytes = weight - BLOCK_HEADER_BYTES
  if (isThere && blocks.resize(blockOf(slot), bytes)) return blockOf(slot)
  const block = blocks.allocate(bytes, isThere ? slot : NONE)
  if (block != 0 || !blocks.isLoose(bytes) || !blocks.gather(bytes)) return block
  return blocks.allocate(bytes, isThere ? slot : NONE)
}

function hasSlot(): bool {
  return load<u32>(FREE_SLOT_AT) != 0 || load<u32>(USED_SLOTS_AT) < maxEntries
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
  removals.letGo(slot, removals.EXPIRED)
  free(slot)
}

/** Takes the entry out of everything that leads to it. Its record is still whole. */
function detach(slot: u32): void {
  table.remove(slot)
  policy.onRemove(slot)
  if (usableUntilOf(slot) < Infinity) wheel.unschedule(slot)
  store<u32>(SIZE_AT, load<u32>(SIZE_AT) - 1)
  if (flags & WEIGHED && !(flags & BYTES)) store<u32>(WEIGHT_AT, load<u32>(WEIGHT_AT) - valueWordOf(slot))
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
