// Middleware `(context, next)` over web requests and responses: what Hono and h3 have in common. A framework says how its
// context holds them; the phases, the rules of a route and the patches are here.

import type { Duration } from '../../duration.ts'
import type { Exchange } from '../exchange.ts'
import type { CacheControl } from '../headers.ts'
import { patchCacheControl, patchVary } from '../headers.ts'
import type { HttpCache } from '../http-cache.ts'
import { type PageOptions, type PageRules, resolvePage } from '../options.ts'
import type { FieldLine } from '../policy/fields.ts'
import { drained, forwardedBy, incomingOf, responseOf, through } from './fetch.ts'
import { type CacheMiddleware, withCacheControl, withNeverCache, withVary } from './middleware.ts'

type Work = ((work: Promise<unknown>) => void) | undefined

/** Where a framework keeps things. */
export interface WebManner<Context extends object> {
  requestOf(context: Context): Request
  /** Lets the handler see another request. */
  forward(context: Context, request: Request): void
  /** Runs the rest, and resolves to its response; rejects where it failed and the framework has not answered yet. */
  run(context: Context, next: () => unknown): Promise<Response>
  /** Sends `response`, from within middleware. */
  answer(context: Context, response: Response): Response | undefined
  /** Sends a request through the whole application once more; `undefined` where that is not known. */
  again(context: Context): ((request: Request) => Response | Promise<Response>) | undefined
  waitUntil(context: Context): Work
}

/** One request on its way. */
interface Passage {
  exchange: Exchange | undefined
  hasUpdate: boolean
  readonly patches: ((lines: readonly FieldLine[]) => FieldLine[])[]
}

/** Middleware with a context, and what goes on after it. */
export type WebMiddleware<Context, Result> = (context: Context, next: () => Promise<void>) => Promise<Result>

/** The middleware of an `HttpCache` in this manner. */
export function webMiddleware<Context extends object, Middleware>(
  http: HttpCache,
  manner: WebManner<Context>,
  as: (middleware: WebMiddleware<Context, Response | undefined>) => Middleware,
): CacheMiddleware<Middleware> {
  type Own = WebMiddleware<Context, Response | undefined>
  const passages = new WeakMap<Context, Passage>()
  const refreshes = new WeakMap<Request, Exchange>()
  const siteRules = http.rulesFor(undefined)

  const passageOf = (context: Context): Passage => {
    let passage = passages.get(context)
    if (passage === undefined) {
      passage = { exchange: undefined, hasUpdate: false, patches: [] }
      passages.set(context, passage)
    }
    return passage
  }

  /** Runs the rest and has the exchange of this passage, if there is one by then, decide on what comes. */
  const finish = async (
    context: Context,
    passage: Passage,
    next: () => unknown,
  ): Promise<Response | undefined> => {
    let response: Response
    try {
      response = await manner.run(context, next)
    } catch (error) {
      const standIn = passage.exchange?.fail()
      if (standIn === undefined) throw error
      return manner.answer(context, responseOf(standIn))
    }
    const { exchange } = passage
    if (exchange === undefined) return manner.answer(context, response)
    return manner.answer(
      context,
      through(exchange, patched(response, passage.patches), manner.waitUntil(context)),
    )
  }

  const refresh = async (context: Context, exchange: Exchange, request: Request): Promise<void> => {
    const again = new Request(request.url, { headers: request.headers, method: request.method })
    refreshes.set(again, exchange)
    try {
      await drained(await (manner.again(context) as (request: Request) => Promise<Response>)(again))
    } finally {
      exchange.abort()
    }
  }

  const serve = (rules: PageRules): Own => {
    return async (context, next) => {
      const request = manner.requestOf(context)
      let exchange = refreshes.get(request)
      if (exchange === undefined) {
        const begun = http.begin(incomingOf(request), rules, manner.again(context) !== undefined)
        const plan = begun instanceof Promise ? await begun : begun
        if (plan.kind === 'answer') {
          if (plan.refresh !== undefined) {
            const work = refresh(context, plan.refresh, request).catch(() => {})
            manner.waitUntil(context)?.(work)
          }
          return manner.answer(context, responseOf(plan.answer))
        }
        exchange = plan.exchange
      }
      // A hit has none: to remember something of a context costs as much as to find the page.
      const passage = passageOf(context)
      passage.exchange = exchange
      manner.forward(context, forwardedBy(exchange, request))
      if (!passage.hasUpdate) return finish(context, passage, next)
      return manner.answer(context, await manner.run(context, next))
    }
  }

  const patching = (patch: (lines: readonly FieldLine[]) => FieldLine[]): Own => {
    return async (context, next) => {
      const passage = passageOf(context)
      passage.patches.unshift(patch)
      const response = await manner.run(context, next)
      // Behind an exchange it has been done, or will be, where the response is stored.
      return manner.answer(context, patched(response, [patch]))
    }
  }

  const site = serve(siteRules)
  return {
    site: as(site),
    update: as((context, next) => {
      const passage = passageOf(context)
      passage.hasUpdate = true
      return finish(context, passage, next)
    }),
    fetch: as(site),
    cachePage: (ttl?: Duration, options?: Omit<PageOptions, 'ttl'>) => {
      const own: PageOptions = ttl === undefined ? { ...options } : { ...options, ttl }
      const perRoute = serve(http.rulesFor(own))
      return as(async (context, next) => {
        const exchange = passages.get(context)?.exchange
        if (exchange === undefined) return perRoute(context, next)
        exchange.refine((rules) => resolvePage(rules, own))
        return manner.answer(context, await manner.run(context, next))
      })
    },
    neverCache: () => as(patching((lines) => withNeverCache(lines, http.wallNow()))),
    cacheControl: (control: CacheControl) => {
      patchCacheControl(undefined, control)
      return as(patching((lines) => withCacheControl(lines, control)))
    },
    varyOn: (...names) => {
      patchVary(undefined, names)
      return as(patching((lines) => withVary(lines, names)))
    },
    varyOnCookie: () => {
      const patch = patching((lines) => withVary(lines, ['Cookie']))
      return as((context, next) => {
        passageOf(context).exchange?.refine((rules) => resolvePage(rules, { cookies: 'all' }))
        return patch(context, next)
      })
    },
  }
}

function patched(
  response: Response,
  patches: readonly ((lines: readonly FieldLine[]) => FieldLine[])[],
): Response {
  if (patches.length === 0 || response.status < 200) return response
  let lines: FieldLine[] = [...response.headers]
  for (const patch of patches) lines = patch(lines)
  const { status, statusText } = response
  return new Response(response.body, { status, statusText, headers: lines as [string, string][] })
}
