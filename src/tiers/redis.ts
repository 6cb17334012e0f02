// The tier on a Redis server: shared by all machines, and with `redisBus` over the same keyspace the authority that
// orders their mutations.
//
// Every write is a script, as it has to know the epoch and the clears of its partition; a read is one too, since value
// and remaining time must be of the same moment. Where things are: src/backends/redis-scripts.ts has the scripts and
// the map of keys, redis-layout.ts their other side, redis-client.ts what is asked of a client.

import { encodeRemaining, encodeStamp } from '../backends/redis-layout.ts'
import { clearAll, RedisLedger } from '../backends/redis-ledger.ts'
import {
  incrementScript,
  removeScript,
  setScript,
  swapScript,
  touchScript,
} from '../backends/redis-scripts.ts'
import { type RedisOptions, RedisStore, redisOptionNames } from '../backends/redis-store.ts'
import { checkNames } from '../options.ts'
import type { Ledger } from './ledger.ts'
import type { Tier, TierEntry, TierSupports, TierWrite } from './tier.ts'

export type { RedisClient } from '../backends/redis-client.ts'

/** What `redisTier` takes. */
export interface RedisTierOptions extends RedisOptions {}

/**
 * A tier on a Redis server.
 *
 * @throws TypeError or RangeError for a wrong option or client. A server that cannot be used makes the operations
 *   reject with `CACHE_TIER_FAILED`.
 * @example
 * const client = new Redis()
 * const cache = createCache({
 *   tiers: [redisTier({ client })],
 *   bus: redisBus({ client, subscriber: client.duplicate() }),
 *   ttl: '5m',
 * })
 */
export function redisTier(options: RedisTierOptions): Tier {
  checkNames(options, redisOptionNames, 'redisTier')
  return new RedisTier(new RedisStore('redis tier', options))
}

class RedisTier implements Tier {
  readonly name = 'redis'
  readonly scope = 'fleet'
  readonly supports: TierSupports = {
    expiry: true,
    prefixClear: true,
    add: true,
    increment: true,
    compareAndSet: true,
  }
  readonly ledger: Ledger
  readonly #store: RedisStore

  constructor(store: RedisStore) {
    this.#store = store
    this.ledger = new RedisLedger(store, true)
  }

  get(key: string): Promise<TierEntry | undefined> {
    return this.#store.attempt('get', async () => (await this.#store.look([key]))[0]?.entry)
  }

  getMany(keys: readonly string[]): Promise<(TierEntry | undefined)[]> {
    return this.#store.attempt('getMany', async () =>
      (await this.#store.look(keys)).map(({ entry }) => entry),
    )
  }

  set(write: TierWrite): Promise<void> {
    return this.#store.attempt('set', () => this.#setAll([write]))
  }

  setMany(writes: readonly TierWrite[]): Promise<void> {
    return this.#store.attempt('setMany', () => this.#setAll(writes))
  }

  add(write: TierWrite): Promise<boolean> {
    return this.#store.attempt('add', () => this.#swap(write, undefined))
  }

  compareAndSet(write: TierWrite, expected: Uint8Array | undefined): Promise<boolean> {
    return this.#store.attempt('compareAndSet', () => this.#swap(write, expected))
  }

  async increment(key: string, delta: number, from: number): Promise<number | undefined> {
    const reply = await this.#store.attempt('increment', () =>
      this.#store.run(incrementScript, this.#store.partitionOf(key), [key], [String(delta), String(from)]),
    )
    if (reply === 1) throw new TypeError('increment: the stored bytes are not a decimal integer')
    if (reply === 2) throw new RangeError(`increment: with ${delta} the number leaves the safe integers`)
    return reply instanceof Uint8Array ? Number(new TextDecoder().decode(reply)) : undefined
  }

  touch(key: string, remainingMs: number): Promise<boolean> {
    return this.#store.attempt('touch', async () => {
      const words = [encodeRemaining(remainingMs)]
      return (await this.#store.run(touchScript, this.#store.partitionOf(key), [key], words)) === 1
    })
  }

  delete(key: string): Promise<boolean> {
    return this.#store.attempt('delete', async () => (await this.#removeAll([key])) === 1)
  }

  deleteMany(keys: readonly string[]): Promise<number> {
    return this.#store.attempt('deleteMany', () => this.#removeAll(keys))
  }

  clear(prefix: string): Promise<void> {
    return this.#store.attempt('clear', async () => {
      await clearAll(this.#store, prefix, '', () => '')
    })
  }

  /** The server expires entries by itself. */
  prune(): Promise<number> {
    return this.#store.attempt('prune', async () => 0)
  }

  async close(): Promise<void> {
    this.#store.close()
  }

  async #setAll(writes: readonly TierWrite[]): Promise<void> {
    const calls = this.#store
      .byPartition(writes, ({ key }) => key)
      .map(({ partition, members }) =>
        this.#store.run(
          setScript,
          partition,
          members.map(({ key }) => key),
          members.flatMap(({ remainingMs, stamp, bytes }) => [
            encodeRemaining(remainingMs),
            encodeStamp(stamp),
            bytes,
          ]),
        ),
      )
    await Promise.all(calls)
  }

  async #swap(
    { key, bytes, remainingMs, stamp }: TierWrite,
    expected: Uint8Array | undefined,
  ): Promise<boolean> {
    const words = [encodeRemaining(remainingMs), encodeStamp(stamp), bytes]
    if (expected !== undefined) words.push(expected)
    return (await this.#store.run(swapScript, this.#store.partitionOf(key), [key], words)) === 1
  }

  async #removeAll(keys: readonly string[]): Promise<number> {
    const calls = this.#store
      .byPartition(keys, (key) => key)
      .map(({ partition, members }) => this.#store.run(removeScript, partition, members, ['all']))
    const removed = (await Promise.all(calls)) as number[]
    return removed.reduce((sum, count) => sum + count, 0)
  }
}
