// May this response be kept, and for how long? One function, asked once per response, when its head is known. Whatever
// is doubtful is not kept: a directive that cannot be read, a status nobody listed, a request that carried somebody's
// identity. Each refusal has a reason, a word from a fixed list, which `Cache-Status` may show.

import { type Directives, parseCacheControl } from './cache-control.ts'
import { type Fields, fieldOf } from './fields.ts'
import {
  dateOf,
  explicitFreshMs,
  heuristicFreshMs,
  heuristicStatuses,
  initialAgeOf,
  type PageTimes,
  type Received,
  staleWindowMs,
} from './freshness.ts'
import { targetedDirectives } from './targeted.ts'
import { parseVary } from './vary.ts'

/** What a request says that bears on caching. */
export interface RequestHead {
  /** In upper case. */
  readonly method: string
  readonly fields: Fields
}

/** What a response says that bears on caching. */
export interface ResponseHead {
  readonly status: number
  readonly fields: Fields
}

/** What the owner of the cache decides; resolved options. */
export interface StoringRules {
  /** Life of a page whatever it says of its freshness; `undefined` where the page decides. */
  readonly ttlMs: number | undefined
  /** Life of a page that says nothing of its freshness; `undefined` where such a page is not kept. */
  readonly defaultTtlMs: number | undefined
  /** Whether `Last-Modified` gives a life to a page that says nothing else. */
  readonly heuristic: boolean
  /** Statuses that are kept; `'explicit'` keeps every final one that says itself how long. */
  readonly statuses: ReadonlySet<number> | 'explicit'
  /** Targeted fields, in lower case, that go before `Cache-Control`; the first that is there counts. */
  readonly targets: readonly string[]
  /** Whether an `Age` that is no single number makes a response stale. */
  readonly isStrictAge: boolean
  readonly staleWhileRevalidateMs: number
  readonly staleIfErrorMs: number
  /** Whether pages that vary with cookies may be kept, since their key holds the cookies that matter. */
  readonly keysCookies: boolean
}

/** Why a response is not kept. */
export type Refusal =
  | 'authorization'
  | 'malformed'
  | 'method'
  | 'no-freshness'
  | 'no-store'
  | 'partial'
  | 'private'
  | 'request'
  | 'set-cookie'
  | 'status'
  | 'tags'
  | 'vary'

/** The answer: times and what it varies with, or why not. */
export type Storing =
  | { readonly refusal: Refusal }
  | {
      readonly refusal: undefined
      readonly times: PageTimes
      readonly vary: readonly string[]
      /** Whether the life is the owner's and not the page's, so that the page has yet to be told. */
      readonly isByRule: boolean
      /** Whether requests with `Authorization` may have it. */
      readonly isForAuthorized: boolean
    }

/** Statuses whose meaning for caches is known here, for `must-understand`. */
const understood: ReadonlySet<number> = new Set([
  ...heuristicStatuses,
  302,
  303,
  307,
  400,
  403,
  500,
  502,
  503,
  504,
])

/** Whether a request's answer may be kept at all, judged before there is one. */
export function refusalOfRequest({ method, fields }: RequestHead): Refusal | undefined {
  if (method !== 'GET' && method !== 'HEAD') return 'method'
  // A GET with a body asks for what the key does not say.
  if (hasBody(fields) || fieldOf(fields, 'upgrade') !== undefined) return 'request'
  if (fieldOf(fields, 'range') !== undefined) return 'partial'
  const directives = parseCacheControl(fieldOf(fields, 'cache-control'))
  if (directives === undefined) return 'malformed'
  return directives.has('no-store') ? 'no-store' : undefined
}

function hasBody(fields: Fields): boolean {
  if (fieldOf(fields, 'transfer-encoding') !== undefined) return true
  const length = fieldOf(fields, 'content-length')
  return length !== undefined && !/^0+$/.test(length)
}

/** Whether this response to this request may be kept, and by which times it lives. */
export function storingOf(
  request: RequestHead,
  response: ResponseHead,
  rules: StoringRules,
  received: Received,
): Storing {
  const { status, fields } = response
  const ofRequest = refusalOfRequest(request)
  if (ofRequest !== undefined) return { refusal: ofRequest }
  if (status === 206 || status === 304 || status < 200) return { refusal: 'partial' }
  if (rules.statuses !== 'explicit' && !rules.statuses.has(status)) return { refusal: 'status' }
  // `Set-Cookie2` is a field like any other: no client has taken a cookie from it since RFC 6265.
  if (fieldOf(fields, 'set-cookie') !== undefined) return { refusal: 'set-cookie' }

  const targeted = targetedDirectives(fields, rules.targets)
  const directives = targeted ?? parseCacheControl(fieldOf(fields, 'cache-control'))
  if (directives === undefined) return { refusal: 'malformed' }
  const mustUnderstand = directives.has('must-understand')
  if (mustUnderstand && !understood.has(status)) return { refusal: 'status' }
  if (directives.has('no-store') && !mustUnderstand) return { refusal: 'no-store' }
  if (directives.has('private')) return { refusal: 'private' }
  if (fieldOf(request.fields, 'authorization') !== undefined && !permitsAuthorized(directives)) {
    return { refusal: 'authorization' }
  }

  const vary = parseVary(fieldOf(fields, 'vary'))
  if (vary === '*') return { refusal: 'vary' }
  if (vary.includes('cookie') && !rules.keysCookies) return { refusal: 'vary' }

  const times = timesOf(status, fields, directives, targeted !== undefined, rules, received)
  if (times === undefined) return { refusal: 'no-freshness' }
  return { refusal: undefined, ...times, vary, isForAuthorized: permitsAuthorized(directives) }
}

/** Whether the answer to a request with `Authorization` may be given to others (RFC 9111 section 3.5). */
export function permitsAuthorized(directives: Directives): boolean {
  return directives.has('public') || directives.has('s-maxage') || directives.has('must-revalidate')
}

function timesOf(
  status: number,
  fields: Fields,
  directives: Directives,
  isTargeted: boolean,
  rules: StoringRules,
  received: Received,
): { times: PageTimes; isByRule: boolean } | undefined {
  const dateMs = dateOf(fields, received.receivedAtMs)
  const initialAgeMs = initialAgeOf(fields, received, rules.isStrictAge)
  const expires = isTargeted ? undefined : fieldOf(fields, 'expires')
  const isNoCache = directives.has('no-cache')
  const said = explicitFreshMs(directives, expires, dateMs)
  const isHeuristic = rules.heuristic && (heuristicStatuses.has(status) || directives.has('public'))
  const ownMs = said ?? (isHeuristic ? heuristicFreshMs(fields, dateMs) : undefined)
  const ruleMs = rules.ttlMs ?? (ownMs === undefined ? rules.defaultTtlMs : undefined)
  // A rule's time begins when the page is stored, however old the page is by then.
  const freshMs = ruleMs === undefined ? (ownMs ?? (isNoCache ? 0 : undefined)) : initialAgeMs + ruleMs
  if (freshMs === undefined || ruleMs === 0) return undefined
  const hasValidator = fieldOf(fields, 'etag') !== undefined || fieldOf(fields, 'last-modified') !== undefined
  const times: PageTimes = {
    initialAgeMs,
    freshMs: isNoCache ? 0 : Math.max(0, freshMs),
    staleWhileRevalidateMs: staleWindowMs(directives, 'stale-while-revalidate', rules.staleWhileRevalidateMs),
    staleIfErrorMs: staleWindowMs(directives, 'stale-if-error', rules.staleIfErrorMs),
    isNoCache,
  }
  const usableMs = times.freshMs + Math.max(times.staleWhileRevalidateMs, times.staleIfErrorMs) - initialAgeMs
  return usableMs > 0 || hasValidator ? { times, isByRule: ruleMs !== undefined } : undefined
}
