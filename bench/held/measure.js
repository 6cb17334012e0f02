// @ts-check
/**
 * One contender with one kind of values, in a process of its own: started by held.js with the order as its argument,
 * answers with one line of JSON. Throws, and so fails the run, when the contender answers wrongly.
 *
 * Filled, then churned: twice as many new keys as it holds, in bursts of fifty, each with its CPU time. What is read
 * of memory is what the process has resident beyond what it had before the cache was made.
 */
import { loadContender } from '../contenders/contender.js'
import { randomFrom } from '../workloads/random.js'

/**
 * @typedef {object} Order
 * @property {string} contender
 * @property {'text' | 'object' | 'buffer'} values
 * @property {number} entries
 * @property {string} seed
 */

/**
 * @typedef {object} Figure
 * @property {number} filledBytes resident, of one entry
 * @property {number} churnedBytes
 * @property {number} heapBytes of one entry, on the JavaScript heap after a collection
 * @property {number} fullGcMs CPU time of a full collection, the least of three
 * @property {number} longestBurstMs CPU time of the longest burst
 * @property {number} longBursts bursts of more than 20 ms
 * @property {number} setNs CPU time of one set in churn
 */

const BURST = 50
const LONG_MS = 20
const VALUE_BYTES = 100

const order = /** @type {Order} */ (JSON.parse(process.argv[2] ?? ''))
const { entries } = order
const random = randomFrom(`${order.seed}/${entries}/${order.values}`)

/** What the caller has, new each time and of the same content for the same id. */
const valueFor = {
  /** @param {number} id */
  text(id) {
    const bytes = Buffer.alloc(VALUE_BYTES, 'v')
    bytes.write(String(id))
    return bytes.toString('latin1')
  },
  /** @param {number} id */
  object: (id) => ({ id, name: `user ${id}`, score: id / 3, isActive: (id & 1) === 1 }),
  /** @param {number} id */
  buffer: (id) => Buffer.alloc(VALUE_BYTES, String(id)),
}[order.values]
/** @param {number} id */
const keyOf = (id) => `user:${String(id).padStart(12, '0')}:profile:x`

collect()
const base = process.memoryUsage()
const { create } = await loadContender(order.contender)
/** @type {import('../contenders/contender.js').Cache<unknown>} */
const cache = create({ maxEntries: entries, valueBytes: VALUE_BYTES + 20 })
for (let id = 0; id < entries; id++) cache.set(keyOf(id), valueFor(id))
collect()
const filled = process.memoryUsage()
check(0, entries)

let next = entries
let longestMicros = 0
let longBursts = 0
const startedAt = process.cpuUsage()
const last = entries * 3
while (next < last) {
  const before = process.cpuUsage()
  for (let operation = 0; operation < BURST; operation++) {
    cache.set(keyOf(next), valueFor(next))
    next++
  }
  const { user, system } = process.cpuUsage(before)
  longestMicros = Math.max(longestMicros, user + system)
  if (user + system > LONG_MS * 1_000) longBursts++
}
const spent = process.cpuUsage(startedAt)
const churned = process.memoryUsage()
let fullGcMs = Infinity
for (let round = 0; round < 3; round++) fullGcMs = Math.min(fullGcMs, collect())
const { heapUsed } = process.memoryUsage()
check(next - entries, next)

/** @type {Figure} */
const figure = {
  filledBytes: (filled.rss - base.rss) / entries,
  churnedBytes: (churned.rss - base.rss) / entries,
  heapBytes: (heapUsed - base.heapUsed) / entries,
  fullGcMs,
  longestBurstMs: longestMicros / 1_000,
  longBursts,
  setNs: ((spent.user + spent.system) * 1_000) / (last - entries),
}
console.log(JSON.stringify({ node: process.version, figure }))

/** A full collection; its CPU time in ms, that of V8's helpers included. */
function collect() {
  const before = process.cpuUsage()
  globalThis.gc?.()
  const { user, system } = process.cpuUsage(before)
  return (user + system) / 1_000
}

/**
 * A thousand of those who should be there are, with their values. quick-lru holds more, and nobody less.
 *
 * @param {number} from
 * @param {number} to
 */
function check(from, to) {
  for (let probe = 0; probe < 1_000; probe++) {
    const id = from + Math.floor(random() * (to - from))
    const value = cache.get(keyOf(id))
    if (JSON.stringify(plain(value)) !== JSON.stringify(plain(valueFor(id)))) {
      throw new Error(`${order.contender}: id ${id} has ${JSON.stringify(value)?.slice(0, 80)}`)
    }
  }
}

/** @param {unknown} value */
function plain(value) {
  return value instanceof Uint8Array ? [...value] : value
}
