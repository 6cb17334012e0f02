// What the scripts do beyond the contract's suites, on a real server: what they make of a keyspace that holds
// something unusual.

import { Redis } from 'ioredis'
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { entryKey, parseState } from '../../../src/backends/redis-layout.ts'
import { clearScript, sweptScript } from '../../../src/backends/redis-scripts.ts'
import { RedisStore } from '../../../src/backends/redis-store.ts'
import { redisTier } from '../../../src/tiers/redis.ts'
import { hasRedis, RedisServer } from '../../support/redis-server.ts'

const entry = (text: string) => ({ key: 'a:1:b', bytes: new TextEncoder().encode(text), remainingMs: 60_000 })

describe.skipIf(!hasRedis())('redis scripts', () => {
  let server: RedisServer
  let client: Redis
  beforeAll(async () => {
    server = await RedisServer.start()
    client = new Redis(server.port, '127.0.0.1')
  })
  beforeEach(async () => {
    await client.flushall()
  })
  afterAll(async () => {
    client.disconnect()
    await server.kill()
  })

  const clear = (store: RedisStore, prefix: string) =>
    store.evaluate(clearScript, store.namesOf([0]), [`${store.partitions}`, '', '128', prefix, '0', '0', ''])
  const stateOf = async () => parseState((await client.getBuffer('{tierwheel:0}:s')) ?? new Uint8Array(0))

  test('what is read in one turn is one call, whatever the partitions', async () => {
    const store = new RedisStore('test', { client })
    const tier = redisTier({ client })
    const keys = Array.from({ length: 64 }, (_, at) => `a:1:${at}`)
    for (const key of keys) await tier.set({ ...entry(key), key })
    expect(new Set(keys.map((key) => store.partitionOf(key))).size).toBeGreaterThan(8)
    const calls = async () => Number(/calls=(\d+)/.exec(commandIn(await client.info('commandstats')))?.[1])
    const commandIn = (stats: string) =>
      stats.split('\n').find((line) => line.startsWith('cmdstat_evalsha:')) ?? ''
    const before = await calls()
    const answers = await Promise.all(keys.map((key) => tier.get(key)))
    expect((await calls()) - before).toBe(1)
    expect(answers.map((answer) => answer && new TextDecoder().decode(answer.bytes))).toEqual(keys)
  })

  test('what is changed in one turn is one write to the connection, and each has an answer of its own', async () => {
    const tier = redisTier({ client })
    const keys = Array.from({ length: 64 }, (_, at) => `a:1:${at}`)
    // The server knows the script from then on.
    await tier.compareAndSet(entry('before'), undefined)
    await client.hset(
      entryKey('tierwheel', new RedisStore('test', { client }).partitionOf('a:1:7'), 'a:1:7'),
      'a',
      '1',
    )
    const [single, gathered] = [vi.spyOn(client.stream, '_write'), vi.spyOn(client.stream, '_writev')]
    const outcomes = await Promise.allSettled(
      keys.map((key) => tier.compareAndSet({ ...entry(key), key }, undefined)),
    )
    expect([single.mock.calls.length, gathered.mock.calls.length]).toEqual([0, 1])
    const failed = keys.filter((_, at) => outcomes[at]?.status === 'rejected')
    expect(failed).toEqual(['a:1:7'])
    for (const write of [single, gathered]) write.mockRestore()
  })

  test('data of somebody else under a key fails its own read alone', async () => {
    const store = new RedisStore('test', { client })
    const tier = redisTier({ client })
    await tier.set(entry('1'))
    await client.hset(entryKey('tierwheel', store.partitionOf('a:1:other'), 'a:1:other'), 'field', 'value')
    const [good, wrong] = await Promise.allSettled([tier.get('a:1:b'), tier.get('a:1:other')])
    expect(good).toMatchObject({ status: 'fulfilled', value: { bytes: entry('1').bytes } })
    expect(wrong).toMatchObject({ status: 'rejected', reason: { code: 'CACHE_TIER_FAILED' } })
  })

  test('an entry of an older epoch is there for no operation', async () => {
    const tier = redisTier({ client })
    const lose = async () => client.del(...(await client.keys('*:s')))
    const operations: [name: string, run: () => Promise<unknown>, answer: unknown][] = [
      ['get', () => tier.get('a:1:b'), undefined],
      ['touch', () => tier.touch('a:1:b', 1_000), false],
      ['increment', () => tier.increment('a:1:b', 1, 0), undefined],
      ['compareAndSet', () => tier.compareAndSet(entry('2'), entry('1').bytes), false],
      ['delete', () => tier.delete('a:1:b'), false],
      ['add', () => tier.add(entry('2')), true],
    ]
    for (const [name, run, answer] of operations) {
      await tier.set(entry('1'))
      await lose()
      expect(await run(), name).toBe(answer)
    }
  })

  test('what somebody else wrote under our key is a miss, and is written over', async () => {
    const tier = redisTier({ client, partitions: 1 })
    for (const garbage of ['', 'x', '\x01', 'x'.repeat(100), `\x01${'x'.repeat(100)}`]) {
      await client.set('{tierwheel:0}:e:a:1:b', Buffer.from(garbage, 'latin1'))
      expect(await tier.get('a:1:b')).toBeUndefined()
      expect(await tier.increment('a:1:b', 1, 0)).toBeUndefined()
      expect(await tier.add(entry('1'))).toBe(true)
      expect((await tier.get('a:1:b'))?.bytes).toEqual(entry('1').bytes)
    }
  })

  test('a keyspace of another format is refused and stays as it is', async () => {
    const state = '2 16 1763825737000000 42 3 something\n'
    const old = redisTier({ client, partitions: 1 })
    const fresh = redisTier({ client, partitions: 1 })
    await old.get('a:1:b')
    await client.set('{tierwheel:0}:s', state)
    for (const tier of [old, fresh]) {
      const calls = [() => tier.get('a:1:b'), () => tier.set(entry('1')), () => tier.clear('')]
      for (const call of calls) await expect(call()).rejects.toThrow(/written in format 2/)
    }
    expect(await client.get('{tierwheel:0}:s')).toBe(state)
    expect(await client.dbsize()).toBe(1)
  })

  test('who reads, and has seen more than the server knows, has a new epoch begun', async () => {
    const tier = redisTier({ client, partitions: 1 })
    const origin = { id: '0123456789abcdef', serial: 1 }
    await tier.ledger?.commit({ op: 'set', ...entry('1') }, origin)
    const state = await client.get('{tierwheel:0}:s')
    const committed = await tier.ledger?.commit({ op: 'set', ...entry('2') }, origin)
    await client.set('{tierwheel:0}:s', state ?? '')
    const [reading] = (await tier.ledger?.read(['a:1:b'])) ?? []
    expect(reading?.entry).toBeUndefined()
    expect(reading?.asOf.epoch).toBeGreaterThan(committed?.stamp.epoch ?? Number.POSITIVE_INFINITY)
  })

  describe('a server that took over from one that was ahead, and was written to since,', () => {
    // Of one the step is 3 long, of the other 257: what was lost is passed by.
    const lost = { id: '0100000000000000', serial: 1 }
    const later = { id: 'ff00000000000000', serial: 1 }

    async function takenOver() {
      const [aware, unaware] = [redisTier({ client, partitions: 1 }), redisTier({ client, partitions: 1 })]
      const first = await unaware.ledger?.commit({ op: 'set', ...entry('1') }, lost)
      const [state, log] = ['{tierwheel:0}:s', '{tierwheel:0}:l']
      const kept = await Promise.all([state, log].map((key) => client.dumpBuffer(key)))
      const seen = (await aware.ledger?.commit({ op: 'set', ...entry('2') }, lost))?.stamp
      for (const [at, key] of [state, log].entries())
        await client.restore(key, 0, kept[at] ?? Buffer.of(), 'REPLACE')
      const passed = (await unaware.ledger?.commit({ op: 'delete', key: 'c:1:d' }, later))?.stamp
      if (seen === undefined || passed === undefined || first === undefined) throw new Error('no ledger')
      expect([first.stamp.sequence, seen.sequence, passed.sequence]).toEqual([3, 6, 260])
      return { aware, unaware, seen, passed }
    }

    test('begins a new epoch for who has seen what it lost', async () => {
      const { aware, passed } = await takenOver()
      const [stamp] = (await aware.ledger?.probe('token')) ?? []
      expect(stamp?.epoch).toBeGreaterThan(passed.epoch)
      const fresh = redisTier({ client, partitions: 1 })
      expect(await fresh.get('a:1:b'), 'what was stored before it is dead').toBeUndefined()
    })

    test('tells nobody that nothing came after what it lost, and keeps nothing from before', async () => {
      const { unaware, seen, passed } = await takenOver()
      expect(await unaware.ledger?.populate({ ...entry('3'), key: 'a:1:e' }, seen)).toBe('refused')
      expect(await unaware.ledger?.since(seen)).toBe('gap')
      const [stamp] = (await unaware.ledger?.probe('token')) ?? []
      expect(stamp?.epoch, 'by that question it learns that something is lost').toBeGreaterThan(passed.epoch)
    })

    test('goes on for who has seen what it kept', async () => {
      const { unaware, passed } = await takenOver()
      await redisTier({ client, partitions: 1 }).get('a:1:b')
      const known = { ...passed, sequence: 3 }
      expect(await unaware.ledger?.since(known)).toMatchObject([{ after: 3, stamp: passed }])
      expect(await unaware.ledger?.probe('token')).toMatchObject([passed, {}])
    })
  })

  test('an order that comes to its end goes on in a new epoch', async () => {
    const tier = redisTier({ client, partitions: 1 })
    const epoch = 1_763_825_737_000_000
    await client.set('{tierwheel:0}:s', `1 1 ${epoch} 9007199254000001 0\n`)
    const origin = { id: '0123456789abcdef', serial: 1 }
    const committed = await tier.ledger?.commit({ op: 'set', ...entry('1') }, origin)
    expect(committed?.stamp.epoch).toBeGreaterThan(epoch)
  })

  test('a clear takes the place of those it covers, and too many become one of everything', async () => {
    const store = new RedisStore('test', { client, partitions: 1 })
    for (const prefix of ['a:1', 'a:2', 'b:', 'a:']) await clear(store, prefix)
    expect((await stateOf())?.marks).toEqual([
      { generation: 3, prefix: 'b:' },
      { generation: 4, prefix: 'a:' },
    ])
    for (let at = 0; at < 62; at++) await clear(store, `c:${at}:`)
    expect((await stateOf())?.marks.length).toBe(64)
    await clear(store, 'one more')
    expect((await stateOf())?.marks).toEqual([{ generation: 67, prefix: '' }])
  })

  test('a sweep forgets the marks that it began with, below its prefix, and no others', async () => {
    const store = new RedisStore('test', { client, partitions: 1 })
    for (const prefix of ['a:', 'b:', 'a:1']) await clear(store, prefix)
    const epoch = `${(await stateOf())?.epoch}`
    await store.run(sweptScript, 0, [], [`${Number(epoch) - 1}`, '3', ''])
    await store.run(sweptScript, 0, [], [epoch, '2', 'a:'])
    expect((await stateOf())?.marks.map(({ prefix }) => prefix)).toEqual(['b:', 'a:1'])
    await store.run(sweptScript, 0, [], [epoch, '3', ''])
    expect((await stateOf())?.marks).toEqual([])
  })

  test('what was cleared too often to remember is swept all the same', async () => {
    const store = new RedisStore('test', { client, partitions: 1 })
    const tier = redisTier({ client, partitions: 1 })
    await tier.set(entry('1'))
    for (let at = 0; at < 65; at++) await clear(store, `c:${at}:`)
    expect(await tier.get('a:1:b')).toBeUndefined()
    await tier.clear('d:')
    await expect.poll(async () => (await stateOf())?.marks.length).toBe(0)
    expect(await client.keys('*:e:*')).toEqual([])
  })
})
