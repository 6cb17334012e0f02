import { describe, expect, test } from 'vitest'
import { HoldOff } from '../../../src/coordinator/hold-off.ts'
import { ManualClock } from '../../../src/testing/manual-clock.ts'
import { arrangements, opened, pass, rest } from '../../support/caches.ts'

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
