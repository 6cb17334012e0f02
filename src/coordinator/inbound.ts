// What the bus tells, turned into what may no longer be used here: the L1 entry, loads under way, copies
// in narrower tiers. Nothing is written and nothing is told on, so there is no echo to suppress beyond
// the look at the origin.
//
// Per partition it knows how far it has heard. A message that follows on is applied; one that was heard
// is ignored; one that leaves a hole, or another epoch, makes everything older of that partition suspect
// in one step, without a scan: copies are then checked with the authority before they are used. Then the
// log is asked for what was missed: where it still knows, only the keys in it stay gone, and everything
// else is good again. Holes at the end of a silence are found by the lease (lease.ts).

import type { Bus, BusListener } from '../bus/bus.ts'
import type { Clock, Timer } from '../clock.ts'
import type { Message } from '../message.ts'
import type { Events } from '../metrics/events.ts'
import type { Random } from '../random.ts'
import { isAtOrAfter, type Stamp } from '../stamp.ts'
import type { Ledger } from '../tiers/ledger.ts'
import type { Guard } from './guard.ts'
import { Lease } from './lease.ts'

/** What inbound messages act on. */
export interface InboundTarget {
  /** These stored keys were changed by another process, or here by a mutation that was given up. */
  dropKeys(message: Message): void
  /** Every key with this prefix was cleared, in the partition of `stamp` (others get a message of their own). */
  clearPrefix(prefix: string, stamp: Stamp, isNews: boolean): void
  /** Tags were invalidated. */
  invalidateTags(message: Message, isNews: boolean): void
  /** Whether a mutation of this cache was given up, so that its outcome is not known. */
  isUnsettled(message: Message): boolean
  /**
   * Everything of the partition that is older than `stamp` is suspect.
   *
   * @returns Where that limit was before; `undefined` when the partition had none, or another epoch.
   */
  suspect(stamp: Stamp): Stamp | undefined
  /**
   * The order goes on from `stamp`, which lies before `heard`: what was heard beyond it is in the order no more, or
   * never was. No copy of the partition is good.
   */
  restart(stamp: Stamp, heard: Stamp): void
  /** Takes back `suspect(stamp)` if nothing was made suspect since: the limit is `earlier` again. */
  absolve(stamp: Stamp, earlier: Stamp): void
  /** Copies are good until then, by the clock. */
  renewed(until: number): void
}

/** What an inbound is made of. */
export interface InboundParts {
  readonly bus: Bus
  readonly ledger: Ledger
  /** Calls of the bus and its ledger go through it. */
  readonly guard: Guard
  /** The id of this cache: its own changes of keys are no news. */
  readonly origin: string
  readonly target: InboundTarget
  readonly leaseMs: number
  readonly clock: Clock
  readonly random: Random
  readonly events: Events
}

const FIRST_RETRY_MS = 100
const LONGEST_RETRY_MS = 5_000

/** Listens to a bus and follows the order of each partition. */
export class Inbound implements BusListener {
  readonly #parts: InboundParts
  readonly #lease: Lease
  /** By partition; empty before the bus began. */
  readonly #heard: Stamp[] = []
  /** What came between the bus beginning and this process knowing from where. */
  #early: Message[] | undefined = []
  #isConnected = false
  #isClosed = false
  #error: unknown
  #retry: Timer | undefined
  /** Who waits for the bus to work. */
  #awaiting: (() => void)[] = []

  constructor(parts: InboundParts) {
    this.#parts = parts
    const { clock, guard, ledger, random, target } = parts
    this.#lease = new Lease({
      leaseMs: parts.leaseMs,
      clock,
      random,
      probe: (token) => guard.within('probe', () => ledger.probe(token)),
      renewed: (until) => target.renewed(until),
      lost: () => this.#subscribe(FIRST_RETRY_MS),
    })
    this.#subscribe(FIRST_RETRY_MS)
  }

  /** Whether every mutation elsewhere is heard here, with proof that is not too old. */
  get isConnected(): boolean {
    return this.#isConnected && this.#lease.holds
  }

  /** Resolves when the bus works; never once this is closed. */
  connected(): Promise<void> {
    if (this.#isConnected) return Promise.resolve()
    return new Promise((resolve) => this.#awaiting.push(resolve))
  }

  /** Why the bus does not work at the moment; `undefined` while it does, or when nothing is known but silence. */
  get error(): unknown {
    return this.#error
  }

  /** Ends listening. */
  close(): Promise<void> {
    this.#isClosed = true
    this.#retry?.cancel()
    this.#lease.end()
    return this.#parts.guard.within('close', () => this.#parts.bus.close())
  }

  /** Where this process stands in the order of a partition; `undefined` before the bus began. */
  heard(partition: number): Stamp | undefined {
    return this.#heard[partition]
  }

  onMessage(message: Message): void {
    const { stamp } = message
    const heard = this.#heard[stamp.partition]
    if (heard === undefined) {
      this.#early?.push(message)
      return
    }
    if (stamp.epoch < heard.epoch || (stamp.epoch === heard.epoch && stamp.sequence <= heard.sequence)) return
    // One whose `after` was passed by is of another history: what was heard is in the order no more.
    if (stamp.epoch > heard.epoch || message.after !== heard.sequence) {
      this.#miss(heard, stamp)
      return
    }
    this.#heard[stamp.partition] = stamp
    this.#apply(message)
  }

  onEcho(token: string, stamps: readonly Stamp[]): void {
    for (const stamp of stamps) this.#meet(stamp)
    this.#lease.echo(token)
  }

  onGap(partition: number | undefined, stamps: readonly Stamp[], reason: string): void {
    for (const stamp of stamps) this.#goOn(stamp)
    // Nothing that came before counts beside where the bus goes on: it may be in no order any more.
    this.#early = this.#early?.filter((message) => this.#heard[message.stamp.partition] === undefined)
    this.#tellGap(partition, reason)
    // What the bus says is where it goes on, not that nothing has happened since it said so.
    this.#connect(undefined)
  }

  onFailure(error: unknown): void {
    this.#isConnected = false
    this.#error = error
    this.#lease.end()
    const { bus, events } = this.#parts
    if (events.hears('bus.failed')) events.tell('bus.failed', { bus: bus.name, error })
  }

  /** Listens, sooner or later: a bus that can not be reached is tried again, ever more rarely. */
  #subscribe(retryMs: number): void {
    const { bus, clock } = this.#parts
    const askedAt = clock.now()
    bus.subscribe(this).then(
      (stamps) => {
        if (this.#isClosed) return
        for (const stamp of stamps) this.#goOn(stamp)
        this.#connect(askedAt)
        const early = this.#early ?? []
        this.#early = undefined
        for (const message of early) this.onMessage(message)
      },
      (error: unknown) => {
        if (this.#isClosed) return
        this.onFailure(error)
        this.#retry = clock.setTimer(() => this.#subscribe(Math.min(2 * retryMs, LONGEST_RETRY_MS)), retryMs)
      },
    )
  }

  /** The bus goes on from `stamp`, whatever was heard: a message can be made up, and a server can lose its last ones. */
  #goOn(stamp: Stamp): void {
    const heard = this.#heard[stamp.partition]
    if (heard === undefined || isAtOrAfter(stamp, heard)) {
      this.#meet(stamp)
      return
    }
    this.#heard[stamp.partition] = stamp
    this.#parts.target.restart(stamp, heard)
    this.#tellGap(
      stamp.partition,
      `the order goes on from ${stamp.sequence}, and ${heard.sequence} was heard`,
    )
  }

  /** A partition stands at `stamp`, and every message up to there has been delivered if it ever will be. */
  #meet(stamp: Stamp): void {
    const heard = this.#heard[stamp.partition]
    if (heard === undefined) {
      this.#heard[stamp.partition] = stamp
      this.#parts.target.suspect(stamp)
    } else if (
      stamp.epoch > heard.epoch ||
      (stamp.epoch === heard.epoch && stamp.sequence > heard.sequence)
    ) {
      this.#miss(heard, stamp)
    }
  }

  /** What lies between `heard` and `stamp` was not heard. */
  #miss(heard: Stamp, stamp: Stamp): void {
    this.#heard[stamp.partition] = stamp
    const earlier = this.#parts.target.suspect(stamp)
    if (stamp.epoch !== heard.epoch) {
      this.#tellGap(stamp.partition, 'the authority began a new epoch')
      return
    }
    this.#tellGap(
      stamp.partition,
      `mutations after ${heard.sequence} and up to ${stamp.sequence} were not heard`,
    )
    void this.#catchUp(heard, stamp, earlier)
  }

  /**
   * Asks the log for what was missed; if it knows every one of them, nothing else need be suspect. It is asked where
   * nothing can be taken back, too: a ledger that has no such place as `heard` has lost part of the order.
   */
  async #catchUp(heard: Stamp, stamp: Stamp, earlier: Stamp | undefined): Promise<void> {
    const { guard, ledger, target } = this.#parts
    const known = await guard.attempt('since', () => ledger.since(heard))
    if (this.#isClosed || known === undefined || known === 'gap' || earlier === undefined) return
    const missed = known.filter((message) => message.stamp.sequence <= stamp.sequence)
    let sequence = heard.sequence
    for (const message of missed) {
      if (message.after !== sequence || message.stamp.epoch !== stamp.epoch) return
      sequence = message.stamp.sequence
    }
    if (sequence !== stamp.sequence) return
    target.absolve(stamp, earlier)
    for (const message of missed) this.#apply(message)
  }

  #apply(message: Message): void {
    const { origin, target } = this.#parts
    // What this cache did itself is news only when it gave up waiting for it. Its clears count all the same: they are
    // told for every partition, and only so are copies judged that a narrower tier failed to remove.
    const isNews = message.origin !== origin || target.isUnsettled(message)
    if (message.op === 'clear') target.clearPrefix(message.keys[0] ?? '', message.stamp, isNews)
    else if (message.op === 'expire-tags' || message.op === 'delete-tags')
      target.invalidateTags(message, isNews)
    else if (isNews) target.dropKeys(message)
  }

  #connect(provenAt: number | undefined): void {
    const { bus, events } = this.#parts
    this.#error = undefined
    this.#lease.begin(provenAt)
    if (this.#isConnected) return
    this.#isConnected = true
    for (const resolve of this.#awaiting.splice(0)) resolve()
    if (events.hears('bus.connected')) events.tell('bus.connected', { bus: bus.name })
  }

  #tellGap(partition: number | undefined, reason: string): void {
    const { bus, events } = this.#parts
    if (events.hears('bus.gap')) events.tell('bus.gap', { bus: bus.name, partition, reason })
  }
}
