// The copies that this process keeps, L1 and the tiers nearer than the authority, and when they may be used.
//
// With a bus every L1 entry carries a stamp: up to where in its partition's order it is known to be current.
// The core compares it, in the same crossing that finds the entry, with what was heard of the partition; so
// a gap, a new epoch or a lost connection makes any number of entries suspect in one step, without a scan.
// A suspect entry is no answer: the authority is asked, and what it says is put back with a newer stamp.

import type { Clock } from '../clock.ts'
import { type Lifetime, staleMsOf } from '../entry.ts'
import { type Key, type KeyScope, l1KeyOfStored } from '../key.ts'
import { type CoreStamp, FRESH, type L1, STALE, SUSPECT } from '../l1/l1.ts'
import type { Stamp } from '../stamp.ts'
import type { Invalidations } from './invalidations.ts'
import type { Validators } from './loading.ts'
import type { TagMark, Tags, Verdict } from './tags.ts'

/** An answer of L1 has its state in these bits. */
const STATE_BITS = 7

/**
 * What is noted in L1 beside a value that has more to say than its times. An entry that is to be renewed before its
 * end is fresh to the core only until then, so that a hit pays nothing for the question; the rest is here.
 */
export interface Note {
  /** How long before its end the entry stops being fresh to the core. */
  readonly aheadMs: number
  /** For XFetch: `beta` times how long the load took; `0` renews at once when `aheadMs` is reached. */
  readonly spreadMs: number
  readonly validators: Validators | undefined
  /** For an entry that carries tags. */
  readonly mark?: TagMark | undefined
}

/** What to note beside a value that carries tags, if it does. */
export function marked(note: Note | undefined, mark: TagMark | undefined): Note | undefined {
  if (mark === undefined) return note
  return { aheadMs: 0, spreadMs: 0, validators: undefined, ...note, mark }
}

/** A value that L1 has, and for how long it has been stale; less than zero: it is fresh. */
export interface HeldValue {
  readonly value: unknown
  readonly staleForMs: number
  /** By the cache's clock; in the future while it is fresh. Unlike `staleForMs` it stays right while something is awaited. */
  readonly staleSince: number
  /** By the cache's clock; `Infinity` for ever. */
  readonly freshUntil: number
  readonly usableUntil: number
  readonly note: Note | undefined
}

/** What a cache is made of that copies need. */
export interface CopiesParts {
  readonly l1: L1<unknown> | undefined
  readonly invalidations: Invalidations
  readonly tags: Tags
  readonly hasBus: boolean
  readonly clock: Clock
  readonly scope: KeyScope
}

/** Of so many prefixes it is known when L1 was walked over for them. */
const MOST_WALKS = 256

/** The first level, and judgement over nearer tiers. */
export class Copies {
  readonly #l1: L1<unknown> | undefined
  readonly #invalidations: Invalidations
  readonly #tags: Tags
  /** Whether L1 ever held an entry that carries tags. */
  #hasMarks = false
  /** How often something was put into L1 that is not of the cache's own version. */
  #puts = 0
  /** By prefix: `#puts` at the last walk over L1. */
  readonly #walkedAt = new Map<string, number>()
  readonly #hasBus: boolean
  readonly #clock: Clock
  readonly #scope: KeyScope
  /** By partition: under which stamp entries are suspect, and the small number that stands for its epoch in L1. */
  readonly #floors: { stamp: Stamp; epochIndex: number }[] = []

  constructor(parts: CopiesParts) {
    this.#l1 = parts.l1
    this.#invalidations = parts.invalidations
    this.#tags = parts.tags
    this.#hasBus = parts.hasBus
    this.#clock = parts.clock
    this.#scope = parts.scope
    if (parts.hasBus) this.lease(Number.NEGATIVE_INFINITY)
  }

  /**
   * The fresh value in L1, as a use of it.
   *
   * @param takesDue - Whether one will do that is due to be renewed before its end.
   */
  hit(l1Key: Key, takesDue: boolean): unknown {
    const l1 = this.#l1
    if (l1 === undefined) return undefined
    // Reading the clock costs as much as finding the entry; without deadlines and lease nothing asks for it.
    const now = this.#hasBus || l1.isTimed ? this.#clock.now() : 0
    const answer = l1.look(l1Key, now)
    if (answer < 0) return undefined
    if (this.#hasMarks && l1.checkAt(answer) !== this.#tags.changes && !this.#isGood(l1, answer))
      return undefined
    if ((answer & STATE_BITS) === FRESH) return l1.valueAt(answer)
    if (!takesDue || (answer & STATE_BITS) !== STALE) return undefined
    const note = l1.noteAt(answer) as Note | undefined
    const isFresh = note !== undefined && now < l1.timesAt(answer).freshUntil + note.aheadMs
    return isFresh ? l1.valueAt(answer) : undefined
  }

  /** The fresh or stale value in L1, without counting as a use. */
  held(l1Key: Key): HeldValue | undefined {
    const l1 = this.#l1
    if (l1 === undefined) return undefined
    const now = this.#clock.now()
    const answer = l1.glance(l1Key, now)
    if (answer < 0 || (answer & STATE_BITS) === SUSPECT) return undefined
    const note = l1.noteAt(answer) as Note | undefined
    const verdict = this.#verdictOf(note)
    if (verdict === 'deleted' || verdict === 'unknown') return undefined
    const times = l1.timesAt(answer)
    const freshUntil = times.freshUntil + (note?.aheadMs ?? 0)
    const staleForMs = verdict === 'expired' ? Math.max(now - freshUntil, 0) : now - freshUntil
    return {
      value: l1.valueAt(answer),
      staleForMs,
      staleSince: now - staleForMs,
      freshUntil,
      usableUntil: times.usableUntil,
      note,
    }
  }

  /** Whether L1 may hold entries that carry tags. */
  get hasMarks(): boolean {
    return this.#hasMarks
  }

  /** What an L1 entry says of its tags, if that is all that keeps it from being an answer: it cannot be judged here. */
  unjudged(l1Key: Key): TagMark | undefined {
    const l1 = this.#l1
    if (l1 === undefined || !this.#hasMarks) return undefined
    const answer = l1.glance(l1Key, this.#clock.now())
    if (answer < 0 || (answer & STATE_BITS) === SUSPECT) return undefined
    const note = l1.noteAt(answer) as Note | undefined
    return this.#verdictOf(note) === 'unknown' ? note?.mark : undefined
  }

  /** Up to where the entry is known to be current that L1 would answer with; `undefined` when it has none. */
  asOf(l1Key: Key, partition: number): Stamp | undefined {
    const answer = this.#l1?.glance(l1Key, this.#clock.now()) ?? -1
    const epoch = this.#floors[partition]?.stamp.epoch
    if (this.#l1 === undefined || answer < 0 || epoch === undefined) return undefined
    if ((answer & STATE_BITS) === SUSPECT) return undefined
    return { partition, epoch, sequence: this.#l1.asOfAt(answer) }
  }

  /**
   * Puts a value into L1. With a bus it needs a stamp of the present epoch: without one nobody could tell when it is
   * old, so then L1 has nothing under the key.
   */
  put(
    l1Key: Key,
    value: unknown,
    freshUntil: number,
    usableUntil: number,
    asOf: Stamp | undefined,
    note?: Note,
  ): void {
    const l1 = this.#l1
    if (l1 === undefined) return
    if (this.#hasBus) {
      const stamp = asOf === undefined ? undefined : this.stampOf(asOf)
      if (asOf === undefined || stamp === undefined) {
        l1.drop(l1Key)
        return
      }
      l1.stampNext(asOf.partition, stamp.epochIndex, stamp.asOf, 0)
    }
    if (note !== undefined) this.expect(note)
    if (typeof l1Key === 'string' && l1Key.charCodeAt(0) === 0) this.#puts++
    l1.put(l1Key, value, freshUntil - (note?.aheadMs ?? 0), usableUntil, this.#clock.now(), note)
  }

  /** How L1 is told that an entry is current up to `stamp`; `undefined` when that is not of the present epoch. */
  stampOf({ partition, epoch, sequence }: Stamp): CoreStamp | undefined {
    const floor = this.#floors[partition]
    return floor?.stamp.epoch === epoch ? { epochIndex: floor.epochIndex, asOf: sequence } : undefined
  }

  /** An entry with this note comes into L1. */
  expect(note: Note): void {
    if (note.mark !== undefined) this.#hasMarks = true
  }

  /** Puts a value into L1 for a whole life from now on. */
  keep(l1Key: Key, value: unknown, lifetime: Lifetime, asOf: Stamp | undefined, note?: Note): void {
    const freshUntil = this.#clock.now() + lifetime.ttlMs
    this.put(l1Key, value, freshUntil, freshUntil + staleMsOf(lifetime), asOf, note)
  }

  /** Makes a key of L1 invisible until it is put again: a mutation of it is pending. */
  hide(l1Key: Key): void {
    this.#l1?.hide(l1Key)
  }

  /** Removes a key from L1. */
  drop(l1Key: Key): void {
    this.#l1?.drop(l1Key)
  }

  /** Removes everything from L1. */
  clear(): void {
    this.#l1?.clear()
  }

  /**
   * Removes from L1 what belongs to a namespace. Walks over its entries, unless nothing that may be among them was put
   * there since the last walk: a clear is told once for each partition.
   */
  dropUnder(prefix: string): void {
    if (this.#l1 === undefined || this.#walkedAt.get(prefix) === this.#puts) return
    const start = `\0${prefix}`
    this.#l1.dropWhere((key) => typeof key === 'string' && key.startsWith(start))
    // Bounded: to forget costs a walk.
    if (this.#walkedAt.size >= MOST_WALKS) this.#walkedAt.clear()
    this.#walkedAt.set(prefix, this.#puts)
  }

  /** A namespace was cleared at `stamp`: no older copy of its partition in a tier is good. */
  noteUnder(prefix: string, stamp: Stamp): void {
    this.#invalidations.noteUnder(prefix, stamp)
  }

  /** A key was changed at `stamp`: no older copy of it is good. */
  note(stored: string, stamp: Stamp): void {
    this.#invalidations.note(stored, stamp)
  }

  /** Something newer of a key is known than its copies from up to `asOf`. */
  surpass(stored: string, asOf: Stamp): void {
    this.#invalidations.surpass(stored, asOf)
  }

  /** Another process changed a key at `stamp`. Returns the key as L1 knows it. */
  invalidate(stored: string, stamp: Stamp): Key {
    this.#invalidations.note(stored, stamp)
    const l1Key = l1KeyOfStored(this.#scope, stored)
    this.#l1?.drop(l1Key)
    return l1Key
  }

  /**
   * Every copy of the partition that is older than `stamp`, or of another epoch, is suspect.
   *
   * @returns Where that limit was before; `undefined` when there was none, or in another epoch.
   */
  suspect(stamp: Stamp): Stamp | undefined {
    const floor = this.#floors[stamp.partition]
    const isSameEpoch = floor?.stamp.epoch === stamp.epoch
    if (isSameEpoch && floor.stamp.sequence >= stamp.sequence) return floor.stamp
    const epochIndex = floor === undefined ? 1 : floor.epochIndex + (isSameEpoch ? 0 : 1)
    this.#setFloor(stamp, epochIndex)
    return isSameEpoch ? floor.stamp : undefined
  }

  /** The order of a partition goes on from `stamp`, which lies before `heard`: none of its copies is good. */
  restart(stamp: Stamp, heard: Stamp): void {
    this.#setFloor(stamp, (this.#floors[stamp.partition]?.epochIndex ?? 0) + 1)
    // Copies in tiers are judged by their number alone, so all have to be older than what was heard.
    const isSameEpoch = heard.epoch === stamp.epoch
    if (isSameEpoch) this.#invalidations.setFloor({ ...stamp, sequence: heard.sequence + 1 })
  }

  /** Takes back `suspect(stamp)`, if nothing was made suspect since: the limit is `earlier` again. */
  absolve(stamp: Stamp, earlier: Stamp): void {
    const floor = this.#floors[stamp.partition]
    if (floor?.stamp === stamp) this.#setFloor(earlier, floor.epochIndex)
  }

  /** Copies are good until then, by the clock; with a bus they never are without a lease. */
  lease(until: number): void {
    this.#l1?.setLease(until)
    this.#invalidations.lease(until)
    this.#tags.lease(until)
  }

  /** Judges an entry by its tags, and has L1 remember that it is good until anything changes: a hit asks no more. */
  #isGood(l1: L1<unknown>, answer: number): boolean {
    if (this.#verdictOf(l1.noteAt(answer) as Note | undefined) !== 'good') return false
    l1.checked(answer, this.#tags.changes)
    return true
  }

  #verdictOf(note: Note | undefined): Verdict | 'unknown' {
    return note?.mark === undefined ? 'good' : this.#tags.verdictOf(note.mark)
  }

  #setFloor(stamp: Stamp, epochIndex: number): void {
    this.#floors[stamp.partition] = { stamp, epochIndex }
    this.#l1?.setPartition(stamp.partition, epochIndex, stamp.sequence)
    this.#invalidations.setFloor(stamp)
  }
}
