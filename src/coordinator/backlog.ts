// What becomes of a mutation that the authority did not take: whether it waits (`whenDown: 'queue'`), and when what
// waits is tried again. What waits is in outbox.ts, how it is said again in delivery.ts.

import type { Clock, Timer } from '../clock.ts'
import { CacheError } from '../errors.ts'
import type { Key } from '../key.ts'
import type { Events, MutationOp } from '../metrics/events.ts'
import type { Life } from './life.ts'
import type { Outbox } from './outbox.ts'

/** What a backlog works with. */
export interface BacklogParts {
  /** Where mutations wait; `undefined` where they are refused. */
  readonly outbox: Outbox | undefined
  readonly life: Life
  readonly events: Events
  readonly clock: Clock
  /** Says again what waits. */
  deliver(): Promise<void>
}

/** How often what waits is tried again. */
const DELIVERY_MS = 1_000

/** Decides who waits, and for how long. */
export class Backlog {
  readonly #parts: BacklogParts
  #delivery: Timer | undefined

  constructor(parts: BacklogParts) {
    this.#parts = parts
  }

  /**
   * Whether a mutation that failed waits for the authority instead; it does where that was chosen, and the authority is
   * the reason.
   */
  takes(error: unknown, op: MutationOp, key: Key | undefined): boolean {
    const { events, life, outbox } = this.#parts
    if (outbox === undefined || life.isClosed) return false
    if (!(error instanceof CacheError) || error.code !== 'CACHE_TIER_FAILED') return false
    if (events.hears('mutation.queued')) events.tell('mutation.queued', { op, key })
    this.deliverLater()
    return true
  }

  /** What waits is tried again after a while. */
  deliverLater(): void {
    const { clock, deliver, life } = this.#parts
    this.#delivery ??= clock.setTimer(() => {
      this.#delivery = undefined
      void life.working(deliver)
    }, DELIVERY_MS)
  }

  /** Nothing is tried again by itself. */
  end(): void {
    this.#delivery?.cancel()
  }
}
