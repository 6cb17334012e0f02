import { describe, expect, test } from 'vitest'
import type { Codec } from '../../../src/codecs/codec.ts'
import { decodeEnvelope, encodeEnvelope, isStoredInteger } from '../../../src/coordinator/envelope.ts'
import { CacheError } from '../../../src/errors.ts'

const text: Codec = {
  id: 99,
  name: 'text',
  encode: (value) => new TextEncoder().encode(String(value)),
  decode: (bytes) => new TextDecoder().decode(bytes),
}

const KEY = 'app:7:user'
const tagged = { tags: ['a', 'é'], since: { partition: 0, epoch: 7, sequence: 41 } }

const validators = { etag: '"é"', lastModified: 'Mon' }

const hex = (bytes: Uint8Array) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join(' ')

describe('the envelope', () => {
  test('format 1 has these bytes, for ever', () => {
    expect(hex(encodeEnvelope(text, KEY, 'value', 1_500))).toBe(
      '01 63 00 00 5c 32 46 a8 00 00 00 00 00 70 97 40 76 61 6c 75 65',
    )
  })

  test('of an integer has digits that a backend can add to, and a checksum of the header alone', () => {
    const bytes = encodeEnvelope(text, KEY, -42, 0)
    expect(hex(bytes)).toBe('01 00 00 00 f5 53 0a 19 00 00 00 00 00 00 00 00 2d 34 32')
    bytes[17] = 0x39
    expect(decodeEnvelope(text, KEY, bytes).value).toBe(-92)
    for (const value of [0, 7, Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER]) {
      expect(decodeEnvelope(text, KEY, encodeEnvelope(text, KEY, value, 5))).toEqual({
        value,
        staleMs: 5,
        tagged: undefined,
      })
    }
    for (const value of [-0, 0.5, 2 ** 53, Number.NaN])
      expect(encodeEnvelope(text, KEY, value, 0)[1]).toBe(text.id)
    const wrong = encodeEnvelope(text, KEY, 12, 0)
    for (const first of [0x30, 0x2d, 0x20, 0x61]) {
      wrong[16] = first
      if (first === 0x2d) continue
      expect(() => decodeEnvelope(text, KEY, wrong)).toThrow(/its integer is none/)
    }
  })

  test('of a codec that hides its values has no digits in the clear, and none are believed', () => {
    const secret: Codec = { ...text, isSecret: true }
    expect(encodeEnvelope(secret, KEY, 42, 0)[1]).toBe(text.id)
    expect(() => decodeEnvelope(secret, KEY, encodeEnvelope(text, KEY, 42, 0))).toThrow(/codec 0 wrote it/)
  })

  test('format 2 has these bytes, for ever', () => {
    expect(hex(encodeEnvelope(text, KEY, 'value', 1_500, tagged))).toBe(
      '02 63 00 02 76 a7 27 bc 00 00 00 00 00 70 97 40 00 00 00 00 00 00 1c 40 00 00 00 00 00 80 44 40 01 00 61 02 00 c3 a9 76 61 6c 75 65',
    )
    expect(
      isStoredInteger(encodeEnvelope(text, KEY, 7, 0, tagged)),
      'what carries tags has no digits to add to',
    ).toBe(false)
    expect(isStoredInteger(encodeEnvelope(text, KEY, 7, 0))).toBe(true)
  })

  test('format 3 has these bytes, for ever', () => {
    expect(hex(encodeEnvelope(text, KEY, 'value', 1_500, tagged, validators))).toBe(
      '03 63 03 02 d7 e5 a1 ee 00 00 00 00 00 70 97 40 00 00 00 00 00 00 1c 40 00 00 00 00 00 80 44 40 01 00 61 02 00 c3 a9 04 00 22 c3 a9 22 03 00 4d 6f 6e 76 61 6c 75 65',
    )
    expect(isStoredInteger(encodeEnvelope(text, KEY, 7, 0, undefined, validators))).toBe(false)
  })

  test.each([
    { etag: '"1"', lastModified: 'Mon' },
    { etag: '', lastModified: undefined },
    { etag: undefined, lastModified: 'Mon' },
  ])('gives back what validators there are: %o', (given) => {
    for (const tags of [undefined, tagged]) {
      expect(decodeEnvelope(text, KEY, encodeEnvelope(text, KEY, 'value', 5, tags, given))).toStrictEqual({
        value: 'value',
        staleMs: 5,
        tagged: tags,
        validators: given,
      })
    }
  })

  test('has validators neither from nor for a codec that hides its values', () => {
    const secret: Codec = { ...text, isSecret: true }
    expect(encodeEnvelope(secret, KEY, 'value', 0, undefined, validators)[0]).toBe(1)
    const bytes = encodeEnvelope(text, KEY, 'value', 0, tagged, validators)
    expect(decodeEnvelope(secret, KEY, bytes)).toEqual({ value: 'value', staleMs: 0, tagged })
  })

  test('rule 3.1.2: of a later format is CACHE_DECODE_FAILED, so that it is loaded', () => {
    const bytes = encodeEnvelope(text, KEY, 'value', 0)
    bytes[0] = 4
    expect(() => decodeEnvelope(text, KEY, bytes)).toThrow(/format 4 is not known, only 1 to 3/)
  })

  test('rule 3.1.1: gives back the tags, and since when they are known', () => {
    expect(decodeEnvelope(text, KEY, encodeEnvelope(text, KEY, 'value', 0, tagged))).toEqual({
      value: 'value',
      staleMs: 0,
      tagged,
    })
    const untagged = encodeEnvelope(text, KEY, 'value', 0, { ...tagged, tags: [] })
    expect(untagged[0], 'without tags nothing is paid').toBe(1)
  })

  test('gives back value and stale time', () => {
    expect(decodeEnvelope(text, KEY, encodeEnvelope(text, KEY, 'value', 0))).toEqual({
      value: 'value',
      staleMs: 0,
      tagged: undefined,
    })
    expect(decodeEnvelope(text, KEY, encodeEnvelope(text, KEY, '', Number.POSITIVE_INFINITY)).staleMs).toBe(
      Number.POSITIVE_INFINITY,
    )
  })

  test.each([
    ['without tags', undefined, undefined],
    ['with tags', tagged, undefined],
    ['with validators', tagged, validators],
  ])(
    '%s and with any byte changed, cut or doubled is CACHE_DECODE_FAILED and nothing else',
    (_, tags, said) => {
      const whole = encodeEnvelope(text, KEY, 'a value of some length', 60_000, tags, said)
      const damaged: Uint8Array[] = []
      for (let at = 0; at < whole.length; at++) {
        for (const flip of [1, 2, 4, 8, 16, 32, 64, 128]) {
          const copy = whole.slice()
          copy[at] = (copy[at] as number) ^ flip
          damaged.push(copy)
        }
        damaged.push(whole.slice(0, at))
        damaged.push(Uint8Array.from([...whole.subarray(0, at + 1), ...whole.subarray(at)]))
      }
      for (const bytes of damaged) {
        try {
          decodeEnvelope(text, KEY, bytes)
          expect.fail(`decoded ${hex(bytes)}`)
        } catch (error) {
          expect(error).toBeInstanceOf(CacheError)
          expect((error as CacheError).code).toBe('CACHE_DECODE_FAILED')
        }
      }
    },
  )

  test('of another codec is refused before its bytes are decoded', () => {
    const other: Codec = { ...text, id: 100, decode: () => expect.fail('decoded') as never }
    expect(() => decodeEnvelope(other, KEY, encodeEnvelope(text, KEY, 'value', 0))).toThrow(
      /codec 99 wrote it/,
    )
  })

  test('its codec hears which entry it is for, whatever the version of its key', () => {
    const heard: (string | undefined)[] = []
    const hearing: Codec = {
      ...text,
      encode: (value, name) => {
        heard.push(name)
        return text.encode(value)
      },
      decode: (bytes, name) => {
        heard.push(name)
        return text.decode(bytes)
      },
    }
    decodeEnvelope(hearing, 'app:8:user', encodeEnvelope(hearing, KEY, 'value', 0))
    decodeEnvelope(hearing, KEY, encodeEnvelope(hearing, 'app:2:user', 'value', 0, tagged))
    expect(heard).toEqual(['app::user', 'app::user', 'app::user', 'app::user'])
  })

  test('whose codec fails is CACHE_DECODE_FAILED with the cause', () => {
    const cause = new SyntaxError('no')
    const broken: Codec = {
      ...text,
      decode: () => {
        throw cause
      },
    }
    expect(() => decodeEnvelope(broken, KEY, encodeEnvelope(text, KEY, 'value', 0))).toThrow(
      expect.objectContaining({ code: 'CACHE_DECODE_FAILED', cause }),
    )
  })
})
