// What the Redis backend stores, as this side reads and writes it: names of keys and channels, the state of a
// partition, the head of an entry, the echo of a probe. redis-scripts.ts has the other side and the map.
//
// The hash tag of a key is `{keyspace:partition}`. It comes first and a keyspace has no braces, so braces in users'
// keys decide nothing. Everything that is read from the server may have been written by another version, or by
// anyone: what does not parse is `undefined`.

import type { Message } from '../message.ts'
import { encodeMessage } from '../message.ts'
import type { Stamp } from '../stamp.ts'
import type { Origin } from '../tiers/ledger.ts'
import type { TierEntry } from '../tiers/tier.ts'
import type { Word } from './redis-client.ts'
import { HEAD_BYTES } from './redis-scripts.ts'

/** How many bytes of a state are looked at for its five numbers. */
const MAX_NUMBERS_BYTES = 128
/** Redis wants times that end before the year 292 million; longer ones are for ever. */
const LONGEST_MS = 2 ** 52
const STAMP_BYTES = 19

const encoder = new TextEncoder()
const decoder = new TextDecoder('utf-8', { ignoreBOM: true })

/** The clear of a prefix whose entries are not all removed yet. */
export interface ClearMark {
  readonly generation: number
  readonly prefix: string
}

/** The state of a partition. */
export interface PartitionState {
  readonly format: number
  readonly partitions: number
  readonly epoch: number
  readonly sequence: number
  readonly marks: readonly ClearMark[]
}

/** The key of a partition's state. */
export function stateKey(keyspace: string, partition: number): string {
  return `{${keyspace}:${partition}}:s`
}

/** The key of a partition's log. */
export function logKey(keyspace: string, partition: number): string {
  return `{${keyspace}:${partition}}:l`
}

/** The keys of the tags and of their order, in the tag partition. */
export function tagKeys(keyspace: string, partition: number): [string, string] {
  return [`{${keyspace}:${partition}}:t`, `{${keyspace}:${partition}}:o`]
}

/** The key of an entry. */
export function entryKey(keyspace: string, partition: number, key: string): string {
  return `{${keyspace}:${partition}}:e:${key}`
}

/** A pattern for SCAN that every entry below a prefix fits; others may fit too. */
export function entryPattern(keyspace: string, prefix: string): string {
  return `{${keyspace}:*}:e:${prefix.replace(/[\\*?[\]]/g, '\\$&')}*`
}

/** Partition and stored key of an entry's key; `undefined` when it is none of this keyspace. */
export function parseEntryKey(
  keyspace: string,
  partitions: number,
  name: string,
): { partition: number; key: string } | undefined {
  const head = `{${keyspace}:`
  if (!name.startsWith(head)) return undefined
  const end = name.indexOf('}', head.length)
  const digits = name.slice(head.length, end)
  if (end < 0 || !/^\d{1,5}$/.test(digits) || !name.startsWith(':e:', end + 1)) return undefined
  const partition = Number(digits)
  return partition < partitions ? { partition, key: name.slice(end + 4) } : undefined
}

/** The channel that carries messages. Channels know no databases, so the number is part of the name. */
export function messageChannel(keyspace: string, database: number): string {
  return `${keyspace}:bus:${database}`
}

/** The channel that carries echoes to one process. */
export function echoChannel(keyspace: string, database: number, process: string): string {
  return `${keyspace}:bus:${database}:${process}`
}

/** The state in `bytes`. */
export function parseState(bytes: Uint8Array): PartitionState | undefined {
  // Byte by byte, as each read has a state to understand.
  const numbers: number[] = []
  let lineEnd = 0
  for (let number = -1; bytes[lineEnd - 1] !== 0x0a; lineEnd++) {
    const byte = lineEnd < MAX_NUMBERS_BYTES ? bytes[lineEnd] : undefined
    if (byte !== undefined && byte >= 0x30 && byte <= 0x39) number = Math.max(number, 0) * 10 + byte - 0x30
    else if ((byte !== 0x20 && byte !== 0x0a) || !Number.isSafeInteger(number) || number < 0) return undefined
    else {
      numbers.push(number)
      number = -1
    }
  }
  if (numbers.length !== 5) return undefined
  const [format, partitions, epoch, sequence] = numbers as [number, number, number, number]
  const marks: ClearMark[] = []
  for (let at = lineEnd; at < bytes.length; ) {
    const head = /^(\d+) (\d+) /.exec(textOf(bytes.subarray(at, at + 40)))
    if (head === null) return undefined
    const from = at + head[0].length
    at = from + Number(head[2])
    if (at > bytes.length) return undefined
    marks.push({ generation: Number(head[1]), prefix: textOf(bytes.subarray(from, at)) })
  }
  return { format, partitions, epoch, sequence, marks }
}

/** The live entry that a value and its PTTL are. */
export function parseEntry(
  key: string,
  value: unknown,
  remaining: unknown,
  state: PartitionState,
): TierEntry | undefined {
  if (!(value instanceof Uint8Array) || typeof remaining !== 'number' || remaining === 0 || remaining < -1)
    return undefined
  if (value.length < HEAD_BYTES || value[0] !== 1) return undefined
  const view = new DataView(value.buffer, value.byteOffset, value.length)
  if (view.getFloat64(1, true) !== state.epoch) return undefined
  const generation = view.getFloat64(9, true)
  if (state.marks.some((mark) => generation < mark.generation && key.startsWith(mark.prefix)))
    return undefined
  const stamp: Stamp = {
    partition: view.getUint16(18, true),
    epoch: view.getFloat64(20, true),
    sequence: view.getFloat64(28, true),
  }
  return {
    bytes: new Uint8Array(value.buffer, value.byteOffset + HEAD_BYTES, value.length - HEAD_BYTES),
    remainingMs: remaining === -1 ? Number.POSITIVE_INFINITY : remaining,
    stamp: value[17] === 1 ? stamp : undefined,
  }
}

/** A stamp as an entry's head has it. */
export function encodeStamp(stamp: Stamp | undefined): Uint8Array {
  const bytes = new Uint8Array(STAMP_BYTES)
  if (stamp === undefined) return bytes
  const view = new DataView(bytes.buffer)
  bytes[0] = 1
  view.setUint16(1, stamp.partition, true)
  view.setFloat64(3, stamp.epoch, true)
  view.setFloat64(11, stamp.sequence, true)
  return bytes
}

/** A remaining time as the scripts take it: milliseconds, nothing for no deadline, `0` for no entry. */
export function encodeRemaining(remainingMs: number): string {
  if (!(remainingMs > 0)) return '0'
  return remainingMs > LONGEST_MS ? '' : String(Math.ceil(remainingMs))
}

/** A message whose place is still open; the script that appends it to the log fills it in. */
export function encodeUnplaced(
  op: Message['op'],
  keys: readonly string[],
  partition: number,
  { id, serial }: Origin,
): Uint8Array {
  const stamp: Stamp = { partition, epoch: 0, sequence: 0 }
  return encodeMessage({ op, keys, stamp, after: 0, origin: id, serial })
}

/** An echo: what a probe publishes. */
export interface Echo {
  readonly token: string
  readonly stamps: readonly Stamp[]
}

/** Whether bytes from a channel are an echo, or would be one; messages never begin like this. */
export function isEcho(bytes: Uint8Array): boolean {
  return bytes[0] === 0
}

/** The echo in `bytes`; partitions are those of keys, and the tag partition may come with them. */
export function parseEcho(bytes: Uint8Array, partitions: number): Echo | undefined {
  const [token, ...lines] = textOf(bytes.subarray(1)).split('\n')
  if (token === undefined || !isEcho(bytes)) return undefined
  const stamps: Stamp[] = []
  for (const line of lines) {
    const [partition, epoch, sequence] = line.split(' ').map(Number) as [number, number, number]
    if (![partition, epoch, sequence].every(Number.isSafeInteger) || partition < 0 || partition > partitions)
      return undefined
    stamps.push({ partition, epoch, sequence })
  }
  return { token, stamps }
}

/** Text that the server sent. */
export function textOf(word: unknown): string {
  return word instanceof Uint8Array ? decoder.decode(word) : String(word)
}

/** Text as the bytes it is on the server: scripts compare bytes. */
export function bytesOf(text: string): Word {
  return encoder.encode(text)
}
