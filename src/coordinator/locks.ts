// Locks for a program's own use: leases (leases.ts) that are prolonged while they are held, with a signal for when one
// was lost all the same.
//
// No lock can promise that nobody else works: a holder may stand still for longer than its lease and not know. Who
// needs more than efficiency hands the fencing number to whatever is changed, and has that refuse a lower one than it
// has seen.
//
// Source: Kleppmann, "How to do distributed locking", 2016, for the fencing number.

import type { Clock, Timer } from '../clock.ts'
import { type Duration, describe, toMs } from '../duration.ts'
import { CacheError } from '../errors.ts'
import { type KeyScope, storedKey } from '../key.ts'
import { checkNames } from '../options.ts'
import type { Random } from '../random.ts'
import type { Lease, Leases } from './leases.ts'
import type { Life } from './life.ts'
import { within } from './waiting.ts'

/** What one `lock` may say. */
export interface LockOptions {
  /**
   * How long the lock is held after the last renewal, if this process can neither renew nor release it. At least 100 ms.
   *
   * @defaultValue `30_000` milliseconds
   */
  ttl?: Duration

  /**
   * How long to wait for a lock that somebody else holds; `null` for ever.
   *
   * @defaultValue `0`, not at all
   */
  wait?: Duration | null

  /**
   * Whether the lock is renewed by itself, three times in a `ttl`, until it is released.
   *
   * @defaultValue `true`
   */
  renew?: boolean
}

/** What locks work with. */
export interface LocksParts {
  readonly leases: Leases
  readonly life: Life
  readonly clock: Clock
  readonly random: Random
  readonly isAlone: boolean
  readonly hasLeases: boolean
}

const DEFAULT_TTL_MS = 30_000
const LEAST_TTL_MS = 100
/** Who waits asks again so often, besides being told: a holder that died tells nobody. */
const POLL_MS = 250

/** Hands out locks. */
export class Locks {
  readonly #parts: LocksParts
  readonly #held = new Set<Lock>()

  constructor(parts: LocksParts) {
    this.#parts = parts
  }

  /** Takes a lock, or `undefined` when somebody else held it all the time. */
  async lock(name: string, scope: KeyScope, options: LockOptions): Promise<Lock | undefined> {
    const { clock, hasLeases, isAlone, leases, life, random } = this.#parts
    life.refuse()
    const stored = storedLock(name, scope)
    const { isRenewed, ttlMs, waitMs } = resolveLock(options)
    if (!isAlone && !hasLeases) {
      throw new CacheError(
        'CACHE_NOT_SUPPORTED',
        'lock: no tier of this cache orders mutations, so of two who ask nobody could say who was first. Give the cache a tier that is a ledger',
      )
    }
    const until = clock.now() + waitMs
    for (;;) {
      let wake = (): void => {}
      const told = new Promise<void>((resolve) => {
        wake = resolve
      })
      const unwatch = leases.watch(stored, () => wake())
      try {
        const lease = await leases.take(stored, ttlMs)
        if (lease !== undefined) return this.#hold(name, lease, ttlMs, isRenewed)
        const leftMs = until - clock.now()
        if (leftMs <= 0) return undefined
        await within(told, Math.min(leftMs, POLL_MS * (0.5 + random.next() / 2)), clock)
      } finally {
        unwatch()
      }
      life.refuse()
    }
  }

  /** Releases all that are held, and tells their holders. */
  async end(): Promise<void> {
    await Promise.allSettled([...this.#held].map((lock) => lock.withdraw()))
  }

  #hold(name: string, lease: Lease, ttlMs: number, isRenewed: boolean): Lock {
    const { clock, leases } = this.#parts
    const lock: Lock = new Lock({
      name,
      lease,
      ttlMs,
      isRenewed,
      leases,
      clock,
      ended: () => this.#held.delete(lock),
    })
    this.#held.add(lock)
    return lock
  }
}

/** What a lock is made of. */
interface LockParts {
  readonly name: string
  readonly lease: Lease
  readonly ttlMs: number
  readonly isRenewed: boolean
  readonly leases: Leases
  readonly clock: Clock
  ended(): void
}

/** A lock that this process holds until it releases it, or is stopped for longer than its ttl. */
export class Lock {
  /** As it was given to `lock`. */
  readonly name: string
  /**
   * Fires with `CACHE_LOCK_LOST` when the lock was lost before it was released, or the cache was closed, which gives it
   * away; give it to what the lock protects.
   */
  readonly signal: AbortSignal
  readonly #parts: LockParts
  readonly #abort = new AbortController()
  #lease: Lease
  #renewal: Timer | undefined
  #end: Timer | undefined
  #isOver = false

  /** @internal Use `cache.lock`. */
  constructor(parts: LockParts) {
    this.name = parts.name
    this.signal = this.#abort.signal
    this.#parts = parts
    this.#lease = parts.lease
    this.#expect()
  }

  /** Says who holds it: 16 hexadecimal digits that no other holder has. */
  get token(): string {
    return this.#lease.token
  }

  /**
   * The fencing number: greater than that of everybody who held this lock before. Hand it on to what you change, and have
   * that refuse a lower one. It has up to 128 bits.
   */
  get fence(): bigint {
    return this.#lease.fence
  }

  /** Whether it is held, as far as this process can know. */
  get isHeld(): boolean {
    return !this.#isOver && this.#parts.clock.now() < this.#lease.until
  }

  /**
   * Has the ttl begin again.
   *
   * @returns `false` when the lock was lost.
   * @throws CacheError `CACHE_TIER_FAILED` when the authority could not be asked; it may be tried again.
   */
  async renew(): Promise<boolean> {
    if (this.#isOver) return false
    const prolonged = await this.#parts.leases.prolong(this.#lease, this.#parts.ttlMs)
    if (this.#isOver) return false
    if (prolonged === undefined) {
      this.#lose()
      return false
    }
    this.#lease = prolonged
    this.#expect()
    return true
  }

  /**
   * Gives the lock to whoever waits for it.
   *
   * @returns Whether it was held until now; `false` means that somebody else may have worked at the same time.
   * @throws CacheError `CACHE_TIER_FAILED` when the authority could not be told; then it is held to the end of its ttl.
   */
  async release(): Promise<boolean> {
    if (this.#isOver) return false
    this.#finish()
    return this.#parts.leases.give(this.#lease)
  }

  /** @internal Gives it away although its holder has not done with it. */
  async withdraw(): Promise<void> {
    this.#lose()
    await this.#parts.leases.give(this.#lease)
  }

  /** Calls `release`, for `await using`; a release that fails leaves the lock to its ttl. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.release().catch(() => {})
  }

  /** Looks forward to the next renewal, and to the end if that does not come. */
  #expect(): void {
    const { clock, isRenewed, ttlMs } = this.#parts
    this.#renewal?.cancel()
    this.#end?.cancel()
    if (isRenewed) this.#renewal = clock.setTimer(() => this.#renewAgain(), ttlMs / 3)
    this.#end = clock.setTimer(() => this.#lose(), this.#lease.until - clock.now())
  }

  #renewAgain(): void {
    const { clock, ttlMs } = this.#parts
    // What could not be asked is asked again until the end.
    this.renew().catch(() => {
      if (!this.#isOver) this.#renewal = clock.setTimer(() => this.#renewAgain(), ttlMs / 6)
    })
  }

  #lose(): void {
    if (this.#isOver) return
    this.#finish()
    this.#abort.abort(new CacheError('CACHE_LOCK_LOST', `the lock ${JSON.stringify(this.name)} was lost`))
  }

  #finish(): void {
    this.#isOver = true
    this.#renewal?.cancel()
    this.#end?.cancel()
    this.#parts.ended()
  }
}

function storedLock(name: string, { prefix }: KeyScope): string {
  if (typeof name !== 'string') throw new TypeError(`lock: ${describe(name)} is not a string`)
  return storedKey({ prefix, text: `%lock:${prefix.slice(0, -1)}` }, name)
}

function resolveLock(options: LockOptions): { ttlMs: number; waitMs: number; isRenewed: boolean } {
  checkNames(options, ['renew', 'ttl', 'wait'], 'lock')
  const { renew = true, ttl = DEFAULT_TTL_MS, wait = 0 } = options
  const ttlMs = toMs(ttl, 'ttl')
  if (ttlMs < LEAST_TTL_MS) throw new RangeError(`ttl: a lock of ${ttlMs} ms is less than ${LEAST_TTL_MS} ms`)
  if (typeof renew !== 'boolean') throw new TypeError(`renew: ${describe(renew)} is neither true nor false`)
  return { ttlMs, waitMs: wait === null ? Number.POSITIVE_INFINITY : toMs(wait, 'wait'), isRenewed: renew }
}
