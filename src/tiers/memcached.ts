// The tier on Memcached servers: shared by all machines, quick, and free to forget anything at any time.
//
// Its client is tierwheel's own, since no maintained one speaks the meta protocol, which alone has the tokens that make
// `add`, `increment` and compare-and-set of our entries one step. Where things are, in src/backends:
// memcached-protocol.ts has the bytes on the wire, memcached-connection.ts the connection, memcached-ring.ts the
// choice of a server, memcached-layout.ts what is stored, memcached-store.ts how it is changed, memcached-ledger.ts
// the fence of a cache without a bus.

import { addToDecimal } from '../backends/decimal.ts'
import { isExpected } from '../backends/entry-bytes.ts'
import { MemcachedLedger } from '../backends/memcached-ledger.ts'
import { type MemcachedTierOptions, resolveMemcached } from '../backends/memcached-options.ts'
import { MemcachedStore } from '../backends/memcached-store.ts'
import type { Clock } from '../clock.ts'
import type { Ledger } from './ledger.ts'
import type { Tier, TierEntry, TierSupports, TierWrite } from './tier.ts'

export type { MemcachedTierOptions } from '../backends/memcached-options.ts'

/**
 * A tier on one or more Memcached servers, 1.6 or later. Connections are made when they are needed.
 *
 * @throws TypeError or RangeError for a wrong option. A server that cannot be used makes the operations reject with
 *   `CACHE_TIER_FAILED`.
 * @example
 * const cache = createCache({
 *   tiers: [memcachedTier({ servers: ['cache-1:11211', 'cache-2:11211'] })],
 *   bus: redisBus({ client, subscriber }),
 *   ttl: '5m',
 * })
 */
export function memcachedTier(options: MemcachedTierOptions): Tier {
  const resolved = resolveMemcached(options)
  return new MemcachedTier(new MemcachedStore(resolved), resolved.fence, resolved.clock)
}

class MemcachedTier implements Tier {
  readonly name = 'memcached'
  readonly scope = 'fleet'
  readonly supports: TierSupports = {
    expiry: true,
    prefixClear: true,
    add: true,
    increment: true,
    compareAndSet: true,
  }
  readonly ledger: Ledger | undefined
  readonly #store: MemcachedStore

  constructor(store: MemcachedStore, fence: boolean, clock: Clock) {
    this.#store = store
    this.ledger = fence ? new MemcachedLedger(store, clock) : undefined
  }

  get(key: string): Promise<TierEntry | undefined> {
    return this.#store.attempt('get', async () => (await this.#store.look([key]))[0])
  }

  getMany(keys: readonly string[]): Promise<(TierEntry | undefined)[]> {
    return this.#store.attempt('getMany', () => this.#store.look(keys))
  }

  set(write: TierWrite): Promise<void> {
    return this.#store.attempt('set', () => this.#store.store([write]))
  }

  setMany(writes: readonly TierWrite[]): Promise<void> {
    return this.#store.attempt('setMany', () => this.#store.store(writes))
  }

  add(write: TierWrite): Promise<boolean> {
    return this.#store.attempt('add', async () => {
      const { change } = await this.#store.change(write.key, (entry) =>
        entry === undefined ? { write } : 'keep',
      )
      return change !== 'keep'
    })
  }

  compareAndSet(write: TierWrite, expected: Uint8Array | undefined): Promise<boolean> {
    return this.#store.attempt('compareAndSet', async () => {
      const { change } = await this.#store.change(write.key, (entry) =>
        isExpected(entry, expected) ? { write } : 'keep',
      )
      return change !== 'keep'
    })
  }

  increment(key: string, delta: number, from: number): Promise<number | undefined> {
    return this.#store.attempt('increment', async () => {
      let sum: number | undefined
      await this.#store.change(key, (entry) => {
        sum = undefined
        if (entry === undefined) return 'keep'
        const counted = addToDecimal(entry.bytes, delta, from)
        sum = counted.sum
        return { write: { ...entry, key, bytes: counted.bytes } }
      })
      return sum
    })
  }

  touch(key: string, remainingMs: number): Promise<boolean> {
    return this.#store.attempt('touch', async () => {
      const { found } = await this.#store.change(key, (entry) =>
        entry === undefined ? 'keep' : { write: { ...entry, key, remainingMs } },
      )
      return found !== undefined
    })
  }

  delete(key: string): Promise<boolean> {
    return this.#store.attempt('delete', () => this.#delete(key))
  }

  deleteMany(keys: readonly string[]): Promise<number> {
    return this.#store.attempt('deleteMany', async () => {
      const removed = await Promise.all(keys.map((key) => this.#delete(key)))
      return removed.filter(Boolean).length
    })
  }

  clear(prefix: string): Promise<void> {
    return this.#store.attempt('clear', () => this.#store.clear(prefix))
  }

  /** The servers expire entries by themselves. */
  prune(): Promise<number> {
    return this.#store.attempt('prune', async () => 0)
  }

  async close(): Promise<void> {
    this.#store.close()
  }

  async #delete(key: string): Promise<boolean> {
    const { found } = await this.#store.change(key, () => 'remove')
    return found !== undefined
  }
}
