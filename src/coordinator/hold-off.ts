// After a removal, loads of the key are given to those who wait and not kept, for a while (`holdOff`): for sources that
// answer from a replica which is behind. What was removed for a reason would otherwise be loaded again as it was.
//
// Source: the hold-off after deletes of Facebook's memcache (Nishtala and others, NSDI 2013).
//
// All lives are of one length, so those noted first end first. What is over the bound holds everything.

import type { Clock } from '../clock.ts'

const MOST_NAMES = 16_384

/** What was removed lately, here or elsewhere: stored keys, or names of tags. */
export class HoldOff {
  readonly #clock: Clock
  readonly #ms: number
  readonly #mostNames: number
  readonly #until = new Map<string, number>()
  /** By what names begin with. */
  readonly #untilUnder = new Map<string, number>()

  /** @param ms - `0` holds nothing. */
  constructor(clock: Clock, ms: number, mostNames: number = MOST_NAMES) {
    this.#clock = clock
    this.#ms = ms
    this.#mostNames = mostNames
  }

  /** These were removed now. */
  note(names: Iterable<string>): void {
    if (this.#ms === 0) return
    const now = this.#clock.now()
    for (const [name, until] of this.#until) {
      if (until > now) break
      this.#until.delete(name)
    }
    for (const name of names) {
      this.#until.delete(name)
      this.#until.set(name, now + this.#ms)
    }
    if (this.#until.size > this.#mostNames) this.noteAll()
  }

  /** Everything whose name begins with `prefix` was removed now. */
  noteAll(prefix = ''): void {
    if (this.#ms === 0) return
    const now = this.#clock.now()
    for (const name of this.#until.keys()) if (name.startsWith(prefix)) this.#until.delete(name)
    for (const [other, until] of this.#untilUnder) {
      if (until <= now || other.startsWith(prefix)) this.#untilUnder.delete(other)
    }
    if (this.#untilUnder.size < this.#mostNames || prefix === '') this.#untilUnder.set(prefix, now + this.#ms)
    else this.noteAll()
  }

  /** Whether what began to be loaded at `beganAt` under this name is to be kept nowhere. */
  holds(name: string, beganAt: number): boolean {
    if (beganAt < (this.#until.get(name) ?? Number.NEGATIVE_INFINITY)) return true
    for (const [prefix, until] of this.#untilUnder) {
      if (beganAt < until && name.startsWith(prefix)) return true
    }
    return false
  }
}
