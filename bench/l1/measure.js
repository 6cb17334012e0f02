// @ts-check
/**
 * One contender on one group of rows, in a process of its own: started by l1.js with the order as its argument,
 * answers with one line of JSON. Throws, and so fails the run, when the contender answers wrongly.
 */
import { Bench } from 'tinybench'
import { contenders, loadContender } from '../contenders/contender.js'
import { keyKinds, prepareKeys } from '../workloads/keys.js'
import { BATCH } from '../workloads/operations.js'
import { randomFrom } from '../workloads/random.js'
import { settle, workloads } from '../workloads/workloads.js'
import { rows } from './rows.js'

/** @typedef {import('../contenders/contender.js').Key} Key */

/**
 * @typedef {object} Order
 * @property {string} contender
 * @property {string[]} rows ids, all of one group
 * @property {string} seed
 * @property {number} warmupMs
 * @property {number} measureMs
 */

/**
 * @typedef {object} Figure
 * @property {string} row
 * @property {number} operations
 * @property {number} wallNs of one operation
 * @property {number} cpuNs of one operation, the collector's and the compiler's threads included
 * @property {number} [hitRatio]
 */

/**
 * What is read of tinybench's result, stated here because another version of its types may be nearer when it is not
 * installed.
 *
 * @typedef {{ state: 'completed', latency: { mean: number } } | { state: 'other' }} TaskResult
 */

const order = /** @type {Order} */ (JSON.parse(process.argv[2] ?? ''))
const contender = contenders.find(({ name }) => name === order.contender)
if (contender === undefined) throw new Error(`no contender ${order.contender}`)
const { create } = await loadContender(contender.name)

/** @type {Figure[]} */
const figures = []
const ordered = rows.filter(({ id }) => order.rows.includes(id))
const [firstRow] = ordered
if (firstRow !== undefined && contender.stores) checkAnswers(firstRow)
for (const row of ordered) figures.push(await measure(row))
const { bun, deno } = /** @type {Record<string, string | undefined>} */ (process.versions)
const engine =
  bun !== undefined ? `Bun ${bun}` : deno !== undefined ? `Deno ${deno}` : `Node ${process.version}`
console.log(JSON.stringify({ engine, v8: bun === undefined ? process.versions.v8 : undefined, figures }))

/**
 * @param {import('./rows.js').Row} row
 * @returns {Promise<Figure>}
 */
async function measure({ id, keys, entries, workload: name, ttlMs }) {
  /** @type {import('../workloads/workloads.js').Workload} */
  const workload = workloads[name]
  const draws = workload.draw(entries, `${order.seed}/${entries}/${name}`)
  const held = workload.fills ? Array.from({ length: entries }, (_, id) => id) : []
  prepareKeys(keys, [held, workload.idsOf(draws)])
  const { store: keyToStore, use: keyOf } = keyKinds[keys]

  const value = { name: 'the one value' }
  /** @type {import('../contenders/contender.js').Cache<typeof value>} */
  const cache = create(ttlMs === undefined ? { maxEntries: entries } : { maxEntries: entries, ttlMs })
  for (const id of held) cache.set(keyToStore(id), value)
  const stream = { ids: draws, at: 0 }
  const batch = workload.batch({ cache, keyOf, stream, value })
  const ratio = workload.evicts ? settle(batch, draws) : 1
  // What the preparation left behind is not the contender's to collect.
  globalThis.gc?.()

  let calls = 0
  let found = 0
  let startedAt = process.cpuUsage()
  let cpuMicros = 0
  const bench = new Bench({
    time: order.measureMs,
    iterations: 8,
    warmupTime: order.warmupMs,
    warmupIterations: 2,
    throws: true,
  })
  const task = () => {
    calls++
    found += batch()
  }
  const hooks = {
    async: false,
    /** @param {string} [mode] */
    beforeAll(mode) {
      if (mode !== 'run') return
      calls = 0
      found = 0
      startedAt = process.cpuUsage()
    },
    /** @param {string} [mode] */
    afterAll(mode) {
      if (mode !== 'run') return
      const { user, system } = process.cpuUsage(startedAt)
      cpuMicros = user + system
    },
    // Caches with deadlines share a reading of the clock until a timer runs, and timers need the event loop. The
    // turn is outside the wall time and inside the CPU time, some 1 ns of an operation.
    ...(ttlMs === undefined ? {} : { beforeEach: turnEventLoop }),
  }
  bench.add(id, task, hooks)
  await bench.run()
  const result = /** @type {TaskResult | undefined} */ (/** @type {unknown} */ (bench.tasks[0]?.result))
  if (result?.state !== 'completed') throw new Error(`${id}: the task ended as ${result?.state}`)

  const operations = calls * BATCH
  if (workload.found !== undefined && found !== workload.found * operations) {
    throw new Error(`${id}: ${contender?.name} found ${found} in ${operations} operations`)
  }
  if (contender?.stores) checkState(id, workload, cache, keyOf, stream, entries, value)
  return {
    row: id,
    operations,
    wallNs: (result.latency.mean * 1e6) / BATCH,
    cpuNs: (cpuMicros * 1e3) / operations,
    ...(workload.found === undefined ? { hitRatio: ratio } : {}),
  }
}

/**
 * What must hold when the clock has stopped: nothing was lost that had a right to stay, nothing stayed that had none.
 *
 * @template V
 * @param {string} id
 * @param {import('../workloads/workloads.js').Workload} workload
 * @param {import('../contenders/contender.js').Cache<V>} cache
 * @param {(id: number) => Key} keyOf
 * @param {import('../workloads/operations.js').Stream} stream
 * @param {number} entries
 * @param {V} value
 */
function checkState(id, workload, cache, keyOf, stream, entries, value) {
  if (cache.size > entries) throw new Error(`${id}: ${cache.size} entries where ${entries} fit`)
  if (workload.fills) {
    if (cache.size !== entries) throw new Error(`${id}: ${cache.size} of ${entries} entries left`)
    return
  }
  if (workload.found === undefined) return
  // The last `entries` that were stored are there, and what is about to be stored is not.
  const { ids, at } = stream
  for (let back = 1; back <= entries; back++) {
    const stored = /** @type {number} */ (ids[(at - back + ids.length) % ids.length])
    if (cache.get(keyOf(stored)) !== value) throw new Error(`${id}: entry ${back} from the newest is gone`)
  }
  if (cache.get(keyOf(/** @type {number} */ (ids[at]))) !== undefined) {
    throw new Error(`${id}: an entry that is long past is there`)
  }
}

/**
 * The timed rows share one value, so here every key has its own: a random walk against what is known to be stored.
 * An answer may be missing only where the contender evicts.
 *
 * @param {import('./rows.js').Row} row
 */
function checkAnswers({ keys, entries, ttlMs, group }) {
  const STEPS = 20_000
  const population = 2 * entries
  const random = randomFrom(`${order.seed}/${group}/answers`)
  const ids = Uint32Array.from({ length: STEPS }, () => Math.floor(random() * population))
  const first = Array.from({ length: entries }, (_, id) => id)
  prepareKeys(keys, [first, ids])
  const { store: keyToStore, use: keyOf } = keyKinds[keys]
  /** @type {import('../contenders/contender.js').Cache<{ id: number, step: number }>} */
  const cache = create(ttlMs === undefined ? { maxEntries: entries } : { maxEntries: entries, ttlMs })
  /** @type {Map<number, { id: number, step: number }>} */
  const stored = new Map()
  /** @param {Key} key @param {number} id @param {number} step */
  const set = (key, id, step) => {
    const value = { id, step }
    cache.set(key, value)
    stored.set(id, value)
  }
  /** @param {number} id @param {number} step */
  const fail = (id, step) => {
    throw new Error(`${group}: ${contender?.name} answers wrongly for id ${id} at step ${step}`)
  }

  for (const id of first) set(keyToStore(id), id, -1)
  for (const id of first) if (cache.get(keyOf(id)) !== stored.get(id)) fail(id, -1)
  for (const [step, id] of ids.entries()) {
    const key = keyOf(id)
    const draw = random()
    if (draw < 0.2) set(key, id, step)
    else if (draw < 0.3) {
      const deleted = cache.delete(key)
      if (deleted && contender?.tellsDelete && !stored.has(id)) fail(id, step)
      if (!deleted && stored.has(id) && !contender?.evicts) fail(id, step)
      stored.delete(id)
    } else {
      const value = cache.get(key)
      const isEvicted = value === undefined && contender?.evicts === true
      if (value !== stored.get(id) && !isEvicted) fail(id, step)
      if (isEvicted) stored.delete(id)
    }
  }
}

/** @returns {Promise<void>} */
function turnEventLoop() {
  return new Promise((resolve) => setImmediate(resolve))
}
