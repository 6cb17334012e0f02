import { describe, expect, test } from 'vitest'

import { ExpectationError, isTrue, rejects, same, show, throws } from '../../../src/testing/expect.ts'

function cycle(name: string): Record<string, unknown> {
  const object: Record<string, unknown> = { name }
  object.self = { again: object }
  return object
}

describe('same', () => {
  test.each<[string, () => unknown]>([
    ['NaN', () => Number.NaN],
    ['-0', () => -0],
    ['undefined', () => undefined],
    ['an object with undefined', () => ({ a: undefined, b: [undefined] })],
    ['bytes', () => Uint8Array.of(1, 2)],
    ['doubles', () => Float64Array.of(-0, Number.NaN)],
    ['a buffer', () => Uint8Array.of(1, 2).buffer],
    ['a data view', () => new DataView(Uint8Array.of(1, 2, 3).buffer, 1)],
    ['a date', () => new Date(5)],
    ['an invalid date', () => new Date(Number.NaN)],
    [
      'a map',
      () =>
        new Map<unknown, unknown>([
          ['a', [1]],
          [{ b: 1 }, new Map()],
        ]),
    ],
    ['a set', () => new Set<unknown>([1, { a: [1] }, { a: [2] }])],
    ['a regular expression', () => /a/gi],
    ['an error', () => Object.assign(new TypeError('no'), { code: 5 })],
    ['a cycle', () => cycle('a')],
    ['an own __proto__', () => JSON.parse('{"__proto__":{"a":1}}')],
    ['a hole', () => new Array(3)],
  ])('%s equals another made the same way', (_, make) => {
    same(make(), make())
  })

  test.each<[string, unknown, unknown]>([
    ['0 and -0', 0, -0],
    ['1 and "1"', 1, '1'],
    ['1 and 1n', 1, 1n],
    ['null and undefined', null, undefined],
    ['null and an object', null, {}],
    ['an absent property and undefined', {}, { a: undefined }],
    ['undefined and an absent property', { a: undefined }, {}],
    ['a hole and undefined', new Array(1), [undefined]],
    ['arrays of two lengths', [1], [1, 2]],
    ['an array and an object', [1], { 0: 1 }],
    ['other bytes', Uint8Array.of(1, 2), Uint8Array.of(1, 3)],
    ['fewer bytes', Uint8Array.of(1, 2), Uint8Array.of(1)],
    ['bytes and integers', Uint8Array.of(1), Int8Array.of(1)],
    ['bytes and an array', Uint8Array.of(1), [1]],
    ['dates', new Date(1), new Date(2)],
    ['a date and an invalid one', new Date(1), new Date(Number.NaN)],
    ['a date and its text', new Date(0), '1970-01-01T00:00:00.000Z'],
    ['a map with another value', new Map([['a', 1]]), new Map([['a', 2]])],
    ['a map with another key', new Map([['a', 1]]), new Map([['b', 1]])],
    ['a map and an object', new Map([['a', 1]]), { a: 1 }],
    ['sets of equal size', new Set([1, 2]), new Set([1, 3])],
    ['a set whose member is there twice', new Set([{ a: 1 }, { a: 1 }]), new Set([{ a: 1 }, { a: 2 }])],
    [
      'an instance and a plain object',
      new (class Point {
        x = 1
      })(),
      { x: 1 },
    ],
    ['regular expressions', /a/g, /a/i],
    ['errors by message', new Error('a'), new Error('b')],
    ['errors by class', new TypeError('a'), new Error('a')],
    [
      'errors by property',
      Object.assign(new Error('a'), { code: 1 }),
      Object.assign(new Error('a'), { code: 2 }),
    ],
    ['cycles', cycle('a'), cycle('b')],
    ['buffers', Uint8Array.of(1).buffer, Uint8Array.of(2).buffer],
    ['an own __proto__ and an inherited one', JSON.parse('{"__proto__":{"a":1}}'), { __proto__: { a: 1 } }],
    ['functions', () => 1, () => 1],
  ])('tells apart: %s', (_, actual, expected) => {
    expect(() => same(actual, expected)).toThrow(ExpectationError)
    expect(() => same({ in: [actual] }, { in: [expected] })).toThrow(ExpectationError)
    expect(() => same(new Map([['k', actual]]), new Map([['k', expected]]))).toThrow(ExpectationError)
  })

  test('bytes of a subclass equal bytes, and maps and sets equal in any order', () => {
    same(Buffer.from([1, 2]), Uint8Array.of(1, 2))
    same(
      new Map([
        ['a', 1],
        ['b', 2],
      ]),
      new Map([
        ['b', 2],
        ['a', 1],
      ]),
    )
    same(new Set([{ a: 1 }, 2]), new Set([2, { a: 1 }]))
    same(Object.assign(Object.create(null), { a: 1 }), { a: 1 })
  })

  test('the message says what was got, what was expected and where they differ', () => {
    expect(() => same({ user: { tags: ['a', 'b'] } }, { user: { tags: ['a', 'c'] } }, 'after a set')).toThrow(
      'after a set: got { user: { tags: ["a", "b"] } }, expected { user: { tags: ["a", "c"] } } (they differ at .user.tags[1])',
    )
  })

  test('the error carries both values for the runner to show', () => {
    const error = throws(
      () => same([1], [2]),
      () => true,
    ) as ExpectationError
    expect([error.actual, error.expected]).toEqual([[1], [2]])
  })
})

describe('isTrue', () => {
  test('it passes for true and throws the message for false', () => {
    isTrue(true, 'fine')
    expect(() => isTrue(false, 'not fine')).toThrow('not fine')
  })
})

describe('throws and rejects', () => {
  const isTypeError = (error: unknown): boolean => error instanceof TypeError
  const fail = (error: unknown) => () => {
    throw error
  }

  test('they give what was thrown', async () => {
    const error = new TypeError('no')
    expect(throws(fail(error), isTypeError)).toBe(error)
    expect(await rejects(Promise.reject(error), isTypeError)).toBe(error)
  })

  test('a check that asserts by itself and returns nothing passes', async () => {
    throws(fail(1), (error) => same(error, 1))
    await rejects(Promise.reject(1), (error) => same(error, 1))
  })

  test('nothing thrown is a failure that shows the value', async () => {
    expect(() => throws(() => 5, isTypeError, 'a wrong ttl')).toThrow('a wrong ttl: returned 5')
    await expect(rejects(Promise.resolve([5]), isTypeError, 'a wrong ttl')).rejects.toThrow(
      'a wrong ttl: resolved to [5]',
    )
  })

  test('something else thrown is a failure that carries it as its cause', async () => {
    const error = new RangeError('else')
    expect(() => throws(fail(error), isTypeError)).toThrow('threw RangeError: else')
    const failure = await rejects(rejects(Promise.reject(error), isTypeError), () => true)
    expect((failure as Error).cause).toBe(error)
  })
})

describe('show', () => {
  test.each<[unknown, string]>([
    [-0, '-0'],
    ['a"b', '"a\\"b"'],
    [Uint8Array.of(1, 2), 'Uint8Array(2 bytes: 1 2)'],
    [new Map([['a', [1]]]), 'Map { "a" => [1] }'],
    [new Set([1]), 'Set { 1 }'],
    [new Date(5), 'Date(5)'],
    [new RangeError('no'), 'RangeError: no'],
    [[[[[[1]]]]], '[[[[…]]]]'],
  ])('%o is shown as %s', (value, text) => {
    expect(show(value)).toBe(text)
  })

  test('whatever it is, it is shown shortly and without a throw', () => {
    const { proxy, revoke } = Proxy.revocable({}, {})
    revoke()
    const hostile = [
      proxy,
      cycle('a'),
      new Array(1e6).fill('x'.repeat(100)),
      'x'.repeat(1e6),
      new Uint8Array(1e6),
    ]
    for (const value of hostile) expect(show(value).length).toBeLessThan(320)
  })
})
