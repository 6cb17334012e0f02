// One request that goes to the handler, from before it is asked to after its answer is stored. An adapter drives it: it
// changes the request by `forwardFields`, shows the head of the response to `respond` and does what that says, shows the
// body to `write` as it goes by, and ends with one of `end`, `abort` and `fail`.

import type { Making } from '../cache.ts'
import { type Answer, answerFrom, answerOf, isConditional, linesOf304 } from './answer.ts'
import { sha256 } from './digest.ts'
import type { Flight } from './flights.ts'
import { freshnessLines, patchVary } from './headers.ts'
import type { HttpRules, PageRules } from './options.ts'
import type { Page, PageHead } from './page.ts'
import type { PageStore, Subject, UrlRecord } from './page-store.ts'
import { namedIn, tagsOf } from './page-tags.ts'
import { type ForwardReason, formatCacheStatus } from './policy/cache-status.ts'
import { isNotModified, updatedBy304, validatorsOf } from './policy/conditional.ts'
import {
  connectionFields,
  type FieldLine,
  type Fields,
  fieldOf,
  fieldsOf,
  hopByHop,
} from './policy/fields.ts'
import { formatHttpDate } from './policy/http-date.ts'
import { servesOnError } from './policy/reuse.ts'
import { type Refusal, type RequestHead, type Storing, storingOf } from './policy/storable.ts'
import { cookiesOf, unionOf } from './policy/vary.ts'

/** What an adapter does with the head of a response. */
export type Decision =
  /** Sends this head, and the body behind it only if `sendsBody`; shows the body to `write` if `records`. */
  | {
      readonly kind: 'send'
      readonly status: number
      readonly lines: readonly FieldLine[]
      readonly sendsBody: boolean
      readonly records: boolean
    }
  /** Sends this, and nothing of what the handler sends. */
  | { readonly kind: 'substitute'; readonly answer: Answer }

/** What an exchange works with. */
export interface ExchangeParts {
  readonly http: HttpRules
  readonly store: PageStore
  readonly rules: PageRules
  readonly request: RequestHead
  readonly url: string | undefined
  /** What is done with the answer. */
  readonly kind: 'pass' | 'invalidate' | 'cache'
  readonly subject: Subject
  readonly record: UrlRecord | undefined
  /** A page that the origin is asked about. */
  readonly stale: Page | undefined
  readonly flight: Flight | undefined
  readonly reason: ForwardReason
  readonly isCollapsed: boolean
  /** What was noted before the handler ran; `undefined` where nothing will be kept. */
  readonly making: Making | undefined
  /** Called with the URLs that the answer makes out of date. */
  readonly invalidate: (urls: readonly string[]) => Promise<void>
}

/** Request fields that say nothing of the page: the handler sees them even where `strict` hides the rest. */
const structural: ReadonlySet<string> = new Set([
  'connection',
  'content-length',
  'content-type',
  'expect',
  'host',
  'if-modified-since',
  'if-none-match',
  'transfer-encoding',
  'upgrade',
])

/** A request that goes to the handler. */
export class Exchange {
  readonly #parts: ExchangeParts
  /** The rules may be refined by a route below a site-wide cache. */
  #rules: PageRules
  readonly #askedAtWallMs: number
  readonly #askedAtMs: number
  #chunks: Uint8Array[] = []
  #bytes = 0
  #isRecording = false
  #storing: (Storing & { refusal: undefined }) | undefined
  #status = 0
  /** When the head came, on the wall clock: from then on the page ages, however long its body takes. */
  #receivedAtMs = 0
  #lines: readonly FieldLine[] = []
  #tags: readonly string[] = []
  #fieldTags: readonly string[] = []
  #hasSettled = false
  /** All came, and is on its way into the store: nothing that happens to the client counts any more. */
  #isKeeping = false

  constructor(parts: ExchangeParts) {
    this.#parts = parts
    this.#rules = parts.rules
    this.#askedAtWallMs = parts.http.clock.wallNow()
    this.#askedAtMs = parts.http.clock.now()
  }

  /** Lets a route's rules count instead of those the request was looked up with. */
  refine(refined: (rules: PageRules) => PageRules): void {
    this.#rules = refined(this.#rules)
  }

  /** Whether nobody will read the body of the response. */
  get isBodiless(): boolean {
    return this.#parts.request.method === 'HEAD'
  }

  /** The request's fields as the handler is to see them. */
  forwardFields(fields: Fields): Fields {
    const { kind, stale, request } = this.#parts
    if (kind !== 'cache') return fields
    const forwarded: Record<string, string | undefined> = this.#rules.isStrict
      ? this.#strictly(fields)
      : { ...fields }
    // The whole page is wanted, or word that the stored one holds; what the client has is compared here afterwards.
    delete forwarded['if-none-match']
    delete forwarded['if-modified-since']
    if (stale !== undefined && stale.head.method === request.method) {
      const etag = fieldOf(stale.fields, 'etag')
      const lastModified = fieldOf(stale.fields, 'last-modified')
      if (etag !== undefined) forwarded['if-none-match'] = etag
      if (lastModified !== undefined) forwarded['if-modified-since'] = lastModified
    }
    return forwarded
  }

  #strictly(fields: Fields): Record<string, string | undefined> {
    const { headers, cookies } = this.#rules
    const seen: Record<string, string | undefined> = {}
    for (const name of Object.keys(fields)) {
      if (structural.has(name) || headers.includes(name)) seen[name] = fields[name]
    }
    const cookie = fieldOf(fields, 'cookie')
    if (cookie !== undefined && cookies === 'all') seen.cookie = cookie
    else if (cookie !== undefined) {
      const pairs = (cookies as readonly string[]).flatMap((name) =>
        cookiesOf(cookie, name).map((value) => `${name}=${value}`),
      )
      if (pairs.length > 0) seen.cookie = pairs.join('; ')
    }
    return seen
  }

  /** What to do with the head of the handler's response. Called once. */
  respond(status: number, given: readonly FieldLine[]): Decision {
    const { kind, http, request, stale } = this.#parts
    const { tagField } = http
    const fields = fieldsOf(given)
    const lines = tagField === undefined ? given : given.filter(([name]) => name.toLowerCase() !== tagField)
    if (kind === 'invalidate' && status >= 200 && status < 400) this.#invalidate(fields)
    if (kind !== 'cache') return this.#pass(status, lines, undefined)

    const receivedAtMs = http.clock.wallNow()
    this.#receivedAtMs = receivedAtMs
    if (status === 304 && stale !== undefined) return this.#revalidated(lines, fields, receivedAtMs)
    const standIn = status >= 500 ? this.#standIn(status) : undefined
    if (standIn !== undefined) return { kind: 'substitute', answer: standIn }

    const received = { requestedAtMs: this.#askedAtWallMs, receivedAtMs }
    const storing = storingOf(request, { status, fields }, this.#rules, received)
    const named = tagField === undefined ? [] : namedIn(fieldOf(fields, tagField))
    const refusal = storing.refusal ?? (this.#takeTags(status, fields, named) ? undefined : 'tags')
    if (storing.refusal !== undefined || refusal !== undefined) {
      if (stale !== undefined && status < 500) this.#dropStale()
      this.#settleRefused()
      return this.#conditionally(this.#pass(status, this.#varied(lines, fields, refusal), refusal))
    }
    this.#storing = storing
    this.#status = status
    this.#lines = this.#prepared(lines, fields, storing, receivedAtMs)
    this.#isRecording = true
    return this.#conditionally({
      kind: 'send',
      status,
      lines: this.#withStatus(this.#lines, status, true, undefined),
      sendsBody: true,
      records: true,
    })
  }

  /** A part of the body, which may be used again by the caller afterwards if `copies`. */
  write(chunk: Uint8Array, copies = true): void {
    if (!this.#isRecording || chunk.length === 0) return
    this.#bytes += chunk.length
    if (this.#bytes > this.#parts.http.maxBodyBytes) {
      this.#isRecording = false
      this.#chunks = []
      this.#settleRefused()
    } else {
      this.#chunks.push(copies ? chunk.slice() : chunk)
    }
  }

  /** Whether the body is of any use here still. */
  get isRecording(): boolean {
    return this.#isRecording
  }

  /** The response is complete. Resolves when it is stored, or is not; never rejects. */
  async end(): Promise<void> {
    const storing = this.#storing
    if (!this.#isRecording || storing === undefined || !this.#isWhole()) {
      this.abort()
      return
    }
    this.#isRecording = false
    this.#isKeeping = true
    const { request, store, subject, record, flight, making } = this.#parts
    const head = this.#headToKeep(request.method as 'GET' | 'HEAD', storing)
    try {
      const kept = await store.keep(subject, record, {
        head,
        chunks: this.#chunks,
        vary: this.#varyOf(storing),
        cookies: this.#rules.cookies,
        tags: this.#tags,
        making,
        askedAtMs: this.#askedAtMs,
      })
      this.#chunks = []
      this.#hasSettled = true
      flight?.settle(kept === undefined ? { kind: 'aborted' } : { kind: 'stored', kept })
    } catch {
      // A tier that fails, or a cache that was closed, keeps nothing; the cache's events say so.
      this.#isKeeping = false
      this.abort()
    }
  }

  /** The response broke off, or there will be none that is of use to others. */
  abort(): void {
    if (this.#isKeeping) return
    this.#isRecording = false
    this.#chunks = []
    if (this.#hasSettled) return
    this.#hasSettled = true
    this.#parts.flight?.settle({ kind: 'aborted' })
  }

  /** The handler failed before there was a head. What may be sent instead, if anything may. */
  fail(): Answer | undefined {
    const standIn = this.#parts.kind === 'cache' ? this.#standIn(undefined) : undefined
    if (standIn === undefined) this.abort()
    return standIn
  }

  #standIn(status: number | undefined): Answer | undefined {
    const { stale, http, request, reason } = this.#parts
    if (stale === undefined) return undefined
    const nowMs = http.clock.now()
    if (!servesOnError(stale.head.times, nowMs - stale.bornAtMs)) return undefined
    if (!this.#hasSettled) {
      this.#hasSettled = true
      this.#parts.flight?.settle({ kind: 'failed', stale })
    }
    const outcome = { kind: 'forwarded', reason, status, stored: false, collapsed: false } as const
    return answerFrom(stale, request, outcome, http.statusName, nowMs, http.clock)
  }

  /** The origin says that the stored page holds: it gets the new fields and times. */
  #revalidated(lines: readonly FieldLine[], said: Fields, receivedAtMs: number): Decision {
    const { http, request } = this.#parts
    const stale = this.#parts.stale as Page
    const updating = lines.filter(([name]) => name.toLowerCase() !== 'cache-status')
    // Most handlers leave it to their server; with the stored date the page would be as old as before.
    if (!hasLine(lines, 'date')) updating.push(['Date', formatHttpDate(receivedAtMs)])
    const merged = updatedBy304(stale.head.lines, updating)
    const fields = fieldsOf(merged)
    const received = { requestedAtMs: this.#askedAtWallMs, receivedAtMs }
    const storing = storingOf(request, { status: stale.head.status, fields }, this.#rules, received)
    const nowMs = http.clock.now()
    const head: PageHead = { ...stale.head, lines: merged }
    const page: Page = { ...stale, head, fields, bornAtMs: nowMs, said: undefined }
    const nowNamed = http.tagField === undefined ? undefined : fieldOf(said, http.tagField)
    const named = nowNamed === undefined ? (stale.head.tags ?? []) : namedIn(nowNamed)
    const hasTags = storing.refusal === undefined && this.#takeTags(stale.head.status, fields, named)
    if (storing.refusal !== undefined || !hasTags) {
      this.#dropStale()
      this.#settleRefused()
    } else {
      this.#storing = storing
      this.#status = stale.head.status
      this.#lines = this.#prepared(merged, fields, storing, receivedAtMs)
      this.#chunks = [stale.body]
      this.#bytes = stale.body.length
      this.#isRecording = true
      void this.end()
    }
    const { reason } = this.#parts
    const outcome = {
      kind: 'forwarded',
      reason,
      status: 304,
      stored: hasTags,
      collapsed: false,
    } as const
    const answer = answerFrom(page, request, outcome, http.statusName, nowMs, http.clock)
    // A cookie in a 304 is for this client, and is not part of the page.
    const cookies = lines.filter(([name]) => name.toLowerCase() === 'set-cookie')
    return { kind: 'substitute', answer: answerOf(answer.status, [...answer.lines, ...cookies], answer.body) }
  }

  #pass(
    status: number,
    lines: readonly FieldLine[],
    detail: Refusal | undefined,
  ): Decision & { kind: 'send' } {
    return {
      kind: 'send',
      status,
      lines: this.#withStatus(lines, status, false, detail),
      sendsBody: true,
      records: false,
    }
  }

  /** Turns a whole page into a 304 for a client that has it: its conditions were kept from the handler. */
  #conditionally(decision: Decision & { kind: 'send' }): Decision {
    const { request, http } = this.#parts
    if (decision.status !== 200 || !isConditional(request.fields)) return decision
    const validators = { ...validatorsOf(fieldsOf(decision.lines)), date: undefined }
    if (!isNotModified(request.fields, validators, http.clock.wallNow())) return decision
    return { ...decision, status: 304, lines: linesOf304(decision.lines), sendsBody: false }
  }

  #withStatus(
    lines: readonly FieldLine[],
    status: number,
    stored: boolean,
    detail: Refusal | undefined,
  ): readonly FieldLine[] {
    const { http, reason, isCollapsed, stale } = this.#parts
    if (http.statusName === undefined) return lines
    const value = formatCacheStatus(http.statusName, {
      kind: 'forwarded',
      reason,
      status: stale === undefined ? undefined : status,
      stored,
      collapsed: isCollapsed,
      detail,
    })
    return [...lines, ['Cache-Status', value]]
  }

  /** Request fields in the key, by what the response and the rules say. */
  #varyOf({ vary }: { readonly vary: readonly string[] }): readonly string[] {
    const { headers, cookies } = this.#rules
    const keyed = cookies === 'all' || cookies.length > 0 ? [...headers, 'cookie'] : headers
    return unionOf(vary, keyed)
  }

  /** The lines with a `Vary` that names what the key holds, or what kept the page out of the cache. */
  #varied(lines: readonly FieldLine[], fields: Fields, refusal: Refusal | undefined): readonly FieldLine[] {
    const { headers, cookies, ttlMs, defaultTtlMs } = this.#rules
    const names = cookies === 'all' || cookies.length > 0 ? [...headers, 'Cookie'] : [...headers]
    const hasRule = ttlMs !== undefined || defaultTtlMs !== undefined
    if (refusal === 'authorization' && hasRule) names.push('Authorization')
    if (names.length === 0) return lines
    return replaced(lines, 'Vary', patchVary(fieldOf(fields, 'vary'), names))
  }

  /** The lines as they are sent and stored. */
  #prepared(
    lines: readonly FieldLine[],
    fields: Fields,
    storing: Storing & { refusal: undefined },
    receivedAtMs: number,
  ): readonly FieldLine[] {
    let prepared = this.#varied(lines, fields, undefined)
    if (fieldOf(fields, 'date') === undefined) {
      prepared = [...prepared, ['Date', formatHttpDate(receivedAtMs)]]
    }
    if (!storing.isByRule) return prepared
    const { times } = storing
    const control = fieldOf(fields, 'cache-control')
    const expires = fieldOf(fields, 'expires')
    const added = freshnessLines(control, expires, times.freshMs - times.initialAgeMs, receivedAtMs)
    return replaced(replaced(prepared, 'Cache-Control', added.cacheControl), 'Expires', added.expires)
  }

  #headToKeep(
    method: 'GET' | 'HEAD',
    storing: Storing & { refusal: undefined },
  ): Omit<PageHead, 'variant' | 'url'> {
    const { http } = this.#parts
    const named = connectionFields(fieldsOf(this.#lines))
    const lines = this.#lines.filter(([name]) => {
      const lower = name.toLowerCase()
      return !hopByHop.has(lower) && !named.has(lower) && lower !== 'age'
    })
    if (
      method === 'GET' &&
      this.#status !== 204 &&
      this.#status !== 205 &&
      !hasLine(lines, 'content-length')
    ) {
      lines.push(['Content-Length', String(this.#bytes)])
    }
    if (http.makesEtag && method === 'GET' && this.#status === 200 && !hasLine(lines, 'etag')) {
      lines.push(['ETag', `"${etagOf(this.#chunks)}"`])
    }
    return {
      method,
      status: this.#status,
      lines,
      times: storing.times,
      isForAuthorized: storing.isForAuthorized,
      storedAtMs: this.#receivedAtMs,
      tags: this.#fieldTags.length > 0 ? this.#fieldTags : undefined,
    }
  }

  /** Takes the tags of the response; `false` when they cannot be told. */
  #takeTags(status: number, fields: Fields, named: readonly string[]): boolean {
    const { http, request, url } = this.#parts
    const tags = tagsOf(
      { ofRoute: this.#rules.tags, ofField: named, folderPrefix: http.hasPrefixes ? http.prefix : undefined },
      { method: request.method, fields: request.fields, url: url as string },
      { status, fields },
    )
    this.#tags = tags ?? []
    this.#fieldTags = named
    return tags !== undefined
  }

  /** Whether as much came as was announced. */
  #isWhole(): boolean {
    if (this.#parts.request.method === 'HEAD') return true
    const announced = fieldOf(fieldsOf(this.#lines), 'content-length')
    return announced === undefined || announced === String(this.#bytes)
  }

  #settleRefused(): void {
    if (this.#hasSettled) return
    this.#hasSettled = true
    this.#parts.flight?.settle({ kind: 'refused' })
  }

  #dropStale(): void {
    const { store, subject, record, stale } = this.#parts
    if (record !== undefined && stale !== undefined) {
      store.drop(subject, record, stale.head.method).catch(() => {})
    }
  }

  /** What a change made out of date: its own URL, and those of the same origin that it names. */
  #invalidate(fields: Fields): void {
    const { url, invalidate } = this.#parts
    if (url === undefined) return
    const urls = new Set([url])
    for (const name of ['location', 'content-location']) {
      const target = fieldOf(fields, name)
      if (target === undefined || !URL.canParse(target, url)) continue
      const named = new URL(target, url)
      named.hash = ''
      if (named.origin === new URL(url).origin) urls.add(named.href)
    }
    invalidate([...urls]).catch(() => {})
  }
}

function etagOf(chunks: readonly Uint8Array[]): string {
  const [only] = chunks
  if (chunks.length === 1 && only !== undefined) return sha256(only).slice(0, 32)
  const whole = new Uint8Array(chunks.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const chunk of chunks) {
    whole.set(chunk, at)
    at += chunk.length
  }
  return sha256(whole).slice(0, 32)
}

function hasLine(lines: readonly FieldLine[], lowerName: string): boolean {
  return lines.some(([name]) => name.toLowerCase() === lowerName)
}

function replaced(lines: readonly FieldLine[], name: string, value: string): FieldLine[] {
  const lower = name.toLowerCase()
  return [...lines.filter(([given]) => given.toLowerCase() !== lower), [name, value]]
}
