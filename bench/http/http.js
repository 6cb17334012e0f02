// @ts-check
/**
 * What does a page cost that is there already, beside the handler that has nothing to do but to send it?
 *
 * Pages of 2 kB and 100 kB on four frameworks, each with nothing, with tierwheel, and with what else there is for it. A
 * round measures every contender, each in a process of its own, with the load from another one; the next round takes the
 * contenders in the reverse order. The figure is the CPU time of the server's process, on all its threads, for one request.
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { isBusy, load, machineBefore } from '../machine.js'
import { paceOf } from '../pace.js'
import { publish, recordedIn } from '../publish.js'
import { reportOf } from './report.js'
import { sites } from './sites.js'

/** @typedef {import('./report.js').Results} Results */
/** @typedef {import('./report.js').Figure} Figure */
/** @typedef {import('./sites.js').Site} Site */

const here = fileURLToPath(new URL('.', import.meta.url))
const full = { rounds: 5, warmupMs: 1_500, measureMs: 3_000, connections: 32, pages: 100 }
const quick = { rounds: 1, warmupMs: 100, measureMs: 200, connections: 8, pages: 10 }
const sizes = /** @type {const} */ ([
  ['/2kB', 2_000],
  ['/100kB', 100_000],
])

/** @param {string[]} args */
export async function main(args) {
  const { values } = parseArgs({
    args,
    options: {
      from: { type: 'string' },
      only: { type: 'string' },
      quick: { type: 'boolean', default: false },
      rounds: { type: 'string' },
      save: { type: 'boolean', default: false },
    },
  })
  if (values.from !== undefined) {
    const recorded = /** @type {Results} */ (recordedIn(values.from))
    publish(recorded, reportOf(recorded))
    return
  }
  const pace = paceOf(values, full, quick)
  const pattern = new RegExp(values.only ?? '')
  const asked = sites.filter(({ framework, contender }) => pattern.test(`${framework}/${contender}`))
  if (asked.length === 0)
    throw new Error(
      `--only: nobody matches; there are\n${sites.map(({ framework, contender }) => `${framework}/${contender}`).join('\n')}`,
    )

  const results = await measureAll(asked, pace)
  // What is committed is a whole run, unless someone insists.
  if ((values.quick || values.only !== undefined) && !values.save) console.log(reportOf(results))
  else publish(results, reportOf(results))
}

/**
 * @param {Site[]} asked
 * @param {Results['settings']} settings
 * @returns {Promise<Results>}
 */
async function measureAll(asked, settings) {
  const machine = machineBefore()
  if (isBusy(machine))
    console.log(`the machine is busy (load ${machine.loadBefore}): trust the ratios, not the times`)
  /** @type {Results} */
  const results = {
    bench: 'http',
    date: new Date().toISOString().slice(0, 10),
    node: process.version,
    settings,
    machine,
    packages: Object.fromEntries(
      [...new Set(asked.flatMap(({ packages }) => packages))].map((name) => [name, versionOf(name)]),
    ),
    series: [],
  }
  for (let round = 0; round < settings.rounds; round++) {
    for (const framework of new Set(asked.map((site) => site.framework))) {
      const members = asked.filter((site) => site.framework === framework)
      process.stdout.write(`round ${round + 1}/${settings.rounds}, ${framework}:`)
      for (const site of round % 2 === 0 ? members : members.toReversed()) {
        process.stdout.write(` ${site.contender}`)
        for (const [page, figure] of await measure(site, settings)) keep(results, site, page, figure)
      }
      process.stdout.write('\n')
    }
  }
  machine.loadAfter = load()
  return results
}

/**
 * @param {Site} site
 * @param {Results['settings']} settings
 * @returns {Promise<[page: string, figure: Figure][]>}
 */
async function measure({ framework, contender, isCached }, { connections, pages, warmupMs, measureMs }) {
  const port = await freePort()
  const server = start('server.js', { framework, contender, port })
  try {
    await listening(server, port)
    const client = start('client.js', { port, connections, pages })
    try {
      await answerOf(client)
      /** @type {[string, Figure][]} */
      const figures = []
      for (const [path, length] of sizes) {
        await ask(client, { path, length, ms: warmupMs })
        const before = await ask(server, 'consumed')
        const { requests, wallNs } = await ask(client, { path, length, ms: measureMs })
        const after = await ask(server, 'consumed')
        const runs = after.runs - before.runs
        if (runs !== (isCached ? 0 : requests))
          throw new Error(`${contender} on ${framework}: ${runs} runs of the handler in ${requests} requests`)
        const cpuNs = Math.round((after.cpuNs - before.cpuNs) / requests)
        figures.push([path.slice(1), { requests, cpuNs, wallNs: Math.round(wallNs / requests) }])
      }
      return figures
    } finally {
      client.kill('SIGKILL')
    }
  } finally {
    server.kill('SIGKILL')
  }
}

/** @param {string} script @param {object} order */
function start(script, order) {
  return fork(join(here, script), [JSON.stringify(order)], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
}

/**
 * @param {import('node:child_process').ChildProcess} child
 * @param {import('node:child_process').Serializable} message
 * @returns {Promise<any>}
 */
function ask(child, message) {
  const answer = answerOf(child)
  child.send(message)
  return answer
}

/** @param {import('node:child_process').ChildProcess} child */
async function answerOf(child) {
  const ended = new AbortController()
  const end = () => ended.abort()
  child.once('exit', end)
  try {
    const [answer] = await once(child, 'message', { signal: ended.signal })
    return answer
  } catch (error) {
    throw new Error('a process of the bench has ended; what it said is above', { cause: error })
  } finally {
    child.off('exit', end)
  }
}

/** @param {import('node:child_process').ChildProcess} server @param {number} port */
async function listening(server, port) {
  for (let attempt = 0; attempt < 500; attempt++) {
    if (server.exitCode !== null) break
    try {
      await (await fetch(`http://127.0.0.1:${port}/none`)).arrayBuffer()
      return
    } catch {
      await sleep(20)
    }
  }
  throw new Error(`nobody listens on port ${port}`)
}

/** @returns {Promise<number>} */
async function freePort() {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address())
  server.close()
  await once(server, 'close')
  return port
}

/**
 * @param {Results} results
 * @param {Site} site
 * @param {string} page
 * @param {Figure} figure
 */
function keep({ series }, { framework, contender }, page, figure) {
  let one = series.find(
    (known) => known.framework === framework && known.contender === contender && known.page === page,
  )
  if (one === undefined) {
    one = { framework, contender, page, rounds: [] }
    series.push(one)
  }
  one.rounds.push(figure)
}

/** @param {string} name @returns {string} */
function versionOf(name) {
  const path = new URL(`../node_modules/${name}/package.json`, import.meta.url)
  return JSON.parse(readFileSync(path, 'utf8')).version
}
