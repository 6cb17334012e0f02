// Mutations that depend on what is there, in every arrangement: Django's meaning, decided by whoever orders.

import { describe, expect, test } from 'vitest'
import { inProcessBus } from '../../../src/bus/in-process.ts'
import { createCache } from '../../../src/create-cache.ts'
import { flakyTier } from '../../../src/testing/chaos.ts'
import { ManualClock } from '../../../src/testing/manual-clock.ts'
import { Hub, memoryTier } from '../../../src/tiers/memory.ts'
import { type Arrangement, arrangements, inNamespaces, opened, pass, rest } from '../../support/caches.ts'

/** A bus without a tier keeps no entries that a mutation could depend on. */
const deciding = [...arrangements, ...inNamespaces].filter(
  ({ name }) => !name.endsWith('L1 with a bus and no tier'),
)
/** Where a second cache sees what the first one did. */
const isShared = ({ name }: Arrangement) => name.includes('ledger')
const staleWindows = { ttl: '1s', staleIfError: '1h' } as const

describe.each(deciding)('conditional mutations: $name', (arrangement) => {
  test('add stores when nothing is there, and says so', async () => {
    const { cache, other } = await opened(arrangement)
    expect(await cache.add('a', 1)).toBe(true)
    expect(await cache.add('a', 2)).toBe(false)
    expect(await cache.get('a')).toBe(1)
    if (isShared(arrangement)) expect(await other.add('a', 3)).toBe(false)
    await cache.set('null', null)
    expect(await cache.add('null', 1)).toBe(false)
    await cache.delete('a')
    expect(await cache.add('a', 4)).toBe(true)
    expect(await cache.get('a')).toBe(4)
    expect(await cache.add('a', 5, { version: 2 })).toBe(true)
  })

  test('add with a ttl of 0 stores nothing, and says whether it would have', async () => {
    const { cache } = await opened(arrangement)
    expect(await cache.add('a', 1, { ttl: 0 })).toBe(true)
    expect(await cache.get('a')).toBeUndefined()
    await cache.set('a', 1)
    expect(await cache.add('a', 2, { ttl: 0 })).toBe(false)
    expect(await cache.get('a')).toBe(1)
  })

  test('an entry whose ttl is over is absent to all of them, stale windows or not', async () => {
    for (const windows of [{ ttl: '1s' } as const, staleWindows]) {
      const { cache, clock } = await opened(arrangement, windows)
      for (const key of ['add', 'touch', 'incr', 'pull', 'move', 'expire']) await cache.set(key, 7)
      await pass(clock, 1_000)
      expect(await cache.touch('touch')).toBe(false)
      await expect(cache.incr('incr')).rejects.toMatchObject({ code: 'CACHE_NOT_FOUND', key: 'incr' })
      expect(await cache.pull('pull')).toBeUndefined()
      await expect(cache.incrVersion('move')).rejects.toMatchObject({ code: 'CACHE_NOT_FOUND' })
      expect(await cache.expire('expire')).toBe(false)
      expect(await cache.ttl('touch')).toBeUndefined()
      expect(await cache.add('add', 8)).toBe(true)
      expect(await cache.get('add')).toBe(8)
    }
  })

  test('touch gives a new life, from now on', async () => {
    const { cache, clock } = await opened(arrangement)
    await cache.set('a', 1, { ttl: '2s' })
    await pass(clock, 1_000)
    expect(await cache.touch('a', { ttl: '5s' })).toBe(true)
    await pass(clock, 4_999)
    expect(await cache.get('a')).toBe(1)
    await pass(clock, 1)
    expect(await cache.get('a')).toBeUndefined()
    expect(await cache.touch('a')).toBe(false)
    await cache.set('b', 1, { ttl: '1s' })
    expect(await cache.touch('b', { ttl: null })).toBe(true)
    expect(await cache.ttl('b')).toBeNull()
    expect(await cache.touch('b')).toBe(true)
    expect(await cache.ttl('b')).toBe(60_000)
    expect(await cache.touch('b', { ttl: 0 })).toBe(true)
    expect(await cache.get('b')).toBeUndefined()
  })

  test('touch with other stale windows gives those', async () => {
    const { cache, clock } = await opened(arrangement)
    await cache.set('a', 'old', { ttl: '1s' })
    expect(await cache.touch('a', { ttl: '1s', staleIfError: '10s' })).toBe(true)
    expect(await cache.ttl('a')).toBe(1_000)
    await pass(clock, 1_000)
    expect(await cache.get('a')).toBeUndefined()
    const fail = () => Promise.reject(new Error('down'))
    expect(await cache.getOrSet('a', fail, { staleIfError: '10s' })).toBe('old')
  })

  test('incr and decr add in one step, keep the times and create nothing', async () => {
    const { cache, other, clock } = await opened(arrangement, staleWindows)
    await expect(cache.incr('a')).rejects.toMatchObject({ code: 'CACHE_NOT_FOUND' })
    await cache.set('a', 40, { ttl: '2s' })
    await pass(clock, 500)
    expect(await cache.incr('a')).toBe(41)
    expect(await cache.incr('a', 10)).toBe(51)
    expect(await cache.decr('a', 60)).toBe(-9)
    expect(await cache.decr('a', -9)).toBe(0)
    expect(await cache.get('a')).toBe(0)
    if (isShared(arrangement)) expect(await other.incr('a', 5)).toBe(5)
    expect(await cache.ttl('a')).toBe(1_500)
    await pass(clock, 1_500)
    expect(await cache.get('a')).toBeUndefined()
  })

  test('incr refuses what is no safe integer, and leaves it', async () => {
    const { cache } = await opened(arrangement)
    for (const value of ['5', 0.5, null, true, [1], { n: 1 }, 2 ** 53, Number.NaN]) {
      await cache.set('a', value)
      await expect(cache.incr('a'), String(value)).rejects.toThrow(TypeError)
      expect(await cache.get('a')).toEqual(value)
    }
    await cache.set('a', Number.MAX_SAFE_INTEGER)
    await expect(cache.incr('a')).rejects.toThrow(RangeError)
    expect(await cache.get('a')).toBe(Number.MAX_SAFE_INTEGER)
    await expect(cache.incr('a', 0.5)).rejects.toThrow(/^delta: 0.5/)
    await expect(cache.decr('a', '1' as never)).rejects.toThrow(/^delta: "1"/)
  })

  test('of many who add or count at once each is counted', async () => {
    const { cache, other } = await opened(arrangement)
    const both = isShared(arrangement) ? [cache, other] : [cache, cache]
    const added = await Promise.all(Array.from({ length: 20 }, (_, at) => both[at % 2]?.add('once', at)))
    expect(added.filter(Boolean)).toHaveLength(1)
    await cache.set('n', 0)
    const sums = await Promise.all(Array.from({ length: 50 }, (_, at) => both[at % 2]?.incr('n')))
    expect(sums.map(Number).sort((left, right) => left - right)).toEqual(
      Array.from({ length: 50 }, (_, at) => at + 1),
    )
    expect(await cache.get('n')).toBe(50)
    const pulled = await Promise.all(Array.from({ length: 10 }, (_, at) => both[at % 2]?.pull('n')))
    expect(pulled.filter((value) => value !== undefined)).toEqual([50])
  })

  test('incrVersion moves the entry with its times, and decrVersion moves it back', async () => {
    const { cache, other, clock } = await opened(arrangement)
    await cache.set('a', 'value', { ttl: '10s' })
    await pass(clock, 1_000)
    expect(await cache.incrVersion('a')).toBe(2)
    expect(await cache.get('a')).toBeUndefined()
    expect(await cache.get('a', { version: 2 })).toBe('value')
    expect(await cache.ttl('a', { version: 2 })).toBe(9_000)
    if (isShared(arrangement)) expect(await other.get('a', { version: 2 })).toBe('value')
    await cache.set('a', 'in the way')
    expect(await cache.decrVersion('a', 1, { version: 2 })).toBe(1)
    expect(await cache.get('a')).toBe('value')
    expect(await cache.incrVersion('a', 4)).toBe(5)
    await expect(cache.incrVersion('missing')).rejects.toMatchObject({ code: 'CACHE_NOT_FOUND' })
    await cache.set('null', null)
    expect(await cache.incrVersion('null')).toBe(2)
    expect(await cache.get('null', { version: 2 })).toBeNull()
    await expect(cache.decrVersion('a', 9)).rejects.toThrow(/^version: -8/)
    await expect(cache.incrVersion('a', 0)).rejects.toThrow(/^delta: 0/)
    await expect(cache.incrVersion('a', 1, { version: 'v1' })).rejects.toThrow(
      /^version: "v1" is not a whole/,
    )
  })

  test('pull hands the value over once', async () => {
    const { cache, other } = await opened(arrangement)
    await cache.set('a', { n: 1 })
    expect(await (isShared(arrangement) ? other : cache).pull('a')).toEqual({ n: 1 })
    await rest()
    expect(await cache.pull('a')).toBeUndefined()
    expect(await cache.get('a')).toBeUndefined()
  })

  test('rule 3.1.10: expire leaves the value to getOrSet for as long as its stale windows, everywhere', async () => {
    const { cache, other, clock } = await opened(arrangement, { ttl: '1h', staleIfError: '10s' })
    await cache.set('a', 'old')
    if (isShared(arrangement)) expect(await other.get('a')).toBe('old')
    expect(await cache.expire('a')).toBe(true)
    await rest()
    const fail = () => Promise.reject(new Error('down'))
    for (const each of cache.health().bus === undefined ? [cache] : [cache, other]) {
      expect(await each.get('a')).toBeUndefined()
      expect(await each.getOrSet('a', fail)).toBe('old')
    }
    expect(await cache.expire('a')).toBe(false)
    await pass(clock, 10_000)
    await expect(cache.getOrSet('a', fail)).rejects.toThrow('down')
    await cache.set('b', 1, { staleIfError: 0 })
    expect(await cache.expire('b')).toBe(true)
    await expect(cache.getOrSet('b', fail)).rejects.toThrow('down')
  })

  test('a load that one of them overtakes is kept nowhere, and reads wait for it', async () => {
    const { cache } = await opened(arrangement)
    await cache.set('a', 1)
    const adding = cache.incr('a')
    expect(cache.l1.get('a')).not.toBe(1)
    expect(await cache.get('a')).toBe(2)
    expect(await adding).toBe(2)
    let finish = (_: number): void => {}
    const loading = cache.getOrSet(
      'b',
      () =>
        new Promise<number>((resolve) => {
          finish = resolve
        }),
    )
    await rest()
    expect(await cache.add('b', 5)).toBe(true)
    finish(4)
    expect(await loading).toBe(4)
    expect(await cache.get('b')).toBe(5)
  })

  test('tell what they did, and nothing when they did nothing', async () => {
    const { cache } = await opened(arrangement)
    const heard: string[] = []
    cache.on('mutation.committed', ({ op, key }) => heard.push(`${op} ${key}`))
    await cache.add('a', 1)
    await cache.add('a', 1)
    await cache.touch('a')
    await cache.touch('b')
    await cache.incr('a')
    await cache.incrVersion('a')
    await cache.expire('a', { version: 2 })
    await cache.pull('a')
    await cache.set('a', 1)
    await cache.pull('a')
    expect(heard).toEqual(['add a', 'touch a', 'increment a', 'move a', 'expire a', 'set a', 'delete a'])
  })

  test('refuse everything once the cache is closed', async () => {
    const { cache } = await opened(arrangement)
    await cache.close()
    const calls = [
      cache.add('a', 1),
      cache.touch('a'),
      cache.incr('a'),
      cache.incrVersion('a'),
      cache.pull('a'),
      cache.expire('a'),
      cache.ttl('a'),
    ]
    for (const call of calls) await expect(call).rejects.toMatchObject({ code: 'CACHE_CLOSED' })
  })
})

test('where a bus alone orders they are refused, and the bus goes on', async () => {
  const [arrangement] = arrangements.filter((each) => !deciding.includes(each))
  if (arrangement === undefined) throw new Error('the arrangement has another name')
  const { cache } = await opened(arrangement)
  await cache.set('a', 1)
  for (let call = 0; call < 10; call++) {
    await expect(cache.incr('a')).rejects.toMatchObject({ code: 'CACHE_NOT_SUPPORTED' })
  }
  expect(await cache.set('a', 2)).toBe(true)
  expect(await cache.get('a')).toBe(2)
  expect(await cache.ttl('a')).toBe(60_000)
})

test('a codec that hides its values counts by compare-and-set, and shows no digits', async () => {
  const clock = new ManualClock()
  const tier = memoryTier({ clock })
  const encoder = new TextEncoder()
  const codec = {
    id: 99,
    name: 'secret',
    isSecret: true,
    encode: (value: unknown) => encoder.encode(JSON.stringify(value)).map((byte) => byte ^ 0x55),
    decode: (bytes: Uint8Array) => JSON.parse(new TextDecoder().decode(bytes.map((byte) => byte ^ 0x55))),
  }
  const cache = createCache<number>({ clock, ttl: '1m', tiers: [tier], codec, l1: false })
  await cache.set('n', 41)
  expect(await cache.incr('n')).toBe(42)
  expect(await cache.get('n')).toBe(42)
  const entry = await tier.get(':1:n')
  expect(new TextDecoder('latin1').decode(entry?.bytes)).not.toContain('42')
})

test('what it takes to decide on an add is no part of the value’s life', async () => {
  const clock = new ManualClock()
  const hub = new Hub({ clock })
  const tier = flakyTier(memoryTier({ hub }), { clock })
  const cache = createCache({ clock, ttl: '1s', tiers: [tier], bus: inProcessBus({ hub }) })
  await rest()
  tier.plan = ({ method }) => (method === 'ledger.commit' ? { answerDelayMs: 400 } : 'work')
  const adding = cache.add('a', 1)
  await pass(clock, 400)
  expect(await adding).toBe(true)
  expect(cache.l1.get('a')).toBe(1)
  await pass(clock, 600)
  expect(cache.l1.get('a')).toBeUndefined()
})
