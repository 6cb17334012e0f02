// When a value is renewed before its end (`refreshAhead`). Pure.
//
// Either after a share of its ttl, or by XFetch: at each use the time left is compared with `beta` times how long the
// last load took, times a random number whose mean is 1, so that of many users about one comes early, and the earlier
// the slower the load is. Source: Vattani, Chierichetti, Lowenstein, "Optimal Probabilistic Cache Stampede
// Prevention", VLDB 2015.
//
// For L1 both come down to a mark before the end up to which an entry answers without a question. Under XFetch it lies
// where the random number would have to be above 20, which happens twice in a thousand million uses.

import type { RefreshAhead } from '../options.ts'
import type { Note } from './copies.ts'
import type { Validators } from './loading.ts'

const LONGEST_DRAW = 20

/**
 * What to note beside a value that is written with `ttlMs`; `undefined` when there is nothing to.
 *
 * @param loadMs - How long it took to load; `undefined` when it was not loaded here.
 */
export function noteOf(
  refreshAhead: RefreshAhead | undefined,
  ttlMs: number,
  loadMs: number | undefined,
  validators: Validators | undefined,
): Note | undefined {
  let aheadMs = 0
  let spreadMs = 0
  if (refreshAhead !== undefined && ttlMs !== Number.POSITIVE_INFINITY) {
    if (typeof refreshAhead === 'number') {
      aheadMs = ttlMs * (1 - refreshAhead)
    } else if (loadMs !== undefined) {
      spreadMs = refreshAhead.beta * loadMs
      // At least half of a life passes without a question, however slow the loader is.
      aheadMs = Math.min(spreadMs * LONGEST_DRAW, ttlMs / 2)
    }
  }
  return aheadMs === 0 && validators === undefined ? undefined : { aheadMs, spreadMs, validators }
}

/** Whether a use of a value that is fresh for `freshMs` yet should renew it; `draw` is a random number from 0 to 1. */
export function isDue(note: Note | undefined, freshMs: number, draw: () => number): boolean {
  if (note === undefined || freshMs >= note.aheadMs) return false
  return note.spreadMs === 0 || -note.spreadMs * Math.log(1 - draw()) >= freshMs
}
