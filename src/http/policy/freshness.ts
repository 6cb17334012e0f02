// How long a response is fresh and how old it is already (RFC 9111 section 4.2), and how long after that it may serve
// although it is stale (RFC 5861). All in milliseconds; seconds end where fields are read.

import { type Directives, MOST_SECONDS, secondsOf } from './cache-control.ts'
import { type Fields, fieldOf } from './fields.ts'
import { parseHttpDate } from './http-date.ts'

/** The times that a stored response lives by, counted from the moment it was made (`ageMs` 0). */
export interface PageTimes {
  /** How old it was when it was stored, by what it says itself and how long it took. */
  readonly initialAgeMs: number
  /** Fresh while younger than this. */
  readonly freshMs: number
  /** How long after that it may be served while a refresh runs behind it. */
  readonly staleWhileRevalidateMs: number
  /** How long after `freshMs` it may be served because the origin failed. */
  readonly staleIfErrorMs: number
  /** Must not be served without asking the origin, however fresh. */
  readonly isNoCache: boolean
}

/** When a response was asked for and came, on the wall clock. */
export interface Received {
  readonly requestedAtMs: number
  readonly receivedAtMs: number
}

/** Statuses that may be given a life without any explicit one (RFC 9110 section 15.1), but for 206. */
export const heuristicStatuses: ReadonlySet<number> = new Set([
  200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501,
])

const HEURISTIC_SHARE = 0.1
const MOST_HEURISTIC_MS = 24 * 60 * 60 * 1000

/**
 * The explicit freshness of a response: `s-maxage`, then `max-age`, then `Expires` less `Date`. `undefined` when it has
 * none; zero or less for one that was stale from the start or that nobody can read.
 *
 * @param expires - Left out where a targeted field took the place of `Cache-Control` (RFC 9213 section 2.2).
 */
export function explicitFreshMs(
  directives: Directives,
  expires: string | undefined,
  dateMs: number,
): number | undefined {
  const seconds = secondsOf(directives, 's-maxage') ?? secondsOf(directives, 'max-age')
  if (seconds !== undefined) return seconds * 1000
  if (expires === undefined) return undefined
  const expiresMs = parseHttpDate(expires, dateMs)
  return expiresMs === undefined ? 0 : expiresMs - dateMs
}

/** A tenth of the time since the response last changed, at most a day; `undefined` without `Last-Modified`. */
export function heuristicFreshMs(fields: Fields, dateMs: number): number | undefined {
  const lastModified = fieldOf(fields, 'last-modified')
  const lastModifiedMs = lastModified === undefined ? undefined : parseHttpDate(lastModified, dateMs)
  if (lastModifiedMs === undefined || lastModifiedMs > dateMs) return undefined
  return Math.min((dateMs - lastModifiedMs) * HEURISTIC_SHARE, MOST_HEURISTIC_MS)
}

/** `Date`, or the moment of receipt where it is absent or no date. */
export function dateOf(fields: Fields, receivedAtMs: number): number {
  const date = fieldOf(fields, 'date')
  return (date === undefined ? undefined : parseHttpDate(date, receivedAtMs)) ?? receivedAtMs
}

/**
 * How old a response was when it came (RFC 9111 section 4.2.3).
 *
 * @param isStrict - Whether an `Age` that is no single number makes the response stale. RFC 9111 section 5.1 lets it be
 *   ignored, or of several the first one count.
 */
export function initialAgeOf(
  fields: Fields,
  { requestedAtMs, receivedAtMs }: Received,
  isStrict: boolean,
): number {
  // `Date` has whole seconds, so a fraction of one is no age.
  const apparentSeconds = Math.max(0, Math.floor((receivedAtMs - dateOf(fields, receivedAtMs)) / 1000))
  const age = ageFieldOf(fields, isStrict)
  // A response that no cache has held says nothing of its age, and the time its making took is none.
  const corrected = age === 0 ? 0 : age + Math.max(0, receivedAtMs - requestedAtMs)
  return Math.max(apparentSeconds * 1000, corrected)
}

function ageFieldOf(fields: Fields, isStrict: boolean): number {
  const value = fieldOf(fields, 'age')?.trim()
  if (value === undefined) return 0
  const counted = isStrict ? value : value.split(',')[0]?.trim()
  if (counted === undefined || !/^[0-9]+$/.test(counted)) return isStrict ? MOST_SECONDS * 1000 : 0
  return Math.min(Number(counted), MOST_SECONDS) * 1000
}

/** Whether the response forbids to be used stale; `s-maxage` implies it (RFC 9111 section 5.2.2.10). */
export function forbidsStale(directives: Directives): boolean {
  return ['must-revalidate', 'proxy-revalidate', 's-maxage', 'no-cache'].some((name) => directives.has(name))
}

/** A window of RFC 5861: what the response says, or else what the rule says. */
export function staleWindowMs(directives: Directives, name: string, otherwiseMs: number): number {
  if (forbidsStale(directives)) return 0
  const seconds = secondsOf(directives, name)
  return seconds === undefined ? otherwiseMs : seconds * 1000
}
