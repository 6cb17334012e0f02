// A clock that stands still until it is told otherwise.

import { type Clock, LONGEST_DELAY_MS, type Timer } from '../clock.ts'

interface Due {
  at: number
  order: number
  run: () => void
}

/**
 * Time that moves when told.
 *
 * @example
 * const clock = new ManualClock()
 * const l1 = createL1({ maxEntries: 10, clock })
 * l1.set('a', 1, { ttl: '1s' })
 * clock.advance(1_000)
 * l1.get('a') // undefined
 */
export class ManualClock implements Clock {
  #now: number
  #wall: number
  #order = 0
  readonly #due = new Set<Due>()

  /**
   * @param startMs - Where the monotonic clock begins.
   * @param wallStartMs - Where the wall clock begins, in milliseconds since 1970.
   */
  constructor(startMs = 1_000_000, wallStartMs = 1_700_000_000_000) {
    this.#now = startMs
    this.#wall = wallStartMs
  }

  now(): number {
    return this.#now
  }

  wallNow(): number {
    return this.#wall
  }

  setTimer(run: () => void, delayMs: number): Timer {
    // Cut as the clock of the machine cuts it, so that a caller that relies on a longer one fails here too.
    const delay = Math.min(Math.max(delayMs, 0), LONGEST_DELAY_MS)
    const due: Due = { at: this.#now + delay, order: this.#order++, run }
    this.#due.add(due)
    return { cancel: () => void this.#due.delete(due) }
  }

  /** Number of timers that wait. */
  get timers(): number {
    return this.#due.size
  }

  /**
   * Moves both clocks `byMs` on and runs the timers that come due, in order, each at its own time.
   *
   * @throws RangeError when `byMs` is negative: this clock never goes back.
   */
  advance(byMs: number): void {
    if (!(byMs >= 0)) throw new RangeError(`byMs: ${byMs} would move the clock back; setWall can do that`)
    const target = this.#now + byMs
    for (let next = this.#nextDue(target); next !== undefined; next = this.#nextDue(target)) {
      this.#due.delete(next)
      this.#move(next.at)
      next.run()
    }
    this.#move(target)
  }

  /**
   * Moves on as `advance` does, and lets promises settle before the move and after each step.
   *
   * @param stepMs - How far time moves between two rests; default the whole way at once.
   */
  async run(byMs: number, stepMs: number = byMs): Promise<void> {
    if (byMs > 0 && !(stepMs > 0)) throw new RangeError(`stepMs: ${stepMs} would never arrive`)
    await settle()
    let left = byMs
    do {
      this.advance(Math.min(stepMs, left))
      left -= stepMs
      await settle()
    } while (left > 0)
  }

  /** Moves the wall clock alone, forward or back, as someone who sets the time does. */
  setWall(wallMs: number): void {
    this.#wall = wallMs
  }

  /** The timer that is due first, up to `target`; among those of one instant the one that was set first. */
  #nextDue(target: number): Due | undefined {
    let next: Due | undefined
    for (const due of this.#due) {
      if (due.at > target) continue
      if (next === undefined || due.at < next.at || (due.at === next.at && due.order < next.order)) next = due
    }
    return next
  }

  /** Moves on to an instant; nowhere if a timer that ran has itself moved the clock beyond it. */
  #move(to: number): void {
    if (to <= this.#now) return
    this.#wall += to - this.#now
    this.#now = to
  }
}

/** Resolves after everything that can run without time passing has run. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 50; turn++) await Promise.resolve()
}
