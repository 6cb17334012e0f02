/** Runs at most one task per key at a time; callers that arrive meanwhile share its outcome. */
export class SingleFlight {
  readonly #flights = new Map<string, Promise<unknown>>()

  /** Number of keys in flight now. */
  get size(): number {
    return this.#flights.size
  }

  /** The flight for `key`, if one is under way. */
  of(key: string): Promise<unknown> | undefined {
    return this.#flights.get(key)
  }

  /** Joins the flight for `key`, or starts one with `task`. A rejection reaches every caller. */
  run<T>(key: string, task: () => Promise<T>): Promise<T> {
    const joined = this.#flights.get(key)
    if (joined !== undefined) return joined as Promise<T>

    // The flight leaves the map before its callers resume, so a caller that retries after a failure
    // starts a new flight instead of joining the failed one. It leaves only its own place: after
    // `forget`, a younger flight may have taken it.
    const flight: Promise<T> = task().finally(() => {
      if (this.#flights.get(key) === flight) this.#flights.delete(key)
    })
    this.#flights.set(key, flight)
    return flight
  }

  /** Nobody joins the flight for `key` any more; those who did still get its outcome. */
  forget(key: string): void {
    this.#flights.delete(key)
  }

  /** Nobody joins any flight that is under way now. */
  forgetAll(): void {
    this.#flights.clear()
  }
}
