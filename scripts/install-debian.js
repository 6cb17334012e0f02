// @ts-check
/**
 * Installs Debian packages that tests drive, such as a browser: `node scripts/install-debian.js chromium`.
 *
 * A package that is there already costs one look. Where nothing can be installed (another system, no rights) it says
 * so and fails; a test that wants the package decides whether to go without.
 */
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

/**
 * @param {string[]} names
 * @returns {boolean} whether all of them are installed now
 */
export function installDebian(names) {
  const missing = names.filter((name) => !isInstalled(name))
  if (missing.length === 0) return true
  console.log(`installing ${missing.join(', ')}`)
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  for (const args of [
    ['update', '-q'],
    ['install', '-q', '-y', '--no-install-recommends', ...missing],
  ]) {
    const { status, error, stdout, stderr } = spawnSync('apt-get', args, { env, encoding: 'utf8' })
    if (status === 0) continue
    console.error(`apt-get ${args[0]}: ${error?.message ?? `${stdout}${stderr}`.trimEnd()}`)
    return false
  }
  return names.every(isInstalled)
}

/** @param {string} name */
function isInstalled(name) {
  const { stdout } = spawnSync('dpkg', ['--status', name], { encoding: 'utf8' })
  return stdout?.includes('Status: install ok installed') ?? false
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  process.exitCode = installDebian(process.argv.slice(2)) ? 0 : 1
}
