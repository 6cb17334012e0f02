// What every codec must do, as tests. A codec may keep more or less than another, so the rule is not a
// list of values: what it does not refuse comes back the same.

import type { Codec } from '../codecs/codec.ts'
import { CacheError, type CacheErrorCode } from '../errors.ts'
import { isTrue, type Runner, same, show, throws } from './expect.ts'

/** Values of data as every format has them: a codec must keep these. */
const plainValues: readonly unknown[] = [
  null,
  true,
  false,
  0,
  1,
  -1,
  0.1,
  1e300,
  -5e-324,
  Number.MAX_SAFE_INTEGER,
  Number.MIN_SAFE_INTEGER,
  '',
  'text',
  'é ü 漢字 👩‍👩‍👧 \u0000 \u001f " \\ / \u2028 \ufeff',
  [],
  [null, [1, ['two', [true]]]],
  {},
  { '': 0, a: { b: { c: [1, 2, { d: null }] } }, 'key with "quotes"': 'x', 7: 'seven' },
  { constructor: 1, prototype: 2, toString: 3, hasOwnProperty: 4 },
]

/** Values that many formats change without a word: kept or refused, and nothing between. */
const specialValues: readonly unknown[] = [
  undefined,
  -0,
  Number.NaN,
  Number.POSITIVE_INFINITY,
  Number.NEGATIVE_INFINITY,
  0n,
  -(2n ** 70n),
  'a lone surrogate: \ud800, and in the wrong order: \udc00\ud800',
  new Date(0),
  new Date(-1),
  new Date(Number.NaN),
  Uint8Array.of(0, 127, 128, 255),
  new Uint8Array(0),
  Float64Array.of(0.5, -0, Number.NaN),
  Uint8Array.of(1, 2, 3, 4).buffer,
  new Map<unknown, unknown>([
    ['a', 1],
    [2, new Map([[{ key: true }, new Set([1, '1'])]])],
  ]),
  new Set([null, undefined, Number.NaN, 'x', ['y']]),
  JSON.parse('{"__proto__":{"polluted":true},"own":1}'),
  { $: ['undefined'] },
  { $: { $: ['Map', []] } },
  { $type: 'Date', value: 0, __type: 'Map', '@type': 'x' },
  /a/g,
  new Error('failed'),
]

/** Values that stand for something outside the process or outside data: no codec may take them. */
const refusedValues: readonly (readonly [what: string, value: unknown])[] = [
  ['a function', () => 1],
  ['a symbol', Symbol('s')],
  ['a promise', Promise.resolve(1)],
  ['a weak map', new WeakMap()],
  [
    'an object whose getter throws',
    {
      get value() {
        throw new TypeError('no')
      },
    },
  ],
  ['a revoked proxy', revokedProxy()],
]

/**
 * Every codec passes this suite, unchanged. What a codec keeps beyond it belongs into its own test file.
 *
 * @param name - Shown in the names of the tests.
 * @param open - Makes a codec; called for each test.
 * @param runner - The `describe` and `test` of your test runner.
 * @example
 * import { describe, test } from 'vitest'
 * codecContract('json', () => jsonCodec(), { describe, test })
 */
export function codecContract(name: string, open: () => Codec | Promise<Codec>, runner: Runner): void {
  runner.describe(`codec contract: ${name}`, () => {
    const test = (title: string, body: (codec: Codec) => void): void =>
      runner.test(title, async () => {
        body(await open())
        // Whatever a test fed to it, the codec has left the prototypes of the process alone.
        isTrue(!('polluted' in {}), 'Object.prototype was changed')
      })

    test('its id is from 1 to 255 and its name is not empty', (codec) => {
      isTrue(Number.isInteger(codec.id) && codec.id >= 1 && codec.id <= 255, `id is ${show(codec.id)}`)
      isTrue(typeof codec.name === 'string' && codec.name !== '', `name is ${show(codec.name)}`)
    })

    test('plain data comes back the same', (codec) => {
      for (const value of plainValues) same(codec.decode(codec.encode(value)), value)
      same(codec.decode(codec.encode(plainValues)), plainValues)
    })

    test('a value that is not refused comes back the same, wherever it lies', (codec) => {
      for (const value of specialValues) {
        for (const placed of [value, [value, value], { inside: { deeper: value }, after: 1 }]) {
          const bytes = encodeOrRefuse(codec, placed)
          if (bytes !== undefined) same(codec.decode(bytes), placed, show(placed))
        }
      }
    })

    test('an absent property, one that is undefined and a hole are not taken for null', (codec) => {
      for (const value of [{ a: undefined }, [undefined], [null]]) {
        const bytes = encodeOrRefuse(codec, value)
        if (bytes !== undefined) same(codec.decode(bytes), value)
      }
    })

    test('what is no data is refused with CACHE_ENCODE_FAILED, wherever it lies', (codec) => {
      for (const [what, value] of refusedValues) {
        for (const placed of [value, [1, value], { inside: { deeper: value } }]) {
          throws(() => codec.encode(placed), hasCode('CACHE_ENCODE_FAILED'), what)
        }
      }
    })

    test('a cycle is refused or comes back as one', (codec) => {
      const object: Record<string, unknown> = { name: 'object' }
      object.self = { again: object }
      const array: unknown[] = [1]
      array.push([array])
      const map = new Map<string, unknown>()
      map.set('self', map)
      for (const value of [object, array, map]) {
        const bytes = encodeOrRefuse(codec, value)
        if (bytes !== undefined) same(codec.decode(bytes), value)
      }
    })

    test('deep nesting comes back or is refused, and overflows nothing', (codec) => {
      for (const depth of [100, 1_000, 50_000]) {
        const bytes = encodeOrRefuse(codec, nested(depth))
        isTrue(bytes !== undefined || depth > 100, `refused ${depth} levels`)
        if (bytes === undefined) continue
        let depthBack = 0
        for (let value = codec.decode(bytes); Array.isArray(value); value = value[0]) depthBack++
        same(depthBack, depth)
      }
    })

    test('encoding changes nothing in the value', (codec) => {
      const value = { list: [3, 1, 2], nested: { bytes: Uint8Array.of(1, 2) }, at: new Date(5) }
      encodeOrRefuse(codec, value)
      same(value, { list: [3, 1, 2], nested: { bytes: Uint8Array.of(1, 2) }, at: new Date(5) })
    })

    test('the encoded bytes do not follow later changes of the value', (codec) => {
      const value = Uint8Array.of(1, 2, 3)
      const bytes = encodeOrRefuse(codec, value)
      value.fill(9)
      if (bytes !== undefined) same(codec.decode(bytes), Uint8Array.of(1, 2, 3))
    })

    test('a decoded value and the bytes do not follow changes of each other', (codec) => {
      for (const value of [Uint8Array.of(1, 2, 3), { inside: Uint8Array.of(1, 2, 3) }, 'text', { a: [1] }]) {
        const bytes = encodeOrRefuse(codec, value)
        if (bytes === undefined) continue
        const kept = Uint8Array.from(bytes)
        const first = codec.decode(bytes)
        same(bytes, kept, 'decoding wrote into the bytes')
        if (first instanceof Uint8Array) first.fill(9)
        same(bytes, kept, 'a decoded value is a view of the bytes')
        const second = codec.decode(bytes)
        bytes.fill(0)
        same(second, value)
      }
    })

    test('bytes in the middle of a larger buffer are read where they lie', (codec) => {
      for (const value of [{ a: [1, 'é'] }, 'text é', 7]) {
        const bytes = codec.encode(value)
        const around = new Uint8Array(bytes.length + 26).fill(0x7b)
        around.set(bytes, 13)
        same(codec.decode(around.subarray(13, 13 + bytes.length)), value)
      }
    })

    test('damaged bytes give a value or CACHE_DECODE_FAILED, and nothing else', (codec) => {
      for (const value of damagedValues(codec)) {
        const bytes = codec.encode(value)
        for (let length = 0; length < bytes.length; length++) decodeOrRefuse(codec, bytes.subarray(0, length))
        for (let at = 0; at < bytes.length; at++) {
          const original = bytes[at] as number
          for (const other of damageOf(original)) {
            bytes[at] = other
            decodeOrRefuse(codec, bytes)
          }
          bytes[at] = original
        }
        const doubled = new Uint8Array(2 * bytes.length)
        doubled.set(bytes)
        doubled.set(bytes, bytes.length)
        decodeOrRefuse(codec, doubled)
      }
    })

    test('bytes that no codec wrote give a value or CACHE_DECODE_FAILED, and nothing else', (codec) => {
      const fills = [0x00, 0x22, 0x5b, 0x7b, 0x7f, 0x80, 0x91, 0xff]
      for (let first = 0; first < 256; first++) {
        for (const fill of fills) {
          // Long enough to nest as deep as a stack, for the forms that are likely to be known.
          for (const length of first < 64 ? [1, 2, 3, 9, 64, 20_000] : [1, 2, 3, 9, 64]) {
            const bytes = new Uint8Array(length).fill(fill)
            bytes[0] = first
            decodeOrRefuse(codec, bytes)
          }
        }
      }
    })
  })
}

/** Everything that the codec keeps, in one value each, so that damage meets every part of its form. */
function damagedValues(codec: Codec): unknown[] {
  const kept = specialValues.filter((value) => encodeOrRefuse(codec, [value]) !== undefined)
  return [{ plain: [1, -2.5, 'text é', true, null], nested: { a: { b: 'c' } } }, kept, 'text é', ...kept]
}

function damageOf(byte: number): number[] {
  return [0x00, 0xff, ...Array.from({ length: 8 }, (_, bit) => byte ^ (1 << bit))]
}

function encodeOrRefuse(codec: Codec, value: unknown): Uint8Array | undefined {
  try {
    return codec.encode(value)
  } catch (error) {
    isTrue(hasCode('CACHE_ENCODE_FAILED')(error), `encoding threw ${show(error)}, not CACHE_ENCODE_FAILED`)
    return undefined
  }
}

function decodeOrRefuse(codec: Codec, bytes: Uint8Array): void {
  try {
    codec.decode(bytes)
  } catch (error) {
    isTrue(
      hasCode('CACHE_DECODE_FAILED')(error),
      `decoding ${show(bytes)} threw ${show(error)}, not CACHE_DECODE_FAILED`,
    )
  }
}

function hasCode(code: CacheErrorCode): (error: unknown) => boolean {
  return (error) => error instanceof CacheError && error.code === code
}

function nested(depth: number): unknown {
  let value: unknown = []
  for (let level = 1; level < depth; level++) value = [value]
  return value
}

function revokedProxy(): unknown {
  const { proxy, revoke } = Proxy.revocable({}, {})
  revoke()
  return proxy
}
