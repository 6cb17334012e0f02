import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { INTEGER, LATIN1, MAX_KEY_LENGTH, Memory, TWO_BYTE } from '../../../src/core/memory.ts'
import { holds, seed } from '../../support/seed.ts'

const SCRATCH_AT = 1_024
const SIZE_AT = 80
const REMOVAL_COUNT_AT = 84

function open(): { memory: WebAssembly.Memory; keys: Memory } {
  const memory = new WebAssembly.Memory({ initial: 4 })
  const map = { memory, scratchAt: SCRATCH_AT, sizeAt: SIZE_AT, removalCountAt: REMOVAL_COUNT_AT }
  return { memory, keys: new Memory(map) }
}

/** Strings of all kinds of units, lone surrogates among them, of lengths around every threshold. */
const text = fc.oneof(
  fc.string({ maxLength: 80 }),
  fc.string({ unit: 'binary', maxLength: 80 }),
  fc
    .array(fc.integer({ min: 0, max: 0xffff }), { maxLength: 80 })
    .map((units) => String.fromCharCode(...units)),
  fc
    .array(fc.integer({ min: 0, max: 0xff }), { maxLength: 80 })
    .map((units) => String.fromCharCode(...units)),
)

describe('a key', () => {
  test('is read as it was written', () => {
    const { keys } = open()
    holds(
      fc.property(text, (key) => {
        const encoding = keys.writeKey(key)
        expect(keys.readKey(SCRATCH_AT, key.length, encoding)).toBe(key)
      }),
      { numRuns: 2_000 },
    )
  })

  test('is latin-1 exactly when each unit fits a byte', () => {
    const { keys } = open()
    holds(
      fc.property(text, (key) => {
        const fits = [...Array(key.length).keys()].every((at) => key.charCodeAt(at) <= 0xff)
        expect(keys.writeKey(key)).toBe(fits ? LATIN1 : TWO_BYTE)
      }),
      { numRuns: 2_000 },
    )
  })

  test.each([
    ['A', '\u0141'],
    ['A'.repeat(40), '\u0141'.repeat(40)],
    ['\ud800', '\udfff'],
    ['\ud800'.repeat(30), '\ufffd'.repeat(30)],
    ['\u00e9'.repeat(30), '\u00c3\u00a9'.repeat(15)],
  ])('is never written as another: %j, %j', (one, other) => {
    const { keys, memory } = open()
    const written = [one, other].map((key) => {
      const encoding = keys.writeKey(key)
      return `${encoding}:${new Uint8Array(memory.buffer, SCRATCH_AT, key.length << encoding).join()}`
    })
    expect(written[0]).not.toBe(written[1])
  })

  test.each([
    ['x'.repeat(MAX_KEY_LENGTH), LATIN1],
    ['\u00e6'.repeat(MAX_KEY_LENGTH), LATIN1],
    ['\u20ac'.repeat(MAX_KEY_LENGTH), TWO_BYTE],
    [`${'x'.repeat(MAX_KEY_LENGTH - 1)}\ud83d`, TWO_BYTE],
  ] as const)('of the greatest length fits: %#', (key, encoding) => {
    const { keys } = open()
    expect(keys.writeKey(key)).toBe(encoding)
    expect(keys.readKey(SCRATCH_AT, key.length, encoding)).toBe(key)
  })

  test('may be an integer', () => {
    const { keys, memory } = open()
    holds(
      fc.property(fc.maxSafeInteger(), (key) => {
        new DataView(memory.buffer).setFloat64(SCRATCH_AT, key, true)
        expect(keys.readKey(SCRATCH_AT, 8, INTEGER)).toBe(key)
      }),
    )
  })
})

describe('growth', () => {
  test.each([
    ['writing', ({ keys }: ReturnType<typeof open>) => keys.writeKey('after')],
    ['counting', ({ keys }: ReturnType<typeof open>) => keys.size],
    ['reading removals', ({ keys }: ReturnType<typeof open>) => keys.removalCount],
    ['reading words', ({ keys }: ReturnType<typeof open>) => keys.word(SIZE_AT)],
  ])('%s goes on after it', (_, first) => {
    const opened = open()
    const { memory, keys } = opened
    memory.grow(1)
    const words = new Uint32Array(memory.buffer)
    words[SIZE_AT / 4] = 7
    words[REMOVAL_COUNT_AT / 4] = 3
    first(opened)
    keys.writeKey('after growth')
    expect(keys.readKey(SCRATCH_AT, 12, LATIN1)).toBe('after growth')
    expect([keys.size, keys.removalCount, keys.bytes]).toEqual([7, 3, 5 * 65_536])
  })

  test('a key is read after it', () => {
    const { memory, keys } = open()
    keys.writeKey('kept')
    memory.grow(1)
    expect(keys.readKey(SCRATCH_AT, 4, LATIN1)).toBe('kept')
  })
})

test('counters beyond 32 bits are exact up to 2^53', () => {
  const { memory, keys } = open()
  holds(
    fc.property(fc.nat({ max: Number.MAX_SAFE_INTEGER }), (count) => {
      new DataView(memory.buffer).setBigUint64(96, BigInt(count), true)
      expect(keys.longWord(96), `SEED=${seed}`).toBe(count)
    }),
  )
})
