import type { Clock } from '../clock.ts'
import { KeyTable } from './key-table.ts'

/** A task under way. */
export interface Flight<N> {
  /** Handled, so that a flight that all have left may fail. */
  readonly outcome: Promise<unknown>
  readonly beganAt: number
  /** What those who wait may know before the outcome is there. */
  readonly note: N
}

/**
 * Runs at most one task per key at a time; callers that arrive meanwhile share its outcome.
 *
 * Not at any price: a task that began longer ago than `joinableMs` may have looked at something that has changed
 * since, unheard of while this process was stopped or cut off. Its callers wait for it, later ones start anew.
 */
export class SingleFlight<N = undefined> {
  readonly #clock: Clock
  readonly #joinableMs: number
  readonly #flights = new KeyTable<Flight<N>>()

  constructor(clock: Clock, joinableMs: number) {
    this.#clock = clock
    this.#joinableMs = joinableMs
  }

  /** Number of keys in flight now. */
  get size(): number {
    return this.#flights.size
  }

  /** The flight for `key` that may be joined: none that began longer than `oldestMs` ago. */
  joinable(key: string, oldestMs: number = Number.POSITIVE_INFINITY): Flight<N> | undefined {
    const flight = this.#flights.get(key)
    const mostMs = Math.min(this.#joinableMs, oldestMs)
    if (flight === undefined || mostMs === Number.POSITIVE_INFINITY) return flight
    return this.#clock.now() - flight.beganAt > mostMs ? undefined : flight
  }

  /** Whether a flight for `key` is under way that may be joined. */
  has(key: string): boolean {
    return this.joinable(key) !== undefined
  }

  /** Joins the flight for `key`, or starts one with `task`. A rejection reaches every caller. */
  run<T>(this: SingleFlight, key: string, task: () => Promise<T>): Promise<T> {
    return (this.joinable(key) ?? this.start(key, undefined, task)).outcome as Promise<T>
  }

  /** Starts a flight, which later callers join instead of any other. */
  start(key: string, note: N, task: (note: N) => Promise<unknown>): Flight<N> {
    // The flight leaves the map before its callers resume, so a caller that retries after a failure
    // starts a new flight instead of joining the failed one. It leaves only its own place: after
    // `forget`, a younger flight may have taken it.
    const beganAt = this.#clock.now()
    const flight: Flight<N> = { outcome: task(note), beganAt, note }
    const end = (): void => {
      if (this.#flights.get(key) === flight) this.#flights.delete(key)
    }
    flight.outcome.then(end, end)
    this.#flights.set(key, flight)
    return flight
  }

  /** Nobody joins the flight for `key` any more; those who did still get its outcome. */
  forget(key: string): void {
    this.#flights.delete(key)
  }

  /** Nobody joins any flight that is under way now for a key that begins with `prefix`. */
  forgetAll(prefix = ''): void {
    for (const [key] of this.#flights.entries()) if (key.startsWith(prefix)) this.#flights.delete(key)
  }
}
