import { expect, test } from 'vitest'
import { inProcessBus } from '../../../src/bus/in-process.ts'
import { createCache } from '../../../src/create-cache.ts'
import { flakyTier } from '../../../src/testing/chaos.ts'
import { ManualClock } from '../../../src/testing/manual-clock.ts'
import { Hub, memoryTier } from '../../../src/tiers/memory.ts'
import { pass, rest } from '../../support/caches.ts'

test('what is read is news after a made-up epoch too, and no load from before it is joined', async () => {
  const clock = new ManualClock()
  const hub = new Hub({ clock, partitions: 1 })
  const open = () =>
    createCache<number>({ clock, tiers: [memoryTier({ hub })], bus: inProcessBus({ hub }), ttl: '1h' })
  const [here, there] = [open(), open()]
  await rest()
  const message = {
    op: 'delete' as const,
    keys: ['x'],
    stamp: { partition: 0, epoch: Number.MAX_SAFE_INTEGER, sequence: 1 },
    after: 0,
    origin: '0123456789abcdef',
    serial: 1,
  }
  hub.links[0]?.push({ kind: 'message', message })
  await rest()
  let end = (_: number): void => {}
  const first = here.getOrSet('a', () => new Promise<number>((resolve) => (end = resolve)))
  await rest()
  await there.set('a', 2)
  expect(await here.getMany(['a'])).toEqual(new Map([['a', 2]]))
  const second = here.getOrSet('a', () => 3)
  await rest()
  end(1)
  expect([await first, await second]).toEqual([1, 2])
})

test('of two looks that are under way at once the one with the older value leaves nothing in L1', async () => {
  const clock = new ManualClock()
  const hub = new Hub({ clock, partitions: 1 })
  let answerDelayMs = 0
  const tier = flakyTier(memoryTier({ hub }), { clock, plan: () => ({ answerDelayMs }) })
  const here = createCache<number>({ clock, tiers: [tier], bus: inProcessBus({ hub }), ttl: '1h' })
  await rest()
  const there = createCache<number>({
    clock,
    tiers: [memoryTier({ hub })],
    bus: inProcessBus({ hub }),
    ttl: '1h',
  })
  await rest()
  hub.links[0]?.hold()
  await there.set('a', 1)
  answerDelayMs = 10
  const first = here.get('a')
  await rest()
  await there.set('a', 2)
  answerDelayMs = 20
  const second = here.getMany(['a'])
  await pass(clock, 20)
  expect([await first, (await second).get('a')]).toEqual([1, 2])
  answerDelayMs = 0
  expect(await here.get('a')).toBe(2)
})

test('a load that was overtaken ends without ending the one that came after it', async () => {
  const clock = new ManualClock()
  const hub = new Hub({ clock })
  const open = () =>
    createCache<number>({ clock, tiers: [memoryTier({ hub })], bus: inProcessBus({ hub }), ttl: '1h' })
  const [here, there] = [open(), open()]
  await rest()
  const ends: ((value: number) => void)[] = []
  const ask = () => here.getOrSet('a', () => new Promise<number>((resolve) => ends.push(resolve)))
  const first = ask()
  await rest()
  await there.delete('a')
  await rest()
  const second = ask()
  await rest()
  ends[0]?.(1)
  expect(await first).toBe(1)
  const third = ask()
  await rest()
  ends[1]?.(2)
  expect([ends.length, await second, await third]).toEqual([2, 2, 2])
})
