// A tier in this process's memory: the reference implementation of the contract, the tier of tests, and a
// tier of its own right where several caches of one process share their values as bytes.
//
// Without a hub it keeps its own entries and is no ledger: nobody else can reach them, so there is nobody
// for whom mutations would have to be ordered, and a cache over it has no bus that could ring. With a hub
// the entries are the hub's, and the hub is the ledger of every tier and bus on it.

import { Entries } from '../backends/entries.ts'
import { Hub } from '../backends/hub.ts'
import { type Clock, systemClock } from '../clock.ts'
import { describe } from '../duration.ts'
import { CacheError } from '../errors.ts'
import { checkClock, checkCount, checkNames } from '../options.ts'
import type { Ledger } from './ledger.ts'
import type { Tier, TierEntry, TierScope, TierSupports, TierWrite } from './tier.ts'

export { Hub, type HubOptions } from '../backends/hub.ts'

/** What a memory tier can be told. */
export interface MemoryTierOptions {
  /**
   * The memory to share with other tiers and buses of this process.
   *
   * @defaultValue none: the tier has a memory of its own, and cannot order mutations.
   */
  hub?: Hub

  /**
   * Most entries it keeps; the one written longest ago leaves first. A hub has its own limit, so this
   * and `clock` cannot be given together with `hub`.
   *
   * @defaultValue `10_000`
   */
  maxEntries?: number

  /** @defaultValue the machine's. */
  clock?: Clock

  /**
   * How far the tier claims to reach. Its memory never reaches beyond this process; the wider scopes are for
   * tests and examples, where several caches of one process play several machines.
   *
   * @defaultValue `'process'`
   */
  scope?: TierScope
}

/**
 * A tier in this process's memory.
 *
 * Bytes are copied in. What `get` returns is the stored array itself, not a copy: read it, do not write it.
 *
 * @throws TypeError or RangeError naming the option.
 * @example
 * const cache = createCache({ tiers: [memoryTier({ maxEntries: 50_000 })], ttl: '5m' })
 */
export function memoryTier(options: MemoryTierOptions = {}): Tier {
  checkNames(options, ['hub', 'maxEntries', 'clock', 'scope'], 'memoryTier')
  const { hub, maxEntries = 10_000, clock = systemClock, scope = 'process' } = options
  if (!['process', 'machine', 'fleet'].includes(scope)) {
    throw new TypeError(`scope: ${describe(scope)} is none of 'process', 'machine' and 'fleet'`)
  }
  if (hub === undefined) {
    return new MemoryTier(
      new Entries(checkClock(clock), checkCount(maxEntries, 'maxEntries', 1, 2 ** 24)),
      undefined,
      scope,
    )
  }
  if (!(hub instanceof Hub))
    throw new TypeError(`hub: ${describe(hub)} is not a Hub; make one with new Hub()`)
  for (const name of ['maxEntries', 'clock'] as const) {
    if (options[name] !== undefined)
      throw new TypeError(`${name}: with a hub it is the hub's; give it to new Hub()`)
  }
  return new MemoryTier(hub.entries, hub, scope)
}

class MemoryTier implements Tier {
  readonly name = 'memory'
  readonly scope: TierScope
  // What has expired is invisible at once, but its memory comes back only by prune, eviction or a write.
  readonly supports: TierSupports = {
    expiry: false,
    prefixClear: true,
    add: true,
    increment: true,
    compareAndSet: true,
  }
  readonly ledger: Ledger | undefined
  readonly #entries: Entries
  #isClosed = false

  constructor(entries: Entries, ledger: Ledger | undefined, scope: TierScope) {
    this.#entries = entries
    this.ledger = ledger
    this.scope = scope
  }

  async get(key: string): Promise<TierEntry | undefined> {
    return this.#open().get(key)
  }

  async getMany(keys: readonly string[]): Promise<(TierEntry | undefined)[]> {
    const entries = this.#open()
    return keys.map((key) => entries.get(key))
  }

  async set(write: TierWrite): Promise<void> {
    this.#open().store(write)
  }

  async setMany(writes: readonly TierWrite[]): Promise<void> {
    const entries = this.#open()
    for (const write of writes) entries.store(write)
  }

  async add(write: TierWrite): Promise<boolean> {
    const entries = this.#open()
    if (entries.has(write.key)) return false
    entries.store(write)
    return true
  }

  async compareAndSet(write: TierWrite, expected: Uint8Array | undefined): Promise<boolean> {
    const entries = this.#open()
    const isAsExpected = entries.is(write.key, expected)
    if (isAsExpected) entries.store(write)
    return isAsExpected
  }

  async increment(key: string, delta: number, from: number): Promise<number | undefined> {
    const entries = this.#open()
    const sum = entries.sum(key, delta, from)
    if (sum === undefined) return undefined
    const { number, bytes, remainingMs } = sum
    entries.store({ key, bytes, remainingMs, stamp: entries.get(key)?.stamp })
    return number
  }

  async touch(key: string, remainingMs: number): Promise<boolean> {
    return this.#open().touch(key, remainingMs)
  }

  async delete(key: string): Promise<boolean> {
    return this.#open().remove(key)
  }

  async deleteMany(keys: readonly string[]): Promise<number> {
    const entries = this.#open()
    return keys.filter((key) => entries.remove(key)).length
  }

  async clear(prefix: string): Promise<void> {
    this.#open().clear(prefix)
  }

  async prune(): Promise<number> {
    return this.#open().prune()
  }

  async close(): Promise<void> {
    this.#isClosed = true
    // A hub was passed in and stays as it is; a memory of its own is of no more use to anyone.
    if (this.ledger === undefined) this.#entries.clear('')
  }

  #open(): Entries {
    if (this.#isClosed) throw new CacheError('CACHE_CLOSED', 'memory tier: it is closed', { tier: this.name })
    return this.#entries
  }
}
