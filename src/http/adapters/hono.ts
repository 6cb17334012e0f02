// Hono 4: middleware. A context does not know its application, so that a page can be made again behind a stale answer
// only where the application is passed in.

import type { HttpCache } from '../http-cache.ts'
import type { CacheMiddleware } from './middleware.ts'
import { webMiddleware } from './web.ts'

/** What is used of a Hono context. */
export interface HonoContext {
  readonly req: { raw: Request }
  get res(): Response
  set res(response: Response | undefined)
  /** Whether there is a response; before, `res` would make one. */
  readonly finalized: boolean
  readonly env: unknown
  readonly executionCtx: { waitUntil(work: Promise<unknown>): void }
}

/** Hono's middleware. */
export type HonoMiddleware = (
  context: HonoContext,
  next: () => Promise<void>,
) => Promise<Response | undefined>

/** Options of `honoCache`. */
export interface HonoCacheOptions {
  /**
   * The application, through which a stale page is made again behind its answer.
   *
   * @defaultValue none: then a stale page in its window is made again first
   */
  app?: { fetch(request: Request, env?: never, context?: never): Response | Promise<Response> }
}

/**
 * Middleware for Hono.
 *
 * @example
 * const { cachePage } = honoCache(httpCache({ cache }), { app })
 * app.get('/news', cachePage('15m'), (context) => context.text('news'))
 */
export function honoCache(http: HttpCache, { app }: HonoCacheOptions = {}): CacheMiddleware<HonoMiddleware> {
  return webMiddleware<HonoContext, HonoMiddleware>(
    http,
    {
      requestOf: ({ req }) => req.raw,
      forward: (context, request) => {
        context.req.raw = request
      },
      run: async (context, next) => {
        await next()
        return context.res
      },
      answer: (context, response) => {
        // As a handler would: what middleware in front has set on `res` for this request goes with it.
        if (!context.finalized) return response
        if (context.res === response) return undefined
        // Set over another one, a response would inherit its fields.
        context.res = undefined
        context.res = response
        return undefined
      },
      again: (context) =>
        app && ((request) => app.fetch(request, context.env as never, executionOf(context) as never)),
      waitUntil: (context) => {
        const execution = executionOf(context)
        return execution && ((work) => execution.waitUntil(work))
      },
    },
    (middleware) => middleware as unknown as HonoMiddleware,
  )
}

function executionOf(context: HonoContext): HonoContext['executionCtx'] | undefined {
  try {
    return context.executionCtx
  } catch {
    // Hono throws where the platform has none.
    return undefined
  }
}
