// The bytes of a snapshot: sections, each with a checksum that takes in the one before.
//
//   magic     "TWSNAP", format u16                                       8 bytes
//   section   kind u8, 3 zero, bytes u32, sum of the section before u32  12 bytes
//             payload                                                    `bytes`, then zeros up to a multiple of 4
//             sum u32 of head and payload
//
//   H  one, the first: what made the snapshot, as JSON
//   E  any number: entries, one behind the other (below)
//   F  one, the last: how many entries there were, f64; nothing follows it
//
//   entry     key word u32: bits 0-16 length, 17-18 encoding, 19 has times, 20 has a ttl, 24-31 kind of value
//             value bytes u32, what the policy knows u32 (assembly/policies/policy.ts)
//             fresh for f64, usable for f64, with bit 19: milliseconds from the beginning of the snapshot
//             ttl f64, with bit 20; note, bytes u32 and UTF-8, with bit 21; partition u32, with bit 22
//             key, value
//
// All numbers are little endian. Since each sum is part of what the next one covers, a byte or a section that is
// changed, missing, doubled or out of place shows, and so does a section of another snapshot; without the last
// section the snapshot was not finished. Readers take nothing out of it before that was seen.
//
// The sum is xxHash32 (Collet, xxHash fast digest algorithm, 2012), which takes a fifth of the time of a CRC by
// table, and no change within four bytes leaves it as it was. It finds damage, not malice.

import type { Stamp } from '../stamp.ts'

/** What a snapshot was made of; a reader of another kind leaves it. */
export interface SnapshotHead {
  /** Milliseconds since 1970 at its beginning. */
  readonly wallMs: number
  readonly policy: string
  /** What the policy had learnt for itself (`policyMemory` of the core). */
  readonly policyMemory: number
  readonly maxEntries: number
  readonly maxBytes: number
  /** How values are held: `reference` or `bytes`. */
  readonly values: string
  /** Name and number of the codec. */
  readonly codec: string
  /** Whose entries they are; `''` for an L1 alone. */
  readonly of: string
  /** By partition, up to where changes were heard; `null` where nothing was. */
  readonly heard: readonly (Stamp | null | undefined)[]
}

/** Why a stream of bytes is no snapshot; `absent` when there are none. */
export type Refusal = 'absent' | 'foreign' | 'format' | 'damaged'

/** A snapshot that was read to its end and found whole. */
export interface WholeSnapshot {
  readonly head: SnapshotHead
  readonly entryCount: number
  /** Payloads with entries, in their order; each begins at a multiple of 4. */
  readonly sections: readonly Uint8Array[]
}

const FORMAT = 1
const MAGIC_BYTES = 8
const HEAD_BYTES = 12
const SUM_BYTES = 4
const HEAD = 0x48
const ENTRIES = 0x45
const FOOT = 0x46

const magic: Uint8Array = Uint8Array.of(0x54, 0x57, 0x53, 0x4e, 0x41, 0x50, FORMAT, 0)

const P1 = 0x9e3779b1
const P2 = 0x85ebca77
const P3 = 0xc2b2ae3d
const P4 = 0x27d4eb2f

/** xxHash32 with seed 0 of `words`, whole 32-bit words. */
export function sumOf(words: Uint32Array): number {
  const { length } = words
  let at = 0
  let hash = 0x165667b1
  if (length >= 4) {
    let a = (P1 + P2) | 0
    let b = P2 | 0
    let c = 0
    let d = -P1 | 0
    for (; at + 4 <= length; at += 4) {
      a = round(a, words[at] as number)
      b = round(b, words[at + 1] as number)
      c = round(c, words[at + 2] as number)
      d = round(d, words[at + 3] as number)
    }
    hash = (rotated(a, 1) + rotated(b, 7) + rotated(c, 12) + rotated(d, 18)) | 0
  }
  hash = (hash + length * 4) | 0
  for (; at < length; at++) {
    hash = Math.imul(rotated((hash + Math.imul(words[at] as number, P3)) | 0, 17), P4)
  }
  hash = Math.imul(hash ^ (hash >>> 15), P2)
  hash = Math.imul(hash ^ (hash >>> 13), P3)
  return (hash ^ (hash >>> 16)) >>> 0
}

function round(lane: number, word: number): number {
  return Math.imul(rotated((lane + Math.imul(word, P2)) | 0, 13), P1)
}

function rotated(value: number, by: number): number {
  return (value << by) | (value >>> (32 - by))
}

/** Writes the sections of one snapshot. */
export class SnapshotWriter {
  #sum = 0

  /** The beginning: magic and head. */
  begin(head: SnapshotHead): Uint8Array {
    const text = new TextEncoder().encode(JSON.stringify(head))
    const section = this.#section(HEAD, text.length)
    section.payload.set(text)
    const bytes = this.#sealed(section.bytes)
    const all = new Uint8Array(MAGIC_BYTES + bytes.length)
    all.set(magic)
    all.set(bytes, MAGIC_BYTES)
    return all
  }

  /** A section of entries out of the first `length` bytes of `payload`. */
  entries(payload: Uint8Array, length: number): Uint8Array {
    const section = this.#section(ENTRIES, length)
    section.payload.set(payload.subarray(0, length))
    return this.#sealed(section.bytes)
  }

  /** The end. */
  end(entryCount: number): Uint8Array {
    const section = this.#section(FOOT, 8)
    new DataView(section.bytes.buffer).setFloat64(HEAD_BYTES, entryCount, true)
    return this.#sealed(section.bytes)
  }

  #section(kind: number, length: number): { bytes: Uint8Array; payload: Uint8Array } {
    const bytes = new Uint8Array(HEAD_BYTES + padded(length) + SUM_BYTES)
    const view = new DataView(bytes.buffer)
    view.setUint32(0, kind, true)
    view.setUint32(4, length, true)
    view.setUint32(8, this.#sum, true)
    return { bytes, payload: bytes.subarray(HEAD_BYTES, HEAD_BYTES + length) }
  }

  #sealed(bytes: Uint8Array): Uint8Array {
    const end = bytes.length - SUM_BYTES
    this.#sum = sumOf(wordsOf(bytes, end))
    new DataView(bytes.buffer).setUint32(end, this.#sum, true)
    return bytes
  }
}

/**
 * Reads a stream to its end. Nothing is believed before the last section was seen, so all of it is held meanwhile.
 *
 * @throws What the stream throws.
 */
export async function readSnapshot(
  source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): Promise<WholeSnapshot | Refusal> {
  const reader = new Reader(source)
  const start = await reader.take(MAGIC_BYTES)
  if (start === undefined) return reader.isEmpty ? 'absent' : 'foreign'
  if (!isSame(start, magic, 6)) return 'foreign'
  if (!isSame(start, magic, MAGIC_BYTES)) return 'format'
  const state: ReadState = { sum: 0, head: undefined, sections: [], entryCount: undefined }
  while (state.entryCount === undefined) {
    if (!(await readSection(reader, state))) return 'damaged'
  }
  const isAtEnd = (await reader.take(1)) === undefined
  const { head, entryCount, sections } = state
  return head !== undefined && isAtEnd ? { head, entryCount, sections } : 'damaged'
}

interface ReadState {
  sum: number
  head: SnapshotHead | undefined
  entryCount: number | undefined
  readonly sections: Uint8Array[]
}

/** Reads one section; answers whether it is whole and in its place. */
async function readSection(reader: Reader, state: ReadState): Promise<boolean> {
  const head = await reader.take(HEAD_BYTES)
  if (head === undefined) return false
  const view = new DataView(head.buffer)
  const kind = view.getUint32(0, true)
  const length = view.getUint32(4, true)
  const rest = await reader.take(padded(length) + SUM_BYTES, head)
  if (rest === undefined) return false
  const end = rest.length - SUM_BYTES
  const sum = sumOf(wordsOf(rest, end))
  if (new DataView(rest.buffer).getUint32(end, true) !== sum || view.getUint32(8, true) !== state.sum)
    return false
  state.sum = sum
  const payload = rest.subarray(HEAD_BYTES, HEAD_BYTES + length)
  if (kind === HEAD && state.head === undefined) state.head = headOf(payload)
  else if (kind === ENTRIES && state.head !== undefined) state.sections.push(payload)
  else if (kind === FOOT && length === 8)
    state.entryCount = new DataView(rest.buffer).getFloat64(HEAD_BYTES, true)
  else return false
  return state.head !== undefined
}

function headOf(payload: Uint8Array): SnapshotHead | undefined {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(payload)) as SnapshotHead
  } catch {
    return undefined
  }
}

/** A stream in pieces of any size, taken in pieces of the size that is asked for. */
class Reader {
  readonly #source: AsyncIterator<Uint8Array> | Iterator<Uint8Array>
  #piece: Uint8Array = new Uint8Array(0)
  #at = 0
  #total = 0

  constructor(source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>) {
    this.#source = Symbol.asyncIterator in source ? source[Symbol.asyncIterator]() : source[Symbol.iterator]()
  }

  /** Whether the stream had no bytes at all. */
  get isEmpty(): boolean {
    return this.#total === 0
  }

  /**
   * The next `count` bytes in an array of their own, behind those of `before`; `undefined` when there are fewer.
   *
   * A length that is damaged may ask for 4 GiB, so room is made for what has come, not for what was announced.
   */
  async take(count: number, before: Uint8Array = new Uint8Array(0)): Promise<Uint8Array | undefined> {
    if (this.#piece.length - this.#at < count && !(await this.#gather(count))) return undefined
    const taken = new Uint8Array(before.length + count)
    taken.set(before)
    taken.set(this.#piece.subarray(this.#at, this.#at + count), before.length)
    this.#at += count
    return taken
  }

  async #gather(count: number): Promise<boolean> {
    const pieces = [this.#piece.subarray(this.#at)]
    let length = this.#piece.length - this.#at
    while (length < count) {
      const { done, value } = await this.#source.next()
      if (done === true) break
      if (!(value instanceof Uint8Array))
        throw new TypeError('restore: gives something else than Uint8Arrays')
      if (length === 0) pieces.length = 0
      pieces.push(value)
      length += value.length
      this.#total += value.length
    }
    this.#at = 0
    const [only] = pieces
    if (pieces.length === 1 && only !== undefined) {
      this.#piece = only
      return length >= count
    }
    const all = new Uint8Array(length)
    let at = 0
    for (const piece of pieces) {
      all.set(piece, at)
      at += piece.length
    }
    this.#piece = all
    return length >= count
  }
}

/** `bytes` up to `end`, which begins an array buffer, as words of a little-endian machine. */
function wordsOf(bytes: Uint8Array, end: number): Uint32Array {
  return new Uint32Array(bytes.buffer, bytes.byteOffset, end >>> 2)
}

function padded(length: number): number {
  return length + ((4 - (length % 4)) % 4)
}

function isSame(left: Uint8Array, right: Uint8Array, length: number): boolean {
  for (let at = 0; at < length; at++) if (left[at] !== right[at]) return false
  return true
}
