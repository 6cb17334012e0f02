// Koa 3: middleware over the raw response, where whatever Koa makes of `ctx.body` comes by.

import type { IncomingMessage, ServerResponse } from 'node:http'
import type { HttpCache } from '../http-cache.ts'
import { type CacheMiddleware, type NodeMiddleware, nodeMiddleware } from './node.ts'
import type { Listener } from './node-request.ts'

/** What is used of a Koa context. */
export interface KoaContext {
  readonly req: IncomingMessage
  readonly res: ServerResponse
  readonly originalUrl: string
  readonly app: { callback(): Listener }
  respond?: boolean | undefined
}

/** Koa's middleware. */
export type KoaMiddleware = (context: KoaContext, next: () => Promise<unknown>) => Promise<void>

/**
 * Middleware for Koa.
 *
 * @example
 * const { cachePage } = koaCache(httpCache({ cache }))
 * router.get('/news', cachePage('15m'), (context) => { context.body = 'news' })
 */
export function koaCache(http: HttpCache): CacheMiddleware<KoaMiddleware> {
  const callbacks = new WeakMap<object, Listener>()
  const contexts = new WeakMap<IncomingMessage, KoaContext>()
  const node = nodeMiddleware(http, {
    targetOf: (request) => contexts.get(request)?.originalUrl ?? request.url ?? '/',
    listenerOf: (request) => {
      const app = contexts.get(request)?.app
      if (app === undefined) return undefined
      let callback = callbacks.get(app)
      if (callback === undefined) {
        callback = app.callback()
        callbacks.set(app, callback)
      }
      return callback
    },
  })

  const asKoa = (middleware: NodeMiddleware): KoaMiddleware => {
    return (context, next) =>
      new Promise((resolve, reject) => {
        contexts.set(context.req, context)
        let goesOn = false
        const ended = () => {
          if (goesOn) return
          // Answered from the cache: Koa must not answer as well.
          context.respond = false
          resolve()
        }
        context.res.once('finish', ended)
        context.res.once('close', ended)
        middleware(context.req, context.res, (error) => {
          goesOn = true
          if (error === undefined) next().then(() => resolve(), reject)
          else reject(error)
        })
      })
  }

  return {
    site: asKoa(node.site),
    update: asKoa(node.update),
    fetch: asKoa(node.fetch),
    cachePage: (ttl, options) => asKoa(node.cachePage(ttl, options)),
    neverCache: () => asKoa(node.neverCache()),
    cacheControl: (control) => asKoa(node.cacheControl(control)),
    varyOn: (...names) => asKoa(node.varyOn(...names)),
    varyOnCookie: () => asKoa(node.varyOnCookie()),
  }
}
