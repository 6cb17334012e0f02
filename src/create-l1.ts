// `createL1`: a first level alone, without tiers, bus or loaders. Options are checked here, once; what is
// below takes them as they are.

import { type Clock, systemClock } from './clock.ts'
import { type Codec, checkCodec } from './codecs/codec.ts'
import { jsonCodec } from './codecs/json.ts'
import { isPrecompiled } from './core/module.ts'
import { checkPolicy, defaultPolicy, type EvictionPolicy } from './core/policies.ts'
import { type Duration, toMs } from './duration.ts'
import { type BudgetOptions, budgetNames, budgetOf } from './l1/budget.ts'
import { L1, type RemovalListener } from './l1/l1.ts'
import { type SharingOptions, sharingNames, sharingOf } from './l1/sharing.ts'
import {
  checkClock,
  checkFlag,
  checkFunction,
  checkNames,
  checkRandom,
  checkStream,
  ttlMsOf,
} from './options.ts'
import { type Random, systemRandom } from './random.ts'

export type { Codec } from './codecs/codec.ts'
export type { EvictionPolicy } from './core/policies.ts'
export type { Key } from './key.ts'
export type { BudgetOptions } from './l1/budget.ts'
export type {
  L1,
  L1CallOptions,
  L1Inspection,
  L1Stats,
  RemovalCause,
  RemovalListener,
  RestoreOutcome,
} from './l1/l1.ts'
export type { PreparedKey } from './l1/prepared-key.ts'
export type { SharingOptions } from './l1/sharing.ts'

/** Options of `createL1`. */
export interface L1Options<V> extends BudgetOptions<V>, SharingOptions<V> {
  /**
   * How long an entry lives after it was set: milliseconds, or text such as `'5m'`.
   *
   * @defaultValue `null`: entries have no deadline unless `set` gives them one. `0` stores nothing.
   */
  ttl?: Duration | null

  /**
   * Which entry is evicted. `'lru'`, the one whose last use is the longest ago, is what many expect and what is
   * easiest to foresee; the default keeps what is asked for often, and hits more.
   *
   * @defaultValue `'lazy-tinylfu'`
   */
  policy?: EvictionPolicy

  /**
   * How values become bytes: with `values: 'bytes'` those other than text and `Uint8Array`, in snapshots those other
   * than text and numbers.
   *
   * @defaultValue JSON that keeps `Uint8Array`, `Date`, `Map`, `Set`, `BigInt` and `undefined`
   */
  codec?: Codec

  /**
   * Told of every entry that leaves, with its value and the cause; called when the operation that removed it
   * is complete, in the order of the removals. It may use the cache.
   *
   * What it throws reaches the caller of that operation after all removals were told (several errors as one
   * AggregateError); the operation has taken effect nevertheless. Expiry that no call brought about is told
   * from a timer, and what is thrown there is an uncaught exception. With a listener an eviction costs
   * reading its key.
   */
  onRemoval?: RemovalListener<V>

  /**
   * Whether `get` gives an entry its ttl anew, so that it expires that long after its last use. `peek`, `has` and
   * entries without a ttl are as they were.
   *
   * @defaultValue `false`
   */
  touchOnGet?: boolean

  /**
   * A snapshot of an earlier cache (`l1.snapshot()`), read as soon as the cache is made. What is damaged, foreign or
   * incomplete is not used; `l1.restored` says what came of it. Time that has passed since counts, by the wall clock.
   *
   * @defaultValue none: the cache begins empty
   */
  restore?: AsyncIterable<Uint8Array> | Iterable<Uint8Array>

  /**
   * For how long reads share one reading of the clock, in milliseconds: a reading costs as much as a hit. It
   * is renewed by a timer, so an entry may be served after its deadline for this long and for as long as
   * synchronous work holds the event loop. `0` reads the clock for each operation. Writes with a ttl always
   * do. Without deadlines no clock is read.
   *
   * @defaultValue `1`; `0` on edge platforms, where timers end with the request
   */
  clockResolution?: Duration

  /**
   * What the time is. Should it go back, the cache's time stands still until it has caught up.
   *
   * @defaultValue the machine's monotonic clock
   */
  clock?: Clock

  /**
   * Where the secrets come from that keep the index safe from keys made to collide.
   *
   * @defaultValue Web Crypto
   */
  random?: Random
}

const optionNames: readonly (keyof L1Options<unknown>)[] = [
  ...budgetNames,
  ...sharingNames,
  'clock',
  'clockResolution',
  'codec',
  'onRemoval',
  'policy',
  'random',
  'restore',
  'touchOnGet',
  'ttl',
]

/**
 * A cache in this process: synchronous, bounded by a number of entries or bytes, with deadlines where wanted.
 *
 * @throws TypeError or RangeError for an option that is unknown or wrong, with its name, value and rule;
 *   RangeError when the engine does not grant the memory; Error when a Content-Security-Policy forbids
 *   WebAssembly.
 * @example
 * const l1 = createL1<{ name: string }>({ maxEntries: 10_000, ttl: '5m' })
 * l1.set('user:7', { name: 'Ada' })
 * l1.get('user:7')?.name // 'Ada'
 * l1.get('user:8') // undefined
 */
export function createL1<V>(options: L1Options<V>): L1<V> {
  checkNames(options, [...optionNames].sort(), 'createL1')
  const {
    ttl = null,
    policy = defaultPolicy,
    codec = jsonCodec(),
    onRemoval,
    touchOnGet = false,
    restore,
    clockResolution = isPrecompiled ? 0 : 1,
    clock = systemClock,
    random = systemRandom,
  } = options
  if (onRemoval !== undefined) checkFunction(onRemoval, 'onRemoval')
  checkFlag(touchOnGet, 'touchOnGet')
  const budget = budgetOf(options, checkCodec(codec))
  const sharing = sharingOf(options, budget.codec !== undefined)
  return new L1<V>({
    ...budget,
    policy: checkPolicy(policy, 'policy', budget.maxBytes > 0),
    ttlMs: ttlMsOf(ttl),
    clockResolutionMs: toMs(clockResolution, 'clockResolution'),
    hasTimers: !isPrecompiled,
    clock: checkClock(clock),
    random: checkRandom(random),
    onRemoval,
    touchOnGet,
    snapshotCodec: codec,
    restore: restore === undefined ? undefined : checkStream(restore, 'restore'),
    ...sharing,
    partitions: 0,
  })
}
