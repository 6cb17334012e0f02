// @ts-check
/**
 * The cache under test: tierwheel around a handler that passes each request on to the suite's origin server, the way a
 * reverse proxy would. `stop` ends it.
 */
import { createServer, request as send } from 'node:http'
import { createCache } from 'tierwheel'
import { httpCache } from 'tierwheel/http'
import { cachedListener } from 'tierwheel/http/node'
// Not of the public surface: what a proxy leaves out is what the cache does not keep.
import { connectionFields, fieldsOf, hopByHop } from '../../dist/http/policy/fields.js'

/**
 * The rules of a cache in front of origins that say themselves what they want, as the suite takes for granted. Pages of
 * an application have stricter ones by default: see `statuses`, `heuristic` and `targets` in the options.
 *
 * @param {import('tierwheel').Cache} cache
 * @returns {import('tierwheel/http').HttpCacheOptions}
 */
const options = (cache) => ({
  cache,
  statuses: 'explicit',
  heuristic: true,
  targets: ['CDN-Cache-Control'],
  staleIfError: '1h',
  keepForValidation: '1h',
})

/**
 * @param {number} originPort
 * @param {boolean} strictAge
 * @returns {Promise<{ port: number, stop: () => Promise<void> }>}
 */
export async function startCache(originPort, strictAge) {
  const cache = createCache({ l1: { maxEntries: 100_000 } })
  const pages = httpCache({ ...options(cache), strictAge })
  const server = createServer(
    cachedListener(pages, (request, response) => pass(originPort, request, response)),
  )
  await new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(undefined)))
  const address = /** @type {import('node:net').AddressInfo} */ (server.address())
  return {
    port: address.port,
    stop: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
      await cache.close()
    },
  }
}

/**
 * @param {number} port
 * @param {import('node:http').IncomingMessage} request
 * @param {import('node:http').ServerResponse} response
 * @returns {Promise<void>}
 */
function pass(port, request, response) {
  return new Promise((resolve, reject) => {
    const { method, url: path, rawHeaders } = request
    const headers = withoutHops(rawHeaders)
    const passed = send({ host: '127.0.0.1', port, method, path, headers, agent: false })
    passed.on('information', ({ statusCode, headers: hints }) => {
      if (statusCode === 102) response.writeProcessing()
      if (statusCode === 103) response.writeEarlyHints(/** @type {Record<string, string>} */ (hints))
    })
    passed.on('response', (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.statusMessage, withoutHops(answer.rawHeaders))
      answer.on('error', (error) => response.destroy(error))
      answer.on('aborted', () => response.destroy())
      answer.pipe(response)
      response.on('close', resolve)
    })
    passed.on('error', reject)
    request.pipe(passed)
  }).catch((error) => {
    if (response.headersSent) response.destroy()
    else return badGateway(response, error)
  })
}

/**
 * @param {import('node:http').ServerResponse} response
 * @param {Error} error
 */
function badGateway(response, error) {
  response.writeHead(502, { 'Content-Type': 'text/plain' })
  response.end(`the origin does not answer: ${error.message}\n`)
}

/** @param {string[]} raw */
function withoutHops(raw) {
  /** @type {[name: string, value: string][]} */
  const lines = []
  for (let at = 0; at < raw.length; at += 2) lines.push([raw[at] ?? '', raw[at + 1] ?? ''])
  const named = connectionFields(fieldsOf(lines))
  const isKept = (/** @type {string} */ lower) => !hopByHop.has(lower) && !named.has(lower)
  return lines.filter(([name]) => isKept(name.toLowerCase())).flat()
}
