// What one process tells the others about a mutation, and its wire form.
//
//    at  bytes  field
//     0      1  format       1; a reader that meets another number must treat it as a gap
//     1      1  op           1 set, 2 delete, 3 clear, 4 move, 5 expire-tags, 6 delete-tags
//     2      2  partition
//     4      8  epoch        integers up to 2^53 - 1, as f64
//    12      8  after
//    20      8  sequence
//    28      8  origin id    8 bytes, shown as 16 hexadecimal digits
//    36      8  serial       integer, as f64
//    44      4  number of keys
//    48         per key: 4 bytes length, then that many bytes of UTF-8
//   end      4  CRC-32C of the rest but for the place, bytes 2 to 27
//
// The place is left out since the authority gives it, and Redis has no checksum to give. It need not be in it: a
// place that was changed on the way does not follow on what was heard, or leaves a hole that the next message or the
// next proof shows. Keys that were changed would show nowhere.
//
// All little endian. Messages never carry a value, so whoever can write to the bus can at worst force
// misses. A message that does not parse is `undefined`, never a throw: decoders run inside listeners of
// client libraries, where an exception ends the process.

import { crc32c } from './checksum.ts'
import type { Stamp } from './stamp.ts'

/**
 * What was done: an entry was written or its time changed (`set`), removed, moved to another key; a prefix was cleared;
 * tags were invalidated.
 */
export type MessageOp = 'set' | 'delete' | 'clear' | 'move' | 'expire-tags' | 'delete-tags'

/** A mutation, as those who did not make it hear of it. */
export interface Message {
  readonly op: MessageOp
  /**
   * Stored keys, for `move` from where and to where; for `clear` the one prefix, where `''` means everything; for tags
   * their names, in the tag partition.
   */
  readonly keys: readonly string[]
  readonly stamp: Stamp
  /** The sequence of the mutation before this one in its partition: a receiver that is not there missed some. */
  readonly after: number
  /** Who made it, 16 hexadecimal digits. */
  readonly origin: string
  /** The how-manieth mutation of that origin it is. */
  readonly serial: number
}

const MESSAGE_FORMAT = 1
const HEADER_BYTES = 48
const SUM_BYTES = 4
/** The authority puts the place between these. */
const PLACE_FROM = 2
const PLACE_TO = 28
/** Longer messages are not written; a batch is split before that. */
const MAX_MESSAGE_BYTES = 65_536
const encoder = new TextEncoder()
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
/** Two digits for each byte. */
const hexadecimal: readonly string[] = Array.from({ length: 256 }, (_, byte) =>
  byte.toString(16).padStart(2, '0'),
)
const ops: readonly MessageOp[] = ['set', 'delete', 'clear', 'move', 'expire-tags', 'delete-tags']
/** Operations that have a fixed number of keys. */
const keyCounts: Partial<Record<MessageOp, number>> = { clear: 1, move: 2 }

/**
 * The wire form of a message.
 *
 * @throws RangeError when the keys do not fit into 64 KiB.
 */
export function encodeMessage(message: Message): Uint8Array {
  const keys = message.keys.map((key) => encoder.encode(key))
  const bytes = new Uint8Array(keys.reduce((sum, key) => sum + 4 + key.length, HEADER_BYTES + SUM_BYTES))
  if (bytes.length > MAX_MESSAGE_BYTES) {
    throw new RangeError(`a message of ${bytes.length} bytes is over the limit of ${MAX_MESSAGE_BYTES}`)
  }
  const view = new DataView(bytes.buffer)
  bytes[0] = MESSAGE_FORMAT
  bytes[1] = ops.indexOf(message.op) + 1
  view.setUint16(2, message.stamp.partition, true)
  view.setFloat64(4, message.stamp.epoch, true)
  view.setFloat64(12, message.after, true)
  view.setFloat64(20, message.stamp.sequence, true)
  view.setUint32(28, Number.parseInt(message.origin.slice(0, 8), 16))
  view.setUint32(32, Number.parseInt(message.origin.slice(8), 16))
  view.setFloat64(36, message.serial, true)
  view.setUint32(44, keys.length, true)
  let at = HEADER_BYTES
  for (const key of keys) {
    view.setUint32(at, key.length, true)
    bytes.set(key, at + 4)
    at += 4 + key.length
  }
  view.setUint32(at, sumOf(bytes), true)
  return bytes
}

/** The message in `bytes`, or `undefined` when they are not one that this version understands. */
export function decodeMessage(bytes: Uint8Array): Message | undefined {
  if (
    bytes.length < HEADER_BYTES + SUM_BYTES ||
    bytes.length > MAX_MESSAGE_BYTES ||
    bytes[0] !== MESSAGE_FORMAT
  )
    return undefined
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const end = bytes.length - SUM_BYTES
  if (view.getUint32(end, true) !== sumOf(bytes)) return undefined
  const op = ops[(bytes[1] as number) - 1]
  const epoch = view.getFloat64(4, true)
  const after = view.getFloat64(12, true)
  const sequence = view.getFloat64(20, true)
  const serial = view.getFloat64(36, true)
  if (op === undefined || !(isCount(epoch) && isCount(after) && isCount(sequence) && isCount(serial)))
    return undefined

  const keys: string[] = []
  let at = HEADER_BYTES
  for (let left = view.getUint32(44, true); left > 0; left--) {
    if (at + 4 > end) return undefined
    const next = at + 4 + view.getUint32(at, true)
    if (next > end) return undefined
    try {
      keys.push(decoder.decode(bytes.subarray(at + 4, next)))
    } catch {
      return undefined
    }
    at = next
  }
  if (at !== end || keys.length !== (keyCounts[op] ?? keys.length)) return undefined

  let origin = ''
  for (let place = 28; place < 36; place++) origin += hexadecimal[bytes[place] as number]
  return { op, keys, stamp: { partition: view.getUint16(2, true), epoch, sequence }, after, origin, serial }
}

function isCount(number: number): boolean {
  return Number.isSafeInteger(number) && number >= 0
}

function sumOf(bytes: Uint8Array): number {
  const rest = crc32c(bytes, PLACE_TO, bytes.length - SUM_BYTES)
  return (rest ^ crc32c(bytes, 0, PLACE_FROM)) >>> 0
}
