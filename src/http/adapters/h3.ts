// h3 2: middleware. Handlers there return any value, which h3 makes a response of; it brings the function that does.

import { describe } from '../../duration.ts'
import type { HttpCache } from '../http-cache.ts'
import type { CacheMiddleware } from './middleware.ts'
import { webMiddleware } from './web.ts'

/** What is used of an h3 event. */
export interface H3EventLike {
  req: Request
  readonly app?: { fetch?(request: Request): Response | Promise<Response> }
  waitUntil(work: Promise<unknown>): void
}

/** h3's middleware. */
export type H3Middleware = (event: H3EventLike, next: () => unknown) => Promise<unknown>

/** Options of `h3Cache`. */
export interface H3CacheOptions {
  /** `toResponse` of h3: what makes a response of a handler's value. */
  toResponse: (value: never, event: never) => Response | Promise<Response>
}

/**
 * Middleware for h3.
 *
 * @throws TypeError without `toResponse`.
 * @example
 * const { cachePage } = h3Cache(httpCache({ cache }), { toResponse })
 * app.get('/news', () => 'news', { middleware: [cachePage('15m')] })
 */
export function h3Cache(http: HttpCache, { toResponse }: H3CacheOptions): CacheMiddleware<H3Middleware> {
  if (typeof toResponse !== 'function') {
    throw new TypeError(`toResponse: ${describe(toResponse)} is not a function; pass in that of h3`)
  }
  return webMiddleware<H3EventLike, H3Middleware>(
    http,
    {
      requestOf: ({ req }) => req,
      forward: (event, request) => {
        if (event.req !== request) event.req = request
      },
      run: async (event, next) => toResponse((await next()) as never, event as never),
      answer: (_event, response) => response,
      again: ({ app }) =>
        app?.fetch === undefined ? undefined : (request) => app.fetch?.(request) as Response,
      waitUntil: (event) => (work) => event.waitUntil(work),
    },
    (middleware) => middleware as unknown as H3Middleware,
  )
}
