// @ts-check
/**
 * `npm run test:crash`: a file tier is killed at every system call that can change a file, one run for each; then 200
 * times at random under load; then a million pairs of keys are compared on every tier.
 *
 * After each kill every key reads as after the operation before the kill, as after the one it happened in, or not at
 * all, and the directory goes on. `--every 20` takes one call in twenty, from a different one each time the seed is;
 * `--from 600` goes on with the 600th run, and `--jobs 4` has four at once instead of one for each processor.
 * It needs strace, which is installed where it is missing and that is allowed.
 */
import { spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { build } from '../../scripts/build.js'
import { installDebian } from '../../scripts/install-debian.js'
import { root } from '../../scripts/root.js'
import { binOf, runNode } from '../../scripts/run-command.js'
import { keys, marker, states } from './script.js'

/** Everything by which the script changes a directory. What only looks is as good as killed at the change before. */
const changing = [
  'openat',
  'write',
  'writev',
  'pwrite64',
  'rename',
  'link',
  'unlink',
  'ftruncate',
  'fchmod',
  'chmod',
  'mkdir',
]

const every = Number(argumentOf('--every') ?? 1)
const from = Number(argumentOf('--from') ?? 0)
const jobs = Number(argumentOf('--jobs') ?? availableParallelism())
const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31))
const script = fileURLToPath(new URL('script.js', import.meta.url))
const built = pathToFileURL(join(root, 'dist/tiers/file.js')).href
const folder = mkdtempSync(join(tmpdir(), 'tierwheel-crash-'))
const allStates = states()
let failures = 0

/** @param {string} option */
function argumentOf(option) {
  const at = process.argv.indexOf(option)
  return at === -1 ? undefined : process.argv[at + 1]
}

/**
 * Runs the script under strace, killed at the call with a number if there is one.
 *
 * @param {string} directory
 * @param {string} output where strace says what it saw
 * @param {string[]} options
 * @returns {Promise<string | null>} the signal that ended it
 */
function trace(directory, output, options) {
  const args = ['-f', '-o', output, ...options, process.execPath, script, built, directory]
  const child = spawn('strace', args, { stdio: ['ignore', 'ignore', 'pipe'] })
  let said = ''
  child.stderr?.on('data', (data) => (said += data))
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('exit', (code, signal) => {
      if (signal === null && code !== 0 && code !== 137)
        reject(new Error(`strace ended with ${code}: ${said}`))
      else resolve(code === 137 ? 'SIGKILL' : signal)
    })
  })
}

/**
 * The numbers that the calls of the operations have, of those that the main thread makes.
 *
 * @param {string} call
 * @returns {Promise<{ first: number, last: number }>}
 */
async function numbersOf(call) {
  const directory = join(folder, 'counted')
  const output = join(folder, 'trace')
  await trace(directory, output, ['-e', `trace=${call},?lstat,?newfstatat,?statx`])
  const lines = readFileSync(output, 'utf8').split('\n')
  const main = lines[0]?.split(' ')[0]
  let first = 1
  let count = 0
  for (const line of lines) {
    if (!line.startsWith(`${main} `)) continue
    if (line.includes(marker)) first = count + 1
    // A call that another thread interrupts has a second line when it returns.
    if (new RegExp(`^\\d+\\s+${call}\\(`).test(line)) count++
  }
  rmSync(directory, { recursive: true, force: true })
  return { first, last: count }
}

/**
 * What is wrong with a directory after a kill; `undefined` when nothing is.
 *
 * @param {string} directory
 */
async function wrongIn(directory) {
  const { fileTier } = await import(built)
  /** @type {import('../../src/tiers/tier.ts').Tier} */
  const tier = fileTier({ directory })
  try {
    const found = await tier.getMany(keys)
    const texts = found.map((entry) =>
      entry === undefined ? undefined : Buffer.from(entry.bytes).toString(),
    )
    const fits = allStates.some((before, at) => {
      const after = allStates[at + 1] ?? before
      return texts.every(
        (text, key) =>
          text === undefined || text === before.get(`key:${key}`) || text === after.get(`key:${key}`),
      )
    })
    if (!fits) return `no moment of the script fits ${JSON.stringify(texts.map((text) => text?.slice(0, 8)))}`
    await tier.set({ key: 'after', bytes: Buffer.from('1'), remainingMs: 60_000 })
    if ((await tier.get('after')) === undefined) return 'nothing can be stored any more'
    return undefined
  } catch (error) {
    return String(error)
  } finally {
    await tier.close()
  }
}

/**
 * Runs the script up to a call, and looks at what is left.
 *
 * @param {{ call: string, number: number }} point
 * @param {number} run
 * @returns {Promise<boolean>} whether it was killed there
 */
async function killAt({ call, number }, run) {
  const directory = join(folder, `run-${run}`)
  const inject = `inject=${call}:signal=SIGKILL:when=${number}`
  const signal = await trace(directory, '/dev/null', ['-e', `trace=${call}`, '-e', inject])
  const wrong = await wrongIn(directory)
  if (wrong !== undefined) {
    failures++
    console.log(`FAILED  killed at ${call} ${number}: ${wrong}`)
  }
  rmSync(directory, { recursive: true, force: true })
  return signal === 'SIGKILL'
}

async function killAtEveryCall() {
  /** @type {{ call: string, number: number }[]} */
  const points = []
  for (const call of changing) {
    const { first, last } = await numbersOf(call)
    for (let number = first + (seed % every); number <= last; number += every) points.push({ call, number })
    console.log(`${call}: calls ${first} to ${last}`)
  }
  let next = from
  let kills = 0
  const inTurn = async () => {
    for (let run = next++; run < points.length; run = next++) {
      if (run > from && run % 100 === 0) console.log(`${run} of ${points.length} runs, ${failures} failures`)
      const point = points[run]
      if (point !== undefined && (await killAt(point, run))) kills++
    }
  }
  await Promise.all(Array.from({ length: jobs }, inTurn))
  // Runs in which nobody was killed would show nothing.
  if (kills === 0) failures++
  const runs = Math.max(0, points.length - from)
  console.log(`${runs} runs, ${kills} kills, ${failures} failures (one call in ${every}, SEED=${seed})`)
}

/**
 * Runs one of the tests of `npm test` for longer.
 *
 * @param {string} path
 * @param {Record<string, string>} env
 */
async function runLonger(path, env) {
  const { ok, output } = await runNode([binOf('vitest'), 'run', path], { show: true, env })
  if (!ok) failures++
  return output
}

if (spawnSync('strace', ['-V']).status !== 0 && !installDebian(['strace'])) {
  console.log('SKIPPED: strace is not here and could not be installed, so nobody was killed at a system call')
  if (process.env.CI !== undefined || process.env.REQUIRE_SERVICES !== undefined) failures++
} else if (await build()) {
  await killAtEveryCall()
} else failures++
await runLonger('test/faults/file-tier-kill.test.ts', { KILLS: '200', SEED: String(seed) })
await runLonger('test/faults/storage-keys.test.ts', { PAIRS: '1000000', SEED: String(seed) })
rmSync(folder, { recursive: true, force: true })
console.log(failures === 0 ? 'all is well' : `${failures} failures`)
process.exitCode = failures === 0 ? 0 : 1
