// Running a loader: with a signal, and no longer than its limit.

import type { Clock } from '../clock.ts'
import { CacheError } from '../errors.ts'
import type { Key } from '../key.ts'

/** What a loader is given. */
export interface LoaderContext {
  /** The key that is missing. */
  readonly key: Key
  /** Fires when `loadTimeout` is over, with a `CACHE_LOAD_TIMEOUT` as its reason; pass it on to what you call. */
  readonly signal: AbortSignal
}

/**
 * Produces a missing value.
 *
 * What it throws or rejects with reaches every caller who waits, unchanged. `undefined` is handed to
 * them and not stored; `null` is a value like any other.
 */
export type Loader<V> = (context: LoaderContext) => V | PromiseLike<V>

/**
 * Calls `load` and waits for it, at most `limitMs`.
 *
 * @throws What the loader throws; CacheError `CACHE_LOAD_TIMEOUT` when the limit is over. What the loader
 *   does after that is ignored.
 */
export function runLoader<V>(load: Loader<V>, key: Key, limitMs: number, clock: Clock): Promise<V> {
  const abort = new AbortController()
  return new Promise<V>((resolve, reject) => {
    const timer =
      limitMs === Number.POSITIVE_INFINITY
        ? undefined
        : clock.setTimer(() => {
            const error = new CacheError(
              'CACHE_LOAD_TIMEOUT',
              `the loader took longer than ${limitMs} ms (loadTimeout)`,
              { key },
            )
            // First, so that the waiting ends with this error and not with the loader's own answer to the signal.
            reject(error)
            abort.abort(error)
          }, limitMs)
    const settled = () => timer?.cancel()
    try {
      Promise.resolve(load({ key, signal: abort.signal }))
        .then(resolve, reject)
        .finally(settled)
    } catch (error) {
      settled()
      reject(error)
    }
  })
}
