import { describe, expect, test } from 'vitest'
import { inProcessBus } from '../../../src/bus/in-process.ts'
import { Outbox, type Queued } from '../../../src/coordinator/outbox.ts'
import { type CacheOptions, createCache } from '../../../src/create-cache.ts'
import { flakyTier } from '../../../src/testing/chaos.ts'
import { ManualClock } from '../../../src/testing/manual-clock.ts'
import { Hub, memoryTier } from '../../../src/tiers/memory.ts'
import { pass, rest } from '../../support/caches.ts'

const queued = (key: string, bytes: number): Queued => ({
  subject: { key, l1Key: key, stored: `:1:${key}` },
  mutation: { op: 'set', key: `:1:${key}`, bytes: new Uint8Array(bytes), remainingMs: 1_000 },
  serial: 1,
  calledAt: 0,
})

describe('an outbox', () => {
  test('rule 3.1.23: keeps the last mutation of each key, in the order of the calls', () => {
    const outbox = new Outbox(10_000)
    for (const key of ['a', 'b', 'a']) expect(outbox.add(queued(key, 10))).toBe(true)
    expect(outbox.undelivered).toEqual([
      { op: 'set', key: 'b' },
      { op: 'set', key: 'a' },
    ])
    expect(outbox.bytes).toBe(2 * (128 + 2 * 4 + 10))
    outbox.remove(':1:b')
    outbox.remove(':1:b')
    expect([outbox.first?.subject.key, outbox.bytes]).toEqual(['a', 146])
  })

  test('without room has nothing wait any more, and says so', () => {
    const outbox = new Outbox(1_000)
    expect(outbox.add(queued('a', 700))).toBe(true)
    expect(outbox.add(queued('b', 700))).toBe(false)
    expect([outbox.first, outbox.bytes]).toEqual([undefined, 0])
  })
})

async function open(options: CacheOptions = {}) {
  const clock = new ManualClock()
  const hub = new Hub({ clock })
  const tier = flakyTier(memoryTier({ hub }), { clock })
  const shared = { clock, ttl: '1h' } as const
  const bus = () => inProcessBus({ hub })
  const cache = createCache({ ...shared, tiers: [tier], bus: bus(), whenDown: 'queue', ...options })
  const other = createCache({ ...shared, tiers: [memoryTier({ hub })], bus: bus() })
  const told: string[] = []
  cache.on('mutation.queued', ({ op, key }) => told.push(`${op} ${key}`))
  await rest()
  const down = () => {
    tier.plan = ({ method }) => (method === 'close' ? 'work' : 'fail')
  }
  const up = () => {
    tier.plan = () => 'work'
  }
  return { cache, other, clock, down, up, told, tier }
}

describe("whenDown: 'queue'", () => {
  test('what the authority does not take is delivered when it is back, and not answered before', async () => {
    const { cache, other, clock, down, up, told } = await open()
    await cache.set('a', 1)
    await cache.set('b', 1)
    expect([await other.get('a'), await other.get('b')]).toEqual([1, 1])
    down()
    expect(await cache.set('a', 2)).toBe(true)
    expect(await cache.delete('b')).toBe(false)
    await cache.set('a', 3)
    expect(told).toEqual(['set a', 'delete b', 'set a'])
    expect(cache.health().outbox).toMatchObject({ size: 2 })
    expect([await cache.get('a'), await cache.get('b'), cache.l1.get('a')]).toEqual([
      undefined,
      undefined,
      undefined,
    ])
    expect(await cache.getOrSet('a', () => 'loaded')).toBe('loaded')
    expect([await other.get('a'), await other.get('b')], 'others were promised nothing').toEqual([1, 1])
    up()
    await pass(clock, 5_000)
    expect([await other.get('a'), await other.get('b')]).toEqual([3, undefined])
    expect([await cache.get('a'), await cache.get('b')]).toEqual([3, undefined])
    expect(cache.health().outbox).toEqual({ size: 0, bytes: 0 })
  })

  test('rule 3.1.26: the time that a set waits is part of its life', async () => {
    const { cache, other, clock, down, up } = await open()
    down()
    await cache.set('a', 1, { ttl: '10s' })
    await cache.set('b', 2, { ttl: '1s' })
    await pass(clock, 4_000)
    up()
    await pass(clock, 3_000)
    expect([await other.get('a'), await other.get('b')]).toEqual([1, undefined])
    await pass(clock, 3_500)
    expect(await other.get('a')).toBeUndefined()
  })

  test('rule 3.1.24: a later mutation that is taken replaces one that waits', async () => {
    const { cache, other, clock, down, up } = await open()
    down()
    await cache.set('a', 1)
    up()
    await pass(clock, 1_500)
    await cache.set('a', 2)
    await pass(clock, 3_000)
    expect(await other.get('a')).toBe(2)
  })

  test('what was done after all is not done again', async () => {
    const { cache, other, clock, tier, up } = await open()
    tier.plan = ({ method }) => (method === 'ledger.commit' ? 'fail-after' : 'work')
    await cache.set('a', 1)
    await rest()
    expect(cache.health().outbox).toEqual({ size: 0, bytes: 0 })
    await other.set('a', 2)
    up()
    await pass(clock, 3_000)
    expect(await other.get('a')).toBe(2)
  })

  test('rule 3.1.25: what has no room becomes a clear: coarser, never forgotten', async () => {
    const { cache, other, clock, down, up } = await open({ maxQueuedBytes: 1_000 })
    for (let at = 0; at < 10; at++) await cache.set(at, 'old')
    down()
    for (let at = 0; at < 10; at++) await cache.set(at, 'new '.repeat(50))
    expect(cache.health().outbox?.bytes).toBeLessThanOrEqual(1_000)
    expect(await cache.get(9)).toBeUndefined()
    up()
    await pass(clock, 5_000)
    for (let at = 0; at < 10; at++) expect(await other.get(at), `${at}`).not.toBe('old')
    expect(cache.health().outbox).toEqual({ size: 0, bytes: 0 })
  })

  test('a clear and invalidations of tags wait too', async () => {
    const { cache, other, clock, down, up } = await open()
    await cache.set('a', 1, { tags: ['x'] })
    down()
    await cache.deleteTags(['x'])
    expect(cache.health().outbox).toMatchObject({ size: 1 })
    up()
    await pass(clock, 3_000)
    expect(await other.get('a')).toBeUndefined()
    await cache.set('b', 1)
    down()
    await cache.clear()
    await cache.set('c', 3)
    up()
    await pass(clock, 3_000)
    expect([await other.get('b'), await other.get('c')], 'what came after the clear stays').toEqual([
      undefined,
      3,
    ])
  })

  test('close says what was not delivered, after a last attempt', async () => {
    const { cache, down } = await open()
    down()
    await cache.set('a', 1)
    await cache.delete(7)
    await cache.deleteTags(['x'])
    expect(await cache.close()).toEqual([
      { op: 'delete-tags', key: undefined },
      { op: 'set', key: 'a' },
      { op: 'delete', key: 7 },
    ])
    const again = await open()
    again.down()
    await again.cache.set('a', 1)
    again.up()
    await pass(again.clock, 900)
    expect(await again.cache.close()).toEqual([])
    expect(await again.other.get('a')).toBe(1)
  })

  test('what can not be right is refused all the same', async () => {
    const { cache, down } = await open()
    down()
    await expect(cache.set('a', () => {})).rejects.toMatchObject({ code: 'CACHE_ENCODE_FAILED' })
    await expect(cache.set('a', undefined as never)).rejects.toThrow(TypeError)
    expect(cache.health().outbox).toEqual({ size: 0, bytes: 0 })
  })

  test('options that do not go together are refused', () => {
    expect(() => createCache({ whenDown: 'wait' as never })).toThrow(/whenDown: "wait" is neither/)
    expect(() => createCache({ maxQueuedBytes: 1 })).toThrow(/goes with whenDown: 'queue'/)
    expect(createCache().health().outbox).toBeUndefined()
  })
})
