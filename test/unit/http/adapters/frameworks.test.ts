// One suite for every adapter, on the real framework and over real sockets.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { request } from 'node:http'
import { connect } from 'node:net'
import { gunzipSync, gzipSync } from 'node:zlib'
import { Hono } from 'hono'
import { afterEach, describe, test } from 'vitest'
import { honoCache } from '../../../../src/http/adapters/hono.ts'
import { type HttpCacheOptions, httpCache } from '../../../../src/http/index.ts'
import { createCache } from '../../../../src/index.ts'
import { ManualClock } from '../../../../src/testing/manual-clock.ts'
import { ask } from '../../../support/http-client.ts'
import {
  type Framework,
  frameworks,
  type Handler,
  type Placing,
  type Site,
} from '../../../support/http-sites.ts'

const open: Site[] = []
afterEach(async () => {
  for (const site of open.splice(0)) await site.close()
})

async function start(
  framework: Framework,
  handler: (...given: [...Parameters<Handler>, run: number]) => ReturnType<Handler>,
  { placing = { kind: 'site' }, ...options }: Partial<HttpCacheOptions> & { placing?: Placing } = {},
) {
  const clock = new ManualClock()
  const pages = httpCache({ cache: createCache({ clock }), clock, ...options })
  const state = { runs: 0, clock, pages, port: 0 }
  const site = await framework.listen(pages, placing, (asked) => handler(asked, ++state.runs))
  open.push(site)
  state.port = site.port
  return state
}

async function until(isDone: () => boolean): Promise<void> {
  for (let turn = 0; !isDone(); turn++) {
    assert.ok(turn < 20_000, 'it never came')
    await new Promise((resolve) => setImmediate(resolve))
  }
}

const fresh = { 'Cache-Control': 'max-age=60', 'Content-Type': 'text/plain' }
const gate = () => {
  let release = () => {}
  const opened = new Promise<void>((resolve) => {
    release = resolve
  })
  return { opened, release: () => release() }
}

for (const framework of frameworks) {
  describe(framework.name, () => {
    test('a page is made once, and its HEAD and its 304 come from it', async () => {
      const site = await start(framework, (_, run) => ({ headers: fresh, body: `page ${run}` }))
      assert.equal((await ask(site.port, '/a?b=c')).body, 'page 1')
      site.clock.advance(1_000)
      const hit = await ask(site.port, '/a?b=c')
      assert.deepEqual([hit.status, hit.body, hit.headers.age], [200, 'page 1', '1'])
      assert.equal(hit.headers['cache-status'], 'tierwheel; hit; ttl=59')
      const head = await ask(site.port, '/a?b=c', {}, 'HEAD')
      assert.deepEqual([head.status, head.body, head.headers['content-length']], [200, '', '6'])
      const etag = hit.headers.etag ?? assert.fail()
      const condition = await ask(site.port, '/a?b=c', { 'if-none-match': etag })
      assert.deepEqual([condition.status, condition.body, condition.headers.etag], [304, '', etag])
      assert.equal(site.runs, 1)
      assert.equal((await ask(site.port, '/a?b=d')).body, 'page 2')
    })

    test('a page of any bytes and length is sent as it was, also to many who ask on one connection', async () => {
      const bytes = Uint8Array.from({ length: 256 }, (_, at) => at)
      const bodies: Record<string, Buffer> = {}
      for (const length of [0, 1, 256, 12_000, 12_001, 70_000]) {
        bodies[`/${length}`] = Buffer.alloc(length, bytes)
      }
      const site = await start(framework, ({ url }) => ({ headers: fresh, body: bodies[url] ?? '' }))
      const paths = Object.keys(bodies)
      for (const path of paths) await ask(site.port, path)
      const asked = [...paths, ...paths]
      const head = (path: string, last: boolean) =>
        `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${site.port}\r\n${last ? 'Connection: close\r\n' : ''}\r\n`
      const socket = connect(site.port, '127.0.0.1')
      const chunks: Buffer[] = []
      socket.on('data', (chunk) => chunks.push(chunk))
      socket.end(asked.map((path, turn) => head(path, turn === asked.length - 1)).join(''))
      await once(socket, 'close')
      const got = Buffer.concat(chunks)
      let at = 0
      for (const path of asked) {
        const bodyAt = got.indexOf('\r\n\r\n', at) + 4
        const first = got.toString('latin1', at, bodyAt)
        assert.ok(first.startsWith('HTTP/1.1 200 ') && first.includes('tierwheel; hit'), `${path}: ${first}`)
        const body = bodies[path] ?? assert.fail()
        assert.ok(got.subarray(bodyAt, bodyAt + body.length).equals(body), path)
        at = bodyAt + body.length
      }
      assert.deepEqual([at, site.runs], [got.length, paths.length])
    })

    test('a HEAD is stored without a body to wait for', async () => {
      const site = await start(framework, (_, run) => ({
        headers: { ...fresh, 'X-Run': String(run) },
        body: 'page',
      }))
      for (let turn = 0; turn < 2; turn++) {
        const { headers, body } = await ask(site.port, '/', {}, 'HEAD')
        assert.deepEqual([headers['x-run'], body], ['1', ''])
      }
      assert.equal((await ask(site.port, '/')).headers['x-run'], '2')
    })

    test('what is for one visitor is stored for nobody', async () => {
      const shapes: Record<string, string | string[]>[] = [
        { ...fresh, 'Set-Cookie': ['a=b', 'c=d'] },
        { 'Cache-Control': 'private, max-age=60' },
        { 'Cache-Control': 'NO-STORE' },
        { ...fresh, Vary: ' *' },
        { ...fresh, Vary: 'Cookie' },
        {},
      ]
      for (const headers of shapes) {
        const site = await start(framework, (_, run) => ({ headers, body: `page ${run}` }))
        const first = await ask(site.port, '/')
        assert.deepEqual(first.headers['set-cookie'], headers['Set-Cookie'])
        assert.equal((await ask(site.port, '/')).body, 'page 2', JSON.stringify(headers))
      }
    })

    test('pages that vary are kept apart', async () => {
      const site = await start(framework, ({ headers }, run) => ({
        headers: { ...fresh, Vary: 'X-A' },
        body: `${headers['x-a']} ${run}`,
      }))
      const get = async (value: string) => (await ask(site.port, '/', { 'x-a': value })).body
      assert.deepEqual(
        [await get('a'), await get('b'), await get('a'), await get('b')],
        ['a 1', 'b 2', 'a 1', 'b 2'],
      )
    })

    test('a page that changed is made again', async () => {
      const site = await start(framework, ({ method }, run) =>
        method === 'GET' ? { headers: fresh, body: `page ${run}` } : { status: 200, body: 'done' },
      )
      await ask(site.port, '/a')
      await ask(site.port, '/a', { 'content-length': '0' }, 'POST')
      assert.equal((await ask(site.port, '/a')).body, 'page 3')
      await site.pages.invalidate(`http://127.0.0.1:${site.port}/a`)
      assert.equal((await ask(site.port, '/a')).body, 'page 4')
      assert.equal((await ask(site.port, '/a')).body, 'page 4')
    })

    test('a stale page is sent in its window, and made again once behind it', async () => {
      const site = await start(framework, (_, run) => ({
        headers: { 'Cache-Control': 'max-age=10, stale-while-revalidate=10' },
        body: `page ${run}`,
      }))
      await ask(site.port, '/')
      site.clock.advance(19_999)
      assert.equal((await ask(site.port, '/')).body, 'page 1')
      await until(() => site.runs === 2)
      for (let turn = 0; (await ask(site.port, '/')).body !== 'page 2'; turn++) assert.ok(turn < 50)
      assert.equal(site.runs, 2)
    })

    test('a page that the handler says still holds is fresh again, also without a Date', async () => {
      const site = await start(
        framework,
        ({ headers }, run) =>
          headers['if-none-match'] === '"a"'
            ? { status: 304, headers: { ETag: '"a"' } }
            : { headers: { 'Cache-Control': 'max-age=10', ETag: '"a"' }, body: `page ${run}` },
        { keepForValidation: '1h' },
      )
      await ask(site.port, '/')
      for (const runs of [2, 3]) {
        site.clock.advance(20_000)
        const { status, body, headers } = await ask(site.port, '/')
        const state = 'tierwheel; fwd=stale; fwd-status=304; stored'
        assert.deepEqual([status, body, headers['cache-status']], [200, 'page 1', state])
        site.clock.advance(9_000)
        assert.equal((await ask(site.port, '/')).headers.age, '9')
        assert.equal(site.runs, runs)
      }
    })

    test('a stale page stands in for a handler that fails', async () => {
      const site = await start(framework, (_, run) => {
        if (run === 2) throw new Error('broken')
        return {
          status: run === 1 ? 200 : 503,
          headers: { 'Cache-Control': 'max-age=10, stale-if-error=10' },
          body: `page ${run}`,
        }
      })
      await ask(site.port, '/')
      site.clock.advance(10_000)
      for (const run of [2, 3]) {
        const { status, body } = await ask(site.port, '/')
        assert.deepEqual([status, body, site.runs], [200, 'page 1', run])
      }
      site.clock.advance(10_000)
      assert.equal((await ask(site.port, '/')).status, 503)
    })

    test('100 callers on one cold page are one run of the handler', async () => {
      const { opened, release } = gate()
      const site = await start(framework, async (_, run) => {
        await opened
        return { headers: fresh, body: `page ${run}` }
      })
      const callers = Array.from({ length: 100 }, () => ask(site.port, '/'))
      await until(() => site.runs > 0)
      for (let turn = 0; turn < 300; turn++) await new Promise((resolve) => setImmediate(resolve))
      release()
      assert.deepEqual(new Set((await Promise.all(callers)).map(({ body }) => body)), new Set(['page 1']))
      assert.equal(site.runs, 1)
    })

    test('100 callers on a page for one visitor are 100 runs', async () => {
      const { opened, release } = gate()
      const site = await start(framework, async (_, run) => {
        await opened
        return { headers: { ...fresh, 'Set-Cookie': `id=${run}` }, body: `page ${run}` }
      })
      const callers = Array.from({ length: 100 }, () => ask(site.port, '/'))
      await until(() => site.runs > 0)
      release()
      assert.equal(new Set((await Promise.all(callers)).map(({ body }) => body)).size, 100)
    })

    test('a body in parts is sent as it comes, and stored whole', async () => {
      const { opened, release } = gate()
      const site = await start(framework, () => ({
        headers: fresh,
        body: (async function* () {
          yield Buffer.from('first ')
          await opened
          yield Buffer.from('second')
        })(),
      }))
      const sent = request({ host: '127.0.0.1', port: site.port, path: '/', agent: false }).end()
      const [response] = (await once(sent, 'response')) as [import('node:http').IncomingMessage]
      const [part] = await once(response, 'data')
      assert.equal(String(part), 'first ')
      release()
      let rest = ''
      for await (const more of response) rest += more
      assert.equal(rest, 'second')
      const hit = await ask(site.port, '/')
      assert.deepEqual([hit.body, hit.headers['content-length'], site.runs], ['first second', '12', 1])
    })

    test('a compressed body is stored and sent as it is', async () => {
      const zipped = gzipSync('plain text')
      const site = await start(framework, ({ headers }) =>
        headers['accept-encoding'] === 'gzip'
          ? { headers: { ...fresh, 'Content-Encoding': 'gzip', Vary: 'Accept-Encoding' }, body: zipped }
          : { headers: { ...fresh, Vary: 'Accept-Encoding' }, body: 'plain text' },
      )
      for (let turn = 0; turn < 2; turn++) {
        const { body, headers } = await ask(site.port, '/', { 'accept-encoding': 'gzip' })
        assert.equal(headers['content-encoding'], 'gzip')
        assert.equal(String(gunzipSync(Buffer.from(body, 'latin1'))), 'plain text')
        assert.equal((await ask(site.port, '/', { 'accept-encoding': 'br' })).body, 'plain text')
      }
      assert.equal(site.runs, 2)
    })

    test('a body that breaks off is not stored, and the next caller makes the page', async () => {
      const site = await start(framework, (_, run) => ({
        headers: fresh,
        body:
          run > 1
            ? `page ${run}`
            : (async function* () {
                yield Buffer.from('x'.repeat(1_000))
                await new Promise((resolve) => setImmediate(resolve))
                throw new Error('broken off')
              })(),
      }))
      await assert.rejects(ask(site.port, '/'))
      assert.equal((await ask(site.port, '/')).body, 'page 2')
      assert.equal((await ask(site.port, '/')).body, 'page 2')
    })

    test('a client that goes away takes nobody with it', async () => {
      const { opened, release } = gate()
      const site = await start(framework, async (_, run) => {
        if (run === 1) await opened
        return { headers: fresh, body: `page ${run}` }
      })
      const gone = connect(site.port, '127.0.0.1')
      gone.on('error', () => {})
      gone.write(`GET / HTTP/1.1\r\nHost: 127.0.0.1:${site.port}\r\n\r\n`)
      await until(() => site.runs === 1)
      const waiting = [ask(site.port, '/'), ask(site.port, '/')]
      gone.destroy()
      await once(gone, 'close')
      release()
      const bodies = (await Promise.all(waiting)).map(({ body }) => body)
      assert.equal(new Set(bodies).size, 1)
      assert.ok(site.runs <= 2, `${site.runs} runs`)
    })

    test('a slow reader gets the page, and what waits for it stays small', async () => {
      const block = Buffer.alloc(64 * 1024, 'x')
      const blocks = 400
      let made = 0
      const site = await start(framework, () => ({
        headers: fresh,
        body: (async function* () {
          for (; made < blocks; made++) yield block
        })(),
      }))
      const sent = request({ host: '127.0.0.1', port: site.port, path: '/', agent: false }).end()
      const [response] = (await once(sent, 'response')) as [import('node:http').IncomingMessage]
      // Nothing is read, so the handler is held up when the socket's buffers are full.
      let before = -1
      for (let still = 0; still < 300; still = made === before ? still + 1 : 0) {
        before = made
        await new Promise((resolve) => setImmediate(resolve))
      }
      assert.ok(made < blocks, 'all was made though nobody read it')
      let bytes = 0
      for await (const part of response) bytes += (part as Buffer).length
      assert.equal(bytes, blocks * block.length)
      // Above `maxBodyBytes`, so it is nowhere.
      made = 0
      assert.equal((await ask(site.port, '/')).body.length, blocks * block.length)
      assert.equal(site.runs, 2)
    })

    test('a route has rules of its own, which its pages tell their clients', async () => {
      const placing = { kind: 'route', ttl: '15s' } as const
      const site = await start(framework, (_, run) => ({ body: `page ${run}` }), { placing })
      const first = await ask(site.port, '/')
      assert.equal(first.headers['cache-control'], 'max-age=15')
      assert.ok(first.headers.expires !== undefined)
      site.clock.advance(14_999)
      const hit = await ask(site.port, '/')
      assert.deepEqual([hit.body, hit.headers.expires], ['page 1', first.headers.expires])
      site.clock.advance(1)
      assert.equal((await ask(site.port, '/')).body, 'page 2')
    })

    test('pages go by their tags, named by the route or by the response', async () => {
      const placing: Placing = {
        kind: 'route',
        ttl: '15s',
        options: { tags: ({ url }, { status }) => [`${new URL(url).pathname} ${status}`] },
      }
      const site = await start(
        framework,
        (_, run) => ({ headers: { 'Cache-Tag': 'news, user:7' }, body: `page ${run}` }),
        { placing, tagField: 'Cache-Tag' },
      )
      const get = async (path: string) => {
        const { body, headers } = await ask(site.port, path)
        assert.equal(headers['cache-tag'], undefined)
        return body
      }
      assert.deepEqual([await get('/a'), await get('/b')], ['page 1', 'page 2'])
      await site.pages.invalidateTags(['/a 200', 'weather'])
      assert.deepEqual([await get('/a'), await get('/b')], ['page 3', 'page 2'])
      await site.pages.invalidateTags(['user:7'])
      assert.deepEqual([await get('/a'), await get('/b'), await get('/b')], ['page 4', 'page 5', 'page 5'])
    })

    test('pages go by the folders that they are in', async () => {
      const site = await start(framework, (_, run) => ({ headers: fresh, body: `page ${run}` }), {
        prefixes: true,
      })
      const get = async (path: string) => (await ask(site.port, path)).body
      const bodies = async () => [
        await get('/news/'),
        await get('/news/today?x=/other/'),
        await get('/newsletter'),
        await get('/news/a/b'),
      ]
      assert.deepEqual(await bodies(), ['page 1', 'page 2', 'page 3', 'page 4'])
      await site.pages.invalidatePrefix(`http://127.0.0.1:${site.port}/news/a/`)
      assert.deepEqual(await bodies(), ['page 1', 'page 2', 'page 3', 'page 5'])
      await site.pages.invalidatePrefix(`http://127.0.0.1:${site.port}/news/`)
      assert.deepEqual(await bodies(), ['page 6', 'page 7', 'page 3', 'page 8'])
    })

    test('a page is not kept, nor given to later callers, when its tag was invalidated meanwhile', async () => {
      const { opened, release } = gate()
      const placing: Placing = { kind: 'route', ttl: '15s', options: { tags: ['news'] } }
      const site = await start(
        framework,
        async (_, run) => {
          if (run === 1) await opened
          return { body: `page ${run}` }
        },
        { placing },
      )
      const early = ask(site.port, '/')
      await until(() => site.runs === 1)
      await site.pages.invalidateTags(['news'])
      const late = ask(site.port, '/')
      for (let turn = 0; turn < 100; turn++) await new Promise((resolve) => setImmediate(resolve))
      release()
      assert.deepEqual([(await early).body, (await late).body], ['page 1', 'page 2'])
      assert.equal((await ask(site.port, '/')).body, 'page 2')
    })

    test('strict hides from the handler what is not in the key', async () => {
      const placing: Placing = { kind: 'route', ttl: '15s', options: { strict: true, cookies: ['theme'] } }
      const site = await start(
        framework,
        ({ headers }) => ({
          body: `${headers.cookie} ${headers['x-forwarded-host']} ${headers.authorization}`,
        }),
        { placing },
      )
      const headers = { cookie: 'id=1; theme=dark', 'x-forwarded-host': 'evil.example' }
      assert.equal((await ask(site.port, '/', headers)).body, 'theme=dark undefined undefined')
    })

    if (!framework.hasMiddleware) return

    test('the phases see what stands between them', async () => {
      const placing: Placing = { kind: 'phases', adds: ['X-Between', 'yes'] }
      const site = await start(framework, (_, run) => ({ headers: fresh, body: `page ${run}` }), { placing })
      assert.equal((await ask(site.port, '/')).headers['x-between'], 'yes')
      const hit = await ask(site.port, '/')
      assert.deepEqual([hit.body, hit.headers['x-between'], hit.headers.age], ['page 1', 'yes', '0'])
    })

    test('neverCache says so, and is obeyed', async () => {
      const placing: Placing = { kind: 'route', ttl: '15s', helper: ({ neverCache }) => neverCache() }
      const site = await start(framework, (_, run) => ({ body: `page ${run}` }), { placing })
      const first = await ask(site.port, '/')
      assert.equal(first.headers['cache-control'], 'max-age=0, no-cache, no-store, must-revalidate, private')
      assert.ok(first.headers.expires !== undefined)
      assert.equal((await ask(site.port, '/')).body, 'page 2')
    })

    test('cacheControl sets directives, by which the page is stored', async () => {
      const placing: Placing = {
        kind: 'route',
        helper: ({ cacheControl }) => cacheControl({ maxAge: 30, public: true }),
      }
      const site = await start(
        framework,
        (_, run) => ({ headers: { 'Cache-Control': 'max-age=90' }, body: `page ${run}` }),
        { placing },
      )
      assert.equal((await ask(site.port, '/')).headers['cache-control'], 'max-age=30, public')
      site.clock.advance(30_000)
      assert.equal((await ask(site.port, '/')).body, 'page 2')
    })

    test('varyOn keeps pages apart', async () => {
      const placing: Placing = { kind: 'route', ttl: '15s', helper: ({ varyOn }) => varyOn('X-A', 'x-b') }
      const site = await start(framework, (_, run) => ({ body: `page ${run}` }), { placing })
      assert.equal((await ask(site.port, '/')).headers.vary, 'X-A, x-b')
      assert.equal((await ask(site.port, '/', { 'x-a': '1' })).body, 'page 2')
      assert.equal((await ask(site.port, '/')).body, 'page 1')
    })

    test('varyOnCookie stores a page for each set of cookies', async () => {
      const placing: Placing = { kind: 'route', ttl: '15s', helper: ({ varyOnCookie }) => varyOnCookie() }
      const site = await start(framework, ({ headers }, run) => ({ body: `${headers.cookie} ${run}` }), {
        placing,
      })
      const as = async (cookie: string) => (await ask(site.port, '/', { cookie })).body
      assert.deepEqual(
        [await as('id=a'), await as('id=b'), await as('id=a'), await as('id=b')],
        ['id=a 1', 'id=b 2', 'id=a 1', 'id=b 2'],
      )
    })
  })
}

test('what middleware of Hono in front has set for a request goes with a hit, not what it had set before', async () => {
  const app = new Hono()
  const { site } = honoCache(httpCache({ cache: createCache(), defaultTtl: '1m' }), { app })
  let requests = 0
  app.use(async (context, next) => {
    context.res.headers.set('x-request', String(++requests))
    await next()
  })
  app.use(site as never)
  app.get('/', (context) => context.text('page'))
  for (const turn of ['1', '2', '3']) {
    const response = await app.request('https://a.example/')
    assert.deepEqual([await response.text(), response.headers.get('x-request')], ['page', turn])
    assert.equal(response.headers.get('cache-status')?.includes('hit'), turn !== '1')
  }
})
