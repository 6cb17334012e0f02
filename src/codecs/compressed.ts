// A codec around another one that compresses what is worth it.
//
//    at  bytes  field
//     0      1  id of the codec inside
//     1      1  algorithm    0 none, 1 deflate (RFC 1951), 2 brotli (RFC 7932), 3 zstd (RFC 8878)
//     2      4  length of what comes out, little endian; left out for none
//     6         what the codec inside made, compressed
//
// The algorithm is in the bytes, so all of them are read whichever is chosen for writing, and the choice can change
// without a cold start. A hundred bytes can stand for gigabytes, so no more comes out than the length says, and no
// length beyond `maxBytes` is believed.

import * as zlib from 'node:zlib'
import { describe } from '../duration.ts'
import { CacheError } from '../errors.ts'
import { checkCount, checkNames } from '../options.ts'
import { type Codec, checkCodec } from './codec.ts'

/** How values are compressed: `zstd` needs Node 22.15 or newer. */
export type CompressionAlgorithm = 'deflate' | 'brotli' | 'zstd'

/** What `compressedCodec` takes beside the codec. */
export interface CompressedCodecOptions {
  /**
   * How new entries are compressed. Entries of the others stay readable.
   *
   * @defaultValue `'deflate'`
   */
  algorithm?: CompressionAlgorithm

  /**
   * The effort: 1 to 9 for deflate, 0 to 11 for brotli, 1 to 19 for zstd. More is smaller and slower.
   *
   * @defaultValue 6 for deflate, 4 for brotli, 3 for zstd
   */
  level?: number

  /**
   * From how many bytes on a value is compressed.
   *
   * @defaultValue `1_024`
   */
  thresholdBytes?: number

  /**
   * The longest value, in bytes before compression, that is compressed or read compressed; longer ones are stored as
   * they are. 1 to 1,073,741,824.
   *
   * @defaultValue `67_108_864`, 64 MiB
   */
  maxBytes?: number
}

/** One algorithm: its name, its number in the bytes, its levels, and both ways. */
interface Algorithm {
  readonly name: CompressionAlgorithm
  readonly number: number
  readonly levels: readonly [lowest: number, highest: number, usual: number]
  compress(bytes: Uint8Array, level: number): Uint8Array
  /** Must give no more than `length` bytes, and say how many it read. */
  expand(bytes: Uint8Array, length: number): Expanded
}

/** What Node says with `info: true`. */
interface Expanded {
  readonly buffer: Uint8Array
  readonly engine: { readonly bytesWritten: number }
}

const NONE = 0
const HEAD_BYTES = 2
const LENGTH_BYTES = 4

const algorithms: readonly Algorithm[] = [deflate(), brotli(), zstd()].flatMap((algorithm) => algorithm ?? [])

/**
 * A codec that makes the bytes of another one smaller, where they are long enough to be worth it and where it helps.
 *
 * It runs where the value is encoded, on the thread of the caller: some 13 ms for a megabyte of JSON with deflate.
 *
 * @param codec - What turns values into bytes.
 * @throws TypeError or RangeError naming the option; CacheError `CACHE_NOT_SUPPORTED` for `zstd` where the runtime has
 *   none.
 * @example
 * const codec = compressedCodec(jsonCodec(), { algorithm: 'brotli' })
 */
export function compressedCodec(codec: Codec, options: CompressedCodecOptions = {}): Codec {
  checkNames(options, ['algorithm', 'level', 'thresholdBytes', 'maxBytes'], 'compressedCodec')
  checkCodec(codec)
  const { algorithm: chosen = 'deflate' } = options
  const algorithm = algorithmOf(chosen)
  const [lowest, highest, usual] = algorithm.levels
  const level = checkCount(options.level, 'level', lowest, highest, usual)
  const thresholdBytes = checkCount(options.thresholdBytes, 'thresholdBytes', 0, 2 ** 30, 1_024)
  const maxBytes = checkCount(options.maxBytes, 'maxBytes', 1, 2 ** 30, 2 ** 26)

  return {
    id: 4,
    isSecret: codec.isSecret === true,
    name: 'compressed',

    encode(value: unknown, name?: string): Uint8Array {
      const bytes = codec.encode(value, name)
      if (bytes.length >= thresholdBytes && bytes.length <= maxBytes) {
        const small = algorithm.compress(bytes, level)
        if (small.length + LENGTH_BYTES < bytes.length) {
          const whole = new Uint8Array(HEAD_BYTES + LENGTH_BYTES + small.length)
          whole[0] = codec.id
          whole[1] = algorithm.number
          new DataView(whole.buffer).setUint32(HEAD_BYTES, bytes.length, true)
          whole.set(small, HEAD_BYTES + LENGTH_BYTES)
          return whole
        }
      }
      const whole = new Uint8Array(HEAD_BYTES + bytes.length)
      whole[0] = codec.id
      whole[1] = NONE
      whole.set(bytes, HEAD_BYTES)
      return whole
    },

    decode(bytes: Uint8Array, name?: string): unknown {
      const [inner, number] = bytes
      if (inner === undefined || number === undefined) throw refusal(bytes, 'they are cut')
      if (inner !== codec.id) throw refusal(bytes, `codec ${inner} is inside, and not ${codec.id}`)
      if (number === NONE) return codec.decode(bytes.subarray(HEAD_BYTES), name)
      const written = algorithms.find((one) => one.number === number)
      if (written === undefined)
        throw refusal(bytes, `they are compressed by algorithm ${number}, which is not known here`)
      if (bytes.length < HEAD_BYTES + LENGTH_BYTES) throw refusal(bytes, 'they are cut')
      const length = new DataView(bytes.buffer, bytes.byteOffset, bytes.length).getUint32(HEAD_BYTES, true)
      if (length > maxBytes) throw refusal(bytes, `they stand for ${length} bytes, more than ${maxBytes}`)
      return codec.decode(expand(written, bytes, length), name)
    },
  }
}

function expand(algorithm: Algorithm, bytes: Uint8Array, length: number): Uint8Array {
  const small = bytes.subarray(HEAD_BYTES + LENGTH_BYTES)
  let expanded: Expanded
  try {
    expanded = algorithm.expand(small, length)
  } catch (cause) {
    throw refusal(bytes, 'they do not expand', cause)
  }
  const { buffer, engine } = expanded
  if (buffer.length !== length || engine.bytesWritten !== small.length) {
    throw refusal(bytes, `they do not expand to the ${length} bytes that they stand for`)
  }
  return buffer
}

function deflate(): Algorithm {
  return {
    name: 'deflate',
    number: 1,
    levels: [1, 9, 6],
    compress: (bytes, level) => zlib.deflateRawSync(bytes, { level }),
    expand: (bytes, length) => zlib.inflateRawSync(bytes, bounded(length)) as unknown as Expanded,
  }
}

function brotli(): Algorithm {
  return {
    name: 'brotli',
    number: 2,
    levels: [0, 11, 4],
    compress: (bytes, level) =>
      zlib.brotliCompressSync(bytes, {
        params: {
          [zlib.constants.BROTLI_PARAM_QUALITY]: level,
          [zlib.constants.BROTLI_PARAM_SIZE_HINT]: bytes.length,
        },
      }),
    expand: (bytes, length) => zlib.brotliDecompressSync(bytes, bounded(length)) as unknown as Expanded,
  }
}

/** `undefined` where the runtime has no zstd. */
function zstd(): Algorithm | undefined {
  const { zstdCompressSync, zstdDecompressSync } = zlib as unknown as Record<
    string,
    ((bytes: Uint8Array, options: object) => unknown) | undefined
  >
  if (zstdCompressSync === undefined || zstdDecompressSync === undefined) return undefined
  const levelFlag = (zlib.constants as unknown as Record<string, number>).ZSTD_c_compressionLevel ?? 100
  return {
    name: 'zstd',
    number: 3,
    levels: [1, 19, 3],
    compress: (bytes, level) => zstdCompressSync(bytes, { params: { [levelFlag]: level } }) as Uint8Array,
    expand: (bytes, length) => zstdDecompressSync(bytes, bounded(length)) as Expanded,
  }
}

function bounded(length: number): zlib.ZlibOptions {
  return { maxOutputLength: Math.max(length, 1), info: true }
}

function algorithmOf(name: unknown): Algorithm {
  const algorithm = algorithms.find((one) => one.name === name)
  if (algorithm !== undefined) return algorithm
  if (name !== 'zstd') {
    throw new TypeError(`algorithm: ${describe(name)} is none of 'deflate', 'brotli' and 'zstd'`)
  }
  throw new CacheError(
    'CACHE_NOT_SUPPORTED',
    'algorithm: this runtime has no zstd (Node has it from 22.15 on); choose deflate or brotli',
  )
}

function refusal(bytes: Uint8Array, reason: string, cause?: unknown): CacheError {
  return new CacheError(
    'CACHE_DECODE_FAILED',
    `compressed codec: ${bytes.length} bytes are not of this codec: ${reason}`,
    cause === undefined ? {} : { cause },
  )
}
