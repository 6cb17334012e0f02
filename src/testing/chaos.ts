// A tier that fails when told: around any tier, by a plan that decides for each call.
//
// What a caller of a broken backend sees is one of four things, and which one decides what the caller may
// conclude: the call failed or hung before anything was done, or it was done and the answer failed or never
// came. The last two are the ones that implementations forget. A plan is a function, so a fault can strike
// by switch, by number of the call (run a scenario once to count its calls, then once for each call with that
// one failing), or by chance from a seed.

import { type Clock, systemClock } from '../clock.ts'
import type { Ledger } from '../tiers/ledger.ts'
import type { Tier } from '../tiers/tier.ts'

/**
 * What becomes of a call: it works; it fails or hangs, and nothing is done; or it is done, and then fails or
 * hangs.
 */
export type Fault = 'work' | 'fail' | 'hang' | 'fail-after' | 'hang-after'

/** A call that a plan decides on. */
export interface FlakyCall {
  /** Counts the calls of this tier from 1, those of its ledger included. */
  readonly number: number
  /** Such as `get`, or `ledger.commit`. */
  readonly method: string
}

/** What becomes of a call, and when. */
export interface FaultWithDelay {
  /** @defaultValue `'work'` */
  readonly fault?: Fault
  /** Milliseconds until the backend does it. */
  readonly delayMs?: number
  /** Milliseconds more until the caller hears of it. */
  readonly answerDelayMs?: number
}

/** Decides what becomes of each call. */
export type FaultPlan = (call: FlakyCall) => Fault | FaultWithDelay

/** What a flaky tier can be told. */
export interface FlakyTierOptions {
  /** @defaultValue every call works. */
  plan?: FaultPlan
  /** Delays pass on it. @defaultValue the machine's. */
  clock?: Clock
}

/** A tier that fails when told. */
export interface FlakyTier extends Tier {
  /** Decides on every call from now on; calls that hang stay hung whatever comes here. */
  plan: FaultPlan
  /** Calls so far, of one method or of all. */
  countOf(method?: string): number
}

/**
 * Wraps a tier, and its ledger if it is one, so that calls fail, hang or take time as `plan` says.
 *
 * @example
 * const tier = flakyTier(memoryTier())
 * tier.plan = () => 'hang'
 * tier.plan = ({ method }) => (method === 'set' ? 'fail-after' : 'work')
 * tier.plan = ({ number }) => (number === 7 ? 'fail' : { delayMs: 20 })
 */
export function flakyTier(tier: Tier, options: FlakyTierOptions = {}): FlakyTier {
  const { plan = () => 'work', clock = systemClock } = options
  const counts = new Map<string, number>()
  let calls = 0

  const wait = (ms: number): Promise<void> => new Promise((resolve) => clock.setTimer(resolve, ms))
  const never = (): Promise<never> => new Promise(() => {})

  const via = async <T>(method: string, call: () => Promise<T>): Promise<T> => {
    calls++
    counts.set(method, (counts.get(method) ?? 0) + 1)
    const decision = flaky.plan({ number: calls, method })
    const {
      fault = 'work',
      delayMs = 0,
      answerDelayMs = 0,
    } = typeof decision === 'string' ? { fault: decision } : decision
    if (fault === 'hang') return never()
    if (delayMs > 0) await wait(delayMs)
    if (fault === 'fail') throw new Error(`${tier.name} tier: ${method} failed as planned, nothing was done`)
    const answer = await call()
    if (fault === 'hang-after') return never()
    if (answerDelayMs > 0) await wait(answerDelayMs)
    if (fault === 'fail-after')
      throw new Error(`${tier.name} tier: ${method} was done, its answer is lost as planned`)
    return answer
  }

  const ledger = tier.ledger
  const flakyLedger: Ledger | undefined = ledger && {
    channel: ledger.channel,
    partitions: ledger.partitions,
    keepsData: ledger.keepsData,
    read: (keys) => via('ledger.read', () => ledger.read(keys)),
    commit: (mutation, origin) => via('ledger.commit', () => ledger.commit(mutation, origin)),
    populate: (write, asOf) => via('ledger.populate', () => ledger.populate(write, asOf)),
    since: (after) => via('ledger.since', () => ledger.since(after)),
    probe: (token) => via('ledger.probe', () => ledger.probe(token)),
    readTags: (names) => via('ledger.readTags', () => ledger.readTags(names)),
  }

  const flaky: FlakyTier = {
    plan,
    countOf: (method) => (method === undefined ? calls : (counts.get(method) ?? 0)),
    name: tier.name,
    scope: tier.scope,
    supports: tier.supports,
    ledger: flakyLedger,
    get: (key) => via('get', () => tier.get(key)),
    getMany: (keys) => via('getMany', () => tier.getMany(keys)),
    set: (write) => via('set', () => tier.set(write)),
    setMany: (writes) => via('setMany', () => tier.setMany(writes)),
    add: (write) => via('add', () => tier.add(write)),
    compareAndSet: (write, expected) => via('compareAndSet', () => tier.compareAndSet(write, expected)),
    increment: (key, delta, from) => via('increment', () => tier.increment(key, delta, from)),
    touch: (key, remainingMs) => via('touch', () => tier.touch(key, remainingMs)),
    delete: (key) => via('delete', () => tier.delete(key)),
    deleteMany: (keys) => via('deleteMany', () => tier.deleteMany(keys)),
    clear: (prefix) => via('clear', () => tier.clear(prefix)),
    prune: () => via('prune', () => tier.prune()),
    close: () => via('close', () => tier.close()),
  }
  return flaky
}

/** How often what happens, each from 0 (never) to 1 (always); together at most 1. */
export interface Chances {
  /** The same seed gives the same faults for the same calls. */
  readonly seed: number
  readonly fail?: number
  readonly hang?: number
  readonly failAfter?: number
  readonly hangAfter?: number
  /** Every call, and every answer, takes a random time up to this. @defaultValue `0` */
  readonly maxDelayMs?: number
}

/** A plan that strikes by chance, and never at `close`. */
export function faultsByChance(chances: Chances): FaultPlan {
  const { seed, fail = 0, hang = 0, failAfter = 0, hangAfter = 0, maxDelayMs = 0 } = chances
  if (fail + hang + failAfter + hangAfter > 1) throw new RangeError('the chances together are more than 1')
  const shares: readonly [Fault, number][] = [
    ['fail', fail],
    ['hang', hang],
    ['fail-after', failAfter],
    ['hang-after', hangAfter],
  ]
  const next = numbersFrom(seed)
  return ({ method }) => {
    // Drawn for every call, so that what one call draws does not depend on what befell the one before.
    let drawn = next()
    const delays = { delayMs: next() * maxDelayMs, answerDelayMs: next() * maxDelayMs }
    if (method === 'close') return 'work'
    const struck = shares.find(([, share]) => {
      drawn -= share
      return drawn < 0
    })
    return { fault: struck?.[0] ?? 'work', ...delays }
  }
}

/** Numbers from 0 to 1 out of a seed: mulberry32, by Tommy Ettinger, in the public domain. */
function numbersFrom(seed: number): () => number {
  let state = seed | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
