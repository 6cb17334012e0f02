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

/** In how many runs a call may have another number than it had when it was counted. */
const MOST_TRIES = 10

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
 * Runs the script under strace, killed at the call with a number if there is one. Only its main thread is followed: each
 * thread has numbers of its own, and the engine's others would be killed at theirs.
 *
 * @param {string} directory
 * @param {string} output where strace says what it saw
 * @param {string[]} options
 * @returns {Promise<string | null>} the signal that ended it
 */
function trace(directory, output, options) {
  const args = ['-o', output, ...options, process.execPath, script, built, directory]
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
 * Which of a run's calls change the directory: those behind the marker that name it. The engine makes calls of its own,
 * to wake its threads and to look at the machine, and not as many in each run.
 *
 * @param {string} call
 * @param {string} directory
 * @param {string} output
 * @returns {{ numbers: number[], isLast: boolean }} each with its number among all calls of that name; `isLast` when no
 *   call of that name came after them
 */
function changesIn(call, directory, output) {
  /** @type {number[]} */
  const numbers = []
  let count = 0
  let isBehindMarker = false
  for (const line of readFileSync(output, 'utf8').split('\n')) {
    if (line.includes(marker)) isBehindMarker = true
    if (!line.startsWith(`${call}(`)) continue
    count++
    if (isBehindMarker && line.includes(directory)) numbers.push(count)
  }
  return { numbers, isLast: numbers.at(-1) === count }
}

/**
 * The options by which strace tells of a call, with the paths behind the file descriptors.
 *
 * @param {string} call
 */
function tellingOf(call) {
  return ['-y', '-e', `trace=${call},?lstat,?newfstatat,?statx`]
}

/**
 * @param {string} call
 * @returns {Promise<number[]>} the numbers of the calls that change the directory
 */
async function numbersOf(call) {
  const directory = join(folder, 'counted')
  const output = join(folder, 'trace')
  await trace(directory, output, tellingOf(call))
  rmSync(directory, { recursive: true, force: true })
  return changesIn(call, directory, output).numbers
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
 * Runs the script up to a call, and looks at what is left; again, when that run was one of those in which the call had
 * another number.
 *
 * @param {{ call: string, at: number, number: number }} point the `at`-th change by `call`, and its probable number
 * @param {number} run
 * @returns {Promise<number>} how often it had to be run
 */
async function killAt({ call, at, number }, run) {
  const directory = join(folder, `run-${run}`)
  const output = join(folder, `trace-${run}`)
  for (let tries = 1, when = number; ; tries++) {
    const inject = `inject=${call}:signal=SIGKILL:when=${when}`
    const signal = await trace(directory, output, [...tellingOf(call), '-e', inject])
    const wrong = await wrongIn(directory)
    if (wrong !== undefined) {
      failures++
      console.log(`FAILED  killed at ${call} ${at}: ${wrong}`)
    }
    const { numbers, isLast } = changesIn(call, directory, output)
    rmSync(directory, { recursive: true, force: true })
    rmSync(output)
    if (signal === 'SIGKILL' && isLast && numbers.length === at + 1) return tries
    if (tries === MOST_TRIES) {
      failures++
      console.log(`FAILED  in ${tries} runs nobody was killed at ${call} ${at}`)
      return tries
    }
    when = numbers[at] ?? when + at + 1 - numbers.length
  }
}

async function killAtEveryCall() {
  /** @type {{ call: string, at: number, number: number }[]} */
  const points = []
  for (const call of changing) {
    const numbers = await numbersOf(call)
    console.log(`${call}: ${numbers.length} calls`)
    // A kind of change that the script never makes would be one that is never interrupted.
    if (numbers.length === 0) failures++
    numbers.forEach((number, at) => {
      if (at % every === seed % every) points.push({ call, at, number })
    })
  }
  let next = from
  let tries = 0
  const inTurn = async () => {
    for (let run = next++; run < points.length; run = next++) {
      if (run > from && run % 100 === 0) console.log(`${run} of ${points.length} kills, ${failures} failures`)
      const point = points[run]
      if (point === undefined) break
      const more = await killAt(point, run)
      tries += more
    }
  }
  await Promise.all(Array.from({ length: jobs }, inTurn))
  const kills = Math.max(0, points.length - from)
  console.log(`${kills} kills in ${tries} runs, ${failures} failures (one call in ${every}, SEED=${seed})`)
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
