// What a user holds. No policy of its own: it turns a call into key, scope and resolved options, answers a
// hit by itself, and hands everything else to the coordinator.

import type { Clock } from './clock.ts'
import type { BulkLoader } from './coordinator/batch.ts'
import type { Coordinator } from './coordinator/coordinator.ts'
import type { Undelivered } from './coordinator/delivery.ts'
import type { Loader } from './coordinator/loading.ts'
import type { Lock, LockOptions } from './coordinator/locks.ts'
import type { Making } from './coordinator/mutations.ts'
import type { Answers } from './coordinator/remembered.ts'
import { placesIn } from './coordinator/session.ts'
import { describe } from './duration.ts'
import { invalidateAfter, type LaterInvalidations } from './invalidate-after.ts'
import { type Key, type KeyScope, type KeyVersion, namespaceScope, withVersion } from './key.ts'
import type { L1Stats, RestoreOutcome } from './l1/l1.ts'
import { invalidateAround, type WrapOptions, type Wrapped, wrap } from './memoize.ts'
import type { CacheEventName, CacheEvents, Events } from './metrics/events.ts'
import {
  type CallOptions,
  checkFlag,
  checkFunction,
  checkNames,
  checkSeveral,
  checkSkip,
  checkTags,
  type LifetimeOptions,
  type LoadLimits,
  type LoadOptions,
  lifetimeOptionNames,
  type ResolvedCall,
  resolveCall,
  type Skip,
} from './options.ts'
import type { TierScope } from './tiers/tier.ts'

/** What a call about a key may say differently from its cache. */
export interface KeyOptions {
  /**
   * The key version this call is about.
   *
   * @defaultValue the cache's.
   */
  version?: KeyVersion
}

/** What a read may say differently from its cache. */
export interface ReadOptions extends KeyOptions {
  /**
   * What the read passes by. `'copies'`: the part that orders mutations is asked, and what it says is kept in the
   * copies. `'tiers'`: only L1 may answer.
   *
   * @defaultValue nothing
   */
  skip?: Skip

  /**
   * A token of `cache.token()`, of this process or another one: what was committed there before is seen. Where this
   * process has not heard of all of it, copies are passed by.
   *
   * @defaultValue none
   */
  atLeast?: string
}

/** What `clear` may say. */
export interface ClearOptions {
  /**
   * Whether every entry goes that the tiers hold, whatever cache stored it: all prefixes and namespaces of the Redis or
   * Memcached keyspace, of the directory, of the table. What others keep beside them, as under another keyspace, stays.
   * Locks and load leases are kept there too: a holder is told when it next renews.
   *
   * @defaultValue `false`: this cache's prefix, or this namespace
   */
  all?: boolean
}

export type { Making } from './coordinator/mutations.ts'

/** An entry, as `getEntry` finds it. */
export interface CacheEntry<V> {
  readonly value: V
  /** Where it was found: `'l1'`, or the name of a tier. */
  readonly level: string
  /** Whether its ttl is over. */
  readonly isStale: boolean
  /** For how long it is fresh yet; `0` when it is stale, `null` for ever. */
  readonly freshForMs: number | null
  /** For how long it is kept yet, for the stale windows as well; `null` for ever. */
  readonly usableForMs: number | null
  readonly tags: readonly string[]
}

/** What `namespace` may say differently from its cache. */
export interface NamespaceOptions extends LifetimeOptions, LoadLimits {
  /**
   * The key version of calls that name none.
   *
   * @defaultValue the cache's
   */
  version?: KeyVersion
}

/** The first level of a cache, synchronously and for reading only. */
export interface L1View<V> {
  /** The fresh value that this process holds, or `undefined`; the same answer as `cache.get` would give without asking any tier. */
  get(key: Key, options?: KeyOptions): V | undefined
  /** Whether `get` would answer; counts as a use. */
  has(key: Key, options?: KeyOptions): boolean
  /** Entries held; one that has expired counts until it is asked for or swept. */
  readonly size: number
  /** Bytes of the core's memory; values held by reference are not in it. */
  readonly bytes: number
}

/** How one tier has done. */
export interface TierStats {
  readonly name: string
  /** Keys it was asked for and had, stale ones included. */
  readonly hits: number
  readonly misses: number
  /** Calls that failed or took longer than their deadline. */
  readonly failures: number
}

/** Counts since the cache was created. */
export interface CacheStats {
  /** `undefined` when the cache has no first level. */
  readonly l1: L1Stats | undefined
  /** From the nearest to the farthest. */
  readonly tiers: readonly TierStats[]
  /** Loaders that were run. */
  readonly loads: number
  /** Of those, how many failed. */
  readonly loadFailures: number
  /** Of those, how many were overtaken by a mutation, so that nobody kept their value. */
  readonly loadsOvertaken: number
  /** Answers that were stale, as the options allowed. */
  readonly staleServed: number
  /** Hits in the first level that were compared with the authority, as `audit` says. */
  readonly audits: number
  /** Of those, how many the first level still answered with a lease after the authority had something newer. */
  readonly auditStale: number
  /** The longest time after which one of those was seen in use, in milliseconds. */
  readonly auditStaleMs: number
}

/** How a cache is put together, and whether its parts work at the moment. */
export interface CacheHealth {
  readonly closed: boolean
  /** Options that defeat each other; empty when none do. `createCache` says it once to `onAdvice`. */
  readonly advice: readonly string[]
  /** Mutations that wait for the authority, and their bytes; `undefined` unless `whenDown` is `'queue'`. */
  readonly outbox: { readonly size: number; readonly bytes: number } | undefined
  /** Whether copies in this process may be used: the bus listens, or there is none. */
  readonly copiesTrusted: boolean
  /**
   * The one place that orders this cache's mutations. `undefined` when there is none: then the promises hold
   * for this process alone.
   */
  readonly authority:
    | { readonly name: string; readonly scope: TierScope; readonly kind: 'tier' | 'bus' }
    | undefined
  /** `error` says why the bus does not work; `undefined` while it does. */
  readonly bus:
    | {
        readonly name: string
        readonly scope: TierScope
        readonly connected: boolean
        readonly error: string | undefined
      }
    | undefined
  /** From the nearest to the farthest; `breaker` is `open` while a tier is left alone because it failed. */
  readonly tiers: readonly {
    readonly name: string
    readonly scope: TierScope
    readonly breaker: 'closed' | 'open' | 'half-open'
    readonly failures: number
  }[]
}

/** What a cache is made of; `createCache` makes it. */
export interface CacheParts {
  readonly coordinator: Coordinator
  readonly events: Events
  readonly clock: Clock
  readonly scope: KeyScope
  readonly version: KeyVersion
  readonly defaults: ResolvedCall
  readonly l1: { readonly size: number; readonly bytes: number; stats(): L1Stats } | undefined
  /** What came of the snapshot it was given. */
  readonly restored: Promise<RestoreOutcome>
  snapshot(): AsyncGenerator<Uint8Array, void, undefined>
  tiers(): TierStats[]
  health(): CacheHealth
}

const MUTATIONS_AT_ONCE = 64
/** What every stored key begins with. */
const EVERY_PREFIX = ''
const namespaceOptionNames = [...lifetimeOptionNames, 'version']
const keyOptionNames = ['version']
const readOptionNames = ['atLeast', 'skip', 'version']

/**
 * A cache of several levels.
 *
 * Absent is `undefined`; `null` is a value. All methods reject with a TypeError or RangeError for input that
 * can not be right, and with `CACHE_CLOSED` after `close`. A tier that fails makes a read a miss and an event;
 * a mutation that was not taken rejects with `CACHE_TIER_FAILED`.
 */
export class Cache<V = unknown> {
  readonly #coordinator: Coordinator
  /** The coordinator's own; kept at hand for hits. */
  readonly #reads: Answers
  readonly #events: Events
  readonly #scope: KeyScope
  readonly #version: KeyVersion
  readonly #defaults: ResolvedCall
  readonly #parts: CacheParts

  /** The first level alone, without a promise. Empty for ever when the cache was created with `l1: false`. */
  readonly l1: L1View<V>

  /** @internal Use `createCache`. */
  constructor(parts: CacheParts) {
    this.#coordinator = parts.coordinator
    this.#reads = parts.coordinator.reads
    this.#events = parts.events
    this.#scope = parts.scope
    this.#version = parts.version
    this.#defaults = parts.defaults
    this.#parts = parts
    const { l1 } = parts
    this.l1 = {
      get: (key, options) => this.#hit(key, options) as V | undefined,
      has: (key, options) => this.#hit(key, options) !== undefined,
      get size() {
        return l1?.size ?? 0
      },
      get bytes() {
        return l1?.bytes ?? 0
      },
    }
  }

  /**
   * Returns the fresh value for `key`, or `undefined`.
   *
   * A value from L1 is the stored object itself, not a copy. A key that is being changed here is waited for.
   * Stale values are only for `getOrSet`.
   *
   * @param key - A string, or a safe integer (`7` and `'7'` differ); at most 512 bytes of UTF-8 with prefix and version.
   */
  get<T extends V = V>(key: Key, options?: ReadOptions): Promise<T | undefined> {
    try {
      const scope = options === undefined ? this.#scope : this.#scopeOf(options)
      const skip = options === undefined ? undefined : this.#skipOf(key, scope, options)
      const value = skip === 'copies' ? undefined : this.#reads.hit(key, scope, true)
      if (value !== undefined) return Promise.resolve(value as T)
      if (options !== undefined) checkNames(options, readOptionNames, 'options')
      return this.#reads.get(key, scope, skip) as Promise<T | undefined>
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /**
   * Returns the value for `key`, running `load` to produce it when no usable value exists.
   *
   * Concurrent calls for one key share one `load`. A stale value that `staleWhileRevalidate` allows is returned
   * at once, with the refresh behind it. A load that is overtaken by a `set`, `delete` or `clear`, here or in
   * another process, is given to those who waited for it and kept nowhere. Options are not looked at for a hit,
   * except `version`, `forceFresh` and `skip`.
   *
   * @param load - Gets the key, a signal that fires at `loadTimeout`, the value from before if there is one, and ways
   *   to say more of the value it returns. `undefined` is returned and not stored.
   * @throws What `load` throws, when nothing stale may serve and there is no `fallback`. CacheError `CACHE_LOAD_TIMEOUT` when it outlasts
   *   `loadTimeout`.
   * @example
   * const user = await cache.getOrSet('user:7', ({ signal }) => db.user(7, { signal }), { ttl: '5m' })
   */
  getOrSet<T extends V = V>(key: Key, load: Loader<T, V>, options?: LoadOptions<NoInfer<T>>): Promise<T> {
    try {
      const scope = options === undefined ? this.#scope : this.#scopeOf(options)
      const passes = options !== undefined && passesCopies(options)
      const value = passes ? undefined : this.#reads.hit(key, scope, false)
      if (value !== undefined) return Promise.resolve(value as T)
      checkFunction(load, 'load')
      const call = resolveCall(this.#defaults, options)
      return this.#reads.getOrSet(key, scope, load as Loader<unknown>, call) as Promise<T>
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /**
   * Stores `value` in every level, and makes the copies of other processes unusable.
   *
   * @param value - Anything but `undefined`. With tiers it must be something the codec can write; in L1 the object itself is kept.
   * @returns Whether it is stored: `false` only for a ttl of 0, which deletes the key.
   * @throws CacheError `CACHE_TIER_FAILED` when the authority did not take it: it may have the old value or the new
   *   one, but in this process nothing from before the call is answered any more. The next read of the key removes it
   *   there, if that goes by then. `CACHE_ENCODE_FAILED` for a value that has no bytes.
   */
  async set(key: Key, value: V, options?: CallOptions): Promise<boolean> {
    const call = resolveCall(this.#defaults, options)
    return this.#coordinator.mutations.set(key, this.#scopeOf(options), value, call)
  }

  /** @internal As `Mutations.beginMaking`. */
  beginMaking(tags: readonly string[] | undefined): Promise<Making> {
    return this.#coordinator.mutations.beginMaking(tags)
  }

  /**
   * @internal As `set`, for a value that was made elsewhere: its tags are judged from where its making began. What
   * `getOrSet` does for its loads, `holdOff` included.
   */
  async setMade(key: Key, value: V, making: Making, options: CallOptions): Promise<boolean> {
    const call = resolveCall(this.#defaults, options)
    return this.#coordinator.mutations.setMade(key, this.#scopeOf(options), value, call, making)
  }

  /**
   * Removes `key` from every level and makes the copies of other processes unusable.
   *
   * @returns Whether there was a live entry, as far as the authority, or without one this process, can tell.
   * @throws CacheError `CACHE_TIER_FAILED` when the authority did not take it; it is gone here all the same, and the
   *   next read of the key tries again.
   */
  async delete(key: Key, options?: KeyOptions): Promise<boolean> {
    return this.#coordinator.mutations.delete(key, this.#keyScope(options))
  }

  /**
   * Stores `value` if the key has no fresh value. Decided by whoever orders, so of several processes at most one
   * stores.
   *
   * @returns Whether it was absent. With a ttl of 0 nothing is stored all the same.
   * @throws As `set`; CacheError `CACHE_NOT_SUPPORTED` where a bus without a tier orders: it keeps no entries. So do
   *   all mutations that depend on what is there.
   */
  async add(key: Key, value: V, options?: CallOptions): Promise<boolean> {
    const call = resolveCall(this.#defaults, options)
    return this.#coordinator.decisions.add(key, this.#scopeOf(options), value, call)
  }

  /**
   * Gives the entry of `key` a new `ttl` from now on: the call's, or the cache's. A ttl of 0 removes it.
   *
   * @returns Whether there was a fresh entry; one whose ttl is over is not brought back.
   */
  async touch(key: Key, options?: CallOptions): Promise<boolean> {
    const call = resolveCall(this.#defaults, options)
    return this.#coordinator.decisions.touch(key, this.#scopeOf(options), call)
  }

  /**
   * Adds `delta` to the integer under `key`, in one step wherever it is stored. Its times stay as they are.
   *
   * @param delta - A safe integer, which may be negative.
   * @returns The sum.
   * @throws CacheError `CACHE_NOT_FOUND` when the key has no fresh entry; it is never created. TypeError when the value
   *   is not a safe integer, RangeError when the sum is none; the value stays.
   */
  async incr(key: Key, delta: number = 1, options?: KeyOptions): Promise<number> {
    checkDelta(delta)
    return this.#coordinator.decisions.increment(key, this.#keyScope(options), delta)
  }

  /** As `incr`, with `-delta`. It may fall below zero. */
  async decr(key: Key, delta: number = 1, options?: KeyOptions): Promise<number> {
    checkDelta(delta)
    return this.incr(key, -delta, options)
  }

  /**
   * Puts the entry of `key` under the version `delta` higher, in place of what is there, and keeps its times. The old
   * version is gone.
   *
   * @param options - `version` is the one it has now; that one, or the cache's, must be a whole number.
   * @returns The new version.
   * @throws CacheError `CACHE_NOT_FOUND` when that version of the key has no fresh entry.
   */
  async incrVersion(key: Key, delta: number = 1, options?: KeyOptions): Promise<number> {
    checkDelta(delta)
    const scope = this.#keyScope(options)
    const version = wholeVersion(options?.version ?? this.#version)
    if (delta === 0) throw new RangeError('delta: 0 would leave the entry where it is')
    await this.#coordinator.decisions.move(key, scope, this.#scopeOf({ version: version + delta }))
    return version + delta
  }

  /** As `incrVersion`, with `-delta`; no version is below 0. */
  async decrVersion(key: Key, delta: number = 1, options?: KeyOptions): Promise<number> {
    checkDelta(delta)
    return this.incrVersion(key, -delta, options)
  }

  /**
   * For how many milliseconds the entry of `key` is fresh yet.
   *
   * @returns `null` for ever, `undefined` when there is no fresh entry.
   */
  async ttl(key: Key, options?: KeyOptions): Promise<number | null | undefined> {
    const freshMs = await this.#reads.freshMs(key, this.#keyScope(options))
    return freshMs === Number.POSITIVE_INFINITY ? null : freshMs
  }

  /** Returns the fresh value for `key` and removes it; of several who pull at most one gets it. `undefined` without. */
  async pull<T extends V = V>(key: Key, options?: KeyOptions): Promise<T | undefined> {
    return this.#coordinator.decisions.take(key, this.#keyScope(options)) as Promise<T | undefined>
  }

  /**
   * Ends the `ttl` of an entry, everywhere: `get` has nothing any more, and `getOrSet` may use the value for as long as
   * the stale windows allow it from now on. Without stale windows it is removed; so is, where L1 is all there is, an
   * entry whose ttl is `null`.
   *
   * @returns Whether there was a fresh entry.
   */
  async expire(key: Key, options?: KeyOptions): Promise<boolean> {
    return this.#coordinator.decisions.expire(key, this.#keyScope(options))
  }

  /**
   * The entry of `key` and what is known of it, in the nearest level that has it; also one that is stale, which only
   * `getOrSet` would use. Counts as no use where L1 answers.
   *
   * @returns `undefined` when no level has it.
   */
  async getEntry<T extends V = V>(key: Key, options?: KeyOptions): Promise<CacheEntry<T> | undefined> {
    const view = await this.#reads.entry(key, this.#keyScope(options))
    if (view === undefined) return undefined
    const now = this.#parts.clock.now()
    const { freshUntil, level, tagged, usableUntil, value } = view
    const leftMs = (until: number): number | null =>
      until === Number.POSITIVE_INFINITY ? null : Math.max(until - now, 0)
    return {
      value: value as T,
      level,
      isStale: freshUntil <= now,
      freshForMs: leftMs(freshUntil),
      usableForMs: leftMs(usableUntil),
      tags: tagged?.tags ?? [],
    }
  }

  /** Whether `get` would find a value; costs as much. */
  async has(key: Key, options?: ReadOptions): Promise<boolean> {
    return (await this.get(key, options)) !== undefined
  }

  /**
   * Returns the fresh values for `keys`, in their order, without those that are missing. One call to each tier.
   *
   * @param keys - Any iterable; a key that comes twice is answered once.
   */
  async getMany<T extends V = V>(keys: Iterable<Key>, options?: ReadOptions): Promise<Map<Key, T>> {
    const all = checkSeveral(keys, 'keys')
    if (options !== undefined) checkNames(options, readOptionNames, 'options')
    const scope = this.#scopeOf(options)
    const skip = options === undefined ? undefined : this.#skipOf(all, scope, options)
    return this.#reads.getMany(all, scope, skip) as Promise<Map<Key, T>>
  }

  /**
   * Returns the values for `keys`, in their order, running `load` once for those that nobody has. Each key is looked
   * up, waited for, refreshed and stored as `getOrSet` would; keys that are being loaded already are waited for.
   *
   * @param keys - Any iterable; a key that comes twice is answered once.
   * @param load - Gets the missing keys and returns a `Map`, or pairs, with the values it has.
   * @returns `values` has a value for each key that has one; `failed` says, for each key whose load failed and for
   *   which nothing stale and no `fallback` may serve, with what. A failure of one key is none of the others.
   * @example
   * const { values, failed } = await cache.getOrSetMany(ids, ({ keys }) => db.usersById(keys))
   */
  async getOrSetMany<T extends V = V>(
    keys: Iterable<Key>,
    load: BulkLoader<T>,
    options?: LoadOptions<NoInfer<T>>,
  ): Promise<{ values: Map<Key, T>; failed: Map<Key, unknown> }> {
    checkFunction(load, 'load')
    const call = resolveCall(this.#defaults, options)
    const scope = this.#scopeOf(options)
    const outcome = await this.#reads.getOrSetMany(checkSeveral(keys, 'keys'), scope, load, call)
    return outcome as { values: Map<Key, T>; failed: Map<Key, unknown> }
  }

  /**
   * Stores many values, each as `set` does.
   *
   * @param entries - A `Map`, or any iterable of pairs.
   * @returns The keys that could not be stored; the others are.
   * @throws TypeError or RangeError when a key, a value or an option can not be right; then nothing was stored.
   */
  async setMany(entries: Iterable<readonly [Key, V]>, options?: CallOptions): Promise<{ failed: Key[] }> {
    const call = resolveCall(this.#defaults, options)
    const scope = this.#scopeOf(options)
    const pairs = [...new Map(checkPairs(entries))]
    for (const [key, value] of pairs) this.#coordinator.subjects.ofWrite(key, scope, value, call)
    const { failed } = await inPortions(pairs, ([key, value]) =>
      this.#coordinator.mutations.set(key, scope, value, call),
    )
    return { failed: failed.map(([key]) => key) }
  }

  /**
   * Removes many keys, each as `delete` does.
   *
   * @param keys - Any iterable; a key that comes twice is removed once.
   * @returns How many were there, and the keys that could not be removed at the authority; those are gone here.
   * @throws TypeError or RangeError when a key can be none; then nothing was removed.
   */
  async deleteMany(keys: Iterable<Key>, options?: KeyOptions): Promise<{ deleted: number; failed: Key[] }> {
    const scope = this.#keyScope(options)
    const all = [...new Set(checkSeveral(keys, 'keys'))]
    for (const key of all) this.#coordinator.subjects.of(key, scope)
    const { failed, results } = await inPortions(all, (key) => this.#coordinator.mutations.delete(key, scope))
    return { deleted: results.filter((existed) => existed).length, failed }
  }

  /**
   * Wraps a function so that its calls are answered from this cache. The result has `key(...args)`,
   * `invalidate(...args)` and `expire(...args)`.
   *
   * @param options - Those of `getOrSet`, and how a call becomes a key: `key`, or `name` for one made of the arguments.
   * @throws TypeError when there is neither.
   * @example
   * const userById = cache.wrap((id: number) => db.user(id), { key: (id) => `user:${id}`, ttl: '5m' })
   * await userById(7)
   * await userById.invalidate(7)
   */
  wrap<Args extends unknown[], T extends V>(
    run: (...args: Args) => T | PromiseLike<T>,
    options: WrapOptions<Args, T>,
  ): Wrapped<Args, T> {
    return wrap(this as unknown as Cache, run, options)
  }

  /**
   * Deletes `keys`, runs `change`, and deletes them again, whatever came of it: what was loaded while the change was
   * under way may be from before it.
   *
   * @throws What `change` throws, and as `delete`.
   */
  invalidateAround<R>(keys: Key | readonly Key[], change: () => R | PromiseLike<R>): Promise<R> {
    return invalidateAround(this, keys, change)
  }

  /**
   * Runs `change`, and when it is over what it noted to be invalidated, whether it succeeded or not: for a change in a
   * transaction, which others see only when it is committed.
   *
   * @param change - Gets `later`, with `delete`, `expire`, `deleteTags`, `expireTags` and `clear`, which only note.
   * @returns What `change` returns.
   * @throws What `change` throws; else as those methods, when the change has been made.
   * @example
   * await cache.invalidateAfter((later) =>
   *   db.transaction(async (tx) => {
   *     await tx.rename(7, 'Grace')
   *     later.delete('user:7')
   *   }),
   * )
   */
  async invalidateAfter<R>(change: (later: LaterInvalidations) => R | PromiseLike<R>): Promise<R> {
    return invalidateAfter(this, change)
  }

  /**
   * Removes every entry with this cache's prefix, in all versions, from every level; other prefixes on the same
   * backend stay. With `all` they go as well, and locks are lost.
   *
   * @throws CacheError `CACHE_TIER_FAILED` when the authority did not take it; L1 is empty all the same.
   */
  async clear(options: ClearOptions = {}): Promise<void> {
    return this.#coordinator.clearing.clear(takesAll(options) ? EVERY_PREFIX : this.#scope.prefix)
  }

  /**
   * A part of this cache with keys of its own: the same key in two namespaces is two entries, and `clear` of a namespace
   * removes its entries, those of namespaces within it, and no others. What it is made of is shared: L1 and its bounds,
   * tiers, bus, tags, events, counts. To close it is to close the cache.
   *
   * @param name - Any text but `''`. Two namespaces of the same name are the same one.
   * @param options - Defaults of its calls in place of this cache's.
   * @example
   * const users = cache.namespace('users', { ttl: '1h' })
   * await users.set('7', user)
   * await users.clear()
   */
  namespace<T extends V = V>(name: string, options: NamespaceOptions = {}): Cache<T> {
    checkNames(options, namespaceOptionNames, 'namespace')
    const { version = this.#version, ...call } = options
    return new Cache<T>({
      ...this.#parts,
      scope: namespaceScope(this.#scope, name, version),
      version,
      defaults: resolveCall(this.#defaults, call),
    })
  }

  /**
   * Takes a lock that one holder in all processes has at a time, or without tiers in this one. It is renewed until it is
   * released. A namespace has locks of its own, and no `clear` releases one but that of `all`.
   *
   * @param name - Any text; with the prefix at most 512 bytes of UTF-8. No key of the cache is meant.
   * @returns `undefined` when somebody else held it for as long as this call was to wait.
   * @throws CacheError `CACHE_TIER_FAILED` when the authority could not be asked, `CACHE_NOT_SUPPORTED` where there are
   *   tiers and none of them orders.
   * @example
   * await using lock = await cache.lock('nightly-report', { wait: '10s' })
   * if (lock === undefined) return
   * await writeReport({ signal: lock.signal, fence: lock.fence })
   */
  async lock(name: string, options: LockOptions = {}): Promise<Lock | undefined> {
    return this.#coordinator.locks.lock(name, this.#scope, options)
  }

  /**
   * Makes every entry that carries one of `tags` stale, in every level and every process: `getOrSet` may still serve it
   * where `staleWhileRevalidate` or `staleIfError` allow that, until its own time is over. Costs the same however many
   * entries that are.
   *
   * @param tags - As they were given to `set` and `getOrSet`; the order and doubles do not matter.
   * @throws CacheError `CACHE_TIER_FAILED` when the authority did not take it; here they are stale all the same, and the
   *   next read below L1 tries again.
   */
  async expireTags(tags: Iterable<string>): Promise<void> {
    return this.#coordinator.clearing.invalidateTagged(namedTags(tags), 'expire')
  }

  /**
   * Makes every entry that carries one of `tags` unusable, in every level and every process, stale ones included. Costs
   * the same however many entries that are.
   *
   * @param tags - As they were given to `set` and `getOrSet`; the order and doubles do not matter.
   * @throws CacheError `CACHE_TIER_FAILED` when the authority did not take it; here they are gone all the same, and the
   *   next read below L1 tries again.
   */
  async deleteTags(tags: Iterable<string>): Promise<void> {
    return this.#coordinator.clearing.invalidateTagged(namedTags(tags), 'delete')
  }

  /**
   * Lets the tiers reclaim the room of entries whose time is over, where the backend does not do so by itself.
   * Run it now and then over a file tier.
   *
   * @returns How many entries were removed. A tier that fails is an event.
   */
  async prune(): Promise<number> {
    return this.#coordinator.prune()
  }

  /**
   * What this cache has committed lately, for `atLeast` of another process: hand it on with a response, in a cookie or a
   * header, and the next request sees its own changes wherever it is served. Some 20 characters for each partition
   * written to within the last two leases; nothing in it is secret, and a forged one can only make reads pass copies by.
   */
  token(): string {
    return this.#coordinator.token
  }

  /**
   * What L1 has, as a stream of bytes for `l1.restore` of a cache with the same prefix, version, first level, codec and
   * authority. It may be written while the cache is in use, and before `close`: without a lease no entry is known to be
   * good, and none is written.
   *
   * @throws TypeError when the cache has no first level.
   * @example
   * await saveSnapshot(cache, '/var/cache/app/cache.snapshot')
   * await cache.close()
   */
  snapshot(): AsyncGenerator<Uint8Array, void, undefined> {
    if (this.#parts.l1 === undefined) throw new TypeError('snapshot: this cache has no first level')
    return this.#parts.snapshot()
  }

  /**
   * What came of the snapshot given as `l1.restore`, when that is known; `absent` without one. It never rejects. Until
   * then the cache is used as any other, and what is done with a key stands against what the snapshot has.
   */
  get restored(): Promise<RestoreOutcome> {
    return this.#parts.restored
  }

  /** Counts since the cache was created. */
  stats(): CacheStats {
    return { l1: this.#parts.l1?.stats(), tiers: this.#parts.tiers(), ...this.#coordinator.counts }
  }

  /** How the cache is put together, and whether its parts work. Asks nobody: it costs nothing. */
  health(): CacheHealth {
    return this.#parts.health()
  }

  /**
   * Calls `listener` for every event of this name; `CacheEvents` lists them.
   *
   * @returns A function that takes the listener away again.
   */
  on<Name extends CacheEventName>(name: Name, listener: (event: CacheEvents[Name]) => void): () => void {
    checkFunction(listener, 'listener')
    return this.#events.on(name, listener)
  }

  /**
   * Refuses new work, waits for mutations and refreshes under way, and closes the bus and the tiers it was given,
   * also those that another cache was given too. Clients that were passed to a tier stay open. A second call does
   * nothing.
   *
   * @returns With `whenDown: 'queue'`: what the authority has not taken to the end. Other processes do not know of it.
   */
  close(): Promise<readonly Undelivered[]> {
    return this.#coordinator.close()
  }

  /** Calls `close`, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  /** What a read passes by, so that it is not older than a token says. */
  #skipOf(keys: Key | readonly Key[], scope: KeyScope, { atLeast, skip }: ReadOptions): Skip | undefined {
    const checked = checkSkip(skip)
    if (atLeast === undefined) return checked
    const places = placesIn(atLeast)
    if (checked === 'tiers') throw new TypeError("atLeast: with skip: 'tiers' nobody could be asked for it")
    const all = typeof keys === 'object' ? keys : [keys]
    return all.some((key) => this.#reads.isBehind(key, scope, places)) ? 'copies' : checked
  }

  #hit(key: Key, options: KeyOptions | undefined): unknown {
    const value = this.#reads.hit(key, this.#scopeOf(options), true)
    if (value === undefined && options !== undefined) checkNames(options, keyOptionNames, 'options')
    return value
  }

  /** The scope that options say which can say nothing else. */
  #keyScope(options: KeyOptions | undefined): KeyScope {
    if (options !== undefined) checkNames(options, keyOptionNames, 'options')
    return this.#scopeOf(options)
  }

  #scopeOf(options: KeyOptions | undefined): KeyScope {
    if (options === undefined) return this.#scope
    if (typeof options !== 'object' || options === null) checkNames(options, ['version'], 'options')
    if (options.version === undefined) return this.#scope
    // L1 knows the entries of the cache's own version by their bare keys, so that version must be this very scope.
    const scope = withVersion(this.#scope, options.version)
    return scope.text === this.#scope.text ? this.#scope : scope
  }
}

/** Whether a `getOrSet` may not be answered from L1. */
function passesCopies({ forceFresh, skip }: LoadOptions): boolean {
  return (forceFresh !== undefined && checkFlag(forceFresh, 'forceFresh')) || checkSkip(skip) === 'copies'
}

function checkPairs<V>(entries: Iterable<readonly [Key, V]>): (readonly [Key, V])[] {
  const pairs = checkSeveral(entries, 'entries')
  for (const pair of pairs) {
    if (!Array.isArray(pair))
      throw new TypeError(`entries: ${describe(pair)} is no pair of a key and a value`)
  }
  return pairs
}

/** Calls `mutate` for each, in portions, since each mutation has its deadline from the moment it is called. */
async function inPortions<E, R>(
  all: readonly E[],
  mutate: (each: E) => Promise<R>,
): Promise<{ results: R[]; failed: E[] }> {
  const results: R[] = []
  const failed: E[] = []
  for (let at = 0; at < all.length; at += MUTATIONS_AT_ONCE) {
    const portion = all.slice(at, at + MUTATIONS_AT_ONCE)
    const outcomes = await Promise.allSettled(portion.map(mutate))
    for (const [turn, outcome] of outcomes.entries()) {
      if (outcome.status === 'fulfilled') results.push(outcome.value)
      else failed.push(portion[turn] as E)
    }
  }
  return { results, failed }
}

/** Whether a clear is of everything. */
function takesAll(options: ClearOptions): boolean {
  checkNames(options, ['all'], 'clear')
  const { all = false } = options
  if (typeof all !== 'boolean') throw new TypeError(`all: ${describe(all)} is neither true nor false`)
  return all
}

function checkDelta(delta: unknown): asserts delta is number {
  if (Number.isSafeInteger(delta)) return
  throw new TypeError(`delta: ${describe(delta)} is not a safe integer`)
}

/** @throws TypeError when a version cannot be counted on from. */
function wholeVersion(version: KeyVersion): number {
  const number = Number(version)
  if (Number.isSafeInteger(number) && String(number) === String(version)) return number
  throw new TypeError(`version: ${describe(version)} is not a whole number, so there is none after it`)
}

/** Tags to invalidate: any number of what may be one. */
function namedTags(tags: Iterable<string>): string[] {
  return [...new Set(checkSeveral(tags, 'tags'))].flatMap((tag) => checkTags([tag]))
}
