// @ts-check
/** The table of `bench hit-ratio`, made from what a run counted and from nothing else. */

/**
 * @typedef {object} Cell one trace and one capacity
 * @property {string} trace
 * @property {number} percent of the trace's keys that there is room for
 * @property {number} entries that is
 * @property {number} requests
 * @property {number} uniqueKeys
 * @property {Record<string, number>} hits by contender, in the order of the table
 */

/**
 * @typedef {object} Results
 * @property {'hit-ratio'} bench
 * @property {string} date
 * @property {Record<string, string>} packages versions
 * @property {Cell[]} cells
 */

const BASELINE = 'lru'
const OPTIMUM = 'optimum'
/** Below, a cell is in the table and not in the means: what it shows is luck. */
const fewEntries = 50

/**
 * @param {Results} results
 * @returns {string} Markdown
 */
export function reportOf({ date, packages, cells }) {
  const names = Object.keys(cells[0]?.hits ?? {})
  const counted = cells.filter(({ entries }) => entries >= fewEntries)
  const versions = Object.entries(packages).map(([name, version]) => `${name} ${version}`)
  const traces = new Set(cells.map(({ trace }) => trace)).size
  return `${[
    '# Hit ratios',
    'Made by `npm run bench -- hit-ratio` from `hit-ratio.json`, which has the counts. ' +
      '[bench/README.md](../README.md) says what is asked and how to read it.',
    `- ${date}; ${versions.join(', ')}\n- ${traces} traces, ${cells.length} cells: percent of requests that were hits`,
    '## In short',
    `Over the ${counted.length} cells with at least ${fewEntries} entries.`,
    tableOf([
      ['', ...names],
      ['mean', ...names.map((name) => mean(counted.map((cell) => ratio(cell, name))).toFixed(2))],
      [
        `least lead over ${BASELINE}`,
        ...names.map((name) =>
          Math.min(...counted.map((cell) => ratio(cell, name) - ratio(cell, BASELINE))).toFixed(2),
        ),
      ],
      [
        `share of the way from ${BASELINE} to the optimum, mean`,
        ...names.map((name) => `${mean(shares(counted, name)).toFixed(0)} %`),
      ],
    ]),
    '## All cells',
    tableOf([
      ['trace', 'room for', 'entries', ...names],
      ...cells.map((cell) => [
        cell.trace,
        `${cell.percent} %`,
        cell.entries.toLocaleString('en'),
        ...names.map((name) => ratio(cell, name).toFixed(2)),
      ]),
    ]),
  ].join('\n\n')}\n`
}

/**
 * In percent; cells where LRU is the optimum have no way to go.
 *
 * @param {Cell[]} cells
 * @param {string} name
 */
function shares(cells, name) {
  return cells
    .filter((cell) => ratio(cell, OPTIMUM) - ratio(cell, BASELINE) >= 0.01)
    .map((cell) => {
      const lead = ratio(cell, name) - ratio(cell, BASELINE)
      return (100 * lead) / (ratio(cell, OPTIMUM) - ratio(cell, BASELINE))
    })
}

/**
 * In percent.
 *
 * @param {Cell} cell
 * @param {string} name
 */
function ratio(cell, name) {
  return (100 * (cell.hits[name] ?? 0)) / cell.requests
}

/** @param {number[]} figures */
function mean(figures) {
  return figures.reduce((sum, figure) => sum + figure, 0) / figures.length
}

/** @param {string[][]} lines */
function tableOf(lines) {
  const [head = [], ...body] = lines
  const rule = head.map((_, at) => (at === 0 ? '---' : '--:'))
  return [head, rule, ...body].map((line) => `| ${line.join(' | ')} |`).join('\n')
}
