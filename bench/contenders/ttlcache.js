// @ts-check
/** No LRU: in a full cache the entry that expires first leaves, so it needs deadlines; a day where the others have none. */
import { TTLCache } from '@isaacs/ttlcache'

const DAY_MS = 24 * 60 * 60 * 1_000

/**
 * @template V
 * @param {import('./contender.js').CacheSettings} settings
 * @returns {import('./contender.js').Cache<V>}
 */
export function create({ maxEntries, ttlMs }) {
  return /** @type {import('./contender.js').Cache<V>} */ (
    /** @type {unknown} */ (new TTLCache({ max: maxEntries, ttl: ttlMs ?? DAY_MS }))
  )
}
