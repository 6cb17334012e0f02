// The backend that a memory tier and an in-process bus share: what Redis is to theirs, within one process.
//
// It keeps entries, the order of mutations per partition, a log of the latest of them, and a link to each
// listener. A commit is one synchronous step (entry, place, log, bell), which is the whole of its
// atomicity. The fence reads the log: a populate is refused when the log names its key after `asOf`, and
// also when the log no longer reaches back that far. So a deleted or evicted key needs no tombstone.
//
// Messages reach listeners later, in a microtask each, never inside the commit: a listener of a real bus
// is not called inside somebody's `set` either. `links` is the door through which a test loses, doubles,
// delays and reorders them.

import type { BusListener } from '../bus/bus.ts'
import { type Clock, systemClock } from '../clock.ts'
import { CacheError } from '../errors.ts'
import { partitionTextOf } from '../key.ts'
import type { Message, MessageOp } from '../message.ts'
import { checkClock, checkCount, checkNames, checkRandom } from '../options.ts'
import { type Random, randomId, systemRandom } from '../random.ts'
import { partitionOf, type Stamp } from '../stamp.ts'
import { TagTable } from '../tag-table.ts'
import type { Committed, Ledger, LedgerReading, Mutation, Origin, TagsReading } from '../tiers/ledger.ts'
import type { TierWrite } from '../tiers/tier.ts'
import { Entries, type EntryWrite } from './entries.ts'

/** What a hub can be told. */
export interface HubOptions {
  /**
   * Most entries it keeps; the one written longest ago leaves first.
   *
   * @defaultValue `10_000`
   */
  maxEntries?: number

  /**
   * Into how many parts the keys are dealt, each with an order of its own, from 1 to 65,534.
   *
   * @defaultValue `16`
   */
  partitions?: number

  /**
   * How many mutations of each partition are kept for those who missed some; whoever missed more is told
   * that there is a gap.
   *
   * @defaultValue `1_024`
   */
  logMessages?: number

  /**
   * Of how many tags it is remembered when they were last invalidated, those invalidated last. Entries that carry
   * tags and are older than what was forgotten are not used any more.
   *
   * @defaultValue `65_536`
   */
  maxTags?: number

  /** @defaultValue the machine's. */
  clock?: Clock

  /** @defaultValue the machine's; the channel's name is made of it. */
  random?: Random
}

/** Something on its way to a listener. */
export type Delivery =
  | { readonly kind: 'message'; readonly message: Message }
  | { readonly kind: 'echo'; readonly token: string; readonly stamps: readonly Stamp[] }
  | { readonly kind: 'gap'; readonly stamps: readonly Stamp[]; readonly reason: string }
  | { readonly kind: 'failure'; readonly error: unknown }

interface Partition {
  sequence: number
  /** The latest mutations, oldest first, without a hole. */
  log: Message[]
}

/**
 * The memory that memory tiers and in-process buses of one process share. Pass the same hub to those that
 * belong together; each hub is a backend of its own.
 *
 * @example
 * const hub = new Hub()
 * const cache = createCache({ tiers: [memoryTier({ hub })], bus: inProcessBus({ hub }), ttl: '1m' })
 */
export class Hub implements Ledger {
  readonly channel: string
  readonly partitions: number
  readonly keepsData = true
  /** The entries, for the tiers on this hub. @internal */
  readonly entries: Entries

  readonly #clock: Clock
  readonly #logMessages: number
  /** Those of keys, and the tag partition. */
  readonly #partitions: Partition[]
  readonly #tags: TagTable
  readonly #links: HubLink[] = []
  #epoch: number

  constructor(options: HubOptions = {}) {
    checkNames(options, ['maxEntries', 'partitions', 'logMessages', 'maxTags', 'clock', 'random'], 'Hub')
    const {
      maxEntries = 10_000,
      partitions = 16,
      logMessages = 1_024,
      maxTags = 65_536,
      clock = systemClock,
      random = systemRandom,
    } = options
    this.partitions = checkCount(partitions, 'partitions', 1, 65_534)
    this.#logMessages = checkCount(logMessages, 'logMessages', 1, 1_000_000)
    this.#clock = checkClock(clock)
    this.entries = new Entries(clock, checkCount(maxEntries, 'maxEntries', 1, 2 ** 24))
    this.channel = `hub:${randomId(checkRandom(random))}`
    this.#partitions = Array.from({ length: this.partitions + 1 }, () => ({ sequence: 0, log: [] }))
    // Microseconds, as Redis begins its epochs: copies that outlive this process, such as files, must not
    // meet the same epoch again with other mutations in it.
    this.#epoch = Math.max(1, Math.floor(clock.wallNow() * 1_000))
    this.#tags = new TagTable(this.#standOf(this.partitions), checkCount(maxTags, 'maxTags', 1, 2 ** 24))
  }

  /** One for each listening bus, in the order they subscribed. */
  get links(): readonly HubLink[] {
    return this.#links
  }

  async read(keys: readonly string[]): Promise<LedgerReading[]> {
    return keys.map((key) => ({ entry: this.entries.get(key), asOf: this.#standOf(this.#partitionOf(key)) }))
  }

  async commit(mutation: Mutation, origin: Origin): Promise<Committed> {
    if (mutation.op === 'clear') return this.#clear(mutation.prefix, origin)
    if (mutation.op === 'tags') return this.#invalidate(mutation, origin)
    const partition = this.#partitionOf(mutation.key)
    const existed = this.entries.has(mutation.key)
    const stamp = this.#nextOf(partition)
    const result = this.#apply(mutation, stamp)
    if (result === undefined)
      return { stamp: this.#standOf(partition), applied: false, existed, number: undefined }
    const keys = mutation.op === 'move' ? [mutation.key, mutation.to] : [mutation.key]
    this.#append(
      stamp,
      mutation.op === 'delete' || mutation.op === 'move' ? mutation.op : 'set',
      keys,
      origin,
    )
    return { stamp, applied: true, existed, number: result.number }
  }

  async readTags(names: readonly string[]): Promise<TagsReading> {
    return {
      asOf: this.#standOf(this.partitions),
      floor: this.#tags.floor,
      tags: names.map((name) => this.#tags.placesOf(name)),
    }
  }

  async populate(write: TierWrite, asOf: Stamp): Promise<'stored' | 'refused'> {
    if (!this.#allows(write.key, asOf)) return 'refused'
    this.entries.store({ ...write, stamp: write.stamp ?? asOf })
    return 'stored'
  }

  async since(after: Stamp): Promise<Message[] | 'gap'> {
    return this.#after(after) ?? 'gap'
  }

  /** The echo reaches every listener of this hub: all of them are in this process. */
  async probe(token: string): Promise<Stamp[]> {
    const stamps = this.#stand()
    this.#ring({ kind: 'echo', token, stamps })
    return stamps
  }

  /**
   * The same order without data: commits leave no bytes here, and readings have no entry. This is the
   * ledger of a bus alone, since a cache that has no tier did not ask for its values to be kept twice.
   *
   * A set through it removes what a tier on this hub holds under the key. A populate stores nothing; its
   * answer says whether the fence would have let it pass.
   */
  withoutData(): Ledger {
    return {
      channel: this.channel,
      partitions: this.partitions,
      keepsData: false,
      read: async (keys) => (await this.read(keys)).map(({ asOf }) => ({ entry: undefined, asOf })),
      commit: async (mutation, origin) => {
        if (!['set', 'delete', 'clear', 'tags'].includes(mutation.op)) {
          throw new CacheError('CACHE_NOT_SUPPORTED', `in-process bus: it keeps no data to ${mutation.op}`)
        }
        const emptied: Mutation =
          mutation.op === 'set' ? { ...mutation, bytes: new Uint8Array(0), remainingMs: 0 } : mutation
        return { ...(await this.commit(emptied, origin)), existed: false }
      },
      populate: async (write, asOf) => (this.#allows(write.key, asOf) ? 'stored' : 'refused'),
      since: (after) => this.since(after),
      probe: (token) => this.probe(token),
      readTags: (names) => this.readTags(names),
    }
  }

  /**
   * Links a listener: from here on it is told of everything.
   *
   * @internal
   */
  link(listener: BusListener): { readonly link: HubLink; readonly stamps: Stamp[] } {
    const link = new HubLink(listener, {
      stand: () => this.#stand(),
      remove: () => {
        const at = this.#links.indexOf(link)
        if (at >= 0) this.#links.splice(at, 1)
      },
    })
    this.#links.push(link)
    return { link, stamps: this.#stand() }
  }

  /**
   * Loses all memory, as a backend does that crashed: no entries, no log, and a new, larger epoch. Listeners
   * are not told; they find out as with any backend, by the epoch of the next message or echo.
   */
  reset(): void {
    this.entries.clear('')
    this.#epoch = Math.max(this.#epoch + 1, Math.floor(this.#clock.wallNow() * 1_000))
    for (const partition of this.#partitions) {
      partition.sequence = 0
      partition.log = []
    }
    this.#tags.reset(this.#standOf(this.partitions))
  }

  #clear(prefix: string, origin: Origin): Committed {
    this.entries.clear(prefix)
    // A prefix may have keys in any partition, so the clear takes its place in each: a reader that
    // follows one partition's order, or a fence that looks into one log, meets it wherever it looks.
    const stamps = Array.from({ length: this.partitions }, (_, partition) => this.#nextOf(partition))
    for (const stamp of stamps) this.#append(stamp, 'clear', [prefix], origin)
    return { stamp: stamps[0] as Stamp, applied: true, existed: false, number: undefined }
  }

  #invalidate({ tags, how }: Extract<Mutation, { op: 'tags' }>, origin: Origin): Committed {
    const stamp = this.#nextOf(this.partitions)
    this.#tags.invalidate(tags, how, stamp)
    this.#append(stamp, `${how}-tags`, tags, origin)
    return { stamp, applied: true, existed: false, number: undefined }
  }

  /** Changes the entries; `undefined` when there is nothing to change. */
  #apply(
    mutation: Exclude<Mutation, { op: 'clear' | 'tags' }>,
    stamp: Stamp,
  ): { number: number | undefined } | undefined {
    const { entries } = this
    const { key } = mutation
    let write: EntryWrite | undefined
    let number: number | undefined
    switch (mutation.op) {
      case 'set':
        write = mutation
        break
      case 'add':
        if (!entries.has(key)) write = mutation
        break
      case 'swap':
        if (entries.is(key, mutation.expected)) write = mutation
        break
      case 'increment': {
        const sum = entries.sum(key, mutation.delta, mutation.from)
        number = sum?.number
        if (sum !== undefined) write = { ...sum, key }
        break
      }
      case 'touch': {
        const entry = entries.get(key)
        if (entry !== undefined) write = { key, bytes: entry.bytes, remainingMs: mutation.remainingMs }
        break
      }
      case 'move': {
        if (mutation.to === key || this.#partitionOf(mutation.to) !== stamp.partition)
          throw new TypeError('move: the keys must be two of one partition')
        const entry = entries.get(key)
        if (entry !== undefined) {
          write = { key: mutation.to, bytes: entry.bytes, remainingMs: entry.remainingMs }
          entries.remove(key)
        }
        break
      }
      case 'delete':
        entries.remove(key)
        return { number }
    }
    if (write === undefined) return undefined
    entries.store({ key: write.key, bytes: write.bytes, remainingMs: write.remainingMs, stamp })
    return { number }
  }

  #partitionOf(key: string): number {
    return partitionOf(partitionTextOf(key), this.partitions)
  }

  #standOf(partition: number): Stamp {
    return { partition, epoch: this.#epoch, sequence: (this.#partitions[partition] as Partition).sequence }
  }

  #stand(): Stamp[] {
    return this.#partitions.map((_, partition) => this.#standOf(partition))
  }

  #nextOf(partition: number): Stamp {
    const stood = this.#standOf(partition)
    return { ...stood, sequence: stood.sequence + 1 }
  }

  /** Puts a mutation into its place, keeps it for those who ask later, and rings for it. */
  #append(stamp: Stamp, op: MessageOp, keys: readonly string[], origin: Origin): void {
    const state = this.#partitions[stamp.partition] as Partition
    const after = state.sequence
    state.sequence = stamp.sequence
    const message: Message = { op, keys, stamp, after, origin: origin.id, serial: origin.serial }
    state.log.push(message)
    if (state.log.length > this.#logMessages) state.log.shift()
    this.#ring({ kind: 'message', message })
  }

  /** The mutations after a stamp, or `undefined` when the log cannot tell. */
  #after({ partition, epoch, sequence }: Stamp): Message[] | undefined {
    const state = this.#partitions[partition]
    if (state === undefined || epoch !== this.#epoch || sequence > state.sequence) return undefined
    const missing = state.sequence - sequence
    if (missing > state.log.length) return undefined
    return missing === 0 ? [] : state.log.slice(-missing)
  }

  #allows(key: string, asOf: Stamp): boolean {
    if (asOf.partition !== this.#partitionOf(key)) return false
    const later = this.#after(asOf)
    return (
      later?.every(({ op, keys }) =>
        op === 'clear' ? !key.startsWith(keys[0] as string) : !keys.includes(key),
      ) ?? false
    )
  }

  #ring(delivery: Delivery): void {
    for (const link of this.#links) link.push(delivery)
  }
}

/** What a link needs of its hub. */
interface LinkHost {
  stand(): Stamp[]
  remove(): void
}

/**
 * The way from a hub to one listener, and the door for tests that make it fail. While a link is held,
 * `queue` is the test's to change: take a delivery out and it is lost without a trace, push it twice and it
 * is doubled, swap two and they arrive out of order.
 *
 * @example
 * const [link] = hub.links
 * link.hold()
 * await cache.delete('user:7')
 * link.queue.pop() // the message is lost
 * link.release()
 */
export class HubLink {
  /** What is on its way, next first. */
  readonly queue: Delivery[] = []
  readonly #listener: BusListener
  readonly #host: LinkHost
  #isHeld = false
  #isCut = false
  #isOpen = true

  constructor(listener: BusListener, host: LinkHost) {
    this.#listener = listener
    this.#host = host
  }

  get isHeld(): boolean {
    return this.#isHeld
  }

  /** Delivers nothing from here on; the queue grows. */
  hold(): void {
    this.#isHeld = true
  }

  /** Delivers what is in the queue, at once and in its order, and everything after it as usual. */
  release(): void {
    this.#isHeld = false
    while (!this.#isHeld && this.queue.length > 0) this.#deliver()
  }

  /** Delivers the next `count` of the queue at once; a held link stays held. */
  step(count = 1): void {
    for (let left = count; left > 0; left--) this.#deliver()
  }

  /** Breaks the link and lets the listener know: what is under way and what follows is lost. */
  cut(error: unknown): void {
    this.#isCut = true
    this.queue.length = 0
    this.#enqueue({ kind: 'failure', error })
  }

  /** Mends a cut link; the listener is told that there is a gap, and where the partitions stand now. */
  mend(): void {
    if (!this.#isCut) return
    this.#isCut = false
    this.#enqueue({ kind: 'gap', stamps: this.#host.stand(), reason: 'the link was cut' })
  }

  /** Puts something on its way; a cut link loses it. @internal */
  push(delivery: Delivery): void {
    if (!this.#isCut) this.#enqueue(delivery)
  }

  /** Ends the link; the listener hears nothing more. @internal */
  close(): void {
    this.#isOpen = false
    this.queue.length = 0
    this.#host.remove()
  }

  #enqueue(delivery: Delivery): void {
    this.queue.push(delivery)
    // A microtask for each, so that a listener that throws, which it may not, costs one delivery only.
    void Promise.resolve().then(() => {
      if (!this.#isHeld) this.#deliver()
    })
  }

  #deliver(): void {
    const delivery = this.queue.shift()
    if (delivery === undefined || !this.#isOpen) return
    const listener = this.#listener
    if (delivery.kind === 'message') listener.onMessage(delivery.message)
    else if (delivery.kind === 'echo') listener.onEcho(delivery.token, delivery.stamps)
    else if (delivery.kind === 'gap') listener.onGap(undefined, delivery.stamps, delivery.reason)
    else listener.onFailure(delivery.error)
  }
}
