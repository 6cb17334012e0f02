// @ts-check
/**
 * What does a cache of two levels over Redis cost, beside the ones Node programs use today and beside Redis alone?
 *
 * Hits in the first level, with nothing configured and with everything; hits in Redis, one caller and 64 at once;
 * writes, deletes, loads; a thousand callers for one missing key, in a process and in two; and how long another
 * process goes on with a deleted entry. Every contender has, for each group of rows, a process and a Redis of its own.
 * A round measures all contenders one after the other; the next takes them in the reverse order.
 */
import { fork } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { runNode } from '../../scripts/run-command.js'
import { isBusy, load, machineBefore } from '../machine.js'
import { paceOf } from '../pace.js'
import { publish, recordedIn } from '../publish.js'
import { startServer } from '../tiers/servers.js'
import { contenders } from './contenders.js'
import { reportOf, TWO_PROCESSES } from './report.js'

/** @typedef {import('./contenders.js').Contender} Contender */
/** @typedef {import('./measure.js').Figure} Figure */
/** @typedef {import('./measure.js').Group} Group */
/** @typedef {import('./report.js').Results} Results */

const here = fileURLToPath(new URL('.', import.meta.url))
const full = { rounds: 3, measureMs: 1_000, invalidations: 200, rushes: 10 }
const quick = { rounds: 1, measureMs: 100, invalidations: 5, rushes: 1 }

/** @type {Group[]} */
const groups = ['hot', 'cold', 'writes', 'stampede']

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
      seed: { type: 'string', default: '1' },
    },
  })
  if (values.from !== undefined) {
    const recorded = /** @type {Results} */ (recordedIn(values.from))
    publish(recorded, reportOf(recorded))
    return
  }
  const pattern = new RegExp(values.only ?? '')
  const asked = contenders.filter(({ name }) => pattern.test(name))
  if (asked.length === 0)
    throw new Error(`--only: nobody matches; there are ${contenders.map(({ name }) => name).join(', ')}`)

  const results = await measureAll(asked, { seed: values.seed, ...paceOf(values, full, quick) })
  // What is committed is a whole run, unless someone insists.
  if ((values.quick || values.only !== undefined) && !values.save) console.log(`\n${reportOf(results)}`)
  else publish(results, reportOf(results))
}

/**
 * @param {Contender[]} asked
 * @param {Results['settings']} settings
 * @returns {Promise<Results>}
 */
async function measureAll(asked, settings) {
  /** @type {Results} */
  const results = {
    bench: 'cache',
    date: new Date().toISOString().slice(0, 10),
    settings,
    machine: { ...machineBefore(), node: process.version },
    packages: versionsOf(asked),
    series: [],
  }
  if (isBusy(results.machine)) {
    console.log(`the machine is busy (load ${results.machine.loadBefore}): a look, nothing to quote`)
  }
  for (let round = 0; round < settings.rounds; round++) {
    for (const contender of round % 2 === 0 ? asked : asked.toReversed()) {
      process.stdout.write(`round ${round + 1}/${settings.rounds}, ${contender.name}:`)
      for (const group of contender.isOnlyHot ? groups.slice(0, 1) : groups) {
        if (group === 'hot' && !contender.hasL1) continue
        process.stdout.write(` ${group}`)
        for (const { row, ...figure } of await measured(contender, group, settings))
          keep(results, contender, row, figure)
      }
      if (!contender.isOnlyHot) {
        process.stdout.write(' two processes')
        keep(results, contender, TWO_PROCESSES, await withTwo(contender, settings))
      }
      process.stdout.write('\n')
    }
  }
  results.machine.loadAfter = load()
  return results
}

/**
 * @param {Contender} contender
 * @param {Group} group
 * @param {Results['settings']} settings
 * @returns {Promise<Figure[]>}
 */
async function measured({ name }, group, { measureMs, seed }) {
  const server = await redis()
  try {
    const order = JSON.stringify({ contender: name, group, measureMs, seed, port: server.port })
    const { ok, output } = await runNode([join(here, 'measure.js'), order], { timeoutMs: 300_000 })
    const line = output.split('\n').find((text) => text.startsWith('{"node":'))
    if (!ok || line === undefined) throw new Error(`\n${name}, ${group}:\n${output}`)
    return /** @type {Figure[]} */ (JSON.parse(line).figures).map(rounded)
  } finally {
    server.end()
  }
}

/**
 * Two processes over one Redis: how long the second one goes on with what the first one deleted, and how often a key
 * that a thousand callers in each ask for is loaded.
 *
 * @param {Contender} contender
 * @param {Results['settings']} settings
 * @returns {Promise<import('./report.js').PairRound>}
 */
async function withTwo({ name }, { invalidations, rushes }) {
  const server = await redis()
  const [first, second] = [memberOf(name, server.port), memberOf(name, server.port)]
  try {
    await Promise.all([first.answer(), second.answer()])
    /** @type {import('./report.js').PairRound} */
    const round = { latencyMs: [], ackMs: [], never: 0, rushLoads: [] }
    for (let at = 0; at < invalidations; at++) {
      const key = `invalidated:${at}`
      await first.ask('read', key)
      await second.ask('read', key)
      await second.ask('watch', key)
      const [deleted, seen] = await Promise.all([first.ask('delete', key), second.answer()])
      round.ackMs.push(msBetween(deleted.calledAt, deleted.ackedAt))
      if (seen.seenAt === undefined) round.never++
      else round.latencyMs.push(msBetween(deleted.calledAt, seen.seenAt))
      // One who has no bus has none the tenth time either.
      if (round.never === 3 && round.latencyMs.length === 0) break
    }
    for (let at = 0; at < rushes; at++) {
      const key = `rush:${at}`
      const both = await Promise.all([first.ask('rush', key), second.ask('rush', key)])
      round.rushLoads.push(both.reduce((sum, { loads = 0 }) => sum + loads, 0))
    }
    return round
  } catch (error) {
    throw new Error(`\n${name}, two processes: ${error instanceof Error ? error.message : error}`)
  } finally {
    first.end()
    second.end()
    server.end()
  }
}

/** @param {number | undefined} from @param {number | undefined} until */
function msBetween(from = Number.NaN, until = Number.NaN) {
  return Number((until - from).toFixed(3))
}

/** @param {string} name @param {number} port */
function memberOf(name, port) {
  const child = fork(join(here, 'pair.js'), [name, `${port}`], { stdio: ['ignore', 'ignore', 'pipe', 'ipc'] })
  let said = ''
  child.stderr?.setEncoding('utf8').on('data', (text) => {
    said += text
  })
  /** @returns {Promise<import('./pair.js').Answer>} */
  const answer = () =>
    new Promise((resolve, reject) => {
      const onExit = () => reject(new Error(`the process ended: ${said}`))
      child.once('exit', onExit)
      child.once('message', (message) => {
        child.off('exit', onExit)
        resolve(/** @type {import('./pair.js').Answer} */ (message))
      })
    })
  return {
    answer,
    /** @param {import('./pair.js').Request['what']} what @param {string} key */
    ask: (what, key) => {
      child.send({ what, key })
      return answer()
    },
    end: () => void child.kill('SIGKILL'),
  }
}

async function redis() {
  const server = await startServer('redis')
  if (server === undefined)
    throw new Error('redis-server is not on the PATH, and nothing here goes without it')
  return server
}

/** @param {Figure} figure @returns {Figure} with no more digits than it has */
function rounded(figure) {
  const { wallNs, cpuNs } = figure
  return { ...figure, wallNs: Number(wallNs.toFixed(1)), cpuNs: Number(cpuNs.toFixed(1)) }
}

/**
 * @param {Results} results
 * @param {Contender} contender
 * @param {string} row
 * @param {object} round
 */
function keep({ series }, { name }, row, round) {
  let one = series.find((other) => other.contender === name && other.row === row)
  if (one === undefined) {
    one = /** @type {Results['series'][number]} */ ({ contender: name, row, rounds: [] })
    series.push(one)
  }
  const rounds = /** @type {object[]} */ (one.rounds)
  rounds.push(round)
}

/** @param {Contender[]} asked @returns {Record<string, string>} */
function versionsOf(asked) {
  const names = [...new Set(asked.flatMap(({ packages }) => packages))]
  return Object.fromEntries(
    names.map((name) => {
      const path = join(here, '../node_modules', name, 'package.json')
      return [name, JSON.parse(readFileSync(path, 'utf8')).version]
    }),
  )
}
