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
import type { Clock } from '../clock.ts'
import type { Codec } from '../codecs/codec.ts'
import { type Lifetime, staleMsOf } from '../entry.ts'
import { CacheError } from '../errors.ts'
import { checkKey, type Key, type KeyScope, l1KeyOf, partitionTextOf, storedKey } from '../key.ts'
import type { Message } from '../message.ts'
import type { Events } from '../metrics/events.ts'
import type { ResolvedCall } from '../options.ts'
import type { Random } from '../random.ts'
import { partitionOf, type Stamp } from '../stamp.ts'
import type { Mutation } from '../tiers/ledger.ts'
import type { Authority } from './authority.ts'
import type { Copies, HeldValue } from './copies.ts'
import type { Doubts } from './doubts.ts'
import { encodeEntry } from './envelope.ts'
import { type EntryView, Filling, type FillingCounts, type Flown, type Subject } from './filling.ts'
import type { Guard } from './guard.ts'
import { Inbound, type InboundTarget } from './inbound.ts'
import type { Loader } from './loading.ts'
import { Marks } from './marks.ts'
import { SingleFlight } from './single-flight.ts'
import type { TierStack } from './tier-stack.ts'

/** What the coordinator works with, all wired. */
export interface CoordinatorParts {
  readonly copies: Copies
  readonly doubts: Doubts
  readonly stack: TierStack
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
}

/** Each is a number; a commit that has not taken effect after so many later failures will not. */
const MOST_UNSETTLED = 4_096

/** The one who decides, for one cache. */
export class Coordinator implements InboundTarget {
  readonly #copies: Copies
  readonly #doubts: Doubts
  readonly #stack: TierStack
  readonly #authority: Authority | undefined
  readonly #inbound: Inbound | undefined
  readonly #codec: Codec
  readonly #events: Events
  readonly #origin: string
  readonly #scope: KeyScope
  /** Nobody but L1 holds anything, and nobody tells: mutations take effect within the call. */
  readonly #isAlone: boolean

  readonly #marks = new Marks()
  readonly #filling: Filling
  readonly #reads: SingleFlight
  readonly #flights: SingleFlight
  readonly #retries: SingleFlight
  /** Mutations and refreshes under way, for `close`. */
  readonly #work = new Set<Promise<unknown>>()
  #serial = 0
  /** Own mutations whose commit was given up: they may still take effect, and are news then. */
  readonly #unsettled = new Set<number>()
  #isClosed = false

  constructor(parts: CoordinatorParts) {
    this.#copies = parts.copies
    this.#doubts = parts.doubts
    this.#stack = parts.stack
    this.#authority = parts.authority
    this.#codec = parts.codec
    this.#events = parts.events
    this.#origin = parts.origin
    this.#scope = parts.scope
    this.#isAlone = parts.stack.levels.length === 0 && parts.authority === undefined
    this.#filling = new Filling({ ...parts, marks: this.#marks, heard: (stored) => this.#heard(stored) })
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

  /** The fresh value that L1 has for `key`, synchronously; `undefined` when it has none. */
  hit(key: Key, scope: KeyScope): unknown {
    if (this.#isClosed) return undefined
    const value = this.#copies.hit(l1KeyOf(this.#scope, scope, key))
    if (value !== undefined && this.#events.hears('entry.hit')) {
      this.#events.tell('entry.hit', { key, level: 'l1', stale: false })
    }
    return value
  }

  /** The fresh value for `key` in any level. For keys that `hit` had nothing for. */
  async get(key: Key, scope: KeyScope): Promise<unknown> {
    const subject = this.#subject(key, scope)
    if (this.#isAlone) {
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
      const value = this.hit(key, scope)
      if (value !== undefined) return value
    }
    const view = await this.#read(subject)
    return view === undefined || view.freshMs <= 0 ? undefined : view.value
  }

  /** The fresh values for many keys, in the order of the keys, with one call to each tier. */
  async getMany(keys: readonly Key[], scope: KeyScope): Promise<Map<Key, unknown>> {
    const values = new Map<Key, unknown>()
    let missing: Subject[] = []
    for (const key of new Set(keys)) {
      const value = this.hit(key, scope)
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
        const value = this.hit(key, scope)
        values.set(key, value)
        return value === undefined
      })
    }
    const views = missing.length === 0 ? [] : await this.#filling.read(missing)
    for (const [turn, { key }] of missing.entries()) {
      const view = views[turn]
      if (view !== undefined && view.freshMs > 0) values.set(key, view.value)
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
      const value = this.hit(key, scope)
      if (value !== undefined) return value
    }

    const held = this.#copies.held(subject.l1Key)
    if (held !== undefined && held.staleForMs < call.staleWhileRevalidateMs) {
      this.#filling.servedStale(key, 'l1')
      this.#refresh(subject, load, call, lifetime)
      return held.value
    }

    const flown = await this.#fly(subject, load, call, lifetime, held)
    if (flown.isStale) this.#refresh(subject, load, call, lifetime)
    return flown.value
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
    const { subject, lifetime } = this.check(key, scope, value, call)
    if (lifetime.ttlMs === 0) {
      await this.#delete(subject)
      return false
    }
    if (this.#isAlone) {
      this.#overtake(subject.stored)
      this.#copies.keep(subject.l1Key, value, lifetime, undefined)
      this.#committed('set', key)
      return true
    }
    const bytes =
      this.#stack.levels.length === 0 ? new Uint8Array(0) : encodeEntry(this.#codec, key, value, lifetime)
    const remainingMs = lifetime.ttlMs + staleMsOf(lifetime)
    await this.#mutate(subject, { op: 'set', key: subject.stored, bytes, remainingMs }, (stamp) =>
      this.#copies.keep(subject.l1Key, value, lifetime, stamp),
    )
    return true
  }

  /** Removes `key` everywhere. Resolves to whether there was a live entry, as far as anyone here can tell. */
  delete(key: Key, scope: KeyScope): Promise<boolean> {
    return this.#delete(this.#subject(key, scope))
  }

  /** Removes every entry of this cache, in all versions. */
  async clear(): Promise<void> {
    this.#refuseIfClosed()
    const turn = this.#marks.mutateAll()
    const serial = ++this.#serial
    this.#flights.forgetAll()
    this.#reads.forgetAll()
    this.#copies.clear()
    const mutation: Mutation = { op: 'clear', prefix: this.#scope.prefix }
    await this.#working(async () => {
      try {
        await turn.ready
        const { stamp } = await this.#commit(mutation, serial)
        // Another process may yet copy, into a nearer tier that we share, what it loaded before.
        for (const stand of await this.#stack.standsForCopies()) this.#copies.suspect(stand)
        this.#doubts.liftAll(serial)
        await this.#stack.follow(mutation, stamp)
      } catch (error) {
        this.#doubts.addAll(serial)
        await this.#stack.follow(mutation, undefined)
        throw error
      } finally {
        turn.end()
      }
    })
    this.#committed('clear', undefined)
  }

  /** Lets every tier reclaim what has expired. Resolves to how many entries that were; failures are events. */
  prune(): Promise<number> {
    this.#refuseIfClosed()
    return this.#stack.prune()
  }

  // Life

  /** Refuses new work, lets what is under way end, and closes bus and tiers. */
  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#filling.close()
    await Promise.allSettled([...this.#work])
    this.#copies.clear()
    const outcomes = await Promise.allSettled([this.#inbound?.close(), this.#stack.close()])
    const failed = outcomes.find((outcome) => outcome.status === 'rejected')
    if (failed !== undefined) throw failed.reason
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

  dropKeys({ keys, stamp, origin, serial }: Message): void {
    for (const stored of keys) {
      if (!stored.startsWith(this.#scope.prefix)) continue
      this.#overtake(stored)
      // What others did may be older than what was called here; what was done here after all is not.
      if (origin === this.#origin) this.#doubts.lift(stored, serial)
      const key = this.#copies.invalidate(stored, stamp)
      if (this.#events.hears('entry.invalidated')) this.#events.tell('entry.invalidated', { key, origin })
    }
  }

  clearPrefix(prefix: string, stamp: Stamp, isNews: boolean): void {
    const own = this.#scope.prefix
    if (!own.startsWith(prefix) && !prefix.startsWith(own)) return
    // Loads were overtaken when it was called here, and what was called since comes after it.
    if (isNews) this.suspect(stamp)
    else this.#copies.suspect(stamp)
  }

  isUnsettled(serial: number): boolean {
    return this.#unsettled.has(serial)
  }

  suspect(stamp: Stamp): Stamp | undefined {
    this.#marks.overtakeAll()
    this.#flights.forgetAll()
    this.#reads.forgetAll()
    return this.#copies.suspect(stamp)
  }

  absolve(stamp: Stamp, earlier: Stamp): void {
    this.#copies.absolve(stamp, earlier)
  }

  renewed(until: number): void {
    this.#copies.lease(until)
  }

  // Reading

  #read(subject: Subject): Promise<EntryView | undefined> {
    return this.#reads.run(subject.stored, async () => (await this.#filling.read([subject]))[0])
  }

  /** Joins the load of a key, or starts one. */
  #fly(
    subject: Subject,
    load: Loader<unknown>,
    call: ResolvedCall,
    lifetime: Lifetime,
    held: HeldValue | undefined,
  ): Promise<Flown> {
    return this.#flights.run(subject.stored, () => this.#filling.fill(subject, load, call, lifetime, held))
  }

  /** Loads behind a stale answer. A failure is an event; the stale value goes on until its time is over. */
  #refresh(subject: Subject, load: Loader<unknown>, call: ResolvedCall, lifetime: Lifetime): void {
    if (this.#isClosed || this.#flights.has(subject.stored)) return
    // The one value that must not come out of a refresh is the stale one, for whatever reason.
    const strict: ResolvedCall = { ...call, staleWhileRevalidateMs: 0, staleIfErrorMs: 0 }
    void this.#working(() => this.#fly(subject, load, strict, lifetime, undefined)).catch(() => {})
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
      this.#committed('delete', subject.key)
      return held
    }
    const existed = await this.#mutate(subject, { op: 'delete', key: subject.stored }, undefined)
    return existed || (held && this.#stack.levels.length === 0)
  }

  /**
   * Says again, as a removal, what the authority did not take. Until it has, a value that is loaded here and stored
   * there could be followed by an older one that somebody else began to load before: nothing would be in between
   * that refuses it. When it fails again the key stays in doubt.
   */
  #retry(subject: Subject): Promise<unknown> {
    const isAll = this.#doubts.isAll
    return this.#retries
      .run<unknown>(isAll ? '' : subject.stored, () => (isAll ? this.clear() : this.#delete(subject)))
      .catch(() => {})
  }

  /** The four steps of a mutation: pending, commit, copies, no longer pending. */
  async #mutate(
    subject: Subject,
    mutation: Mutation,
    install: ((stamp: Stamp | undefined) => void) | undefined,
  ): Promise<boolean> {
    const { key, l1Key, stored } = subject
    const turn = this.#marks.mutate(stored)
    const serial = ++this.#serial
    this.#flights.forget(stored)
    this.#reads.forget(stored)
    this.#copies.hide(l1Key)
    const remove: Mutation = { op: 'delete', key: stored }
    let isInstalled = false
    const existed = await this.#working(async () => {
      try {
        await turn.ready
        const committed = await this.#commit(mutation, serial)
        this.#doubts.lift(stored, serial)
        if (committed.stamp !== undefined) this.#copies.note(stored, committed.stamp)
        await this.#stack.follow(turn.isLatest() ? mutation : remove, committed.stamp)
        if (install !== undefined && turn.isLatest()) {
          install(committed.stamp)
          isInstalled = true
        }
        return committed.existed
      } catch (error) {
        this.#doubts.add(stored, serial)
        await this.#stack.follow(remove, undefined)
        throw error
      } finally {
        if (!isInstalled) this.#copies.drop(l1Key)
        turn.end()
      }
    })
    this.#committed(mutation.op, key)
    return existed
  }

  /** Something newer than every load of this key under way exists. */
  #overtake(stored: string): void {
    this.#marks.overtake(stored)
    this.#flights.forget(stored)
    this.#reads.forget(stored)
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

  #committed(op: 'set' | 'delete' | 'clear', key: Key | undefined): void {
    if (this.#events.hears('mutation.committed')) this.#events.tell('mutation.committed', { op, key })
  }

  /** How far this process has heard in the partition of a key. */
  #heard(stored: string): Stamp | undefined {
    if (this.#authority === undefined) return undefined
    return this.#inbound?.heard(partitionOf(partitionTextOf(stored), this.#authority.ledger.partitions))
  }

  async #commit(mutation: Mutation, serial: number): Promise<{ stamp: Stamp | undefined; existed: boolean }> {
    try {
      return await this.#stack.commit(mutation, { id: this.#origin, serial })
    } catch (error) {
      this.#unsettled.add(serial)
      if (this.#unsettled.size > MOST_UNSETTLED) {
        for (const oldest of this.#unsettled) {
          this.#unsettled.delete(oldest)
          break
        }
      }
      throw error
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
