// Tags, in every arrangement that a promise must hold in: an invalidation is one step, it is asked of every entry that
// carries the tag, wherever it is and however old, and nothing is paid without tags.

import { describe, expect, test } from 'vitest'
import type { Bus, BusListener } from '../../../src/bus/bus.ts'
import { inProcessBus } from '../../../src/bus/in-process.ts'
import { defaultLimits, Guard } from '../../../src/coordinator/guard.ts'
import type { LoaderContext } from '../../../src/coordinator/loading.ts'
import { Tags } from '../../../src/coordinator/tags.ts'
import { createCache } from '../../../src/create-cache.ts'
import { Events } from '../../../src/metrics/events.ts'
import { systemRandom } from '../../../src/random.ts'
import { flakyTier } from '../../../src/testing/chaos.ts'
import { ManualClock } from '../../../src/testing/manual-clock.ts'
import { Hub, memoryTier } from '../../../src/tiers/memory.ts'
import { arrangements, deferred, inNamespaces, opened, pass, rest } from '../../support/caches.ts'

const stale = { staleWhileRevalidate: '1h', staleIfError: '1h' } as const

describe.each([...arrangements, ...inNamespaces])('tags: $name', (arrangement) => {
  const isShared = arrangement.hasTier && !arrangement.name.includes('cannot order')
  const hasBus = arrangement.name.includes('bus') && !arrangement.name.includes('no bus')

  test('what carries a deleted tag is gone, everywhere; what does not stays', async () => {
    const { cache, other } = await opened(arrangement)
    await cache.set('a', 1, { tags: ['x', 'y'] })
    await cache.set('b', 2, { tags: ['y'] })
    await cache.set('c', 3)
    if (isShared) expect(await other.get('a')).toBe(1)
    await cache.deleteTags(['x'])
    await rest()
    expect([await cache.get('a'), await cache.get('b'), await cache.get('c')]).toEqual([undefined, 2, 3])
    expect(cache.l1.get('a')).toBeUndefined()
    if (isShared && hasBus) {
      expect([await other.get('a'), await other.get('b'), await other.get('c')]).toEqual([undefined, 2, 3])
    }
    await cache.set('a', 4, { tags: ['x'] })
    expect(await cache.get('a'), 'what came after is good').toBe(4)
    if (isShared && hasBus) expect(await other.get('a')).toBe(4)
  })

  test('rule 3.1.11: a stale entry is gone with its tag too: no failing loader brings it back', async () => {
    const { cache, clock } = await opened(arrangement)
    await cache.set('a', 1, { ttl: 1_000, tags: ['x'], ...stale })
    await pass(clock, 2_000)
    await cache.deleteTags(['x'])
    const load = () => Promise.reject(new Error('the source is away'))
    await expect(cache.getOrSet('a', load, { ttl: 1_000, ...stale })).rejects.toThrow('the source is away')
  })

  test('rule 3.1.28: what carries an expired tag is stale: not for get, but for who may have it so', async () => {
    const { cache } = await opened(arrangement)
    await cache.set('a', 1, { tags: ['x'], ...stale })
    await cache.expireTags(['x'])
    expect(await cache.get('a')).toBeUndefined()
    const load = () => Promise.reject(new Error('the source is away'))
    expect(await cache.getOrSet('a', load, { tags: ['x'], staleIfError: '1h' })).toBe(1)
    await cache.deleteTags(['x'])
    await expect(cache.getOrSet('a', load, { staleIfError: '1h', failureThrottle: 0 })).rejects.toThrow(
      'away',
    )
  })

  test('a load that was overtaken by an invalidation of its tag reaches who waited, and nobody else', async () => {
    const { cache, other } = await opened(arrangement)
    for (const by of hasBus ? [cache, other] : [cache]) {
      const loading = deferred<number>()
      const waiting = cache.getOrSet('a', () => loading.promise, { tags: ['x'] })
      await rest()
      const invalidated = by.deleteTags(['x'])
      const later = by === cache ? cache.getOrSet('a', () => 2, { tags: ['x'] }) : undefined
      await invalidated
      await rest()
      loading.resolve(1)
      expect(await waiting).toBe(1)
      if (later !== undefined) expect(await later, 'who asks later does not join').toBe(2)
      await rest()
      expect([2, undefined]).toContain(await cache.get('a'))
      await cache.delete('a')
    }
  })

  test('rule 3.1.18: a tag that is deleted while a refresh runs behind an answer takes along what that brings', async () => {
    const { cache, other, clock } = await opened(arrangement)
    const options = { ttl: '1s', staleWhileRevalidate: '1h', tags: ['x'] } as const
    for (const by of hasBus ? [cache, other] : [cache]) {
      await cache.getOrSet('a', () => 'old', options)
      await pass(clock, 1_000)
      const loading = deferred<string>()
      expect(await cache.getOrSet('a', () => loading.promise, options)).toBe('old')
      await rest()
      await by.deleteTags(['x'])
      await rest()
      loading.resolve('from before')
      await rest()
      expect(await cache.getOrSet('a', () => 'after', options)).toBe('after')
      await cache.delete('a')
    }
  })

  test('rule 3.1.27: a set is overtaken by an invalidation that is called after it', async () => {
    const { cache } = await opened(arrangement)
    const setting = cache.set('a', 1, { tags: ['x'] })
    const deleting = cache.deleteTags(['x'])
    expect(cache.l1.get('a')).toBeUndefined()
    await Promise.all([setting, deleting])
    expect(await cache.get('a')).toBeUndefined()
  })

  test('what is set before the bus works is there', async () => {
    const clock = new ManualClock()
    const cache = arrangement.open(clock, new Hub({ clock }))
    expect(await cache.set('a', 1, { tags: ['x'] })).toBe(true)
    await rest()
    if (arrangement.hasTier) expect(await cache.get('a')).toBe(1)
    await cache.deleteTags(['x'])
    expect(await cache.get('a')).toBeUndefined()
    await cache.close()
  })

  test('from the moment of the call nothing is answered that was there before', async () => {
    const { cache } = await opened(arrangement)
    await cache.set('a', 1, { tags: ['x'] })
    const deleting = cache.deleteTags(['x'])
    expect(cache.l1.get('a')).toBeUndefined()
    expect(await cache.get('a')).toBeUndefined()
    await deleting
  })

  test('rule 3.1.30: a loader can name the tags', async () => {
    const { cache } = await opened(arrangement)
    await cache.set('first', 0, { tags: ['x'] })
    await cache.deleteTags(['x'])
    const load = () =>
      cache.getOrSet<number>('a', ({ setTags }) => {
        setTags(['x'])
        return 1
      })
    await load()
    await load()
    await rest()
    expect(await cache.get('a')).toBe(1)
    await cache.deleteTags(['x'])
    expect(await cache.get('a')).toBeUndefined()
  })

  test('a loader that is the first to name any tag is called no more often than twice', async () => {
    const { cache } = await opened(arrangement)
    let loads = 0
    const load = ({ setTags }: LoaderContext) => {
      setTags(['x'])
      return ++loads
    }
    for (let turn = 0; turn < 4; turn++) {
      await cache.getOrSet('a', load)
      await rest()
    }
    expect(loads).toBeLessThanOrEqual(2)
    await cache.deleteTags(['x'])
    expect(await cache.get('a')).toBeUndefined()
  })

  test('a value that is not modified keeps its tags, whoever named them', async () => {
    const { cache, clock } = await opened(arrangement)
    const options = { ttl: 1_000, staleIfError: '1h' } as const
    for (const named of ['set', 'loader'] as const) {
      if (named === 'set') await cache.set('a', 1, { ...options, tags: ['x'] })
      else {
        await cache.getOrSet<number>(
          'a',
          ({ setTags }) => {
            setTags(['x'])
            return 1
          },
          { ...options, tags: ['z'] },
        )
      }
      await pass(clock, 2_000)
      if ((await cache.getEntry('a')) !== undefined) {
        const again = { ...options, tags: ['y'] }
        expect(await cache.getOrSet('a', ({ notModified }) => notModified(), again), named).toBe(1)
        expect((await cache.getEntry('a'))?.tags, named).toEqual(['y', 'x'])
      } else expect(arrangement.name).toContain('no tier')
      await cache.deleteTags(['x'])
      expect(await cache.getEntry('a'), named).toBeUndefined()
    }
  })

  test('many at once, with doubles and none', async () => {
    const { cache } = await opened(arrangement)
    const tags = Array.from({ length: 150 }, (_, at) => `tag ${at}`)
    for (const [at, tag] of tags.entries()) if (at % 10 === 0) await cache.set(at, at, { tags: [tag] })
    await cache.deleteTags([])
    expect(await cache.get(0)).toBe(0)
    await cache.deleteTags([...tags, ...tags])
    for (const at of tags.keys()) expect(await cache.get(at)).toBeUndefined()
  })
})

describe('tags in one process', () => {
  test('a hit of a tagged entry asks nobody, and an invalidation of another tag costs one judgement', async () => {
    const clock = new ManualClock()
    const hub = new Hub({ clock })
    const tier = flakyTier(memoryTier({ hub }), { clock })
    const cache = createCache({ clock, tiers: [tier], bus: inProcessBus({ hub }), ttl: '1m' })
    await rest()
    await cache.set('a', 1, { tags: ['x', 'y'] })
    await cache.get('a')
    const asked = tier.countOf('ledger.readTags')
    expect(asked).toBe(1)
    const calls = tier.countOf('ledger.read')
    for (let at = 0; at < 5; at++) {
      await cache.deleteTags([`other ${at}`])
      expect(cache.l1.get('a')).toBe(1)
    }
    expect([tier.countOf('ledger.readTags'), tier.countOf('ledger.read')]).toEqual([asked, calls])
  })

  test.each(['set', 'add'] as const)(
    'while the place of what is %s is asked for, only an invalidation of its own tags overtakes it',
    async (write) => {
      const clock = new ManualClock()
      const tier = flakyTier(memoryTier({ hub: new Hub({ clock }) }), { clock })
      const cache = createCache({ clock, ttl: '1m', tiers: [tier] })
      // An authority that forgets nothing knows a place from before all others.
      await cache.deleteTags(['z'])
      tier.plan = ({ method }) => (method === 'ledger.readTags' ? { delayMs: 50 } : 'work')
      const writing = [cache[write]('a', 1, { tags: ['x'] }), cache[write]('b', 2, { tags: ['w'] })]
      const deleting = [cache.deleteTags(['x']), cache.deleteTags(['y'])]
      await pass(clock, 200)
      await Promise.all([...writing, ...deleting])
      tier.plan = () => 'work'
      expect([await cache.get('a'), await cache.get('b')]).toEqual([undefined, 2])
    },
  )

  test('rule 3.2.9: a tag that many ask for is asked for once', async () => {
    const clock = new ManualClock()
    const hub = new Hub({ clock })
    const writer = createCache({ clock, tiers: [memoryTier({ hub })], bus: inProcessBus({ hub }), ttl: '1m' })
    const tier = flakyTier(memoryTier({ hub }), { clock })
    const reader = createCache({ clock, tiers: [tier], bus: inProcessBus({ hub }), ttl: '1m' })
    await rest()
    for (let at = 0; at < 10; at++) await writer.set(at, at, { tags: ['x'] })
    const values = await Promise.all(Array.from({ length: 10 }, (_, at) => reader.get(at)))
    expect(values).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    expect(tier.countOf('ledger.readTags')).toBe(1)
  })

  test('rule 3.1.29: without tags the authority is never asked about them', async () => {
    const clock = new ManualClock()
    const hub = new Hub({ clock })
    const tier = flakyTier(memoryTier({ hub }), { clock })
    for (const bus of [undefined, inProcessBus({ hub })]) {
      const cache = createCache({ clock, tiers: [tier], ...(bus && { bus }), ttl: '1m' })
      await rest()
      await cache.set('a', 1)
      await cache.getOrSet('b', () => 2)
      await cache.getMany(['a', 'b'])
    }
    expect(tier.countOf('ledger.readTags')).toBe(0)
  })

  test('an invalidation that was not taken rejects, is not undone, and is said again by the next read', async () => {
    const clock = new ManualClock()
    const hub = new Hub({ clock })
    const tier = flakyTier(memoryTier({ hub }), { clock })
    const cache = createCache({ clock, tiers: [tier], bus: inProcessBus({ hub }), ttl: '1m' })
    const other = createCache({ clock, tiers: [memoryTier({ hub })], bus: inProcessBus({ hub }), ttl: '1m' })
    await rest()
    await cache.set('a', 1, { tags: ['x'] })
    await cache.set('b', 2, { tags: ['y'] })
    tier.plan = ({ method }) => (method === 'ledger.commit' ? 'fail' : 'work')
    await expect(cache.deleteTags(['x'])).rejects.toMatchObject({ code: 'CACHE_TIER_FAILED' })
    await expect(cache.expireTags(['y'])).rejects.toMatchObject({ code: 'CACHE_TIER_FAILED' })
    expect([await cache.get('a'), cache.l1.get('a'), await cache.get('b')]).toEqual([
      undefined,
      undefined,
      undefined,
    ])
    expect(await cache.getOrSet('a', () => 3, { tags: ['x'] }), 'who waits gets it').toBe(3)
    expect(await other.get('a'), 'others were promised nothing').toBe(1)
    tier.plan = () => 'work'
    await cache.get('a')
    await rest()
    expect([await other.get('a'), await other.get('b')]).toEqual([undefined, undefined])
    await cache.set('a', 4, { tags: ['x'] })
    expect(await cache.get('a')).toBe(4)
  })

  test('an invalidation whose answer was lost counts', async () => {
    const clock = new ManualClock()
    const hub = new Hub({ clock })
    const tier = flakyTier(memoryTier({ hub }), { clock })
    const cache = createCache({ clock, tiers: [tier], bus: inProcessBus({ hub }), ttl: '1m' })
    await rest()
    await cache.set('a', 1, { tags: ['x'] })
    tier.plan = ({ method }) => (method === 'ledger.commit' ? 'fail-after' : 'work')
    await expect(cache.deleteTags(['x'])).rejects.toMatchObject({ code: 'CACHE_TIER_FAILED' })
    tier.plan = () => 'work'
    await rest()
    expect(await cache.get('a')).toBeUndefined()
    await cache.set('a', 2, { tags: ['x'] })
    expect(await cache.get('a')).toBe(2)
  })

  test('what was invalidated while nobody was heard is gone when the bus is back, and before that', async () => {
    const clock = new ManualClock()
    const hub = new Hub({ clock })
    const open = () =>
      createCache({ clock, tiers: [memoryTier({ hub })], bus: inProcessBus({ hub }), ttl: '1h' })
    const [cache, other] = [open(), open()]
    await rest()
    await cache.set('a', 1, { tags: ['x'] })
    await cache.set('b', 2, { tags: ['y'] })
    expect([await other.get('a'), await other.get('b')]).toEqual([1, 2])
    const [, link] = hub.links
    link?.hold()
    await cache.deleteTags(['x'])
    await pass(clock, 4_000)
    expect([await other.get('a'), await other.get('b')], 'the lease is over').toEqual([undefined, 2])
    link?.queue.splice(0)
    link?.release()
    await pass(clock, 2_000)
    expect([await other.get('a'), await other.get('b')], 'the message was lost').toEqual([undefined, 2])
  })

  test('entries of an earlier run of a cache that nobody orders for are not used when they carry tags', async () => {
    const clock = new ManualClock()
    const tier = memoryTier({ clock })
    const before = createCache({ clock, tiers: [tier], ttl: '1m' })
    await before.set('a', 1, { tags: ['x'] })
    await before.set('b', 2)
    const after = createCache({ clock, tiers: [tier], ttl: '1m' })
    expect([await after.get('a'), await after.get('b')]).toEqual([undefined, 2])
  })

  test('an authority that lost its memory makes tagged entries misses, and no others', async () => {
    const clock = new ManualClock()
    const hub = new Hub({ clock })
    const near = memoryTier({ clock, scope: 'machine' })
    const cache = createCache({ clock, tiers: [near], bus: inProcessBus({ hub, scope: 'fleet' }), ttl: '1h' })
    await rest()
    await cache.set('a', 1, { tags: ['x'] })
    expect(await cache.get('a')).toBe(1)
    hub.reset()
    await pass(clock, 2_000)
    expect(await cache.get('a')).toBeUndefined()
  })

  test('tags of another prefix are another matter', async () => {
    const clock = new ManualClock()
    const hub = new Hub({ clock })
    const open = (prefix: string) =>
      createCache({ clock, prefix, tiers: [memoryTier({ hub })], bus: inProcessBus({ hub }), ttl: '1h' })
    const [one, two] = [open('a'), open('b')]
    await rest()
    await one.set('k', 1, { tags: ['x'] })
    await two.set('k', 2, { tags: ['x'] })
    await one.deleteTags(['x'])
    await rest()
    expect([await one.get('k'), await two.get('k')]).toEqual([undefined, 2])
  })

  test('a clear of everything lifts what is in doubt about tags', async () => {
    const clock = new ManualClock()
    const hub = new Hub({ clock })
    const tier = flakyTier(memoryTier({ hub }), { clock })
    const cache = createCache({ clock, tiers: [tier], bus: inProcessBus({ hub }), ttl: '1m' })
    await rest()
    tier.plan = ({ method }) => (method === 'ledger.commit' ? 'fail' : 'work')
    await expect(cache.deleteTags(['x'])).rejects.toMatchObject({ code: 'CACHE_TIER_FAILED' })
    tier.plan = () => 'work'
    await cache.clear()
    await cache.set('a', 1, { tags: ['x'] })
    expect(await cache.get('a')).toBe(1)
  })

  test.each([
    ['x', /tags: "x" is one string/],
    [[''], /tags: "" has 0 bytes/],
    [['é'.repeat(129)], /has 258 bytes of UTF-8/],
    [['\ud800'], /is not well-formed/],
    [[7], /tags: 7 is not a string/],
  ])('deleteTags(%j) is refused', async (tags, message) => {
    const cache = createCache({ ttl: '1m' })
    await expect(cache.deleteTags(tags as string[])).rejects.toThrow(message)
    if (tags !== 'x') await expect(cache.set('a', 1, { tags: tags as string[] })).rejects.toThrow(message)
  })

  test('an entry carries 64 tags at most', async () => {
    const cache = createCache({ ttl: '1m' })
    const tags = Array.from({ length: 65 }, (_, at) => `tag ${at}`)
    await expect(cache.set('a', 1, { tags })).rejects.toThrow(/65 are too many/)
    expect(await cache.set('a', 1, { tags: tags.slice(1) })).toBe(true)
  })
})

test('a message that was made up, from far ahead, keeps no own invalidation from taking effect', async () => {
  const clock = new ManualClock()
  const hub = new Hub({ clock })
  const bus = inProcessBus({ hub })
  let listener: BusListener | undefined
  const heard: Bus = {
    name: bus.name,
    scope: bus.scope,
    channel: bus.channel,
    ledger: bus.ledger,
    subscribe: (given) => {
      listener = given
      return bus.subscribe(given)
    },
    close: () => bus.close(),
  }
  const cache = createCache({ clock, tiers: [memoryTier({ hub })], bus: heard, ttl: '1h' })
  await rest()
  const stamp = { partition: hub.partitions, epoch: Number.MAX_SAFE_INTEGER, sequence: 0 }
  listener?.onMessage({ op: 'delete-tags', keys: ['y'], stamp, after: 0, origin: 'someone', serial: 1 })
  await cache.set('a', 1, { tags: ['x'] })
  await cache.deleteTags(['x'])
  expect([cache.l1.get('a'), await cache.get('a')]).toEqual([undefined, undefined])
  await cache.close()
})

describe('what is known of tags', () => {
  const open = (hub: Hub, clock: ManualClock, mostTags: number) =>
    new Tags({
      ledger: hub,
      guard: undefined,
      hasBus: false,
      prefix: '',
      clock,
      random: systemRandom,
      mostTags,
    })

  test('is bounded, and forgetting makes entries unusable, never usable', () => {
    const clock = new ManualClock()
    const hub = new Hub({ clock })
    const tags = open(hub, clock, 2)
    const stamp = (sequence: number) => ({ partition: 16, epoch: 1, sequence })
    const old = { tags: ['a'], since: stamp(1) }
    tags.invalidated(['b'], 'delete', stamp(2))
    expect(tags.glance(old)).toBe('good')
    tags.invalidated(['c'], 'delete', stamp(3))
    tags.invalidated(['d'], 'delete', stamp(4))
    expect(tags.glance(old), 'of what is older than 2 nobody can tell').toBe('deleted')
    expect(tags.glance({ tags: ['a'], since: stamp(2) })).toBe('good')
  })

  test('too many that were not taken are not remembered one by one', () => {
    const clock = new ManualClock()
    const tags = open(new Hub({ clock }), clock, 2)
    expect(tags.doubt(['a', 'b'], 'delete', 1)).toBe(true)
    expect(tags.doubt(['c'], 'expire', 2)).toBe(false)
    expect(tags.doubted.size).toBe(0)
  })

  test('rule 3.1.28: a deletion is not softened by an expiry that comes in between', () => {
    const clock = new ManualClock()
    const tags = open(new Hub({ clock }), clock, 10)
    const entry = { tags: ['a'], since: { partition: 16, epoch: 1, sequence: 1 } }
    const deleting = tags.call(['a'], 'delete')
    const expiring = tags.call(['a'], 'expire')
    expect(tags.glance(entry)).toBe('deleted')
    expiring.end()
    deleting.end()
    tags.doubt(['a'], 'delete', 1)
    tags.doubt(['a'], 'expire', 2)
    tags.lift(['a'], 'expire', 3)
    expect(tags.glance(entry)).toBe('deleted')
    tags.lift(['a'], 'delete', 3)
    expect(tags.glance(entry)).toBe('good')
  })

  test('a place that was made up is good for nothing once the order goes on behind it', async () => {
    const clock = new ManualClock()
    const hub = new Hub({ clock })
    const guard = new Guard('hub', clock, new Events(), defaultLimits)
    const tags = new Tags({ ledger: hub, guard, hasBus: true, prefix: '', clock, random: systemRandom })
    const { asOf } = await hub.readTags([])
    tags.lost(asOf)
    tags.lease(clock.now() + 3_000)
    tags.lost({ ...asOf, sequence: asOf.sequence + 1_000_000 })
    const loaded = { tags: ['a'], since: (await tags.begin(['a'])) ?? asOf }
    tags.restart(asOf)
    expect(tags.glance(loaded)).toBe('unknown')
    expect(await tags.judge([loaded, { tags: ['a'], since: asOf }])).toEqual(['deleted', 'good'])
    expect(tags.begin(['a']), 'what begins now has a place in the order').toEqual(asOf)

    await hub.commit({ op: 'tags', tags: ['b'], how: 'delete' }, { id: 'other', serial: 1 })
    const { asOf: later } = await hub.readTags([])
    expect(await tags.judge([{ tags: ['a'], since: later }]), 'a message may be on its way').toEqual(['good'])
  })
})
