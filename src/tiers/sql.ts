// The tier in a SQL database: SQLite for the processes of a machine, PostgreSQL and MySQL or MariaDB for all machines.
//
// Each operation is one statement where it can be, and a transaction where it must be, so that upserts and counters are
// free of races whatever the isolation level. Where things are: src/backends/sql-store.ts has the tables and the
// statements, sql-ledger.ts the order of mutations, sql-dialects.ts what differs between databases, sql-executors.ts
// the clients.

import { addToDecimal } from '../backends/decimal.ts'
import { type SqlDialectName, tableStatements } from '../backends/sql-dialects.ts'
import type { SqlExecutor } from '../backends/sql-executors.ts'
import { SqlLedger } from '../backends/sql-ledger.ts'
import {
  checkTable,
  createTables,
  DEFAULT_TABLE,
  dialectOf,
  type SqlOptions,
  SqlStore,
  sqlOptionNames,
} from '../backends/sql-store.ts'
import type { Clock } from '../clock.ts'
import { checkClock, checkCount, checkNames } from '../options.ts'
import type { Ledger } from './ledger.ts'
import type { Tier, TierEntry, TierScope, TierSupports, TierWrite } from './tier.ts'

export type { SqlDialectName } from '../backends/sql-dialects.ts'
export {
  type MysqlPool,
  mysqlExecutor,
  type PostgresPool,
  postgresExecutor,
  type SqlExecutor,
  type SqliteDatabase,
  type SqlQuery,
  type SqlResult,
  type SqlValue,
  sqliteExecutor,
} from '../backends/sql-executors.ts'

/** What `sqlTier` takes. */
export interface SqlTierOptions extends SqlOptions {
  /**
   * How many entries the table may hold, from 1 to 1,000,000,000; `null` for any number. Every sixteenth of it written
   * by a process is counted once; where there are more, expired entries go first, then those written longest ago, until
   * seven eighths are left. So in between there can be a sixteenth more for each process.
   *
   * @defaultValue `100_000`
   */
  maxEntries?: number | null

  /** @defaultValue the machine's. */
  clock?: Clock
}

/** What `createCacheTables` and `cacheTableStatements` take. */
export interface CacheTableOptions {
  /** @defaultValue `'tierwheel_cache'` */
  table?: string
  /**
   * Whether contents need not outlive a crash of the server: `UNLOGGED` in PostgreSQL, several times as fast to write;
   * without meaning elsewhere.
   *
   * @defaultValue `true`
   */
  unlogged?: boolean
}

/**
 * A tier in a SQL database.
 *
 * @throws TypeError or RangeError for a wrong option. A database that cannot be used makes the operations reject with
 *   `CACHE_TIER_FAILED`.
 * @example
 * const executor = postgresExecutor(new pg.Pool())
 * const cache = createCache({ tiers: [sqlTier({ executor })], ttl: '5m' })
 */
export function sqlTier(options: SqlTierOptions): Tier {
  checkNames(options, [...sqlOptionNames, 'maxEntries', 'clock'], 'sqlTier')
  const clock = checkClock(options.clock)
  const { maxEntries = 100_000 } = options
  if (maxEntries !== null) checkCount(maxEntries, 'maxEntries', 1, 1_000_000_000)
  return new SqlTier(new SqlStore('sql tier', options, { maxEntries, clock }))
}

/**
 * Makes a cache's tables where they are missing, as `tierwheel createcachetable` does.
 *
 * @returns The names of those that were missing.
 * @throws What the client throws, when the database refuses.
 */
export async function createCacheTables(
  executor: SqlExecutor,
  options: CacheTableOptions = {},
): Promise<string[]> {
  checkNames(options, ['table', 'unlogged'], 'createCacheTables')
  const { table = DEFAULT_TABLE, unlogged = true } = options
  return await createTables(executor, table, unlogged)
}

/**
 * The statements that `createCacheTables` runs, in order.
 *
 * @throws TypeError naming the option.
 */
export function cacheTableStatements(dialect: SqlDialectName, options: CacheTableOptions = {}): string[] {
  checkNames(options, ['table', 'unlogged'], 'cacheTableStatements')
  const { table = DEFAULT_TABLE, unlogged = true } = options
  return tableStatements(dialectOf(dialect, 'dialect'), checkTable(table), unlogged)
}

class SqlTier implements Tier {
  readonly name = 'sql'
  readonly scope: TierScope
  readonly supports: TierSupports = {
    expiry: false,
    prefixClear: true,
    add: true,
    increment: true,
    compareAndSet: true,
  }
  readonly ledger: Ledger
  readonly #store: SqlStore

  constructor(store: SqlStore) {
    this.scope = store.dialect.scope
    this.ledger = new SqlLedger(store, true)
    this.#store = store
  }

  get(key: string): Promise<TierEntry | undefined> {
    return this.#store.attempt('get', async (query) => (await this.#store.entriesOf(query, [key]))[0])
  }

  getMany(keys: readonly string[]): Promise<(TierEntry | undefined)[]> {
    return this.#store.attempt('getMany', (query) => this.#store.entriesOf(query, keys))
  }

  set(write: TierWrite): Promise<void> {
    return this.#store.attempt('set', (query) => this.#store.store(query, [write]))
  }

  setMany(writes: readonly TierWrite[]): Promise<void> {
    // One statement cannot write a row twice; of two entries under one key the later one stays.
    const last = [...new Map(writes.map((write) => [write.key, write])).values()]
    if (last.length === 0) return this.#store.attempt('setMany', async () => {})
    return this.#store.attempt('setMany', () =>
      this.#store.transaction((query) => this.#store.store(query, last)),
    )
  }

  add(write: TierWrite): Promise<boolean> {
    return this.#store.attempt('add', (query) => this.#store.add(query, write))
  }

  compareAndSet(write: TierWrite, expected: Uint8Array | undefined): Promise<boolean> {
    return this.#store.attempt('compareAndSet', (query) =>
      expected === undefined ? this.#store.add(query, write) : this.#store.replace(query, write, expected),
    )
  }

  increment(key: string, delta: number, from: number): Promise<number | undefined> {
    const store = this.#store
    return store.attempt('increment', () =>
      store.transaction(async (query) => {
        const entry = await store.lockEntry(query, key)
        if (entry === undefined) return undefined
        const { bytes, sum } = addToDecimal(entry.bytes, delta, from)
        await store.rewrite(query, key, bytes)
        return sum
      }),
    )
  }

  touch(key: string, remainingMs: number): Promise<boolean> {
    return this.#store.attempt('touch', (query) => this.#store.touch(query, key, remainingMs))
  }

  delete(key: string): Promise<boolean> {
    return this.#store.attempt('delete', async (query) => (await this.#store.remove(query, [key])) > 0)
  }

  deleteMany(keys: readonly string[]): Promise<number> {
    return this.#store.attempt('deleteMany', (query) => this.#store.remove(query, keys))
  }

  clear(prefix: string): Promise<void> {
    return this.#store.attempt('clear', (query) => this.#store.clear(query, prefix))
  }

  prune(): Promise<number> {
    return this.#store.attempt('prune', () => this.#store.prune())
  }

  async close(): Promise<void> {
    this.#store.close()
  }
}
