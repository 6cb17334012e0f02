// @ts-check
/**
 * What a row does: which ids it draws, from the seed and before any clock runs, which loop walks them, and what must
 * be true of the cache for the figure to count.
 */
import { BATCH, deleteAndStore, getOrStore, lookUp, lookUpPrepared, store } from './operations.js'
import { randomFrom, shuffled } from './random.js'
import { zipf } from './zipf.js'

const EXPONENT = 0.99

/** Ids the mixed workload draws from, for each entry the cache may hold. */
const MIXED_POPULATION = 10

/** One operation in so many stores without asking, in the mixed workload. */
const STORES_ONE_IN = 10

/**
 * @typedef {object} Workload
 * @property {string} about
 * @property {boolean} fills whether the cache holds the ids below `entries` when the clock starts
 * @property {boolean} evicts needs a cache that keeps to its capacity
 * @property {boolean} onlyReads
 * @property {(entries: number, seed: string) => Uint32Array} draw
 * @property {(draws: Uint32Array) => Uint32Array} idsOf
 * @property {<V>(setting: import('./operations.js').Setting<V>) => () => number} batch
 * @property {number | undefined} found of each operation; `undefined` where it depends on the cache
 */

/** @param {Uint32Array} draws */
const themselves = (draws) => draws

/** Long enough that its end comes round rarely, short enough that drawing it costs little. @param {number} entries */
const lengthFor = (entries) => 2 ** (entries > 10_000 ? 18 : 16)

/**
 * Ids below `population` by Zipf's law; which are frequent has nothing to do with when they were stored.
 *
 * @param {number} population
 * @param {number} length
 * @param {() => number} random
 */
function zipfIds(population, length, random) {
  const idOfRank = shuffled(population, random)
  const nextRank = zipf(population, EXPONENT, random)
  return Uint32Array.from({ length }, () => /** @type {number} */ (idOfRank[nextRank()]))
}

/** @type {Workload} */
const hitZipf = {
  about: 'get of keys that are there, drawn by Zipf 0.99',
  fills: true,
  evicts: false,
  onlyReads: true,
  draw: (entries, seed) => zipfIds(entries, lengthFor(entries), randomFrom(seed)),
  idsOf: themselves,
  batch: lookUp,
  found: 1,
}

/** @satisfies {Record<string, Workload>} */
export const workloads = {
  'hit-zipf': hitZipf,
  'hit-uniform': {
    ...hitZipf,
    about: 'get of keys that are there, all as likely',
    draw(entries, seed) {
      const random = randomFrom(seed)
      return Uint32Array.from({ length: lengthFor(entries) }, () => Math.floor(random() * entries))
    },
  },
  'hit-prepared': {
    ...hitZipf,
    about: 'as hit-zipf, by handles made before where there are such (`l1.prepare`)',
    batch: lookUpPrepared,
  },
  miss: {
    about: 'get of keys that are not there',
    fills: true,
    evicts: false,
    onlyReads: true,
    draw(entries, seed) {
      const random = randomFrom(seed)
      return Uint32Array.from({ length: lengthFor(entries) }, () => entries + Math.floor(random() * entries))
    },
    idsOf: themselves,
    batch: lookUp,
    found: 0,
  },
  'set-evict': {
    about: 'set of a key that is not there into a full cache',
    fills: false,
    evicts: true,
    onlyReads: false,
    // Three times what fits: when an id comes round again it has been evicted, by quick-lru too.
    draw: (entries, seed) => shuffled(3 * entries, randomFrom(seed)),
    idsOf: themselves,
    batch: store,
    found: 1,
  },
  mixed: {
    about: '9 in 10 get-or-set, 1 in 10 set; Zipf 0.99 over ten times the keys that fit',
    fills: false,
    evicts: true,
    onlyReads: false,
    draw(entries, seed) {
      const random = randomFrom(seed)
      const ids = zipfIds(MIXED_POPULATION * entries, 2 * lengthFor(entries), random)
      return ids.map((id) => (id << 1) | (random() * STORES_ONE_IN < 1 ? 1 : 0))
    },
    idsOf: (draws) => draws.map((draw) => draw >>> 1),
    batch: getOrStore,
    found: undefined,
  },
  update: {
    ...hitZipf,
    about: 'set of keys that are there, drawn by Zipf 0.99',
    onlyReads: false,
    batch: store,
  },
  'delete-set': {
    about: 'delete of a key that is there, all as likely, and set of it: one operation',
    fills: true,
    evicts: false,
    onlyReads: false,
    draw(entries, seed) {
      const random = randomFrom(seed)
      return Uint32Array.from({ length: lengthFor(entries) }, () => Math.floor(random() * entries))
    },
    idsOf: themselves,
    batch: deleteAndStore,
    found: 1,
  },
}

/** @typedef {keyof typeof workloads} WorkloadName */

/**
 * Brings a cache that evicts into the state it will stay in, and answers the hit ratio of the second half of the
 * way: a figure of counts, the same on every machine.
 *
 * @param {() => number} batch
 * @param {Uint32Array} draws
 */
export function settle(batch, draws) {
  const batches = Math.ceil(draws.length / BATCH)
  let hits = 0
  let gets = 0
  for (let index = 0; index < batches; index++) {
    const found = batch()
    if (index < batches / 2) continue
    hits += found
    for (let count = 0; count < BATCH; count++) {
      const draw = /** @type {number} */ (draws[(index * BATCH + count) % draws.length])
      if ((draw & 1) === 0) gets++
    }
  }
  return hits / gets
}
