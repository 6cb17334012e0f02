// Caches over Redis as it is run where others are on the network too: by TLS with certificates of both sides, and as a
// user who may do what the page on the tier lists and nothing else.

import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { redisBus } from '../../src/bus/redis.ts'
import type { Cache } from '../../src/cache.ts'
import { createCache } from '../../src/create-cache.ts'
import { redisTier } from '../../src/tiers/redis.ts'
import { type Certificates, hasOpenssl, makeCertificates } from '../support/certificates.ts'
import { makeFolder, removeFolder } from '../support/folder.ts'
import { freePort } from '../support/free-port.ts'
import { type Library, type Login, libraries } from '../support/redis-clients.ts'
import { freshKeyspace } from '../support/redis-contract.ts'
import { hasRedis, RedisServer } from '../support/redis-server.ts'

const PASSWORD = 'canary-3f9c'
const rulesOf = (keyspace: string) =>
  `on >${PASSWORD} resetchannels ~{${keyspace}:* &${keyspace}:bus:* +@read +@write +@scripting +@pubsub +@connection +time +info`

describe.skipIf(!hasRedis() || !hasOpenssl())('TLS and users with rules', () => {
  const folder = makeFolder()
  let certificates: Certificates
  let server: RedisServer
  let tlsPort: number
  let admin: Redis

  beforeAll(async () => {
    certificates = makeCertificates(folder)
    const { caFile, certFile, keyFile } = certificates
    tlsPort = await freePort()
    server = await RedisServer.start({
      'tls-port': `${tlsPort}`,
      'tls-ca-cert-file': caFile,
      'tls-cert-file': certFile,
      'tls-key-file': keyFile,
      'tls-auth-clients': 'yes',
    })
    admin = new Redis(server.port, '127.0.0.1')
  })
  afterAll(async () => {
    admin?.disconnect()
    await server?.kill()
    removeFolder(folder)
  })

  const addUser = (name: string, rules: string) => admin.call('ACL', 'SETUSER', name, ...rules.split(' '))

  async function open(library: Library, keyspace: string, login: Login) {
    const connections = await library.connect(tlsPort, login)
    const { client } = connections
    const bus = redisBus({ client, subscriber: await connections.subscriber(), keyspace })
    const cache = createCache<unknown>({ tiers: [redisTier({ client, keyspace })], bus, ttl: '10m' })
    const end = async () => {
      await cache.close()
      connections.close()
    }
    return { cache, end }
  }

  const trusted = (cache: Cache) =>
    vi.waitFor(() => expect(cache.health()).toMatchObject({ copiesTrusted: true }), 10_000)

  test.each(libraries)(
    'with $name all of a cache works by TLS for a user with the rules of the page',
    async (library) => {
      const keyspace = freshKeyspace()
      await addUser('app', rulesOf(keyspace))
      const { ca, cert, key } = certificates
      const login: Login = { username: 'app', password: PASSWORD, tls: { ca, cert, key } }
      const [here, there] = [await open(library, keyspace, login), await open(library, keyspace, login)]
      try {
        for (const { cache } of [here, there]) await trusted(cache)
        const failures: unknown[] = []
        for (const { cache } of [here, there]) {
          for (const event of ['tier.failed', 'bus.failed'] as const)
            cache.on(event, (told) => failures.push(told))
        }
        await here.cache.set('a', 'old', { tags: ['t'] })
        expect(await there.cache.get('a')).toBe('old')
        await here.cache.set('a', 'new', { tags: ['t'] })
        await vi.waitFor(async () => expect(await there.cache.get('a')).toBe('new'), 5_000)
        await here.cache.deleteTags(['t'])
        await vi.waitFor(async () => expect(await there.cache.get('a')).toBeUndefined(), 5_000)
        expect(await here.cache.add('n', 1)).toBe(true)
        expect(await there.cache.incr('n', 4)).toBe(5)
        expect(await here.cache.touch('n', { ttl: '1h' })).toBe(true)
        expect(await here.cache.incrVersion('n')).toBe(2)
        expect(await (await there.cache.lock('lock'))?.release()).toBe(true)
        expect(
          (
            await there.cache.setMany([
              ['x', 1],
              ['y', 2],
            ])
          ).failed,
        ).toEqual([])
        expect((await here.cache.getMany(['x', 'y'])).size).toBe(2)
        expect(await here.cache.deleteMany(['x'])).toMatchObject({ deleted: 1 })
        await here.cache.clear({ all: true })
        await vi.waitFor(async () => expect(await there.cache.get('y')).toBeUndefined(), 5_000)
        await vi.waitFor(async () => expect(await admin.keys(`{${keyspace}:*}:e:*`)).toEqual([]), 5_000)
        expect(failures).toEqual([])
        // All of it by TLS: nobody of that name is on the other port.
        const clients = String(await admin.call('CLIENT', 'LIST')).split('\n')
        const ours = clients.filter((line) => line.includes('user=app'))
        expect(ours).toHaveLength(4)
        for (const line of ours) expect(line).toContain(`laddr=127.0.0.1:${tlsPort}`)
      } finally {
        await here.end()
        await there.end()
      }
    },
    30_000,
  )

  test.each(libraries)(
    'with $name who has no certificate gets nothing, loads go on, and no text has the password',
    async (library) => {
      const { ca } = certificates
      const login: Login = { username: 'app', password: PASSWORD, tls: { ca } }
      const { client, subscriber, close } = library.begin(tlsPort, login)
      const keyspace = freshKeyspace()
      const cache = createCache<string>({
        tiers: [redisTier({ client, keyspace })],
        bus: redisBus({ client, subscriber, keyspace }),
        tierTimeout: 300,
        ttl: '10m',
      })
      const told: unknown[] = []
      for (const event of ['tier.failed', 'bus.failed'] as const) cache.on(event, (news) => told.push(news))
      try {
        expect(await cache.getOrSet('key', () => 'loaded')).toBe('loaded')
        const refused = await cache.set('key', 'value').catch((error: unknown) => error)
        expect(refused).toMatchObject({ code: 'CACHE_TIER_FAILED' })
        await vi.waitFor(() => expect(cache.health().bus?.error).toBeDefined(), 10_000)
        expect(cache.health()).toMatchObject({ copiesTrusted: false, bus: { connected: false } })
        await sleep(50)
        expect(told.length).toBeGreaterThan(0)
        const texts = [refused, ...told, cache.health()].flatMap((each) => [
          String(each),
          String((each as Error).stack),
          JSON.stringify(each, (_name, value) =>
            value instanceof Error ? [value.message, value.stack, value.cause] : value,
          ),
        ])
        for (const text of texts) expect(text).not.toContain(PASSWORD)
        expect(await admin.exists(`{${keyspace}:0}:s`)).toBe(0)
      } finally {
        await cache.close().catch(() => {})
        close()
      }
    },
    30_000,
  )

  test.each(libraries)(
    'with $name a channel that is not permitted is told at the start, by the cache too',
    async (library) => {
      const keyspace = freshKeyspace()
      const { ca, cert, key } = certificates
      const tls = { ca, cert, key }
      await addUser('deaf', rulesOf(keyspace).replace(`&${keyspace}:bus:* `, ''))
      await addUser('app', rulesOf(keyspace))
      // The one may not listen, the other may not publish.
      for (const [speaks, hears] of [
        ['app', 'deaf'],
        ['deaf', 'app'],
      ] as const) {
        const connections = await library.connect(tlsPort, { username: speaks, password: PASSWORD, tls })
        const listening = await library.connect(tlsPort, { username: hears, password: PASSWORD, tls })
        const { client } = connections
        const bus = redisBus({ client, subscriber: await listening.subscriber(), keyspace })
        const cache = createCache<string>({ tiers: [redisTier({ client, keyspace })], bus, ttl: '10m' })
        const told: string[] = []
        cache.on('bus.failed', ({ error }) => told.push((error as Error).message))
        try {
          await vi.waitFor(() => expect(told.length).toBeGreaterThan(0), 5_000)
          expect(told[0]).toContain(`&${keyspace}:bus:*`)
          expect(told[0]).not.toContain(PASSWORD)
          expect(cache.health()).toMatchObject({ copiesTrusted: false, bus: { connected: false } })
          expect(cache.health().bus?.error).toContain(`&${keyspace}:bus:*`)
        } finally {
          await cache.close().catch(() => {})
          for (const one of [connections, listening]) one.close()
        }
      }
    },
    30_000,
  )
})
