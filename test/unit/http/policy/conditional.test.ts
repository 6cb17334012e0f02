import assert from 'node:assert/strict'
import { describe, test } from 'vitest'
import { isNotModified, preconditionStatus, updatedBy304 } from '../../../../src/http/policy/conditional.ts'
import { formatHttpDate } from '../../../../src/http/policy/http-date.ts'

const nowMs = Date.UTC(2026, 10, 22)
const [older, changed, newer] = [-60, -30, -10].map((seconds) => formatHttpDate(nowMs + seconds * 1000)) as [
  string,
  string,
  string,
]
const etag = '"tag"'

describe('167 conditional requests', () => {
  type Row = [
    method: string,
    request: Record<string, string>,
    etag: string | undefined,
    lastModified: string | undefined,
    status: number,
  ]
  const rows: Row[] = [
    ['GET', {}, etag, changed, 200],
    ['GET', { 'if-none-match': etag }, etag, undefined, 304],
    ['GET', { 'if-none-match': 'W/"tag"' }, etag, undefined, 304],
    ['GET', { 'if-none-match': etag }, 'W/"tag"', undefined, 304],
    ['GET', { 'if-none-match': '"a", "tag", "b"' }, etag, undefined, 304],
    ['GET', { 'if-none-match': '"a,b", "tag"' }, etag, undefined, 304],
    ['GET', { 'if-none-match': '*' }, etag, undefined, 304],
    ['GET', { 'if-none-match': '"other"' }, etag, undefined, 200],
    ['GET', { 'if-none-match': 'tag' }, etag, undefined, 200],
    ['GET', { 'if-none-match': 'w/"tag"' }, etag, undefined, 200],
    ['GET', { 'if-none-match': etag }, undefined, changed, 200],
    ['GET', { 'if-none-match': '"other"', 'if-modified-since': newer }, etag, changed, 200],
    ['GET', { 'if-none-match': etag, 'if-modified-since': older }, etag, changed, 304],
    ['GET', { 'if-modified-since': changed }, undefined, changed, 304],
    ['GET', { 'if-modified-since': newer }, undefined, changed, 304],
    ['GET', { 'if-modified-since': older }, undefined, changed, 200],
    ['GET', { 'if-modified-since': 'yesterday' }, undefined, changed, 200],
    ['GET', { 'if-modified-since': newer }, etag, undefined, 200],
    ['HEAD', { 'if-none-match': etag }, etag, undefined, 304],
    ['PUT', { 'if-none-match': etag }, etag, undefined, 412],
    ['PUT', { 'if-none-match': '*' }, undefined, undefined, 412],
    ['PUT', { 'if-modified-since': newer }, undefined, changed, 200],
    ['PUT', { 'if-match': etag }, etag, undefined, 200],
    ['PUT', { 'if-match': '*' }, etag, undefined, 200],
    ['PUT', { 'if-match': '"other"' }, etag, undefined, 412],
    ['PUT', { 'if-match': 'W/"tag"' }, 'W/"tag"', undefined, 412],
    ['GET', { 'if-match': '"other"', 'if-none-match': etag }, etag, undefined, 412],
    ['PUT', { 'if-unmodified-since': changed }, undefined, changed, 200],
    ['PUT', { 'if-unmodified-since': older }, undefined, changed, 412],
    ['PUT', { 'if-unmodified-since': 'never' }, undefined, changed, 200],
    ['PUT', { 'if-match': etag, 'if-unmodified-since': older }, etag, changed, 200],
  ]
  for (const [method, request, tag, lastModified, status] of rows) {
    test(`${method} ${JSON.stringify(request)} of ${tag ?? 'no tag'}, ${lastModified ?? 'no date'} is ${status}`, () => {
      assert.equal(
        preconditionStatus(method, request, { etag: tag, lastModified, date: undefined }, nowMs),
        status,
      )
    })
  }

  test('a stored page without Last-Modified is compared by its Date', () => {
    const validators = { etag: undefined, lastModified: undefined, date: changed }
    assert.equal(isNotModified({ 'if-modified-since': newer }, validators, nowMs), true)
    assert.equal(isNotModified({ 'if-modified-since': older }, validators, nowMs), false)
  })
})

test('a 304 replaces fields of the page, but none that describe the body or belong to one client', () => {
  const stored = [
    ['Content-Length', '3'],
    ['Content-Encoding', 'gzip'],
    ['ETag', '"a"'],
    ['X-A', 'old'],
    ['x-a', 'old too'],
    ['X-B', 'stays'],
  ] as const
  const fresh = [
    ['content-length', '0'],
    ['content-encoding', 'br'],
    ['etag', '"b"'],
    ['x-A', 'new'],
    ['Set-Cookie', 'a=b'],
    ['Connection', 'close'],
  ] as const
  assert.deepEqual(updatedBy304(stored, fresh), [
    ['Content-Length', '3'],
    ['Content-Encoding', 'gzip'],
    ['ETag', '"a"'],
    ['X-B', 'stays'],
    ['x-A', 'new'],
  ])
})
