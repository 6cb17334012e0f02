// Any handler from `Request` to `Response`: Deno, Bun, workers, and every framework that ends in one.

import type { Answer } from '../answer.ts'
import type { Exchange } from '../exchange.ts'
import type { HttpCache, Incoming } from '../http-cache.ts'
import type { PageOptions, PageRules } from '../options.ts'
import { type FieldLine, type Fields, fieldsOf, noFields } from '../policy/fields.ts'

/** From a request to its response; further arguments are those of the platform. */
export type FetchHandler<Rest extends unknown[] = unknown[]> = (
  request: Request,
  ...rest: Rest
) => Response | Promise<Response>

/** What `cachedFetch` is told besides. */
export interface CachedFetchOptions extends PageOptions {
  /**
   * Gets what goes on behind a response that was sent: storing, and making a stale page again. Platforms that stop with
   * the response need it.
   *
   * @defaultValue nobody waits
   */
  waitUntil?: (work: Promise<unknown>) => void
}

/**
 * Puts a cache around a handler.
 *
 * @example
 * const handler = cachedFetch(httpCache({ cache }), () => new Response('hello'))
 */
export function cachedFetch<Rest extends unknown[]>(
  http: HttpCache,
  handler: FetchHandler<Rest>,
  { waitUntil, ...options }: CachedFetchOptions = {},
): (request: Request, ...rest: Rest) => Promise<Response> {
  const rules = http.rulesFor(options)
  return (request, ...rest) => {
    const next = (forwarded: Request) => handler(forwarded, ...rest)
    return serveFetch(http, rules, request, next, next, waitUntil)
  }
}

/**
 * One request through the cache.
 *
 * @param refresh - Makes a page again behind a stale answer; `undefined` where that can not be done.
 */
async function serveFetch(
  http: HttpCache,
  rules: PageRules,
  request: Request,
  next: (forwarded: Request) => Response | Promise<Response>,
  refresh: ((forwarded: Request) => Response | Promise<Response>) | undefined,
  waitUntil: ((work: Promise<unknown>) => void) | undefined,
): Promise<Response> {
  const begun = http.begin(incomingOf(request), rules, refresh !== undefined)
  const plan = begun instanceof Promise ? await begun : begun
  if (plan.kind === 'forward') return throughExchange(plan.exchange, request, next, waitUntil)
  if (plan.refresh !== undefined && refresh !== undefined) {
    const work = throughExchange(plan.refresh, request, refresh, waitUntil).then(drained, () => {})
    waitUntil?.(work)
  }
  return responseOf(plan.answer)
}

/** One request to the handler, under an exchange. */
async function throughExchange(
  exchange: Exchange,
  request: Request,
  next: (forwarded: Request) => Response | Promise<Response>,
  waitUntil: ((work: Promise<unknown>) => void) | undefined,
): Promise<Response> {
  let response: Response
  try {
    response = await next(forwardedBy(exchange, request))
  } catch (error) {
    const standIn = exchange.fail()
    if (standIn === undefined) throw error
    return responseOf(standIn)
  }
  return through(exchange, response, waitUntil)
}

/** The response as the exchange has it. */
export function through(
  exchange: Exchange,
  response: Response,
  waitUntil: ((work: Promise<unknown>) => void) | undefined,
): Response {
  // A response that switches protocols, or failed, has no head to look at.
  if (response.status < 200 || response.type === 'error') {
    exchange.abort()
    return response
  }
  const decision = exchange.respond(response.status, [...response.headers])
  if (decision.kind === 'substitute') {
    response.body?.cancel().catch(() => {})
    return responseOf(decision.answer)
  }
  const { status, lines, sendsBody, records } = decision
  const headers = lines as [string, string][]
  const statusText = status === response.status ? response.statusText : ''
  if (response.body === null || exchange.isBodiless) {
    response.body?.cancel().catch(() => {})
    const stored = records ? exchange.end() : undefined
    if (stored === undefined) exchange.abort()
    else waitUntil?.(stored)
    return new Response(null, { status, statusText, headers })
  }
  if (!sendsBody) {
    const work = drained(new Response(records ? recorded(exchange, response.body, waitUntil) : response.body))
    waitUntil?.(work)
    return new Response(null, { status, statusText, headers })
  }
  if (!records) exchange.abort()
  const body = records ? recorded(exchange, response.body, waitUntil) : response.body
  return new Response(body, { status, statusText, headers })
}

/** The body, chunk by chunk as it is asked for, each shown to the exchange. */
function recorded(
  exchange: Exchange,
  body: ReadableStream<Uint8Array>,
  waitUntil: ((work: Promise<unknown>) => void) | undefined,
): ReadableStream<Uint8Array> {
  const reader = body.getReader()
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      try {
        const { done, value } = await reader.read()
        if (!done) {
          exchange.write(value)
          controller.enqueue(value)
          return
        }
        const stored = exchange.end()
        waitUntil?.(stored)
        controller.close()
      } catch (error) {
        exchange.abort()
        controller.error(error)
      }
    },
    cancel(reason) {
      exchange.abort()
      return reader.cancel(reason)
    },
  })
}

/** Reads a response to its end, for what that does to an exchange. */
export async function drained(response: Response): Promise<void> {
  const reader = response.body?.getReader()
  while (reader !== undefined && !(await reader.read()).done);
}

/** The request as the cache sees it. */
export function incomingOf(request: Request): Incoming {
  const hash = request.url.indexOf('#')
  const url = hash === -1 ? request.url : request.url.slice(0, hash)
  const isWeb = url.startsWith('http://') || url.startsWith('https://')
  return { method: request.method, fields: fieldsOfRequest(request), url: isWeb ? url : undefined }
}

function fieldsOfRequest(request: Request): Fields {
  const fields = fieldsOf(request.headers as Iterable<FieldLine>)
  // A GET or HEAD has no body that no field announces. To look costs servers that make requests on demand most of a hit.
  if (request.method === 'GET' || request.method === 'HEAD') return fields
  // Another request may have been made by hand.
  return request.body === null || Object.hasOwn(fields, 'content-length')
    ? fields
    : { ...fields, 'transfer-encoding': fields['transfer-encoding'] ?? 'chunked' }
}

/** The request as the handler is to see it. */
export function forwardedBy(exchange: Exchange, request: Request): Request {
  const before = fieldsOf(request.headers as Iterable<FieldLine>)
  const after = exchange.forwardFields(before)
  const names = Object.keys(after).filter((name) => after[name] !== undefined)
  const isSame =
    names.length === Object.keys(before).length && names.every((name) => after[name] === before[name])
  if (isSame) return request
  // Only a GET or a HEAD without a body is changed. Made from its parts, since servers have requests of their own kind.
  const { url, method, signal } = request
  const headers = names.map((name): [string, string] => [name, after[name] as string])
  return new Request(url, { method, headers, signal })
}

/** An answer as a response. */
export function responseOf({ status, lines, body, kept }: Answer): Response {
  const bodiless = status === 204 || status === 205 || status === 304
  kept.headers ??= headersOf(lines)
  return new Response(bodiless || body === undefined ? null : (body as Uint8Array<ArrayBuffer>), {
    status,
    headers: kept.headers,
  })
}

/** As an object where no name comes twice: servers of Node pass one on as it is, and make `Headers` of anything else. */
function headersOf(lines: readonly FieldLine[]): Record<string, string> | [string, string][] {
  const headers = noFields()
  for (const [name, value] of lines) {
    const lower = name.toLowerCase()
    if (lower in headers) return lines as [string, string][]
    headers[lower] = value
  }
  return headers
}
