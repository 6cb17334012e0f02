// Keeps calls away from a part that does not work, so that an outage costs a few deadlines and not one
// per call. Closed: calls pass. Open, after a number of failures in a row: they do not, for a while.
// Half open: one call is let through as a probe, and its outcome closes the breaker or opens it anew.

import type { Clock } from '../clock.ts'

/** What a breaker does at the moment. */
export type BreakerState = 'closed' | 'open' | 'half-open'

/** When a breaker opens and probes. */
export interface BreakerLimits {
  /** Failures in a row that open it. */
  readonly failures: number
  /** How long it stays open before one call is let through. */
  readonly openMs: number
}

/** Counts failures of one part and says whether to call it. */
export class CircuitBreaker {
  readonly #clock: Clock
  readonly #limits: BreakerLimits
  #failures = 0
  #probeAt = 0
  #probing = false

  constructor(clock: Clock, limits: BreakerLimits) {
    this.#clock = clock
    this.#limits = limits
  }

  get state(): BreakerState {
    if (this.#failures < this.#limits.failures) return 'closed'
    return this.#probing ? 'half-open' : 'open'
  }

  /** Whether the part may be called now. A `true` must be followed by `succeeded` or `failed`. */
  admits(): boolean {
    if (this.#failures < this.#limits.failures) return true
    if (this.#probing || this.#clock.now() < this.#probeAt) return false
    this.#probing = true
    return true
  }

  succeeded(): void {
    this.#failures = 0
    this.#probing = false
  }

  failed(): void {
    this.#failures++
    this.#probing = false
    if (this.#failures >= this.#limits.failures) this.#probeAt = this.#clock.now() + this.#limits.openMs
  }
}
