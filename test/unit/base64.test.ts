import fc from 'fast-check'
import { afterEach, describe, expect, test, vi } from 'vitest'

import { fromBase64, toBase64 } from '../../src/base64.ts'
import { holds, seed } from '../support/seed.ts'

/** What engines of 2025 have, made of Buffer: white space is skipped, all else is strict. */
const native = {
  toBase64(this: Uint8Array): string {
    return Buffer.from(this).toString('base64')
  },
  fromBase64(text: string, options: { lastChunkHandling: string }): Uint8Array {
    const digits = text.replace(/[\t\n\f\r ]/g, '')
    const bytes = Uint8Array.from(Buffer.from(digits, 'base64'))
    if (options.lastChunkHandling !== 'strict' || Buffer.from(bytes).toString('base64') !== digits) {
      throw new SyntaxError('not Base64')
    }
    return bytes
  },
}

const hasNative = 'toBase64' in Uint8Array.prototype

afterEach(() => {
  if (hasNative) return
  Reflect.deleteProperty(Uint8Array.prototype, 'toBase64')
  Reflect.deleteProperty(Uint8Array, 'fromBase64')
})

function pretendNative(): void {
  if (hasNative) return
  Object.defineProperty(Uint8Array.prototype, 'toBase64', { value: native.toBase64, configurable: true })
  Object.defineProperty(Uint8Array, 'fromBase64', { value: native.fromBase64, configurable: true })
}

describe.each([
  ['by table', () => {}],
  ['by the engine', pretendNative],
])('Base64 %s', (_, prepare) => {
  // RFC 4648 section 10.
  test.each([
    ['', ''],
    ['f', 'Zg=='],
    ['fo', 'Zm8='],
    ['foo', 'Zm9v'],
    ['foob', 'Zm9vYg=='],
    ['fooba', 'Zm9vYmE='],
    ['foobar', 'Zm9vYmFy'],
  ])('%j is %j', (plain, text) => {
    prepare()
    const bytes = new TextEncoder().encode(plain)
    expect(toBase64(bytes)).toBe(text)
    expect(fromBase64(text)).toEqual(bytes)
  })

  test('all bytes come back, as another program writes them', () => {
    prepare()
    holds(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        const text = toBase64(bytes)
        expect(text, `SEED=${seed}`).toBe(Buffer.from(bytes).toString('base64'))
        expect(fromBase64(text), `SEED=${seed}`).toEqual(bytes)
      }),
    )
  })

  test('a view in the middle of a buffer is written alone, and what is read has a buffer of its own', () => {
    prepare()
    const view = Uint8Array.of(9, 9, 102, 111, 111, 9).subarray(2, 5)
    expect(toBase64(view)).toBe('Zm9v')
    expect(fromBase64('Zm9v')?.buffer.byteLength).toBe(3)
  })

  test.each([
    ['Z', 'a length that is no multiple of four'],
    ['Zg', 'no padding'],
    ['Zg=', 'half the padding'],
    ['Zg===', 'too much padding'],
    ['====', 'padding alone'],
    ['A===', 'three paddings'],
    ['Zg==Zg==', 'padding inside'],
    ['Z=g=', 'padding before a digit'],
    ['Zm9\n', 'a line break'],
    ['Zm9v\n\n\n\n', 'white space that makes up a multiple of four'],
    ['    ', 'white space alone'],
    ['Zm9-', 'a digit of the other alphabet'],
    ['Zm9é', 'a letter beyond ASCII'],
    ['Zm9\u0141', 'a letter whose low byte would be a digit'],
    ['Zh==', 'bits that belong to no byte'],
    ['Zm9=', 'bits that belong to no byte'],
  ])('%j is refused: %s', (text) => {
    prepare()
    expect(fromBase64(text)).toBeUndefined()
  })

  test('every text is refused, or is exactly the text of its bytes', () => {
    prepare()
    const character = fc.oneof(
      { weight: 8, arbitrary: fc.constantFrom(...'ABYZabyz0189+/=') },
      fc.string({ minLength: 1, maxLength: 1 }),
    )
    holds(
      fc.property(fc.array(character, { maxLength: 24 }), (characters) => {
        const text = characters.join('')
        const bytes = fromBase64(text)
        if (bytes !== undefined) expect(toBase64(bytes), `SEED=${seed}`).toBe(text)
      }),
      { numRuns: 3_000 },
    )
  })
})

test('the functions of the engine are used where there are any', () => {
  if (hasNative) return
  pretendNative()
  const to = vi.spyOn(Uint8Array.prototype as never, 'toBase64')
  expect(toBase64(Uint8Array.of(0))).toBe('AA==')
  expect(to).toHaveBeenCalledOnce()
})
