// Two loads, a delete and an invalidation of a tag, in every order in which their steps can come: each call of the
// authority and each answer of a loader waits until fast-check's scheduler lets it go on.

import fc from 'fast-check'
import { expect, test } from 'vitest'
import { inProcessBus } from '../../src/bus/in-process.ts'
import { type CacheOptions, createCache } from '../../src/create-cache.ts'
import { ManualClock } from '../../src/testing/manual-clock.ts'
import { Hub, memoryTier } from '../../src/tiers/memory.ts'
import { rest } from '../support/caches.ts'
import { seed } from '../support/seed.ts'

const shapes: readonly { name: string; options(clock: ManualClock, hub: Hub): CacheOptions }[] = [
  { name: 'L1 alone', options: () => ({}) },
  { name: 'a ledger without L1', options: (_, hub) => ({ l1: false, tiers: [memoryTier({ hub })] }) },
  {
    name: 'L1 over a ledger with its bus',
    options: (_, hub) => ({ tiers: [memoryTier({ hub })], bus: inProcessBus({ hub }) }),
  },
  {
    name: 'L1 over a copy over a ledger with its bus',
    options: (clock, hub) => ({
      tiers: [memoryTier({ clock }), memoryTier({ hub })],
      bus: inProcessBus({ hub }),
    }),
  },
]

test.each(shapes)(
  'no interleaving leaves or answers what a change removed: $name',
  async ({ options }) => {
    const run = fc.asyncProperty(fc.scheduler(), fc.boolean(), async (scheduler, isShared) => {
      const clock = new ManualClock()
      const hub = new Hub({ clock })
      const { commit, populate, read } = hub
      hub.read = (...args) => scheduler.schedule(read.apply(hub, args), 'read')
      hub.commit = (...args) => scheduler.schedule(commit.apply(hub, args), 'commit')
      hub.populate = (...args) => scheduler.schedule(populate.apply(hub, args), 'populate')
      const open = () => createCache<number>({ clock, ttl: '1h', ...options(clock, hub) })
      const caches = [open()]
      if (isShared && hub.links.length > 0) caches.push(open())
      await rest()

      // What the source has, and what it had when the last change of it was acknowledged.
      let row = 0
      let acknowledged = 0
      const answers: { answer: number | undefined; least: number }[] = []
      const load = async (at: number): Promise<void> => {
        const cache = caches[at % caches.length]
        // In the process of the change from its call on, in others when they have heard.
        const least = caches.length === 1 ? acknowledged : 0
        const source = () => scheduler.schedule(Promise.resolve(row), 'load')
        answers.push({ answer: await cache?.getOrSet('a', source, { tags: ['t'] }), least })
      }
      const change = async (invalidate: 'delete' | 'deleteTags'): Promise<void> => {
        const changed = ++row
        const done = invalidate === 'delete' ? caches[0]?.delete('a') : caches[0]?.deleteTags(['t'])
        acknowledged = Math.max(acknowledged, changed)
        await done
      }
      const steps = [
        () => load(0),
        () => load(1),
        () => change('delete'),
        () => change('deleteTags'),
        () => load(1),
      ].map((begin, at) => scheduler.schedule(Promise.resolve(), `begin ${at}`).then(begin))
      await scheduler.waitFor(Promise.all(steps))
      await scheduler.waitFor(rest())

      for (const { answer, least } of answers) {
        expect(answer, `SEED=${seed}`).toBeGreaterThanOrEqual(least)
      }
      for (const cache of caches) {
        const left = await scheduler.waitFor(cache.get('a'))
        expect([undefined, row], `SEED=${seed}`).toContain(left)
      }
    })
    await fc.assert(run, { seed, numRuns: 150, endOnFailure: true })
  },
  120_000,
)
