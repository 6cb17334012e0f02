// @ts-check
// The demo from its start to its end: what runs, in which order, and what is left of it (nothing).
//
//    this process: driver ──HTTP──▶ server A ──┐  each: L1 ─▶ file tier ─▶ source
//                         ──HTTP──▶ server B ──┴─────HTTP─────▶ source, 15 to 25 ms an answer
//                                   A and B share one directory: the file tier's entries and the bus
//
// `options.js` has the command line, `server.js` the use of tierwheel, `driver.js` the visitors, `journal.js` what is
// stale, `report.js` the table, `lifeline.js` how processes begin and end.

import { randomUUID } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { readTrace } from '../../traces/read-trace.js'
import { Replay, readUncached } from './driver.js'
import { HttpClient } from './http-client.js'
import { Journal } from './journal.js'
import { forgetFolder, forgetLevels, placeOf } from './levels.js'
import { Child } from './lifeline.js'
import { showProgress } from './progress.js'
import { resultOf, serverNames, tableOf } from './report.js'

/** Smaller than what is asked for (13,756 products), so that the tiers below have something to do. */
const L1_ENTRIES = 2_000
const UNCACHED_REQUESTS = 1_000
const WRITE_SHARE = 0.01
const SEED = 12
const SOURCE = { leastMs: 15, mostMs: 25, writeMs: 5 }

/** When a slow machine has come this far, the table is made of what there is. */
const LONGEST_REPLAY_MS = 40_000

/** npm hands a signal on that the terminal has sent to every process already: twice within this time is once. */
const ONE_SIGNAL_MS = 500

const signals = /** @type {const} */ ({ SIGHUP: 1, SIGINT: 2, SIGTERM: 15 })

/**
 * Runs the demo and resolves to its exit status. Nothing it started or wrote is left then.
 *
 * @param {import('./options.js').DemoOptions} options
 * @param {NodeJS.WriteStream} [out]
 * @returns {Promise<number>}
 */
export async function runDemo(options, out = process.stdout) {
  const interruption = new AbortController()
  let status = 0
  let askedAt = Number.NEGATIVE_INFINITY
  for (const [name, number] of Object.entries(signals)) {
    process.on(name, () => {
      const sinceMs = performance.now() - askedAt
      if (sinceMs < ONE_SIGNAL_MS) return
      // Someone who asks twice does not want to wait; the children end by themselves.
      if (status > 128) process.exit(status)
      askedAt = performance.now()
      status = 128 + number
      interruption.abort(new Error(`ended by ${name}`))
    })
  }

  // Made by the servers, which also remove it when this process is killed; one that is made here would stay until they
  // are there.
  const directory = join(tmpdir(), `tierwheel-demo-${randomUUID()}`)
  const { hasBus, redisUrl } = options
  process.on('exit', () => forgetFolder(directory))
  // The folder's name is nobody else's.
  const shared = { directory, redisUrl, keyspace: basename(directory), hasBus }
  /** @type {Child[]} */
  const children = []
  try {
    const stage = await setStage(shared, children, interruption)
    const isPassed = await measure(stage, options, interruption.signal, out)
    if (!options.isServing) return isPassed ? 0 : 1
    out.write(whatToTryByHand(stage))
    await untilAborted(interruption.signal)
    if (status === 0) throw interruption.signal.reason
    return status === 128 + signals.SIGINT ? 0 : status
  } catch (error) {
    if (status === 0) console.error(interruption.signal.aborted ? interruption.signal.reason : error)
    return status || 1
  } finally {
    await Promise.all(children.map((child) => child.end()))
    await forgetLevels(shared).catch((error) => console.error(error.message))
  }
}

/**
 * @typedef {object} Stage
 * @property {Child} source
 * @property {{ child: Child, port: number, client: HttpClient }[]} servers
 * @property {import('../../traces/read-trace.js').Trace} trace
 */

/**
 * Starts the processes.
 *
 * @param {import('./levels.js').Shared} shared
 * @param {Child[]} children to which each is added before it can fail
 * @param {AbortController} interruption aborted when one of them is lost
 * @returns {Promise<Stage>}
 */
async function setStage(shared, children, interruption) {
  /**
   * @param {string} name
   * @param {string} module
   * @param {unknown} settings
   */
  const start = async (name, module, settings) => {
    const child = new Child(name, new URL(module, import.meta.url), settings, (error) =>
      interruption.abort(error),
    )
    children.push(child)
    return { child, port: /** @type {number} */ (await child.ready()) }
  }
  const trace = await readTrace(new URL('../../traces/web12.ctr.gz', import.meta.url))
  const source = await start('the source', './source.js', SOURCE)
  const servers = await Promise.all(
    serverNames.map(async (name) => {
      const settings = { ...shared, name, sourcePort: source.port, l1Entries: L1_ENTRIES }
      const server = await start(`server ${name}`, './server.js', settings)
      return { ...server, client: new HttpClient(server.port) }
    }),
  )
  return { source: source.child, servers, trace }
}

/**
 * The replay, watched and judged. Resolves to whether all was well.
 *
 * @param {Stage} stage
 * @param {import('./options.js').DemoOptions} options
 * @param {AbortSignal} interruption
 * @param {NodeJS.WriteStream} out
 */
async function measure({ source, servers, trace }, options, interruption, out) {
  const { concurrency, json } = options
  const products = trace.keys.subarray(0, options.requests)
  const clients = servers.map(({ client }) => client)
  const load = { concurrency, servers: clients, signal: interruption }
  out.write(opening(products.length, trace, options))

  const uncachedMs = await readUncached({ ...load, products: products.subarray(0, UNCACHED_REQUESTS) })
  interruption.throwIfAborted()
  const { reads: readsBefore } = await source.ask('stats')
  const journal = new Journal()
  const replay = new Replay({
    ...load,
    products,
    journal,
    writeShare: WRITE_SHARE,
    seed: SEED,
    limitMs: LONGEST_REPLAY_MS,
  })
  const hideProgress = showProgress(replay, products.length, LONGEST_REPLAY_MS, out)
  await replay.run()
  hideProgress()
  interruption.throwIfAborted()

  const { reads } = await source.ask('stats')
  const facts = await Promise.all(servers.map(({ child }) => child.ask('stats')))
  const verdict = journal.judge(facts.map(({ heard }) => heard))
  const result = resultOf({
    asked: products.length,
    concurrency,
    replay,
    uncachedMs,
    servers: facts,
    loads: reads - readsBefore,
    verdict,
    sharedLevel: options.redisUrl === undefined ? 'file tier' : 'Redis tier',
  })
  out.write(`\n${tableOf(result)}\n`)
  if (json !== undefined) await writeFile(json, `${JSON.stringify(result, null, 2)}\n`)
  if (!options.isServing) out.write(whatToTryNext)
  return result.isPassed
}

/**
 * @param {number} asked
 * @param {import('../../traces/read-trace.js').Trace} trace
 * @param {import('./options.js').DemoOptions} options
 */
function opening(asked, trace, { hasBus, redisUrl }) {
  const of = asked < trace.requests ? `the first ${asked.toLocaleString('en')} of ` : ''
  const [tier, bus] =
    redisUrl === undefined ? ['a file tier', 'a file bus'] : [`Redis at ${placeOf(redisUrl)}`, 'its bus']
  return `tierwheel demo: the trace web12, requests for product pages of a web shop, recorded
  ${of}${trace.requests.toLocaleString('en')} requests for ${trace.uniqueKeys.toLocaleString('en')} products, over HTTP to two server processes
  each with an L1 of ${L1_ENTRIES.toLocaleString('en')} entries; between them ${tier} and ${hasBus ? bus : 'no bus'}; behind them
  a source that takes ${SOURCE.leastMs} to ${SOURCE.mostMs} ms; a write of the same product before one request in ${1 / WRITE_SHARE}

`
}

const whatToTryNext = `
What to try next
  npm run demo -- --serve     the servers stay up: read and write products with curl
  npm run demo -- --no-bus    the same without the bus: stale answers, and the check that finds them
  npm run demo -- --help      all options
  examples/demo/server.js     how the cache is used: createCache, getOrSet, delete
  README.md, docs/guide       what it can do, and what it promises
`

/** @param {Stage} stage */
function whatToTryByHand({ servers, trace }) {
  const [a, b] = servers.map(({ port }) => `http://127.0.0.1:${port}`)
  const product = trace.keys[0]
  return `
Both servers are up. In another terminal:

  curl -i ${a}/product/${product}              # x-cache says whether it had to be loaded
  curl -i ${b}/product/${product}              # the other server
  curl -X PUT ${a}/product/${product} -d '{"price": 1}'
  curl -i ${b}/product/${product}              # price and version are the new ones
  curl ${b}/uncached/product/${product}        # what the source takes
  curl ${a}/stats                              # what server A's cache counted

Ctrl-C ends everything.
`
}

/**
 * @param {AbortSignal} signal
 * @returns {Promise<void>}
 */
async function untilAborted(signal) {
  if (!signal.aborted)
    await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
}
