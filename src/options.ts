// What a cache and a call can be told, and how that is checked: once, where it enters, into readonly
// objects without optionals. A tier's and a bus's own options are in their files.

import type { Clock } from './clock.ts'
import { type Duration, describe, toMs } from './duration.ts'
import type { Lifetime } from './entry.ts'
import type { KeyVersion } from './key.ts'
import type { Random } from './random.ts'

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
}

/** What one call may say differently from its cache. */
export interface CallOptions extends LifetimeOptions {
  /**
   * The key version this call is about; see `CacheOptions.version`.
   *
   * @defaultValue the cache's.
   */
  version?: KeyVersion
}

/** What one `getOrSet` may say differently from its cache. */
export interface LoadOptions extends CallOptions {
  /**
   * How long the loader may take. When it is over, the loader's signal fires, and the call rejects with
   * `CACHE_LOAD_TIMEOUT` unless a stale value may serve.
   *
   * @defaultValue the cache's `loadTimeout`; `null` is no limit.
   */
  loadTimeout?: Duration | null
}

/** A call's options, checked and complete. */
export interface ResolvedCall {
  /** `undefined` when neither the cache nor the call named a `ttl`; reading does not need one. */
  readonly lifetime: Lifetime | undefined
  readonly staleWhileRevalidateMs: number
  readonly staleIfErrorMs: number
  /** `Infinity` for no limit. */
  readonly loadTimeoutMs: number
}

const callOptionNames = ['loadTimeout', 'staleIfError', 'staleWhileRevalidate', 'ttl', 'version']

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
  return {
    lifetime: ttlMs === undefined ? undefined : { ttlMs, staleWhileRevalidateMs, staleIfErrorMs },
    staleWhileRevalidateMs,
    staleIfErrorMs,
    loadTimeoutMs:
      options.loadTimeout === undefined ? defaults.loadTimeoutMs : loadTimeoutMsOf(options.loadTimeout),
  }
}

function loadTimeoutMsOf(loadTimeout: Duration | null): number {
  const ms = limitMsOf(loadTimeout, 'loadTimeout')
  if (ms === 0) throw new RangeError('loadTimeout: 0 would let no loader finish; null is no limit')
  return ms
}

/** The defaults of a cache, from its own options. */
export function resolveDefaults(options: LifetimeOptions & { loadTimeout?: Duration | null }): ResolvedCall {
  const { loadTimeout, staleIfError, staleWhileRevalidate, ttl } = options
  const nothing: ResolvedCall = {
    lifetime: undefined,
    staleWhileRevalidateMs: 0,
    staleIfErrorMs: 0,
    loadTimeoutMs: Number.POSITIVE_INFINITY,
  }
  return resolveCall(nothing, {
    ...(loadTimeout === undefined ? {} : { loadTimeout }),
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
 * @throws TypeError or RangeError with the option's name, the value and the rule.
 */
export function checkCount(value: unknown, option: string, least: number, most: number): number {
  if (typeof value !== 'number') throw new TypeError(`${option}: ${describe(value)} is not a number`)
  if (!Number.isInteger(value) || value < least || value > most) {
    throw new RangeError(`${option}: ${value} must be a whole number from ${least} to ${most}`)
  }
  return value
}

/**
 * Refuses a clock that is not one.
 *
 * @throws TypeError.
 */
export function checkClock(value: unknown): Clock {
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
 * Refuses a source of randomness that is not one.
 *
 * @throws TypeError.
 */
export function checkRandom(value: unknown): Random {
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
