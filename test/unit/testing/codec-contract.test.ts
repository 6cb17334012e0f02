// Proof that the codec contract can fail: it is run against codecs with one fault each, and has to find
// it in the test that is about it.

import { describe, expect, test } from 'vitest'

import type { Codec } from '../../../src/codecs/codec.ts'
import { jsonCodec } from '../../../src/codecs/json.ts'
import { CacheError } from '../../../src/errors.ts'
import { codecContract } from '../../../src/testing/codec-contract.ts'

async function failuresOf(codec: Codec): Promise<string[]> {
  const tests: [string, () => Promise<void> | void][] = []
  codecContract('faulty', () => codec, {
    describe: (_, body) => body(),
    test: (name, body) => tests.push([name, body]),
  })
  const failures: string[] = []
  for (const [name, body] of tests) {
    try {
      await body()
    } catch {
      failures.push(name)
    }
  }
  return failures
}

const sound = jsonCodec()
const encodeText = (text: string): Uint8Array => new TextEncoder().encode(text)
const decodeText = (bytes: Uint8Array): string => new TextDecoder().decode(bytes)

describe('the codec contract', () => {
  test('finds nothing in a sound codec', async () => {
    expect(await failuresOf(sound)).toEqual([])
  })

  test('finds nothing in a codec that keeps plain data and refuses the rest', async () => {
    const strict: Codec = {
      ...sound,
      encode(value) {
        const bytes = sound.encode(value)
        if (bytes[0] === 0x20) return bytes
        if (typeof value === 'string' && value.isWellFormed()) return bytes
        throw new CacheError('CACHE_ENCODE_FAILED', 'not plain')
      },
    }
    expect(await failuresOf(strict)).toEqual([])
  })

  test('finds that JSON alone changes values without a word', async () => {
    const bare: Codec = {
      id: 99,
      name: 'bare',
      encode: (value) => encodeText(JSON.stringify(value)),
      decode: (bytes) => JSON.parse(decodeText(bytes)),
    }
    expect(await failuresOf(bare)).toEqual([
      'a value that is not refused comes back the same, wherever it lies',
      'an absent property, one that is undefined and a hole are not taken for null',
      'what is no data is refused with CACHE_ENCODE_FAILED, wherever it lies',
      'a cycle is refused or comes back as one',
      'deep nesting comes back or is refused, and overflows nothing',
      'the encoded bytes do not follow later changes of the value',
      'a decoded value and the bytes do not follow changes of each other',
      'damaged bytes give a value or CACHE_DECODE_FAILED, and nothing else',
      'bytes that no codec wrote give a value or CACHE_DECODE_FAILED, and nothing else',
    ])
  })

  test.each<[fault: string, found: string, changes: Partial<Codec>]>([
    ['id 0', 'its id is from 1 to 255 and its name is not empty', { id: 0 }],
    ['id 256', 'its id is from 1 to 255 and its name is not empty', { id: 256 }],
    ['no name', 'its id is from 1 to 255 and its name is not empty', { name: '' }],
    [
      'text cut to one byte a character',
      'plain data comes back the same',
      {
        decode: (bytes) =>
          bytes[0] === 0x02 ? String.fromCharCode(...bytes.subarray(1)) : sound.decode(bytes),
      },
    ],
    [
      'encoding that sorts the value in place',
      'encoding changes nothing in the value',
      {
        encode(value) {
          const { list } = (value ?? {}) as { list?: unknown[] }
          if (Array.isArray(list)) list.sort()
          return sound.encode(value)
        },
      },
    ],
    [
      'decoded bytes that are a view',
      'a decoded value and the bytes do not follow changes of each other',
      { decode: (bytes) => (bytes[0] === 0x01 ? bytes.subarray(1) : sound.decode(bytes)) },
    ],
    [
      'the whole buffer read instead of the view',
      'bytes in the middle of a larger buffer are read where they lie',
      { decode: (bytes) => sound.decode(new Uint8Array(bytes.buffer)) },
    ],
    [
      'errors of the parser let through',
      'damaged bytes give a value or CACHE_DECODE_FAILED, and nothing else',
      { decode: (bytes) => (bytes[0] === 0x20 ? JSON.parse(decodeText(bytes)) : sound.decode(bytes)) },
    ],
    [
      'errors of getters let through',
      'what is no data is refused with CACHE_ENCODE_FAILED, wherever it lies',
      {
        encode(value) {
          JSON.stringify(value, (_, member: unknown) => (typeof member === 'bigint' ? 0 : member))
          return sound.encode(value)
        },
      },
    ],
  ])('finds %s', async (_, found, changes) => {
    expect(await failuresOf({ ...sound, ...changes })).toContain(found)
  })

  test('finds encoded bytes that follow the value', async () => {
    const kept = new WeakMap<Uint8Array, Uint8Array>()
    const lazy: Codec = {
      ...sound,
      encode(value) {
        const bytes = sound.encode(value)
        if (value instanceof Uint8Array) kept.set(bytes, value)
        return bytes
      },
      decode: (bytes) => sound.decode(kept.has(bytes) ? sound.encode(kept.get(bytes)) : bytes),
    }
    expect(await failuresOf(lazy)).toContain('the encoded bytes do not follow later changes of the value')
  })

  test('finds a codec that assigns __proto__', async () => {
    const careless: Codec = {
      ...sound,
      decode(bytes) {
        const value = sound.decode(bytes)
        return value?.constructor === Object ? Object.assign({}, value) : value
      },
    }
    expect(await failuresOf(careless)).toContain(
      'a value that is not refused comes back the same, wherever it lies',
    )
  })
})
