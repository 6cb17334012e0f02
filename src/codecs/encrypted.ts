// A codec around another one that encrypts, and refuses what anyone without a key has written or changed.
//
//    at  bytes  field
//     0      1  format       2
//     1      1  id of the codec inside
//     2      1  length n of the key's id
//     3      n  the key's id, ASCII
//            24 nonce, random
//               ciphertext
//            16 tag; it covers everything in front of it, and the name of the entry
//
// Format 1 did without the name. Its bytes are misses: to believe them would be to believe whoever puts one back.
//
// The cipher is in xaes.ts.
//
// node:crypto and not WebCrypto, as a codec answers at once: encoding lies between two steps of a write that nothing
// may come between, and a promise there would cost every value of every codec a turn.

import { randomFillSync } from 'node:crypto'
import { CacheError } from '../errors.ts'
import { checkNames } from '../options.ts'
import { type Codec, checkCodec } from './codec.ts'
import { NONCE_BYTES, TAG_BYTES, XaesGcm } from './xaes.ts'

/** A key with the name under which entries ask for it. */
export interface EncryptionKey {
  /** 1 to 32 letters, digits, dots, hyphens and underscores; stored with every entry in the clear. */
  id: string
  /** 32 random bytes. They are copied. */
  key: Uint8Array
}

/** What `encryptedCodec` takes beside the codec. */
export interface EncryptedCodecOptions {
  /**
   * The first encrypts; all decrypt. To rotate: add the new key behind the old one everywhere, then put it in front,
   * then leave the old one out once its entries have expired.
   */
  keys: readonly EncryptionKey[]
}

const FORMAT = 2

/**
 * A codec whose bytes nobody can read or make without a key.
 *
 * What is not hidden: how long a value is (so compress with care what a stranger can put beside a secret), which entry
 * it is, and when it changes. What is not prevented: who can write to the backend can put an entry's older bytes in its
 * place, or those of another version of its key. Bytes of another entry are refused.
 *
 * @param codec - What turns values into bytes. Compression belongs inside: encrypted bytes do not get smaller.
 * @throws TypeError or RangeError naming the option. No message holds a key.
 * @example
 * const codec = encryptedCodec(jsonCodec(), { keys: [{ id: '2026-11', key }] })
 */
export function encryptedCodec(codec: Codec, options: EncryptedCodecOptions): Codec {
  checkNames(options, ['keys'], 'encryptedCodec')
  checkCodec(codec)
  const keys = keysOf(options.keys)
  const first = keys.values().next().value as Sealer

  return {
    id: 5,
    isSecret: true,
    name: 'encrypted',

    encode(value: unknown, name = ''): Uint8Array {
      return first.seal(codec.id, codec.encode(value, name), name)
    },

    decode(bytes: Uint8Array, name = ''): unknown {
      const [format, inner, length = 0] = bytes
      const from = 3 + length
      if (format !== FORMAT || inner === undefined || bytes.length < from + NONCE_BYTES + TAG_BYTES)
        throw refusal(bytes, 'they are cut, or of no format of it')
      if (inner !== codec.id) throw refusal(bytes, `codec ${inner} is inside, and not ${codec.id}`)
      const id = new TextDecoder('latin1').decode(bytes.subarray(3, from))
      const sealer = keys.get(id)
      if (sealer === undefined) throw refusal(bytes, 'no key with the id that they name is known here')
      return codec.decode(sealer.open(bytes, from, name), name)
    },
  }
}

/** One key under its id. */
class Sealer {
  readonly #cipher: XaesGcm
  readonly #head: Uint8Array

  constructor(id: string, key: Uint8Array) {
    this.#cipher = new XaesGcm(key)
    this.#head = Uint8Array.of(FORMAT, 0, id.length, ...new TextEncoder().encode(id))
  }

  seal(inner: number, plain: Uint8Array, name: string): Uint8Array {
    const from = this.#head.length
    const bytes = new Uint8Array(from + NONCE_BYTES + plain.length + TAG_BYTES)
    bytes.set(this.#head)
    bytes[1] = inner
    const nonce = randomFillSync(bytes.subarray(from, from + NONCE_BYTES))
    bytes.set(this.#cipher.seal(nonce, plain, covered(bytes, from, name)), from + NONCE_BYTES)
    return bytes
  }

  open(bytes: Uint8Array, from: number, name: string): Uint8Array {
    const nonce = bytes.subarray(from, from + NONCE_BYTES)
    const plain = this.#cipher.open(nonce, bytes.subarray(from + NONCE_BYTES), covered(bytes, from, name))
    if (plain === undefined)
      throw refusal(bytes, 'they were changed, or made for another entry or with another key of that id')
    return plain
  }
}

/** What the tag covers apart from the value: the head, whose length stands in it, and the name behind it. */
function covered(bytes: Uint8Array, from: number, name: string): Uint8Array {
  return Buffer.concat([bytes.subarray(0, from), Buffer.from(name)])
}

function keysOf(given: unknown): ReadonlyMap<string, Sealer> {
  // No value is described here: what was passed in the wrong place may be the secret all the same.
  if (!Array.isArray(given) || given.length === 0) {
    throw new TypeError('keys: it must be a list of at least one { id, key }')
  }
  const keys = new Map<string, Sealer>()
  for (const [at, one] of (given as readonly unknown[]).entries()) {
    const { id, key } = (one ?? {}) as Partial<Record<keyof EncryptionKey, unknown>>
    if (typeof id !== 'string' || !/^[A-Za-z0-9._-]{1,32}$/.test(id)) {
      throw new TypeError(
        `keys[${at}].id: it must have 1 to 32 characters, each a letter, a digit, a dot, a hyphen or an underscore`,
      )
    }
    if (keys.has(id)) throw new TypeError(`keys[${at}].id: it is there already; give each key its own`)
    if (!(key instanceof Uint8Array))
      throw new TypeError(`keys[${at}].key: it must be a Uint8Array of 32 bytes`)
    if (key.length !== 32) throw new RangeError(`keys[${at}].key: it has ${key.length} bytes and needs 32`)
    keys.set(id, new Sealer(id, key))
  }
  return keys
}

function refusal(bytes: Uint8Array, reason: string): CacheError {
  return new CacheError(
    'CACHE_DECODE_FAILED',
    `encrypted codec: ${bytes.length} bytes are not of this codec: ${reason}`,
  )
}
