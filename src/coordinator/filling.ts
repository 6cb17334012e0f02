// One look below L1: the tiers from the nearest to the farthest and, for `getOrSet`, the loader at their end. What is
// found or loaded is kept in everything nearer, if nothing overtook it since the look began: a mutation called here, a
// message from elsewhere, a gap. Whether it did is asked of the fence (marks.ts) as late as possible, in the turn in
// which something is kept. Those who waited get the value either way.

import type { Clock } from '../clock.ts'
import type { Codec } from '../codecs/codec.ts'
import { type Lifetime, shortened, staleMsOf } from '../entry.ts'
import { CacheError } from '../errors.ts'
import type { Key } from '../key.ts'
import type { Events, Level } from '../metrics/events.ts'
import type { ResolvedCall, Skip } from '../options.ts'
import type { Random } from '../random.ts'
import { isAtOrAfter, type Stamp } from '../stamp.ts'
import type { Batch } from './batch.ts'
import { Chain } from './chain.ts'
import { type Copies, type HeldValue, marked, type Note } from './copies.ts'
import { encodeEntry } from './envelope.ts'
import type { Failures } from './failures.ts'
import type { HoldOff } from './hold-off.ts'
import { LoadSlots } from './load-slots.ts'
import type { LoadTurn, LoadTurns } from './load-turns.ts'
import { type Loaded, type Loader, type Previous, runLoader, timeoutOf } from './loading.ts'
import type { Fence, Marks, Turn } from './marks.ts'
import { noteOf } from './renewal.ts'
import type { Subject } from './subject.ts'
import type { Tagged, Tags } from './tags.ts'
import type { Found, Reading, TierStack } from './tier-stack.ts'

/** A look below L1 for one key, by whoever begins it. */
export interface Search {
  readonly subject: Subject
  readonly load: Loader<unknown>
  readonly call: ResolvedCall
  readonly lifetime: Lifetime
  /** What L1 holds. */
  readonly held: HeldValue | undefined
  /** What is found answers if it is fresh for longer than this; below zero: if it has been stale for less. */
  readonly leastFreshMs: number
  /** The keys that it is looked up and loaded with; `undefined` when it is alone. */
  readonly batch?: Batch | undefined
}

/** A value that a search began with. */
export interface Standby {
  readonly value: unknown
  readonly since: number
  readonly level: Level
  /** What the search could begin with now: who joins later may not be given what this process trusts no more. */
  renewed(): Standby | undefined
}

/** What those who wait for a search may know before it ends. */
export interface SearchNote {
  /** A value that is stale, and since when it is, or about to be, and then; a caller may go on with it. */
  stale: Standby | undefined
  /** Resolves when it is clear whether there is a stale value. */
  readonly isRead: Promise<void>
  readRan(): void
  /** When the tiers were last looked at, by this process's clock; `-Infinity` before that. */
  readAt: number
  /** When its loader began, by this process's clock; `undefined` before that, and for what needs none. */
  loadsSince: number | undefined
  /** When the time of what it brings is over, which may be before the tiers have it; `Infinity` until that is there. */
  freshUntil: number
}

/** What a search brought. */
export interface Flown {
  readonly value: unknown
  /** Why there should be a refresh behind it. */
  readonly refresh: { readonly leastFreshMs: number } | undefined
}

/** An entry, and until when it is fresh and may be used, by this process's clock. */
export interface EntryView {
  readonly value: unknown
  readonly level: Level
  readonly freshUntil: number
  readonly usableUntil: number
  /** `undefined` when it carries none. */
  readonly tagged: Pick<Tagged, 'tags'> | undefined
}

/** Counts of what happened beyond L1, which counts for itself. */
export interface FillingCounts {
  loads: number
  loadFailures: number
  loadsOvertaken: number
  staleServed: number
}

/** What a filling works with. */
export interface FillingParts {
  readonly copies: Copies
  readonly stack: TierStack
  readonly tags: Tags
  readonly holdOff: HoldOff
  readonly marks: Marks
  readonly codec: Codec
  readonly clock: Clock
  readonly random: Random
  readonly events: Events
  readonly failures: Failures
  readonly slots: LoadSlots
  readonly turns: LoadTurns
  /** What the cache says of calls that say nothing. */
  readonly defaults: ResolvedCall
  /** How far this process has heard in the partition of a stored key; `undefined` where there is no bus. */
  heard(stored: string): Stamp | undefined
  /**
   * An entry was found that was written at `stamp`.
   *
   * @param isReading - Whether a reading found it, and no search.
   * @returns Whether that is beyond what was heard: then whatever else is under way for the key has been overtaken.
   */
  met(stored: string, stamp: Stamp, isReading: boolean): boolean
  /** A value was given out that is newer than what a search may bring whose loader did not begin since `beganAt`. */
  forget(stored: string, beganAt: number): void
}

/** What is known from before a load, and since when it is stale. */
interface Before extends Previous {
  readonly staleSince: number
}

/** Whether a value that has been stale for so long may stand in for a load that failed or takes its time. */
export function serves(staleForMs: number, call: ResolvedCall): boolean {
  return Math.max(staleForMs, 0) < call.staleIfErrorMs
}

const unlimited = new LoadSlots(Number.POSITIVE_INFINITY)

/** Looks below L1 and keeps what comes of it. */
export class Filling {
  readonly #copies: Copies
  readonly #stack: TierStack
  readonly #tags: Tags
  readonly #holdOff: HoldOff
  readonly #marks: Marks
  readonly #codec: Codec
  readonly #clock: Clock
  readonly #random: Random
  readonly #events: Events
  readonly #failures: Failures
  readonly #slots: LoadSlots
  readonly #turns: LoadTurns
  readonly #defaults: ResolvedCall
  readonly #running = new Chain<(error: unknown) => void>()
  readonly #heard: (stored: string) => Stamp | undefined
  readonly #met: (stored: string, stamp: Stamp, isReading: boolean) => boolean
  readonly #forget: (stored: string, beganAt: number) => void
  #isClosed = false
  readonly counts: FillingCounts = { loads: 0, loadFailures: 0, loadsOvertaken: 0, staleServed: 0 }

  constructor(parts: FillingParts) {
    this.#copies = parts.copies
    this.#stack = parts.stack
    this.#tags = parts.tags
    this.#holdOff = parts.holdOff
    this.#marks = parts.marks
    this.#codec = parts.codec
    this.#clock = parts.clock
    this.#random = parts.random
    this.#events = parts.events
    this.#failures = parts.failures
    this.#slots = parts.slots
    this.#turns = parts.turns
    this.#defaults = parts.defaults
    this.#heard = (stored) => parts.heard(stored)
    this.#met = (stored, stamp, isReading) => parts.met(stored, stamp, isReading)
    this.#forget = (stored, beganAt) => parts.forget(stored, beganAt)
  }

  /** Asks the tiers for each subject and copies what is found into everything nearer. */
  read(subjects: readonly Subject[], skip?: Skip): Promise<(EntryView | undefined)[]> {
    const fences = subjects.map(({ stored }) => this.#marks.watch(stored))
    const readings = this.#stack.read(
      subjects.map(({ key }) => key),
      subjects.map(({ stored }) => stored),
      skip === 'copies',
    )
    return Promise.all(
      subjects.map((subject, turn) => this.#take(subject, fences[turn] as Fence, readings, turn)),
    )
  }

  /** The same for one. */
  readOne(subject: Subject, skip?: Skip): Promise<EntryView | undefined> {
    const fence = this.#marks.watch(subject.stored)
    const readings = this.#stack.read([subject.key], [subject.stored], skip === 'copies')
    return this.#take(subject, fence, readings, 0)
  }

  /** Copies one of several that are read, behind the fence that is up since before; it ends with this. */
  async #take(
    subject: Subject,
    before: Fence,
    readings: Promise<Reading[]>,
    turn: number,
  ): Promise<EntryView | undefined> {
    const { key } = subject
    let fence = before
    try {
      const { found, asOf } = (await readings)[turn] as Reading
      if (found === undefined) {
        if (this.#events.hears('entry.missed')) this.#events.tell('entry.missed', { key })
        return undefined
      }
      if (this.#events.hears('entry.hit')) {
        const stale = found.freshUntil <= this.#clock.now()
        this.#events.tell('entry.hit', { key, level: found.level, stale })
      }
      fence = this.#learn(found, fence, true)
      if (found.depth > 0) await this.#backFill(subject, found, asOf, fence)
      this.#putFound(subject, found, asOf, fence, this.#defaults)
      return found
    } finally {
      this.#marks.drop(fence)
    }
  }

  /**
   * Finds a value, or has it loaded.
   *
   * @throws What the load failed with, whatever stale value there is: what may stand in for it differs between those
   *   who wait.
   */
  async fill(search: Search, note: SearchNote): Promise<Flown> {
    const { batch, call, held, subject } = search
    const { key, stored } = subject
    batch?.begin(key, stored)
    let turn: LoadTurn | undefined
    let fence = this.#marks.watch(stored)
    const heard = this.#heard(stored)
    // Before the loader begins: what is invalidated from here on, by whomever, is newer than what it brings.
    const known = this.#tags.begin(call.tags)
    try {
      let reading = await this.#look(search)
      note.readAt = this.#clock.now()
      let found = reading?.found
      if (found !== undefined) fence = this.#learn(found, fence, false)
      const flown = found && (await this.#answerOf(search, note, found, reading?.asOf, fence))
      if (flown !== undefined) return flown
      if (this.#events.hears('entry.missed')) this.#events.tell('entry.missed', { key })

      const before = previousOf(found, held)
      if (before !== undefined) {
        note.stale = found === undefined ? this.#heldBack(subject, before) : this.#foundBack(stored, found)
      }
      note.readRan()
      const failure = this.#failures.get(stored)
      if (failure !== undefined && !call.isForced && hasAlternative(call, before, this.#clock.now())) {
        if (this.#events.hears('load.throttled')) this.#events.tell('load.throttled', { key })
        throw failure.error
      }
      const since = known instanceof Promise ? await known : known
      const missedAt = this.#clock.now()
      turn = isShared(search) ? this.#turns.of(stored, call.loadLeaseMs, call.loadTimeoutMs) : undefined
      for (let isMine = false; turn !== undefined && !isMine; ) {
        isMine = (await turn.next()) === 'load'
        reading = await this.#look(search)
        note.readAt = this.#clock.now()
        found = reading?.found
        if (found !== undefined) fence = this.#learn(found, fence, false)
        const loadedElsewhere = found && (await this.#answerOf(search, note, found, reading?.asOf, fence))
        if (loadedElsewhere !== undefined) return loadedElsewhere
      }
      const waitedMs = turn === undefined ? 0 : this.#clock.now() - missedAt
      if (waitedMs > 0 && waitedMs >= call.loadTimeoutMs) {
        const error = timeoutOf(key, `what another process was loading was waited for ${waitedMs} ms`)
        this.#tellFailure(key, error, waitedMs, before, call)
        throw error
      }
      const asOf = call.skip === 'tiers' ? heard : reading?.asOf
      note.loadsSince = this.#clock.now()
      const value = await this.#load(search, note, before, since, asOf, heard, fence, waitedMs)
      return { value, refresh: undefined }
    } finally {
      turn?.end()
      batch?.decided(key)
      note.readRan()
      this.#marks.drop(fence)
    }
  }

  /** The answer to a search that was found; `undefined` when it is not fresh enough to be one. */
  async #answerOf(
    { call, leastFreshMs, subject }: Search,
    note: SearchNote,
    found: Found,
    asOf: Stamp | undefined,
    fence: Fence,
  ): Promise<Flown | undefined> {
    const { key } = subject
    const freshMs = found.freshUntil - this.#clock.now()
    if (freshMs <= leastFreshMs) return undefined
    note.freshUntil = found.freshUntil - Math.min(leastFreshMs, 0)
    const isStale = freshMs <= 0
    if (isStale) this.servedStale(key, found.level)
    else if (this.#events.hears('entry.hit'))
      this.#events.tell('entry.hit', { key, level: found.level, stale: false })
    if (found.depth > 0) await this.#backFill(subject, found, asOf, fence)
    const beside = this.#putFound(subject, found, asOf, fence, call)
    if (isStale) return { value: found.value, refresh: { leastFreshMs: 0 } }
    const isDue = beside !== undefined && freshMs < beside.aheadMs
    return { value: found.value, refresh: isDue ? { leastFreshMs: beside.aheadMs } : undefined }
  }

  /** What L1 had, to go on with; whatever it has when somebody joins. */
  #heldBack(
    { l1Key }: Subject,
    { value, staleSince: since }: Pick<HeldValue, 'value' | 'staleSince'>,
  ): Standby {
    const renewed = (): Standby | undefined => {
      const held = this.#copies.held(l1Key)
      return held && { value: held.value, since: held.staleSince, level: 'l1', renewed }
    }
    return { value, since, level: 'l1', renewed }
  }

  /** What a tier had, to go on with, for as long as it is trusted. */
  #foundBack(stored: string, { depth, freshUntil: since, level, stamp, value }: Found): Standby {
    const renewed = (): Standby | undefined =>
      this.#stack.isGood(stored, depth, stamp) ? standby : undefined
    const standby: Standby = { value, since, level, renewed }
    return standby
  }

  async #look({ batch, call, leastFreshMs, subject }: Search): Promise<Reading | undefined> {
    if (call.skip === 'tiers') return undefined
    if (batch !== undefined) return batch.read(subject.key, subject.stored)
    const skipsCopies = call.skip === 'copies'
    return (await this.#stack.read([subject.key], [subject.stored], skipsCopies, leastFreshMs))[0]
  }

  /** Runs the loader and keeps what it brings. */
  async #load(
    search: Search,
    note: SearchNote,
    before: Before | undefined,
    since: Stamp | undefined,
    asOf: Stamp | undefined,
    heard: Stamp | undefined,
    watched: Fence,
    waitedMs: number,
  ): Promise<unknown> {
    const { call, load, subject } = search
    const { key, stored } = subject
    const beganAt = this.#clock.now()
    const request = {
      load,
      key,
      limitMs: call.loadTimeoutMs - waitedMs,
      previous: before,
      running: this.#running,
    }
    // Asked now as well: what was removed is forgotten when its time is over, and this load may last longer.
    const wasHeld = this.#isHeld(stored, call.tags, beganAt)
    this.counts.loads++
    const fence = this.#marks.loading(watched)
    let loaded: Loaded
    try {
      // A batch is one load of many keys, so its keys need no places of their own.
      const slots = search.batch === undefined ? this.#slots : unlimited
      loaded = await runLoader(request, slots, this.#clock)
    } catch (error) {
      this.counts.loadFailures++
      this.#failures.add(stored, error, call.failureThrottleMs)
      this.#tellFailure(key, error, this.#clock.now() - beganAt, before, call)
      throw error
    }
    this.#failures.forget(stored)
    const durationMs = this.#clock.now() - beganAt
    const named = loaded.ttlMs === undefined ? search.lifetime : { ...search.lifetime, ttlMs: loaded.ttlMs }
    const lifetime = shortened(named, call.jitter, () => this.#random.next())
    note.freshUntil = this.#clock.now() + lifetime.ttlMs
    const beside = noteOf(call.refreshAhead, lifetime.ttlMs, durationMs, loaded.validators)
    const tags = loaded.tags ?? joined(call.tags, loaded.keptTags)
    const tagged = tags.length === 0 || since === undefined ? undefined : { tags, since }
    const isHeld = wasHeld || this.#isHeld(stored, tags, beganAt)
    // Tags without a place could never be told of an invalidation. Where this loader is the first to name any, the next
    // load begins with one.
    if (loaded.tags !== undefined && since === undefined) void this.#tags.begin(tags)
    const isKept = !isHeld && (tags.length === 0 || tagged !== undefined)
    const isStored =
      !loaded.isSkipped &&
      (isKept
        ? await this.#keepLoaded(
            subject,
            loaded.value,
            lifetime,
            tagged,
            asOf,
            heard,
            fence,
            beganAt,
            beside,
            call.skip,
          )
        : this.#giveUp(subject, asOf, fence, beganAt))
    if (this.#events.hears('load.finished')) {
      this.#events.tell('load.finished', { key, durationMs, stored: isStored })
    }
    return loaded.value
  }

  #tellFailure(
    key: Key,
    error: unknown,
    durationMs: number,
    before: Before | undefined,
    call: ResolvedCall,
  ): void {
    if (!this.#events.hears('load.failed')) return
    const servedStale = before !== undefined && serves(this.#clock.now() - before.staleSince, call)
    this.#events.tell('load.failed', { key, durationMs, error, servedStale })
  }

  #isHeld(stored: string, tags: readonly string[], beganAt: number): boolean {
    return [stored, ...this.#tags.namesOf(tags)].some((name) => this.#holdOff.holds(name, beganAt))
  }

  /** From now on nothing is kept; what is under way still reaches those who wait. */
  close(): void {
    this.#isClosed = true
  }

  /** Ends the loads under way, for those who wait with an error. */
  abandon(): void {
    const error = new CacheError('CACHE_CLOSED', 'the cache was closed while this load was under way')
    for (const end of this.#running.values()) end(error)
  }

  /** A stale value was given out, as the options allowed. */
  servedStale(key: Key, level: Level): void {
    this.counts.staleServed++
    if (this.#events.hears('entry.hit')) this.#events.tell('entry.hit', { key, level, stale: true })
  }

  /**
   * What was read counts as heard, for its key: nothing older may be answered after it, though the message is still on
   * its way. Returns the fence that this look goes on with.
   */
  #learn({ stamp }: Found, fence: Fence, isReading: boolean): Fence {
    const held = this.#marks.holds(fence)
    if (stamp === undefined || !this.#met(fence.key, stamp, isReading) || !held) return fence
    return this.#marks.renewed(fence)
  }

  /** Copies what was found into the nearer tiers, unless something overtook the look. */
  #backFill(subject: Subject, found: Found, asOf: Stamp | undefined, fence: Fence): Promise<void> {
    return this.#inTurn(this.#marks.copy(subject.stored), async () => {
      if (this.#marks.holds(fence)) await this.#stack.backFill(subject.stored, found, asOf)
    })
  }

  /** The same into L1. */
  #putFound(
    { l1Key }: Subject,
    found: Found,
    asOf: Stamp | undefined,
    fence: Fence,
    call: ResolvedCall,
  ): Note | undefined {
    const ttlMs = call.lifetime?.ttlMs ?? Number.POSITIVE_INFINITY
    const beside = noteOf(call.refreshAhead, ttlMs, undefined, found.validators)
    if (found.usableUntil > this.#clock.now() && this.#marks.holds(fence)) {
      const note = marked(beside, found.tagged && this.#tags.markOf(found.tagged))
      this.#copies.put(l1Key, found.value, found.freshUntil, found.usableUntil, asOf, note)
    }
    return beside
  }

  /** Keeps a loaded value, unless something overtook the load. Resolves to whether it was kept anywhere. */
  async #keepLoaded(
    subject: Subject,
    value: unknown,
    lifetime: Lifetime,
    tagged: Tagged | undefined,
    asOf: Stamp | undefined,
    heard: Stamp | undefined,
    fence: Fence,
    beganAt: number,
    beside: Note | undefined,
    skip: Skip | undefined,
  ): Promise<boolean> {
    if (value === undefined || lifetime.ttlMs === 0 || this.#isClosed) return false
    const freshUntil = this.#clock.now() + lifetime.ttlMs
    const usableUntil = freshUntil + staleMsOf(lifetime)
    let bytes: Uint8Array = new Uint8Array(0)
    const isForTiers = skip !== 'tiers'
    if (isForTiers && this.#stack.levels.length > 0) {
      try {
        bytes = encodeEntry(this.#codec, subject, value, lifetime, tagged, beside?.validators)
      } catch (error) {
        if (this.#events.hears('entry.unencodable')) {
          this.#events.tell('entry.unencodable', { key: subject.key, error })
        }
        return false
      }
    }
    const overtaken = (): false => {
      this.counts.loadsOvertaken++
      return this.#giveUp(subject, asOf, fence, beganAt)
    }
    return this.#inTurn(this.#marks.copy(subject.stored), async () => {
      const isOvertaken = tagged !== undefined && ['deleted', 'expired'].includes(this.#tags.glance(tagged))
      if (isOvertaken || !this.#marks.holds(fence)) return overtaken()
      const outcome = isForTiers
        ? await this.#stack.populate(subject.stored, bytes, usableUntil, asOf)
        : 'stored'
      // Of this mutation nobody told yet: others that are under way began before it as well.
      if (outcome === 'refused') this.#marks.overtake(subject.stored)
      if (!this.#marks.holds(fence)) return overtaken()
      if (outcome === 'failed') this.#surpass(subject.stored, asOf)
      // An authority that could not be asked keeps nothing, but while the bus works this process hears of
      // every mutation since the load began, so its own L1 may keep the value.
      const known = outcome === 'failed' ? heard : asOf
      const note = marked(beside, tagged && this.#tags.markOf(tagged))
      this.#copies.put(subject.l1Key, value, freshUntil, usableUntil, known, note)
      return true
    })
  }

  /**
   * Keeps nothing of what was loaded. Nor what is here from before or began to be looked for before, which those who
   * waited have seen surpassed; only what began here while the loader ran, as a mutation, is newer than what that
   * brought.
   */
  #giveUp({ l1Key, stored }: Subject, asOf: Stamp | undefined, fence: Fence, beganAt: number): false {
    if (this.#marks.isPast(fence)) return false
    this.#marks.surpass(fence)
    if (this.#surpass(stored, asOf)) this.#copies.drop(l1Key)
    this.#forget(stored, beganAt)
    return false
  }

  /**
   * A value is given out that is newer than what nearer tiers may have from up to `asOf`. Says whether there is a bus
   * to judge by.
   */
  #surpass(stored: string, asOf: Stamp | undefined): boolean {
    const heard = this.#heard(stored)
    if (heard === undefined) return false
    this.#copies.surpass(stored, asOf !== undefined && isAtOrAfter(asOf, heard) ? asOf : heard)
    return true
  }

  async #inTurn<T>(turn: Turn, write: () => Promise<T>): Promise<T> {
    try {
      if (turn.ready !== undefined) await turn.ready
      return await write()
    } finally {
      turn.end()
    }
  }
}

/** What is known from before: what a tier has, or else L1. */
function previousOf(found: Found | undefined, held: HeldValue | undefined): Before | undefined {
  if (found === undefined) {
    return held && { ...held, validators: held.note?.validators, tags: held.note?.mark?.tags ?? [] }
  }
  const { freshUntil: staleSince, tagged, validators, value } = found
  return { value, validators, tags: tagged?.tags ?? [], staleSince }
}

function joined(tags: readonly string[], others: readonly string[]): readonly string[] {
  return others.length === 0 ? tags : [...new Set([...tags, ...others])]
}

/** Whether a search waits for what other processes load: not one that wants nothing of theirs, nor one of many keys. */
function isShared({ batch, call }: Search): boolean {
  return batch === undefined && !call.isForced && call.skip !== 'tiers'
}

/** Whether a caller whose load fails has something to go on with. */
function hasAlternative(call: ResolvedCall, before: Before | undefined, now: number): boolean {
  return call.fallback !== undefined || (before !== undefined && serves(now - before.staleSince, call))
}
