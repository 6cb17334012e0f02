// What an adapter holds: a request in, and out comes either an answer or an exchange to drive. All that is decided
// before the handler runs is decided here; what is decided afterwards, in exchange.ts; and by which rules, in policy/.
//
//    request ── not for caches? ────────────────────────────────▶ handler, passed on
//       │ unsafe? ──────────────────────────────────────────────▶ handler; its success invalidates the URL
//       │ page in L1, fresh?  answer                              ← the usual hit ends here, synchronously
//       │ page in any level: fresh? answer · in its window? answer, refresh behind it
//       │ being made by another request? wait for that, then look again, once
//       └──────────────────────────────────────────────────────▶ handler; its answer is judged, and stored if it may be

import type { Making } from '../cache.ts'
import { describe } from '../duration.ts'
import { type Answer, answerFrom, answerOf } from './answer.ts'
import { Exchange } from './exchange.ts'
import { type Flight, Flights, type Outcome } from './flights.ts'
import {
  type HttpCacheOptions,
  type HttpRules,
  type PageOptions,
  type PageRules,
  resolveHttp,
  resolvePage,
} from './options.ts'
import type { Page } from './page.ts'
import { PageStore, rewritingFields, type Subject, type UrlRecord, variantText } from './page-store.ts'
import { folderTagOf, tagsAhead } from './page-tags.ts'
import type { ForwardReason } from './policy/cache-status.ts'
import { type Fields, fieldOf, hasSome } from './policy/fields.ts'
import { servesOnError, type Use, useOf, type Wishes, wishesOf } from './policy/reuse.ts'
import { type RequestHead, refusalOfRequest } from './policy/storable.ts'
import { keepTickShape } from './tick-shape.ts'

/** A request as an adapter shows it. */
export interface Incoming extends RequestHead {
  /** Scheme, host, path and query, byte for byte; `undefined` when they cannot be told, and nothing is cached. */
  readonly url: string | undefined
}

/** What an adapter does with a request. */
export type Plan =
  /** Sends the answer; `refresh`, if any, is then driven without a client. */
  | { readonly kind: 'answer'; readonly answer: Answer; readonly refresh: Exchange | undefined }
  | { readonly kind: 'forward'; readonly exchange: Exchange }

const safeMethods = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE'])

/** Fields with which a client makes a GET something else, or asks for what only the origin can judge. */
const beyond: ReadonlySet<string> = new Set([
  'if-match',
  'if-range',
  'if-unmodified-since',
  'x-http-method',
  'x-http-method-override',
  'x-method-override',
])

/** What most requests have nothing of. */
const unusual: ReadonlySet<string> = new Set([...beyond, ...rewritingFields])

/** Pages over a `Cache`; `httpCache` makes one. */
export class HttpCache {
  readonly #http: HttpRules
  readonly #store: PageStore
  readonly #flights: Flights
  /** Whether any page may have tags; then it is noted when each began to be made. */
  #usesTags: boolean

  /** @internal Use `httpCache`. */
  constructor(rules: HttpRules) {
    this.#http = rules
    this.#store = new PageStore(rules)
    this.#flights = new Flights(rules.clock)
    this.#usesTags = rules.hasPrefixes || rules.tagField !== undefined || hasTags(rules.page)
    keepTickShape()
  }

  /**
   * Makes every stored page of a URL unusable: all variants, in every process.
   *
   * @param url - Absolute, as clients ask for it: scheme, host, path and query.
   * @returns Whether pages of it may have been stored.
   * @throws TypeError for something that is no absolute URL. CacheError `CACHE_TIER_FAILED` when the authority did not
   *   take it.
   */
  async invalidate(url: string): Promise<boolean> {
    if (typeof url !== 'string' || !/^https?:\/\/[^/?#\s]+\//.test(url)) {
      throw new TypeError(`url: ${describe(url)} is not an absolute URL of http or https with a path`)
    }
    return this.#store.invalidate(url)
  }

  /**
   * Makes every stored page that carries one of `tags` unusable, in every process: as `deleteTags` of the cache below,
   * which invalidates other entries with these tags as well. A response that is being made meanwhile is not kept.
   *
   * @throws TypeError or RangeError for what cannot be a tag. CacheError `CACHE_TIER_FAILED` when the authority did not
   *   take it.
   */
  async invalidateTags(tags: Iterable<string>): Promise<void> {
    return this.#http.cache.deleteTags(tags)
  }

  /**
   * Makes every stored page unusable whose URL begins with `url`, in every process. Costs the same however many that are.
   *
   * @param url - A folder: absolute, ending in a slash, without a query. `https://example.com/` is the whole site.
   * @throws TypeError for something else, and where the option `prefixes` is not set. RangeError for a folder more than 15
   *   folders below the root. CacheError `CACHE_TIER_FAILED` when the authority did not take it.
   */
  async invalidatePrefix(url: string): Promise<void> {
    if (!this.#http.hasPrefixes) {
      throw new TypeError(
        'invalidatePrefix: pages have no tags of their folders; set the option prefixes to true',
      )
    }
    return this.#http.cache.deleteTags([folderTagOf(this.#http.prefix, url)])
  }

  /** @internal The rules of a route over the cache's own. */
  rulesFor(options: PageOptions | undefined): PageRules {
    const rules = resolvePage(this.#http.page, options)
    this.#usesTags ||= hasTags(rules)
    return rules
  }

  /** @internal The wall clock that the cache was given. */
  wallNow(): number {
    return this.#http.clock.wallNow()
  }

  /** @internal Whether a proxy in front says what was asked for. */
  get trustsProxy(): boolean {
    return this.#http.trustsProxy
  }

  /**
   * @internal What to do with a request. Synchronous for a page that L1 has and for what is not for caches.
   *
   * @param canRefresh - Whether the adapter can run the handler without a client.
   */
  begin(incoming: Incoming, rules: PageRules, canRefresh: boolean): Plan | Promise<Plan> {
    const { method, url, fields } = incoming
    if (url === undefined) return this.#passed(incoming, rules, 'bypass')
    if (!safeMethods.has(method)) return this.#changing(incoming, url, rules)
    const refusal = refusalOfRequest(incoming)
    if (refusal === 'method') return this.#passed(incoming, rules, 'method')
    const isUnusual = hasSome(fields, unusual)
    if (refusal !== undefined || (isUnusual && hasSome(fields, beyond))) {
      return this.#passed(incoming, rules, 'bypass')
    }
    const extra = rules.key === undefined ? '' : rules.key({ method, fields, url })
    if (extra === undefined) return this.#passed(incoming, rules, 'bypass')
    const subject: Subject = { url, fields, extra, isRewritten: isUnusual }
    const wishes = wishesOf(fields, this.#http.honoursRequest)
    const page = this.#store.peek(subject)
    if (page !== undefined && mayHave(page, fields)) {
      const nowMs = this.#http.clock.now()
      if (useOf(page.head.times, nowMs - page.bornAtMs, wishes) === 'answer') {
        return { kind: 'answer', answer: this.#hit(page, incoming, false, nowMs), refresh: undefined }
      }
    }
    return this.#seek(incoming, subject, rules, wishes, canRefresh)
  }

  async #seek(
    incoming: Incoming,
    subject: Subject,
    rules: PageRules,
    wishes: Wishes,
    canRefresh: boolean,
  ): Promise<Plan> {
    const { fields, method } = incoming
    const mayWait =
      this.#http.collapseMs > 0 && !wishes.isNoCache && fieldOf(fields, 'authorization') === undefined
    let waited: Outcome | undefined
    let waits = 0
    for (;;) {
      // What is made now rests on data that is read after this.
      const [record, making] = await Promise.all([
        this.#store.record(subject.url),
        this.#store.beginMaking(
          this.#usesTags ? tagsAhead(rules.tags, this.#folderPrefix, subject.url) : undefined,
        ),
      ])
      const found = await this.#find(subject, record, method, waited)
      const page = found !== undefined && mayHave(found, fields) ? found : undefined
      const use = page && this.#useOf(page, wishes)
      const key = this.#flightKey(subject, record, method)
      if (page !== undefined && use === 'answer') {
        return { kind: 'answer', answer: this.#hit(page, incoming, waits > 0), refresh: undefined }
      }
      if (page !== undefined && use === 'answer-and-refresh' && canRefresh) {
        const answer = this.#hit(page, incoming)
        if (this.#flights.has(key)) return { kind: 'answer', answer, refresh: undefined }
        const flight = this.#flights.begin(key)
        const refresh = this.#caching(incoming, subject, record, rules, page, flight, 'stale', false, making)
        return { kind: 'answer', answer, refresh }
      }
      if (wishes.isOnlyIfCached) return { kind: 'answer', answer: gatewayTimeout, refresh: undefined }
      if (waited?.kind === 'failed' && record !== undefined && mayHave(waited.stale, fields)) {
        const isItsOwn = waited.stale.head.variant === variantText(subject, record)
        if (isItsOwn && this.#standsIn(waited.stale)) {
          return { kind: 'answer', answer: this.#hit(waited.stale, incoming, true), refresh: undefined }
        }
      }

      const reason: ForwardReason =
        page !== undefined ? 'stale' : record === undefined ? 'uri-miss' : 'vary-miss'
      // A record may be there before the page that it was made for.
      const underWay = [key, this.#flightKey(subject, undefined, method)].find((one) =>
        this.#flights.has(one),
      )
      // Nobody waits a second time for an answer that could not be used, nor for ever.
      const hasWaitedInVain =
        waits > 0 && (page !== undefined || waited === undefined || waited.kind === 'refused')
      const goesAlone = !mayWait || hasWaitedInVain || waits === MOST_WAITS || this.#flights.areApart(key)
      if (goesAlone || underWay === undefined) {
        // What was being made when this look began may be in L1 by now, its flight over.
        const late = page === undefined ? this.#store.peek(subject) : undefined
        if (late !== undefined && mayHave(late, fields) && this.#useOf(late, wishes) === 'answer') {
          return { kind: 'answer', answer: this.#hit(late, incoming), refresh: undefined }
        }
        const flight = goesAlone ? undefined : this.#flights.begin(key)
        const why = wishes.isNoCache ? 'request' : reason
        return {
          kind: 'forward',
          exchange: this.#caching(incoming, subject, record, rules, page, flight, why, waits > 0, making),
        }
      }
      waited = await this.#flights.wait(underWay, this.#http.collapseMs)
      waits++
    }
  }

  get #folderPrefix(): string | undefined {
    return this.#http.hasPrefixes ? this.#http.prefix : undefined
  }

  async #find(
    subject: Subject,
    record: UrlRecord | undefined,
    method: string,
    waited: Outcome | undefined,
  ): Promise<Page | undefined> {
    if (record === undefined) return undefined
    const isKept = waited?.kind === 'stored' && !waited.kept.hasTags
    if (isKept && waited.kept.record.generation === record.generation) {
      const { head } = waited.kept.page
      if (head.method === method && head.variant === variantText(subject, record)) return waited.kept.page
    }
    const page = await this.#store.find(subject, record, 'GET')
    return page === undefined && method === 'HEAD' ? this.#store.find(subject, record, 'HEAD') : page
  }

  #flightKey(subject: Subject, record: UrlRecord | undefined, method: string): string {
    return record === undefined
      ? `${method} ${this.#store.recordKey(subject.url)} ${variantText(subject, unlearned)}`
      : this.#store.pageKey(record, method as 'GET' | 'HEAD', variantText(subject, record))
  }

  #useOf(page: Page, wishes: Wishes): Use {
    return useOf(page.head.times, this.#http.clock.now() - page.bornAtMs, wishes)
  }

  #standsIn({ head, bornAtMs }: Page): boolean {
    return servesOnError(head.times, this.#http.clock.now() - bornAtMs)
  }

  #hit(
    page: Page,
    request: RequestHead,
    isCollapsed = false,
    nowMs: number = this.#http.clock.now(),
  ): Answer {
    const { clock, statusName } = this.#http
    const leftSeconds = Math.floor((page.head.times.freshMs - (nowMs - page.bornAtMs)) / 1000)
    const outcome = isCollapsed
      ? ({ kind: 'hit', leftSeconds, detail: 'collapsed' } as const)
      : ({ kind: 'hit', leftSeconds } as const)
    return answerFrom(page, request, outcome, statusName, nowMs, clock)
  }

  #caching(
    request: Incoming,
    subject: Subject,
    record: UrlRecord | undefined,
    rules: PageRules,
    stale: Page | undefined,
    flight: Flight | undefined,
    reason: ForwardReason,
    isCollapsed: boolean,
    making: Making | undefined,
  ): Exchange {
    return this.#exchange({
      request,
      subject,
      record,
      rules,
      stale,
      flight,
      reason,
      isCollapsed,
      making,
      kind: 'cache',
    })
  }

  #passed(request: Incoming, rules: PageRules, reason: ForwardReason): Plan {
    const subject = { url: request.url ?? '', fields: request.fields, extra: '', isRewritten: true }
    const exchange = this.#exchange({ ...alone, request, subject, rules, reason, kind: 'pass' })
    return { kind: 'forward', exchange }
  }

  #changing(request: Incoming, url: string, rules: PageRules): Plan {
    const subject = { url, fields: request.fields, extra: '', isRewritten: true }
    const exchange = this.#exchange({
      ...alone,
      request,
      subject,
      rules,
      reason: 'method',
      kind: 'invalidate',
    })
    return { kind: 'forward', exchange }
  }

  #exchange(parts: {
    readonly request: Incoming
    readonly subject: Subject
    readonly record: UrlRecord | undefined
    readonly rules: PageRules
    readonly stale: Page | undefined
    readonly flight: Flight | undefined
    readonly reason: ForwardReason
    readonly isCollapsed: boolean
    readonly making: Making | undefined
    readonly kind: 'pass' | 'invalidate' | 'cache'
  }): Exchange {
    return new Exchange({
      ...parts,
      url: parts.request.url,
      http: this.#http,
      store: this.#store,
      invalidate: async (urls) => {
        await Promise.all(urls.map((url) => this.#store.invalidate(url)))
      },
    })
  }
}

/** How many pages in the making a request waits for, one after the other, until it makes its own. */
const MOST_WAITS = 3

const unlearned: Pick<UrlRecord, 'vary' | 'cookies'> = { vary: [], cookies: [] }

const alone = {
  record: undefined,
  stale: undefined,
  flight: undefined,
  isCollapsed: false,
  making: undefined,
} as const

function hasTags({ tags }: PageRules): boolean {
  return typeof tags === 'function' || tags.length > 0
}

const gatewayTimeout: Answer = answerOf(504, [['Content-Length', '0']], undefined)

/** Whether a request may be answered with the page: one that shows who is asking only where the page says so. */
function mayHave({ head }: Page, fields: Fields): boolean {
  return head.isForAuthorized || fieldOf(fields, 'authorization') === undefined
}

/**
 * Makes an HTTP cache over a cache; the adapters put it in front of handlers.
 *
 * @throws TypeError or RangeError for options that can not be right, with the name, the value and the rule.
 * @example
 * const pages = httpCache({ cache: createCache(), defaultTtl: '1m' })
 */
export function httpCache(options: HttpCacheOptions): HttpCache {
  return new HttpCache(resolveHttp(options))
}
