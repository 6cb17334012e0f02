// Behaviours 134 to 167: what Django's HTTP caching promises, and where this one promises more. The number is in each
// name; 157 is about template fragments and 167 is test/unit/http/policy/conditional.test.ts.

import assert from 'node:assert/strict'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, test } from 'vitest'
import { type NodeMiddleware, nodeMiddleware } from '../../../src/http/adapters/node.ts'
import { type HttpCacheOptions, httpCache, patchCacheControl, patchVary } from '../../../src/http/index.ts'
import { createCache } from '../../../src/index.ts'
import { ManualClock } from '../../../src/testing/manual-clock.ts'
import { ask } from '../../support/http-client.ts'

const servers: Server[] = []
afterEach(async () => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  }
})

type Page = { status?: number; fields?: Record<string, string | string[]>; body?: string }

/** A site behind middleware; the handler's page may depend on the request. */
async function open(
  chain: (middleware: ReturnType<typeof nodeMiddleware>) => NodeMiddleware[],
  page: (run: number, headers: Record<string, unknown>, method: string) => Page,
  options: Partial<HttpCacheOptions> = {},
) {
  const clock = new ManualClock()
  const cache = options.cache ?? createCache({ clock })
  const pages = httpCache({ clock, ...options, cache })
  const all = chain(nodeMiddleware(pages))
  let runs = 0
  const server = createServer((request, response) => {
    const step = (turn: number): void => {
      const middleware = all[turn]
      if (middleware !== undefined) {
        middleware(request, response, () => step(turn + 1))
        return
      }
      const made = page(++runs, request.headers, request.method ?? '')
      response.writeHead(made.status ?? 200, made.fields ?? {})
      response.end(made.body ?? `page ${runs}`)
    }
    step(0)
  })
  servers.push(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const get = (path = '/', headers: Record<string, string> = {}, method = 'GET') =>
    ask(port, path, headers, method)
  return {
    get,
    clock,
    port,
    pages,
    body: async (path?: string, headers?: Record<string, string>) => (await get(path, headers)).body,
  }
}

const site = ({ site }: ReturnType<typeof nodeMiddleware>) => [site]
const fresh = { 'Cache-Control': 'max-age=60' }

describe('134 patchVary', () => {
  const rows: [before: string | undefined, names: string[], after: string][] = [
    [undefined, ['Accept-Encoding'], 'Accept-Encoding'],
    ['Accept-Encoding', ['accept-encoding'], 'Accept-Encoding'],
    ['Accept-Encoding', ['ACCEPT-ENCODING'], 'Accept-Encoding'],
    ['Cookie', ['Accept-Encoding'], 'Cookie, Accept-Encoding'],
    ['Cookie, Accept-Encoding', ['Accept-Encoding'], 'Cookie, Accept-Encoding'],
    ['Cookie, Accept-Encoding', ['Accept-Encoding', 'cookie'], 'Cookie, Accept-Encoding'],
    [undefined, ['Accept-Encoding', 'COOKIE'], 'Accept-Encoding, COOKIE'],
    ['Cookie,     Accept-Encoding', ['Accept-Encoding', 'cookie'], 'Cookie, Accept-Encoding'],
    ['Cookie    ,     Accept-Encoding', ['Accept-Encoding', 'cookie'], 'Cookie, Accept-Encoding'],
    ['*', ['Accept-Language', 'Cookie'], '*'],
    ['Accept-Language, Cookie', ['*'], '*'],
  ]
  for (const [before, names, after] of rows) {
    test(`${before} and ${names} is ${after}`, () => assert.equal(patchVary(before, names), after))
  }
})

describe('138 patchCacheControl', () => {
  const rows: [
    before: string | undefined,
    control: Parameters<typeof patchCacheControl>[1],
    after: string,
  ][] = [
    [undefined, { private: true }, 'private'],
    ['', { private: true }, 'private'],
    [undefined, { public: true }, 'public'],
    ['public', { private: true }, 'private'],
    ['private', { public: true }, 'public'],
    ['public', { public: true }, 'public'],
    ['must-revalidate,max-age=60,private', { public: true }, 'must-revalidate, max-age=60, public'],
    ['must-revalidate,max-age=60,public', { private: true }, 'must-revalidate, max-age=60, private'],
    ['must-revalidate,max-age=60', { public: true }, 'must-revalidate, max-age=60, public'],
    [undefined, { noCache: 'Set-Cookie' }, 'no-cache=Set-Cookie'],
    ['no-cache=Set-Cookie', { noCache: true }, 'no-cache'],
    ['no-cache=Set-Cookie,no-cache=Link', { noCache: true }, 'no-cache'],
    ['no-cache=Set-Cookie', { noCache: 'Link' }, 'no-cache="Set-Cookie, Link"'],
    ['no-cache', { noCache: 'Link' }, 'no-cache'],
    ['max-age=60', { max_age: 30, noTransform: true }, 'max-age=30, no-transform'],
    ['max-age=60', { maxAge: 90, private: false, public: undefined }, 'max-age=60'],
  ]
  for (const [before, control, after] of rows) {
    test(`${before} and ${JSON.stringify(control)} is ${after}`, () => {
      assert.equal(patchCacheControl(before, control), after)
    })
  }

  test('what is no directive is refused', () => {
    assert.throws(() => patchCacheControl(undefined, { 'a b': true }), TypeError)
    assert.throws(() => patchCacheControl(undefined, { maxAge: {} as never }), TypeError)
    assert.throws(() => patchVary(undefined, ['a b']), TypeError)
  })
})

test('135 136 145 pages differ by query and by host', async () => {
  const { body } = await open(site, () => ({ fields: fresh }))
  assert.deepEqual(
    [await body('/?a=1'), await body('/?a=2'), await body('/?a=1')],
    ['page 1', 'page 2', 'page 1'],
  )
  assert.equal(await body('/?a=1', { host: 'other.example' }), 'page 3')
})

test('137 140 what a page varies with is learned from a HEAD too, and a HEAD is answered by one', async () => {
  const { get } = await open(site, (run) => ({ fields: { ...fresh, Vary: 'X-A', 'X-Run': String(run) } }))
  const head = async (value: string) => (await get('/', { 'x-a': value }, 'HEAD')).headers['x-run']
  assert.deepEqual([await head('a'), await head('b'), await head('a')], ['1', '2', '1'])
})

test('141 166 a HEAD is answered by a GET, and no GET by a HEAD', async () => {
  const { get, body } = await open(site, () => ({ fields: fresh }))
  await get('/', {}, 'HEAD')
  assert.equal(await body('/'), 'page 2')
  assert.ok((await get('/', {}, 'HEAD')).headers.age !== undefined)
})

test('139 148 the prefix of one cache is not that of another', async () => {
  const clock = new ManualClock()
  const cache = createCache({ clock })
  const host = { host: 'same.example' }
  const one = await open(site, () => ({ fields: fresh, body: 'one' }), { cache, clock, prefix: 'one' })
  const other = await open(site, () => ({ fields: fresh, body: 'other' }), { cache, clock, prefix: 'other' })
  const third = await open(site, () => ({ fields: fresh, body: 'third' }), {
    cache,
    clock,
    prefix: 'one',
    defaultTtl: 1,
  })
  assert.deepEqual([await one.body('/', host), await other.body('/', host)], ['one', 'other'])
  assert.equal(await third.body('/', host), 'one')
})

test('142 144 language and time zone are in the key where the application says so', async () => {
  const { body } = await open(
    site,
    (_, headers) => ({ fields: fresh, body: String(headers['accept-language']) }),
    {
      key: ({ fields }) => (fields['accept-language']?.startsWith('de') ? 'de|Europe/Berlin' : 'en|UTC'),
    },
  )
  const spoken = ['de', 'en-GB', 'de-AT,de;q=0.9', 'en']
  const bodies = []
  for (const language of spoken) bodies.push(await body('/', { 'accept-language': language }))
  assert.deepEqual(bodies, ['de', 'en-GB', 'de', 'en-GB'])
})

test('143 the order, case and spelling of Vary do not fragment the cache', async () => {
  const spellings = ['A, B', 'B, A', 'a,b', 'b ,a', ' A,B ', 'A, B, A', 'a, B', 'A,,B', 'B,\tA', 'b, a,']
  const { body } = await open(site, (run) => ({ fields: { ...fresh, Vary: spellings[run - 1] as string } }))
  for (const [turn] of spellings.entries()) await body(`/?turn=${turn}`, { a: '1', b: '2' })
  for (const [turn] of spellings.entries())
    assert.equal(await body(`/?turn=${turn}`, { b: '2', a: '1' }), `page ${turn + 1}`)
})

test('146 a stream without an end is not stored', async () => {
  const { body } = await open(site, () => ({ fields: fresh, body: 'x'.repeat(2_000) }), {
    maxBodyBytes: 1_000,
  })
  await body('/')
  const pages = await open(site, (run) => ({ fields: fresh, body: `${run}`.padEnd(2_000) }), {
    maxBodyBytes: 1_000,
  })
  assert.notEqual(await pages.body('/'), await pages.body('/'))
})

test('147 149 each cache and each route has its own rules, the nearest first', async () => {
  const chain = ({ site, cachePage }: ReturnType<typeof nodeMiddleware>) => [site, cachePage('30s')]
  const { body, clock } = await open(chain, () => ({}), { defaultTtl: '10s' })
  await body('/')
  clock.advance(29_999)
  assert.equal(await body('/'), 'page 1')
  clock.advance(1)
  assert.equal(await body('/'), 'page 2')
  assert.throws(() => httpCache({ cache: createCache(), ttl: -1 } as never), RangeError)
  assert.throws(() => httpCache({ cache: createCache(), ttll: 1 } as never), /did you mean ttl/)
})

test('150 the time of a route goes before that of its page, in both directions', async () => {
  for (const maxAge of [10, 1_000, 0]) {
    const { body, get, clock } = await open(
      ({ cachePage }) => [cachePage('100s')],
      () => ({ fields: { 'Cache-Control': `max-age=${maxAge}` } }),
    )
    assert.equal((await get('/')).headers['cache-control'], `max-age=${Math.min(maxAge, 100)}`)
    clock.advance(99_999)
    assert.equal(await body('/'), 'page 1')
    clock.advance(1)
    assert.equal(await body('/'), 'page 2')
  }
})

test('151 159 private, no-cache and no-store are not answered from the cache, in any case', async () => {
  for (const control of ['private', 'no-cache', 'no-store', 'Private', 'NO-CACHE', 'No-Store']) {
    const { body } = await open(
      ({ cachePage }) => [cachePage('100s')],
      () => ({ fields: { 'Cache-Control': control } }),
    )
    assert.deepEqual([await body('/'), await body('/')], ['page 1', 'page 2'], control)
  }
  const { body } = await open(site, () => ({ fields: { 'Cache-Control': 'x-private-ok, max-age=60' } }))
  assert.deepEqual(
    [await body('/'), await body('/')],
    ['page 1', 'page 1'],
    'an extension is not what its name contains',
  )
})

test('152 161 165 a page that sets a cookie is not stored, with Vary or without, whatever cookies there are', async () => {
  for (const vary of [{}, { Vary: 'Cookie' }]) {
    const { body } = await open(
      ({ cachePage }) => [cachePage('100s', { cookies: 'all' })],
      () => ({
        fields: { 'Set-Cookie': 'session=1', ...vary },
      }),
    )
    assert.deepEqual(
      [await body('/'), await body('/', { cookie: 'theme=dark' }), await body('/')],
      ['page 1', 'page 2', 'page 3'],
    )
  }
})

test('153 a 304 of the handler is not stored', async () => {
  const { get } = await open(
    ({ cachePage }) => [cachePage('100s')],
    (run) => (run === 1 ? { status: 304, body: '' } : {}),
  )
  assert.equal((await get('/')).status, 304)
  assert.equal((await get('/')).body, 'page 2')
})

test('154 two caches over one store share pages, and nothing else', async () => {
  const clock = new ManualClock()
  const cache = createCache({ clock })
  const one = await open(site, () => ({ fields: fresh, body: 'one' }), { cache, clock })
  const other = await open(site, () => ({ fields: fresh, body: 'other' }), { cache, clock })
  const host = { host: 'same.example' }
  assert.deepEqual([await one.body('/', host), await other.body('/', host)], ['one', 'one'])
})

test('155 156 the first response has no Age; a hit a second later has Age: 1 and the same Expires', async () => {
  const { get, clock } = await open(
    ({ cachePage }) => [cachePage('100s')],
    () => ({}),
  )
  const first = await get('/')
  clock.advance(1_000)
  const hit = await get('/')
  assert.deepEqual([first.headers.age, hit.headers.age], [undefined, '1'])
  assert.ok(first.headers.expires !== undefined && first.headers.expires === hit.headers.expires)
})

test('158 Vary: * with padding is not stored', async () => {
  for (const vary of ['*', ' * ', '*\t', 'Cookie, *', '*, Cookie']) {
    const { body } = await open(
      ({ cachePage }) => [cachePage('100s', { cookies: 'all' })],
      () => ({ fields: { Vary: vary } }),
    )
    assert.deepEqual([await body('/'), await body('/')], ['page 1', 'page 2'], vary)
  }
})

test('160 the answer to Authorization varies with it, unless it is public', async () => {
  const answers = async (control: string) => {
    const { get } = await open(
      ({ cachePage }) => [cachePage('100s')],
      () => ({ fields: { 'Cache-Control': control } }),
    )
    const first = await get('/', { authorization: 'a' })
    return [first.headers.vary, (await get('/', { authorization: 'b' })).body]
  }
  assert.deepEqual(await answers('max-age=10'), ['Authorization', 'page 2'])
  assert.deepEqual(await answers('public'), [undefined, 'page 1'])
})

test('162 163 fields that vary are framed: absent is not empty, and (ab, c) is not (a, bc)', async () => {
  const { body } = await open(site, () => ({ fields: { ...fresh, Vary: 'X-A, X-B' } }))
  const asked: Record<string, string>[] = [
    {},
    { 'x-a': '' },
    { 'x-b': '' },
    { 'x-a': 'ab', 'x-b': 'c' },
    { 'x-a': 'a', 'x-b': 'bc' },
  ]
  for (const [turn, headers] of asked.entries()) assert.equal(await body('/', headers), `page ${turn + 1}`)
  for (const [turn, headers] of asked.entries()) assert.equal(await body('/', headers), `page ${turn + 1}`)
})

test('164 a page without Vary never replaces what is known of those with it', async () => {
  const { body } = await open(site, (_, headers) => {
    const user = headers['x-user']
    return {
      fields: { ...fresh, ...(user === undefined ? {} : { Vary: 'X-User' }) },
      body: String(user ?? 'anyone'),
    }
  })
  const bodies = []
  for (const user of ['a', undefined, 'a', 'b', undefined, 'b']) {
    bodies.push(await body('/', user === undefined ? {} : { 'x-user': user }))
  }
  assert.deepEqual(bodies, ['a', 'anyone', 'a', 'b', 'anyone', 'b'])
})
