// @ts-check
/** The tables of `bench cache`, made from what a run recorded and from nothing else. */
import { median, tableOf } from '../table.js'
import { BARE, contenders, OURS } from './contenders.js'
import { reasonFor } from './losses.js'

/**
 * @typedef {object} Series one row of one contender, a figure for each round
 * @property {string} contender
 * @property {string} row
 * @property {{ operations: number, wallNs: number, cpuNs: number, loads?: number }[]} rounds
 */

/**
 * @typedef {object} PairRound
 * @property {number[]} latencyMs from the call of `delete` here until the new value was read there
 * @property {number[]} ackMs until `delete` resolved
 * @property {number} never how often the old value was read for a whole second more
 * @property {number[]} rushLoads by two processes together, of one key
 */

/** @typedef {{ contender: string, row: 'two processes', rounds: PairRound[] }} PairSeries */

/**
 * @typedef {object} Results
 * @property {'cache'} bench
 * @property {string} date
 * @property {{ seed: string, rounds: number, measureMs: number, invalidations: number, rushes: number }} settings
 * @property {import('../machine.js').Machine & { node: string }} machine
 * @property {Record<string, string>} packages versions
 * @property {(Series | PairSeries)[]} series
 */

/** @typedef {'cpuNs' | 'wallNs'} Measure */

const FEATURES = `${OURS}, every feature`
const STAMPEDE = 'stampede of 1000'
export const TWO_PROCESSES = 'two processes'

/** @type {{ title: string, rows: string[] }[]} */
const tables = [
  { title: 'Hits in the first level', rows: ['get, L1 hit', 'getOrSet, L1 hit'] },
  {
    title: 'Hits in Redis',
    rows: ['get, L2 hit x1', 'getOrSet, L2 hit x1', 'get, L2 hit x64', 'getOrSet, L2 hit x64'],
  },
  { title: 'Writes', rows: ['set x1', 'set x64', 'delete x1', 'delete x64'] },
  { title: 'Misses', rows: ['getOrSet, miss and load x1', 'getOrSet, miss and load x64'] },
]

/** What the figures are to reach; `value` is `undefined` where the run has not measured it. */
const targets = [
  {
    about: `an L1 hit by getOrSet is at least 1.2 times as fast as layered-loader's`,
    least: 1.2,
    value: (/** @type {Results} */ results) => ratio(results, 'getOrSet, L1 hit', 'layered-loader'),
  },
  {
    about: `an L1 hit by getOrSet is at least 15 times as fast as bentocache's`,
    least: 15,
    value: (/** @type {Results} */ results) => ratio(results, 'getOrSet, L1 hit', 'bentocache'),
  },
  {
    about: 'an L1 hit with every feature configured costs what a bare one does (at least 0.9 of its speed)',
    least: 0.9,
    value: (/** @type {Results} */ results) => invert(ratio(results, 'getOrSet, L1 hit', FEATURES)),
  },
  ...['get, L2 hit x1', 'get, L2 hit x64'].map((row) => ({
    about: `${row}: at least 0.85 of the speed of bare ${BARE}`,
    least: 0.85,
    value: (/** @type {Results} */ results) => ratio(results, row, BARE),
  })),
  {
    about: 'of 1,000 callers for a missing key one loads',
    most: 1,
    value: (/** @type {Results} */ results) => loadsOf(results, OURS),
  },
  {
    about: 'all of them are answered within 3 ms of the load',
    most: 3,
    value: (/** @type {Results} */ results) => {
      const ns = figureOf(results, OURS, STAMPEDE, 'wallNs')
      return ns === undefined ? undefined : ns / 1e6
    },
  },
  {
    about: '1,000 callers in each of two processes load a missing key once',
    most: 1,
    value: (/** @type {Results} */ results) => rushOf(results, OURS),
  },
  {
    about: 'the other process has the new value within 25 ms of the delete, in 99 of 100 cases',
    most: 25,
    value: (/** @type {Results} */ results) => latencyOf(results, OURS)?.p99,
  },
]

/**
 * @param {Results} results
 * @returns {string} Markdown
 */
export function reportOf(results) {
  const { date, machine, packages, settings } = results
  const versions = Object.entries(packages).map(([name, version]) => `${name} ${version}`)
  const parts = [
    '# A cache over Redis',
    `Made by \`npm run bench -- cache\` from \`cache-${date}.json\`, which keeps every round. ` +
      '[bench/README.md](../README.md) says what each row asks and how to read it.',
    [
      `- ${date}; ${machine.cpu}, ${machine.cores} cores, ${machine.memoryGiB} GiB; ${machine.os}; Node ` +
        `${machine.node.slice(1)}; load ${machine.loadBefore} before, ${machine.loadAfter} after`,
      `- ${versions.join(', ')}`,
      `- ${settings.rounds} rounds of ${settings.measureMs} ms a row, ${settings.invalidations} invalidations and ` +
        `${settings.rushes} rushes in each, seed ${settings.seed}`,
      `- cells: median µs per operation, and in brackets how many times as fast ${OURS} is: the median of the rounds' ` +
        'ratios, above 1 means that it is faster',
    ].join('\n'),
    '## What was to be reached',
    targetsOf(results),
    '## CPU time',
    'Of the process that calls, with all its threads; what Redis itself takes is not in it.',
    ...tablesOf(results, 'cpuNs'),
    '## Wall time',
    'What a caller waits, where there is one; where there are 64, the time divided by the operations.',
    ...tablesOf(results, 'wallNs'),
    '## A thousand callers, one missing key',
    stampedesOf(results),
    '## Another process',
    'How long a second process goes on answering with what the first one deleted: from the call of `delete` until a loop ' +
      'of `getOrSet` there has the new value. Who has no first level asks Redis each time. "Never" is for a second at least.',
    pairsOf(results),
    `## Where ${OURS} is slower`,
    lossesOf(results),
  ]
  return `${parts.join('\n\n')}\n`
}

/** @param {Results} results */
function targetsOf(results) {
  const lines = targets.map(({ about, least, most, value }) => {
    const figure = value(results)
    const bound = least === undefined ? `<= ${most}` : `>= ${least}`
    if (figure === undefined) return [about, bound, 'not measured', '']
    const isReached = (least === undefined || figure >= least) && (most === undefined || figure <= most)
    return [about, bound, figure.toFixed(2), isReached ? 'yes' : '**no**']
  })
  return tableOf(['', 'wanted', 'measured', 'reached'], lines)
}

/** @param {Results} results @param {Measure} measure */
function tablesOf(results, measure) {
  return tables.flatMap(({ title, rows }) => {
    const names = namesWith((name) => rows.some((row) => seriesOf(results, name, row) !== undefined))
    if (names.length === 0) return []
    const lines = names.map((name) => [name, ...rows.map((row) => cellOf(results, name, row, measure))])
    return [`### ${title}, µs`, tableOf(['', ...rows], lines)]
  })
}

/** @param {Results} results @param {string} name @param {string} row @param {Measure} measure */
function cellOf(results, name, row, measure) {
  const ns = figureOf(results, name, row, measure)
  if (ns === undefined) return '-'
  const text = (ns / 1_000).toFixed(ns < 10_000 ? 3 : 1)
  const times = ratio(results, row, name, measure)
  return name === OURS || times === undefined ? text : `${text} (${times.toFixed(2)}x)`
}

/** @param {Results} results */
function stampedesOf(results) {
  const names = namesWith((name) => seriesOf(results, name, STAMPEDE) !== undefined)
  const lines = names.map((name) => [
    name,
    (loadsOf(results, name) ?? Number.NaN).toFixed(1),
    ((figureOf(results, name, STAMPEDE, 'wallNs') ?? Number.NaN) / 1e6).toFixed(2),
    (rushOf(results, name) ?? Number.NaN).toFixed(1),
  ])
  return tableOf(['', 'loads', 'all answered after the load, ms', 'loads by two processes'], lines)
}

/** @param {Results} results */
function pairsOf(results) {
  const lines = pairsIn(results).map(({ contender, rounds }) => {
    const latency = latencyOf(results, contender)
    const never = rounds.reduce((sum, round) => sum + round.never, 0)
    const ms = (/** @type {number | undefined} */ value) => (value === undefined ? '-' : value.toFixed(2))
    return [
      contender,
      ms(latency?.p50),
      ms(latency?.p99),
      `${never}`,
      ms(median(rounds.flatMap((round) => round.ackMs))),
    ]
  })
  return tableOf(['', 'median, ms', '99 of 100, ms', 'never', '`delete` resolves after, ms'], lines)
}

/** @param {Results} results */
function lossesOf(results) {
  const lost = tables
    .flatMap(({ rows }) => rows)
    .flatMap((row) => {
      const faster = namesWith((name) => (ratio(results, row, name) ?? 1) < 1 && name !== FEATURES)
      const shown = faster.map((name) => `${name} (${(ratio(results, row, name) ?? 0).toFixed(2)}x)`)
      return shown.length === 0 ? [] : [{ row, shown, reason: reasonFor(row) }]
    })
  if (lost.length === 0) return 'In no row, by CPU time.'
  const byReason = new Map(lost.map(({ reason }) => [reason, lost.filter((one) => one.reason === reason)]))
  return [...byReason]
    .map(([reason, rows]) => {
      return `- ${rows.map(({ row, shown }) => `${row}: ${shown.join(', ')}`).join('; ')}. The reason: ${reason}.`
    })
    .join('\n')
}

/** @param {(name: string) => boolean} has */
function namesWith(has) {
  return contenders.map(({ name }) => name).filter(has)
}

/** @param {Results} results @param {string} contender @param {string} row */
function seriesOf({ series }, contender, row) {
  const found = series.find((one) => one.contender === contender && one.row === row)
  return /** @type {Series | undefined} */ (found)
}

/** @param {Results} results */
function pairsIn({ series }) {
  return series.filter((one) => one.row === TWO_PROCESSES).map((one) => /** @type {PairSeries} */ (one))
}

/** @param {Results} results @param {string} contender @param {string} row @param {Measure} measure */
function figureOf(results, contender, row, measure) {
  const found = seriesOf(results, contender, row)
  return found === undefined ? undefined : median(found.rounds.map((round) => round[measure]))
}

/**
 * How many times as fast ours is, round by round: what both met in one round is alike.
 *
 * @param {Results} results
 * @param {string} row
 * @param {string} contender
 * @param {Measure} [measure]
 */
function ratio(results, row, contender, measure = 'cpuNs') {
  const [ours, theirs] = [seriesOf(results, OURS, row), seriesOf(results, contender, row)]
  if (ours === undefined || theirs === undefined) return undefined
  const ratios = ours.rounds.flatMap((round, index) => {
    const other = theirs.rounds[index]
    return other === undefined ? [] : [other[measure] / round[measure]]
  })
  return ratios.length === 0 ? undefined : median(ratios)
}

/** @param {number | undefined} value */
function invert(value) {
  return value === undefined ? undefined : 1 / value
}

/** @param {Results} results @param {string} contender */
function loadsOf(results, contender) {
  const rounds = seriesOf(results, contender, STAMPEDE)?.rounds
  return rounds === undefined ? undefined : median(rounds.map(({ loads = Number.NaN }) => loads))
}

/** @param {Results} results @param {string} contender */
function rushOf(results, contender) {
  const rounds = pairsIn(results).find((one) => one.contender === contender)?.rounds
  return rounds === undefined ? undefined : median(rounds.flatMap(({ rushLoads }) => rushLoads))
}

/** @param {Results} results @param {string} contender */
function latencyOf(results, contender) {
  const all = pairsIn(results)
    .find((one) => one.contender === contender)
    ?.rounds.flatMap(({ latencyMs }) => latencyMs)
  if (all === undefined || all.length === 0) return undefined
  const sorted = all.sort((one, other) => one - other)
  return { p50: median(sorted), p99: sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * 0.99))] }
}
