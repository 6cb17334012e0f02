// Caches behind Sentinel, one with each client: the server dies, its replica takes over, and both go on with nothing
// stale. Many processes and many failovers are in test/faults/fleet.test.ts.

import { Redis } from 'ioredis'
import { Redis as Redis5 } from 'ioredis5'
import { createSentinel } from 'redis'
import { describe, expect, test, vi } from 'vitest'
import { type RedisClient, type RedisSubscriber, redisBus } from '../../src/bus/redis.ts'
import type { Cache } from '../../src/cache.ts'
import { createCache } from '../../src/create-cache.ts'
import { redisTier } from '../../src/tiers/redis.ts'
import { makeFolder, removeFolder } from '../support/folder.ts'
import { hasSentinel, RedisSentinels } from '../support/redis-sentinels.ts'

const LEASE_MS = 1_000

/** One more connection that asks the sentinels, and what ends it. */
type Connect = (
  sentinels: RedisSentinels,
) => Promise<{ one: RedisClient & RedisSubscriber; end: () => unknown }>

const byIoredis =
  (Client: typeof Redis): Connect =>
  async ({ name, ports }) => {
    const one = new Client({
      sentinels: ports.map((port) => ({ host: '127.0.0.1', port })),
      name,
      maxRetriesPerRequest: 1,
      retryStrategy: () => 50,
      sentinelRetryStrategy: () => 50,
      reconnectOnError: ({ message }) => message.startsWith('READONLY'),
    })
    one.on('error', () => {})
    return { one, end: () => one.disconnect() }
  }

const byNodeRedis: Connect = async ({ name, ports }) => {
  const one = createSentinel({
    name,
    sentinelRootNodes: ports.map((port) => ({ host: '127.0.0.1', port })),
    nodeClientOptions: { socket: { reconnectStrategy: () => 50 } },
  })
  one.on('error', () => {})
  await one.connect()
  return { one, end: () => one.destroy() }
}

/** Has the mutation taken, however often it takes. */
function insist(mutate: () => Promise<unknown>): Promise<void> {
  return vi.waitFor(async () => void (await mutate()), { timeout: 20_000, interval: 50 })
}

describe.skipIf(!hasSentinel())('three sentinels', () => {
  test('caches of each client go on with the replica that takes over', async () => {
    const folder = makeFolder()
    const sentinels = await RedisSentinels.start(folder)
    const ends: (() => unknown)[] = []
    const open = async (connect: Connect): Promise<Cache<string>> => {
      const [{ one: client, end }, other] = [await connect(sentinels), await connect(sentinels)]
      ends.push(end, other.end)
      const bus = redisBus({ client, subscriber: other.one })
      const cache = createCache<string>({ tiers: [redisTier({ client })], bus, lease: LEASE_MS, ttl: '10m' })
      ends.unshift(() => cache.close().catch(() => {}))
      return cache
    }
    const trusted = () =>
      vi.waitFor(() => expect(caches.map((cache) => cache.health().copiesTrusted)).not.toContain(false), {
        timeout: 20_000,
        interval: 20,
      })
    const caches: Cache<string>[] = []
    try {
      // The same constructor as far as it is used here; the types of two versions do not mix.
      const other = Redis5 as unknown as typeof Redis
      for (const connect of [byIoredis(Redis), byIoredis(other), byNodeRedis])
        caches.push(await open(connect))
      const writer = caches.pop() as Cache<string>
      const readers = [...caches]
      caches.push(writer)
      await trusted()
      const master = await sentinels.master()
      await insist(() => writer.set('key', 'old'))
      for (const reader of readers)
        await vi.waitFor(async () => expect(await reader.get('key')).toBe('old'), 5_000)
      await sentinels.settleWrites()
      await master.kill()
      // Nobody is there, and who has a loader is answered.
      for (const cache of caches) expect(await cache.getOrSet('loaded', () => 'loaded')).toBe('loaded')
      await sentinels.whenFailedOver(master)
      await insist(() => writer.set('key', 'new'))
      await new Promise((resolve) => setTimeout(resolve, LEASE_MS))
      for (const reader of readers) expect(await reader.get('key')).not.toBe('old')
      await trusted()
      for (const reader of readers)
        await vi.waitFor(async () => expect(await reader.get('key')).toBe('new'), 5_000)
      // The bus works in both directions again, not only the tier.
      await insist(() => (readers[0] as Cache<string>).delete('key'))
      await vi.waitFor(() => expect(writer.l1.get('key')).toBeUndefined(), 5_000)
      expect(await writer.get('key')).toBeUndefined()
    } finally {
      for (const end of ends) await end()
      await sentinels.end()
      removeFolder(folder)
    }
  }, 90_000)
})
