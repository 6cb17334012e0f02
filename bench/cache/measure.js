// @ts-check
/**
 * One contender on one group of rows, in a process of its own with a Redis of its own: started by cache.js with the
 * order as its argument, answers with one line of JSON. Throws, and so fails the run, when an answer is not the value
 * that was stored, or when a loader runs in a row of hits.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { median } from '../table.js'
import { randomFrom } from '../workloads/random.js'
import { timed, together, watch } from '../workloads/timed.js'
import { contenderOf, userOf } from './contenders.js'

/** @typedef {{ contender: string, group: Group, measureMs: number, seed: string, port: number }} Order */
/** @typedef {'hot' | 'cold' | 'writes' | 'stampede'} Group */

/** @typedef {import('../workloads/timed.js').Cost & { row: string, loads?: number }} Figure `loads` of a stampede alone */

const HOT_KEYS = 1_000
const COLD_KEYS = 20_000
/** What a first level may hold in the rows that are to pass it by: next to nothing of `COLD_KEYS`. */
const COLD_L1_ENTRIES = 10
const MANY = 64
const STAMPEDE_CALLERS = 1_000
const STAMPEDE_LOAD_MS = 20

const order = /** @type {Order} */ (JSON.parse(process.argv[2] ?? ''))
const contender = contenderOf(order.contender)
const random = randomFrom(`${order.seed}/${order.group}`)

let loads = 0
let loadMs = 0
let loadedAt = 0n
const measured = await contender.open({
  port: order.port,
  l1Entries: order.group === 'cold' ? COLD_L1_ENTRIES : 10 * HOT_KEYS,
  load: async (key) => {
    loads++
    if (loadMs > 0) await sleep(loadMs)
    loadedAt = process.hrtime.bigint()
    return userOf(key)
  },
})

/** @param {number} id built at the moment of use, as a request handler does */
const keyOf = (id) => `user:${id}`

/** @type {Figure[]} */
const figures = []
await groups()[order.group]()
console.log(JSON.stringify({ node: process.version, figures }))
process.exit()

/** @returns {Record<Group, () => Promise<void>>} */
function groups() {
  const { get, getOrSet, set } = measured
  return {
    async hot() {
      await fill(HOT_KEYS)
      // Some hold a value here only once it was read.
      for (let id = 0; id < HOT_KEYS; id++) check(keyOf(id), await getOrSet(keyOf(id)))
      await hits('get, L1 hit', get, 1, HOT_KEYS, 1_024)
      await hits('getOrSet, L1 hit', getOrSet, 1, HOT_KEYS, 1_024)
    },
    async cold() {
      await fill(COLD_KEYS)
      for (const callers of [1, MANY]) {
        await hits(`get, L2 hit x${callers}`, get, callers, COLD_KEYS, 16)
        await hits(`getOrSet, L2 hit x${callers}`, getOrSet, callers, COLD_KEYS, 16)
      }
    },
    async writes() {
      for (const callers of [1, MANY]) {
        if (set !== undefined) {
          await measure(`set x${callers}`, callers, 16, () => {
            const key = keyOf(Math.floor(random() * COLD_KEYS))
            return set(key, userOf(key))
          })
        }
        await fresh(`getOrSet, miss and load x${callers}`, callers)
        await deletes(`delete x${callers}`, callers)
      }
    },
    stampede,
  }
}

/** @param {number} count */
async function fill(count) {
  let next = 0
  await together(MANY, async () => {
    while (next < count) {
      const key = keyOf(next++)
      await (measured.set === undefined ? measured.getOrSet(key) : measured.set(key, userOf(key)))
    }
  })
}

/**
 * @param {string} row
 * @param {((key: string) => Promise<import('./contenders.js').User | null | undefined>) | undefined} read
 * @param {number} callers
 * @param {number} keys
 * @param {number} batch
 */
async function hits(row, read, callers, keys, batch) {
  if (read === undefined) return
  const before = loads
  await measure(row, callers, batch, async () => {
    const key = keyOf(Math.floor(random() * keys))
    check(key, await read(key))
  })
  if (loads > before) throw new Error(`${order.contender}, ${row}: the loader ran ${loads - before} times`)
}

/** @param {string} row @param {number} callers */
async function fresh(row, callers) {
  let next = 0
  const before = loads
  const figure = await measure(row, callers, 16, async () => {
    const key = `fresh-${callers}:${next++}`
    check(key, await measured.getOrSet(key))
  })
  if (loads - before < figure.operations) throw new Error(`${order.contender}, ${row}: a miss was none`)
}

/**
 * Entries that are there, so they are written first, outside of the time.
 *
 * @param {string} row
 * @param {number} callers
 */
async function deletes(row, callers) {
  const count = Math.min(COLD_KEYS, order.measureMs * 5)
  await fill(count)
  let next = 0
  const stop = watch()
  await together(callers, async () => {
    while (next < count) await measured.delete(keyOf(next++))
  })
  figures.push({ row, ...stop(count) })
}

/**
 * A thousand callers at once for one missing key, again and again; `wallNs` is from the end of the load until the last
 * of them was answered.
 */
async function stampede() {
  loadMs = STAMPEDE_LOAD_MS
  const rounds = Math.max(3, Math.round(order.measureMs / 100))
  /** @type {number[]} */
  const afterLoadNs = []
  const before = loads
  const stop = watch()
  for (let round = 0; round < rounds; round++) {
    const key = `stampede:${round}`
    await together(STAMPEDE_CALLERS, async () => check(key, await measured.getOrSet(key)))
    afterLoadNs.push(Number(process.hrtime.bigint() - loadedAt))
  }
  figures.push({
    row: `stampede of ${STAMPEDE_CALLERS}`,
    ...stop(rounds),
    wallNs: median(afterLoadNs),
    loads: (loads - before) / rounds,
  })
}

/**
 * @param {string} row
 * @param {number} callers
 * @param {number} batch
 * @param {() => Promise<unknown>} run
 */
async function measure(row, callers, batch, run) {
  for (let at = 0; at < 4 * batch; at++) await run()
  const cost = await timed({ callers, measureMs: order.measureMs, batch }, run)
  figures.push({ row, ...cost })
  return cost
}

/** @param {string} key @param {import('./contenders.js').User | null | undefined} value */
function check(key, value) {
  if (value?.id !== key) throw new Error(`${order.contender} answers ${JSON.stringify(value)} for ${key}`)
}
