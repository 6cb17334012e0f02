// What a keyspace keeps on a Memcached server: one item per entry, and one that says what has been cleared.
//
//    KEYSPACE:key     an entry; in Base64 on the wire when the key has blanks, control or other characters
//    KEYSPACE#digest  an entry whose key is too long for that
//    KEYSPACE!        the state: an epoch, and marks of clears
//
// An entry's item, little endian:
//
//    at  bytes  field
//     0      4  "TWM1"; the last sign is the format
//     4      4  CRC-32C of everything behind it
//     8      4  flags           1: there is a stamp
//    12      4  generation      of the state when this was written
//    16      8  epoch           of that state
//    24      8  written at      wall clock of who wrote it, milliseconds since 1970
//    32      8  ttl             milliseconds from then; Infinity for no deadline
//    40      8  stamp epoch
//    48      8  stamp sequence
//    56      4  stamp partition
//    60      4  key length
//    64         key, UTF-8
//               payload
//
// The whole key is in it: an entry is only ever given to who asks for that very key, whatever was confused on the way.
//
// Clearing. A server can remove one item or all, not those of a keyspace or a prefix. So a clear leaves a mark in the
// state, and entries of an older generation under its prefix are dead. Every entry names the state's epoch; when the
// server has evicted the state, or was restarted, a new one begins with a new epoch, and what is left from before is
// dead too: forgetting makes entries unusable, never usable.
//
// Time. The server counts whole seconds from its own start. It is given one to two more than an entry has, and what
// it says is left tells the age of the entry to within a second either way. Inside of that, and only there, the wall
// clock of who wrote it decides: two machines whose clocks are hours apart see an entry live two seconds wrong.

import { createHash } from 'node:crypto'
import { crc32c } from '../checksum.ts'
import type { Stamp } from '../stamp.ts'
import type { TierEntry, TierWrite } from '../tiers/tier.ts'
import { flagOf, type MetaKey, type MetaReply } from './memcached-protocol.ts'

/** Entries under `prefix` that were written in an earlier generation are dead. */
export interface ClearMark {
  readonly prefix: string
  readonly generation: number
}

/** The state of a keyspace on one server. */
export interface KeyspaceState {
  readonly format: number
  /** Microseconds since 1970 when it was begun. */
  readonly epoch: number
  /** Counts the clears of this epoch. */
  readonly generation: number
  readonly marks: readonly ClearMark[]
}

const MAGIC = 0x314d5754
const HEAD_BYTES = 64
const HAS_STAMP = 1
const MAX_KEY_BYTES = 250
/** Base64 of more is over the limit. */
const MAX_BASE64_BYTES = 186
/** Every read carries the state, so it is kept short. */
const MAX_MARKS = 16
const MAX_MARK_CHARACTERS = 1_024
/** Longer than this, a number of seconds would be read as a date. */
const LONGEST_RELATIVE_S = 30 * 24 * 3_600
const LAST_DATE_S = 2 ** 31 - 1
const STATE_FORMAT = 1

/** What the server calls an entry. */
export function entryKey(keyspace: string, key: string): MetaKey {
  const name = `${keyspace}:${key}`
  if (name.length <= MAX_KEY_BYTES && /^[\x21-\x7e]*$/.test(name)) return { text: name, isBase64: false }
  const bytes = Buffer.from(name)
  if (bytes.length <= MAX_BASE64_BYTES) return { text: bytes.toString('base64'), isBase64: true }
  const digest = createHash('sha256').update(key).digest('base64url')
  return { text: `${keyspace}#${digest}`, isBase64: false }
}

/** What the server calls the state. */
export function stateKey(keyspace: string): MetaKey {
  return { text: `${keyspace}!`, isBase64: false }
}

/** The value of an entry's item. */
export function encodeEntry(write: TierWrite, state: KeyspaceState, wallNow: number): Uint8Array {
  const key = Buffer.from(write.key)
  const value = Buffer.alloc(HEAD_BYTES + key.length + write.bytes.length)
  value.writeUInt32LE(MAGIC, 0)
  value.writeUInt32LE(write.stamp === undefined ? 0 : HAS_STAMP, 8)
  value.writeUInt32LE(state.generation, 12)
  value.writeDoubleLE(state.epoch, 16)
  value.writeDoubleLE(wallNow, 24)
  value.writeDoubleLE(write.remainingMs, 32)
  value.writeDoubleLE(write.stamp?.epoch ?? 0, 40)
  value.writeDoubleLE(write.stamp?.sequence ?? 0, 48)
  value.writeUInt32LE(write.stamp?.partition ?? 0, 56)
  value.writeUInt32LE(key.length, 60)
  key.copy(value, HEAD_BYTES)
  value.set(write.bytes, HEAD_BYTES + key.length)
  value.writeUInt32LE(crc32c(value, 8), 4)
  return value
}

/** The live entry in a reply to `mg` with `v`, `c` and `t`; `undefined` when there is none. */
export function entryIn(
  reply: MetaReply,
  key: string,
  state: KeyspaceState | undefined,
  wallNow: number,
): TierEntry | undefined {
  // X: marked stale by a delete.
  if (reply.code !== 'VA' || reply.value === undefined || state === undefined) return undefined
  if (flagOf(reply, 'X') !== undefined) return undefined
  const stored = parseStored(reply.value)
  if (stored === undefined || stored.key !== key || stored.epoch !== state.epoch) return undefined
  if (state.marks.some(({ prefix, generation }) => generation > stored.generation && key.startsWith(prefix)))
    return undefined
  const remainingMs = remainingOf(stored, Number(flagOf(reply, 't')), wallNow)
  return remainingMs > 0 ? { bytes: stored.payload, remainingMs, stamp: stored.stamp } : undefined
}

interface Stored {
  readonly key: string
  readonly epoch: number
  readonly generation: number
  readonly writtenAt: number
  readonly ttlMs: number
  readonly stamp: Stamp | undefined
  readonly payload: Uint8Array
}

function parseStored(bytes: Uint8Array): Stored | undefined {
  const value = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
  if (value.length < HEAD_BYTES || value.readUInt32LE(0) !== MAGIC) return undefined
  if (crc32c(value, 8) !== value.readUInt32LE(4)) return undefined
  const payloadAt = HEAD_BYTES + value.readUInt32LE(60)
  if (payloadAt > value.length) return undefined
  const [epoch, sequence, partition] = [
    value.readDoubleLE(40),
    value.readDoubleLE(48),
    value.readUInt32LE(56),
  ]
  return {
    key: value.toString('utf8', HEAD_BYTES, payloadAt),
    epoch: value.readDoubleLE(16),
    generation: value.readUInt32LE(12),
    writtenAt: value.readDoubleLE(24),
    ttlMs: value.readDoubleLE(32),
    stamp: (value.readUInt32LE(8) & HAS_STAMP) === 0 ? undefined : { partition, epoch, sequence },
    payload: bytes.subarray(payloadAt),
  }
}

/** @param leftS - What the server says is left, in seconds; -1 for no deadline of its own. */
function remainingOf({ writtenAt, ttlMs }: Stored, leftS: number, wallNow: number): number {
  if (ttlMs === Number.POSITIVE_INFINITY) return ttlMs
  const givenS = secondsOf(ttlMs)
  let elapsedMs = Math.max(0, wallNow - writtenAt)
  if (leftS >= 0 && givenS <= LONGEST_RELATIVE_S) {
    const agedS = givenS - leftS
    elapsedMs = Math.min(Math.max(elapsedMs, (agedS - 1) * 1_000), (agedS + 1) * 1_000)
  }
  return Math.min(ttlMs, ttlMs - elapsedMs)
}

/** The whole seconds that the server is given: its clock may have shown the present one for two already. */
function secondsOf(ttlMs: number): number {
  return Math.floor(ttlMs / 1_000) + 2
}

/**
 * The flag of `ms` that says how long the server keeps an item. Beyond 30 days it takes a date, and beyond 2038 there
 * is none that it knows: then the item stays, and only its own deadline ends it.
 */
export function expiryFlag(ttlMs: number, wallNow: number): string {
  const seconds = secondsOf(ttlMs)
  if (seconds <= LONGEST_RELATIVE_S) return `T${seconds}`
  const date = Math.ceil(wallNow / 1_000) + seconds
  return date <= LAST_DATE_S ? `T${date}` : 'T0'
}

/** A state with nothing cleared. */
export function newState(epoch: number): KeyspaceState {
  return { format: STATE_FORMAT, epoch, generation: 0, marks: [] }
}

/** The state after one more clear. Too many marks become one that covers everything: coarser, never forgotten. */
export function withClear(state: KeyspaceState, prefix: string): KeyspaceState {
  const generation = state.generation + 1
  const others = state.marks.filter((mark) => !mark.prefix.startsWith(prefix))
  const marks = [...others, { prefix, generation }]
  const characters = marks.reduce((sum, mark) => sum + mark.prefix.length, 0)
  const fits = marks.length <= MAX_MARKS && characters <= MAX_MARK_CHARACTERS
  return { ...state, generation, marks: fits ? marks : [{ prefix: '', generation }] }
}

/** The value of the state's item: JSON behind its CRC-32C, since a mark with one wrong sign would revive the dead. */
export function encodeState(state: KeyspaceState): Uint8Array {
  const json = Buffer.from(JSON.stringify(state))
  return Buffer.concat([Buffer.from(`${sumOf(json)} `), json])
}

function sumOf(json: Uint8Array): string {
  return crc32c(json).toString(16).padStart(8, '0')
}

/**
 * A state out of its item; `undefined` when it is none.
 *
 * @throws Error when a later version wrote it.
 */
export function parseState(value: Uint8Array): KeyspaceState | undefined {
  const bytes = Buffer.from(value.buffer, value.byteOffset, value.length)
  const json = bytes.subarray(9)
  if (bytes.toString('latin1', 0, 9) !== `${sumOf(json)} `) return undefined
  let state: Partial<KeyspaceState> | null
  try {
    state = JSON.parse(json.toString()) as typeof state
  } catch {
    return undefined
  }
  const { format, epoch, generation, marks } = state ?? {}
  if (typeof format === 'number' && format > STATE_FORMAT) {
    throw new Error(`the keyspace has format ${format}, and this version knows format ${STATE_FORMAT} only`)
  }
  const isState =
    format === STATE_FORMAT &&
    typeof epoch === 'number' &&
    typeof generation === 'number' &&
    Array.isArray(marks) &&
    marks.every((mark) => typeof mark?.prefix === 'string' && typeof mark.generation === 'number')
  return isState ? (state as KeyspaceState) : undefined
}
