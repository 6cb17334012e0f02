// Deadlines of one length, under one timer. A call of a tier takes tens of microseconds and its deadline half a second,
// so a timer of its own, made and taken back each time, would cost more than everything else a guard does.
//
// They end in the order in which they began, so the timer waits for the first of them. When it comes and that one is
// over already, it goes on to the next; where nothing waits it stays away until something does.

import type { Clock, Timer } from '../clock.ts'
import { Chain, type Link } from './chain.ts'

/** Something that is waited for. */
interface Wait {
  readonly until: number
  /** The deadline is over. */
  readonly late: () => void
}

/** A place among what is waited for, or a timer of its own. */
export type Waiting = Link<Wait> | Timer

/** What is waited for, each for the same time. */
export class Deadlines {
  readonly #clock: Clock
  readonly #ms: number
  readonly #isShared: boolean
  /** In the order of their ends. */
  readonly #waits = new Chain<Wait>()
  #isRunning = false

  /**
   * @param isShared - Whether a timer that one caller began runs for the others as well. On a platform that ends timers
   *   with the request that began them it does not, and each has its own.
   */
  constructor(clock: Clock, ms: number, isShared: boolean) {
    this.#clock = clock
    this.#ms = ms
    this.#isShared = isShared
  }

  /**
   * Waits from now on. `end` must follow.
   *
   * @param late - Called at most once, and not after `end`.
   */
  begin(late: () => void): Waiting {
    if (!this.#isShared) return this.#clock.setTimer(late, this.#ms)
    const waiting = this.#waits.add({ until: this.#clock.now() + this.#ms, late })
    if (!this.#isRunning) this.#run(this.#ms)
    return waiting
  }

  /** It is not waited for any more; a second time this does nothing. */
  end(waiting: Waiting): void {
    if ('cancel' in waiting) waiting.cancel()
    else this.#waits.remove(waiting)
  }

  #run(ms: number): void {
    this.#isRunning = true
    this.#clock.setTimer(() => this.#look(), ms)
  }

  #look(): void {
    this.#isRunning = false
    const now = this.#clock.now()
    for (let link = this.#waits.first; link !== undefined; link = this.#waits.first) {
      const { late, until } = link.value
      if (until > now) {
        this.#run(until - now)
        return
      }
      this.#waits.remove(link)
      late()
    }
  }
}
