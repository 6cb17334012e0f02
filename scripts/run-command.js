// @ts-check
/** Runs the programs that the other scripts are made of, from the root unless told otherwise. */
import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from './root.js'

/**
 * @typedef {object} Outcome
 * @property {boolean} ok
 * @property {string} output what it wrote to both streams, in order
 * @property {number} elapsedMs
 */

/**
 * The script behind a command of an installed package, to be run by Node without a shell in between.
 *
 * @param {string} name the package
 * @param {string} [command] when the package has several
 */
export function binOf(name, command) {
  const folder = join(root, 'node_modules', name)
  const { bin } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
  return join(folder, typeof bin === 'string' ? bin : bin[command ?? Object.keys(bin)[0] ?? ''])
}

/**
 * Runs a Node script by the Node that runs this one.
 *
 * @param {string[]} args the script and its arguments
 * @param {Parameters<typeof run>[2]} [options]
 */
export function runNode(args, options) {
  return run(process.execPath, args, options)
}

/**
 * Runs a program. Resolves also when it failed: what that means is the caller's to say.
 *
 * @param {string} program
 * @param {string[]} args
 * @param {{ cwd?: string, show?: boolean, env?: Record<string, string>, timeoutMs?: number }} [options]
 *   `show` passes on what it prints while it runs
 * @returns {Promise<Outcome>}
 */
export function run(program, args, { cwd = root, show = false, env = {}, timeoutMs } = {}) {
  const startedAt = Date.now()
  return new Promise((resolve) => {
    let output = ''
    const child = spawn(program, args, {
      cwd,
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
      ...(timeoutMs === undefined ? {} : { timeout: timeoutMs, killSignal: 'SIGKILL' }),
    })
    child.stdout.setEncoding('utf8').on('data', (text) => {
      output += text
      if (show) process.stdout.write(text)
    })
    child.stderr.setEncoding('utf8').on('data', (text) => {
      output += text
      if (show) process.stderr.write(text)
    })
    child.on('error', (error) => resolve({ ok: false, output: `${output}${error}\n`, elapsedMs: 0 }))
    child.on('close', (code, signal) => {
      if (signal !== null) output += `ended by ${signal}\n`
      resolve({ ok: code === 0, output, elapsedMs: Date.now() - startedAt })
    })
  })
}

/**
 * The counts of the last line `N passed, N failed, N skipped` in `output`; a program that got to no such line
 * failed.
 *
 * @param {string} output
 * @returns {{ passed: number, failed: number, skipped: number }}
 */
export function countsIn(output) {
  const line = [...output.matchAll(/^(\d+) passed, (\d+) failed, (\d+) skipped$/gm)].at(-1)
  if (line === undefined) return { passed: 0, failed: 1, skipped: 0 }
  return { passed: Number(line[1]), failed: Number(line[2]), skipped: Number(line[3]) }
}
