// @ts-check
/** tierwheel as its users get it: the package that run.js has put beside the others, by its published entry. */

// In a variable, so that types can be checked before there is such a package.
const entry = 'tierwheel/l1'

/** @type {typeof import('../../src/create-l1.ts')} */
const { createL1 } = await import(entry)

/**
 * @template V
 * @param {import('./contender.js').CacheSettings} settings
 * @returns {import('./contender.js').Cache<V>}
 */
export function create({ maxEntries, ttlMs }) {
  // The policy of the others, so that speed is compared and not luck; hit ratios are another bench's question.
  return createL1({ maxEntries, policy: 'lru', ttl: ttlMs ?? null })
}
