// One run of the simulator: several processes over one authority, driven at random. Everything under test is the
// real thing; what is simulated is the backend (a hub), the way to it, the bus, time, and crashes.
//
// Truth is a number per key that only grows. A loader reads it when it begins and answers when the run lets it. What
// is checked, at every read:
//
//   C1  a read that was called after a mutation was called in its process never answers with an older number,
//       whether the mutation was taken or not (C2)
//   C5  a read that was called a lease after a mutation was acknowledged anywhere never does either, whatever was
//       lost, doubled, swapped or cut in between
//   and at the end, when all works again and two leases have passed, no process has anything from before an
//   acknowledged mutation, so nothing of it is left at the authority (C6)
//
// What a run does, and which faults strike it, is drawn from its seed: a workload that is always the same would find
// always the same.

import { expect } from 'vitest'
import { inProcessBus } from '../../src/bus/in-process.ts'
import type { Cache } from '../../src/cache.ts'
import { createCache } from '../../src/create-cache.ts'
import { type FaultPlan, flakyTier } from '../../src/testing/chaos.ts'
import { ManualClock } from '../../src/testing/manual-clock.ts'
import { Hub, memoryTier } from '../../src/tiers/memory.ts'
import type { Tier } from '../../src/tiers/tier.ts'
import { deferred, rest } from '../support/caches.ts'
import { seededRandom } from '../support/seeded-random.ts'

type Key = string | number

const STEPS = 500
const LEASE_MS = 3_000
const KEYS: readonly Key[] = ['a', 'b', 'c', 7, '\ud800']

/** What stands between L1 and the authority. */
export const layouts = [
  'L1 over the authority',
  'L1 over a copy over the authority',
  'L1 over a copy that two processes share',
  'L1 and a bus',
] as const
export type Layout = (typeof layouts)[number]

interface SimulatedProcess {
  readonly cache: Cache<number>
  /** By key: the least number that a read called now may answer with. */
  readonly floors: Map<Key, number>
  /** Resolves when it is killed; what it was doing ends nowhere. */
  readonly killed: ReturnType<typeof deferred<'killed'>>
  kill(): void
}

/** @throws An error that begins with the line which repeats the run. */
export async function simulate(layout: Layout, seed: number): Promise<void> {
  const random = seededRandom(seed)
  const pick = <T>(of: readonly T[]): T => of[Math.floor(random() * of.length)] as T
  const chance = (share: number): boolean => random() < share

  const clock = new ManualClock()
  const hub = new Hub({ clock, partitions: pick([1, 3, 5]), logMessages: pick([5, 20, 200]) })
  const machines = [memoryTier({ clock, scope: 'machine' }), memoryTier({ clock, scope: 'machine' })]
  const weights = {
    read: 40,
    write: pick([0.5, 3, 10]),
    time: pick([3, 10, 20]),
    load: pick([2, 25]),
    link: chance(0.8) ? 18 : 0,
    kill: chance(0.3) ? 0.5 : 0,
    reset: chance(0.2) ? 0.3 : 0,
    settle: 8,
  }
  const leapMs = pick([100, 400, 1_500])
  const losesMessages = chance(0.5)
  const cutsLinks = chance(0.5)
  const failShare = pick([0, 0.1, 0.4])
  const clearShare = pick([0.02, 0.25])
  let isQuiet = true

  const truth = new Map<Key, number>(KEYS.map((key) => [key, 0]))
  const acknowledged = new Map<Key, { value: number; at: number }[]>(KEYS.map((key) => [key, []]))
  const leastAnywhere = (key: Key): number =>
    Math.max(
      0,
      ...(acknowledged.get(key) ?? []).flatMap(({ value, at }) =>
        at + LEASE_MS <= clock.now() ? value : [],
      ),
    )
  // A set carries a number that a later write makes old; were both under way at once, their order would be the
  // application's affair. So nothing else is written to a key while it is being set.
  const setting = new Set<Key>()
  const loads: ReturnType<typeof deferred<void>>[] = []
  const running: Promise<unknown>[] = []
  const where = (what: string, key: Key) => `SEED=${seed} ${layout}, ${what} of ${JSON.stringify(key)}`

  const start = (place: number): SimulatedProcess => {
    let isKilled = false
    const plan: FaultPlan = () => {
      if (isKilled) return 'hang'
      if (isQuiet || !chance(failShare)) return 'work'
      return pick<ReturnType<FaultPlan>>(['fail', 'fail-after', { delayMs: 150 }, { answerDelayMs: 150 }])
    }
    const authority = flakyTier(memoryTier({ hub, scope: 'fleet' }), { clock, plan })
    const tiersOf: Record<Layout, () => Tier[]> = {
      'L1 over the authority': () => [authority],
      'L1 over a copy over the authority': () => [memoryTier({ clock }), authority],
      'L1 over a copy that two processes share': () => [machines[place % 2] as Tier, authority],
      'L1 and a bus': () => [],
    }
    const bus = inProcessBus({ hub, scope: 'fleet' })
    const cache = createCache<number>({
      clock,
      tiers: tiersOf[layout](),
      bus,
      ttl: null,
      l1: { maxEntries: 4 },
      lease: LEASE_MS,
      // Time here passes in leaps, between which nothing is asked of a tier but everything of a deadline.
      tierTimeout: '1d',
    })
    const killed = deferred<'killed'>()
    return {
      cache,
      killed,
      floors: new Map(),
      kill: () => {
        isKilled = true
        killed.resolve('killed')
        void bus.close()
      },
    }
  }
  const processes = Array.from({ length: pick([2, 3, 4]) }, (_, place) => start(place))
  await rest()
  isQuiet = false

  const orKilled = <T>({ killed }: SimulatedProcess, call: Promise<T>): Promise<T | 'killed'> =>
    Promise.race([call, killed.promise])

  const read = async (process: SimulatedProcess, key: Key): Promise<void> => {
    const { cache, floors } = process
    const leastHere = floors.get(key) ?? 0
    const least = leastAnywhere(key)
    const load = async () => {
      const value = truth.get(key) as number
      const loading = deferred<void>()
      loads.push(loading)
      await loading.promise
      return value
    }
    const calls = [
      () => cache.get(key),
      async () => (await cache.getMany([key, 'z'])).get(key),
      () => cache.getOrSet(key, load),
      async () => cache.l1.get(key),
    ]
    const answer = await orKilled(process, pick(calls)())
    if (answer === undefined || answer === 'killed') return
    expect(answer, where('C1', key)).toBeGreaterThanOrEqual(leastHere)
    expect(answer, where('C5', key)).toBeGreaterThanOrEqual(least)
  }

  const write = async (process: SimulatedProcess, key: Key): Promise<void> => {
    if (setting.has(key)) return
    const value = (truth.get(key) as number) + 1
    truth.set(key, value)
    process.floors.set(key, value)
    const isSet = chance(0.5)
    if (isSet) setting.add(key)
    try {
      const { cache } = process
      const outcome = await orKilled<unknown>(process, isSet ? cache.set(key, value) : cache.delete(key))
      // A killed process may have left its set on the way; it ends there, so that it cannot come after a later one.
      if (outcome === 'killed') return
      acknowledged.get(key)?.push({ value, at: clock.now() })
    } catch (error) {
      expect(error, where('failed write', key)).toMatchObject({ code: 'CACHE_TIER_FAILED' })
    }
    if (isSet) setting.delete(key)
  }

  const clear = async (process: SimulatedProcess): Promise<void> => {
    if (setting.size > 0) return
    const values = KEYS.map((key) => (truth.get(key) as number) + 1)
    for (const [turn, key] of KEYS.entries()) {
      truth.set(key, values[turn] as number)
      process.floors.set(key, values[turn] as number)
    }
    try {
      if ((await orKilled(process, process.cache.clear())) === 'killed') return
      for (const [turn, key] of KEYS.entries()) {
        acknowledged.get(key)?.push({ value: values[turn] as number, at: clock.now() })
      }
    } catch (error) {
      expect(error, where('failed clear', '')).toMatchObject({ code: 'CACHE_TIER_FAILED' })
    }
  }

  const disturbLink = (): void => {
    const link = pick(hub.links)
    if (link === undefined) return
    const at = Math.floor(random() * link.queue.length)
    const faults: (() => void)[] = [
      () => link.hold(),
      () => link.hold(),
      () => link.release(),
      () => link.release(),
      () => {
        const delivery = link.queue[at]
        if (delivery !== undefined) link.queue.push(delivery)
      },
      () => link.queue.sort(() => random() - 0.5),
    ]
    if (losesMessages) faults.push(() => link.queue.splice(at, 1))
    if (cutsLinks) faults.push(() => (chance(0.5) ? link.cut(new Error('cut')) : link.mend()))
    pick(faults)()
  }

  const actions: Record<keyof typeof weights, () => unknown> = {
    read: () => running.push(read(pick(processes), pick(KEYS))),
    write: () =>
      running.push(chance(clearShare) ? clear(pick(processes)) : write(pick(processes), pick(KEYS))),
    time: () => clock.advance(random() * leapMs),
    load: () => loads.splice(Math.floor(random() * loads.length), 1)[0]?.resolve(),
    link: disturbLink,
    kill: () => {
      const place = Math.floor(random() * processes.length)
      processes[place]?.kill()
      processes[place] = start(place)
    },
    reset: () => hub.reset(),
    settle: () => rest(),
  }
  const names = Object.keys(weights) as (keyof typeof weights)[]
  const total = names.reduce((sum, name) => sum + weights[name], 0)

  for (let step = 0; step < STEPS; step++) {
    let drawn = random() * total
    const name = names.find((candidate) => {
      drawn -= weights[candidate]
      return drawn < 0
    })
    if (name !== undefined) await actions[name]()
    for (let turn = Math.floor(random() * 30); turn > 0; turn--) await Promise.resolve()
  }

  isQuiet = true
  for (const link of hub.links) {
    link.mend()
    link.release()
  }
  const ended = Promise.all(running).then(() => true)
  for (let hasEnded = false; !hasEnded; hasEnded = await Promise.race([ended, rest().then(() => false)])) {
    for (const loading of loads.splice(0)) loading.resolve()
    for (const link of hub.links) link.release()
    await clock.run(200)
  }
  await clock.run(2 * LEASE_MS, 250)

  for (const key of KEYS) {
    for (const [place, { cache, floors }] of processes.entries()) {
      const answer = await cache.get(key)
      if (answer === undefined) continue
      // What was neither acknowledged nor called here may or may not have happened.
      const least = Math.max(leastAnywhere(key), floors.get(key) ?? 0)
      expect(answer, where(`end in process ${place}`, key)).toBeGreaterThanOrEqual(least)
      expect(answer, where(`end in process ${place}`, key)).toBeLessThanOrEqual(truth.get(key) as number)
    }
  }
}
