// Two caches over one real PostgreSQL, and what happens to it: it stands still, crashes, forgets; the wire to it is cut.
// Time is real here, since the server's is.

import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { sqlEchoChannel } from '../../src/backends/sql-ledger.ts'
import { postgresBus } from '../../src/bus/postgres.ts'
import type { Cache } from '../../src/cache.ts'
import { createCache } from '../../src/create-cache.ts'
import { BusObserver } from '../../src/testing/bus-observer.ts'
import { createCacheTables, postgresExecutor, sqlTier } from '../../src/tiers/sql.ts'
import { raceLoads } from '../support/load-race.ts'
import { hasPostgres, PostgresServer } from '../support/postgres-server.ts'
import { seed } from '../support/seed.ts'
import { seededRandom } from '../support/seeded-random.ts'
import { TcpProxy } from '../support/tcp-proxy.ts'

const LEASE_MS = 1_000
// Long, as none of this is about a deadline and the machine may have much else to do.
const DEADLINE_MS = 5_000
const ORIGIN = '0123456789abcdef'

vi.setConfig({ maxConcurrency: 4, testTimeout: 120_000, hookTimeout: 120_000 })

let benches = 0

/** What each test made, ended after it. */
class Bench {
  readonly server: PostgresServer
  readonly table = `cache_${++benches}`
  readonly #closing: (() => unknown)[] = []

  constructor(server: PostgresServer) {
    this.server = server
  }

  after(close: () => unknown): void {
    this.#closing.unshift(close)
  }

  pool(max = 3): pg.Pool {
    const pool = this.server.pool(max)
    this.after(() => pool.end())
    return pool
  }

  /** A cache as a process of its own has it, listening. */
  async cache(subscriberPort: number = this.server.port): Promise<Cache<string>> {
    const shared = { executor: postgresExecutor(this.pool()), table: this.table, createTables: true }
    const subscriber = () => new pg.Client({ ...this.server.config, port: subscriberPort })
    const cache = createCache<string>({
      tiers: [sqlTier(shared)],
      bus: postgresBus({ ...shared, subscriber }),
      lease: LEASE_MS,
      tierTimeout: DEADLINE_MS,
      ttl: '10m',
    })
    this.after(() => cache.close().catch(() => {}))
    await trusted(cache)
    return cache
  }

  async end(): Promise<void> {
    for (const close of this.#closing) await close()
  }
}

function trusted(cache: Cache<string>): Promise<void> {
  return vi.waitFor(() => expect(cache.health().copiesTrusted).toBe(true), { timeout: 60_000, interval: 10 })
}

let server: PostgresServer

/** Tests share a server, with tables of their own, unless they end it. */
const onBench =
  (body: (bench: Bench) => Promise<void>, own?: () => Promise<PostgresServer>) => async (): Promise<void> => {
    const itsOwn = await own?.()
    const bench = new Bench(itsOwn ?? server)
    try {
      await body(bench)
    } finally {
      await bench.end()
      await itsOwn?.kill()
    }
  }

/** Has the mutation taken, however often it takes. */
function insist(mutate: () => Promise<unknown>): Promise<void> {
  return vi.waitFor(async () => void (await mutate()), { timeout: 60_000, interval: 20 })
}

/** Answers that are neither absent nor the expected one. */
async function wrongAnswers(
  cache: Cache<string>,
  keys: readonly string[],
  expected: (key: string) => unknown,
  rounds: number,
): Promise<string[]> {
  const wrong: string[] = []
  for (let round = 0; round < rounds; round++) {
    for (const key of keys) {
      const value = await cache.get(key)
      if (value !== undefined && value !== expected(key)) wrong.push(`${key} is ${value}`)
    }
    await sleep(5)
  }
  return wrong
}

const errors: unknown[] = []
process.on('unhandledRejection', (error) => errors.push(error))
afterEach(() => {
  expect(errors.splice(0)).toEqual([])
})

describe.skipIf(!hasPostgres())('postgres faults', () => {
  beforeAll(async () => {
    server = await PostgresServer.start()
  })
  afterAll(() => server.kill())

  test.concurrent(
    'a load that a delete overtook is kept nowhere: 200 rounds',
    onBench(async (bench) => {
      const [here, there] = [await bench.cache(), await bench.cache()]
      // A commit is acknowledged on one connection and told on another, in whichever order they are read.
      expect(await raceLoads(here, there, LEASE_MS), `SEED=${seed}`).toEqual([])
    }),
  )

  test.concurrent(
    'a wire that is cut for half a second leaves none of 80 copies stale',
    onBench(async (bench) => {
      const proxy = await TcpProxy.to(bench.server.port)
      const writer = await bench.cache()
      const reader = await bench.cache(proxy.port)
      bench.after(() => proxy.close())
      const keys = Array.from({ length: 80 }, (_, at) => `key:${at}`)
      for (const key of keys) await writer.set(key, 'old')
      for (const key of keys) expect(await reader.get(key)).toBe('old')
      const isChanged = (key: string): boolean => Number(key.slice(4)) % 4 === 0

      proxy.cut()
      const mended = sleep(500).then(() => proxy.mend())
      for (const key of keys.filter(isChanged)) await writer.set(key, 'new')
      await sleep(LEASE_MS)
      const expected = (key: string) => (isChanged(key) ? 'new' : 'old')
      expect(await wrongAnswers(reader, keys, expected, 2)).toEqual([])
      await mended
      await trusted(reader)
      expect(await wrongAnswers(reader, keys, expected, 2)).toEqual([])
      for (const key of keys) expect(await reader.get(key)).toBe(expected(key))
    }),
  )

  test.concurrent(
    'a wire that carries nothing, and says nothing of it, is found out by the lease, and replaced',
    onBench(async (bench) => {
      const proxy = await TcpProxy.to(bench.server.port)
      const writer = await bench.cache()
      const reader = await bench.cache(proxy.port)
      bench.after(() => proxy.close())
      const keys = Array.from({ length: 40 }, (_, at) => `key:${at}`)
      for (const key of keys) await writer.set(key, 'old')
      for (const key of keys) expect(await reader.get(key)).toBe('old')

      proxy.hold()
      for (const key of keys) await writer.set(key, 'new')
      await sleep(LEASE_MS)
      expect(await wrongAnswers(reader, keys, () => 'new', 10)).toEqual([])
      // The wire stays as it is: the bus has to make another one.
      await trusted(reader)
      expect(await wrongAnswers(reader, keys, () => 'new', 2)).toEqual([])
      await writer.set('key:0', 'newer')
      await vi.waitFor(async () => expect(await reader.get('key:0')).toBe('newer'))
    }),
  )

  test.concurrent(
    'a server that crashes forgets what was unlogged, and nothing old comes back',
    onBench(async (bench) => {
      const [here, there] = [await bench.cache(), await bench.cache()]
      const keys = Array.from({ length: 20 }, (_, at) => `key:${at}`)
      for (const key of keys) await here.set(key, 'old')
      for (const key of keys) expect(await there.get(key)).toBe('old')
      await bench.server.restart()
      for (const key of keys) await insist(() => here.set(key, 'new'))
      await sleep(LEASE_MS)
      expect(await wrongAnswers(there, keys, () => 'new', 5)).toEqual([])
      await trusted(there)
      expect(await there.get('key:1')).toBe('new')
    }, PostgresServer.start),
  )

  test.concurrent(
    'sessions that are ended come back and know what they missed',
    onBench(async (bench) => {
      const [here, there] = [await bench.cache(), await bench.cache()]
      const admin = bench.pool(1)
      const keys = Array.from({ length: 20 }, (_, at) => `key:${at}`)
      for (const key of keys) await here.set(key, 'old')
      for (const key of keys) expect(await there.get(key)).toBe('old')
      let failures = 0
      there.on('bus.failed', () => failures++)
      for (let round = 0; round < 2; round++) {
        const { rowCount } = await admin.query(
          `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN "tw:${bench.table}"%'`,
        )
        expect(rowCount).toBe(2)
        for (const key of keys) await insist(() => here.set(key, `new ${round}`))
        await sleep(LEASE_MS)
        expect(await wrongAnswers(there, keys, () => `new ${round}`, 2)).toEqual([])
        await trusted(there)
        await trusted(here)
      }
      expect(failures).toBeGreaterThan(0)
    }),
  )

  test.concurrent(
    'a database that was put back to an earlier day begins a new epoch',
    onBench(async (bench) => {
      const [here, there] = [await bench.cache(), await bench.cache()]
      const admin = bench.pool(1)
      const keys = Array.from({ length: 20 }, (_, at) => `key:${at}`)
      for (const key of keys) await here.set(key, 'first')
      for (const suffix of ['', '_partitions', '_log']) {
        await admin.query(`CREATE TABLE kept${suffix} AS SELECT * FROM ${bench.table}${suffix}`)
      }
      for (const key of keys) await here.set(key, 'lost')
      for (const key of keys) expect(await there.get(key)).toBe('lost')
      const restore = ['', '_partitions', '_log'].map(
        (suffix) =>
          `DELETE FROM ${bench.table}${suffix}; INSERT INTO ${bench.table}${suffix} SELECT * FROM kept${suffix};`,
      )
      await admin.query(`BEGIN; ${restore.join(' ')} COMMIT`)

      for (const key of keys) await insist(() => here.set(key, 'new'))
      await sleep(LEASE_MS)
      expect(await wrongAnswers(there, keys, () => 'new', 2)).toEqual([])
      for (const key of keys) expect(await there.get(key)).toBe('new')
    }),
  )

  test.concurrent(
    'whatever is told on the channels, nothing breaks and nothing stale is answered',
    onBench(async (bench) => {
      const [here, there] = [await bench.cache(), await bench.cache()]
      const admin = bench.pool(1)
      const random = seededRandom(seed)
      await here.set('key', 'old')
      expect(await there.get('key')).toBe('old')
      for (let round = 0; round < 200; round++) {
        const text = Array.from({ length: Math.floor(80 * random()) }, () =>
          String.fromCharCode(32 + Math.floor(90 * random())),
        ).join('')
        const told = `${['m', 'p', 'e', ''][round % 4]}${round % 8 === 1 ? `${round % 32} ${2 ** 52} 9` : text}`
        await admin.query('SELECT pg_notify($1, $2)', [`tw:${bench.table}`, told])
      }
      await insist(() => here.set('key', 'new'))
      await vi.waitFor(async () => expect(await there.get('key')).toBe('new'), { timeout: 5_000 })
      await trusted(there)
    }),
  )

  test.concurrent(
    'a message too long for the channel is a gap that names its place',
    onBench(async (bench) => {
      const executor = postgresExecutor(bench.pool())
      await createCacheTables(executor)
      const subscriber = () => new pg.Client(bench.server.config)
      const bus = postgresBus({ executor, subscriber })
      bench.after(() => bus.close())
      const observer = new BusObserver()
      observer.begin(await bus.subscribe(observer))
      // No key is so long; a mutation of many keys would be.
      const key = `app:1:${'x'.repeat(9_000)}`
      const { stamp } = await bus.ledger.commit({ op: 'delete', key }, { id: ORIGIN, serial: 1 })
      await vi.waitFor(() => expect(observer.heard(stamp)).toBe(true), { timeout: 5_000 })
      expect(
        observer.events.some((event) => event.kind === 'gap' && event.partition === stamp.partition),
      ).toBe(true)
    }),
  )

  test.concurrent(
    'an echo from before what was heard is no proof, and a gap follows',
    onBench(async (bench) => {
      const executor = postgresExecutor(bench.pool())
      const shared = { executor, table: bench.table, createTables: true }
      const bus = postgresBus({ ...shared, subscriber: () => new pg.Client(bench.server.config) })
      bench.after(() => bus.close())
      const observer = new BusObserver()
      observer.begin(await bus.subscribe(observer))
      const commit = async (serial: number): Promise<void> => {
        const { stamp } = await bus.ledger.commit({ op: 'delete', key: 'app:1:a' }, { id: ORIGIN, serial })
        await vi.waitFor(() => expect(observer.heard(stamp)).toBe(true), { timeout: 60_000 })
      }
      const echoes = (token: string) =>
        observer.events.filter((event) => event.kind === 'echo' && event.token === token).length
      const listening = new pg.Client(bench.server.config)
      await listening.connect()
      bench.after(() => listening.end())
      const channel = sqlEchoChannel(bench.table)
      await listening.query(`LISTEN "${channel}"`)
      const told = new Promise<string | undefined>((resolve) =>
        listening.on('notification', ({ payload }) => resolve(payload)),
      )
      await bus.ledger.probe('early')
      await vi.waitFor(() => expect(echoes('early')).toBe(1), { timeout: 60_000 })
      await commit(1)
      await listening.query('SELECT pg_notify($1, $2)', [channel, await told])
      const isGap = () => observer.events.some(({ kind }) => kind === 'gap')
      await vi.waitFor(() => expect(isGap()).toBe(true), { timeout: 60_000, interval: 10 })
      expect(echoes('early')).toBe(1)
      await bus.ledger.probe('late')
      await vi.waitFor(() => expect(echoes('late')).toBe(1), { timeout: 60_000 })
    }),
  )

  test.concurrent(
    'what cannot listen is refused with the reason',
    onBench(async (bench) => {
      const executor = postgresExecutor(bench.pool())
      await createCacheTables(executor)
      const nobody = new BusObserver()
      const lost = postgresBus({
        executor,
        subscriber: () => new pg.Client({ ...bench.server.config, port: 1 }),
      })
      await expect(lost.subscribe(nobody)).rejects.toMatchObject({
        code: 'CACHE_TIER_FAILED',
        message: expect.stringContaining('ECONNREFUSED'),
      })
      await lost.close()
      const wrong = postgresBus({ executor, subscriber: () => 'postgres://db' as never })
      await expect(wrong.subscribe(nobody)).rejects.toThrow('it made "postgres://db", which is not a Client')
      await wrong.close()
      expect(() => postgresBus({ executor, subscriber: new pg.Client() as never })).toThrow(
        'is not a function',
      )
      expect(() =>
        postgresBus({ executor: { ...executor, dialect: 'sqlite' }, subscriber: () => new pg.Client() }),
      ).toThrow('take sqlBus there')
    }),
  )
})
