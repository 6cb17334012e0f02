// The stored form of an entry in every tier: a fixed header in front of the codec's bytes.
//
//    at  bytes  field
//     0      1  format     1
//     1      1  codec id   bytes of another codec are a miss; 0 is an integer
//     2      2  0
//     4      4  checksum   CRC-32C of bytes 0 to 3 and of everything from 8 on
//     8      8  staleMs    f64: how much of the entry's life in the tier is past its ttl
//    16         payload    what the codec made of the value
//
// Little endian. The life itself is not here: each tier keeps and measures remaining time by its own
// clock, and fresh time is remaining time less `staleMs`, so no two machines' clocks are compared.
// The checksum is verified before the codec sees a byte: a decoder fed with damaged bytes often answers
// with another value and no error (threats: T14).
//
// A safe integer is decimal digits, whatever the codec, so that a backend can add to it in one step; it does not know
// checksums, so that of an integer covers the header alone. A codec that hides its values gets integers too.
//
// Golden bytes of each format are in test/unit/coordinator/envelope.test.ts; a reader for an old format
// stays for ever.

import { crc32c } from '../checksum.ts'
import type { Codec } from '../codecs/codec.ts'
import { type Lifetime, staleMsOf } from '../entry.ts'
import { CacheError } from '../errors.ts'
import type { Key } from '../key.ts'

const ENVELOPE_FORMAT = 1
const HEADER_BYTES = 16

/** In place of a codec's id: the payload is a decimal integer. */
const INTEGER = 0
/** Where the digits of an integer begin. */
export const DIGITS_AT: number = HEADER_BYTES
const digits = /^(?:0|-?[1-9][0-9]{0,15})$/

/** An entry as the codec gave it back. */
export interface Opened {
  readonly value: unknown
  /** How much of the entry's life is past its ttl. */
  readonly staleMs: number
}

/**
 * The stored form of `value`.
 *
 * @throws What the codec throws for a value that has no bytes.
 */
export function encodeEnvelope(codec: Codec, value: unknown, staleMs: number): Uint8Array {
  const isInteger = isPlainInteger(codec, value)
  const payload = isInteger ? asciiOf(String(value)) : codec.encode(value)
  const bytes = new Uint8Array(HEADER_BYTES + payload.length)
  const view = new DataView(bytes.buffer)
  bytes[0] = ENVELOPE_FORMAT
  bytes[1] = isInteger ? INTEGER : codec.id
  view.setFloat64(8, staleMs, true)
  bytes.set(payload, HEADER_BYTES)
  view.setUint32(4, checksumOf(bytes), true)
  return bytes
}

/**
 * The stored form of a value that is to live for `lifetime`.
 *
 * @throws CacheError `CACHE_ENCODE_FAILED` naming the key, with the reason of the codec.
 */
export function encodeEntry(codec: Codec, key: Key, value: unknown, lifetime: Lifetime): Uint8Array {
  try {
    return encodeEnvelope(codec, value, staleMsOf(lifetime))
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new CacheError('CACHE_ENCODE_FAILED', `value of ${JSON.stringify(key)}: ${reason}`, { key, cause })
  }
}

/**
 * The entry in `bytes`.
 *
 * @throws CacheError `CACHE_DECODE_FAILED`, and nothing else, when they are not a whole entry of this
 *   format and codec.
 */
export function decodeEnvelope(codec: Codec, bytes: Uint8Array): Opened {
  if (bytes.length < HEADER_BYTES) throw undecodable(`${bytes.length} bytes are too few for an entry`)
  if (bytes[0] !== ENVELOPE_FORMAT)
    throw undecodable(`format ${bytes[0]} is not known, only ${ENVELOPE_FORMAT}`)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  if (view.getUint32(4, true) !== checksumOf(bytes))
    throw undecodable('the checksum does not match: the bytes are damaged')
  const staleMs = view.getFloat64(8, true)
  if (!(staleMs >= 0)) throw undecodable(`${staleMs} ms of stale time`)
  if (bytes[1] === INTEGER && codec.isSecret !== true) return { value: integerIn(bytes), staleMs }
  if (bytes[1] !== codec.id)
    throw undecodable(`codec ${bytes[1]} wrote it, and this cache reads ${codec.id} (${codec.name})`)
  try {
    return { value: codec.decode(bytes.subarray(HEADER_BYTES)), staleMs }
  } catch (cause) {
    if (cause instanceof CacheError && cause.code === 'CACHE_DECODE_FAILED') throw cause
    throw undecodable(`codec ${codec.name} failed`, cause)
  }
}

/** Whether an entry's payload are digits that a backend can add to. */
export function isPlainInteger(codec: Codec, value: unknown): boolean {
  return codec.isSecret !== true && Number.isSafeInteger(value) && !Object.is(value, -0)
}

function integerIn(bytes: Uint8Array): number {
  let text = ''
  for (const byte of bytes.subarray(HEADER_BYTES, HEADER_BYTES + 18)) text += String.fromCharCode(byte)
  const value = Number(text)
  if (!digits.test(text) || !Number.isSafeInteger(value)) throw undecodable('its integer is none')
  return value
}

function asciiOf(text: string): Uint8Array {
  return Uint8Array.from(text, (char) => char.charCodeAt(0))
}

function checksumOf(whole: Uint8Array): number {
  const bytes = whole[1] === INTEGER ? whole.subarray(0, HEADER_BYTES) : whole
  return (crc32c(bytes, HEADER_BYTES - 8) ^ crc32c(bytes, 0, 4)) >>> 0
}

function undecodable(what: string, cause?: unknown): CacheError {
  return new CacheError('CACHE_DECODE_FAILED', `stored entry: ${what}`, { cause })
}
