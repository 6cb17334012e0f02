// The log of a shared directory: what was done to which keys, in order. It is what makes the directory a
// ledger, and what the file bus reads.
//
// A file of frames, each `length u32, crc32c u32` (of what follows; little endian) and then:
//
//    the first frame   JSON: format, epoch, base, last, boot, marks, swept, tags
//    every other       one message (src/message.ts), at its place: its stamp's sequence is the one at which
//                      the frame ends, its `after` the one of the message before it in its partition
//
// A sequence is a number of bytes: `base` plus how far a frame's end lies behind the first frame. As each
// message says where it belongs, frames that were doubled, swapped or left out show like damaged ones.
// There are two partitions in the one file: that of all keys, and that of tags.
//
// Only the holder of the directory's lock writes. A full log is replaced by a new file under the same
// name that carries on the last half of the records; epoch and sequences go on, so those who follow notice
// nothing, unless they are half a log behind. A new epoch begins when order or contents can no longer be
// vouched for: the log is gone or damaged, a writer died in the middle, the machine was started anew.
//
// Marks. Entries are files with hashed names, so those under a prefix can only be found by reading all of
// them. A `clear` does not: it leaves a mark, and entries that were written before the mark under its
// prefix are dead from then on. Otherwise a clear of 100,000 entries would hold the lock, and thereby every
// writer of every process, for about two seconds. Once a walk has removed the dead, `swept` says so, and
// the marks up to there are forgotten.
//
// Tags. When each was last invalidated is read off the records; the header carries on what the records that
// are left no longer say, and what was known in earlier epochs. See src/tag-table.ts for the bound.
//
// Readers take no lock: one `lstat` says whether the file is still the one that is open here (an open
// file's inode is not given away again) and how long it is, and what is new is read and checked.

import { closeSync, fstatSync, ftruncateSync, lstatSync } from 'node:fs'
import { crc32c } from '../checksum.ts'
import { decodeMessage, encodeMessage, type Message } from '../message.ts'
import type { Stamp } from '../stamp.ts'
import { type TagPlaces, TagTable } from '../tag-table.ts'
import { codeOf, openForAppend, quietly, readAt, replaceFile, writeAll } from './directory.ts'

/** A place in the log's order. */
export interface Position {
  readonly epoch: number
  readonly sequence: number
}

/** Entries under `prefix` that were written before this place are dead. */
export interface Mark extends Position {
  readonly prefix: string
}

/**
 * What was found where the log should be: a log that can be vouched for; one of an earlier boot, of which a
 * power cut may have taken the end; one that cannot be read to its end; none.
 */
export type LogState = 'whole' | 'outlived' | 'damaged' | 'missing'

/** A mutation on its way into the log. */
export type Unplaced = Pick<Message, 'op' | 'keys' | 'origin' | 'serial'>

/** A place of the tag partition; 0 and 0 for none. */
type Pair = readonly [epoch: number, sequence: number]

interface Header {
  readonly format: number
  readonly epoch: number
  readonly base: number
  /** The sequence of the last message before `base`, of keys and of tags. */
  readonly last?: readonly [keys: number, tags: number]
  readonly tags?: readonly (readonly [name: string, expired: Pair, deleted: Pair])[]
  readonly floor?: Pair
  readonly boot: string
  readonly marks: readonly (readonly [prefix: string, epoch: number, sequence: number])[]
  readonly swept: readonly [epoch: number, sequence: number]
}

interface Beginning extends Pick<Header, 'epoch' | 'base' | 'last'> {
  readonly marks: readonly Mark[]
  readonly swept: Position
}

const LOG_FORMAT = 1
const FRAME_HEAD_BYTES = 8
/** A header with the most marks and tags of the longest names, each character escaped. */
const MAX_FRAME_BYTES = 2 ** 23
const MAX_MARKS = 256
/** The partition of all keys. */
export const KEYS = 0
/** The partition of tags. */
export const TAGS = 1
const MAX_TAGS = 4_096
const MAX_TAG_UNITS = 2 ** 19

/** Whether `left` lies before `right`. */
export function isBefore(left: Position, right: Position): boolean {
  return left.epoch === right.epoch ? left.sequence < right.sequence : left.epoch < right.epoch
}

/** The log file, as far as this process has read it. */
export class Log {
  readonly #path: string
  readonly #limitBytes: number
  readonly #boot: string
  #file: number | undefined
  #device = 0n
  #inode = 0n
  #epoch = 0
  #base = 0
  /** Where in the file `#base` lies. */
  #baseAt = 0
  #end = 0
  #marks: readonly Mark[] = []
  #swept: Position = { epoch: 0, sequence: 0 }
  /** Where each partition stood at `#base`, and stands now. */
  #lastAtBase: readonly [number, number] = [0, 0]
  #last: [number, number] = [0, 0]
  readonly #tags = new TagTable({ partition: TAGS, epoch: 0, sequence: 0 }, MAX_TAGS, MAX_TAG_UNITS)
  #isOutlived = false
  #loads = 0

  constructor(path: string, limitBytes: number, boot: string) {
    this.#path = path
    this.#limitBytes = limitBytes
    this.#boot = boot
  }

  /** Where the log ended when it was last looked at. */
  get end(): Position {
    return { epoch: this.#epoch, sequence: this.#end }
  }

  /** Where a partition stood when the log was last looked at. */
  stand(partition: number): Stamp {
    return { partition, epoch: this.#epoch, sequence: this.#last[partition] ?? 0 }
  }

  /** When tags were last invalidated, as far as the log was looked at. */
  get tags(): TagTable {
    return this.#tags
  }

  get marks(): readonly Mark[] {
    return this.#marks
  }

  /** How often another file was found in the log's place: then the directory may be another one as well. */
  get loads(): number {
    return this.#loads
  }

  /** Looks at the file and reads what is new. */
  refresh(): LogState {
    const found = lstatSync(this.#path, { bigint: true, throwIfNoEntry: false })
    if (found === undefined || found.isSymbolicLink()) return 'missing'
    if (this.#file === undefined || found.ino !== this.#inode || found.dev !== this.#device)
      return this.#load()
    const size = Number(found.size)
    // Without an epoch the header could not be read.
    if (this.#epoch === 0 || size < this.#endAt) return 'damaged'
    if (size > this.#endAt && !this.#follow(size)) return 'damaged'
    return this.#isOutlived ? 'outlived' : 'whole'
  }

  /**
   * The messages after `sequence` up to the end, of both partitions.
   *
   * @returns `undefined` when the log does not reach back so far, or no message ended there.
   */
  since(sequence: number): Message[] | undefined {
    if (this.#file === undefined || sequence < this.#base || sequence > this.#end) return undefined
    if (sequence === this.#end) return []
    const bytes = readAt(this.#file, this.#baseAt + sequence - this.#base, this.#end - sequence)
    const messages: Message[] = []
    let at = 0
    while (at < bytes.length) {
      const message = this.#messageAt(bytes, at, sequence + at)
      if (message === undefined) return undefined
      messages.push(message)
      at = message.stamp.sequence - sequence
    }
    return messages
  }

  /** The messages of one partition after a stamp of it; `undefined` when that can not be told. */
  sinceStamp({ partition, epoch, sequence }: Stamp): Message[] | undefined {
    const last = this.#last[partition]
    if (last === undefined || epoch !== this.#epoch || sequence > last) return undefined
    if (sequence === last) return []
    const isAtBase = sequence < this.#base && sequence === this.#lastAtBase[partition]
    const messages = this.since(isAtBase ? this.#base : sequence)
    return messages?.filter((message) => message.stamp.partition === partition)
  }

  /** Where the mutation will end up if it is appended next. The lock must be held, and the log whole. */
  place(mutation: Unplaced): Message {
    if (this.#endAt > this.#limitBytes) this.#carryOn()
    const partition = partitionOfOp(mutation.op)
    const { epoch, sequence: after } = this.stand(partition)
    const { length } = encodeMessage({ ...mutation, stamp: { partition, epoch, sequence: this.#end }, after })
    const sequence = this.#end + FRAME_HEAD_BYTES + length
    return { ...mutation, stamp: { partition, epoch, sequence }, after }
  }

  /**
   * Appends a message that was placed, with the lock held ever since.
   *
   * @throws When it could not be written whole; then nothing of it is in the log.
   */
  append(message: Message): void {
    if (this.#file === undefined) throw new Error(`${this.#path} is not open`)
    const endAt = this.#endAt
    try {
      writeAll(this.#file, [frameOf(encodeMessage(message))])
    } catch (error) {
      // Should this fail as well, whoever looks next finds a damaged tail and begins a new epoch.
      quietly(() => ftruncateSync(this.#file as number, endAt))
      throw error
    }
    this.#pass(message)
  }

  /**
   * Replaces the log by an empty one. The lock must be held.
   *
   * @param isLegible - Whether what was read of tags is all that was known.
   */
  begin(epoch: number, marks: readonly Mark[], isLegible: boolean): void {
    if (!isLegible) this.#tags.reset({ partition: TAGS, epoch, sequence: 0 })
    this.#replace({ epoch, base: 0, last: [0, 0], marks, swept: this.#swept }, new Uint8Array(0))
  }

  /** Forgets the marks up to `swept`: the entries that they made dead are gone. The lock must be held. */
  forget(swept: Position): void {
    this.#swept = swept
    this.#marks = this.#marks.filter((mark) => isBefore(swept, mark))
    this.#carryOn()
  }

  close(): void {
    if (this.#file !== undefined) closeSync(this.#file)
    this.#file = undefined
  }

  get #endAt(): number {
    return this.#baseAt + this.#end - this.#base
  }

  #load(): LogState {
    this.close()
    try {
      this.#file = openForAppend(this.#path)
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return 'missing'
      throw error
    }
    this.#loads++
    try {
      return this.#read(this.#file)
    } catch (error) {
      // What is known of the old file must not be taken for the new one.
      this.close()
      throw error
    }
  }

  #read(file: number): LogState {
    // Of the file that was opened: the one that was looked at may have been replaced in between.
    const found = fstatSync(file, { bigint: true })
    this.#device = found.dev
    this.#inode = found.ino
    this.#epoch = this.#base = this.#baseAt = this.#end = 0
    this.#last = [0, 0]
    this.#marks = []
    this.#tags.reset({ partition: TAGS, epoch: 0, sequence: 0 })
    const payload = payloadAt(readAt(file, 0, Math.min(Number(found.size), MAX_FRAME_BYTES)), 0)
    const header = payload === undefined ? undefined : parseHeader(payload)
    if (payload === undefined || header === undefined) return 'damaged'
    if (header.format !== LOG_FORMAT) {
      throw new Error(
        `${this.#path} has format ${header.format}, and this version knows format ${LOG_FORMAT} only`,
      )
    }
    this.#epoch = header.epoch
    this.#base = this.#end = header.base
    this.#baseAt = FRAME_HEAD_BYTES + payload.length
    this.#marks = header.marks.map(([prefix, epoch, sequence]) => ({ prefix, epoch, sequence }))
    this.#swept = { epoch: header.swept[0], sequence: header.swept[1] }
    this.#lastAtBase = header.last ?? [header.base, 0]
    this.#last = [...this.#lastAtBase]
    const { tags = [], floor = [header.epoch, 0] } = header
    this.#tags.reset({ partition: TAGS, epoch: floor[0], sequence: floor[1] })
    for (const [name, expired, deleted] of tags)
      this.#tags.keep(name, { expired: placeOf(expired), deleted: placeOf(deleted) })
    this.#isOutlived = header.boot !== this.#boot
    if (!this.#follow(Number(found.size))) return 'damaged'
    return this.#isOutlived ? 'outlived' : 'whole'
  }

  /** Reads from the known end up to `size`. Says whether that was whole records only. */
  #follow(size: number): boolean {
    const start = this.#end
    const bytes = readAt(this.#file as number, this.#endAt, size - this.#endAt)
    for (;;) {
      const at = this.#end - start
      if (at === bytes.length) return true
      const message = this.#messageAt(bytes, at, this.#end)
      if (message === undefined || message.after !== this.#last[message.stamp.partition]) return false
      this.#pass(message)
    }
  }

  /** The message of the frame that begins at the sequence `from`. */
  #messageAt(bytes: Uint8Array, at: number, from: number): Message | undefined {
    const payload = payloadAt(bytes, at)
    const message = payload === undefined ? undefined : decodeMessage(payload)
    if (payload === undefined || message === undefined) return undefined
    const { stamp } = message
    const isInPlace =
      message.after <= from &&
      stamp.sequence === from + FRAME_HEAD_BYTES + payload.length &&
      stamp.epoch === this.#epoch &&
      stamp.partition === partitionOfOp(message.op)
    return isInPlace ? message : undefined
  }

  #pass(message: Message): void {
    this.#end = message.stamp.sequence
    this.#last[message.stamp.partition] = this.#end
    if (message.op === 'expire-tags') this.#tags.invalidate(message.keys, 'expire', message.stamp)
    if (message.op === 'delete-tags') this.#tags.invalidate(message.keys, 'delete', message.stamp)
    if (message.op === 'clear' && isBefore(this.#swept, message.stamp)) {
      const { epoch, sequence } = message.stamp
      this.#marks = withMark(this.#marks, { prefix: message.keys[0] ?? '', epoch, sequence })
    }
  }

  /** Replaces a full log by one that carries on the last half of its records. */
  #carryOn(): void {
    const messages = this.since(this.#base) ?? []
    const last: [number, number] = [...this.#lastAtBase]
    let base = this.#base
    for (const { stamp } of messages) {
      if (this.#end - base <= this.#limitBytes / 2) break
      base = stamp.sequence
      last[stamp.partition] = base
    }
    const records = readAt(this.#file as number, this.#baseAt + base - this.#base, this.#end - base)
    // A disk too full for the copy may still have room for a record: a long log does no harm.
    quietly(() =>
      this.#replace({ epoch: this.#epoch, base, last, marks: this.#marks, swept: this.#swept }, records),
    )
  }

  #replace(header: Beginning, records: Uint8Array): void {
    const { epoch, base, last = [base, 0] } = header
    const marks = header.marks.map((mark) => [mark.prefix, mark.epoch, mark.sequence] as const)
    const swept = [header.swept.epoch, header.swept.sequence] as const
    const { floor } = this.#tags
    const tags = [...this.#tags.entries()].map(
      ([name, places]) => [name, pairOf(places.expired), pairOf(places.deleted)] as const,
    )
    const whole: Header = {
      format: LOG_FORMAT,
      epoch,
      base,
      last,
      boot: this.#boot,
      marks,
      swept,
      tags,
      floor: [floor.epoch, floor.sequence],
    }
    replaceFile(this.#path, [frameOf(Buffer.from(JSON.stringify(whole))), records])
    const state = this.#load()
    if (state !== 'whole') throw new Error(`${this.#path} was found ${state} right after it was written`)
  }
}

function partitionOfOp(op: Message['op']): number {
  return op === 'expire-tags' || op === 'delete-tags' ? TAGS : KEYS
}

function pairOf(place: Stamp | undefined): Pair {
  return place === undefined ? [0, 0] : [place.epoch, place.sequence]
}

function placeOf([epoch, sequence]: Pair): TagPlaces['expired'] {
  return epoch === 0 ? undefined : { partition: TAGS, epoch, sequence }
}

/** The marks with one more; those that it covers are dropped, and too many become one that covers all. */
function withMark(marks: readonly Mark[], mark: Mark): readonly Mark[] {
  const others = marks.filter((other) => !other.prefix.startsWith(mark.prefix))
  if (others.length < MAX_MARKS) return [...others, mark]
  // Coarser, never forgotten. The order of this one mark is the newest of all.
  return [{ ...mark, prefix: '' }]
}

function frameOf(payload: Uint8Array): Uint8Array {
  const frame = new Uint8Array(FRAME_HEAD_BYTES + payload.length)
  const view = new DataView(frame.buffer)
  view.setUint32(0, payload.length, true)
  view.setUint32(4, crc32c(payload), true)
  frame.set(payload, FRAME_HEAD_BYTES)
  return frame
}

function payloadAt(bytes: Uint8Array, at: number): Uint8Array | undefined {
  if (bytes.length - at < FRAME_HEAD_BYTES) return undefined
  const view = new DataView(bytes.buffer, bytes.byteOffset + at, bytes.length - at)
  const length = view.getUint32(0, true)
  // Without the lower bound a tail of zeros would be empty records with a right checksum.
  if (length === 0 || length > MAX_FRAME_BYTES || length > view.byteLength - FRAME_HEAD_BYTES)
    return undefined
  const payload = bytes.subarray(at + FRAME_HEAD_BYTES, at + FRAME_HEAD_BYTES + length)
  return crc32c(payload) === view.getUint32(4, true) ? payload : undefined
}

function parseHeader(payload: Uint8Array): Header | undefined {
  try {
    const header = JSON.parse(Buffer.from(payload).toString()) as Header
    const isHeader =
      typeof header.format === 'number' &&
      header.epoch > 0 &&
      header.base >= 0 &&
      Array.isArray(header.marks) &&
      Array.isArray(header.swept)
    return isHeader ? header : undefined
  } catch {
    return undefined
  }
}
