// @ts-check
/**
 * `npm run test:runtimes`: the packed tarball, installed in a fresh folder, on every engine to be had. Installs the
 * engines first (a gigabyte, once). An engine this machine cannot have is skipped, and fails instead where
 * REQUIRE_SERVICES is set. With arguments, only the engines whose names contain one: `-- node deno`.
 */
import { copyFileSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from '../../scripts/build.js'
import { installPackages } from '../../scripts/install-packages.js'
import { root } from '../../scripts/root.js'
import { run } from '../../scripts/run-command.js'

/**
 * @typedef {object} Engine
 * @property {string} name
 * @property {(folder: string) => Promise<import('./smoke.js').Report | undefined>} smoke `undefined` when the engine
 *   is not on this machine
 */

const here = fileURLToPath(new URL('.', import.meta.url))
const programs = ['smoke.js', 'command.js', 'worker.js', 'page.js', 'refused-page.js']

/** @param {string} path inside test/runtimes/node_modules */
const installed = (path) => join(here, 'node_modules', path)

/** @type {Engine[]} */
const engines = [
  ...[20, 22, 24, 26].map((version) => ({
    name: `node ${version}`,
    smoke: onCommandLine(installed(`node${version}/bin/node`), []),
  })),
  {
    name: 'deno',
    smoke: onCommandLine(installed('.bin/deno'), [
      'run',
      '--quiet',
      '--no-lock',
      '--node-modules-dir=manual',
    ]),
  },
  { name: 'bun', smoke: onCommandLine(installed('.bin/bun'), ['run']) },
  { name: 'workerd', smoke: async (folder) => (await import('./workerd.js')).smokeOnWorkerd(folder) },
  { name: 'chromium', smoke: async (folder) => (await import('./chromium.js')).smokeInChromium(folder) },
  {
    name: 'chromium, WebAssembly forbidden',
    smoke: async (folder) => (await import('./chromium.js')).smokeWhereForbidden(folder),
  },
]

const counts = { passed: 0, failed: 0, skipped: 0 }
const folder = mkdtempSync(join(tmpdir(), 'tierwheel-runtimes-'))
try {
  await installPackages('test/runtimes')
  await installPackage()
  console.log(row('engine', 'version', 'strings read by', 'checks', 'result'))
  const named = process.argv.slice(2)
  for (const engine of engines) {
    if (named.length === 0 || named.some((part) => engine.name.includes(part))) await tryEngine(engine)
  }
} catch (error) {
  counts.failed++
  console.error(error instanceof Error ? error.message : error)
} finally {
  rmSync(folder, { recursive: true, force: true })
}
console.log(`${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`)
process.exitCode = counts.failed === 0 && counts.passed > 0 ? 0 : 1

/** @param {Engine} engine */
async function tryEngine({ name, smoke }) {
  try {
    const report = await smoke(folder)
    if (report === undefined) {
      counts[process.env.REQUIRE_SERVICES ? 'failed' : 'skipped']++
      console.log(row(name, '', '', '', 'not on this machine'))
      return
    }
    const { ok, engine, readsStrings, checks, failures } = report
    counts[ok ? 'passed' : 'failed']++
    console.log(
      row(name, engine, readsStrings ? 'WebAssembly' : 'JavaScript', String(checks), ok ? 'ok' : 'FAILED'),
    )
    for (const failure of failures) console.log(`  ${failure}`)
  } catch (error) {
    counts.failed++
    console.log(row(name, '', '', '', 'FAILED'))
    console.log(error instanceof Error ? (error.stack ?? error.message) : error)
  }
}

/** @param {string[]} cells */
function row(...cells) {
  const widths = [33, 16, 17, 8, 0]
  return cells.map((cell, index) => cell.padEnd(widths[index] ?? 0)).join('')
}

/**
 * An engine that takes a file on its command line and prints the report.
 *
 * @param {string} program
 * @param {string[]} args
 * @returns {Engine['smoke']}
 */
function onCommandLine(program, args) {
  return async (cwd) => {
    if (!existsSync(program)) return undefined
    const env = { DENO_NO_UPDATE_CHECK: '1', NO_COLOR: '1' }
    const { output } = await run(program, [...args, 'command.js'], { cwd, env, timeoutMs: 60_000 })
    const line = output.split('\n').find((text) => text.startsWith('{"ok":'))
    if (line === undefined) throw new Error(output)
    return JSON.parse(line)
  }
}

/** The package as a user gets it: packed, and installed from the tarball. */
async function installPackage() {
  if (!(await build())) throw new Error('the package does not build')
  const packed = await run('npm', ['pack', '--silent', '--ignore-scripts', '--pack-destination', folder], {
    cwd: root,
  })
  if (!packed.ok) throw new Error(packed.output)
  const tarball = packed.output.trim().split('\n').at(-1) ?? ''
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }\n')
  const added = await run('npm', ['install', '--offline', '--no-audit', '--ignore-scripts', `./${tarball}`], {
    cwd: folder,
  })
  if (!added.ok) throw new Error(added.output)
  for (const program of programs) copyFileSync(join(here, program), join(folder, program))
}
