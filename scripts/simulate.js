// @ts-check
/**
 * `npm run simulate`: many runs of the simulator (test/simulation), or, with `--mutants`, fewer with one guard after
 * another taken away, each of which must be missed. What is found prints the line that repeats it.
 */
import { parseArgs } from 'node:util'
import { mutants } from '../test/simulation/mutants.js'
import { build } from './build.js'
import { binOf, runNode } from './run-command.js'

const usage = `npm run simulate -- [options]

  --seeds N     runs of sixty virtual seconds each (2000; with --mutants 200)
  --from N      the first seed (1): a run that was interrupted goes on from where it says it was
  --jobs N      how many processes share the work (2)
  --mutants     take the guards away one by one; each must make a run fail
  --only TEXT   with --mutants: only guards whose name has this in it
  --help`

/** Seeds that one process of the test runner takes at once: enough to be worth its start, few enough to show progress. */
const PORTION = 250

process.exitCode = await main()

/** @returns {Promise<number>} the exit status */
async function main() {
  let options
  try {
    options = readOptions()
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : error}\n\n${usage}`)
    return 2
  }
  if (options.help) {
    console.log(usage)
    return 0
  }
  if (!(await build())) return 1
  return options.mutants ? takeGuardsAway(options) : simulate(options)
}

/** @typedef {{ seeds: number, from: number, jobs: number, mutants: boolean, only: string, help: boolean }} Options */

/** @returns {Options} */
function readOptions() {
  const { values } = parseArgs({
    options: {
      seeds: { type: 'string' },
      from: { type: 'string', default: '1' },
      jobs: { type: 'string', default: '2' },
      mutants: { type: 'boolean', default: false },
      only: { type: 'string', default: '' },
      help: { type: 'boolean', default: false },
    },
  })
  const { mutants, only, help } = values
  return {
    seeds: countOf('--seeds', values.seeds ?? (mutants ? '200' : '2000')),
    from: countOf('--from', values.from),
    jobs: countOf('--jobs', values.jobs),
    mutants,
    only,
    help,
  }
}

/**
 * @param {string} option
 * @param {string} text
 */
function countOf(option, text) {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new Error(`${option}: ${text} is not a whole number from 1 on`)
  return Number(text)
}

/**
 * Runs some seeds up to the first that fails, and says which that was.
 *
 * @param {number} from
 * @param {number} seeds
 * @param {Record<string, string>} [env]
 */
async function runSeeds(from, seeds, env = {}) {
  const { ok, output } = await runNode([binOf('vitest'), 'run', 'test/simulation/caches.test.ts'], {
    // A run leaves little behind, but not before it is over: with room for that, little is collected twice.
    env: {
      FROM: String(from),
      SEEDS: String(seeds),
      NO_COLOR: '1',
      NODE_OPTIONS: '--max-semi-space-size=64',
      ...env,
    },
  })
  return { ok, found: /SEED=\d+ .*/.exec(output)?.[0], output }
}

/** @param {Options} options */
async function simulate({ seeds, from, jobs }) {
  const end = from + seeds
  const startedAt = Date.now()
  let next = from
  let done = 0
  let failed = 0
  await share(jobs, async () => {
    if (next >= end) return false
    const first = next
    const count = Math.min(PORTION, end - first)
    next += count
    // A process ends with the first seed that fails; the rest of the portion is as good as any other.
    for (let at = first; at < first + count; ) {
      const { ok, found, output } = await runSeeds(at, first + count - at)
      if (ok) break
      const seed = Number(/^SEED=(\d+)/.exec(found ?? '')?.[1] ?? Number.NaN)
      failed++
      console.log(
        found === undefined ? output : `\n${found}\nrepeat: SEED=${seed} npx vitest run test/simulation\n`,
      )
      if (!(seed >= at)) break
      at = seed + 1
    }
    done += count
    const secondsLeft = Math.ceil(((Date.now() - startedAt) / done) * (seeds - done) * 0.001)
    const progress = `${done} of ${seeds} seeds, ${failed} found, about ${secondsLeft} s left`
    console.log(`${progress}; to go on from here: --from ${next} --seeds ${Math.max(end - next, 1)}`)
    return true
  })
  console.log(`${seeds - failed} passed, ${failed} failed, 0 skipped`)
  return failed === 0 ? 0 : 1
}

/** @param {Options} options */
async function takeGuardsAway({ seeds, from, jobs, only }) {
  const names = mutants.map(({ name }) => name)
  const wanted = names.filter((name) => name.includes(only))
  if (wanted.length === 0) {
    console.error(`no guard has "${only}" in its name; there are:\n  ${names.join('\n  ')}`)
    return 2
  }
  const waiting = [...wanted]
  /** @type {string[]} */
  const missed = []
  await share(jobs, async () => {
    const name = waiting.shift()
    if (name === undefined) return false
    const { ok, found, output } = await runSeeds(from, seeds, { MUTANT: name })
    if (ok || found === undefined) missed.push(name)
    console.log(
      `${ok ? 'MISSED' : found === undefined ? 'BROKEN' : 'caught'}  ${name}${found === undefined ? '' : `: ${found.slice(0, 90)}`}`,
    )
    if (!ok && found === undefined) console.log(output.slice(-2_000))
    return true
  })
  console.log(`${wanted.length - missed.length} passed, ${missed.length} failed, 0 skipped`)
  return missed.length === 0 ? 0 : 1
}

/**
 * Calls `work` again and again, `jobs` at a time, until it says that there is no more.
 *
 * @param {number} jobs
 * @param {() => Promise<boolean>} work
 */
async function share(jobs, work) {
  await Promise.all(
    Array.from({ length: jobs }, async () => {
      while (await work());
    }),
  )
}
