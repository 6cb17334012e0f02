// @ts-check
import { LRUCache } from 'lru-cache'

/**
 * @template {{}} V
 * @param {import('./contender.js').CacheSettings} settings
 * @returns {import('./contender.js').Cache<V>}
 */
export function create({ maxEntries, ttlMs }) {
  return new LRUCache(ttlMs === undefined ? { max: maxEntries } : { max: maxEntries, ttl: ttlMs })
}
