// Reads with a first look in front of them: what the request that asks has seen already (request-memory.ts). Only in
// caches that were given a `requestScope`; the others do not come by here. What a request has done itself is forgotten
// where everything under way is, in ongoing.ts.
//
// A loader runs aside of the request: what it brings is for everybody, and made of what this request remembers it could
// be older than a mutation that others have been told of.

import type { Key, KeyScope } from '../key.ts'
import type { Events } from '../metrics/events.ts'
import type { ResolvedCall, Skip } from '../options.ts'
import { type RequestPort, type Sight, UNSEEN } from '../request-memory.ts'
import type { EntryView } from './filling.ts'
import type { Life } from './life.ts'
import type { Loader } from './loading.ts'
import type { Ongoing } from './ongoing.ts'
import type { Reads } from './reads.ts'
import { passesCopies } from './searches.ts'
import type { Place } from './session.ts'
import type { Subjects } from './subject.ts'

/** What answers the reads of a cache. */
export type Answers = Pick<
  Reads,
  'entry' | 'freshMs' | 'get' | 'getMany' | 'getOrSet' | 'getOrSetMany' | 'hit' | 'isBehind'
>

/** What remembered reads work with. */
export interface RememberedParts {
  readonly reads: Reads
  readonly requests: RequestPort
  /** Stands for the cache in what a request has seen. */
  readonly ongoing: Ongoing
  readonly subjects: Subjects
  readonly life: Life
  readonly events: Events
  /** A value as another reader gets it, where readers are not to share one. */
  copy(value: unknown): unknown
}

/** Reads that begin with what the request has seen. */
export class Remembered implements Answers {
  readonly #reads: Reads
  readonly #requests: RequestPort
  readonly #cache: Ongoing
  readonly #subjects: Subjects
  readonly #life: Life
  readonly #events: Events
  readonly #copy: (value: unknown) => unknown

  constructor(parts: RememberedParts) {
    this.#reads = parts.reads
    this.#requests = parts.requests
    this.#cache = parts.ongoing
    this.#subjects = parts.subjects
    this.#life = parts.life
    this.#events = parts.events
    this.#copy = (value) => parts.copy(value)
  }

  hit(key: Key, scope: KeyScope, takesDue: boolean): unknown {
    const memory = this.#requests.reading
    if (memory === undefined || this.#life.isClosed) return this.#reads.hit(key, scope, takesDue)
    const { stored } = this.#subjects.of(key, scope)
    const seen = memory.find(this.#cache, stored)
    if (seen !== undefined && seen.value !== UNSEEN) return this.#answer(key, seen)
    const value = this.#reads.hit(key, scope, takesDue)
    return value === undefined ? undefined : this.#see(memory.sight(this.#cache, stored), value, true)
  }

  async get(key: Key, scope: KeyScope, skip?: Skip): Promise<unknown> {
    const memory = this.#requests.reading
    if (memory === undefined || skip === 'tiers') return this.#reads.get(key, scope, skip)
    const { stored } = this.#subjects.of(key, scope)
    if (skip === 'copies') memory.forget(this.#cache, stored)
    const sight = memory.sight(this.#cache, stored)
    if (sight !== undefined && sight.value !== UNSEEN) return this.#answer(key, sight)
    return this.#see(sight, await this.#reads.get(key, scope, skip), true)
  }

  async getMany(keys: readonly Key[], scope: KeyScope, skip?: Skip): Promise<Map<Key, unknown>> {
    const memory = this.#requests.reading
    if (memory === undefined || skip === 'tiers') return this.#reads.getMany(keys, scope, skip)
    const values = new Map<Key, unknown>()
    const sights = new Map<Key, Sight | undefined>()
    for (const key of new Set(keys)) {
      const { stored } = this.#subjects.of(key, scope)
      if (skip === 'copies') memory.forget(this.#cache, stored)
      const sight = memory.sight(this.#cache, stored)
      const isSeen = sight !== undefined && sight.value !== UNSEEN
      values.set(key, isSeen ? this.#answer(key, sight) : undefined)
      if (!isSeen) sights.set(key, sight)
    }
    if (sights.size > 0) {
      const found = await this.#reads.getMany([...sights.keys()], scope, skip)
      for (const [key, sight] of sights) values.set(key, this.#see(sight, found.get(key), true))
    }
    for (const [key, value] of values) if (value === undefined) values.delete(key)
    return values
  }

  async getOrSet(key: Key, scope: KeyScope, load: Loader<unknown>, call: ResolvedCall): Promise<unknown> {
    const sight = this.#sightOf(key, scope, call)
    const value = await this.#reads.getOrSet(key, scope, this.#requests.aside(load), call)
    return this.#seeLoaded(sight, value, call)
  }

  async getOrSetMany(
    ...[keys, scope, load, call]: Parameters<Answers['getOrSetMany']>
  ): ReturnType<Answers['getOrSetMany']> {
    const values = new Map<Key, unknown>()
    const sights = new Map<Key, Sight | undefined>()
    for (const key of new Set(keys)) {
      const sight = this.#sightOf(key, scope, call)
      const isSeen = sight !== undefined && sight.value !== UNSEEN && sight.value !== undefined
      values.set(key, isSeen ? this.#answer(key, sight) : undefined)
      if (!isSeen) sights.set(key, sight)
    }
    const loaded = await this.#reads.getOrSetMany([...sights.keys()], scope, this.#requests.aside(load), call)
    for (const [key, sight] of sights) {
      const value = loaded.values.get(key)
      if (value === undefined) values.delete(key)
      else values.set(key, this.#seeLoaded(sight, value, call))
    }
    return { values, failed: loaded.failed }
  }

  entry(key: Key, scope: KeyScope): Promise<EntryView | undefined> {
    return this.#reads.entry(key, scope)
  }

  freshMs(key: Key, scope: KeyScope): Promise<number | undefined> {
    return this.#reads.freshMs(key, scope)
  }

  /** Asked before a read that must not be older than a token; what the request remembers may be. */
  isBehind(key: Key, scope: KeyScope, places: readonly Place[]): boolean {
    this.#requests.reading?.forget(this.#cache, this.#subjects.of(key, scope).stored)
    return this.#reads.isBehind(key, scope, places)
  }

  /** Where a load is to leave its value; what is there already is no answer for one that passes by it. */
  #sightOf(key: Key, scope: KeyScope, call: ResolvedCall): Sight | undefined {
    const memory = this.#requests.reading
    if (memory === undefined) return undefined
    const { stored } = this.#subjects.of(key, scope)
    if (passesCopies(call)) memory.forget(this.#cache, stored)
    return memory.sight(this.#cache, stored)
  }

  #answer(key: Key, { value }: Sight): unknown {
    if (value === undefined) return undefined
    if (this.#events.hears('entry.hit')) {
      this.#events.tell('entry.hit', { key, level: 'request', stale: false })
    }
    return this.#copy(value)
  }

  /** Leaves a value in a sight, unless another one was there first: then that is the answer. */
  #see(sight: Sight | undefined, value: unknown, isAbsenceSeen: boolean): unknown {
    if (sight === undefined) return value
    const isFirst = sight.value === UNSEEN || (sight.value === undefined && !isAbsenceSeen)
    if (!isFirst) return sight.value === undefined ? undefined : this.#copy(sight.value)
    sight.value = value === undefined ? undefined : this.#copy(value)
    return value
  }

  /** The same for what was loaded. A fallback is the caller's own, and that there was no value no answer to a loader. */
  #seeLoaded(sight: Sight | undefined, value: unknown, { fallback }: ResolvedCall): unknown {
    if (value === undefined || (fallback !== undefined && value === fallback)) return value
    return this.#see(sight, value, false)
  }
}
