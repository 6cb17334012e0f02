// Django's memory backend as a tier: entries of one process as bytes, so that nobody shares objects, bounded by a
// number of entries, and culled by Django's rule: when one more is to come, a share of the least recently used goes at
// once. Aliases with one LOCATION share one store.
//
// Source: django/core/cache/backends/locmem.py. A Map keeps the order of insertion; a use takes an entry out and puts it
// in again, so the least recently used stands first.

import { type Clock, systemClock } from '../clock.ts'
import type { Stamp } from '../stamp.ts'
import type { Tier, TierEntry, TierSupports, TierWrite } from '../tiers/tier.ts'

interface Held {
  readonly bytes: Uint8Array
  readonly until: number
  readonly stamp: Stamp | undefined
}

/** How a store is bounded. */
export interface CullOptions {
  readonly maxEntries: number
  /** One n-th goes when the store is full; `0` is everything. */
  readonly cullFrequency: number
}

/** The entries of one LOCATION. */
export class LocmemTier implements Tier {
  readonly name = 'locmem'
  readonly scope = 'process'
  readonly ledger = undefined
  readonly supports: TierSupports = {
    expiry: true,
    prefixClear: true,
    add: true,
    increment: true,
    compareAndSet: true,
  }
  readonly #clock: Clock
  readonly #cull: CullOptions
  readonly #entries: Map<string, Held>

  /** @param entries - Of the LOCATION; several tiers may share them. */
  constructor(cull: CullOptions, entries: Map<string, unknown> = new Map(), clock: Clock = systemClock) {
    this.#cull = cull
    this.#entries = entries as Map<string, Held>
    this.#clock = clock
  }

  async get(key: string): Promise<TierEntry | undefined> {
    const held = this.#live(key)
    if (held === undefined) return undefined
    this.#put(key, held)
    return this.#entryOf(held)
  }

  getMany(keys: readonly string[]): Promise<(TierEntry | undefined)[]> {
    return Promise.all(keys.map((key) => this.get(key)))
  }

  async set(write: TierWrite): Promise<void> {
    this.#store(write)
  }

  async setMany(writes: readonly TierWrite[]): Promise<void> {
    for (const write of writes) this.#store(write)
  }

  async add(write: TierWrite): Promise<boolean> {
    if (this.#live(write.key) !== undefined) return false
    this.#store(write)
    return true
  }

  async compareAndSet(write: TierWrite, expected: Uint8Array | undefined): Promise<boolean> {
    const held = this.#live(write.key)
    if (expected === undefined ? held !== undefined : !isSame(held?.bytes, expected)) return false
    this.#store(write)
    return true
  }

  async increment(key: string, delta: number, from: number): Promise<number | undefined> {
    const held = this.#live(key)
    if (held === undefined) return undefined
    const text = String.fromCharCode(...held.bytes.subarray(from))
    if (!/^-?\d+$/.test(text)) throw new TypeError('increment: the bytes are not a decimal integer')
    const sum = Number(text) + delta
    if (!Number.isSafeInteger(sum)) throw new RangeError('increment: the sum is not a safe integer')
    const digits = Uint8Array.from(String(sum), (char) => char.charCodeAt(0))
    const bytes = new Uint8Array(from + digits.length)
    bytes.set(held.bytes.subarray(0, from))
    bytes.set(digits, from)
    this.#put(key, { ...held, bytes })
    return sum
  }

  async touch(key: string, remainingMs: number): Promise<boolean> {
    const held = this.#live(key)
    if (held === undefined) return false
    // In its place: a touch is no use.
    this.#entries.set(key, { ...held, until: this.#clock.now() + remainingMs })
    return true
  }

  async delete(key: string): Promise<boolean> {
    return this.#live(key) !== undefined && this.#entries.delete(key)
  }

  async deleteMany(keys: readonly string[]): Promise<number> {
    let removed = 0
    for (const key of keys) if (await this.delete(key)) removed++
    return removed
  }

  async clear(prefix: string): Promise<void> {
    for (const key of this.#entries.keys()) if (key.startsWith(prefix)) this.#entries.delete(key)
  }

  async prune(): Promise<number> {
    const before = this.#entries.size
    for (const key of [...this.#entries.keys()]) this.#live(key)
    return before - this.#entries.size
  }

  async close(): Promise<void> {}

  #store({ key, bytes, remainingMs, stamp }: TierWrite): void {
    if (!(remainingMs > 0)) {
      this.#entries.delete(key)
      return
    }
    if (this.#entries.size >= this.#cull.maxEntries) this.#makeRoom()
    this.#put(key, { bytes: bytes.slice(), until: this.#clock.now() + remainingMs, stamp })
  }

  #makeRoom(): void {
    const { cullFrequency } = this.#cull
    let left = cullFrequency === 0 ? this.#entries.size : Math.floor(this.#entries.size / cullFrequency)
    for (const key of this.#entries.keys()) {
      if (left-- <= 0) return
      this.#entries.delete(key)
    }
  }

  #live(key: string): Held | undefined {
    const held = this.#entries.get(key)
    if (held === undefined || this.#clock.now() < held.until) return held
    this.#entries.delete(key)
    return undefined
  }

  /** As the most recently used. */
  #put(key: string, held: Held): void {
    this.#entries.delete(key)
    this.#entries.set(key, held)
  }

  #entryOf({ bytes, until, stamp }: Held): TierEntry {
    return { bytes, remainingMs: until - this.#clock.now(), stamp }
  }
}

function isSame(left: Uint8Array | undefined, right: Uint8Array): boolean {
  return left !== undefined && left.length === right.length && left.every((byte, at) => byte === right[at])
}
