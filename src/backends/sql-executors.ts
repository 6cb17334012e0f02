// What the SQL backend asks of a database: one statement, or several as one transaction. And the clients that
// programs have, each turned into that by a small function.
//
// Nothing is set on a client, and none is closed. Errors come through as the client throws them; sql-store.ts gives
// them the form that callers know, as they carry statements and values.

import { type Clock, systemClock } from '../clock.ts'
import { describe } from '../duration.ts'
import type { SqlDialectName } from './sql-dialects.ts'

/** A value in a statement, or in a row of an answer (there also bigint and text that is a number). */
export type SqlValue = string | number | Uint8Array | null

/** What a statement gave. */
export interface SqlResult {
  readonly rows: readonly Readonly<Record<string, unknown>>[]
  /** Rows that were inserted, changed or removed; for MySQL those that were found. */
  readonly changed: number
}

/** Runs one statement, with `?` for each value. */
export type SqlQuery = (sql: string, values: readonly SqlValue[]) => Promise<SqlResult>

/** A database, as the SQL tier and the PostgreSQL bus use it. */
export interface SqlExecutor {
  readonly dialect: SqlDialectName
  /** Runs one statement by itself. */
  readonly query: SqlQuery
  /**
   * Runs `body` as one transaction that may write: all of it is done when the promise resolves, and nothing when
   * `body` throws. Read committed is enough.
   */
  transaction<T>(body: (query: SqlQuery) => Promise<T>): Promise<T>
}

/** A database of better-sqlite3, libsql, or `DatabaseSync` of `node:sqlite`. */
export interface SqliteDatabase {
  prepare(sql: string): {
    all(...values: never[]): unknown
    run(...values: never[]): unknown
  }
}

/** Statements that are kept prepared; lists come in lengths of powers of two, so there are few. */
const MOST_STATEMENTS = 200
const BUSY_ATTEMPTS = 8
const FIRST_BUSY_MS = 4

/** What runs on a connection, one after the other: a transaction must not be joined by others' statements. */
const queues = new WeakMap<object, { tail: Promise<unknown> }>()

/**
 * Adapts a SQLite database.
 *
 * SQLite runs on the caller's thread. For several processes set `PRAGMA journal_mode = WAL` once, and a short busy
 * timeout: what finds the database taken waits there without letting anything else run, and tries again later.
 *
 * @throws TypeError for something else.
 */
export function sqliteExecutor(database: SqliteDatabase, clock: Clock = systemClock): SqlExecutor {
  if (typeof database?.prepare !== 'function') {
    throw new TypeError(
      `database: ${describe(database)} is not a SQLite database; pass new Database(path) of better-sqlite3 or new DatabaseSync(path) of node:sqlite`,
    )
  }
  const queue = queues.get(database) ?? { tail: Promise.resolve() }
  queues.set(database, queue)
  const prepared = new Map<string, ReturnType<SqliteDatabase['prepare']>>()

  const run = (sql: string, values: readonly SqlValue[]): SqlResult => {
    let statement = prepared.get(sql)
    if (statement === undefined) {
      statement = database.prepare(sql)
      if (prepared.size >= MOST_STATEMENTS) prepared.clear()
      prepared.set(sql, statement)
    }
    if (/^select/i.test(sql)) {
      return { rows: statement.all(...(values as never[])) as SqlResult['rows'], changed: 0 }
    }
    const { changes } = statement.run(...(values as never[])) as { changes?: number | bigint }
    return { rows: [], changed: Number(changes) }
  }

  const begin = async (): Promise<void> => {
    for (let attempt = 1; ; attempt++) {
      try {
        run('BEGIN IMMEDIATE', [])
        return
      } catch (error) {
        if (attempt === BUSY_ATTEMPTS || !isBusy(error)) throw error
        await new Promise<void>((resolve) => void clock.setTimer(resolve, FIRST_BUSY_MS * 2 ** attempt))
      }
    }
  }
  const inTurn = <T>(body: () => Promise<T>): Promise<T> => {
    const turn = queue.tail.then(body)
    queue.tail = turn.catch(() => {})
    return turn
  }
  const transaction = <T>(body: (query: SqlQuery) => Promise<T>): Promise<T> =>
    inTurn(async () => {
      await begin()
      try {
        const result = await body(async (sql, values) => run(sql, values))
        run('COMMIT', [])
        return result
      } catch (error) {
        try {
          run('ROLLBACK', [])
        } catch {
          // It has rolled back by itself; what matters is why.
        }
        throw error
      }
    })
  return {
    dialect: 'sqlite',
    transaction,
    // What writes goes through BEGIN, where a database that is taken is waited for without holding up the program.
    query: (sql, values) =>
      /^select/i.test(sql)
        ? inTurn(async () => run(sql, values))
        : transaction((query) => query(sql, values)),
  }
}

function isBusy(error: unknown): boolean {
  const { code, errcode } = error as { code?: unknown; errcode?: unknown }
  return (typeof code === 'string' && code.startsWith('SQLITE_BUSY')) || errcode === 5
}

/** A pool of `pg`. */
export interface PostgresPool {
  query(sql: string, values: unknown[]): Promise<PostgresResult>
  connect(): Promise<PostgresConnection>
}

/** A connection that a pool lends. */
export interface PostgresConnection {
  query(sql: string, values?: unknown[]): Promise<PostgresResult>
  release(error?: Error | boolean): void
  on(event: 'error', listener: () => void): unknown
  off(event: 'error', listener: () => void): unknown
}

/** What `pg` gives for a statement. */
export interface PostgresResult {
  rows: Record<string, unknown>[]
  rowCount: number | null
}

/**
 * Adapts a `Pool` of pg. A single `Client` will not do: transactions of several calls run at the same time.
 *
 * @throws TypeError for something else.
 */
export function postgresExecutor(pool: PostgresPool): SqlExecutor {
  if (typeof pool?.connect !== 'function' || typeof pool.query !== 'function') {
    throw new TypeError(`pool: ${describe(pool)} is not a pool; pass new Pool(…) of pg`)
  }
  const numbered = new Map<string, string>()
  const textOf = (sql: string): string => {
    let text = numbered.get(sql)
    if (text === undefined) {
      let at = 0
      text = sql.replaceAll('?', () => `$${++at}`)
      if (numbered.size >= MOST_STATEMENTS) numbered.clear()
      numbered.set(sql, text)
    }
    return text
  }
  const resultOf = ({ rows, rowCount }: PostgresResult): SqlResult => ({ rows, changed: rowCount ?? 0 })
  return {
    dialect: 'postgres',
    query: async (sql, values) => resultOf(await pool.query(textOf(sql), [...values])),
    transaction: async (body) => {
      const connection = await pool.connect()
      // The pool listens to what it has not lent. An error that nobody listens to, as of a connection that ends between
      // two statements, would end the process; the next statement says the same.
      const ignore = (): void => {}
      connection.on('error', ignore)
      return await within(
        (sql) => connection.query(sql),
        (isBroken) => {
          if (!isBroken) connection.off('error', ignore)
          connection.release(isBroken)
        },
        () => body(async (sql, values) => resultOf(await connection.query(textOf(sql), [...values]))),
      )
    },
  }
}

/** A pool of `mysql2/promise`. */
export interface MysqlPool {
  execute(sql: string, values: never): Promise<unknown>
  getConnection(): Promise<{
    execute(sql: string, values: never): Promise<unknown>
    query(sql: string): Promise<unknown>
    release(): void
    destroy(): void
  }>
}

/**
 * Adapts a pool of mysql2 (`createPool` of `mysql2/promise`), for MySQL 8 and MariaDB.
 *
 * @throws TypeError for something else.
 */
export function mysqlExecutor(pool: MysqlPool): SqlExecutor {
  if (typeof pool?.getConnection !== 'function' || typeof pool.execute !== 'function') {
    throw new TypeError(`pool: ${describe(pool)} is not a pool; pass createPool(…) of mysql2/promise`)
  }
  const resultOf = (reply: unknown): SqlResult => {
    const [first] = reply as [unknown]
    if (Array.isArray(first)) return { rows: first as SqlResult['rows'], changed: 0 }
    return { rows: [], changed: Number((first as { affectedRows?: unknown }).affectedRows) }
  }
  return {
    dialect: 'mysql',
    query: async (sql, values) => resultOf(await pool.execute(sql, values.map(asBuffer) as never)),
    transaction: async (body) => {
      const connection = await pool.getConnection()
      return await within(
        (sql) => connection.query(sql),
        (isBroken) => (isBroken ? connection.destroy() : connection.release()),
        () =>
          body(async (sql, values) => resultOf(await connection.execute(sql, values.map(asBuffer) as never))),
      )
    },
  }
}

/** One transaction on a borrowed connection; one that does not even roll back is not given to the next. */
async function within<T>(
  say: (sql: string) => Promise<unknown>,
  giveBack: (isBroken: boolean) => void,
  body: () => Promise<T>,
): Promise<T> {
  let isBroken = true
  try {
    await say('BEGIN')
    const result = await body()
    await say('COMMIT')
    isBroken = false
    return result
  } catch (error) {
    await say('ROLLBACK').then(
      () => {
        isBroken = false
      },
      () => {},
    )
    throw error
  } finally {
    giveBack(isBroken)
  }
}

/** `Buffer`, which is there wherever mysql2 runs; it takes other views for JSON. */
function asBuffer(value: SqlValue): unknown {
  if (!(value instanceof Uint8Array)) return value
  const { Buffer } = globalThis as unknown as {
    Buffer: { from(memory: ArrayBufferLike, at: number, length: number): Uint8Array }
  }
  return Buffer.from(value.buffer, value.byteOffset, value.byteLength)
}
