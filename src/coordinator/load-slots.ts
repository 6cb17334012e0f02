// How many loads run at once in one cache: `maxLoads`. The others wait in the order in which they came; one whose
// caller gave up leaves the queue.

/** Places for loads. */
export class LoadSlots {
  #free: number
  readonly #waiting = new Set<() => void>()

  /** @param most - `Infinity` for no limit. */
  constructor(most: number) {
    this.#free = most
  }

  /**
   * Calls `start` as soon as there is a place: at once if there is one.
   *
   * @returns Gives the place back, or leaves the queue. Call it once.
   */
  take(start: () => void): () => void {
    if (this.#free > 0) {
      this.#free--
      start()
      return () => this.#release()
    }
    let hasPlace = false
    const begin = (): void => {
      hasPlace = true
      start()
    }
    this.#waiting.add(begin)
    return () => {
      if (hasPlace) this.#release()
      else this.#waiting.delete(begin)
    }
  }

  #release(): void {
    for (const next of this.#waiting) {
      this.#waiting.delete(next)
      next()
      return
    }
    this.#free++
  }
}
