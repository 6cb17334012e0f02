// The lease: proof, renewed again and again, that this process hears of every mutation.
//
// A gap shows with the next message. But when the last message before a silence is lost, when a connection died
// without a word, or when this process itself was stopped for a while, there is no next message. So three times per
// lease the authority is asked where it stands, with a token that comes back over the bus behind everything that
// was committed before. When the token arrives, all of that has been heard, or the hole is known exactly; either
// way copies are good again. A token that never comes renews nothing: the lease runs out, and without it no copy in
// this process answers.
//
// A lease counts from when its token was sent, not from when it came back: how long it was on its way is part of
// what is not known. Its end is compared with the clock at each look, never by a timer, as a process that was
// stopped runs its timers late.
//
// Source: leases, Gray and Cheriton 1989; an echo on the connection that carries the messages instead of a renewal
// by the server, so that what is proved is the way and not only the server.

import type { Clock, Timer } from '../clock.ts'
import { type Random, randomId } from '../random.ts'

/** What a lease is made of. */
export interface LeaseParts {
  readonly leaseMs: number
  readonly clock: Clock
  readonly random: Random
  /** Asks the authority to send `token` over the bus. */
  probe(token: string): Promise<unknown>
  /** Copies are good until `until`, by the clock. */
  renewed(until: number): void
  /** Several tokens in a row did not come back: the connection is of no use. */
  lost(): void
}

const PROBES_PER_LEASE = 3
/** Tokens without an answer after which the connection is given up. */
const MOST_UNANSWERED = 3

/** Sends tokens and waits for their return. */
export class Lease {
  readonly #parts: LeaseParts
  /** When each token that has not come back was sent. */
  readonly #sent = new Map<string, number>()
  #until = Number.NEGATIVE_INFINITY
  #timer: Timer | undefined
  #isOpen = false

  constructor(parts: LeaseParts) {
    this.#parts = parts
  }

  /** Whether copies are good now. */
  get holds(): boolean {
    return this.#until > this.#parts.clock.now()
  }

  /**
   * Begins, or goes on after an interruption.
   *
   * @param provenAt - A time of the clock by which everything is known to have been heard; `undefined` when nothing is.
   */
  begin(provenAt: number | undefined): void {
    this.#isOpen = true
    this.#sent.clear()
    if (provenAt !== undefined) this.#renew(provenAt)
    this.#probe()
  }

  /** A token came back. */
  echo(token: string): void {
    const sentAt = this.#sent.get(token)
    if (sentAt === undefined) return
    // Those sent before it were lost on the way: the bus delivers in order.
    for (const [earlier] of this.#sent) {
      this.#sent.delete(earlier)
      if (earlier === token) break
    }
    this.#renew(sentAt)
  }

  /** Ends it at once: no copy is good until it begins again. */
  end(): void {
    this.#isOpen = false
    this.#timer?.cancel()
    this.#sent.clear()
    this.#until = Number.NEGATIVE_INFINITY
    this.#parts.renewed(this.#until)
  }

  #renew(provenAt: number): void {
    const until = provenAt + this.#parts.leaseMs
    if (!this.#isOpen || until <= this.#until) return
    this.#until = until
    this.#parts.renewed(until)
  }

  #probe(): void {
    const { clock, leaseMs, random } = this.#parts
    this.#timer?.cancel()
    this.#timer = clock.setTimer(() => {
      if (this.#sent.size >= MOST_UNANSWERED) {
        this.#sent.clear()
        this.#parts.lost()
      }
      this.#probe()
    }, leaseMs / PROBES_PER_LEASE)
    const token = randomId(random)
    this.#sent.set(token, clock.now())
    // A probe that fails is a token that does not come back.
    this.#parts.probe(token).catch(() => {})
  }
}
