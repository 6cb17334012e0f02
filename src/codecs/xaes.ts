// XAES-256-GCM: AES-256-GCM whose nonces may be drawn at random for as long as anyone likes.
//
// Bare AES-GCM has room for 2^32 random nonces under one key, which a busy cache writes in days, and a nonce that comes
// twice tells all. Here a key for each message is derived from the key and the first half of a nonce of 24 bytes, by
// CMAC in counter mode (NIST SP 800-108), and the other half is the nonce under it: room for 2^80 messages. Source and
// vectors: C2SP, XAES-256-GCM.

import { createCipheriv, createDecipheriv, createSecretKey, type KeyObject } from 'node:crypto'

/** Of them the first half goes into the key of the message, the other is the nonce under it. */
export const NONCE_BYTES = 24
/** How much longer the sealed bytes are. */
export const TAG_BYTES = 16
const BLOCK_BYTES = 16

/** The cipher under one key. */
export class XaesGcm {
  readonly #key: KeyObject
  /** The subkey of CMAC for messages of whole blocks. */
  readonly #mask: Uint8Array

  /** @param key - 32 bytes; they are copied. */
  constructor(key: Uint8Array) {
    this.#key = createSecretKey(key)
    this.#mask = doubled(this.#block(new Uint8Array(BLOCK_BYTES)))
  }

  /** The ciphertext and the tag, which covers `head` as well. */
  seal(nonce: Uint8Array, plain: Uint8Array, head: Uint8Array): Uint8Array {
    const cipher = createCipheriv('aes-256-gcm', this.#keyFor(nonce), nonce.subarray(12))
    cipher.setAAD(head)
    const sealed = new Uint8Array(plain.length + TAG_BYTES)
    sealed.set(cipher.update(plain))
    cipher.final()
    sealed.set(cipher.getAuthTag(), plain.length)
    return sealed
  }

  /** What was sealed, or `undefined` when it or its head was changed, or the key is another one. */
  open(nonce: Uint8Array, sealed: Uint8Array, head: Uint8Array): Uint8Array | undefined {
    const end = sealed.length - TAG_BYTES
    const options = { authTagLength: TAG_BYTES }
    const decipher = createDecipheriv('aes-256-gcm', this.#keyFor(nonce), nonce.subarray(12), options)
    decipher.setAAD(head)
    decipher.setAuthTag(sealed.subarray(end))
    const plain = decipher.update(sealed.subarray(0, end))
    try {
      decipher.final()
      return plain
    } catch {
      return undefined
    }
  }

  #keyFor(nonce: Uint8Array): Uint8Array {
    const key = new Uint8Array(2 * BLOCK_BYTES)
    for (const counter of [1, 2]) {
      const block = Uint8Array.of(0, counter, 0x58, 0, ...nonce.subarray(0, 12))
      for (let at = 0; at < BLOCK_BYTES; at++) block[at] = (block[at] as number) ^ (this.#mask[at] as number)
      key.set(this.#block(block), (counter - 1) * BLOCK_BYTES)
    }
    return key
  }

  #block(plain: Uint8Array): Uint8Array {
    return createCipheriv('aes-256-ecb', this.#key, null).setAutoPadding(false).update(plain)
  }
}

/** A block times two in the field of 2^128 elements. */
function doubled(block: Uint8Array): Uint8Array {
  const result = block.map((byte, at) => (byte << 1) | ((block[at + 1] ?? 0) >>> 7))
  if (((block[0] as number) & 0x80) !== 0) result[15] = (result[15] as number) ^ 0x87
  return result
}
