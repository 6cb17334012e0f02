// All decisions: what may answer a read, what may be kept, in which order a mutation takes effect.
//
// A read asks L1, then the tiers from the nearest to the farthest, then the loader; the first usable answer
// wins and is copied into everything nearer. A mutation goes the other way (contracts: 3): it is pending
// from the moment of the call, so that no read here uses a copy and no load under way is kept; then whoever
// orders takes it; then copies follow; then it is no longer pending. A load that a mutation overtook is
// given to those who waited for it and kept nowhere.
//
// Parts know nothing of each other. L1 answers with a state, tiers with bytes, marks with yes or no; the
// branches are here, those of one look below L1 in filling.ts.

import type { Bus } from '../bus/bus.ts'
import type { Clock, Timer } from '../clock.ts'
import type { Codec } from '../codecs/codec.ts'
import { type Lifetime, shortened, staleMsOf } from '../entry.ts'
import { CacheError } from '../errors.ts'
import { checkKey, type Key, type KeyScope, l1KeyOf, partitionTextOf, storedKey } from '../key.ts'
import type { Message } from '../message.ts'
import type { Events, Level, MutationOp } from '../metrics/events.ts'
import type { ResolvedCall, Skip } from '../options.ts'
import type { Random } from '../random.ts'
import { isAtOrAfter, partitionOf, type Stamp } from '../stamp.ts'
import type { TagFate } from '../tag-table.ts'
import type { Mutation } from '../tiers/ledger.ts'
import { Alone } from './alone.ts'
import type { Authority } from './authority.ts'
import { Batch, type BulkLoader } from './batch.ts'
import { type Commit, Conditions, type Decided } from './conditions.ts'
import { type Copies, marked, type Note } from './copies.ts'
import type { Doubts } from './doubts.ts'
import { encodeEntry } from './envelope.ts'
import { Failures } from './failures.ts'
import {
  type EntryView,
  Filling,
  type FillingCounts,
  type Flown,
  type Search,
  type SearchNote,
  type Subject,
  serves,
} from './filling.ts'
import type { Guard } from './guard.ts'
import type { HoldOff } from './hold-off.ts'
import { Inbound, type InboundTarget } from './inbound.ts'
import { LoadSlots } from './load-slots.ts'
import { type Loader, timeoutOf } from './loading.ts'
import { Marks } from './marks.ts'
import type { Outbox, Queued } from './outbox.ts'
import { isDue, noteOf } from './renewal.ts'
import { Session } from './session.ts'
import { type Flight, SingleFlight } from './single-flight.ts'
import type { Tagged, Tags } from './tags.ts'
import { type Following, followingOf, type Outcome, type TierStack } from './tier-stack.ts'
import { LATE, within } from './waiting.ts'

/** What the coordinator works with, all wired. */
export interface CoordinatorParts {
  readonly copies: Copies
  readonly doubts: Doubts
  readonly stack: TierStack
  readonly tags: Tags
  readonly holdOff: HoldOff
  /** Where mutations wait that the authority does not take; `undefined` where they are refused. */
  readonly outbox: Outbox | undefined
  readonly authority: Authority | undefined
  readonly bus: Bus | undefined
  /** Guards the bus, where there is one. */
  readonly busGuard: Guard | undefined
  /** How long copies are good without proof that every mutation is heard. */
  readonly leaseMs: number
  readonly codec: Codec
  readonly clock: Clock
  readonly random: Random
  readonly events: Events
  /** Id of this cache among those that share the authority. */
  readonly origin: string
  /** Prefix and version of the cache itself. */
  readonly scope: KeyScope
  /** What the cache says of calls that say nothing. */
  readonly defaults: ResolvedCall
  /** How many loads may run at once. */
  readonly maxLoads: number
  /** How long `close` waits for refreshes. */
  readonly closeMs: number
  /** Told of each piece of work that goes on behind an answer; it never rejects. */
  readonly waitUntil: ((work: Promise<unknown>) => void) | undefined
}

/** What a conditional mutation does where L1 is all there is, and where somebody orders. */
interface DecideSteps<T> {
  alone(): T
  ask(commit: Commit): Promise<Decided<T>>
  /** Puts the value into L1 when it applied; without it the key is gone there. */
  install?(stamp: Stamp | undefined): void
}

interface Tagging {
  taggedAt(since: Stamp | undefined): Tagged | undefined
  noteAt(since: Stamp | undefined): Note | undefined
}

type KeyFollowing = Extract<Following, { key: string }>

/** Each is a number; a commit that has not taken effect after so many later failures will not. */
const MOST_UNSETTLED = 4_096
/** How often what waits is tried again. */
const DELIVERY_MS = 1_000
/** More tags than this are invalidated in several steps. */
const TAGS_PER_COMMIT = 64

/** A mutation that waited until the end; a key where it is about one. */
export interface Undelivered {
  readonly op: MutationOp
  readonly key: Key | undefined
}

/** Older than every place that an authority gives out. */
const BEFORE_ALL: Stamp = { partition: 0, epoch: 0, sequence: 0 }
/** No stored key, which has a colon: what was tried for tags before a read. */
const TAGS_TRIED = 'tags tried'
const TAGS_ASKED = 'tags asked'

/** The one who decides, for one cache. */
export class Coordinator implements InboundTarget {
  readonly #copies: Copies
  readonly #doubts: Doubts
  readonly #stack: TierStack
  readonly #tags: Tags
  readonly #holdOff: HoldOff
  readonly #outbox: Outbox | undefined
  readonly #session: Session
  #delivery: Timer | undefined
  readonly #authority: Authority | undefined
  readonly #inbound: Inbound | undefined
  readonly #codec: Codec
  readonly #clock: Clock
  readonly #random: Random
  readonly #events: Events
  readonly #closeMs: number
  readonly #waitUntil: ((work: Promise<unknown>) => void) | undefined
  readonly #origin: string
  readonly #scope: KeyScope
  /** Nobody but L1 holds anything, and nobody tells: mutations take effect within the call. */
  readonly #isAlone: boolean

  readonly #marks = new Marks()
  readonly #filling: Filling
  readonly #conditions: Conditions
  readonly #alone: Alone
  readonly #reads: SingleFlight
  readonly #flights: SingleFlight<SearchNote>
  readonly #failures: Failures
  readonly #retries: SingleFlight
  /** Mutations under way, for `close`. */
  readonly #work = new Set<Promise<unknown>>()
  /** Loads under way that go on behind an answer, for `close`. */
  readonly #behind = new Set<Promise<unknown>>()
  #serial = 0
  /** Own mutations whose commit was given up: they may still take effect, and are news then. */
  readonly #unsettled = new Set<number>()
  /** Own mutations on their way, and whether the bus has told of them. */
  readonly #underway = new Map<number, boolean>()
  #isClosed = false

  constructor(parts: CoordinatorParts) {
    this.#copies = parts.copies
    this.#doubts = parts.doubts
    this.#stack = parts.stack
    this.#tags = parts.tags
    this.#holdOff = parts.holdOff
    this.#outbox = parts.outbox
    // Twice, since a lease counts from when its proof was sent.
    this.#session = new Session(parts.clock, 2 * parts.leaseMs)
    this.#authority = parts.authority
    this.#codec = parts.codec
    this.#clock = parts.clock
    this.#random = parts.random
    this.#events = parts.events
    this.#closeMs = parts.closeMs
    this.#waitUntil = parts.waitUntil
    this.#origin = parts.origin
    this.#scope = parts.scope
    this.#isAlone = parts.stack.levels.length === 0 && parts.authority === undefined
    this.#failures = new Failures(parts.clock)
    this.#filling = new Filling({
      ...parts,
      marks: this.#marks,
      failures: this.#failures,
      slots: new LoadSlots(parts.maxLoads),
      heard: (stored) => this.#heard(stored),
      met: (stored, stamp, isFlight) => this.#met(stored, stamp, isFlight),
      forget: (stored) => this.#flights.forget(stored),
    })
    this.#conditions = new Conditions(parts.stack, parts.codec)
    this.#alone = new Alone(parts.copies)
    const joinableMs = parts.bus === undefined ? Number.POSITIVE_INFINITY : parts.leaseMs
    this.#reads = new SingleFlight(parts.clock, joinableMs)
    this.#flights = new SingleFlight(parts.clock, joinableMs)
    this.#retries = new SingleFlight(parts.clock, Number.POSITIVE_INFINITY)
    const { authority, bus, busGuard } = parts
    if (bus !== undefined && busGuard !== undefined && authority !== undefined) {
      this.#inbound = new Inbound({ ...parts, bus, guard: busGuard, ledger: authority.ledger, target: this })
    }
  }

  // Reads

  /**
   * The fresh value that L1 has for `key`, synchronously; `undefined` when it has none.
   *
   * @param takesDue - Whether one will do that is due to be renewed before its end.
   */
  hit(key: Key, scope: KeyScope, takesDue: boolean): unknown {
    if (this.#isClosed) return undefined
    const value = this.#copies.hit(l1KeyOf(this.#scope, scope, key), takesDue)
    if (value !== undefined && this.#events.hears('entry.hit')) {
      this.#events.tell('entry.hit', { key, level: 'l1', stale: false })
    }
    return value
  }

  /** The fresh value for `key` in any level. For keys that `hit` had nothing for. */
  async get(key: Key, scope: KeyScope, skip?: Skip): Promise<unknown> {
    const subject = this.#subject(key, scope)
    if (this.#isAlone || skip === 'tiers') {
      if (this.#events.hears('entry.missed')) this.#events.tell('entry.missed', { key })
      return undefined
    }
    const tried = new Set<string>()
    for (
      let before = this.#beforeReading([subject], tried);
      before !== undefined;
      before = this.#beforeReading([subject], tried)
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
      if (value === undefined) missing.push(this.#subject(key, scope))
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
    const subject = this.#subject(key, scope)
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
    const subjects = distinct.map((key) => this.#subject(key, scope))
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
    if (held === undefined || passesCopies(call)) return this.#find(search)
    if (held.staleForMs < 0) {
      if (this.#events.hears('entry.hit')) this.#events.tell('entry.hit', { key, level: 'l1', stale: false })
      const isRenewed = isDue(held.note, -held.staleForMs, () => this.#random.next())
      if (isRenewed) this.#refresh(search, held.note?.aheadMs ?? 0)
      return held.value
    }
    if (held.staleForMs < call.staleWhileRevalidateMs) {
      this.#filling.servedStale(key, 'l1')
      this.#refresh(search, 0)
      return held.value
    }
    return this.#find(search)
  }

  // Mutations

  /** Refuses what `set` would refuse before it does anything. */
  check(
    key: Key,
    scope: KeyScope,
    value: unknown,
    call: ResolvedCall,
  ): { subject: Subject; lifetime: Lifetime } {
    if (value === undefined) {
      throw new TypeError('value: undefined means that there is no entry; use delete, or null for "nothing"')
    }
    return { subject: this.#subject(key, scope), lifetime: lifetimeOf(call) }
  }

  /**
   * Stores `value` everywhere.
   *
   * @returns `false` when its ttl is 0: then the key is deleted.
   */
  async set(key: Key, scope: KeyScope, value: unknown, call: ResolvedCall): Promise<boolean> {
    const { subject, lifetime: named } = this.check(key, scope, value, call)
    if (named.ttlMs === 0) {
      await this.#delete(subject)
      return false
    }
    const lifetime = shortened(named, call.jitter, () => this.#random.next())
    const known = this.#tags.begin(call.tags)
    const { taggedAt, noteAt } = this.#tagging(call, lifetime)
    if (this.#isAlone) {
      this.#overtake(subject.stored)
      this.#copies.keep(subject.l1Key, value, lifetime, undefined, noteAt(known as Stamp))
      this.#committed('set', key)
      return true
    }
    const remainingMs = lifetime.ttlMs + staleMsOf(lifetime)
    const freshUntil = this.#clock.now() + lifetime.ttlMs
    const mutationAt = (since: Stamp | undefined): KeyFollowing => {
      const isKept = this.#stack.levels.length > 0
      const bytes = isKept
        ? encodeEntry(this.#codec, key, value, lifetime, taggedAt(since))
        : new Uint8Array(0)
      return { op: 'set', key: subject.stored, bytes, remainingMs }
    }
    // Where nobody tells, the place has to be asked for; the key is pending all the same, and what can not be written is
    // refused before that.
    const early = mutationAt(known instanceof Promise ? undefined : known)
    const changes = this.#tags.changes
    let since = known instanceof Promise ? undefined : known
    const mutation =
      known instanceof Promise
        ? known.then((place) => {
            // What was invalidated here meanwhile is newer than this value.
            since = changes === this.#tags.changes ? place : undefined
            return mutationAt(since)
          })
        : early
    await this.#mutate(subject, 'set', mutation, (stamp) =>
      this.#copies.put(
        subject.l1Key,
        value,
        freshUntil,
        freshUntil + staleMsOf(lifetime),
        stamp,
        noteAt(since),
      ),
    )
    return true
  }

  /** Removes `key` everywhere. Resolves to whether there was a live entry, as far as anyone here can tell. */
  delete(key: Key, scope: KeyScope): Promise<boolean> {
    return this.#delete(this.#subject(key, scope))
  }

  /** What an entry says of its tags, and what is noted beside it in L1, given up to where invalidations are known. */
  #tagging(call: ResolvedCall, lifetime: Lifetime): Tagging {
    const beside = noteOf(call.refreshAhead, lifetime.ttlMs, undefined, undefined)
    const taggedAt = (since: Stamp | undefined): Tagged | undefined =>
      call.tags.length === 0 ? undefined : { tags: call.tags, since: since ?? BEFORE_ALL }
    const noteAt = (since: Stamp | undefined): Note | undefined => {
      const tagged = taggedAt(since)
      return marked(beside, tagged && this.#tags.markOf(tagged))
    }
    return { taggedAt, noteAt }
  }

  /** Stores `value` if there is no fresh one. */
  add(key: Key, scope: KeyScope, value: unknown, call: ResolvedCall): Promise<boolean> {
    const { subject, lifetime: named } = this.check(key, scope, value, call)
    const lifetime = shortened(named, call.jitter, () => this.#random.next())
    const known = this.#tags.begin(call.tags)
    let since = known instanceof Promise ? undefined : known
    const { taggedAt, noteAt } = this.#tagging(call, lifetime)
    return this.#decide<boolean>('add', [subject], {
      alone: () => this.#alone.add(subject, value, lifetime, noteAt(since)),
      ask: async (commit) => {
        if (known instanceof Promise) since = await known
        return this.#conditions.add(subject, value, lifetime, taggedAt(since), commit)
      },
      install: (stamp) => {
        if (lifetime.ttlMs === 0) return
        this.#copies.keep(subject.l1Key, value, lifetime, stamp, noteAt(since))
      },
    })
  }

  /** Gives a fresh entry another ttl. Resolves to whether there was one. */
  touch(key: Key, scope: KeyScope, call: ResolvedCall): Promise<boolean> {
    const subject = this.#subject(key, scope)
    const lifetime = lifetimeOf(call)
    return this.#decide<boolean>('touch', [subject], {
      alone: () => this.#alone.touch(subject, lifetime),
      ask: (commit) => this.#conditions.touch(subject, lifetime, commit),
    })
  }

  /** Adds to a fresh integer. Resolves to the sum. */
  increment(key: Key, scope: KeyScope, delta: number): Promise<number> {
    const subject = this.#subject(key, scope)
    return this.#decide<number>('increment', [subject], {
      alone: () => this.#alone.increment(subject, delta),
      ask: (commit) => this.#conditions.increment(subject, delta, commit),
    })
  }

  /** Removes a fresh entry. Resolves to its value, or `undefined`. */
  take(key: Key, scope: KeyScope): Promise<unknown> {
    const subject = this.#subject(key, scope)
    return this.#decide<unknown>('delete', [subject], {
      alone: () => this.#alone.take(subject),
      ask: (commit) => this.#conditions.take(subject, commit),
    })
  }

  /** Makes a fresh entry stale. Resolves to whether there was one. */
  expire(key: Key, scope: KeyScope): Promise<boolean> {
    const subject = this.#subject(key, scope)
    return this.#decide<boolean>('expire', [subject], {
      alone: () => this.#alone.expire(subject),
      ask: (commit) => this.#conditions.expire(subject, commit),
    })
  }

  /** Puts a fresh entry under another version of its key. */
  async move(key: Key, scope: KeyScope, to: KeyScope): Promise<void> {
    const subject = this.#subject(key, scope)
    const target = this.#subject(key, to)
    await this.#decide<unknown>('move', [subject, target], {
      alone: () => this.#alone.move(subject, target),
      ask: (commit) => this.#conditions.move(subject, target, commit),
    })
  }

  /** For how long the entry of `key` is fresh yet; `undefined` when it is not. */
  async freshMs(key: Key, scope: KeyScope): Promise<number | undefined> {
    const subject = this.#subject(key, scope)
    const tried = new Set<string>()
    for (
      let before = this.#beforeReading([subject], tried);
      before !== undefined;
      before = this.#beforeReading([subject], tried)
    ) {
      await before
    }
    const held = this.#copies.held(subject.l1Key)
    if (held !== undefined && held.staleForMs < 0) return -held.staleForMs
    const view = this.#isAlone ? undefined : await this.#read(subject, undefined)
    return this.#isFresh(view) ? view.freshUntil - this.#clock.now() : undefined
  }

  /** Makes every entry that carries one of the tags stale, or unusable, everywhere. */
  async invalidateTagged(tags: readonly string[], how: TagFate): Promise<void> {
    this.#refuseIfClosed()
    if (tags.length === 0) return
    const serial = ++this.#serial
    const pending = this.#tags.call(tags, how)
    // Whoever asks from now on must not wait for something that began before.
    this.#flights.forgetAll()
    this.#reads.forgetAll()
    await this.#working(async () => {
      try {
        if (this.#authority === undefined) this.#tags.order(tags, how)
        else await this.#commitTags(this.#tags.namesOf(tags), how, serial)
        if (how === 'delete') this.#holdOff.note(this.#tags.namesOf(tags))
        this.#committed(`${how}-tags`, undefined)
      } catch (error) {
        if (!this.#tags.doubt(tags, how, serial)) this.#doubts.addAll(serial)
        if (!this.#waits(error, `${how}-tags`, undefined)) throw error
      } finally {
        pending.end()
      }
    })
  }

  /**
   * Removes every entry of this cache, in all versions.
   *
   * @param isRetry - Says again what was called before the mutations that wait.
   */
  async clear(isRetry = false): Promise<void> {
    this.#refuseIfClosed()
    const turn = this.#marks.mutateAll()
    const serial = ++this.#serial
    this.#flights.forgetAll()
    this.#reads.forgetAll()
    this.#copies.clear()
    const mutation: Following = { op: 'clear', prefix: this.#scope.prefix }
    await this.#working(async () => {
      try {
        await turn.ready
        const { stamp } = await this.#commit(mutation, serial)
        // Another process may yet copy, into a nearer tier that we share, what it loaded before.
        for (const stand of await this.#stack.standsForCopies()) this.#copies.suspect(stand)
        this.#doubts.liftAll(serial)
        this.#tags.liftAll()
        if (isRetry) this.#outbox?.each((stored) => this.#doubts.add(stored, serial))
        else this.#outbox?.clear()
        this.#holdOff.noteAll()
        await this.#stack.follow(mutation, stamp)
        if (this.#inbound !== undefined) {
          for (const stand of await this.#stack.stands()) this.#session.committed(stand, false)
        }
        this.#committed('clear', undefined)
      } catch (error) {
        this.#doubts.addAll(serial)
        if (!isRetry) this.#outbox?.clear()
        await this.#stack.follow(mutation, undefined)
        if (isRetry || !this.#waits(error, 'clear', undefined)) throw error
      } finally {
        turn.end()
      }
    })
  }

  /** What other processes have to have heard to know of everything that was committed here; see `isBehind`. */
  get token(): string {
    this.#refuseIfClosed()
    return this.#session.token
  }

  /** Whether copies of a key may be older than the places of a token. */
  isBehind(key: Key, scope: KeyScope, places: readonly Stamp[]): boolean {
    const ledger = this.#authority?.ledger
    if (ledger === undefined) return false
    const partition = partitionOf(partitionTextOf(this.#subject(key, scope).stored), ledger.partitions)
    return places.some((place) => {
      if (place.partition !== partition && place.partition !== ledger.partitions) return false
      const heard = this.#inbound?.heard(place.partition)
      return !this.#session.isOwn(place) && (heard === undefined || !isAtOrAfter(heard, place))
    })
  }

  /** Lets every tier reclaim what has expired. Resolves to how many entries that were; failures are events. */
  prune(): Promise<number> {
    this.#refuseIfClosed()
    return this.#stack.prune()
  }

  // Life

  /** Refuses new work, lets what is under way end, and closes bus and tiers. Resolves to what was not delivered. */
  async close(): Promise<readonly Undelivered[]> {
    if (this.#isClosed) return []
    await this.#deliver()
    this.#isClosed = true
    this.#delivery?.cancel()
    this.#filling.close()
    await Promise.allSettled([...this.#work])
    // A loader that never settles must not keep the process from ending.
    await within(Promise.allSettled([...this.#behind]), this.#closeMs, this.#clock)
    this.#filling.abandon()
    this.#copies.clear()
    const outcomes = await Promise.allSettled([this.#inbound?.close(), this.#stack.close()])
    const failed = outcomes.find((outcome) => outcome.status === 'rejected')
    if (failed !== undefined) throw failed.reason
    return this.#undelivered
  }

  /** What waits for the authority; `undefined` where nothing ever does. */
  get waiting(): { readonly size: number; readonly bytes: number } | undefined {
    if (this.#outbox === undefined) return undefined
    return { size: this.#undelivered.length, bytes: this.#outbox.bytes }
  }

  get counts(): FillingCounts {
    return this.#filling.counts
  }

  get isClosed(): boolean {
    return this.#isClosed
  }

  /** Whether the bus works, and why not; `undefined` without a bus. */
  get inbound(): { readonly isConnected: boolean; readonly error: unknown } | undefined {
    return this.#inbound
  }

  // What the bus tells (InboundTarget)

  dropKeys({ op, keys, stamp, origin, serial }: Message): void {
    for (const stored of keys) {
      if (!stored.startsWith(this.#scope.prefix)) continue
      this.#overtake(stored)
      // What others did may be older than what was called here; what was done here after all is not.
      if (origin === this.#origin) {
        this.#doubts.lift(stored, serial)
        if ((this.#outbox?.get(stored)?.serial ?? Number.POSITIVE_INFINITY) <= serial)
          this.#outbox?.remove(stored)
      }
      if (op === 'delete') this.#holdOff.note([stored])
      const key = this.#copies.invalidate(stored, stamp)
      if (this.#events.hears('entry.invalidated')) this.#events.tell('entry.invalidated', { key, origin })
    }
  }

  clearPrefix(prefix: string, stamp: Stamp, isNews: boolean): void {
    const own = this.#scope.prefix
    if (!own.startsWith(prefix) && !prefix.startsWith(own)) return
    // Loads were overtaken when it was called here, and what was called since comes after it.
    if (isNews) this.#holdOff.noteAll()
    if (isNews) this.suspect(stamp)
    else this.#copies.suspect(stamp)
  }

  invalidateTags(message: Message, isNews: boolean): void {
    const isOurs = this.#tags.hear(message)
    if (message.origin === this.#origin) {
      this.#tags.lift(message.keys, message.op === 'delete-tags' ? 'delete' : 'expire', message.serial)
    }
    if (!isOurs || !isNews) return
    if (message.op === 'delete-tags') this.#holdOff.note(message.keys)
    this.#flights.forgetAll()
    this.#reads.forgetAll()
  }

  isUnsettled(serial: number): boolean {
    if (this.#underway.has(serial)) this.#underway.set(serial, true)
    return this.#unsettled.has(serial)
  }

  suspect(stamp: Stamp): Stamp | undefined {
    if (stamp.partition === this.#authority?.ledger.partitions) {
      this.#tags.lost(stamp)
      return undefined
    }
    this.#marks.overtakeAll()
    this.#flights.forgetAll()
    this.#reads.forgetAll()
    return this.#copies.suspect(stamp)
  }

  restart(stamp: Stamp, heard: Stamp): void {
    if (stamp.partition === this.#authority?.ledger.partitions) {
      this.#tags.restart(stamp)
      return
    }
    this.#marks.overtakeAll()
    this.#flights.forgetAll()
    this.#reads.forgetAll()
    this.#copies.restart(stamp, heard)
  }

  absolve(stamp: Stamp, earlier: Stamp): void {
    this.#copies.absolve(stamp, earlier)
  }

  renewed(until: number): void {
    this.#copies.lease(until)
  }

  // Reading

  #isFresh(view: EntryView | undefined): view is EntryView {
    return view !== undefined && view.freshUntil > this.#clock.now()
  }

  #read(subject: Subject, skip: Skip | undefined): Promise<EntryView | undefined> {
    const read = async (): Promise<EntryView | undefined> => (await this.#filling.read([subject], skip))[0]
    return skip === undefined ? this.#reads.run(subject.stored, read) : read()
  }

  /** Finds or loads a value below L1, alone or with those who ask for it already. */
  async #find(search: Search): Promise<unknown> {
    const { call, held, subject } = search
    const joined = passesCopies(call) ? undefined : this.#flights.joinable(subject.stored, call.loadTimeoutMs)
    const flight = joined ?? this.#fly(search)
    try {
      const flown = await this.#arrival(flight, search, joined !== undefined)
      if (flown.refresh !== undefined) this.#refresh(search, flown.refresh.leastFreshMs)
      return flown.value
    } catch (error) {
      const stale = this.#standIn(flight, call)
      if (stale !== undefined) return this.#serve(subject.key, stale)
      // Nothing was read, as the cache or the tiers were in the way.
      if (flight.note.stale === undefined && held !== undefined && serves(held.staleForMs, call)) {
        return this.#serve(subject.key, { value: held.value, level: 'l1' })
      }
      if (call.fallback !== undefined) return call.fallback
      throw error
    }
  }

  /** What a flight brings, or the stale value when this caller has waited long enough. */
  async #arrival(flight: Flight<SearchNote>, { call, subject }: Search, isJoined: boolean): Promise<Flown> {
    const outcome = flight.outcome as Promise<Flown>
    const limitMs = isJoined ? call.loadTimeoutMs : Number.POSITIVE_INFINITY
    const beganAt = this.#clock.now()
    if (call.softLoadTimeoutMs < limitMs) {
      const early = await within(outcome, call.softLoadTimeoutMs, this.#clock)
      if (early !== LATE) return early
      await flight.note.isRead
      const stale = this.#standIn(flight, call)
      if (stale !== undefined) {
        this.#goesOn(outcome)
        const waitedMs = this.#clock.now() - beganAt
        if (this.#events.hears('load.outwaited')) {
          this.#events.tell('load.outwaited', { key: subject.key, waitedMs })
        }
        return { value: this.#serve(subject.key, stale), refresh: undefined }
      }
    }
    const flown = await within(outcome, limitMs - (this.#clock.now() - beganAt), this.#clock)
    if (flown !== LATE) return flown
    throw timeoutOf(subject.key, `a load that another caller began was waited for ${limitMs} ms`)
  }

  /** The stale value that a flight found, if it may stand in for what is being loaded. */
  #standIn({ note: { stale } }: Flight<SearchNote>, call: ResolvedCall): SearchNote['stale'] {
    return stale !== undefined && serves(this.#clock.now() - stale.since, call) ? stale : undefined
  }

  #serve(key: Key, stale: { readonly value: unknown; readonly level: Level }): unknown {
    this.#filling.servedStale(key, stale.level)
    return stale.value
  }

  /** Starts a search that later callers join. */
  #fly(search: Search): Flight<SearchNote> {
    const { stored } = search.subject
    // Whatever is being loaded already began earlier: it must not end up over what is loaded now.
    if (search.call.isForced) this.#marks.supersede(stored)
    return this.#flights.start(stored, searchNote(), (note) => this.#filling.fill(search, note))
  }

  /**
   * Loads behind an answer, unless a tier has something that is fresh for longer than `leastFreshMs`. A failure is an
   * event; the value goes on until its time is over.
   */
  #refresh(search: Search, leastFreshMs: number): void {
    const { key, stored } = search.subject
    if (this.#isClosed || this.#flights.has(stored) || this.#failures.get(stored) !== undefined) return
    if (this.#events.hears('refresh.started')) {
      const reason = leastFreshMs === 0 ? 'stale' : 'ahead'
      this.#events.tell('refresh.started', { key, reason })
    }
    // The one value that must not come out of a refresh is the stale one, for whatever reason.
    const call: ResolvedCall = {
      ...search.call,
      staleWhileRevalidateMs: 0,
      staleIfErrorMs: 0,
      fallback: undefined,
    }
    this.#goesOn(this.#fly({ ...search, call, leastFreshMs }).outcome)
  }

  /** `work` goes on behind an answer: `close` waits for it, and so does the platform where it has to be told. */
  #goesOn(work: Promise<unknown>): void {
    const done = work.then(
      () => {},
      () => {},
    )
    this.#behind.add(done)
    void done.then(() => this.#behind.delete(done))
    this.#waitUntil?.(done)
  }

  /**
   * What has to be awaited before any level may answer; `undefined` when nothing has. Ask again afterwards, and begin
   * to read in the same turn in which there is nothing left (see `Marks.pendingOn`).
   *
   * @param tried - Keys in doubt about which the authority was asked already, for this read.
   */
  #beforeReading(subjects: readonly Subject[], tried: Set<string>): Promise<unknown> | undefined {
    const pending = this.#marks.pendingOn(subjects.map(({ stored }) => stored))
    if (pending !== undefined) return pending
    if (this.#tags.doubted.size > 0 && !tried.has(TAGS_TRIED)) {
      tried.add(TAGS_TRIED)
      return this.#retryTags()
    }
    const marks = subjects.flatMap(({ l1Key }) => this.#copies.unjudged(l1Key) ?? [])
    if (marks.length > 0 && !tried.has(TAGS_ASKED)) {
      tried.add(TAGS_ASKED)
      return this.#tags.judge(marks)
    }
    const doubted = subjects.filter(({ stored }) => this.#doubts.has(stored) && !tried.has(stored))
    if (doubted.length === 0) return undefined
    for (const { stored } of doubted) tried.add(stored)
    return Promise.all(doubted.map((subject) => this.#retry(subject)))
  }

  // Writing

  async #delete(subject: Subject): Promise<boolean> {
    const held = (this.#copies.held(subject.l1Key)?.staleForMs ?? 0) < 0
    if (this.#isAlone) {
      this.#overtake(subject.stored)
      this.#copies.drop(subject.l1Key)
      this.#holdOff.note([subject.stored])
      this.#committed('delete', subject.key)
      return held
    }
    const existed = await this.#mutate(subject, 'delete', { op: 'delete', key: subject.stored }, undefined)
    return existed || (held && this.#stack.levels.length === 0)
  }

  /**
   * Says again, as a removal, what the authority did not take. Until it has, a value that is loaded here and stored
   * there could be followed by an older one that somebody else began to load before: nothing would be in between
   * that refuses it. When it fails again the key stays in doubt.
   */
  #retry(subject: Subject): Promise<unknown> {
    const isAll = this.#doubts.isAll
    const queued = this.#outbox?.get(subject.stored)
    const again = (): Promise<unknown> => {
      if (isAll) return this.clear(true)
      return queued === undefined ? this.#delete(subject) : this.#say(queued)
    }
    return this.#retries.run<unknown>(isAll ? '' : subject.stored, again).catch(() => {})
  }

  /** Says a mutation that waits. */
  #say({ mutation, calledAt, subject }: Queued): Promise<unknown> {
    const remainingMs = mutation.op === 'set' ? mutation.remainingMs - (this.#clock.now() - calledAt) : 0
    const said: KeyFollowing =
      mutation.op === 'set' && remainingMs > 0
        ? { ...mutation, remainingMs }
        : { op: 'delete', key: mutation.key }
    return this.#mutate(subject, said.op, said, undefined, true)
  }

  /**
   * Whether a mutation that failed waits for the authority instead; it does where that was chosen, and the authority is
   * the reason.
   */
  #waits(error: unknown, op: MutationOp, key: Key | undefined): boolean {
    if (this.#outbox === undefined || this.#isClosed) return false
    if (!(error instanceof CacheError) || error.code !== 'CACHE_TIER_FAILED') return false
    if (this.#events.hears('mutation.queued')) this.#events.tell('mutation.queued', { op, key })
    this.#deliverLater()
    return true
  }

  #deliverLater(): void {
    this.#delivery ??= this.#clock.setTimer(() => {
      this.#delivery = undefined
      void this.#working(() => this.#deliver())
    }, DELIVERY_MS)
  }

  /** Says what waits, in the order in which it was called, as far as the authority takes it. */
  async #deliver(): Promise<void> {
    if (this.#outbox === undefined) return
    if (this.#doubts.isAll) await this.#retries.run<unknown>('', () => this.clear(true)).catch(() => {})
    if (this.#tags.doubted.size > 0) await this.#retryTags()
    for (let next = this.#outbox.first; next !== undefined && !this.#doubts.isAll; ) {
      const queued = next
      try {
        await this.#retries.run<unknown>(queued.mutation.key, () => this.#say(queued))
      } catch {
        break
      }
      next = this.#outbox.first
    }
    if (this.#undelivered.length > 0 && !this.#isClosed) this.#deliverLater()
  }

  get #undelivered(): Undelivered[] {
    if (this.#outbox === undefined) return []
    return [
      ...(this.#doubts.isAll ? [{ op: 'clear' as const, key: undefined }] : []),
      ...[...this.#tags.doubted.values()].map(({ how }) => ({ op: `${how}-tags` as const, key: undefined })),
      ...this.#outbox.undelivered,
    ]
  }

  /** Says again, as they were called, the invalidations of tags that the authority did not take. */
  #retryTags(): Promise<unknown> {
    const retry = async (): Promise<void> => {
      const doubted = [...this.#tags.doubted]
      const prefixLength = this.#scope.prefix.length
      for (const how of ['expire', 'delete'] as const) {
        const tags = doubted.flatMap(([name, doubt]) => (doubt.how === how ? name.slice(prefixLength) : []))
        await this.invalidateTagged(tags, how)
      }
    }
    return this.#retries.run<unknown>(TAGS_TRIED, retry).catch(() => {})
  }

  async #commitTags(names: readonly string[], how: TagFate, serial: number): Promise<void> {
    for (let at = 0; at < names.length; at += TAGS_PER_COMMIT) {
      const portion = names.slice(at, at + TAGS_PER_COMMIT)
      const { place } = this.#tags
      const { stamp } = await this.#commit({ op: 'tags', tags: portion, how }, serial)
      // A place that was known before, and lies behind this one, was made up.
      if (stamp !== undefined && place !== undefined && isAtOrAfter(place, stamp)) this.#tags.restart(stamp)
      if (stamp !== undefined) this.#tags.invalidated(portion, how, stamp)
      this.#tags.lift(portion, how, serial)
    }
  }

  /** The four steps of a mutation: pending, commit, copies, no longer pending. */
  async #mutate(
    subject: Subject,
    op: 'set' | 'delete',
    called: KeyFollowing | Promise<KeyFollowing>,
    install: ((stamp: Stamp | undefined) => void) | undefined,
    isRetry = false,
  ): Promise<boolean> {
    const { key, l1Key, stored } = subject
    const turn = this.#marks.mutate(stored)
    const serial = ++this.#serial
    this.#flights.forget(stored)
    this.#reads.forget(stored)
    this.#failures.forget(stored)
    this.#copies.hide(l1Key)
    const remove: Following = { op: 'delete', key: stored }
    const calledAt = this.#clock.now()
    let isInstalled = false
    let mutation: KeyFollowing = remove
    return await this.#working(async () => {
      try {
        await turn.ready
        mutation = called instanceof Promise ? await called : called
        const committed = await this.#commit(mutation, serial)
        this.#doubts.lift(stored, serial)
        this.#outbox?.remove(stored)
        if (op === 'delete') this.#holdOff.note([stored])
        if (committed.stamp !== undefined) this.#copies.note(stored, committed.stamp)
        await this.#stack.follow(turn.isLatest() ? this.#aged(mutation, calledAt) : remove, committed.stamp)
        if (install !== undefined && turn.isLatest()) {
          install(committed.stamp)
          isInstalled = true
        }
        this.#committed(op, key)
        return committed.existed
      } catch (error) {
        this.#doubts.add(stored, serial)
        await this.#stack.follow(remove, undefined)
        if (isRetry || !this.#waits(error, op, key)) throw error
        // Without room for it, everything is cleared once the authority is back: coarser, never forgotten.
        if (this.#outbox?.add({ subject, mutation, serial, calledAt }) === false) this.#doubts.addAll(serial)
        return false
      } finally {
        if (!isInstalled) this.#copies.drop(l1Key)
        turn.end()
      }
    })
  }

  /**
   * A mutation that depends on what is there: the steps of `#mutate`, with a look and as many attempts as it takes in
   * place of one commit. It cannot be said again later, as its answer is what was asked for.
   */
  async #decide<T>(op: MutationOp, subjects: readonly Subject[], steps: DecideSteps<T>): Promise<T> {
    if (this.#isAlone) {
      for (const { stored } of subjects) this.#overtake(stored)
      const result = steps.alone()
      if (result !== false && result !== undefined) this.#committed(op, subjects[0]?.key)
      return result
    }
    // Before anything is asked: a part that refuses what it was never able to do has not failed.
    if (!this.#stack.canDecide) {
      throw new CacheError(
        'CACHE_NOT_SUPPORTED',
        `${op}: a bus orders the mutations of this cache and keeps no entries, so none can depend on what is there. Give the cache a tier over the same backend`,
        { key: subjects[0]?.key },
      )
    }
    const turns = subjects.map(({ stored }) => this.#marks.mutate(stored))
    for (const { l1Key, stored } of subjects) {
      this.#flights.forget(stored)
      this.#reads.forget(stored)
      this.#failures.forget(stored)
      this.#copies.hide(l1Key)
    }
    const isLatest = (): boolean => turns.every((turn) => turn.isLatest())
    let serial = 0
    let lost: unknown
    const commit = async (mutation: Mutation): Promise<Outcome> => {
      serial = ++this.#serial
      try {
        return await this.#commit(mutation, serial)
      } catch (error) {
        lost = error
        throw error
      }
    }
    let isInstalled = false
    const decided = await this.#working(async () => {
      try {
        for (const turn of turns) await turn.ready
        for (const { stored } of subjects) await this.#overcomeDoubt(stored, commit)
        const { result, outcome, mutation } = await steps.ask(commit)
        if (outcome === undefined || mutation === undefined) return { result, isApplied: false }
        const { stamp } = outcome
        for (const { stored } of subjects) {
          this.#doubts.lift(stored, serial)
          this.#outbox?.remove(stored)
          if (stamp !== undefined) this.#copies.note(stored, stamp)
        }
        for (const following of followingOf(mutation)) await this.#stack.follow(following, stamp)
        if (steps.install !== undefined && isLatest()) {
          steps.install(stamp)
          isInstalled = true
        }
        return { result, isApplied: true }
      } catch (error) {
        // Only what was asked of whoever orders can be unknown; the rest was refused before.
        if (error === lost) {
          for (const { stored } of subjects) {
            this.#doubts.add(stored, serial)
            await this.#stack.follow({ op: 'delete', key: stored }, undefined)
          }
        }
        throw error
      } finally {
        if (!isInstalled) for (const { l1Key } of subjects) this.#copies.drop(l1Key)
        for (const turn of turns) turn.end()
      }
    })
    if (decided.isApplied) this.#committed(op, subjects[0]?.key)
    return decided.result
  }

  /** Says again, as a removal, what was not taken; what is there may be from before it. */
  async #overcomeDoubt(stored: string, commit: Commit): Promise<void> {
    if (!this.#doubts.has(stored)) return
    await commit({ op: 'delete', key: stored })
    this.#doubts.lift(stored, this.#serial)
  }

  /** A mutation for the copies: what it took to commit is no part of a value's life. */
  #aged(mutation: Following, calledAt: number): Following {
    if (mutation.op !== 'set') return mutation
    return { ...mutation, remainingMs: mutation.remainingMs - (this.#clock.now() - calledAt) }
  }

  /** Something newer than every load of this key under way exists. */
  #overtake(stored: string): void {
    this.#marks.overtake(stored)
    this.#flights.forget(stored)
    this.#reads.forget(stored)
    this.#failures.forget(stored)
  }

  async #working<T>(work: () => Promise<T>): Promise<T> {
    const running = work()
    this.#work.add(running)
    try {
      return await running
    } finally {
      this.#work.delete(running)
    }
  }

  #committed(op: MutationOp, key: Key | undefined): void {
    if (this.#events.hears('mutation.committed')) this.#events.tell('mutation.committed', { op, key })
  }

  /** How far this process has heard in the partition of a key. */
  #heard(stored: string): Stamp | undefined {
    if (this.#authority === undefined) return undefined
    return this.#inbound?.heard(partitionOf(partitionTextOf(stored), this.#authority.ledger.partitions))
  }

  /** An entry was found that was written at `stamp`: what is older is not good any more. */
  #met(stored: string, stamp: Stamp, isFlight: boolean): boolean {
    if (this.#inbound === undefined) return false
    const heard = this.#inbound.heard(stamp.partition)
    // In another epoch it is news, even in an earlier one: what was heard may be made up, and what is there is not.
    if (heard?.epoch === stamp.epoch && isAtOrAfter(heard, stamp)) return false
    this.#copies.note(stored, stamp)
    this.#marks.overtake(stored)
    this.#reads.forget(stored)
    if (!isFlight) this.#flights.forget(stored)
    return true
  }

  async #commit(mutation: Mutation, serial: number): Promise<Outcome> {
    try {
      this.#underway.set(serial, false)
      const outcome = await this.#stack.commit(mutation, { id: this.#origin, serial })
      if (outcome.stamp !== undefined) this.#session.committed(outcome.stamp)
      return outcome
    } catch (error) {
      // It was done, and only the answer lost: to say it again later could undo what came in between. A clear is told by
      // many, of which one says nothing of the others.
      if (this.#underway.get(serial) === true && this.#outbox !== undefined && mutation.op !== 'clear') {
        return { stamp: undefined, applied: true, existed: false, number: undefined }
      }
      this.#unsettled.add(serial)
      if (this.#unsettled.size > MOST_UNSETTLED) {
        for (const oldest of this.#unsettled) {
          this.#unsettled.delete(oldest)
          break
        }
      }
      throw error
    } finally {
      this.#underway.delete(serial)
    }
  }

  #subject(key: Key, scope: KeyScope): Subject {
    this.#refuseIfClosed()
    checkKey(key)
    return { key, l1Key: l1KeyOf(this.#scope, scope, key), stored: storedKey(scope, key) }
  }

  #refuseIfClosed(): void {
    if (this.#isClosed)
      throw new CacheError('CACHE_CLOSED', 'the cache is closed; nothing can be asked of it any more')
  }
}

/** @throws TypeError when neither the cache nor the call named a ttl. */
function lifetimeOf(call: ResolvedCall): Lifetime {
  if (call.lifetime === undefined) {
    throw new TypeError(
      "ttl: neither the cache nor this call names one; give createCache or the call a ttl such as '5m', or null for entries that never expire",
    )
  }
  return call.lifetime
}

/** Whether a caller wants nothing that this process holds already, be it a value or a load under way. */
function passesCopies(call: ResolvedCall): boolean {
  return call.isForced || call.skip === 'copies'
}

function searchNote(): SearchNote {
  let readRan = (): void => {}
  const isRead = new Promise<void>((resolve) => {
    readRan = resolve
  })
  return { stale: undefined, isRead, readRan: () => readRan() }
}
