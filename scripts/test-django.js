// @ts-check
/**
 * `npm run test:django`: Django's behaviours on every backend, its script of calls, and random ones: how many of these
 * says `-- --scripts=100`. The last lines say how many behaviours hold where.
 */
import { parseArgs } from 'node:util'
import { build } from './build.js'
import { binOf, countsIn, runNode } from './run-command.js'

const { scripts } = parseArgs({ options: { scripts: { type: 'string', default: '2' } } }).values
let ok = false
if (await build()) {
  const { output } = await runNode([binOf('vitest'), 'run', 'test/django'], {
    show: true,
    env: { DJANGO_SCRIPTS: scripts },
  })
  const lines = output.match(/^.*: \d+ of \d+ behaviours hold.*$/gm) ?? []
  // biome-ignore lint/suspicious/noControlCharactersInRegex: colours begin with one
  for (const line of lines) console.log(line.replace(/\u001b\[\d+m/g, ''))
  const { failed, passed, skipped } = countsIn(output)
  console.log(`${passed} passed, ${failed} failed, ${skipped} skipped`)
  ok = failed === 0 && passed > 0
}
process.exitCode = ok ? 0 : 1
