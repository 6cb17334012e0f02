// The wall around a part that can fail: a deadline, a circuit breaker and an event. Every call of a tier
// or a ledger goes through one, so nothing above it waits longer than its deadline or sees an error of
// a client library.
//
// A deadline ends the waiting, not the work: an operation that was given up may still take effect.

import type { Clock } from '../clock.ts'
import { CacheError } from '../errors.ts'
import type { Events } from '../metrics/events.ts'
import { type BreakerLimits, type BreakerState, CircuitBreaker } from './circuit-breaker.ts'
import { Deadlines } from './deadlines.ts'

/** How a guard is set. */
export interface GuardLimits extends BreakerLimits {
  /** How long a call may take. */
  readonly deadlineMs: number
  /** As `Deadlines` has it. */
  readonly sharesTimers: boolean
}

/** Default of every tier: 500 ms for a call, open after 5 failures in a row, a probe after 1 s. */
export const defaultLimits: GuardLimits = { deadlineMs: 500, sharesTimers: true, failures: 5, openMs: 1_000 }

/** Calls one part. */
export class Guard {
  readonly name: string
  readonly #events: Events
  readonly #deadlineMs: number
  readonly #deadlines: Deadlines
  readonly #breaker: CircuitBreaker
  #failures = 0

  constructor(name: string, clock: Clock, events: Events, limits: GuardLimits) {
    this.name = name
    this.#events = events
    this.#deadlineMs = limits.deadlineMs
    this.#deadlines = new Deadlines(clock, limits.deadlineMs, limits.sharesTimers)
    this.#breaker = new CircuitBreaker(clock, limits)
  }

  get state(): BreakerState {
    return this.#breaker.state
  }

  /** Failed calls so far; calls that the breaker kept away do not count. */
  get failures(): number {
    return this.#failures
  }

  /**
   * Calls the part for a mutation.
   *
   * @throws CacheError `CACHE_TIER_FAILED` when it fails, does not answer in time, or is not called
   *   because the breaker is open.
   */
  demand<T>(operation: string, call: () => Promise<T>): Promise<T> {
    if (!this.#breaker.admits()) {
      const error = new CacheError(
        'CACHE_TIER_FAILED',
        `${this.name}: ${operation} was not tried, since the calls before it failed; one call is let through every now and then`,
        { tier: this.name },
      )
      return Promise.reject(error)
    }
    return this.within(operation, call).then(this.#succeeded, (cause: unknown) => {
      throw this.#failed(operation, cause)
    })
  }

  /** Calls the part for a read: whatever goes wrong is `undefined`, and an event. */
  attempt<T>(operation: string, call: () => Promise<T>): Promise<T | undefined> {
    if (!this.#breaker.admits()) return Promise.resolve(undefined)
    return this.within(operation, call).then(this.#succeeded, (cause: unknown) => {
      this.#failed(operation, cause)
      return undefined
    })
  }

  /**
   * Calls the part whatever state the breaker is in, and without an event, but no longer than the deadline.
   *
   * @throws What the part throws; CacheError `CACHE_TIER_FAILED` when the deadline is over.
   */
  within<T>(operation: string, call: () => Promise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const wait = this.#deadlines.begin(() => reject(this.#lateness(operation)))
      let outcome: Promise<T>
      try {
        outcome = Promise.resolve(call())
      } catch (error) {
        // A tier that throws instead of rejecting is treated alike.
        outcome = Promise.reject(error)
      }
      outcome.then(
        (result) => {
          this.#deadlines.end(wait)
          resolve(result)
        },
        (error: unknown) => {
          this.#deadlines.end(wait)
          reject(error)
        },
      )
    })
  }

  readonly #succeeded = <T>(result: T): T => {
    this.#breaker.succeeded()
    return result
  }

  #failed(operation: string, cause: unknown): CacheError {
    // A tier that refuses an input works: an entry over its size limit must not close the way for others.
    if (cause instanceof TypeError || cause instanceof RangeError) this.#breaker.succeeded()
    else this.#breaker.failed()
    this.#failures++
    const error = this.#asCacheError(operation, cause)
    if (this.#events.hears('tier.failed'))
      this.#events.tell('tier.failed', { tier: this.name, operation, error })
    return error
  }

  #lateness(operation: string): CacheError {
    return new CacheError(
      'CACHE_TIER_FAILED',
      `${this.name}: ${operation} took longer than ${this.#deadlineMs} ms (deadline)`,
      { tier: this.name },
    )
  }

  #asCacheError(operation: string, cause: unknown): CacheError {
    if (cause instanceof CacheError) return cause
    const reason = cause instanceof Error ? cause.message : String(cause)
    return new CacheError('CACHE_TIER_FAILED', `${this.name}: ${operation} failed: ${reason}`, {
      tier: this.name,
      cause,
    })
  }
}
