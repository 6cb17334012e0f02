// What a cache and a call can be told, and how that is checked: once, where it enters, into readonly
// objects without optionals. A tier's and a bus's own options are in their files.

import { type Clock, systemClock } from './clock.ts'
import { type Duration, describe, toMs } from './duration.ts'
import type { Lifetime } from './entry.ts'
import type { KeyVersion } from './key.ts'
import { type Random, systemRandom } from './random.ts'

/** Times that a cache gives to its entries, and that a call may give to one. */
export interface LifetimeOptions {
  /**
   * How long a value is fresh after it is written: milliseconds, or text such as `'5m'`.
   *
   * @defaultValue none: the cache or the call must name it. `null` is for ever, `0` stores nothing.
   */
  ttl?: Duration | null

  /**
   * How long after `ttl` a stale value may be returned at once by `getOrSet`, while one refresh runs
   * behind it. Source: RFC 5861 section 3, applied to any value.
   *
   * @defaultValue `0`, never on this ground.
   */
  staleWhileRevalidate?: Duration

  /**
   * How long after `ttl` a stale value may be returned by `getOrSet` because the loader failed.
   * Source: RFC 5861 section 4.
   *
   * @defaultValue `0`, never on this ground.
   */
  staleIfError?: Duration

  /**
   * When `getOrSet` renews a value that is still fresh, behind the answer: after this share of its `ttl`, or with
   * `{ beta }` by chance, the more likely the longer the last load took and the nearer the end is (XFetch; a `beta`
   * of 1 is the usual choice, more is earlier). Tiers are asked first whether another process has renewed it. Nothing
   * is renewed that nobody asks for. Source of XFetch: Vattani, Chierichetti, Lowenstein, "Optimal Probabilistic
   * Cache Stampede Prevention", VLDB 2015.
   *
   * @defaultValue `null`, never before the end
   */
  refreshAhead?: RefreshAhead | null

  /**
   * The largest share of `ttl` that is taken off at random when a value is written, so that values written together
   * do not end together. Nothing is ever added. From 0 to less than 1.
   *
   * @defaultValue `0`
   */
  jitter?: number
}

/** A share of `ttl`, more than 0 and less than 1; or how eager XFetch is, more than 0 and at most 100. */
export type RefreshAhead = number | { readonly beta: number }

/** What one call may say differently from its cache. */
export interface CallOptions extends LifetimeOptions {
  /**
   * The key version this call is about; see `CacheOptions.version`.
   *
   * @defaultValue the cache's.
   */
  version?: KeyVersion

  /**
   * What the value is about: `cache.expireTags` and `cache.deleteTags` invalidate every entry that carries one of
   * their tags. At most 64, each of 1 to 256 bytes of UTF-8. A loader can name them too, with `setTags`.
   *
   * @defaultValue none
   */
  tags?: readonly string[]
}

/** Limits of a load, for a cache or for one `getOrSet`. */
export interface LoadLimits {
  /**
   * How long the loader may take. When it is over, the loader's signal fires, and the call rejects with
   * `CACHE_LOAD_TIMEOUT` unless a stale value may serve. Who waits for a load that another caller began waits no
   * longer than this either, and does not join one that has been running for longer.
   *
   * @defaultValue `null`, no limit
   */
  loadTimeout?: Duration | null

  /**
   * How long a caller waits for a load when a stale value is there that `staleIfError` allows. When it is over the
   * caller gets that; the load goes on, and its value is stored.
   *
   * @defaultValue `null`: until `loadTimeout`
   */
  softLoadTimeout?: Duration | null

  /**
   * For how long after a load failed its key is not loaded again for callers who have something else to go on with:
   * a stale value that `staleIfError` or `staleWhileRevalidate` allows, or their `fallback`. Others load.
   *
   * @defaultValue `1_000` milliseconds; `0` tries again with each call
   */
  failureThrottle?: Duration

  /**
   * How long a process may keep other processes from loading the key it is loading: they wait for what it loads, and no
   * longer than this or `loadTimeout`. Choose it somewhat longer than a load takes; one that takes longer is begun
   * again elsewhere. Costs three calls of the authority for each load; nothing where no authority keeps entries.
   *
   * @defaultValue `null`: each process loads for itself
   */
  loadLease?: Duration | null
}

/** What one `getOrSet` may say differently from its cache. */
export interface LoadOptions<V = unknown> extends CallOptions, LoadLimits {
  /**
   * What is returned, and not stored, when the load fails and no stale value may serve.
   *
   * @defaultValue `undefined`, which is none: the call rejects with what the loader threw
   */
  fallback?: V | undefined

  /**
   * `true` loads whatever is there, and whatever is being loaded already: only a load that began after the call
   * answers. Other processes keep their copies; to reach those, `delete` the key.
   *
   * @defaultValue `false`
   */
  forceFresh?: boolean

  /** See `ReadOptions.skip`. With `'tiers'` what is loaded is kept in L1 alone. */
  skip?: Skip
}

/**
 * What a read passes by: `'copies'` are L1 and every tier nearer than the one that orders (without one, all but the
 * farthest); `'tiers'` is everything but L1.
 */
export type Skip = 'copies' | 'tiers'

/** A call's options, checked and complete. */
export interface ResolvedCall {
  /** `undefined` when neither the cache nor the call named a `ttl`; reading does not need one. */
  readonly lifetime: Lifetime | undefined
  readonly staleWhileRevalidateMs: number
  readonly staleIfErrorMs: number
  /** `Infinity` for no limit. */
  readonly loadTimeoutMs: number
  /** `Infinity` for none. */
  readonly softLoadTimeoutMs: number
  readonly failureThrottleMs: number
  /** `0` for none. */
  readonly loadLeaseMs: number
  readonly refreshAhead: RefreshAhead | undefined
  readonly jitter: number
  /** `undefined` for none. */
  readonly fallback: unknown
  readonly tags: readonly string[]
  readonly isForced: boolean
  readonly skip: Skip | undefined
}

const callOptionNames = [
  'failureThrottle',
  'fallback',
  'forceFresh',
  'jitter',
  'loadLease',
  'loadTimeout',
  'refreshAhead',
  'skip',
  'softLoadTimeout',
  'staleIfError',
  'staleWhileRevalidate',
  'tags',
  'ttl',
  'version',
]

/** Names of what a cache and a namespace say of all their calls. */
export const lifetimeOptionNames: readonly string[] = [
  'failureThrottle',
  'jitter',
  'loadLease',
  'loadTimeout',
  'refreshAhead',
  'softLoadTimeout',
  'staleIfError',
  'staleWhileRevalidate',
  'ttl',
]

const noTags: readonly string[] = []
const MOST_TAGS = 64
const LONGEST_TAG_BYTES = 256
const DEFAULT_FAILURE_THROTTLE_MS = 1_000

/** What holds where neither a cache nor a call says anything. */
const nothingSaid: ResolvedCall = {
  lifetime: undefined,
  staleWhileRevalidateMs: 0,
  staleIfErrorMs: 0,
  loadTimeoutMs: Number.POSITIVE_INFINITY,
  softLoadTimeoutMs: Number.POSITIVE_INFINITY,
  failureThrottleMs: DEFAULT_FAILURE_THROTTLE_MS,
  loadLeaseMs: 0,
  refreshAhead: undefined,
  jitter: 0,
  fallback: undefined,
  tags: noTags,
  isForced: false,
  skip: undefined,
}

/**
 * Puts a call's options over the cache's.
 *
 * @throws TypeError or RangeError with the option's name, the value and the rule.
 */
export function resolveCall(defaults: ResolvedCall, options: LoadOptions | undefined): ResolvedCall {
  if (options === undefined) return defaults
  checkNames(options, callOptionNames, 'options')
  const staleWhileRevalidateMs =
    options.staleWhileRevalidate === undefined
      ? defaults.staleWhileRevalidateMs
      : toMs(options.staleWhileRevalidate, 'staleWhileRevalidate')
  const staleIfErrorMs =
    options.staleIfError === undefined ? defaults.staleIfErrorMs : toMs(options.staleIfError, 'staleIfError')
  const ttlMs = options.ttl === undefined ? defaults.lifetime?.ttlMs : ttlMsOf(options.ttl)
  const { failureThrottle, fallback, forceFresh, jitter, loadLease, loadTimeout } = options
  const { refreshAhead, softLoadTimeout } = options
  return {
    lifetime: ttlMs === undefined ? undefined : { ttlMs, staleWhileRevalidateMs, staleIfErrorMs },
    staleWhileRevalidateMs,
    staleIfErrorMs,
    loadTimeoutMs:
      loadTimeout === undefined ? defaults.loadTimeoutMs : patienceMsOf(loadTimeout, 'loadTimeout'),
    softLoadTimeoutMs:
      softLoadTimeout === undefined
        ? defaults.softLoadTimeoutMs
        : patienceMsOf(softLoadTimeout, 'softLoadTimeout'),
    failureThrottleMs:
      failureThrottle === undefined ? defaults.failureThrottleMs : toMs(failureThrottle, 'failureThrottle'),
    loadLeaseMs:
      loadLease === undefined ? defaults.loadLeaseMs : loadLease === null ? 0 : toMs(loadLease, 'loadLease'),
    refreshAhead: refreshAhead === undefined ? defaults.refreshAhead : checkRefreshAhead(refreshAhead),
    jitter: jitter === undefined ? defaults.jitter : checkJitter(jitter),
    fallback,
    tags: options.tags === undefined ? noTags : checkTags(options.tags),
    isForced: forceFresh === undefined ? defaults.isForced : checkFlag(forceFresh, 'forceFresh'),
    skip: checkSkip(options.skip),
  }
}

function patienceMsOf(limit: Duration | null, option: string): number {
  const ms = limitMsOf(limit, option)
  if (ms === 0) throw new RangeError(`${option}: 0 would let no loader finish; null is no limit`)
  return ms
}

function checkRefreshAhead(value: unknown): RefreshAhead | undefined {
  if (value === null) return undefined
  if (typeof value === 'number') {
    if (value > 0 && value < 1) return value
    throw new RangeError(`refreshAhead: ${value} is no share of ttl; it must be more than 0 and less than 1`)
  }
  if (typeof value !== 'object') {
    throw new TypeError(`refreshAhead: ${describe(value)} is neither a share of ttl nor { beta }`)
  }
  checkNames(value, ['beta'], 'refreshAhead')
  const { beta } = value as { beta?: unknown }
  if (typeof beta !== 'number') throw new TypeError(`refreshAhead.beta: ${describe(beta)} is not a number`)
  if (!(beta > 0 && beta <= 100)) {
    throw new RangeError(`refreshAhead.beta: ${beta} must be more than 0 and at most 100; 1 is usual`)
  }
  return { beta }
}

function checkJitter(value: unknown): number {
  if (typeof value !== 'number') throw new TypeError(`jitter: ${describe(value)} is not a number`)
  if (!(value >= 0 && value < 1)) {
    throw new RangeError(`jitter: ${value} is no share of ttl; it must be 0 or more and less than 1`)
  }
  return value
}

/** Refuses what is neither `true` nor `false`, with a TypeError. */
export function checkFlag(value: unknown, option: string): boolean {
  if (typeof value !== 'boolean')
    throw new TypeError(`${option}: ${describe(value)} is neither true nor false`)
  return value
}

/**
 * Refuses what a read cannot pass by.
 *
 * @throws TypeError.
 */
export function checkSkip(value: unknown): Skip | undefined {
  if (value === undefined || value === 'copies' || value === 'tiers') return value
  throw new TypeError(`skip: ${describe(value)} is neither 'copies' nor 'tiers'`)
}

/**
 * Refuses what are no tags; doubles are one.
 *
 * @throws TypeError or RangeError with the tag and the rule.
 */
export function checkTags(value: unknown): readonly string[] {
  if (!Array.isArray(value)) throw new TypeError(`tags: ${describe(value)} is not an array of strings`)
  const tags = [...new Set(value as readonly unknown[])]
  for (const tag of tags) {
    if (typeof tag !== 'string') throw new TypeError(`tags: ${describe(tag)} is not a string`)
    if (!tag.isWellFormed()) throw new TypeError(`tags: ${describe(tag)} is not well-formed Unicode`)
    const bytes = new TextEncoder().encode(tag).length
    if (bytes === 0 || bytes > LONGEST_TAG_BYTES) {
      throw new RangeError(
        `tags: ${describe(tag)} has ${bytes} bytes of UTF-8; it must have 1 to ${LONGEST_TAG_BYTES}`,
      )
    }
  }
  if (tags.length > MOST_TAGS)
    throw new RangeError(`tags: ${tags.length} are too many for one entry; the limit is ${MOST_TAGS}`)
  return tags as readonly string[]
}

/**
 * The times of what a call stores.
 *
 * @throws TypeError when neither the cache nor the call named a ttl.
 */
export function lifetimeOf(call: ResolvedCall): Lifetime {
  if (call.lifetime === undefined) {
    throw new TypeError(
      "ttl: neither the cache nor this call names one; give createCache or the call a ttl such as '5m', or null for entries that never expire",
    )
  }
  return call.lifetime
}

/** The defaults of a cache, from its own options. */
export function resolveDefaults(options: LifetimeOptions & LoadLimits): ResolvedCall {
  const { failureThrottle, jitter, loadLease, loadTimeout, refreshAhead } = options
  const { softLoadTimeout, staleIfError, staleWhileRevalidate, ttl } = options
  return resolveCall(nothingSaid, {
    ...(failureThrottle === undefined ? {} : { failureThrottle }),
    ...(jitter === undefined ? {} : { jitter }),
    ...(loadLease === undefined ? {} : { loadLease }),
    ...(loadTimeout === undefined ? {} : { loadTimeout }),
    ...(refreshAhead === undefined ? {} : { refreshAhead }),
    ...(softLoadTimeout === undefined ? {} : { softLoadTimeout }),
    ...(staleIfError === undefined ? {} : { staleIfError }),
    ...(staleWhileRevalidate === undefined ? {} : { staleWhileRevalidate }),
    ...(ttl === undefined ? {} : { ttl }),
  })
}

/** A `ttl` in milliseconds, where `null` is for ever. */
export function ttlMsOf(ttl: Duration | null): number {
  return limitMsOf(ttl, 'ttl')
}

function limitMsOf(limit: Duration | null, option: string): number {
  return limit === null ? Number.POSITIVE_INFINITY : toMs(limit, option)
}

/**
 * Refuses options that are no object, and names that nobody reads: a misspelt option must not be one
 * that silently does nothing.
 *
 * @throws TypeError with the nearest name that exists.
 */
export function checkNames(
  options: unknown,
  names: readonly string[],
  what: string,
): asserts options is object {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw new TypeError(`${what}: ${describe(options)} is not an object with options`)
  }
  for (const name of Object.keys(options)) {
    if (names.includes(name)) continue
    const nearest = names.find((known) => isNear(known.toLowerCase(), name.toLowerCase()))
    const hint = nearest === undefined ? `it knows ${names.join(', ')}` : `did you mean ${nearest}?`
    throw new TypeError(`${what}: there is no option ${describe(name)}; ${hint}`)
  }
}

/**
 * Refuses what is not a whole number within bounds.
 *
 * @param usual - Taken for `undefined`, and for that alone: `null` may be meant as "no limit" by whoever writes it.
 * @throws TypeError or RangeError with the option's name, the value and the rule.
 */
export function checkCount(
  value: unknown,
  option: string,
  least: number,
  most: number,
  usual?: number,
): number {
  if (value === undefined && usual !== undefined) return usual
  if (typeof value !== 'number') throw new TypeError(`${option}: ${describe(value)} is not a number`)
  if (!Number.isInteger(value) || value < least || value > most) {
    throw new RangeError(`${option}: ${value} must be a whole number from ${least} to ${most}`)
  }
  return value
}

/**
 * Refuses what is not several of something: text is, of its characters, which nobody means.
 *
 * @throws TypeError.
 */
export function checkSeveral<T>(value: Iterable<T>, option: string): T[] {
  if (typeof value === 'string')
    throw new TypeError(`${option}: ${describe(value)} is one string, not several in an array`)
  if (typeof (value as Partial<Iterable<T>> | null | undefined)?.[Symbol.iterator] !== 'function')
    throw new TypeError(`${option}: ${describe(value)} is neither an array nor another iterable`)
  return [...value]
}

/**
 * Refuses options of a call that no call could have, whatever its cache.
 *
 * @throws TypeError or RangeError with the option's name, the value and the rule.
 */
export function checkCall(options: LoadOptions): void {
  resolveCall(nothingSaid, options)
}

/** Refuses what can not be called, with a TypeError. */
export function checkFunction(value: unknown, option: string): void {
  if (typeof value !== 'function') throw new TypeError(`${option}: ${describe(value)} is not a function`)
}

/**
 * Refuses a clock that is not one; `undefined` is the machine's.
 *
 * @throws TypeError.
 */
export function checkClock(value: unknown = systemClock): Clock {
  const clock = value as Partial<Clock> | null | undefined
  if (
    typeof clock?.now !== 'function' ||
    typeof clock.wallNow !== 'function' ||
    typeof clock.setTimer !== 'function'
  ) {
    throw new TypeError(`clock: ${describe(value)} has no now(), wallNow() and setTimer()`)
  }
  return clock as Clock
}

/**
 * Refuses a source of randomness that is not one; `undefined` is the machine's.
 *
 * @throws TypeError.
 */
export function checkRandom(value: unknown = systemRandom): Random {
  const random = value as Partial<Random> | null | undefined
  if (typeof random?.bytes !== 'function' || typeof random.next !== 'function') {
    throw new TypeError(`random: ${describe(value)} has no bytes() and next()`)
  }
  return random as Random
}

/** One slip of the fingers apart: a letter too many, too few, another one, or two exchanged. */
function isNear(left: string, right: string): boolean {
  if (Math.abs(left.length - right.length) > 1) return false
  let start = 0
  while (start < left.length && left[start] === right[start]) start++
  let leftEnd = left.length
  let rightEnd = right.length
  while (leftEnd > start && rightEnd > start && left[leftEnd - 1] === right[rightEnd - 1]) {
    leftEnd--
    rightEnd--
  }
  const swapped =
    leftEnd - start === 2 &&
    rightEnd - start === 2 &&
    left[start] === right[start + 1] &&
    left[start + 1] === right[start]
  return swapped || (leftEnd - start <= 1 && rightEnd - start <= 1)
}

/** Refuses what gives no bytes. */
export function checkStream(value: unknown, name: string): AsyncIterable<Uint8Array> | Iterable<Uint8Array> {
  const isObject = typeof value === 'object' && value !== null && !ArrayBuffer.isView(value)
  if (!isObject || !(Symbol.asyncIterator in value || Symbol.iterator in value)) {
    throw new TypeError(`${name}: ${describe(value)} is not an iterable of Uint8Arrays`)
  }
  return value as AsyncIterable<Uint8Array> | Iterable<Uint8Array>
}
