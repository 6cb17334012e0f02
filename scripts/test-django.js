// @ts-check
/**
 * `npm run test:django`: Django's behaviours on every backend, its script of calls, random ones, and races of two
 * processes. The last lines say how many behaviours hold where. `-- --scripts=100` makes more random scripts, and
 * `-- --races` has 10,000 rounds of each race, which takes half an hour. `SEED` repeats a run.
 */
import { parseArgs } from 'node:util'
import { build } from './build.js'
import { binOf, countsIn, runNode } from './run-command.js'

const { races, scripts } = parseArgs({
  options: { races: { type: 'boolean', default: false }, scripts: { type: 'string', default: '2' } },
}).values
let ok = false
if (await build()) {
  const { ok: hasEnded, output } = await runNode([binOf('vitest'), 'run', 'test/django'], {
    show: true,
    env: { DJANGO_SCRIPTS: scripts, ...(races && { DJANGO_ROUNDS: '10000' }) },
  })
  const lines = output.match(/^.*: \d+ of \d+ behaviours hold.*$/gm) ?? []
  // biome-ignore lint/suspicious/noControlCharactersInRegex: colours begin with one
  for (const line of lines) console.log(line.replace(/\u001b\[\d+m/g, ''))
  const { failed, passed, skipped } = countsIn(output)
  console.log(`${passed} passed, ${failed} failed, ${skipped} skipped`)
  // A server that could not be started skips tests and fails none.
  ok = hasEnded && failed === 0 && passed > 0
}
process.exitCode = ok ? 0 : 1
