import { describe, expect, test } from 'vitest'
import { inProcessBus } from '../../src/bus/in-process.ts'
import { type CacheOptions, createCache } from '../../src/create-cache.ts'
import { flakyTier } from '../../src/testing/chaos.ts'
import { ManualClock } from '../../src/testing/manual-clock.ts'
import { Hub, memoryTier } from '../../src/tiers/memory.ts'
import { rest } from '../support/caches.ts'

describe('createCache refuses', () => {
  test.each<[unknown, RegExp]>([
    [null, /createCache: null is not an object/],
    ['5m', /createCache: "5m"/],
    [{ tll: 1 }, /no option "tll"; did you mean ttl\?/],
    [{ store: [] }, /no option "store"; it knows/],
    [{ ttl: -1 }, /^ttl: -1/],
    [{ ttl: Number.NaN }, /^ttl: NaN/],
    [{ ttl: Number.POSITIVE_INFINITY }, /^ttl: Infinity/],
    [{ ttl: '5 minutes' }, /^ttl: "5 minutes" is not a duration/],
    [{ ttl: new Date() }, /^ttl: an object/],
    [{ staleWhileRevalidate: -1 }, /^staleWhileRevalidate: -1/],
    [{ staleIfError: null }, /^staleIfError: null/],
    [{ loadTimeout: 'x' }, /^loadTimeout: "x"/],
    [{ tierTimeout: 0 }, /^tierTimeout: 0/],
    [{ loadTimeout: 0 }, /^loadTimeout: 0/],
    [{ lease: 499 }, /^lease: 499 ms is less than 500/],
    [{ l1: { maxEntries: 0 } }, /^l1.maxEntries: 0 must be a whole number from 1/],
    [{ l1: { maxEntries: 1e9 } }, /^l1.maxEntries: 1000000000/],
    [{ l1: { policy: 'fifo' } }, /^l1.policy: "fifo" is not a policy; there are 'gdsf', 'lazy-tinylfu'/],
    [{ l1: { maxEntries: '10' } }, /^l1.maxEntries: "10" is not a number/],
    [{ l1: { max: 1 } }, /l1: there is no option "max"/],
    [{ l1: true }, /l1: true is not an object/],
    [{ prefix: 7 }, /^prefix: 7/],
    [{ version: -1 }, /^version: -1/],
    [{ version: 'a b' }, /^version: "a b"/],
    [{ tiers: memoryTier() }, /^tiers: an object is not an array/],
    [{ tiers: [{}] }, /^tiers: an object is not a tier/],
    [{ tiers: [undefined] }, /^tiers: undefined is not a tier/],
    [{ bus: {} }, /^bus: an object is not a bus/],
    [{ codec: JSON }, /^codec: an object has no encode/],
    [{ codec: { id: 0, name: 'x', encode() {}, decode() {} } }, /^codec.id: 0/],
    [{ clock: {} }, /^clock: an object/],
    [{ random: Math }, /^random: an object/],
  ])('%j at once', (options, message) => {
    expect(() => createCache(options as CacheOptions)).toThrow(message)
  })

  test('the same tier twice', () => {
    const tier = memoryTier()
    expect(() => createCache({ tiers: [tier, tier] })).toThrow('tiers: the same tier is listed twice')
  })
})

test('a bus that another cache has is refused', () => {
  const bus = inProcessBus({ hub: new Hub() })
  createCache({ bus })
  expect(() => createCache({ bus })).toThrow(/^bus: another cache has this bus already/)
})

describe('a cache refuses, by rejecting,', () => {
  const hub = new Hub()
  const caches = [
    createCache({ ttl: '1m' }),
    createCache({ ttl: '1m', tiers: [memoryTier({ hub })], bus: inProcessBus({ hub }) }),
    createCache({ ttl: '1m', l1: false, tiers: [memoryTier()] }),
  ]

  test.each([
    undefined,
    null,
    true,
    1.5,
    Number.NaN,
    2 ** 53,
    10n,
    Symbol('s'),
    {},
    ['a'],
    'x'.repeat(1_000_000),
    '漢'.repeat(600),
  ])('the key %s', async (key) => {
    for (const cache of caches) {
      const bad = key as string
      const calls = [
        cache.get(bad),
        cache.has(bad),
        cache.set(bad, 1),
        cache.delete(bad),
        cache.getMany([bad]),
        cache.setMany([[bad, 1]]),
        cache.getOrSet(bad, () => 1),
      ]
      for (const outcome of await Promise.allSettled(calls)) {
        expect(outcome.status).toBe('rejected')
        const { reason } = outcome as PromiseRejectedResult
        expect(reason instanceof TypeError || reason instanceof RangeError, String(reason)).toBe(true)
        expect(reason.message).toMatch(/^key: /)
      }
    }
  })

  test('undefined as a value, a loader that is none, wrong options, and no ttl at all', async () => {
    for (const cache of caches) {
      await expect(cache.set('a', undefined)).rejects.toThrow(/^value: undefined/)
      await expect(
        cache.setMany([
          ['b', 1],
          ['a', undefined],
        ]),
      ).rejects.toThrow(/^value: undefined/)
      expect(await cache.get('b'), 'setMany stored nothing').toBeUndefined()
      await expect(cache.getOrSet('a', 'value' as never)).rejects.toThrow(/^load: "value" is not a function/)
      await expect(cache.set('a', 1, { ttl: -1 })).rejects.toThrow(RangeError)
      await expect(cache.set('a', 1, { timeout: 1 } as never)).rejects.toThrow(/no option "timeout"/)
      await expect(cache.get('a', { version: {} as never })).rejects.toThrow(/^version: an object/)
      await expect(cache.get('a', 5 as never)).rejects.toThrow(/^options: 5/)
      expect(() => cache.on('entry.hit', 5 as never)).toThrow(/^listener: 5/)
    }
    await expect(createCache().set('a', 1)).rejects.toThrow(/^ttl: neither the cache nor this call names one/)
    await expect(createCache().getOrSet('a', () => 1)).rejects.toThrow(/^ttl: /)
    expect(await createCache().get('a')).toBeUndefined()
  })
})

describe('values without bytes', () => {
  const cyclic: Record<string, unknown> = {}
  cyclic.self = cyclic
  const throwing = {
    get x() {
      throw new Error('getter')
    },
  }

  test.each([
    ['a cycle', cyclic],
    ['a function', () => 1],
    ['a symbol', Symbol('s')],
    ['a getter that throws', throwing],
    ['a function inside', { f: () => 1 }],
  ])('%s: set rejects and keeps what was there; getOrSet returns it and keeps nothing', async (_, value) => {
    const cache = createCache({ ttl: '1m', tiers: [memoryTier()] })
    const unencodable: unknown[] = []
    cache.on('entry.unencodable', ({ key }) => unencodable.push(key))
    await cache.set('a', 'old')
    await expect(cache.set('a', value)).rejects.toMatchObject({ code: 'CACHE_ENCODE_FAILED', key: 'a' })
    expect(await cache.get('a')).toBe('old')
    expect(
      await cache.setMany([
        ['a', value],
        ['b', 2],
      ]),
    ).toEqual({ failed: ['a'] })
    expect(await cache.get('b')).toBe(2)
    expect(await cache.getOrSet('c', () => value)).toBe(value)
    expect(unencodable).toEqual(['c'])
    expect(await cache.get('c')).toBeUndefined()
  })

  test('L1 alone holds them, as it holds references', async () => {
    const cache = createCache({ ttl: '1m' })
    await cache.set('a', cyclic)
    expect(await cache.get('a')).toBe(cyclic)
  })
})

describe('when a tier fails', () => {
  function withFlaky(position: 'only' | 'far') {
    const clock = new ManualClock()
    const flaky = flakyTier(memoryTier({ clock }), { clock })
    const steady = memoryTier({ clock })
    const tiers = position === 'only' ? [flaky] : [steady, flaky]
    const cache = createCache({ clock, ttl: '1m', l1: { maxEntries: 1 }, tiers })
    const failed: string[] = []
    cache.on('tier.failed', ({ operation }) => failed.push(operation))
    return { cache, clock, flaky, failed }
  }

  test('a read is a miss and an event, and the loader answers', async () => {
    const { cache, flaky, failed } = withFlaky('only')
    flaky.plan = () => 'fail'
    expect(await cache.get('a')).toBeUndefined()
    expect(await cache.getMany(['a', 'b'])).toEqual(new Map())
    expect(await cache.getOrSet('a', () => 'loaded')).toBe('loaded')
    expect(failed).toEqual(['get', 'getMany', 'get', 'set'])
  })

  test('rule 3.2.5: a mutation rejects, and the value is gone here all the same', async () => {
    const { cache, flaky } = withFlaky('far')
    await cache.set('a', 'old')
    flaky.plan = () => 'fail'
    await expect(cache.set('a', 'new')).rejects.toMatchObject({ code: 'CACHE_TIER_FAILED', tier: 'memory' })
    expect(cache.l1.get('a')).toBeUndefined()
    expect(await cache.get('a')).toBeUndefined()
    await expect(cache.delete('a')).rejects.toMatchObject({ code: 'CACHE_TIER_FAILED' })
    await expect(cache.clear()).rejects.toMatchObject({ code: 'CACHE_TIER_FAILED' })
    expect(
      await cache.setMany([
        ['a', 1],
        ['b', 2],
      ]),
    ).toEqual({ failed: ['a', 'b'] })
  })

  test('rule 3.1.15: that hangs, nothing waits longer than its deadline, and then it is left alone for a while', async () => {
    const { cache, clock, flaky } = withFlaky('only')
    flaky.plan = () => 'hang'
    for (let call = 0; call < 5; call++) {
      const answer = cache.get(`key ${call}`)
      await clock.run(500)
      expect(await answer).toBeUndefined()
    }
    expect(cache.health().tiers).toMatchObject([{ breaker: 'open', failures: 5 }])
    expect(await cache.get('at once')).toBeUndefined()
    flaky.plan = () => 'work'
    await clock.run(1_000)
    await cache.set('a', 1)
    expect(cache.health().tiers).toMatchObject([{ breaker: 'closed' }])
  })

  test.each(['set', 'delete', 'clear'] as const)(
    'after a %s that was not taken, what was before is not believed here',
    async (op) => {
      for (const hasBus of [true, false]) {
        const clock = new ManualClock()
        const hub = new Hub({ clock })
        const tier = flakyTier(memoryTier({ hub }), { clock })
        const bus = hasBus ? { bus: inProcessBus({ hub }) } : {}
        const cache = createCache({ clock, ttl: '1h', tiers: [tier], ...bus })
        await rest()
        await cache.set('a', 'old')
        await cache.set('b', 'old')
        tier.plan = ({ method }) => (method === 'ledger.commit' ? 'fail' : 'work')
        const call =
          op === 'set' ? cache.set('a', 'new') : op === 'delete' ? cache.delete('a') : cache.clear()
        await expect(call).rejects.toMatchObject({ code: 'CACHE_TIER_FAILED' })
        tier.plan = () => 'work'
        expect(await cache.get('a')).toBeUndefined()
        expect(await cache.getMany(['a'])).toEqual(new Map())
        expect(await cache.get('b')).toBe(op === 'clear' ? undefined : 'old')
        expect(await cache.getOrSet('a', () => 'loaded')).toBe('loaded')
        expect(await createCache({ clock, tiers: [memoryTier({ hub })] }).get('a')).toBe('loaded')
        expect(await cache.get('a')).toBe('loaded')
      }
    },
  )

  test('a commit that takes effect after it was given up is heard of', async () => {
    const clock = new ManualClock()
    const hub = new Hub({ clock })
    const late = flakyTier(memoryTier({ hub }), { clock })
    const cache = createCache({ clock, ttl: '1h', tiers: [late], bus: inProcessBus({ hub }) })
    await rest()
    await cache.set('a', 'old')
    late.plan = ({ method }) => (method === 'ledger.commit' ? { delayMs: 600 } : 'work')
    const setting = expect(cache.set('a', 'new')).rejects.toMatchObject({ code: 'CACHE_TIER_FAILED' })
    await clock.run(500)
    await setting
    late.plan = () => 'work'
    expect(await cache.get('a'), 'neither the old value nor the new one is certain').toBeUndefined()
    await clock.run(100)
    expect(await cache.get('a')).toBe('new')
  })

  test.each([true, false])(
    'a nearer tier that could not be cleared answers nothing from before (bus: %s)',
    async (hasBus) => {
      const clock = new ManualClock()
      const hub = new Hub({ clock })
      const near = flakyTier(memoryTier({ clock }), { clock })
      const bus = hasBus ? { bus: inProcessBus({ hub }) } : {}
      const cache = createCache({ clock, ttl: '1h', l1: false, tiers: [near, memoryTier({ hub })], ...bus })
      await rest()
      await cache.set('a', 'old')
      near.plan = ({ method }) => (method === 'clear' ? 'fail' : 'work')
      await cache.clear()
      expect(await cache.get('a')).toBeUndefined()
      near.plan = () => 'work'
      expect(await cache.get('a')).toBeUndefined()
      await cache.set('a', 'new')
      expect(await cache.get('a')).toBe('new')
    },
  )

  test('a refresh that fails behind a stale answer is one failure and no second answer', async () => {
    const clock = new ManualClock()
    const cache = createCache({ clock, tiers: [memoryTier({ clock })], l1: false })
    const options = { ttl: '1s', staleWhileRevalidate: '1m', staleIfError: '1m' } as const
    await cache.getOrSet('a', () => 'good', options)
    await clock.run(2_000)
    const failed: boolean[] = []
    cache.on('load.failed', ({ servedStale }) => failed.push(servedStale))
    expect(await cache.getOrSet('a', () => Promise.reject(new Error('down')), options)).toBe('good')
    await rest()
    expect(failed).toEqual([false])
    expect(cache.stats().staleServed).toBe(1)
  })

  test('closing waits no longer for a tier than its deadline', async () => {
    const { cache, clock, flaky } = withFlaky('only')
    flaky.plan = () => 'hang'
    const closing = expect(cache.close()).rejects.toMatchObject({ code: 'CACHE_TIER_FAILED' })
    await clock.run(500)
    await closing
  })

  test('prune asks every tier, and a failure is an event', async () => {
    const clock = new ManualClock()
    const near = flakyTier(memoryTier({ clock }), {
      clock,
      plan: ({ method }) => (method === 'prune' ? 'fail' : 'work'),
    })
    const cache = createCache({ clock, ttl: '1s', tiers: [near, memoryTier({ clock })] })
    const failed: string[] = []
    cache.on('tier.failed', ({ operation }) => failed.push(operation))
    await cache.set('a', 1)
    await clock.run(1_000)
    expect(await cache.prune()).toBe(1)
    expect(failed).toEqual(['prune'])
  })

  test('rule 3.1.2: bytes that are no entry are a miss and an event', async () => {
    const tier = memoryTier()
    const cache = createCache({ ttl: '1m', tiers: [tier] })
    const undecodable: unknown[] = []
    cache.on('entry.undecodable', ({ key, tier, error }) => undecodable.push([key, tier, error.code]))
    await tier.set({ key: ':1:a', bytes: new TextEncoder().encode('{"a":1}'), remainingMs: 1_000 })
    expect(await cache.get('a')).toBeUndefined()
    expect(undecodable).toEqual([['a', 'memory', 'CACHE_DECODE_FAILED']])
  })
})

test('a hit reads no clock while nothing has a deadline, and one where something has', async () => {
  let readings = 0
  class CountingClock extends ManualClock {
    override now(): number {
      readings++
      return super.now()
    }
  }
  const cache = createCache({ clock: new CountingClock(), ttl: null })
  await cache.set('a', 1)
  readings = 0
  expect(await cache.get('a')).toBe(1)
  expect(readings).toBe(0)
  await cache.set('b', 1, { ttl: '1s' })
  readings = 0
  expect(await cache.get('a')).toBe(1)
  expect(readings).toBe(1)
})

describe('health', () => {
  test('says who orders and who listens', async () => {
    const hub = new Hub()
    const cache = createCache({ ttl: '1m', tiers: [memoryTier({ hub })], bus: inProcessBus({ hub }) })
    expect(cache.health()).toMatchObject({ copiesTrusted: false, bus: { connected: false } })
    await rest()
    expect(cache.health()).toEqual({
      closed: false,
      advice: [],
      copiesTrusted: true,
      authority: { name: 'memory', scope: 'process', kind: 'tier' },
      bus: { name: 'in-process', scope: 'process', connected: true, error: undefined },
      tiers: [{ name: 'memory', scope: 'process', breaker: 'closed', failures: 0 }],
    })
    hub.links[0]?.cut(new Error('cable'))
    await rest()
    expect(cache.health()).toMatchObject({ copiesTrusted: false, bus: { connected: false, error: 'cable' } })
    expect(createCache({ ttl: '1m' }).health()).toEqual({
      closed: false,
      advice: [],
      copiesTrusted: true,
      authority: undefined,
      bus: undefined,
      tiers: [],
    })
  })

  test('while the bus is down L1 answers nothing, and what it tells later is believed', async () => {
    const clock = new ManualClock()
    const hub = new Hub({ clock })
    const open = () =>
      createCache({ clock, ttl: '1h', tiers: [memoryTier({ hub })], bus: inProcessBus({ hub }) })
    const [one, two] = [open(), open()]
    await rest()
    await one.set('a', 'old')
    expect(await two.get('a')).toBe('old')
    hub.links[1]?.cut(new Error('cable'))
    await rest()
    await one.set('a', 'new')
    expect(two.l1.get('a')).toBeUndefined()
    expect(await two.get('a'), 'the authority is asked').toBe('new')
    hub.links[1]?.mend()
    await rest()
    expect(two.l1.get('a'), 'what changed meanwhile is gone, and comes from the authority').toBeUndefined()
    expect(await two.get('a')).toBe('new')
    expect(two.l1.get('a')).toBe('new')
  })
})
