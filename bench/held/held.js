// @ts-check
/**
 * What is common to `memory` and `pauses`: each contender in a process of its own, the order reversed each round,
 * medians in the table and every round in the file.
 */
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { run } from '../../scripts/run-command.js'
import { BASELINE } from '../contenders/contender.js'
import { isBusy, load, machineBefore } from '../machine.js'
import { publish } from '../publish.js'
import { median } from '../table.js'

/** @typedef {import('./measure.js').Figure} Figure */

/**
 * @typedef {object} Row
 * @property {'text' | 'object' | 'buffer'} values
 * @property {number} entries
 */

/**
 * @typedef {object} Column
 * @property {string} title
 * @property {keyof Figure} figure
 * @property {boolean} [hasRatio] shown beside it, to the baseline
 */

/**
 * @typedef {object} Series
 * @property {string} contender
 * @property {Row['values']} values
 * @property {number} entries
 * @property {Figure[]} rounds
 */

/** Of buffers fewer, since each has memory of its own besides. @type {Row[]} */
export const largeRows = [
  { values: 'text', entries: 1_000_000 },
  { values: 'object', entries: 1_000_000 },
  { values: 'buffer', entries: 500_000 },
]

const contenders = [BASELINE, 'lru.min', 'quick-lru', 'tierwheel', 'tierwheel-bytes']
const here = fileURLToPath(new URL('.', import.meta.url))

/**
 * @param {{ bench: string, question: string, rows: Row[], columns: Column[], args: string[] }} held
 */
export async function measureHeld({ bench, question, rows, columns, args }) {
  const { values } = parseArgs({
    args,
    options: {
      entries: { type: 'string' },
      rounds: { type: 'string', default: '1' },
      save: { type: 'boolean', default: false },
      seed: { type: 'string', default: '1' },
      values: { type: 'string' },
    },
  })
  const rounds = count(values.rounds, '--rounds')
  const entries = values.entries === undefined ? undefined : count(values.entries, '--entries')
  const asked = rows
    .filter((row) => values.values === undefined || row.values === values.values)
    .map((row) => (entries === undefined ? row : { ...row, entries }))
  const machine = { ...machineBefore(), node: process.version }
  if (isBusy(machine)) {
    console.log(`the machine is busy (load ${machine.loadBefore}): trust the memory, not the times`)
  }
  /** @type {Series[]} */
  const series = []
  for (let round = 0; round < rounds; round++) {
    for (const row of asked) {
      process.stdout.write(`round ${round + 1}/${rounds}, ${row.entries} entries, ${row.values}:`)
      for (const contender of round % 2 === 0 ? contenders : contenders.toReversed()) {
        process.stdout.write(` ${contender}`)
        keep(series, { contender, ...row }, await ask({ contender, ...row, seed: values.seed }))
      }
      process.stdout.write('\n')
    }
  }
  machine.loadAfter = load()
  const report = reportOf({ question, series, asked, columns, machine, rounds })
  // What is committed is a whole run, unless someone insists.
  if ((entries === undefined && values.values === undefined) || values.save) {
    const date = new Date().toISOString().slice(0, 10)
    const results = { bench, date, seed: values.seed, machine, series }
    publish(results, report)
  } else console.log(`\n${report}`)
}

/**
 * @param {import('./measure.js').Order} order
 * @returns {Promise<Figure>}
 */
async function ask(order) {
  const program = [
    '--expose-gc',
    '--max-old-space-size=8192',
    join(here, 'measure.js'),
    JSON.stringify(order),
  ]
  const { ok, output } = await run(process.execPath, program, { timeoutMs: 400_000 })
  const line = output.split('\n').find((text) => text.startsWith('{"node":'))
  if (!ok || line === undefined) throw new Error(`\n${order.contender}, ${order.values}:\n${output}`)
  return JSON.parse(line).figure
}

/**
 * @param {Series[]} series
 * @param {Omit<Series, 'rounds'>} which
 * @param {Figure} figure
 */
function keep(series, which, figure) {
  let one = series.find(({ contender, values, entries }) => {
    return contender === which.contender && values === which.values && entries === which.entries
  })
  if (one === undefined) {
    one = { ...which, rounds: [] }
    series.push(one)
  }
  one.rounds.push(figure)
}

/**
 * @param {{ question: string, series: Series[], asked: Row[], columns: Column[],
 *   machine: import('../machine.js').Machine & { node: string }, rounds: number }} run
 */
function reportOf({ question, series, asked, columns, machine, rounds }) {
  const { cpu, cores, memoryGiB, os, node, loadBefore, loadAfter } = machine
  const lines = [
    `*${question}*`,
    '',
    `Node ${node.slice(1)}, ${cpu}, ${cores} cores, ${memoryGiB} GiB, ${os}; load ${loadBefore} before and ${loadAfter} after; the`,
    `median of ${rounds}. In brackets: the figure of ${BASELINE} in the same run, divided by this one.`,
  ]
  for (const row of asked) {
    const members = series.filter(({ values, entries }) => values === row.values && entries === row.entries)
    const baseline = members.find(({ contender }) => contender === BASELINE)
    lines.push('', `### ${row.entries.toLocaleString('en')} entries, ${row.values}`, '')
    lines.push(`| | ${columns.map(({ title }) => title).join(' | ')} |`)
    lines.push(`|---|${columns.map(() => '--:').join('|')}|`)
    for (const member of members) {
      const cells = columns.map(({ figure, hasRatio }) => {
        const own = medianOf(member, figure)
        const text = own.toFixed(own < 10 ? 1 : 0)
        if (!hasRatio || baseline === undefined || own <= 0) return text
        return `${text} (${(medianOf(baseline, figure) / own).toFixed(2)}x)`
      })
      lines.push(`| ${member.contender} | ${cells.join(' | ')} |`)
    }
  }
  return `${lines.join('\n')}\n`
}

/** @param {Series} series @param {keyof Figure} figure */
function medianOf({ rounds }, figure) {
  return median(rounds.map((round) => round[figure]))
}

/** @param {string} text @param {string} option */
function count(text, option) {
  const number = Number(text)
  if (!Number.isInteger(number) || number < 1) throw new Error(`${option}: ${text} is not a count`)
  return number
}
