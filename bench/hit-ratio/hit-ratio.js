// @ts-check
/**
 * How many requests does a first level answer, under each of its policies?
 *
 * Recorded traces are replayed: ask for the key, and store it after a miss. Capacities are shares of the keys that
 * the trace names. Beside the policies stand lru-cache, which must have the hits of `lru` to the last one, and the
 * optimum, which knows the future. Nothing here is a time, so a busy machine gives the same figures.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { readTrace } from '../../traces/read-trace.js'
import { create as createLruCache } from '../contenders/lru-cache.js'
import { create } from './adapter.js'
import { mostHits } from './optimum.js'
import { reportOf } from './report.js'

/** @typedef {import('./adapter.js').Judged} Judged */
/** @typedef {import('./report.js').Cell} Cell */
/** @typedef {import('./report.js').Results} Results */

const ownTraces = fileURLToPath(new URL('../../traces/', import.meta.url))
const folder = fileURLToPath(new URL('../results/', import.meta.url))

const percents = [0.1, 1, 10, 30]
const leastEntries = 10

/** @type {Record<string, (capacity: number) => Judged>} in the order of the table */
const contenders = {
  'lru-cache': lruCache,
  lru: (capacity) => create(capacity, { policy: 'lru' }),
  sieve: (capacity) => create(capacity, { policy: 'sieve' }),
  s3fifo: (capacity) => create(capacity, { policy: 's3fifo' }),
  'lazy-tinylfu': (capacity) => create(capacity, { policy: 'lazy-tinylfu' }),
}

/** @param {string[]} args */
export async function main(args) {
  const { values } = parseArgs({
    args,
    options: {
      only: { type: 'string' },
      save: { type: 'boolean', default: false },
    },
  })
  const pattern = new RegExp(values.only ?? '')
  const traces = tracesIn(ownTraces, process.env.TRACES_DIR).filter(({ name }) => pattern.test(name))
  if (traces.length === 0) throw new Error('--only: no trace matches')

  /** @type {Results} */
  const results = { bench: 'hit-ratio', date: today(), packages: versions(), cells: [] }
  for (const { name, path } of traces) {
    const trace = await readTrace(path)
    for (const percent of percents) {
      const entries = Math.max(leastEntries, Math.round((trace.uniqueKeys * percent) / 100))
      const cell = measure(name, trace, percent, entries)
      results.cells.push(cell)
      const figures = Object.entries(cell.hits).map(([who, hits]) => `${who} ${percentOf(hits, cell)}`)
      console.log(`${name} ${percent} % (${entries}): ${figures.join(', ')}`)
    }
  }
  publish(results, values.save || (values.only === undefined && process.env.TRACES_DIR !== undefined))
}

/**
 * @param {string} name
 * @param {import('../../traces/read-trace.js').Trace} trace
 * @param {number} percent
 * @param {number} entries
 * @returns {Cell}
 */
function measure(name, trace, percent, entries) {
  /** @type {Record<string, number>} */
  const hits = {}
  for (const [contender, open] of Object.entries(contenders)) {
    const cache = open(entries)
    hits[contender] = replay(cache, trace.keys)
    const residents = [...new Set(trace.keys)].filter((key) => cache.has(key)).length
    if (residents > entries) {
      throw new Error(`${name}: ${contender} holds ${residents} entries, ${entries} were allowed`)
    }
  }
  hits.optimum = mostHits(trace.keys, entries)
  if (hits.lru !== hits['lru-cache']) {
    throw new Error(`${name}, ${entries} entries: lru has ${hits.lru} hits, lru-cache ${hits['lru-cache']}`)
  }
  return { trace: name, percent, entries, requests: trace.requests, uniqueKeys: trace.uniqueKeys, hits }
}

/**
 * @param {Judged} cache
 * @param {Uint32Array} keys
 */
function replay(cache, keys) {
  let hits = 0
  for (const key of keys) {
    if (cache.get(key)) hits++
    else cache.set(key)
  }
  return hits
}

/**
 * @param {number} capacity
 * @returns {Judged}
 */
function lruCache(capacity) {
  /** @type {import('../contenders/contender.js').Cache<boolean>} */
  const cache = createLruCache({ maxEntries: capacity })
  return {
    get: (key) => cache.get(key) !== undefined,
    set: (key) => void cache.set(key, true),
    has: (key) => cache.get(key) !== undefined,
  }
}

/**
 * The traces that ship, and those of the folder given; of two with the same name the one that ships.
 *
 * @param {string} own
 * @param {string | undefined} others
 */
function tracesIn(own, others) {
  /** @type {Map<string, string>} */
  const paths = new Map()
  for (const place of others === undefined ? [own] : [own, resolve(process.env.INIT_CWD ?? '.', others)]) {
    for (const file of readdirSync(place)) {
      const name = file.replace(/\.ctr\.gz$/, '')
      if (name !== file && !paths.has(name)) paths.set(name, join(place, file))
    }
  }
  return [...paths].map(([name, path]) => ({ name, path })).sort((a, b) => (a.name < b.name ? -1 : 1))
}

/**
 * @param {Results} results
 * @param {boolean} isWhole
 */
function publish(results, isWhole) {
  const report = reportOf(results)
  if (!isWhole) {
    console.log(`\n${report}`)
    return
  }
  if (!existsSync(folder)) mkdirSync(folder)
  writeFileSync(join(folder, 'hit-ratio.json'), `${JSON.stringify(results, null, 1)}\n`)
  writeFileSync(join(folder, 'hit-ratio.md'), report)
  console.log('\nbench/results/hit-ratio.md')
}

/**
 * @param {number} hits
 * @param {Cell} cell
 */
function percentOf(hits, cell) {
  return ((100 * hits) / cell.requests).toFixed(2)
}

function versions() {
  /** @param {string} path */
  const versionIn = (path) => JSON.parse(readFileSync(new URL(path, import.meta.url), 'utf8')).version
  return {
    tierwheel: versionIn('../../package.json'),
    'lru-cache': versionIn('../node_modules/lru-cache/package.json'),
  }
}

function today() {
  return new Date().toISOString().slice(0, 10)
}
