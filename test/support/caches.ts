// Caches for tests, in every arrangement that a promise must hold in.

import { inProcessBus } from '../../src/bus/in-process.ts'
import type { Cache } from '../../src/cache.ts'
import { type CacheOptions, createCache } from '../../src/create-cache.ts'
import { ManualClock } from '../../src/testing/manual-clock.ts'
import { Hub, memoryTier } from '../../src/tiers/memory.ts'

export interface Arrangement {
  readonly name: string
  /** Whether values outlive L1, because a tier holds them too. */
  readonly hasTier: boolean
  /** One more cache over the same backends: another process. */
  open(clock: ManualClock, hub: Hub, options?: CacheOptions): Cache
}

/** L1 alone, a tier without order, an authority without a bus, with one, two levels, no L1, a bus without a tier. */
export const arrangements: readonly Arrangement[] = [
  {
    name: 'L1 alone',
    hasTier: false,
    open: (clock, _, options) => createCache({ clock, ttl: '1m', ...options }),
  },
  {
    name: 'L1 over a tier that cannot order',
    hasTier: true,
    open: (clock, _, options) =>
      createCache({ clock, ttl: '1m', tiers: [memoryTier({ clock })], ...options }),
  },
  {
    name: 'L1 over a ledger, no bus',
    hasTier: true,
    open: (clock, hub, options) =>
      createCache({ clock, ttl: '1m', tiers: [memoryTier({ hub })], ...options }),
  },
  {
    name: 'L1 over a ledger with its bus',
    hasTier: true,
    open: (clock, hub, options) =>
      createCache({ clock, ttl: '1m', tiers: [memoryTier({ hub })], bus: inProcessBus({ hub }), ...options }),
  },
  {
    name: 'L1 over a copy over a ledger with its bus',
    hasTier: true,
    open: (clock, hub, options) =>
      createCache({
        clock,
        ttl: '1m',
        tiers: [memoryTier({ clock }), memoryTier({ hub })],
        bus: inProcessBus({ hub }),
        ...options,
      }),
  },
  {
    name: 'no L1, a ledger with its bus',
    hasTier: true,
    open: (clock, hub, options) =>
      createCache({
        clock,
        ttl: '1m',
        l1: false,
        tiers: [memoryTier({ hub })],
        bus: inProcessBus({ hub }),
        ...options,
      }),
  },
  {
    name: 'L1 with a bus and no tier',
    hasTier: false,
    open: (clock, hub, options) => createCache({ clock, ttl: '1m', bus: inProcessBus({ hub }), ...options }),
  },
]

/** The same, each within a namespace of a cache: whatever a cache promises, a namespace does. */
export const inNamespaces: readonly Arrangement[] = arrangements.map((arrangement) => ({
  ...arrangement,
  name: `a namespace of ${arrangement.name}`,
  open: (clock, hub, options) => arrangement.open(clock, hub, options).namespace('inner'),
}))

/** Lets everything happen that needs no time. */
export async function rest(): Promise<void> {
  for (let turn = 0; turn < 200; turn++) await Promise.resolve()
}

/** Lets time pass as it does: in steps short enough that what waits for an answer gets it. */
export function pass(clock: ManualClock, ms: number): Promise<void> {
  return clock.run(ms, 200)
}

/** A clock, a hub on it, and caches of one arrangement that are listening. */
export async function opened(
  arrangement: Arrangement,
  options?: CacheOptions,
): Promise<{ cache: Cache; other: Cache; clock: ManualClock; hub: Hub }> {
  const clock = new ManualClock()
  const hub = new Hub({ clock })
  const cache = arrangement.open(clock, hub, options)
  const other = arrangement.open(clock, hub, options)
  await rest()
  return { cache, other, clock, hub }
}

/** A promise that is settled from outside: a loader under the test's control. */
export function deferred<T>(): {
  promise: Promise<T>
  resolve(value: T): void
  reject(error: unknown): void
} {
  let resolve: (value: T) => void = () => {}
  let reject: (error: unknown) => void = () => {}
  const promise = new Promise<T>((settle, fail) => {
    resolve = settle
    reject = fail
  })
  return { promise, resolve, reject }
}
