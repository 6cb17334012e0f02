// Caches over real Memcached servers, alone and with a bus on a real Redis, and what happens to them: keys that would
// be commands, loads that are overtaken, a bus that is cut, servers that stand still, forget and die.

import { setTimeout as sleep } from 'node:timers/promises'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { redisBus } from '../../src/bus/redis.ts'
import type { Cache } from '../../src/cache.ts'
import { createCache } from '../../src/create-cache.ts'
import type { Ledger, Mutation } from '../../src/tiers/ledger.ts'
import { memcachedTier } from '../../src/tiers/memcached.ts'
import type { Tier, TierEntry } from '../../src/tiers/tier.ts'
import { raceLoads } from '../support/load-race.ts'
import { hasMemcached, MemcachedServer } from '../support/memcached-server.ts'
import { type Library, libraries } from '../support/redis-clients.ts'
import { hasRedis, RedisServer } from '../support/redis-server.ts'
import { holds, seed } from '../support/seed.ts'
import { TcpProxy } from '../support/tcp-proxy.ts'

vi.setConfig({ testTimeout: 30_000 })

const LEASE_MS = 600
const closing: (() => unknown)[] = []
const after = (close: () => unknown): void => void closing.unshift(close)

afterEach(async () => {
  for (const close of closing.splice(0)) await close()
})

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text)
const write = (key: string, text: string, remainingMs = 60_000) => ({
  key,
  bytes: bytesOf(text),
  remainingMs,
})
const textOf = (entry: TierEntry | undefined): string | undefined =>
  entry && new TextDecoder().decode(entry.bytes)

describe.skipIf(!hasMemcached())('memcached', () => {
  let server: MemcachedServer
  beforeEach(async () => {
    server = await MemcachedServer.start()
    after(() => server.kill())
  })

  const open = (more: { fence?: boolean; deadlineMs?: number } = {}): Tier => {
    const tier = memcachedTier({ servers: [server.name], deadlineMs: 5_000, ...more })
    after(() => tier.close())
    return tier
  }
  const stats = async (): Promise<(name: string) => number> => {
    const lines = await server.ask('stats')
    return (name) => Number(new RegExp(`^STAT ${name} (\\d+)\\r$`, 'm').exec(lines)?.[1])
  }

  test('no key is a command: whatever it holds, one item comes of it and nothing else', async () => {
    const tier = open()
    await tier.set(write('sentinel', 'untouched'))
    const words = fc.constantFrom(
      '\r\n',
      ' ',
      '\0',
      'flush_all\r\n',
      'ms tierwheel:sentinel 1\r\nx\r\n',
      'md tierwheel:sentinel\r\n',
      ' b C1 I ',
      '\u{1f600}',
      'a',
      '\x7f',
      ':',
      '!',
      '#',
    )
    const hostile = fc.oneof(
      fc.array(words, { minLength: 1, maxLength: 8 }).map((parts) => parts.join('')),
      fc.string({ unit: 'binary', minLength: 1, maxLength: 120 }),
    )
    const keys: string[] = []
    holds(
      fc.property(fc.uniqueArray(hostile, { minLength: 400, maxLength: 400 }), (some) => {
        keys.push(...some)
      }),
      { numRuns: 5 },
    )
    const all = [...new Set(keys)].filter((key) => key.isWellFormed() && Buffer.byteLength(key) <= 512)
    await tier.setMany(all.map((key, at) => write(key, `${at}`)))
    const found = await tier.getMany(all)
    expect(found.map(textOf), `SEED=${seed}`).toEqual(all.map((_, at) => `${at}`))
    expect(textOf(await tier.get('sentinel'))).toBe('untouched')
    const stat = await stats()
    // The sentinel and the state of the keyspace.
    expect(stat('curr_items'), `SEED=${seed}`).toBe(all.length + 2)
    expect(stat('cmd_flush')).toBe(0)
    expect(stat('total_connections'), 'no surprise ended the connection').toBeLessThan(8)
    expect(await tier.deleteMany(all)).toBe(all.length)
    expect((await stats())('curr_items')).toBe(2)
  })

  test('an entry that is too large takes the old one with it', async () => {
    const tier = open()
    await tier.set(write('key', 'old'))
    const large = { key: 'key', bytes: new Uint8Array(2 ** 20), remainingMs: 60_000 }
    await expect(tier.set(large)).rejects.toThrow(RangeError)
    expect(await tier.get('key')).toBeUndefined()
    await tier.set(write('key', 'old'))
    await expect(tier.compareAndSet(large, bytesOf('old'))).rejects.toThrow(RangeError)
    expect(await tier.get('key')).toBeUndefined()
    await tier.set(write('key', 'next'))
    expect(textOf(await tier.get('key'))).toBe('next')
  })

  test('31 days and 400 years are lives like others', async () => {
    const tier = open()
    const dayMs = 24 * 3_600_000
    for (const days of [31, 146_000]) {
      await tier.set(write('key', 'value', days * dayMs))
      expect((await tier.get('key'))?.remainingMs).toBeGreaterThan(days * dayMs - 10_000)
      expect(await tier.touch('key', days * dayMs)).toBe(true)
      expect(textOf(await tier.get('key'))).toBe('value')
    }
  })

  test('a keyspace whose state was evicted begins anew, and nothing cleared comes back', async () => {
    const tier = open()
    await tier.setMany([write('a:1', 'cleared'), write('b:1', 'kept')])
    await tier.clear('a:')
    expect(await server.ask('md tierwheel!')).toBe('HD\r\n')
    expect((await tier.getMany(['a:1', 'b:1'])).map(textOf)).toEqual([undefined, undefined])
    await tier.set(write('c:1', 'new'))
    expect((await tier.getMany(['a:1', 'b:1', 'c:1'])).map(textOf)).toEqual([undefined, undefined, 'new'])
  })

  test('a clear by another process in the middle of a write leaves the write or nothing', async () => {
    const [tier, other] = [open(), open()]
    for (let round = 0; round < 100; round++) {
      await tier.set(write('a:1', 'before'))
      const clearing = other.clear(round % 2 === 0 ? 'a:' : '')
      const setting = tier.set(write('a:2', `${round}`))
      await Promise.all([clearing, setting])
      expect(await tier.get('a:1')).toBeUndefined()
      expect([undefined, `${round}`]).toContain(textOf(await other.get('a:2')))
      await tier.set(write('a:2', 'later'))
      expect(textOf(await other.get('a:2'))).toBe('later')
    }
  })

  test('a state of a later format is refused with its number, and nothing is touched', async () => {
    const tier = open()
    const { crc32c } = await import('../../src/checksum.ts')
    const json = '{"format":2}'
    const state = `${crc32c(Buffer.from(json)).toString(16).padStart(8, '0')} ${json}`
    await server.ask(`ms tierwheel! ${state.length}`, state)
    await expect(tier.get('key')).rejects.toThrow('format 2')
    await expect(tier.set(write('key', 'value'))).rejects.toThrow('format 2')
    expect((await stats())('curr_items')).toBe(1)
  })

  test('a server that stands still costs the deadline, and answers again when it goes on', async () => {
    const tier = open({ deadlineMs: 500 })
    await tier.set(write('key', 'value'))
    server.pause()
    await expect(tier.get('key')).rejects.toMatchObject({ code: 'CACHE_TIER_FAILED' })
    server.resume()
    await vi.waitFor(async () => expect(textOf(await tier.get('key'))).toBe('value'), { timeout: 5_000 })
  })

  test('a server that was restarted has nothing, and everything works', async () => {
    const tier = open()
    await tier.set(write('key', 'value'))
    await server.restart()
    await vi.waitFor(async () => expect(await tier.get('key')).toBeUndefined(), { timeout: 5_000 })
    await tier.set(write('key', 'new'))
    expect(textOf(await tier.get('key'))).toBe('new')
  })

  test('with one server of three dead, keys of the others are found and its own are told to have failed', async () => {
    const others = [await MemcachedServer.start(), await MemcachedServer.start()]
    for (const one of others) after(() => one.kill())
    const tier = memcachedTier({ servers: [server, ...others].map(({ name }) => name), deadlineMs: 3_000 })
    after(() => tier.close())
    const keys = Array.from({ length: 90 }, (_, at) => `key:${at}`)
    await tier.setMany(keys.map((key) => write(key, key)))
    await server.kill()
    const found = (await tier.getMany(keys)).map(textOf)
    const lost = keys.filter((_, at) => found[at] === undefined)
    expect(lost.length).toBeGreaterThan(5)
    expect(lost.length).toBeLessThan(70)
    expect(found.filter((text, at) => text !== undefined && text !== keys[at])).toEqual([])
    await expect(tier.get(lost[0] as string)).rejects.toMatchObject({ code: 'CACHE_TIER_FAILED' })
    await expect(tier.setMany(keys.map((key) => write(key, key)))).rejects.toThrow()
    expect(await tier.delete(keys.find((key) => !lost.includes(key)) as string)).toBe(true)
  })

  describe('with a fence and no bus', () => {
    test('a token is good for one populate, and for none after a change of its key', async () => {
      const [tier, other] = [open({ fence: true }), open({ fence: true })]
      const [ledger, rival] = [tier.ledger, other.ledger]
      if (ledger === undefined || rival === undefined) throw new Error('no ledger')
      const origin = { id: '0123456789abcdef', serial: 1 }
      const read = async () => (await ledger.read(['key']))[0]
      const changes: Record<string, () => Promise<unknown>> = {
        'a set': () => rival.commit({ op: 'set', ...write('key', 'set') }, origin),
        'a delete': () => rival.commit({ op: 'delete', key: 'key' }, origin),
        'a clear of its prefix': () => rival.commit({ op: 'clear', prefix: 'k' }, origin),
        'a clear of everything': () => rival.commit({ op: 'clear', prefix: '' }, origin),
        'an eviction of the state': () => server.ask('md tierwheel!'),
      }
      for (const [what, change] of Object.entries(changes)) {
        await ledger.commit({ op: 'delete', key: 'key' }, origin)
        const free = await read()
        expect(free?.entry, what).toBeUndefined()
        expect(await ledger.populate(write('key', 'loaded'), free?.asOf as never), what).toBe('stored')
        expect(textOf(await other.get('key')), what).toBe('loaded')
        expect(await ledger.populate(write('key', 'again'), free?.asOf as never), what).toBe('refused')
        const held = await read()
        await change()
        expect(await ledger.populate(write('key', 'stale'), held?.asOf as never), what).toBe('refused')
        expect(textOf(await other.get('key')), what).not.toBe('stale')
      }
      expect((await rival.commit({ op: 'set', ...write('key', 'x') }, origin)).existed).toBe(false)
      expect((await rival.commit({ op: 'delete', key: 'key' }, origin)).existed).toBe(true)
      expect((await rival.commit({ op: 'delete', key: 'key' }, origin)).existed).toBe(false)
      expect(await tier.add(write('key', 'added')), "what was deleted is in nobody's way").toBe(true)
      const [first] = await ledger.probe('token')
      expect(await ledger.since(first as never)).toBe('gap')
    })

    test('what depends on an entry is decided in one step, also between two', async () => {
      const ledgers = [open({ fence: true }), open({ fence: true })].map(({ ledger }) => ledger as Ledger)
      const [ledger] = ledgers as [Ledger, Ledger]
      const origin = { id: '0123456789abcdef', serial: 1 }
      const twice = (mutation: Mutation) => Promise.all(ledgers.map((one) => one.commit(mutation, origin)))
      for (let round = 0; round < 20; round++) {
        const added = await twice({ op: 'add', ...write(`k:${round}`, '7') })
        expect(added.filter(({ applied }) => applied)).toHaveLength(1)
        const sums = await twice({ op: 'increment', key: `k:${round}`, delta: 1, from: 0 })
        expect(sums.map(({ number }) => number).toSorted()).toEqual([8, 9])
        const moved = await twice({ op: 'move', key: `k:${round}`, to: `m:${round}` })
        expect(moved.filter(({ applied }) => applied)).toHaveLength(1)
        const [from, to] = await ledger.read([`k:${round}`, `m:${round}`])
        expect([textOf(from?.entry), textOf(to?.entry)]).toEqual([undefined, '9'])
      }
      const touched = await ledger.commit({ op: 'touch', key: 'none', remainingMs: 1 }, origin)
      expect([touched.applied, touched.existed]).toEqual([false, false])
      const swap = { op: 'swap', ...write('m:0', 'new'), expected: new TextEncoder().encode('9') } as const
      expect((await ledger.commit(swap, origin)).applied).toBe(true)
      expect((await ledger.commit(swap, origin)).applied).toBe(false)
    })

    test('tags have an order, and one that was evicted counts as deleted', async () => {
      const [ledger, other] = [open({ fence: true }).ledger as Ledger, open({ fence: true }).ledger as Ledger]
      const origin = { id: '0123456789abcdef', serial: 1 }
      const [unheard] = (await ledger.readTags(['app:a'])).tags
      expect(unheard?.deleted, 'asked for first, it begins here').toEqual((await other.probe('x')).at(-1))
      const { stamp: deleted } = await other.commit({ op: 'tags', tags: ['app:a'], how: 'delete' }, origin)
      const { stamp: expired } = await ledger.commit({ op: 'tags', tags: ['app:a'], how: 'expire' }, origin)
      expect(expired.sequence).toBeGreaterThan(deleted.sequence)
      expect((await ledger.readTags(['app:a'])).tags).toEqual([{ expired, deleted }])
      expect((await ledger.readTags([])).asOf).toEqual(expired)
      await open({ fence: true }).delete('#tag app:a')
      const [evicted] = (await other.readTags(['app:a'])).tags
      expect(evicted?.deleted?.sequence).toBeGreaterThan(expired.sequence)
      await open({ fence: true }).delete('#tags')
      const { asOf, tags } = await ledger.readTags(['app:a'])
      expect(asOf.epoch).toBeGreaterThan(expired.epoch)
      expect(tags[0]?.deleted?.epoch).toBe(asOf.epoch)
    })

    test('of two caches whose loads and deletes race, none finds the old value in the tier: 200 rounds', async () => {
      const caches = [0, 1].map(() => {
        const cache = createCache<string>({
          l1: false,
          tiers: [open({ fence: true })],
          tierTimeout: '5s',
          ttl: '10m',
        })
        after(() => cache.close())
        return cache
      })
      expect(await raceLoads(...(caches as [Cache<string>, Cache<string>])), `SEED=${seed}`).toEqual([])
    })
  })

  describe.skipIf(!hasRedis())('with a bus on redis', () => {
    let redis: RedisServer
    beforeEach(async () => {
      redis = await RedisServer.start()
      after(() => redis.kill())
    })

    async function cacheOn(subscriberPort: number = redis.port): Promise<Cache<string>> {
      const [ioredis] = libraries as [Library]
      const [connections, listening] = [
        await ioredis.connect(redis.port),
        await ioredis.connect(subscriberPort),
      ]
      const cache = createCache<string>({
        tiers: [open()],
        bus: redisBus({ client: connections.client, subscriber: await listening.subscriber() }),
        lease: LEASE_MS,
        tierTimeout: '5s',
        ttl: '10m',
      })
      after(async () => {
        await cache.close().catch(() => {})
        connections.close()
        listening.close()
      })
      await trusted(cache)
      return cache
    }

    test('a load that a delete overtook is answered by nobody afterwards: 200 rounds', async () => {
      const caches = [await cacheOn(), await cacheOn()] as const
      expect(await raceLoads(...caches), `SEED=${seed}`).toEqual([])
    })

    test('a bus that is cut for half a second leaves none of 80 copies stale, in memory or on the server', async () => {
      const proxy = await TcpProxy.to(redis.port)
      after(() => proxy.close())
      const [writer, reader] = [await cacheOn(), await cacheOn(proxy.port)]
      const keys = Array.from({ length: 80 }, (_, at) => `key:${at}`)
      for (const key of keys) await writer.set(key, 'old')
      for (const key of keys) expect(await reader.get(key)).toBe('old')
      const expected = (key: string): string => (Number(key.slice(4)) % 4 === 0 ? 'new' : 'old')

      proxy.cut()
      for (const key of keys) if (expected(key) === 'new') await writer.set(key, 'new')
      await sleep(LEASE_MS)
      const wrong = async (): Promise<string[]> => {
        const answers = await Promise.all(keys.map((key) => reader.get(key)))
        return keys.filter((key, at) => answers[at] !== undefined && answers[at] !== expected(key))
      }
      expect(await wrong()).toEqual([])
      proxy.mend()
      await trusted(reader)
      expect(await wrong()).toEqual([])
      const answers = await Promise.all(keys.map((key) => reader.getOrSet(key, () => expected(key))))
      expect(answers).toEqual(keys.map(expected))
    })
  })
})

function trusted(cache: Cache<string>): Promise<void> {
  return vi.waitFor(() => expect(cache.health().copiesTrusted).toBe(true), { timeout: 10_000, interval: 10 })
}
