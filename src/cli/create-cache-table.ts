// `tierwheel createcachetable`: makes the tables of a SQL tier, or prints how.
//
// Named as Django names it. The database is an address, from the command line or from DATABASE_URL, where a password
// is not in everybody's list of processes.

import { parseArgs } from 'node:util'
import {
  type CacheTableOptions,
  cacheTableStatements,
  createCacheTables,
  type MysqlPool,
  mysqlExecutor,
  type PostgresPool,
  postgresExecutor,
  type SqlDialectName,
  type SqlExecutor,
  type SqliteDatabase,
  sqliteExecutor,
} from '../tiers/sql.ts'
import { type Command, type Surroundings, UsageError } from './command.ts'

const help = `tierwheel createcachetable [options] [database]

Makes the tables of a SQL tier where they are missing: the entries, and two more with
_partitions and _log behind the name. Tables that are there are left as they are.

database   postgres://user@host/name   with pg
           mysql://user@host/name      with mysql2, for MySQL and MariaDB
           sqlite:path/to/file.db      with node:sqlite or better-sqlite3
           Left out, DATABASE_URL is taken. With --dry-run also just
           postgres, mysql or sqlite.

--table name   tierwheel_cache where it is left out; may be given several times
--logged       PostgreSQL: tables that outlive a crash of the server, slower to write
--dry-run      prints the statements, and connects to nothing`

/** A database that was opened for the command. */
interface Opened {
  readonly executor: SqlExecutor
  close(): unknown
}

const schemes: Readonly<Record<string, SqlDialectName>> = {
  mariadb: 'mysql',
  mysql: 'mysql',
  postgres: 'postgres',
  postgresql: 'postgres',
  sqlite: 'sqlite',
}

/** Makes the tables of a SQL tier. */
export const createCacheTable: Command = {
  summary: 'makes the tables of a SQL tier',
  help,
  async run(args, surroundings) {
    const { database, tables, isDryRun, unlogged } = optionsIn(args, surroundings.env)
    const dialect = schemes[/^[a-z]+/.exec(database)?.[0] ?? '']
    if (dialect === undefined) {
      throw new UsageError('the database must begin with postgres:, mysql: or sqlite:')
    }
    if (isDryRun) {
      for (const table of tables) {
        for (const statement of checked(() => cacheTableStatements(dialect, { table, unlogged }))) {
          surroundings.say(`${statement};`)
        }
      }
      return
    }
    for (const table of tables) checked(() => cacheTableStatements(dialect, { table, unlogged }))
    if (!database.includes(':')) {
      throw new UsageError(`${database} is no address; pass one, or --dry-run to see the statements`)
    }
    const { executor, close } = await open(dialect, database, surroundings)
    try {
      for (const table of tables) await make(executor, { table, unlogged }, surroundings)
    } finally {
      await close()
    }
  },
}

function optionsIn(args: readonly string[], env: Surroundings['env']) {
  const { values, positionals } = checked(() =>
    parseArgs({
      args: [...args],
      options: {
        table: { type: 'string', multiple: true, default: ['tierwheel_cache'] },
        logged: { type: 'boolean', default: false },
        'dry-run': { type: 'boolean', default: false },
      },
      allowPositionals: true,
    }),
  )
  if (positionals.length > 1) throw new UsageError('there is more than one database; call it once for each')
  const database = positionals[0] ?? env.DATABASE_URL
  if (database === undefined || database === '') {
    throw new UsageError('name a database, or set DATABASE_URL')
  }
  return { database, tables: values.table, isDryRun: values['dry-run'], unlogged: !values.logged }
}

async function make(executor: SqlExecutor, options: CacheTableOptions, { say }: Surroundings): Promise<void> {
  const made = await createCacheTables(executor, options)
  if (made.length === 0) say(`${options.table} is there already`)
  for (const table of made) say(`made ${table}`)
}

async function open(dialect: SqlDialectName, address: string, { load }: Surroundings): Promise<Opened> {
  switch (dialect) {
    case 'postgres': {
      const { Pool } = (await loaded(load, 'pg')) as {
        Pool: new (
          options: object,
        ) => PostgresPool & { on(event: string, listener: () => void): void; end(): Promise<void> }
      }
      const pool = new Pool({ connectionString: address, max: 1 })
      // What an idle connection dies of is told by the next statement.
      pool.on('error', () => {})
      return { executor: postgresExecutor(pool), close: () => pool.end() }
    }
    case 'mysql': {
      const { createPool } = (await loaded(load, 'mysql2/promise')) as {
        createPool(address: string): MysqlPool & { end(): Promise<void> }
      }
      const pool = createPool(address.replace(/^mariadb:/, 'mysql:'))
      return { executor: mysqlExecutor(pool), close: () => pool.end() }
    }
    case 'sqlite': {
      const path = address.replace(/^sqlite:(\/\/)?/, '')
      if (path === '') throw new UsageError('sqlite: needs the path of a file')
      const database = new (await sqliteClass(load))(path)
      return { executor: sqliteExecutor(database), close: () => database.close() }
    }
  }
}

type SqliteClass = new (path: string) => SqliteDatabase & { close(): void }

async function sqliteClass(load: Surroundings['load']): Promise<SqliteClass> {
  try {
    return ((await load('node:sqlite')) as { DatabaseSync: SqliteClass }).DatabaseSync
  } catch {
    // Node 20 has none.
    return (await loaded(load, 'better-sqlite3')) as unknown as SqliteClass
  }
}

/** A client's module; where it was written for require, what it exports is the default. */
async function loaded(load: Surroundings['load'], name: string): Promise<object> {
  let module: { default?: object }
  try {
    module = await load(name)
  } catch {
    const [bare] = name.split('/')
    throw new Error(`${bare} is not installed in this folder; run: npm install ${bare}`)
  }
  return module.default ?? module
}

/** Turns what refuses an option into a wrong call of the command. */
function checked<T>(read: () => T): T {
  try {
    return read()
  } catch (error) {
    throw new UsageError((error as Error).message)
  }
}
