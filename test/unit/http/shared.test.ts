// Pages of two caches that share what is behind them: what one has made the other answers, and what one takes back
// neither shows, also when a handler was at work on it in the other.

import assert from 'node:assert/strict'
import { afterAll, beforeAll, describe, test, vi } from 'vitest'
import { inProcessBus } from '../../../src/bus/in-process.ts'
import { redisBus } from '../../../src/bus/redis.ts'
import { cachedFetch } from '../../../src/http/adapters/fetch.ts'
import { httpCache } from '../../../src/http/index.ts'
import { type Cache, createCache } from '../../../src/index.ts'
import { Hub, memoryTier } from '../../../src/tiers/memory.ts'
import { redisTier } from '../../../src/tiers/redis.ts'
import { libraries } from '../../support/redis-clients.ts'
import { hasRedis, RedisServer } from '../../support/redis-server.ts'

type Close = () => unknown

interface World {
  readonly name: string
  readonly isHere: boolean
  open(closing: Close[]): Promise<() => Promise<Cache>>
}

const worlds: World[] = [
  {
    name: 'in one process',
    isHere: true,
    open: async () => {
      const hub = new Hub()
      return async () => createCache({ tiers: [memoryTier({ hub })], bus: inProcessBus({ hub }) })
    },
  },
  {
    name: 'over Redis',
    isHere: hasRedis(),
    open: async (closing) => {
      const server = await RedisServer.start()
      closing.push(() => server.kill())
      return async () => {
        const connections = await libraries[0]?.connect(server.port)
        assert.ok(connections !== undefined)
        closing.unshift(() => connections.close())
        const { client } = connections
        const bus = redisBus({ client, subscriber: await connections.subscriber() })
        return createCache({ tiers: [redisTier({ client })], bus })
      }
    },
  },
]

const origin = 'https://news.example'

for (const world of worlds.filter(({ isHere }) => isHere)) {
  describe(`pages ${world.name}`, () => {
    const closing: Close[] = []
    let sites: Awaited<ReturnType<typeof open>>[]
    let runs = 0
    let held: Promise<void> | undefined

    async function open(cache: Cache, name: string) {
      const pages = httpCache({
        cache,
        ttl: '1h',
        staleWhileRevalidate: '1h',
        prefixes: true,
        tags: ({ url }) => [new URL(url).pathname],
      })
      const work: Promise<unknown>[] = []
      const make = async () => {
        const run = ++runs
        const waiting = held
        held = undefined
        await waiting
        return new Response(`${name} ${run}`)
      }
      const handler = cachedFetch(pages, make, { waitUntil: (one) => work.push(one) })
      const get = async (path: string) => {
        const body = await (await handler(new Request(`${origin}${path}`))).text()
        await Promise.all(work)
        return body
      }
      /** Until another page than `old` is answered: how often is the test's business, how long is nobody's. */
      const getAnother = async (path: string, old: string) => {
        for (let turn = 0; turn < 20_000; turn++) {
          const body = await get(path)
          if (body !== old) return body
          await new Promise((resolve) => setImmediate(resolve))
        }
        return assert.fail(`${name} still has ${old}`)
      }
      return { cache, pages, get, getAnother }
    }

    beforeAll(async () => {
      const make = await world.open(closing)
      sites = []
      for (const name of ['one', 'two']) {
        const cache = await make()
        closing.unshift(() => cache.close())
        await vi.waitFor(() => assert.equal(cache.health().copiesTrusted, true), {
          timeout: 10_000,
          interval: 10,
        })
        sites.push(await open(cache, name))
      }
    })

    afterAll(async () => {
      for (const close of closing) await close()
    })

    const both = () => sites as [(typeof sites)[number], (typeof sites)[number]]

    test('what one has made, the other answers', async () => {
      const [one, two] = both()
      const page = await one.get('/shared')
      assert.match(page, /^one /)
      assert.equal(await two.get('/shared'), page)
    })

    test('what one takes back by URL, folder or tag, the other makes anew', async () => {
      const [one, two] = both()
      const ways = {
        '/url/page': () => one.pages.invalidate(`${origin}/url/page`),
        '/folder/below/page': () => one.pages.invalidatePrefix(`${origin}/folder/`),
        '/tag/page': () => one.pages.invalidateTags(['/tag/page']),
      }
      for (const [path, takeBack] of Object.entries(ways)) {
        const old = await two.get(path)
        await one.get(path)
        await takeBack()
        const next = await one.get(path)
        assert.notEqual(next, old, path)
        await two.getAnother(path, old)
      }
    })

    test('what expires by its tag in one is stale in the other: sent once more, and made anew', async () => {
      const [one, two] = both()
      const old = await two.get('/expired')
      await one.get('/expired')
      await one.cache.expireTags(['/expired'])
      assert.equal(await one.get('/expired'), old)
      const next = await one.getAnother('/expired', old)
      assert.equal(await two.getAnother('/expired', old), next)
    })

    test('a page whose handler was at work when the other took its tag back is not kept', async () => {
      const [one, two] = both()
      let release = () => {}
      held = new Promise<void>((resolve) => {
        release = resolve
      })
      const before = runs
      const early = one.get('/slow')
      while (runs === before) await new Promise((resolve) => setImmediate(resolve))
      await two.pages.invalidateTags(['/slow'])
      release()
      const old = await early
      assert.notEqual(await two.get('/slow'), old)
      await one.getAnother('/slow', old)
    })
  })
}
