import { describe, expect, test } from 'vitest'
import { type CompressedCodecOptions, compressedCodec } from '../../../src/codecs/compressed.ts'
import { jsonCodec } from '../../../src/codecs/json.ts'
import { structuredCodec } from '../../../src/codecs/structured.ts'
import { same } from '../../../src/testing/expect.ts'
import { algorithmsHere } from '../../support/codecs.ts'

const rows = Array.from({ length: 200 }, (_, at) => ({ name: `row ${at}`, price: at * 3 }))

describe.each(algorithmsHere())('%s', (algorithm) => {
  const codec = compressedCodec(jsonCodec(), { algorithm })

  test('a long value becomes smaller and comes back', () => {
    const bytes = codec.encode(rows)
    expect(bytes.length).toBeLessThan(jsonCodec().encode(rows).length / 3)
    same(codec.decode(bytes), rows)
  })

  test('a bomb does not go off: no more comes out than the bytes say, and no more than maxBytes', () => {
    const zeros = codec.encode('0'.repeat(2 ** 22))
    expect(zeros.length).toBeLessThan(10_000)
    const view = new DataView(zeros.buffer)
    const length = view.getUint32(2, true)
    for (const claimed of [0, 1, 1_000, length - 1, length + 1]) {
      view.setUint32(2, claimed, true)
      expect(() => codec.decode(zeros), `${claimed}`).toThrow(/do not expand/)
    }
    view.setUint32(2, length, true)
    expect((codec.decode(zeros) as string).length).toBe(2 ** 22)
    const careful = compressedCodec(jsonCodec(), { algorithm, maxBytes: 2 ** 20 })
    expect(() => careful.decode(zeros)).toThrow(`they stand for ${length} bytes, more than 1048576`)
  })

  test('bytes behind the end are not overlooked', () => {
    const bytes = codec.encode(rows)
    expect(() => codec.decode(Uint8Array.of(...bytes, 0))).toThrow(/do not expand/)
    expect(() => codec.decode(Uint8Array.of(...bytes, ...bytes))).toThrow(/do not expand/)
  })

  test('what another algorithm wrote is read', () => {
    for (const other of algorithmsHere()) {
      same(codec.decode(compressedCodec(jsonCodec(), { algorithm: other }).encode(rows)), rows)
    }
  })
})

test('short values, values beyond maxBytes and values that do not shrink stay as they are', () => {
  const inner = jsonCodec()
  const noise = crypto.getRandomValues(new Uint8Array(4_096))
  for (const [value, options] of [
    ['short', {}],
    [rows, { thresholdBytes: 100_000 }],
    [rows, { maxBytes: 100 }],
    [noise, {}],
  ] as [unknown, CompressedCodecOptions][]) {
    const codec = compressedCodec(inner, options)
    const bytes = codec.encode(value)
    same(bytes, Uint8Array.of(1, 0, ...inner.encode(value)))
    same(codec.decode(bytes), value)
  }
})

test('bytes of another codec inside, and of an unknown algorithm, are refused', () => {
  const bytes = compressedCodec(jsonCodec()).encode(rows)
  expect(() => compressedCodec(structuredCodec()).decode(bytes)).toThrow('codec 1 is inside, and not 3')
  bytes[1] = 9
  expect(() => compressedCodec(jsonCodec()).decode(bytes)).toThrow('algorithm 9, which is not known')
})

test.each<[CompressedCodecOptions | Record<string, unknown>, string]>([
  [{ algorithm: 'gzip' }, "algorithm: \"gzip\" is none of 'deflate', 'brotli' and 'zstd'"],
  [{ level: 10 }, 'level: 10 must be a whole number from 1 to 9'],
  [{ algorithm: 'brotli', level: 12 }, 'level: 12 must be a whole number from 0 to 11'],
  [{ thresholdBytes: -1 }, 'thresholdBytes: -1'],
  [{ maxBytes: 0 }, 'maxBytes: 0'],
  [{ treshold: 1 }, 'there is no option "treshold"'],
])('%o is refused', (options, message) => {
  expect(() => compressedCodec(jsonCodec(), options as CompressedCodecOptions)).toThrow(message)
})

// With it there is nothing to refuse.
if (!algorithmsHere().includes('zstd')) {
  test('zstd is refused where the runtime has none', () => {
    expect(() => compressedCodec(jsonCodec(), { algorithm: 'zstd' })).toThrow(
      expect.objectContaining({ code: 'CACHE_NOT_SUPPORTED' }),
    )
  })
}
