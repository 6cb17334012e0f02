// The file of one entry.
//
//    at  bytes  field
//     0      4  "TWE2"; the last sign is the format
//     4      4  flags           1: there is a stamp
//     8      8  epoch           where the directory's log stood when this was written, as f64
//    16      8  sequence
//    24      8  stamp epoch     the stamp as it was given, which may come from another authority
//    32      8  stamp sequence
//    40      8  written at      wall clock, milliseconds since 1970
//    48      8  ttl             milliseconds from then; Infinity for no deadline
//    56      4  stamp partition
//    60      4  key length
//    64      4  payload length
//    68      4  CRC-32 of the payload
//    72         key, UTF-8
//            4  CRC-32C of everything so far
//               payload
//
// All little endian. The head has its own checksum, so whoever walks the directory reads heads only, and
// it covers the payload's, so a payload cannot pass under another head. The whole key is in it: a name is
// a hash, and an entry is only ever given to who asks for that very key.
//
// The payload's checksum is the one that zlib has: natively, a kilobyte takes 0.15 µs instead of 0.6 (0043). A head is too
// short for that to pay.
//
// The wall clock is the only one that outlives a process. Both ends are kept because it may jump: put back,
// it makes an entry at most as young as it was when it was written, never younger.

import * as crypto from 'node:crypto'
import zlib from 'node:zlib'
import { crc32c, crc32 as portableCrc32 } from '../checksum.ts'
import type { Stamp } from '../stamp.ts'
import type { Position } from './log.ts'

/** Node has it since 20.15. */
const crc32: (bytes: Uint8Array) => number = zlib.crc32 ?? portableCrc32

/** What a file says of its entry, apart from the bytes. */
export interface EntryHead {
  readonly key: string
  /** Where the log stood when it was written. */
  readonly position: Position
  readonly stamp: Stamp | undefined
  readonly writtenAt: number
  readonly ttlMs: number
}

/** What was found in a file: the head, and where the payload is. */
export interface ParsedHead extends EntryHead {
  readonly payloadAt: number
  readonly payloadBytes: number
  readonly payloadChecksum: number
}

const MAGIC = 0x32455754
const FIXED_BYTES = 72
const CHECKSUM_BYTES = 4
const NAME_DIGITS = 32
const HASH_BYTES = 32
const HASH_BLOCK_BYTES = 64
/** A stored key has no more than 512 bytes, and so no more of these, each at most 3 bytes. */
const MAX_KEY_UNITS = 512
const HAS_STAMP = 1
/** The head of the longest key. */
export const MAX_HEAD_BYTES: number = FIXED_BYTES + 512 + CHECKSUM_BYTES

/**
 * What names the files of stored keys: 32 hexadecimal digits, so no key leaves the directory, is a name that a system
 * reserves, or differs from another one by case alone. They are the first of an HMAC-SHA-256, made of its two hashes
 * (RFC 2104): in one call each they take 1 µs, an object of the system's for them 2.3, and the collector some more.
 *
 * @param secret - The directory's own, 64 hexadecimal digits.
 */
export function entryNames(secret: string): (key: string) => string {
  const secretBytes = Buffer.from(secret, 'hex')
  const hmacOf = (key: string): string =>
    crypto.createHmac('sha256', secretBytes).update(key).digest('hex').slice(0, NAME_DIGITS)
  // Node has it since 20.12.
  const hash: typeof crypto.hash | undefined = crypto.hash
  if (hash === undefined) return hmacOf
  const inner = Buffer.alloc(HASH_BLOCK_BYTES + 3 * MAX_KEY_UNITS, 0x36)
  const outer = Buffer.alloc(HASH_BLOCK_BYTES + HASH_BYTES, 0x5c)
  for (const [at, byte] of secretBytes.entries()) {
    inner[at] = byte ^ 0x36
    outer[at] = byte ^ 0x5c
  }
  return (key) => {
    if (key.length > MAX_KEY_UNITS) return hmacOf(key)
    const end = HASH_BLOCK_BYTES + inner.write(key, HASH_BLOCK_BYTES)
    outer.write(hash('sha256', inner.subarray(0, end), 'binary'), HASH_BLOCK_BYTES, 'latin1')
    return hash('sha256', outer, 'hex').slice(0, NAME_DIGITS)
  }
}

/** The bytes of a file that come before the payload. */
export function encodeHead(head: EntryHead, payload: Uint8Array): Uint8Array {
  const key = Buffer.from(head.key)
  const bytes = Buffer.allocUnsafeSlow(FIXED_BYTES + key.length + CHECKSUM_BYTES)
  const { stamp } = head
  bytes.writeUInt32LE(MAGIC, 0)
  bytes.writeUInt32LE(stamp === undefined ? 0 : HAS_STAMP, 4)
  bytes.writeDoubleLE(head.position.epoch, 8)
  bytes.writeDoubleLE(head.position.sequence, 16)
  bytes.writeDoubleLE(stamp?.epoch ?? 0, 24)
  bytes.writeDoubleLE(stamp?.sequence ?? 0, 32)
  bytes.writeDoubleLE(head.writtenAt, 40)
  bytes.writeDoubleLE(head.ttlMs, 48)
  bytes.writeUInt32LE(stamp?.partition ?? 0, 56)
  bytes.writeUInt32LE(key.length, 60)
  bytes.writeUInt32LE(payload.length, 64)
  bytes.writeUInt32LE(crc32(payload), 68)
  bytes.set(key, FIXED_BYTES)
  bytes.writeUInt32LE(crc32c(bytes, 0, FIXED_BYTES + key.length), FIXED_BYTES + key.length)
  return bytes
}

/**
 * The head of a file that begins with `bytes` and is `size` bytes long; `undefined` when it is not the
 * file of an entry, or not a whole one.
 */
export function parseHead(bytes: Buffer, size: number): ParsedHead | undefined {
  if (bytes.length < FIXED_BYTES + CHECKSUM_BYTES || bytes.readUInt32LE(0) !== MAGIC) return undefined
  const keyEnd = FIXED_BYTES + bytes.readUInt32LE(60)
  const payloadBytes = bytes.readUInt32LE(64)
  const payloadAt = keyEnd + CHECKSUM_BYTES
  if (payloadAt > bytes.length || payloadAt + payloadBytes !== size) return undefined
  if (crc32c(bytes, 0, keyEnd) !== bytes.readUInt32LE(keyEnd)) return undefined
  return {
    key: bytes.toString('utf8', FIXED_BYTES, keyEnd),
    position: { epoch: bytes.readDoubleLE(8), sequence: bytes.readDoubleLE(16) },
    stamp:
      bytes.readUInt32LE(4) === HAS_STAMP
        ? {
            partition: bytes.readUInt32LE(56),
            epoch: bytes.readDoubleLE(24),
            sequence: bytes.readDoubleLE(32),
          }
        : undefined,
    writtenAt: bytes.readDoubleLE(40),
    ttlMs: bytes.readDoubleLE(48),
    payloadAt,
    payloadBytes,
    payloadChecksum: bytes.readUInt32LE(68),
  }
}

/** The payload in the bytes of a whole file; `undefined` when it is damaged. */
export function payloadOf(bytes: Buffer, head: ParsedHead): Uint8Array | undefined {
  const payload = new Uint8Array(bytes.buffer, bytes.byteOffset + head.payloadAt, head.payloadBytes)
  return crc32(payload) === head.payloadChecksum ? payload : undefined
}

/** How long the entry has still to live; zero or less when it has expired. */
export function remainingMsOf(head: EntryHead, wallNow: number): number {
  return head.ttlMs - Math.max(0, wallNow - head.writtenAt)
}
