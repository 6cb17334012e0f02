import assert from 'node:assert/strict'
import { describe, test } from 'vitest'
import { formatHttpDate, parseHttpDate } from '../../../../src/http/policy/http-date.ts'

const now = Date.UTC(2026, 10, 22)
const birth = Date.UTC(1994, 10, 6, 8, 49, 37)

describe('dates of HTTP', () => {
  const rows: [text: string, expected: number | undefined][] = [
    ['Sun, 06 Nov 1994 08:49:37 GMT', birth],
    ['sun, 06 NOV 1994 08:49:37 gmt', birth],
    ['Sunday, 06-Nov-94 08:49:37 GMT', birth],
    ['Sun Nov  6 08:49:37 1994', birth],
    ['Thursday, 18-Aug-50 02:01:18 GMT', Date.UTC(2050, 7, 18, 2, 1, 18)],
    ['Sunday, 06-Nov-77 08:49:37 GMT', Date.UTC(1977, 10, 6, 8, 49, 37)],
    ['Sun, 29 Feb 2032 00:00:60 GMT', Date.UTC(2032, 1, 29, 0, 1, 0)],
    ['0', undefined],
    ['-1', undefined],
    ['', undefined],
    ['Sun, 06 Nov 1994 08:49:37 UTC', undefined],
    ['Sun, 06 Nov 1994 08:49:37 +0000', undefined],
    ['Sun, 06 Nov 94 08:49:37 GMT', undefined],
    ['Sun 06 Nov 1994 08:49:37 GMT', undefined],
    ['Sun, 6 Nov 1994 08:49:37 GMT', undefined],
    ['Sun, 06 Nov 1994 8:49:37 GMT', undefined],
    ['Sun, 06 Nov 1994 24:00:00 GMT', undefined],
    ['Sun, 31 Apr 1994 00:00:00 GMT', undefined],
    ['Sun, 06 Nov 1994 08:49:37 GMT, Sun, 06 Nov 1994 08:49:37 GMT', undefined],
    ['1994-11-06T08:49:37Z', undefined],
  ]
  for (const [text, expected] of rows) {
    test(`"${text}" is ${expected === undefined ? 'no date' : new Date(expected).toISOString()}`, () => {
      assert.equal(parseHttpDate(text, now), expected)
    })
  }

  test('what is written is read', () => assert.equal(parseHttpDate(formatHttpDate(birth), now), birth))
})
