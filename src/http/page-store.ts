// Pages in a `Cache`, under two keys each:
//
//    url record   <prefix>:u:<url>                      what responses of the URL vary with, and its generation
//    page         <prefix>:p:<generation>:<method>:<variant>
//
// The record is learned from responses and only grows: it is the union of all `Vary` lists seen for the URL, so one
// response without `Vary` never opens another visitor's page to everyone. An invalidation gives the record a new generation and
// leaves the pages behind, unreachable, until their time is over; so it is one write however many variants there are,
// and a response that was under way when it came is stored under a key that nobody asks for.
//
// A record is only ever made where there is none, by a populate that any invalidation overtakes, or replaced together with its
// generation. So of two writers that meet, one loses pages, and none brings invalidated ones back.

import type { Cache, Making } from '../cache.ts'
import type { Clock } from '../clock.ts'
import { type Random, randomId } from '../random.ts'
import { sha256 } from './digest.ts'
import { decodePage, encodePage, lifeMsOf, type Page, type PageHead } from './page.ts'
import { type Fields, fieldOf } from './policy/fields.ts'
import { unionOf, variantOf } from './policy/vary.ts'

/** What is known of a URL. */
export interface UrlRecord {
  readonly generation: string
  /** Request fields that its responses vary with; in lower case, sorted. */
  readonly vary: readonly string[]
  /** Of the field `cookie`, the cookies that count. */
  readonly cookies: readonly string[] | 'all'
  /** Made by an invalidation: what was under way then is not kept. */
  readonly isInvalidation: boolean
}

/** A request, as far as it names a page. */
export interface Subject {
  readonly url: string
  readonly fields: Fields
  /** What the application adds to the key. */
  readonly extra: string
  /** Whether one of `rewritingFields` is there. */
  readonly isRewritten: boolean
}

/** A page and the record it was kept under. */
export interface Kept {
  readonly page: Page
  readonly record: UrlRecord
  /** What was kept with tags may have been invalidated by them since it began to be made. */
  readonly hasTags: boolean
}

/** What is to be kept of a response. */
export interface Keeping {
  readonly head: Omit<PageHead, 'variant' | 'url'>
  readonly chunks: readonly Uint8Array[]
  /** What this response varies with. */
  readonly vary: readonly string[]
  readonly cookies: readonly string[] | 'all'
  readonly tags: readonly string[]
  /** What was noted before the origin was asked. */
  readonly making: Making | undefined
  /** When that was, on the monotonic clock. */
  readonly askedAtMs: number
}

/** The page for a GET that nothing else distinguishes, which is the only one that most URLs have. */
interface Seen {
  readonly key: string
  /** As L1 had them last, and what is in them. */
  bytes: unknown
  page: Page | undefined
}

/** What a store works with. */
export interface PageStoreParts {
  readonly cache: Cache
  readonly prefix: string
  readonly keepForValidationMs: number
  readonly clock: Clock
  readonly random: Random
}

/**
 * Fields by which proxies and frameworks change what a request is about. They are part of every key: a handler that
 * believes one of them makes a page for those who sent the same, and for nobody else.
 */
export const rewritingFields: readonly string[] = [
  'forwarded',
  'x-forwarded-host',
  'x-forwarded-port',
  'x-forwarded-prefix',
  'x-forwarded-proto',
  'x-forwarded-scheme',
  'x-forwarded-server',
  'x-host',
  'x-invoke-path',
  'x-matched-path',
  'x-middleware-prefetch',
  'x-middleware-rewrite',
  'x-nextjs-data',
  'x-original-host',
  'x-original-url',
  'x-rewrite-url',
]

const LONGEST_PLAIN = 180
const INVALIDATION_LIFE_MS = 5 * 60 * 1000
const LEAST_RECORD_LIFE_MS = 24 * 60 * 60 * 1000

/** Reads and writes pages. */
export class PageStore {
  readonly #cache: Cache
  readonly #prefix: string
  readonly #keepForValidationMs: number
  readonly #clock: Clock
  readonly #random: Random
  readonly #pages = new WeakMap<Uint8Array, Page>()
  readonly #seen = new WeakMap<UrlRecord, Seen>()
  /** Invalidations under way here, which reads of their URL wait for. */
  readonly #invalidations = new Map<string, Promise<boolean>>()

  constructor(parts: PageStoreParts) {
    this.#cache = parts.cache
    this.#prefix = parts.prefix
    this.#keepForValidationMs = parts.keepForValidationMs
    this.#clock = parts.clock
    this.#random = parts.random
  }

  /** What L1 has for a GET, synchronously: nothing there says nothing about the tiers. */
  peek(subject: Subject): Page | undefined {
    if (this.#invalidations.size > 0 && this.#invalidations.has(subject.url)) return undefined
    const record = this.#cache.l1.get(this.recordKey(subject.url)) as UrlRecord | undefined
    if (record === undefined) return undefined
    const variant = variantText(subject, record)
    if (variant === '') return this.#peekOnly(subject.url, record)
    const bytes = this.#cache.l1.get(this.pageKey(record, 'GET', variant))
    return bytes === undefined ? undefined : this.#page(bytes, subject.url, variant)
  }

  /**
   * What is noted before a page is made; `undefined` where that cannot be told, and nothing will be kept.
   *
   * @param tags - Those that the page will carry, as far as they are known; `undefined` when it will carry none.
   */
  async beginMaking(tags: readonly string[] | undefined): Promise<Making | undefined> {
    try {
      return await this.#cache.beginMaking(tags)
    } catch {
      return undefined
    }
  }

  /** What is known of the URL. A tier that fails knows nothing. */
  async record(url: string): Promise<UrlRecord | undefined> {
    await this.#invalidations.get(url)?.catch(() => {})
    return this.#read(url)
  }

  async #read(url: string): Promise<UrlRecord | undefined> {
    try {
      return (await this.#cache.get(this.recordKey(url))) as UrlRecord | undefined
    } catch {
      return undefined
    }
  }

  /** The page of this method for the request, whatever its age; at least as old as a stale one where its tags expired. */
  async find(subject: Subject, record: UrlRecord, method: 'GET' | 'HEAD'): Promise<Page | undefined> {
    const variant = variantText(subject, record)
    const entry = await this.#cache.getEntry(this.pageKey(record, method, variant))
    const page = entry && this.#page(entry.value, subject.url, variant)
    return page !== undefined && entry?.isStale ? staleFrom(page, this.#clock.now()) : page
  }

  /**
   * Stores a page, if nothing invalidated its URL since `known` was read.
   *
   * @param known - The record as it was before the origin was asked.
   * @returns The page in this process and the record it is under, `undefined` when it is not kept.
   */
  async keep(
    subject: Subject,
    known: UrlRecord | undefined,
    { head, chunks, vary, cookies, tags, making, askedAtMs }: Keeping,
  ): Promise<Kept | undefined> {
    const { url } = subject
    const hasTags = tags.length > 0
    if (making === undefined) return undefined
    // An invalidation in the meantime may have been forgotten again.
    if (known === undefined && this.#clock.now() - askedAtMs >= INVALIDATION_LIFE_MS) return undefined
    const lifeMs = lifeMsOf(head.times, hasValidator(head) ? this.#keepForValidationMs : 0)
    if (lifeMs <= 0) return undefined
    const recordLifeMs = Math.max(LEAST_RECORD_LIFE_MS, lifeMs * 2)
    const made: UrlRecord = { generation: this.#generation(), vary, cookies, isInvalidation: false }
    const record = (await this.#cache.getOrSet(this.recordKey(url), () => made, {
      ttl: recordLifeMs,
    })) as UrlRecord
    if (known === undefined ? record.isInvalidation : record.generation !== known.generation) return undefined
    const grown = grownBy(record, vary, cookies)
    if (grown !== undefined) {
      // Another generation, so that this write can undo no invalidation. This page is not kept; the next one will be.
      const next: UrlRecord = { ...grown, generation: this.#generation(), isInvalidation: false }
      await this.#cache.set(this.recordKey(url), next, { ttl: recordLifeMs })
      return undefined
    }
    const variant = variantText(subject, record)
    const bytes = encodePage({ ...head, url, variant }, chunks)
    const key = this.pageKey(record, head.method, variant)
    if (!(await this.#cache.setMade(key, bytes, making, { ttl: lifeMs, tags }))) return undefined
    const page = this.#page(bytes, url, variant)
    return page && { page, record, hasTags }
  }

  /** Removes one page. */
  async drop(subject: Subject, record: UrlRecord, method: 'GET' | 'HEAD'): Promise<void> {
    await this.#cache.delete(this.pageKey(record, method, variantText(subject, record)))
  }

  /** Makes every page of the URL unreachable. What is known of its `Vary` stays. */
  invalidate(url: string): Promise<boolean> {
    const work = this.#invalidate(url)
    this.#invalidations.set(url, work)
    const end = () => {
      if (this.#invalidations.get(url) === work) this.#invalidations.delete(url)
    }
    work.then(end, end)
    return work
  }

  async #invalidate(url: string): Promise<boolean> {
    const before = await this.#read(url)
    const invalidated: UrlRecord = {
      generation: this.#generation(),
      vary: before?.vary ?? [],
      cookies: before?.cookies ?? [],
      isInvalidation: true,
    }
    // For a URL that was never kept, long enough for whatever is under way: later requests will have seen this record.
    const ttl = before === undefined ? INVALIDATION_LIFE_MS : LEAST_RECORD_LIFE_MS
    await this.#cache.set(this.recordKey(url), invalidated, { ttl })
    return before !== undefined && !before.isInvalidation
  }

  recordKey(url: string): string {
    return url.length <= LONGEST_PLAIN && isPlain(url)
      ? `${this.#prefix}:u:${url}`
      : `${this.#prefix}:U:${sha256(url)}`
  }

  pageKey(record: UrlRecord, method: 'GET' | 'HEAD', variant: string): string {
    const short = variant.length <= LONGEST_PLAIN && isPlain(variant)
    const named = short ? `p:${record.generation}:${method}:${variant}` : `P:${record.generation}:${method}:`
    return `${this.#prefix}:${named}${short ? '' : sha256(variant)}`
  }

  #peekOnly(url: string, record: UrlRecord): Page | undefined {
    let seen = this.#seen.get(record)
    if (seen === undefined) {
      seen = { key: this.pageKey(record, 'GET', ''), bytes: undefined, page: undefined }
      this.#seen.set(record, seen)
    }
    const bytes = this.#cache.l1.get(seen.key)
    if (bytes === undefined) return undefined
    if (seen.bytes !== bytes) {
      seen.bytes = bytes
      seen.page = this.#page(bytes, url, '')
    }
    return seen.page?.head.url === url ? seen.page : undefined
  }

  #generation(): string {
    return randomId(this.#random) + randomId(this.#random)
  }

  #page(bytes: unknown, url: string, variant: string): Page | undefined {
    let page = this.#pages.get(bytes as Uint8Array)
    if (page === undefined) {
      page = decodePage(bytes, this.#clock.wallNow(), this.#clock.now())
      if (page === undefined) return undefined
      this.#pages.set(bytes as Uint8Array, page)
    }
    // The key says so already. A page that reached this key by any other way is nobody's.
    return page.head.url === url && page.head.variant === variant ? page : undefined
  }
}

/** Whether all is ASCII that shows. A loop: for short texts a regular expression costs three times as much. */
function isPlain(text: string): boolean {
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at)
    if (unit < 0x21 || unit > 0x7e) return false
  }
  return true
}

/** What of the request chooses among the pages of its URL. */
export function variantText(
  { fields, extra, isRewritten }: Subject,
  record: Pick<UrlRecord, 'vary' | 'cookies'>,
): string {
  let text = record.vary.length === 0 ? '' : variantOf(fields, record.vary, record.cookies)
  if (isRewritten) {
    for (const name of rewritingFields) {
      const value = fieldOf(fields, name)
      if (value !== undefined) text += `!${name}=${value.length}:${value}`
    }
  }
  return extra === '' ? text : `${text}+${extra.length}:${extra}`
}

/** The page as it is once its tags have expired, which leaves it its stale windows and no more freshness. */
function staleFrom(page: Page, nowMs: number): Page {
  return { ...page, bornAtMs: Math.min(page.bornAtMs, nowMs - page.head.times.freshMs), said: undefined }
}

function hasValidator({ lines }: Pick<PageHead, 'lines'>): boolean {
  return lines.some(([name]) => /^(etag|last-modified)$/i.test(name))
}

/** The record with what this response adds; `undefined` when it adds nothing. */
function grownBy(
  record: UrlRecord,
  vary: readonly string[],
  cookies: readonly string[] | 'all',
): UrlRecord | undefined {
  const known = record.cookies
  const addsCookies = known !== 'all' && (cookies === 'all' || cookies.some((name) => !known.includes(name)))
  if (!addsCookies && vary.every((name) => record.vary.includes(name))) return undefined
  const allVary = unionOf(record.vary, vary)
  const allCookies = known === 'all' || cookies === 'all' ? 'all' : unionOf(known, cookies)
  return { ...record, vary: allVary, cookies: allCookies }
}
