// A process with Django's cache over a backend that it shares with others, and that does what its parent says.
//
// argv: the folder of the built package, and what to open as JSON: { backend, location, port, ports, isTiered }. A
// request is { id, method, args }; the answer has its id, and `value` or `error`.

import { DatabaseSync } from '@photostructure/sqlite'
import { Cluster, Redis } from 'ioredis'
import pg from 'pg'

const [built, order] = process.argv.slice(2)
const { configureCaches } = await import(`${built}/django/index.js`)
const { postgresExecutor, sqliteExecutor } = await import(`${built}/tiers/sql.js`)
const { redisTier } = await import(`${built}/tiers/redis.js`)
const { redisBus } = await import(`${built}/bus/redis.js`)

const { backend, location, port, ports, isTiered } = JSON.parse(order ?? '')

/** How many calls are under way at once. */
const WIDTH = 16

const executorOf = () => {
  if (backend === 'postgres') {
    return postgresExecutor(
      new pg.Pool({ host: '127.0.0.1', port, user: 'test', database: 'postgres', max: 6 }),
    )
  }
  const database = new DatabaseSync(location.file, { timeout: 50 })
  database.exec('PRAGMA journal_mode = WAL')
  database.exec('PRAGMA synchronous = OFF')
  return sqliteExecutor(database)
}

/** @type {Record<string, object>} */
const settings = {
  postgres: { BACKEND: 'db', LOCATION: 'races', OPTIONS: { MAX_ENTRIES: 1_000_000 } },
  sqlite: { BACKEND: 'db', LOCATION: 'races', OPTIONS: { MAX_ENTRIES: 1_000_000 } },
  filebased: { BACKEND: 'filebased', LOCATION: location.folder, OPTIONS: { MAX_ENTRIES: 1_000_000 } },
  memcached: { BACKEND: 'memcached', LOCATION: `127.0.0.1:${port}`, OPTIONS: { deadlineMs: 30_000 } },
  redis: { BACKEND: 'redis', LOCATION: 'races' },
  cluster: { BACKEND: 'redis', LOCATION: 'races' },
}
const store = { TIMEOUT: null, ...settings[backend] }
const first = { BACKEND: 'tiered', LOCATION: 'store', TIMEOUT: null, OPTIONS: { MAX_ENTRIES: 1_000 } }
const caches = configureCaches(
  { default: isTiered ? first : store, store },
  {
    // How fast a machine answers that races on purpose is not what is tried.
    tierTimeout: '60s',
    ...(store.BACKEND === 'db' ? { databases: { default: executorOf() } } : {}),
    backends: {
      redis: () => {
        const client =
          backend === 'cluster'
            ? new Cluster(ports.map((/** @type {number} */ each) => ({ host: '127.0.0.1', port: each })))
            : new Redis(port, '127.0.0.1')
        const subscriber = new Redis(port ?? ports[0], '127.0.0.1')
        return { tiers: [redisTier({ client })], bus: redisBus({ client, subscriber }) }
      },
    },
  },
)
const cache = caches('default')

/**
 * Runs `call` for every round, some at once. Resolves to the rounds for which it was true.
 *
 * @param {number} rounds
 * @param {(round: number) => Promise<boolean>} call
 */
async function racing(rounds, call) {
  /** @type {number[]} */
  const won = []
  for (let from = 0; from < rounds; from += WIDTH) {
    const length = Math.min(WIDTH, rounds - from)
    await Promise.all(
      Array.from({ length }, async (_, at) => {
        if (await call(from + at)) won.push(from + at)
      }),
    )
  }
  return won
}

/** @type {Record<string, (...args: any[]) => unknown>} */
const methods = {
  /** Whether copies are used: until then a first level is passed by. */
  isReady: () => cache.cache.health().copiesTrusted,
  /** Whether this process has a copy. */
  isCopied: (key) => cache.cache.l1.has(key),
  /** Any call; `null` for nothing. */
  run: async (method, ...args) => (await cache[method](...args)) ?? null,
  add: (prefix, rounds) => racing(rounds, (round) => cache.add(`${prefix}${round}`, process.pid)),
  /** The sums that were answered. */
  incr: async (key, rounds) => {
    /** @type {number[]} */
    const sums = []
    await racing(rounds, async () => sums.push(await cache.incr(key)) > 0)
    return sums
  },
  incrVersion: (prefix, rounds) =>
    racing(rounds, async (round) => {
      try {
        return (await cache.incrVersion(`${prefix}${round}`)) === 2
      } catch (error) {
        if (/** @type {Error} */ (error).name === 'KeyNotFoundError') return false
        throw error
      }
    }),
  fill: (prefix, rounds) => racing(rounds, (round) => cache.set(`${prefix}${round}`, round)),
  /** What is under the keys of all rounds; `null` for nothing. */
  found: async (prefix, rounds, version) => {
    /** @type {unknown[]} */
    const values = []
    await racing(rounds, async (round) => {
      values[round] = (await cache.get(`${prefix}${round}`, undefined, { version })) ?? null
      return true
    })
    return values
  },
}

process.on('message', async (/** @type {any} */ { id, method, args }) => {
  try {
    process.send?.({ id, value: await methods[method]?.(...args) })
  } catch (error) {
    process.send?.({ id, error: String(error) })
  }
})
// Whoever started it may end without a word.
process.on('disconnect', () => process.exit())
process.send?.({ id: 0, value: process.pid })
