// @ts-check
/** Where results go: every round as JSON, and the tables made of it. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

const folder = fileURLToPath(new URL('results/', import.meta.url))

/**
 * Writes `results/<bench>-<date>.json` and `results/<bench>.md`, and shows the tables.
 *
 * @param {{ bench: string, date: string, series: readonly object[] }} results what belongs to the whole run, and a
 *   series for each thing measured
 * @param {string} report Markdown
 */
export function publish(results, report) {
  mkdirSync(folder, { recursive: true })
  const name = `${results.bench}-${results.date}.json`
  writeFileSync(join(folder, name), textOf(results))
  writeFileSync(join(folder, `${results.bench}.md`), report)
  console.log(report)
  console.log(`written: bench/results/${name}, bench/results/${results.bench}.md`)
}

/**
 * The results of an earlier run.
 *
 * @param {string} path from where npm was called, which runs the bench in this folder
 * @returns {unknown}
 */
export function recordedIn(path) {
  return JSON.parse(readFileSync(resolve(process.env.INIT_CWD ?? '.', path), 'utf8'))
}

/**
 * JSON with one line for each series, so that two runs can be compared line by line.
 *
 * @param {{ series: readonly object[] }} results
 */
function textOf({ series, ...rest }) {
  const head = JSON.stringify(rest, null, 2).slice(0, -2)
  return `${head},\n  "series": [\n${series.map((one) => `    ${JSON.stringify(one)}`).join(',\n')}\n  ]\n}\n`
}
