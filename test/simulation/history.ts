// What was done and answered in one run, and whether that keeps the promises (docs/guide/consistency.md).
//
// Truth is a number per key that only grows: a mutation raises it when it is called, a loader reads it when it begins.
// A value is that number, with an id of its own. What a number has to be at the least follows from the promise:
//
//   C1  a read that was called after a mutation was called in its process: that mutation's number, taken or not (C2)
//   C2  a mutation that is acknowledged has been done at the authority since it was called
//   C3  a read that was called after another of the same process and key was answered: what that one gave, as far as
//       it was done at the authority by then; of what was loaded here, as far as it was done when that began, since
//       its place in the order is that of the read before it
//   C4  while nothing fails, a read a quarter of a second after an acknowledgement: that mutation's number
//   C5  whatever fails, a read a lease after an acknowledgement: that mutation's number
//   C6  what is stored at the authority: the number of every mutation that was done there before
//       nor what is loaded while the key is held off after a removal
//   C7  no answer is past its ttl, but in its windows: of a refresh behind it, of a load that failed
//   C8  one load of a key runs in a process, unless something overtook the first; none is joined after a lease
//       with load leases, while nothing fails, one in all processes, and half a second after it everybody knows
//   C9  what goes wrong beyond the loader costs a read time and nothing else, and nothing waits for ever
//
// A mutation can be the deletion of a tag that every entry of a key carries. It is judged when an entry is read, and
// leaves the order of the key where it is: C1, C2, C4 and C5 hold for it, C3 and C6 say nothing of it.
//
// A read with the token of another process gives what that one's acknowledged mutations left. A mutation that waits for
// the authority counts as one that was rejected, until nothing waits any more. No two increments resolve to one sum.
//
// For a lease after a message was forged, what it hides may come between two reads (E5): C3 is not judged then.
//
// When a server takes over that was behind, the mutations of its last moments are gone (E1). They are taken off the
// history; everything else is promised as before.

export type Key = string | number

/** What is cached. */
export interface Value {
  readonly n: number
  readonly id: number
}

/** A mutation of one key; a clear is one of each. */
export interface Mutation {
  readonly key: Key
  readonly n: number
  readonly by: Witness
  /** Whether it goes by the tag of the key. */
  readonly isOfTag: boolean
  /** Whether it may find that it does not apply. */
  readonly isConditional: boolean
  readonly calledAt: number
  doneAt: number | undefined
  acknowledgedAt: number | undefined
}

interface Load {
  /** When the read was called that had it run. */
  readonly calledAt: number
  readonly beganAt: number
  readonly by: Witness
  /** Whether it is for one key alone: only such wait for other processes. */
  readonly isOfOne: boolean
}

/** What is remembered of one process. */
export class Witness {
  readonly name: string
  /** By key: what the next read has to give at the least, because of mutations called here (C1). */
  readonly floors = new Map<Key, number>()
  /** The same because of what was read here (C3). */
  readonly seen = new Map<Key, number>()
  /** Called and not settled, oldest first. */
  readonly underway = new Map<Key, Mutation[]>()
  /** Whether a deletion of a tag was rejected here: reads say it again, and overtake every load. */
  hasTagDoubts = false
  /** Keys whose last mutation here was rejected: what is done to them at the authority cannot be told apart. */
  readonly doubted = new Set<Key>()
  readonly loads = new Map<Key, Set<Load>>()
  /** When a load of a key, or every load, was last overtaken here. */
  readonly overtakenAt = new Map<Key, number>()
  allOvertakenAt = -1
  /** When anyone last cleared, or deleted a tag: it is heard of sooner or later. */
  clearedAt = Number.NEGATIVE_INFINITY
  stoppedAt = -1
  /** When something of a key was last done at the authority by this process. */
  readonly doneAt = new Map<Key, number>()
  /** By key: the highest number of its mutations that were acknowledged. */
  readonly taken = new Map<Key, number>()
  /** When a removal of a key was last acknowledged. */
  readonly removedAt = new Map<Key, number>()
  /** Mutations that wait, by key, or for tags and clears; they have not resolved yet. */
  readonly waiting = new Map<Key | undefined, number>()
  /** When a load of a key last failed. */
  readonly failedAt = new Map<Key, number>()

  constructor(name: string) {
    this.name = name
  }
}

/** How long values live in a run. */
export interface Lifetimes {
  readonly ttlMs: number
  readonly staleWhileRevalidateMs: number
  readonly staleIfErrorMs: number
  /** How long a read waits for a load. */
  readonly loadTimeoutMs: number
  /** How long one waits that has something stale. */
  readonly softLoadTimeoutMs: number
  /** How long after a load failed no other is tried. */
  readonly failureThrottleMs: number
  /** How long a load may keep other processes waiting; `0` for not at all. */
  readonly loadLeaseMs: number
}

/** A value that was loaded. */
interface Loaded {
  /** The read that had it loaded. */
  readonly asked: Asked
  readonly beganAt: number
}

/** What a read may answer with, fixed when it is called. */
export interface Asked {
  readonly by: Witness
  readonly key: Key
  readonly at: number
  readonly how: string
  /** What was done at the authority when it was called. */
  readonly done: number
  readonly isStaleAllowed: boolean
  readonly least: readonly (readonly [promise: string, n: number])[]
  /** How many servers had taken over that lacked something. */
  readonly losses: number
}

/** How long answers may be behind while nothing fails. */
const HEALTHY_MS = 250
/** How long after a load, while nothing fails, those who waited for it have their answer. */
const TOLD_MS = 500
/** The grain of a server's time, and of sums of fractions. */
const GRAIN_MS = 2

/** A promise that was not kept. */
export class Broken extends Error {}

/** One run's history. */
export class History {
  readonly #now: () => number
  readonly #leaseMs: number
  readonly #lifetimes: Lifetimes
  readonly #isHealthy: boolean
  readonly #truth = new Map<Key, number>()
  readonly #done = new Map<Key, number>()
  /** By key: the numbers of what was done there, but by tags. */
  readonly #places = new Map<Key, Set<number>>()
  #mutations: Mutation[] = []
  /** Mutations that a server did which was followed by one that had not heard of them. */
  readonly #lost = new Set<Mutation>()
  /** By key: acknowledged mutations in the order of their acknowledgement, with the highest number so far. */
  readonly #acknowledged = new Map<Key, { at: number; n: number }[]>()
  readonly #written = new Map<number, number>()
  /** Of values that were loaded: by whom, and what was done at the authority when that began. */
  readonly #loaded = new Map<number, Loaded>()
  /** Until when the life of a key's entry may have been made longer. */
  readonly #touchedUntil = new Map<Key, number>()
  readonly #queued: Mutation[] = []
  readonly #sums = new Set<number>()
  /** By key: the loads that run anywhere, and when the last one ended. */
  readonly #running = new Map<Key, Set<Load>>()
  readonly #loadedAt = new Map<Key, number>()
  #losses = 0
  /** Until then a forged message may hide what follows (E5). */
  #hiddenUntil = Number.NEGATIVE_INFINITY
  #ids = 0
  reads = 0
  answers = 0
  stale = 0
  writes = 0
  loads = 0

  constructor(now: () => number, leaseMs: number, lifetimes: Lifetimes, isHealthy: boolean) {
    this.#now = now
    this.#leaseMs = leaseMs
    this.#lifetimes = lifetimes
    this.#isHealthy = isHealthy
  }

  truthOf(key: Key): number {
    return this.#truth.get(key) ?? 0
  }

  /** A value of the present truth. */
  make(n: number, loaded?: Loaded): Value {
    const value = { n, id: ++this.#ids }
    if (loaded !== undefined) this.#loaded.set(value.id, loaded)
    this.#written.set(value.id, this.#now())
    return value
  }

  /** The loader that made a value ends only now: its life begins. */
  returned(value: Value): void {
    this.#written.set(value.id, this.#now())
  }

  called(by: Witness, key: Key, isOfTag = false): Mutation {
    const n = this.truthOf(key) + 1
    this.#truth.set(key, n)
    by.floors.set(key, n)
    return this.#call(by, key, n, isOfTag, false)
  }

  /** A mutation that leaves the truth as it is: an `add` of what is true, where `n` is that, or else one of no value. */
  calledAside(by: Witness, key: Key, n = 0): Mutation {
    return this.#call(by, key, n, false, true)
  }

  #call(by: Witness, key: Key, n: number, isOfTag: boolean, isConditional: boolean): Mutation {
    by.overtakenAt.set(key, this.#now())
    const mutation: Mutation = {
      key,
      n,
      by,
      isOfTag,
      isConditional,
      calledAt: this.#now(),
      doneAt: undefined,
      acknowledgedAt: undefined,
    }
    this.#mutations.push(mutation)
    const queue = by.underway.get(key) ?? []
    by.underway.set(key, queue)
    queue.push(mutation)
    this.writes++
    return mutation
  }

  acknowledged(mutation: Mutation): void {
    const { by, key, n } = mutation
    this.#settle(mutation)
    if ((by.doneAt.get(key) ?? -1) < mutation.calledAt)
      throw new Broken(
        `C2: a mutation of ${JSON.stringify(key)} by ${by.name} was acknowledged and never done`,
      )
    mutation.acknowledgedAt = this.#now()
    mutation.doneAt ??= this.#now()
    // The answer was still on its way.
    if (this.#lost.has(mutation)) return
    if (!mutation.isOfTag) {
      by.doubted.delete(key)
      this.#do(key, n)
    }
    if (n > 0) by.taken.set(key, Math.max(by.taken.get(key) ?? 0, n))
    this.#take(mutation)
  }

  /** A mutation that depends on what is there found that it does not apply. */
  passed(mutation: Mutation): void {
    this.#settle(mutation)
  }

  /** A mutation waits for the authority. */
  queued(mutation: Mutation): void {
    this.#settle(mutation)
    mutation.by.doubted.add(mutation.key)
    mutation.by.hasTagDoubts = true
    this.#queued.push(mutation)
  }

  /** Nothing waits in these processes any more, and that was so before `since`. */
  delivered(processes: ReadonlySet<Witness>, since: number): void {
    for (const mutation of this.#queued) {
      if (!processes.has(mutation.by)) continue
      mutation.acknowledgedAt = since
      this.#take(mutation)
    }
  }

  /** From now on, until `until`, the life of a key's entry may have been made longer. */
  touched(key: Key, until: number): void {
    this.#touchedUntil.set(key, until)
  }

  /** An increment resolved. */
  summed(sum: number): void {
    if (this.#sums.has(sum)) throw new Broken(`C2: two increments resolved to ${sum}`)
    this.#sums.add(sum)
  }

  rejected(mutation: Mutation, error: unknown): void {
    this.#settle(mutation)
    mutation.by.doubted.add(mutation.key)
    if (mutation.isOfTag) mutation.by.hasTagDoubts = true
    if ((error as { code?: unknown }).code !== 'CACHE_TIER_FAILED')
      throw new Broken(`C2: a mutation was rejected with ${String(error)}`)
  }

  /** Something was done to a key at the authority for a process. */
  done(by: Witness, key: Key, isOfTag = false): void {
    by.doneAt.set(key, this.#now())
    const oldest = by.underway.get(key)?.find((mutation) => mutation.isOfTag === isOfTag)
    if (oldest === undefined || by.doubted.has(key) || oldest.doneAt !== undefined) return
    oldest.doneAt = this.#now()
    if (!isOfTag) this.#do(key, oldest.n)
  }

  #do(key: Key, n: number): void {
    this.#done.set(key, Math.max(this.#done.get(key) ?? 0, n))
    const places = this.#places.get(key) ?? new Set()
    this.#places.set(key, places)
    places.add(n)
  }

  /** The last place in the order of a key up to `n`: what tags did has none. */
  #placeOf(key: Key, n: number): number {
    let place = n
    const places = this.#places.get(key)
    while (place > 0 && places?.has(place) !== true) place--
    return place
  }

  /** A value was stored at the authority. */
  stored(key: Key, value: Value, by: Witness | undefined, holdOffMs: number): void {
    this.#written.set(value.id, this.#now())
    const loaded = this.#loaded.get(value.id)
    const heldSince = by?.removedAt.get(key) ?? Number.POSITIVE_INFINITY
    // Half of it, since it began when the removal was done, and that was heard of later.
    if (loaded?.asked.by === by && loaded !== undefined) {
      if (loaded.beganAt >= heldSince && loaded.beganAt < heldSince + holdOffMs / 2)
        throw new Broken(
          `C6: ${value.n} of ${JSON.stringify(key)} was stored while it was to be held off: ${JSON.stringify([loaded.beganAt, heldSince, by?.name, this.#now()])}`,
        )
    }
    const least = this.#done.get(key) ?? 0
    if (value.n < least)
      throw new Broken(`C6: ${value.n} of ${JSON.stringify(key)} was stored after ${least} was done`)
  }

  /** A server took over that lacks what was done since `from` to the keys it has. */
  lost(from: number, isThere: (key: Key, isOfTag: boolean) => boolean, witnesses: Iterable<Witness>): void {
    const isLost = ({ key, isOfTag, doneAt, acknowledgedAt }: Mutation) =>
      isThere(key, isOfTag) && (doneAt ?? acknowledgedAt ?? Number.POSITIVE_INFINITY) >= from
    this.#losses++
    for (const mutation of this.#mutations) if (isLost(mutation)) this.#lost.add(mutation)
    this.#mutations = this.#mutations.filter((mutation) => !this.#lost.has(mutation))
    for (const key of this.#truth.keys()) {
      if (!isThere(key, false) && !isThere(key, true)) continue
      this.#acknowledged.delete(key)
      this.#done.delete(key)
      this.#places.delete(key)
      for (const witness of witnesses) {
        witness.floors.delete(key)
        witness.seen.delete(key)
        witness.taken.delete(key)
      }
    }
    for (const mutation of this.#mutations) {
      const { key, by, isOfTag, n, acknowledgedAt, doneAt } = mutation
      if (!isThere(key, false) && !isThere(key, true)) continue
      by.floors.set(key, Math.max(n, by.floors.get(key) ?? 0))
      if (doneAt !== undefined && !isOfTag) this.#do(key, n)
      if (acknowledgedAt === undefined) continue
      if (n > 0) by.taken.set(key, n)
      this.#take(mutation)
    }
  }

  /** A message is made up. */
  forged(): void {
    this.#hiddenUntil = this.#now() + this.#leaseMs
  }

  /** @param after - By whose mutations the answer has to go, as its token says. */
  ask(by: Witness, key: Key, how: string, isStaleAllowed: boolean, after?: Witness): Asked {
    this.reads++
    const now = this.#now()
    const least: [string, number][] = [
      ['C1', by.floors.get(key) ?? 0],
      ['C3', now < this.#hiddenUntil ? 0 : (by.seen.get(key) ?? 0)],
      ['C5', this.#leastAt(key, now - this.#leaseMs)],
    ]
    if (this.#isHealthy) least.push(['C4', this.#leastAt(key, now - HEALTHY_MS)])
    // What is read at the authority itself waits for no lease.
    if (how === 'authority') least.push(['C6', this.#done.get(key) ?? 0])
    if (after !== undefined) least.push(['token', after.taken.get(key) ?? 0])
    const done = this.#done.get(key) ?? 0
    return { by, key, at: now, how, done, isStaleAllowed, least, losses: this.#losses }
  }

  answered(asked: Asked, value: Value | undefined): void {
    const { by, key, how } = asked
    // What is read at the authority may be news, and overtakes a load like a message.
    if (how === 'getMany') by.allOvertakenAt = this.#now()
    else if (how !== 'l1') by.overtakenAt.set(key, this.#now())
    if (value === undefined) return
    this.answers++
    // What was lost meanwhile is no measure.
    for (const [promise, n] of asked.losses === this.#losses ? asked.least : [])
      if (value.n < n) throw new Broken(`${promise}: ${value.n} instead of ${n}, ${asOf(asked)}`)
    if (value.n > this.truthOf(key)) throw new Broken(`C1: ${value.n} never was, ${asOf(asked)}`)
    const load = this.#loaded.get(value.id)?.asked
    const isOwn = load?.by === by && load.losses === this.#losses
    const done = isOwn ? load.done : (this.#done.get(key) ?? 0)
    const place = this.#placeOf(key, Math.min(value.n, done))
    by.seen.set(key, Math.max(by.seen.get(key) ?? 0, place))
    this.#checkTime(asked, value)
    if (how === 'getOrSet') this.#checkTold(asked)
  }

  /** The loader of a key begins. Returns what ends it. */
  loading({ at: calledAt, by, how, key }: Asked): () => void {
    this.loads++
    const now = this.#now()
    const load: Load = { calledAt, beganAt: now, by, isOfOne: how === 'getOrSet' }
    const endAnywhere = this.#loadingAnywhere(key, load)
    const running = by.loads.get(key) ?? new Set()
    by.loads.set(key, running)
    for (const { calledAt: other } of running) {
      // Whichever flight is the older one, it may have waited for the tiers longer than the other.
      const first = Math.min(calledAt, other)
      const isOvertaken =
        Math.max(by.allOvertakenAt, by.overtakenAt.get(key) ?? -1, by.stoppedAt) >= first ||
        by.clearedAt > first - 10_000 ||
        // A read says again what was not taken.
        by.hasTagDoubts ||
        by.doubted.has(key) ||
        // Reads wait for a mutation, so this one of several has ended, as whatever it did.
        (by.underway.get(key)?.length ?? 0) > 0
      const isOld = now - first > Math.min(this.#leaseMs, this.#lifetimes.loadTimeoutMs)
      if (!isOvertaken && !isOld)
        throw new Broken(`C8: a second load of ${JSON.stringify(key)} in ${by.name} at ${now.toFixed(1)}`)
    }
    running.add(load)
    return () => {
      running.delete(load)
      endAnywhere()
    }
  }

  /** Of the loads that run in all processes: whether there may be one more. */
  #loadingAnywhere(key: Key, load: Load): () => void {
    const now = this.#now()
    const mostMs = this.#lifetimes.loadLeaseMs - HEALTHY_MS
    const running = this.#running.get(key) ?? new Set()
    this.#running.set(key, running)
    for (const other of running) {
      // Who has waited for too long loads without a lease.
      const isHolder = other.beganAt - other.calledAt < mostMs
      const isWaitedFor =
        this.#isHealthy && isHolder && now - other.beganAt < mostMs && now - load.calledAt < mostMs
      if (isWaitedFor && other.by !== load.by && other.isOfOne && load.isOfOne)
        throw new Broken(
          `C8: ${JSON.stringify(key)} is loaded in ${load.by.name} while ${other.by.name} does, at ${now.toFixed(1)}`,
        )
    }
    running.add(load)
    return () => {
      if (running.delete(load)) this.#loadedAt.set(key, this.#now())
    }
  }

  #checkTold(asked: Asked): void {
    const { at, key } = asked
    if (!this.#isHealthy || this.#lifetimes.loadLeaseMs === 0 || (this.#running.get(key)?.size ?? 0) > 0)
      return
    const waitedMs = this.#now() - Math.max(at, this.#loadedAt.get(key) ?? at)
    if (waitedMs > TOLD_MS) throw new Broken(`C8: nobody told of a load, ${asOf(asked)}`)
  }

  #checkTime(asked: Asked, value: Value): void {
    const { at, by, key, isStaleAllowed } = asked
    const { failureThrottleMs, ttlMs, staleWhileRevalidateMs, staleIfErrorMs } = this.#lifetimes
    const longestMs = Math.min(this.#lifetimes.loadTimeoutMs, this.#lifetimes.softLoadTimeoutMs)
    const since = Math.max(this.#written.get(value.id) ?? at, this.#touchedUntil.get(key) ?? 0)
    const staleMs = at - since - ttlMs - GRAIN_MS
    if (staleMs <= 0) return
    const what = `C7: ${value.n} is ${staleMs.toFixed(1)} ms past its ttl`
    if (!isStaleAllowed) throw new Broken(`${what}, ${asOf(asked)}`)
    this.stale++
    if (staleMs <= staleWhileRevalidateMs) return
    // It says that it is stale, and is handed out for as long as anybody might use it.
    if (asked.how === 'getEntry' && staleMs <= staleIfErrorMs) return
    const hasFailed =
      (by.failedAt.get(key) ?? Number.NEGATIVE_INFINITY) >= at - failureThrottleMs ||
      this.#now() - at >= longestMs - 1
    if (staleMs > staleIfErrorMs || !hasFailed) throw new Broken(`${what} and no load failed, ${asOf(asked)}`)
  }

  #settle(mutation: Mutation): void {
    const queue = mutation.by.underway.get(mutation.key)
    const at = queue?.indexOf(mutation) ?? -1
    if (at >= 0) queue?.splice(at, 1)
  }

  #take({ key, n, acknowledgedAt }: Mutation): void {
    const taken = this.#acknowledged.get(key) ?? []
    this.#acknowledged.set(key, taken)
    taken.push({ at: acknowledgedAt as number, n: Math.max(n, taken.at(-1)?.n ?? 0) })
  }

  #leastAt(key: Key, before: number): number {
    const taken = this.#acknowledged.get(key)
    if (taken === undefined) return 0
    for (let at = taken.length - 1; at >= 0; at--) {
      const one = taken[at] as { at: number; n: number }
      if (one.at <= before) return one.n
    }
    return 0
  }
}

function asOf({ at, by, how, key }: Asked): string {
  return `of ${JSON.stringify(key)} by ${how} in ${by.name}, called at ${at.toFixed(1)}`
}
