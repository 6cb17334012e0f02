import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  encodeRemaining,
  encodeStamp,
  encodeUnplaced,
  entryKey,
  entryPattern,
  parseEcho,
  parseEntry,
  parseEntryKey,
  parseState,
} from '../../../src/backends/redis-layout.ts'
import { HEAD_BYTES } from '../../../src/backends/redis-scripts.ts'
import { decodeMessage } from '../../../src/message.ts'
import { hostileKeys } from '../../../src/testing/hostile-keys.ts'
import { holds } from '../../support/seed.ts'

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text)

describe('keys', () => {
  test('whatever a key is, its hash tag is that of its partition and it is found again', () => {
    for (const key of hostileKeys) {
      const name = entryKey('tierwheel', 7, key)
      expect(/\{([^}]+)\}/.exec(name)?.[1]).toBe('tierwheel:7')
      expect(parseEntryKey('tierwheel', 16, name)).toEqual({ partition: 7, key })
    }
  })

  test('what is not an entry of this keyspace is none', () => {
    for (const name of [
      '',
      '{tierwheel:7}:s',
      '{tierwheel:7}:l',
      '{tierwheel:16}:e:key',
      '{tierwheel:x}:e:key',
      '{tierwheel:7:e:key',
      '{tierwheel:}:e:key',
      '{tierwheel-2:7}:e:key',
      'tierwheel:7}:e:key',
    ]) {
      expect(parseEntryKey('tierwheel', 16, name), name).toBeUndefined()
    }
  })

  test('a pattern takes what is special in a prefix for what it is', () => {
    expect(entryPattern('k', 'a*b?[c]\\d')).toBe('{k:*}:e:a\\*b\\?\\[c\\]\\\\d*')
  })
})

describe('state', () => {
  test('marks hold any prefix', () => {
    holds(
      fc.property(
        fc.array(fc.tuple(fc.nat(), fc.string({ unit: 'grapheme' })), { maxLength: 10 }),
        (marks) => {
          const text = marks.map(
            ([generation, prefix]) => `${generation} ${bytesOf(prefix).length} ${prefix}`,
          )
          expect(parseState(bytesOf(`1 16 1763825737000000 42 3\n${text.join('')}`))).toEqual({
            format: 1,
            partitions: 16,
            epoch: 1_763_825_737_000_000,
            sequence: 42,
            marks: marks.map(([generation, prefix]) => ({ generation, prefix })),
          })
        },
      ),
    )
  })

  test('what is not a state is none', () => {
    for (const text of [
      '',
      '\n',
      '1 16 1 1\n',
      '1 16 1 1 1',
      '1 16 1 1 1 1\n',
      '1 16 -1 1 1\n',
      '1 16 1.5 1 1\n',
      '1 16 9007199254740992 1 1\n',
      '1 16 1 1 1\nx',
      '1 16 1 1 1\n1 5 abc',
    ]) {
      expect(parseState(bytesOf(text)), text).toBeUndefined()
    }
  })

  test('any bytes are a state or none', () => {
    holds(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => void parseState(bytes)))
  })
})

describe('entry', () => {
  const state = { format: 1, partitions: 16, epoch: 1_763_825_737_000_000, sequence: 42, marks: [] }
  const stamp = { partition: 65_535, epoch: 2 ** 53 - 1, sequence: 2 ** 53 - 1 }
  const written = (generation: number, epoch = state.epoch): Uint8Array => {
    const value = new Uint8Array(HEAD_BYTES + 2)
    const view = new DataView(value.buffer)
    value[0] = 1
    view.setFloat64(1, epoch, true)
    view.setFloat64(9, generation, true)
    value.set(encodeStamp(stamp), 17)
    value.set([7, 8], HEAD_BYTES)
    return value
  }

  test('a live entry has bytes, stamp and time', () => {
    const bytes = Uint8Array.of(7, 8)
    expect(parseEntry('key', written(0), 5, state)).toEqual({ bytes, remainingMs: 5, stamp })
    expect(parseEntry('key', written(0), -1, state)?.remainingMs).toBe(Number.POSITIVE_INFINITY)
  })

  test('an entry of another epoch, of no time, or cut short is none', () => {
    expect(parseEntry('key', written(0, state.epoch - 1), 5, state)).toBeUndefined()
    expect(parseEntry('key', written(0, state.epoch + 1), 5, state)).toBeUndefined()
    for (const remaining of [0, -2, null, 'x'])
      expect(parseEntry('key', written(0), remaining, state)).toBeUndefined()
    for (let length = 0; length < HEAD_BYTES; length++) {
      expect(parseEntry('key', written(0).subarray(0, length), 5, state), `${length} bytes`).toBeUndefined()
    }
    expect(parseEntry('key', null, -2, state)).toBeUndefined()
  })

  test('a mark of a later generation ends those that fit it', () => {
    const marked = { ...state, marks: [{ generation: 3, prefix: 'a:' }] }
    expect(parseEntry('a:1', written(2), 5, marked)).toBeUndefined()
    expect(parseEntry('a:1', written(3), 5, marked)).toBeDefined()
    expect(parseEntry('b:1', written(2), 5, marked)).toBeDefined()
  })
})

test('remaining times are whole milliseconds, nothing for ever, and 0 for no entry', () => {
  const times: [number, string][] = [
    [0, '0'],
    [-1, '0'],
    [Number.NaN, '0'],
    [Number.NEGATIVE_INFINITY, '0'],
    [0.25, '1'],
    [60_000.75, '60001'],
    [1e15, '1000000000000000'],
    [1e300, ''],
    [Number.POSITIVE_INFINITY, ''],
  ]
  for (const [remainingMs, word] of times) expect(encodeRemaining(remainingMs)).toBe(word)
})

test('a message without its place has it where the script puts it', () => {
  const bytes = encodeUnplaced('delete', ['a:1:b'], 9, { id: '0123456789abcdef', serial: 5 })
  const view = new DataView(bytes.buffer)
  view.setFloat64(4, 11, true)
  view.setFloat64(12, 21, true)
  view.setFloat64(20, 22, true)
  expect(decodeMessage(bytes)).toEqual({
    op: 'delete',
    keys: ['a:1:b'],
    stamp: { partition: 9, epoch: 11, sequence: 22 },
    after: 21,
    origin: '0123456789abcdef',
    serial: 5,
  })
})

describe('echo', () => {
  test('it says where partitions stand', () => {
    expect(parseEcho(bytesOf('\0abc\n0 11 5\n3 12 0'), 16)).toEqual({
      token: 'abc',
      stamps: [
        { partition: 0, epoch: 11, sequence: 5 },
        { partition: 3, epoch: 12, sequence: 0 },
      ],
    })
  })

  test('what does not parse is none', () => {
    for (const text of [
      '',
      'abc',
      '\0abc\n17 1 1',
      '\0abc\n1 1',
      '\0abc\n1 1 x',
      '\0abc\n-1 1 1',
      '\0a\n1.5 1 1',
    ]) {
      expect(parseEcho(bytesOf(text), 16), JSON.stringify(text)).toBeUndefined()
    }
    holds(fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => void parseEcho(bytes, 16)))
  })
})
