// One tier's or one bus's hold on a keyspace: runs scripts, remembers how far it has seen each partition, and
// gives failures the form that callers know.
//
// A partition that stands before where it was seen has lost something: the server was restored from an older copy,
// or another one took over that was behind. Every script is told how far its caller has seen, and begins a new epoch
// then. What counts is what was seen when the script was sent: the answer to an older call can come late.

import { nextTurn, systemClock } from '../clock.ts'
import { describe } from '../duration.ts'
import { CacheError } from '../errors.ts'
import { partitionTextOf } from '../key.ts'
import { checkCount } from '../options.ts'
import { isAtOrAfter, partitionOf, type Stamp } from '../stamp.ts'
import type { TierEntry } from '../tiers/tier.ts'
import { type Caller, callerOf, type RedisClient, type Word } from './redis-client.ts'
import {
  entryKey,
  entryPattern,
  logKey,
  type PartitionState,
  parseEntry,
  parseEntryKey,
  parseState,
  stateKey,
  tagKeys,
  textOf,
} from './redis-layout.ts'
import { readScript, removeScript, type Script, standScript, sweptScript } from './redis-scripts.ts'

/** Options that a Redis tier and a Redis bus share; those that belong together are given the same. */
export interface RedisOptions {
  /**
   * The connection for commands: ioredis 5.9 or 6 (a `Cluster` too), or node-redis 6 (`createSentinel` and `createCluster`
   * too). It stays the caller's: it is not closed, and nothing is set on it.
   */
  client: RedisClient

  /**
   * What the names of keys and channels begin with: 1 to 64 letters, digits, dots, hyphens and underscores. Caches
   * with different ones share a server without meeting.
   *
   * @defaultValue `'tierwheel'`
   */
  keyspace?: string

  /**
   * Into how many parts the keys are dealt, each with an order of its own, from 1 to 1,024. The same for everyone who
   * uses the keyspace; another number is refused.
   *
   * @defaultValue `16`
   */
  partitions?: number

  /**
   * How many mutations of each partition are kept at the least for those who missed some, from 1 to 10,000: a populate
   * looks through those that came after its read.
   *
   * @defaultValue `1_024`
   */
  logMessages?: number

  /**
   * Of how many tags it is remembered when they were last invalidated, those invalidated last, from 1 to 1,000,000.
   * Entries that carry tags and are older than what was forgotten are not used any more.
   *
   * @defaultValue `65_536`
   */
  maxTags?: number

  /**
   * When a mutation counts as taken: `'server'`, when the server has it, and a replica that takes over a moment later may
   * lack it; `'replica'`, when a replica has it as well (WAIT). Without one within 400 ms the mutation rejects, and may
   * still take effect. Other commands of the connection wait meanwhile. Not for a cluster, nor for a pool or the Sentinel
   * client of node-redis.
   *
   * @defaultValue `'server'`
   */
  durability?: 'server' | 'replica'
}

/** The names of `RedisOptions`. */
export const redisOptionNames: readonly string[] = [
  'client',
  'keyspace',
  'partitions',
  'logMessages',
  'maxTags',
  'durability',
]

/** What was found of a key. */
export interface Looked {
  readonly entry: TierEntry | undefined
  readonly asOf: Stamp
}

/** Keys of one partition that one call asks for, and their places among all that are asked for. */
interface Part<T = string> {
  readonly partition: number
  readonly members: readonly T[]
  readonly places: number[]
}

/** What was found of a `Part`. */
interface LookedIn {
  readonly asOf: Stamp
  readonly entries: readonly (TierEntry | undefined)[]
}

/** A reader that waits for the call of this turn. */
interface Asked {
  readonly keys: readonly string[]
  readonly resolve: (answers: Looked[]) => void
  readonly reject: (error: unknown) => void
}

/** A sweep under way. */
interface Sweep {
  /** What it is at, to be begun again when it is given up. */
  prefix: string | undefined
  heardAt: number
}

/** Entries of one call; a server answers nobody else while a script runs. */
export const KEYS_PER_CALL = 128
const SCAN_COUNT = 512
/** Less than what a cache gives a call of a tier, so that the answer says what is missing. */
const REPLICA_MS = 400
/** A sweep that hears nothing for so long is begun again by the next clear. */
const SILENT_SWEEP_MS = 10_000
const READ_ATTEMPTS = 3

/** The scripts' digests, which name them to the server; promises until they are known. */
const digests = new Map<Script, string | Promise<string>>()

/** A keyspace on a server, as one tier or bus has it. */
export class RedisStore {
  /** The tier or bus, for its errors. */
  readonly name: string
  readonly keyspace: string
  readonly partitions: number
  readonly logMessages: number
  readonly maxTags: number
  readonly database: number
  /** What the tier's and the bus's `channel` says. */
  readonly channel: string
  readonly isCluster: boolean
  readonly #caller: Caller
  readonly #seen: Stamp[]
  #isClosed = false
  /** Whether the keyspace has as many partitions as this store. */
  #hasAgreed = false
  readonly #waitsForReplica: boolean
  #sweeping: Sweep | undefined
  /** Prefixes that wait for the sweep under way. */
  readonly #unswept = new Set<string>()
  /** Who reads and waits for the call. */
  readonly #asked: Asked[] = []
  /** Calls for readers that are under way. */
  #looking = 0

  /** @throws TypeError or RangeError naming the option. */
  constructor(name: string, options: RedisOptions) {
    const { keyspace = 'tierwheel', partitions = 16, logMessages = 1_024, maxTags = 65_536 } = options
    if (typeof keyspace !== 'string' || !/^[A-Za-z0-9._-]{1,64}$/.test(keyspace)) {
      throw new TypeError(
        `keyspace: ${describe(keyspace)} may have 1 to 64 characters, each a letter, a digit, a dot, a hyphen or an underscore`,
      )
    }
    this.name = name
    this.keyspace = keyspace
    this.partitions = checkCount(partitions, 'partitions', 1, 1_024)
    this.logMessages = checkCount(logMessages, 'logMessages', 1, 10_000)
    this.maxTags = checkCount(maxTags, 'maxTags', 1, 1_000_000)
    this.#caller = callerOf(options.client, 'client')
    this.database = this.#caller.database
    this.isCluster = this.#caller.isCluster
    this.channel = `redis:${keyspace}:${this.database}`
    this.#waitsForReplica = checkDurability(options.durability, this.#caller)
    this.#seen = this.#all(partitions + 1).map((partition) => ({ partition, epoch: 0, sequence: 0 }))
  }

  get isClosed(): boolean {
    return this.#isClosed
  }

  close(): void {
    this.#isClosed = true
  }

  /** Runs an operation, and gives its failure the form that callers know. */
  attempt<T>(what: string, run: () => Promise<T>): Promise<T> {
    // Each for itself until one has an answer: an answer that never comes must not be everybody's.
    return this.listen(what, this.#hasAgreed ? run : () => this.#agree().then(run))
  }

  /** The same for what asks about all partitions anyway. */
  listen<T>(what: string, run: () => Promise<T>): Promise<T> {
    if (this.#isClosed) {
      const error = new CacheError('CACHE_CLOSED', `${this.name}: ${what} after close`, { tier: 'redis' })
      return Promise.reject(error)
    }
    return run().catch((error: unknown) => {
      throw failureOf(this.name, what, error)
    })
  }

  partitionOf(key: string): number {
    return partitionOf(partitionTextOf(key), this.partitions)
  }

  /** Runs a script on keys of one partition: state, log and entries. */
  run(
    script: Script,
    partition: number,
    keys: readonly string[],
    words: readonly Word[] = [],
  ): Promise<unknown> {
    const { epoch, sequence } = this.seen(partition)
    const entries = keys.map((key) => entryKey(this.keyspace, partition, key))
    const names = [stateKey(this.keyspace, partition), logKey(this.keyspace, partition), ...entries]
    return this.evaluate(script, names, [String(this.partitions), String(epoch), String(sequence), ...words])
  }

  /** Runs a script on the tag partition: state, log, tags and their order. */
  runOnTags(script: Script, words: readonly Word[]): Promise<unknown> {
    const { partition, epoch, sequence } = this.seen(this.partitions)
    const names = [...this.namesOf([partition]), ...tagKeys(this.keyspace, partition)]
    return this.evaluate(script, names, [String(this.partitions), String(epoch), String(sequence), ...words])
  }

  /** Runs a script. */
  async evaluate(script: Script, keys: readonly string[], words: readonly Word[]): Promise<unknown> {
    const known = digests.get(script) ?? digestOf(script)
    try {
      const digest = typeof known === 'string' ? known : await known
      return await this.#caller.call(['EVALSHA', digest, String(keys.length), ...keys, ...words])
    } catch (error) {
      if (!(error instanceof Error && error.message.startsWith('NOSCRIPT'))) throw error
      return await this.#caller.call(['EVAL', script.text, String(keys.length), ...keys, ...words])
    }
  }

  /**
   * Resolves when what got this place is as durable as was asked for.
   *
   * The answer to WAIT is of the connection it came on, and that may be one to another server by now; so the place is
   * looked up behind it.
   *
   * @throws Error when it is not within `REPLICA_MS`.
   */
  async settle(stamp: Stamp): Promise<void> {
    if (!this.#waitsForReplica) return
    const [replicas, asOf] = await Promise.all([
      this.#caller.call(['WAIT', '1', String(REPLICA_MS)]),
      this.asOf(stamp.partition),
    ])
    if (Number(replicas) < 1) throw new Error(`no replica had it within ${REPLICA_MS} ms`)
    if (asOf.epoch !== stamp.epoch || asOf.sequence < stamp.sequence)
      throw new Error('another server has taken over, and does not have it')
  }

  /** How far the partition was seen. */
  seen(partition: number): Stamp {
    return this.#seen[partition] as Stamp
  }

  /** Takes note of where a partition stands. */
  note(stamp: Stamp): void {
    if (isAtOrAfter(stamp, this.seen(stamp.partition))) this.#seen[stamp.partition] = stamp
  }

  /** The stamp in the next two words of a reply. */
  stampIn(partition: number, epoch: unknown, sequence: unknown): Stamp {
    const stamp = { partition, epoch: Number(textOf(epoch)), sequence: Number(textOf(sequence)) }
    this.note(stamp)
    return stamp
  }

  /**
   * Where all partitions stand, the tag partition last, told on channels with a token.
   *
   * In a cluster each partition is asked by itself, and tells by itself.
   */
  async stand(token: string, channels: readonly string[]): Promise<Stamp[]> {
    const groups = this.groups(this.partitions + 1)
    const stamps = await Promise.all(groups.map((group) => this.#standOf(group, token, channels)))
    return stamps.flat()
  }

  /** The first so many partitions, each with those that one script may touch together. */
  groups(count: number): number[][] {
    const all = this.#all(count)
    return this.isCluster ? all.map((partition) => [partition]) : [all]
  }

  /**
   * Entries and where their partitions stand, in the order of the keys. What is asked for together goes in one call, or in
   * a cluster in one for each partition: each has its share of a write, a read and a script, and those are what a read
   * costs. Together is what is asked for in one turn, and while another call is under way what is asked for until the
   * event loop comes round again: readers that came by timers or requests of their own have a turn each.
   */
  look(keys: readonly string[]): Promise<Looked[]> {
    return new Promise((resolve, reject) => {
      this.#asked.push({ keys, resolve, reject })
      if (this.#asked.length > 1) return
      const together = this.#looking === 0 ? Promise.resolve() : nextTurn()
      void together.then(() => this.#answer(this.#asked.splice(0)))
    })
  }

  async #answer(asked: readonly Asked[]): Promise<void> {
    this.#looking++
    try {
      const [only] = asked
      const keys = asked.length === 1 && only !== undefined ? only.keys : asked.flatMap((one) => one.keys)
      const answers = await this.#lookAll(keys)
      let from = 0
      for (const one of asked) {
        one.resolve(answers.slice(from, from + one.keys.length))
        from += one.keys.length
      }
    } catch (error) {
      const isOfOne = error instanceof Error && error.message.startsWith('WRONGTYPE')
      for (const one of asked) {
        // Somebody else's data under one of the keys fails the call of all, and is no reason for the others.
        if (isOfOne && asked.length > 1) void this.#answer([one])
        else one.reject(error)
      }
    } finally {
      this.#looking--
    }
  }

  async #lookAll(keys: readonly string[]): Promise<Looked[]> {
    const answers: Looked[] = []
    const [only] = keys
    if (keys.length === 1 && only !== undefined) {
      const [found] = await this.#lookIn([{ partition: this.partitionOf(only), members: keys, places: [0] }])
      return found === undefined ? [] : [{ entry: found.entries[0], asOf: found.asOf }]
    }
    const parts = this.byPartition(keys, (key) => key)
    const calls: Part[][] = []
    let room = 0
    for (const part of parts) {
      if (this.isCluster || room < part.members.length) {
        calls.push([])
        room = KEYS_PER_CALL
      }
      calls.at(-1)?.push(part)
      room -= part.members.length
    }
    const looked = calls.map(async (call) => {
      const found = await this.#lookIn(call)
      for (const [turn, { places }] of call.entries()) {
        const { asOf, entries } = found[turn] as LookedIn
        for (const [at, place] of places.entries()) answers[place] = { entry: entries[at], asOf }
      }
    })
    await Promise.all(looked)
    return answers
  }

  /** Deals what has a key into calls: one partition each, and not too many keys. */
  byPartition<T>(all: readonly T[], keyOf: (one: T) => string): Part<T>[] {
    const open = new Map<number, { partition: number; members: T[]; places: number[] }>()
    const calls: Part<T>[] = []
    for (const [place, one] of all.entries()) {
      const partition = this.partitionOf(keyOf(one))
      let call = open.get(partition)
      if (call === undefined || call.places.length >= KEYS_PER_CALL) {
        call = { partition, members: [], places: [] }
        open.set(partition, call)
        calls.push(call)
      }
      call.members.push(one)
      call.places.push(place)
    }
    return calls
  }

  /**
   * Gives the memory back that dead entries below a prefix take, behind everybody's back. What it leaves, as when the
   * process ends, stays dead: the mark of the clear is forgotten only when all is removed.
   */
  sweep(prefix: string): void {
    this.#unswept.add(prefix)
    const before = this.#sweeping
    if (before !== undefined) {
      if (systemClock.now() - before.heardAt < SILENT_SWEEP_MS) return
      // An answer that never comes must not be the end of all sweeps.
      if (before.prefix !== undefined) this.#unswept.add(before.prefix)
    }
    const sweep: Sweep = { prefix: undefined, heardAt: systemClock.now() }
    this.#sweeping = sweep
    void this.#sweepAll(sweep)
      .catch(() => {})
      .finally(() => {
        if (this.#sweeping !== sweep) return
        this.#sweeping = undefined
        this.#unswept.clear()
      })
  }

  async #sweepAll(sweep: Sweep): Promise<void> {
    // A set hands out what is added to it while it is walked.
    for (const asked of this.#unswept) {
      this.#unswept.delete(asked)
      sweep.prefix = asked
      const states = await Promise.all(
        this.#all(this.partitions).map((partition) => this.#stateOf(partition)),
      )
      this.#heard(sweep)
      // Too many marks have become one that fits everything.
      const isWide = states.some((state) => state?.marks.some((mark) => mark.prefix === ''))
      const prefix = isWide ? '' : asked
      await Promise.all(this.#caller.servers().map((call) => this.#sweepServer(sweep, call, prefix)))
      for (const [partition, state] of states.entries()) {
        const generation = Math.max(0, ...(state?.marks ?? []).map((mark) => mark.generation))
        if (state === undefined || generation === 0) continue
        await this.run(sweptScript, partition, [], [String(state.epoch), String(generation), prefix])
        this.#heard(sweep)
      }
    }
  }

  async #sweepServer(
    sweep: Sweep,
    call: (words: readonly Word[]) => Promise<unknown>,
    prefix: string,
  ): Promise<void> {
    const pattern = entryPattern(this.keyspace, prefix)
    let cursor = '0'
    do {
      const reply = await call(['SCAN', cursor, 'MATCH', pattern, 'COUNT', String(SCAN_COUNT)])
      this.#heard(sweep)
      const [next, names] = reply as [unknown, unknown[]]
      cursor = textOf(next)
      const found = names.flatMap((name) => parseEntryKey(this.keyspace, this.partitions, textOf(name)) ?? [])
      for (const partition of new Set(found.map((entry) => entry.partition))) {
        const keys = found.filter((entry) => entry.partition === partition).map(({ key }) => key)
        for (let at = 0; at < keys.length; at += KEYS_PER_CALL) {
          await this.run(removeScript, partition, keys.slice(at, at + KEYS_PER_CALL), ['dead'])
          this.#heard(sweep)
        }
      }
    } while (cursor !== '0')
  }

  /** A sweep got an answer; it ends when another one has taken its place, or nobody wants it any more. */
  #heard(sweep: Sweep): void {
    if (this.#isClosed) throw new Error('closed; the marks stay for the next sweep')
    if (this.#sweeping !== sweep) throw new Error('another sweep was begun in the place of this one')
    sweep.heardAt = systemClock.now()
  }

  async #standOf(group: readonly number[], token: string, channels: readonly string[]): Promise<Stamp[]> {
    const seen = group.flatMap((partition) => {
      const { epoch, sequence } = this.seen(partition)
      return [String(partition), String(epoch), String(sequence)]
    })
    const keys = this.namesOf(group)
    const words = [String(this.partitions), token, String(channels.length), ...channels, ...seen]
    const reply = (await this.evaluate(standScript, keys, words)) as unknown[]
    return group.map((partition, turn) => {
      const stamp = this.stampIn(partition, reply[2 * turn], reply[2 * turn + 1])
      // The server has judged what was seen; if it did not believe that, as of a forged message, neither do we.
      this.#seen[partition] = stamp
      return stamp
    })
  }

  /** The keys of state and log of partitions. */
  namesOf(group: readonly number[]): string[] {
    return group.flatMap((partition) => [
      stateKey(this.keyspace, partition),
      logKey(this.keyspace, partition),
    ])
  }

  /** One call for keys of some partitions, which has to be made again where one of them stands before it was seen. */
  async #lookIn(parts: readonly Part[]): Promise<LookedIn[]> {
    const names = parts.flatMap(({ partition, members }) => [
      stateKey(this.keyspace, partition),
      ...members.map((key) => entryKey(this.keyspace, partition, key)),
    ])
    for (let attempt = 0; attempt < READ_ATTEMPTS; attempt++) {
      const seen = parts.map(({ partition }) => this.seen(partition))
      const reply = (await this.evaluate(readScript, names, [])) as unknown[]
      const unsettled: number[] = []
      let at = 0
      const found = parts.map(({ partition, members }, turn) => {
        const state = this.#checked(reply[at])
        const asOf = { partition, epoch: state?.epoch ?? 0, sequence: state?.sequence ?? 0 }
        const entries: (TierEntry | undefined)[] = []
        if (state === undefined || !isAtOrAfter(asOf, seen[turn] as Stamp)) unsettled.push(partition)
        else {
          this.note(asOf)
          for (const [place, key] of members.entries()) {
            entries.push(parseEntry(key, reply[at + 2 * place + 2], reply[at + 2 * place + 3], state))
          }
        }
        at += 2 * members.length + 2
        return { asOf, entries }
      })
      if (unsettled.length === 0) return found
      await this.#standOf(unsettled, '', [])
    }
    throw new Error(
      'the state of a partition is older than it was seen, again and again; are reads sent to a replica?',
    )
  }

  /**
   * Begins partition 0, which there is whatever their number: who comes with another number is refused by its first
   * operation, and not by the first key that lies where both have a partition.
   */
  async #agree(): Promise<void> {
    await this.#standOf([0], '', [])
    this.#hasAgreed = true
  }

  /** Where a partition stands. */
  async asOf(partition: number): Promise<Stamp> {
    const [found] = await this.#lookIn([{ partition, members: [], places: [] }])
    return (found as LookedIn).asOf
  }

  async #stateOf(partition: number): Promise<PartitionState | undefined> {
    const reply = (await this.evaluate(readScript, [stateKey(this.keyspace, partition)], [])) as unknown[]
    return this.#checked(reply[0])
  }

  /** A state as this version understands it; `undefined` when there is none. */
  #checked(word: unknown): PartitionState | undefined {
    if (!(word instanceof Uint8Array)) return undefined
    const state = parseState(word)
    if (state?.format !== 1) {
      const [, format = 'unknown'] = /^(\d+) /.exec(textOf(word.subarray(0, 16))) ?? []
      throw new Error(`TIERWHEEL format ${format}`)
    }
    if (state.partitions !== this.partitions) throw new Error(`TIERWHEEL partitions ${state.partitions}`)
    return state
  }

  #all(count: number): number[] {
    return Array.from({ length: count }, (_, partition) => partition)
  }
}

function checkDurability(value: unknown, { isCluster, isPooled }: Caller): boolean {
  if (value === undefined || value === 'server') return false
  if (value !== 'replica')
    throw new TypeError(`durability: ${describe(value)} is neither 'server' nor 'replica'`)
  if (isCluster)
    throw new TypeError(
      "durability: 'replica' is not for a cluster, whose client would ask any of its servers for the replicas of one",
    )
  if (isPooled)
    throw new TypeError(
      "durability: 'replica' is not for a pool or the Sentinel client of redis, which may ask another connection than the one that wrote",
    )
  return true
}

/**
 * An operation's failure, as callers know it.
 *
 * Errors of client libraries carry the command with its arguments, and sometimes an address with a password; neither
 * may get into a log. What is kept is the message without credentials, the name and the code.
 */
export function failureOf(name: string, what: string, error: unknown): unknown {
  if (error instanceof CacheError || error instanceof RangeError) return error
  const { message, code } = error as { message?: unknown; code?: unknown }
  const told = typeof message === 'string' && message !== '' ? message : String(code ?? 'it gave no reason')
  const cause = new Error(told.replace(/\/\/[^@/\s]*@/g, '//').slice(0, 300))
  if (error instanceof Error) cause.name = error.name
  if (typeof code === 'string') Object.assign(cause, { code })
  return new CacheError('CACHE_TIER_FAILED', `${name}: ${what} failed: ${adviceFor(cause.message)}`, {
    tier: 'redis',
    cause,
  })
}

/** Whether a server says that the user may not do it: itself, or from within a script, as Redis 7.0 and 7.2 put it. */
export function isForbidden(message: string): boolean {
  return /^NOPERM|user executing the script can't|ACL failure in script/.test(message)
}

/** What the message means, where more can be said than it says. */
function adviceFor(message: string): string {
  const [, what, found] = /TIERWHEEL (partitions|format) (\w+)/.exec(message) ?? []
  if (what === 'partitions')
    return `partitions: the keyspace has ${found} on this server; give the same number everywhere, or another keyspace`
  if (what === 'format')
    return `the keyspace was written in format ${found}, and this version knows format 1; give another keyspace`
  if (isForbidden(message))
    return `${message} (its user needs the keys "~{keyspace:*", the channels "&keyspace:bus:*" and the commands that the page on the tier lists)`
  return message
}

/** The digest by which a server knows a script: SHA-1 in hexadecimal. */
function digestOf(script: Script): Promise<string> {
  const digest = crypto.subtle.digest('SHA-1', new TextEncoder().encode(script.text)).then((bytes) => {
    const text = Array.from(new Uint8Array(bytes), (byte) => byte.toString(16).padStart(2, '0')).join('')
    digests.set(script, text)
    return text
  })
  digests.set(script, digest)
  return digest
}
