// @ts-check
/**
 * `npm run test:faults`: eight processes over a real Redis of their own, thirty faults drawn from a seed, and what was
 * answered held against the promises; then over sentinels and over a cluster of three masters, and the rest of the long
 * tests with real servers. `SEED=…` repeats a run, `FAULTS=…` makes it shorter or longer. Takes some eight minutes.
 */
import { build } from './build.js'
import { installDebian } from './install-debian.js'
import { binOf, countsIn, runNode } from './run-command.js'

const FAULTS = process.env.FAULTS ?? '30'
const SEED = process.env.SEED ?? String(Math.floor(Math.random() * 2 ** 31))

process.exitCode = await main()

/** @returns {Promise<number>} the exit status */
async function main() {
  if (!/^[1-9]\d{0,4}$/.test(FAULTS)) {
    console.error(`FAULTS: ${FAULTS} is not a whole number from 1 on`)
    return 2
  }
  installDebian(['redis-server', 'redis-sentinel'])
  if (!(await build())) return 1
  const more = process.argv.slice(2)
  const files = ['test/faults/fleet.test.ts', 'test/faults/outage.test.ts']
  // One file after the other: the first one keeps two processors busy.
  const how = ['--disable-console-intercept', '--no-file-parallelism']
  const args = [binOf('vitest'), 'run', ...files, ...how, ...more]
  console.log(`SEED=${SEED} FAULTS=${FAULTS}`)
  const tests = await runNode(args, { show: true, env: { FAULTS, SEED } })
  const { passed, failed } = countsIn(tests.output)
  const isGood = tests.ok && failed === 0 && passed > 0
  console.log(`repeat: SEED=${SEED} FAULTS=${FAULTS} npm run test:faults`)
  return isGood ? 0 : 1
}
