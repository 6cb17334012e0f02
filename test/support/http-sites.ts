// One site on every framework, on a real socket: the same handler behind the adapter of each.

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Readable } from 'node:stream'
import { getRequestListener } from '@hono/node-server'
import express from 'express'
import fastify from 'fastify'
import { H3, toResponse } from 'h3'
import { Hono } from 'hono'
import Koa from 'koa'
import { expressCache } from '../../src/http/adapters/express.ts'
import { fastifyCache } from '../../src/http/adapters/fastify.ts'
import { cachedFetch } from '../../src/http/adapters/fetch.ts'
import { h3Cache } from '../../src/http/adapters/h3.ts'
import { honoCache } from '../../src/http/adapters/hono.ts'
import { koaCache } from '../../src/http/adapters/koa.ts'
import type { CacheMiddleware } from '../../src/http/adapters/middleware.ts'
import { cachedListener } from '../../src/http/adapters/node.ts'
import type { HttpCache, PageOptions } from '../../src/http/index.ts'

/** What a handler sees, whatever the framework. */
export interface Asked {
  readonly method: string
  readonly url: string
  readonly headers: Record<string, string | undefined>
}

/** What a handler makes. */
export interface Made {
  readonly status?: number
  readonly headers?: Record<string, string | string[]>
  readonly body?: string | Uint8Array | AsyncIterable<Uint8Array>
}

export type Handler = (asked: Asked) => Made | Promise<Made>

/** Where the cache stands. */
export type Placing =
  | { readonly kind: 'site' }
  /** Update in front, fetch at the end, and between them something that changes every response. */
  | { readonly kind: 'phases'; readonly adds: readonly [name: string, value: string] }
  | {
      readonly kind: 'route'
      readonly ttl?: number | `${number}s`
      readonly options?: PageOptions
      readonly helper?: (middleware: CacheMiddleware<never>) => unknown
    }

export interface Framework {
  readonly name: string
  /** Which placings it has; a bare handler has no middleware. */
  readonly hasMiddleware: boolean
  listen(pages: HttpCache, placing: Placing, handler: Handler): Promise<Site>
}

export interface Site {
  readonly port: number
  close(): Promise<void>
}

const site = (server: Server): Promise<Site> =>
  new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => {
      resolve({
        port: (server.address() as AddressInfo).port,
        close: () => {
          server.closeAllConnections()
          return new Promise((done) => server.close(() => done()))
        },
      })
    })
  })

const askedOf = (request: IncomingMessage, url = request.url ?? '/'): Asked => ({
  method: request.method ?? 'GET',
  url,
  headers: request.headers as Record<string, string | undefined>,
})

const isStream = (body: Made['body']): body is AsyncIterable<Uint8Array> =>
  body !== undefined && typeof body === 'object' && Symbol.asyncIterator in body

function sendTo(response: ServerResponse, { status = 200, headers = {}, body }: Made): void {
  response.writeHead(status, headers)
  if (isStream(body)) {
    const stream = Readable.from(body)
    stream.on('error', (error) => response.destroy(error))
    stream.pipe(response)
  } else response.end(body)
}

function responseFrom({ status = 200, headers = {}, body }: Made): Response {
  const lines = Object.entries(headers).flatMap(([name, value]) =>
    [value].flat().map((line): [string, string] => [name, line]),
  )
  const whole = isStream(body) ? (Readable.toWeb(Readable.from(body)) as ReadableStream<Uint8Array>) : body
  const bodiless = [204, 205, 304].includes(status)
  return new Response(bodiless ? null : ((whole ?? null) as BodyInit | null), { status, headers: lines })
}

const askedOfWeb = (request: Request): Asked => {
  const { pathname, search } = new URL(request.url)
  return { method: request.method, url: pathname + search, headers: Object.fromEntries(request.headers) }
}

/** The middleware of a placing, outermost first. */
function chainOf<Middleware>(
  all: CacheMiddleware<Middleware>,
  placing: Placing,
  adding: (line: readonly [string, string]) => Middleware,
): Middleware[] {
  if (placing.kind === 'site') return [all.site]
  if (placing.kind === 'phases') return [all.update, adding(placing.adds), all.fetch]
  const chain = [all.cachePage(placing.ttl, placing.options)]
  if (placing.helper !== undefined) chain.push(placing.helper(all as CacheMiddleware<never>) as Middleware)
  return chain
}

/** All of them. */
export const frameworks: readonly Framework[] = [
  {
    name: 'node:http',
    hasMiddleware: false,
    listen: (pages, placing, handler) => {
      const options =
        placing.kind === 'route' ? { ...placing.options, ...(placing.ttl && { ttl: placing.ttl }) } : {}
      return site(
        createServer(
          cachedListener(
            pages,
            async (request, response) => sendTo(response, await handler(askedOf(request))),
            options as PageOptions,
          ),
        ),
      )
    },
  },
  {
    name: 'fetch',
    hasMiddleware: false,
    listen: (pages, placing, handler) => {
      const options =
        placing.kind === 'route' ? { ...placing.options, ...(placing.ttl && { ttl: placing.ttl }) } : {}
      const cached = cachedFetch(
        pages,
        async (request) => responseFrom(await handler(askedOfWeb(request))),
        options as PageOptions,
      )
      return site(
        createServer(getRequestListener((request) => cached(request), { overrideGlobalObjects: false })),
      )
    },
  },
  {
    name: 'express',
    hasMiddleware: true,
    listen: (pages, placing, handler) => {
      const app = express()
      app.disable('x-powered-by')
      const chain = chainOf(expressCache(pages), placing, ([name, value]) => (_request, response, next) => {
        response.setHeader(name, value)
        next()
      })
      app.use(...chain)
      app.use(async (request, response) => {
        const { status = 200, headers = {}, body } = await handler(askedOf(request, request.originalUrl))
        if (isStream(body)) return sendTo(response, { status, headers, body })
        response.status(status)
        for (const [name, value] of Object.entries(headers)) response.setHeader(name, value)
        response.end(body)
      })
      // Its own prints what was thrown.
      app.use((_error: unknown, _request: unknown, response: express.Response, _next: unknown) => {
        if (response.headersSent) response.destroy()
        else response.status(500).end('failed')
      })
      return site(createServer(app))
    },
  },
  {
    name: 'koa',
    hasMiddleware: true,
    listen: (pages, placing, handler) => {
      const app = new Koa()
      app.silent = true
      const chain = chainOf(koaCache(pages), placing, ([name, value]) => async (context, next) => {
        context.res.setHeader(name, value)
        await next()
      })
      for (const middleware of chain) app.use(middleware as Koa.Middleware)
      app.use(async (context) => {
        const { status = 200, headers = {}, body } = await handler(askedOf(context.req))
        context.status = status
        context.body = isStream(body)
          ? Readable.from(body)
          : body instanceof Uint8Array
            ? Buffer.from(body)
            : (body ?? (status === 204 || status === 304 ? null : ''))
        context.remove('Content-Type')
        for (const [name, value] of Object.entries(headers)) context.set(name, value)
      })
      return site(createServer(app.callback()))
    },
  },
  {
    name: 'fastify',
    hasMiddleware: true,
    listen: async (pages, placing, handler) => {
      const app = fastify({ forceCloseConnections: true, exposeHeadRoutes: false })
      await app.register(fastifyCache as never, { http: pages, site: placing.kind !== 'route' })
      if (placing.kind === 'phases') {
        app.addHook('onSend', async (_request, reply) => void reply.header(...placing.adds))
      }
      const cache: Record<string, unknown> = {}
      if (placing.kind === 'route') {
        Object.assign(cache, placing.options, placing.ttl === undefined ? {} : { ttl: placing.ttl })
        // The plugin says in a route's configuration what others say by middleware.
        Object.assign(cache, placing.helper?.(inConfig as never))
      }
      app.removeAllContentTypeParsers()
      app.addContentTypeParser('*', (_request, _payload, done) => done(null))
      app.route({
        method: ['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'PATCH'],
        url: '*',
        ...(placing.kind === 'route' ? { config: { cache } as never } : {}),
        handler: async (request, reply) => {
          const { status = 200, headers = {}, body } = await handler(askedOf(request.raw))
          reply.code(status).headers(headers)
          return reply.send(isStream(body) ? Readable.from(body) : (body ?? ''))
        },
      })
      await app.listen({ port: 0, host: '127.0.0.1' })
      return { port: (app.server.address() as AddressInfo).port, close: () => app.close() }
    },
  },
  {
    name: 'hono',
    hasMiddleware: true,
    listen: (pages, placing, handler) => {
      const app = new Hono()
      const chain = chainOf(honoCache(pages, { app }), placing, ([name, value]) => async (context, next) => {
        await next()
        context.res.headers.set(name, value)
        return undefined
      })
      for (const middleware of chain) app.use('*', middleware as never)
      app.all('*', async (context) => responseFrom(await handler(askedOfWeb(context.req.raw))))
      app.onError((_error, context) => context.text('failed', 500))
      return site(createServer(getRequestListener(app.fetch, { overrideGlobalObjects: false })))
    },
  },
  {
    name: 'h3',
    hasMiddleware: true,
    listen: (pages, placing, handler) => {
      const app = new H3({ silent: true })
      const chain = chainOf(
        h3Cache(pages, { toResponse: toResponse as never }),
        placing,
        ([name, value]) =>
          async (event, next) => {
            const made = await next()
            const response = await toResponse(made, event as never)
            const headers = new Headers(response.headers)
            headers.set(name, value)
            return new Response(response.body, { status: response.status, headers })
          },
      )
      for (const middleware of chain) app.use(middleware as never)
      app.all('/**', async (event) => responseFrom(await handler(askedOfWeb(event.req))))
      return site(
        createServer(getRequestListener((request) => app.fetch(request), { overrideGlobalObjects: false })),
      )
    },
  },
]

/** The helpers as Fastify's routes say them. */
const inConfig = {
  neverCache: () => ({ neverCache: true }),
  cacheControl: (control: unknown) => ({ control }),
  varyOn: (...varyOn: string[]) => ({ varyOn }),
  varyOnCookie: () => ({ varyOnCookie: true }),
}
