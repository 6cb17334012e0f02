// Two processes race on `add`, `incr` and `incrVersion` over one store: what every backend promises, and Django's files
// do not. `npm run test:django -- --races` has 10,000 rounds of each.

import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { createCacheTables, postgresExecutor } from '../../src/tiers/sql.ts'
import { DjangoProcess, type SharedStore } from '../support/django-process.ts'
import { makeFolder, removeFolder } from '../support/folder.ts'
import { hasMemcached, MemcachedServer } from '../support/memcached-server.ts'
import { hasPostgres, PostgresServer } from '../support/postgres-server.ts'
import { hasRedis, RedisServer } from '../support/redis-server.ts'
import { SqliteFile } from '../support/sqlite.ts'

const roundsOf = (isTiered: boolean): number => Number(process.env.DJANGO_ROUNDS ?? (isTiered ? 100 : 300))
// A folder of so many entries takes its time to remove, too.
const patienceMs = 90_000 + roundsOf(false) * 200
vi.setConfig({ testTimeout: patienceMs, hookTimeout: patienceMs })

interface Opened {
  readonly store: SharedStore
  close(): Promise<unknown> | unknown
}

const stores: readonly { name: string; isHere: boolean; open(): Promise<Opened> }[] = [
  {
    name: 'filebased',
    isHere: true,
    open: async () => {
      const folder = makeFolder()
      return {
        store: { backend: 'filebased', location: { folder: join(folder, 'cache') } },
        close: () => removeFolder(folder),
      }
    },
  },
  {
    name: 'db (SQLite)',
    isHere: true,
    open: async () => {
      const file = new SqliteFile()
      await createCacheTables(file.connect(), { table: 'races' })
      return { store: { backend: 'sqlite', location: { file: file.path } }, close: () => file.close() }
    },
  },
  {
    name: 'db (PostgreSQL)',
    isHere: hasPostgres(),
    open: async () => {
      const server = await PostgresServer.start()
      const pool = server.pool(1)
      await createCacheTables(postgresExecutor(pool), { table: 'races' })
      await pool.end()
      return { store: { backend: 'postgres', location: {}, port: server.port }, close: () => server.kill() }
    },
  },
  {
    name: 'redis',
    isHere: hasRedis(),
    open: async () => {
      const server = await RedisServer.start()
      return { store: { backend: 'redis', location: {}, port: server.port }, close: () => server.kill() }
    },
  },
  {
    name: 'redis (Cluster)',
    isHere: hasRedis(),
    open: async () => {
      const folder = makeFolder()
      const servers = await RedisServer.startCluster(folder)
      return {
        store: { backend: 'cluster', location: {}, ports: servers.map(({ port }) => port) },
        close: async () => {
          for (const server of servers) await server.kill()
          removeFolder(folder)
        },
      }
    },
  },
  {
    name: 'memcached',
    isHere: hasMemcached(),
    open: async () => {
      const server = await MemcachedServer.start()
      return { store: { backend: 'memcached', location: {}, port: server.port }, close: () => server.kill() }
    },
  },
]

/** What each of two processes won, none of it twice and all of it together. */
const dealt = (won: unknown[]): number[] => (won as number[][]).flat().sort((left, right) => left - right)

/** Runs `body` with two processes over one store, when their first levels are in use. */
async function withBoth(
  store: SharedStore,
  isTiered: boolean,
  body: (here: DjangoProcess, there: DjangoProcess) => Promise<void>,
): Promise<void> {
  const both = await Promise.all([DjangoProcess.start(store, isTiered), DjangoProcess.start(store, isTiered)])
  try {
    for (const each of both) await vi.waitUntil(() => each.call('isReady'), patience)
    await body(...both)
  } finally {
    await Promise.all(both.map((each) => each.kill()))
  }
}
const patience = { timeout: 20_000, interval: 20 }

async function race(store: SharedStore, isTiered: boolean, rounds: number): Promise<void> {
  const [add, sum, move] = ['add', 'sum', 'move'].map(
    (prefix) => `${prefix}.${isTiered ? 'tiered' : 'bare'}.`,
  )
  const everyRound = Array.from({ length: rounds }, (_, round) => round)
  await withBoth(store, isTiered, async (here, there) => {
    const both = [here, there]
    const inBoth = (method: string, ...args: unknown[]) =>
      Promise.all(both.map((each) => each.call(method, ...args)))

    const added = await inBoth('add', add, rounds)
    expect(dealt(added)).toEqual(everyRound)
    const winners: (number | undefined)[] = []
    for (const [at, won] of added.entries())
      for (const round of won as number[]) winners[round] = both[at]?.pid
    expect(await inBoth('found', add, rounds, 1)).toEqual([winners, winners])

    await here.call('run', 'set', sum, 0)
    const sums = await inBoth('incr', sum, rounds)
    expect(dealt(sums)).toEqual(Array.from({ length: 2 * rounds }, (_, at) => at + 1))

    await here.call('fill', move, rounds)
    expect(dealt(await inBoth('incrVersion', move, rounds))).toEqual(everyRound)
    expect(await there.call('found', move, rounds, 2)).toEqual(everyRound)
    expect(await here.call('found', move, rounds, 1)).toEqual(everyRound.map(() => null))

    // Without a bus a first level may be behind.
    if (isTiered && store.backend === 'memcached') return
    await vi.waitUntil(async () => (await inBoth('run', 'get', sum)).every((n) => n === 2 * rounds), patience)
  })
}

/** Changes of `key`, and what it is after each. Not `getOrSet`: in a moment without a bus what it loads is not kept. */
const changes: readonly (readonly [method: string, args: unknown[], value: unknown])[] = [
  ['set', ['key', 1], 1],
  ['set', ['key', 2], 2],
  ['incr', ['key', 3], 5],
  ['touch', ['key', { timeout: 0 }], null],
  ['add', ['key', 7], 7],
  ['delete', ['key'], null],
  ['setMany', [{ key: 9, other: 1 }], 9],
  ['incrVersion', ['key'], null],
  ['set', ['key', 11], 11],
  ['deleteMany', [['key', 'other']], null],
  ['set', ['key', 13], 13],
  ['clear', [], null],
]

/** Each change here is seen there, where a copy of what was before was in the first level. */
async function hear(store: SharedStore): Promise<void> {
  await withBoth(store, true, async (here, there) => {
    for (const [method, args, value] of changes) {
      await here.call('run', method, ...args)
      await vi.waitFor(
        async () => expect(await there.call('run', 'get', 'key'), `after ${method}`).toBe(value),
        patience,
      )
      if (value === null) continue
      // What is read while the bus is behind, as on a busy machine, is not copied; so it is read again.
      await vi.waitUntil(async () => {
        await there.call('run', 'get', 'key')
        return await there.call('isCopied', 'key')
      }, patience)
    }
  })
}

for (const { name, isHere, open } of stores) {
  describe.skipIf(!isHere)(name, () => {
    let opened: Opened | undefined
    beforeAll(async () => {
      opened = await open()
    })
    afterAll(() => opened?.close())
    for (const isTiered of [false, true]) {
      const levels = isTiered ? ' with first levels' : ''
      const rounds = roundsOf(isTiered)
      test(`two processes${levels}, ${rounds} rounds of each race, exact`, async () => {
        await race((opened as Opened).store, isTiered, rounds)
      })
    }
    // Nobody tells of changes on Memcached by itself.
    if (name === 'memcached') return
    test('what one process changes, the first level of another forgets', async () => {
      await hear((opened as Opened).store)
    })
  })
}
