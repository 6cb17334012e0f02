// The first level: entries in this process, found synchronously. The core (`core/core.ts`) holds keys,
// deadlines and who leaves first; the values stay JavaScript objects, in one array, at their slot.
//
// Three things are decided here.
//
// Values. A value is let go of as soon as its removal is known: an eviction overwrites it, and whatever else
// the core removed during a call is collected before the call returns.
//
// Removals. The core cannot call out, so it leaves a list. After each call that may have removed something
// the list becomes a queue, and once the operation is complete the queue goes to the listener
// (`removal-queue.ts`).
//
// Budgets. With `maxBytes` an entry's size is known before it is stored: the core evicts until it fits, and where it
// has to wait for removals to be collected, it says so and is asked again. Values that are bytes lie in the core's
// memory (`byte-values.ts`), and the array stays empty.
//
// What time it is, and when entries expire that nobody asks for, is in `timekeeper.ts`.

import { type Clock, nextTurn } from '../clock.ts'
import type { Codec } from '../codecs/codec.ts'
import {
  ABSENT,
  Core,
  type Counters,
  DRAIN_FIRST,
  EXPIRED,
  INSERTED,
  LONGEST_BESIDE_VALUE,
  REPLACED,
  type RegionBytes,
  STALE,
  SUSPECT,
} from '../core/core.ts'
import type { CoreInstance } from '../core/module.ts'
import { type EvictionPolicy, queueNames } from '../core/policies.ts'
import { type Duration, describe, toMs } from '../duration.ts'
import { CacheError } from '../errors.ts'
import type { Key } from '../key.ts'
import { checkNames } from '../options.ts'
import type { Random } from '../random.ts'
import type { Budget } from './budget.ts'
import { ByteValues } from './byte-values.ts'
import { Memo } from './memo.ts'
import { type PreparedHome, PreparedKey } from './prepared-key.ts'
import { type RemovalListener, RemovalQueue } from './removal-queue.ts'
import type { Provenance, RestoreOutcome, SnapshotSource } from './snapshot.ts'
import { Timekeeper } from './timekeeper.ts'

export { FRESH, STALE, SUSPECT } from '../core/core.ts'
export type { RemovalCause, RemovalListener } from './removal-queue.ts'
export type { CoreStamp, Provenance, RestoreOutcome } from './snapshot.ts'

/** What one call may say differently from the cache. */
export interface L1CallOptions {
  /**
   * How long the entry lives from now on.
   *
   * @defaultValue the cache's `ttl`; `0` stores nothing and removes what was there; `null` never expires.
   */
  ttl?: Duration | null
}

/** Counters since the cache was created, and what it holds now. */
export interface L1Stats extends Counters {
  readonly size: number
  readonly bytes: number
  /** `bytes` by what they are for: with `values: 'bytes'` values are in the heap, which else has long keys alone. */
  readonly regions: RegionBytes
  /** Bytes that values take, as they are counted against `maxBytes`; 0 where entries are only counted. */
  readonly valueBytes: number
  /** The largest value that could be stored without moving or evicting another, where values are bytes; else 0. */
  readonly largestFree: number
  /** The part of the heap, 0 to 1, that is free but not in one piece. */
  readonly fragmentation: number
  /** How many buckets of the index a hit reads, on average: 1.04 in a full cache, whatever its history. */
  readonly probeLength: number
  /** Buckets of the timing wheel that are due and not worked off. */
  readonly wheelBacklog: number
}

/** What is known of one entry, at one moment; looking at it is not a use. */
export interface L1Inspection {
  /** `stale` and `suspect` occur in caches with other levels, which may not use such an entry as it is. */
  readonly state: 'fresh' | 'stale' | 'suspect'
  /** How long it is fresh from now on; `Infinity` without a deadline. */
  readonly freshForMs: number
  /** How long it is kept at most; in an L1 alone the same. */
  readonly usableForMs: number
  /** Where in the core it is, and how many entries were there before it. */
  readonly slot: number
  readonly generation: number
  /** Bytes of its key in the core. */
  readonly keyBytes: number
  readonly policy: {
    readonly name: EvictionPolicy
    /** Where the policy has it: `window`, `probation` or `protected`; `small` or `main`; `undefined` under the others. */
    readonly queue: string | undefined
    /** Uses that were noted since the policy last looked at it, up to 3; 0 under `lru`. */
    readonly uses: number
    /** How often its key was asked for of late, as `lazy-tinylfu` estimates it, up to 15; 0 under the others. */
    readonly frequency: number
  }
}

/** What an L1 is made of, every choice made. */
export interface L1Settings<V> extends Partial<Omit<Budget<V>, 'maxEntries'>> {
  readonly maxEntries: number
  readonly policy: EvictionPolicy
  /** `Infinity` for no deadline. */
  readonly ttlMs: number
  readonly clockResolutionMs: number
  /** Whether a timer that was started can be relied on to run. */
  readonly hasTimers: boolean
  readonly clock: Clock
  readonly random: Random
  readonly onRemoval: RemovalListener<V> | undefined
  /** Whether `get` gives an entry its ttl anew. */
  readonly touchOnGet?: boolean | undefined
  /** What becomes of a value before it is stored: a copy, say; `undefined` for the value itself. */
  readonly onStore?: ((value: V) => V) | undefined
  /** What a reader gets of a stored value; `undefined` for the value itself. */
  readonly onRead?: ((value: V) => V) | undefined
  /** How values become bytes in snapshots. */
  readonly snapshotCodec: Codec
  /** A snapshot to begin with. */
  readonly restore?: AsyncIterable<Uint8Array> | Iterable<Uint8Array> | undefined
  /** Partitions of the authority; 0 for an L1 alone. */
  readonly partitions: number
  /** A core of another build, for tests. */
  readonly instance?: CoreInstance | undefined
}

/** Keys with which something was done. */
interface Overtaking {
  readonly keys: Set<Key>
  /** Of keys that were removed by what they are like. */
  readonly kinds: ((key: Key) => boolean)[]
  wasCleared: boolean
}

/**
 * A cache of at most `maxEntries` entries in this process; `createL1` makes one.
 *
 * Values are held by reference: what `get` returns is the object that was set, not a copy, unless `cloneOn` says so.
 */
export class L1<V> implements PreparedHome<V> {
  readonly #core: Core
  // Never shorter than the highest slot in use. One `undefined` from the start tells the engine that it will
  // hold anything, so numbers in it are not boxed again on each read.
  readonly #values: (V | undefined)[] = [undefined]
  /** Values in the core's memory, where they are held as bytes. */
  readonly #bytes: ByteValues | undefined
  readonly #sizeOf: ((value: V, key: Key) => number) | undefined
  /** The largest entry; 0 where entries are only counted. */
  readonly #maxEntryBytes: number
  /** What the coordinator noted beside its entries, at their slots; `undefined` until it notes something. */
  #notes: unknown[] | undefined
  /** By slot, what the coordinator said with `checked` of the entry that is there; 0 when nothing. */
  #checks: number[] = []
  readonly #ttlMs: number

  readonly #memo: Memo
  readonly #policy: EvictionPolicy
  readonly #maxEntries: number
  readonly #snapshotCodec: Codec
  readonly #maxBytes: number
  readonly #onStore: ((value: V) => V) | undefined
  readonly #onRead: ((value: V) => V) | undefined
  /** By slot, how long the entry lives after a use; kept only where uses renew it. */
  readonly #ttls: number[] | undefined
  #restored: Promise<RestoreOutcome> = Promise.resolve(nothingRestored('absent'))
  /** What was done while entries of a snapshot come in; they are older. */
  #overtaking: Overtaking | undefined

  /** Removals that the listener is to be told of; `undefined` without a listener. */
  readonly #removals: RemovalQueue<V> | undefined
  readonly #clock: Clock
  readonly #time: Timekeeper

  /** @internal `createL1` checks what is given here. */
  constructor(settings: L1Settings<V>) {
    this.#core = new Core({
      maxEntries: settings.maxEntries,
      policy: settings.policy,
      reportsKeys: settings.onRemoval !== undefined,
      partitions: settings.partitions,
      maxBytes: settings.maxBytes ?? 0,
      holdsValues: settings.codec !== undefined,
      random: settings.random,
      instance: settings.instance,
    })
    const capacity = settings.codec === undefined ? (settings.maxBytes ?? 0) : this.#core.free().bytes
    this.#maxEntryBytes = largestEntry(settings.maxEntryBytes, capacity)
    this.#bytes = settings.codec === undefined ? undefined : new ByteValues(this.#core, settings.codec)
    this.#sizeOf = settings.sizeOf
    this.#memo = new Memo(this.#core, settings.maxEntries)
    this.#policy = settings.policy
    this.#maxEntries = settings.maxEntries
    this.#snapshotCodec = settings.snapshotCodec
    this.#maxBytes = settings.maxBytes ?? 0
    this.#onStore = settings.onStore
    // What is read of bytes is made for the reader; the hot path asks one question for that and for copies.
    this.#onRead = this.#bytes === undefined ? settings.onRead : (value) => value
    this.#ttls = settings.touchOnGet === true ? [] : undefined
    this.#ttlMs = settings.ttlMs
    this.#removals = settings.onRemoval === undefined ? undefined : new RemovalQueue(settings.onRemoval)
    this.#clock = settings.clock
    this.#time = new Timekeeper({
      clock: settings.clock,
      clockResolutionMs: settings.clockResolutionMs,
      hasTimers: settings.hasTimers,
      wheel: this.#core,
      onSwept: () => this.#settle(),
    })
    if (settings.restore !== undefined) void this.restore(settings.restore)
  }

  /** Entries held. One that has expired counts until it is asked for or swept. */
  get size(): number {
    return this.#core.size
  }

  /** Bytes of the core's memory: keys, index and deadlines. Values held by reference are not in it. */
  get bytes(): number {
    return this.#core.bytes
  }

  /**
   * The value for `key`, as a use of it; `undefined` when there is none or it has expired.
   *
   * @throws TypeError when `key` is neither a string nor a safe integer; RangeError when it is longer than
   *   65,535 UTF-16 units. So do all operations that take a key.
   */
  get(key: Key): V | undefined {
    const now = this.#time.shared()
    const answer = this.#find(key, now)
    if (answer >= 0) {
      if (this.#ttls !== undefined) this.#extend(answer >> 3, now)
      return this.#onRead === undefined ? this.#values[answer >> 3] : this.read(answer)
    }
    this.#settle()
    return undefined
  }

  /**
   * Copies the stored bytes of `key`'s value into `target`, as a use of it; only with `values: 'bytes'`. Of text that
   * is its UTF-8, of a `Uint8Array` its bytes, of other values what the codec made of them.
   *
   * @returns How many bytes the value has, or `undefined` when there is none. If that is more than `target.length`,
   *   nothing was copied: take a larger one.
   * @throws TypeError where values are held by reference.
   */
  getInto(key: Key, target: Uint8Array): number | undefined {
    const bytes = this.#asBytes('getInto')
    if (!(target instanceof Uint8Array)) throw new TypeError('target: is not a Uint8Array')
    const answer = this.#use(key)
    return answer < 0 ? undefined : bytes.readInto(answer >> 3, target)
  }

  /**
   * Lends the stored bytes of `key`'s value to `use`, without a copy and as a use of it; only with `values: 'bytes'`.
   * The bytes are those of `getInto`, and they are good until `use` returns, not later: the memory is used again.
   *
   * `use` may call the cache. What it was lent stays as it is until it returns, even if the entry is written again or
   * leaves meanwhile; the memory is given back afterwards. It must not write to what it was lent.
   *
   * @returns What `use` returns; `undefined` when there is no value, and then `use` is not called.
   * @throws What `use` throws. TypeError where values are held by reference, and when `use` returns a promise, which
   *   could only read what is there later.
   * @example
   * const l1 = createL1<Uint8Array>({ maxBytes: 2 ** 20, values: 'bytes' })
   * l1.set('page', new TextEncoder().encode('<html>'))
   * l1.view('page', (bytes) => bytes.length) // 6
   */
  view<R>(key: Key, use: (bytes: Uint8Array) => R): R | undefined {
    const bytes = this.#asBytes('view')
    const answer = this.#use(key)
    if (answer < 0) return undefined
    const result = bytes.lend(answer >> 3, use)
    if (typeof (result as { then?: unknown } | null | undefined)?.then === 'function') {
      throw new TypeError('use: returned a promise; what is lent is good until it returns, not later')
    }
    return result
  }

  /** The value for `key` without counting as a use: neither order nor counters change. */
  peek(key: Key): V | undefined {
    const answer = this.#core.peek(key, this.#time.shared())
    return answer < 0 ? undefined : this.read(answer)
  }

  /** Whether `get` would find `key`, without counting as a use. */
  has(key: Key): boolean {
    return this.#core.peek(key, this.#time.shared()) >= 0
  }

  /**
   * Stores `value` under `key`, as a use of it.
   *
   * @param value - Anything but `undefined`, which means that there is no entry.
   * @returns Whether the entry is stored: `false` for a ttl of 0, and when there was no memory for it, in which case
   *   nothing is stored under the key any more.
   * @throws What a listener throws, after the value is stored. TypeError or RangeError for a wrong ttl. RangeError for
   *   a value above `maxEntryBytes`: then nothing is stored under the key any more. With `values: 'bytes'`, CacheError
   *   `CACHE_ENCODE_FAILED` for a value that the codec has no form for: then what was there stays.
   * @example
   * const l1 = createL1<string>({ maxEntries: 1_000 })
   * l1.set('user:7', 'Ada', { ttl: '5m' })
   * l1.get('user:7') // 'Ada'
   */
  set(key: Key, value: V, options?: L1CallOptions): boolean {
    if (value === undefined) throw new TypeError('value: undefined means that there is no entry; use delete')
    const ttlMs = options === undefined ? this.#ttlMs : this.#ttlOf(options)
    if (ttlMs === Infinity) return this.#store(key, value, Infinity, Infinity, this.#time.shared())
    if (ttlMs === 0) {
      this.delete(key)
      return false
    }
    const now = this.#time.read()
    const until = now + ttlMs
    return this.#store(key, value, until, until, now)
  }

  /**
   * Removes `key`.
   *
   * @returns Whether there was an entry that had not expired.
   */
  delete(key: Key): boolean {
    return this.#remove(key, this.#time.shared())
  }

  /**
   * Gives the entry of `key` a new ttl from now, as a use of it; without options the cache's own. A ttl of 0
   * removes it.
   *
   * @returns Whether there was an entry that had not expired.
   */
  touch(key: Key, options?: L1CallOptions): boolean {
    const ttlMs = options === undefined ? this.#ttlMs : this.#ttlOf(options)
    if (ttlMs === 0) return this.delete(key)
    const now = ttlMs === Infinity ? this.#time.shared() : this.#time.read()
    const until = now + ttlMs
    const answer = this.#core.touch(key, until, until, now)
    const found = answer >= 0
    if (found && this.#ttls !== undefined) this.#ttls[answer >> 3] = until - now
    if (found && until !== Infinity) this.#time.expectDeadline(now)
    this.#settle()
    return found
  }

  /**
   * A handle for a key that is asked for again and again: its look-ups skip reading and hashing the key. It costs
   * nothing to hold one whose entry has left, nor to make one whose entry is not there yet.
   *
   * @example
   * const settings = l1.prepare('settings:global')
   * settings.get() // as l1.get('settings:global')
   */
  prepare(key: Key): PreparedKey<V> {
    // Refuses what is no key, now and not at the first look-up.
    this.#core.peek(key, 0)
    return new PreparedKey<V>(this, key)
  }

  /** What is known of the entry of `key`; `undefined` when there is none. Not a use of it. */
  inspect(key: Key): L1Inspection | undefined {
    const now = this.#time.shared()
    const core = this.#core
    const answer = core.peek(key, now)
    if (answer < 0) return undefined
    const slot = answer >> 3
    const state = answer & 7
    const known = core.policyStateOf(slot)
    return {
      state: state === STALE ? 'stale' : state === SUSPECT ? 'suspect' : 'fresh',
      freshForMs: Math.max(0, core.freshUntilOf(slot) - now),
      usableForMs: core.usableUntilOf(slot) - now,
      slot,
      generation: core.generationOf(slot),
      keyBytes: core.keyBytesOf(slot),
      policy: {
        name: this.#policy,
        queue: queueNames[this.#policy]?.[(known >> 8) & 255],
        uses: known & 255,
        frequency: known >> 16,
      },
    }
  }

  /** Removes all entries. Counters go on. A listener is told of each, in the order of `entries()`. */
  clear(): void {
    if (this.#removals !== undefined) {
      for (let slot = this.#core.nextOlder(-1); slot !== -1; slot = this.#core.nextOlder(slot)) {
        this.#removals.add(this.#core.keyOf(slot), this.#held(slot), 'deleted')
      }
    }
    if (this.#overtaking !== undefined) this.#overtaking.wasCleared = true
    this.#core.clear()
    this.#memo.clear()
    this.#values.length = 1
    this.#values[0] = undefined
    this.#notes = undefined
    this.#checks = []
    this.#time.forget()
    this.#settle()
  }

  /**
   * The entries that are usable, from the hottest to the coldest as the policy sees it: `lru` from the newest use
   * to the oldest; `lazy-tinylfu` the protected ones, those on probation and the new ones; `s3fifo` the main queue
   * and the new ones; `sieve` in the order they came, the latest first. Within a queue the latest come first.
   *
   * The way is fixed at the first step, which takes time and 8 bytes for each entry; then the cache may
   * change. An entry that has left by the time it is reached is passed over, a new one is not met, and a
   * value set meanwhile is seen.
   */
  *entries(): Generator<[Key, V], void, undefined> {
    for (const slot of this.#walk()) yield [this.#core.keyOf(slot), this.read(slot << 3)]
  }

  /** The keys of `entries()`. */
  *keys(): Generator<Key, void, undefined> {
    for (const slot of this.#walk()) yield this.#core.keyOf(slot)
  }

  /**
   * The entries as a stream of bytes, for `restore` of a cache made with the same `policy`, `maxEntries` and `codec`.
   *
   * It may be written while the cache is in use: the event loop turns every few hundred entries, and each entry is
   * written as it is when its turn comes. Values that the codec refuses are left out. Reading it is no use.
   *
   * @example
   * for await (const bytes of l1.snapshot()) await file.write(bytes)
   */
  snapshot(): AsyncGenerator<Uint8Array, void, undefined> {
    return this.save(undefined)
  }

  /**
   * What came of the snapshot given as `restore`, when that is known; it never rejects. Until then the cache can be
   * used, and what is done with a key stands against what the snapshot has.
   */
  get restored(): Promise<RestoreOutcome> {
    return this.#restored
  }

  /**
   * Counters since the cache was created, of removals one for each cause (`evictions`, `expirations`, `deletes`,
   * `replaces`), and what it holds now. Reads no entry, so it takes a microsecond whatever is held.
   */
  stats(): L1Stats {
    const core = this.#core
    const regions = core.regions()
    const free = this.#bytes === undefined ? { bytes: 0, inOnePiece: 0 } : core.free()
    return {
      ...core.counters(),
      size: this.size,
      bytes: this.bytes,
      regions,
      valueBytes: this.#bytes === undefined ? core.weight : regions.heap - free.bytes,
      largestFree: free.inOnePiece,
      fragmentation: regions.heap === 0 ? 0 : (free.bytes - free.inOnePiece) / regions.heap,
      probeLength: core.probeLength,
      wheelBacklog: this.#time.isTimed ? core.wheelBacklog(this.#time.look()) : 0,
    }
  }

  // What prepared keys use.

  /** @internal */
  useAt(slot: number, generation: number): number {
    const now = this.#time.shared()
    const answer = this.#core.getAt(slot, generation, now)
    if (answer === ABSENT) this.#settle()
    else if (answer >= 0 && this.#ttls !== undefined) this.#extend(slot, now)
    return answer
  }

  /** @internal */
  peekAt(slot: number, generation: number): number {
    return this.#core.peekAt(slot, generation, this.#time.shared())
  }

  /** @internal */
  seek(key: Key, isUse: boolean): number {
    const now = this.#time.shared()
    if (!isUse) return this.#core.peek(key, now)
    const answer = this.#core.get(key, now)
    if (answer < 0) this.#settle()
    else if (this.#ttls !== undefined) this.#extend(answer >> 3, now)
    return answer
  }

  /** @internal */
  generationAt(answer: number): number {
    return this.#core.generationOf(answer >> 3)
  }

  /** The value at an answer, as a reader gets it. @internal */
  read(answer: number): V {
    if (this.#bytes !== undefined) return this.#bytes.read(answer >> 3) as V
    const value = this.#values[answer >> 3] as V
    return this.#onRead === undefined ? value : this.#onRead(value)
  }

  /** A value that a reader got, as another one gets it. @internal */
  copy(value: V): V {
    return this.#bytes !== undefined || this.#onRead === undefined ? value : this.#onRead(value)
  }

  // What the coordinator uses: it brings the time and reads the state.

  /** Whether any entry may have a deadline; while none has, `look` may be given any time. @internal */
  get isTimed(): boolean {
    return this.#time.isTimed
  }

  /**
   * Looks `key` up as a use of it, in one crossing.
   *
   * @returns The core's answer: negative, or `slot << 3 | state` with the states of `core/core.ts`. It is good
   *   for `valueAt` and `timesAt` until the next operation that stores or removes.
   * @internal
   */
  look(key: Key, now: number): number {
    const answer = this.#find(key, this.#time.notBefore(now))
    if (answer < 0) this.#settle()
    return answer
  }

  /** As `look`, but not as a use: neither order nor counters change. @internal */
  glance(key: Key, now: number): number {
    return this.#core.peek(key, this.#time.notBefore(now))
  }

  /** The value of an entry that `look` answered with, as a reader gets it. @internal */
  valueAt(answer: number): V {
    return this.read(answer)
  }

  /** The note of an entry that `look` answered with; `undefined` when it has none. @internal */
  noteAt(answer: number): unknown {
    return this.#notes?.[answer >> 3]
  }

  /** What was said with `checked` of an entry that `look` answered with; 0 or nothing when it was put since. @internal */
  checkAt(answer: number): number | undefined {
    return this.#checks[answer >> 3]
  }

  /** Keeps a number from 1 beside an entry that `look` answered with, until it is put anew or leaves. @internal */
  checked(answer: number, check: number): void {
    this.#notes ??= []
    this.#checks[answer >> 3] = check
  }

  /** The times of an entry that `look` answered with. @internal */
  timesAt(answer: number): { freshUntil: number; usableUntil: number } {
    const slot = answer >> 3
    return { freshUntil: this.#core.freshUntilOf(slot), usableUntil: this.#core.usableUntilOf(slot) }
  }

  /** Up to where an entry that `glance` answered with is known to be current, in its partition. @internal */
  asOfAt(answer: number): number {
    return this.#core.asOfOf(answer >> 3)
  }

  /**
   * Stores `value` until given times; `Infinity` for none.
   *
   * @param note - Stays beside the value, and is kept no longer than the slot is in use.
   * @returns `false` when there was no memory for it, when it is too large, and when it has no form as bytes: then
   *   nothing is under the key.
   * @internal
   */
  put(
    key: Key,
    value: V,
    freshUntil: number,
    usableUntil: number,
    now: number,
    note: unknown = undefined,
  ): boolean {
    return this.#store(key, value, freshUntil, usableUntil, this.#time.notBefore(now), note, true)
  }

  /**
   * Makes `key` invisible until it is stored again: the mark of a mutation under way.
   *
   * @returns Whether there was an entry.
   * @internal
   */
  hide(key: Key): boolean {
    this.#overtaking?.keys.add(key)
    return this.#core.hide(key) >= 0
  }

  /** Removes `key`, hidden or not. @internal */
  drop(key: Key): boolean {
    return this.#remove(key, this.#time.latest)
  }

  /** Removes every entry whose key `fits`, hidden or not. Walks over all of them. @internal */
  dropWhere(fits: (key: Key) => boolean): void {
    this.#overtaking?.kinds.push(fits)
    const found: Key[] = []
    for (let slot = this.#core.nextOlder(-1); slot !== -1; slot = this.#core.nextOlder(slot)) {
      const key = this.#core.keyOf(slot)
      if (fits(key)) found.push(key)
    }
    for (const key of found) this.drop(key)
  }

  /** What the next `put` writes beside its entry. @internal */
  stampNext(partition: number, epochIndex: number, asOf: number, tagSequence: number): void {
    this.#core.stampNext(partition, epochIndex, asOf, tagSequence)
  }

  /** From now on entries of `partition` with another epoch or a lower `asOf` are suspect. @internal */
  setPartition(partition: number, epochIndex: number, suspectBelow: number): void {
    this.#core.setPartition(partition, epochIndex, suspectBelow)
  }

  /** From `until` on all entries are suspect. @internal */
  setLease(until: number): void {
    this.#core.setLease(until)
  }

  /** The stream of `snapshot()`, with what `provenance` says of the entries. @internal */
  async *save(provenance: Provenance | undefined): AsyncGenerator<Uint8Array, void, undefined> {
    const { writeSnapshot } = await import('./snapshot.ts')
    yield* writeSnapshot(this.#snapshotSource(provenance))
  }

  /**
   * Takes in a snapshot; once, and before anything else is done, so that what is done counts as newer.
   *
   * @internal
   */
  restore(
    source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
    provenance?: Provenance,
  ): Promise<RestoreOutcome> {
    this.#restored = this.#restore(source, provenance)
    return this.#restored
  }

  #snapshotSource(provenance: Provenance | undefined): SnapshotSource {
    return {
      core: this.#core,
      policy: this.#policy,
      maxEntries: this.#maxEntries,
      maxBytes: this.#maxBytes,
      values: this.#bytes === undefined ? 'reference' : 'bytes',
      codec: this.#snapshotCodec,
      clock: this.#clock,
      now: () => this.#time.look(),
      nextTurn,
      isGood: (slot, generation, now) => {
        const answer = this.#core.peekAt(slot, generation, now)
        return answer >= 0 && (answer & 7) !== SUSPECT
      },
      valueAt: (slot) => this.#held(slot),
      ttlAt: (slot) => this.#ttls?.[slot],
      noteAt: (slot) => this.#notes?.[slot],
      provenance,
    }
  }

  async #restore(
    source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
    provenance: Provenance | undefined,
  ): Promise<RestoreOutcome> {
    const overtaking: Overtaking = { keys: new Set(), kinds: [], wasCleared: false }
    this.#overtaking = overtaking
    try {
      const { restoreSnapshot } = await import('./snapshot.ts')
      return await restoreSnapshot(
        {
          ...this.#snapshotSource(provenance),
          get wasCleared() {
            return overtaking.wasCleared
          },
          get hasOvertaken() {
            return overtaking.keys.size !== 0 || overtaking.kinds.length !== 0
          },
          isOvertaken: (key) => overtaking.keys.has(key) || overtaking.kinds.some((fits) => fits(key)),
          put: (key, value, freshUntil, usableUntil, now, note) =>
            this.put(key, value as V, freshUntil, usableUntil, now, note),
          keep: (slot, value, ttlMs, usableUntil, note) =>
            this.#keep(slot, value as V, ttlMs, usableUntil, note),
        },
        source,
      )
    } catch (error) {
      // A bundler may have left the code of this out.
      return nothingRestored('failed', error)
    } finally {
      this.#overtaking = undefined
    }
  }

  /** An entry of a snapshot was stored at `slot`. */
  #keep(slot: number, value: V, ttlMs: number | undefined, usableUntil: number, note: unknown): void {
    while (this.#values.length < slot) this.#values.push(undefined)
    this.#values[slot] = this.#onStore === undefined ? value : this.#onStore(value)
    if (note !== undefined || this.#notes !== undefined) this.#noteDown(slot, note)
    if (this.#ttls !== undefined) this.#ttls[slot] = ttlMs ?? usableUntil - this.#time.latest
    if (usableUntil !== Infinity) this.#time.expectDeadline(this.#time.latest)
  }

  #find(key: Key, now: number): number {
    return typeof key === 'string' ? this.#memo.get(key, now) : this.#core.get(key, now)
  }

  /** An entry was used at `now` where uses renew it: it lives its ttl anew. */
  #extend(slot: number, now: number): void {
    const ttlMs = (this.#ttls as number[])[slot] as number
    if (ttlMs === Infinity) return
    this.#core.extend(slot, now + ttlMs, now)
    this.#time.expectDeadline(now)
  }

  #store(
    key: Key,
    given: V,
    freshUntil: number,
    usableUntil: number,
    now: number,
    note: unknown = undefined,
    isCopy = false,
  ): boolean {
    // First, since a copy that cannot be made must leave what is there.
    const value = this.#onStore === undefined ? given : this.#onStore(given)
    this.#overtaking?.keys.add(key)
    if (this.#maxEntryBytes !== 0) {
      const refusal = this.#announce(key, value, isCopy)
      if (refusal !== undefined) {
        this.#remove(key, now)
        if (isCopy) return false
        throw refusal
      }
    }
    // The value that is replaced, while its bytes are there.
    const old = this.#isToldOfBytes ? this.#glimpse(key, now) : undefined
    let answer = this.#core.set(key, freshUntil, usableUntil, now)
    while (answer === DRAIN_FIRST) {
      this.#collect()
      answer = this.#core.set(key, freshUntil, usableUntil, now)
    }
    // Before the new value is written: it may take the slot of an entry whose removal is on the list.
    if (this.#core.removalCount !== 0) this.#collect()
    if (answer >= 0) {
      const slot = answer >> 3
      const outcome = answer & 7
      if (outcome !== INSERTED && this.#removals !== undefined) {
        const cause = outcome === REPLACED ? 'replaced' : 'expired'
        this.#removals.add(key, this.#bytes === undefined ? this.#held(slot) : (old as V), cause)
      }
      if (this.#bytes === undefined) this.#values[slot] = value
      else this.#bytes.write(slot)
      if (note !== undefined || this.#notes !== undefined) this.#noteDown(slot, note)
      if (this.#ttls !== undefined) this.#ttls[slot] = usableUntil - now
      if (usableUntil !== Infinity) this.#time.expectDeadline(now)
    }
    this.#removals?.deliver()
    return answer >= 0
  }

  #remove(key: Key, now: number): boolean {
    this.#overtaking?.keys.add(key)
    const old = this.#isToldOfBytes ? this.#glimpse(key, now) : undefined
    const answer = this.#core.remove(key, now)
    if (answer >= 0) {
      const slot = answer >> 3
      this.#removals?.add(key, this.#bytes === undefined ? this.#held(slot) : (old as V), 'deleted')
      this.#release(slot)
    }
    this.#settle()
    return answer >= 0
  }

  /**
   * Tells the core how large the entry is that comes next, with its value where that is held as bytes.
   *
   * @returns Why it cannot be taken.
   */
  #announce(key: Key, value: V, isCopy: boolean): Error | undefined {
    const size = this.#bytes === undefined ? this.#sizeNow(value, key) : this.#encode(key, value, isCopy)
    if (size instanceof Error) return size
    if (size > this.#maxEntryBytes) {
      return new RangeError(
        `value: takes ${size} bytes, more than ${this.#maxEntryBytes} (maxEntryBytes); nothing is stored under its key`,
      )
    }
    if (this.#bytes === undefined) this.#core.announce(size, 0, false)
    else this.#bytes.announce()
    return undefined
  }

  /** A value that came as a copy is not its reader's to put right, so there an error is an answer. */
  #encode(key: Key, value: V, isCopy: boolean): number | CacheError {
    const isShort = typeof key !== 'string' || key.length <= LONGEST_BESIDE_VALUE
    try {
      return (this.#bytes as ByteValues).encode(value, isShort)
    } catch (error) {
      if (isCopy && error instanceof CacheError) return error
      throw error
    }
  }

  #sizeNow(value: V, key: Key): number {
    const size = (this.#sizeOf as (value: V, key: Key) => number)(value, key)
    if (!Number.isSafeInteger(size) || size < 1) {
      throw new RangeError(`sizeOf: ${describe(size)} must be a whole number from 1`)
    }
    return size
  }

  /** Whether a listener wants values whose bytes the core gives back before it answers. */
  get #isToldOfBytes(): boolean {
    return this.#bytes !== undefined && this.#removals !== undefined
  }

  #glimpse(key: Key, now: number): V | undefined {
    const answer = this.#core.peek(key, now)
    return answer < 0 ? undefined : this.read(answer)
  }

  #held(slot: number): V {
    return this.#bytes === undefined ? (this.#values[slot] as V) : (this.#bytes.read(slot) as V)
  }

  #asBytes(what: string): ByteValues {
    if (this.#bytes === undefined) {
      throw new TypeError(
        `${what}: this cache holds values by reference; there are bytes with values: 'bytes'`,
      )
    }
    return this.#bytes
  }

  /** Looks `key` up as `get` does. */
  #use(key: Key): number {
    const now = this.#time.shared()
    const answer = this.#find(key, now)
    if (answer < 0) this.#settle()
    else if (this.#ttls !== undefined) this.#extend(answer >> 3, now)
    return answer
  }

  #release(slot: number): void {
    if (this.#bytes === undefined) this.#values[slot] = undefined
    if (this.#notes !== undefined) this.#notes[slot] = undefined
  }

  #noteDown(slot: number, note: unknown): void {
    this.#notes ??= []
    this.#notes[slot] = note
    this.#checks[slot] = 0
  }

  /** The slots of the usable entries from the hottest on; each is checked again when its turn comes. */
  *#walk(): Generator<number, void, undefined> {
    const slots = new Uint32Array(this.#core.size)
    const generations = new Uint32Array(slots.length)
    let count = 0
    for (let slot = this.#core.nextOlder(-1); slot !== -1; slot = this.#core.nextOlder(slot)) {
      slots[count] = slot
      generations[count] = this.#core.generationOf(slot)
      count++
    }
    for (let at = 0; at < count; at++) {
      const slot = slots[at] as number
      if (this.#core.generationOf(slot) !== generations[at]) continue
      if (this.#core.isUsable(slot, this.#time.shared())) yield slot
    }
  }

  /** Takes in what the last operation removed, and tells the listener. */
  #settle(): void {
    if (this.#core.removalCount !== 0) this.#collect()
    this.#removals?.deliver()
  }

  #collect(): void {
    const core = this.#core
    const count = core.removalCount
    for (let index = 0; index < count; index++) {
      const slot = core.removedSlot(index)
      if (this.#removals !== undefined) {
        const cause = core.removedCause(index) === EXPIRED ? 'expired' : 'evicted'
        this.#removals.add(core.removedKey(index), this.#held(slot), cause)
      }
      this.#release(slot)
    }
    core.drain()
  }

  #ttlOf(options: L1CallOptions): number {
    const ttl = options?.ttl
    if (ttl === undefined) {
      checkNames(options, ['ttl'], 'options')
      return this.#ttlMs
    }
    return ttl === null ? Infinity : toMs(ttl, 'ttl')
  }
}

/** What came of a restore that took nothing. */
export function nothingRestored(status: RestoreOutcome['status'], error?: unknown): RestoreOutcome {
  return { status, error, entries: 0, leftOut: 0 }
}

/** The limit for one entry under a budget of `capacity`; 0 where there is none. */
function largestEntry(wanted: number | undefined, capacity: number): number {
  if (capacity === 0) return 0
  const most = Math.max(1, Math.floor(capacity / 2))
  if (wanted === undefined) return Math.max(1, Math.floor(capacity / 8))
  if (wanted > most) {
    throw new RangeError(`maxEntryBytes: ${wanted} is more than ${most}, half of what values have`)
  }
  return wanted
}
