// One cache as Django's code knows it: Django's methods, timeouts in seconds, any key turned into a string. It has no
// storage and no rule of its own beyond that; every call ends in the same `Cache` that everything else uses.

import type { Cache } from '../cache.ts'
import { describe } from '../duration.ts'
import { CacheError } from '../errors.ts'
import type { KeyVersion } from '../key.ts'
import { type CacheKeyWarning, KeyNotFoundError } from './errors.ts'
import { keyWarnings } from './keys.ts'
import type { Settings } from './settings.ts'

/** What makes a whole key of a key, the prefix and the version. */
export type KeyFunction = (key: string, keyPrefix: string, version: number | string) => string

/** What is a key: it is turned into a string, so `5` and `'5'` are one. */
export type DjangoKey = string | number | bigint | boolean

/** Which version of a key a call is about. */
export interface VersionOption {
  /** @defaultValue the alias's `VERSION` */
  version?: number | string
}

/** How long an entry lives, and which version it is. */
export interface TimeoutOption extends VersionOption {
  /**
   * Seconds, also parts of one; `null` is for ever; zero or less does not store, and removes what is there.
   *
   * @defaultValue the alias's `TIMEOUT`
   */
  timeout?: number | null
}

/** What an alias is made of; `configureCaches` makes it. */
export interface DjangoCacheParts {
  readonly cache: Cache
  readonly settings: Settings
  readonly keyFunction: KeyFunction | undefined
  /** The backend's own rule for whole keys; it throws. */
  readonly validateKey: ((whole: string) => void) | undefined
  /** Clears whatever the store holds, of all prefixes that are configured. */
  clearStore(): Promise<void>
  warn(warning: CacheKeyWarning): void
}

/**
 * Django's low-level cache API. Methods are asynchronous; names are Django's in camel case. Absent is `undefined`, and
 * `null` is a value.
 */
export class DjangoCache {
  readonly #cache: Cache
  readonly #settings: Settings
  readonly #keyFunction: KeyFunction | undefined
  readonly #parts: DjangoCacheParts

  /** @internal Use `configureCaches`. */
  constructor(parts: DjangoCacheParts) {
    this.#cache = parts.cache
    this.#settings = parts.settings
    this.#keyFunction = parts.keyFunction
    this.#parts = parts
  }

  /** The cache underneath, with all that Django has no name for: tags, stale values, events, figures. */
  get cache(): Cache {
    return this.#cache
  }

  /** Seconds an entry lives when a call does not say; `null` is for ever. */
  get defaultTimeout(): number | null {
    return this.#settings.timeout ?? null
  }

  get version(): number | string {
    return this.#settings.version
  }

  get keyPrefix(): string {
    return this.#settings.keyPrefix
  }

  /** The whole key under which Django would store `key`. */
  makeKey(key: DjangoKey, version: number | string = this.#settings.version): string {
    const text = textOf(key)
    const { keyPrefix } = this.#settings
    return this.#keyFunction === undefined
      ? `${keyPrefix}:${version}:${text}`
      : this.#keyFunction(text, keyPrefix, version)
  }

  /**
   * Warns of a whole key that memcached could not take, unless the backend has a rule of its own.
   *
   * @throws InvalidCacheKey instead, when the backend is memcached, also under a first level.
   */
  validateKey(whole: string): void {
    if (this.#parts.validateKey !== undefined) this.#parts.validateKey(whole)
    else for (const warning of keyWarnings(whole)) this.#parts.warn(warning)
  }

  /** The value of `key`, or `fallback`. A stored `null` is a value. */
  async get(key: DjangoKey, fallback?: unknown, options?: VersionOption): Promise<unknown> {
    const [own, at] = this.#place(key, options)
    const value = await this.#cache.get(own, at)
    return value === undefined ? fallback : value
  }

  /** Stores `value`. Resolves to whether it is stored: `false` for a timeout of zero or less. */
  async set(key: DjangoKey, value: unknown, options?: TimeoutOption): Promise<boolean> {
    const [own, at] = this.#place(key, options)
    return this.#cache.set(own, value, { ...at, ttl: this.#ttlOf(options) })
  }

  /** Stores `value` if nothing is there. Resolves to whether nothing was. */
  async add(key: DjangoKey, value: unknown, options?: TimeoutOption): Promise<boolean> {
    const [own, at] = this.#place(key, options)
    return this.#cache.add(own, value, { ...at, ttl: this.#ttlOf(options) })
  }

  /** Gives an entry a new timeout. Resolves to whether there was one. */
  async touch(key: DjangoKey, options?: TimeoutOption): Promise<boolean> {
    const [own, at] = this.#place(key, options)
    return this.#cache.touch(own, { ...at, ttl: this.#ttlOf(options) })
  }

  /** Removes an entry. Resolves to whether there was one. */
  async delete(key: DjangoKey, options?: VersionOption): Promise<boolean> {
    const [own, at] = this.#place(key, options)
    return this.#cache.delete(own, at)
  }

  /** Whether there is an entry; a stored `null` is one. */
  async has(key: DjangoKey, options?: VersionOption): Promise<boolean> {
    const [own, at] = this.#place(key, options)
    return this.#cache.has(own, at)
  }

  /** Django's name of `has`. */
  hasKey(key: DjangoKey, options?: VersionOption): Promise<boolean> {
    return this.has(key, options)
  }

  /**
   * The value of `key`; where there is none, `value`, or what it resolves to if it is a function, which is stored. One
   * such function runs at a time for each key.
   */
  async getOrSet(key: DjangoKey, value: unknown, options?: TimeoutOption): Promise<unknown> {
    if (value === undefined)
      throw new TypeError('value: getOrSet needs a value, or a function that makes one')
    const [own, at] = this.#place(key, options)
    const load = typeof value === 'function' ? () => value() : () => value
    return this.#cache.getOrSet(own, load, { ...at, ttl: this.#ttlOf(options) })
  }

  /** The values that are there, by the caller's own keys, in their order. */
  async getMany<K extends DjangoKey>(keys: Iterable<K>, options?: VersionOption): Promise<Map<K, unknown>> {
    const asked = [...keys].map((key) => [key, ...this.#place(key, options)] as const)
    const [, , at = {}] = asked[0] ?? []
    const values = await this.#cache.getMany(
      asked.map(([, own]) => own),
      at,
    )
    const found = new Map<K, unknown>()
    for (const [key, own] of asked) if (values.has(own)) found.set(key, values.get(own))
    return found
  }

  /** Stores many values with one timeout. Resolves to the keys that could not be stored. */
  async setMany<K extends DjangoKey>(
    values: Iterable<readonly [K, unknown]> | Readonly<Record<string, unknown>>,
    options?: TimeoutOption,
  ): Promise<(K | string)[]> {
    const pairs: Iterable<readonly [K | string, unknown]> =
      Symbol.iterator in values ? (values as Iterable<readonly [K, unknown]>) : Object.entries(values)
    const own = new Map<string, K | string>()
    const writes = new Map<string, unknown>()
    let at: { version?: KeyVersion } = {}
    for (const [key, value] of pairs) {
      const [place, version] = this.#place(key, options)
      own.set(place, key)
      writes.set(place, value)
      at = version
    }
    const { failed } = await this.#cache.setMany(writes, { ...at, ttl: this.#ttlOf(options) })
    return failed.map((place) => own.get(String(place)) as K | string)
  }

  /**
   * Removes many entries. Resolves to how many there were.
   *
   * @throws CacheError `CACHE_TIER_FAILED` when the backend did not remove all of them.
   */
  async deleteMany(keys: Iterable<DjangoKey>, options?: VersionOption): Promise<number> {
    const places = [...keys].map((key) => this.#place(key, options))
    const { deleted, failed } = await this.#cache.deleteMany(
      places.map(([own]) => own),
      places[0]?.[1] ?? {},
    )
    if (failed.length === 0) return deleted
    throw new CacheError(
      'CACHE_TIER_FAILED',
      `deleteMany: ${failed.length} of ${places.length} keys are there yet`,
    )
  }

  /** Adds to an integer, in one step; its timeout stays. Throws KeyNotFoundError when it is not there. */
  incr(key: DjangoKey, delta: number = 1, options?: VersionOption): Promise<number> {
    return this.#orNotFound(key, options, ([own, at]) => this.#cache.incr(own, delta, at))
  }

  /** As `incr`, with `-delta`. */
  decr(key: DjangoKey, delta: number = 1, options?: VersionOption): Promise<number> {
    return this.incr(key, -delta, options)
  }

  /**
   * Moves an entry to the version `delta` higher and resolves to that; its timeout stays. Throws KeyNotFoundError when
   * it is not there. In one step, unless the alias has a KEY_FUNCTION: what that makes of a version nobody can order.
   */
  async incrVersion(key: DjangoKey, delta: number = 1, options?: VersionOption): Promise<number> {
    const version = Number(options?.version ?? this.#settings.version)
    if (this.#keyFunction === undefined) {
      return this.#orNotFound(key, options, ([own, at]) => this.#cache.incrVersion(own, delta, at))
    }
    const [from] = this.#place(key, { version })
    const [to] = this.#place(key, { version: version + delta })
    const ttl = await this.#cache.ttl(from)
    const value = ttl === undefined ? undefined : await this.#cache.pull(from)
    if (value === undefined || ttl === undefined) throw notFound(this.makeKey(key, version))
    await this.#cache.set(to, value, { ttl })
    return version + delta
  }

  /** As `incrVersion`, with `-delta`. */
  decrVersion(key: DjangoKey, delta: number = 1, options?: VersionOption): Promise<number> {
    return this.incrVersion(key, -delta, options)
  }

  /**
   * Removes what is stored under the alias's KEY_PREFIX, in all versions. With `all` whatever the store holds, for any
   * alias here and elsewhere, as Django's `clear` does; on Redis and Memcached whatever its keyspace holds.
   */
  async clear(options?: { readonly all?: boolean }): Promise<void> {
    if (options?.all === true) await this.#parts.clearStore()
    else await this.#cache.clear()
  }

  /** Does nothing, as with most of Django's backends: requests end more often than connections. See `caches.closeAll`. */
  async close(): Promise<void> {}

  /** The key and the version under which the store knows a key of the caller. */
  #place(key: DjangoKey, options: VersionOption | undefined): [string, { version?: KeyVersion }] {
    const version = options?.version ?? this.#settings.version
    const whole = this.makeKey(key, version)
    this.validateKey(whole)
    return this.#keyFunction === undefined ? [textOf(key), { version }] : [whole, {}]
  }

  #ttlOf(options: TimeoutOption | undefined): number | null {
    const timeout = options?.timeout === undefined ? this.defaultTimeout : options.timeout
    if (timeout === null) return null
    if (typeof timeout !== 'number' || Number.isNaN(timeout)) {
      throw new TypeError(`timeout: ${describe(timeout)} is no number of seconds; null is for ever`)
    }
    return timeout === Number.POSITIVE_INFINITY ? null : Math.max(timeout, 0) * 1_000
  }

  async #orNotFound<T>(
    key: DjangoKey,
    options: VersionOption | undefined,
    call: (place: [string, { version?: KeyVersion }]) => Promise<T>,
  ): Promise<T> {
    try {
      return await call(this.#place(key, options))
    } catch (error) {
      if (!(error instanceof CacheError) || error.code !== 'CACHE_NOT_FOUND') throw error
      throw notFound(this.makeKey(key, options?.version))
    }
  }
}

function notFound(whole: string): KeyNotFoundError {
  return new KeyNotFoundError(`Key '${whole}' not found`)
}

function textOf(key: unknown): string {
  if (typeof key === 'string') return key
  if (typeof key === 'number' || typeof key === 'bigint' || typeof key === 'boolean') return String(key)
  throw new TypeError(`key: ${describe(key)} is neither text nor a number`)
}
