// What the middleware of every framework offers, and how it changes the head of a response.

import type { Duration } from '../../duration.ts'
import { type CacheControl, neverCached, patchCacheControl, patchVary } from '../headers.ts'
import type { PageOptions } from '../options.ts'
import { type FieldLine, fieldOf, fieldsOf } from '../policy/fields.ts'
import { formatHttpDate } from '../policy/http-date.ts'

/** A route's options with its `ttl` in front: `cachePage('15m', { cookies: ['theme'] })`. */
export type CachePage<Middleware> = (ttl?: Duration, options?: Omit<PageOptions, 'ttl'>) => Middleware

/** What each adapter offers, for one `HttpCache`. */
export interface CacheMiddleware<Middleware> {
  /** Answers from the cache and stores: `update` and `fetch` in one place, for the whole site. */
  readonly site: Middleware
  /**
   * The first half, for the very front: what comes by it on the way back is what is stored, whatever middleware behind it
   * did to it.
   */
  readonly update: Middleware
  /** The second half, for the very end: by then sessions, logins and languages have had their say. */
  readonly fetch: Middleware
  /**
   * Answers from the cache and stores, for one route. A time counts before what the page says of its freshness; without
   * one the page decides. Behind a site-wide cache it changes the rules for this page.
   */
  readonly cachePage: CachePage<Middleware>
  /** Says that nobody may cache the response: `max-age=0, no-cache, no-store, must-revalidate, private`. */
  readonly neverCache: () => Middleware
  /** Sets directives of the response's `Cache-Control`; see `CacheControl`. */
  readonly cacheControl: (control: CacheControl) => Middleware
  /** Adds names to the response's `Vary`. */
  readonly varyOn: (...names: string[]) => Middleware
  /** Adds `Cookie` to `Vary`, and lets the page be stored for each set of cookies: `cookies: 'all'`. */
  readonly varyOnCookie: () => Middleware
}

/** The lines with what says that nobody may cache them. */
export function withNeverCache(lines: readonly FieldLine[], wallMs: number): FieldLine[] {
  const has = fieldOf(fieldsOf(lines), 'expires') !== undefined
  const patched = withCacheControl(lines, neverCached)
  return has ? patched : [...patched, ['Expires', formatHttpDate(wallMs)]]
}

/** The lines with directives set in their `Cache-Control`. */
export function withCacheControl(lines: readonly FieldLine[], control: CacheControl): FieldLine[] {
  return withField(
    lines,
    'Cache-Control',
    patchCacheControl(fieldOf(fieldsOf(lines), 'cache-control'), control),
  )
}

/** The lines with names added to their `Vary`. */
export function withVary(lines: readonly FieldLine[], names: readonly string[]): FieldLine[] {
  return withField(lines, 'Vary', patchVary(fieldOf(fieldsOf(lines), 'vary'), names))
}

function withField(lines: readonly FieldLine[], name: string, value: string): FieldLine[] {
  const lower = name.toLowerCase()
  return [...lines.filter(([given]) => given.toLowerCase() !== lower), [name, value]]
}
