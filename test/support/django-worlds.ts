// The backends that Django's behaviours are tried on, each bare and under a first level.
//
// Memory, files and databases live by a clock that the test moves; for a database its statements are told the time.
// What a server counts down by itself passes for real.

import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, vi } from 'vitest'
import { sqlDialects } from '../../src/backends/sql-dialects.ts'
import type { Clock } from '../../src/clock.ts'
import {
  type CacheSettings,
  type Caches,
  type ConfigureOptions,
  configureCaches,
} from '../../src/django/index.ts'
import { ManualClock } from '../../src/testing/manual-clock.ts'
import { redisTier } from '../../src/tiers/redis.ts'
import { createCacheTables, postgresExecutor, type SqlExecutor, type SqlQuery } from '../../src/tiers/sql.ts'
import { makeFolder, removeFolder } from './folder.ts'
import { hasMemcached, MemcachedServer } from './memcached-server.ts'
import { hasPostgres, PostgresServer } from './postgres-server.ts'
import { type Connections, libraries } from './redis-clients.ts'
import { hasRedis, RedisServer } from './redis-server.ts'
import { memoryDatabase } from './sqlite.ts'

/** One store and its time. */
export interface World {
  readonly caches: Caches
  /** Keys that were warned of. */
  readonly warnings: string[]
  readonly databases: Readonly<Record<string, SqlExecutor>>
  /** What the database was asked. */
  readonly statements: string[]
  readonly location: string
  /** By how much scripts stretch times, so that what is to live outlasts a machine with much to do. */
  readonly pace: number
  pass(ms: number): Promise<void>
  close(): Promise<void>
}

/** A backend to try. */
export interface DjangoBackend {
  readonly name: string
  readonly backend: 'db' | 'dummy' | 'locmem' | 'filebased' | 'memcached' | 'redis'
  readonly isTiered: boolean
  /** What it needs; there from the hooks of `onEveryBackend` on. */
  readonly servers: Servers
  /**
   * A fresh store with these aliases; what an alias leaves out is the backend's own. `default` is always there.
   */
  open(aliases?: Record<string, Partial<CacheSettings>>, options?: ConfigureOptions): Promise<World>
}

/** What runs meanwhile. */
export interface Servers {
  redis?: Connections
  memcached?: MemcachedServer
  /** A database for each world, or one for all. */
  database?: () => { executor: SqlExecutor; close(): void }
}

let stores = 0

async function open(
  { backend, isTiered, servers }: Pick<DjangoBackend, 'backend' | 'isTiered' | 'servers'>,
  aliases: Record<string, Partial<CacheSettings>> = {},
  options: ConfigureOptions = {},
): Promise<World> {
  const clock = backend === 'redis' || backend === 'memcached' ? undefined : new ManualClock()
  const folder = backend === 'filebased' ? makeFolder() : undefined
  const database = backend === 'db' ? servers.database?.() : undefined
  const store = `store_${++stores}`
  const location = folder ?? (backend === 'memcached' ? (servers.memcached?.name ?? '') : store)
  const settings: Record<string, CacheSettings> = {}
  for (const [alias, each] of Object.entries({ default: {}, ...aliases })) {
    const own: CacheSettings = { BACKEND: backend, LOCATION: location, ...each }
    const served = { ...own.OPTIONS, keyspace: store, deadlineMs: 15_000 }
    const under = backend === 'memcached' ? { ...own, OPTIONS: served } : own
    settings[isTiered ? `under ${alias}` : alias] = under
    if (isTiered) settings[alias] = { ...own, BACKEND: 'tiered', LOCATION: 'under default' }
  }
  const warnings: string[] = []
  const statements: string[] = []
  const databases: Record<string, SqlExecutor> = {}
  if (database !== undefined && clock !== undefined) {
    databases.default = toldTheTime(database.executor, clock, statements)
    await createCacheTables(databases.default, { table: location })
    statements.length = 0
  }
  const caches = configureCaches(settings, {
    // Many worlds share the machine: how fast it answers is not what is tried here.
    tierTimeout: '15s',
    onWarning: ({ message }) => warnings.push(message),
    databases,
    ...(clock === undefined ? {} : { clock: clock as Clock }),
    ...options,
    backends: {
      redis: ({ locations: [keyspace = ''] }) => {
        if (servers.redis === undefined) throw new Error('this world has no Redis')
        return { tiers: [redisTier({ client: servers.redis.client, keyspace })] }
      },
      ...options.backends,
    },
  })
  // Until the bus listens, copies are not used, and what is loaded meanwhile is not kept.
  const { cache } = caches('default')
  await vi.waitUntil(() => cache.health().copiesTrusted, { interval: 2, timeout: 10_000 })
  return {
    caches,
    warnings,
    databases,
    statements,
    location,
    pace: clock === undefined ? 2.5 : 1,
    pass: async (ms) => {
      if (clock === undefined) await sleep(ms + 20)
      else await clock.run(ms, 200)
    },
    close: async () => {
      await caches.closeAll()
      database?.close()
      if (folder !== undefined) removeFolder(folder)
    },
  }
}

/** A database that takes the time from `clock`, and notes what it is asked. */
function toldTheTime(executor: SqlExecutor, clock: ManualClock, statements: string[]): SqlExecutor {
  const { nowMs } = sqlDialects[executor.dialect]
  const told =
    (query: SqlQuery): SqlQuery =>
    (sql, values) => {
      statements.push(sql)
      return query(sql.replaceAll(nowMs, String(clock.wallNow())), values)
    }
  return {
    dialect: executor.dialect,
    query: told(executor.query),
    transaction: (body) => executor.transaction((query) => body(told(query))),
  }
}

/** A backend, bare and under a first level. */
function bothWays(
  backend: DjangoBackend['backend'],
  servers: Servers = {},
  name: string = backend,
): readonly DjangoBackend[] {
  return [false, true].map((isTiered) => ({
    name: isTiered ? `tiered over ${name}` : name,
    backend,
    isTiered,
    servers,
    open: (aliases, options) => open({ backend, isTiered, servers }, aliases, options),
  }))
}

/** What the others are compared with. */
export const memory: DjangoBackend = bothWays('locmem')[0] as DjangoBackend

/** Declares tests on every backend, bare and under a first level, with the servers that they need. */
export function onEveryBackend(declare: (backend: DjangoBackend) => void): void {
  const [dummy] = bothWays('dummy')
  if (dummy !== undefined) declare(dummy)
  for (const name of ['locmem', 'filebased'] as const) for (const each of bothWays(name)) declare(each)

  const sqlite = { database: memoryDatabase }
  for (const each of bothWays('db', sqlite, 'db (SQLite)')) declare(each)

  describe.skipIf(!hasPostgres())('with PostgreSQL', { concurrent: true }, () => {
    const servers: Servers = {}
    let server: PostgresServer | undefined
    let pool: ReturnType<PostgresServer['pool']> | undefined
    beforeAll(async () => {
      server = await PostgresServer.start()
      pool = server.pool(10)
      // Far from everybody's time: what is stored must not depend on it.
      const setup = server.pool(1)
      await setup.query("ALTER ROLE test SET TimeZone = 'Pacific/Chatham'")
      await setup.end()
      const executor = postgresExecutor(pool)
      servers.database = () => ({ executor, close: () => {} })
    }, 180_000)
    afterAll(async () => {
      await pool?.end()
      await server?.kill()
    })
    for (const each of bothWays('db', servers, 'db (PostgreSQL)')) declare(each)
  })

  describe.skipIf(!hasRedis())('with Redis', { concurrent: true }, () => {
    const servers: Servers = {}
    let server: RedisServer | undefined
    beforeAll(async () => {
      server = await RedisServer.start()
      const connections = await libraries[0]?.connect(server.port)
      if (connections !== undefined) servers.redis = connections
    }, 180_000)
    afterAll(async () => {
      servers.redis?.close()
      await server?.kill()
    })
    for (const each of bothWays('redis', servers)) declare(each)
  })

  describe.skipIf(!hasMemcached())('with Memcached', { concurrent: true }, () => {
    const servers: Servers = {}
    beforeAll(async () => {
      servers.memcached = await MemcachedServer.start()
    }, 180_000)
    afterAll(() => servers.memcached?.kill())
    for (const each of bothWays('memcached', servers)) declare(each)
  })
}
