// @ts-check
/** The tables of `bench l1`, made from what a run recorded and from nothing else. */
import { BASELINE, contenders } from '../contenders/contender.js'
import { median, tableOf } from '../table.js'
import { keyKinds } from '../workloads/keys.js'
import { workloads } from '../workloads/workloads.js'
import { reasonFor } from './losses.js'
import { rows } from './rows.js'

/**
 * @typedef {object} Series one row of one contender on one engine, a figure for each round
 * @property {string} engine such as `node24`
 * @property {string} row
 * @property {string} contender
 * @property {number} [hitRatio]
 * @property {{ cpuNs: number, wallNs: number, operations: number }[]} rounds
 */

/**
 * @typedef {object} Results
 * @property {'l1'} bench
 * @property {string} date
 * @property {{ seed: string, rounds: number, warmupMs: number, measureMs: number, batch: number }} settings
 * @property {import('../machine.js').Machine} machine
 * @property {Record<string, { name: string, v8?: string | undefined }>} engines what each is in full
 * @property {Record<string, string>} packages versions
 * @property {Series[]} series
 */

/** @typedef {'cpuNs' | 'wallNs'} Measure */

const OURS = 'tierwheel'

/**
 * @param {Results} results
 * @returns {string} Markdown
 */
export function reportOf(results) {
  const { date, machine, packages, settings, engines } = results
  const versions = Object.entries(packages).map(([name, version]) => `${name} ${version}`)
  const parts = [
    '# L1 throughput',
    `Made by \`npm run bench -- l1\` from \`l1-${date}.json\`, which keeps every round. ` +
      '[bench/README.md](../README.md) says what each row asks and how to read it.',
    [
      `- ${date}; ${machine.cpu}, ${machine.cores} cores, ${machine.memoryGiB} GiB; ${machine.os}; ` +
        `load ${machine.loadBefore} before, ${machine.loadAfter} after`,
      `- ${versions.join(', ')}`,
      `- ${settings.rounds} rounds of ${settings.measureMs} ms a row after ${settings.warmupMs} ms of warm-up, ` +
        `${settings.batch} operations a task call, seed ${settings.seed}`,
      `- cells: median ns per operation, and in brackets how many times as fast as ${BASELINE}: the median of the ` +
        `rounds' ratios, above 1 is faster; for ${OURS} with the least and the greatest`,
    ].join('\n'),
  ]
  parts.push(
    Object.entries(workloads)
      .map(([name, { about }]) => `- **${name}**: ${about}`)
      .join('\n'),
  )
  for (const [engine, { name, v8 }] of Object.entries(engines)) {
    const title = v8 === undefined ? name : `${name} (V8 ${v8})`
    parts.push(`## ${title}`, '### CPU time', ...tablesOf(results, engine, 'cpuNs'))
    parts.push(...hitRatiosOf(results, engine), ...lossesOf(results, engine))
    parts.push('### The same by the wall clock', ...tablesOf(results, engine, 'wallNs'))
  }
  return `${parts.join('\n\n')}\n`
}

/**
 * @param {Results} results
 * @param {string} engine
 * @param {Measure} measure
 */
function tablesOf(results, engine, measure) {
  const groups = [...new Set(rows.map(({ group }) => group))]
  return groups.flatMap((group) => {
    const members = rows.filter((row) => row.group === group && seriesOf(results, engine, row.id).length > 0)
    const [first] = members
    if (first === undefined) return []
    const names = contenders.map(({ name }) => name).filter((name) => has(results, engine, members, name))
    const title = `**${first.keys} keys, ${first.entries.toLocaleString('en')} entries${first.ttlMs === undefined ? '' : ', with a ttl'}** (${keyKinds[first.keys].about})`
    const lines = members.map((row) => {
      const series = seriesOf(results, engine, row.id)
      return [row.workload, ...names.map((name) => cellOf(series, name, measure))]
    })
    return [title, tableOf(['', ...names], lines)]
  })
}

/**
 * @param {Results} results
 * @param {string} engine
 * @param {string} row
 */
function seriesOf(results, engine, row) {
  return results.series.filter((series) => series.engine === engine && series.row === row)
}

/**
 * @param {Results} results
 * @param {string} engine
 * @param {import('./rows.js').Row[]} members
 * @param {string} contender
 */
function has(results, engine, members, contender) {
  return members.some(({ id }) =>
    seriesOf(results, engine, id).some((series) => series.contender === contender),
  )
}

/**
 * @param {Series[]} series of one row
 * @param {string} contender
 * @param {Measure} measure
 */
function cellOf(series, contender, measure) {
  const own = series.find((one) => one.contender === contender)
  if (own === undefined) return '-'
  const ns = median(own.rounds.map((round) => round[measure])).toFixed(1)
  const ratios = ratiosOf(series, contender, measure)
  if (contender === BASELINE || contender === 'key-only' || ratios.length === 0) return ns
  const ratio = median(ratios).toFixed(2)
  if (contender !== OURS) return `${ns} (${ratio}x)`
  return `${ns} (**${ratio}x**, ${Math.min(...ratios).toFixed(2)} to ${Math.max(...ratios).toFixed(2)})`
}

/**
 * How many times as fast as the baseline, round by round: what both met in one round is alike.
 *
 * @param {Series[]} series
 * @param {string} contender
 * @param {Measure} measure
 */
function ratiosOf(series, contender, measure) {
  const own = series.find((one) => one.contender === contender)
  const baseline = series.find((one) => one.contender === BASELINE)
  if (own === undefined || baseline === undefined) return []
  return own.rounds.flatMap((round, index) => {
    const other = baseline.rounds[index]
    return other === undefined ? [] : [other[measure] / round[measure]]
  })
}

/**
 * @param {Results} results
 * @param {string} engine
 */
function hitRatiosOf(results, engine) {
  const members = rows.filter(({ workload, id }) => {
    return workload === 'mixed' && seriesOf(results, engine, id).length > 0
  })
  if (members.length === 0) return []
  const names = contenders.map(({ name }) => name).filter((name) => has(results, engine, members, name))
  const lines = members.map(({ id }) => {
    const series = seriesOf(results, engine, id)
    return [
      id,
      ...names.map((name) => series.find((one) => one.contender === name)?.hitRatio?.toFixed(4) ?? '-'),
    ]
  })
  return [
    '### Hit ratio of the mixed rows',
    'A count, not a time. quick-lru may keep twice its `maxSize`, so it hits more often; the others are exact LRU, but for ttlcache.',
    tableOf(['', ...names], lines),
  ]
}

/**
 * @param {Results} results
 * @param {string} engine
 */
function lossesOf(results, engine) {
  const lost = rows.flatMap((row) => {
    const ratios = ratiosOf(seriesOf(results, engine, row.id), OURS, 'cpuNs')
    const ratio = ratios.length === 0 ? 1 : median(ratios)
    return ratio < 1 ? [{ row, ratio, reason: reasonFor(row, engine) }] : []
  })
  if (lost.length === 0) return [`### Where ${OURS} is slower than ${BASELINE}`, 'In no row.']
  const byReason = new Map(lost.map(({ reason }) => [reason, lost.filter((one) => one.reason === reason)]))
  const lines = [...byReason].map(([reason, members]) => {
    return `- ${members.map(({ row, ratio }) => `${row.id} (${ratio.toFixed(2)}x)`).join(', ')}: ${reason}.`
  })
  return [`### Where ${OURS} is slower than ${BASELINE}`, lines.join('\n')]
}
