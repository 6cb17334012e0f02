// What the bus tells, turned into what may no longer be used here: the L1 entry, loads under way, copies
// in narrower tiers. Nothing is written and nothing is told on, so there is no echo to suppress beyond
// the look at the origin.
//
// Per partition it knows how far it has heard. A message that follows on is applied; one that was heard
// is ignored; one that leaves a hole, or another epoch, makes everything older of that partition suspect
// in one step, without a scan: copies are then checked with the authority before they are used.

import type { Bus, BusListener } from '../bus/bus.ts'
import type { Clock, Timer } from '../clock.ts'
import type { Message } from '../message.ts'
import type { Events } from '../metrics/events.ts'
import type { Stamp } from '../stamp.ts'
import { defaultLimits, Guard } from './guard.ts'

/** What inbound messages act on. */
export interface InboundTarget {
  /** Another process changed these stored keys. */
  dropKeys(keys: readonly string[], stamp: Stamp, origin: string): void
  /** Every key with this prefix was cleared, in the partition of `stamp` (others get a message of their own). */
  clearPrefix(prefix: string, stamp: Stamp, isNews: boolean): void
  /** Whether a mutation of this cache was given up, so that its outcome is not known. */
  isUnsettled(serial: number): boolean
  /** Everything of the partition that is older than `stamp` is suspect. */
  suspect(stamp: Stamp): void
  /** Copies may be used from now on, or may not. */
  trust(isTrusted: boolean): void
}

const FIRST_RETRY_MS = 100
const LONGEST_RETRY_MS = 5_000

/** Listens to a bus and follows the order of each partition. */
export class Inbound implements BusListener {
  readonly #bus: Bus
  readonly #guard: Guard
  readonly #origin: string
  readonly #target: InboundTarget
  readonly #clock: Clock
  readonly #events: Events
  /** By partition; empty before the bus began. */
  readonly #heard: Stamp[] = []
  /** What came between the bus beginning and this process knowing from where. */
  #early: Message[] | undefined = []
  #isConnected = false
  #isClosed = false
  #error: unknown
  #retry: Timer | undefined

  /** @param origin - The id of this cache: its own changes of keys are no news. */
  constructor(bus: Bus, origin: string, target: InboundTarget, clock: Clock, events: Events) {
    this.#bus = bus
    this.#guard = new Guard(bus.name, clock, events, defaultLimits)
    this.#origin = origin
    this.#target = target
    this.#clock = clock
    this.#events = events
    this.#subscribe(FIRST_RETRY_MS)
  }

  /** Whether every mutation elsewhere is heard here. */
  get isConnected(): boolean {
    return this.#isConnected
  }

  /** Why the bus does not work at the moment; `undefined` while it does. */
  get error(): unknown {
    return this.#error
  }

  /** Ends listening. */
  close(): Promise<void> {
    this.#isClosed = true
    this.#retry?.cancel()
    return this.#guard.within('close', () => this.#bus.close())
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
    if (stamp.epoch < heard.epoch) return
    if (stamp.epoch > heard.epoch) {
      this.#restart(stamp)
      this.#tellGap(stamp.partition, 'the authority began a new epoch')
      return
    }
    if (stamp.sequence <= heard.sequence) return
    this.#heard[stamp.partition] = stamp
    if (message.after > heard.sequence) {
      this.#target.suspect(stamp)
      this.#tellGap(stamp.partition, `mutations ${heard.sequence} to ${message.after} were not heard`)
      return
    }
    // What this cache did itself is news only when it gave up waiting for it. Its clears count all the same: they are
    // told for every partition, and only so are copies judged that a narrower tier failed to remove.
    const isNews = message.origin !== this.#origin || this.#target.isUnsettled(message.serial)
    if (message.op === 'clear') this.#target.clearPrefix(message.keys[0] ?? '', stamp, isNews)
    else if (isNews) this.#target.dropKeys(message.keys, stamp, message.origin)
  }

  onEcho(): void {}

  onGap(partition: number | undefined, stamps: readonly Stamp[], reason: string): void {
    for (const stamp of stamps) this.#restart(stamp)
    this.#tellGap(partition, reason)
    this.#connect()
  }

  onFailure(error: unknown): void {
    this.#isConnected = false
    this.#error = error
    this.#target.trust(false)
    if (this.#events.hears('bus.failed')) this.#events.tell('bus.failed', { bus: this.#bus.name, error })
  }

  /** Listens, sooner or later: a bus that can not be reached is tried again, ever more rarely. */
  #subscribe(retryMs: number): void {
    this.#bus.subscribe(this).then(
      (stamps) => {
        if (this.#isClosed) return
        for (const stamp of stamps) this.#restart(stamp)
        this.#connect()
        const early = this.#early ?? []
        this.#early = undefined
        for (const message of early) this.onMessage(message)
      },
      (error: unknown) => {
        if (this.#isClosed) return
        this.onFailure(error)
        this.#retry = this.#clock.setTimer(
          () => this.#subscribe(Math.min(2 * retryMs, LONGEST_RETRY_MS)),
          retryMs,
        )
      },
    )
  }

  #restart(stamp: Stamp): void {
    this.#heard[stamp.partition] = stamp
    this.#target.suspect(stamp)
  }

  #connect(): void {
    this.#error = undefined
    if (this.#isConnected) return
    this.#isConnected = true
    this.#target.trust(true)
    if (this.#events.hears('bus.connected')) this.#events.tell('bus.connected', { bus: this.#bus.name })
  }

  #tellGap(partition: number | undefined, reason: string): void {
    if (this.#events.hears('bus.gap'))
      this.#events.tell('bus.gap', { bus: this.#bus.name, partition, reason })
  }
}
