// @ts-check
/** Its LRU over a `Map`, in the form that can delete. */
import { LRUMapWithDelete } from 'mnemonist'

/**
 * @template V
 * @param {import('./contender.js').CacheSettings} settings
 * @returns {import('./contender.js').Cache<V>}
 */
export function create({ maxEntries }) {
  return /** @type {import('./contender.js').Cache<V>} */ (
    /** @type {unknown} */ (new LRUMapWithDelete(maxEntries))
  )
}
