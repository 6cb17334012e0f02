import assert from 'node:assert/strict'
import fc from 'fast-check'
import { describe, test } from 'vitest'
import {
  formatCacheControl,
  MOST_SECONDS,
  parseCacheControl,
  secondsOf,
} from '../../../../src/http/policy/cache-control.ts'
import { holds } from '../../../support/seed.ts'

const parsed = (value: string) => {
  const directives = parseCacheControl(value)
  return directives && Object.fromEntries(directives)
}

describe('Cache-Control', () => {
  const rows: [value: string, expected: Record<string, string | true> | undefined][] = [
    ['', {}],
    [' , ,', {}],
    ['no-store', { 'no-store': true }],
    ['No-StOrE, PRIVATE', { 'no-store': true, private: true }],
    ['max-age=60', { 'max-age': '60' }],
    ['max-age="60"', { 'max-age': '60' }],
    ['extension="no-store, private", max-age=1', { extension: 'no-store, private', 'max-age': '1' }],
    ['x-private, max-age=1', { 'x-private': true, 'max-age': '1' }],
    ['private="a, b"', { private: 'a, b' }],
    ['a="\\"\\\\"', { a: '"\\' }],
    ['max-age=60, max-age=5', { 'max-age': '5' }],
    ['max-age=60, max-age=x', { 'max-age': 'x' }],
    ['no-cache="a", no-cache', { 'no-cache': true }],
    ['no-cache="a", no-cache="b"', { 'no-cache': 'a, b' }],
    ['min-fresh=1, min-fresh=9', { 'min-fresh': '9' }],
    // Malformed: nobody knows what it forbids.
    ['max-age =60', undefined],
    ['max-age= 60', undefined],
    ['private; max-age=60', undefined],
    ['a="unterminated', undefined],
    ['a="b"c', undefined],
    ['@', undefined],
    ['max-age=', undefined],
  ]
  for (const [value, expected] of rows) {
    test(`${JSON.stringify(value)} is ${expected === undefined ? 'malformed' : JSON.stringify(expected)}`, () => {
      assert.deepEqual(parsed(value), expected)
    })
  }

  test('seconds that nobody can read are over, and too many are cut', () => {
    const seconds = (value: string) => secondsOf(parseCacheControl(value) ?? new Map(), 'max-age')
    assert.equal(seconds('no-store'), undefined)
    for (const value of ['max-age', 'max-age=-1', "max-age='60'", 'max-age=1.5', 'max-age=0x9']) {
      assert.equal(seconds(value), 0, value)
    }
    assert.equal(seconds('max-age=003600'), 3600)
    assert.equal(seconds('max-age=99999999999999999999'), MOST_SECONDS)
  })

  test('what is written is read as the same', () => {
    const token = fc.stringMatching(/^[a-z][a-z0-9-]{0,8}$/)
    const argument = fc.oneof(fc.constant(true as const), fc.stringMatching(/^[ -~]{1,12}$/))
    holds(
      fc.property(fc.dictionary(token, argument, { minKeys: 1, noNullPrototype: true }), (record) => {
        const directives = new Map(Object.entries(record))
        assert.deepEqual(parseCacheControl(formatCacheControl(directives)), directives)
      }),
    )
  })
})
