// @ts-check
/**
 * quick-lru keeps two generations of `maxSize` entries each, so it may hold twice as many as the others. It gets the
 * same `maxSize`, as its users would give it, and its hit ratio shows what the difference is worth.
 */
import QuickLRU from 'quick-lru'

/**
 * @template V
 * @param {import('./contender.js').CacheSettings} settings
 * @returns {import('./contender.js').Cache<V>}
 */
export function create({ maxEntries }) {
  return new QuickLRU({ maxSize: maxEntries })
}
