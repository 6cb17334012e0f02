// @ts-check
// An API service with a cache in front of a slow database: answers at once while a value is renewed behind it, goes on
// with old values while the database is down, and drops what a change concerns. `node examples/api-service/main.js`
// starts it on a free port, visits it, and ends it.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { createCache } from 'tierwheel'

const database = {
  isDown: false,
  queries: 0,
  names: new Map([[7, 'Ada']]),
  /** @param {number} id */
  async nameOf(id) {
    this.queries++
    await new Promise((resolve) => setTimeout(resolve, 20))
    if (this.isDown) throw new Error('the database is down')
    return this.names.get(id) ?? null
  },
}

const cache = createCache({
  ttl: '1m',
  staleWhileRevalidate: '1m',
  staleIfError: '1h',
  loadTimeout: '2s',
  jitter: 0.1,
})
const users = cache.namespace('users')
const nameOf = users.wrap((/** @type {number} */ id) => database.nameOf(id), {
  key: (id) => id,
  tags: ['names'],
})

const server = createServer(async (request, response) => {
  const { method, url = '/' } = request
  const id = Number(url.split('/').at(-1))
  try {
    if (method === 'PUT') {
      await users.invalidateAfter((later) => {
        database.names.set(id, String(request.headers['x-name']))
        later.delete(nameOf.key(id))
      })
      response.writeHead(204).end()
    } else {
      const name = await nameOf(id)
      response.writeHead(name === null ? 404 : 200).end(name ?? 'nobody')
    }
  } catch (error) {
    response.writeHead(503).end(error instanceof Error ? error.message : '')
  }
})
server.listen(0, '127.0.0.1')
await once(server, 'listening')
const address = server.address()
assert(typeof address === 'object' && address !== null)
const base = `http://127.0.0.1:${address.port}`
/** @param {string} path */
const visit = async (path) => (await fetch(`${base}${path}`)).text()

const answers = await Promise.all(Array.from({ length: 50 }, () => visit('/users/7')))
assert.deepEqual(new Set(answers), new Set(['Ada']))
console.log(`50 visitors, ${database.queries} query`)

await fetch(`${base}/users/7`, { method: 'PUT', headers: { 'x-name': 'Grace' } })
console.log(`after the change: ${await visit('/users/7')}`)

database.isDown = true
await cache.expireTags(['names'])
console.log(`while the database is down: ${await visit('/users/7')}`)
console.log(`nobody knows: ${(await fetch(`${base}/users/8`)).status}`)

server.close()
server.closeAllConnections()
await cache.close()
