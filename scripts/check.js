// @ts-check
/**
 * `npm run check`: everything that can be said about the tree without running it, in under a minute. What failed is
 * printed in full, and listed at the end.
 */
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { build } from './build.js'
import { root } from './root.js'
import { binOf, run, runNode } from './run-command.js'

const tsc = binOf('typescript', 'tsc')
const biome = binOf('@biomejs/biome')

/**
 * @typedef {object} Check
 * @property {string} name
 * @property {() => Promise<import('./run-command.js').Outcome>} run
 */

/** @type {Check[]} */
const checks = [
  { name: 'types of test and scripts', run: () => runNode([tsc, '-p', '.']) },
  { name: 'types of src without Node', run: () => runNode([tsc, '-p', 'src/tsconfig.portable.json']) },
  { name: 'types of assembly', run: () => runNode([tsc, '-p', 'assembly', '--noEmit']) },
  { name: 'types of bench', run: () => checkApart('bench') },
  { name: 'types of test/runtimes', run: () => checkApart('test/runtimes') },
  { name: 'types of test/services', run: () => checkApart('test/services') },
  {
    name: 'lint and format',
    run: () => runNode([biome, 'ci', '--colors=off', '--error-on-warnings', '--max-diagnostics=40']),
  },
  { name: 'doors', run: () => runNode(['scripts/check-imports.js']) },
  { name: 'tidy', run: () => runNode(['scripts/tidy.js']) },
  { name: 'unused files, exports, packages', run: () => runNode([binOf('knip'), '--no-progress']) },
  { name: 'the package', run: checkPackage },
]

/** @type {string[]} */
const failed = []

// The build checks the types of src/ and compiles assembly/; the rest looks at what it made.
const startedAt = Date.now()
if (!(await build())) failed.push('build')
say(failed.length === 0, 'build', Date.now() - startedAt)

const waiting = [...checks]
await Promise.all(
  Array.from({ length: Math.max(2, availableParallelism()) }, async () => {
    for (let check = waiting.shift(); check !== undefined; check = waiting.shift()) {
      const { ok, output, elapsedMs } = await check.run()
      say(ok, check.name, elapsedMs)
      if (!ok) {
        failed.push(check.name)
        console.log(output.trimEnd())
      } else if (output.startsWith('note: ')) {
        console.log(output.trimEnd())
      }
    }
  }),
)

console.log(`\n${checks.length + 1 - failed.length} checks passed, ${failed.length} failed`)
for (const name of failed) console.log(`failed: ${name}`)
process.exitCode = failed.length === 0 ? 0 : 1

/**
 * @param {boolean} ok
 * @param {string} name
 * @param {number} elapsedMs
 */
function say(ok, name, elapsedMs) {
  console.log(`${ok ? 'ok    ' : 'FAILED'}  ${name} (${(elapsedMs / 1000).toFixed(1)} s)`)
}

/**
 * A folder with packages of its own. Where they are not installed their types are unknown, so an import of one of
 * them is forgiven, and nothing else is.
 *
 * @param {string} folder
 */
async function checkApart(folder) {
  if (!existsSync(join(root, folder, 'tsconfig.json'))) {
    return { ok: true, output: `note: there is no ${folder}/tsconfig.json\n`, elapsedMs: 0 }
  }
  const outcome = await runNode([tsc, '-p', folder, '--pretty', 'false'])
  if (outcome.ok || existsSync(join(root, folder, 'node_modules'))) return outcome
  const manifest = JSON.parse(readFileSync(join(root, folder, 'package.json'), 'utf8'))
  const { dependencies, devDependencies, optionalDependencies } = manifest
  const theirs = Object.keys({ tierwheel: '', ...dependencies, ...devDependencies, ...optionalDependencies })
  const rest = outcome.output
    .split('\n')
    .filter((line) => line.trim() !== '')
    .filter((line) => {
      const [, missing] = /TS2307: Cannot find module '([^']+)'/.exec(line) ?? []
      return !theirs.some((name) => missing === name || missing?.startsWith(`${name}/`))
    })
  const ok = rest.length === 0
  const note = `note: the packages of ${folder} are not installed, so what comes from them was not checked\n`
  return { ...outcome, ok, output: ok ? note : rest.join('\n') }
}

/** Is what would be published well described, and do its types resolve for those who install it? */
async function checkPackage() {
  const folder = mkdtempSync(join(tmpdir(), 'tierwheel-check-'))
  try {
    const packed = await run('npm', ['pack', '--silent', '--ignore-scripts', '--pack-destination', folder])
    if (!packed.ok) return packed
    const tarball = join(folder, packed.output.trim().split('\n').at(-1) ?? '')
    const described = await runNode([binOf('publint'), 'run', tarball, '--strict'])
    const attw = binOf('@arethetypeswrong/cli')
    const resolved = await runNode([attw, tarball, '--profile', 'esm-only', '--no-color', '--no-emoji'])
    return {
      ok: described.ok && resolved.ok,
      output: [described, resolved].map(({ ok, output }) => (ok ? '' : output)).join(''),
      elapsedMs: packed.elapsedMs + described.elapsedMs + resolved.elapsedMs,
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
