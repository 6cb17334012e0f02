// All tiers of a cache as one: reading downward, back-filling upward, writing from the farthest to the
// nearest. What is nearer than the authority is a copy, and is read only if its stamp says that it is
// current. No decision about values is taken here; whether something may be written is asked by the
// coordinator before each call.

import type { Clock } from '../clock.ts'
import type { Codec } from '../codecs/codec.ts'
import { remainingTimes } from '../entry.ts'
import { CacheError } from '../errors.ts'
import type { Key } from '../key.ts'
import type { Events } from '../metrics/events.ts'
import type { Stamp } from '../stamp.ts'
import type { Committed, Mutation, Origin } from '../tiers/ledger.ts'
import type { Tier, TierEntry } from '../tiers/tier.ts'
import { type Authority, copiesBefore } from './authority.ts'
import type { Doubts } from './doubts.ts'
import { decodeEnvelope } from './envelope.ts'
import type { Guard } from './guard.ts'
import type { Invalidations } from './invalidations.ts'
import type { Validators } from './loading.ts'
import type { Tagged, Tags, Verdict } from './tags.ts'

/** A tier and the guard through which it is called. */
export interface Level {
  readonly tier: Tier
  readonly guard: Guard
  hits: number
  misses: number
  /** Prefixes that could not be cleared here: until they are, the tier is not read. */
  readonly uncleared: Set<string>
}

/** An entry found in a tier. */
export interface Found {
  readonly value: unknown
  readonly level: string
  /** Which tier it was found in, counted from the nearest. */
  readonly depth: number
  /** How long it was fresh yet when the tier answered; zero or less when it was stale. */
  readonly freshMs: number
  /** How long it may still be used at all. */
  readonly usableMs: number
  /** How much of that is stale time. */
  readonly staleMs: number
  /**
   * Until when it is fresh, and until when it may be used at all, by this process's clock. Counted from before the
   * tier was asked: time on the way, or while the process stood still, must not lengthen a life.
   */
  readonly freshUntil: number
  readonly usableUntil: number
  /** The stored form, for copies. */
  readonly bytes: Uint8Array
  /** The order at which it was written, as the tier has it. */
  readonly stamp: Stamp | undefined
  /** `undefined` when it carries no tags. */
  readonly tagged: Tagged | undefined
  /** What its loader said of its version; `undefined` when that was nothing. */
  readonly validators: Validators | undefined
}

/** What a look through the tiers brought. */
export interface Reading {
  readonly found: Found | undefined
  /** The order up to which the answer is known to be current; `undefined` where nobody orders, or could be asked. */
  readonly asOf: Stamp | undefined
}

/** What copies are told of a mutation. */
export type Following = Extract<Mutation, { op: 'set' | 'delete' | 'clear' }>

/** Of those, the ones about one key. */
export type KeyFollowing = Extract<Following, { key: string }>

/** What became of a mutation; without a stamp where nobody orders. */
export type Outcome = Omit<Committed, 'stamp'> & { readonly stamp: Stamp | undefined }

/** What became of an entry that was loaded. */
export type Populated = 'stored' | 'refused' | 'failed'

/** The tiers of one cache, nearest first. */
export class TierStack {
  readonly levels: readonly Level[]
  readonly #authority: Authority | undefined
  /** How many tiers, from the nearest, hold copies. */
  readonly #copies: number
  readonly #authorityGuard: Guard | undefined
  readonly #codec: Codec
  readonly #invalidations: Invalidations
  readonly #doubts: Doubts
  readonly #clock: Clock
  readonly #tags: Tags
  readonly #events: Events

  constructor(parts: {
    levels: readonly Level[]
    authority: Authority | undefined
    /** Guards the authority: the level's own guard when it is a tier. */
    authorityGuard: Guard | undefined
    codec: Codec
    invalidations: Invalidations
    doubts: Doubts
    clock: Clock
    tags: Tags
    events: Events
  }) {
    this.levels = parts.levels
    this.#authority = parts.authority
    this.#copies = copiesBefore(parts.authority, parts.levels.length)
    this.#authorityGuard = parts.authorityGuard
    this.#codec = parts.codec
    this.#invalidations = parts.invalidations
    this.#doubts = parts.doubts
    this.#clock = parts.clock
    this.#tags = parts.tags
    this.#events = parts.events
  }

  /**
   * Asks tier after tier for each key; one call per tier. Answers in the order of the keys.
   *
   * @param skipsCopies - Whether only the authority is asked, or without one the farthest tier.
   * @param leastFreshMs - An entry that is not fresh for longer is the answer only when no farther tier has a better one.
   */
  async read(
    keys: readonly Key[],
    stored: readonly string[],
    skipsCopies = false,
    leastFreshMs = 0,
  ): Promise<Reading[]> {
    const nearest = !skipsCopies ? 0 : this.#authority === undefined ? this.levels.length - 1 : this.#copies
    const readings: Reading[] = stored.map(() => ({ found: undefined, asOf: undefined }))
    // Now, and not when the answers are there: a doubt that is lifted meanwhile was right about what was read before.
    const isDoubted = stored.map((key) => this.#doubts.has(key))
    let open = stored.map((_, place) => place)
    // What may have been loaded anew behind where it was found, by another process: nobody is told of that.
    const passed = new Map<number, Reading & { readonly found: Found }>()
    for (const [depth, level] of this.levels.entries()) {
      if (open.length === 0) break
      if (depth < nearest) continue
      const wanted = open.map((place) => stored[place] as string)
      const askedAt = this.#clock.now()
      const entries = this.#isAuthority(depth)
        ? await this.#readAuthority(wanted, open, readings)
        : await this.#readTier(level, wanted)
      const opened = open.map((place, turn) => {
        const entry = isDoubted[place] ? undefined : entries[turn]
        return this.#open(keys[place] as Key, wanted[turn] as string, entry, level, depth, askedAt)
      })
      const judged = this.#judge(opened, skipsCopies)
      const verdicts = judged && (await judged)
      const isFarthest = depth === this.levels.length - 1
      open = open.filter((place, turn) => {
        const found = opened[turn]
        const verdict = verdicts?.[turn] ?? 'good'
        // What is expired in a copy may have been loaded anew behind it.
        if (found === undefined || verdict === 'deleted' || (verdict === 'expired' && !isFarthest)) {
          level.misses++
          return true
        }
        level.hits++
        const copyOf = this.#isCopy(depth) ? entries[turn]?.stamp : undefined
        const reading = {
          found: verdict === 'expired' ? expired(found, askedAt) : found,
          asOf: copyOf ?? readings[place]?.asOf,
        }
        if (!isFarthest && found.freshMs <= leastFreshMs) {
          if (isFresher(found, passed.get(place)?.found)) passed.set(place, reading)
          return true
        }
        readings[place] = reading
        return false
      })
    }
    // A bus's backend has no data to read, but it says where the order stands: the fence of a populate.
    if (this.#authority !== undefined && this.#authority.depth === undefined && open.length > 0) {
      await this.#readAuthority(
        open.map((place) => stored[place] as string),
        open,
        readings,
      )
    }
    for (const [place, before] of passed) {
      const { found, asOf } = readings[place] as Reading
      // What the authority was asked for and has not has been removed.
      if (asOf !== undefined && this.#authority?.depth !== undefined) continue
      // Where nobody orders, a farther tier may have missed what a nearer one has.
      if (found !== undefined && (this.#authority !== undefined || isFresher(found, before.found))) continue
      // The tiers behind it may have taken their time.
      if (before.found.usableUntil > this.#clock.now()) readings[place] = before
    }
    return readings
  }

  /**
   * What whoever decides mutations has under a key: the authority, or without one the farthest tier.
   *
   * @throws CacheError `CACHE_TIER_FAILED`: that nothing can be seen is not that nothing is there.
   */
  async look(key: Key, stored: string): Promise<Found | undefined> {
    const depth = this.#decidingDepth
    const level = depth === undefined ? undefined : this.levels[depth]
    if (depth === undefined || level === undefined) return undefined
    const ledger = this.#authority?.ledger
    const askedAt = this.#clock.now()
    const entry = await level.guard.demand('read', async () =>
      ledger === undefined ? level.tier.get(stored) : (await ledger.read([stored]))[0]?.entry,
    )
    const found = this.#open(key, stored, entry, level, depth, askedAt)
    const [verdict] = (await this.#judge([found], true)) ?? ['good' as const]
    // What its tags made unusable stands in the way of an add all the same, as what is past its ttl does.
    return found === undefined || verdict === 'good' ? found : expired(found, askedAt)
  }

  /** Copies an entry into the tiers nearer than where it was found. Failures are events. */
  async backFill(stored: string, found: Found, asOf: Stamp | undefined): Promise<void> {
    await this.#copy(stored, found.bytes, found.usableUntil, asOf, found.depth)
  }

  /** Stores a loaded entry: at the authority, if nothing overtook it, then in the nearer tiers. */
  async populate(
    stored: string,
    bytes: Uint8Array,
    usableUntil: number,
    asOf: Stamp | undefined,
  ): Promise<Populated> {
    if (this.#authority === undefined) {
      await this.#copy(stored, bytes, usableUntil, undefined, this.levels.length)
      return 'stored'
    }
    if (asOf === undefined) return 'failed'
    const { ledger } = this.#authority
    const write = { key: stored, bytes, remainingMs: usableUntil - this.#clock.now() }
    const outcome = await this.#authorityGuard?.attempt('populate', () => ledger.populate(write, asOf))
    if (outcome === undefined) return 'failed'
    if (outcome !== 'stored') return outcome
    // A tier that did not take its copy has the one from before, which nobody may be given after this value.
    if (!(await this.#copy(stored, bytes, usableUntil, asOf, this.#copies)))
      this.#invalidations.surpass(stored, asOf)
    return outcome
  }

  /**
   * Takes a mutation to whoever orders. Without an authority every tier is written, farthest first.
   *
   * @throws CacheError `CACHE_TIER_FAILED` when it was not taken; the outcome there is unknown.
   */
  async commit(mutation: Mutation, origin: Origin): Promise<Outcome> {
    const authority = this.#authority
    if (authority !== undefined && this.#authorityGuard !== undefined) {
      return this.#authorityGuard.demand(mutation.op, () => authority.ledger.commit(mutation, origin))
    }
    let outcome: Outcome = { stamp: undefined, applied: true, existed: false, number: undefined }
    for (let depth = this.levels.length - 1; depth >= 0; depth--) {
      const level = this.levels[depth] as Level
      const isFarthest = depth === this.levels.length - 1
      try {
        // The farthest decides; whatever it decided, the nearer ones have no say in it.
        const told = await level.guard.demand(mutation.op, async () => {
          if (isFarthest) return decideIn(level.tier, mutation)
          let existed = false
          for (const following of followingOf(mutation))
            existed = await applyTo(level.tier, following, undefined)
          return { ...outcome, existed }
        })
        outcome = { ...told, existed: outcome.existed || told.existed }
        if (!outcome.applied) return outcome
      } catch (error) {
        for (const following of followingOf(mutation))
          await this.#apply(removalOf(following), undefined, depth)
        throw error
      }
    }
    return outcome
  }

  /**
   * Where every partition of keys stands, if there are tiers nearer than the authority; else none.
   *
   * @throws CacheError `CACHE_TIER_FAILED`.
   */
  async standsForCopies(): Promise<readonly Stamp[]> {
    const ledger = this.#authority?.ledger
    if (ledger === undefined || this.#authorityGuard === undefined || this.#copies === 0) return []
    const stamps = await this.#authorityGuard.demand('probe', () => ledger.probe(''))
    return stamps.slice(0, ledger.partitions)
  }

  /** Where every partition stands, if that can be told. */
  async stands(): Promise<readonly Stamp[]> {
    const ledger = this.#authority?.ledger
    return (await this.#authorityGuard?.attempt('probe', async () => ledger?.probe(''))) ?? []
  }

  /** Brings the tiers nearer than the authority up to a mutation that it took. Failures are events. */
  async follow(mutation: Following, stamp: Stamp | undefined): Promise<void> {
    await this.#apply(mutation, stamp, this.#copies)
  }

  /** Lets every tier reclaim what has expired. Resolves to how many entries that were; failures are events. */
  async prune(): Promise<number> {
    let pruned = 0
    for (const { tier } of this.levels) {
      try {
        pruned += await tier.prune()
      } catch (cause) {
        const error = new CacheError('CACHE_TIER_FAILED', `${tier.name}: prune failed`, {
          tier: tier.name,
          cause,
        })
        if (this.#events.hears('tier.failed')) {
          this.#events.tell('tier.failed', { tier: tier.name, operation: 'prune', error })
        }
      }
    }
    return pruned
  }

  /** Closes every tier, each within its deadline; the first failure is thrown when all were tried. */
  async close(): Promise<void> {
    const outcomes = await Promise.allSettled(
      this.levels.map(({ tier, guard }) => guard.within('close', () => tier.close())),
    )
    const failed = outcomes.find((outcome) => outcome.status === 'rejected')
    if (failed !== undefined) throw failed.reason
  }

  /** Whether whoever decides mutations keeps entries, so that one can depend on what is there. */
  get canDecide(): boolean {
    return this.#decidingDepth !== undefined
  }

  get #decidingDepth(): number | undefined {
    if (this.#authority !== undefined) return this.#authority.depth
    return this.levels.length === 0 ? undefined : this.levels.length - 1
  }

  /** Whether an entry that a tier has, or had, may be used: one of the authority always, a copy by its stamp. */
  isGood(stored: string, depth: number, stamp: Stamp | undefined): boolean {
    return !this.#isCopy(depth) || this.#invalidations.allows(stored, stamp)
  }

  #isAuthority(depth: number): boolean {
    return this.#authority?.depth === depth
  }

  #isCopy(depth: number): boolean {
    return depth < this.#copies
  }

  /** Writes a mutation into the tiers nearer than `below`, farthest first. Failures are events. */
  async #apply(mutation: Following, stamp: Stamp | undefined, below: number): Promise<void> {
    for (let depth = below - 1; depth >= 0; depth--) {
      const level = this.levels[depth] as Level
      const done = await level.guard.attempt(mutation.op, async () => {
        await applyTo(level.tier, mutation, stamp)
        return true
      })
      // A key that could not be changed is known by its stamp; a prefix is not.
      if (mutation.op !== 'clear') continue
      for (const prefix of level.uncleared) {
        if (prefix.startsWith(mutation.prefix)) level.uncleared.delete(prefix)
      }
      if (!done) level.uncleared.add(mutation.prefix)
    }
  }

  async #readTier(level: Level, wanted: readonly string[]): Promise<(TierEntry | undefined)[]> {
    for (const prefix of [...level.uncleared]) {
      await this.#apply({ op: 'clear', prefix }, undefined, this.levels.indexOf(level) + 1)
    }
    if (level.uncleared.size > 0) return []
    const [only] = wanted
    if (wanted.length === 1 && only !== undefined)
      return [await level.guard.attempt('get', () => level.tier.get(only))]
    return (await level.guard.attempt('getMany', () => level.tier.getMany(wanted))) ?? []
  }

  async #readAuthority(
    wanted: readonly string[],
    places: readonly number[],
    readings: Reading[],
  ): Promise<(TierEntry | undefined)[]> {
    const ledger = this.#authority?.ledger
    const answers = ledger && (await this.#authorityGuard?.attempt('read', () => ledger.read(wanted)))
    if (answers === undefined) return []
    for (const [turn, place] of places.entries()) {
      readings[place] = { found: undefined, asOf: answers[turn]?.asOf }
    }
    return answers.map((answer) => answer.entry)
  }

  /** What the tags of entries say of them; `undefined` when none carries any. */
  #judge(opened: readonly (Found | undefined)[], asksAnew: boolean): Promise<Verdict[]> | undefined {
    if (!opened.some((found) => found?.tagged !== undefined)) return undefined
    const tagged = opened.flatMap((found) => found?.tagged ?? [])
    return this.#tags
      .judge(tagged, asksAnew)
      .then((verdicts) =>
        opened.map((found) => (found?.tagged === undefined ? 'good' : (verdicts.shift() as Verdict))),
      )
  }

  #open(
    key: Key,
    stored: string,
    entry: TierEntry | undefined,
    level: Level,
    depth: number,
    askedAt: number,
  ): Found | undefined {
    if (entry === undefined) return undefined
    if (!this.isGood(stored, depth, entry.stamp)) return undefined
    try {
      const { value, staleMs, tagged, validators } = decodeEnvelope(this.#codec, stored, entry.bytes)
      const { freshMs, usableMs } = remainingTimes(entry.remainingMs, staleMs)
      return {
        value,
        level: level.tier.name,
        depth,
        freshMs,
        usableMs,
        staleMs,
        freshUntil: askedAt + freshMs,
        usableUntil: askedAt + usableMs,
        bytes: entry.bytes,
        stamp: entry.stamp,
        tagged,
        validators,
      }
    } catch (error) {
      if (this.#events.hears('entry.undecodable')) {
        this.#events.tell('entry.undecodable', { key, tier: level.tier.name, error: error as CacheError })
      }
      return undefined
    }
  }

  /** Copies an entry into the tiers nearer than `below`. Resolves to whether each has taken it. */
  async #copy(
    stored: string,
    bytes: Uint8Array,
    usableUntil: number,
    stamp: Stamp | undefined,
    below: number,
  ): Promise<boolean> {
    let isTaken = true
    for (let depth = below - 1; depth >= 0; depth--) {
      const { guard, tier } = this.levels[depth] as Level
      const remainingMs = usableUntil - this.#clock.now()
      const write = { key: stored, bytes, remainingMs, stamp }
      isTaken = ((await guard.attempt('set', () => tier.set(write).then(() => true))) ?? false) && isTaken
    }
    return isTaken
  }
}

/** Whether an entry is as fresh as another one, if there is another. */
function isFresher(found: Found, other: Found | undefined): boolean {
  return other === undefined || found.freshUntil >= other.freshUntil
}

/** An entry whose fresh time was over when the tier was asked, if it was not before. */
function expired(found: Found, askedAt: number): Found {
  return {
    ...found,
    freshMs: Math.min(found.freshMs, 0),
    freshUntil: Math.min(found.freshUntil, askedAt),
  }
}

/** Writes a mutation into one tier. Resolves to whether it removed a live entry. */
async function applyTo(tier: Tier, mutation: Following, stamp: Stamp | undefined): Promise<boolean> {
  switch (mutation.op) {
    case 'set':
      await tier.set({ key: mutation.key, bytes: mutation.bytes, remainingMs: mutation.remainingMs, stamp })
      return false
    case 'delete':
      return tier.delete(mutation.key)
    case 'clear':
      await tier.clear(mutation.prefix)
      return false
  }
}

/** What a copy has to be told of a mutation: a value that is not known here is removed. */
export function followingOf(mutation: Mutation): Following[] {
  switch (mutation.op) {
    case 'set':
    case 'delete':
    case 'clear':
      return [mutation]
    case 'move':
      return [
        { op: 'delete', key: mutation.key },
        { op: 'delete', key: mutation.to },
      ]
    case 'tags':
      return []
    default:
      return [{ op: 'delete', key: mutation.key }]
  }
}

function removalOf(mutation: Following): Following {
  return mutation.op === 'clear' ? mutation : { op: 'delete', key: mutation.key }
}

/** Has a tier decide a mutation, where no authority does: atomic as far as the tier's own operations are. */
async function decideIn(tier: Tier, mutation: Mutation): Promise<Outcome> {
  const outcome = (applied: boolean, existed: boolean, number?: number): Outcome => {
    return { stamp: undefined, applied, existed, number }
  }
  switch (mutation.op) {
    case 'add': {
      const isStored = await tier.add(mutation)
      return outcome(isStored, !isStored)
    }
    case 'swap': {
      const isStored = await tier.compareAndSet(mutation, mutation.expected)
      return outcome(isStored, isStored === (mutation.expected !== undefined))
    }
    case 'increment': {
      const number = await tier.increment(mutation.key, mutation.delta, mutation.from)
      return outcome(number !== undefined, number !== undefined, number)
    }
    case 'touch': {
      const existed = await tier.touch(mutation.key, mutation.remainingMs)
      return outcome(existed, existed)
    }
    case 'move': {
      const entry = await tier.get(mutation.key)
      if (entry === undefined) return outcome(false, false)
      await tier.set({ key: mutation.to, bytes: entry.bytes, remainingMs: entry.remainingMs })
      await tier.delete(mutation.key)
      return outcome(true, true)
    }
    case 'tags':
      return outcome(true, false)
    default:
      return outcome(true, await applyTo(tier, mutation, undefined))
  }
}
