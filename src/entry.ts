// An entry's times. Pure: nothing here reads a clock.
//
//    written          ttl over                       unusable
//       │   fresh        │            stale              │   expired
//       ├────────────────┼───────────────────────────────┤
//                        │ staleWhileRevalidate ────┤
//                        │ staleIfError ─────────────────┤
//
// The stale windows of RFC 5861 both begin where `ttl` ends; the longer one says how long the entry is
// kept. Which use a stale entry may be put to is for the reader to say.

/** How long an entry may be used, and for what, counted from when it is written. */
export interface Lifetime {
  /** How long it is fresh; `Infinity` for ever. */
  readonly ttlMs: number
  /** How long after that it may be served while a refresh runs behind it. */
  readonly staleWhileRevalidateMs: number
  /** How long after `ttlMs` it may be served because the loader failed. */
  readonly staleIfErrorMs: number
}

/** How long after its `ttl` an entry is kept. */
export function staleMsOf(lifetime: Lifetime): number {
  return Math.max(lifetime.staleWhileRevalidateMs, lifetime.staleIfErrorMs)
}

/** The lifetime of one entry, with up to `jitter` of its `ttl` taken off; `draw` is a random number from 0 to 1. */
export function shortened(lifetime: Lifetime, jitter: number, draw: () => number): Lifetime {
  if (jitter === 0 || lifetime.ttlMs === Number.POSITIVE_INFINITY) return lifetime
  return { ...lifetime, ttlMs: lifetime.ttlMs * (1 - jitter * draw()) }
}

/** What is left of an entry's times. */
export interface RemainingTimes {
  /** Zero or less when it is stale; `Infinity` for ever. */
  readonly freshMs: number
  /** Zero or less when it is expired; `Infinity` for ever. */
  readonly usableMs: number
}

/** What is left, given how long a backend says the entry has to live and how much of that is stale time. */
export function remainingTimes(remainingMs: number, staleMs: number): RemainingTimes {
  return { freshMs: remainingMs - staleMs, usableMs: remainingMs }
}
