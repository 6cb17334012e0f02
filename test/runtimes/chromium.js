// @ts-check
/**
 * Debian's Chromium, driven by Playwright. The page loads the package's files as they are, by an import map made of
 * its `exports`: what a site without a bundler does.
 */
import { existsSync, readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { extname, join, normalize } from 'node:path'
import { installDebian } from '../../scripts/install-debian.js'

const program = '/usr/bin/chromium'
const flags = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

const scriptsOnly = "default-src 'none'; script-src 'self' 'nonce-map'; connect-src 'self'"
const withWebAssembly = `${scriptsOnly.replace("'self'", "'self' 'wasm-unsafe-eval'")}`

/**
 * Runs under a Content-Security-Policy that allows WebAssembly and no `eval`.
 *
 * @param {string} folder
 * @returns {Promise<import('./smoke.js').Report | undefined>}
 */
export function smokeInChromium(folder) {
  return reportOf(folder, 'page.js', withWebAssembly)
}

/**
 * Under a policy without 'wasm-unsafe-eval' nothing can run; the error must say what to change.
 *
 * @param {string} folder
 * @returns {Promise<import('./smoke.js').Report | undefined>}
 */
export async function smokeWhereForbidden(folder) {
  const answer = await reportOf(folder, 'refused-page.js', scriptsOnly)
  if (answer === undefined) return undefined
  const message = String(answer.message)
  const ok = message.includes('wasm-unsafe-eval') && message.includes('tierwheel')
  const failures = ok ? [] : [`the error should name 'wasm-unsafe-eval' and tierwheel: ${message}`]
  return { ok, engine: answer.engine, readsStrings: false, checks: 1, failures }
}

/**
 * @param {string} folder
 * @param {string} script
 * @param {string} policy
 * @returns {Promise<any>} what the script left in `report`, or `undefined` without a browser
 */
async function reportOf(folder, script, policy) {
  if (!installDebian(['chromium']) && !existsSync(program)) return undefined
  const { chromium } = await import('playwright-core')
  const server = await serve(folder, pageOf(folder, script), policy)
  const browser = await chromium.launch({ executablePath: program, headless: true, args: flags })
  try {
    const page = await browser.newPage()
    /** @type {string[]} */
    const complaints = []
    page.on('pageerror', (/** @type {Error} */ error) => complaints.push(String(error)))
    page.on('console', (/** @type {{ text(): string }} */ message) => complaints.push(message.text()))
    await page.goto(server.url)
    await page
      .waitForFunction(() => 'report' in globalThis, undefined, { timeout: 30_000 })
      .catch(() => {
        throw new Error(`the page left no report: ${complaints.join('; ')}`)
      })
    const report = await page.evaluate(() => /** @type {any} */ (globalThis).report)
    return { engine: `Chromium ${browser.version().split('.')[0]}`, ...report }
  } finally {
    await browser.close()
    await server.close()
  }
}

/**
 * @param {string} folder
 * @param {string} script
 */
function pageOf(folder, script) {
  const place = '/node_modules/tierwheel/'
  const manifest = JSON.parse(readFileSync(join(folder, place, 'package.json'), 'utf8'))
  /** @type {Record<string, string>} */
  const imports = {}
  for (const [entry, target] of Object.entries(manifest.exports)) {
    if (target.default !== undefined) imports[`tierwheel${entry.slice(1)}`] = place + target.default.slice(2)
  }
  imports['#core-bytes'] = place + manifest.imports['#core-bytes'].default.slice(2)
  return `<!doctype html>
<script type="importmap" nonce="map">${JSON.stringify({ imports })}</script>
<script type="module" src="/${script}"></script>
`
}

/**
 * The folder on a free port of this machine alone.
 *
 * @param {string} folder
 * @param {string} page
 * @param {string} policy
 * @returns {Promise<{ url: string, close: () => Promise<void> }>}
 */
async function serve(folder, page, policy) {
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? '/', 'http://localhost')
    const path = join(folder, normalize(pathname))
    if (pathname === '/') {
      response.writeHead(200, { 'content-type': 'text/html', 'content-security-policy': policy }).end(page)
    } else if (path.startsWith(folder) && extname(path) === '.js' && existsSync(path)) {
      response.writeHead(200, { 'content-type': 'text/javascript' }).end(readFileSync(path))
    } else {
      response.writeHead(404).end()
    }
  })
  await new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(undefined)))
  const address = /** @type {import('node:net').AddressInfo} */ (server.address())
  return {
    url: `http://127.0.0.1:${address.port}/`,
    close: () => new Promise((resolve) => server.close(() => resolve(undefined))),
  }
}
