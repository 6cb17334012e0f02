import { describe, expect, test } from 'vitest'
import { inProcessBus } from '../../../src/bus/in-process.ts'
import { HoldOff } from '../../../src/coordinator/hold-off.ts'
import { createCache } from '../../../src/create-cache.ts'
import { ManualClock } from '../../../src/testing/manual-clock.ts'
import { Hub, memoryTier } from '../../../src/tiers/memory.ts'
import type { Tier } from '../../../src/tiers/tier.ts'
import { arrangements, deferred, opened, pass, rest } from '../../support/caches.ts'

describe('holdOff', () => {
  test('holds what began to be loaded within its time, and is bounded', () => {
    const clock = new ManualClock()
    const holdOff = new HoldOff(clock, 1_000, 2)
    const startedAt = clock.now()
    holdOff.note(['a'])
    expect([
      holdOff.holds('a', startedAt),
      holdOff.holds('a', startedAt + 1_000),
      holdOff.holds('b', startedAt),
    ]).toEqual([true, false, false])
    clock.advance(1_000)
    holdOff.note(['b', 'c'])
    expect(holdOff.holds('z', clock.now()), 'a is over').toBe(false)
    holdOff.note(['d'])
    expect(holdOff.holds('z', clock.now()), 'too many hold everything').toBe(true)
    expect(holdOff.holds('z', clock.now() + 1_000)).toBe(false)
    const none = new HoldOff(clock, 0)
    none.note(['a'])
    none.noteAll()
    expect(none.holds('a', clock.now())).toBe(false)
  })

  test.each(arrangements)(
    'a value that is loaded soon after a removal is returned and not kept: $name',
    async (arrangement) => {
      const { cache, clock } = await opened(arrangement, { holdOff: '2s' })
      const removals = [() => cache.delete('a'), () => cache.deleteTags(['x']), () => cache.clear()]
      for (const remove of removals) {
        await cache.set('a', 'old', { tags: ['x'] })
        await remove()
        expect(await cache.getOrSet('a', () => 'from a replica', { tags: ['x'] })).toBe('from a replica')
        expect(await cache.get('a')).toBeUndefined()
        await pass(clock, 2_500)
        expect(await cache.getOrSet('a', () => 'new', { tags: ['x'] })).toBe('new')
        expect(await cache.get('a')).toBe('new')
      }
    },
  )

  test('a load that outlasts it is kept no more than one that does not', async () => {
    const arrangement = arrangements.find(({ name }) => name === 'L1 over a ledger with its bus')
    if (arrangement === undefined) throw new Error('no such arrangement')
    const { cache, clock } = await opened(arrangement, { holdOff: '2s' })
    await cache.delete('a')
    let end = (_: string): void => {}
    const loading = cache.getOrSet('a', () => new Promise<string>((resolve) => (end = resolve)))
    await pass(clock, 2_500)
    await cache.delete('b')
    end('from a replica')
    expect(await loading).toBe('from a replica')
    expect(await cache.get('a')).toBeUndefined()
  })

  test('after what is given out and not kept, a load that began before it is not kept either', async () => {
    const arrangement = arrangements.find(({ name }) => name === 'L1 over a ledger with its bus')
    if (arrangement === undefined) throw new Error('no such arrangement')
    const { cache, clock } = await opened(arrangement, { holdOff: '10s' })
    await cache.deleteTags(['x'])
    const older = deferred<string>()
    const loading = cache.getOrSet('a', () => older.promise)
    // Longer than a lease: nobody joins it any more.
    await pass(clock, 3_500)
    expect(await cache.getOrSet('a', () => 'newer', { tags: ['x'] })).toBe('newer')
    older.resolve('older')
    expect(await loading).toBe('older')
    expect(await cache.get('a')).toBeUndefined()
  })

  test('nor what a reading brings that began before it', async () => {
    const clock = new ManualClock()
    const hub = new Hub({ clock })
    const open = (tier: Tier) =>
      createCache({ clock, tiers: [tier], bus: inProcessBus({ hub }), ttl: '1m', holdOff: '10s' })
    const tier = memoryTier({ hub })
    const { ledger } = tier
    if (ledger === undefined) expect.fail('a memory tier over a hub has a ledger')
    const here = open(tier)
    await rest()
    const there = open(memoryTier({ hub }))
    await rest()
    await there.set('a', 'older')
    const { read } = ledger
    const late = deferred<void>()
    ledger.read = async (keys) => {
      ledger.read = read
      const answers = await read.call(ledger, keys)
      await late.promise
      return answers
    }
    const reading = here.get('a')
    await rest()
    hub.links[0]?.hold()
    await there.delete('a')
    await here.deleteTags(['x'])
    expect(await here.getOrSet('a', () => 'newer', { tags: ['x'] })).toBe('newer')
    late.resolve()
    expect(await reading, 'it was called before').toBe('older')
    expect(await here.get('a')).toBeUndefined()
  })

  test('of what others removed as well; a set is kept at once', async () => {
    const arrangement = arrangements.find(({ name }) => name === 'L1 over a ledger with its bus')
    if (arrangement === undefined) throw new Error('no such arrangement')
    const { cache, other } = await opened(arrangement, { holdOff: '2s' })
    await cache.delete('a')
    await rest()
    await other.getOrSet('a', () => 'from a replica')
    expect(await other.get('a')).toBeUndefined()
    await other.set('a', 'known')
    expect(await other.get('a')).toBe('known')
  })
})
