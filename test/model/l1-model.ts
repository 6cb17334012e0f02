// The obvious slow version of an L1: a Map in order of use with a deadline per entry. What the real one did on
// its own account is told to it as removals, and it says whether the promise allows them. Under another policy
// than `lru` it does not know the order, and takes any entry for evicted (policies.test.ts knows):
//
//   expired    only at or after the deadline, never before
//   evicted    only by an insert into a full cache, under `lru` only the oldest entry, one per insert; that
//              entry may be past its deadline
//   replaced   only by a write over an entry that was usable
//   deleted    only of an entry that was usable, and only when the caller asked for it; of all by `clear`
//
// An entry may stay past its deadline, unseen, as long as `overdue` is told that it may.

export type Key = string | number
export type Cause = 'evicted' | 'expired' | 'deleted' | 'replaced'

/** A removal as the listener was told. */
export interface Removal {
  key: Key
  value: unknown
  cause: Cause
}

interface ModelEntry {
  value: unknown
  deadline: number
  /** How long it lives after it was set or touched. */
  ttlMs: number
  /** Since when it has had a deadline: putting that off does not make the wheel finer. */
  timedSince: number
}

/** Thrown when the real cache did what the promise does not allow. */
export class Broken extends Error {}

/** A bounded cache with deadlines, slowly. */
export class L1Model {
  readonly #maxEntries: number
  readonly #isLru: boolean
  readonly #touchOnGet: boolean
  /** From the oldest use to the newest. */
  readonly #entries = new Map<Key, ModelEntry>()

  constructor(maxEntries: number, isLru: boolean, touchOnGet: boolean) {
    this.#maxEntries = maxEntries
    this.#touchOnGet = touchOnGet
    this.#isLru = isLru
  }

  get size(): number {
    return this.#entries.size
  }

  /** Whether an entry has a deadline. */
  get isTimed(): boolean {
    for (const entry of this.#entries.values()) if (entry.deadline !== Infinity) return true
    return false
  }

  /** Follows `removals` as what an operation that is not a write removed by itself. */
  expire(removals: readonly Removal[], now: number): void {
    for (const removal of removals) this.#expireOne(removal, now)
  }

  get(key: Key, removals: readonly Removal[], now: number): unknown {
    this.expire(removals, now)
    const entry = this.#entries.get(key)
    if (entry === undefined) return undefined
    if (entry.deadline <= now) throw new Broken('an expired entry that was asked for is still there')
    if (this.#touchOnGet) entry.deadline = now + entry.ttlMs
    this.#entries.delete(key)
    this.#entries.set(key, entry)
    return entry.value
  }

  peek(key: Key, removals: readonly Removal[], now: number): unknown {
    if (removals.length !== 0) throw new Broken('peek removed something')
    const entry = this.#entries.get(key)
    return entry === undefined || entry.deadline <= now ? undefined : entry.value
  }

  set(key: Key, value: unknown, deadline: number, removals: readonly Removal[], now: number): void {
    const timedSince = this.#timedSince(key, now)
    let evictions = 0
    for (const removal of removals) {
      if (removal.cause === 'replaced') {
        if (removal.key !== key) throw new Broken('another key was replaced')
        if (evictions > 0) throw new Broken('an entry was evicted for a write over another')
        this.#takeUsable(removal, now)
      } else if (removal.cause === 'evicted') {
        if (this.#entries.has(key)) throw new Broken('an entry was evicted though the key was there')
        if (++evictions > 1) throw new Broken('two entries were evicted for one')
        this.#evict(removal)
      } else {
        this.#expireOne(removal, now)
      }
    }
    if (this.#entries.has(key)) throw new Broken('what was under the key was not reported')
    this.#entries.set(key, { value, deadline, ttlMs: deadline - now, timedSince })
    if (this.#entries.size > this.#maxEntries) throw new Broken('more entries than maxEntries')
  }

  touch(key: Key, deadline: number, removals: readonly Removal[], now: number): boolean {
    this.expire(removals, now)
    const entry = this.#entries.get(key)
    if (entry === undefined || entry.deadline <= now) return false
    const timedSince = this.#timedSince(key, now)
    this.#entries.delete(key)
    this.#entries.set(key, { value: entry.value, deadline, ttlMs: deadline - now, timedSince })
    return true
  }

  delete(key: Key, removals: readonly Removal[], now: number): boolean {
    let deletions = 0
    for (const removal of removals) {
      if (removal.cause !== 'deleted') this.#expireOne(removal, now)
      else if (removal.key !== key) throw new Broken('another key was deleted')
      else {
        this.#takeUsable(removal, now)
        deletions++
      }
    }
    if (this.#entries.has(key)) throw new Broken('a deleted entry was not reported')
    return deletions > 0
  }

  clear(removals: readonly Removal[]): void {
    const newestFirst = [...this.#entries.keys()].reverse()
    removals.forEach((removal, at) => {
      if (this.#isLru && removal.key !== newestFirst[at]) throw new Broken('clear reported out of order')
      if (removal.cause !== 'deleted') throw new Broken(`an entry was ${removal.cause}`)
      this.#take(removal)
    })
    if (this.#entries.size !== 0) throw new Broken('clear left an entry out')
  }

  /** Whether the entry of `key` has a deadline. */
  hasDeadline(key: Key): boolean {
    return this.#entries.get(key)?.deadline !== Infinity
  }

  /** The usable entries from the newest use to the oldest. */
  usable(now: number): [Key, unknown][] {
    const usable: [Key, unknown][] = []
    for (const [key, entry] of this.#entries) if (entry.deadline > now) usable.push([key, entry.value])
    return usable.reverse()
  }

  /** The first entry that should have been gone by `now`, if there is one. */
  overdue(latestOf: (timedSince: number, deadline: number) => number, now: number): Key | undefined {
    for (const [key, { timedSince, deadline }] of this.#entries) {
      if (deadline <= now && latestOf(timedSince, deadline) < now) return key
    }
    return undefined
  }

  #timedSince(key: Key, now: number): number {
    const entry = this.#entries.get(key)
    return entry === undefined || entry.deadline === Infinity ? now : entry.timedSince
  }

  #expireOne(removal: Removal, now: number): void {
    if (removal.cause !== 'expired') throw new Broken(`an entry was ${removal.cause}`)
    const entry = this.#take(removal)
    if (entry.deadline > now) throw new Broken(`an entry expired ${entry.deadline - now} ms too early`)
  }

  #evict(removal: Removal): void {
    if (this.#entries.size < this.#maxEntries) throw new Broken('an entry was evicted though there was room')
    const [oldest] = this.#entries.keys()
    if (this.#isLru && removal.key !== oldest)
      throw new Broken(`evicted instead of the oldest, ${String(oldest)}`)
    this.#take(removal)
  }

  #takeUsable(removal: Removal, now: number): void {
    if (this.#take(removal).deadline <= now) throw new Broken(`an expired entry was called ${removal.cause}`)
  }

  #take({ key, value }: Removal): ModelEntry {
    const entry = this.#entries.get(key)
    if (entry === undefined) throw new Broken(`${String(key)} was removed, but was not there`)
    if (entry.value !== value) throw new Broken(`${String(key)} was reported with another value`)
    this.#entries.delete(key)
    return entry
  }
}
