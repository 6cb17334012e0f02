// Several caches over one backend, driven at random: reads, loads that take a while, writes, clears, time that
// passes, calls of the authority that fail before or after they took effect, and links that hold, double, swap, lose
// and cut messages. The clock is virtual.
//
// Truth is a number per key that only grows. Invariants, at every read:
//
//   C1  a read that was called after a mutation was called here never answers with an older number
//   C5  a read that was called a lease after a mutation was acknowledged anywhere never does either, whatever
//       was lost in between
//   C2  a mutation that was not taken rejects, and C1 holds all the same
//   and when the links work again and two leases have passed, no cache has anything from before an acknowledged
//   mutation, so nothing of it is left in the authority either (C6)
//
// SEED=n repeats one run, SEEDS=n makes n of them (300 without).

import { describe, expect, test } from 'vitest'
import { inProcessBus } from '../../src/bus/in-process.ts'
import type { Cache } from '../../src/cache.ts'
import { createCache } from '../../src/create-cache.ts'
import { type FaultPlan, flakyTier } from '../../src/testing/chaos.ts'
import { ManualClock } from '../../src/testing/manual-clock.ts'
import { Hub, memoryTier } from '../../src/tiers/memory.ts'
import { deferred, rest } from '../support/caches.ts'
import { seededRandom } from '../support/seeded-random.ts'

const seeds =
  process.env.SEED === undefined
    ? Array.from({ length: Number(process.env.SEEDS ?? 300) }, (_, at) => at + 1)
    : [Number(process.env.SEED)]
const STEPS = 400
const LEASE_MS = 3_000
const KEYS = ['a', 'b', 'c', 7, '\ud800']

type Layout = 'L1 over the authority' | 'L1 over a copy over the authority' | 'L1 and a bus'
const layouts: Layout[] = ['L1 over the authority', 'L1 over a copy over the authority', 'L1 and a bus']

function openCache(layout: Layout, clock: ManualClock, hub: Hub, plan: FaultPlan): Cache<number> {
  const authority = () => flakyTier(memoryTier({ hub }), { clock, plan })
  const tiers =
    layout === 'L1 and a bus'
      ? []
      : layout === 'L1 over the authority'
        ? [authority()]
        : [memoryTier({ clock }), authority()]
  return createCache<number>({
    clock,
    tiers,
    bus: inProcessBus({ hub }),
    ttl: null,
    l1: { maxEntries: 4 },
    lease: LEASE_MS,
    // Time here passes in leaps, between which nothing is asked of a tier but everything of a deadline.
    tierTimeout: '1d',
  })
}

async function run(layout: Layout, seed: number): Promise<void> {
  const random = seededRandom(seed)
  const pick = <T>(of: readonly T[]): T => of[Math.floor(random() * of.length)] as T
  const clock = new ManualClock()
  const hub = new Hub({ clock, partitions: 3, logMessages: 20 })
  // A workload that is always the same finds always the same: guards that only a long silence needs go untested
  // when somebody writes all the time.
  const writeShare = pick([0.005, 0.03, 0.1])
  const timeShare = pick([0.03, 0.1, 0.2])
  const leapMs = pick([100, 400, 1_500])
  const failsCalls = random() < 0.5
  const losesMessages = random() < 0.5
  const cutsLinks = random() < 0.5

  // Calls of the authority that fail, before or after they took effect, or take a while.
  let isQuiet = true
  const plan: FaultPlan = () => {
    if (isQuiet || !failsCalls || random() > 0.1) return 'work'
    return pick<ReturnType<FaultPlan>>(['fail', 'fail-after', { delayMs: 150 }, { answerDelayMs: 150 }])
  }
  const caches = [0, 1, 2].map(() => openCache(layout, clock, hub, plan))
  await rest()
  isQuiet = false

  const truth = new Map<string | number, number>(KEYS.map((key) => [key, 0]))
  /** By key: which number was acknowledged when. */
  const acknowledged = new Map<string | number, { value: number; at: number }[]>(KEYS.map((key) => [key, []]))
  const leastAnywhere = (key: string | number): number =>
    Math.max(
      0,
      ...(acknowledged.get(key) ?? []).flatMap(({ value, at }) =>
        at + LEASE_MS <= clock.now() ? value : [],
      ),
    )
  /** By process and key: the least number a read called now may answer with. */
  const floors = caches.map(() => new Map<string | number, number>())
  const running: Promise<unknown>[] = []
  const loads: ReturnType<typeof deferred<void>>[] = []

  const read = async (process: number, key: string | number, step: number): Promise<void> => {
    const least = floors[process]?.get(key) ?? 0
    const leastByNow = leastAnywhere(key)
    const cache = caches[process] as Cache<number>
    const kind = Math.floor(random() * 3)
    const load = async () => {
      const value = truth.get(key) as number
      const loading = deferred<void>()
      loads.push(loading)
      await loading.promise
      return value
    }
    const answer =
      kind === 0
        ? await cache.get(key)
        : kind === 1
          ? (await cache.getMany([key, 'z'])).get(key)
          : await cache.getOrSet(key, load)
    if (answer === undefined) return
    const where = `SEED=${seed} step ${step} ${layout} ${String(key)}`
    expect(answer, `${where} C1`).toBeGreaterThanOrEqual(least)
    expect(answer, `${where} C5`).toBeGreaterThanOrEqual(leastByNow)
  }
  // A set carries a number that a later write makes old; were both under way at once, their order would be the
  // application's affair. So nothing else is written to a key while it is being set.
  const setting = new Set<string | number>()
  const write = async (process: number, key: string | number): Promise<void> => {
    if (setting.has(key)) return
    const value = (truth.get(key) as number) + 1
    truth.set(key, value)
    floors[process]?.set(key, value)
    const cache = caches[process] as Cache<number>
    const isSet = random() < 0.5
    if (isSet) setting.add(key)
    try {
      await (isSet ? cache.set(key, value) : cache.delete(key))
      acknowledged.get(key)?.push({ value, at: clock.now() })
    } catch (error) {
      expect(error).toMatchObject({ code: 'CACHE_TIER_FAILED' })
    }
    if (isSet) setting.delete(key)
  }

  for (let step = 0; step < STEPS; step++) {
    const process = Math.floor(random() * caches.length)
    const draw = random()
    if (draw < 0.4) running.push(read(process, pick(KEYS), step))
    else if (draw < 0.4 + writeShare) running.push(write(process, pick(KEYS)))
    else if (draw < 0.4 + 1.1 * writeShare && setting.size === 0) {
      for (const key of KEYS) {
        truth.set(key, (truth.get(key) as number) + 1)
        floors[process]?.set(key, truth.get(key) as number)
      }
      running.push((caches[process] as Cache<number>).clear().catch(() => {}))
    } else if (draw < 0.55 + timeShare) {
      if (draw >= 0.55) clock.advance(random() * leapMs)
    } else if (draw < 0.82) loads.splice(Math.floor(random() * loads.length), 1)[0]?.resolve()
    else {
      const link = pick(hub.links)
      const at = Math.floor(random() * link.queue.length)
      const fault = random()
      if (fault < 0.3) link.hold()
      else if (fault < 0.6) link.release()
      else if (fault < 0.7 && at < link.queue.length)
        link.queue.push(link.queue[at] as (typeof link.queue)[number])
      else if (fault < 0.8 && losesMessages) link.queue.splice(at, 1)
      else if (fault < 0.9) link.queue.sort(() => random() - 0.5)
      else if (cutsLinks) {
        if (random() < 0.5) link.cut(new Error('cut'))
        else link.mend()
      }
    }
    if (random() < 0.9) for (let turn = Math.floor(random() * 40); turn > 0; turn--) await Promise.resolve()
  }

  isQuiet = true
  const ended = Promise.all(running).then(() => true)
  for (let hasEnded = false; !hasEnded; hasEnded = await Promise.race([ended, rest().then(() => false)])) {
    for (const loading of loads.splice(0)) loading.resolve()
    await clock.run(200)
  }
  for (const link of hub.links) {
    link.mend()
    link.release()
  }
  await clock.run(2 * LEASE_MS, 250)

  for (const key of KEYS) {
    for (const [process, cache] of caches.entries()) {
      const answer = await cache.get(key)
      if (answer === undefined) continue
      const where = `SEED=${seed} at the end, process ${process} ${layout} ${String(key)}`
      // What was neither acknowledged nor called here may or may not have happened.
      expect(answer, where).toBeGreaterThanOrEqual(
        Math.max(leastAnywhere(key), floors[process]?.get(key) ?? 0),
      )
      expect(answer, where).toBeLessThanOrEqual(truth.get(key) as number)
    }
  }
}

describe.each(layouts)('caches that share a backend: %s', (layout) => {
  test('agree with the truth within a lease, and each with its own mutations at once', async () => {
    for (const seed of seeds) {
      await run(layout, seed)
      // What a run leaves behind can be collected only between turns of the event loop.
      await new Promise((resolve) => setImmediate(resolve))
    }
  }, 120_000)
})
