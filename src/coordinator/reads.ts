// What may answer a read. L1 first, then the tiers from the nearest to the farthest, then the loader; the first usable
// answer wins. Before anything below L1 is asked, what is pending here is waited for and what is in doubt is said again:
// each kind of read asks for that in a loop of its own, as there must be no turn between the last answer and the reading.

import type { Clock } from '../clock.ts'
import type { Lifetime } from '../entry.ts'
import { type Key, type KeyScope, l1KeyOf, partitionTextOf } from '../key.ts'
import type { Events } from '../metrics/events.ts'
import { lifetimeOf, type ResolvedCall, type Skip } from '../options.ts'
import type { Random } from '../random.ts'
import { isAtOrAfter, partitionOf } from '../stamp.ts'
import type { Auditor } from './audit.ts'
import type { Authority } from './authority.ts'
import { Batch, type BulkLoader } from './batch.ts'
import type { Copies } from './copies.ts'
import type { Delivery } from './delivery.ts'
import type { Doubts } from './doubts.ts'
import type { EntryView, Filling, Search } from './filling.ts'
import type { Hearing } from './hearing.ts'
import type { Life } from './life.ts'
import type { Loader } from './loading.ts'
import type { Ongoing } from './ongoing.ts'
import { isDue } from './renewal.ts'
import { passesCopies, type Searches } from './searches.ts'
import type { Place, Session } from './session.ts'
import type { Subject, Subjects } from './subject.ts'
import type { Tags } from './tags.ts'
import type { TierStack } from './tier-stack.ts'

/** What reads work with. */
export interface ReadsParts {
  readonly copies: Copies
  readonly stack: TierStack
  readonly tags: Tags
  readonly ongoing: Ongoing
  readonly doubts: Doubts
  readonly delivery: Delivery
  readonly filling: Filling
  readonly searches: Searches
  readonly hearing: Hearing
  readonly session: Session
  /** `undefined` where nothing is audited. */
  readonly auditor: Auditor | undefined
  readonly authority: Authority | undefined
  readonly subjects: Subjects
  readonly life: Life
  readonly clock: Clock
  readonly random: Random
  readonly events: Events
  /** Prefix and version of the cache itself. */
  readonly scope: KeyScope
  /** Nobody but L1 holds anything, and nobody tells: mutations take effect within the call. */
  readonly isAlone: boolean
}

/** No stored keys, which have a colon: what was tried for tags before a read. */
const TAGS_TRIED = 'tags tried'
const TAGS_ASKED = 'tags asked'

/** Answers reads. */
export class Reads {
  readonly #copies: Copies
  readonly #stack: TierStack
  readonly #tags: Tags
  readonly #ongoing: Ongoing
  readonly #doubts: Doubts
  readonly #delivery: Delivery
  readonly #filling: Filling
  readonly #searches: Searches
  readonly #hearing: Hearing
  readonly #session: Session
  readonly #auditor: Auditor | undefined
  readonly #authority: Authority | undefined
  readonly #subjects: Subjects
  readonly #life: Life
  readonly #clock: Clock
  readonly #random: Random
  readonly #events: Events
  readonly #scope: KeyScope
  readonly #isAlone: boolean

  constructor(parts: ReadsParts) {
    this.#copies = parts.copies
    this.#stack = parts.stack
    this.#tags = parts.tags
    this.#ongoing = parts.ongoing
    this.#doubts = parts.doubts
    this.#delivery = parts.delivery
    this.#filling = parts.filling
    this.#searches = parts.searches
    this.#hearing = parts.hearing
    this.#session = parts.session
    this.#auditor = parts.auditor
    this.#authority = parts.authority
    this.#subjects = parts.subjects
    this.#life = parts.life
    this.#clock = parts.clock
    this.#random = parts.random
    this.#events = parts.events
    this.#scope = parts.scope
    this.#isAlone = parts.isAlone
  }

  /**
   * The fresh value that L1 has for `key`, synchronously; `undefined` when it has none.
   *
   * @param takesDue - Whether one will do that is due to be renewed before its end.
   */
  hit(key: Key, scope: KeyScope, takesDue: boolean): unknown {
    if (this.#life.isClosed) return undefined
    const l1Key = l1KeyOf(this.#scope, scope, key)
    const value = this.#copies.hit(l1Key, takesDue)
    if (value === undefined) return undefined
    if (this.#auditor !== undefined) this.#auditor.hit(key, l1Key, scope)
    if (this.#events.hearsHits) this.#events.tell('entry.hit', { key, level: 'l1', stale: false })
    return value
  }

  /** The fresh value for `key` in any level. For keys that `hit` had nothing for. */
  async get(key: Key, scope: KeyScope, skip?: Skip): Promise<unknown> {
    const subject = this.#subjects.of(key, scope)
    if (this.#isAlone || skip === 'tiers') {
      if (this.#events.hears('entry.missed')) this.#events.tell('entry.missed', { key })
      return undefined
    }
    const tried = new Set<string>()
    const subjects = [subject]
    for (
      let before = this.#beforeReading(subjects, tried);
      before !== undefined;
      before = this.#beforeReading(subjects, tried)
    ) {
      await before
      // What was pending may have left its value in L1.
      const value = skip === undefined ? this.hit(key, scope, true) : undefined
      if (value !== undefined) return value
    }
    const view = await this.#read(subject, skip)
    return this.#isFresh(view) ? view.value : undefined
  }

  /** The fresh values for many keys, in the order of the keys, with one call to each tier. */
  async getMany(keys: readonly Key[], scope: KeyScope, skip?: Skip): Promise<Map<Key, unknown>> {
    const takesCopies = skip !== 'copies'
    const values = new Map<Key, unknown>()
    let missing: Subject[] = []
    for (const key of new Set(keys)) {
      const value = takesCopies ? this.hit(key, scope, true) : undefined
      if (value === undefined) missing.push(this.#subjects.of(key, scope))
      values.set(key, value)
    }
    const tried = new Set<string>()
    for (
      let before = this.#beforeReading(missing, tried);
      before !== undefined;
      before = this.#beforeReading(missing, tried)
    ) {
      await before
      missing = missing.filter(({ key }) => {
        const value = takesCopies ? this.hit(key, scope, true) : undefined
        values.set(key, value)
        return value === undefined
      })
    }
    const isRead = missing.length > 0 && skip !== 'tiers'
    const views = isRead ? await this.#filling.read(missing, skip) : []
    for (const [turn, { key }] of missing.entries()) {
      const view = views[turn]
      if (this.#isFresh(view)) values.set(key, view.value)
      else values.delete(key)
    }
    return values
  }

  /** The fresh value for `key`, or what `load` produces. For keys that `hit` had nothing for. */
  async getOrSet(key: Key, scope: KeyScope, load: Loader<unknown>, call: ResolvedCall): Promise<unknown> {
    const subject = this.#subjects.of(key, scope)
    const lifetime = lifetimeOf(call)
    const tried = new Set<string>()
    for (
      let before = this.#beforeReading([subject], tried);
      before !== undefined;
      before = this.#beforeReading([subject], tried)
    ) {
      await before
      const value = passesCopies(call) ? undefined : this.hit(key, scope, false)
      if (value !== undefined) return value
    }

    return this.#obtain(subject, load, call, lifetime, undefined)
  }

  /** As `getOrSet`, for many keys: one call of each tier, and one of `load` for the keys that nobody has. */
  async getOrSetMany(
    keys: readonly Key[],
    scope: KeyScope,
    load: BulkLoader<unknown>,
    call: ResolvedCall,
  ): Promise<{ values: Map<Key, unknown>; failed: Map<Key, unknown> }> {
    const lifetime = lifetimeOf(call)
    const distinct = [...new Set(keys)]
    const subjects = distinct.map((key) => this.#subjects.of(key, scope))
    const tried = new Set<string>()
    for (
      let before = this.#beforeReading(subjects, tried);
      before !== undefined;
      before = this.#beforeReading(subjects, tried)
    ) {
      await before
    }
    const batch = new Batch(load, (wanted, stored) =>
      this.#stack.read(wanted, stored, call.skip === 'copies'),
    )
    const answers = subjects.map(async (subject) => {
      const hit = passesCopies(call) ? undefined : this.hit(subject.key, scope, false)
      return hit ?? this.#obtain(subject, batch.loader, call, lifetime, batch)
    })
    batch.seal()
    const outcomes = await Promise.allSettled(answers)
    const values = new Map<Key, unknown>()
    const failed = new Map<Key, unknown>()
    for (const [turn, outcome] of outcomes.entries()) {
      const key = distinct[turn] as Key
      if (outcome.status === 'rejected') failed.set(key, outcome.reason)
      else if (outcome.value !== undefined) values.set(key, outcome.value)
    }
    return { values, failed }
  }

  /** What `getOrSet` answers when nothing is pending: from L1 with a refresh behind it, or from below. */
  #obtain(
    subject: Subject,
    load: Loader<unknown>,
    call: ResolvedCall,
    lifetime: Lifetime,
    batch: Batch | undefined,
  ): unknown {
    const { key } = subject
    const held = this.#copies.held(subject.l1Key)
    const search: Search = {
      subject,
      load,
      call,
      lifetime,
      held,
      leastFreshMs: call.isForced ? Number.POSITIVE_INFINITY : -call.staleWhileRevalidateMs,
      batch,
    }
    if (held === undefined || passesCopies(call)) return this.#searches.find(search)
    if (held.staleForMs < 0) {
      if (this.#events.hears('entry.hit')) this.#events.tell('entry.hit', { key, level: 'l1', stale: false })
      const isRenewed = isDue(held.note, -held.staleForMs, () => this.#random.next())
      if (isRenewed) this.#searches.refresh(search, held.note?.aheadMs ?? 0)
      return held.value
    }
    if (held.staleForMs < call.staleWhileRevalidateMs) {
      this.#filling.servedStale(key, 'l1')
      this.#searches.refresh(search, 0)
      return held.value
    }
    return this.#searches.find(search)
  }

  /** For how long the entry of `key` is fresh yet; `undefined` when it is not. */
  async freshMs(key: Key, scope: KeyScope): Promise<number | undefined> {
    const view = await this.entry(key, scope)
    return this.#isFresh(view) ? view.freshUntil - this.#clock.now() : undefined
  }

  /** The entry of `key` in the nearest level that has it, fresh or stale. */
  async entry(key: Key, scope: KeyScope): Promise<EntryView | undefined> {
    const subject = this.#subjects.of(key, scope)
    const tried = new Set<string>()
    for (
      let before = this.#beforeReading([subject], tried);
      before !== undefined;
      before = this.#beforeReading([subject], tried)
    ) {
      await before
    }
    const held = this.#copies.held(subject.l1Key)
    const now = this.#clock.now()
    const view = held && {
      ...held,
      // One whose tag has expired is stale before its time.
      freshUntil: held.staleForMs < 0 ? held.freshUntil : now - held.staleForMs,
      level: 'l1',
      tagged: held.note?.mark,
    }
    if (this.#isAlone || this.#isFresh(view)) return view
    return (await this.#read(subject, undefined)) ?? view
  }

  /** Whether copies of a key may be older than the places of a token. */
  isBehind(key: Key, scope: KeyScope, places: readonly Place[]): boolean {
    const ledger = this.#authority?.ledger
    if (ledger === undefined) return false
    const partition = partitionOf(partitionTextOf(this.#subjects.of(key, scope).stored), ledger.partitions)
    return places.some((place) => {
      const { stamp } = place
      if (stamp.partition !== partition && stamp.partition !== ledger.partitions) return false
      const heard = this.#hearing.inbound?.heard(stamp.partition)
      return !this.#session.isOwn(place) && (heard === undefined || !isAtOrAfter(heard, stamp))
    })
  }

  #isFresh(view: EntryView | undefined): view is EntryView {
    return view !== undefined && view.freshUntil > this.#clock.now()
  }

  #read(subject: Subject, skip: Skip | undefined): Promise<EntryView | undefined> {
    if (skip !== undefined) return this.#filling.readOne(subject, skip)
    return this.#ongoing.reads.run(subject.stored, () => this.#filling.readOne(subject))
  }

  /**
   * What has to be awaited before any level may answer; `undefined` when nothing has. Ask again afterwards, and begin
   * to read in the same turn in which there is nothing left (see `Marks.pendingOn`).
   *
   * @param tried - Keys in doubt about which the authority was asked already, for this read.
   */
  #beforeReading(subjects: readonly Subject[], tried: Set<string>): Promise<unknown> | undefined {
    const pending = this.#ongoing.marks.pendingOn(subjects.map(({ stored }) => stored))
    if (pending !== undefined) return pending
    if (this.#tags.doubted.size > 0 && !tried.has(TAGS_TRIED)) {
      tried.add(TAGS_TRIED)
      return this.#delivery.retryTags()
    }
    const marks = this.#copies.hasMarks
      ? subjects.flatMap(({ l1Key }) => this.#copies.unjudged(l1Key) ?? [])
      : []
    if (marks.length > 0 && !tried.has(TAGS_ASKED)) {
      tried.add(TAGS_ASKED)
      return this.#tags.judge(marks)
    }
    if (!this.#doubts.hasAny) return undefined
    const doubted = subjects.filter(({ stored }) => this.#doubts.has(stored) && !tried.has(stored))
    if (doubted.length === 0) return undefined
    for (const { stored } of doubted) tried.add(stored)
    return Promise.all(doubted.map((subject) => this.#delivery.retry(subject)))
  }
}
