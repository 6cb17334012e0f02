import { expect, describe as group, test } from 'vitest'

import { describe, toMs } from '../../src/duration.ts'

group('toMs', () => {
  test.each([
    [0, 0],
    [1.5, 1.5],
    [Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER],
    ['0ms', 0],
    ['250ms', 250],
    ['30s', 30_000],
    ['5m', 300_000],
    ['1.5h', 5_400_000],
    ['7d', 604_800_000],
    ['2w', 1_209_600_000],
    ['0.5ms', 0.5],
    ['007s', 7_000],
  ])('%j is %d ms', (value, ms) => {
    expect(toMs(value, 'ttl')).toBe(ms)
  })

  test.each<[value: unknown, what: string]>([
    ['', 'an empty text'],
    ['5', 'no unit'],
    ['m', 'no number'],
    ['5 m', 'a blank inside'],
    [' 5m', 'a blank before'],
    ['5m\n', 'a line break behind'],
    ['-5m', 'a sign'],
    ['+5m', 'a sign'],
    ['.5h', 'no digit before the point'],
    ['5.h', 'no digit behind the point'],
    ['1e3s', 'an exponent'],
    ['5M', 'an upper-case unit'],
    ['5min', 'a unit that is none'],
    ['1h30m', 'two units'],
    ['Infinityms', 'a word'],
    ['٥m', 'digits of another script'],
    [null, 'null'],
    [undefined, 'undefined'],
    [true, 'a boolean'],
    [5n, 'a bigint'],
    [{}, 'an object'],
    [['5m'], 'an array'],
    [new Date(5), 'a date'],
    [() => 5, 'a function'],
    [Symbol('5m'), 'a symbol'],
  ])('%o is a TypeError: %s', (value) => {
    expect(() => toMs(value, 'staleIfError')).toThrow(TypeError)
    expect(() => toMs(value, 'staleIfError')).toThrow(/^staleIfError: /)
  })

  test.each([
    [-1],
    [-Number.MIN_VALUE],
    [Number.NaN],
    [Number.POSITIVE_INFINITY],
    [Number.NEGATIVE_INFINITY],
    [`${'9'.repeat(309)}d`],
    [`${'9'.repeat(305)}w`],
  ])('%s is a RangeError', (value) => {
    expect(() => toMs(value, 'ttl')).toThrow(RangeError)
    expect(() => toMs(value, 'ttl')).toThrow(/^ttl: /)
  })

  test('a hostile text is answered at once and is not repeated whole in the message', () => {
    for (const text of ['9'.repeat(1_000_000), `${'9.'.repeat(500_000)}m`, `${'9'.repeat(1_000_000)}d`]) {
      let message = ''
      try {
        toMs(text, 'ttl')
      } catch (error) {
        message = (error as Error).message
      }
      expect(message).toMatch(/^ttl: /)
      expect(message.length).toBeLessThan(300)
    }
  })

  test('an object is not asked for anything', () => {
    const asked: PropertyKey[] = []
    const value = new Proxy(
      {},
      {
        get(_, property) {
          asked.push(property)
          throw new Error('asked')
        },
      },
    )
    expect(() => toMs(value, 'ttl')).toThrow('ttl: an object is not a duration')
    expect(asked).toEqual([])
  })
})

group('describe', () => {
  test.each([
    ['text', '"text"'],
    ['x'.repeat(61), `"${'x'.repeat(60)}…"`],
    [5, '5'],
    [5n, '5n'],
    [undefined, 'undefined'],
    [null, 'null'],
    [Number.NaN, 'NaN'],
    [false, 'false'],
    [[1], 'an array'],
    [{ a: 1 }, 'an object'],
    [() => 1, 'a function'],
    [Symbol('s'), 'a symbol'],
  ])('%o is shown as %s', (value, text) => {
    expect(describe(value)).toBe(text)
  })
})
