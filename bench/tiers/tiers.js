// @ts-check
/**
 * What does a read and a write of 1 kB cost in a tier, beside what people put in its place?
 *
 * With 10,000 and 100,000 entries, and 1,000 as well where files are listed; one caller after the other and 64 at once.
 * Every contender has a process and an empty folder, or a server with nothing in it, of its own. A round measures
 * all contenders one after the other; the next takes them in the reverse order.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, loadavg, tmpdir, totalmem } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { runNode } from '../../scripts/run-command.js'
import { paceOf } from '../pace.js'
import { contenders } from './contenders.js'
import { reasonFor } from './losses.js'
import { needsServer, startServer } from './servers.js'

/** @typedef {import('./measure.js').Figure} Figure */
/** @typedef {{ contender: string, group: string, entries: number, round: number, figures: Figure[] }} Measured */

const here = fileURLToPath(new URL('.', import.meta.url))
const results = fileURLToPath(new URL('../results/', import.meta.url))
const full = { rounds: 1, measureMs: 1_000, entries: [10_000, 100_000], moreForFiles: [1_000] }
const quick = { rounds: 1, measureMs: 100, entries: [500], moreForFiles: [] }

/** @param {string[]} args */
export async function main(args) {
  const { values } = parseArgs({
    args,
    options: {
      only: { type: 'string' },
      quick: { type: 'boolean', default: false },
      rounds: { type: 'string' },
      save: { type: 'boolean', default: false },
      seed: { type: 'string', default: '1' },
    },
  })
  const pace = paceOf(values, full, quick)
  const pattern = new RegExp(values.only ?? '')
  const asked = contenders.filter(({ name, group }) => pattern.test(name) || pattern.test(group))
  if (asked.length === 0)
    throw new Error(`--only: nobody matches; there are ${contenders.map(({ name }) => name).join(', ')}`)
  const loadBefore = loadavg()[0] ?? 0
  if (loadBefore > 1)
    console.log(`the machine does something else (load ${loadBefore.toFixed(1)}): a look, nothing to quote`)

  /** @type {Measured[]} */
  const all = []
  for (let round = 0; round < pace.rounds; round++) {
    for (const contender of round % 2 === 0 ? asked : asked.toReversed()) {
      const sizes = contender.group === 'file' ? [...pace.moreForFiles, ...pace.entries] : pace.entries
      for (const entries of sizes) {
        const figures = await measured(contender, { entries, measureMs: pace.measureMs, seed: values.seed })
        if (figures === undefined) break
        all.push({ contender: contender.name, group: contender.group, entries, round, figures })
        console.log(`${contender.name}, ${entries} entries: ${figures.map(show).join(', ')}`)
      }
    }
  }
  const cells = cellsOf(all)
  console.log(`\n${tableOf(cells)}`)
  const losses = lossesOf(cells)
  if (losses !== '') console.log(`\nWhere somebody is faster:\n\n${losses}`)
  if (values.save) {
    const machine = { node: process.version, cpu: cpus()[0]?.model, cpus: cpus().length, bytes: totalmem() }
    const path = join(results, `tiers-${new Date().toISOString().slice(0, 10)}.json`)
    mkdirSync(results, { recursive: true })
    writeFileSync(path, `${JSON.stringify({ machine, load: [loadBefore, loadavg()[0]], rounds: all })}\n`)
    console.log(`written to ${path}`)
  }
}

/**
 * @param {import('./contenders.js').Contender} contender
 * @param {{ entries: number, measureMs: number, seed: string }} settings
 * @returns {Promise<Figure[] | undefined>} `undefined` when it cannot be had here
 */
async function measured({ name, group }, settings) {
  const server = needsServer(group) ? await startServer(group) : undefined
  if (needsServer(group) && server === undefined) {
    console.log(`LEFT OUT: ${name}, as its server is not on the PATH`)
    return undefined
  }
  const folder = mkdtempSync(join(tmpdir(), 'tierwheel-bench-'))
  try {
    const order = { contender: name, folder, port: server?.port ?? 0, ...settings }
    const { ok, output } = await runNode([join(here, 'measure.js'), JSON.stringify(order)], {
      timeoutMs: 300_000,
    })
    if (!ok && /ERR_MODULE_NOT_FOUND|Could not locate the bindings/.test(output)) {
      console.log(`LEFT OUT: ${name}, which is not installed here; README.md says how`)
      return undefined
    }
    if (!ok) throw new Error(`${name}: ${output}`)
    const line = output.trimEnd().split('\n').at(-1) ?? ''
    return /** @type {{ figures: Figure[] }} */ (JSON.parse(line)).figures
  } finally {
    server?.end()
    rmSync(folder, { recursive: true, force: true })
  }
}

/** @param {Figure} figure */
function show({ operation, callers, wallNs }) {
  return `${operation} x${callers} ${(wallNs / 1_000).toFixed(1)} µs`
}

/** @typedef {{ contender: string, group: string, entries: number, column: string, us: number, oursUs: number | undefined }} Cell */

const columns = ['read x1', 'write x1', 'read x64', 'write x64']

/**
 * Microseconds of wall time an operation, medians of the rounds, beside those of our tier in the same group.
 *
 * @param {Measured[]} all
 * @returns {Cell[]} what was measured, in the order of the contenders
 */
function cellsOf(all) {
  /** @param {string | undefined} contender @param {number} entries @param {string} column */
  const median = (contender, entries, column) => {
    const found = all
      .filter((one) => one.contender === contender && one.entries === entries)
      .flatMap(({ figures }) =>
        figures.filter(({ operation, callers }) => `${operation} x${callers}` === column),
      )
      .map(({ wallNs }) => wallNs / 1_000)
      .sort((left, right) => left - right)
    return found[Math.floor(found.length / 2)]
  }
  const rows = new Map(
    all.map(({ contender, group, entries }) => [`${contender}/${entries}`, { contender, group, entries }]),
  )
  return [...rows.values()].flatMap((row) => {
    const ours = contenders.find((one) => one.group === row.group && one.isOurs)?.name
    return columns.flatMap((column) => {
      const us = median(row.contender, row.entries, column)
      const oursUs = row.contender === ours ? undefined : median(ours, row.entries, column)
      return us === undefined ? [] : [{ ...row, column, us, oursUs }]
    })
  })
}

/** @param {Cell} cell */
const nameOf = ({ contender, entries }) => `${contender} | ${entries}`

/**
 * A row for each contender and number of entries; ratios are ours against each of the group, above 1 meaning that ours
 * is faster.
 *
 * @param {Cell[]} cells
 */
function tableOf(cells) {
  const lines = [
    `| µs (ours is faster by) | entries | ${columns.join(' | ')} |`,
    `|---|--:|${columns.map(() => '--:|').join('')}`,
  ]
  const names = new Set(cells.map(nameOf))
  for (const name of names) {
    const row = cells.filter((cell) => nameOf(cell) === name)
    const figures = columns.map((column) => {
      const cell = row.find((one) => one.column === column)
      if (cell === undefined) return ''
      const ratio = cell.oursUs === undefined ? '' : ` (${(cell.us / cell.oursUs).toFixed(2)}x)`
      return `${cell.us.toFixed(1)}${ratio}`
    })
    lines.push(`| ${name} | ${figures.join(' | ')} |`)
  }
  return lines.join('\n')
}

/**
 * Where somebody is faster, and why.
 *
 * @param {Cell[]} cells
 */
function lossesOf(cells) {
  const lost = cells.filter(({ us, oursUs }) => oursUs !== undefined && us < oursUs)
  const lines = new Map(
    lost.map(({ contender, column }) => {
      const operation = column.split(' ')[0] ?? ''
      return [`${contender}, ${operation}`, reasonFor(contender, operation)]
    }),
  )
  return [...lines].map(([what, reason]) => `- ${what}: ${reason}.`).join('\n')
}
