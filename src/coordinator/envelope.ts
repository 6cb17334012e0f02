// The stored form of an entry in every tier: a header in front of the codec's bytes.
//
//    at  bytes  field
//     0      1  format     1; 2 for an entry that carries tags; 3 for one with validators, and tags or none
//     1      1  codec id   bytes of another codec are a miss; 0 is an integer
//     2      1  0          in format 3 which validators there are: 1 etag, 2 lastModified, or both
//     3      1  0          in formats 2 and 3 the number of tags
//     4      4  checksum   CRC-32C of bytes 0 to 3 and of everything from 8 on
//     8      8  staleMs    f64: how much of the entry's life in the tier is past its ttl
//    16     16  since      in formats 2 and 3: epoch and sequence, as f64, up to where invalidations of tags were known
//    32         tags       in formats 2 and 3: each 2 bytes length, then that many bytes of UTF-8
//               validators in format 3: those that there are, in the same form
//               payload    what the codec made of the value
//
// Little endian. The life itself is not here: each tier keeps and measures remaining time by its own
// clock, and fresh time is remaining time less `staleMs`, so no two machines' clocks are compared.
// The checksum is verified before the codec sees a byte: a decoder fed with damaged bytes often answers
// with another value and no error (threats: T14).
//
// A safe integer is decimal digits, whatever the codec, so that a backend can add to it in one step; it does not know
// checksums, so that of an integer covers the header alone. A codec that hides its values gets integers too.
//
// Validators are what the loader said of the value's version, for the next loader, in whichever process that runs. They
// are readable, and often made of the value, so a codec that hides its values gets none and believes none.
//
// A format that a reader does not know is a miss to it, so of two versions of a program that share a tier the older one
// loads what the newer one has, and the newer one reads what the older one stored.
//
// Golden bytes of each format are in test/unit/coordinator/envelope.test.ts; a reader for an old format
// stays for ever.

import { crc32c } from '../checksum.ts'
import type { Codec } from '../codecs/codec.ts'
import { type Lifetime, staleMsOf } from '../entry.ts'
import { CacheError } from '../errors.ts'
import { type Key, partitionTextOf } from '../key.ts'
import type { Validators } from './loading.ts'
import type { Tagged } from './tags.ts'

const PLAIN_FORMAT = 1
const TAGGED_FORMAT = 2
const VALIDATED_FORMAT = 3
const HAS_ETAG = 1
const HAS_LAST_MODIFIED = 2
const HEADER_BYTES = 16
const TAGS_AT = 32
const encoder = new TextEncoder()
const untagged: Tagged = { tags: [], since: { partition: 0, epoch: 0, sequence: 0 } }
const noTexts = { tagged: undefined, validators: undefined }
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

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
  /** `undefined` when it carries no tags. */
  readonly tagged: Tagged | undefined
  /** `undefined` when its loader said none. */
  readonly validators: Validators | undefined
}

/**
 * The stored form of `value`.
 *
 * @param stored - The stored key that it goes under.
 * @throws What the codec throws for a value that has no bytes.
 */
export function encodeEnvelope(
  codec: Codec,
  stored: string,
  value: unknown,
  staleMs: number,
  tagged?: Tagged,
  validators?: Validators,
): Uint8Array {
  const shown = codec.isSecret === true ? undefined : validators
  const isValidated = shown?.etag !== undefined || shown?.lastModified !== undefined
  if (isValidated || (tagged !== undefined && tagged.tags.length > 0))
    return withTexts(codec.id, codec.encode(value, partitionTextOf(stored)), staleMs, tagged, shown)
  const isInteger = isPlainInteger(codec, value)
  const payload = isInteger ? asciiOf(String(value)) : codec.encode(value, partitionTextOf(stored))
  const bytes = new Uint8Array(HEADER_BYTES + payload.length)
  const view = new DataView(bytes.buffer)
  bytes[0] = PLAIN_FORMAT
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
export function encodeEntry(
  codec: Codec,
  { key, stored }: { readonly key: Key; readonly stored: string },
  value: unknown,
  lifetime: Lifetime,
  tagged?: Tagged,
  validators?: Validators,
): Uint8Array {
  try {
    return encodeEnvelope(codec, stored, value, staleMsOf(lifetime), tagged, validators)
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new CacheError('CACHE_ENCODE_FAILED', `value of ${JSON.stringify(key)}: ${reason}`, { key, cause })
  }
}

/**
 * The entry in `bytes`, which were found under a stored key.
 *
 * @throws CacheError `CACHE_DECODE_FAILED`, and nothing else, when they are not a whole entry of this
 *   format and codec.
 */
export function decodeEnvelope(codec: Codec, stored: string, bytes: Uint8Array): Opened {
  if (bytes.length < HEADER_BYTES) throw undecodable(`${bytes.length} bytes are too few for an entry`)
  const hasTexts = bytes[0] === TAGGED_FORMAT || bytes[0] === VALIDATED_FORMAT
  if (bytes[0] !== PLAIN_FORMAT && !hasTexts)
    throw undecodable(`format ${bytes[0]} is not known, only ${PLAIN_FORMAT} to ${VALIDATED_FORMAT}`)
  const payloadAt = hasTexts ? payloadAtOf(bytes) : HEADER_BYTES
  if (payloadAt === undefined) throw undecodable('its tags or validators do not end where it does')
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  if (view.getUint32(4, true) !== checksumOf(bytes))
    throw undecodable('the checksum does not match: the bytes are damaged')
  const staleMs = view.getFloat64(8, true)
  if (!(staleMs >= 0)) throw undecodable(`${staleMs} ms of stale time`)
  if (isStoredInteger(bytes) && codec.isSecret !== true)
    return { value: integerIn(bytes), staleMs, ...noTexts }
  if (bytes[1] !== codec.id)
    throw undecodable(`codec ${bytes[1]} wrote it, and this cache reads ${codec.id} (${codec.name})`)
  try {
    const { tagged, validators } = hasTexts ? textsIn(bytes, view) : noTexts
    const value = codec.decode(bytes.subarray(payloadAt), partitionTextOf(stored))
    return { value, staleMs, tagged, validators: codec.isSecret === true ? undefined : validators }
  } catch (cause) {
    if (cause instanceof CacheError && cause.code === 'CACHE_DECODE_FAILED') throw cause
    throw undecodable(`codec ${codec.name} failed`, cause)
  }
}

/** Whether an entry's payload are digits that a backend can add to. */
export function isPlainInteger(codec: Codec, value: unknown): boolean {
  return codec.isSecret !== true && Number.isSafeInteger(value) && !Object.is(value, -0)
}

/** Whether stored bytes are such an entry: from `DIGITS_AT` on it has digits. What carries tags or validators never is. */
export function isStoredInteger(bytes: Uint8Array): boolean {
  return bytes[0] === PLAIN_FORMAT && bytes[1] === INTEGER
}

function withTexts(
  codecId: number,
  payload: Uint8Array,
  staleMs: number,
  tagged: Tagged | undefined,
  validators: Validators | undefined,
): Uint8Array {
  const { tags, since } = tagged ?? untagged
  const { etag, lastModified } = validators ?? {}
  const flags = (etag === undefined ? 0 : HAS_ETAG) + (lastModified === undefined ? 0 : HAS_LAST_MODIFIED)
  const given = [...tags, etag, lastModified].filter((text) => text !== undefined)
  const texts = given.map((text) => encoder.encode(text))
  const payloadAt = texts.reduce((sum, text) => sum + 2 + text.length, TAGS_AT)
  const bytes = new Uint8Array(payloadAt + payload.length)
  const view = new DataView(bytes.buffer)
  bytes[0] = flags === 0 ? TAGGED_FORMAT : VALIDATED_FORMAT
  bytes[1] = codecId
  bytes[2] = flags
  bytes[3] = tags.length
  view.setFloat64(8, staleMs, true)
  view.setFloat64(16, since.epoch, true)
  view.setFloat64(24, since.sequence, true)
  let at = TAGS_AT
  for (const text of texts) {
    view.setUint16(at, text.length, true)
    bytes.set(text, at + 2)
    at += 2 + text.length
  }
  bytes.set(payload, payloadAt)
  view.setUint32(4, checksumOf(bytes), true)
  return bytes
}

/** Where the payload of an entry with tags or validators begins; `undefined` when that is beyond its end. */
function payloadAtOf(bytes: Uint8Array): number | undefined {
  let at = TAGS_AT
  for (let left = textCountOf(bytes); left > 0; left--) {
    if (at + 2 > bytes.length) return undefined
    at += 2 + (bytes[at] as number) + 256 * (bytes[at + 1] as number)
  }
  return at > bytes.length ? undefined : at
}

/** How many texts stand before the payload. */
function textCountOf(bytes: Uint8Array): number {
  const flags = bytes[2] as number
  return (bytes[3] as number) + (flags & HAS_ETAG) + (flags & HAS_LAST_MODIFIED) / HAS_LAST_MODIFIED
}

function textsIn(bytes: Uint8Array, view: DataView): Pick<Opened, 'tagged' | 'validators'> {
  const texts: string[] = []
  let at = TAGS_AT
  for (let left = textCountOf(bytes); left > 0; left--) {
    const end = at + 2 + view.getUint16(at, true)
    texts.push(decoder.decode(bytes.subarray(at + 2, end)))
    at = end
  }
  const flags = bytes[2] as number
  const tags = texts.splice(0, bytes[3])
  const since = { partition: 0, epoch: view.getFloat64(16, true), sequence: view.getFloat64(24, true) }
  const etag = flags & HAS_ETAG ? texts.shift() : undefined
  return {
    tagged: tags.length === 0 ? undefined : { tags, since },
    validators: flags === 0 ? undefined : { etag, lastModified: texts[0] },
  }
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
  const bytes = isStoredInteger(whole) ? whole.subarray(0, HEADER_BYTES) : whole
  return (crc32c(bytes, HEADER_BYTES - 8) ^ crc32c(bytes, 0, 4)) >>> 0
}

function undecodable(what: string, cause?: unknown): CacheError {
  return new CacheError('CACHE_DECODE_FAILED', `stored entry: ${what}`, { cause })
}
