import assert from 'node:assert/strict'
import { describe, test } from 'vitest'
import { parseDictionary } from '../../../../src/http/policy/structured.ts'
import { targetedDirectives } from '../../../../src/http/policy/targeted.ts'

const directives = (value: string) => {
  const found = targetedDirectives({ 'cdn-cache-control': value }, [
    'tier-cache-control',
    'cdn-cache-control',
  ])
  return found && Object.fromEntries(found)
}

describe('targeted Cache-Control', () => {
  const rows: [value: string, expected: Record<string, string | true> | undefined][] = [
    ['max-age=60', { 'max-age': '60' }],
    ['MAX-AGE=60, Private', { 'max-age': '60', private: true }],
    ['max-age=60;x=1, foo=(a "b" 1);y', { 'max-age': '60', foo: true }],
    ['no-store=?0, max-age=1', { 'max-age': '1' }],
    ['max-age=-1', { 'max-age': '0' }],
    ['max-age=1, max-age=2', { 'max-age': '2' }],
    ['private=:AA==:, max-age=1', { private: true, 'max-age': '1' }],
    // Ignored as a whole.
    ['', undefined],
    ['max-age=60, &&&', undefined],
    ['max-age="60"', undefined],
    ['max-age=1.5', undefined],
    ['max-age', undefined],
    ['max-age=60,', undefined],
    ['max-age =60', undefined],
    ['max-age=1234567890123456', undefined],
    ['a=(1', undefined],
    ['a=(1"b")', undefined],
  ]
  for (const [value, expected] of rows) {
    test(`${JSON.stringify(value)} is ${expected === undefined ? 'ignored' : JSON.stringify(expected)}`, () => {
      assert.deepEqual(directives(value), expected)
    })
  }

  test('an empty dictionary is one, and dates and display strings are values', () => {
    assert.equal(parseDictionary('  ')?.size, 0)
    assert.equal(parseDictionary('a=@1659578233, b=%"f%c3%bc"')?.size, 2)
    assert.equal(parseDictionary('a=%"%C3"'), undefined)
  })
})
