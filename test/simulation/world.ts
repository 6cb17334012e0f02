// One run of the simulator: several processes over one Redis for sixty seconds, and what befalls them. Everything under
// test is the real thing, down to the scripts; what is simulated is time, the way (network.ts), the server
// (model-redis.ts) and crashes. What has to hold is in history.ts.
//
// What a run does, and which faults strike it, is drawn from its seed, each fault with probability one half: a
// workload that is always the same would find always the same, and faults that always come together hide each other.

import * as scripts from '../../src/backends/redis-scripts.ts'
import { RedisStore } from '../../src/backends/redis-store.ts'
import { redisBus } from '../../src/bus/redis.ts'
import type { Cache } from '../../src/cache.ts'
import { jsonCodec } from '../../src/codecs/json.ts'
import { decodeEnvelope } from '../../src/coordinator/envelope.ts'
import type { Lock, LockOptions } from '../../src/coordinator/locks.ts'
import { createCache } from '../../src/create-cache.ts'
import { keyScope, namespaceScope, partitionTextOf, storedKey } from '../../src/key.ts'
import { decodeMessage, encodeMessage, type Message } from '../../src/message.ts'
import { partitionOf, type Stamp } from '../../src/stamp.ts'
import { flakyTier } from '../../src/testing/chaos.ts'
import { memoryTier } from '../../src/tiers/memory.ts'
import { redisTier } from '../../src/tiers/redis.ts'
import type { Tier } from '../../src/tiers/tier.ts'
import { seededRandom } from '../support/seeded-random.ts'
import { type Asked, Broken, History, type Key, type Mutation, type Value, Witness } from './history.ts'
import { LockHistory } from './lock-history.ts'
import type { ModelRedis } from './model-redis.ts'
import { Client, Line, LONGEST_ON_THE_WAY_MS, Network } from './network.ts'
import { calm, everyMs, NAMES, type Plan, planOf, type Trouble } from './plan.ts'
import { countTurns, Life, Universe } from './universe.ts'

const RUN_MS = 60_000
const SAVE_EVERY_MS = 4_000
const LOCK_EVERY_MS = 3_000
const LOCKS = ['l', 'm'] as const
/** How long a load takes that begins while the source is slow. */
const SLOW_MS = 7_000
/** The namespaces there are; the first is the cache itself. */
const SPACES = ['', 'x', 'y'] as const
const LEASE_MS = 3_000
/** What Redis keeps before the bytes of an entry. */
const STAMP_BYTES = 36
const codec = jsonCodec()
const tagOf = (key: Key): string => `of ${String(key).toWellFormed()}`

/** What a run did, for those who want to know how much a number of runs is worth. */
export interface Account {
  readonly reads: number
  readonly answers: number
  readonly stale: number
  readonly writes: number
  readonly loads: number
  readonly faults: number
  /** The faults that were on, and the shape of the run. */
  readonly shape: string
}

interface Process {
  readonly life: Life
  readonly client: Client
  readonly line: Line
  readonly cache: Cache<Value>
  /** The cache and its namespaces, by their names. */
  readonly spaces: ReadonlyMap<string, Cache<Value>>
  readonly witness: Witness
  /** Answers that are waited for. */
  waiting: number
}

const told = [
  'bus.connected',
  'bus.failed',
  'bus.gap',
  'entry.invalidated',
  'load.finished',
  'load.failed',
  'mutation.committed',
  'mutation.queued',
  'snapshot.restored',
  'tier.failed',
] as const

class SourceFailed extends Error {}

type How = 'get' | 'getEntry' | 'getMany' | 'getOrSet' | 'getOrSetMany'

/**
 * Makes one run.
 *
 * @param tell - Is told what happens.
 * @param edition - Of what is drawn (plan.ts).
 * @throws An error that begins with the line which repeats the run.
 */
export async function simulate(
  seed: number,
  tell?: (line: string) => void,
  edition?: number,
): Promise<Account> {
  const { stackTraceLimit } = Error
  // Thousands of calls fail in a run, as they are to; where they do is of interest to who follows one run alone.
  if (tell === undefined) Error.stackTraceLimit = 0
  const uncount = countTurns()
  try {
    return await new World(seed, tell, edition).run()
  } catch (error) {
    const what = error instanceof Broken ? error.message : `${(error as Error).stack ?? error}`
    throw new Error(`SEED=${seed} ${what}`)
  } finally {
    uncount()
    Error.stackTraceLimit = stackTraceLimit
  }
}

class World {
  readonly #tell: ((line: string) => void) | undefined
  readonly #random: () => number
  readonly #universe = new Universe()
  readonly #network: Network
  readonly #history: History
  readonly #processes: Process[] = []
  readonly #everyone: Witness[] = []
  readonly #machines: Tier[]
  /** By place: what its last snapshot has, whoever made it, and how far its wall clock is off. */
  readonly #saved: (readonly Uint8Array[] | undefined)[] = []
  readonly #wallOffsets: number[] = []
  readonly #plan: Plan
  readonly #locks = new LockHistory()
  /** By key: where it lies, and as what. */
  readonly #placeOf = new Map<Key, { readonly space: string; readonly name: Key }>()
  readonly #keyOfStored = new Map<string, Key>()
  readonly #keyOfL1 = new Map<Key, Key>()
  readonly #keyOfTag = new Map<string, Key>()
  readonly #partitionOfKey = new Map<Key, number>()
  /** Keys that are being set, and those of which a set that was given up may be on its way. */
  readonly #setting = new Map<Key, number>()
  #lastLogged: Stamp | undefined
  /** Until then a load that begins takes long. */
  #slowUntil = 0
  /** How many keys there were that nobody reads. */
  #besides = 0
  #counts = 0
  #isQuiet = true
  #faults = 0
  #broken: unknown

  constructor(seed: number, tell: ((line: string) => void) | undefined, edition: number | undefined) {
    this.#tell = tell
    this.#random = seededRandom(seed)
    this.#plan = planOf(this.#random, edition)
    const plan = this.#plan
    const universe = this.#universe
    this.#history = new History(() => universe.now, LEASE_MS, plan.lifetimes, plan.isHealthy)
    this.#network = new Network({
      universe,
      random: this.#random,
      weather: { ...calm, latencyMs: plan.latencyMs },
      masters: plan.masters,
      isLossy: plan.isLossy,
      observer: {
        onLogged: (bytes) => this.#guarded(() => this.#logged(bytes)),
        onStored: (key, value) => this.#guarded(() => this.#stored(key, value)),
      },
    })
    const scope = keyScope('', 1)
    for (const [at, key] of NAMES.entries()) {
      const space = plan.hasSpaces ? (SPACES[at % SPACES.length] as string) : ''
      // The same in each of them; but of what waits events tell no more than the name.
      const isShared = plan.hasSpaces && plan.maxQueuedBytes === undefined
      const name = isShared ? (NAMES[Math.floor(at / SPACES.length)] as Key) : key
      this.#placeOf.set(key, { space, name })
      const stored = storedKey(space === '' ? scope : namespaceScope(scope, space, 1), name)
      this.#keyOfStored.set(stored, key)
      this.#keyOfL1.set(space === '' ? name : `\0${stored}`, key)
      this.#keyOfTag.set(scope.prefix + tagOf(key), key)
      this.#partitionOfKey.set(key, partitionOf(partitionTextOf(stored), plan.partitions))
    }
    const clock = new Life(universe, 0, 0)
    this.#machines = [0, 1].map(() => memoryTier({ clock, scope: 'machine' }))
  }

  async run(): Promise<Account> {
    const { plan, universe, network, history } = {
      plan: this.#plan,
      universe: this.#universe,
      network: this.#network,
      history: this.#history,
    }
    for (let at = 0; at < plan.nodes; at++) this.#processes.push(this.#start(at))
    await this.#pass(500)
    this.#isQuiet = false
    Object.assign(network.weather, plan.weather)
    for (const [at] of this.#processes.entries()) this.#work(at)
    if (plan.isWarm) for (const [at] of this.#processes.entries()) this.#saveNowAndThen(at)
    if (plan.hasLocks) for (const [at] of this.#processes.entries()) this.#lockNowAndThen(at)
    for (const trouble of plan.troubles) this.#trouble(trouble)
    await this.#pass(RUN_MS)

    // Everything works again: what is still wrong now will stay so.
    this.#isQuiet = true
    Object.assign(network.weather, calm)
    for (const server of network.servers) server.isUp = true
    for (const line of [...network.lines]) {
      if (line.isDead) line.break()
      else line.release()
    }
    await this.#pass(universe.now + 10_000 + LONGEST_ON_THE_WAY_MS + plan.longestLoadMs + LEASE_MS)
    for (const { cache, witness } of this.#processes) {
      const waiting = cache.health().outbox?.size ?? 0
      if (waiting > 0) throw new Broken(`C2: ${waiting} mutations wait in ${witness.name}, though all works`)
    }
    if (!plan.isLossy) history.delivered(new Set(this.#processes.map(({ witness }) => witness)), universe.now)
    await this.#pass(universe.now + LEASE_MS + 1)
    for (const { witness, waiting } of this.#processes) {
      if (waiting > 0) throw new Broken(`C9: ${waiting} calls in ${witness.name} wait for ever`)
    }
    for (const process of this.#processes) for (const key of plan.keys) this.#read(process, key, 'get')
    await this.#pass(universe.now + 1_000)
    await this.#pass(universe.now + 1_000)
    for (const { cache } of this.#processes) {
      if (!cache.health().copiesTrusted)
        throw new Broken('C4: a process trusts its copies no more, though all works')
    }
    await this.#checkKept()
    for (const { life, line } of this.#processes) {
      life.isDead = true
      line.end()
    }
    const { reads, answers, stale, writes, loads } = history
    return { reads, answers, stale, writes, loads, faults: this.#faults, shape: plan.shape }
  }

  /** What is loaded now is kept, in every process: nothing that struck may have left one without copies for good. */
  async #checkKept(): Promise<void> {
    const { keys, l1Entries, lifetimes } = this.#plan
    if (l1Entries < keys.length || lifetimes.ttlMs < Number.POSITIVE_INFINITY) return
    // The first time a read may say a mutation again that was not taken, and others hear of it; the second time one of
    // tags may, for all keys.
    for (let turn = 0; turn < 3; turn++) {
      for (const process of this.#processes) for (const key of keys) this.#read(process, key, 'getOrSet')
      await this.#pass(this.#universe.now + this.#plan.longestLoadMs + 1_000)
    }
    for (const process of this.#processes) {
      const { witness } = process
      const absent = keys.find((key) => this.#heldBy(process, key) === undefined)
      if (absent !== undefined)
        throw new Broken(`C4: ${JSON.stringify(absent)} is not kept by ${witness.name}, though all works`)
    }
    if (this.#plan.hasSpaces) await this.#checkSpaces()
  }

  /** A clear of a namespace takes its entries from every process, and no others. */
  async #checkSpaces(): Promise<void> {
    const clearer = this.#pick(this.#processes)
    await Promise.all([clearer.spaces.get('x')?.clear(), this.#pass(this.#universe.now + 1_000)])
    for (const process of this.#processes) {
      for (const key of this.#plan.keys) {
        const isCleared = this.#placeOf.get(key)?.space === 'x'
        if ((this.#heldBy(process, key) === undefined) !== isCleared)
          throw new Broken(
            `C4: ${JSON.stringify(key)} in ${process.witness.name} after the clear of a namespace: cleared is ${isCleared}`,
          )
      }
    }
  }

  /** Where a key lies, in a process, and as what. */
  #at({ cache, spaces }: Process, key: Key): { readonly space: Cache<Value>; readonly name: Key } {
    const { space, name } = this.#placeOf.get(key) as { space: string; name: Key }
    return { space: spaces.get(space) ?? cache, name }
  }

  /** A key that lies where this one does. */
  #beside(key: Key): Key {
    const space = this.#placeOf.get(key)?.space
    const others = this.#plan.keys.filter((other) => this.#placeOf.get(other)?.space === space)
    return others.length === 0 ? key : this.#pick(others)
  }

  #heldBy(process: Process, key: Key): Value | undefined {
    const { space, name } = this.#at(process, key)
    return space.l1.get(name)
  }

  /** Lets time pass, and stops at the first promise that was broken, wherever that was noticed. */
  async #pass(until: number): Promise<void> {
    await this.#universe.pass(until, () => this.#broken !== undefined)
    if (this.#broken !== undefined) throw this.#broken
  }

  #guarded<T>(check: () => T): T | undefined {
    try {
      return check()
    } catch (error) {
      this.#broken ??= error
      return undefined
    }
  }

  #note(...words: unknown[]): void {
    if (this.#tell === undefined) return
    const told = words.map((word) => (typeof word === 'object' ? JSON.stringify(word) : word))
    this.#tell(`${this.#universe.now.toFixed(1)} ${told.join(' ')}`)
  }

  #chance(share: number): boolean {
    return this.#random() < share
  }

  #pick<T>(of: readonly T[]): T {
    return of[Math.floor(this.#random() * of.length)] as T
  }

  #exponential(meanMs: number): number {
    return -Math.log(1 - this.#random()) * meanMs
  }

  // Processes

  #start(place: number): Process {
    const plan = this.#plan
    const universe = this.#universe
    const random = this.#random
    this.#wallOffsets[place] ??= Math.floor(random() * 1e6)
    const life = new Life(universe, Math.floor(random() * 1e6), this.#wallOffsets[place] as number)
    const witness = new Witness(`process ${this.#everyone.length}`)
    this.#everyone.push(witness)
    const client = new Client(this.#network, life, witness.name)
    const line = new Line(this.#network, life, witness.name)
    const options = { client, partitions: plan.partitions, logMessages: plan.logMessages }
    const bus = redisBus({ ...options, subscriber: line as never, clock: life })
    const tiers: Tier[] = plan.hasTier ? [redisTier(options)] : []
    if (plan.hasMachines) {
      const machine = flakyTier(this.#machines[place % 2] as Tier, {
        clock: life,
        plan: () =>
          !this.#isQuiet && random() < plan.machineFails ? this.#pick(['fail', 'fail-after']) : 'work',
      })
      tiers.unshift(machine)
    }
    const { failureThrottleMs, loadTimeoutMs, softLoadTimeoutMs } = plan.lifetimes
    const { ttlMs, staleWhileRevalidateMs, staleIfErrorMs } = plan.lifetimes
    const cache = createCache<Value>({
      clock: life,
      random: {
        next: random,
        bytes: (count) => {
          const bytes = new Uint8Array(count)
          for (let at = 0; at < count; at++) bytes[at] = Math.floor(random() * 256)
          return bytes
        },
      },
      tiers,
      bus,
      ttl: ttlMs === Number.POSITIVE_INFINITY ? null : ttlMs,
      staleWhileRevalidate: staleWhileRevalidateMs,
      staleIfError: staleIfErrorMs,
      l1: { maxEntries: plan.l1Entries, ...(plan.isWarm && { restore: this.#saved[place] ?? [] }) },
      lease: LEASE_MS,
      audit: plan.auditShare,
      refreshAhead: plan.refreshAhead ?? null,
      jitter: plan.jitter,
      holdOff: plan.holdOffMs,
      ...(plan.maxQueuedBytes === undefined
        ? {}
        : { whenDown: 'queue', maxQueuedBytes: plan.maxQueuedBytes }),
      softLoadTimeout: softLoadTimeoutMs === Number.POSITIVE_INFINITY ? null : softLoadTimeoutMs,
      loadLease: plan.lifetimes.loadLeaseMs,
      failureThrottle: failureThrottleMs,
      loadTimeout: loadTimeoutMs === Number.POSITIVE_INFINITY ? null : loadTimeoutMs,
    })
    if (this.#tell !== undefined) {
      for (const name of told) {
        cache.on(name, (event) =>
          this.#note(witness.name, name, JSON.stringify({ ...event, error: causeOf(event) })),
        )
      }
    }
    cache.on('audit.stale', ({ key, staleMs }) => {
      this.#broken ??= new Broken(
        `C5: the auditor of ${witness.name} found ${JSON.stringify(key)} in use after ${staleMs} ms`,
      )
    })
    cache.on('mutation.queued', ({ key }) => {
      witness.waiting.set(key, (witness.waiting.get(key) ?? 0) + 1)
      // Reads say it again from now on, though the call may be one of several keys, and go on.
      for (const [queued, place] of this.#placeOf) if (place.name === key) witness.doubted.add(queued)
      // Where there is room for few, they may have become a clear, which a read of any key says again.
      if ((plan.maxQueuedBytes ?? 0) < 1_000) witness.hasTagDoubts = true
    })
    const overtakenAll = () => {
      witness.allOvertakenAt = universe.now
    }
    // A load that began before the process heard anything is overtaken by the first place it hears of.
    cache.on('bus.connected', overtakenAll)
    cache.on('bus.gap', overtakenAll)
    cache.on('entry.invalidated', ({ key: told }) => {
      const key = this.#keyOfL1.get(told)
      if (key !== undefined) witness.overtakenAt.set(key, universe.now)
    })
    // By its limit as well, of which the loader knows nothing.
    cache.on('load.failed', ({ key: name }) => {
      for (const [key, place] of this.#placeOf)
        if (place.name === name) witness.failedAt.set(key, universe.now)
    })
    // A load whose value is not kept leaves the key to those who ask next: a search that has not begun to load, and may
    // have looked before, is not joined.
    cache.on('load.finished', ({ key: name, stored }) => {
      if (stored) return
      for (const [key, place] of this.#placeOf)
        if (place.name === name) witness.overtakenAt.set(key, universe.now)
    })
    line.onHeard = (bytes) => {
      // A clear of another process, or a deletion of tags.
      if (bytes[0] === 1 && (bytes[1] === 3 || bytes[1] === 6)) overtakenAll()
    }
    const spaces = new Map<string, Cache<Value>>([['', cache]])
    if (plan.hasSpaces) for (const name of SPACES.slice(1)) spaces.set(name, cache.namespace<Value>(name))
    return { life, client, line, cache, spaces, witness, waiting: 0 }
  }

  #kill(place: number): void {
    const { life, line, witness } = this.#processes[place] as Process
    life.isDead = true
    line.end()
    for (const [key, mutations] of witness.underway) {
      if (mutations.length > 0 && this.#setting.has(key)) this.#setLater(key)
    }
    this.#processes[place] = this.#start(place)
  }

  /** Whoever is killed while it saves leaves the snapshot from before. */
  #saveNowAndThen(place: number): void {
    const universe = this.#universe
    const save = async (): Promise<void> => {
      const { cache, life, witness } = this.#processes[place] as Process
      if (life.stoppedUntil > universe.now) return
      const pieces: Uint8Array[] = []
      for await (const piece of cache.snapshot()) pieces.push(piece)
      if (!life.isDead) this.#saved[place] = pieces
      this.#note(witness.name, 'saved', pieces.length)
    }
    const next = (): void => {
      if (this.#isQuiet) return
      save().catch((error: unknown) => {
        this.#broken ??= error
      })
      universe.at(universe.now + this.#exponential(SAVE_EVERY_MS), next)
    }
    universe.at(universe.now + this.#exponential(SAVE_EVERY_MS), next)
  }

  /** One thing after another, for as long as the process lives. */
  #work(place: number): void {
    const plan = this.#plan
    const universe = this.#universe
    const next = (): void => {
      if (this.#isQuiet) return
      const process = this.#processes[place] as Process
      if (process.life.stoppedUntil <= universe.now) {
        const key = plan.keys[Math.floor(this.#random() ** plan.skew * plan.keys.length)] as Key
        const burst = this.#chance(plan.burstShare) ? 2 + Math.floor(4 * this.#random()) : 1
        for (let turn = 0; turn < burst; turn++) {
          // A burst strikes one key, from anywhere.
          const by = turn === 0 ? place : Math.floor(this.#random() * this.#processes.length)
          universe.at(universe.now + 3 * turn * this.#random(), () =>
            this.#act(this.#processes[by] as Process, key),
          )
        }
      }
      universe.at(universe.now + this.#exponential(plan.thinkMs), next)
    }
    universe.at(universe.now + this.#exponential(plan.thinkMs), next)
  }

  #act(process: Process, key: Key, writeShare: number = this.#plan.writeShare): void {
    if (this.#isQuiet || process.life.isDead || process.life.stoppedUntil > this.#universe.now) return
    if (!this.#chance(writeShare)) {
      const reads = ['get', 'getMany', 'getOrSet', 'getOrSet', 'getOrSet', 'getOrSetMany', 'l1'] as const
      const how = this.#pick(reads)
      this.#read(process, key, how === 'get' && this.#plan.looksAtEntries ? 'getEntry' : how)
    } else if (this.#plan.hasTier && this.#chance(this.#plan.conditionShare)) this.#decide(process, key)
    else if (this.#chance(this.#plan.clearShare)) this.#clear(process)
    else this.#write(process, key)
  }

  // What they do

  /** @param after - The process whose token is brought. */
  #read(process: Process, key: Key, how: How | 'l1', after?: Process): void {
    const { witness } = process
    const loads = how === 'getOrSet' || how === 'getOrSetMany'
    const asked = this.#history.ask(witness, key, how, loads, after?.witness)
    const atLeast = after === undefined ? {} : { atLeast: after.cache.token() }
    if (how === 'l1') {
      this.#guarded(() => this.#history.answered(asked, this.#heldBy(process, key)))
      return
    }
    if (how === 'getEntry') {
      this.#lookAt(process, asked)
      return
    }
    process.waiting++
    this.#ask(process, asked, how, atLeast).then(
      (value) => {
        process.waiting--
        if (this.#tell !== undefined)
          this.#note(witness.name, how, JSON.stringify(key), 'called', asked.at.toFixed(1), 'is', value?.n)
        this.#guarded(() => this.#history.answered(asked, value))
      },
      (error) => {
        process.waiting--
        const isLoaders = error instanceof SourceFailed || error?.code === 'CACHE_LOAD_TIMEOUT'
        if (loads && isLoaders) return
        this.#broken ??= new Broken(
          `C9: ${how} of ${JSON.stringify(key)} rejected with ${error?.stack ?? error}`,
        )
      },
    )
  }

  #ask(
    process: Process,
    asked: Asked,
    how: Exclude<How, 'getEntry'>,
    atLeast: { atLeast?: string },
  ): Promise<Value | undefined> {
    const { key } = asked
    const { space, name } = this.#at(process, key)
    switch (how) {
      case 'get':
        return space.get(name, atLeast)
      case 'getMany':
        return this.#getMany(space, [name, this.#at(process, this.#beside(key)).name], atLeast)
      case 'getOrSetMany':
        return this.#readMany(process, asked)
      case 'getOrSet':
        return space.getOrSet(name, ({ signal }) => this.#load(process, signal, asked), {
          tags: this.#tagsOf(key),
        })
    }
  }

  /** An entry has to say that it is stale when it is. */
  #lookAt(process: Process, asked: Asked): void {
    const { key } = asked
    const { space, name } = this.#at(process, key)
    process.waiting++
    space.getEntry(name).then(
      (entry) => {
        process.waiting--
        const isStaleAllowed = entry?.isStale === true
        this.#guarded(() => this.#history.answered({ ...asked, isStaleAllowed }, entry?.value))
      },
      (error) => {
        process.waiting--
        this.#broken ??= new Broken(`C9: getEntry of ${JSON.stringify(key)} rejected with ${error}`)
      },
    )
  }

  /** The value of the first of some keys. */
  async #getMany(
    space: Cache<Value>,
    names: readonly [Key, Key],
    atLeast: { atLeast?: string },
  ): Promise<Value | undefined> {
    return (await space.getMany(names, atLeast)).get(names[0])
  }

  /** A value of one key among others; nothing but that one is looked at. */
  async #readMany(process: Process, asked: Asked): Promise<Value | undefined> {
    const { key } = asked
    const tags = this.#tagsOf(key)
    // All entries of a call have the same tags.
    const other = tags.length > 0 ? key : this.#beside(key)
    const { space, name } = this.#at(process, key)
    const askedOther = this.#history.ask(process.witness, other, 'getOrSetMany', true)
    const ends: (() => void)[] = []
    const { values, failed } = await space.getOrSetMany(
      [name, this.#at(process, other).name],
      async ({ keys, signal, fail }) => {
        const pairs = keys.map(async (wanted): Promise<[Key, Value][]> => {
          try {
            return [[wanted, await this.#load(process, signal, wanted === name ? asked : askedOther, ends)]]
          } catch (error) {
            fail(wanted, error)
            return []
          }
        })
        const loaded = (await Promise.all(pairs)).flat()
        for (const end of ends) end()
        for (const [, value] of loaded) this.#history.returned(value)
        return loaded
      },
      { tags },
    )
    if (failed.has(name)) throw failed.get(name)
    return values.get(name)
  }

  /** @param ends - Given when it is one of several loads that end together: what ends this one is put there. */
  async #load(process: Process, signal: AbortSignal, asked: Asked, ends?: (() => void)[]): Promise<Value> {
    const { key } = asked
    const { life, witness } = process
    const n = this.#history.truthOf(key)
    const beganAt = this.#universe.now
    this.#note(witness.name, 'loads', JSON.stringify(key), n)
    const end = this.#guarded(() => this.#history.loading(asked)) ?? (() => {})
    // What outlasts its limit is given up.
    signal.addEventListener('abort', () => {
      end()
      witness.failedAt.set(key, this.#universe.now)
    })
    // What is to be kept in the end must not fail by its limit.
    const isSlow = !this.#isQuiet && this.#slowUntil > beganAt
    const takesMs = this.#isQuiet ? 5 : this.#exponential(this.#pick(this.#plan.loadMs))
    const untilDoneMs = isSlow ? SLOW_MS : Math.min(takesMs, this.#plan.longestLoadMs)
    await new Promise<void>((resolve) => life.after(untilDoneMs, resolve))
    const fails = !this.#isQuiet && this.#chance(this.#plan.loadFails)
    if (ends === undefined || fails) end()
    else ends.push(end)
    if (fails) {
      witness.failedAt.set(key, this.#universe.now)
      throw new SourceFailed()
    }
    return this.#history.make(n, { asked, beganAt })
  }

  /** A mutation that depends on what is there. */
  #decide(process: Process, key: Key): void {
    if ((this.#setting.get(key) ?? 0) > this.#universe.now) return
    const { witness } = process
    const { space, name } = this.#at(process, key)
    const history = this.#history
    const how = this.#pick(['add', 'touch', 'move', 'increment'])
    this.#note(witness.name, how, JSON.stringify(key))
    if (how === 'increment') {
      this.#increment(process)
      return
    }
    // What is written to a key meanwhile, or may be on its way, would be undone by it rightly.
    const isBusy = this.#everyone.some(
      ({ doubted, underway }) => doubted.has(key) || (underway.get(key)?.length ?? 0) > 0,
    )
    if (isBusy) return
    this.#setting.set(key, Number.POSITIVE_INFINITY)
    const done = (isTaken: boolean): void => {
      if (how === 'touch')
        history.touched(key, this.#universe.now + (isTaken ? 0 : 2 * LONGEST_ON_THE_WAY_MS))
      if (isTaken) this.#setting.delete(key)
      else this.#setLater(key)
    }
    if (how === 'add') {
      const n = history.truthOf(key)
      const call = space.add(name, history.make(n), { tags: this.#tagsOf(key) })
      this.#settle(process, [history.calledAside(witness, key, n)], call, done)
    } else if (how === 'touch') {
      history.touched(key, Number.POSITIVE_INFINITY)
      this.#settle(process, [history.calledAside(witness, key)], space.touch(name), done)
    } else {
      const there = history.calledAside(witness, key)
      const back = history.calledAside(witness, key)
      const ignoreAbsent = (error: { code?: unknown }) => {
        if (error.code !== 'CACHE_NOT_FOUND') throw error
        return false
      }
      const away = space.incrVersion(name).catch(ignoreAbsent)
      this.#settle(process, [there], away)
      const home = away.then((version) =>
        version === false ? false : space.decrVersion(name, 1, { version: 2 }).catch(ignoreAbsent),
      )
      this.#settle(process, [back], home, done)
    }
  }

  /** Counts; where there is no count, one begins that no other has been near. */
  #increment({ cache, witness }: Process): void {
    if (this.#plan.isLossy) return
    const counts = cache as unknown as Cache<unknown>
    counts.incr('count').then(
      (sum) => void this.#guarded(() => this.#history.summed(sum)),
      (error) => {
        if (error?.code === 'CACHE_NOT_FOUND') {
          this.#counts++
          counts.add('count', this.#counts * 1_000_000).catch(() => {})
        } else if (error?.code !== 'CACHE_TIER_FAILED')
          this.#broken ??= new Broken(`C2: an increment in ${witness.name} rejected with ${error}`)
      },
    )
  }

  #write(process: Process, key: Key): void {
    // A set carries a number that a later write makes old; were both under way at once, their order would be the
    // application's affair. So nothing else is written to a key while it is being set.
    if ((this.#setting.get(key) ?? 0) > this.#universe.now) return
    const { cache, witness } = process
    if (this.#plan.isTagged && this.#chance(0.25)) {
      const mutation = this.#history.called(witness, key, true)
      witness.allOvertakenAt = this.#universe.now
      this.#settle(process, [mutation], cache.deleteTags(this.#tagsOf(key)))
      return
    }
    const { space, name } = this.#at(process, key)
    const mutation = this.#history.called(witness, key)
    if (this.#chance(0.5)) {
      if (this.#plan.deletesMany && this.#chance(0.5)) {
        this.#deleteMany(process, mutation)
        return
      }
      this.#settleDelete(process, mutation)
      return
    }
    this.#setting.set(key, Number.POSITIVE_INFINITY)
    this.#settle(
      process,
      [mutation],
      space.set(name, this.#history.make(mutation.n), { tags: this.#tagsOf(key) }),
      (isTaken) => {
        // What was given up may come yet, and has to, before anything else is written.
        if (isTaken) this.#setting.delete(key)
        else this.#setLater(key)
      },
    )
  }

  #delete(process: Process, key: Key): void {
    if (this.#isAble(process) && (this.#setting.get(key) ?? 0) <= this.#universe.now)
      this.#settleDelete(process, this.#history.called(process.witness, key))
  }

  #settleDelete(process: Process, mutation: Mutation): void {
    const { space, name } = this.#at(process, mutation.key)
    this.#settle(process, [mutation], space.delete(name), (isTaken) => {
      if (isTaken) process.witness.removedAt.set(mutation.key, this.#universe.now)
    })
  }

  /** Deletes, together with the key of a mutation that was called, the one beside it. */
  #deleteMany(process: Process, first: Mutation): void {
    const other = this.#beside(first.key)
    const isAlone = other === first.key || (this.#setting.get(other) ?? 0) > this.#universe.now
    const mutations = isAlone ? [first] : [first, this.#history.called(process.witness, other)]
    const { space } = this.#at(process, first.key)
    const nameOf = (key: Key) => this.#at(process, key).name
    const call = space.deleteMany(mutations.map(({ key }) => nameOf(key)))
    for (const mutation of mutations) {
      const one = call.then(({ failed }) => {
        if (failed.includes(nameOf(mutation.key)))
          throw Object.assign(new Error('one of many failed'), { code: 'CACHE_TIER_FAILED' })
      })
      this.#settle(process, [mutation], one)
    }
  }

  #tagsOf(key: Key): string[] {
    return this.#plan.isTagged ? [tagOf(key)] : []
  }

  #setLater(key: Key): void {
    this.#setting.set(key, this.#universe.now + 2 * LONGEST_ON_THE_WAY_MS)
  }

  #clear(process: Process): void {
    if ([...this.#setting.values()].some((until) => until > this.#universe.now)) return
    const space = this.#plan.hasSpaces ? this.#pick(SPACES) : ''
    const cleared = NAMES.filter((key) => space === '' || this.#placeOf.get(key)?.space === space)
    const mutations = cleared.map((key) => this.#history.called(process.witness, key))
    process.witness.allOvertakenAt = this.#universe.now
    this.#settle(process, mutations, (process.spaces.get(space) ?? process.cache).clear())
  }

  /** Takes a lock, works for a while, and gives it back. */
  #lockNowAndThen(place: number): void {
    const universe = this.#universe
    const next = (): void => {
      if (this.#isQuiet) return
      const process = this.#processes[place] as Process
      if (this.#isAble(process)) {
        const options = {
          ttl: this.#pick([400, 2_000]),
          wait: this.#pick([0, 1_000]),
          renew: this.#chance(0.7),
        }
        this.#lock(process, options, this.#pick(LOCKS))
      }
      universe.at(universe.now + this.#exponential(LOCK_EVERY_MS), next)
    }
    universe.at(universe.now + this.#exponential(LOCK_EVERY_MS), next)
  }

  #lock(process: Process, options: LockOptions, name: string): void {
    if (!this.#isAble(process)) return
    const { cache, life, witness } = process
    const universe = this.#universe
    process.waiting++
    const failed = (error: { code?: unknown }): void => {
      if (error.code !== 'CACHE_TIER_FAILED')
        this.#broken ??= new Broken(`C2: a lock in ${witness.name} rejected with ${error}`)
    }
    const work = (lock: Lock): void => {
      this.#guarded(() => this.#locks.obtained(lock, life))
      this.#note(witness.name, 'holds', lock.name, lock.fence)
      const write = (): void => void this.#guarded(() => this.#locks.write(lock))
      // It may believe for too long that it is the only one; and what it writes takes its time.
      for (let left = 3; left > 0; left--)
        life.after(this.#exponential(400), () => universe.at(universe.now + this.#exponential(50), write))
      life.after(this.#exponential(800), () => void lock.release().catch(failed))
    }
    cache.lock(name, options).then(
      (lock) => {
        process.waiting--
        if (lock !== undefined) work(lock)
      },
      (error) => {
        process.waiting--
        failed(error)
      },
    )
  }

  #settle(
    process: Process,
    mutations: readonly Mutation[],
    call: Promise<unknown>,
    then: (isTaken: boolean) => void = () => {},
  ): void {
    process.waiting++
    call.then(
      (result) => {
        process.waiting--
        const { witness } = process
        const op = mutations.length > 1 || mutations[0]?.isOfTag ? undefined : mutations[0]?.key
        const waiting = witness.waiting.get(op) ?? 0
        if (waiting > 0) {
          witness.waiting.set(op, waiting - 1)
          for (const mutation of mutations) this.#history.queued(mutation)
          this.#whenDelivered(process, () => then(false))
          return
        }
        then(true)
        for (const mutation of mutations) {
          if (result === false && mutation.isConditional) this.#history.passed(mutation)
          else this.#guarded(() => this.#history.acknowledged(mutation))
        }
        if (this.#isQuiet || !this.#chance(this.#plan.tokenShare)) return
        const reader = this.#pick(this.#processes)
        const [first] = mutations
        if (first !== undefined && reader.life.stoppedUntil <= this.#universe.now)
          this.#read(reader, first.key, this.#pick(['get', 'getMany']), process)
      },
      (error) => {
        process.waiting--
        then(false)
        // A clear that was not taken is said again by a read of any key, whatever was done to that one since.
        if (mutations.length > 1) process.witness.hasTagDoubts = true
        for (const mutation of mutations) this.#guarded(() => this.#history.rejected(mutation, error))
      },
    )
  }

  /** Calls `then` when nothing waits in a process any more, or it has ended. */
  #whenDelivered(process: Process, then: () => void): void {
    const again = (): void => {
      const size = process.cache.health().outbox?.size ?? 0
      if (process.life.isDead || size === 0) then()
      else this.#universe.at(this.#universe.now + 500, again)
    }
    again()
  }

  // What the server does

  #logged(bytes: string): void {
    const by = this.#processes.find(({ life }) => life === this.#network.serving)?.witness
    const message = decodeMessage(Buffer.from(bytes, 'latin1'))
    if (by === undefined || message === undefined) return
    this.#lastLogged = message.stamp
    const { op, keys, stamp } = message
    this.#note(by.name, 'has logged', op, keys, `${stamp.partition}/${stamp.epoch}/${stamp.sequence}`)
    if (message.op === 'clear') {
      for (const witness of this.#everyone) witness.clearedAt = this.#universe.now
      const [prefix = ''] = message.keys
      for (const [stored, key] of this.#keyOfStored)
        if (stored.startsWith(prefix) && this.#partitionOfKey.get(key) === stamp.partition)
          this.#history.done(by, key)
      return
    }
    const isOfTags = message.op === 'delete-tags'
    if (isOfTags) for (const witness of this.#everyone) witness.clearedAt = this.#universe.now
    for (const name of message.keys) {
      const key = (isOfTags ? this.#keyOfTag : this.#keyOfStored).get(name)
      if (key !== undefined) this.#history.done(by, key, isOfTags)
    }
  }

  #stored(name: string, bytes: string): void {
    const at = name.indexOf(':e:')
    if (at < 0) return
    const stored = Buffer.from(name.slice(at + 3), 'latin1').toString()
    if (stored.startsWith('%lock:')) {
      const epoch = Buffer.from(bytes.slice(1, 9), 'latin1').readDoubleLE()
      this.#locks.stored(bytes.slice(STAMP_BYTES), epoch)
      return
    }
    const key = this.#keyOfStored.get(stored)
    if (key === undefined || bytes.length <= STAMP_BYTES) return
    const { value } = decodeEnvelope(codec, stored, Buffer.from(bytes.slice(STAMP_BYTES), 'latin1'))
    const by = this.#processes.find(({ life }) => life === this.#network.serving)?.witness
    this.#history.stored(key, value as Value, by, this.#plan.holdOffMs)
  }

  // Faults

  /** Has a fault strike now and then. */
  #trouble(trouble: Trouble): void {
    const universe = this.#universe
    const again = (): void => {
      if (this.#isQuiet) return
      this.#faults++
      this.#note('struck by', trouble)
      this.#strike(trouble)
      universe.at(universe.now + this.#exponential(everyMs[trouble]), again)
    }
    universe.at(universe.now + this.#exponential(everyMs[trouble]), again)
  }

  #strike(trouble: Trouble): void {
    const universe = this.#universe
    const network = this.#network
    const process = this.#pick(this.#processes)
    const { life, line, witness } = process
    const server = this.#pick(network.servers)
    switch (trouble) {
      case 'stop': {
        // Never earlier than it was to go on: what waits for that would then come after what is younger.
        life.stoppedUntil = Math.max(life.stoppedUntil, universe.now + this.#random() ** 2 * 10_000)
        universe.at(life.stoppedUntil, () => {
          witness.stoppedAt = universe.now
        })
        return
      }
      case 'kill':
        this.#kill(this.#processes.indexOf(process))
        return
      case 'hold':
        line.isHeld = true
        universe.at(universe.now + this.#random() * 6_000, () => line.release())
        return
      case 'deaf':
        line.isDead = true
        // Sooner or later the client finds out; or the cache does.
        if (this.#chance(0.5))
          universe.at(universe.now + this.#random() * 10_000, () => line.isDead && line.break())
        return
      case 'break':
        line.break()
        return
      case 'outage':
        server.isUp = false
        network.breakAll()
        universe.at(universe.now + this.#random() ** 2 * 8_000, () => {
          server.isUp = true
        })
        return
      case 'flush':
        server.flush()
        this.#locks.forgotten()
        if (this.#chance(0.5)) server.forgetScripts()
        return
      case 'forge': {
        const known = this.#lastLogged
        const isNear = known !== undefined && this.#chance(0.5)
        const far = {
          partition: Math.floor(this.#random() * (this.#plan.partitions + (this.#plan.isTagged ? 1 : 0))),
          epoch: this.#chance(0.5) ? Number.MAX_SAFE_INTEGER : (1_700_000_000_000 + universe.now) * 1_000,
          sequence: this.#pick([0, Number.MAX_SAFE_INTEGER - 1]),
        }
        const steps = 1 + Math.floor(this.#random() * 100_000)
        const stamp = isNear ? { ...known, sequence: known.sequence + steps } : far
        const made: Message = {
          op: 'delete',
          keys: ['x'],
          stamp,
          after: isNear ? known.sequence : 0,
          origin: '0123456789abcdef',
          serial: 1,
        }
        const bytes = encodeMessage(made)
        this.#history.forged()
        for (const each of network.lines) each.carry(0, 'tierwheel:bus:0', bytes)
        return
      }
      case 'evict': {
        const victims = [...server.keys()].filter((key) => !key.includes(':e:') || this.#chance(0.5))
        if (victims.length > 0) server.evict(this.#pick(victims))
        this.#locks.forgotten()
        return
      }
      case 'flicker': {
        const ms = 300 + 1_000 * this.#random()
        process.client.isFlickering = line.isFlickering = true
        this.#rush(this.#processes, ms, 10)
        universe.at(universe.now + ms, () => {
          process.client.isFlickering = line.isFlickering = false
        })
        return
      }
      case 'slow source':
        this.#slowDown(process)
        return
      case 'two gaps':
        this.#leaveGaps(process)
        return
      case 'parted histories':
        this.#part(process)
        return
      case 'late answers':
        this.#answerLate(process)
        return
      case 'late echoes':
        this.#echoLate(process)
        return
      case 'failover':
        this.#failOver(server, 0, undefined)
        return
      case 'lossy failover': {
        // Before it ends, a server may tell some processes no more of what it does.
        const lostMs = this.#random() * 500
        line.isHeld = true
        this.#rush(this.#processes, lostMs)
        universe.at(universe.now + lostMs, () => this.#failOver(server, lostMs, process))
        return
      }
    }
  }

  /**
   * A load takes long that begins as its process is cut off. What it brings becomes old meanwhile; and who asks for it
   * there a lease later, while it still runs, has to be given something newer.
   */
  #slowDown(process: Process): void {
    const universe = this.#universe
    const { line } = process
    const key = this.#pick(this.#plan.keys)
    const other = this.#otherThan(process)
    const read = (): void => {
      if (this.#isAble(process)) this.#read(process, key, this.#pick(['getOrSet', 'getOrSetMany']))
    }
    this.#slowUntil = universe.now + 1_000
    this.#delete(other, key)
    line.isCut = true
    this.#after(50, () => {
      if (this.#chance(0.5)) line.break()
      else line.isDead = true
      read()
    })
    this.#after(100 + 900 * this.#random(), () => this.#delete(other, key))
    for (let left = 3; left > 0; left--) this.#after(4_100 + 2_900 * this.#random(), read)
    this.#after(7_000, () => {
      line.isCut = false
    })
  }

  /**
   * A process misses something, learns of it, and asks what it was; before it is told, the same happens again, and this
   * time nobody answers.
   */
  #leaveGaps(process: Process): void {
    const { client, line } = process
    const key = this.#pick(this.#plan.keys)
    const partition = this.#partitionOfKey.get(key) ?? 0
    const other = this.#otherThan(process)
    const stepMs = Math.max(20, 8 * this.#plan.latencyMs) * (1 + this.#random() / 2)
    this.#act(process, key, 0)
    const at = (step: number, run: () => void): void => this.#after(100 + step * stepMs, run)
    at(0, () => {
      line.isLosing = true
      this.#deleteBeside(other, partition)
    })
    at(1, () => {
      line.isLosing = false
      client.answersFrom = this.#universe.now + 4 * stepMs
      this.#deleteBeside(other, partition)
    })
    at(2, () => {
      line.isLosing = true
      this.#delete(other, key)
    })
    at(3, () => {
      line.isLosing = false
      client.isLosing = true
      this.#deleteBeside(other, partition)
    })
    at(4, () => {
      client.isLosing = false
    })
  }

  /**
   * Another server takes over (E1). It has not heard of the last mutation, of which many processes have; another one comes
   * in its place there, one step from where both histories were the same.
   */
  #part(unaware: Process): void {
    const { line } = unaware
    const key = this.#pick(this.#plan.keys)
    const partition = this.#partitionOfKey.get(key) ?? 0
    const { servers } = this.#network
    const server = servers[partition % servers.length] as ModelRedis
    const other = this.#otherThan(unaware)
    const lostMs = 50
    for (const process of this.#processes) if (process !== unaware) this.#act(process, key, 0)
    this.#after(100, () => {
      line.isHeld = true
    })
    this.#after(105, () => this.#deleteBeside(other, partition))
    this.#after(100 + lostMs, () =>
      this.#failOver(server, lostMs, unaware, 10, () => this.#delete(unaware, key)),
    )
  }

  /** What a process asks for is done, and it hears of that late: of a lock, when that soon ends and another wants it. */
  #answerLate(process: Process): void {
    const { client } = process
    client.answersFrom = Math.max(client.answersFrom, this.#universe.now + 200 + 200 * this.#random())
    if (!this.#plan.hasLocks) return
    const other = this.#otherThan(process)
    const name = this.#pick(LOCKS)
    this.#lock(process, { ttl: 400, renew: false }, name)
    this.#after(100, () => this.#lock(other, { ttl: 2_000, wait: 1_000 }, name))
  }

  /**
   * An echo arrives late, and nothing after it: neither what was done since it was sent, nor any other echo. What it
   * proves is as old as its sending.
   */
  #echoLate(process: Process): void {
    const { line } = process
    const key = this.#pick(this.#plan.keys)
    const other = this.#otherThan(process)
    this.#act(process, key, 0)
    this.#after(50, () => {
      line.isHeld = true
    })
    this.#after(1_100, () => {
      line.isLosing = true
      this.#delete(other, key)
    })
    this.#after(2_100, () => line.release())
    for (let left = 3; left > 0; left--)
      this.#after(4_150 + 900 * this.#random(), () => {
        if (this.#isAble(process)) this.#read(process, key, 'get')
      })
    this.#after(5_100, () => {
      line.isLosing = false
    })
  }

  /** Something happens to what strikes, whatever process it strikes. */
  #after(ms: number, run: () => void): void {
    this.#universe.at(this.#universe.now + ms, run)
  }

  #otherThan(process: Process): Process {
    return this.#pick(this.#processes.filter((other) => other !== process))
  }

  #isAble({ life }: Process): boolean {
    return !this.#isQuiet && !life.isDead && life.stoppedUntil <= this.#universe.now
  }

  /** Deletes what nobody reads, in a partition: a step in its order. */
  #deleteBeside(process: Process, partition: number): void {
    if (!this.#isAble(process)) return
    const scope = keyScope('', 1)
    let name: string
    do {
      name = `beside ${this.#besides++}`
    } while (partitionOf(partitionTextOf(storedKey(scope, name)), this.#plan.partitions) !== partition)
    process.cache.delete(name).catch((error) => {
      if (error.code !== 'CACHE_TIER_FAILED')
        this.#broken ??= new Broken(`C2: a mutation was rejected with ${error}`)
    })
  }

  /** Some write to keys of one partition, and all read them. */
  #rush(by: readonly Process[], ms: number, most = 4): void {
    const universe = this.#universe
    const partition = this.#partitionOfKey.get(this.#pick(this.#plan.keys))
    const keys = this.#plan.keys.filter((key) => this.#partitionOfKey.get(key) === partition)
    for (let left = 1 + Math.floor(most * this.#random()); left > 0; left--) {
      const at = universe.now + ms * this.#random()
      universe.at(at, () => this.#act(this.#pick(by), this.#pick(keys), 1))
      for (const process of this.#processes)
        universe.at(at + 10 + 30 * this.#random(), () => this.#act(process, this.#pick(keys), 0))
    }
  }

  /**
   * Another server takes over.
   *
   * @param lostMs - What was done for so long it has not heard of.
   * @param unaware - Somebody who has not either.
   * @param downMs - How long nobody is there; drawn, where nothing is said.
   * @param then - What happens first when it is there, before anyone asks where it stands who has seen more.
   */
  #failOver(
    server: ModelRedis,
    lostMs: number,
    unaware: Process | undefined,
    downMs?: number,
    then?: () => void,
  ): void {
    const universe = this.#universe
    const network = this.#network
    if (this.#isQuiet) return
    server.isUp = false
    network.breakAll()
    if (unaware !== undefined) {
      const from = universe.now - lostMs
      server.rollBack(lostMs)
      this.#locks.returned()
      const place = network.servers.indexOf(server)
      const isThere = (key: Key, isOfTag: boolean) => {
        const partition = isOfTag ? this.#plan.partitions : (this.#partitionOfKey.get(key) ?? 0)
        return partition % network.servers.length === place
      }
      this.#history.lost(from, isThere, this.#everyone)
    }
    server.forgetScripts()
    const offsetMs = (this.#random() - 0.5) * 2_000
    if (offsetMs < server.clockOffsetMs) this.#locks.setBack()
    server.clockOffsetMs = offsetMs
    universe.at(universe.now + (downMs ?? this.#random() ** 4 * 3_000), () => {
      server.isUp = true
      // What was lost may be passed by.
      if (then !== undefined) then()
      else if (unaware !== undefined) this.#rush([unaware], 2)
    })
  }
}

function causeOf(event: object): string | undefined {
  const error = 'error' in event && event.error instanceof Error ? event.error : undefined
  return error && String(error.cause ?? error.message)
}

/**
 * Has the digest of every script made and the code of snapshots loaded, which takes real time: what a run does must not depend on whether it is the
 * first.
 */
export async function warmUp(): Promise<void> {
  const client = { callBuffer: async () => null }
  const store = new RedisStore('warm-up', { client })
  for (const script of Object.values(scripts)) {
    if (typeof script === 'object') await store.evaluate(script, [], [])
  }
  const cache = createCache({ l1: { restore: [], trustSnapshot: true } })
  await cache.restored
}
