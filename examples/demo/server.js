// @ts-check
// One of the two servers: products over HTTP, with a cache of three levels in front of the slow source. This is the
// part to read for how tierwheel is used; everything else of the demo drives it and watches it.
//
//    GET /product/7             from this process's L1, the level that both servers share, or the source
//    PUT /product/7             writes the source, then invalidates everywhere, then acknowledges
//    GET /uncached/product/7    from the source, for comparison
//    GET /stats                 what the cache counted, and how it is

import { createCache } from 'tierwheel'
import { HttpClient } from './http-client.js'
import { serveJson } from './http-server.js'
import { forgetFolder, forgetLevels, openLevels } from './levels.js'
import { isOrphaned, joinParent, settingsFromParent } from './lifeline.js'
import { machineNow } from './machine-clock.js'

/** @typedef {import('./levels.js').Shared & { name: string, sourcePort: number, l1Entries: number }} ServerSettings */

/** @type {ServerSettings} */
const settings = settingsFromParent()
const { name, sourcePort, l1Entries } = settings
// However this process ends: where the parent is gone already, or goes meanwhile, the last server removes the folder.
process.on('exit', () => {
  if (isOrphaned()) forgetFolder(settings.directory)
})
const source = new HttpClient(sourcePort)
const levels = await openLevels(settings)

/** @type {import('tierwheel').Cache<any>} */
const cache = createCache({
  l1: { maxEntries: l1Entries },
  // The files of a directory and the bus in it, or a Redis server's: levels.js has both.
  ...levels.options,
  // Long enough that nothing becomes fresh by waiting: only invalidation can.
  ttl: '1h',
  // A machine that is busy with something else may hold a process up for more than the default of half a second.
  tierTimeout: '3s',
})

/** @param {number} id */
async function load(id) {
  const { status, body } = await source.ask('GET', `/${id}`)
  if (status !== 200) throw new Error(`the source answered ${status}`)
  return body
}

/** @param {number} id */
async function read(id) {
  let isLoaded = false
  const product = await cache.getOrSet(`product:${id}`, () => {
    isLoaded = true
    return load(id)
  })
  return {
    status: 200,
    body: product,
    headers: { 'x-served-by': name, 'x-cache': isLoaded ? 'miss' : 'hit' },
  }
}

/**
 * @param {number} id
 * @param {any} content
 */
async function write(id, content) {
  const { status, body } = await source.ask('PUT', `/${id}`, content)
  if (status !== 200) throw new Error(`the source answered ${status}`)
  await cache.delete(`product:${id}`)
  return { status: 200, body: { ...body, acknowledgedAt: machineNow() }, headers: { 'x-served-by': name } }
}

// When this process heard that the other one had changed a product: [product, milliseconds of the machine's clock].
/** @type {[number, number][]} */
const heard = []
let gaps = 0
let tierFailures = 0
cache.on('entry.invalidated', ({ key }) =>
  heard.push([Number(String(key).slice('product:'.length)), machineNow()]),
)
cache.on('bus.gap', () => gaps++)
cache.on('tier.failed', () => tierFailures++)

const { port, close } = await serveJson(async (method, path, content) => {
  const [, uncached, digits] = /^(\/uncached)?\/product\/(\d{1,10})$/.exec(path) ?? []
  const id = Number(digits)
  if (method === 'GET' && path === '/stats') {
    return {
      status: 200,
      body: { server: name, pid: process.pid, stats: cache.stats(), health: cache.health() },
    }
  }
  if (digits === undefined) return { status: 404, body: { error: 'try /product/7 or /stats' } }
  if (method === 'GET') return uncached ? { status: 200, body: await load(id) } : read(id)
  if (method === 'PUT' && !uncached) return write(id, content)
  return { status: 405, body: { error: 'GET or PUT' } }
})

// Until the bus listens, copies in this process are not used: worth waiting for, since the start is not the subject.
if (!cache.health().copiesTrusted)
  await new Promise((resolve) => cache.on('bus.connected', () => resolve(undefined)))

joinParent({
  ready: port,
  answer: () => ({ stats: cache.stats(), heard, gaps, tierFailures }),
  async end(isAlone) {
    close()
    try {
      await cache.close()
    } finally {
      levels.close()
      source.close()
      if (isAlone) await forgetLevels(settings)
    }
  },
})
