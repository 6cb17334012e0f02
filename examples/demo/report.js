// @ts-check
// What the run came to: the numbers, whether they are as promised, and both as a table.

import { availableParallelism } from 'node:os'
import { GRACE_MS } from './journal.js'

/** Names of the two servers, in the order in which everything about them is listed. */
export const serverNames = ['A', 'B']

/**
 * @typedef {object} ServerFacts what a server knows at the end
 * @property {import('tierwheel').CacheStats} stats
 * @property {[product: number, at: number][]} heard
 * @property {number} gaps
 * @property {number} tierFailures
 */

/**
 * @typedef {object} Findings everything that was observed
 * @property {number} asked how many requests of the trace there were to be
 * @property {number} concurrency
 * @property {import('./driver.js').Replay} replay
 * @property {Float64Array} uncachedMs
 * @property {ServerFacts[]} servers
 * @property {number} loads reads at the source during the replay
 * @property {import('./journal.js').Verdict} verdict
 * @property {string} sharedLevel what it is
 */

/** @typedef {ReturnType<typeof resultOf>} Result */

/**
 * @param {Findings} findings
 */
export function resultOf({ asked, concurrency, replay, uncachedMs, servers, loads, verdict, sharedLevel }) {
  const reads = replay.requests + replay.checkReads
  const { heardAfterMs, unheard, staleAtAcknowledging, staleAtOther, olderInWindow } = verdict
  const l1 = servers.map(({ stats }, turn) =>
    levelOf(`L1 of server ${serverNames[turn]}`, stats.l1?.hits ?? 0, stats.l1?.misses ?? 0),
  )
  const shared = levelOf(
    `${sharedLevel}, shared`,
    sum(servers.map(({ stats }) => stats.tiers[0]?.hits ?? 0)),
    sum(servers.map(({ stats }) => stats.tiers[0]?.misses ?? 0)),
  )
  const checks = [
    { name: 'every request was answered', isPassed: replay.errors.length === 0 },
    { name: 'no stale answer at the server that acknowledged', isPassed: staleAtAcknowledging === 0 },
    { name: 'no stale answer at the other server', isPassed: staleAtOther === 0 },
  ]
  return {
    asked,
    concurrency,
    cores: availableParallelism(),
    requests: replay.requests,
    writes: replay.writes,
    checkReads: replay.checkReads,
    elapsedMs: replay.elapsedMs,
    requestsPerSecond: (1_000 * (reads + replay.writes)) / replay.elapsedMs,
    levels: [...l1, shared],
    source: { loads, spared: reads - loads, sparedRatio: ratio(reads - loads, reads) },
    latencyMs: {
      cached: { requests: replay.requests, ...percentiles(replay.latenciesMs) },
      uncached: { requests: uncachedMs.length, ...percentiles(uncachedMs) },
    },
    heard: {
      writes: heardAfterMs.length,
      unheard,
      beforeAcknowledged: heardAfterMs.filter((afterMs) => afterMs <= 0).length,
      afterMs: percentiles(Float64Array.from(heardAfterMs, (afterMs) => Math.max(0, afterMs))),
    },
    stale: { atAcknowledging: staleAtAcknowledging, atOther: staleAtOther, olderInWindow },
    gaps: sum(servers.map(({ gaps }) => gaps)),
    tierFailures: sum(servers.map(({ tierFailures }) => tierFailures)),
    errors: replay.errors,
    checks,
    isPassed: checks.every(({ isPassed }) => isPassed),
  }
}

/**
 * @param {Result} result
 * @returns {string}
 */
export function tableOf(result) {
  const { latencyMs, heard, stale, source } = result
  const reads = result.requests + result.checkReads
  /** @type {string[][]} */
  const rows = [
    ['requests of the trace', count(result.requests), cutShort(result)],
    [
      'writes between them',
      count(result.writes),
      `and ${count(result.checkReads)} reads to check what became of them`,
    ],
    [
      'time',
      `${(result.elapsedMs / 1_000).toFixed(1)} s`,
      `${count(result.requestsPerSecond)} requests a second, all counted`,
    ],
    [],
    ['hit ratio of each tier'],
    ...result.levels.map(({ name, hits, asked, hitRatio }) => [
      `  ${name}`,
      percent(hitRatio),
      `${count(hits)} of ${count(asked)} it was asked for`,
    ]),
    ['loads at the source', count(source.loads), `for ${count(reads)} reads`],
    ['loads spared', percent(source.sparedRatio), count(source.spared)],
    [],
    [
      'latency with the cache',
      p50(latencyMs.cached),
      `p99 ${ms(latencyMs.cached.p99)}, ${result.concurrency} requests at once on ${result.cores} cores`,
    ],
    [
      '  without, at the source',
      p50(latencyMs.uncached),
      `p99 ${ms(latencyMs.uncached.p99)}, ${count(latencyMs.uncached.requests)} requests`,
    ],
    [],
    ...heardRows(heard),
    ['stale where acknowledged', count(stale.atAcknowledging), 'must be 0 (1)'],
    ['stale at the other server', count(stale.atOther), 'must be 0 (2)'],
    ['  older before it heard', count(stale.olderInWindow), 'allowed (3)'],
    ...(result.gaps > 0 ? [['gaps on the bus', count(result.gaps), 'L1 entries were checked again']] : []),
    ...(result.tierFailures > 0
      ? [['failures of the shared tier', count(result.tierFailures), 'were misses']]
      : []),
    ...(result.errors.length > 0 ? [['requests that failed', count(result.errors.length), 'must be 0']] : []),
  ]
  const widths = [0, 1].map((column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)))
  const lines = rows.map(([name = '', value = '', note = '']) =>
    `${name.padEnd(widths[0] ?? 0)}  ${value.padStart(widths[1] ?? 0)}   ${note}`.trimEnd(),
  )
  return [...lines, '', ...definitions, ...verdictLines(result)].join('\n')
}

const definitions = [
  '(1) sent after the acknowledgement of a write had arrived, answered by the same server with an older version',
  `(2) the same at the other server, sent after it had heard of the write, or ${GRACE_MS} ms after the acknowledgement`,
  '(3) at the other server, sent after the acknowledgement had arrived and before (2) applies',
]

/** @param {Result} result */
function verdictLines({ checks, errors }) {
  return [
    '',
    ...checks.map(({ name, isPassed }) => `${isPassed ? 'ok    ' : 'FAILED'}  ${name}`),
    ...errors.map((error) => `        ${error}`),
  ]
}

/** @param {Result['heard']} heard */
function heardRows({ writes, unheard, beforeAcknowledged, afterMs }) {
  const missing = unheard > 0 ? [['writes not heard of', count(unheard), 'at the other server']] : []
  if (writes === 0) return missing
  return [
    [
      'write to other server',
      p50(afterMs),
      `p99 ${ms(afterMs.p99)}, longest ${ms(afterMs.longest)}; ${count(beforeAcknowledged)} of ${count(writes)} before the acknowledgement`,
    ],
    ...missing,
  ]
}

/** @param {Result} result */
function cutShort({ requests, asked, errors }) {
  if (requests >= asked) return ''
  return errors.length > 0 ? `of ${count(asked)}: some failed` : `of ${count(asked)}: the time was over`
}

/**
 * @param {string} name
 * @param {number} hits
 * @param {number} misses
 */
function levelOf(name, hits, misses) {
  return { name, asked: hits + misses, hits, hitRatio: ratio(hits, hits + misses) }
}

/** @param {Float64Array} samples */
function percentiles(samples) {
  const sorted = samples.slice().sort()
  /** @param {number} share */
  const at = (share) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0
  return { p50: at(0.5), p99: at(0.99), longest: at(1) }
}

/** @param {number[]} numbers */
const sum = (numbers) => numbers.reduce((total, number) => total + number, 0)

/**
 * @param {number} part
 * @param {number} whole
 */
const ratio = (part, whole) => (whole === 0 ? 0 : part / whole)

/** @param {number} number */
const count = (number) => Math.round(number).toLocaleString('en')

/** @param {number} share */
const percent = (share) => `${(100 * share).toFixed(1)} %`

/** @param {number} duration */
const ms = (duration) => `${duration.toFixed(duration < 10 ? 2 : 1)} ms`

/** @param {{ p50: number }} times */
const p50 = (times) => `p50 ${ms(times.p50)}`
