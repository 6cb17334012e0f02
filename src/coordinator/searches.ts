// Who waits for a search, and for how long: who joins one that is under way, who has waited enough and goes on with a
// stale value, who gets one because the search failed, and what is searched for behind an answer. What a search does is
// in filling.ts.

import type { Clock } from '../clock.ts'
import type { Key } from '../key.ts'
import type { Events, Level } from '../metrics/events.ts'
import type { ResolvedCall } from '../options.ts'
import { type Filling, type Flown, type Search, type SearchNote, type Standby, serves } from './filling.ts'
import type { Life } from './life.ts'
import { timeoutOf } from './loading.ts'
import type { Ongoing } from './ongoing.ts'
import type { Flight } from './single-flight.ts'
import { LATE, within } from './waiting.ts'

/** What searches work with. */
export interface SearchesParts {
  readonly filling: Filling
  readonly ongoing: Ongoing
  readonly life: Life
  readonly clock: Clock
  readonly events: Events
}

/** The searches of one cache. */
export class Searches {
  readonly #filling: Filling
  readonly #ongoing: Ongoing
  readonly #life: Life
  readonly #clock: Clock
  readonly #events: Events

  constructor(parts: SearchesParts) {
    this.#filling = parts.filling
    this.#ongoing = parts.ongoing
    this.#life = parts.life
    this.#clock = parts.clock
    this.#events = parts.events
  }

  /** Finds or loads a value below L1, alone or with those who ask for it already. */
  async find(search: Search): Promise<unknown> {
    const { call, held, subject } = search
    const joined = passesCopies(call) ? undefined : this.#joinable(subject.stored, call.loadTimeoutMs)
    const flight = joined ?? this.#fly(search)
    try {
      const flown = await this.#arrival(flight, search, joined !== undefined)
      this.#outdo(flight, subject.stored)
      if (flown.refresh !== undefined) this.refresh(search, flown.refresh.leastFreshMs)
      return flown.value
    } catch (error) {
      const stale = this.#standIn(flight, call, joined !== undefined)
      if (stale !== undefined) {
        this.#outdo(flight, subject.stored)
        return this.#serve(subject.key, stale)
      }
      // Nothing was read, as the cache or the tiers were in the way.
      const servesHeld = held !== undefined && serves(this.#clock.now() - held.staleSince, call)
      if (flight.note.stale === undefined && servesHeld) {
        return this.#serve(subject.key, { value: held.value, level: 'l1' })
      }
      if (call.fallback !== undefined) return call.fallback
      throw error
    }
  }

  /**
   * What a search brought is given out: a reading that is joined by now, or another search, may bring something older,
   * if it did not begin later.
   */
  #outdo(flight: Flight<SearchNote>, stored: string): void {
    const { reads, searches } = this.#ongoing
    const asOf = flight.note.loadsSince ?? flight.note.readAt
    if ((reads.joinable(stored)?.beganAt ?? asOf) < asOf) reads.forget(stored)
    const other = searches.joinable(stored)
    if (other === undefined || other === flight) return
    if ((other.note.loadsSince ?? other.beganAt) < asOf) searches.forget(stored)
  }

  /** A search under way whose value is not over before it has arrived, as it may be where the tiers are slow to take it. */
  #joinable(stored: string, oldestMs: number): Flight<SearchNote> | undefined {
    const flight = this.#ongoing.searches.joinable(stored, oldestMs)
    return flight !== undefined && flight.note.freshUntil < this.#clock.now() ? undefined : flight
  }

  /** What a flight brings, or the stale value when this caller has waited long enough. */
  async #arrival(flight: Flight<SearchNote>, { call, subject }: Search, isJoined: boolean): Promise<Flown> {
    const outcome = flight.outcome as Promise<Flown>
    const limitMs = isJoined ? call.loadTimeoutMs : Number.POSITIVE_INFINITY
    const beganAt = this.#clock.now()
    if (isJoined) {
      // It may run behind somebody's answer: then what it found is as good an answer to whoever comes now.
      await within(flight.note.isRead, limitMs, this.#clock)
      const found = flight.note.stale?.renewed()
      if (found !== undefined && this.#clock.now() - found.since < call.staleWhileRevalidateMs) {
        return { value: this.#give(subject.key, found), refresh: undefined }
      }
    }
    if (call.softLoadTimeoutMs < limitMs) {
      const early = await within(outcome, call.softLoadTimeoutMs, this.#clock)
      if (early !== LATE) return early
      await flight.note.isRead
      const stale = this.#standIn(flight, call, isJoined)
      if (stale !== undefined) {
        this.#life.goesOn(outcome)
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
  #standIn({ note }: Flight<SearchNote>, call: ResolvedCall, isJoined: boolean): Standby | undefined {
    // Who began the search asked when it could be used; who joined asked later.
    const stale = isJoined ? note.stale?.renewed() : note.stale
    return stale !== undefined && serves(this.#clock.now() - stale.since, call) ? stale : undefined
  }

  /** What a flight found, which may be fresh yet. */
  #give(key: Key, found: Standby): unknown {
    if (found.since <= this.#clock.now()) return this.#serve(key, found)
    if (this.#events.hears('entry.hit')) {
      this.#events.tell('entry.hit', { key, level: found.level, stale: false })
    }
    return found.value
  }

  #serve(key: Key, stale: { readonly value: unknown; readonly level: Level }): unknown {
    this.#filling.servedStale(key, stale.level)
    return stale.value
  }

  /** Starts a search that later callers join. */
  #fly(search: Search): Flight<SearchNote> {
    const { stored } = search.subject
    // Whatever is being loaded already began earlier: it must not end up over what is loaded now.
    if (search.call.isForced) this.#ongoing.marks.supersede(stored)
    return this.#ongoing.searches.start(stored, searchNote(), (note) => this.#filling.fill(search, note))
  }

  /**
   * Loads behind an answer, unless a tier has something that is fresh for longer than `leastFreshMs`. A failure is an
   * event; the value goes on until its time is over.
   */
  refresh(search: Search, leastFreshMs: number): void {
    const { key, stored } = search.subject
    if (
      this.#life.isClosed ||
      // It would find what was there before the mutation, and pass for newer than that.
      this.#ongoing.marks.pendingOn([stored]) !== undefined ||
      this.#ongoing.searches.has(stored) ||
      this.#ongoing.failures.get(stored) !== undefined
    )
      return
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
    this.#life.goesOn(this.#fly({ ...search, call, leastFreshMs }).outcome)
  }
}

/** Whether a caller wants nothing that this process holds already, be it a value or a load under way. */
export function passesCopies(call: ResolvedCall): boolean {
  return call.isForced || call.skip === 'copies'
}

function searchNote(): SearchNote {
  let readRan = (): void => {}
  const isRead = new Promise<void>((resolve) => {
    readRan = resolve
  })
  return {
    stale: undefined,
    isRead,
    readRan: () => readRan(),
    readAt: Number.NEGATIVE_INFINITY,
    loadsSince: undefined,
    freshUntil: Number.POSITIVE_INFINITY,
  }
}
