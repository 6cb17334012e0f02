// Two caches over one real Redis, and what happens to it: it stands still, dies, forgets, refuses; the wire to it is
// cut. Time is real here, since the server's is. Each test has a server of its own, so they run side by side.

import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { redisBus } from '../../src/bus/redis.ts'
import type { Cache } from '../../src/cache.ts'
import { createCache } from '../../src/create-cache.ts'
import { encodeMessage, type Message } from '../../src/message.ts'
import type { Stamp } from '../../src/stamp.ts'
import { BusObserver } from '../../src/testing/bus-observer.ts'
import { redisTier } from '../../src/tiers/redis.ts'
import { CacheProcess } from '../support/cache-process.ts'
import { endProcess } from '../support/end-process.ts'
import { makeFolder, removeFolder } from '../support/folder.ts'
import { raceLoads } from '../support/load-race.ts'
import { type Library, libraries } from '../support/redis-clients.ts'
import { hasRedis, RedisServer } from '../support/redis-server.ts'
import { seed } from '../support/seed.ts'
import { seededRandom } from '../support/seeded-random.ts'
import { TcpProxy } from '../support/tcp-proxy.ts'

const LEASE_MS = 600
const DEADLINE_MS = 1_000
/** Where no call is meant to fail, the machine may be as busy as it likes; it is longer than a replica is waited for. */
const LONG_DEADLINE_MS = 10_000
/** What comes in milliseconds takes seconds on a busy machine. */
const PATIENCE = { timeout: 20_000, interval: 10 }
const [ioredis, , nodeRedis] = libraries as [Library, Library, Library]

vi.setConfig({ maxConcurrency: 8, testTimeout: 60_000 })

/** What each test made, ended after it. */
class Bench {
  readonly server: RedisServer
  readonly #closing: (() => unknown)[] = []

  constructor(server: RedisServer) {
    this.server = server
  }

  after(close: () => unknown): void {
    this.#closing.unshift(close)
  }

  /** A cache as a process of its own has it, listening. */
  async cache(
    library: Library,
    {
      subscriberPort = this.server.port,
      durability = 'server',
      prefix = '',
      tierTimeout = LONG_DEADLINE_MS,
    }: {
      subscriberPort?: number
      durability?: 'server' | 'replica'
      prefix?: string
      tierTimeout?: number
    } = {},
  ): Promise<Cache<string>> {
    const connections = await library.connect(this.server.port)
    this.after(() => connections.close())
    const listening =
      subscriberPort === this.server.port ? connections : await library.connect(subscriberPort)
    this.after(() => listening.close())
    const { client } = connections
    const cache = createCache<string>({
      tiers: [redisTier({ client, durability })],
      bus: redisBus({ client, subscriber: await listening.subscriber() }),
      lease: LEASE_MS,
      prefix,
      tierTimeout,
      ttl: '10m',
    })
    this.after(() => cache.close().catch(() => {}))
    await trusted(cache)
    return cache
  }

  /** A connection of the test itself. */
  admin(): Redis {
    const admin = new Redis(this.server.port, '127.0.0.1', { retryStrategy: () => 50 })
    admin.on('error', () => {})
    this.after(() => admin.disconnect())
    return admin
  }

  async end(): Promise<void> {
    this.server.resume()
    for (const close of this.#closing) await close()
    await this.server.kill()
  }
}

function trusted(cache: Cache<string>): Promise<void> {
  return vi.waitFor(() => expect(cache.health().copiesTrusted).toBe(true), PATIENCE)
}

const onBench = (body: (bench: Bench) => Promise<void>) => async (): Promise<void> => {
  const bench = new Bench(await RedisServer.start())
  try {
    await body(bench)
  } finally {
    await bench.end()
  }
}

/** Has the mutation taken, however often it takes. */
function insist(mutate: () => Promise<unknown>): Promise<void> {
  return vi.waitFor(async () => void (await mutate()), PATIENCE)
}

/** How many answers within the given time are not the expected one; at least every few milliseconds one. */
async function wrongAnswers(
  cache: Cache<string>,
  keys: readonly string[],
  expected: (key: string) => unknown,
  forMs: number,
) {
  const wrong: string[] = []
  const until = performance.now() + forMs
  do {
    for (const key of keys) {
      const value = await cache.get(key)
      if (value !== undefined && value !== expected(key)) wrong.push(`${key} is ${value}`)
    }
    await sleep(5)
  } while (performance.now() < until)
  return wrong
}

const errors: unknown[] = []
process.on('unhandledRejection', (error) => errors.push(error))
afterEach(() => {
  expect(errors.splice(0)).toEqual([])
})

describe.skipIf(!hasRedis()).each([ioredis, nodeRedis])('redis faults, $name', (library) => {
  test.concurrent(
    'a server that stands still: reads go on to the loader, mutations reject, and then all is well again',
    onBench(async (bench) => {
      const tierTimeout = DEADLINE_MS
      const [here, there] = [
        await bench.cache(library, { tierTimeout }),
        await bench.cache(library, { tierTimeout }),
      ]
      await here.set('key', 'before')
      expect(await there.get('key')).toBe('before')
      bench.server.pause()

      const startedAt = performance.now()
      const loads = Array.from({ length: 20 }, (_, at) => here.getOrSet(`loaded:${at}`, () => `value ${at}`))
      expect(await Promise.all(loads)).toEqual(loads.map((_, at) => `value ${at}`))
      expect(performance.now() - startedAt).toBeLessThan(3 * DEADLINE_MS + 400)
      await expect(here.set('key', 'refused')).rejects.toMatchObject({ code: 'CACHE_TIER_FAILED' })
      await expect(there.delete('key')).rejects.toMatchObject({ code: 'CACHE_TIER_FAILED' })

      // Beyond the lease nothing here answers from memory, and the loader still does.
      await sleep(LEASE_MS)
      expect(here.health().copiesTrusted).toBe(false)
      expect(await here.getOrSet('loaded:1', () => 'again')).toBe('again')

      bench.server.resume()
      await insist(() => here.set('key', 'after'))
      await trusted(here)
      await trusted(there)
      expect(await wrongAnswers(there, ['key'], () => 'after', 200)).toEqual([])
      expect(await there.get('key')).toBe('after')
    }),
  )

  test.concurrent(
    'a server that is not there at the start costs reads a few deadlines and then nothing, and is used when it comes',
    onBench(async (bench) => {
      await bench.server.kill()
      const { client, subscriber, close } = library.begin(bench.server.port)
      bench.after(close)
      const cache = createCache<string>({
        tiers: [redisTier({ client })],
        bus: redisBus({ client, subscriber }),
        lease: LEASE_MS,
        tierTimeout: DEADLINE_MS,
        ttl: '10m',
      })
      bench.after(() => cache.close().catch(() => {}))
      let asked = 0
      cache.on('tier.failed', () => asked++)
      const loads = Array.from({ length: 300 }, (_, at) => cache.getOrSet(`key:${at}`, () => `value ${at}`))
      expect(await Promise.all(loads)).toEqual(loads.map((_, at) => `value ${at}`))
      expect(cache.health()).toMatchObject({ copiesTrusted: false, tiers: [{ breaker: 'open' }] })
      // Those under way failed; once it is known, nobody asks but a probe each second.
      const before = asked
      for (let at = 0; at < 300; at++) expect(await cache.getOrSet(`late:${at}`, () => 'late')).toBe('late')
      expect(asked - before).toBeLessThan(30)
      await expect(cache.set('key', 'value')).rejects.toMatchObject({ code: 'CACHE_TIER_FAILED' })
      await bench.server.restart()
      await trusted(cache)
      await insist(() => cache.set('key', 'value'))
      expect(await cache.get('key')).toBe('value')
    }),
  )

  test.concurrent(
    'a server that dies and comes back with nothing begins a new epoch, and nothing old comes back',
    onBench(async (bench) => {
      const [here, there] = [await bench.cache(library), await bench.cache(library)]
      const keys = Array.from({ length: 20 }, (_, at) => `key:${at}`)
      for (const key of keys) await here.set(key, 'old')
      for (const key of keys) expect(await there.get(key)).toBe('old')
      await bench.server.restart()
      for (const key of keys) await insist(() => here.set(key, 'new'))
      await sleep(LEASE_MS)
      expect(await wrongAnswers(there, keys, () => 'new', 300)).toEqual([])
      await trusted(there)
      expect(await there.get('key:1')).toBe('new')
    }),
  )

  test.concurrent(
    'subscribers that are thrown out come back and know what they missed',
    onBench(async (bench) => {
      const [here, there] = [await bench.cache(library), await bench.cache(library)]
      const keys = Array.from({ length: 20 }, (_, at) => `key:${at}`)
      for (const key of keys) await here.set(key, 'old')
      for (const key of keys) expect(await there.get(key)).toBe('old')
      let failures = 0
      there.on('bus.failed', () => failures++)
      const admin = bench.admin()
      for (let round = 0; round < 3; round++) {
        expect(await admin.call('CLIENT', 'KILL', 'TYPE', 'pubsub')).toBeGreaterThan(0)
        for (const key of keys) await here.set(key, `new ${round}`)
        await sleep(LEASE_MS)
        expect(await wrongAnswers(there, keys, () => `new ${round}`, 50)).toEqual([])
        await trusted(there)
      }
      expect(failures).toBeGreaterThan(0)
    }),
  )

  test.concurrent(
    'flushed scripts are sent again',
    onBench(async (bench) => {
      const [here, there] = [await bench.cache(library), await bench.cache(library)]
      const admin = bench.admin()
      for (let round = 0; round < 5; round++) {
        await admin.script('FLUSH')
        await here.set('key', `${round}`)
        await admin.script('FLUSH')
        await vi.waitFor(async () => expect(await there.get('key')).toBe(`${round}`), PATIENCE)
      }
    }),
  )

  test.concurrent(
    'everything flushed is everything forgotten, also in memory',
    onBench(async (bench) => {
      const [here, there] = [await bench.cache(library), await bench.cache(library)]
      await here.set('key', 'old')
      expect(await there.get('key')).toBe('old')
      await bench.admin().flushall()
      await sleep(LEASE_MS)
      expect(await wrongAnswers(there, ['key'], () => 'nothing', 100)).toEqual([])
      await here.set('key', 'new')
      await vi.waitFor(async () => expect(await there.get('key')).toBe('new'), PATIENCE)
      await trusted(there)
    }),
  )

  test.concurrent(
    'a server that was put back to an older copy begins a new epoch',
    onBench(async (bench) => {
      const [here, there] = [await bench.cache(library), await bench.cache(library)]
      const admin = bench.admin()
      const keys = Array.from({ length: 20 }, (_, at) => `key:${at}`)
      for (const key of keys) await here.set(key, 'first')
      const names = await admin.keys('{tierwheel:*')
      const dumps = await Promise.all(names.map((name) => admin.dumpBuffer(name)))
      for (const key of keys) await here.set(key, 'lost')
      for (const key of keys) expect(await there.get(key)).toBe('lost')
      const restore = admin.multi().flushall()
      for (const [at, name] of names.entries()) restore.restore(name, 0, dumps[at] as Buffer)
      await restore.exec()

      for (const key of keys) await here.set(key, 'new')
      await sleep(LEASE_MS)
      expect(await wrongAnswers(there, keys, () => 'new', 100)).toEqual([])
      for (const key of keys) expect(await there.get(key)).toBe('new')
    }),
  )

  test.concurrent(
    'a wire that is cut for half a second leaves none of 80 copies stale',
    onBench(async (bench) => {
      const proxy = await TcpProxy.to(bench.server.port)
      const writer = await bench.cache(library)
      const reader = await bench.cache(library, { subscriberPort: proxy.port })
      bench.after(() => proxy.close())
      const keys = Array.from({ length: 80 }, (_, at) => `key:${at}`)
      for (const key of keys) await writer.set(key, 'old')
      for (const key of keys) expect(await reader.get(key)).toBe('old')
      const isChanged = (key: string): boolean => Number(key.slice(4)) % 4 === 0

      proxy.cut()
      const mended = sleep(500).then(() => proxy.mend())
      for (const key of keys.filter(isChanged)) await writer.set(key, 'new')
      await sleep(LEASE_MS)
      const expected = (key: string) => (isChanged(key) ? 'new' : 'old')
      expect(await wrongAnswers(reader, keys, expected, 50)).toEqual([])
      await mended
      await trusted(reader)
      expect(await wrongAnswers(reader, keys, expected, 50)).toEqual([])
      for (const key of keys) expect(await reader.get(key)).toBe(expected(key))
    }),
  )

  test.concurrent(
    'a wire that carries nothing, and says nothing of it, is found out by the lease',
    onBench(async (bench) => {
      const proxy = await TcpProxy.to(bench.server.port)
      const writer = await bench.cache(library)
      const reader = await bench.cache(library, { subscriberPort: proxy.port })
      bench.after(() => proxy.close())
      const keys = Array.from({ length: 80 }, (_, at) => `key:${at}`)
      for (const key of keys) await writer.set(key, 'old')
      for (const key of keys) expect(await reader.get(key)).toBe('old')

      proxy.hold()
      for (const key of keys) await writer.set(key, 'new')
      await sleep(LEASE_MS)
      expect(await wrongAnswers(reader, keys, () => 'new', 300)).toEqual([])
      for (const key of keys) expect(await reader.get(key)).toBe('new')
      proxy.mend()
      await trusted(reader)
      expect(await wrongAnswers(reader, keys, () => 'new', 50)).toEqual([])
    }),
  )

  test.concurrent(
    'a bus that heard more than the server knows has a new epoch begun',
    onBench(async (bench) => {
      const connections = await library.connect(bench.server.port)
      bench.after(() => connections.close())
      const { client } = connections
      const bus = redisBus({ client, subscriber: await connections.subscriber() })
      bench.after(() => bus.close())
      const observer = new BusObserver()
      const [before] = await bus.subscribe(observer)
      const origin = { id: '0123456789abcdef', serial: 1 }
      await redisTier({ client }).ledger?.commit({ op: 'clear', prefix: '' }, origin)
      await vi.waitFor(() => expect(observer.messages.length).toBe(16), PATIENCE)
      // Back to before the clear, by someone who knows nothing of it; and so does who asks now.
      const admin = bench.admin()
      for (const name of await admin.keys('*:l')) await admin.del(name)
      for (const name of await admin.keys('*:s')) {
        const state = (await admin.get(name)) ?? ''
        await admin.set(name, state.replace(/^1 16 (\d+) \d+ 1\n.*$/s, '1 16 $1 0 0\n'))
      }
      await redisTier({ client }).ledger?.probe('token')
      await vi.waitFor(() => {
        const gap = observer.events.find((event) => event.kind === 'gap')
        expect(gap?.stamps[0]?.epoch).toBeGreaterThan(before?.epoch ?? Number.POSITIVE_INFINITY)
      }, PATIENCE)
    }),
  )

  test.concurrent(
    'a forged message costs misses, and at most an epoch',
    onBench(async (bench) => {
      const connections = await library.connect(bench.server.port)
      bench.after(() => connections.close())
      const { client } = connections
      const bus = redisBus({ client, subscriber: await connections.subscriber() })
      bench.after(() => bus.close())
      const observer = new BusObserver()
      const [before] = (await bus.subscribe(observer)) as [Stamp]
      const forge = async (epoch: number) => {
        const stamp = { partition: 0, epoch, sequence: Number.MAX_SAFE_INTEGER }
        const heard = observer.messages.length
        const origin = { origin: '0123456789abcdef', serial: 1 }
        const bytes = encodeMessage({ op: 'delete', keys: ['a:1:b'], stamp, after: 0, ...origin })
        await bench.admin().publish('tierwheel:bus:0', Buffer.from(bytes))
        await vi.waitFor(() => expect(observer.messages.length).toBe(heard + 1), PATIENCE)
      }
      const keys = Array.from({ length: 50 }, (_, at) => `a:1:${at}`)
      const epochOfFirst = async () =>
        (await bus.ledger.read(keys)).find(({ asOf }) => asOf.partition === 0)?.asOf.epoch
      await forge(Number.MAX_SAFE_INTEGER)
      expect(await epochOfFirst()).toBe(before.epoch)
      await forge(before.epoch)
      const next = (await epochOfFirst()) ?? 0
      expect(next).toBeGreaterThan(before.epoch)
      expect(next).toBeLessThan(before.epoch + 60_000_000)
      expect(await epochOfFirst()).toBe(next)
    }),
  )

  test.concurrent(
    'a subscriber that tells an error, and whose connection stays, is listened to again',
    onBench(async (bench) => {
      const connections = await library.connect(bench.server.port)
      bench.after(() => connections.close())
      const { client } = connections
      const subscriber = await connections.subscriber()
      const cache = createCache<string>({
        tiers: [redisTier({ client })],
        bus: redisBus({ client, subscriber }),
        lease: LEASE_MS,
        ttl: '10m',
      })
      bench.after(() => cache.close())
      await trusted(cache)
      const { emit } = subscriber as unknown as { emit(event: string, error: Error): void }
      emit.call(subscriber, 'error', new Error('a doubt'))
      expect(cache.health().bus).toMatchObject({ connected: false })
      await vi.waitFor(() => expect(cache.health().bus).toMatchObject({ connected: true }), PATIENCE)
      await trusted(cache)
    }),
  )

  if (library === ioredis) {
    test.concurrent(
      'what ioredis subscribes by itself is left to the bus, as long as that has it',
      onBench(async (bench) => {
        const connections = await library.connect(bench.server.port)
        bench.after(() => connections.close())
        const subscriber = await connections.subscriber()
        const { options } = subscriber as unknown as Redis
        const bus = redisBus({ client: connections.client, subscriber })
        const observer = new BusObserver()
        await bus.subscribe(observer)
        expect(options.autoResubscribe).toBe(false)
        await bench.admin().call('CLIENT', 'KILL', 'TYPE', 'pubsub')
        await vi.waitFor(() => expect(observer.events.map(({ kind }) => kind)).toContain('gap'), PATIENCE)
        await bus.close()
        expect(options.autoResubscribe).toBe(true)
      }),
    )
  }

  // The other client finds that out by itself, where its options say so.
  if (library === ioredis) {
    test.concurrent(
      'a connection that stays silent is made anew',
      onBench(async (bench) => {
        const proxy = await TcpProxy.to(bench.server.port)
        const writer = await bench.cache(library)
        const reader = await bench.cache(library, { subscriberPort: proxy.port })
        bench.after(() => proxy.close())
        await writer.set('key', 'old')
        expect(await reader.get('key')).toBe('old')
        proxy.hold()
        await writer.set('key', 'new')
        await vi.waitFor(() => expect(reader.health().copiesTrusted).toBe(false), PATIENCE)
        await trusted(reader)
        expect(await reader.get('key')).toBe('new')
      }),
    )
  }

  test.concurrent(
    'a load that a delete overtook is kept nowhere: 200 rounds',
    onBench(async (bench) => {
      const [here, there] = [await bench.cache(library), await bench.cache(library)]
      expect(await raceLoads(here, there), `SEED=${seed}`).toEqual([])
    }),
  )

  test.concurrent(
    'a load that the delete of another process overtook is kept nowhere: 200 rounds',
    onBench(async (bench) => {
      const here = await bench.cache(library)
      const place = {
        port: bench.server.port,
        library: library === nodeRedis ? 'node-redis' : 'ioredis',
      } as const
      const there = await CacheProcess.start(place, LEASE_MS)
      bench.after(() => endProcess(there.child))
      await vi.waitUntil(() => there.call('isReady'), { timeout: 10_000, interval: 20 })
      expect(await raceLoads(here, there.cache, LEASE_MS), `SEED=${seed}`).toEqual([])
    }),
  )

  test.concurrent(
    'whatever is published on the channel, nothing breaks and nothing stale is answered',
    onBench(async (bench) => {
      const [here, there] = [await bench.cache(library), await bench.cache(library)]
      const admin = bench.admin()
      const random = seededRandom(seed)
      await here.set('key', 'old')
      expect(await there.get('key')).toBe('old')
      const channel = Buffer.from('tierwheel:bus:0')
      for (let round = 0; round < 300; round++) {
        const bytes = Buffer.from(
          Array.from({ length: Math.floor(120 * random()) }, () => Math.floor(256 * random())),
        )
        if (round % 3 === 0 && bytes.length > 1) bytes[0] = round % 2
        await admin.publish(channel, bytes)
      }
      await here.set('key', 'new')
      await vi.waitFor(async () => expect(await there.get('key')).toBe('new'), PATIENCE)
      await trusted(there)
    }),
  )

  test.concurrent(
    'a user without the channel is told so at once, and which one',
    onBench(async (bench) => {
      const admin = bench.admin()
      const rules = ['on', '>secret', '~*', '+@all', 'resetchannels']
      await admin.call('ACL', 'SETUSER', 'deaf', ...rules)
      const connections = await library.connect(bench.server.port, { username: 'deaf', password: 'secret' })
      bench.after(() => connections.close())
      const { client } = connections
      const bus = redisBus({ client, subscriber: await connections.subscriber() })
      const nobody = { onMessage: () => {}, onEcho: () => {}, onGap: () => {}, onFailure: () => {} }
      const refused = await bus.subscribe(nobody).catch((error: unknown) => error)
      expect(refused).toMatchObject({ code: 'CACHE_TIER_FAILED' })
      expect((refused as Error).message).toContain('tierwheel:bus:0')
      expect((refused as Error).message).toContain('&tierwheel:bus:*')
      expect(JSON.stringify([refused, (refused as Error).cause, String(refused)])).not.toContain('secret')
      await bus.close()
    }),
  )

  test.concurrent(
    'the permissions that the page names are enough',
    onBench(async (bench) => {
      const rules =
        '~{tierwheel:* &tierwheel:bus:* +@read +@write +@scripting +@pubsub +@connection +time +info'
      await bench.admin().call('ACL', 'SETUSER', 'app', 'on', '>secret', 'resetchannels', ...rules.split(' '))
      const connections = await library.connect(bench.server.port, { username: 'app', password: 'secret' })
      bench.after(() => connections.close())
      const { client } = connections
      const bus = redisBus({ client, subscriber: await connections.subscriber() })
      const heard: Message[] = []
      const onMessage = (message: Message) => heard.push(message)
      await bus.subscribe({ onMessage, onEcho: () => {}, onGap: () => {}, onFailure: () => {} })
      const tier = redisTier({ client })
      const origin = { id: '0123456789abcdef', serial: 1 }
      const write = { key: 'a:1:b', bytes: Uint8Array.of(0x39), remainingMs: 60_000 }
      await tier.ledger?.commit({ op: 'set', ...write }, origin)
      expect(await tier.increment(write.key, 1, 0)).toBe(10)
      expect(await tier.touch(write.key, 60_000)).toBe(true)
      await tier.ledger?.commit({ op: 'clear', prefix: 'a:' }, origin)
      expect(await tier.get(write.key)).toBeUndefined()
      await vi.waitFor(() => expect(heard.length).toBe(17), PATIENCE)
      await bus.close()
    }),
  )

  test.concurrent(
    'a clear is one step, and the memory comes back behind it',
    onBench(async (bench) => {
      const connections = await library.connect(bench.server.port)
      bench.after(() => connections.close())
      const admin = bench.admin()
      const tier = redisTier({ client: connections.client })
      await tier.setMany(
        Array.from({ length: 2_000 }, (_, at) => ({
          key: `${at % 2 === 0 ? 'a' : 'b'}:1:${at}`,
          bytes: new Uint8Array(10),
          remainingMs: 60_000,
        })),
      )
      await tier.clear('a:')
      // What is written behind a clear is not swept with what was before it.
      const again = { key: 'a:1:0', bytes: new Uint8Array(20), remainingMs: 60_000 }
      await tier.setMany(Array.from({ length: 200 }, (_, at) => ({ ...again, key: `a:1:${2 * at}` })))
      expect((await tier.getMany(['a:1:0', 'a:1:998', 'b:1:1'])).map((entry) => entry?.bytes.length)).toEqual(
        [20, undefined, 10],
      )
      await vi.waitFor(async () => expect((await admin.keys('*:e:*')).length).toBe(1_200), PATIENCE)
      await vi.waitFor(async () => {
        for (const name of await admin.keys('*:s')) expect(await admin.get(name)).toMatch(/^1 16 \d+ 0 1\n$/)
      }, PATIENCE)
    }),
  )

  test.concurrent(
    'a clear of all removes every prefix and nothing of others, without KEYS or FLUSHDB',
    onBench(async (bench) => {
      const [shop, blog] = [
        await bench.cache(library, { prefix: 'shop' }),
        await bench.cache(library, { prefix: 'blog' }),
      ]
      const admin = bench.admin()
      const elsewhere = await library.connect(bench.server.port)
      bench.after(() => elsewhere.close())
      const other = redisTier({ client: elsewhere.client, keyspace: 'other' })
      await other.set({ key: 'a:1:b', bytes: new Uint8Array(5), remainingMs: 60_000 })
      await admin.set('not-ours', 'kept')
      await admin.set('{tierwheel:0}:not-ours', 'kept')
      const keys = Array.from({ length: 40 }, (_, at) => `key:${at}`)
      for (const cache of [shop, blog, blog.namespace('inner')])
        await cache.setMany(keys.map((key) => [key, 'value'] as const))
      expect(await blog.get('key:1')).toBe('value')
      const lock = await blog.lock('report', { renew: false })
      await shop.clear({ all: true })
      expect((await shop.getMany(keys)).size).toBe(0)
      await vi.waitFor(async () => expect(await blog.get('key:1')).toBeUndefined(), PATIENCE)
      expect((await blog.getMany(keys)).size).toBe(0)
      expect(await lock?.release()).toBe(false)
      await vi.waitFor(async () => {
        const left = await admin.scan(0, 'COUNT', 10_000)
        expect(left[1].filter((name) => name.includes(':e:') && name.startsWith('{tierwheel:'))).toEqual([])
      }, PATIENCE)
      expect((await other.get('a:1:b'))?.bytes.length).toBe(5)
      expect(await admin.mget('not-ours', '{tierwheel:0}:not-ours')).toEqual(['kept', 'kept'])
      const used = await admin.info('commandstats')
      expect(used).toContain('cmdstat_scan:')
      for (const word of ['keys', 'flushdb', 'flushall']) expect(used).not.toContain(`cmdstat_${word}:`)
    }),
  )

  test.concurrent(
    'a mutation that has to be at a replica rejects without one',
    onBench(async (bench) => {
      const folder = makeFolder()
      const replica = await RedisServer.start({
        dir: folder,
        replicaof: `127.0.0.1 ${bench.server.port}`,
      })
      bench.after(async () => {
        replica.resume()
        await replica.kill()
        removeFolder(folder)
      })
      const admin = bench.admin()
      await vi.waitFor(
        async () => expect(await admin.info('replication')).toContain('state=online'),
        PATIENCE,
      )
      const cache = await bench.cache(library, { durability: 'replica' })
      await insist(() => cache.set('key', 'at both'))
      replica.pause()
      const refused = await cache.set('key', 'at one').catch((error: unknown) => error)
      expect(refused).toMatchObject({ code: 'CACHE_TIER_FAILED' })
      expect((refused as Error).message).toContain('no replica had it')
      replica.resume()
      await insist(() => cache.set('key', 'at both again'))
      expect(await cache.get('key')).toBe('at both again')
    }),
  )

  test.concurrent(
    'another number of partitions is refused with the number',
    onBench(async (bench) => {
      const connections = await library.connect(bench.server.port)
      bench.after(() => connections.close())
      const { client } = connections
      await redisTier({ client }).set({ key: 'key', bytes: new Uint8Array(1), remainingMs: 60_000 })
      const other = redisTier({ client, partitions: 32 })
      for (let at = 0; at < 40; at++) {
        const refused = await other.get(`key:${at}`).catch((error: unknown) => error)
        expect(refused).toMatchObject({ code: 'CACHE_TIER_FAILED' })
        expect((refused as Error).message).toContain('has 16')
      }
    }),
  )
})
