// Running a loader: with a signal, a place among `maxLoads`, and no longer than its limit. What it says through its
// context, about the value it brings, is collected here and decided upon in filling.ts.

import type { Clock } from '../clock.ts'
import { type Duration, describe } from '../duration.ts'
import { CacheError } from '../errors.ts'
import type { Key } from '../key.ts'
import { checkTags, ttlMsOf } from '../options.ts'
import type { Chain } from './chain.ts'
import type { LoadSlots } from './load-slots.ts'

const LONGEST_VALIDATOR_BYTES = 4_096
const noTags: readonly string[] = []

/** What a loader is given. */
export interface LoaderContext<V = unknown> {
  /** The key that is missing. */
  readonly key: Key
  /**
   * Fires when `loadTimeout` is over, with a `CACHE_LOAD_TIMEOUT` as its reason, or when the cache is closed, with
   * `CACHE_CLOSED`; pass it on to what you call.
   */
  readonly signal: AbortSignal
  /** The value from before, when a level still has it, stale or about to be; `undefined` when none has. */
  readonly stale: V | undefined
  /** The `etag` that a loader set for the value in `stale`, in this process or another one; `undefined` when none did. */
  readonly etag: string | undefined
  /** As `etag`, for the `lastModified` it set. */
  readonly lastModified: string | undefined

  /** Gives the value another `ttl` than the call says; `0` stores nothing. The last call counts. */
  setTtl(ttl: Duration | null): void
  /** Gives the value other tags than the call says. The last call counts. */
  setTags(tags: readonly string[]): void
  /**
   * Notes what the source says of the value's version, for the next loader of this key: it is stored with the value, in
   * every level, but with a codec that encrypts in L1 alone. Each at most 4,096 bytes of UTF-8; `null` is none. The last
   * call counts.
   */
  setValidators(validators: ValidatorsGiven): void
  /** Returns `value`; it reaches those who wait and is not stored. Use it as `return skip(value)`. */
  skip<T>(value: T): T
  /** Fails with `error`, as a `throw` would; the loader cannot take it back. */
  fail(error: unknown): never
  /**
   * Says that the value in `stale` is still the right one, so that it gets a new life with its validators and its tags,
   * to which those of the call come, unless other ones are set. Use it as `return notModified()`.
   *
   * @throws TypeError when there is no such value.
   */
  notModified(): never
}

/**
 * Produces a missing value.
 *
 * What it throws or rejects with reaches every caller who waits, unchanged. `undefined` is handed to
 * them and not stored; `null` is a value like any other.
 */
export type Loader<T, V = unknown> = (context: LoaderContext<V>) => T | PromiseLike<T>

/** What a loader may say of a value's version. */
export interface ValidatorsGiven {
  readonly etag?: string | null | undefined
  readonly lastModified?: string | null | undefined
}

/** What a source says of a value's version. */
export interface Validators {
  readonly etag: string | undefined
  readonly lastModified: string | undefined
}

/** What was known under a key before it was loaded. */
export interface Previous {
  readonly value: unknown
  readonly validators: Validators | undefined
  readonly tags: readonly string[]
}

/** What a loader brought. */
export interface Loaded {
  readonly value: unknown
  /** `undefined` when the loader said nothing about it. */
  readonly ttlMs: number | undefined
  /** `undefined` when the loader said nothing about them. */
  readonly tags: readonly string[] | undefined
  readonly validators: Validators | undefined
  /** Those of the value from before, where it is that one, beside those that the call names; else none. */
  readonly keptTags: readonly string[]
  /** The loader wants it stored nowhere. */
  readonly isSkipped: boolean
}

/** A load to run. */
export interface LoadRequest {
  readonly load: Loader<unknown>
  readonly key: Key
  readonly limitMs: number
  readonly previous: Previous | undefined
  /** Gets, while the load is under way, the function that ends it with an error. */
  readonly running: Chain<(error: unknown) => void>
}

/**
 * Calls the loader once there is a place for it, and waits for it, all in all at most `limitMs`.
 *
 * @throws What the loader throws; CacheError `CACHE_LOAD_TIMEOUT` when the limit is over; what `running` ends it
 *   with. What the loader does after that is ignored.
 */
export function runLoader(request: LoadRequest, slots: LoadSlots, clock: Clock): Promise<Loaded> {
  const { key, limitMs, running } = request
  // Made when it is asked for: to make one costs as much as all else here, and many loaders have no use for it.
  let abort: AbortController | undefined
  let end: { readonly reason: unknown } | undefined
  const signal = (): AbortSignal => {
    abort ??= new AbortController()
    if (end !== undefined) abort.abort(end.reason)
    return abort.signal
  }
  return new Promise<Loaded>((resolve, reject) => {
    let giveBack = (): void => {}
    const giveUp = (error: unknown): void => {
      // First, so that the waiting ends with this error and not with the loader's own answer to the signal.
      settle(() => reject(error))
      end = { reason: error }
      abort?.abort(error)
    }
    const timer =
      limitMs === Number.POSITIVE_INFINITY
        ? undefined
        : clock.setTimer(() => giveUp(timeoutOf(key, `the loader took longer than ${limitMs} ms`)), limitMs)
    let isSettled = false
    const settle = (how: () => void): void => {
      if (isSettled) return
      isSettled = true
      timer?.cancel()
      running.remove(place)
      giveBack()
      how()
    }
    const place = running.add(giveUp)
    const start = (): void => {
      call(request, signal).then(
        (loaded) => settle(() => resolve(loaded)),
        (error) => settle(() => reject(error)),
      )
    }
    giveBack = slots.take(start)
  })
}

/** The error of whoever waited longer than `loadTimeout`. */
export function timeoutOf(key: Key, what: string): CacheError {
  return new CacheError('CACHE_LOAD_TIMEOUT', `${what} (loadTimeout)`, { key })
}

/**
 * Refuses what is no validator.
 *
 * @throws TypeError or RangeError.
 */
function checkValidator(value: unknown, name: string): string | undefined {
  if (value === undefined || value === null) return undefined
  if (typeof value !== 'string') throw new TypeError(`${name}: ${describe(value)} is not a string`)
  const bytes = new TextEncoder().encode(value).length
  if (bytes <= LONGEST_VALIDATOR_BYTES) return value
  throw new RangeError(`${name}: ${bytes} bytes of UTF-8 are more than ${LONGEST_VALIDATOR_BYTES}`)
}

/** Rejects where the loader throws, too. */
async function call({ load, key, previous }: LoadRequest, signal: () => AbortSignal): Promise<Loaded> {
  let ttlMs: number | undefined
  let tags: readonly string[] | undefined
  let validators: Validators | undefined
  let isSkipped = false
  let isUnmodified = false
  let failure: { readonly error: unknown } | undefined
  const context: LoaderContext = {
    key,
    get signal() {
      return signal()
    },
    stale: previous?.value,
    etag: previous?.validators?.etag,
    lastModified: previous?.validators?.lastModified,
    setTtl(ttl) {
      ttlMs = ttlMsOf(ttl)
    },
    setTags(named) {
      tags = checkTags(named)
    },
    setValidators({ etag, lastModified }) {
      validators = {
        etag: checkValidator(etag, 'etag'),
        lastModified: checkValidator(lastModified, 'lastModified'),
      }
    },
    skip(value) {
      isSkipped = true
      return value
    },
    fail(error) {
      failure = { error }
      throw error
    },
    notModified() {
      if (previous === undefined) {
        throw new TypeError('notModified: there is no value from before; look at `stale` first')
      }
      isUnmodified = true
      return previous.value as never
    },
  }
  let value = await load(context)
  if (failure !== undefined) throw (failure as { readonly error: unknown }).error
  if (isUnmodified) {
    value = previous?.value
    validators ??= previous?.validators
  }
  const keptTags = isUnmodified ? (previous?.tags ?? noTags) : noTags
  return { value, ttlMs, tags, validators, keptTags, isSkipped }
}
