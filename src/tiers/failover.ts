// Two tiers as one: the first answers, and the second while the first does not.
//
// What such a pair gets wrong if it is written down quickly is the way back: the first returns with values that were
// replaced while it was away, and later the second is asked again with what it knew the last time. So every change goes
// to both, and a key whose change did not reach one of them is in doubt there: it is removed there before that tier
// answers for it again, and until then the other one answers. The memory for doubts is bounded; beyond it all of a
// tier is in doubt, and it is cleared before it is used.
//
// A tier that fails once, or takes longer than `deadlineMs`, is left alone for `retryMs`.

import type { Clock } from '../clock.ts'
import { describe } from '../duration.ts'
import { CacheError } from '../errors.ts'
import { checkClock, checkCount, checkFunction, checkNames } from '../options.ts'
import type { Tier, TierEntry, TierScope, TierSupports, TierWrite } from './tier.ts'

/** What a failover pair can be told. */
export interface FailoverTierOptions {
  /**
   * How long a call of one of the tiers may take, in milliseconds. A cache's own deadline for a tier (`tierTimeout`,
   * 500 ms) is for the pair, so this has to leave room for the second.
   *
   * @defaultValue 200
   */
  deadlineMs?: number

  /**
   * How long a tier that failed is left alone, in milliseconds.
   *
   * @defaultValue 1,000
   */
  retryMs?: number

  /**
   * Hears when a tier fails and when it answers again. What it throws is lost.
   *
   * @param change - The tier's name, whether it works now, and why not.
   */
  onChange?: (change: FailoverChange) => void

  /** @defaultValue the machine's. */
  clock?: Clock
}

/** One of the two began or ceased to work. */
export interface FailoverChange {
  readonly tier: string
  readonly isUp: boolean
  /** `undefined` when it works again. */
  readonly error: unknown
}

const optionNames = ['clock', 'deadlineMs', 'onChange', 'retryMs']
const reach: Record<TierScope, number> = { process: 0, machine: 1, fleet: 2 }
/** Keys whose change one of them missed; some 100 bytes each. */
const MAX_DOUBTS = 10_000

/**
 * A tier that goes on with `second` while `first` does not work. `close` closes both.
 *
 * It is never a ledger, whatever the two are: nobody orders the mutations of both.
 *
 * @throws TypeError or RangeError naming the option.
 * @example
 * const tier = failoverTier(memcachedTier({ servers }), fileTier({ directory }))
 */
export function failoverTier(first: Tier, second: Tier, options: FailoverTierOptions = {}): Tier {
  checkNames(options, optionNames, 'failoverTier')
  const { onChange } = options
  for (const [name, tier] of Object.entries({ first, second })) {
    if (typeof tier?.getMany !== 'function') throw new TypeError(`${name}: ${describe(tier)} is not a tier`)
  }
  if (first === second) throw new TypeError('second: it is the same tier as first')
  if (onChange !== undefined) checkFunction(onChange, 'onChange')
  return new FailoverTier(first, second, {
    deadlineMs: checkCount(options.deadlineMs, 'deadlineMs', 1, 3_600_000, 200),
    retryMs: checkCount(options.retryMs, 'retryMs', 1, 3_600_000, 1_000),
    clock: checkClock(options.clock),
    onChange,
  })
}

interface Limits {
  readonly deadlineMs: number
  readonly retryMs: number
  readonly clock: Clock
  readonly onChange: ((change: FailoverChange) => void) | undefined
}

/** One of the two, with what it missed. */
class Side {
  readonly tier: Tier
  readonly #limits: Limits
  #isUp = true
  #retryAt = 0
  #lastError: unknown
  readonly #doubts = new Set<string>()
  #isAllInDoubt = false

  constructor(tier: Tier, limits: Limits) {
    this.tier = tier
    this.#limits = limits
  }

  isInDoubt(key: string): boolean {
    return this.#isAllInDoubt || this.#doubts.has(key)
  }

  /** Changes of these keys did not arrive, or nobody knows. */
  doubt(keys: readonly string[]): void {
    for (const key of keys) this.#doubts.add(key)
    if (this.#doubts.size > MAX_DOUBTS) this.doubtAll()
  }

  doubtAll(): void {
    this.#isAllInDoubt = true
    this.#doubts.clear()
  }

  /** These keys were replaced or removed, so what was missed before does not matter. */
  trust(keys: readonly string[]): void {
    for (const key of keys) this.#doubts.delete(key)
  }

  trustAll(): void {
    this.#isAllInDoubt = false
    this.#doubts.clear()
  }

  /** Removes what is in doubt among `keys`. */
  async settle(keys: readonly string[]): Promise<void> {
    if (this.#isAllInDoubt) {
      await this.call((tier) => tier.clear(''))
      this.trustAll()
      return
    }
    const doubted = keys.filter((key) => this.#doubts.has(key))
    if (doubted.length === 0) return
    await this.call((tier) => tier.deleteMany(doubted))
    this.trust(doubted)
  }

  /**
   * Calls the tier.
   *
   * @throws What the tier throws for a wrong input; `Unavailable` when it failed, was late or is left alone.
   */
  async call<T>(run: (tier: Tier) => Promise<T>): Promise<T> {
    const { clock, retryMs } = this.#limits
    if (!this.#isUp) {
      if (clock.now() < this.#retryAt) throw new Unavailable(this.#lastError)
      // Whoever comes meanwhile goes to the other one.
      this.#retryAt = clock.now() + retryMs
    }
    try {
      const answer = await this.#within(run)
      if (!this.#isUp) this.#turn(true, undefined)
      return answer
    } catch (error) {
      if (isRefusal(error)) throw error
      this.#retryAt = clock.now() + retryMs
      this.#lastError = error
      if (this.#isUp) this.#turn(false, error)
      throw new Unavailable(error)
    }
  }

  #within<T>(run: (tier: Tier) => Promise<T>): Promise<T> {
    const { clock, deadlineMs } = this.#limits
    return new Promise<T>((resolve, reject) => {
      const timer = clock.setTimer(
        () => reject(new Error(`${this.tier.name} tier: no answer within ${deadlineMs} ms`)),
        deadlineMs,
      )
      Promise.resolve(this.tier)
        .then(run)
        .then(resolve, reject)
        .finally(() => timer.cancel())
    })
  }

  #turn(isUp: boolean, error: unknown): void {
    this.#isUp = isUp
    try {
      this.#limits.onChange?.({ tier: this.tier.name, isUp, error })
    } catch {
      // A listener that throws must not make the tier fail.
    }
  }
}

/** A side could not be asked. */
class Unavailable {
  readonly cause: unknown

  constructor(cause: unknown) {
    this.cause = cause
  }
}

/** The tier works, and did not take what it was given. */
function isRefusal(error: unknown): boolean {
  return (
    error instanceof TypeError ||
    error instanceof RangeError ||
    (error instanceof CacheError && error.code === 'CACHE_NOT_SUPPORTED')
  )
}

class FailoverTier implements Tier {
  readonly name = 'failover'
  readonly scope: TierScope
  readonly supports: TierSupports
  readonly ledger = undefined
  readonly #sides: readonly [Side, Side]
  #isClosed = false

  constructor(first: Tier, second: Tier, limits: Limits) {
    // The wider one: who claims less would be trusted with what others change.
    this.scope = reach[first.scope] > reach[second.scope] ? first.scope : second.scope
    this.supports = {
      expiry: first.supports.expiry && second.supports.expiry,
      prefixClear: first.supports.prefixClear && second.supports.prefixClear,
      add: first.supports.add && second.supports.add,
      increment: first.supports.increment && second.supports.increment,
      compareAndSet: first.supports.compareAndSet && second.supports.compareAndSet,
    }
    this.#sides = [new Side(first, limits), new Side(second, limits)]
  }

  async get(key: string): Promise<TierEntry | undefined> {
    return (await this.getMany([key]))[0]
  }

  async getMany(keys: readonly string[]): Promise<(TierEntry | undefined)[]> {
    this.#checkOpen()
    const answers: (TierEntry | undefined)[] = keys.map(() => undefined)
    let open = keys.map((_, place) => place)
    let failure: unknown
    let isAnswered = false
    for (const side of this.#sides) {
      if (open.length === 0) break
      const wanted = open.map((place) => keys[place] as string)
      // What was in doubt when it was asked is the other one's to answer, even if it has been removed by now.
      const isDoubted = wanted.map((key) => side.isInDoubt(key))
      try {
        await side.settle(wanted)
        const entries = await side.call((tier) => askFor(tier, wanted))
        isAnswered = true
        for (const [turn, place] of open.entries()) {
          if (!isDoubted[turn]) answers[place] = entries[turn]
        }
        open = open.filter((_, turn) => isDoubted[turn])
      } catch (error) {
        failure = error
      }
    }
    if (open.length > 0 && !isAnswered) throw this.#failure('get', failure)
    return answers
  }

  async set(write: TierWrite): Promise<void> {
    await this.#replace([write.key], (tier) => tier.set(write))
  }

  async setMany(writes: readonly TierWrite[]): Promise<void> {
    await this.#replace(
      writes.map(({ key }) => key),
      (tier) => tier.setMany(writes),
    )
  }

  add(write: TierWrite): Promise<boolean> {
    return this.#change(
      'add',
      write.key,
      (tier) => tier.add(write),
      (tier, stored) => (stored ? tier.set(write) : undefined),
    )
  }

  compareAndSet(write: TierWrite, expected: Uint8Array | undefined): Promise<boolean> {
    return this.#change(
      'compareAndSet',
      write.key,
      (tier) => tier.compareAndSet(write, expected),
      (tier, stored) => (stored ? tier.set(write) : undefined),
    )
  }

  increment(key: string, delta: number, from: number): Promise<number | undefined> {
    return this.#change(
      'increment',
      key,
      (tier) => tier.increment(key, delta, from),
      async (tier, sum) => void (sum === undefined || (await tier.delete(key))),
    )
  }

  touch(key: string, remainingMs: number): Promise<boolean> {
    return this.#change(
      'touch',
      key,
      (tier) => tier.touch(key, remainingMs),
      async (tier, wasThere) => void (wasThere && (await tier.touch(key, remainingMs))),
    )
  }

  async delete(key: string): Promise<boolean> {
    return (await this.deleteMany([key])) > 0
  }

  async deleteMany(keys: readonly string[]): Promise<number> {
    const counts = await this.#replace(keys, (tier) => tier.deleteMany(keys))
    return counts[0] ?? 0
  }

  async clear(prefix: string): Promise<void> {
    this.#checkOpen()
    let done = 0
    let failure: unknown
    for (const side of this.#sides) {
      try {
        await side.call((tier) => tier.clear(prefix))
        if (prefix === '') side.trustAll()
        done++
      } catch (error) {
        if (!(error instanceof Unavailable)) throw error
        failure = error
        side.doubtAll()
      }
    }
    if (done === 0) throw this.#failure('clear', failure)
  }

  /** Both reclaim what has expired; one that does not work is passed over. An entry of both is one entry. */
  async prune(): Promise<number> {
    this.#checkOpen()
    const [first, second] = this.#sides
    const pruned = [first, second].map((side) => side.call((tier) => tier.prune()).catch(() => 0))
    return Math.max(...(await Promise.all(pruned)))
  }

  async close(): Promise<void> {
    this.#isClosed = true
    const outcomes = await Promise.allSettled(this.#sides.map(({ tier }) => tier.close()))
    const failed = outcomes.find((outcome) => outcome.status === 'rejected')
    if (failed !== undefined) throw failed.reason
  }

  /** The same to both, in the order that answers; what is asked for replaces whatever was there. */
  async #replace<T>(keys: readonly string[], run: (tier: Tier) => Promise<T>): Promise<T[]> {
    this.#checkOpen()
    const answers: T[] = []
    let failure: unknown
    for (const side of this.#sides) {
      // Before the call as well: a count of what was removed must not count what had been replaced.
      const isDoubted = keys.some((key) => side.isInDoubt(key))
      try {
        if (isDoubted) await side.settle(keys)
        answers.push(await side.call(run))
      } catch (error) {
        side.doubt(keys)
        if (!(error instanceof Unavailable)) {
          // One refuses what the other took: then neither has it.
          for (const other of this.#sides) {
            other.doubt(keys)
            await other.settle(keys).catch(() => {})
          }
          throw error
        }
        failure = error
      }
    }
    if (answers.length === 0) throw this.#failure('set', failure)
    return answers
  }

  /** Decided by the one that answers; the other is brought up to it. */
  async #change<T>(
    what: string,
    key: string,
    run: (tier: Tier) => Promise<T>,
    follow: (tier: Tier, answer: T) => Promise<void> | undefined,
  ): Promise<T> {
    this.#checkOpen()
    let failure: unknown
    for (const [place, side] of this.#sides.entries()) {
      let answer: T
      try {
        await side.settle([key])
        answer = await side.call(run)
      } catch (error) {
        // It may have been done.
        if (error instanceof Unavailable) side.doubt([key])
        else throw error
        failure = error
        continue
      }
      const other = this.#sides[1 - place] as Side
      if (other.isInDoubt(key)) return answer
      try {
        await other.call(async (tier) => follow(tier, answer))
      } catch {
        other.doubt([key])
      }
      return answer
    }
    throw this.#failure(what, failure)
  }

  #failure(what: string, failure: unknown): unknown {
    if (!(failure instanceof Unavailable)) return failure
    const { cause } = failure
    const reason = cause instanceof Error ? cause.message : String(cause)
    return new CacheError('CACHE_TIER_FAILED', `failover tier: ${what} failed on both: ${reason}`, {
      tier: this.name,
      cause,
    })
  }

  #checkOpen(): void {
    if (this.#isClosed)
      throw new CacheError('CACHE_CLOSED', 'failover tier: it is closed', { tier: this.name })
  }
}

async function askFor(tier: Tier, keys: readonly string[]): Promise<(TierEntry | undefined)[]> {
  const [only] = keys
  return keys.length === 1 && only !== undefined ? [await tier.get(only)] : tier.getMany(keys)
}
