import assert from 'node:assert/strict'
import fc from 'fast-check'
import CachePolicy from 'http-cache-semantics'
import { describe, test } from 'vitest'
import { fieldOf } from '../../../../src/http/policy/fields.ts'
import { formatHttpDate } from '../../../../src/http/policy/http-date.ts'
import { type StoringRules, storingOf } from '../../../../src/http/policy/storable.ts'
import { holds } from '../../../support/seed.ts'

const wallMs = Date.UTC(2026, 10, 22, 12)
const received = { requestedAtMs: wallMs, receivedAtMs: wallMs }
const rules: StoringRules = {
  ttlMs: undefined,
  defaultTtlMs: undefined,
  heuristic: false,
  statuses: new Set([200]),
  targets: [],
  isStrictAge: true,
  staleWhileRevalidateMs: 0,
  staleIfErrorMs: 0,
  keysCookies: false,
}

type Case = {
  method?: string
  request?: Record<string, string>
  status?: number
  response?: Record<string, string>
  rules?: Partial<StoringRules>
}

const storing = ({ method = 'GET', request = {}, status = 200, response = {}, rules: own = {} }: Case) =>
  storingOf({ method, fields: request }, { status, fields: response }, { ...rules, ...own }, received)

const fresh = { 'cache-control': 'max-age=60' }

describe('what may be stored', () => {
  const rows: [name: string, given: Case, refusal: string | undefined][] = [
    ['a page that says how long', { response: fresh }, undefined],
    ['a page that says nothing', {}, 'no-freshness'],
    ['a page without a word, by the default of its cache', { rules: { defaultTtlMs: 1 } }, undefined],
    [
      'a page with Last-Modified alone',
      { response: { 'last-modified': 'Sun, 06 Nov 1994 08:49:37 GMT' } },
      'no-freshness',
    ],
    [
      'the same where that is enough',
      { response: { 'last-modified': 'Sun, 06 Nov 1994 08:49:37 GMT' }, rules: { heuristic: true } },
      undefined,
    ],
    ['no-store', { response: { 'cache-control': 'no-store, max-age=60' } }, 'no-store'],
    ['NO-STORE', { response: { 'cache-control': 'NO-STORE, max-age=60' } }, 'no-store'],
    ['private', { response: { 'cache-control': 'Private, max-age=60' } }, 'private'],
    ['private for some fields', { response: { 'cache-control': 'private="x", max-age=60' } }, 'private'],
    [
      'an extension that quotes no-store',
      { response: { 'cache-control': 'x="no-store", max-age=60' } },
      undefined,
    ],
    ['a malformed Cache-Control', { response: { 'cache-control': 'max-age=60; private' } }, 'malformed'],
    [
      'no-cache without a validator',
      { response: { 'cache-control': 'no-cache, max-age=60' } },
      'no-freshness',
    ],
    ['no-cache with a validator', { response: { 'cache-control': 'no-cache', etag: '"a"' } }, undefined],
    ['Set-Cookie', { response: { ...fresh, 'set-cookie': 'a=b' } }, 'set-cookie'],
    [
      'Set-Cookie, though public',
      { response: { 'cache-control': 'public, max-age=60', 'set-cookie': 'a=b' } },
      'set-cookie',
    ],
    ['Vary: *', { response: { ...fresh, vary: ' * ' } }, 'vary'],
    ['Vary: Cookie', { response: { ...fresh, vary: 'Cookie' } }, 'vary'],
    [
      'Vary: Cookie with cookies in the key',
      { response: { ...fresh, vary: 'Cookie' }, rules: { keysCookies: true } },
      undefined,
    ],
    ['a request with Authorization', { request: { authorization: 'x' }, response: fresh }, 'authorization'],
    [
      'the same, public',
      { request: { authorization: 'x' }, response: { 'cache-control': 'public, max-age=60' } },
      undefined,
    ],
    [
      'the same, s-maxage',
      { request: { authorization: 'x' }, response: { 'cache-control': 's-maxage=60' } },
      undefined,
    ],
    [
      'the same, must-revalidate',
      { request: { authorization: 'x' }, response: { 'cache-control': 'max-age=60, must-revalidate' } },
      undefined,
    ],
    [
      'Vary: Authorization is no permission',
      { request: { authorization: 'x' }, response: { ...fresh, vary: 'Authorization' } },
      'authorization',
    ],
    ['206', { status: 206, response: fresh }, 'partial'],
    ['304', { status: 304, response: fresh }, 'partial'],
    ['204', { status: 204, response: fresh }, 'status'],
    ['404', { status: 404, response: fresh }, 'status'],
    [
      '404 where every explicit one is kept',
      { status: 404, response: fresh, rules: { statuses: 'explicit' } },
      undefined,
    ],
    [
      '599 that must be understood',
      {
        status: 599,
        response: { 'cache-control': 'max-age=60, must-understand' },
        rules: { statuses: 'explicit' },
      },
      'status',
    ],
    [
      'no-store that must be understood, and is',
      { response: { 'cache-control': 'no-store, max-age=60, must-understand' } },
      undefined,
    ],
    ['POST', { method: 'POST', response: fresh }, 'method'],
    ['HEAD', { method: 'HEAD', response: fresh }, undefined],
    ['a GET with a body', { request: { 'content-length': '3' }, response: fresh }, 'request'],
    [
      'a GET with a body of unknown length',
      { request: { 'transfer-encoding': 'chunked' }, response: fresh },
      'request',
    ],
    ['an upgrade', { request: { upgrade: 'websocket' }, response: fresh }, 'request'],
    ['Range', { request: { range: 'bytes=0-1' }, response: fresh }, 'partial'],
    ['a request with no-store', { request: { 'cache-control': 'no-store' }, response: fresh }, 'no-store'],
    ['max-age=0', { response: { 'cache-control': 'max-age=0' } }, 'no-freshness'],
    [
      'max-age=0 under a rule',
      { response: { 'cache-control': 'max-age=0' }, rules: { ttlMs: 60_000 } },
      undefined,
    ],
    ['a rule of 0', { response: fresh, rules: { ttlMs: 0 } }, 'no-freshness'],
    [
      'private under a rule',
      { response: { 'cache-control': 'private' }, rules: { ttlMs: 60_000 } },
      'private',
    ],
    [
      'a targeted no-store',
      { response: { ...fresh, 'cdn-cache-control': 'no-store' }, rules: { targets: ['cdn-cache-control'] } },
      'no-store',
    ],
    [
      'no-store for others, with a targeted max-age',
      {
        response: { 'cache-control': 'no-store', 'cdn-cache-control': 'max-age=9' },
        rules: { targets: ['cdn-cache-control'] },
      },
      undefined,
    ],
    ['an Age that is no number', { response: { ...fresh, age: 'abc' } }, 'no-freshness'],
    ['an Age that is older than the page may get', { response: { ...fresh, age: '61' } }, 'no-freshness'],
  ]
  for (const [name, given, refusal] of rows) {
    test(`${name}: ${refusal ?? 'is stored'}`, () => assert.equal(storing(given).refusal, refusal))
  }
})

describe('times of a page', () => {
  const timesOf = (response: Record<string, string>, own: Partial<StoringRules> = {}) => {
    const result = storing({ response: { etag: '"a"', ...response }, rules: own })
    assert.equal(result.refusal, undefined)
    return result.refusal === undefined ? result.times : assert.fail()
  }
  const date = (seconds: number) => formatHttpDate(wallMs + seconds * 1000)

  test('s-maxage goes before max-age, and that before Expires', () => {
    const expires = date(9)
    assert.equal(timesOf({ expires }).freshMs, 9_000)
    assert.equal(timesOf({ expires, 'cache-control': 'max-age=5' }).freshMs, 5_000)
    assert.equal(timesOf({ expires, 'cache-control': 'max-age=5, s-maxage=2' }).freshMs, 2_000)
  })

  test('Expires counts from Date, and one that is no date is past', () => {
    assert.equal(timesOf({ expires: date(9), date: date(-10) }).freshMs, 19_000)
    assert.equal(timesOf({ expires: date(9), date: date(-10) }).initialAgeMs, 10_000)
    for (const expires of ['0', '-1', 'never', date(-1)])
      assert.equal(timesOf({ expires }).freshMs, 0, expires)
  })

  test('stale windows come from the page, else from the rules, and not where stale use is forbidden', () => {
    const own = { staleWhileRevalidateMs: 7_000, staleIfErrorMs: 8_000 }
    const said = 'max-age=1, stale-while-revalidate=2, stale-if-error=3'
    const windows = (control: string) => {
      const { staleWhileRevalidateMs, staleIfErrorMs } = timesOf({ 'cache-control': control }, own)
      return [staleWhileRevalidateMs, staleIfErrorMs]
    }
    assert.deepEqual(windows(said), [2_000, 3_000])
    assert.deepEqual(windows('max-age=1'), [7_000, 8_000])
    for (const forbidding of ['must-revalidate', 'proxy-revalidate', 's-maxage=1', 'no-cache']) {
      assert.deepEqual(windows(`${said}, ${forbidding}`), [0, 0], forbidding)
    }
  })

  test('a rule counts from when the page is stored, however old it is', () => {
    const { freshMs, initialAgeMs } = timesOf({ age: '100' }, { ttlMs: 5_000 })
    assert.equal(freshMs - initialAgeMs, 5_000)
  })
})

describe('against http-cache-semantics', () => {
  // Not proxy-revalidate, which gives a page no time at all there; RFC 9111 speaks of stale ones only.
  const directive = fc.constantFrom(
    'max-age=60',
    'max-age=0',
    's-maxage=30',
    'public',
    'private',
    'no-store',
    'no-cache',
    'must-revalidate',
    'immutable',
    'x-private',
  )
  const response = fc.record(
    {
      'cache-control': fc
        .uniqueArray(directive, { minLength: 1, maxLength: 4, selector: (text) => text.split('=')[0] })
        .map((all) => all.join(', ')),
      expires: fc.constantFrom(formatHttpDate(wallMs + 90_000), formatHttpDate(wallMs - 90_000), '0'),
      age: fc.constantFrom('0', '10', '45', '100000'),
      vary: fc.constantFrom('*', 'accept'),
      etag: fc.constantFrom('"a"'),
    },
    { requiredKeys: [] },
  )
  const request = fc.record(
    { authorization: fc.constantFrom('Basic x'), accept: fc.constantFrom('text/html') },
    { requiredKeys: [] },
  )

  test('what is stored here may be stored there, and has the same freshness', () => {
    let compared = 0
    holds(
      fc.property(request, response, (requestFields, fields) => {
        const own = storing({ request: requestFields, response: fields })
        const policy = new CachePolicy(
          { url: '/', method: 'GET', headers: { host: 'a', ...requestFields } },
          { status: 200, headers: { date: formatHttpDate(wallMs), ...fields } },
          { shared: true, ignoreCargoCult: true, immutableMinTimeToLive: 0, cacheHeuristic: 0 },
        )
        Object.assign(policy, { now: () => wallMs })
        if (own.refusal !== undefined) return
        compared++
        assert.equal(policy.storable(), true, JSON.stringify(fields))
        // There a page that must be asked about has no time left; here it is kept with its times and asked about.
        if (own.times.isNoCache) return
        const { freshMs, initialAgeMs } = own.times
        const left = Math.max(0, freshMs - initialAgeMs) / 1000
        // Its clock began when it was made, so a second may have passed there.
        const leftThere = Math.max(0, policy.maxAge() - Number(fieldOf(fields, 'age') ?? 0))
        assert.equal(left, leftThere, JSON.stringify(fields))
      }),
      { numRuns: 3_000 },
    )
    assert.ok(compared > 100, `only ${compared} cases were stored`)
  })
})
