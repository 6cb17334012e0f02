// @ts-check
/**
 * `npm run bench -- <name>`: installs what the benches need (once per lockfile), builds the package, and runs the
 * bench of that name. README.md says what each asks and how to read the answer.
 */
import { createHash } from 'node:crypto'
import { cpSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from '../scripts/build.js'
import { root } from '../scripts/root.js'
import { run } from '../scripts/run-command.js'

const here = fileURLToPath(new URL('.', import.meta.url))

/** @type {Record<string, () => Promise<{ main: (args: string[]) => Promise<void> }>>} */
const benches = {
  cache: () => import('./cache/cache.js'),
  'hit-ratio': () => import('./hit-ratio/hit-ratio.js'),
  http: () => import('./http/http.js'),
  l1: () => import('./l1/l1.js'),
  memory: () => import('./held/memory.js'),
  pauses: () => import('./held/pauses.js'),
  size: () => import('./size.js'),
  snapshot: () => import('./snapshot.js'),
  tiers: () => import('./tiers/tiers.js'),
}

const [name = '', ...args] = process.argv.slice(2)
const load = benches[name]
if (load === undefined) {
  console.error(
    `npm run bench -- ${Object.keys(benches).join('|')} [options]; bench/README.md has the options`,
  )
  process.exitCode = 1
} else {
  try {
    await install()
    if (!(await build())) throw new Error('the package does not build')
    installOurs()
    const { main } = await load()
    await main(args)
  } catch (error) {
    console.error(error instanceof Error ? error.message : error)
    process.exitCode = 1
  }
}

/** What package-lock.json here says. */
async function install() {
  const lock = createHash('sha256')
    .update(readFileSync(join(here, 'package-lock.json')))
    .digest('hex')
  const stamp = join(here, 'node_modules/.installed')
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === lock) return
  console.log('installing the contenders and the engines (300 MB, once)')
  const { ok, output } = await run('npm', ['ci', '--no-audit'], { cwd: here })
  if (!ok) throw new Error(output)
  writeFileSync(stamp, lock)
}

/** What npm would publish, where npm would put it: a run measures what it began with, whatever is built meanwhile. */
function installOurs() {
  const to = join(here, 'node_modules/tierwheel')
  rmSync(to, { recursive: true, force: true })
  /** @type {{ files: string[] }} */
  const { files } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  for (const path of ['package.json', ...files]) {
    if (existsSync(join(root, path))) cpSync(join(root, path), join(to, path), { recursive: true })
  }
}
