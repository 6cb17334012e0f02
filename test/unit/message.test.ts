import fc from 'fast-check'
import { describe, expect, test } from 'vitest'

import { crc32c } from '../../src/checksum.ts'
import { decodeMessage, encodeMessage, type Message } from '../../src/message.ts'
import { damaged } from '../support/damage.ts'
import { holds, seed } from '../support/seed.ts'

const whole = fc.oneof(fc.nat(), fc.maxSafeNat(), fc.constant(Number.MAX_SAFE_INTEGER))
const keys = fc.string({ unit: 'binary', maxLength: 40 })

const messages: fc.Arbitrary<Message> = fc
  .record({
    op: fc.constantFrom<Message['op']>('set', 'delete', 'clear', 'move', 'expire-tags', 'delete-tags'),
    keys: fc.array(keys, { minLength: 1, maxLength: 8 }),
    stamp: fc.record({ partition: fc.nat(65_535), epoch: whole, sequence: whole }),
    after: whole,
    origin: fc.stringMatching(/^[0-9a-f]{16}$/),
    serial: whole,
  })
  .map((message) => {
    const [first = '', second = ''] = message.keys
    if (message.op === 'clear') return { ...message, keys: [first] }
    return message.op === 'move' ? { ...message, keys: [first, second] } : message
  })

const example: Message = {
  op: 'delete',
  keys: ['a:1', 'a:é'],
  stamp: { partition: 3, epoch: 2, sequence: 41 },
  after: 39,
  origin: '00ff10abcdef9876',
  serial: 12,
}

const HEADER_BYTES = 48
const SUM_BYTES = 4

/** `bytes` with the sum that they should have. */
function sealed(bytes: Uint8Array): Uint8Array {
  const end = bytes.length - SUM_BYTES
  const sum = (crc32c(bytes, 28, end) ^ crc32c(bytes, 0, 2)) >>> 0
  new DataView(bytes.buffer).setUint32(end, sum, true)
  return bytes
}

describe('messages', () => {
  test('every message comes back the same', () => {
    holds(
      fc.property(messages, (message) => {
        expect(decodeMessage(encodeMessage(message)), `SEED=${seed}`).toEqual(message)
      }),
      { numRuns: 500 },
    )
  })

  test('the wire form is the one that other versions write', () => {
    const bytes = encodeMessage({ ...example, keys: ['k'] })
    const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
    const fields = {
      format: '01',
      op: '02',
      partition: '0300',
      epoch: '0000000000000040',
      after: '0000000000804340',
      sequence: '0000000000804440',
      origin: '00ff10abcdef9876',
      serial: '0000000000002840',
      keys: '01000000',
      key: '010000006b',
      sum: '30725454',
    }
    expect(hex).toBe(Object.values(fields).join(''))
  })

  test('a message in the middle of a larger buffer is read where it lies', () => {
    const bytes = encodeMessage(example)
    const around = new Uint8Array(bytes.length + 20).fill(0xff)
    around.set(bytes, 7)
    expect(decodeMessage(around.subarray(7, 7 + bytes.length))).toEqual(example)
  })

  test('a key that begins with a byte order mark keeps it', () => {
    const message = { ...example, keys: ['\ufeffkey', ''] }
    expect(decodeMessage(encodeMessage(message))).toEqual(message)
  })

  test('keys that fit into 64 KiB are written, one byte more is a RangeError', () => {
    const room = 65_536 - HEADER_BYTES - 4 - SUM_BYTES
    const message = { ...example, keys: ['x'.repeat(room)] }
    expect(decodeMessage(encodeMessage(message))).toEqual(message)
    expect(() => encodeMessage({ ...example, keys: ['x'.repeat(room + 1)] })).toThrow(RangeError)
    expect(() => encodeMessage({ ...example, keys: ['é'.repeat(room / 2 + 1)] })).toThrow(RangeError)
  })
})

describe('bytes that are no message', () => {
  test('every truncation is undefined', () => {
    const bytes = encodeMessage(example)
    for (let length = 0; length < bytes.length; length++) {
      expect(decodeMessage(bytes.subarray(0, length)), `${length} bytes`).toBeUndefined()
    }
  })

  test('anything behind the message makes it none', () => {
    const bytes = encodeMessage(example)
    for (const more of [Uint8Array.of(0), bytes]) {
      expect(decodeMessage(Uint8Array.of(...bytes, ...more))).toBeUndefined()
    }
  })

  test('every byte, changed to every value, gives a whole message or undefined, and never throws', () => {
    const bytes = encodeMessage(example)
    let read = 0
    for (let at = 0; at < bytes.length; at++) {
      const original = bytes[at] as number
      for (let other = 0; other < 256; other++) {
        bytes[at] = other
        const message = decodeMessage(bytes)
        if (message !== undefined) {
          read++
          expectWhole(message)
        }
      }
      bytes[at] = original
    }
    expect(read).toBeGreaterThan(bytes.length)
  })

  test('every byte changed, cut or doubled: undefined, or the same message in another place', () => {
    let moved = 0
    for (const [what, bytes] of damaged(encodeMessage(example))) {
      const message = decodeMessage(bytes)
      if (message === undefined) continue
      const { stamp, after, ...said } = message
      expect({ ...example, ...said, stamp: example.stamp, after: example.after }, what).toEqual(example)
      expect({ stamp, after }, what).not.toEqual({ stamp: example.stamp, after: example.after })
      moved++
    }
    expect(moved).toBeGreaterThan(26)
  })

  test('random bytes behind a true beginning never throw', () => {
    holds(
      fc.property(fc.uint8Array({ maxLength: 120 }), fc.nat(60), (noise, kept) => {
        const bytes = Uint8Array.of(...encodeMessage(example).subarray(0, kept), ...noise, 0, 0, 0, 0)
        if (bytes.length > HEADER_BYTES) sealed(bytes)
        const message = decodeMessage(bytes)
        if (message !== undefined) expectWhole(message)
      }),
      { numRuns: 3_000 },
    )
  })

  test.each([
    ['a format of another version', 0, [2]],
    ['format 0', 0, [0]],
    ['op 0', 1, [0]],
    ['a clear of two prefixes', 1, [3]],
    ['an op of another version', 1, [7]],
    ['an epoch that is NaN', 4, float(Number.NaN)],
    ['an epoch that is infinite', 4, float(Number.POSITIVE_INFINITY)],
    ['an after that is negative', 12, float(-1)],
    ['a sequence that is a fraction', 20, float(0.5)],
    ['a sequence beyond the safe integers', 20, float(2 ** 53)],
    ['a serial that is negative', 36, float(-3)],
    ['more keys than there are', 44, [3, 0, 0, 0]],
    ['fewer keys than there are', 44, [1, 0, 0, 0]],
    ['four billion keys', 44, [0xff, 0xff, 0xff, 0xff]],
    ['a key longer than the message', 48, [200, 0, 0, 0]],
    ['a key of four gigabytes', 48, [0xff, 0xff, 0xff, 0xff]],
    ['a key that is not UTF-8', 52, [0xff]],
    ['a key with half a surrogate pair', 52, [0xed, 0xa0, 0x80]],
  ])('%s is undefined', (_, at, change) => {
    const bytes = encodeMessage(example)
    bytes.set(change, at)
    expect(decodeMessage(sealed(bytes))).toBeUndefined()
  })

  test('a clear without a prefix, or with two, is undefined', () => {
    expect(decodeMessage(encodeMessage({ ...example, op: 'clear', keys: [] }))).toBeUndefined()
    expect(decodeMessage(encodeMessage({ ...example, op: 'clear', keys: ['a', 'b'] }))).toBeUndefined()
    const everything: Message = { ...example, op: 'clear', keys: [''] }
    expect(decodeMessage(encodeMessage(everything))).toEqual(everything)
  })

  test('more than 64 KiB are not looked at', () => {
    const bytes = new Uint8Array(65_537)
    bytes.set(encodeMessage({ ...example, keys: [] }))
    new DataView(bytes.buffer).setUint32(44, (bytes.length - HEADER_BYTES) / 4, true)
    expect(decodeMessage(sealed(bytes))).toBeUndefined()
  })
})

function expectWhole(message: Message): void {
  for (const number of [message.stamp.epoch, message.stamp.sequence, message.after, message.serial]) {
    expect(Number.isSafeInteger(number) && number >= 0, `SEED=${seed}`).toBe(true)
  }
  expect(message.origin, `SEED=${seed}`).toMatch(/^[0-9a-f]{16}$/)
  expect(['set', 'delete', 'clear', 'move', 'expire-tags', 'delete-tags'], `SEED=${seed}`).toContain(
    message.op,
  )
  expect(
    message.keys.every((key) => typeof key === 'string' && key.isWellFormed()),
    `SEED=${seed}`,
  ).toBe(true)
}

function float(value: number): Uint8Array {
  const bytes = new Uint8Array(8)
  new DataView(bytes.buffer).setFloat64(0, value, true)
  return bytes
}
