// @ts-check
/** What V8 does by itself. Not a cache: it evicts nothing and orders nothing, and has no rows that ask for it. */

/**
 * @template V
 * @returns {import('./contender.js').Cache<V>}
 */
export function create() {
  return new Map()
}
