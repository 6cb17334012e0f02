// Invalidations that wait for the end of a transaction. Deleted before the transaction commits, a key is loaded again with
// what the database still says, and nothing deletes it a second time; so what a change invalidates is noted while it runs
// and done when it is over.
//
// It is done when the change failed, too: a connection that broke during a commit leaves open whether it took place. An
// invalidation too many costs a load.

import type { Cache, ClearOptions, KeyOptions } from './cache.ts'
import { describe } from './duration.ts'
import type { Key } from './key.ts'

/** Notes what is to be invalidated when a change is over. Each may be called any number of times; nothing is awaited. */
export interface LaterInvalidations {
  /** As `cache.delete`, for one key. */
  delete(key: Key, options?: KeyOptions): void
  /** As `cache.expire`. */
  expire(key: Key, options?: KeyOptions): void
  /** As `cache.deleteTags`. */
  deleteTags(tags: Iterable<string>): void
  /** As `cache.expireTags`. */
  expireTags(tags: Iterable<string>): void
  /** As `cache.clear`. */
  clear(options?: ClearOptions): void
}

/** Runs `change`, then what it noted; see `Cache.invalidateAfter`. */
export async function invalidateAfter<R>(
  cache: Pick<Cache, 'clear' | 'delete' | 'deleteTags' | 'expire' | 'expireTags'>,
  change: (later: LaterInvalidations) => R | PromiseLike<R>,
): Promise<R> {
  if (typeof change !== 'function') throw new TypeError(`change: ${describe(change)} is not a function`)
  const noted: (() => Promise<unknown>)[] = []
  let isOver = false
  const note = (invalidate: () => Promise<unknown>): void => {
    if (isOver) throw new TypeError('invalidateAfter: the change is over, so nothing waits for it any more')
    noted.push(invalidate)
  }
  const later: LaterInvalidations = {
    delete: (key, options) => note(() => cache.delete(key, options)),
    expire: (key, options) => note(() => cache.expire(key, options)),
    deleteTags: (tags) => note(() => cache.deleteTags(tags)),
    expireTags: (tags) => note(() => cache.expireTags(tags)),
    clear: (options) => note(() => cache.clear(options)),
  }
  const settle = async (): Promise<void> => {
    isOver = true
    const outcomes = await Promise.allSettled(noted.map((invalidate) => invalidate()))
    const failed = outcomes.find((outcome) => outcome.status === 'rejected')
    if (failed !== undefined) throw failed.reason
  }
  let result: R
  try {
    result = await change(later)
  } catch (error) {
    // What the change failed with says more than that the cache failed, too.
    await settle().catch(() => {})
    throw error
  }
  await settle()
  return result
}
