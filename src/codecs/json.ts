// JSON that keeps what JSON loses, and costs plain values no more than JSON does.
//
// The first byte of the encoded value is its form:
//
//    byte  form     what follows
//    0x20  plain    JSON, read by JSON.parse and by nothing else
//    0x09  tagged   JSON in which {"$": [kind, …]} stands for a value that JSON has no form for
//    0x01  bytes    the bytes themselves
//    0x02  text     UTF-8 of a well-formed string
//
// Blank and tab are white space to JSON.parse, so neither JSON form is cut before it is parsed. A walk
// finds out whether a value is plain; it allocates nothing and stops at the first value that is not. What the
// tags are, and the rules for hostile bytes, are in tagged.ts. JSON.parse itself does not recurse, or throws.

import { fromBase64, toBase64 } from '../base64.ts'
import type { Codec } from './codec.ts'
import {
  decodeFailure,
  encodeFailure,
  isBytes,
  isPlain,
  isWellFormed,
  MAX_DEPTH,
  type Notation,
  Refusal,
  TaggedForm,
  TOO_DEEP,
  untagged,
} from './tagged.ts'

const PLAIN = 0x20
const TAGGED = 0x09
const BYTES = 0x01
const TEXT = 0x02

const notation: Notation = {
  keepsAnyText: true,
  keepsBytes: false,
  payloadOf: toBase64,
  bytesIn: (payload) => (typeof payload === 'string' ? fromBase64(payload) : undefined),
}

/**
 * The codec that a cache uses unless it is given another.
 *
 * Kept besides what JSON keeps: `undefined`, `NaN`, infinities, `-0`, BigInt, valid and invalid `Date`,
 * `Map`, `Set`, `ArrayBuffer`, `DataView`, typed arrays (`Buffer` comes back as `Uint8Array`) and an own
 * `__proto__`. `toJSON` is honoured; an instance of a class comes back as a plain object of its own
 * enumerable properties. Shared references become copies. What has no faithful form is refused, naming
 * its place: cycles, functions, symbols, errors, regular expressions, promises, weak collections and
 * instances that keep nothing in enumerable properties. docs/reference/codecs/json.md has the list.
 */
export function jsonCodec(): Codec {
  const encoder = new TextEncoder()
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

  return {
    id: 1,
    name: 'json',

    encode(value: unknown): Uint8Array {
      let walk: TaggedForm | undefined
      try {
        if (typeof value === 'string' && isWellFormed(value)) return encoder.encode(`\x02${value}`)
        if (isBytes(value)) return bytesForm(value)
        if (isPlain(value, notation)) {
          const plain: string | undefined = JSON.stringify(value)
          if (plain !== undefined) return encoder.encode(` ${plain}`)
        }
        walk = new TaggedForm(notation)
        const text = JSON.stringify(walk.of(value))
        return encoder.encode(walk.isTagged ? `\t${text}` : ` ${text}`)
      } catch (error) {
        throw encodeFailure('json', error, walk)
      }
    },

    decode(bytes: Uint8Array): unknown {
      try {
        switch (bytes[0]) {
          case PLAIN: {
            const text = decoder.decode(bytes)
            const value: unknown = JSON.parse(text)
            if (hasMoreBrackets(MAX_DEPTH, text) && nestsDeeper(MAX_DEPTH, value)) throw new Refusal(TOO_DEEP)
            return value
          }
          case TAGGED:
            return untagged(JSON.parse(decoder.decode(bytes)), notation)
          case BYTES:
            // A copy: what a tier hands out is not the caller's to change, and a view of a pool would keep it alive.
            return new Uint8Array(bytes.subarray(1))
          case TEXT:
            return decoder.decode(bytes).slice(1)
          default:
            throw new Refusal(bytes.length === 0 ? 'there are none' : 'they begin with no form of it')
        }
      } catch (error) {
        throw decodeFailure('json', error, bytes)
      }
    },
  }
}

function bytesForm(value: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(value.length + 1)
  bytes[0] = BYTES
  bytes.set(value, 1)
  return bytes
}

/**
 * Whether JSON has more than `limit` opening brackets, those in strings included: the cheap question that
 * spares nearly every value the walk of `nestsDeeper`.
 */
function hasMoreBrackets(limit: number, text: string): boolean {
  if (text.length <= 2 * limit) return false
  let left = limit
  for (const bracket of ['{', '[']) {
    for (let at = text.indexOf(bracket); at >= 0; at = text.indexOf(bracket, at + 1)) {
      if (--left < 0) return true
    }
  }
  return false
}

/** Whether arrays and objects in what JSON.parse made lie more than `limit` deep. */
function nestsDeeper(limit: number, value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false
  if (limit === 0) return true
  if (Array.isArray(value)) {
    for (let at = 0; at < value.length; at++) if (nestsDeeper(limit - 1, value[at])) return true
    return false
  }
  for (const key in value) {
    if (nestsDeeper(limit - 1, (value as Record<string, unknown>)[key])) return true
  }
  return false
}
