// Fastify 5: a plugin. It answers in `onRequest`, before body parsing and handlers, and stores what comes by on the raw
// response, behind every `onSend` hook. Routes say their rules in `config.cache`:
//
//     app.get('/news', { config: { cache: { ttl: '15m' } } }, handler)
//
// `config.cache: false` leaves a route out; without it, routes are cached only if the plugin says `site: true`.

import type { IncomingMessage, ServerResponse } from 'node:http'
import { describe } from '../../duration.ts'
import { checkNames } from '../../options.ts'
import type { CacheControl } from '../headers.ts'
import { HttpCache } from '../http-cache.ts'
import type { PageOptions } from '../options.ts'
import { type NodeMiddleware, nodeMiddleware } from './node.ts'
import type { Listener } from './node-request.ts'

/** A route's rules, in its `config.cache`. */
export interface FastifyPageOptions extends PageOptions {
  /** Says that nobody may cache the response; see `CacheMiddleware.neverCache`. */
  neverCache?: boolean
  /** Directives of the response's `Cache-Control`. */
  control?: CacheControl
  /** Names for the response's `Vary`. */
  varyOn?: readonly string[]
  /** Adds `Cookie` to `Vary` and stores a page for each set of cookies. */
  varyOnCookie?: boolean
}

/** What the plugin is registered with. */
export interface FastifyCacheOptions {
  http: HttpCache
  /**
   * Whether routes that say nothing are cached by what their pages say.
   *
   * @defaultValue `false`
   */
  site?: boolean
}

/** What is used of Fastify. */
export interface FastifyLike {
  addHook(
    name: 'onRequest',
    hook: (request: never, reply: never, done: (error?: Error) => void) => void,
  ): unknown
  readonly routing: (request: IncomingMessage, response: ServerResponse) => void
}

interface RequestLike {
  readonly raw: IncomingMessage
  readonly routeOptions: { readonly config?: { cache?: FastifyPageOptions | false } }
}

interface ReplyLike {
  readonly raw: ServerResponse
  hijack(): unknown
}

/**
 * The plugin. Registered at the top it covers every route, whatever the order of registration afterwards.
 *
 * @throws TypeError for options that can not be right, also those of a route, at its first request.
 * @example
 * await app.register(fastifyCache, { http: httpCache({ cache }) })
 */
export function fastifyCache(
  app: FastifyLike,
  options: FastifyCacheOptions,
  done: (error?: Error) => void,
): void {
  checkNames(options, ['http', 'site', 'prefix', 'logLevel'], 'fastifyCache')
  if (!(options.http instanceof HttpCache)) {
    throw new TypeError(`http: ${describe(options.http)} is not an HTTP cache; make one with httpCache()`)
  }
  const listener: Listener = (request, response) => app.routing(request, response)
  const middleware = nodeMiddleware(options.http, {
    targetOf: ({ url }) => url ?? '/',
    listenerOf: () => listener,
  })
  const chains = new WeakMap<object, NodeMiddleware[]>()
  const ofSite = options.site === true ? [middleware.site] : []

  app.addHook('onRequest', (given: never, answering: never, next) => {
    const request = given as unknown as RequestLike
    const reply = answering as unknown as ReplyLike
    const own = request.routeOptions?.config?.cache
    let chain = ofSite
    if (own === false) chain = []
    else if (own !== undefined) {
      const known = chains.get(own)
      chain = known ?? chainOf(middleware, own)
      chains.set(own, chain)
    }
    const ended = () => reply.hijack()
    const step = (turn: number): void => {
      const one = chain[turn]
      if (one === undefined) {
        next()
        return
      }
      let goesOn = false
      one(request.raw, reply.raw, (error) => {
        goesOn = true
        if (error === undefined) step(turn + 1)
        else next(error as Error)
      })
      // Answered in this turn; an answer that had to be waited for ends the response by itself.
      if (!goesOn && reply.raw.writableEnded) ended()
      else if (!goesOn) reply.raw.once('prefinish', ended)
    }
    try {
      step(0)
    } catch (error) {
      next(error as Error)
    }
  })
  done()
}

// A plugin of its own would hide its hook from routes outside; this is what fastify-plugin sets.
Object.defineProperties(fastifyCache, {
  [Symbol.for('skip-override')]: { value: true },
  [Symbol.for('fastify.display-name')]: { value: 'tierwheel' },
  [Symbol.for('plugin-meta')]: { value: { fastify: '5.x', name: 'tierwheel' } },
})

function chainOf(
  { cachePage, neverCache, cacheControl, varyOn, varyOnCookie }: ReturnType<typeof nodeMiddleware>,
  { neverCache: isNever, control, varyOn: names, varyOnCookie: isPerCookie, ...page }: FastifyPageOptions,
): NodeMiddleware[] {
  const { ttl, ...rest } = page
  const chain = [cachePage(ttl, rest)]
  if (isPerCookie === true) chain.push(varyOnCookie())
  if (names !== undefined) chain.push(varyOn(...names))
  if (control !== undefined) chain.push(cacheControl(control))
  if (isNever === true) chain.push(neverCache())
  return chain
}
