// What is known here of tags, and whether an entry that carries some may be used.
//
// An entry says up to which place in the order of tag invalidations everything was known when its load began. It is
// good when none of its tags was invalidated after that. So a load that an invalidation overtook needs no fence: what
// it brings is judged by the same comparison, wherever it was kept. No clock is in it.
//
// What is known comes from three sources. Own invalidations count from the moment they are called. With a bus those of
// others are heard, and then a tag that was asked for once is known until there is a gap; one that was not is asked for
// at the authority before an entry that carries it is used. Without a bus nobody tells, so for an entry that comes from
// a tier the authority is asked each time. Without an authority this process's own invalidations are all there is, in
// an order of its own, and entries of another process or an earlier run that carry tags are not used.
//
// A process that has not heard for longer than a lease knows nothing of tags, as of keys.

import type { Clock } from '../clock.ts'
import type { Message } from '../message.ts'
import { type Random, randomId } from '../random.ts'
import { isAtOrAfter, type Stamp } from '../stamp.ts'
import { type TagFate, type TagPlaces, TagTable } from '../tag-table.ts'
import type { Ledger, TagsReading } from '../tiers/ledger.ts'
import type { Guard } from './guard.ts'

/** What an entry says of its tags. */
export interface Tagged {
  readonly tags: readonly string[]
  /** Up to where invalidations were known when its load began, or when it was set. */
  readonly since: Stamp
}

/** May be used; only as a stale value; not at all. */
export type Verdict = 'good' | 'expired' | 'deleted'

/** Beside an L1 entry that carries tags: what was judged of it, and after how many changes. */
export interface TagMark extends Tagged {
  judgedAt: number
  verdict: Verdict
}

/** What tags are made of. */
export interface TagsParts {
  /** Who orders; `undefined` where nobody does. */
  readonly ledger: Ledger | undefined
  readonly guard: Guard | undefined
  readonly hasBus: boolean
  /** What the names of this cache's tags begin with at the authority. */
  readonly prefix: string
  readonly clock: Clock
  readonly random: Random
  /** How many tags are remembered. */
  readonly mostTags?: number
}

/** An invalidation that was called and has not settled. */
export interface PendingTags {
  end(): void
}

const MOST_TAGS = 16_384

/** Judges entries by their tags. */
export class Tags {
  readonly #ledger: Ledger | undefined
  readonly #guard: Guard | undefined
  readonly #hasBus: boolean
  readonly #prefix: string
  readonly #clock: Clock
  readonly #mostTags: number
  /** With a bus: of tags that were asked for. Without: of own invalidations. */
  readonly #table: TagTable
  /** With a bus: the floor of the authority when it was last asked. */
  #floor: Stamp | undefined
  /** The highest place that is known to be taken. */
  #place: Stamp | undefined
  #knownUntil = Number.NEGATIVE_INFINITY
  /** Raised by everything that may change a verdict; from 1, as L1 has 0 for what was never judged. */
  #changes = 1
  /** Raised when what was known is known no more. */
  #losses = 0
  readonly #pending = new Map<string, { how: TagFate; calls: number }>()
  readonly #doubts = new Map<string, { how: TagFate; serial: number }>()
  /** Writes that ask for their place at the moment. */
  readonly #writes = new Set<{ readonly names: ReadonlySet<string>; isOvertaken: boolean }>()
  readonly #asking = new Map<string, Promise<Map<string, TagPlaces>>>()
  /** What was heard of tags while they are asked for. */
  readonly #news = new Map<string, { how: TagFate; stamp: Stamp }[]>()

  constructor(parts: TagsParts) {
    this.#ledger = parts.ledger
    this.#guard = parts.guard
    this.#hasBus = parts.hasBus
    this.#prefix = parts.prefix
    this.#clock = parts.clock
    this.#mostTags = parts.mostTags ?? MOST_TAGS
    const nowhere = { partition: parts.ledger?.partitions ?? 0, epoch: 0, sequence: 0 }
    // An order of this process's own: its epoch is none that another process could have.
    const epoch = Number.parseInt(randomId(parts.random).slice(0, 13), 16) + 1
    if (parts.ledger === undefined) this.#place = { partition: 0, epoch, sequence: 0 }
    this.#table = new TagTable(this.#place ?? nowhere, this.#mostTags)
  }

  /** How often something changed that a verdict rests on. */
  get changes(): number {
    return this.#changes
  }

  /** The highest place in the order that was heard of. */
  get place(): Stamp | undefined {
    return this.#place
  }

  /** Tags whose last invalidation here was not taken, as far as anyone can tell. */
  get doubted(): ReadonlyMap<string, { readonly how: TagFate; readonly serial: number }> {
    return this.#doubts
  }

  /** The names of tags at the authority. */
  namesOf(tags: readonly string[]): string[] {
    return tags.map((tag) => this.#prefix + tag)
  }

  /**
   * Up to where invalidations are known for what begins now; it has to be asked for where nobody tells.
   *
   * @param tags - Those that are known already; for none the answer may be older than it need be.
   * @returns `undefined` when it can not be known; then what carries tags is kept nowhere.
   */
  begin(tags: readonly string[]): Stamp | undefined | Promise<Stamp | undefined> {
    if (tags.length === 0 || this.#ledger === undefined || this.#isTold()) return this.#place
    return this.#ask([]).then((reading) => reading?.asOf)
  }

  /**
   * The same for a value that is there already: an invalidation of its tags that is called here while its place is asked
   * for is newer than it, so then it has none.
   */
  beginWrite(tags: readonly string[]): Stamp | undefined | Promise<Stamp | undefined> {
    const known = this.begin(tags)
    if (!(known instanceof Promise)) return known
    const write = { names: new Set(this.namesOf(tags)), isOvertaken: false }
    this.#writes.add(write)
    return known
      .then((place) => (write.isOvertaken ? undefined : place))
      .finally(() => this.#writes.delete(write))
  }

  /** What is known here of an entry, without asking anyone. */
  glance(tagged: Tagged): Verdict | 'unknown' {
    return this.#weigh(tagged, undefined)
  }

  /** What is to be noted beside an L1 entry. */
  markOf(tagged: Tagged): TagMark {
    return { ...tagged, judgedAt: -1, verdict: 'good' }
  }

  /** The verdict over an L1 entry; costs a comparison while nothing changes. */
  verdictOf(mark: TagMark): Verdict | 'unknown' {
    if (mark.judgedAt === this.#changes) return mark.verdict
    const verdict = this.glance(mark)
    if (verdict === 'unknown') return verdict
    mark.judgedAt = this.#changes
    mark.verdict = verdict
    return verdict
  }

  /**
   * Judges entries that come from a tier, with at most one call of the authority.
   *
   * @param asksAnew - Whether what is known already does not count.
   */
  async judge(all: readonly Tagged[], asksAnew = false): Promise<Verdict[]> {
    const isKnown = (name: string): boolean =>
      this.#ledger === undefined ||
      (!asksAnew && this.#isTold() && this.#floor !== undefined && this.#table.has(name) && !ahead.has(name))
    const ahead = new Set(all.flatMap(({ since, tags }) => (this.#isAhead(since) ? this.namesOf(tags) : [])))
    const names = new Set(all.flatMap(({ tags }) => this.namesOf(tags)))
    const unknown = new Set([...names].filter((name) => !isKnown(name)))
    const told = unknown.size === 0 ? undefined : await this.#learn([...unknown])
    return all.map((tagged) => {
      const isUntold = this.namesOf(tagged.tags).some((name) => unknown.has(name) && !told?.has(name))
      const verdict = isUntold ? 'unknown' : this.#weigh(tagged, told)
      return verdict === 'unknown' ? 'deleted' : verdict
    })
  }

  /** An invalidation is called here: from now on nothing with these tags is answered that was there before. */
  call(tags: readonly string[], how: TagFate): PendingTags {
    const names = this.namesOf(tags)
    for (const name of names) {
      const pending = this.#pending.get(name)
      const isDelete = how === 'delete' || pending?.how === 'delete'
      this.#pending.set(name, { how: isDelete ? 'delete' : 'expire', calls: (pending?.calls ?? 0) + 1 })
      for (const write of this.#writes) if (write.names.has(name)) write.isOvertaken = true
    }
    this.#changes++
    return {
      end: () => {
        for (const name of names) {
          const pending = this.#pending.get(name)
          if (pending !== undefined && --pending.calls === 0) this.#pending.delete(name)
        }
        this.#changes++
      },
    }
  }

  /** An own invalidation where nobody orders. */
  order(tags: readonly string[], how: TagFate): void {
    const { partition, epoch, sequence } = this.#place as Stamp
    this.invalidated(this.namesOf(tags), how, { partition, epoch, sequence: sequence + 1 })
  }

  /** Names were invalidated at `stamp`, here or elsewhere. */
  invalidated(names: readonly string[], how: TagFate, stamp: Stamp): void {
    this.#reach(stamp)
    for (const name of names) {
      this.#news.get(name)?.push({ how, stamp })
      if (!this.#hasBus || this.#table.has(name)) this.#note(name, how, stamp)
    }
    this.#changes++
  }

  /** The order stands at `stamp`, and not all that led there was heard. */
  lost(stamp: Stamp): void {
    this.#reach(stamp)
    this.#table.reset(stamp)
    this.#floor = undefined
    this.#losses++
    this.#changes++
  }

  /**
   * The order goes on from `stamp`, which lies before what was heard. An entry whose load began beyond that is told of
   * nothing that comes now, and is good no more.
   */
  restart(stamp: Stamp): void {
    this.#place = stamp
    this.lost(stamp)
  }

  /** What is known is good until then, by the clock. */
  lease(until: number): void {
    this.#knownUntil = until
  }

  /** What a message says of this cache's tags; `false` when it says nothing. */
  hear({ op, keys, stamp }: Message): boolean {
    const names = keys.filter((name) => name.startsWith(this.#prefix))
    this.invalidated(names, op === 'delete-tags' ? 'delete' : 'expire', stamp)
    return names.length > 0
  }

  /**
   * Invalidation `serial` was not taken.
   *
   * @returns `false` when there are too many to remember them.
   */
  doubt(tags: readonly string[], how: TagFate, serial: number): boolean {
    for (const name of this.namesOf(tags)) {
      const isDelete = how === 'delete' || this.#doubts.get(name)?.how === 'delete'
      this.#doubts.set(name, { how: isDelete ? 'delete' : 'expire', serial })
    }
    this.#changes++
    if (this.#doubts.size <= this.#mostTags) return true
    this.#doubts.clear()
    return false
  }

  /** Invalidation `serial` was taken. */
  lift(names: readonly string[], how: TagFate, serial: number): void {
    for (const name of names) {
      const doubt = this.#doubts.get(name)
      if (doubt !== undefined && doubt.serial <= serial && (how === 'delete' || doubt.how === 'expire'))
        this.#doubts.delete(name)
    }
    this.#changes++
  }

  /** Everything was removed, so nothing from before is left to doubt. */
  liftAll(): void {
    this.#doubts.clear()
    this.#changes++
  }

  /** Whether every invalidation elsewhere is heard here. */
  #isTold(): boolean {
    return this.#hasBus && this.#place !== undefined && this.#clock.now() < this.#knownUntil
  }

  #reach(stamp: Stamp): void {
    if (this.#place === undefined || isAtOrAfter(stamp, this.#place)) this.#place = stamp
  }

  /** Whether an entry claims to know of more invalidations than were heard: the authority has to say if there are so many. */
  #isAhead(since: Stamp): boolean {
    return this.#hasBus && this.#place !== undefined && isBefore(this.#place, since)
  }

  #weigh(tagged: Tagged, readings: Map<string, TagPlaces> | undefined): Verdict | 'unknown' {
    const { since, tags } = tagged
    const isOwnOrder = this.#ledger === undefined
    if (isOwnOrder && since.epoch !== this.#place?.epoch) return 'deleted'
    const floor = this.#hasBus ? this.#floor : this.#table.floor
    if (floor !== undefined && isBefore(since, floor)) return 'deleted'
    const isAhead = this.#isAhead(since)
    if (isAhead && readings !== undefined) return 'deleted'
    let verdict: Verdict | 'unknown' = isAhead ? 'unknown' : 'good'
    for (const name of this.namesOf(tags)) {
      const called = this.#pending.get(name)?.how ?? this.#doubts.get(name)?.how
      const heard = this.#table.placesOf(name)
      const told = readings?.get(name)
      const isDeleted = isAfter(heard.deleted, since) || isAfter(told?.deleted, since)
      if (called === 'delete' || isDeleted) return 'deleted'
      if (called === 'expire' || isAfter(heard.expired, since) || isAfter(told?.expired, since)) {
        if (verdict === 'good') verdict = 'expired'
      } else if (this.#hasBus && told === undefined && (floor === undefined || !this.#table.has(name))) {
        verdict = 'unknown'
      }
    }
    return verdict
  }

  /** What the authority says of tags, asked once for each at a time; a tag of which it says nothing is missing. */
  async #learn(names: readonly string[]): Promise<Map<string, TagPlaces>> {
    const fresh = names.filter((name) => !this.#asking.has(name))
    if (fresh.length > 0) {
      const losses = this.#losses
      for (const name of fresh) this.#news.set(name, [])
      const answer = this.#ask(fresh).then((reading) => this.#take(fresh, reading, losses))
      for (const name of fresh) this.#asking.set(name, answer)
    }
    const told = new Map<string, TagPlaces>()
    const answers = names.map(async (name) => {
      const places = (await this.#asking.get(name))?.get(name)
      if (places !== undefined) told.set(name, places)
    })
    await Promise.all(answers)
    return told
  }

  /** Keeps what was learnt of tags, if it is still all there is to know. */
  #take(names: readonly string[], reading: TagsReading | undefined, losses: number): Map<string, TagPlaces> {
    const told = new Map<string, TagPlaces>()
    const isKept = this.#hasBus && losses === this.#losses
    for (const [at, name] of names.entries()) {
      const news = this.#news.get(name) ?? []
      this.#asking.delete(name)
      this.#news.delete(name)
      const places = reading?.tags[at]
      if (reading === undefined || places === undefined) continue
      // What lies under the floor was forgotten, with all that was ever said of it.
      told.set(name, { ...places, deleted: later(places.deleted, reading.floor) })
      if (!isKept) continue
      this.#table.keep(name, places)
      for (const { how, stamp } of news) this.#note(name, how, stamp)
    }
    if (reading !== undefined && isKept) this.#floor = reading.floor
    return told
  }

  #note(name: string, how: TagFate, stamp: Stamp): void {
    const known = this.#table.placesOf(name)[how === 'delete' ? 'deleted' : 'expired']
    if (known === undefined || !isAtOrAfter(known, stamp)) this.#table.invalidate([name], how, stamp)
  }

  async #ask(names: readonly string[]): Promise<TagsReading | undefined> {
    const ledger = this.#ledger
    if (ledger === undefined) return undefined
    const reading = await this.#guard?.attempt('readTags', () => ledger.readTags(names))
    if (reading !== undefined) this.#reach(reading.asOf)
    return reading
  }
}

function isBefore(place: Stamp, stamp: Stamp): boolean {
  return place.epoch === stamp.epoch ? place.sequence < stamp.sequence : place.epoch < stamp.epoch
}

function isAfter(place: Stamp | undefined, stamp: Stamp): boolean {
  return place !== undefined && isBefore(stamp, place)
}

function later(place: Stamp | undefined, other: Stamp): Stamp {
  return place === undefined || isBefore(place, other) ? other : place
}
