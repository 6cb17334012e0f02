import { describe, expect, test } from 'vitest'
import { inProcessBus } from '../../../src/bus/in-process.ts'
import { type CacheOptions, createCache } from '../../../src/create-cache.ts'
import { ManualClock } from '../../../src/testing/manual-clock.ts'
import { Hub, memoryTier } from '../../../src/tiers/memory.ts'
import { pass, rest } from '../../support/caches.ts'

/** Two processes, of which one audits every hit, and hears nothing of mutations: only the echoes reach it. */
async function deafened(options: CacheOptions = {}) {
  const clock = new ManualClock()
  const hub = new Hub({ clock, logMessages: 4, partitions: 1 })
  const open = (more: CacheOptions) =>
    createCache<number>({
      clock,
      tiers: [memoryTier({ hub })],
      bus: inProcessBus({ hub }),
      ttl: '1h',
      ...more,
    })
  const here = open({ audit: 1, ...options })
  await rest()
  const there = open({ audit: 0 })
  await rest()
  const found: unknown[] = []
  here.on('audit.stale', (event) => found.push(event))
  await there.set('a', 1)
  expect(await here.get('a')).toBe(1)
  const [link] = hub.links
  /** Time passes, and the echoes that come in it lie: they say that nothing has happened since `stood`. */
  const lie = async (ms: number) => {
    for (let left = ms; left > 0; left -= 500) {
      link?.hold()
      await pass(clock, Math.min(left, 500))
      const queue = link?.queue ?? []
      const echoes = queue.splice(0).filter((delivery) => delivery.kind === 'echo')
      for (const echo of echoes) queue.push({ ...echo, stamps: stood })
      link?.release()
    }
  }
  const stood = await hub.probe('')
  await rest()
  link?.hold()
  return { clock, hub, here, there, found, lie, link }
}

describe('a copy that is answered with a lease after the authority had something newer', () => {
  test.each([
    [
      'an entry that was written',
      (there: { set(key: string, value: number): Promise<unknown> }) => there.set('a', 2),
    ],
    ['a removal', (there: { delete(key: string): Promise<unknown> }) => there.delete('a')],
    ['a clear', (there: { clear(): Promise<unknown> }) => there.clear()],
  ])('is counted, told and dropped: %s', async (_, change) => {
    const { here, there, found, lie } = await deafened()
    await change(there)
    expect(await here.get('a'), 'the message is lost').toBe(1)
    await lie(2_900)
    expect([here.l1.get('a'), found], 'it may be on its way').toEqual([1, []])
    await lie(100)
    expect(found).toEqual([{ key: 'a', staleMs: 3_000 }])
    expect(here.stats()).toMatchObject({ auditStale: 1, auditStaleMs: 3_000 })
    expect(here.l1.get('a')).toBeUndefined()
    await Promise.all([here.close(), there.close()])
  })

  test('is no finding when the message came meanwhile, or the lease ended', async () => {
    const { here, there, found, lie, link } = await deafened()
    await there.set('a', 2)
    expect(await here.get('a')).toBe(1)
    await lie(500)
    link?.release()
    await there.set('a', 3)
    await rest()
    await lie(5_000)
    expect(found).toEqual([])
    await Promise.all([here.close(), there.close()])
  })
})

test('what is current is no finding, and what the log no longer knows is none either', async () => {
  const { clock, here, there, found, lie, link } = await deafened()
  link?.release()
  for (let turn = 0; turn < 20; turn++) {
    expect(await here.get('a')).toBe(1)
    await pass(clock, 500)
  }
  expect(here.stats().audits).toBeGreaterThan(5)
  link?.hold()
  await there.delete('a')
  for (let turn = 0; turn < 5; turn++) await there.set('b', turn)
  here.l1.get('a')
  await lie(4_000)
  expect(found).toEqual([])
  await Promise.all([here.close(), there.close()])
})

test('the share is that of the hits; none are audited without a bus', async () => {
  const clock = new ManualClock()
  const hub = new Hub({ clock })
  const tiers = [memoryTier({ hub })]
  const [some, none, alone] = [
    createCache({ clock, tiers, bus: inProcessBus({ hub }), ttl: null, audit: 0.1 }),
    createCache({ clock, tiers, bus: inProcessBus({ hub }), ttl: null, audit: 0 }),
    createCache({ clock, tiers, ttl: null, audit: 1 }),
  ]
  await rest()
  await some.set('a', 1)
  for (const cache of [some, none, alone]) {
    for (let hit = 0; hit < 1_000; hit++) {
      await cache.get('a')
      await rest()
    }
  }
  expect(some.stats().audits).toBeGreaterThan(40)
  expect(some.stats().audits).toBeLessThan(200)
  expect([none.stats().audits, alone.stats().audits]).toEqual([0, 0])
  await Promise.all([some, none, alone].map((cache) => cache.close()))
})

test.each([-0.1, 1.1, Number.NaN, '1'])('audit: %j is refused', (audit) => {
  expect(() => createCache({ audit: audit as number })).toThrow(/audit: /)
})
