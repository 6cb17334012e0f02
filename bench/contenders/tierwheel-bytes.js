// @ts-check
/** tierwheel with values as bytes, given room for as many entries as the others. */

// In a variable, so that types can be checked before there is such a package.
const entry = 'tierwheel/l1'

/** @type {typeof import('../../src/create-l1.ts')} */
const { createL1 } = await import(entry)

/** What an entry takes beside its value: index, record, links and the header of its block. */
const BESIDE_VALUE = 128
/** Whatever the number of entries. */
const FIXED = 2 ** 20

/**
 * @template V
 * @param {import('./contender.js').CacheSettings} settings
 * @returns {import('./contender.js').Cache<V>}
 */
export function create({ maxEntries, valueBytes = 128, ttlMs }) {
  const maxBytes = FIXED + maxEntries * (BESIDE_VALUE + valueBytes)
  return createL1({ maxBytes, maxEntries, values: 'bytes', policy: 'lru', ttl: ttlMs ?? null })
}
