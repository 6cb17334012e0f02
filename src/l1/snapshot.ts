// Saving the entries of an L1 and taking them in again, while both are in use.
//
// Written are all usable entries with what the policy knows of them, the coldest first. Putting them back in that
// order at the head of their queues gives the order in which they were. The walk that finds the order and the
// writing go on for a few hundred entries at a time, and the event loop turns between; each entry is written as it is
// then, so a snapshot is no moment in time: for each key it has a value that was there while it was made.
//
// What is read counts only when all of it was seen to be whole. Then entries come in, a few hundred a turn, and
// whatever was done with a key meanwhile is newer: such a key is left out.
//
// Deadlines: an entry's remaining time is written as of the beginning, with the wall clock's time then, so the time
// in between counts as lived. Where the wall clock has gone back since, nobody knows how much that was, and entries
// with a deadline are left out.
//
// What a cache with other levels knows of its entries beyond that, and whether they are still good, it says itself
// (`Provenance`).
//
// This file and its format are loaded when the first snapshot is written or read: most programs do neither. So it
// imports nothing else but types; what it uses of the L1 comes with `SnapshotSource`.

import type { Clock } from '../clock.ts'
import type { Codec } from '../codecs/codec.ts'
import type { Core } from '../core/core.ts'
import type { EvictionPolicy } from '../core/policies.ts'
import type { Key } from '../key.ts'
import type { Stamp } from '../stamp.ts'
import { type Refusal, readSnapshot, SnapshotWriter, type WholeSnapshot } from './snapshot-format.ts'

/** What came of a restore. */
export interface RestoreOutcome {
  /**
   * `restored`; `absent`: there was nothing; `foreign`: the bytes are of something else; `format`: of another version
   * of tierwheel; `damaged`: changed, incomplete, or not written to the end; `configuration`: of a cache with another
   * policy, `maxEntries`, codec or way to hold values; `failed`: reading threw; `cleared`: the cache was cleared
   * meanwhile; `unproved`: the authority could not be asked what has changed since. In all cases but `restored` and
   * `cleared` no entry was taken.
   */
  readonly status: 'restored' | Refusal | 'configuration' | 'failed' | 'cleared' | 'unproved'
  /** What reading threw, with `failed`. */
  readonly error: unknown
  /** Entries that were taken in. */
  readonly entries: number
  /** Entries that were not: past their deadline, changed since or perhaps, or with a value that the codec refuses. */
  readonly leftOut: number
}

/** What the entries of a partition are stamped with, in the words of the core. */
export interface CoreStamp {
  readonly epochIndex: number
  readonly asOf: number
}

/** What a cache with other levels says of its entries when they are saved, and when they are taken in again. */
export interface Provenance {
  /** Whose entries they are; those of another cache are not taken. */
  readonly of: string
  /** By partition, up to where changes were heard; empty where nobody tells. */
  heard(): readonly (Stamp | undefined)[]
  /** A note as text, `''` for none; `undefined` when its entry is not to be saved. */
  textOf(note: unknown): string | undefined
  noteOf(text: string): unknown
  /**
   * Finds out what was changed since `heard` and has that dropped here, so that it counts as overtaken.
   *
   * @returns What says, for each partition and at the moment an entry comes in, how it is stamped: `undefined` when
   *   it can not be known whether it is good. `undefined` altogether when nobody can be asked.
   */
  prove(
    heard: readonly (Stamp | undefined)[],
  ): Promise<((partition: number) => CoreStamp | undefined) | undefined>
}

/** What writing needs of an L1. */
export interface SnapshotSource {
  readonly core: Core
  readonly policy: EvictionPolicy
  readonly maxEntries: number
  /** 0 without a budget in bytes. */
  readonly maxBytes: number
  /** How values are held: `reference` or `bytes`. */
  readonly values: string
  readonly codec: Codec
  readonly clock: Clock
  /** The L1's time now. */
  now(): number
  /** Lets the event loop turn. */
  nextTurn(): Promise<void>
  /** Whether the entry that was met at `slot` is there, and an answer at `now`. */
  isGood(slot: number, generation: number, now: number): boolean
  valueAt(slot: number): unknown
  /** What a use gives the entry anew; `undefined` where uses renew nothing. */
  ttlAt(slot: number): number | undefined
  noteAt(slot: number): unknown
  /** `undefined` for an L1 alone. */
  readonly provenance: Provenance | undefined
}

/** What restoring needs of an L1. */
export interface SnapshotTarget extends SnapshotSource {
  readonly wasCleared: boolean
  /** Whether the key was set, removed or hidden since restoring began. */
  isOvertaken(key: Key): boolean
  readonly hasOvertaken: boolean
  /** Stores an entry in a cache with a budget in bytes, where room may have to be made for it. */
  put(key: Key, value: unknown, freshUntil: number, usableUntil: number, now: number, note: unknown): boolean
  /** An entry was stored at `slot`. */
  keep(slot: number, value: unknown, ttlMs: number | undefined, usableUntil: number, note: unknown): void
}

/** Entries to a turn of the event loop: well under a millisecond of work. */
const TURN = 512
/** Steps of the walk to a turn. */
const WALK_TURN = 4_096
const SECTION_BYTES = 1 << 16

const HAS_TIMES = 1 << 19
const HAS_TTL = 1 << 20
const HAS_NOTE = 1 << 21
const HAS_PARTITION = 1 << 22
const FORM = HAS_TIMES - 1
const KIND_SHIFT = 24
const ENTRY_HEAD_BYTES = 12

// How a value is written. Text and numbers have a shorter way than through the codec.
const CODED = 0
const LATIN1 = 1
const TWO_BYTE = 2
const NUMBER = 3

/** The bytes of a snapshot of `source`, a section at a time. */
export async function* writeSnapshot(source: SnapshotSource): AsyncGenerator<Uint8Array, void, undefined> {
  const { core, policy, maxEntries, maxBytes, values, codec, clock, provenance } = source
  const sections = new SnapshotWriter()
  const startedAt = source.now()
  yield sections.begin({
    wallMs: clock.wallNow(),
    policy,
    policyMemory: core.policyMemory,
    maxEntries,
    maxBytes,
    values,
    codec: nameOf(codec),
    of: provenance?.of ?? '',
    // Before the first entry is written: what is heard later is heard of entries as they are written then.
    heard: provenance?.heard() ?? [],
  })
  const { slots, generations, count } = await orderOf(source)
  const entries = new EntryWriter(codec)
  let written = 0
  let left = TURN
  // As in `takeIn`, one reading of the clock serves a turn.
  let now = source.now()
  for (let at = count - 1; at >= 0; at--) {
    if (--left === 0) {
      left = TURN
      await source.nextTurn()
      now = source.now()
    }
    const slot = slots[at] as number
    if (!source.isGood(slot, generations[at] as number, now)) continue
    if (!entries.add(source, slot, startedAt)) continue
    written++
    if (entries.length >= SECTION_BYTES) {
      yield sections.entries(entries.bytes, entries.length)
      entries.length = 0
      left = TURN
      await source.nextTurn()
      now = source.now()
    }
  }
  if (entries.length > 0) yield sections.entries(entries.bytes, entries.length)
  yield sections.end(written)
}

interface Order {
  readonly slots: Uint32Array
  readonly generations: Uint32Array
  readonly count: number
}

/**
 * The entries from the hottest on. Between two turns entries move: one that was passed may be met again, and is known
 * by then; one that moved to the front before it was reached is met by the second walk.
 */
async function orderOf({ core, maxEntries, nextTurn }: SnapshotSource): Promise<Order> {
  const capacity = core.size
  const slots = new Uint32Array(capacity)
  const generations = new Uint32Array(capacity)
  const seen = new Uint8Array(maxEntries)
  let count = 0
  for (let walk = 0; walk < 2; walk++) {
    const found: number[] = []
    let slot = core.nextOlder(-1)
    let generation = slot === -1 ? 0 : core.generationOf(slot)
    for (let left = WALK_TURN; slot !== -1; ) {
      if (seen[slot] === 0) {
        seen[slot] = 1
        found.push(slot)
      }
      if (--left === 0) {
        left = WALK_TURN
        await nextTurn()
        // The way on begins at this entry; if it has left, at the front, over what is known already.
        if (core.generationOf(slot) !== generation) slot = -1
      }
      slot = core.nextOlder(slot)
      generation = slot === -1 ? 0 : core.generationOf(slot)
    }
    // What the second walk finds was used since the first began, so it is hotter than all the others.
    const room = Math.min(found.length, capacity - count)
    slots.copyWithin(room, 0, count)
    generations.copyWithin(room, 0, count)
    for (let at = 0; at < room; at++) {
      slots[at] = found[at] as number
      generations[at] = core.generationOf(found[at] as number)
    }
    count += room
  }
  return { slots, generations, count }
}

/** Entries one behind the other in an array that grows. */
class EntryWriter {
  readonly #codec: Codec
  readonly #encoder = new TextEncoder()
  bytes: Uint8Array = new Uint8Array(SECTION_BYTES + 4_096)
  #view = new DataView(this.bytes.buffer)
  length = 0

  constructor(codec: Codec) {
    this.#codec = codec
  }

  /** Answers `false`, with nothing written, for a value that has no bytes and an entry that is not to be saved. */
  add(source: SnapshotSource, slot: number, startedAt: number): boolean {
    const { core, provenance } = source
    const note = provenance?.textOf(source.noteAt(slot))
    if (provenance !== undefined && note === undefined) return false
    const start = this.length
    const keyBytes = core.keyBytesOf(slot)
    const usableFor = core.usableUntilOf(slot) - startedAt
    const freshFor = core.freshUntilOf(slot) - startedAt
    const ttlMs = source.ttlAt(slot)
    const isTimed = usableFor !== Infinity || freshFor !== Infinity
    const noteBytes = note === undefined || note === '' ? undefined : this.#encoder.encode(note)
    this.#reserve(ENTRY_HEAD_BYTES + 32 + (noteBytes?.length ?? 0) + keyBytes)
    let at = start + ENTRY_HEAD_BYTES
    let form = core.keyFormOf(slot)
    if (isTimed) {
      form |= HAS_TIMES
      this.#view.setFloat64(at, freshFor, true)
      this.#view.setFloat64(at + 8, usableFor, true)
      at += 16
    }
    if (ttlMs !== undefined) {
      form |= HAS_TTL
      this.#view.setFloat64(at, ttlMs, true)
      at += 8
    }
    if (noteBytes !== undefined) {
      form |= HAS_NOTE
      this.#view.setUint32(at, noteBytes.length, true)
      this.bytes.set(noteBytes, at + 4)
      at += 4 + noteBytes.length
    }
    const partition = core.partitionOf(slot)
    if (partition >= 0) {
      form |= HAS_PARTITION
      this.#view.setUint32(at, partition, true)
      at += 4
    }
    core.copyKey(slot, this.bytes, at)
    this.length = at + keyBytes
    const kind = this.#addValue(source.valueAt(slot))
    if (kind === undefined) {
      this.length = start
      return false
    }
    this.#view.setUint32(start, (form | (kind << KIND_SHIFT)) >>> 0, true)
    this.#view.setUint32(start + 4, this.length - at - keyBytes, true)
    this.#view.setUint32(start + 8, core.policyStateOf(slot), true)
    return true
  }

  /** The kind of the value; `undefined` when the codec refuses it. */
  #addValue(value: unknown): number | undefined {
    if (typeof value === 'string') return this.#addText(value)
    if (typeof value === 'number') {
      this.#reserve(8)
      this.#view.setFloat64(this.length, value, true)
      this.length += 8
      return NUMBER
    }
    let coded: Uint8Array
    try {
      coded = this.#codec.encode(value)
    } catch {
      return undefined
    }
    this.#reserve(coded.length)
    this.bytes.set(coded, this.length)
    this.length += coded.length
    return CODED
  }

  #addText(text: string): number {
    this.#reserve(2 * text.length)
    const { bytes, length: start } = this
    let seen = 0
    for (let index = 0; index < text.length; index++) {
      const unit = text.charCodeAt(index)
      seen |= unit
      bytes[start + index] = unit
    }
    this.length = start + text.length
    if (seen <= 0xff) return LATIN1
    for (let index = 0; index < text.length; index++) {
      this.#view.setUint16(start + 2 * index, text.charCodeAt(index), true)
    }
    this.length = start + 2 * text.length
    return TWO_BYTE
  }

  #reserve(count: number): void {
    if (this.length + count <= this.bytes.length) return
    const grown = new Uint8Array(Math.max(2 * this.bytes.length, this.length + count))
    grown.set(this.bytes.subarray(0, this.length))
    this.bytes = grown
    this.#view = new DataView(grown.buffer)
  }
}

/** Reads a snapshot and takes its entries in. Never rejects. */
export async function restoreSnapshot(
  target: SnapshotTarget,
  source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): Promise<RestoreOutcome> {
  let snapshot: WholeSnapshot | Refusal
  try {
    snapshot = await readSnapshot(source)
  } catch (error) {
    return { status: 'failed', error, entries: 0, leftOut: 0 }
  }
  if (typeof snapshot === 'string') return { status: snapshot, error: undefined, entries: 0, leftOut: 0 }
  const { policy, maxEntries, maxBytes, values, codec, of, heard } = snapshot.head
  const { provenance } = target
  const isOurs =
    of === (provenance?.of ?? '') &&
    policy === target.policy &&
    maxEntries === target.maxEntries &&
    maxBytes === target.maxBytes &&
    values === target.values &&
    codec === nameOf(target.codec)
  if (!isOurs) return { status: 'configuration', error: undefined, entries: 0, leftOut: 0 }
  if (provenance === undefined) return takeIn(target, snapshot, () => undefined)
  // JSON has `null` where there was nothing.
  const stampOf = await provenance.prove(heard.map((stamp) => stamp ?? undefined))
  if (stampOf === undefined) return { status: 'unproved', error: undefined, entries: 0, leftOut: 0 }
  return takeIn(target, snapshot, stampOf)
}

type StampOf = (partition: number) => CoreStamp | undefined

async function takeIn(
  target: SnapshotTarget,
  { head, sections }: WholeSnapshot,
  stampOf: StampOf,
): Promise<RestoreOutcome> {
  const elapsedMs = target.clock.wallNow() - head.wallMs
  if (!target.wasCleared && target.maxBytes === 0) target.core.adapt(head.policyMemory)
  let entries = 0
  let leftOut = 0
  let left = TURN
  // One reading of the clock serves a turn, which is short; a reading costs as much as a tenth of an entry.
  let now = target.now()
  for (const section of sections) {
    const reader = new EntryReader(section, target.codec)
    while (!reader.isAtEnd) {
      if (target.wasCleared) return { status: 'cleared', error: undefined, entries, leftOut }
      if (takeOne(target, reader, now, elapsedMs, stampOf)) entries++
      else leftOut++
      if (--left === 0) {
        left = TURN
        await target.nextTurn()
        now = target.now()
      }
    }
  }
  return { status: 'restored', error: undefined, entries, leftOut }
}

/** Takes the next entry in; `false` when it has expired, was overtaken or may have been, or is not for this codec. */
function takeOne(
  target: SnapshotTarget,
  reader: EntryReader,
  now: number,
  elapsedMs: number,
  stampOf: StampOf,
): boolean {
  const { core, provenance } = target
  reader.next()
  const { bytes, keyAt, keyForm } = reader
  if (reader.usableFor !== Infinity && (elapsedMs < 0 || reader.usableFor <= elapsedMs)) return false
  if (target.hasOvertaken && target.isOvertaken(core.keyIn(keyForm, bytes, keyAt))) return false
  const value = reader.value()
  if (value === undefined) return false
  const freshUntil = now + (reader.freshFor - elapsedMs)
  const usableUntil = now + (reader.usableFor - elapsedMs)
  if (reader.partition !== undefined) {
    const stamp = stampOf(reader.partition)
    if (stamp === undefined) return false
    core.stampNext(reader.partition, stamp.epochIndex, stamp.asOf, 0)
  }
  const note = reader.note === undefined ? undefined : provenance?.noteOf(reader.note)
  // What entries weigh may be counted otherwise now, so they come in as others do and what is known of them is not used.
  if (target.maxBytes !== 0)
    return target.put(core.keyIn(keyForm, bytes, keyAt), value, freshUntil, usableUntil, now, note)
  const answer = core.restore(
    {
      keyForm,
      freshUntil,
      usableUntil,
      policyState: reader.policyState,
    },
    bytes,
    keyAt,
    now,
  )
  if (answer < 0) return false
  target.keep(answer >> 3, value, reader.ttlMs, usableUntil, note)
  return true
}

/** The engine's own way from bytes to text, where there is one: several times as fast as the portable one. */
interface Latin1Bytes {
  latin1Slice(start: number, end: number): string
}

const decoder = new TextDecoder()

/** Walks through the entries of a section. */
class EntryReader {
  readonly bytes: Uint8Array
  readonly #view: DataView
  readonly #codec: Codec
  readonly #latin1: Latin1Bytes | undefined
  #at = 0
  #kind = 0
  #valueAt = 0

  keyForm = 0
  keyAt = 0
  policyState = 0
  freshFor = 0
  usableFor = 0
  ttlMs: number | undefined
  note: string | undefined
  /** `undefined` for an entry that nobody orders. */
  partition: number | undefined

  constructor(section: Uint8Array, codec: Codec) {
    this.bytes = section
    this.#view = new DataView(section.buffer, section.byteOffset, section.length)
    this.#codec = codec
    const { Buffer } = globalThis as unknown as {
      Buffer?: { from(buffer: ArrayBufferLike, at: number, length: number): Latin1Bytes }
    }
    this.#latin1 = Buffer?.from(section.buffer, section.byteOffset, section.length)
  }

  get isAtEnd(): boolean {
    return this.#at >= this.bytes.length
  }

  next(): void {
    const view = this.#view
    const at = this.#at
    const word = view.getUint32(at, true)
    const valueBytes = view.getUint32(at + 4, true)
    this.policyState = view.getUint32(at + 8, true)
    this.keyForm = word & FORM
    this.#kind = word >>> KIND_SHIFT
    let next = at + ENTRY_HEAD_BYTES
    this.freshFor = this.usableFor = Infinity
    if (word & HAS_TIMES) {
      this.freshFor = view.getFloat64(next, true)
      this.usableFor = view.getFloat64(next + 8, true)
      next += 16
    }
    this.ttlMs = undefined
    if (word & HAS_TTL) {
      this.ttlMs = view.getFloat64(next, true)
      next += 8
    }
    this.note = undefined
    if (word & HAS_NOTE) {
      const length = view.getUint32(next, true)
      this.note = decoder.decode(this.bytes.subarray(next + 4, next + 4 + length))
      next += 4 + length
    }
    this.partition = undefined
    if (word & HAS_PARTITION) {
      this.partition = view.getUint32(next, true)
      next += 4
    }
    this.keyAt = next
    this.#valueAt = next + ((word & 0x1ffff) << ((word >>> 17) & 1))
    this.#at = this.#valueAt + valueBytes
  }

  /** The value of the entry; `undefined` when the codec refuses its bytes. */
  value(): unknown {
    const start = this.#valueAt
    const end = this.#at
    if (this.#kind === LATIN1) return this.#text(start, end)
    if (this.#kind === TWO_BYTE) return this.#wideText(start, end)
    if (this.#kind === NUMBER) return this.#view.getFloat64(start, true)
    try {
      // A copy: what a codec makes may be a view of the bytes it was given.
      return this.#codec.decode(this.bytes.slice(start, end))
    } catch {
      return undefined
    }
  }

  #text(start: number, end: number): string {
    if (this.#latin1 !== undefined) return this.#latin1.latin1Slice(start, end)
    return joined(this.bytes.subarray(start, end))
  }

  #wideText(start: number, end: number): string {
    // Not decoded as UTF-16, which would replace a lone surrogate.
    const units = new Uint16Array((end - start) >> 1)
    for (let index = 0; index < units.length; index++) {
      units[index] = this.#view.getUint16(start + 2 * index, true)
    }
    return joined(units)
  }
}

/** The text of `units`, some at a time: more would overflow the stack. */
function joined(units: Uint8Array | Uint16Array): string {
  let text = ''
  for (let at = 0; at < units.length; at += 4_096) {
    text += String.fromCharCode.apply(null, units.subarray(at, at + 4_096) as unknown as number[])
  }
  return text
}

function nameOf(codec: Codec): string {
  return `${codec.name} ${codec.id}`
}
