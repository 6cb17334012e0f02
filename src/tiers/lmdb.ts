// The tier in an LMDB environment: a memory-mapped B+ tree that the processes of one machine share. A read is a look
// into the map, without a system call; a write goes into the next transaction of the environment, which lmdb makes for
// all writes of a turn in a thread of its own.
//
// The environment is passed in, opened: how large its map may grow, whether it is synced, how often, is the caller's.
// The tier opens one database in it. An entry is stored under its key's UTF-8, with the head of an entry file in front
// (src/backends/entry-file.ts) for the times, the stamp and the checksums.
//
// It is no ledger. With `fileBus` the bus's directory orders, and what is here are copies that their stamps judge.

import { addToDecimal } from '../backends/decimal.ts'
import { encodeHead, type ParsedHead, parseHead, payloadOf, remainingMsOf } from '../backends/entry-file.ts'
import { type Clock, systemClock } from '../clock.ts'
import { describe } from '../duration.ts'
import { CacheError } from '../errors.ts'
import { checkClock, checkCount, checkNames } from '../options.ts'
import type { Tier, TierEntry, TierSupports, TierWrite } from './tier.ts'

/** What `lmdbTier` takes. */
export interface LmdbTierOptions {
  /** What `open({ path })` of the package lmdb returns. It stays the caller's, and is not closed. */
  environment: LmdbEnvironment

  /**
   * The name of the tier's database in the environment, 1 to 64 letters, digits, dots, hyphens and underscores. Caches
   * with different ones share an environment without meeting.
   *
   * @defaultValue `'tierwheel'`
   */
  database?: string

  /**
   * How many entries one `prune` looks at; the next one goes on where it ended.
   *
   * @defaultValue 10,000
   */
  pruneEntries?: number

  /** @defaultValue the machine's */
  clock?: Clock
}

/** What is asked of the environment. */
export interface LmdbEnvironment {
  openDB: (options: never) => unknown
}

/** What is asked of a database. */
interface Database {
  /** What is under a key, in memory that the next look into the database may use again. */
  getBinaryFast(key: string | Uint8Array): Buffer | undefined
  put(key: Uint8Array, value: Uint8Array): Promise<boolean>
  remove(key: Uint8Array): Promise<boolean>
  transaction<T>(action: () => T): Promise<T>
  clearAsync(): Promise<void>
  getKeys(options: { start?: Uint8Array; end?: Uint8Array; limit: number }): Iterable<Uint8Array>
}

const HERE = { epoch: 0, sequence: 0 }
/** Entries of one transaction: nobody else writes meanwhile, in any process. */
const KEYS_PER_TRANSACTION = 1_000

/**
 * A tier in an LMDB environment.
 *
 * @throws TypeError or RangeError naming the option.
 * @example
 * import { open } from 'lmdb'
 * const environment = open({ path: directory, noSync: true })
 * const cache = createCache({ tiers: [lmdbTier({ environment })], bus: fileBus({ directory: other }), ttl: '5m' })
 */
export function lmdbTier(options: LmdbTierOptions): Tier {
  checkNames(options, ['clock', 'database', 'environment', 'pruneEntries'], 'lmdbTier')
  const { environment, database = 'tierwheel', clock = systemClock } = options
  if (typeof environment?.openDB !== 'function') {
    throw new TypeError(
      `environment: ${describe(environment)} is not an open LMDB environment; pass open({ path }) of the package lmdb`,
    )
  }
  if (typeof database !== 'string' || !/^[A-Za-z0-9._-]{1,64}$/.test(database)) {
    throw new TypeError(
      `database: ${describe(database)} may have 1 to 64 characters, each a letter, a digit, a dot, a hyphen or an underscore`,
    )
  }
  const pruneEntries = checkCount(options.pruneEntries, 'pruneEntries', 1, 2 ** 32, 10_000)
  return new LmdbTier(environment, database, checkClock(clock), pruneEntries)
}

interface Found {
  readonly head: ParsedHead
  readonly entry: TierEntry
}

class LmdbTier implements Tier {
  readonly name = 'lmdb'
  readonly scope = 'machine'
  readonly supports: TierSupports = {
    expiry: false,
    prefixClear: true,
    add: true,
    increment: true,
    compareAndSet: true,
  }
  readonly ledger = undefined
  readonly #environment: LmdbEnvironment
  readonly #name: string
  readonly #clock: Clock
  readonly #pruneEntries: number
  #database: Database | undefined
  #pruneFrom: Uint8Array | undefined
  #isClosed = false

  constructor(environment: LmdbEnvironment, name: string, clock: Clock, pruneEntries: number) {
    this.#environment = environment
    this.#name = name
    this.#clock = clock
    this.#pruneEntries = pruneEntries
  }

  /** Without a promise of its own on the way: a look into the map takes no longer than one. */
  get(key: string): Promise<TierEntry | undefined> {
    try {
      return Promise.resolve(this.#look(this.#opened('get'), key)?.entry)
    } catch (error) {
      return Promise.reject(this.#failure('get', error))
    }
  }

  getMany(keys: readonly string[]): Promise<(TierEntry | undefined)[]> {
    return this.#attempt('getMany', async (database) => keys.map((key) => this.#look(database, key)?.entry))
  }

  async set(write: TierWrite): Promise<void> {
    await this.#attempt('set', (database) => this.#store(database, write))
  }

  async setMany(writes: readonly TierWrite[]): Promise<void> {
    // Writes of one turn go into one transaction.
    await this.#attempt('setMany', (database) =>
      Promise.all(writes.map((write) => this.#store(database, write))),
    )
  }

  add(write: TierWrite): Promise<boolean> {
    return this.#change('add', (database) => {
      if (this.#look(database, write.key) !== undefined) return false
      void this.#store(database, write)
      return true
    })
  }

  compareAndSet(write: TierWrite, expected: Uint8Array | undefined): Promise<boolean> {
    return this.#change('compareAndSet', (database) => {
      const found = this.#look(database, write.key)?.entry.bytes
      const isExpected =
        found === undefined || expected === undefined
          ? found === expected
          : Buffer.compare(found, expected) === 0
      if (isExpected) void this.#store(database, write)
      return isExpected
    })
  }

  async increment(key: string, delta: number, from: number): Promise<number | undefined> {
    const outcome = await this.#change('increment', (database) => {
      const found = this.#look(database, key)
      if (found === undefined) return undefined
      try {
        const { sum, bytes } = addToDecimal(found.entry.bytes, delta, from)
        void database.put(Buffer.from(key), Buffer.concat([encodeHead(found.head, bytes), bytes]))
        return sum
      } catch (refusal) {
        // Not thrown in here: the writes of others are in the same transaction.
        return { refusal }
      }
    })
    if (typeof outcome === 'object') throw outcome.refusal
    return outcome
  }

  touch(key: string, remainingMs: number): Promise<boolean> {
    return this.#change('touch', (database) => {
      const found = this.#look(database, key)?.entry
      if (found === undefined) return false
      void this.#store(database, { ...found, key, remainingMs })
      return true
    })
  }

  delete(key: string): Promise<boolean> {
    return this.#change('delete', (database) => this.#remove(database, key))
  }

  deleteMany(keys: readonly string[]): Promise<number> {
    return this.#change('deleteMany', (database) => keys.filter((key) => this.#remove(database, key)).length)
  }

  async clear(prefix: string): Promise<void> {
    await this.#attempt('clear', async (database) => {
      if (prefix === '') {
        await database.clearAsync()
        return
      }
      const start = Buffer.from(prefix)
      // UTF-8 has no byte 255, so this is the first key behind all that begin so.
      const end = Buffer.from(start)
      end[end.length - 1] = (end.at(-1) as number) + 1
      const removeSome = (): number => {
        const keys = [...database.getKeys({ start, end, limit: KEYS_PER_TRANSACTION })]
        for (const key of keys) void database.remove(key)
        return keys.length
      }
      while ((await database.transaction(removeSome)) === KEYS_PER_TRANSACTION);
    })
  }

  prune(): Promise<number> {
    return this.#attempt('prune', async (database) => {
      let pruned = 0
      for (let looked = 0; looked < this.#pruneEntries; ) {
        const limit = Math.min(KEYS_PER_TRANSACTION, this.#pruneEntries - looked)
        const start = this.#pruneFrom
        const keys = [...database.getKeys(start === undefined ? { limit } : { start, limit })]
        const isDead = (key: Uint8Array): boolean =>
          this.#look(database, Buffer.from(key).toString()) === undefined
        const dead = keys.filter(isDead)
        if (dead.length > 0) {
          pruned += await database.transaction(() => {
            const gone = dead.filter(isDead)
            for (const key of gone) void database.remove(key)
            return gone.length
          })
        }
        looked += keys.length
        const last = keys.at(-1)
        this.#pruneFrom =
          keys.length < limit || last === undefined ? undefined : Buffer.concat([last, Buffer.of(0)])
        if (this.#pruneFrom === undefined || this.#isClosed) break
      }
      return pruned
    })
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#database = undefined
  }

  /** The live entry of a key; what is damaged, or of another key, is none. */
  #look(database: Database, key: string): Found | undefined {
    const stored = database.getBinaryFast(key)
    const head = stored && parseHead(stored, stored.length)
    if (stored === undefined || head === undefined || head.key !== key) return undefined
    const remainingMs = remainingMsOf(head, this.#clock.wallNow())
    const payload = remainingMs > 0 ? payloadOf(stored, head) : undefined
    return payload && { head, entry: { bytes: new Uint8Array(payload), remainingMs, stamp: head.stamp } }
  }

  async #store(database: Database, { key, bytes, remainingMs, stamp }: TierWrite): Promise<void> {
    if (!(remainingMs > 0)) {
      await database.remove(Buffer.from(key))
      return
    }
    const head = { key, position: HERE, stamp, writtenAt: this.#clock.wallNow(), ttlMs: remainingMs }
    await database.put(Buffer.from(key), Buffer.concat([encodeHead(head, bytes), bytes]))
  }

  #remove(database: Database, key: string): boolean {
    const wasThere = this.#look(database, key) !== undefined
    void database.remove(Buffer.from(key))
    return wasThere
  }

  /** Runs `section` while nobody else writes, in any process. */
  #change<T>(what: string, section: (database: Database) => T): Promise<T> {
    return this.#attempt(what, (database) => database.transaction(() => section(database)))
  }

  async #attempt<T>(what: string, run: (database: Database) => Promise<T>): Promise<T> {
    try {
      return await run(this.#opened(what))
    } catch (error) {
      throw this.#failure(what, error)
    }
  }

  #opened(what: string): Database {
    if (this.#isClosed)
      throw new CacheError('CACHE_CLOSED', `lmdb tier: ${what} after close`, { tier: this.name })
    this.#database ??= openIn(this.#environment, this.#name)
    return this.#database
  }

  #failure(what: string, error: unknown): unknown {
    if (error instanceof CacheError || error instanceof TypeError || error instanceof RangeError) return error
    const reason = error instanceof Error ? error.message : String(error)
    return new CacheError('CACHE_TIER_FAILED', `lmdb tier: ${what} failed: ${reason}`, {
      tier: this.name,
      cause: error,
    })
  }
}

/** Keys are bytes; the text of one is written where lmdb wants it without a buffer on the way, a tenth of a read. */
const keyEncoder = {
  writeKey(key: string | Uint8Array, target: Buffer, at: number): number {
    if (typeof key === 'string') return at + target.write(key, at)
    target.set(key, at)
    return at + key.length
  },
  readKey(source: Uint8Array, at: number, end: number): Uint8Array {
    return new Uint8Array(source.subarray(at, end))
  },
}

function openIn(environment: LmdbEnvironment, name: string): Database {
  const options = { name, encoding: 'binary', keyEncoder }
  return environment.openDB(options as never) as Database
}
