// How a bus over a connection that forgets what it cannot deliver begins again: it believes nothing until a token has
// gone the whole way round, tells where it goes on, and until that works tries ever more rarely. One recovery at a
// time; why another one is wanted meanwhile is remembered.
//
// What was heard of the order is kept here too, as it is what a recovery is most often for: a server that says it
// stands before that has lost part of it.

import type { Clock, Timer } from '../clock.ts'
import { isAtOrAfter, type Stamp } from '../stamp.ts'
import type { BusListener } from './bus.ts'

const FIRST_RETRY_MS = 100
const LONGEST_RETRY_MS = 5_000

/** What a recovery needs of its bus. */
export interface RecoveryParts {
  readonly clock: Clock
  /** Who is told; `undefined` before there is anyone, and after the end. */
  listener(): BusListener | undefined
  /** Sends a token round; `arrived` runs within the hearing of it, so between two messages. */
  prove(arrived: (stamps: readonly Stamp[]) => void): Promise<void>
  /** What the listener is told of a failure. */
  failureOf(error: unknown): unknown
  /** A place of the order was told by the server. */
  noted(stamp: Stamp): void
}

/** Whether a bus works, how far it has heard, and the way back. */
export class Recovery {
  readonly #parts: RecoveryParts
  /** How far each partition was heard. */
  readonly #heard: (Stamp | undefined)[] = []
  #isDown = false
  #isRunning = false
  /** Why to begin once more when the recovery under way is over. */
  #again: string | undefined
  #retry: Timer | undefined

  constructor(parts: RecoveryParts) {
    this.#parts = parts
  }

  /** Whether a failure was told, and not yet that the bus works again. */
  get isDown(): boolean {
    return this.#isDown
  }

  /** Whether the bus works, as far as is known, and nothing is planned to find out. */
  get isIdle(): boolean {
    return !this.#isDown && this.#isSettled
  }

  /** Whether nothing is under way, and nothing planned. */
  get #isSettled(): boolean {
    return !this.#isRunning && this.#retry === undefined
  }

  /** A token has come round. */
  works(): void {
    this.#isDown = false
  }

  /**
   * Tells the listener that the bus does not work, once, and looks until it does: a connection may be in doubt, and
   * never be said to be there again, since it was there all the time.
   */
  fail(error: unknown): void {
    const listener = this.#parts.listener()
    if (this.#isDown || listener === undefined) return
    this.#isDown = true
    listener.onFailure(this.#parts.failureOf(error))
    if (this.#isSettled) this.#later('the connection was in doubt', FIRST_RETRY_MS)
  }

  /** A message was heard. */
  hear(stamp: Stamp): void {
    const heard = this.#heard[stamp.partition]
    if (heard === undefined || isAtOrAfter(stamp, heard)) this.#heard[stamp.partition] = stamp
    this.#parts.noted(stamp)
  }

  /**
   * An echo was heard: that is where the server stands, be it before what was heard.
   *
   * @returns Whether it is: then part of the order is lost, and a recovery comes soon.
   */
  hearEcho(stamps: readonly Stamp[]): boolean {
    const isBehind = stamps.some((stamp) => {
      const heard = this.#heard[stamp.partition]
      return heard !== undefined && !isAtOrAfter(stamp, heard)
    })
    for (const stamp of stamps) {
      this.#heard[stamp.partition] = stamp
      this.#parts.noted(stamp)
    }
    // Whoever looks next says how far was heard, so the server begins a new epoch where something was lost.
    if (isBehind) this.soon('the server has lost part of the order')
    return isBehind
  }

  /** What anyone can cause by a message costs at most a token in a while. */
  soon(reason: string): void {
    if (this.#isRunning) this.#again = reason
    else if (this.#retry === undefined) this.#later(reason, FIRST_RETRY_MS)
  }

  /** Finds out at once whether the bus works; tells a gap when it does, and tries again later when not. */
  begin(reason: string): void {
    // One that is under way because of a failure finds it out as well.
    if (this.#isDown && this.#isRunning) return
    this.#begin(reason, FIRST_RETRY_MS)
  }

  /** Plans nothing more. */
  end(): void {
    this.#retry?.cancel()
  }

  #later(reason: string, retryMs: number): void {
    this.#retry?.cancel()
    this.#retry = this.#parts.clock.setTimer(() => {
      this.#retry = undefined
      this.#begin(reason, Math.min(2 * retryMs, LONGEST_RETRY_MS))
    }, retryMs)
  }

  #begin(reason: string, retryMs: number): void {
    const parts = this.#parts
    if (parts.listener() === undefined) return
    if (this.#isRunning) {
      this.#again = reason
      return
    }
    this.#isRunning = true
    this.#retry?.cancel()
    this.#retry = undefined
    parts
      .prove((stamps) => {
        this.#isDown = false
        parts.listener()?.onGap(undefined, stamps, reason)
      })
      .catch((error: unknown) => {
        this.fail(error)
        this.#again ??= reason
      })
      .finally(() => {
        this.#isRunning = false
        // It may have failed once more behind the token.
        const again = this.#again ?? (this.#isDown ? reason : undefined)
        this.#again = undefined
        if (again !== undefined && parts.listener() !== undefined) this.#later(again, retryMs)
      })
  }
}
