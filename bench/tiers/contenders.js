// @ts-check
/**
 * Who is measured: each tier beside what people put in its place, and beside the bare client that it is made of. Values
 * are bytes where the contender takes bytes, and text of as many characters where it does not.
 */
import {
  closeSync,
  constants,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readSync,
  unlinkSync,
  writeFileSync,
  writevSync,
} from 'node:fs'
import { join } from 'node:path'

/**
 * @typedef {object} Store
 * @property {(key: string) => Promise<any>} get the contender's own answer, with no promise of the bench around it
 * @property {(found: any) => number} [lengthOf] of the value in an answer that is not the value
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
    get: (key) => tier.get(key),
    lengthOf: (entry) => entry.bytes.length,
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

/**
 * The calls of the system that the file tier makes for a read and for a write of an entry that is there, and nothing
 * else: no names to be hashed, no checksums, no promise. What they take more with many files, nobody saves.
 *
 * @param {Place} place
 * @returns {Promise<Store>}
 */
async function openCallsAlone({ folder }) {
  const own = join(folder, 'own')
  const held = join(folder, 'held')
  const log = join(folder, 'log')
  const usage = join(folder, 'usage')
  for (const path of [own, log, usage]) writeFileSync(path, '12345678')
  for (let level = 0; level < 256; level++) mkdirSync(join(folder, level.toString(16).padStart(2, '0')))
  const counts = openSync(usage, 'r+')
  const [count, head, bytes] = [Buffer.alloc(8), Buffer.alloc(98), Buffer.alloc(64 * 1_024)]
  /** @param {string} key */
  const pathOf = (key) => {
    const number = Number(key.replace(/\D/g, ''))
    const level = ((number * 2_654_435_761) % 256).toString(16).padStart(2, '0')
    return `${folder}/${level}/${level}${number.toString(16).padStart(30, '0')}`
  }
  return {
    get: async (key) => {
      lstatSync(log, { bigint: true })
      const file = openSync(pathOf(key), constants.O_RDONLY)
      const length = readSync(file, bytes, 0, bytes.length, 0)
      closeSync(file)
      return length
    },
    lengthOf: (length) => length - head.length,
    set: async (key, value) => {
      const path = pathOf(key)
      linkSync(own, held)
      lstatSync(log, { bigint: true })
      const isThere = lstatSync(path, { throwIfNoEntry: false }) !== undefined
      readSync(counts, count, 0, 8, 0)
      const file = openSync(
        path,
        isThere ? constants.O_WRONLY : constants.O_WRONLY | constants.O_CREAT,
        0o600,
      )
      writevSync(file, [head, value])
      closeSync(file)
      lstatSync(held, { bigint: true })
      unlinkSync(held)
    },
    close: () => closeSync(counts),
  }
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
  { name: 'its calls alone', group: 'file', isOurs: false, open: openCallsAlone },
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
        get: (key) => cacache.get(folder, key),
        lengthOf: (found) => found.data.length,
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
        get: (key) => client.get(key),
        lengthOf: (found) => found.value?.length,
        set: (key, value) => client.set(key, value, { expires: 0 }),
        close: () => client.close(),
      }
    },
  },
]
