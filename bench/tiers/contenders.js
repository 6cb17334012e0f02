// @ts-check
/**
 * Who is measured: each tier beside what people put in its place, and beside the bare client that it is made of. Values
 * are bytes where the contender takes bytes, and text of as many characters where it does not.
 */
import { join } from 'node:path'

/**
 * @typedef {object} Store
 * @property {(key: string) => Promise<{ length: number } | undefined | null>} get
 * @property {(key: string, value: Buffer) => Promise<unknown>} set
 * @property {() => unknown} close
 */

/**
 * @typedef {object} Place
 * @property {string} folder an empty one
 * @property {number} port of the group's server, 0 where there is none
 */

/**
 * @typedef {object} Contender
 * @property {string} name
 * @property {'file' | 'lmdb' | 'sqlite' | 'redis' | 'memcached'} group
 * @property {boolean} isOurs
 * @property {(place: Place) => Promise<Store>} open loads its own library only
 */

/**
 * One of our tiers as a store.
 *
 * @param {import('../../src/tiers/tier.ts').Tier} tier
 * @returns {Store}
 */
function storeOn(tier) {
  return {
    get: async (key) => (await tier.get(key))?.bytes,
    set: (key, bytes) => tier.set({ key, bytes, remainingMs: Number.POSITIVE_INFINITY }),
    close: () => tier.close(),
  }
}

/**
 * What a module has, whatever its types say: the contenders' own types differ from version to version.
 *
 * @param {string} specifier
 * @returns {Promise<any>}
 */
function load(specifier) {
  return import(specifier)
}

/** @type {readonly Contender[]} in the order of the tables; ours first in each group */
export const contenders = [
  {
    name: 'file tier',
    group: 'file',
    isOurs: true,
    open: async ({ folder }) => {
      const { fileTier } = await load('tierwheel/tiers/file')
      return storeOn(fileTier({ directory: join(folder, 'cache'), maxEntries: 1_000_000 }))
    },
  },
  {
    name: 'bentocache file driver',
    group: 'file',
    isOurs: false,
    open: async ({ folder }) => {
      const { fileDriver } = await load('bentocache/drivers/file')
      const driver = fileDriver({}).factory({ directory: folder, pruneInterval: false, prefix: 'bench' })
      return {
        get: (key) => driver.get(key),
        set: (key, value) => driver.set(key, value.toString('latin1')),
        close: () => driver.disconnect(),
      }
    },
  },
  {
    name: 'unstorage fs',
    group: 'file',
    isOurs: false,
    open: async ({ folder }) => {
      const { createStorage } = await load('unstorage')
      const { default: fsDriver } = await load('unstorage/drivers/fs')
      const storage = createStorage({ driver: fsDriver({ base: folder }) })
      return {
        get: (key) => storage.getItemRaw(key),
        set: (key, value) => storage.setItemRaw(key, value),
        close: () => storage.dispose(),
      }
    },
  },
  {
    name: 'cacache',
    group: 'file',
    isOurs: false,
    open: async ({ folder }) => {
      const { default: cacache } = await load('cacache')
      return {
        get: async (key) => (await cacache.get(folder, key)).data,
        set: (key, value) => cacache.put(folder, key, value),
        close: () => {},
      }
    },
  },
  {
    name: 'LMDB tier',
    group: 'lmdb',
    isOurs: true,
    open: async ({ folder }) => {
      const { open } = await load('lmdb')
      const { lmdbTier } = await load('tierwheel/tiers/lmdb')
      const environment = open({ path: folder, noSync: true })
      return { ...storeOn(lmdbTier({ environment })), close: () => environment.close() }
    },
  },
  {
    name: 'lmdb',
    group: 'lmdb',
    isOurs: false,
    open: async ({ folder }) => {
      const { open } = await load('lmdb')
      const database = open({ path: folder, noSync: true, encoding: 'binary' })
      return {
        get: async (key) => database.get(key),
        set: (key, value) => database.put(key, value),
        close: () => database.close(),
      }
    },
  },
  {
    name: 'keyv-sqlite',
    group: 'sqlite',
    isOurs: false,
    open: async ({ folder }) => {
      const { default: KeyvSqlite } = await load('@keyv/sqlite')
      const store = new KeyvSqlite(`sqlite://${join(folder, 'keyv.sqlite')}`)
      return {
        get: (key) => store.get(key),
        set: (key, value) => store.set(key, value.toString('latin1')),
        close: () => store.disconnect(),
      }
    },
  },
  {
    name: 'better-sqlite3',
    group: 'sqlite',
    isOurs: false,
    open: async ({ folder }) => {
      const { default: Database } = await load('better-sqlite3')
      const database = new Database(join(folder, 'bare.sqlite'))
      database.pragma('journal_mode = WAL')
      database.pragma('synchronous = OFF')
      database.exec('CREATE TABLE entries (key TEXT PRIMARY KEY, value BLOB) WITHOUT ROWID')
      const [read, write] = [
        database.prepare('SELECT value FROM entries WHERE key = ?').pluck(),
        database.prepare(
          'INSERT INTO entries VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value',
        ),
      ]
      return {
        get: async (key) => read.get(key),
        set: async (key, value) => write.run(key, value),
        close: () => database.close(),
      }
    },
  },
  {
    name: 'Redis tier',
    group: 'redis',
    isOurs: true,
    open: async ({ port }) => {
      const { Redis } = await load('ioredis')
      const { redisTier } = await load('tierwheel/tiers/redis')
      const client = new Redis(port, '127.0.0.1')
      return { ...storeOn(redisTier({ client })), close: () => client.disconnect() }
    },
  },
  {
    name: 'ioredis',
    group: 'redis',
    isOurs: false,
    open: async ({ port }) => {
      const { Redis } = await load('ioredis')
      const client = new Redis(port, '127.0.0.1')
      return {
        get: (key) => client.getBuffer(key),
        set: (key, value) => client.set(key, value),
        close: () => client.disconnect(),
      }
    },
  },
  {
    name: 'Memcached tier',
    group: 'memcached',
    isOurs: true,
    open: async ({ port }) => {
      const { memcachedTier } = await load('tierwheel/tiers/memcached')
      return storeOn(memcachedTier({ servers: [`127.0.0.1:${port}`], deadlineMs: 30_000 }))
    },
  },
  {
    name: 'memjs',
    group: 'memcached',
    isOurs: false,
    open: async ({ port }) => {
      const { Client } = (await load('memjs')).default
      const client = Client.create(`127.0.0.1:${port}`, { timeout: 30, retries: 0 })
      return {
        get: async (key) => (await client.get(key)).value,
        set: (key, value) => client.set(key, value, { expires: 0 }),
        close: () => client.close(),
      }
    },
  },
]
