// The composition root: options in, a wired `Cache` out. The only place where parts are made and meet.

import type { Bus } from './bus/bus.ts'
import { Cache, type CacheHealth } from './cache.ts'
import type { Clock } from './clock.ts'
import { type Codec, checkCodec } from './codecs/codec.ts'
import { jsonCodec } from './codecs/json.ts'
import { authorityOf, copiesBefore } from './coordinator/authority.ts'
import { Coordinator } from './coordinator/coordinator.ts'
import { Copies } from './coordinator/copies.ts'
import { Doubts } from './coordinator/doubts.ts'
import { defaultLimits, Guard } from './coordinator/guard.ts'
import { HoldOff } from './coordinator/hold-off.ts'
import { Invalidations } from './coordinator/invalidations.ts'
import { Outbox } from './coordinator/outbox.ts'
import { Snapshots } from './coordinator/snapshots.ts'
import { Tags } from './coordinator/tags.ts'
import { type Level, TierStack } from './coordinator/tier-stack.ts'
import { isPrecompiled } from './core/module.ts'
import { checkPolicy, defaultPolicy, type EvictionPolicy } from './core/policies.ts'
import { type Duration, describe, toMs } from './duration.ts'
import { type KeyVersion, keyScope } from './key.ts'
import type { CacheOf } from './key-map.ts'
import { type BudgetOptions, budgetNames, budgetOf } from './l1/budget.ts'
import { L1, nothingRestored } from './l1/l1.ts'
import { type SharingOptions, sharingNames, sharingOf } from './l1/sharing.ts'
import { adviceOn } from './metrics/advisor.ts'
import { Events } from './metrics/events.ts'
import {
  checkClock,
  checkCount,
  checkFlag,
  checkFunction,
  checkNames,
  checkRandom,
  checkStream,
  type LifetimeOptions,
  type LoadLimits,
  resolveDefaults,
} from './options.ts'
import { type Random, randomId } from './random.ts'
import type { RequestPort } from './request-memory.ts'
import type { Tier } from './tiers/tier.ts'

/** Options of the first level within a cache. */
export interface CacheL1Options extends BudgetOptions<unknown>, SharingOptions<unknown> {
  /**
   * The most entries held in this process, 1 to 67,108,863. One more evicts the one that `policy` names.
   *
   * @defaultValue `10_000`; with `maxBytes` as in `createL1`
   */
  maxEntries?: number

  /**
   * Which entry is evicted, as in `createL1`.
   *
   * @defaultValue `'lazy-tinylfu'`
   */
  policy?: EvictionPolicy

  /**
   * When a value is copied. As in `createL1`, but that with `'get'` it is copied when it is stored as well: a loaded
   * value goes to all who waited for it, and none of them can change what is stored.
   *
   * @defaultValue `'never'`
   */
  cloneOn?: 'get' | 'set' | 'never'

  /**
   * A snapshot of an earlier cache (`cache.snapshot()`), read as soon as the cache is made; `cache.restored` and the
   * event `snapshot.restored` say what came of it. What is damaged, incomplete or of another cache is not used. With a
   * bus an entry comes in when the authority's log shows that its key was not changed meanwhile; if the log does not
   * reach back so far, the entries of that partition are left out. The authority is waited for, 30 s at the most.
   *
   * @defaultValue none: the first level begins empty
   */
  restore?: AsyncIterable<Uint8Array> | Iterable<Uint8Array>

  /**
   * Without a bus: that nothing has changed since the snapshot was made, or that nobody minds. Nothing here could find
   * out, so without a bus `restore` is refused unless this is `true`. With a bus it has nothing to do, and is refused.
   *
   * @defaultValue `false`
   */
  trustSnapshot?: boolean
}

/** Options of `createCache`. */
export interface CacheOptions extends LifetimeOptions, LoadLimits {
  /**
   * What stored keys begin with, so that several caches can share a backend. Any text.
   *
   * @defaultValue `''`
   */
  prefix?: string

  /**
   * The key version of all calls that name none: 1 to 32 letters, digits, dots, hyphens and underscores, or a
   * whole number. Raising it leaves all older entries behind.
   *
   * @defaultValue `1`
   */
  version?: KeyVersion

  /**
   * The first level, in this process; `false` leaves it out.
   *
   * @defaultValue `{ maxEntries: 10_000 }`
   */
  l1?: CacheL1Options | false

  /**
   * The levels below, from the nearest to the farthest. With a bus the farthest is the one that orders mutations.
   *
   * @defaultValue `[]`: L1 is all there is.
   */
  tiers?: readonly Tier[]

  /**
   * What keeps the copies of several processes honest.
   *
   * @defaultValue none: other processes' mutations show here when the ttl is over.
   */
  bus?: Bus

  /**
   * With a bus: how long copies in this process may be used without proof that every mutation elsewhere is heard
   * here. It bounds how old an answer can be when messages are lost, the connection dies unnoticed, or this process
   * was stopped. The proof costs a call of the authority three times in this time. At least 500 ms.
   *
   * @defaultValue `3_000` milliseconds
   */
  lease?: Duration

  /**
   * How values become bytes for the tiers.
   *
   * @defaultValue JSON that keeps `Uint8Array`, `Date`, `Map`, `Set`, `BigInt` and `undefined`
   */
  codec?: Codec

  /**
   * The most loaders that run at once; more wait in the order in which they were asked for, within their
   * `loadTimeout`. Give that too: a loader that never settles keeps its place otherwise.
   *
   * @defaultValue `null`, no limit
   */
  maxLoads?: number | null

  /**
   * Gets a promise for each piece of work that goes on behind an answer: refreshes, and loads that `softLoadTimeout`
   * let go on. It never rejects. For platforms that stop a program when it has answered. What this throws is the event
   * `listener.failed`.
   *
   * @defaultValue none
   * @example
   * createCache({ ttl: '1m', staleWhileRevalidate: '1m', waitUntil: (work) => context.waitUntil(work) })
   */
  waitUntil?: (work: Promise<unknown>) => void

  /**
   * How long one call of a tier may take; after that it is a miss, or a mutation that failed.
   *
   * @defaultValue `500` milliseconds
   */
  tierTimeout?: Duration

  /**
   * Told, once and while the cache is made, of options that defeat each other. `health().advice` has them too.
   *
   * @defaultValue none
   */
  onAdvice?: (advice: string) => void

  /**
   * For how long after a `delete`, `deleteTags` or `clear`, here or elsewhere, a value that is loaded is returned and not
   * kept: for a source that answers from a replica which is behind.
   *
   * @defaultValue `0`, what is loaded after it is kept
   */
  holdOff?: Duration

  /**
   * What becomes of a mutation that the authority does not take. `'reject'`: the call rejects with `CACHE_TIER_FAILED`.
   * `'queue'`: the call resolves, and the mutation is delivered when the authority is back, the last one of each key,
   * in their order; until then the key is answered from no copy and no tier in this process.
   *
   * @defaultValue `'reject'`
   */
  whenDown?: 'reject' | 'queue'

  /**
   * With `whenDown: 'queue'`: the most that waits, in bytes. What is over it becomes one clear of the whole cache.
   *
   * @defaultValue 16 MiB
   */
  maxQueuedBytes?: number

  /**
   * With a bus: which share of the hits in the first level is compared with the authority, behind the answer. What L1
   * still answers with a lease after the authority had something newer is dropped, counted (`stats().auditStale`) and
   * told (`audit.stale`): it must never be. One is compared at a time; `0` compares none.
   *
   * @defaultValue `0.0001`, one in 10,000
   */
  audit?: number

  /**
   * Has each request look a key up once, and see its own mutations: `requestScope()` of `tierwheel/request-scope`, whose
   * `run` says what a request is. What others do meanwhile is not seen by what a request has looked up already.
   *
   * @defaultValue none: each read is a look-up
   */
  requestScope?: RequestPort

  /** @defaultValue the machine's clock */
  clock?: Clock

  /** @defaultValue the machine's randomness */
  random?: Random
}

const l1Names: readonly (keyof CacheL1Options)[] = [
  ...budgetNames,
  ...sharingNames,
  'policy',
  'restore',
  'trustSnapshot',
]

const optionNames: readonly (keyof CacheOptions)[] = [
  'audit',
  'bus',
  'clock',
  'codec',
  'failureThrottle',
  'holdOff',
  'jitter',
  'l1',
  'lease',
  'loadLease',
  'loadTimeout',
  'maxLoads',
  'onAdvice',
  'maxQueuedBytes',
  'prefix',
  'random',
  'refreshAhead',
  'requestScope',
  'softLoadTimeout',
  'staleIfError',
  'staleWhileRevalidate',
  'tierTimeout',
  'tiers',
  'ttl',
  'version',
  'waitUntil',
  'whenDown',
]

const DEFAULT_AUDIT = 1 / 10_000
const DEFAULT_L1_ENTRIES = 10_000
const DEFAULT_QUEUED_BYTES = 16 * 2 ** 20
const DEFAULT_LEASE_MS = 3_000
const LEAST_LEASE_MS = 500

/**
 * Creates a cache.
 *
 * Nothing is awaited here: tiers open with their first operation, the bus begins to listen, and until it does,
 * copies in this process are not used.
 *
 * @throws TypeError or RangeError for options that can not be right, with the name, the value and the rule; and
 *   for tiers and a bus that do not go together, with the reason.
 * @example
 * const cache = createCache({ ttl: '5m' })
 * const user = await cache.getOrSet('user:7', () => ({ name: 'Ada' }))
 */
export function createCache<V = unknown>(options: CacheOptions = {}): CacheOf<V> {
  checkNames(options, optionNames, 'createCache')
  const clock = checkClock(options.clock)
  const random = checkRandom(options.random)
  const codec = options.codec === undefined ? jsonCodec() : checkCodec(options.codec)
  const { onAdvice, prefix = '', version = 1 } = options
  const tiers = checkTiers(options.tiers === undefined ? [] : options.tiers)
  const bus = options.bus === undefined ? undefined : checkBus(options.bus)
  const scope = keyScope(prefix, version)
  const defaults = resolveDefaults(options)
  const deadlineMs =
    options.tierTimeout === undefined ? defaultLimits.deadlineMs : toMs(options.tierTimeout, 'tierTimeout')
  const leaseMs = options.lease === undefined ? DEFAULT_LEASE_MS : toMs(options.lease, 'lease')
  if (leaseMs < LEAST_LEASE_MS) {
    throw new RangeError(
      `lease: ${leaseMs} ms is less than ${LEAST_LEASE_MS}; a shorter one would lapse between its proofs`,
    )
  }
  if (deadlineMs === 0)
    throw new RangeError('tierTimeout: 0 would let no tier answer; give it at least a millisecond')

  const maxLoads =
    options.maxLoads === undefined || options.maxLoads === null
      ? Number.POSITIVE_INFINITY
      : checkCount(options.maxLoads, 'maxLoads', 1, Number.MAX_SAFE_INTEGER)
  const { waitUntil } = options
  if (waitUntil !== undefined) checkFunction(waitUntil, 'waitUntil')
  if (onAdvice !== undefined) checkFunction(onAdvice, 'onAdvice')

  const { audit = DEFAULT_AUDIT } = options
  if (typeof audit !== 'number') throw new TypeError(`audit: ${describe(audit)} is not a number`)
  if (!(audit >= 0 && audit <= 1)) throw new RangeError(`audit: ${audit} is no share; it goes from 0 to 1`)

  const { requestScope } = options
  if (requestScope !== undefined) checkRequestScope(requestScope)

  const holdOffMs = options.holdOff === undefined ? 0 : toMs(options.holdOff, 'holdOff')

  const events = new Events()
  const authority = authorityOf(tiers, bus)
  if (bus !== undefined) takenBuses.add(bus)
  const limits = { ...defaultLimits, deadlineMs, sharesTimers: !isPrecompiled }
  const levels: Level[] = tiers.map((tier) => ({
    tier,
    guard: new Guard(tier.name, clock, events, limits),
    hits: 0,
    misses: 0,
    uncleared: new Set<string>(),
  }))
  const authorityGuard =
    authority?.depth === undefined
      ? authority && new Guard(authority.name, clock, events, limits)
      : levels[authority.depth]?.guard
  const invalidations = new Invalidations(
    clock,
    bus !== undefined,
    copiesBefore(authority, levels.length) > 0,
  )
  const doubts = new Doubts()
  const tags = new Tags({
    ledger: authority?.ledger,
    guard: authorityGuard,
    hasBus: bus !== undefined,
    prefix: scope.prefix,
    clock,
    random,
  })
  const stack = new TierStack({
    levels,
    authority,
    authorityGuard,
    codec,
    invalidations,
    doubts,
    clock,
    tags,
    events,
  })
  const { l1: first = {} } = options
  const l1 = first === false ? undefined : createFirstLevel(first, codec, bus, clock, random)
  const copies = new Copies({ l1, invalidations, tags, hasBus: bus !== undefined, clock, scope })
  const origin = randomId(random)
  const busGuard = bus && new Guard(bus.name, clock, events, limits)
  const coordinator = new Coordinator({
    copies,
    tags,
    holdOff: new HoldOff(clock, holdOffMs),
    outbox: outboxOf(options),
    doubts,
    stack,
    authority,
    bus,
    busGuard,
    leaseMs,
    audit,
    codec,
    clock,
    random,
    events,
    origin,
    scope,
    defaults,
    maxLoads,
    closeMs: deadlineMs,
    waitUntil,
    requests: requestScope,
    copy: (value) => (l1 === undefined ? value : l1.copy(value)),
  })

  const { inbound } = coordinator
  const snapshots = new Snapshots({ copies, tags, scope, clock, authority, inbound, busGuard })
  const restore = first === false ? undefined : first.restore
  const restored = restore && l1?.restore(restore, snapshots)
  void restored?.then(({ status, entries, leftOut, error }) => {
    if (events.hears('snapshot.restored')) {
      events.tell('snapshot.restored', { status, entries, leftOut, error })
    }
  })

  const advice = adviceOn({
    ...defaults,
    ttlMs: defaults.lifetime?.ttlMs,
    maxLoads,
    hasRefreshAhead: defaults.refreshAhead !== undefined,
    hasL1: l1 !== undefined,
    scopes: tiers.map(({ scope: reach }) => reach),
    hasBus: bus !== undefined,
    hasLeases: authority?.depth !== undefined,
  })
  for (const each of advice) onAdvice?.(each)

  const cache = new Cache<V>({
    coordinator,
    events,
    clock,
    scope,
    version,
    defaults,
    l1,
    restored: restored ?? Promise.resolve(nothingRestored('absent')),
    snapshot: () => (l1 as L1<unknown>).save(snapshots),
    tiers: () =>
      levels.map(({ tier, guard, hits, misses }) => ({
        name: tier.name,
        hits,
        misses,
        failures: guard.failures,
      })),
    health: (): CacheHealth => ({
      closed: coordinator.isClosed,
      advice,
      outbox: coordinator.delivery.waiting,
      copiesTrusted: coordinator.inbound?.isConnected ?? true,
      authority: authority && {
        name: authority.name,
        scope: authority.scope,
        kind: authority.depth === undefined ? 'bus' : 'tier',
      },
      bus: bus && {
        name: bus.name,
        scope: bus.scope,
        connected: coordinator.inbound?.isConnected ?? false,
        error: coordinator.inbound?.error === undefined ? undefined : messageOf(coordinator.inbound.error),
      },
      tiers: levels.map(({ tier, guard }) => ({
        name: tier.name,
        scope: tier.scope,
        breaker: guard.state,
        failures: guard.failures,
      })),
    }),
  })
  // The same object: which keys go with which values is for the compiler.
  return cache as unknown as CacheOf<V>
}

function outboxOf({ whenDown = 'reject', maxQueuedBytes }: CacheOptions): Outbox | undefined {
  if (whenDown !== 'reject' && whenDown !== 'queue')
    throw new TypeError(`whenDown: ${describe(whenDown)} is neither 'reject' nor 'queue'`)
  if (maxQueuedBytes !== undefined && whenDown === 'reject')
    throw new TypeError("maxQueuedBytes: nothing is queued; it goes with whenDown: 'queue'")
  const bytes = checkCount(maxQueuedBytes, 'maxQueuedBytes', 1, 2 ** 32, DEFAULT_QUEUED_BYTES)
  return whenDown === 'queue' ? new Outbox(bytes) : undefined
}

function createFirstLevel(
  options: CacheL1Options,
  codec: Codec,
  bus: Bus | undefined,
  clock: Clock,
  random: Random,
): L1<unknown> {
  checkNames(options, l1Names, 'l1')
  const { policy = defaultPolicy, ...held } = options
  checkRestore(options, bus)
  const isUnlimited = held.maxEntries === undefined && held.maxBytes === undefined
  const budget = budgetOf(isUnlimited ? { ...held, maxEntries: DEFAULT_L1_ENTRIES } : held, codec, 'l1.')
  const sharing = sharingOf(held, budget.codec !== undefined, 'l1.')
  return new L1<unknown>({
    ...budget,
    policy: checkPolicy(policy, 'l1.policy', budget.maxBytes > 0),
    ttlMs: Number.POSITIVE_INFINITY,
    // The coordinator brings the exact time with each look; a shared reading could outlive a lease.
    clockResolutionMs: 0,
    hasTimers: !isPrecompiled,
    clock,
    random,
    onRemoval: undefined,
    snapshotCodec: codec,
    // Without a bus nobody tells of changes, so entries need no stamps.
    partitions: bus?.ledger.partitions ?? 0,
    ...sharing,
    onStore: sharing.onStore ?? sharing.onRead,
  })
}

function checkRestore({ restore, trustSnapshot = false }: CacheL1Options, bus: Bus | undefined): void {
  checkFlag(trustSnapshot, 'l1.trustSnapshot')
  if (trustSnapshot && bus !== undefined)
    throw new TypeError('l1.trustSnapshot: with a bus the authority says what is still good; leave it out')
  if (restore === undefined) return
  checkStream(restore, 'l1.restore')
  if (bus === undefined && !trustSnapshot) {
    throw new TypeError(
      'l1.restore: without a bus nobody can say what changed since the snapshot; give a bus, or l1.trustSnapshot: true',
    )
  }
}

function checkTiers(tiers: unknown): readonly Tier[] {
  if (!Array.isArray(tiers)) throw new TypeError(`tiers: ${describe(tiers)} is not an array of tiers`)
  for (const tier of tiers as Partial<Tier>[]) {
    if (typeof tier?.get !== 'function' || typeof tier.set !== 'function' || typeof tier.name !== 'string') {
      throw new TypeError(
        `tiers: ${describe(tier)} is not a tier; make one with fileTier(), memoryTier() and the like`,
      )
    }
  }
  if (new Set(tiers).size < tiers.length) throw new TypeError('tiers: the same tier is listed twice')
  return tiers as readonly Tier[]
}

function checkRequestScope(value: unknown): void {
  const scope = value as Partial<RequestPort> | null
  if (typeof scope === 'object' && typeof scope?.aside === 'function') return
  throw new TypeError(`requestScope: ${describe(value)} is none; make one with requestScope()`)
}

/** A bus tells one listener: given to a second cache, it would leave the first one deaf without a word. */
const takenBuses = new WeakSet<Bus>()

function checkBus(value: unknown): Bus {
  const bus = value as Partial<Bus> | null
  if (typeof bus?.subscribe !== 'function' || typeof bus.ledger !== 'object') {
    throw new TypeError(`bus: ${describe(value)} is not a bus; make one with fileBus() and the like`)
  }
  if (takenBuses.has(bus as Bus)) {
    throw new TypeError(
      'bus: another cache has this bus already; make one for each cache, over the same backend',
    )
  }
  return bus as Bus
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
