// One visitor's page never reaches another. Three visitors each ask for 40 shapes of response in 12 shapes of request, over
// every adapter; whatever a shape says about caching, the canary of one is never in what another one gets. And a test for
// each known way in which a cache gave pages to the wrong people.

import assert from 'node:assert/strict'
import { Agent } from 'node:http'
import { afterEach, describe, test } from 'vitest'
import { type HttpCacheOptions, httpCache } from '../../../src/http/index.ts'
import { createCache } from '../../../src/index.ts'
import { ask } from '../../support/http-client.ts'
import { frameworks, type Handler, type Placing, type Site } from '../../support/http-sites.ts'

const sites: Site[] = []
afterEach(async () => {
  for (const site of sites.splice(0)) await site.close()
})

async function start(
  framework: (typeof frameworks)[number],
  handler: Handler,
  placing: Placing = { kind: 'site' },
  options: Partial<HttpCacheOptions> = {},
): Promise<number> {
  const pages = httpCache({ cache: createCache(), statuses: 'explicit', ...options })
  const site = await framework.listen(pages, placing, handler)
  sites.push(site)
  return site.port
}

type Fields = Record<string, string | string[]>

const fresh = 'max-age=60'

/** Forty ways for a response to say that it is not for everyone. Each page holds the canary of whoever asked. */
const responses: [name: string, fields: Fields, status?: number][] = [
  ['a cookie', { 'Cache-Control': fresh, 'Set-Cookie': 'id=1' }],
  ['a cookie, though public', { 'Cache-Control': `public, ${fresh}`, 'Set-Cookie': 'id=1' }],
  ['two cookies', { 'Cache-Control': fresh, 'Set-Cookie': ['a=1', 'b=2'] }],
  ['a cookie and Vary: Cookie', { 'Cache-Control': fresh, 'Set-Cookie': 'id=1', Vary: 'Cookie' }],
  ['a cookie and s-maxage', { 'Cache-Control': 's-maxage=60', 'Set-Cookie': 'id=1' }],
  ['private', { 'Cache-Control': 'private' }],
  ['private with a time', { 'Cache-Control': `private, ${fresh}` }],
  ['Private in capitals', { 'Cache-Control': `PRIVATE, ${fresh}` }],
  ['private for a field', { 'Cache-Control': `private="x-user", ${fresh}` }],
  ['private and public', { 'Cache-Control': `public, private, ${fresh}` }],
  ['private in a second line', { 'Cache-Control': [fresh, 'private'] }],
  ['no-store', { 'Cache-Control': 'no-store' }],
  ['no-store with a time', { 'Cache-Control': `${fresh}, no-store` }],
  ['No-Store in capitals', { 'Cache-Control': `${fresh}, No-STORE` }],
  ['no-store in a second line', { 'Cache-Control': [fresh, 'no-store'] }],
  ['no-cache', { 'Cache-Control': `no-cache, ${fresh}` }],
  ['no-cache with a tag', { 'Cache-Control': `no-cache, ${fresh}`, ETag: '"same"' }],
  ['no-cache for a field', { 'Cache-Control': `no-cache="x-user", ${fresh}` }],
  ['no time', {}],
  ['no time, but public', { 'Cache-Control': 'public' }],
  ['max-age=0', { 'Cache-Control': 'max-age=0' }],
  ['max-age=-1', { 'Cache-Control': 'max-age=-1' }],
  ['max-age twice', { 'Cache-Control': 'max-age=60, max-age=0' }],
  ['a time that is no number', { 'Cache-Control': "max-age='60'" }],
  ['a malformed field', { 'Cache-Control': `${fresh}; private` }],
  ['a malformed quote', { 'Cache-Control': `${fresh}, x="` }],
  ['Expires: 0', { Expires: '0' }],
  ['Expires in the past', { Expires: 'Sun, 06 Nov 1994 08:49:37 GMT' }],
  ['Expires that is no date', { Expires: 'tomorrow' }],
  ['Vary: *', { 'Cache-Control': fresh, Vary: '*' }],
  ['Vary: * with blanks', { 'Cache-Control': fresh, Vary: ' * ' }],
  ['Vary: * in a list', { 'Cache-Control': fresh, Vary: 'Accept, *' }],
  ['Vary: * in a second line', { 'Cache-Control': fresh, Vary: ['Accept', '*'] }],
  ['Vary: Cookie', { 'Cache-Control': fresh, Vary: 'Cookie' }],
  ['Vary: cookie in a list', { 'Cache-Control': fresh, Vary: 'Accept-Encoding ,cookie' }],
  ['Vary: X-User', { 'Cache-Control': fresh, Vary: 'X-User' }],
  ['Vary: X-User with blanks', { 'Cache-Control': fresh, Vary: '  X-User\t' }],
  ['Vary that is no name', { 'Cache-Control': fresh, Vary: 'X User' }],
  ['Age beyond the time', { 'Cache-Control': fresh, Age: '61' }],
  ['partial', { 'Cache-Control': fresh, 'Content-Range': 'bytes 0-3/100' }, 206],
]

/** Twelve ways to ask. The visitor is in `X-User` and in a cookie, and some say so in more places. */
const requests: [name: string, fields: (user: string) => Fields, method?: string][] = [
  ['plainly', () => ({})],
  ['with Authorization', (user) => ({ authorization: `Basic ${user}` })],
  ['with other cookies', (user) => ({ cookie: `theme=dark; id=${user}` })],
  ['conditionally', () => ({ 'if-none-match': '"same"' })],
  ['since a date', () => ({ 'if-modified-since': 'Sun, 06 Nov 2044 08:49:37 GMT' })],
  ['for a range', () => ({ range: 'bytes=0-3' })],
  ['for anything stored', () => ({ 'cache-control': 'max-stale=9999' })],
  ['by another host', (user) => ({ 'x-forwarded-host': `${user}.example` })],
  ['by another URL', () => ({ 'x-original-url': '/other' })],
  ['by another method', () => ({ 'x-http-method-override': 'POST' })],
  ['for the data of a page', () => ({ 'x-nextjs-data': '1' })],
  ['for the head', () => ({}), 'HEAD'],
]

const users = ['ada', 'bob', undefined] as const
const canaryOf = (user: string | undefined) => `canary-of-${user ?? 'nobody'}`

for (const framework of frameworks) {
  test(`${framework.name}: no page of one visitor reaches another, in ${users.length * responses.length * requests.length} cases`, async () => {
    const handler: Handler = ({ headers, url }) => {
      const [, fields, status = 200] = responses[
        Number(new URL(url, 'http://a').searchParams.get('shape'))
      ] as (typeof responses)[0]
      const canary = canaryOf(headers['x-user'])
      return {
        status,
        headers: { 'Content-Type': 'text/plain', ...fields, 'X-Canary': canary },
        body: canary,
      }
    }
    const port = await start(framework, handler)
    const agent = new Agent({ keepAlive: true })
    let cases = 0
    for (const [shape, [response]] of responses.entries()) {
      // Each way of asking has a URL of its own, so they may go side by side; the visitors come one after the other.
      const asking = requests.map(async ([request, fields, method], turn) => {
        const path = `/?shape=${shape}&turn=${turn}`
        for (const user of users) {
          const own: Record<string, string | string[]> =
            user === undefined ? {} : { 'x-user': user, cookie: `id=${user}` }
          const got = await ask(port, path, { ...own, ...fields(user ?? '-') }, method, undefined, agent)
          const all = `${got.body} ${JSON.stringify(got.headers)}`
          for (const other of users) {
            if (other === user) continue
            assert.ok(
              !all.includes(canaryOf(other)),
              `${user} got the page of ${other}: ${response}, asked ${request}`,
            )
          }
          cases++
        }
      })
      await Promise.all(asking)
    }
    agent.destroy()
    assert.equal(cases, 1_440)
  }, 120_000)
}

describe('known ways', () => {
  const [plain] = frameworks
  const of = async (
    handler: Handler,
    rows: [headers: Record<string, string>, body: string][],
    options: Partial<HttpCacheOptions> = {},
    paths: string[] = [],
  ) => {
    const port = await start(plain as (typeof frameworks)[0], handler, undefined, options)
    for (const [turn, [headers, body]] of rows.entries()) {
      assert.equal((await ask(port, paths[turn] ?? '/', headers)).body, body, JSON.stringify(headers))
    }
  }
  /** A handler that counts, so that a page from the cache has an older number. */
  const counting = (headers: Record<string, string>, status = 200): Handler => {
    let runs = 0
    return () => ({ status, headers, body: status === 204 ? '' : `${++runs}` })
  }
  const twice: [Record<string, string>, string][] = [
    [{}, '1'],
    [{}, '2'],
  ]

  test('CVE-2026-24472 (Hono): private and no-store are obeyed', async () => {
    await of(counting({ 'Cache-Control': 'private, max-age=60' }), twice)
    await of(counting({ 'Cache-Control': 'no-store, max-age=60' }), twice)
  })
  test('CVE-2026-44457 (Hono): Vary: Cookie and Vary: Authorization are obeyed', async () => {
    for (const name of ['Cookie', 'Authorization']) {
      const handler: Handler = ({ headers }) => ({
        headers: { 'Cache-Control': 'max-age=60', Vary: name },
        body: headers[name.toLowerCase()] ?? 'nobody',
      })
      const asking = (value: string): [Record<string, string>, string] => [
        { [name.toLowerCase()]: value },
        value,
      ]
      await of(handler, [asking('a'), asking('b'), [{}, 'nobody'], asking('a')])
      await of(handler, [asking('a'), asking('b'), [{}, 'nobody'], asking('a')], { cookies: 'all' })
    }
  })
  test('CVE-2026-6907 and CVE-2026-48587 (Django): Vary: * in any spelling stores nothing', async () => {
    for (const vary of ['*', ' *', '*\t', ',*', 'Accept , *']) {
      await of(counting({ 'Cache-Control': 'max-age=60', Vary: vary }), twice)
    }
  })
  test('CVE-2026-48587 (Django): blanks around a name of Vary do not hide it', async () => {
    const handler: Handler = ({ headers }) => ({
      headers: { 'Cache-Control': 'max-age=60', Vary: '  X-User ,\tX-Other' },
      body: headers['x-user'] ?? 'nobody',
    })
    await of(handler, [
      [{ 'x-user': 'a' }, 'a'],
      [{ 'x-user': 'b' }, 'b'],
      [{}, 'nobody'],
    ])
  })
  test('rule 3.3.7: CVE-2026-8404 (Django): directives count in capitals', async () => {
    for (const control of ['PRIVATE', 'No-Store', 'NO-CACHE']) {
      await of(counting({ 'Cache-Control': `max-age=60, ${control}` }), twice)
    }
  })
  test('CVE-2026-35193 (Django): the answer to Authorization is for one, and says so under a rule', async () => {
    const port = await start(plain as (typeof frameworks)[0], counting({}), undefined, { ttl: '1m' })
    const first = await ask(port, '/', { authorization: 'a' })
    assert.equal(first.headers.vary, 'Authorization')
    assert.equal((await ask(port, '/', { authorization: 'b' })).body, '2')
    assert.equal((await ask(port, '/')).body, '3')
    assert.equal((await ask(port, '/', { authorization: 'a' })).body, '4')
  })
  test('rule 3.3.6: CVE-2026-48588 (Django): a cookie is not stored, whatever cookies the request had', async () => {
    const handler = counting({ 'Set-Cookie': 'session=1', Vary: 'Cookie' })
    const unrelated = { cookie: 'theme=dark' }
    await of(
      handler,
      [
        [{}, '1'],
        [unrelated, '2'],
        [unrelated, '3'],
      ],
      { ttl: '1m', cookies: 'all' },
    )
  })
  test('CVE-2026-113593 (Django): an absent field and an empty one are two pages', async () => {
    const handler: Handler = ({ headers }) => ({
      headers: { 'Cache-Control': 'max-age=60', Vary: 'X-A' },
      body: headers['x-a'] === undefined ? 'absent' : `"${headers['x-a']}"`,
    })
    await of(handler, [
      [{}, 'absent'],
      [{ 'x-a': '' }, '""'],
      [{}, 'absent'],
    ])
  })
  test('CVE-2026-35192 and CVE-2014-0473 (Django): what a session sets is not replayed to the next visitor', async () => {
    await of(counting({ 'Set-Cookie': 'csrftoken=1', 'Cache-Control': 'public, max-age=60' }), twice)
    await of(counting({ 'Set-Cookie': 'csrftoken=1' }), twice, { ttl: '1m' })
  })
  test('CVE-2014-1418 (Django): Vary and no-store hold whatever the client says it is', async () => {
    const explorer = { 'user-agent': 'Mozilla/4.0 (compatible; MSIE 6.0; Windows NT 5.1)' }
    await of(counting({ 'Cache-Control': 'no-store, max-age=60', Vary: 'Cookie' }), [
      [explorer, '1'],
      [explorer, '2'],
    ])
  })
  test('CVE-2026-44572 (Next.js): a field that asks for the data of a page does not poison the page', async () => {
    const handler: Handler = ({ headers }) => ({
      headers: { 'Cache-Control': 'max-age=60' },
      body: headers['x-nextjs-data'] === undefined ? 'page' : 'data',
    })
    await of(handler, [
      [{ 'x-nextjs-data': '1' }, 'data'],
      [{}, 'page'],
      [{ 'x-nextjs-data': '1' }, 'data'],
    ])
  })
  test('CVE-2024-46982 (Next.js): fields by which a request is routed anew are in the key', async () => {
    for (const name of [
      'x-matched-path',
      'x-invoke-path',
      'x-original-url',
      'x-rewrite-url',
      'x-forwarded-host',
      'forwarded',
    ]) {
      const handler: Handler = ({ headers }) => ({
        headers: { 'Cache-Control': 's-maxage=1, stale-while-revalidate' },
        body: headers[name] ?? 'page',
      })
      await of(handler, [
        [{ [name]: 'evil' }, 'evil'],
        [{}, 'page'],
        [{ [name]: 'other' }, 'other'],
      ])
    }
  })
  test('rule 3.3.8: CVE-2025-49826 (Next.js): a 204 is not stored as the page', async () => {
    let runs = 0
    const handler: Handler = () =>
      ++runs === 1
        ? { status: 204, headers: { 'Cache-Control': 's-maxage=60' } }
        : { headers: { 'Cache-Control': 's-maxage=60' }, body: 'page' }
    await of(
      handler,
      [
        [{}, ''],
        [{}, 'page'],
        [{}, 'page'],
      ],
      { statuses: [200] },
    )
  })
  test('CVE-2021-23336 (Python): a semicolon separates nothing, and no parameter is left out of the key', async () => {
    const handler: Handler = ({ url }) => ({ headers: { 'Cache-Control': 'max-age=60' }, body: url })
    const paths = [
      '/?a=1&utm_content=x;b=2',
      '/?a=1;b=2',
      '/?a=1&b=2',
      '/?a=1',
      '/?b=2&a=1',
      '/?a=1&utm_content=x',
    ]
    await of(
      handler,
      paths.map((path) => [{}, path]),
      {},
      paths,
    )
  })
  test('web cache deception: what a path looks like decides nothing', async () => {
    for (const path of [
      '/account/x.css',
      '/account%2fx.css',
      '/account;x.css',
      '//account/x.js',
      '/account/..%2fx.png',
      '/account%00.css',
    ]) {
      let runs = 0
      const handler: Handler = () => ({ body: `${++runs}` })
      await of(handler, twice, {}, [path, path])
    }
  })
  test('Django before the frame: ("ab", "c") and ("a", "bc") are two pages', async () => {
    const handler: Handler = ({ headers }) => ({
      headers: { 'Cache-Control': 'max-age=60', Vary: 'X-A, X-B' },
      body: `${headers['x-a']}|${headers['x-b']}`,
    })
    await of(handler, [
      [{ 'x-a': 'ab', 'x-b': 'c' }, 'ab|c'],
      [{ 'x-a': 'a', 'x-b': 'bc' }, 'a|bc'],
    ])
  })
})
