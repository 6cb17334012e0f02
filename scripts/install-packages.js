// @ts-check
/** Installs the packages of a folder that keeps its own, once per lockfile: bench/, test/runtimes/ and test/services/. */
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from './root.js'
import { run } from './run-command.js'

/**
 * @param {string} folder such as `bench`
 * @throws Error with what npm said, when it failed.
 */
export async function installPackages(folder) {
  const lockfile = readFileSync(join(root, folder, 'package-lock.json'))
  const wanted = createHash('sha256').update(lockfile).digest('hex')
  const stamp = join(root, folder, 'node_modules/.installed')
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return
  console.log(`installing the packages of ${folder}, once`)
  const { ok, output } = await run('npm', ['ci', '--no-audit'], { cwd: join(root, folder) })
  if (!ok) throw new Error(output)
  writeFileSync(stamp, wanted)
}
