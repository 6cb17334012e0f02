// @ts-check
/**
 * How long does a warm restart take? A million entries of 130 bytes (a key of 30, text of 100) are saved to a file and
 * restored into a new cache, in a process of its own each, and beside it built up again by `set`. What counts is CPU
 * time and the time until all is there; the longest hold is the longest that a timer of 1 ms was late meanwhile.
 */
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { run } from '../scripts/run-command.js'

/** @typedef {{ step: string, wallMs: number, cpuMs: number, holdMs: number, entries: number }} Figure */

const steps = ['build up by set, and save', 'restore']

/** @param {string[]} args */
export async function main(args) {
  const { values } = parseArgs({
    args,
    options: {
      entries: { type: 'string', default: '1000000' },
      rounds: { type: 'string', default: '3' },
    },
  })
  const entries = Number(values.entries)
  const rounds = Number(values.rounds)
  if (!Number.isInteger(entries) || entries < 1)
    throw new Error(`--entries: ${values.entries} is not a count`)
  if (!Number.isInteger(rounds) || rounds < 1) throw new Error(`--rounds: ${values.rounds} is not a count`)
  const folder = mkdtempSync(join(tmpdir(), 'tierwheel-bench-'))
  const path = join(folder, 'l1.snapshot')
  try {
    console.log(`${entries} entries of 130 bytes, Node ${process.versions.node}; ms of each round`)
    /** @type {Map<string, Figure[]>} */
    const figures = new Map()
    for (let round = 0; round < rounds; round++) {
      for (const step of steps) {
        const order = JSON.stringify({ step, path, entries })
        const program = fileURLToPath(new URL('snapshot-process.js', import.meta.url))
        const { ok, output } = await run(process.execPath, ['--expose-gc', program, order], {
          timeoutMs: 300_000,
        })
        const line = output.split('\n').find((text) => text.startsWith('[{"step"'))
        if (!ok || line === undefined) throw new Error(`${step}:\n${output}`)
        for (const figure of /** @type {Figure[]} */ (JSON.parse(line))) {
          if (figure.entries !== entries) throw new Error(`${figure.step}: ${figure.entries} entries`)
          figures.set(figure.step, [...(figures.get(figure.step) ?? []), figure])
        }
      }
    }
    console.log(`the file: ${(statSync(path).size / entries).toFixed(1)} bytes an entry`)
    for (const [step, all] of figures) {
      /** @param {(figure: Figure) => number} of */
      const list = (of) => all.map((figure) => of(figure).toFixed(0)).join(' ')
      console.log(
        `${step.padEnd(12)} wall ${list(({ wallMs }) => wallMs)}   cpu ${list(({ cpuMs }) => cpuMs)}   ` +
          `longest hold ${list(({ holdMs }) => holdMs)}`,
      )
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
