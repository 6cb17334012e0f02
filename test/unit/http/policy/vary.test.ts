import assert from 'node:assert/strict'
import fc from 'fast-check'
import { describe, test } from 'vitest'
import { cookiesOf, parseVary, unionOf, variantOf } from '../../../../src/http/policy/vary.ts'
import { holds } from '../../../support/seed.ts'

describe('Vary', () => {
  const rows: [value: string | undefined, names: readonly string[] | '*'][] = [
    [undefined, []],
    ['', []],
    ['Accept-Encoding', ['accept-encoding']],
    ['b, A,, b', ['a', 'b']],
    ['*', '*'],
    ['  *\t', '*'],
    [', *', '*'],
    ['foo, *', '*'],
    ['*, foo', '*'],
    ['foo bar', '*'],
    ['"foo"', '*'],
  ]
  for (const [value, names] of rows) {
    test(`${JSON.stringify(value)} names ${JSON.stringify(names)}`, () =>
      assert.deepEqual(parseVary(value), names))
  }

  test('a union keeps what is known, and is the same list where nothing is new', () => {
    const known = ['a', 'c']
    assert.deepEqual(unionOf(known, ['b']), ['a', 'b', 'c'])
    assert.equal(unionOf(known, ['c']), known)
  })

  test('rule 3.3.10: no two requests with other values make one key', () => {
    const names = ['a', 'b', 'cookie']
    const value = fc.option(
      fc.string({ unit: fc.constantFrom('a', 'b', ':', '-', '1', '2', '='), maxLength: 4 }),
      {
        nil: undefined,
      },
    )
    const fields = fc.record({ a: value, b: value, cookie: value })
    holds(
      fc.property(fields, fields, (left, right) => {
        const isSame = names.every((name) => left[name as 'a'] === right[name as 'a'])
        const of = (request: typeof left) =>
          variantOf(
            Object.fromEntries(Object.entries(request).filter(([, text]) => text !== undefined)),
            names,
            'all',
          )
        assert.equal(of(left) === of(right), isSame)
      }),
      { numRuns: 2_000 },
    )
  })

  test('with cookies named, only those make a difference', () => {
    const of = (cookie: string) => variantOf({ cookie }, ['cookie'], ['theme'])
    assert.equal(of('theme=dark; session=1'), of('session=2;theme=dark'))
    assert.notEqual(of('theme=dark'), of('theme=light'))
    assert.notEqual(of('theme='), of('other=1'))
    assert.notEqual(of('theme=a; theme=b'), of('theme=ab'))
    assert.deepEqual(cookiesOf('a=1; xa=2; a="3"; a', 'a'), ['1', '"3"'])
  })
})
