import { describe, expect, test } from 'vitest'
import { inProcessBus } from '../../../src/bus/in-process.ts'
import { placesIn, Session } from '../../../src/coordinator/session.ts'
import { createCache } from '../../../src/create-cache.ts'
import type { Stamp } from '../../../src/stamp.ts'
import { flakyTier } from '../../../src/testing/chaos.ts'
import { ManualClock } from '../../../src/testing/manual-clock.ts'
import { Hub, memoryTier } from '../../../src/tiers/memory.ts'
import type { Tier } from '../../../src/tiers/tier.ts'
import { pass, rest } from '../../support/caches.ts'

describe('a token', () => {
  test('has the last place of each partition that was committed to lately', () => {
    const clock = new ManualClock()
    const session = new Session(clock, 6_000)
    const stamp = (partition: number, sequence: number) => ({
      partition,
      epoch: 1_700_000_000_000_000,
      sequence,
    })
    expect(session.token).toBe('1')
    session.committed(stamp(3, 40))
    clock.advance(4_000)
    session.committed(stamp(16, 7))
    session.committed(stamp(16, 9))
    session.committed(stamp(16, 8))
    expect(session.token).toBe(
      '1~3.gql9n8t6o0.14~g.gql9n8t6o0.9'.replaceAll('gql9n8t6o0', (1.7e15).toString(36)),
    )
    const exact = (place: Stamp) => ({ stamp: place, isExact: true })
    expect(placesIn(session.token)).toEqual([exact(stamp(3, 40)), exact(stamp(16, 9))])
    clock.advance(3_000)
    expect(placesIn(session.token), 'by now everybody has heard').toEqual([exact(stamp(16, 9))])
    session.committed(stamp(2, 50), false)
    const behind = { stamp: stamp(2, 50), isExact: false }
    expect(placesIn(session.token)).toEqual([exact(stamp(16, 9)), behind])
    const isOwn = [stamp(3, 40), stamp(3, 39), stamp(3, 41), stamp(1, 0), stamp(2, 50)].map((place) =>
      session.isOwn(exact(place)),
    )
    expect(isOwn).toEqual([true, false, false, false, false])
    expect(session.isOwn({ stamp: stamp(3, 40), isExact: false })).toBe(false)
  })

  test.each(['', '2', '1~', '1~3.4', '1~3.4.Z', `1${'~1.1.1'.repeat(10_000)}`, '1~99999.1.1', 7, null])(
    '%j is refused',
    (token) => {
      expect(() => placesIn(token)).toThrow(/is no token of cache.token\(\)/)
    },
  )
})

describe('atLeast', () => {
  async function open() {
    const clock = new ManualClock()
    const hub = new Hub({ clock })
    const make = () =>
      createCache({ clock, tiers: [memoryTier({ hub })], bus: inProcessBus({ hub }), ttl: '1h' })
    const [here, there] = [make(), make()]
    await rest()
    return { clock, hub, here, there }
  }

  test('a process that has not heard of a write yet answers with it all the same', async () => {
    const { hub, here, there } = await open()
    await here.set('a', 1)
    await here.set('b', 1, { tags: ['x'] })
    expect([await there.get('a'), await there.get('b')]).toEqual([1, 1])
    const [, link] = hub.links
    link?.hold()
    await here.set('a', 2)
    await here.deleteTags(['x'])
    const token = here.token()
    expect([await there.get('a'), await there.get('b')], 'within the lease copies may be old').toEqual([1, 1])
    expect(await there.get('b', { atLeast: token })).toBeUndefined()
    expect(await there.get('a', { atLeast: token })).toBe(2)
    await here.set('a', 3)
    expect(await there.getMany(['a', 'b'], { atLeast: here.token() })).toEqual(new Map([['a', 3]]))
  })

  test('a write whose answer was lost has its place from the bus', async () => {
    const clock = new ManualClock()
    const hub = new Hub({ clock })
    const tier = flakyTier(memoryTier({ hub }), { clock })
    const make = (tiers: Tier[]) =>
      createCache({ clock, tiers, bus: inProcessBus({ hub }), ttl: '1h', whenDown: 'queue' })
    const [here, there] = [make([tier]), make([memoryTier({ hub })])]
    await rest()
    await there.set('a', 1)
    await rest()
    hub.links[1]?.hold()
    tier.plan = ({ method }) => (method === 'ledger.commit' ? 'fail-after' : 'work')
    await here.set('a', 2)
    expect(here.health().outbox?.size).toBe(0)
    expect(await there.get('a')).toBe(1)
    expect(await there.get('a', { atLeast: here.token() })).toBe(2)
  })

  test('what a process has written itself since then says nothing of what it has heard', async () => {
    const { hub, here, there } = await open()
    await here.set('a', 1)
    expect(await there.get('a')).toBe(1)
    const [, link] = hub.links
    link?.hold()
    await here.set('a', 2)
    // In every partition.
    for (let at = 0; at < 200; at++) await there.set(at, at)
    expect(await there.get('a', { atLeast: here.token() })).toBe(2)
  })

  test('where all of it was heard, or done, copies answer', async () => {
    const { here, there } = await open()
    await here.set('a', 1)
    await rest()
    await there.get('a')
    const hits = there.stats().tiers[0]?.hits
    expect(await there.get('a', { atLeast: here.token() })).toBe(1)
    expect(await here.get('a', { atLeast: here.token() })).toBe(1)
    expect(there.stats().tiers[0]?.hits).toBe(hits)
  })

  test('a clear is seen, too', async () => {
    const { hub, here, there } = await open()
    for (let at = 0; at < 20; at++) await here.set(at, at)
    for (let at = 0; at < 20; at++) await there.get(at)
    const [, link] = hub.links
    link?.hold()
    await here.clear()
    for (let at = 0; at < 20; at++) expect(await there.get(at, { atLeast: here.token() })).toBeUndefined()
  })

  test('a clear is seen by who has written since, before its place was known', async () => {
    const clock = new ManualClock()
    const hub = new Hub({ clock })
    const tier = flakyTier(memoryTier({ hub }), { clock })
    const make = (tiers: Tier[]) => createCache({ clock, tiers, bus: inProcessBus({ hub }), ttl: '1h' })
    const [here, there] = [make([tier]), make([memoryTier({ hub })])]
    await rest()
    await there.set('a', 1)
    hub.links[1]?.hold()
    tier.plan = ({ method }) => (method === 'ledger.probe' ? { delayMs: 100 } : 'work')
    const clearing = here.clear()
    await rest()
    // In every partition.
    for (let at = 0; at < 200; at++) await there.set(at, at)
    await pass(clock, 100)
    await clearing
    expect(await there.get('a'), 'within the lease copies may be old').toBe(1)
    expect(await there.get('a', { atLeast: here.token() })).toBeUndefined()
  })

  test('it is refused where it is no token, or where nobody could be asked', async () => {
    const { here } = await open()
    await expect(here.get('a', { atLeast: 'nonsense' })).rejects.toThrow(TypeError)
    await expect(here.get('a', { atLeast: '1', skip: 'tiers' })).rejects.toThrow(/nobody could be asked/)
    const alone = createCache({ ttl: '1h' })
    await alone.set('a', 1)
    expect([alone.token(), await alone.get('a', { atLeast: alone.token() })]).toEqual(['1', 1])
  })
})
