// What an HTTP cache and a route can be told, checked and resolved once.

import type { Cache } from '../cache.ts'
import type { Clock } from '../clock.ts'
import { type Duration, describe, toMs } from '../duration.ts'
import { checkClock, checkCount, checkNames, checkRandom, checkTags } from '../options.ts'
import type { Random } from '../random.ts'
import { type Fields, isToken } from './policy/fields.ts'
import type { RequestHead, StoringRules } from './policy/storable.ts'

/**
 * What pages are about: names, or what makes them of a request and its response. At most 64 for a page, of 1 to 256 bytes
 * of UTF-8; a page whose tags cannot be told, because there are too many or the function throws, is not stored.
 */
export type PageTags =
  | readonly string[]
  | ((
      request: RequestHead & { readonly url: string },
      response: { readonly status: number; readonly fields: Fields },
    ) => readonly string[])

/** What a route may say differently from its cache. */
export interface PageOptions {
  /**
   * How long pages live, whatever they say of their freshness themselves. Pages that forbid to be stored are not, and
   * those that are stored say so to their clients in `Cache-Control` and `Expires`.
   *
   * @defaultValue what the page says; see also `HttpCacheOptions.defaultTtl`. `0` stores nothing.
   */
  ttl?: Duration
  /**
   * How long after that a page may be served at once while it is made again behind it, if it does not say so itself.
   *
   * @defaultValue `0`, never on this ground.
   */
  staleWhileRevalidate?: Duration
  /**
   * How long after its freshness a page may be served because the handler failed (it threw, or answered 500 or more), if
   * it does not say so itself.
   *
   * @defaultValue `0`, never on this ground.
   */
  staleIfError?: Duration
  /**
   * Request fields that pages depend on though they do not name them in `Vary`. They are named there from then on.
   *
   * @defaultValue none
   */
  headers?: readonly string[]
  /**
   * Cookies that pages depend on; `'all'` is every one. Without this option a page that varies with `Cookie` is not
   * stored, and with names, only those make a difference.
   *
   * @defaultValue none
   */
  cookies?: 'all' | readonly string[]
  /**
   * Whether the handler sees only what is in the key: fields of the connection, of content negotiation by `headers`, and
   * the `cookies` named; all others are taken out of the request before it runs.
   *
   * @defaultValue `false`
   */
  strict?: boolean
  /**
   * Adds to the key, such as the id of a tenant. `undefined` leaves the request alone: it is neither answered nor stored.
   *
   * @defaultValue adds nothing
   */
  key?: (request: RequestHead & { readonly url: string }) => string | undefined
  /**
   * What pages are about, so that `invalidateTags`, or `deleteTags` of the cache below, makes them unusable. Also while
   * they are being made: a response that was under way is not kept.
   *
   * @defaultValue none
   */
  tags?: PageTags
}

/** What an HTTP cache is made with. */
export interface HttpCacheOptions extends PageOptions {
  /** Where pages are kept: L1, tiers, bus and all. */
  cache: Cache
  /**
   * What the keys of pages begin with, so that one cache may hold other entries too. No colon.
   *
   * @defaultValue `'page'`
   */
  prefix?: string
  /**
   * Life of pages that say nothing of their freshness. Without it they are not stored.
   *
   * @defaultValue none
   */
  defaultTtl?: Duration
  /**
   * How long after its freshness a page with an `ETag` or `Last-Modified` is kept, so that the handler can be asked
   * whether it still holds. Handlers that answer 304 cheaply gain by it.
   *
   * @defaultValue `0`
   */
  keepForValidation?: Duration
  /**
   * Whether a page that says nothing of its freshness but when it was last modified lives for a tenth of that time, a
   * day at most (RFC 9111 section 4.2.2).
   *
   * @defaultValue `false`
   */
  heuristic?: boolean
  /**
   * Statuses that are stored; `'explicit'` stores every final one that says itself how long.
   *
   * @defaultValue `[200]`
   */
  statuses?: readonly number[] | 'explicit'
  /**
   * Whether a response with an `Age` that is no single number counts as stale. `false` ignores such a field, or of several
   * numbers takes the first, as RFC 9111 section 5.1 has it.
   *
   * @defaultValue `true`
   */
  strictAge?: boolean
  /**
   * Fields that go before `Cache-Control` here (RFC 9213), such as `CDN-Cache-Control`; the first that is there counts.
   *
   * @defaultValue none
   */
  targets?: readonly string[]
  /**
   * Response field by which a handler names tags, in addition to `tags`: between commas or blanks, as in the `Cache-Tag` of
   * CDNs. It is taken out of every response.
   *
   * @defaultValue none
   */
  tagField?: string
  /**
   * Whether `invalidatePrefix` works. Each page then carries a tag for every folder of its URL, 16 at most.
   *
   * @defaultValue `false`
   */
  prefixes?: boolean
  /**
   * Largest body that is stored, in bytes. A longer one goes on to its client and is kept nowhere.
   *
   * @defaultValue `1_048_576`
   */
  maxBodyBytes?: number
  /**
   * Whether `X-Forwarded-Proto` and `X-Forwarded-Host` say what was asked for; only behind a proxy that sets them.
   *
   * @defaultValue `false`
   */
  trustProxy?: boolean
  /**
   * Whether a client may ask for a newer page by `Cache-Control` (`no-cache`, `max-age`, `min-fresh`) or for none but a
   * stored one (`only-if-cached`).
   *
   * @defaultValue `true`
   */
  requestDirectives?: boolean
  /**
   * Whether stored pages without an `ETag` get one, made of their bytes.
   *
   * @defaultValue `true`
   */
  etag?: boolean
  /**
   * How long a request waits for another one that is making the same page; `0` never waits.
   *
   * @defaultValue `'10s'`
   */
  collapseTimeout?: Duration
  /**
   * Name of this cache in `Cache-Status`; `false` leaves the field out.
   *
   * @defaultValue `'tierwheel'`
   */
  cacheStatus?: string | false
  /** @defaultValue the machine's clock */
  clock?: Clock
  /** @defaultValue the machine's randomness */
  random?: Random
}

/** A route's rules, complete. */
export interface PageRules extends StoringRules {
  readonly headers: readonly string[]
  readonly cookies: 'all' | readonly string[]
  readonly isStrict: boolean
  readonly key: PageOptions['key']
  readonly tags: PageTags
}

/** A cache's rules, complete. */
export interface HttpRules {
  readonly cache: Cache
  readonly prefix: string
  readonly page: PageRules
  readonly keepForValidationMs: number
  readonly maxBodyBytes: number
  /** In lower case. */
  readonly tagField: string | undefined
  readonly hasPrefixes: boolean
  readonly trustsProxy: boolean
  readonly honoursRequest: boolean
  readonly makesEtag: boolean
  readonly collapseMs: number
  readonly statusName: string | undefined
  readonly clock: Clock
  readonly random: Random
}

const pageOptionNames = [
  'cookies',
  'headers',
  'key',
  'staleIfError',
  'staleWhileRevalidate',
  'strict',
  'tags',
  'ttl',
]
const optionNames = [
  ...pageOptionNames,
  'cache',
  'cacheStatus',
  'clock',
  'collapseTimeout',
  'defaultTtl',
  'etag',
  'heuristic',
  'keepForValidation',
  'maxBodyBytes',
  'prefix',
  'prefixes',
  'random',
  'requestDirectives',
  'statuses',
  'strictAge',
  'tagField',
  'targets',
  'trustProxy',
]

const DEFAULT_BODY_BYTES = 2 ** 20
const DEFAULT_COLLAPSE_MS = 10_000

const nothing: PageRules = {
  ttlMs: undefined,
  defaultTtlMs: undefined,
  heuristic: false,
  statuses: new Set([200]),
  targets: [],
  isStrictAge: true,
  staleWhileRevalidateMs: 0,
  staleIfErrorMs: 0,
  keysCookies: false,
  headers: [],
  cookies: [],
  isStrict: false,
  key: undefined,
  tags: [],
}

/** @throws TypeError or RangeError with the option's name, the value and the rule. */
export function resolveHttp(options: HttpCacheOptions): HttpRules {
  checkNames(options, optionNames, 'httpCache')
  const { cache, prefix = 'page', targets = [], cacheStatus = 'tierwheel' } = options
  const { collapseTimeout = DEFAULT_COLLAPSE_MS, keepForValidation = 0 } = options
  if (typeof cache?.getOrSet !== 'function' || typeof cache.l1?.get !== 'function') {
    throw new TypeError(`cache: ${describe(cache)} is not a cache; make one with createCache()`)
  }
  if (typeof prefix !== 'string' || prefix.includes(':') || prefix.length > 64) {
    throw new TypeError(`prefix: ${describe(prefix)} must be a string of at most 64 characters, none a colon`)
  }
  if (cacheStatus !== false && !(typeof cacheStatus === 'string' && isToken(cacheStatus))) {
    throw new TypeError(`cacheStatus: ${describe(cacheStatus)} is neither a token nor false`)
  }
  const base: PageRules = {
    ...nothing,
    defaultTtlMs: options.defaultTtl === undefined ? undefined : toMs(options.defaultTtl, 'defaultTtl'),
    heuristic: checkBoolean(options.heuristic, 'heuristic', false),
    statuses: checkStatuses(options.statuses === undefined ? [200] : options.statuses),
    targets: checkFieldNames(targets, 'targets'),
    isStrictAge: checkBoolean(options.strictAge, 'strictAge', true),
  }
  return {
    cache,
    prefix,
    page: resolvePageOver(base, options),
    keepForValidationMs: toMs(keepForValidation, 'keepForValidation'),
    maxBodyBytes: checkCount(options.maxBodyBytes, 'maxBodyBytes', 0, 2 ** 31 - 1, DEFAULT_BODY_BYTES),
    tagField: options.tagField === undefined ? undefined : checkFieldNames([options.tagField], 'tagField')[0],
    hasPrefixes: checkBoolean(options.prefixes, 'prefixes', false),
    trustsProxy: checkBoolean(options.trustProxy, 'trustProxy', false),
    honoursRequest: checkBoolean(options.requestDirectives, 'requestDirectives', true),
    makesEtag: checkBoolean(options.etag, 'etag', true),
    collapseMs: toMs(collapseTimeout, 'collapseTimeout'),
    statusName: cacheStatus === false ? undefined : cacheStatus,
    clock: checkClock(options.clock),
    random: checkRandom(options.random),
  }
}

/**
 * Puts a route's options over its cache's.
 *
 * @throws TypeError or RangeError with the option's name, the value and the rule.
 */
export function resolvePage(base: PageRules, options: PageOptions | undefined): PageRules {
  if (options === undefined) return base
  checkNames(options, pageOptionNames, 'page options')
  return resolvePageOver(base, options)
}

function resolvePageOver(base: PageRules, options: PageOptions): PageRules {
  const { cookies, key, tags } = options
  if (key !== undefined && typeof key !== 'function')
    throw new TypeError(`key: ${describe(key)} is not a function`)
  const names = cookies === undefined ? base.cookies : checkCookies(cookies)
  return {
    ...base,
    ttlMs: options.ttl === undefined ? base.ttlMs : toMs(options.ttl, 'ttl'),
    staleWhileRevalidateMs:
      options.staleWhileRevalidate === undefined
        ? base.staleWhileRevalidateMs
        : toMs(options.staleWhileRevalidate, 'staleWhileRevalidate'),
    staleIfErrorMs:
      options.staleIfError === undefined ? base.staleIfErrorMs : toMs(options.staleIfError, 'staleIfError'),
    headers: options.headers === undefined ? base.headers : checkFieldNames(options.headers, 'headers'),
    cookies: names,
    keysCookies: names === 'all' || names.length > 0 || (key ?? base.key) !== undefined,
    isStrict: checkBoolean(options.strict, 'strict', base.isStrict),
    key: key ?? base.key,
    tags: tags === undefined ? base.tags : typeof tags === 'function' ? tags : checkTags(tags),
  }
}

function checkCookies(cookies: unknown): 'all' | readonly string[] {
  if (cookies === 'all') return cookies
  if (!Array.isArray(cookies))
    throw new TypeError(`cookies: ${describe(cookies)} is neither 'all' nor an array`)
  for (const name of cookies) {
    if (typeof name !== 'string' || !isToken(name))
      throw new TypeError(`cookies: ${describe(name)} is not the name of a cookie`)
  }
  return [...new Set(cookies as string[])].sort()
}

function checkFieldNames(names: unknown, option: string): readonly string[] {
  if (!Array.isArray(names))
    throw new TypeError(`${option}: ${describe(names)} is not an array of field names`)
  for (const name of names) {
    if (typeof name !== 'string' || !isToken(name))
      throw new TypeError(`${option}: ${describe(name)} is not the name of a field`)
  }
  return [...new Set((names as string[]).map((name) => name.toLowerCase()))]
}

function checkStatuses(statuses: unknown): ReadonlySet<number> | 'explicit' {
  if (statuses === 'explicit') return statuses
  if (!Array.isArray(statuses))
    throw new TypeError(`statuses: ${describe(statuses)} is neither 'explicit' nor an array`)
  return new Set(statuses.map((status) => checkCount(status, 'statuses', 200, 599)))
}

function checkBoolean(given: unknown, option: string, usual: boolean): boolean {
  const value = given === undefined ? usual : given
  if (typeof value !== 'boolean')
    throw new TypeError(`${option}: ${describe(value)} is neither true nor false`)
  return value
}
