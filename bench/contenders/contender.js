// @ts-check
/**
 * Who is measured. Every contender has `get`, `set`, `delete` and `size` of its own, so none is wrapped: what the
 * timed loops call are the library's own methods.
 */

/** @typedef {string | number} Key */

/**
 * @template V
 * @typedef {object} Cache
 * @property {(key: Key) => V | undefined} get
 * @property {(key: Key, value: V) => unknown} set
 * @property {(key: Key) => boolean} delete
 * @property {number} size
 * @property {(key: Key) => { get(): V | undefined }} [prepare] a handle for a key, where there are such
 */

/**
 * @typedef {object} CacheSettings
 * @property {number} maxEntries
 * @property {number} [valueBytes] the most that a value has, for those with a budget in bytes
 * @property {number} [ttlMs] of every entry; without it entries live until they are evicted
 */

/**
 * @typedef {object} Contender
 * @property {string} name also of its file
 * @property {boolean} evicts whether it keeps to `maxEntries`
 * @property {boolean} isExactLru evicts the entry whose last use is the longest ago, so all such have the same hits
 * @property {boolean} takesTtl
 * @property {boolean} stores whether it looks anything up at all
 * @property {boolean} tellsDelete whether `delete` answers if there was an entry
 * @property {boolean} isUsual takes part unless `--wide` asks for all
 */

/** Most are like this: an exact LRU. */
const lru = { evicts: true, isExactLru: true, takesTtl: true, stores: true, tellsDelete: true, isUsual: true }

/** @type {readonly Contender[]} in the order of the tables; ratios are to `BASELINE` */
export const contenders = [
  { ...lru, name: 'tierwheel' },
  { ...lru, name: 'lru-cache' },
  { ...lru, name: 'lru.min', takesTtl: false },
  { ...lru, name: 'quick-lru', isExactLru: false, takesTtl: false },
  { ...lru, name: 'tiny-lru', tellsDelete: false, isUsual: false },
  { ...lru, name: 'mnemonist', takesTtl: false, isUsual: false },
  { ...lru, name: 'toad-cache', tellsDelete: false, isUsual: false },
  { ...lru, name: 'ttlcache', isExactLru: false, isUsual: false },
  { ...lru, name: 'Map', evicts: false, isExactLru: false, takesTtl: false },
  { ...lru, name: 'key-only', evicts: false, isExactLru: false, takesTtl: false, stores: false },
]

/** The cache that most Node programs use today. */
export const BASELINE = 'lru-cache'

/**
 * How to make a cache of the contender. Only its own library is loaded.
 *
 * @param {string} name
 * @returns {Promise<{ create: <V>(settings: CacheSettings) => Cache<V> }>}
 */
export function loadContender(name) {
  return import(`./${name}.js`)
}
