import { expect, test } from 'vitest'
import { inProcessBus } from '../../../src/bus/in-process.ts'
import { createCache } from '../../../src/create-cache.ts'
import { ManualClock } from '../../../src/testing/manual-clock.ts'
import { Hub, memoryTier } from '../../../src/tiers/memory.ts'
import { rest } from '../../support/caches.ts'

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
