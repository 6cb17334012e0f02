// Express 5 (and 4, and Connect): middleware. A page is made again behind a stale answer by sending the request through
// the whole application once more, without a client.

import type { IncomingMessage } from 'node:http'
import type { HttpCache } from '../http-cache.ts'
import { type CacheMiddleware, type NodeMiddleware, nodeMiddleware } from './node.ts'
import type { Listener } from './node-request.ts'

/** What Express adds to a request. */
interface ExpressRequest extends IncomingMessage {
  readonly originalUrl?: string
  readonly app?: ExpressApp
}

interface ExpressApp extends Listener {
  /** The application that this one is mounted in. */
  readonly parent?: ExpressApp
}

/**
 * Middleware for Express.
 *
 * @example
 * const { cachePage } = expressCache(httpCache({ cache }))
 * app.get('/news', cachePage('15m'), (request, response) => response.send('news'))
 */
export function expressCache(http: HttpCache): CacheMiddleware<NodeMiddleware> {
  return nodeMiddleware(http, {
    targetOf: (request) => (request as ExpressRequest).originalUrl ?? request.url ?? '/',
    listenerOf: (request) => {
      let app = (request as ExpressRequest).app
      while (app?.parent !== undefined) app = app.parent
      return app
    },
  })
}
