// @ts-check
/**
 * `npm run test:services`: the SQL parts on MariaDB, on better-sqlite3 and on the `node:sqlite` of a newer Node, which
 * also has zstd. The server, the packages (one is compiled for a minute) and that Node are installed first, once.
 */
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { installDebian } from '../../scripts/install-debian.js'
import { installPackages } from '../../scripts/install-packages.js'
import { binOf, countsIn, run, runNode } from '../../scripts/run-command.js'

const here = fileURLToPath(new URL('.', import.meta.url))
const vitest = binOf('vitest')
const counts = { passed: 0, failed: 0, skipped: 0 }

try {
  if (spawnSync('mariadbd', ['--version']).status !== 0 && !installDebian(['mariadb-server'])) {
    console.log('without MariaDB, which could not be installed here: its tests do not run')
  }
  await installPackages('test/services')
  const env = { SERVICES: 'yes' }
  add(await runNode([vitest, 'run', 'test/services', ...process.argv.slice(2)], { show: true, env }))
  const node24 = join(here, 'node_modules/node24/bin/node')
  const onNode24 = [
    'test/contract/sqlite.test.ts',
    // Where there is zstd.
    'test/contract/compressed-codec.test.ts',
    'test/unit/codecs/compressed.test.ts',
  ]
  add(await run(node24, [vitest, 'run', ...onNode24], { show: true }))
} catch (error) {
  counts.failed++
  console.error(error instanceof Error ? error.message : error)
}
console.log(`${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`)
process.exitCode = counts.failed === 0 && counts.passed > 0 ? 0 : 1

/** @param {import('../../scripts/run-command.js').Outcome} outcome */
function add({ ok, output }) {
  const counted = countsIn(output)
  counts.passed += counted.passed
  counts.failed += ok || counted.failed > 0 ? counted.failed : 1
  counts.skipped += counted.skipped
}
