// The cache in front of a handler of `node:http`: what is served when, on a clock that is moved by hand.

import assert from 'node:assert/strict'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { getRequestListener } from '@hono/node-server'
import { Hono } from 'hono'
import { afterEach, describe, test } from 'vitest'
import { cachedFetch } from '../../../../src/http/adapters/fetch.ts'
import { cachedListener } from '../../../../src/http/adapters/node.ts'
import { type HttpCacheOptions, httpCache } from '../../../../src/http/index.ts'
import { createCache } from '../../../../src/index.ts'
import { ManualClock } from '../../../../src/testing/manual-clock.ts'
import { ask } from '../../../support/http-client.ts'

type Handler = (request: IncomingMessage, response: ServerResponse, run: number) => unknown

const servers: Server[] = []
afterEach(async () => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  }
})

async function open(handler: Handler, options: Partial<HttpCacheOptions> = {}) {
  const clock = new ManualClock()
  const cache = createCache({ clock })
  const pages = httpCache({ cache, clock, ...options })
  const site = { port: 0, runs: 0, clock, cache, pages, seen: [] as IncomingMessage['headers'][] }
  const server = createServer(
    cachedListener(pages, (request, response) => {
      site.seen.push(request.headers)
      return handler(request, response, ++site.runs)
    }),
  )
  servers.push(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  site.port = (server.address() as AddressInfo).port
  return site
}

/** A handler that sends a page with these fields, and its number as the body. */
const page =
  (fields: Record<string, string | string[]>, status = 200): Handler =>
  (_request, response, run) => {
    response.writeHead(status, fields)
    response.end(`page ${run}`)
  }

const status = (response: { headers: Record<string, unknown> }) => response.headers['cache-status']

/** Lets background work end: it is a matter of turns, not of time. */
async function until(isDone: () => boolean): Promise<void> {
  for (let turn = 0; !isDone(); turn++) {
    assert.ok(turn < 2_000, 'it never came')
    await new Promise((resolve) => setImmediate(resolve))
  }
}

describe('a page', () => {
  test('is made once, and has an Age, its own Date and an ETag when it comes from the cache', async () => {
    const site = await open(page({ 'Cache-Control': 'max-age=60' }))
    const first = await ask(site.port, '/a?b=1')
    assert.equal(first.body, 'page 1')
    assert.equal(first.headers.age, undefined)
    assert.equal(status(first), 'tierwheel; fwd=uri-miss; stored')
    site.clock.advance(2_500)
    const second = await ask(site.port, '/a?b=1')
    assert.equal(second.body, 'page 1')
    assert.equal(second.headers.age, '2')
    assert.equal(second.headers.date, first.headers.date)
    assert.equal(second.headers['content-length'], '6')
    assert.match(second.headers.etag ?? '', /^"[0-9a-f]{32}"$/)
    assert.equal(status(second), 'tierwheel; hit; ttl=57')
    assert.equal(site.runs, 1)
  })

  test('is fresh to the millisecond', async () => {
    const site = await open(page({ 'Cache-Control': 'max-age=60' }))
    await ask(site.port, '/')
    site.clock.advance(59_999)
    assert.equal((await ask(site.port, '/')).body, 'page 1')
    site.clock.advance(1)
    assert.equal((await ask(site.port, '/')).body, 'page 2')
  })

  test('belongs to its path and query, byte for byte, and to its host', async () => {
    const site = await open(page({ 'Cache-Control': 'max-age=60' }))
    const paths = [
      '/a',
      '/a/',
      '/A',
      '//a',
      '/a?',
      '/a?x=1&y=2',
      '/a?y=2&x=1',
      '/a?x=1;y=2',
      '/%61',
      '/a%2f',
      '/./a',
    ]
    for (const path of paths) await ask(site.port, path)
    assert.equal(site.runs, paths.length)
    for (const path of paths) await ask(site.port, path)
    assert.equal(site.runs, paths.length)
    await ask(site.port, '/a', { host: 'other.example' })
    assert.equal(site.runs, paths.length + 1)
    await ask(site.port, '/a', { host: 'not a host' })
    await ask(site.port, '/a', { host: 'not a host' })
    assert.equal(site.runs, paths.length + 3)
  })

  test('with a long URL is found all the same', async () => {
    const site = await open(page({ 'Cache-Control': 'max-age=60' }))
    const path = `/${'x'.repeat(2_000)}`
    await ask(site.port, path)
    assert.equal((await ask(site.port, path)).body, 'page 1')
    assert.equal((await ask(site.port, `${path}y`)).body, 'page 2')
  })

  test('rule 3.3.9: of a HEAD comes from that of a GET, and never the other way', async () => {
    const site = await open(page({ 'Cache-Control': 'max-age=60' }))
    await ask(site.port, '/a')
    const head = await ask(site.port, '/a', {}, 'HEAD')
    assert.deepEqual([head.body, head.headers['content-length'] ?? '6', site.runs], ['', '6', 1])
    await ask(site.port, '/b', {}, 'HEAD')
    await ask(site.port, '/b', {}, 'HEAD')
    assert.equal(site.runs, 2)
    assert.equal((await ask(site.port, '/b')).body, 'page 3')
  })

  test('rule 3.3.11: is in the cache as the handler sent it, whatever the client has', async () => {
    const site = await open(page({ 'Cache-Control': 'max-age=60', ETag: '"v1"' }))
    const first = await ask(site.port, '/', { 'if-none-match': '"v1"' })
    assert.deepEqual([first.status, first.body], [304, ''])
    assert.equal(site.seen[0]?.['if-none-match'], undefined)
    assert.equal((await ask(site.port, '/')).body, 'page 1')
    const second = await ask(site.port, '/', { 'if-none-match': 'W/"v1"' })
    assert.deepEqual([second.status, second.body, second.headers.etag, site.runs], [304, '', '"v1"', 1])
  })

  test('that was announced longer than it came is not stored', async () => {
    const site = await open((_request, response, run) => {
      response.writeHead(200, { 'Cache-Control': 'max-age=60', 'Content-Length': '20' })
      response.write(`page ${run}`)
      setImmediate(() => response.destroy())
    })
    await assert.rejects(ask(site.port, '/'))
    await assert.rejects(ask(site.port, '/'))
    assert.equal(site.runs, 2)
  })

  test('that is too large goes on to its client and is not stored', async () => {
    const site = await open(
      (_request, response) => {
        response.writeHead(200, { 'Cache-Control': 'max-age=60' })
        for (let turn = 0; turn < 5; turn++) response.write('x'.repeat(10))
        response.end()
      },
      { maxBodyBytes: 49 },
    )
    assert.equal((await ask(site.port, '/')).body.length, 50)
    assert.equal((await ask(site.port, '/')).body.length, 50)
    assert.equal(site.runs, 2)
  })
})

describe('a stale page', () => {
  test('is answered in its window while one refresh runs behind it, exact to the millisecond', async () => {
    const site = await open(page({ 'Cache-Control': 'max-age=10, stale-while-revalidate=5' }))
    await ask(site.port, '/')
    site.clock.advance(14_999)
    const stale = await ask(site.port, '/')
    assert.deepEqual(
      [stale.body, stale.headers.age, status(stale)],
      ['page 1', '14', 'tierwheel; hit; ttl=-5'],
    )
    await until(() => site.runs === 2)
    await until(() => site.cache.stats().loads === 1)
    const fresh = await ask(site.port, '/')
    assert.deepEqual([fresh.body, fresh.headers.age], ['page 2', '0'])
    site.clock.advance(15_000)
    assert.equal((await ask(site.port, '/')).body, 'page 3')
  })

  test('stands in for a handler that fails, as long as it may', async () => {
    let isBroken = false
    const site = await open((_request, response, run) => {
      if (isBroken && run % 2 === 0) throw new Error('broken')
      response.writeHead(isBroken ? 503 : 200, { 'Cache-Control': 'max-age=10, stale-if-error=20' })
      response.end(`page ${run}`)
    })
    await ask(site.port, '/')
    isBroken = true
    site.clock.advance(10_000)
    const thrown = await ask(site.port, '/')
    assert.deepEqual([thrown.status, thrown.body, status(thrown)], [200, 'page 1', 'tierwheel; fwd=stale'])
    const failed = await ask(site.port, '/')
    assert.deepEqual([failed.body, status(failed)], ['page 1', 'tierwheel; fwd=stale; fwd-status=503'])
    site.clock.advance(19_999)
    assert.equal((await ask(site.port, '/', { 'x-turn': 'thrown' })).body, 'page 1')
    site.clock.advance(1)
    assert.equal((await ask(site.port, '/')).status, 503)
  })

  test('is validated with the handler, and lives again with the fields of its 304', async () => {
    const site = await open(
      (request, response, run) => {
        const holds = request.headers['if-none-match'] === '"v1"'
        const fields = { ETag: '"v1"', 'Cache-Control': 'max-age=10', 'X-Run': String(run) }
        response.writeHead(holds ? 304 : 200, holds ? { ...fields, 'Set-Cookie': 'a=b' } : fields)
        response.end(holds ? undefined : `page ${run}`)
      },
      { keepForValidation: '1m' },
    )
    await ask(site.port, '/')
    site.clock.advance(10_000)
    const validated = await ask(site.port, '/')
    assert.deepEqual([validated.status, validated.body, validated.headers['x-run']], [200, 'page 1', '2'])
    assert.deepEqual(validated.headers['set-cookie'], ['a=b'])
    const hit = await ask(site.port, '/')
    assert.deepEqual([hit.body, hit.headers['x-run'], hit.headers['set-cookie']], ['page 1', '2', undefined])
    site.clock.advance(10_000)
    const client = await ask(site.port, '/', { 'if-none-match': '"v1"' })
    assert.deepEqual([client.status, client.body, site.runs], [304, '', 3])
  })

  test('gives way to a response that may not be stored', async () => {
    const site = await open((_request, response, run) => {
      response.writeHead(200, { 'Cache-Control': run === 1 ? 'max-age=10, stale-if-error=60' : 'private' })
      response.end(`page ${run}`)
    })
    await ask(site.port, '/')
    site.clock.advance(10_000)
    assert.equal((await ask(site.port, '/')).body, 'page 2')
    assert.equal((await ask(site.port, '/')).body, 'page 3')
  })
})

describe('requests', () => {
  test('may ask for a newer page, for one that stays fresh, and for none but a stored one', async () => {
    const site = await open(page({ 'Cache-Control': 'max-age=60' }))
    const missing = await ask(site.port, '/', { 'cache-control': 'only-if-cached' })
    assert.deepEqual([missing.status, site.runs], [504, 0])
    await ask(site.port, '/')
    site.clock.advance(30_000)
    const wishes: [control: string, runs: number][] = [
      ['only-if-cached', 1],
      ['max-age=30', 1],
      ['min-fresh=29', 1],
      ['max-age=29', 2],
      ['no-cache', 3],
      ['min-fresh=61', 4],
    ]
    for (const [control, runs] of wishes) {
      await ask(site.port, '/', { 'cache-control': control })
      assert.equal(site.runs, runs, control)
    }
  })

  test('may ask in vain where their wishes are not honoured', async () => {
    const site = await open(page({ 'Cache-Control': 'max-age=60' }), { requestDirectives: false })
    await ask(site.port, '/')
    await ask(site.port, '/', { 'cache-control': 'no-cache' })
    await ask(site.port, '/', { pragma: 'no-cache' })
    assert.equal(site.runs, 1)
  })

  test('that are not for caches pass by, and leave the page alone', async () => {
    const site = await open(page({ 'Cache-Control': 'max-age=60' }))
    await ask(site.port, '/')
    const passing: Record<string, string>[] = [
      { range: 'bytes=0-1' },
      { 'if-match': '"a"' },
      { 'if-unmodified-since': 'Sun, 06 Nov 1994 08:49:37 GMT' },
      { 'if-range': '"a"', range: 'bytes=0-1' },
      { 'x-http-method-override': 'DELETE' },
      { 'cache-control': 'no-store' },
      { authorization: 'Basic x' },
    ]
    for (const [turn, headers] of passing.entries()) {
      assert.equal((await ask(site.port, '/', headers)).body, `page ${turn + 2}`, JSON.stringify(headers))
    }
    assert.equal(
      (await ask(site.port, '/', { 'content-length': '1' }, 'GET', 'x')).body,
      `page ${passing.length + 2}`,
    )
    assert.equal((await ask(site.port, '/')).body, 'page 1')
  })

  test('that change something make the page and those it names unusable, if they succeed', async () => {
    let answer: [status: number, fields: Record<string, string>] = [200, {}]
    const site = await open((request, response, run) => {
      if (request.method === 'GET') return page({ 'Cache-Control': 'max-age=60' })(request, response, run)
      response.writeHead(...answer)
      return response.end()
    })
    const get = async (path: string) => (await ask(site.port, path)).headers['cache-status']?.includes('hit')
    await ask(site.port, '/a')
    await ask(site.port, '/b')
    answer = [500, { Location: '/b' }]
    await ask(site.port, '/a', {}, 'POST')
    assert.deepEqual([await get('/a'), await get('/b')], [true, true])
    answer = [201, { Location: '/b', 'Content-Location': 'http://elsewhere.example/a' }]
    await ask(site.port, '/a', {}, 'DELETE')
    assert.deepEqual([await get('/a'), await get('/b')], [false, false])
    assert.deepEqual([await get('/a'), await get('/b')], [true, true])
    answer = [302, {}]
    await ask(site.port, '/b', {}, 'PATCH')
    assert.deepEqual([await get('/a'), await get('/b')], [true, false])
  })
})

describe('pages that vary', () => {
  const echo: Handler = (request, response, run) => {
    response.writeHead(200, { 'Cache-Control': 'max-age=60', Vary: 'X-A, X-B' })
    response.end(`${request.headers['x-a']} ${request.headers['x-b']} ${run}`)
  }

  test('are kept apart, and an absent field is not an empty one', async () => {
    const site = await open(echo)
    const requests: Record<string, string>[] = [
      {},
      { 'x-a': '' },
      { 'x-a': 'ab', 'x-b': 'c' },
      { 'x-a': 'a', 'x-b': 'bc' },
    ]
    const bodies = []
    for (const headers of requests) bodies.push((await ask(site.port, '/', headers)).body)
    assert.equal(site.runs, requests.length)
    for (const [turn, headers] of requests.entries()) {
      assert.equal((await ask(site.port, '/', headers)).body, bodies[turn])
    }
    assert.equal(site.runs, requests.length)
  })

  test('164 a response without Vary does not open those that vary to everyone', async () => {
    const site = await open((request, response, run) => {
      const isMember = request.headers['x-member'] !== undefined
      response.writeHead(200, { 'Cache-Control': 'max-age=60', ...(isMember ? { Vary: 'X-Member' } : {}) })
      response.end(`${request.headers['x-member'] ?? 'anyone'} ${run}`)
    })
    for (const member of ['a', 'b', undefined, 'a', 'b', undefined, 'c', 'a', 'b']) {
      const { body } = await ask(site.port, '/', member === undefined ? {} : { 'x-member': member })
      if (member !== undefined && body.startsWith('anyone')) {
        // The response for anyone came first, and said that it is for everyone.
        assert.fail(`${member} got ${body}`)
      }
      assert.ok(body.startsWith(`${member ?? 'anyone'} `), `${member} got ${body}`)
    }
  })

  test('with cookies named, differ by those and say so', async () => {
    const site = await open(page({ 'Cache-Control': 'max-age=60' }), { cookies: ['theme'] })
    const first = await ask(site.port, '/', { cookie: 'theme=dark; session=1' })
    assert.equal(first.headers.vary, 'Cookie')
    assert.equal((await ask(site.port, '/', { cookie: 'session=2; theme=dark' })).body, 'page 1')
    assert.equal((await ask(site.port, '/', { cookie: 'theme=light' })).body, 'page 2')
    assert.equal((await ask(site.port, '/')).body, 'page 3')
  })

  test('by an application key, and left alone where it has none', async () => {
    const site = await open(page({ 'Cache-Control': 'max-age=60', Vary: 'Cookie' }), {
      key: ({ fields }) => (fields['x-user'] === 'nobody' ? undefined : (fields['x-user'] ?? '')),
    })
    const as = async (user: string) => (await ask(site.port, '/', { 'x-user': user })).body
    assert.deepEqual([await as('a'), await as('b'), await as('a')], ['page 1', 'page 2', 'page 1'])
    assert.deepEqual([await as('nobody'), await as('nobody')], ['page 3', 'page 4'])
  })
})

test('rule 3.3.5: strict hides from the handler what is not in the key', async () => {
  const site = await open(page({ 'Cache-Control': 'max-age=60' }), {
    strict: true,
    headers: ['Accept-Language'],
    cookies: ['theme'],
  })
  await ask(site.port, '/', {
    'accept-language': 'de',
    'x-forwarded-host': 'evil.example',
    authorization: 'Basic x',
    cookie: 'session=1; theme=dark',
    'user-agent': 'test',
  })
  const { host, connection, ...seen } = site.seen[0] ?? {}
  assert.ok(host !== undefined && connection !== undefined)
  assert.deepEqual({ ...seen }, { 'accept-language': 'de', cookie: 'theme=dark' })
})

describe('100 callers on one cold page', () => {
  const cold = async (fields: Record<string, string | string[]>) => {
    let release = () => {}
    const gate = new Promise<void>((resolve) => {
      release = resolve
    })
    const site = await open(async (request, response, run) => {
      await gate
      page(fields)(request, response, run)
    })
    const callers = Array.from({ length: 100 }, () => ask(site.port, '/'))
    await until(() => site.runs > 0)
    // Every one of them has arrived when the rest of the server is at rest.
    for (let turn = 0; turn < 500; turn++) await new Promise((resolve) => setImmediate(resolve))
    release()
    const bodies = new Set((await Promise.all(callers)).map(({ body }) => body))
    return { runs: site.runs, bodies: bodies.size }
  }

  test('share one run of the handler if everyone may have the page', async () => {
    assert.deepEqual(await cold({ 'Cache-Control': 'max-age=60' }), { runs: 1, bodies: 1 })
  })

  test('share one run for each of the pages that they want', async () => {
    let release = () => {}
    const gate = new Promise<void>((resolve) => {
      release = resolve
    })
    const site = await open(async (request, response) => {
      await gate
      response.writeHead(200, { 'Cache-Control': 'max-age=60', Vary: 'X-A' })
      response.end(request.headers['x-a'])
    })
    const callers = Array.from({ length: 100 }, (_, turn) => ask(site.port, '/', { 'x-a': String(turn % 4) }))
    await until(() => site.runs > 0)
    for (let turn = 0; turn < 500; turn++) await new Promise((resolve) => setImmediate(resolve))
    release()
    const bodies = (await Promise.all(callers)).map(({ body }) => body)
    assert.ok(bodies.every((body, turn) => body === String(turn % 4)))
    assert.equal(site.runs, 4)
  })

  test('have a run each if it is not for all', async () => {
    for (const fields of [
      { 'Cache-Control': 'private, max-age=60' },
      { 'Cache-Control': 'max-age=60', 'Set-Cookie': 'a=b' },
      { 'Cache-Control': 'max-age=60', Vary: '*' },
      {},
    ]) {
      assert.deepEqual(
        await cold(fields as Record<string, string>),
        { runs: 100, bodies: 100 },
        JSON.stringify(fields),
      )
    }
  })
})

test('a caller who comes while the page is being stored has it', async () => {
  const clock = new ManualClock()
  const pages = httpCache({ cache: createCache({ clock }), clock })
  let runs = 0
  const handler = cachedFetch(pages, () => {
    runs++
    return new Response('page', { headers: { 'Cache-Control': 'max-age=60' } })
  })
  for (let turn = 0; turn < 20; turn++) {
    const url = `https://example.com/${turn}`
    await (await handler(new Request(url))).text()
    // No turn of the loop in between: what is being stored is as far as it happens to be.
    for (let pause = 0; pause < turn; pause++) await undefined
    await (await handler(new Request(url))).text()
    assert.equal(runs, turn + 1)
  }
})

test('an invalidated URL is made again, and what was under way then is not kept', async () => {
  let release = () => {}
  const site = await open(async (request, response, run) => {
    if (run === 2) {
      await new Promise<void>((resolve) => {
        release = resolve
      })
    }
    page({ 'Cache-Control': 'max-age=60' })(request, response, run)
  })
  const url = (path: string) => `http://127.0.0.1:${site.port}${path}`
  await ask(site.port, '/a')
  assert.equal(await site.pages.invalidate(url('/a')), true)
  const slow = ask(site.port, '/a')
  await until(() => site.runs === 2)
  await site.pages.invalidate(url('/a'))
  release()
  assert.equal((await slow).body, 'page 2')
  assert.equal((await ask(site.port, '/a')).body, 'page 3')
  assert.equal((await ask(site.port, '/a')).body, 'page 3')
  assert.equal(await site.pages.invalidate(url('/never')), false)
  await assert.rejects(site.pages.invalidate('/a'), TypeError)
})

test('around the listener that Hono has from its server adapter: whole, streamed and failed pages', async () => {
  const long = 'line of a page\n'.repeat(7_000)
  const app = new Hono()
  let runs = 0
  app.get('/whole', (context) =>
    context.text(`page ${++runs}`, 200, { 'Cache-Control': 'max-age=60', ETag: '"1"' }),
  )
  app.get('/streamed', () => {
    runs++
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => {
        for (let at = 0; at < long.length; at += 10_000)
          controller.enqueue(new TextEncoder().encode(long.slice(at, at + 10_000)))
        controller.close()
      },
    })
    return new Response(body, { headers: { 'Cache-Control': 'max-age=60' } })
  })
  app.get('/failed', () => {
    runs++
    throw new Error('of the handler')
  })
  app.onError((_error, context) => context.text('failed', 500, { 'Cache-Control': 'max-age=60' }))
  const listener = getRequestListener(app.fetch, { overrideGlobalObjects: false })
  const site = await open((request, response) => listener(request, response))

  const made = await ask(site.port, '/whole')
  const found = await ask(site.port, '/whole')
  assert.deepEqual([made.body, found.body, found.headers.age], ['page 1', 'page 1', '0'])
  assert.equal((await ask(site.port, '/whole', { 'If-None-Match': '"1"' })).status, 304)
  assert.deepEqual((await ask(site.port, '/whole', {}, 'HEAD')).headers['content-length'], '6')
  assert.equal(runs, 1)
  for (const _ of [1, 2]) assert.equal((await ask(site.port, '/streamed')).body, long)
  assert.equal(runs, 2)
  for (const _ of [1, 2]) assert.equal((await ask(site.port, '/failed')).status, 500)
  assert.equal(runs, 4, 'a page that failed has no freshness of its own here')
})
