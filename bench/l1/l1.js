// @ts-check
/**
 * What does one operation on a first level cost, beside the caches Node programs use today?
 *
 * With keys built at the moment of use, as programs do, and with key strings that are used again and again, where a
 * JavaScript `Map` is at its best; small and large; on the oldest Node supported and on a current one. A round
 * measures every contender, each in a process of its own, on one group of rows after the other; the next round takes
 * the contenders in the reverse order. Figures are CPU time, since other programs on the machine take wall time away.
 */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { run } from '../../scripts/run-command.js'
import { contenders } from '../contenders/contender.js'
import { isBusy, load, machineBefore } from '../machine.js'
import { paceOf } from '../pace.js'
import { publish, recordedIn } from '../publish.js'
import { BATCH } from '../workloads/operations.js'
import { reportOf } from './report.js'
import { rows } from './rows.js'

/** @typedef {import('./measure.js').Figure} Figure */
/** @typedef {import('./measure.js').Order} Order */
/** @typedef {import('./report.js').Results} Results */
/** @typedef {import('./rows.js').Row} Row */

const here = fileURLToPath(new URL('.', import.meta.url))

/** The engines of a run that names none. */
const USUAL = ['node20', 'node24']
const ALL = ['node20', 'node22', 'node24', 'node26', 'deno', 'bun']
const full = { rounds: 3, warmupMs: 50, measureMs: 100 }
const quick = { rounds: 1, warmupMs: 20, measureMs: 40 }

/** @param {string[]} args */
export async function main(args) {
  const { values } = parseArgs({
    args,
    options: {
      from: { type: 'string' },
      engine: { type: 'string', multiple: true },
      only: { type: 'string' },
      quick: { type: 'boolean', default: false },
      rounds: { type: 'string' },
      save: { type: 'boolean', default: false },
      seed: { type: 'string', default: '1' },
      wide: { type: 'boolean', default: false },
    },
  })
  if (values.from !== undefined) {
    const recorded = /** @type {Results} */ (recordedIn(values.from))
    publish(recorded, reportOf(recorded))
    return
  }
  const pace = paceOf(values, full, quick)
  const pattern = new RegExp(values.only ?? '')
  const asked = rows
    .filter(({ id, isUsual }) => pattern.test(id) && (isUsual || values.wide))
    .map((row) => ({
      ...row,
      contenders: row.contenders.filter((name) => values.wide || isUsualContender(name)),
    }))
  if (asked.length === 0)
    throw new Error(`--only: no row matches; there are\n${rows.map(({ id }) => id).join('\n')}`)

  const results = await measureAll({
    engines: values.engine ?? (values.wide ? ALL : USUAL),
    asked,
    settings: { seed: values.seed, ...pace, batch: BATCH },
  })
  // What is committed is a whole run, unless someone insists.
  const isLook = values.quick || values.only !== undefined || values.engine !== undefined
  if (isLook && !values.save) console.log(reportOf(results))
  else publish(results, reportOf(results))
}

/**
 * @param {{ engines: string[], asked: Row[], settings: Results['settings'] }} run
 * @returns {Promise<Results>}
 */
async function measureAll({ engines, asked, settings }) {
  const programs = new Map(engines.map((engine) => [engine, commandOf(engine)]))
  const machine = machineBefore()
  if (isBusy(machine)) {
    console.log(`the machine is busy (load ${machine.loadBefore}): trust the ratios, not the times`)
  }
  /** @type {Results} */
  const results = {
    bench: 'l1',
    date: new Date().toISOString().slice(0, 10),
    settings,
    machine,
    engines: {},
    packages: versions(),
    series: [],
  }

  const progress = progressOf(
    engines.length * settings.rounds * sum(asked.map((row) => row.contenders.length)),
  )
  for (let round = 0; round < settings.rounds; round++) {
    for (const [engine, command] of programs) {
      for (const group of new Set(asked.map((row) => row.group))) {
        const members = asked.filter((row) => row.group === group)
        const names = contenders.map(({ name }) => name)
        if (round % 2 === 1) names.reverse()
        progress.begin(`round ${round + 1}/${settings.rounds}, ${engine}, ${group}:`)
        for (const contender of names) {
          const ids = members.filter((row) => row.contenders.includes(contender)).map(({ id }) => id)
          if (ids.length === 0) continue
          progress.name(contender)
          const { rounds: _, batch: __, ...rest } = settings
          const answer = await ask(command, { contender, rows: ids, ...rest })
          results.engines[engine] = { name: answer.engine, v8: answer.v8 }
          for (const figure of answer.figures) keep(results, engine, contender, figure)
          progress.done(ids.length)
        }
        progress.end()
      }
    }
  }
  results.machine.loadAfter = load()
  checkHitRatios(results)
  return results
}

/**
 * @param {Command} command
 * @param {Order} order
 * @returns {Promise<{ engine: string, v8?: string, figures: Figure[] }>}
 */
async function ask({ program, args: before }, order) {
  const args = [...before, join(here, 'measure.js'), JSON.stringify(order)]
  const { ok, output } = await run(program, args, { timeoutMs: 300_000 })
  const line = output.split('\n').find((text) => text.startsWith('{"engine":'))
  if (!ok || line === undefined)
    throw new Error(`\n${order.contender} on ${order.rows.join(', ')}:\n${output}`)
  return JSON.parse(line)
}

/**
 * @param {Results} results
 * @param {string} engine
 * @param {string} contender
 * @param {Figure} figure
 */
function keep(results, engine, contender, { row, hitRatio, ...figure }) {
  let series = results.series.find((one) => {
    return one.engine === engine && one.row === row && one.contender === contender
  })
  if (series === undefined) {
    series = { engine, row, contender, ...(hitRatio === undefined ? {} : { hitRatio }), rounds: [] }
    results.series.push(series)
  }
  if (series.hitRatio !== hitRatio)
    throw new Error(`${row}: the hit ratio of ${contender} is not the same each round`)
  series.rounds.push({ ...figure, cpuNs: rounded(figure.cpuNs), wallNs: rounded(figure.wallNs) })
}

/**
 * Exact LRU of one capacity on one stream has one hit ratio, whoever implements it.
 *
 * @param {Results} results
 */
function checkHitRatios({ series }) {
  const exact = new Set(contenders.filter(({ isExactLru }) => isExactLru).map(({ name }) => name))
  for (const { row, contender, hitRatio } of series) {
    const other = series.find((one) => one.row === row && exact.has(one.contender))
    if (exact.has(contender) && hitRatio !== other?.hitRatio) {
      throw new Error(`${row}: ${contender} hits ${hitRatio}, ${other?.contender} ${other?.hitRatio}`)
    }
  }
}

/** @param {string} name */
function isUsualContender(name) {
  return contenders.some((contender) => contender.name === name && contender.isUsual)
}

/** @typedef {{ program: string, args: string[] }} Command */

/**
 * How an engine is started: the Node that runs this, or what one of the two lockfiles brings.
 *
 * @param {string} engine
 * @returns {Command}
 */
function commandOf(engine) {
  if (!ALL.includes(engine)) throw new Error(`--engine: ${engine} is none of ${ALL.join(', ')}`)
  const isNode = engine.startsWith('node')
  const args = isNode
    ? ['--expose-gc']
    : engine === 'deno'
      ? ['run', '-A', '--v8-flags=--expose-gc']
      : ['run']
  if (engine === `node${Number.parseInt(process.versions.node, 10)}`)
    return { program: process.execPath, args }
  const places = ['../node_modules/', '../../test/runtimes/node_modules/'].flatMap((folder) =>
    isNode ? [`${folder}${engine}/bin/node`] : [`${folder}.bin/${engine}`],
  )
  const program = places.map((place) => fileURLToPath(new URL(place, import.meta.url))).find(existsSync)
  if (program !== undefined) return { program, args }
  throw new Error(`there is no ${engine} here: bench/package.json brings Node 20 and 24 for Linux on x64, and
npm ci --prefix test/runtimes the others; elsewhere run this by the Node you mean and name it`)
}

/** @returns {Record<string, string>} */
function versions() {
  const places = {
    tierwheel: '../node_modules/tierwheel/package.json',
    'lru-cache': '../node_modules/lru-cache/package.json',
    'lru.min': '../node_modules/lru.min/package.json',
    'quick-lru': '../node_modules/quick-lru/package.json',
    'tiny-lru': '../node_modules/tiny-lru/package.json',
    mnemonist: '../node_modules/mnemonist/package.json',
    'toad-cache': '../node_modules/toad-cache/package.json',
    ttlcache: '../node_modules/@isaacs/ttlcache/package.json',
    tinybench: '../node_modules/tinybench/package.json',
  }
  return Object.fromEntries(
    Object.entries(places).map(([name, place]) => {
      return [name, JSON.parse(readFileSync(new URL(place, import.meta.url), 'utf8')).version]
    }),
  )
}

/**
 * A line for each group of rows, growing as contenders are done.
 *
 * @param {number} total of rows to be measured
 */
function progressOf(total) {
  const startedAt = Date.now()
  let measured = 0
  return {
    /** @param {string} text */
    begin: (text) => process.stdout.write(text),
    /** @param {string} contender */
    name: (contender) => process.stdout.write(` ${contender}`),
    /** @param {number} count */
    done: (count) => {
      measured += count
    },
    end: () => {
      const leftS = Math.round((((Date.now() - startedAt) / measured) * (total - measured)) / 1000)
      const time = `${Math.floor(leftS / 60)}:${String(leftS % 60).padStart(2, '0')}`
      process.stdout.write(` | ${Math.floor((100 * measured) / total)} %, about ${time} left\n`)
    },
  }
}

/** @param {number} ns */
function rounded(ns) {
  return Number(ns.toFixed(2))
}

/** @param {number[]} counts */
function sum(counts) {
  return counts.reduce((total, count) => total + count, 0)
}
