// One look below L1: the tiers from the nearest to the farthest and, for `getOrSet`, the loader at their end. What is
// found or loaded is kept in everything nearer, if nothing overtook it since the look began: a mutation called here, a
// message from elsewhere, a gap. Whether it did is asked of the fence (marks.ts) as late as possible, in the turn in
// which something is kept. Those who waited get the value either way.

import type { Clock } from '../clock.ts'
import type { Codec } from '../codecs/codec.ts'
import { type Lifetime, staleMsOf } from '../entry.ts'
import type { Key } from '../key.ts'
import type { Events, Level } from '../metrics/events.ts'
import type { ResolvedCall } from '../options.ts'
import type { Stamp } from '../stamp.ts'
import type { Copies, HeldValue } from './copies.ts'
import { encodeEntry } from './envelope.ts'
import { type Loader, runLoader } from './loading.ts'
import type { Fence, Marks, Turn } from './marks.ts'
import type { Found, TierStack } from './tier-stack.ts'

/** One entry that a caller named: the forms its key takes. */
export interface Subject {
  readonly key: Key
  readonly l1Key: Key
  readonly stored: string
}

/** What a flight brought; `isStale` asks for a refresh behind it. */
export interface Flown {
  readonly value: unknown
  readonly isStale: boolean
}

/** An entry with what is left of its times. */
export interface EntryView {
  readonly value: unknown
  readonly level: Level
  readonly freshMs: number
  readonly usableMs: number
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
  readonly marks: Marks
  readonly codec: Codec
  readonly clock: Clock
  readonly events: Events
  /** How far this process has heard in the partition of a stored key; `undefined` where there is no bus. */
  heard(stored: string): Stamp | undefined
}

/** Looks below L1 and keeps what comes of it. */
export class Filling {
  readonly #copies: Copies
  readonly #stack: TierStack
  readonly #marks: Marks
  readonly #codec: Codec
  readonly #clock: Clock
  readonly #events: Events
  readonly #heard: (stored: string) => Stamp | undefined
  #isClosed = false
  readonly counts: FillingCounts = { loads: 0, loadFailures: 0, loadsOvertaken: 0, staleServed: 0 }

  constructor(parts: FillingParts) {
    this.#copies = parts.copies
    this.#stack = parts.stack
    this.#marks = parts.marks
    this.#codec = parts.codec
    this.#clock = parts.clock
    this.#events = parts.events
    this.#heard = (stored) => parts.heard(stored)
  }

  /** Asks the tiers for each subject and copies what is found into everything nearer. */
  async read(subjects: readonly Subject[]): Promise<(EntryView | undefined)[]> {
    const fences = subjects.map(({ stored }) => this.#marks.watch(stored))
    const askedAt = this.#clock.now()
    try {
      const readings = await this.#stack.read(
        subjects.map(({ key }) => key),
        subjects.map(({ stored }) => stored),
      )
      return await Promise.all(
        readings.map(async ({ found, asOf }, turn) => {
          const subject = subjects[turn] as Subject
          const { key } = subject
          if (found === undefined) {
            if (this.#events.hears('entry.missed')) this.#events.tell('entry.missed', { key })
            return undefined
          }
          if (this.#events.hears('entry.hit')) {
            this.#events.tell('entry.hit', { key, level: found.level, stale: found.freshMs <= 0 })
          }
          await this.#keepFound(subject, found, asOf, fences[turn] as Fence, askedAt)
          return found
        }),
      )
    } finally {
      for (const fence of fences) this.#marks.drop(fence)
    }
  }

  /** Finds the value of `subject`, or has it loaded. */
  async fill(
    subject: Subject,
    load: Loader<unknown>,
    call: ResolvedCall,
    lifetime: Lifetime,
    held: HeldValue | undefined,
  ): Promise<Flown> {
    const { key, stored } = subject
    const fence = this.#marks.watch(stored)
    const heard = this.#heard(stored)
    const askedAt = this.#clock.now()
    try {
      const [reading] = await this.#stack.read([key], [stored])
      const found = reading?.found
      if (found !== undefined && found.freshMs > -call.staleWhileRevalidateMs) {
        const isStale = found.freshMs <= 0
        if (isStale) this.servedStale(key, found.level)
        else if (this.#events.hears('entry.hit'))
          this.#events.tell('entry.hit', { key, level: found.level, stale: false })
        await this.#keepFound(subject, found, reading?.asOf, fence, askedAt)
        return { value: found.value, isStale }
      }
      if (this.#events.hears('entry.missed')) this.#events.tell('entry.missed', { key })

      const fallback = found === undefined ? held : { value: found.value, staleForMs: -found.freshMs }
      const beganAt = this.#clock.now()
      let value: unknown
      this.counts.loads++
      try {
        value = await runLoader(load, key, call.loadTimeoutMs, this.#clock)
      } catch (error) {
        this.counts.loadFailures++
        const durationMs = this.#clock.now() - beganAt
        const servedStale = fallback !== undefined && fallback.staleForMs + durationMs < call.staleIfErrorMs
        if (this.#events.hears('load.failed')) {
          this.#events.tell('load.failed', { key, durationMs, error, servedStale })
        }
        if (!servedStale) throw error
        this.servedStale(key, found?.level ?? 'l1')
        return { value: fallback.value, isStale: false }
      }
      const durationMs = this.#clock.now() - beganAt
      const isStored = await this.#keepLoaded(subject, value, lifetime, reading?.asOf, heard, fence)
      if (this.#events.hears('load.finished')) {
        this.#events.tell('load.finished', { key, durationMs, stored: isStored })
      }
      return { value, isStale: false }
    } finally {
      this.#marks.drop(fence)
    }
  }

  /** From now on nothing is kept; what is under way still reaches those who wait. */
  close(): void {
    this.#isClosed = true
  }

  /** A stale value was given out, as the options allowed. */
  servedStale(key: Key, level: Level): void {
    this.counts.staleServed++
    if (this.#events.hears('entry.hit')) this.#events.tell('entry.hit', { key, level, stale: true })
  }

  async #keepFound(
    subject: Subject,
    found: Found,
    asOf: Stamp | undefined,
    fence: Fence,
    askedAt: number,
  ): Promise<void> {
    if (found.depth > 0) {
      await this.#inTurn(this.#marks.copy(subject.stored), async () => {
        if (this.#marks.holds(fence)) await this.#stack.backFill(subject.stored, found, asOf)
      })
    }
    // Counted from before the tier was asked: the time on the way must not lengthen a life.
    if (found.usableMs > 0 && this.#marks.holds(fence)) {
      this.#copies.put(subject.l1Key, found.value, askedAt + found.freshMs, askedAt + found.usableMs, asOf)
    }
  }

  /** Keeps a loaded value, unless something overtook the load. Resolves to whether it was kept anywhere. */
  async #keepLoaded(
    subject: Subject,
    value: unknown,
    lifetime: Lifetime,
    asOf: Stamp | undefined,
    heard: Stamp | undefined,
    fence: Fence,
  ): Promise<boolean> {
    if (value === undefined || lifetime.ttlMs === 0 || this.#isClosed) return false
    let bytes: Uint8Array = new Uint8Array(0)
    if (this.#stack.levels.length > 0) {
      try {
        bytes = encodeEntry(this.#codec, subject.key, value, lifetime)
      } catch (error) {
        if (this.#events.hears('entry.unencodable')) {
          this.#events.tell('entry.unencodable', { key: subject.key, error })
        }
        return false
      }
    }
    return this.#inTurn(this.#marks.copy(subject.stored), async () => {
      if (!this.#marks.holds(fence)) {
        this.counts.loadsOvertaken++
        return false
      }
      const remainingMs = lifetime.ttlMs + staleMsOf(lifetime)
      const outcome = await this.#stack.populate(subject.stored, bytes, remainingMs, asOf)
      if (outcome === 'refused' || !this.#marks.holds(fence)) {
        this.counts.loadsOvertaken++
        return false
      }
      // An authority that could not be asked keeps nothing, but while the bus works this process hears of
      // every mutation since the load began, so its own L1 may keep the value.
      this.#copies.keep(subject.l1Key, value, lifetime, outcome === 'failed' ? heard : asOf)
      return true
    })
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
