// Linear memory as JavaScript sees it: keys in, keys and counters out.
//
// The memory of a core grows, and growth detaches every view of it: a detached view has length 0, reads as
// `undefined` and swallows writes. So each access that may follow a growth asks the length first, which
// costs less than asking the memory for its buffer.
//
// Keys come in three encodings (assembly/index.ts says the same): latin-1 when every unit fits a byte,
// two-byte otherwise, and integers as the 8 bytes of their f64. A two-byte key keeps its units as they are,
// so lone surrogates stay what they were and no two strings share one form.

/** Every UTF-16 unit of the key is at most 0xFF: one byte each. */
export const LATIN1 = 0
/** At least one UTF-16 unit is above 0xFF: two bytes each. */
export const TWO_BYTE = 1
/** A safe integer: the 8 bytes of its f64. */
export const INTEGER = 2

/** The longest key, in UTF-16 units. */
export const MAX_KEY_LENGTH = 65_535

const SCRATCH_BYTES = 2 * (MAX_KEY_LENGTH + 1)

/** Where in scratch a value is staged: behind a key of up to 65,535 bytes and its padding. */
const STAGED_VALUE_AT = 65_600
/** How many bytes of a value can be staged. */
export const STAGED_VALUE_BYTES: number = SCRATCH_BYTES - STAGED_VALUE_AT
/** The longest key, in UTF-16 units, beside which a value can be staged. */
export const LONGEST_BESIDE_VALUE = 32_767

/**
 * From this length on the platform's encoder beats a loop over `charCodeAt`. On Node 20 the two cross at 14
 * characters for strings just put together and at 24 for strings in use before.
 */
const BULK_LENGTH = 20

/** How many characters are joined at once when a key is read; more would overflow the stack. */
const CHUNK = 4_096

const encoder = new TextEncoder()
// A byte order mark at the beginning of a text is a character like any other.
const decoder = new TextDecoder('utf-8', { ignoreBOM: true })

/** What Node's Buffer reads text with, several times as fast as the platform's decoder; Bun and Deno have it too. */
interface TextReader {
  latin1Slice(start: number, end: number): string
  utf8Slice(start: number, end: number): string
}

const { Buffer } = globalThis as unknown as { Buffer?: { from(buffer: ArrayBuffer): TextReader } }

/** Where things lie in the memory of one core. */
export interface MemoryMap {
  readonly memory: WebAssembly.Memory
  readonly scratchAt: number
  readonly sizeAt: number
  readonly removalCountAt: number
}

/** The linear memory of one core. */
export class Memory {
  readonly #memory: WebAssembly.Memory
  readonly #scratchAt: number
  readonly #sizeIndex: number
  readonly #removalCountIndex: number
  #words: Uint32Array
  #view: DataView
  #scratch: Uint8Array
  #wideScratch: Uint16Array
  #bytes: Uint8Array
  #reader: TextReader | undefined

  constructor({ memory, scratchAt, sizeAt, removalCountAt }: MemoryMap) {
    this.#memory = memory
    this.#scratchAt = scratchAt
    this.#sizeIndex = sizeAt >>> 2
    this.#removalCountIndex = removalCountAt >>> 2
    const buffer = memory.buffer
    this.#words = new Uint32Array(buffer)
    this.#view = new DataView(buffer)
    this.#scratch = new Uint8Array(buffer, scratchAt, SCRATCH_BYTES)
    this.#wideScratch = new Uint16Array(buffer, scratchAt, SCRATCH_BYTES / 2)
    this.#bytes = new Uint8Array(buffer)
  }

  /** Bytes of linear memory. */
  get bytes(): number {
    return this.#memory.buffer.byteLength
  }

  /** Number of entries, read without a call into the core. */
  get size(): number {
    if (this.#words.length === 0) this.#renew()
    return this.#words[this.#sizeIndex] as number
  }

  /** Number of removals that wait to be drained, read without a call into the core. */
  get removalCount(): number {
    if (this.#words.length === 0) this.#renew()
    return this.#words[this.#removalCountIndex] as number
  }

  /**
   * Writes `key`, which is at most `MAX_KEY_LENGTH` long, into the scratch region.
   *
   * @returns The encoding it was written in.
   */
  writeKey(key: string): number {
    if (this.#scratch.length === 0) this.#renew()
    const scratch = this.#scratch
    const length = key.length
    // As many bytes as units means that all of it was ASCII: everything else takes more than one byte.
    if (length >= BULK_LENGTH && encoder.encodeInto(key, scratch).written === length) return LATIN1
    let seen = 0
    for (let at = 0; at < length; at++) {
      const unit = key.charCodeAt(at)
      seen |= unit
      scratch[at] = unit
    }
    if (seen <= 0xff) return LATIN1
    const wide = this.#wideScratch
    for (let at = 0; at < length; at++) wide[at] = key.charCodeAt(at)
    return TWO_BYTE
  }

  /** Copies `count` bytes from address `from` to `target`. */
  copyOut(from: number, count: number, target: Uint8Array, at: number): void {
    if (this.#bytes.length === 0) this.#renew()
    const bytes = this.#bytes
    // A loop, as a view for a copy in one go costs more than thirty bytes do.
    for (let index = 0; index < count; index++) target[at + index] = bytes[from + index] as number
  }

  /** Copies `count` bytes of `source` into the scratch region. */
  copyIn(source: Uint8Array, at: number, count: number): void {
    if (this.#scratch.length === 0) this.#renew()
    const scratch = this.#scratch
    for (let index = 0; index < count; index++) scratch[index] = source[at + index] as number
  }

  /** The key of `length` units in `source` from `at` on. */
  keyIn(source: Uint8Array, at: number, length: number, encoding: number): string | number {
    this.copyIn(source, at, length << (encoding & 1))
    return this.readKey(this.#scratchAt, length, encoding)
  }

  /** Reads a key of `length` units (an integer has one) from `at`. */
  readKey(at: number, length: number, encoding: number): string | number {
    if (this.#words.length === 0) this.#renew()
    if (encoding === INTEGER) return this.#view.getFloat64(at, true)
    const { buffer } = this.#words
    const units =
      encoding === LATIN1 ? new Uint8Array(buffer, at, length) : new Uint16Array(buffer, at, length)
    if (length <= CHUNK) return String.fromCharCode.apply(null, units as unknown as number[])
    let text = ''
    for (let from = 0; from < length; from += CHUNK) {
      text += String.fromCharCode.apply(null, units.subarray(from, from + CHUNK) as unknown as number[])
    }
    return text
  }

  /** The unsigned 32-bit word at `at`, an address divisible by 4. */
  word(at: number): number {
    if (this.#words.length === 0) this.#renew()
    return this.#words[at >>> 2] as number
  }

  /** The unsigned 64-bit number at `at`, an address divisible by 4; exact up to 2^53. */
  longWord(at: number): number {
    return this.word(at) + this.word(at + 4) * 2 ** 32
  }

  /** Where `stageValue` writes. */
  get stagedValueAt(): number {
    return this.#scratchAt + STAGED_VALUE_AT
  }

  /**
   * Writes a text of at most a third of `STAGED_VALUE_BYTES` as UTF-8 where it does not disturb a key in scratch.
   *
   * @returns Its bytes.
   */
  stageValue(text: string): number {
    if (this.#scratch.length === 0) this.#renew()
    return encoder.encodeInto(text, this.#scratch.subarray(STAGED_VALUE_AT)).written
  }

  /** The bytes from `at` on, as they are: a view, good until the memory is written or grows. */
  bytesAt(at: number, length: number): Uint8Array {
    if (this.#bytes.length === 0) this.#renew()
    return this.#bytes.subarray(at, at + length)
  }

  /** Copies `bytes` to `at`. */
  writeBytes(at: number, bytes: Uint8Array): void {
    if (this.#bytes.length === 0) this.#renew()
    this.#bytes.set(bytes, at)
  }

  /** The text in UTF-8, or ASCII alone, from `at` on. */
  textAt(at: number, length: number, isAscii: boolean): string {
    if (Buffer === undefined) return decoder.decode(this.bytesAt(at, length))
    if (this.#bytes.length === 0) this.#renew()
    this.#reader ??= Buffer.from(this.#memory.buffer)
    return isAscii ? this.#reader.latin1Slice(at, at + length) : this.#reader.utf8Slice(at, at + length)
  }

  #renew(): void {
    const buffer = this.#memory.buffer
    this.#words = new Uint32Array(buffer)
    this.#view = new DataView(buffer)
    this.#scratch = new Uint8Array(buffer, this.#scratchAt, SCRATCH_BYTES)
    this.#wideScratch = new Uint16Array(buffer, this.#scratchAt, SCRATCH_BYTES / 2)
    this.#bytes = new Uint8Array(buffer)
    this.#reader = undefined
  }
}
