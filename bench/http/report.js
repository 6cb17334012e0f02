// @ts-check
/** The tables of `bench http`, made from what a run recorded and from nothing else. */
import { median, tableOf } from '../table.js'

/**
 * @typedef {object} Figure
 * @property {number} requests
 * @property {number} cpuNs of the server's process, for a request
 * @property {number} wallNs for a request, with all connections busy
 */

/**
 * @typedef {object} Series
 * @property {string} framework
 * @property {string} contender
 * @property {string} page
 * @property {Figure[]} rounds
 */

/**
 * @typedef {object} Results
 * @property {'http'} bench
 * @property {string} date
 * @property {string} node
 * @property {{ rounds: number, warmupMs: number, measureMs: number, connections: number, pages: number }} settings
 * @property {import('../machine.js').Machine} machine
 * @property {Record<string, string>} packages versions
 * @property {Series[]} series
 */

const OURS = 'tierwheel'
const LIMIT = 'empty'
/** What is no cache, but a handler that sends more, or comes later. */
const handlers = ['same head', 'same head, one middleware', 'same bytes, from a middleware']
/** The same cache in another place. */
const IN_FRONT = 'tierwheel, in front'
/** A hit of this page is to cost at most so many times as much as the limit. */
const TARGET = { page: '2kB', ratio: 1.25 }

/**
 * @param {Results} results
 * @returns {string} Markdown
 */
export function reportOf(results) {
  const { date, node, machine, packages, settings, series } = results
  const versions = Object.entries(packages).map(([name, version]) => `${name} ${version}`)
  const pages = [...new Set(series.map(({ page }) => page))]
  const lines = [...new Set(series.map(({ framework }) => framework))].flatMap((framework) => {
    const names = series.filter((one) => one.framework === framework).map(({ contender }) => contender)
    return [...new Set(names)].map((contender) => [
      `${framework}, ${contender}`,
      ...pages.flatMap((page) => cellsOf(series, { framework, contender, page })),
    ])
  })
  return `${[
    '# Hits of pages',
    `Made by \`npm run bench -- http\` from \`http-${date}.json\`, which keeps every round. ` +
      '[bench/README.md](../README.md) says what each row asks and how to read it.',
    [
      `- ${date}; Node ${node.slice(1)}; ${machine.cpu}, ${machine.cores} cores, ${machine.memoryGiB} GiB; ${machine.os}; ` +
        `load ${machine.loadBefore} before, ${machine.loadAfter} after`,
      `- ${versions.join(', ')}`,
      `- ${settings.rounds} rounds of ${settings.measureMs} ms a figure after ${settings.warmupMs} ms of warm-up; ` +
        `${settings.connections} connections, ${settings.pages} pages of each size`,
      `- cells: responses per second of the server's CPU time, the median of the rounds; and how many times as much ` +
        `CPU time one takes as without a cache (${LIMIT}): the median of the rounds' ratios, for ${OURS} with the ` +
        'least and the greatest',
    ].join('\n'),
    tableOf(['', ...pages.flatMap((page) => [`${page}, a CPU second`, 'costs'])], lines),
    ...targetsOf(series),
    ...lossesOf(series, pages),
  ].join('\n\n')}\n`
}

/** @typedef {Omit<Series, 'rounds'>} Which */

/** @param {Series[]} series @param {Which} which */
function roundsOf(series, { framework, contender, page }) {
  const found = series.find(
    (one) => one.framework === framework && one.contender === contender && one.page === page,
  )
  return found?.rounds ?? []
}

/** CPU time against that of another contender, round by round. @param {Series[]} series @param {Which} which @param {string} to */
function ratiosOf(series, which, to) {
  const others = roundsOf(series, { ...which, contender: to })
  return roundsOf(series, which).flatMap(({ cpuNs }, index) => {
    const other = others[index]
    return other === undefined ? [] : [cpuNs / other.cpuNs]
  })
}

/** @param {Series[]} series @param {Which} which */
function cellsOf(series, which) {
  const rounds = roundsOf(series, which)
  if (rounds.length === 0) return ['-', '-']
  const hits = Math.round(median(rounds.map(({ cpuNs }) => 1e9 / cpuNs))).toLocaleString('en')
  const ratios = ratiosOf(series, which, LIMIT)
  if (which.contender === LIMIT || ratios.length === 0) return [hits, '']
  const ratio = `${median(ratios).toFixed(2)}x`
  if (which.contender !== OURS && which.contender !== IN_FRONT) return [hits, ratio]
  return [hits, `**${ratio}**, ${Math.min(...ratios).toFixed(2)} to ${Math.max(...ratios).toFixed(2)}`]
}

/** @param {Series[]} series */
function targetsOf(series) {
  const members = series.filter(
    ({ contender, page }) => [OURS, IN_FRONT].includes(contender) && page === TARGET.page,
  )
  const ratios = members.flatMap((one) => {
    const rounds = ratiosOf(series, one, LIMIT)
    const framework = one.contender === OURS ? one.framework : `${one.framework}, in front`
    return rounds.length === 0 ? [] : [{ framework, ratio: median(rounds) }]
  })
  if (ratios.length === 0) return []
  const lines = ratios.map(({ framework, ratio }) => {
    return `- ${framework}: ${ratio.toFixed(2)}x, ${ratio <= TARGET.ratio ? 'reached' : '**not reached**'}`
  })
  return [
    `## The target: a hit of ${TARGET.page} at most ${TARGET.ratio}x the empty handler`,
    lines.join('\n'),
  ]
}

/** @param {Series[]} series @param {string[]} pages */
function lossesOf(series, pages) {
  const lost = series.flatMap((other) => {
    if ([OURS, IN_FRONT, LIMIT, ...handlers].includes(other.contender) || !pages.includes(other.page))
      return []
    const ratios = ratiosOf(series, { ...other, contender: OURS }, other.contender)
    const ratio = ratios.length === 0 ? 1 : median(ratios)
    return ratio > 1
      ? [`- ${other.framework}, ${other.page}: ${ratio.toFixed(2)}x ${other.contender}'s CPU time`]
      : []
  })
  return [`## Where ${OURS} is slower than another cache`, lost.length === 0 ? 'In no row.' : lost.join('\n')]
}
