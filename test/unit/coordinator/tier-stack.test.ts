// A look through several tiers: a near one that has an entry which is not fresh enough is not the end of it, since what a
// farther one has may have been loaded by another process, and of that nobody is told.

import { describe, expect, test } from 'vitest'
import { type CacheOptions, createCache } from '../../../src/create-cache.ts'
import { ManualClock } from '../../../src/testing/manual-clock.ts'
import { memoryTier } from '../../../src/tiers/memory.ts'
import { arrangements, opened, pass, rest } from '../../support/caches.ts'

const arrangement = arrangements.find(({ name }) => name === 'L1 over a copy over a ledger with its bus')
if (arrangement === undefined) throw new Error('no such arrangement')
const stale = { ttl: '1s', staleIfError: '1h' } as const
const never = () => Promise.reject(new Error('this is not to be loaded'))

describe('what another process has loaded', () => {
  test('is found behind a stale copy, by reads of one and of many', async () => {
    const { cache, other, clock } = await opened(arrangement, stale)
    for (const key of ['get', 'getMany', 'getOrSet', 'getOrSetMany']) {
      await cache.set(key, 1)
      expect(await other.get(key)).toBe(1)
    }
    await pass(clock, 2_000)
    for (const key of ['get', 'getMany', 'getOrSet', 'getOrSetMany'])
      expect(await cache.getOrSet(key, () => 2)).toBe(2)
    expect(await other.get('get')).toBe(2)
    expect([...(await other.getMany(['getMany'])).values()]).toEqual([2])
    expect(await other.getOrSet('getOrSet', never)).toBe(2)
    const { values } = await other.getOrSetMany(['getOrSetMany'], never)
    expect([...values.values()]).toEqual([2])
  })

  test('is found behind a copy that is due to be renewed', async () => {
    const { cache, other, clock } = await opened(arrangement, { ttl: '10s', refreshAhead: 0.5 })
    await cache.set('a', 1)
    expect(await other.get('a')).toBe(1)
    await pass(clock, 6_000)
    expect(await cache.getOrSet('a', () => 2)).toBe(1)
    await rest()
    expect(await other.getOrSet('a', () => 3)).toBe(1)
    await rest()
    expect(await other.get('a')).toBe(2)
    expect(other.stats().loads).toBe(0)
  })

  test('a stale copy stands in where nothing better is behind it', async () => {
    const { cache, other, clock } = await opened(arrangement, stale)
    await cache.set('a', 1)
    expect(await other.get('a')).toBe(1)
    await pass(clock, 2_000)
    expect(await other.get('a')).toBeUndefined()
    expect(await other.getEntry('a')).toMatchObject({ value: 1, isStale: true })
    expect(await other.getOrSet('a', never)).toBe(1)
  })
})

test('where nobody orders, what a farther tier has from before does not replace what a nearer one has', async () => {
  const clock = new ManualClock()
  const [near, far] = [memoryTier({ clock }), memoryTier({ clock })]
  const open = (options: CacheOptions) => createCache({ clock, l1: false, ...stale, ...options })
  await open({ tiers: [far] }).set('a', 'old')
  await pass(clock, 500)
  await open({ tiers: [near] }).set('a', 'new')
  await pass(clock, 2_000)
  expect(await open({ tiers: [near, far] }).getOrSet('a', never)).toBe('new')
})
