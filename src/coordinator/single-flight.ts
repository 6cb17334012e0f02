import type { Clock } from '../clock.ts'

interface Flight {
  readonly outcome: Promise<unknown>
  readonly beganAt: number
}

/**
 * Runs at most one task per key at a time; callers that arrive meanwhile share its outcome.
 *
 * Not at any price: a task that began longer ago than `joinableMs` may have looked at something that has changed
 * since, unheard of while this process was stopped or cut off. Its callers wait for it, later ones start anew.
 */
export class SingleFlight {
  readonly #clock: Clock
  readonly #joinableMs: number
  readonly #flights = new Map<string, Flight>()

  constructor(clock: Clock, joinableMs: number) {
    this.#clock = clock
    this.#joinableMs = joinableMs
  }

  /** Number of keys in flight now. */
  get size(): number {
    return this.#flights.size
  }

  /** Whether a flight for `key` is under way that may be joined. */
  has(key: string): boolean {
    return this.#joinable(key) !== undefined
  }

  /** Joins the flight for `key`, or starts one with `task`. A rejection reaches every caller. */
  run<T>(key: string, task: () => Promise<T>): Promise<T> {
    const joined = this.#joinable(key)
    if (joined !== undefined) return joined.outcome as Promise<T>

    // The flight leaves the map before its callers resume, so a caller that retries after a failure
    // starts a new flight instead of joining the failed one. It leaves only its own place: after
    // `forget`, a younger flight may have taken it.
    const beganAt = this.#clock.now()
    const outcome: Promise<T> = task().finally(() => {
      if (this.#flights.get(key)?.outcome === outcome) this.#flights.delete(key)
    })
    this.#flights.set(key, { outcome, beganAt })
    return outcome
  }

  /** Nobody joins the flight for `key` any more; those who did still get its outcome. */
  forget(key: string): void {
    this.#flights.delete(key)
  }

  /** Nobody joins any flight that is under way now. */
  forgetAll(): void {
    this.#flights.clear()
  }

  #joinable(key: string): Flight | undefined {
    const flight = this.#flights.get(key)
    if (flight === undefined || this.#joinableMs === Number.POSITIVE_INFINITY) return flight
    return this.#clock.now() - flight.beganAt > this.#joinableMs ? undefined : flight
  }
}
