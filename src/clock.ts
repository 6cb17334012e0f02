// Time as a parameter. Everything in tierwheel that waits, ages or expires asks a `Clock` that it was
// given, so a test moves time by hand and a simulator runs days in seconds.
//
// Two clocks, because each lies in its own way: the monotonic one stands still while the machine
// sleeps, the wall clock jumps when someone sets it. Deadlines live on the monotonic clock; the wall
// clock is only compared with it, and written into files that outlive the process.

/** A running timer. */
export interface Timer {
  /** Stops the timer; after the timer has run, or a second time, this does nothing. */
  cancel(): void
}

/** What the time is, and what should happen later. */
export interface Clock {
  /** Milliseconds, with fractions, on a clock that never goes back; its zero means nothing. */
  now(): number

  /** Milliseconds since 1970, by the wall clock. May jump. */
  wallNow(): number

  /**
   * Runs `run` once, `delayMs` from now.
   *
   * The timer does not keep a process alive. Delays above 24 days are cut to 24 days: a caller with a
   * longer wait looks at the clock when the timer runs.
   */
  setTimer(run: () => void, delayMs: number): Timer
}

/**
 * Where every clock cuts delays: one of more than 2^31 - 1 ms would run at once.
 *
 * @internal
 */
export const LONGEST_DELAY_MS: number = 24 * 24 * 60 * 60 * 1000

/** The clock of the machine. */
export const systemClock: Clock = {
  now: () => performance.now(),
  wallNow: () => Date.now(),
  setTimer(run, delayMs) {
    const timer: unknown = setTimeout(run, Math.min(Math.max(delayMs, 0), LONGEST_DELAY_MS))
    // Browsers answer with a number, which needs no unref.
    if (typeof timer === 'object' && timer !== null && 'unref' in timer) (timer.unref as () => void)()
    return { cancel: () => clearTimeout(timer as Parameters<typeof clearTimeout>[0]) }
  },
}

/**
 * Resolves in another turn of the event loop, when what waits has had its turn: long work ends each of its parts with
 * it. No deadline hangs on it, so it is no part of `Clock`.
 */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => {
    const { setImmediate } = globalThis as { setImmediate?: (run: () => void) => void }
    if (setImmediate !== undefined) setImmediate(resolve)
    else setTimeout(resolve, 0)
  })
}
