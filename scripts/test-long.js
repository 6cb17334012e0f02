// @ts-check
/**
 * `npm run test:long`: the models against the core and L1 over 20 million operations, seven times as many as in
 * `npm test`, and a hundred million on one index. Takes some ten minutes; `SEED` repeats a run.
 */
import { build } from './build.js'
import { binOf, countsIn, runNode } from './run-command.js'

const SCALE = '7'

if (await build()) {
  const tests = await runNode([binOf('vitest'), 'run', 'test/model', 'test/long', ...process.argv.slice(2)], {
    show: true,
    env: { TEST_SCALE: SCALE },
  })
  const { passed, failed } = countsIn(tests.output)
  process.exitCode = tests.ok && failed === 0 && passed > 0 ? 0 : 1
} else {
  process.exitCode = 1
}
