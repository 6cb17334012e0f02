// Deadlines of one length, under one timer. A call of a tier takes tens of microseconds and its deadline half a second,
// so a timer of its own, made and taken back each time, would cost more than everything else a guard does.
//
// They end in the order in which they began, so the timer waits for the first of them. When it comes and that one is
// over already, it goes on to the next; where nothing waits it stays away until something does.

import type { Clock, Timer } from '../clock.ts'

/** Something that is waited for. */
export interface Wait {
  readonly until: number
  /** The deadline is over. Called at most once, and not after `end`. */
  readonly late: () => void
  /** Its own; `undefined` where one is shared. */
  readonly timer: Timer | undefined
  // Beside it in the order of their ends; one that is over points to none, see key-table.ts.
  before: Wait | undefined
  after: Wait | undefined
}

/** What is waited for, each for the same time. */
export class Deadlines {
  readonly #clock: Clock
  readonly #ms: number
  readonly #isShared: boolean
  #first: Wait | undefined
  #last: Wait | undefined
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

  /** Waits from now on. `end` must follow. */
  begin(late: () => void): Wait {
    const until = this.#clock.now() + this.#ms
    const timer = this.#isShared ? undefined : this.#clock.setTimer(late, this.#ms)
    const wait: Wait = { until, late, timer, before: undefined, after: undefined }
    if (timer !== undefined) return wait
    wait.before = this.#last
    if (this.#last === undefined) this.#first = wait
    else this.#last.after = wait
    this.#last = wait
    if (!this.#isRunning) this.#run(this.#ms)
    return wait
  }

  /** It is not waited for any more; a second time this does nothing. */
  end(wait: Wait): void {
    wait.timer?.cancel()
    const { after, before } = wait
    if (before !== undefined) before.after = after
    else if (this.#first === wait) this.#first = after
    if (after !== undefined) after.before = before
    else if (this.#last === wait) this.#last = before
    wait.before = wait.after = undefined
  }

  #run(ms: number): void {
    this.#isRunning = true
    this.#clock.setTimer(() => this.#look(), ms)
  }

  #look(): void {
    this.#isRunning = false
    const now = this.#clock.now()
    for (let wait = this.#first; wait !== undefined; wait = this.#first) {
      if (wait.until > now) {
        this.#run(wait.until - now)
        return
      }
      this.end(wait)
      wait.late()
    }
  }
}
