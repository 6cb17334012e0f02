// What a stored page may do for a request: answer, answer while it is refreshed, or wait for the origin. Fresh, stale and
// the windows are exact to the millisecond here; `Age` is cut to seconds only where it is written.

import { parseCacheControl, secondsOf } from './cache-control.ts'
import { type Fields, fieldOf } from './fields.ts'
import type { PageTimes } from './freshness.ts'

/** What a request asks of the cache; all neutral where its directives are not honoured. */
export interface Wishes {
  /** The origin has to be asked. */
  readonly isNoCache: boolean
  /** The origin must not be asked. */
  readonly isOnlyIfCached: boolean
  readonly mostAgeMs: number
  readonly leastFreshMs: number
}

const none: Wishes = {
  isNoCache: false,
  isOnlyIfCached: false,
  mostAgeMs: Number.POSITIVE_INFINITY,
  leastFreshMs: 0,
}

/** Reads a request's wishes. `Pragma: no-cache` counts where there is no `Cache-Control`. */
export function wishesOf(fields: Fields, areHonoured: boolean): Wishes {
  const control = fieldOf(fields, 'cache-control')
  const pragma = fieldOf(fields, 'pragma')
  if (!areHonoured || (control === undefined && pragma === undefined)) return none
  const directives = parseCacheControl(control ?? pragma)
  if (directives === undefined) return none
  if (control === undefined) return directives.has('no-cache') ? { ...none, isNoCache: true } : none
  const mostAge = secondsOf(directives, 'max-age')
  return {
    isNoCache: directives.has('no-cache'),
    isOnlyIfCached: directives.has('only-if-cached'),
    mostAgeMs: mostAge === undefined ? none.mostAgeMs : mostAge * 1000,
    leastFreshMs: (secondsOf(directives, 'min-fresh') ?? 0) * 1000,
  }
}

/** What a page may do for a request now. */
export type Use = 'answer' | 'answer-and-refresh' | 'ask'

/** How the page of this age may be used. */
export function useOf(times: PageTimes, ageMs: number, wishes: Wishes): Use {
  if (wishes.isNoCache || times.isNoCache) return 'ask'
  if (ageMs > wishes.mostAgeMs) return 'ask'
  if (ageMs + wishes.leastFreshMs < times.freshMs) return 'answer'
  if (wishes.leastFreshMs > 0) return 'ask'
  return ageMs < times.freshMs + times.staleWhileRevalidateMs ? 'answer-and-refresh' : 'ask'
}

/** Whether the page may stand in for an origin that failed. */
export function servesOnError(times: PageTimes, ageMs: number): boolean {
  return !times.isNoCache && ageMs < times.freshMs + times.staleIfErrorMs
}
