// `node:http`: a cache around a handler, and the same as middleware `(request, response, next)`, which is what Express,
// Connect and whatever else has that shape take.

import type { IncomingMessage, ServerResponse } from 'node:http'
import { patchCacheControl, patchVary } from '../headers.ts'
import type { HttpCache } from '../http-cache.ts'
import { type PageOptions, type PageRules, resolvePage } from '../options.ts'
import type { FieldLine } from '../policy/fields.ts'
import { type CacheMiddleware, withCacheControl, withNeverCache, withVary } from './middleware.ts'
import { incomingOf, type Listener, refreshOf, runDetached } from './node-request.ts'
import { forwardTo, send, tapIfAny, tapOf } from './node-tap.ts'

export type { CacheMiddleware, CachePage } from './middleware.ts'
export type { Listener } from './node-request.ts'

/** Goes on to the next middleware, or with an error to what handles errors. */
export type Next = (error?: unknown) => void

/** Middleware of Express and Connect. */
export type NodeMiddleware = (request: IncomingMessage, response: ServerResponse, next: Next) => void

/** Where a framework differs from `node:http`. */
export interface NodeManner {
  /** Path and query as the client sent them. */
  targetOf(request: IncomingMessage): string
  /** What a request has to go through to be made again; `undefined` where that is not known. */
  listenerOf(request: IncomingMessage): Listener | undefined
}

const plain: NodeManner = { targetOf: ({ url }) => url ?? '/', listenerOf: () => undefined }

/**
 * Puts a cache around a handler of `http.createServer`.
 *
 * @param listener - Its own errors and rejections pass through, unless a stale page may stand in.
 * @example
 * createServer(cachedListener(httpCache({ cache }), (request, response) => response.end('hello')))
 */
export function cachedListener(http: HttpCache, listener: Listener, options?: PageOptions): Listener {
  const rules = http.rulesFor(options)
  return (request, response) => {
    const target = request.url ?? '/'
    const refresh = refreshOf(request, http)
    if (refresh !== undefined) return runTapped(listener, request, response, refresh)
    const plan = http.begin(incomingOf(request, target, http), rules, true)
    if (!(plan instanceof Promise) && plan.kind === 'answer' && plan.refresh === undefined) {
      return send(response, plan.answer)
    }
    const go = (made: Awaited<typeof plan>): unknown => {
      if (made.kind === 'forward') return runTapped(listener, request, response, made.exchange)
      send(response, made.answer)
      if (made.refresh !== undefined) {
        runDetached(cached, request, target, http, made.refresh)
      }
      return undefined
    }
    const cached = (again: IncomingMessage, sink: ServerResponse): unknown => {
      const exchange = refreshOf(again, http)
      return exchange === undefined ? undefined : runTapped(listener, again, sink, exchange)
    }
    return plan instanceof Promise ? plan.then(go) : go(plan)
  }
}

function runTapped(
  listener: Listener,
  request: IncomingMessage,
  response: ServerResponse,
  exchange: Parameters<typeof forwardTo>[1],
): unknown {
  const tap = tapOf(response)
  tap.attach(exchange)
  forwardTo(request, exchange)
  const onError = (error: unknown): void => {
    const standIn = tap.isWaiting ? exchange.fail() : undefined
    exchange.abort()
    if (standIn === undefined) throw error
    for (const name of response.getHeaderNames()) response.removeHeader(name)
    tap.replace(standIn)
  }
  try {
    const running = listener(request, response)
    return running instanceof Promise ? running.catch(onError) : running
  } catch (error) {
    return onError(error)
  }
}

/** Middleware over an `HttpCache`. */
export function nodeMiddleware(http: HttpCache, manner: NodeManner = plain): CacheMiddleware<NodeMiddleware> {
  const siteRules = http.rulesFor(undefined)

  const serve = (rules: PageRules): NodeMiddleware => {
    return (request, response, next) => {
      const target = manner.targetOf(request)
      const refresh = refreshOf(request, http)
      if (refresh !== undefined) {
        tapOf(response).attach(refresh)
        forwardTo(request, refresh)
        next()
        return
      }
      const listener = manner.listenerOf(request)
      const plan = http.begin(incomingOf(request, target, http), rules, listener !== undefined)
      const go = (made: Awaited<typeof plan>): void => {
        if (made.kind === 'forward') {
          tapOf(response).attach(made.exchange)
          forwardTo(request, made.exchange)
          next()
          return
        }
        const tap = tapIfAny(response)
        if (tap === undefined) send(response, made.answer)
        else tap.replace(made.answer)
        if (made.refresh !== undefined && listener !== undefined) {
          runDetached(listener, request, target, http, made.refresh)
        }
      }
      if (plan instanceof Promise) plan.then(go, next)
      else go(plan)
    }
  }

  const patching = (patch: (lines: FieldLine[]) => FieldLine[]): NodeMiddleware => {
    return (_request, response, next) => {
      tapOf(response).patch(patch)
      next()
    }
  }

  const site = serve(siteRules)
  return {
    site,
    update: (_request, response, next) => {
      tapOf(response)
      next()
    },
    fetch: site,
    cachePage: (ttl, options) => {
      const own: PageOptions = ttl === undefined ? { ...options } : { ...options, ttl }
      const perRoute = serve(http.rulesFor(own))
      return (request, response, next) => {
        const exchange = tapIfAny(response)?.exchange
        if (exchange === undefined) {
          perRoute(request, response, next)
          return
        }
        exchange.refine((rules) => resolvePage(rules, own))
        next()
      }
    },
    neverCache: () => patching((lines) => withNeverCache(lines, http.wallNow())),
    cacheControl: (control) => {
      patchCacheControl(undefined, control)
      return patching((lines) => withCacheControl(lines, control))
    },
    varyOn: (...names) => {
      patchVary(undefined, names)
      return patching((lines) => withVary(lines, names))
    },
    varyOnCookie: () => (_request, response, next) => {
      const tap = tapOf(response)
      tap.patch((lines) => withVary(lines, ['Cookie']))
      tap.exchange?.refine((rules) => resolvePage(rules, { cookies: 'all' }))
      next()
    },
  }
}
