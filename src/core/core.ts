// One core: an instance of the WebAssembly module with typed operations over it. Entries are slot numbers
// here; what a slot's value is, and what a removal means, is for `l1/` to say.
//
// This is the path of every hit, so `get` and `set` do nothing but choose a way in for the key: one crossing
// where the engine lets the core read strings by itself, and otherwise the key's characters first and then
// one crossing. A call that answers needs no allocation, no closure and no second call.
//
// Long keys are written from here even where the core could read them: for them a bulk copy beats reading
// character by character (`STAGED_FROM`).

import { describe } from '../duration.ts'
import type { Key } from '../key.ts'
import type { Random } from '../random.ts'
import type { CoreExports } from './exports.ts'
import { MAX_KEY_LENGTH, Memory, TWO_BYTE } from './memory.ts'
import { type CoreInstance, instantiateCore } from './module.ts'
import { type EvictionPolicy, policyNumbers } from './policies.ts'

export { LONGEST_BESIDE_VALUE, STAGED_VALUE_BYTES } from './memory.ts'

/** How a core is made. */
export interface CoreOptions {
  /** Between 1 and `MAX_ENTRIES`. */
  readonly maxEntries: number
  readonly policy: EvictionPolicy
  /** Evicted entries are reported with their keys; without it only slots that stay free are reported. */
  readonly reportsKeys: boolean
  /** Number of partitions of a cache with an authority; 0 leaves the authority block out. */
  readonly partitions: number
  /** A budget in bytes; 0 where entries are only counted. */
  readonly maxBytes?: number
  /** Values lie in the core's memory, and the budget is that of all of it; else entries have weights. */
  readonly holdsValues?: boolean
  readonly random: Random
  /** A core that was started and holds nothing yet; by default one of the embedded build. */
  readonly instance?: CoreInstance | undefined
}

/** The most entries one core can hold: slots have 26 bits. */
export const MAX_ENTRIES: number = 2 ** 26 - 1

/** The largest budget: the end of an address space of 32 bits is no address in it, so the last page is not used. */
export const MAX_BYTES: number = 2 ** 32 - 2 ** 16

/** The answer of `set` when the removals have to be read and drained before it can be done, by calling it again. */
export const DRAIN_FIRST = -3
/** The answer of an operation that found nothing. */
export const ABSENT = -1
/** The answer of `getAt` when slot and generation no longer name an entry that can be seen. */
export const MOVED = -2

// The states `get`, `peek` and `touch` answer with, in the low three bits.
/** Usable, and before `freshUntil`. */
export const FRESH = 0
/** Usable, and past `freshUntil`. */
export const STALE = 1
/** Not to be trusted before the authority was asked. */
export const SUSPECT = 2

// The outcomes `set` answers with, in the low three bits.
/** The key was not there. */
export const INSERTED = 0
/** The key was there and its entry was usable, or hidden. */
export const REPLACED = 1
/** The key was there and its entry had expired. */
export const REPLACED_EXPIRED = 2

// Why the core removed an entry.
/** For room. */
export const EVICTED = 0
/** Because of its deadline. */
export const EXPIRED = 1

const REPORT_KEYS = 1
const AUTHORITY = 2
const WEIGHED = 4
const HOLDS_VALUES = 8

/** Of a slot's place in the table of values: an address, then bytes and kind. */
const VALUE_ENTRY_BYTES = 8
const KIND_BITS = 3

/** The regions of the core's memory in their order (assembly/layout.ts); what follows each is the next. */
const regionNames = [
  'header',
  'transfer',
  'index',
  'records',
  'recency',
  'wheel',
  'authority',
  'policy',
  'values',
  'heap',
] as const

/** Bytes of the core's memory by what they are for. */
export type RegionBytes = Readonly<Record<(typeof regionNames)[number], number>>

/** Words of the header, counted from its start (assembly/layout.ts). */
const REFUSED_ADMISSIONS = 832
const PASSED_BUCKETS = 848
const WEIGHT = 872
const FREE_BYTES = 876

const SEED_BYTES = 40
const REMOVAL_BYTES = 48
const KEY_BYTES_INLINE = 32

/**
 * Key length from which keys are written from here though the core could read them. On Node 24 that pays from
 * 45 characters on for strings in use before and from 190 on for strings just put together, which the bulk
 * copy has to flatten first; at 128 what the one gains is twice what the other loses.
 */
const STAGED_FROM = 128

/** What `restore` is told of an entry. */
export interface RestoredEntry {
  readonly keyForm: number
  readonly freshUntil: number
  readonly usableUntil: number
  readonly policyState: number
}

/** What a core has counted since it was made. */
export interface Counters {
  readonly hits: number
  readonly misses: number
  readonly inserts: number
  readonly replaces: number
  readonly evictions: number
  readonly expirations: number
  readonly deletes: number
  readonly refusals: number
  /** New entries that the policy let go again for those that were there: `lazy-tinylfu` and `s3fifo`. */
  readonly refusedAdmissions: number
}

/** One instance of the core, of a fixed number of entries. */
export class Core {
  readonly #exports: CoreExports
  readonly #memory: Memory
  readonly #statsAt: number
  readonly #removalsAt: number
  readonly #valuesAt: number
  readonly #headerAt: number
  /** Keys this long or longer are written into memory; 0 where the core cannot read strings at all. */
  readonly #stagedFrom: number

  /**
   * Looks up, as a use of it, the entry that `slot` held at `generation`, without its key.
   *
   * @returns As `get`; `MOVED` when that entry has left or is hidden, and then nothing is counted.
   */
  readonly getAt: (slot: number, generation: number, now: number) => number

  // The functions of the hot path, one field away instead of two.
  readonly #getString: CoreExports['getString']
  readonly #getStaged: CoreExports['getStaged']
  readonly #getInteger: CoreExports['getInteger']
  readonly #setString: CoreExports['setString']
  readonly #setStaged: CoreExports['setStaged']
  readonly #setInteger: CoreExports['setInteger']

  /** @throws RangeError when the engine does not grant the memory that `maxEntries` takes. */
  constructor(options: CoreOptions) {
    const { maxEntries, policy, reportsKeys, partitions, random, instance = instantiateCore() } = options
    const { maxBytes = 0, holdsValues = false } = options
    const core = instance.exports
    // Before `create`, which makes the hash of this instance out of it.
    new Uint8Array(core.memory.buffer).set(random.bytes(SEED_BYTES), core.SEED_AT.value)
    const flags =
      (reportsKeys ? REPORT_KEYS : 0) |
      (partitions > 0 ? AUTHORITY : 0) |
      (maxBytes > 0 ? WEIGHED : 0) |
      (holdsValues ? HOLDS_VALUES : 0)
    if (core.create(maxEntries, policyNumbers[policy], flags, partitions, maxBytes) !== 0) {
      throw new RangeError(
        holdsValues
          ? `maxBytes: ${maxBytes} bytes are too few for ${maxEntries} entries (maxEntries), or the engine refused them`
          : `maxEntries: the engine refused the memory that ${maxEntries} entries take`,
      )
    }
    this.#exports = core
    this.#memory = new Memory({
      memory: core.memory,
      scratchAt: core.scratchAt(),
      sizeAt: core.SIZE_AT.value,
      removalCountAt: core.REMOVAL_COUNT_AT.value,
    })
    this.#statsAt = core.STATS_AT.value
    this.#removalsAt = core.removalsAt()
    this.#valuesAt = core.valuesAt() >>> 0
    this.#headerAt = core.HEADER_AT.value
    this.#stagedFrom = instance.readsStrings ? STAGED_FROM : 0
    this.#getString = core.getString
    this.#getStaged = core.getStaged
    this.#getInteger = core.getInteger
    this.getAt = core.getAt
    this.#setString = core.setString
    this.#setStaged = core.setStaged
    this.#setInteger = core.setInteger
  }

  /** Entries held, with those that have expired and are not reclaimed yet. */
  get size(): number {
    return this.#memory.size
  }

  /** Bytes of linear memory: the index, the keys and the deadlines, not the values. */
  get bytes(): number {
    return this.#memory.bytes
  }

  /**
   * Looks `key` up as a use of it.
   *
   * @returns `slot << 3 | state`, or `ABSENT`; an entry found expired is removed and reported.
   */
  get(key: Key, now: number): number {
    if (typeof key === 'string') {
      if (key.length < this.#stagedFrom) return this.#getString(key, now)
      return this.#getStaged(key.length, this.#write(key), now)
    }
    return this.#getInteger(integer(key), now)
  }

  /** Looks `key` up without counting as a use, and removes nothing. */
  peek(key: Key, now: number): number {
    this.#stage(key)
    return this.#exports.peek(now)
  }

  /** As `getAt`, without counting as a use, and removing nothing. */
  peekAt(slot: number, generation: number, now: number): number {
    return this.#exports.peekAt(slot, generation, now)
  }

  /** Gives an entry that was just answered with new deadlines, not as a use of it. */
  extend(slot: number, until: number, now: number): void {
    this.#exports.extend(slot, until, until, now)
  }

  /**
   * Stores `key`; the entry that makes room for it may be one that is reported.
   *
   * @returns `slot << 3 | outcome`, or `ABSENT` when there was no memory for the key.
   */
  set(key: Key, freshUntil: number, usableUntil: number, now: number): number {
    if (typeof key === 'string') {
      if (key.length < this.#stagedFrom) return this.#setString(key, freshUntil, usableUntil, now)
      return this.#setStaged(key.length, this.#write(key), freshUntil, usableUntil, now)
    }
    return this.#setInteger(integer(key), freshUntil, usableUntil, now)
  }

  /**
   * Says what the next `set` brings, under a budget in bytes.
   *
   * @param bytes - Of the value; where the core does not hold values, what the entry weighs.
   * @param kind - 0 to 7; comes back from `valueKindOf`.
   * @param isStaged - The value is where `stageValue` put it; else `writeValue` has to follow.
   */
  announce(bytes: number, kind: number, isStaged: boolean): void {
    this.#exports.valueNext(bytes, kind, isStaged ? this.#memory.stagedValueAt : 0)
  }

  /** Puts a short text where `announce` finds it; answers its bytes in UTF-8. */
  stageValue(text: string): number {
    return this.#memory.stageValue(text)
  }

  /** Writes the value of an entry that was just stored. */
  writeValue(slot: number, bytes: Uint8Array): void {
    this.#memory.writeBytes(this.#valueAt(slot), bytes)
  }

  /** The kind that the value of `slot` was announced with. */
  valueKindOf(slot: number): number {
    return this.#valueWord(slot) & ((1 << KIND_BITS) - 1)
  }

  /** The bytes of a value: a view, good until the next operation, unless it is lent. */
  valueBytes(slot: number): Uint8Array {
    return this.#memory.bytesAt(this.#valueAt(slot), this.#valueWord(slot) >>> KIND_BITS)
  }

  /** A value that is text in UTF-8, or ASCII alone. */
  valueText(slot: number, isAscii: boolean): string {
    return this.#memory.textAt(this.#valueAt(slot), this.#valueWord(slot) >>> KIND_BITS, isAscii)
  }

  /** A value that is text in UTF-16. */
  valueUnits(slot: number): string {
    const units = this.#valueWord(slot) >>> (KIND_BITS + 1)
    return this.#memory.readKey(this.#valueAt(slot), units, TWO_BYTE) as string
  }

  /** Keeps a value's bytes as they are until `unlend` of the answer, whatever becomes of the entry. Not counted. */
  lend(slot: number): number {
    return this.#exports.lend(slot)
  }

  /** Ends `lend`. */
  unlend(block: number): void {
    this.#exports.unlend(block)
  }

  /** Removes `key`, hidden or not. An entry found expired is reported and answered as absent. */
  remove(key: Key, now: number): number {
    this.#stage(key)
    return this.#exports.remove(now)
  }

  /** Gives `key` new deadlines, as a use of it. */
  touch(key: Key, freshUntil: number, usableUntil: number, now: number): number {
    this.#stage(key)
    return this.#exports.touch(freshUntil, usableUntil, now)
  }

  /** Makes `key` invisible to `get` and `peek` until it is set again. */
  hide(key: Key): number {
    this.#stage(key)
    return this.#exports.hide()
  }

  /** Expires what is due, at most `budget` entries. Answers how many it expired. */
  advance(now: number, budget: number): number {
    return this.#exports.advance(now, budget)
  }

  /** Whether there is something to expire at `now` that `advance` has not come to. */
  isBehind(now: number): boolean {
    return this.#exports.wheelBacklog(now) !== 0
  }

  /** Whether any entry has a deadline: at the end of time all of them are due. */
  get isTimed(): boolean {
    return this.#exports.wheelBacklog(Infinity) !== 0
  }

  /** Removes everything and reports nothing. */
  clear(): void {
    this.#exports.clear()
  }

  /** Number of removals that wait to be read; `drain` forgets them. */
  get removalCount(): number {
    return this.#memory.removalCount
  }

  /** The slot a removed entry had. It may have been given to another entry since. */
  removedSlot(index: number): number {
    return this.#memory.word(this.#removalsAt + index * REMOVAL_BYTES)
  }

  /** Why an entry was removed: `EVICTED` or `EXPIRED`. */
  removedCause(index: number): number {
    return this.#memory.word(this.#removalsAt + index * REMOVAL_BYTES + 4)
  }

  /** The key of a removed entry. */
  removedKey(index: number): Key {
    const at = this.#removalsAt + index * REMOVAL_BYTES
    const length = this.#memory.word(at + 8)
    const encoding = this.#memory.word(at + 12)
    const isInline = length << (encoding & 1) <= KEY_BYTES_INLINE
    return this.#memory.readKey(isInline ? at + 16 : this.#memory.word(at + 16), length, encoding)
  }

  /** Forgets the removals that were read and lets go of their keys. */
  drain(): void {
    this.#exports.drain()
  }

  /** The slot after `slot` on the way from the entry to keep longest to the first to leave; `-1` begins and ends it. */
  nextOlder(slot: number): number {
    return this.#exports.nextOlder(slot)
  }

  /** The key of an entry. */
  keyOf(slot: number): Key {
    const core = this.#exports
    return this.#memory.readKey(core.keyAt(slot) >>> 0, core.keyLength(slot), core.keyEncoding(slot))
  }

  /** How often a slot was given to another entry; with it, a slot number names one entry. */
  generationOf(slot: number): number {
    return this.#exports.generation(slot) >>> 0
  }

  /** Bytes of an entry's key. */
  keyBytesOf(slot: number): number {
    const core = this.#exports
    return core.keyLength(slot) << (core.keyEncoding(slot) & 1)
  }

  /** What the policy knows of an entry: bits 0-7 uses, 8-15 queue, 16-23 frequency. */
  policyStateOf(slot: number): number {
    return this.#exports.policyState(slot)
  }

  /** What the policy has learnt beside its entries, for `adapt` of a core of the same size and policy. */
  get policyMemory(): number {
    return this.#exports.policyMemory() >>> 0
  }

  /** Takes over what the policy of another core had learnt. */
  adapt(policyMemory: number): void {
    this.#exports.adapt(policyMemory)
  }

  /** Length and encoding of an entry's key, as `restore` takes them: bits 0-16 and 17-18. */
  keyFormOf(slot: number): number {
    return this.#exports.keyLength(slot) | (this.#exports.keyEncoding(slot) << 17)
  }

  /** Copies the bytes of an entry's key to `target` from `at` on. */
  copyKey(slot: number, target: Uint8Array, at: number): void {
    this.#memory.copyOut(this.#exports.keyAt(slot) >>> 0, this.keyBytesOf(slot), target, at)
  }

  /**
   * Stores an entry of another core: its key is in `bytes` from `at` on in the form that `keyFormOf` said.
   *
   * @returns As `set`; `ABSENT` also when the key is there or there is no room.
   */
  restore(entry: RestoredEntry, bytes: Uint8Array, at: number, now: number): number {
    const { keyForm, freshUntil, usableUntil, policyState } = entry
    const length = keyForm & 0x1ffff
    const encoding = keyForm >>> 17
    this.#memory.copyIn(bytes, at, length << (encoding & 1))
    this.#exports.stage(length, encoding)
    return this.#exports.restore(freshUntil, usableUntil, now, policyState)
  }

  /** The key that `restore` takes, as a key. */
  keyIn(keyForm: number, bytes: Uint8Array, at: number): Key {
    return this.#memory.keyIn(bytes, at, keyForm & 0x1ffff, keyForm >>> 17)
  }

  /** Whether `slot` holds an entry that `get` would find at `now`. */
  isUsable(slot: number, now: number): boolean {
    const core = this.#exports
    return core.isLive(slot) !== 0 && core.isHidden(slot) === 0 && core.usableUntil(slot) > now
  }

  /** The end of an entry's freshness. */
  freshUntilOf(slot: number): number {
    return this.#exports.freshUntil(slot)
  }

  /** The end of an entry. */
  usableUntilOf(slot: number): number {
    return this.#exports.usableUntil(slot)
  }

  /** Up to where an entry is known to be current, in a cache with an authority. */
  asOfOf(slot: number): number {
    return this.#exports.asOf(slot)
  }

  /** What the next `set` writes beside its entry, in a cache with an authority. */
  stampNext(partition: number, epochIndex: number, asOf: number, tagSequence: number): void {
    this.#exports.stampNext(partition, epochIndex, asOf, tagSequence)
  }

  /** The partition in the stamp of an entry; negative in a cache without an authority. */
  partitionOf(slot: number): number {
    return this.#exports.partitionOf(slot)
  }

  /** Entries of `partition` are suspect when their epoch is another or their `asOf` is lower. */
  setPartition(partition: number, epochIndex: number, suspectBelow: number): void {
    this.#exports.setPartition(partition, epochIndex, suspectBelow)
  }

  /** From `until` on every entry is suspect. */
  setLease(until: number): void {
    this.#exports.setLease(until)
  }

  /** What was counted so far. */
  counters(): Counters {
    const counter = (index: number): number => this.#memory.longWord(this.#statsAt + index * 8)
    return {
      hits: counter(0),
      misses: counter(1),
      inserts: counter(2),
      replaces: counter(3),
      evictions: counter(4),
      expirations: counter(5),
      deletes: counter(6),
      refusals: counter(7),
      refusedAdmissions: this.#memory.longWord(this.#headerAt + REFUSED_ADMISSIONS),
    }
  }

  /** Bytes of memory by what they are for; together as many as `bytes`, but for what has no use yet. */
  regions(): RegionBytes {
    const core = this.#exports
    const bytes = regionNames.map(
      (name, at) => [name, (core.regionAt(at + 1) >>> 0) - (core.regionAt(at) >>> 0)] as const,
    )
    return Object.fromEntries(bytes) as Record<(typeof regionNames)[number], number>
  }

  /** Bytes of the heap that no value takes, and how many of them are in one piece. */
  free(): { readonly bytes: number; readonly inOnePiece: number } {
    return {
      bytes: this.#memory.word(this.#headerAt + FREE_BYTES),
      inOnePiece: this.#exports.largestFree() >>> 0,
    }
  }

  /** What all entries weigh together, where they have weights. */
  get weight(): number {
    return this.#memory.word(this.#headerAt + WEIGHT)
  }

  /** How many buckets of the index a look-up that finds its key reads, on average. */
  get probeLength(): number {
    const { size } = this
    return size === 0 ? 1 : 1 + this.#memory.word(this.#headerAt + PASSED_BUCKETS) / size
  }

  /** Buckets of the wheel whose entries are due and not expired yet. */
  wheelBacklog(now: number): number {
    return this.#exports.wheelBacklog(now)
  }

  #valueAt(slot: number): number {
    return this.#memory.word(this.#valuesAt + slot * VALUE_ENTRY_BYTES)
  }

  #valueWord(slot: number): number {
    return this.#memory.word(this.#valuesAt + slot * VALUE_ENTRY_BYTES + 4)
  }

  #stage(key: Key): void {
    if (typeof key !== 'string') this.#exports.stageInteger(integer(key))
    else if (key.length < this.#stagedFrom) this.#exports.stageString(key)
    else this.#exports.stage(key.length, this.#write(key))
  }

  #write(key: string): number {
    if (key.length > MAX_KEY_LENGTH) throw tooLong(key)
    return this.#memory.writeKey(key)
  }
}

function integer(key: number): number {
  if (!Number.isSafeInteger(key)) throw notAKey(key)
  return key
}

function notAKey(key: unknown): TypeError {
  return new TypeError(`key: ${describe(key)} is not a key; keys are strings and safe integers`)
}

function tooLong(key: string): RangeError {
  return new RangeError(
    `key: ${describe(key)} has ${key.length} UTF-16 units; a key has at most ${MAX_KEY_LENGTH}`,
  )
}
