// Entries in this process's memory, with deadlines on one clock: the data of a memory tier, and of a hub.
//
// Everything here is synchronous, so whatever a caller does between two awaits is one step to everybody
// else. That is where the memory tier's `add`, `increment` and `compareAndSet` take their atomicity from.

import type { Clock } from '../clock.ts'
import type { Stamp } from '../stamp.ts'
import type { TierEntry } from '../tiers/tier.ts'
import { addToDecimal } from './decimal.ts'
import { isExpected } from './entry-bytes.ts'

interface Stored {
  readonly bytes: Uint8Array
  readonly stamp: Stamp | undefined
  expiresAt: number
}

/** What is to be stored: a `TierWrite`, or a mutation that has become one. */
export interface EntryWrite {
  readonly key: string
  readonly bytes: Uint8Array
  readonly remainingMs: number
  readonly stamp?: Stamp | undefined
}

/** What an increment comes to: the number, and the entry that holds it. */
export interface EntrySum {
  readonly number: number
  readonly bytes: Uint8Array
  readonly remainingMs: number
}

/** A bounded map of entries that are gone at their deadline. */
export class Entries {
  readonly #clock: Clock
  readonly #maxEntries: number
  /** From the one written longest ago to the newest: a write moves its key to the end. */
  readonly #stored = new Map<string, Stored>()

  constructor(clock: Clock, maxEntries: number) {
    this.#clock = clock
    this.#maxEntries = maxEntries
  }

  /** Entries held, those whose time is over but not yet reclaimed included. */
  get size(): number {
    return this.#stored.size
  }

  get(key: string): TierEntry | undefined {
    const stored = this.#live(key)
    if (stored === undefined) return undefined
    return { bytes: stored.bytes, remainingMs: stored.expiresAt - this.#clock.now(), stamp: stored.stamp }
  }

  has(key: string): boolean {
    return this.#live(key) !== undefined
  }

  /** Whether the live entry has exactly these bytes; `undefined`: whether there is none. */
  is(key: string, expected: Uint8Array | undefined): boolean {
    return isExpected(this.#live(key), expected)
  }

  /** Stores a copy; zero or a negative remaining time removes what was there. */
  store({ key, bytes, remainingMs, stamp }: EntryWrite): void {
    this.#stored.delete(key)
    if (!(remainingMs > 0)) return
    // Not `bytes.slice()`: a Buffer's is a view of the same memory.
    this.#stored.set(key, { bytes: new Uint8Array(bytes), stamp, expiresAt: this.#clock.now() + remainingMs })
    for (const oldest of this.#stored.keys()) {
      if (this.#stored.size <= this.#maxEntries) break
      this.#stored.delete(oldest)
    }
  }

  /**
   * Adds to the decimal integer from byte `from` on, and keeps the bytes before it and the remaining time.
   *
   * @throws TypeError when there is none, RangeError when the sum leaves the safe integers.
   */
  sum(key: string, delta: number, from: number): EntrySum | undefined {
    const stored = this.#live(key)
    if (stored === undefined) return undefined
    const { bytes, sum: number } = addToDecimal(stored.bytes, delta, from)
    return { number, bytes, remainingMs: stored.expiresAt - this.#clock.now() }
  }

  touch(key: string, remainingMs: number): boolean {
    const stored = this.#live(key)
    if (stored === undefined) return false
    if (remainingMs > 0) stored.expiresAt = this.#clock.now() + remainingMs
    else this.#stored.delete(key)
    return true
  }

  /** Whether a live entry was removed. */
  remove(key: string): boolean {
    const wasLive = this.has(key)
    this.#stored.delete(key)
    return wasLive
  }

  clear(prefix: string): void {
    for (const key of this.#stored.keys()) if (key.startsWith(prefix)) this.#stored.delete(key)
  }

  /** Reclaims all whose time is over; the number of them. */
  prune(): number {
    const now = this.#clock.now()
    const before = this.#stored.size
    for (const [key, { expiresAt }] of this.#stored) if (expiresAt <= now) this.#stored.delete(key)
    return before - this.#stored.size
  }

  #live(key: string): Stored | undefined {
    const stored = this.#stored.get(key)
    return stored !== undefined && this.#clock.now() < stored.expiresAt ? stored : undefined
  }
}
