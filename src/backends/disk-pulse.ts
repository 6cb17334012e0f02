// Whether the disk under a directory answers at all.
//
// The calls of the file tier and the file bus are synchronous (0025). One that a disk never answers (a share that is gone,
// a drive that hangs, a frozen file system) holds up the process for good. So when nothing was heard of the disk for a
// second, it is asked first, in the thread pool, and who wants something of it waits for the answer: the host goes on,
// and the deadline and the breaker above do what they do for a server that is silent.
//
// One question at a time, however many wait and however often they come back: a disk that hangs holds one thread of
// libuv's four, not all of them. A large read, which takes place in the pool too, counts as the question.
//
// What is not covered: a disk that stops in the middle of steady use is noticed by the call that it does not answer.

import type { Clock } from '../clock.ts'

/** So long nothing may be heard before the disk is asked. */
const QUIET_MS = 1_000

/** What is known of one disk, for one kind of call. */
export class DiskPulse {
  readonly #clock: Clock
  readonly #waitMs: number
  readonly #ask: (done: () => void) => void
  #heardAt = Number.NEGATIVE_INFINITY
  #question: Promise<void> | undefined
  /** The last of the large reads, one behind the other. */
  #reading: Promise<unknown> = Promise.resolve()
  #readings = 0

  /**
   * @param waitMs - How long one waits for the answer before it is an error.
   * @param ask - A call of the kind, in the thread pool; an error is an answer too.
   */
  constructor(clock: Clock, waitMs: number, ask: (done: () => void) => void) {
    this.#clock = clock
    this.#waitMs = waitMs
    this.#ask = ask
  }

  /** The disk has answered a call just now. */
  heard(): void {
    this.#heardAt = this.#clock.now()
  }

  /**
   * To be waited for before the next call.
   *
   * @returns `undefined` when the disk was heard of lately; else a promise that rejects when it takes too long.
   */
  awaited(): Promise<void> | undefined {
    if (this.#question === undefined) {
      if (this.#clock.now() - this.#heardAt < QUIET_MS) return undefined
      this.#question = this.#readings > 0 ? this.#reading.then(() => {}) : new Promise<void>(this.#ask)
      void this.#question.then(() => {
        this.heard()
        // Not before all who wait have gone on: nobody may overtake them.
        setImmediate(() => {
          this.#question = undefined
        })
      })
    }
    return this.#withinWait(this.#question)
  }

  /** Runs a read in the thread pool, behind those before it. */
  async read<T>(run: () => Promise<T>): Promise<T> {
    const before = this.#reading
    this.#readings++
    const reading = before.then(run)
    this.#reading = reading.then(
      () => {},
      () => {},
    )
    try {
      return await reading
    } finally {
      this.#readings--
      this.heard()
    }
  }

  #withinWait(answer: Promise<void>): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = this.#clock.setTimer(() => {
        reject(new Error(`the disk has not answered for ${this.#waitMs} ms`))
      }, this.#waitMs)
      void answer.then(() => {
        timer.cancel()
        resolve()
      })
    })
  }
}
