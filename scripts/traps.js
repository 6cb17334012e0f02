// @ts-check
/**
 * `npm run traps`: takes the rule behind each trap away in turn (test/traps/rules.js); the test of that trap must fail, and
 * with all rules in place every test must pass.
 */
import { rules } from '../test/traps/rules.js'
import { build } from './build.js'
import { binOf, runNode } from './run-command.js'

process.exitCode = await main()

/** @returns {Promise<number>} the exit status */
async function main() {
  if (!(await build())) return 1
  const whole = await runTraps('trap ', {})
  if (!whole.ok) console.log(`with all rules in place:\n${whole.output.slice(-4_000)}`)
  /** @type {string[]} */
  const missed = []
  for (const { name, trap } of rules) {
    const { ok, output } = await runTraps(`trap ${trap}:`, { MUTANT: name })
    const isCaught = !ok && /[1-9]\d* failed/.test(output) && output.includes('AssertionError')
    if (!isCaught) missed.push(name)
    console.log(`${ok ? 'MISSED' : isCaught ? 'caught' : 'BROKEN'}  ${name}`)
    if (!ok && !isCaught) console.log(output.slice(-2_000))
  }
  console.log(`${rules.length - missed.length} passed, ${missed.length} failed, 0 skipped`)
  return whole.ok && missed.length === 0 ? 0 : 1
}

/**
 * @param {string} name
 * @param {Record<string, string>} env
 */
function runTraps(name, env) {
  const words = [binOf('vitest', 'vitest'), 'run', 'test/traps', '-t', name]
  return runNode(words, { env, timeoutMs: 120_000 })
}
