import { expect, test } from 'vitest'
import { createCache } from '../../../src/create-cache.ts'
import { nullTier } from '../../../src/tiers/null.ts'

const write = { key: 'key', bytes: Uint8Array.of(1), remainingMs: 1_000 }

test('nothing is ever there, and what would be stored counts as stored', async () => {
  const tier = nullTier()
  await tier.set(write)
  await tier.setMany([write])
  expect(await tier.add(write)).toBe(true)
  expect(await tier.compareAndSet(write, undefined)).toBe(true)
  expect(await tier.compareAndSet(write, write.bytes)).toBe(false)
  expect(await tier.get('key')).toBeUndefined()
  expect(await tier.getMany(['key', 'other'])).toEqual([undefined, undefined])
  expect(await tier.increment('key', 1, 0)).toBeUndefined()
  expect(await tier.touch('key', 1_000)).toBe(false)
  expect(await tier.delete('key')).toBe(false)
  expect(await tier.deleteMany(['key'])).toBe(0)
  expect(await tier.clear('')).toBeUndefined()
  expect(await tier.prune()).toBe(0)
  await tier.close()
  await expect(tier.get('key')).rejects.toMatchObject({ code: 'CACHE_CLOSED' })
  await expect(tier.set(write)).rejects.toMatchObject({ code: 'CACHE_CLOSED' })
})

test('a cache over it alone loads every time, for all callers at once', async () => {
  const cache = createCache<number>({ l1: false, tiers: [nullTier({ scope: 'fleet' })], ttl: '5m' })
  let loads = 0
  const load = () => ++loads
  expect(await Promise.all([cache.getOrSet('key', load), cache.getOrSet('key', load)])).toEqual([1, 1])
  expect(await cache.getOrSet('key', load)).toBe(2)
  await cache.close()
})

test('a scope that is none is refused', () => {
  expect(() => nullTier({ scope: 'world' as never })).toThrow('scope: "world"')
  expect(() => nullTier({ size: 1 } as never)).toThrow(TypeError)
})
