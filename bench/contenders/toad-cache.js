// @ts-check
/** Its LRU over a `Map`, as the others are. */
import { LruMap } from 'toad-cache'

/**
 * @template V
 * @param {import('./contender.js').CacheSettings} settings
 * @returns {import('./contender.js').Cache<V>}
 */
export function create({ maxEntries, ttlMs }) {
  return /** @type {import('./contender.js').Cache<V>} */ (
    /** @type {unknown} */ (new LruMap(maxEntries, ttlMs ?? 0))
  )
}
