// @ts-check
/**
 * `npm run test:http`: the public suite for HTTP caches (cache-tests.fyi) against the adapter for `node:http`, on
 * loopback, in two editions: the one on npm, and the newest, which lies in suites/cache-tests-2026/ with its licence. A case
 * counts only if the cases it depends on hold too. Every case that fails has its reason in reasons.js, and one without a
 * reason, or a reason without a failure, fails the run. With arguments only the cases named, with what went over the wire.
 */
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { build } from '../../scripts/build.js'
import { installPackages } from '../../scripts/install-packages.js'
import { reasons, reasons045 } from './reasons.js'

/**
 * @typedef {object} Edition
 * @property {string} name
 * @property {string} folder
 * @property {string} server
 * @property {string} client
 * @property {number} required least cases of the kind that must hold
 * @property {number} optimal
 * @property {boolean} strictAge the editions ask for the contrary of each other where an Age is no single number
 * @property {Record<string, string | undefined>} reasons
 */

/** @typedef {{ id: string, name: string, kind?: string, depends_on?: string[], browser_only?: boolean }} Case */

const here = fileURLToPath(new URL('.', import.meta.url))

/** @type {Edition[]} */
const editions = [
  {
    name: 'http-cache-tests 0.4.5',
    folder: join(here, 'suites/node_modules/http-cache-tests'),
    server: 'server/server.mjs',
    client: 'cli.mjs',
    required: Math.ceil(157 * 0.94),
    optimal: Math.ceil(86 * 0.8),
    strictAge: true,
    reasons: { ...reasons, ...reasons045 },
  },
  {
    name: 'cache-tests, July 2026',
    folder: join(here, 'suites/cache-tests-2026'),
    server: 'test-engine/server/server.mjs',
    client: 'test-engine/cli.mjs',
    required: 150,
    optimal: 85,
    strictAge: false,
    reasons,
  },
]

const named = process.argv.slice(2)
let passed = 0
let failed = 0

if (!(await build())) process.exit(1)
await installPackages('test/conformance/suites')
const { startCache } = await import('./origin-cache.js')
for (const edition of editions) {
  if (named.length === 0) await runEdition(edition)
  else for (const id of named) console.log(await runSuite(edition, id))
}
if (named.length === 0) console.log(`${passed} passed, ${failed} failed, 0 skipped`)
process.exitCode = failed === 0 ? 0 : 1

/** @param {Edition} edition */
async function runEdition(edition) {
  /** @type {{ default: { tests: Case[] }[] }} */
  const { default: suites } = await import(pathToFileURL(join(edition.folder, 'tests/index.mjs')).href)
  const cases = suites.flatMap(({ tests }) => tests).filter(({ browser_only }) => browser_only !== true)
  const output = await runSuite(edition, '')
  /** @type {Record<string, true | [kind: string, message: string]>} */
  const results = JSON.parse(output.slice(output.indexOf('\n{') + 1))
  const byId = new Map(cases.map((test) => [test.id, test]))
  /** @param {string} id @returns {boolean} */
  const holds = (id) => results[id] === true && (byId.get(id)?.depends_on ?? []).every(holds)

  console.log(`\n${edition.name}`)
  for (const kind of /** @type {const} */ (['required', 'optimal'])) {
    const ofKind = cases.filter((test) => (test.kind ?? 'required') === kind)
    const held = ofKind.filter(({ id }) => holds(id))
    const enough = held.length >= edition[kind]
    const share = ((held.length / ofKind.length) * 100).toFixed(1)
    console.log(`  ${kind}: ${held.length} of ${ofKind.length} (${share} %), at least ${edition[kind]}`)
    count(enough, `${edition.name}: only ${held.length} ${kind} cases hold`)
    for (const { id } of ofKind.filter(({ id: held }) => !holds(held))) {
      const result = results[id]
      const said = Array.isArray(result) ? result[1] : 'a case it depends on fails'
      const reason = edition.reasons[id]
      console.log(`    ${id}: ${reason ?? 'NO REASON GIVEN'} [${said}]`)
      count(reason !== undefined, `${edition.name}: ${id} fails without a reason`)
    }
    for (const { id } of held)
      count(edition.reasons[id] === undefined, `${edition.name}: ${id} holds, and has a reason to fail`)
  }
}

/**
 * @param {boolean} isGood
 * @param {string} message
 */
function count(isGood, message) {
  if (isGood) passed++
  else {
    failed++
    console.log(`FAILED ${message}`)
  }
}

/**
 * Runs the suite's own server and client, with the cache between them. Resolves to what the client prints.
 *
 * @param {Edition} edition
 * @param {string} id a single case, or `''` for all
 * @returns {Promise<string>}
 */
async function runSuite({ folder, server, client, strictAge }, id) {
  const scratch = mkdtempSync(join(tmpdir(), 'tierwheel-conformance-'))
  const port = await freePort()
  const origin = spawn(process.execPath, [join(folder, server)], {
    cwd: folder,
    env: settings({ protocol: 'http', port: String(port), pidfile: join(scratch, 'pid') }),
    stdio: ['ignore', 'pipe', id === '' ? 'ignore' : 'inherit'],
  })
  try {
    await new Promise((resolve) =>
      origin.stdout?.on('data', (data) => /Listening/.test(String(data)) && resolve(data)),
    )
    if (id !== '') origin.stdout?.on('data', (data) => process.stdout.write(data))
    else origin.stdout?.resume()
    const cache = await startCache(port, strictAge)
    try {
      return await outputOf(
        spawn(process.execPath, ['--no-warnings', join(folder, client)], {
          cwd: folder,
          env: settings({ base: `http://127.0.0.1:${cache.port}`, id }),
          stdio: ['ignore', 'pipe', id === '' ? 'ignore' : 'inherit'],
        }),
      )
    } finally {
      await cache.stop()
    }
  } finally {
    origin.kill()
    rmSync(scratch, { recursive: true, force: true })
  }
}

/**
 * The suite takes its options from npm's configuration.
 *
 * @param {Record<string, string>} options
 */
function settings(options) {
  const env = { ...process.env }
  for (const [name, value] of Object.entries(options)) {
    env[`npm_config_${name}`] = value
    env[`npm_package_config_${name}`] = value
  }
  return env
}

/**
 * @param {import('node:child_process').ChildProcess} child
 * @returns {Promise<string>}
 */
function outputOf(child) {
  return new Promise((resolve, reject) => {
    let output = '\n'
    child.stdout?.on('data', (data) => {
      output += data
    })
    child.on('error', reject)
    child.on('close', () => resolve(output))
  })
}

/** @returns {Promise<number>} */
function freePort() {
  return new Promise((resolve) => {
    const probe = createServer().listen(0, '127.0.0.1', () => {
      const { port } = /** @type {import('node:net').AddressInfo} */ (probe.address())
      probe.close(() => resolve(port))
    })
  })
}
