import * as msgpackr from 'msgpackr'
import { describe, expect, test } from 'vitest'
import { msgpackrCodec } from '../../../src/codecs/msgpackr.ts'
import { same } from '../../../src/testing/expect.ts'

const codec = msgpackrCodec({ msgpackr })
const refusalOf = (bytes: readonly number[]): string => {
  try {
    codec.decode(Uint8Array.from(bytes))
  } catch (error) {
    return (error as Error).message
  }
  return 'no refusal'
}

describe('values', () => {
  test('what MessagePack has no form for is tagged, and comes back', () => {
    const value = {
      zero: -0,
      text: 'half \ud800',
      'key \udc00': 1,
      list: [undefined, 2n ** 70n, new Date(5), Number.NaN],
      map: new Map<unknown, unknown>([[{ a: 1 }, new Set([Uint8Array.of(1, 2)])]]),
      own: JSON.parse('{"__proto__":{"polluted":true},"a":1}'),
      doubles: Float64Array.of(0.5, -0),
      dollar: { $: 1 },
    }
    same(codec.decode(codec.encode(value)), value)
  })

  test('bytes stay bytes wherever they lie, in memory of their own', () => {
    const value = { scan: Uint8Array.of(1, 2, 3), pages: [Buffer.from('page')] }
    const bytes = codec.encode(value)
    expect(bytes.length).toBeLessThan(40)
    const back = codec.decode(bytes) as { scan: Uint8Array; pages: Uint8Array[] }
    same(back, { scan: value.scan, pages: [Uint8Array.from(Buffer.from('page'))] })
    expect(back.pages[0]?.constructor).toBe(Uint8Array)
    expect(back.scan.buffer.byteLength).toBe(3)
  })

  test('functions and cycles are refused by their place', () => {
    const cycle: { self?: unknown } = {}
    cycle.self = [cycle]
    expect(() => codec.encode({ user: { greet() {} } })).toThrow(
      'msgpackr codec: value.user.greet is a function',
    )
    expect(() => codec.encode(cycle)).toThrow('value.self[0] is a cycle')
  })
})

describe('hostile bytes', () => {
  test.each<[string, number[], string]>([
    ['an extension', [1, 0xd4, 0x72, 0x40], 'begins with 0xd4'],
    ['a timestamp', [1, 0xd6, 0xff, 0, 0, 0, 0], 'begins with 0xd6'],
    ['an expression', [1, 0xc7, 3, 0x78, 0xa1, 0x61], 'begins with 0xc7'],
    ['a number that would not be one', [1, 0xcf, 0, 0, 0, 0, 0, 0, 0, 1], 'begins with 0xcf'],
    ['an array of four billion', [1, 0xdd, 0xff, 0xff, 0xff, 0xff], 'they are cut'],
    ['a map of four billion', [1, 0xdf, 0xff, 0xff, 0xff, 0xff, 0xa1, 0x61, 1], 'they are cut'],
    ['text beyond the end', [1, 0xdb, 0x7f, 0xff, 0xff, 0xff, 0x61], 'they are cut'],
    ['a key that is a number', [1, 0x81, 1, 1], 'a key is no text'],
    ['something behind the value', [1, 1, 1], 'something lies behind them'],
    ['nesting without end', [1, ...Array.from({ length: 100_000 }, () => 0x91), 1], 'they nest too deep'],
    ['a tag that is damaged', [2, 0x81, 0xa1, 0x24, 1], 'a tag is damaged'],
    ['no form', [9, 1], 'they begin with no form of it'],
  ])('%s is refused', (_, bytes, reason) => {
    expect(refusalOf(bytes)).toContain(reason)
  })

  test('a key __proto__ pollutes nothing', () => {
    const bytes = [1, 0x81, 0xa9, ...Buffer.from('__proto__'), 0x81, 0xa8, ...Buffer.from('polluted'), 0xc3]
    const value = codec.decode(Uint8Array.from(bytes)) as object
    expect(Object.getPrototypeOf(value)).toBe(Object.prototype)
    expect('polluted' in value).toBe(false)
  })
})

describe('what is passed in', () => {
  test.each<[string, unknown]>([
    ['nothing', undefined],
    ['another module', { encode: () => 1, decode: () => 1 }],
    ['a string', 'msgpackr'],
  ])('%s is refused', (_, given) => {
    expect(() => msgpackrCodec({ msgpackr: given as typeof msgpackr })).toThrow(
      /msgpackr: .* is not msgpackr/,
    )
  })

  test.each<[string, msgpackr.Options]>([
    ['writes records', {}],
    ['makes maps of objects', { useRecords: false, mapsAsObjects: false }],
    ['bundles strings', { useRecords: false, bundleStrings: true }],
    ['rounds numbers', { useRecords: false, useFloat32: msgpackr.FLOAT32_OPTIONS.ALWAYS }],
  ])('a Packr that %s is refused', (_, options) => {
    expect(() => msgpackrCodec({ msgpackr: new msgpackr.Packr(options) as never })).toThrow(
      'does not write plain MessagePack',
    )
  })
})
