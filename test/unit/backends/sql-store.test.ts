import { EventEmitter } from 'node:events'
import { describe, expect, test } from 'vitest'
import type { SqlExecutor, SqlQuery } from '../../../src/backends/sql-executors.ts'
import { ManualClock } from '../../../src/testing/manual-clock.ts'
import {
  cacheTableStatements,
  createCacheTables,
  mysqlExecutor,
  postgresExecutor,
  type SqlTierOptions,
  sqliteExecutor,
  sqlTier,
} from '../../../src/tiers/sql.ts'
import type { Tier } from '../../../src/tiers/tier.ts'
import { SqliteFile } from '../../support/sqlite.ts'

const bytes = new TextEncoder().encode('value')

async function withFile(body: (file: SqliteFile) => Promise<void>): Promise<void> {
  const file = new SqliteFile()
  try {
    await body(file)
  } finally {
    file.close()
  }
}

async function countIn(executor: SqlExecutor, table: string): Promise<number> {
  return Number((await executor.query(`SELECT COUNT(*) AS entries FROM ${table}`, [])).rows[0]?.entries)
}

async function fill(tier: Tier, from: number, to: number, remainingMs = 60_000): Promise<void> {
  for (let at = from; at < to; at++) await tier.set({ key: `key:${at}`, bytes, remainingMs })
}

/** An executor over another one, through which a test sees and breaks statements. */
function wrapped(
  executor: SqlExecutor,
  around: (query: SqlQuery, sql: string) => Promise<void>,
): SqlExecutor {
  const wrap =
    (query: SqlQuery): SqlQuery =>
    async (sql, values) => {
      await around(query, sql)
      return await query(sql, values)
    }
  return {
    dialect: executor.dialect,
    query: wrap(executor.query),
    transaction: (body) => executor.transaction((query) => body(wrap(query))),
  }
}

describe('how many entries there may be', () => {
  test('the oldest written make room, and never more than a sixteenth is over', () =>
    withFile(async (file) => {
      const executor = file.connect()
      const tier = sqlTier({ executor, createTables: true, maxEntries: 160 })
      let most = 0
      for (let at = 0; at < 400; at += 10) {
        await fill(tier, at, at + 10)
        most = Math.max(most, await countIn(executor, 'tierwheel_cache'))
        // As time would: what is written in the same millisecond has no age.
        await executor.query(
          `UPDATE tierwheel_cache SET written_at = written_at - 1000 WHERE part >= 0 AND cache_key IS NOT NULL`,
          [],
        )
      }
      expect(most).toBeLessThanOrEqual(170)
      expect(await countIn(executor, 'tierwheel_cache')).toBeGreaterThanOrEqual(140)
      const entries = await tier.getMany(Array.from({ length: 400 }, (_, at) => `key:${at}`))
      const kept = entries.flatMap((entry, at) => (entry === undefined ? [] : [at]))
      expect(kept).toEqual(Array.from({ length: kept.length }, (_, at) => 400 - kept.length + at))
    }))

  test('expired entries go before any live one', () =>
    withFile(async (file) => {
      const executor = file.connect()
      const tier = sqlTier({ executor, createTables: true, maxEntries: 32 })
      await fill(tier, 0, 16)
      await fill(tier, 16, 31, 60_000)
      await executor.query('UPDATE tierwheel_cache SET expires_at = 1 WHERE cache_key >= ?', [
        new TextEncoder().encode('key:2'),
      ])
      await fill(tier, 100, 110)
      const live = await tier.getMany(['key:0', 'key:1', 'key:10', 'key:15'])
      expect(live.every((entry) => entry !== undefined)).toBe(true)
      expect(await countIn(executor, 'tierwheel_cache')).toBeLessThanOrEqual(32)
    }))

  test('entries are counted once in a sixteenth of the writes, not with each', () =>
    withFile(async (file) => {
      let counts = 0
      const executor = wrapped(file.connect(), async (_, sql) => {
        if (sql.includes('COUNT(*)')) counts++
      })
      const tier = sqlTier({ executor, createTables: true, maxEntries: 1_600 })
      await fill(tier, 0, 300)
      expect(counts).toBe(3)
      const unbounded = sqlTier({ executor, table: 'other', createTables: true, maxEntries: null })
      await fill(unbounded, 0, 100)
      expect(counts).toBe(3)
    }))

  test('a write is not undone because no room could be made', () =>
    withFile(async (file) => {
      let isBroken = true
      const executor = wrapped(file.connect(), async (_, sql) => {
        if (isBroken && sql.includes('COUNT(*)')) throw new Error('no')
      })
      const tier = sqlTier({ executor, createTables: true, maxEntries: 16 })
      await fill(tier, 0, 40)
      expect(await tier.get('key:39')).toBeDefined()
      isBroken = false
      await fill(tier, 40, 41)
      expect(await countIn(executor, 'tierwheel_cache')).toBeLessThanOrEqual(16)
    }))
})

describe('the order', () => {
  test('a database that was put back to an earlier day begins a new epoch, and its entries are gone', () =>
    withFile(async (file) => {
      const executor = file.connect()
      const tier = sqlTier({ executor, createTables: true, partitions: 1 })
      const origin = (serial: number) => ({ id: '0123456789abcdef', serial })
      const set = (key: string, serial: number) =>
        tier.ledger?.commit({ op: 'set', key, bytes, remainingMs: 60_000 }, origin(serial))
      await set('app:1:old', 1)
      const before = await set('app:1:new', 2)
      await executor.query('UPDATE tierwheel_cache_partitions SET sequence = 1', [])
      await executor.query('DELETE FROM tierwheel_cache_log WHERE sequence > 1', [])
      const [reading] = (await tier.ledger?.read(['app:1:old'])) ?? []
      expect(reading?.entry).toBeUndefined()
      expect(reading?.asOf.epoch).toBeGreaterThan(before?.stamp.epoch ?? Number.NaN)
      expect(await tier.ledger?.since(before?.stamp as never)).toBe('gap')
    }))

  test('a table of places that was emptied is filled again within the call', () =>
    withFile(async (file) => {
      const executor = file.connect()
      const tier = sqlTier({ executor, createTables: true, partitions: 16 })
      const keys = Array.from({ length: 200 }, (_, at) => `app:1:${at}`)
      await tier.ledger?.read(keys)
      await executor.query('DELETE FROM tierwheel_cache_partitions', [])
      expect(await tier.ledger?.probe('token')).toHaveLength(17)
      await executor.query('DELETE FROM tierwheel_cache_partitions', [])
      expect(await tier.ledger?.read(keys)).toHaveLength(200)
    }))

  test('another number of partitions, and a later format, are refused', () =>
    withFile(async (file) => {
      const executor = file.connect()
      await sqlTier({ executor, createTables: true }).get('key')
      await expect(sqlTier({ executor, partitions: 8 }).get('key')).rejects.toThrow(
        'partitions: the table has 16; give the same number everywhere, or another table',
      )
      await executor.query('UPDATE tierwheel_cache_partitions SET format = 2', [])
      await expect(sqlTier({ executor }).get('key')).rejects.toThrow('written in format 2')
    }))
})

describe('failures', () => {
  test('without tables the error says how to make them', () =>
    withFile(async (file) => {
      const tier = sqlTier({ executor: file.connect(), table: 'nowhere' })
      await expect(tier.get('key')).rejects.toMatchObject({
        code: 'CACHE_TIER_FAILED',
        message: expect.stringContaining('make it with "tierwheel createcachetable"'),
      })
    }))

  test('tables that are made later are found', () =>
    withFile(async (file) => {
      const executor = file.connect()
      const tier = sqlTier({ executor })
      await expect(tier.get('key')).rejects.toThrow()
      await createCacheTables(executor)
      expect(await tier.get('key')).toBeUndefined()
    }))

  test('no key, value, statement or password gets into an error', () =>
    withFile(async (file) => {
      let isBroken = false
      const executor = wrapped(file.connect(), async () => {
        if (!isBroken) return
        throw Object.assign(new Error('cannot reach postgres://app:hunter2@db/x'), {
          code: '08006',
          sql: 'INSERT canary',
          detail: 'Key (cache_key)=(canary) already exists',
          parameters: ['canary'],
        })
      })
      const tier = sqlTier({ executor, createTables: true })
      await tier.set({ key: 'canary', bytes, remainingMs: 1_000 })
      isBroken = true
      const error = await tier.get('canary').catch((thrown: unknown) => thrown)
      expect(error).toMatchObject({ code: 'CACHE_TIER_FAILED', tier: 'sql', cause: { code: '08006' } })
      const told = JSON.stringify(error, Object.getOwnPropertyNames(error)) + String((error as Error).cause)
      expect(told).not.toMatch(/canary|hunter2/)
    }))

  test('what lost against another statement is tried again, and not for ever', () =>
    withFile(async (file) => {
      let losses = 3
      const clock = new ManualClock()
      const executor = wrapped(file.connect(), async (_, sql) => {
        if (sql.startsWith('DELETE') && losses-- > 0)
          throw Object.assign(new Error('deadlock'), { code: '40P01' })
      })
      const tier = sqlTier({ executor, createTables: true, clock })
      const deleting = tier.delete('key')
      await clock.run(1_000, 200)
      expect(await deleting).toBe(false)
      losses = 1_000
      const losing = expect(tier.delete('key')).rejects.toThrow('deadlock')
      await clock.run(10_000, 200)
      await losing
      expect(losses).toBe(994)
    }))
})

describe('a connection that never answers', () => {
  test('at the first statement is waited for by those who come within a second, and by nobody else', () =>
    withFile(async (file) => {
      const clock = new ManualClock()
      let looks = 0
      const executor = wrapped(file.connect(), async (_, sql) => {
        if (sql.startsWith('SELECT part, format') && ++looks === 1) await new Promise(() => {})
      })
      await createCacheTables(executor)
      const tier = sqlTier({ executor, clock })
      let answered = 0
      const count = () => {
        answered++
      }
      void tier.get('key').then(count)
      await clock.run(999, 100)
      void tier.get('key').then(count)
      await clock.run(1, 1)
      expect(await tier.get('key')).toBe(undefined)
      await tier.set({ key: 'key', bytes, remainingMs: 60_000 })
      expect((await tier.get('key'))?.bytes).toEqual(bytes)
      expect([looks, answered]).toEqual([2, 0])
    }))

  test('while an epoch is begun holds up nobody for longer than that', () =>
    withFile(async (file) => {
      const clock = new ManualClock()
      let stuck = 0
      const connection = file.connect()
      const executor: SqlExecutor = {
        ...connection,
        transaction: (body) => (stuck-- > 0 ? new Promise(() => {}) : connection.transaction(body)),
      }
      const tier = sqlTier({ executor, createTables: true, clock })
      await tier.set({ key: 'key', bytes, remainingMs: 60_000 })
      await file.connect().query('DELETE FROM tierwheel_cache_partitions', [])
      stuck = 1
      void tier.ledger?.read(['key'])
      await clock.run(1_000, 100)
      expect(await tier.ledger?.read(['key'])).toMatchObject([{ entry: undefined }])
      expect(stuck).toBeLessThan(1)
    }))
})

describe('what is passed in', () => {
  test.each<[string, unknown, string]>([
    ['no executor', {}, 'executor: undefined has no query() and transaction()'],
    [
      'a database in the place of an executor',
      { executor: { query() {}, transaction() {} } },
      "executor.dialect: undefined is none of 'sqlite', 'postgres' and 'mysql'",
    ],
    ['no entries', { maxEntries: 0 }, 'maxEntries: 0'],
    ['no partitions', { partitions: 0 }, 'partitions: 0'],
    ['a misspelling', { tabel: 'x' }, 'did you mean table?'],
    ['a word for yes', { createTables: 'yes' }, 'createTables: "yes"'],
  ])('%s is refused', (_, options, message) => {
    const executor: SqlExecutor = { dialect: 'sqlite', query: null as never, transaction: null as never }
    const given = { executor: { ...executor, query() {}, transaction() {} }, ...(options as object) }
    const isBare = Object.keys(options as object).length === 0
    expect(() => sqlTier((isBare ? {} : given) as unknown as SqlTierOptions)).toThrow(message)
  })

  test.each([
    '',
    '1a',
    ' a',
    'a ',
    'a  b',
    'a"b',
    'a`b',
    "a'; DROP TABLE x; --",
    'a.b.c',
    'é',
    'x'.repeat(41),
    'a\n',
  ])('the table %j is refused', (table) => {
    expect(() => cacheTableStatements('postgres', { table })).toThrow(/^table: /)
  })

  test('a table may lie in a schema', () => {
    expect(cacheTableStatements('postgres', { table: 'app.cache' }).join('\n')).toContain(
      'TABLE IF NOT EXISTS "app"."cache_log"',
    )
  })

  test('clients that are none are refused with what to pass', () => {
    expect(() => sqliteExecutor({} as never)).toThrow('pass new Database(path) of better-sqlite3')
    expect(() => postgresExecutor({} as never)).toThrow('pass new Pool(…) of pg')
    expect(() => mysqlExecutor({} as never)).toThrow('pass createPool(…) of mysql2/promise')
  })
})

describe('a SQLite connection', () => {
  test('nobody else gets into a transaction, whatever is awaited inside', () =>
    withFile(async (file) => {
      const executor = file.connect()
      await executor.query('CREATE TABLE t (a INTEGER)', [])
      const open = executor.transaction(async (query) => {
        await query('INSERT INTO t VALUES (1)', [])
        for (let turn = 0; turn < 50; turn++) await Promise.resolve()
        throw new Error('back')
      })
      const beside = executor.query('INSERT INTO t VALUES (2)', [])
      await expect(open).rejects.toThrow('back')
      await beside
      expect((await executor.query('SELECT a FROM t', [])).rows.map(({ a }) => a)).toEqual([2])
    }))

  test('two connections to one file write by turns', () =>
    withFile(async (file) => {
      const [one, other] = [file.connect(), file.connect()]
      await one.query('CREATE TABLE t (a INTEGER)', [])
      const adding = Array.from({ length: 40 }, (_, at) =>
        (at % 2 === 0 ? one : other).query('INSERT INTO t VALUES (?)', [at]),
      )
      await Promise.all(adding)
      expect(await countIn(one, 't')).toBe(40)
    }))
})

describe('a PostgreSQL connection', () => {
  test('one that ends between two statements of a transaction is an error of the transaction and of nothing else', async () => {
    const connection = Object.assign(new EventEmitter(), {
      released: [] as unknown[],
      isLost: false,
      async query() {
        if (connection.isLost) throw new Error('Client has encountered a connection error')
        return { rows: [], rowCount: 0 }
      },
      release(isBroken: unknown) {
        connection.released.push(isBroken)
      },
    })
    const executor = postgresExecutor({
      query: async () => ({ rows: [], rowCount: 0 }),
      connect: async () => connection,
    })
    const losing = executor.transaction(async (query) => {
      connection.isLost = true
      connection.emit('error', new Error('Connection terminated unexpectedly'))
      await query('SELECT 1', [])
    })
    await expect(losing).rejects.toThrow('connection error')
    expect(connection.released).toEqual([true])
    // What is broken may have more to say.
    expect(connection.emit('error', new Error('once more'))).toBe(true)

    connection.isLost = false
    connection.removeAllListeners()
    await executor.transaction(async () => {})
    expect(connection.released).toEqual([true, false])
    expect(connection.listenerCount('error')).toBe(0)
  })
})
