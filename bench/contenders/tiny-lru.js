// @ts-check
import { LRU } from 'tiny-lru'

/**
 * @template V
 * @param {import('./contender.js').CacheSettings} settings
 * @returns {import('./contender.js').Cache<V>}
 */
export function create({ maxEntries, ttlMs }) {
  return /** @type {import('./contender.js').Cache<V>} */ (
    /** @type {unknown} */ (new LRU(maxEntries, ttlMs ?? 0))
  )
}
