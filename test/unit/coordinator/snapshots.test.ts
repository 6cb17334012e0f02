import { describe, expect, test } from 'vitest'
import { inProcessBus } from '../../../src/bus/in-process.ts'
import type { Cache } from '../../../src/cache.ts'
import { type CacheOptions, createCache } from '../../../src/create-cache.ts'
import { ManualClock } from '../../../src/testing/manual-clock.ts'
import { Hub, memoryTier } from '../../../src/tiers/memory.ts'
import { pass, rest } from '../../support/caches.ts'

/** Processes of one fleet that end and begin. */
class Fleet {
  readonly clock = new ManualClock()
  // Two partitions that remember little: `a` and `c` are in one of them, `b` in the other.
  readonly hub = new Hub({ clock: this.clock, partitions: 2, logMessages: 8 })
  readonly options: CacheOptions

  constructor(options: CacheOptions = {}) {
    this.options = options
  }

  open(l1: CacheOptions['l1'] = {}, options: CacheOptions = {}): Cache {
    const { clock, hub } = this
    return createCache({
      clock,
      ttl: '1h',
      tiers: [memoryTier({ hub })],
      bus: inProcessBus({ hub }),
      ...this.options,
      ...options,
      l1,
    })
  }
}

async function saved(cache: Cache): Promise<Uint8Array[]> {
  const pieces: Uint8Array[] = []
  for await (const piece of cache.snapshot()) pieces.push(piece)
  return pieces
}

/** What L1 alone answers. */
function held(cache: Cache, keys: readonly string[]): unknown[] {
  return keys.map((key) => cache.l1.get(key))
}

/** A cache with three keys that has ended, and its snapshot. */
async function ended(fleet: Fleet, tags?: readonly string[]): Promise<Uint8Array[]> {
  const before = fleet.open()
  await rest()
  for (const key of ['a', 'b', 'c']) {
    await before.set(key, `old ${key}`, key === 'c' && tags !== undefined ? { tags } : {})
    await before.get(key)
  }
  const snapshot = await saved(before)
  await before.close()
  return snapshot
}

const keys = ['a', 'b', 'c']

describe('with a bus', () => {
  test('what nobody changed meanwhile comes back, without asking a tier', async () => {
    const fleet = new Fleet()
    const snapshot = await ended(fleet)
    const cache = fleet.open({ restore: snapshot })
    expect(await cache.restored).toEqual({ status: 'restored', error: undefined, entries: 3, leftOut: 0 })
    expect(held(cache, keys)).toEqual(['old a', 'old b', 'old c'])
  })

  test('what was changed or deleted meanwhile does not', async () => {
    const fleet = new Fleet()
    const snapshot = await ended(fleet)
    const other = fleet.open()
    await rest()
    await other.set('a', 'new a')
    await other.delete('b')
    const cache = fleet.open({ restore: snapshot })
    expect(await cache.restored).toMatchObject({ status: 'restored', entries: 1, leftOut: 2 })
    expect(held(cache, keys)).toEqual([undefined, undefined, 'old c'])
    expect(await cache.get('a')).toBe('new a')
    expect(await cache.get('b')).toBeUndefined()
  })

  test('another version of a key is another entry', async () => {
    const fleet = new Fleet()
    const before = fleet.open()
    await rest()
    await before.set('a', 'first')
    await before.set('a', 'second', { version: 2 })
    const snapshot = await saved(before)
    await before.set('a', 'changed', { version: 2 })
    const cache = fleet.open({ restore: snapshot })
    await cache.restored
    expect(cache.l1.get('a')).toBe('first')
    expect(cache.l1.get('a', { version: 2 })).toBeUndefined()
  })

  test('what is changed while it comes in is not taken in', async () => {
    const fleet = new Fleet()
    const snapshot = await ended(fleet)
    const other = fleet.open()
    await rest()
    let release = (): void => {}
    const isReleased = new Promise<void>((resolve) => {
      release = resolve
    })
    const cache = fleet.open({
      restore: (async function* () {
        yield* snapshot
        await isReleased
      })(),
    })
    await rest()
    await other.set('a', 'new a')
    await cache.delete('b')
    release()
    expect(await cache.restored).toMatchObject({ status: 'restored', entries: 1, leftOut: 2 })
    expect(held(cache, keys)).toEqual([undefined, undefined, 'old c'])
  })

  test('nothing of a partition that was cleared meanwhile', async () => {
    const fleet = new Fleet()
    const snapshot = await ended(fleet)
    const other = fleet.open()
    await rest()
    await other.clear()
    const cache = fleet.open({ restore: snapshot })
    expect(await cache.restored).toMatchObject({ status: 'restored', entries: 0, leftOut: 3 })
  })

  test.each(['meanwhile', 'while it comes in'])(
    'nothing of a namespace that was cleared %s',
    async (when) => {
      const fleet = new Fleet()
      const before = fleet.open()
      await rest()
      await before.namespace('users').set('a', 'old a')
      await before.namespace('usersAbc').set('a', 'kept a')
      const snapshot = await saved(before)
      await before.close()
      const other = fleet.open()
      await rest()
      if (when === 'meanwhile') await other.namespace('users').clear()
      const cache = fleet.open({ restore: snapshot })
      if (when !== 'meanwhile') await cache.namespace('users').clear()
      expect(await cache.restored).toMatchObject({ status: 'restored', entries: 1, leftOut: 1 })
      expect(await cache.namespace('users').get('a')).toBeUndefined()
      expect(cache.namespace('usersAbc').l1.get('a')).toBe('kept a')
    },
  )

  test('nothing that the log does not reach back to', async () => {
    const fleet = new Fleet()
    const snapshot = await ended(fleet)
    const other = fleet.open()
    await rest()
    for (let step = 0; step < 9; step++) await other.set('a', step)
    const cache = fleet.open({ restore: snapshot })
    expect(await cache.restored).toMatchObject({ status: 'restored', entries: 1, leftOut: 2 })
    expect(held(cache, keys)).toEqual([undefined, 'old b', undefined])
    expect(await cache.get('c')).toBe('old c')
  })

  test('nothing of an authority that has begun anew', async () => {
    const fleet = new Fleet()
    const snapshot = await ended(fleet)
    fleet.hub.reset()
    const cache = fleet.open({ restore: snapshot })
    expect(await cache.restored).toMatchObject({ status: 'restored', entries: 0, leftOut: 3 })
    expect(held(cache, keys)).toEqual([undefined, undefined, undefined])
  })

  test('afterwards it hears of changes as any copy does', async () => {
    const fleet = new Fleet()
    const snapshot = await ended(fleet)
    const other = fleet.open()
    const cache = fleet.open({ restore: snapshot })
    await cache.restored
    await other.delete('a')
    await rest()
    expect(held(cache, keys)).toEqual([undefined, 'old b', 'old c'])
  })

  test('tags that were invalidated meanwhile count, and those that are later', async () => {
    const fleet = new Fleet()
    const first = await ended(fleet, ['letters'])
    const second = fleet.open({ restore: first })
    expect(await second.restored).toMatchObject({ entries: 3 })
    expect(await second.get('c')).toBe('old c')
    const snapshot = await saved(second)
    await second.expireTags(['letters'])
    const cache = fleet.open({ restore: snapshot })
    expect(await cache.restored).toMatchObject({ entries: 3 })
    expect(await cache.get('c')).toBeUndefined()
    expect(await cache.get('a')).toBe('old a')
  })

  test('without a lease nothing is known to be good, and nothing is saved', async () => {
    const fleet = new Fleet({ lease: '3s' })
    const before = fleet.open()
    await rest()
    await before.set('a', 'old a')
    fleet.hub.links[0]?.cut(new Error('cut'))
    await pass(fleet.clock, 4_000)
    const cache = fleet.open({ restore: await saved(before) })
    expect(await cache.restored).toMatchObject({ status: 'restored', entries: 0, leftOut: 0 })
  })

  test('where the bus can not be reached the cache begins empty', async () => {
    const fleet = new Fleet()
    const snapshot = await ended(fleet)
    const { clock, hub } = fleet
    const bus = inProcessBus({ hub })
    bus.subscribe = () => Promise.reject(new Error('unreachable'))
    const cache = fleet.open({ restore: snapshot }, { bus })
    const told: unknown[] = []
    cache.on('snapshot.restored', (event) => told.push(event))
    for (let second = 0; second < 40; second++) await pass(clock, 1_000)
    expect(await cache.restored).toMatchObject({ status: 'unproved', entries: 0 })
    expect(told).toEqual([{ status: 'unproved', entries: 0, leftOut: 0, error: undefined }])
  })

  test('a snapshot of another cache is not used', async () => {
    const fleet = new Fleet()
    const snapshot = await ended(fleet)
    const cache = fleet.open({ restore: snapshot }, { prefix: 'other' })
    expect(await cache.restored).toMatchObject({ status: 'configuration' })
    const elsewhere = new Fleet().open({ restore: snapshot })
    expect(await elsewhere.restored).toMatchObject({ status: 'configuration' })
  })

  test('the remaining time goes on, and so does staleness', async () => {
    const fleet = new Fleet({ staleWhileRevalidate: '1h' })
    const snapshot = await ended(fleet)
    fleet.clock.advance(59 * 60_000)
    const cache = fleet.open({ restore: snapshot })
    await cache.restored
    expect(cache.l1.get('a')).toBe('old a')
    await pass(fleet.clock, 61_000)
    expect(cache.l1.get('a')).toBeUndefined()
  })

  test('with values as bytes too', async () => {
    const fleet = new Fleet()
    const l1 = { maxBytes: 1 << 20, values: 'bytes' as const }
    const before = fleet.open(l1)
    await rest()
    await before.set('a', { n: 1 })
    await before.set('b', { n: 2 }, { tags: ['t'] })
    await before.set('c', { n: 3 })
    const snapshot = await saved(before)
    await before.delete('c')
    const cache = fleet.open({ ...l1, restore: snapshot })
    expect(await cache.restored).toMatchObject({ status: 'restored', entries: 2, leftOut: 1 })
    expect([await cache.get('a'), await cache.get('b'), await cache.get('c')]).toEqual([
      { n: 1 },
      { n: 2 },
      undefined,
    ])
  })
})

describe('without a bus', () => {
  const alone = (clock: ManualClock, l1: CacheOptions['l1'] = {}): Cache =>
    createCache({ clock, ttl: '1h', l1 })

  test('it has to be trusted', async () => {
    const clock = new ManualClock()
    const before = alone(clock)
    await before.set('a', 'old a')
    const snapshot = await saved(before)
    expect(() => alone(clock, { restore: snapshot })).toThrow('l1.trustSnapshot: true')
    const cache = alone(clock, { restore: snapshot, trustSnapshot: true })
    expect(await cache.restored).toMatchObject({ status: 'restored', entries: 1 })
    expect(cache.l1.get('a')).toBe('old a')
  })

  test('with a bus there is nothing to trust', () => {
    const fleet = new Fleet()
    expect(() => fleet.open({ trustSnapshot: true })).toThrow('leave it out')
  })

  test('tags go on in the order of the new process', async () => {
    const clock = new ManualClock()
    const before = alone(clock)
    await before.set('kept', 1, { tags: ['t'] })
    await before.set('gone', 2, { tags: ['u'] })
    await before.expireTags(['u'])
    const cache = alone(clock, { restore: await saved(before), trustSnapshot: true })
    expect(await cache.restored).toMatchObject({ entries: 1 })
    expect(await cache.get('kept')).toBe(1)
    expect(await cache.get('gone')).toBeUndefined()
    await cache.deleteTags(['t'])
    expect(await cache.get('kept')).toBeUndefined()
  })

  test('an invalidation while it comes in counts', async () => {
    const clock = new ManualClock()
    const before = alone(clock)
    await before.set('a', 1, { tags: ['t'] })
    const cache = alone(clock, { restore: await saved(before), trustSnapshot: true })
    await cache.deleteTags(['t'])
    await cache.restored
    expect(await cache.get('a')).toBeUndefined()
  })
})

test('a cache without a first level has no snapshot', () => {
  const cache = createCache({ ttl: '1m', l1: false })
  expect(() => cache.snapshot()).toThrow('no first level')
})
