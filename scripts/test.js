// @ts-check
/**
 * `npm test`: builds what has changed, then runs every test this machine can run, then the programs in the pages.
 * With arguments (`npm test -- test/unit/duration`) only the tests they name. The last line counts what ran.
 */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { build } from './build.js'
import { installDebian } from './install-debian.js'
import { binOf, countsIn, runNode } from './run-command.js'
import { runDocs } from './run-docs.js'

const named = process.argv.slice(2)
let counts = { passed: 0, failed: 1, skipped: 0 }

if (named.length === 0 || named.some((name) => /redis|memcached|postgres/.test(name))) findServers()

if (await build()) {
  const colour = process.stdout.isTTY && !process.env.NO_COLOR ? { FORCE_COLOR: '1' } : undefined
  const tests = await runNode([binOf('vitest'), 'run', ...named], {
    show: true,
    ...(colour && { env: colour }),
  })
  counts = countsIn(tests.output)
  // A runner that says it failed has failed, whatever it counted.
  if (!tests.ok && counts.failed === 0) counts.failed = 1
  if (named.length === 0) {
    const docs = await runDocs()
    counts.passed += docs.passed
    counts.failed += docs.failed
  }
  // A run of nothing is no success.
  if (counts.passed + counts.failed === 0) counts.failed = 1
}

console.log(`${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`)
process.exitCode = counts.failed === 0 ? 0 : 1

/** Servers that tests drive. Without one its tests are skipped, or fail where `CI` or `REQUIRE_SERVICES` is set. */
function findServers() {
  const missing = ['memcached', 'redis-sentinel', 'redis-server'].filter(
    (name) => spawnSync(name, ['--version']).status !== 0,
  )
  // It has no option that says its version, and makes the certificates of a server with TLS.
  if (spawnSync('openssl', ['version']).status !== 0) missing.push('openssl')
  // Debian keeps what serves off the PATH.
  if (spawnSync('postgres', ['--version']).status !== 0 && !existsSync('/usr/lib/postgresql')) {
    missing.push('postgresql')
  }
  if (missing.length > 0 && !installDebian(missing)) {
    console.log(`without ${missing.join(', ')}, which could not be installed here: its tests do not run`)
  }
}
