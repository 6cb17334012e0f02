// One load for several processes: here each cache over one hub is a process; test/e2e/one-load.test.ts has real ones.

import { describe, expect, test } from 'vitest'
import type { Cache } from '../../../src/cache.ts'
import { createCache } from '../../../src/create-cache.ts'
import { ManualClock } from '../../../src/testing/manual-clock.ts'
import { Hub, memoryTier } from '../../../src/tiers/memory.ts'
import { arrangements, deferred, opened, pass, rest } from '../../support/caches.ts'

const sharing = arrangements.filter(({ name }) => name.includes('ledger'))

describe.each(sharing)('loadLease: $name', (arrangement) => {
  const isHeard = arrangement.name.includes('bus') && !arrangement.name.includes('no bus')

  test('rule 3.1.20: who misses while another process loads waits for what that loads', async () => {
    const { cache, other, clock } = await opened(arrangement, { loadLease: '10s' })
    const answer = deferred<string>()
    const loads = [cache, cache, other, other].map((each, turn) =>
      each.getOrSet('a', () => (turn < 2 ? answer.promise : `loaded by ${turn}`)),
    )
    await pass(clock, 3_000)
    answer.resolve('once')
    await rest()
    await pass(clock, isHeard ? 0 : 100)
    expect(await Promise.all(loads)).toEqual(['once', 'once', 'once', 'once'])
    expect(cache.stats().loads + other.stats().loads).toBe(1)
  })

  test('rule 3.1.21: a holder that died delays nobody beyond the lease', async () => {
    const { cache, other, clock } = await opened(arrangement, { loadLease: '2s' })
    void cache.getOrSet('a', () => new Promise(() => {})).catch(() => {})
    await rest()
    const waiting = other.getOrSet('a', () => 'loaded')
    await pass(clock, 1_900)
    expect(other.stats().loads).toBe(0)
    await pass(clock, 200)
    expect(await waiting).toBe('loaded')
  })

  test('rule 3.1.21: nor those who come when the lease is nearly over', async () => {
    const { cache, other, clock } = await opened(arrangement, { loadLease: '2s' })
    void cache.getOrSet('a', () => new Promise(() => {})).catch(() => {})
    await pass(clock, 1_500)
    const waiting = other.getOrSet('a', () => 'loaded')
    await pass(clock, 400)
    expect(other.stats().loads).toBe(0)
    await pass(clock, 400)
    expect(other.stats().loads).toBe(1)
    expect(await waiting).toBe('loaded')
  })

  test('a load that fails is its own callers’ failure, and the next process loads', async () => {
    const { cache, other, clock } = await opened(arrangement, { loadLease: '10s' })
    const answer = deferred<string>()
    const failing = cache.getOrSet('a', () => answer.promise)
    await rest()
    const waiting = other.getOrSet('a', () => 'loaded')
    await rest()
    answer.reject(new Error('the source is down'))
    await expect(failing).rejects.toThrow('the source is down')
    await pass(clock, isHeard ? 1 : 100)
    expect(await waiting).toBe('loaded')
  })

  test('nobody waits longer than loadTimeout, waiting and loading together', async () => {
    const { cache, other, clock } = await opened(arrangement, { loadLease: '1m' })
    void cache.getOrSet('a', () => new Promise(() => {})).catch(() => {})
    await rest()
    const failed: unknown[] = []
    other.on('load.failed', ({ key, error, servedStale }) => failed.push([key, error, servedStale]))
    const hurried = other.getOrSet('a', () => new Promise<string>(() => {}), { loadTimeout: '1s' })
    hurried.catch(() => {})
    await pass(clock, 1_100)
    await expect(hurried).rejects.toMatchObject({ code: 'CACHE_LOAD_TIMEOUT' })
    const error = expect.objectContaining({ code: 'CACHE_LOAD_TIMEOUT' })
    expect(failed).toEqual([['a', error, false]])
  })

  test('a value that is set meanwhile answers, and what the holder loads is kept nowhere', async () => {
    const { cache, other, clock } = await opened(arrangement, { loadLease: '10s' })
    const answer = deferred<string>()
    const overtaken = cache.getOrSet('a', () => answer.promise)
    await rest()
    const waiting = other.getOrSet('a', () => 'loaded twice')
    await rest()
    await cache.set('a', 'set')
    answer.resolve('overtaken')
    expect(await overtaken).toBe('overtaken')
    await pass(clock, isHeard ? 1 : 100)
    expect(await waiting).toBe('set')
    expect(await other.get('a')).toBe('set')
  })

  test('forceFresh and many keys at once wait for nobody', async () => {
    const { cache, other } = await opened(arrangement, { loadLease: '1m' })
    void cache.getOrSet('a', () => new Promise(() => {})).catch(() => {})
    await rest()
    expect(await other.getOrSet('a', () => 'forced', { forceFresh: true })).toBe('forced')
    await other.delete('a')
    const many = await other.getOrSetMany(['a'], () => [['a', 'batch']])
    expect([...many.values]).toEqual([['a', 'batch']])
  })

  test('without it each process loads for itself, at once', async () => {
    const { cache, other } = await opened(arrangement)
    void cache.getOrSet('a', () => new Promise(() => {})).catch(() => {})
    await rest()
    expect(await other.getOrSet('a', () => 'loaded')).toBe('loaded')
  })
})

test('where nobody keeps leases each process loads for itself, and health says so', async () => {
  for (const arrangement of arrangements.filter((each) => !sharing.includes(each))) {
    const { cache, other } = await opened(arrangement, { loadLease: '1m' })
    void cache.getOrSet('a', () => new Promise(() => {})).catch(() => {})
    await rest()
    expect(await other.getOrSet('a', () => 'loaded'), arrangement.name).toBe('loaded')
    expect(cache.health().advice.filter((each) => each.startsWith('loadLease: '))).toHaveLength(1)
  }
})

test('rule 3.1.21: an authority that cannot be asked keeps nobody from loading', async () => {
  const clock = new ManualClock()
  const tier = memoryTier({ hub: new Hub({ clock }) })
  const down = (): Promise<never> => Promise.reject(new Error('down'))
  const { ledger } = tier
  if (ledger === undefined) expect.fail('a memory tier over a hub has a ledger')
  Object.assign(ledger, { read: down, commit: down, populate: down })
  const cache = createCache({ clock, ttl: '1m', tiers: [tier], loadLease: '1m' })
  const answers = await Promise.all(Array.from({ length: 20 }, () => cache.getOrSet('a', () => 'loaded')))
  expect(new Set(answers)).toEqual(new Set(['loaded']))
  expect(cache.stats().loads).toBe(1)
})

test('what a search found is newer than what another one loads, which nobody joins any more', async () => {
  const arrangement = arrangements.find(({ name }) => name === 'no L1, a ledger with its bus')
  if (arrangement === undefined) throw new Error('no such arrangement')
  const { cache: there, other: here, clock, hub } = await opened(arrangement, { loadLease: '10s' })
  void there.getOrSet('a', () => new Promise(() => {})).catch(() => {})
  await rest()
  const waiting = here.getOrSet('a', () => 'not loaded')
  // Longer than the lease of copies: nobody joins that any more.
  await pass(clock, 3_500)
  const loading = deferred<[string, string][]>()
  const many = here.getOrSetMany(['a'], () => loading.promise)
  await rest()
  hub.links[1]?.hold()
  await there.set('a', 'newer')
  await pass(clock, 250)
  expect(await waiting).toBe('newer')
  const after = here.getOrSet('a', () => 'not loaded either')
  loading.resolve([['a', 'older']])
  expect(await after).toBe('newer')
  expect((await many).values.get('a')).toBe('older')
})

test('a length that is none is refused', () => {
  expect(() => createCache({ loadLease: 'long' as never })).toThrow('loadLease: ')
  const cache: Cache = createCache({ ttl: '1m', loadLease: null })
  expect(cache.health().advice).toEqual([])
})
