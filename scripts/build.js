// @ts-check
/**
 * `npm run build`: the core, its embedding, and dist/. A step whose inputs have not changed is skipped, so that
 * everything that needs a build may ask for one.
 */
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { embedCore } from './embed-core.js'
import { root } from './root.js'
import { binOf, runNode } from './run-command.js'

/**
 * Builds what has changed; resolves to whether that went well, the reasons printed.
 *
 * @returns {Promise<boolean>}
 */
export async function build() {
  const core = await runNode(['scripts/build-core.js'], { show: true })
  if (!core.ok) return false
  embedCore(new URL('../build/', import.meta.url))

  const inputs = hashOfInputs()
  const stamp = join(root, 'build/dist.hash')
  if (existsSync(join(root, 'dist')) && existsSync(stamp) && readFileSync(stamp, 'utf8') === inputs)
    return true
  rmSync(stamp, { force: true })
  // A file that is no longer in src/ must not stay in what is published.
  rmSync(join(root, 'dist'), { recursive: true, force: true })
  const dist = await runNode([binOf('typescript', 'tsc'), '-p', 'src'], { show: true })
  if (dist.ok) writeFileSync(stamp, inputs)
  return dist.ok
}

function hashOfInputs() {
  const hash = createHash('sha256')
  const sources = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.ts') || path.endsWith('.json'))
    .sort()
    .map((path) => `src/${path}`)
  for (const path of ['tsconfig.json', 'package-lock.json', ...sources]) {
    hash.update(`${path}\n`).update(readFileSync(join(root, path)))
  }
  return hash.digest('hex')
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  process.exitCode = (await build()) ? 0 : 1
}
