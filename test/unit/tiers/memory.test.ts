import { describe, expect, test } from 'vitest'
import { ManualClock } from '../../../src/testing/index.ts'
import { Hub, memoryTier } from '../../../src/tiers/memory.ts'

const bytes = new TextEncoder().encode('value')
const write = (key: string, remainingMs = Infinity) => ({ key, bytes, remainingMs })

describe('memoryTier', () => {
  test('refuses options that nobody reads, that make no sense, or that contradict each other', () => {
    expect(() => memoryTier({ maxEntrys: 5 } as object)).toThrow(/maxEntrys/)
    expect(() => memoryTier({ maxEntries: 0 })).toThrow(RangeError)
    expect(() => memoryTier({ maxEntries: '5' as unknown as number })).toThrow(TypeError)
    expect(() => memoryTier({ scope: 'world' as 'fleet' })).toThrow(/scope: "world"/)
    expect(() => memoryTier({ hub: {} as Hub })).toThrow(/hub: an object is not a Hub/)
    expect(() => memoryTier({ clock: {} as ManualClock })).toThrow(/clock/)
    expect(() => memoryTier({ hub: new Hub(), maxEntries: 5 })).toThrow(/maxEntries: with a hub/)
    expect(() => memoryTier({ hub: new Hub(), clock: new ManualClock() })).toThrow(/clock: with a hub/)
    expect(() => memoryTier(null as unknown as object)).toThrow(TypeError)
  })

  test('is a ledger with a hub and none without', () => {
    const hub = new Hub()
    expect(memoryTier().ledger).toBeUndefined()
    expect(memoryTier({ hub }).ledger).toBe(hub)
    expect(memoryTier({ hub }).scope).toBe('process')
    expect(memoryTier({ hub, scope: 'fleet' }).scope).toBe('fleet')
  })

  test('keeps to maxEntries: the entry written longest ago leaves first', async () => {
    const tier = memoryTier({ maxEntries: 3 })
    for (const key of ['a', 'b', 'c']) await tier.set(write(key))
    await tier.get('a')
    await tier.touch('a', 1_000)
    await tier.set(write('b'))
    await tier.set(write('d'))
    await tier.set(write('e'))
    const entries = await tier.getMany(['a', 'b', 'c', 'd', 'e'])
    expect(entries.map((entry) => entry !== undefined)).toEqual([false, true, false, true, true])
  })

  test('keeps 10,000 entries by default', async () => {
    const tier = memoryTier()
    await tier.setMany(Array.from({ length: 10_001 }, (_, at) => write(`key:${at}`)))
    expect(await tier.get('key:0')).toBeUndefined()
    expect(await tier.get('key:1')).toBeDefined()
    expect(await tier.deleteMany(Array.from({ length: 10_001 }, (_, at) => `key:${at}`))).toBe(10_000)
  })

  test('copies a Buffer too, whose own slice would share its memory', async () => {
    const tier = memoryTier()
    const buffer = Buffer.from('value')
    await tier.set({ key: 'key', bytes: buffer, remainingMs: Infinity })
    buffer.fill(0)
    const entry = await tier.get('key')
    expect(entry?.bytes).toEqual(bytes)
    expect(Buffer.isBuffer(entry?.bytes)).toBe(false)
  })

  test('increment refuses long digits and sums that are no safe integers', async () => {
    const tier = memoryTier()
    await tier.set({ key: 'long', bytes: new TextEncoder().encode('0'.repeat(40)), remainingMs: Infinity })
    await expect(tier.increment('long', 1, 0)).rejects.toThrow(TypeError)
    await tier.set({
      key: 'unsafe',
      bytes: new TextEncoder().encode('9007199254740993'),
      remainingMs: Infinity,
    })
    await expect(tier.increment('unsafe', -5, 0)).rejects.toThrow(RangeError)
    await tier.set({ key: 'one', bytes: new TextEncoder().encode('1'), remainingMs: Infinity })
    await expect(tier.increment('one', 0.5, 0)).rejects.toThrow(RangeError)
    await expect(tier.increment('one', 1, 9)).rejects.toThrow(TypeError)
  })

  test('closed, leaves its hub to the others', async () => {
    const hub = new Hub()
    const tier = memoryTier({ hub })
    await tier.set(write('key'))
    await tier.close()
    expect(await memoryTier({ hub }).get('key')).toBeDefined()
    await expect(tier.get('key')).rejects.toMatchObject({
      name: 'CacheError',
      code: 'CACHE_CLOSED',
      tier: 'memory',
    })
  })
})
