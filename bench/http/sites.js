// @ts-check
/**
 * The servers that are measured: two pages each, `/2kB` and `/100kB`, with a number in the query. What stands behind
 * a cache and what stands alone is the same handler.
 *
 * - `empty`: nothing but the handler, which has its page ready and sends it; no cache can be cheaper than a little more
 *   than this.
 * - `same head`: the same handler with the four fields more that a stored page has, so that what is left between this and
 *   tierwheel is what finding the page costs. On Hono there is also a middleware that does nothing, as nobody can stand in front
 *   of a handler there without one.
 * - `same bytes, from a middleware`: the page with its whole head, sent from where a cache stands by something that looks
 *   for nothing: what is left between this and tierwheel is what finding the page costs, and reading the request for it.
 * - tierwheel, with its defaults but for the time, and what else there is for the framework. `in front` of Hono is around the
 *   listener that its server adapter makes of the application, as on `node:http`.
 *
 * A package has its own idea of a cache: apicache keeps bodies by URL and looks at nothing else; `@fastify/caching`
 * keeps values, so what asks it and what fills it are lines of the program; `hono/cache` keeps nothing itself but asks the
 * `caches` of the platform, which Node has by way of undici.
 */

/** @typedef {import('node:http').IncomingMessage} IncomingMessage */
/** @typedef {import('node:http').ServerResponse} ServerResponse */

/**
 * @typedef {object} Handling
 * @property {(path: string) => string} page the page of a path, counting that it was made
 * @property {() => Promise<unknown>} pages an HTTP cache of tierwheel
 */

/**
 * @typedef {object} Site
 * @property {string} framework
 * @property {string} contender
 * @property {boolean} isCached
 * @property {string[]} packages whose versions belong to the figure
 * @property {(handling: Handling) => Promise<(port: number) => void>} open resolves to what starts it
 */

const type = 'text/html; charset=utf-8'
const control = 'max-age=3600'
const paths = ['/2kB', '/100kB']
/** What a stored page says besides. @type {Record<string, string>} */
const pageHead = {
  Expires: 'Thu, 01 Jan 2099 00:00:00 GMT',
  ETag: '"0123456789abcdef0123456789abcdef"',
  Age: '1',
  'Cache-Status': 'tierwheel; hit; ttl=3599',
}

/**
 * By name, so that types are checked also where the bench is not installed.
 *
 * @param {string} name
 * @returns {Promise<any>}
 */
export const load = async (name) => import(name)

/** @param {Handling['page']} page @param {object} [more] @returns {(request: IncomingMessage, response: ServerResponse) => void} */
const nodeHandler = (page, more) => (request, response) => {
  const body = page(request.url ?? '')
  response.writeHead(200, {
    'Content-Type': type,
    'Cache-Control': control,
    'Content-Length': Buffer.byteLength(body),
    ...more,
  })
  response.end(body)
}

/** @param {Handling['page']} page @param {(app: any) => Promise<any[]>} middleware @param {object} [more] */
async function expressApp(page, middleware, more) {
  const { default: express } = await load('express')
  const app = express()
  const before = await middleware(app)
  for (const path of paths) {
    app.get(path, ...before, (/** @type {any} */ request, /** @type {any} */ response) => {
      response.set({ 'Cache-Control': control, ...more }).send(page(request.originalUrl))
    })
  }
  return (/** @type {number} */ port) => app.listen(port, '127.0.0.1')
}

/** @param {Handling['page']} page @param {(app: any) => Promise<unknown>} prepare @param {object} [route] @param {object} [more] */
async function fastifyApp(page, prepare, route = {}, more = {}) {
  const { default: fastify } = await load('fastify')
  const app = fastify()
  await prepare(app)
  for (const path of paths) {
    app.get(path, route, (/** @type {any} */ request, /** @type {any} */ reply) => {
      reply
        .headers({ 'cache-control': control, ...more })
        .type(type)
        .send(page(request.raw.url))
    })
  }
  return (/** @type {number} */ port) => void app.listen({ port, host: '127.0.0.1' })
}

/** @param {any} listener */
const same = (listener) => listener

/** @param {Handling['page']} page @param {(app: any) => Promise<any[]>} middleware @param {object} [more] @param {(listener: any) => any} [around] what stands around the application's listener */
async function honoApp(page, middleware, more, around = same) {
  const [{ Hono }, { serve }, { createServer }] = await Promise.all([
    load('hono'),
    load('@hono/node-server'),
    import('node:http'),
  ])
  const app = new Hono()
  const before = await middleware(app)
  for (const path of paths) {
    app.get(path, ...before, (/** @type {any} */ context) => {
      context.header('Cache-Control', control)
      return context.html(page(context.req.url.slice(context.req.url.indexOf('/', 8))), 200, more)
    })
  }
  return (/** @type {number} */ port) =>
    serve({
      fetch: app.fetch,
      createServer: (/** @type {any} */ options, /** @type {any} */ listener) =>
        createServer(options, around(listener)),
      port,
      hostname: '127.0.0.1',
    })
}

/** By the length of the page, made once. @type {Map<number, Record<string, string>>} */
const wholeHeads = new Map()

/** All that a stored page says. @param {string} body @returns {Record<string, string>} */
function wholeHead(body) {
  let head = wholeHeads.get(body.length)
  if (head === undefined) {
    head = {
      'Content-Type': type,
      'Cache-Control': control,
      'Content-Length': String(Buffer.byteLength(body)),
      Date: 'Mon, 23 Nov 2026 00:00:00 GMT',
      ...pageHead,
    }
    wholeHeads.set(body.length, head)
  }
  return head
}

/** @param {Handling['page']} page @param {(request: any) => string} target @returns {(request: any, response: ServerResponse) => void} */
const sendWhole = (page, target) => (request, response) => {
  const body = page(target(request))
  response.writeHead(200, wholeHead(body))
  response.end(body)
}

/** @type {Site[]} */
export const sites = [
  {
    framework: 'node:http',
    contender: 'empty',
    isCached: false,
    packages: [],
    open: async ({ page }) => {
      const { createServer } = await import('node:http')
      return (port) => createServer(nodeHandler(page)).listen(port, '127.0.0.1')
    },
  },
  {
    framework: 'node:http',
    contender: 'same head',
    isCached: false,
    packages: [],
    open: async ({ page }) => {
      const { createServer } = await import('node:http')
      return (port) => createServer(nodeHandler(page, pageHead)).listen(port, '127.0.0.1')
    },
  },
  {
    framework: 'node:http',
    contender: 'tierwheel',
    isCached: true,
    packages: ['tierwheel'],
    open: async ({ page, pages }) => {
      const { createServer } = await import('node:http')
      const { cachedListener } = await load('tierwheel/http/node')
      const listener = cachedListener(await pages(), nodeHandler(page), { ttl: '1h' })
      return (port) => createServer(listener).listen(port, '127.0.0.1')
    },
  },
  {
    framework: 'node:http',
    contender: 'apicache',
    isCached: true,
    packages: ['apicache'],
    open: async ({ page }) => {
      const { createServer } = await import('node:http')
      const { default: apicache } = await load('apicache')
      const middleware = apicache.middleware('1 hour')
      const handler = nodeHandler(page)
      return (port) =>
        createServer((request, response) =>
          middleware(request, response, () => handler(request, response)),
        ).listen(port, '127.0.0.1')
    },
  },
  {
    framework: 'Express',
    contender: 'empty',
    isCached: false,
    packages: ['express'],
    open: ({ page }) => expressApp(page, async () => []),
  },
  {
    framework: 'Express',
    contender: 'same head',
    isCached: false,
    packages: ['express'],
    open: ({ page }) => expressApp(page, async () => [], pageHead),
  },
  {
    framework: 'Express',
    contender: 'same bytes, from a middleware',
    isCached: false,
    packages: ['express'],
    open: ({ page }) => expressApp(page, async () => [sendWhole(page, ({ originalUrl }) => originalUrl)]),
  },
  {
    framework: 'Express',
    contender: 'tierwheel',
    isCached: true,
    packages: ['express', 'tierwheel'],
    open: ({ page, pages }) =>
      expressApp(page, async () => {
        const { expressCache } = await load('tierwheel/http/express')
        return [expressCache(await pages()).cachePage('1h')]
      }),
  },
  {
    framework: 'Express',
    contender: 'apicache',
    isCached: true,
    packages: ['express', 'apicache'],
    open: ({ page }) => expressApp(page, async () => [(await load('apicache')).default.middleware('1 hour')]),
  },
  {
    framework: 'Fastify',
    contender: 'empty',
    isCached: false,
    packages: ['fastify'],
    open: ({ page }) => fastifyApp(page, async () => {}),
  },
  {
    framework: 'Fastify',
    contender: 'same head',
    isCached: false,
    packages: ['fastify'],
    open: ({ page }) => fastifyApp(page, async () => {}, {}, pageHead),
  },
  {
    framework: 'Fastify',
    contender: 'same bytes, from a middleware',
    isCached: false,
    packages: ['fastify'],
    open: ({ page }) => {
      const whole = sendWhole(page, ({ url }) => url)
      return fastifyApp(page, async (app) => {
        app.addHook('onRequest', (/** @type {any} */ request, /** @type {any} */ reply) => {
          whole(request.raw, reply.raw)
        })
      })
    },
  },
  {
    framework: 'Fastify',
    contender: 'tierwheel',
    isCached: true,
    packages: ['fastify', 'tierwheel'],
    open: ({ page, pages }) =>
      fastifyApp(
        page,
        async (app) => {
          const { fastifyCache } = await load('tierwheel/http/fastify')
          await app.register(fastifyCache, { http: await pages() })
        },
        { config: { cache: { ttl: '1h' } } },
      ),
  },
  {
    framework: 'Fastify',
    contender: '@fastify/caching',
    isCached: true,
    packages: ['fastify', '@fastify/caching'],
    open: ({ page }) =>
      fastifyApp(page, async (app) => {
        await app.register((await load('@fastify/caching')).default, {
          privacy: 'public',
          expiresIn: 3600,
        })
        app.addHook(
          'onRequest',
          (/** @type {any} */ request, /** @type {any} */ reply, /** @type {() => void} */ next) => {
            app.cache.get(request.raw.url, (/** @type {unknown} */ _error, /** @type {any} */ found) => {
              if (found === null) next()
              else reply.header('cache-control', control).type(type).send(found.item)
            })
          },
        )
        app.addHook(
          'onSend',
          (
            /** @type {any} */ request,
            /** @type {any} */ _reply,
            /** @type {string} */ payload,
            /** @type {(error: unknown, payload: string) => void} */ next,
          ) => {
            app.cache.get(request.raw.url, (/** @type {unknown} */ _error, /** @type {unknown} */ found) => {
              if (found !== null) next(null, payload)
              else
                app.cache.set(request.raw.url, payload, 3_600_000, (/** @type {unknown} */ error) =>
                  next(error, payload),
                )
            })
          },
        )
      }),
  },
  {
    framework: 'Hono',
    contender: 'empty',
    isCached: false,
    packages: ['hono', '@hono/node-server'],
    open: ({ page }) => honoApp(page, async () => []),
  },
  {
    framework: 'Hono',
    contender: 'same head, one middleware',
    isCached: false,
    packages: ['hono', '@hono/node-server'],
    open: ({ page }) =>
      honoApp(
        page,
        async () => [(/** @type {unknown} */ _context, /** @type {() => Promise<void>} */ next) => next()],
        pageHead,
      ),
  },
  {
    framework: 'Hono',
    contender: 'same bytes, from a middleware',
    isCached: false,
    packages: ['hono', '@hono/node-server'],
    open: ({ page }) =>
      honoApp(page, async () => [
        (/** @type {any} */ { req }) => {
          const body = page(req.url.slice(req.url.indexOf('/', 8)))
          return new Response(body, { headers: wholeHead(body) })
        },
      ]),
  },
  {
    framework: 'Hono',
    contender: 'tierwheel',
    isCached: true,
    packages: ['hono', '@hono/node-server', 'tierwheel'],
    open: ({ page, pages }) =>
      honoApp(page, async (app) => {
        const { honoCache } = await load('tierwheel/http/hono')
        return [honoCache(await pages(), { app }).cachePage('1h')]
      }),
  },
  {
    framework: 'Hono',
    contender: 'tierwheel, in front',
    isCached: true,
    packages: ['hono', '@hono/node-server', 'tierwheel'],
    open: async ({ page, pages }) => {
      const { cachedListener } = await load('tierwheel/http/node')
      const cached = await pages()
      return honoApp(
        page,
        async () => [],
        undefined,
        (listener) => cachedListener(cached, listener, { ttl: '1h' }),
      )
    },
  },
  {
    framework: 'Hono',
    contender: 'hono/cache',
    isCached: true,
    packages: ['hono', '@hono/node-server', 'undici'],
    open: async ({ page }) => {
      // Its cache takes no responses but of its own class, so the whole of fetch has to be undici's.
      const undici = await load('undici')
      undici.install()
      Object.defineProperty(globalThis, 'caches', { value: undici.caches, configurable: true })
      return honoApp(page, async () => {
        const { cache } = await load('hono/cache')
        return [cache({ cacheName: 'pages', wait: true })]
      })
    },
  },
]
