// MessagePack, by msgpackr: smaller and mostly faster than JSON where values are numbers and bytes.
//
// The first byte of the encoded value is its form:
//
//    byte  form     what follows
//    0x01  plain    MessagePack
//    0x02  tagged   MessagePack in which {"$": [kind, …]} stands for a value that it has no form for (tagged.ts)
//
// Left to itself msgpackr makes 0 of -0, undefined of a function, {} of a promise and another key of `__proto__`, and
// its extensions make errors, expressions and functions for reading records out of bytes. So it is given trees of
// plain data only, and bytes are looked through before it reads them: no extension, no length beyond the end, which
// it would allocate at once, nothing too deep, nothing behind the value.

import { describe } from '../duration.ts'
import { checkNames } from '../options.ts'
import type { Codec } from './codec.ts'
import {
  decodeFailure,
  encodeFailure,
  isPlain,
  MAX_DEPTH,
  type Notation,
  Refusal,
  TaggedForm,
  TOO_DEEP,
  untagged,
} from './tagged.ts'

const PLAIN = 0x01
const TAGGED = 0x02

const notation: Notation = {
  keepsAnyText: false,
  keepsBytes: true,
  payloadOf: (bytes) => bytes,
  bytesIn: (payload) => (payload instanceof Uint8Array ? new Uint8Array(payload) : undefined),
}

/** A packer: an instance of msgpackr's `Packr`. */
export interface Packer {
  pack(value: unknown): Uint8Array
  unpack(bytes: Uint8Array): unknown
}

/** What `msgpackrCodec` takes. */
export interface MsgpackrCodecOptions {
  /**
   * The module msgpackr (2), as `import * as msgpackr from 'msgpackr'` gives it, or a `Packr` made with
   * `{ useRecords: false }`. One whose bytes are not plain MessagePack is refused.
   */
  msgpackr: { readonly Packr: new (options: { useRecords: false }) => Packer } | Packer
}

/**
 * A codec that writes MessagePack.
 *
 * It keeps and refuses what `jsonCodec` does; bytes stay bytes wherever they lie. docs/reference/codecs/msgpackr.md
 * has the form.
 *
 * @throws TypeError for something that is not msgpackr, or is set up to write something else.
 * @example
 * import * as msgpackr from 'msgpackr'
 * const cache = createCache({ codec: msgpackrCodec({ msgpackr }), tiers: [redisTier({ client })], ttl: '5m' })
 */
export function msgpackrCodec(options: MsgpackrCodecOptions): Codec {
  checkNames(options, ['msgpackr'], 'msgpackrCodec')
  const packer = packerOf(options.msgpackr)

  return {
    id: 2,
    name: 'msgpackr',

    encode(value: unknown): Uint8Array {
      let walk: TaggedForm | undefined
      try {
        if (isPlain(value, notation)) return formed(PLAIN, packer.pack(value))
        walk = new TaggedForm(notation)
        const tree = walk.of(value)
        return formed(walk.isTagged ? TAGGED : PLAIN, packer.pack(tree))
      } catch (error) {
        throw encodeFailure('msgpackr', error, walk)
      }
    },

    decode(bytes: Uint8Array): unknown {
      try {
        switch (bytes[0]) {
          case PLAIN:
          case TAGGED: {
            const packed = bytes.subarray(1)
            const look = new Look(packed)
            if (look.end() !== packed.length) throw new Refusal('something lies behind them')
            const value = packer.unpack(packed)
            if (bytes[0] === TAGGED) return untagged(value, notation)
            return look.hasBytes ? owned(value) : value
          }
          default:
            throw new Refusal(bytes.length === 0 ? 'there are none' : 'they begin with no form of it')
        }
      } catch (error) {
        throw decodeFailure('msgpackr', error, bytes)
      }
    },
  }
}

function formed(form: number, packed: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(packed.length + 1)
  bytes[0] = form
  bytes.set(packed, 1)
  return bytes
}

/** Bytes inside a value as memory of its own: msgpackr hands out views of what it read. */
function owned(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (value instanceof Uint8Array) return new Uint8Array(value)
  const object = value as Record<string, unknown>
  for (const key of Object.keys(object)) object[key] = owned(object[key])
  return object
}

/** A look through MessagePack without making anything of it. Source: the MessagePack specification. */
class Look {
  hasBytes = false
  readonly #bytes: Uint8Array
  readonly #view: DataView
  #at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  }

  /** Where the value ends. */
  end(): number {
    this.#value(0)
    return this.#at
  }

  #value(depth: number): void {
    const first = this.#byte()
    if (first <= 0x7f || first >= 0xe0 || first === 0xc0 || first === 0xc2 || first === 0xc3) return
    if (first <= 0x8f) this.#members(first & 0x0f, 2, depth)
    else if (first <= 0x9f) this.#members(first & 0x0f, 1, depth)
    else if (first <= 0xbf) this.#skip(first & 0x1f)
    else this.#wide(first, depth)
  }

  #wide(first: number, depth: number): void {
    if (first >= 0xc4 && first <= 0xc6) {
      this.hasBytes = true
      this.#skip(this.#length(1 << (first - 0xc4)))
    } else if (first === 0xcb) this.#skip(8)
    else if (first >= 0xcc && first <= 0xce) this.#skip(1 << (first - 0xcc))
    else if (first >= 0xd0 && first <= 0xd2) this.#skip(1 << (first - 0xd0))
    else if (first >= 0xd9 && first <= 0xdb) this.#skip(this.#length(1 << (first - 0xd9)))
    else if (first === 0xdc || first === 0xdd) this.#members(this.#length(first === 0xdc ? 2 : 4), 1, depth)
    else if (first === 0xde || first === 0xdf) this.#members(this.#length(first === 0xde ? 2 : 4), 2, depth)
    else throw new Refusal(`a value begins with 0x${first.toString(16)}, which this codec does not write`)
  }

  #members(count: number, each: 1 | 2, depth: number): void {
    if (depth > MAX_DEPTH) throw new Refusal(TOO_DEEP)
    if (count * each > this.#bytes.length - this.#at) throw new Refusal('they are cut')
    for (let left = count; left > 0; left--) {
      if (each === 2) this.#key()
      this.#value(depth + 1)
    }
  }

  #key(): void {
    const first = this.#byte()
    if (first >= 0xa0 && first <= 0xbf) this.#skip(first & 0x1f)
    else if (first >= 0xd9 && first <= 0xdb) this.#skip(this.#length(1 << (first - 0xd9)))
    else throw new Refusal('a key is no text')
  }

  #byte(): number {
    this.#skip(1)
    return this.#bytes[this.#at - 1] as number
  }

  #length(width: number): number {
    this.#skip(width)
    const at = this.#at - width
    return width === 1
      ? this.#view.getUint8(at)
      : width === 2
        ? this.#view.getUint16(at)
        : this.#view.getUint32(at)
  }

  #skip(count: number): void {
    this.#at += count
    if (this.#at > this.#bytes.length) throw new Refusal('they are cut')
  }
}

function packerOf(given: unknown): Packer {
  const { Packr } = (given ?? {}) as { Packr?: new (options: { useRecords: false }) => Packer }
  const packer = typeof Packr === 'function' ? new Packr({ useRecords: false }) : (given as Packer | null)
  if (typeof packer?.pack !== 'function' || typeof packer.unpack !== 'function') {
    throw new TypeError(
      `msgpackr: ${describe(given)} is not msgpackr; pass the module (import * as msgpackr from 'msgpackr') or new Packr({ useRecords: false })`,
    )
  }
  if (!isPlainPacker(packer)) {
    throw new TypeError(
      'msgpackr: this Packr does not write plain MessagePack; make it with { useRecords: false } and nothing else',
    )
  }
  return packer
}

/** Whether what a packer writes is plain, and comes back the same: records begin with the second object alike. */
function isPlainPacker(packer: Packer): boolean {
  const sample = { text: ['é', 'x'.repeat(40)], numbers: [1, -0.5, 2 ** 40], inner: { a: null, b: true } }
  const values = [sample, sample, [sample.inner, sample.inner]]
  try {
    return values.every((value) => {
      const packed = packer.pack(value)
      const bytes = Uint8Array.from(packed)
      return (
        new Look(bytes).end() === bytes.length &&
        JSON.stringify(packer.unpack(bytes)) === JSON.stringify(value)
      )
    })
  } catch {
    return false
  }
}
