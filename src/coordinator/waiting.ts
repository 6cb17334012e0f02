// Waiting for something no longer than a caller may.

import type { Clock } from '../clock.ts'

/** Stands for "not in time". */
export const LATE: unique symbol = Symbol('late')

/** The outcome, or `LATE` when it is not there after `ms`; `Infinity` waits for ever. */
export function within<T>(outcome: Promise<T>, ms: number, clock: Clock): Promise<T | typeof LATE> {
  if (ms === Number.POSITIVE_INFINITY) return outcome
  return new Promise((resolve, reject) => {
    const timer = clock.setTimer(() => resolve(LATE), ms)
    outcome.then(resolve, reject).finally(() => timer.cancel())
  })
}
