// @ts-check
/**
 * Who is measured: caches of two levels as their own pages say to make one, a first level in the process over one
 * Redis, with a way to tell other processes where they have it; and bare ioredis, which is what all of them stand on.
 *
 * A cache is given its one loader when it is made, since some take it only then. What the loops call is as near to
 * the library's own method as a common name allows: an arrow function, and nothing that waits.
 */
import { createRequire } from 'node:module'

/** @typedef {{ id: string, name: string, email: string, active: boolean, score: number }} User */

/**
 * @typedef {object} Place
 * @property {number} port of the Redis
 * @property {number} l1Entries the most that the first level holds
 * @property {(key: string) => Promise<User>} load
 */

/**
 * @typedef {object} Measured
 * @property {(key: string) => Promise<User | null | undefined>} [get] without a loader, where there is such
 * @property {(key: string) => Promise<User | null | undefined>} getOrSet with the loader
 * @property {(key: string) => Promise<User | null | undefined>} [getOrSetOnce] the same, with what keeps several
 *   processes from loading one key at once, where there is such
 * @property {(key: string, value: User) => Promise<unknown>} [set]
 * @property {(key: string) => Promise<unknown>} delete
 * @property {() => unknown} close
 */

/**
 * @typedef {object} Contender
 * @property {string} name
 * @property {string[]} packages
 * @property {boolean} hasL1 whether a hit can be answered without a round trip
 * @property {boolean} [isOnlyHot] takes part in the rows of L1 hits alone
 * @property {(place: Place) => Promise<Measured>} open loads its own libraries only
 */

export const OURS = 'tierwheel'
export const BARE = 'ioredis'

const HOUR_MS = 60 * 60 * 1_000
/** Longer than any load here takes. */
const LOAD_LEASE_MS = 5_000

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
 * @param {Place} place
 * @param {object} more options of `createCache`
 * @param {object} [call] options of each `getOrSet`
 * @returns {Promise<Measured>}
 */
async function openOurs({ port, l1Entries, load: loadUser }, more, call) {
  const { createCache } = await load('tierwheel')
  const { redisTier } = await load('tierwheel/tiers/redis')
  const { redisBus } = await load('tierwheel/bus/redis')
  const { Redis } = await load('ioredis')
  const [client, subscriber] = [new Redis(port, '127.0.0.1'), new Redis(port, '127.0.0.1')]
  const cache = createCache({
    ttl: HOUR_MS,
    l1: { maxEntries: l1Entries },
    tiers: [redisTier({ client })],
    bus: redisBus({ client, subscriber }),
    ...more,
  })
  // Until the bus hears, copies are not used, and there would be no L1 hits to measure.
  while (!cache.health().copiesTrusted) await new Promise((resolve) => setTimeout(resolve, 5))
  return {
    get: (key) => cache.get(key),
    getOrSet:
      call === undefined
        ? (key) => cache.getOrSet(key, () => loadUser(key))
        : (key) => cache.getOrSet(key, () => loadUser(key), call),
    getOrSetOnce: (key) => cache.getOrSet(key, () => loadUser(key), { loadLease: LOAD_LEASE_MS }),
    set: (key, value) => cache.set(key, value, call),
    delete: (key) => cache.delete(key),
    close: async () => {
      await cache.close()
      for (const one of [client, subscriber]) one.disconnect()
    },
  }
}

/**
 * cacheable, alone or telling others.
 *
 * @param {Place} place
 * @param {boolean} isTelling
 * @returns {Promise<Measured>}
 */
async function openCacheable({ port, l1Entries, load: loadUser }, isTelling) {
  const { Cacheable, KeyvCacheableMemory } = await load('cacheable')
  const { Keyv } = await load('keyv')
  const { default: KeyvRedis } = await load('@keyv/redis')
  const { RedisMessageProvider } = await load('@qified/redis')
  const cache = new Cacheable({
    primary: new Keyv({ store: new KeyvCacheableMemory({ lruSize: l1Entries }) }),
    secondary: new Keyv({ store: new KeyvRedis(`redis://127.0.0.1:${port}`) }),
    ttl: HOUR_MS,
    ...(isTelling && {
      sync: { qified: new RedisMessageProvider({ uri: `redis://127.0.0.1:${port}` }) },
    }),
  })
  return {
    get: (key) => cache.get(key),
    getOrSet: (key) => cache.getOrSet(key, () => loadUser(key), { ttl: HOUR_MS }),
    set: (key, value) => cache.set(key, value),
    delete: (key) => cache.delete(key),
    close: () => {},
  }
}

/** @type {readonly Contender[]} in the order of the tables */
export const contenders = [
  { name: OURS, packages: ['tierwheel', 'ioredis'], hasL1: true, open: (place) => openOurs(place, {}) },
  {
    name: `${OURS}, every feature`,
    packages: [],
    hasL1: true,
    isOnlyHot: true,
    open: (place) =>
      openOurs(
        place,
        {
          staleWhileRevalidate: HOUR_MS,
          staleIfError: HOUR_MS,
          refreshAhead: 0.9,
          jitter: 0.1,
          loadTimeout: 10_000,
          softLoadTimeout: 1_000,
          failureThrottle: 2_000,
          maxLoads: 1_000,
          holdOff: 1_000,
          whenDown: 'queue',
          waitUntil: () => {},
          prefix: 'bench',
        },
        { tags: ['users', 'bench'] },
      ),
  },
  {
    name: 'bentocache',
    packages: ['bentocache'],
    hasL1: true,
    open: async ({ port, l1Entries, load: loadUser }) => {
      const { BentoCache, bentostore } = await load('bentocache')
      const { memoryDriver } = await load('bentocache/drivers/memory')
      const { redisDriver, redisBusDriver } = await load('bentocache/drivers/redis')
      const connection = { host: '127.0.0.1', port }
      const cache = new BentoCache({
        default: 'both',
        ttl: HOUR_MS,
        stores: {
          both: bentostore()
            .useL1Layer(memoryDriver({ maxItems: l1Entries }))
            .useL2Layer(redisDriver({ connection }))
            .useBus(redisBusDriver({ connection })),
        },
      })
      return {
        get: (key) => cache.get({ key }),
        getOrSet: (key) => cache.getOrSet({ key, factory: () => loadUser(key) }),
        set: (key, value) => cache.set({ key, value }),
        delete: (key) => cache.delete({ key }),
        close: () => cache.disconnect(),
      }
    },
  },
  {
    name: 'cacheable',
    packages: ['cacheable', '@keyv/redis'],
    hasL1: true,
    open: (place) => openCacheable(place, false),
  },
  {
    name: 'cacheable, sync',
    packages: ['@qified/redis'],
    hasL1: true,
    open: (place) => openCacheable(place, true),
  },
  {
    name: 'cache-manager',
    packages: ['cache-manager'],
    hasL1: true,
    open: async ({ port, l1Entries, load: loadUser }) => {
      const { createCache } = await load('cache-manager')
      const { KeyvCacheableMemory } = await load('cacheable')
      const { Keyv } = await load('keyv')
      const { default: KeyvRedis } = await load('@keyv/redis')
      const cache = createCache({
        ttl: HOUR_MS,
        stores: [
          new Keyv({ store: new KeyvCacheableMemory({ lruSize: l1Entries }) }),
          new Keyv({ store: new KeyvRedis(`redis://127.0.0.1:${port}`) }),
        ],
      })
      return {
        get: (key) => cache.get(key),
        getOrSet: (key) => cache.wrap(key, () => loadUser(key)),
        set: (key, value) => cache.set(key, value),
        delete: (key) => cache.del(key),
        close: () => cache.disconnect(),
      }
    },
  },
  {
    name: 'layered-loader',
    packages: ['layered-loader'],
    hasL1: true,
    open: async ({ port, l1Entries, load: loadUser }) => {
      const { Loader, RedisCache, createNotificationPair } = await load('layered-loader')
      const { Redis } = await load('ioredis')
      const open = () => new Redis(port, '127.0.0.1')
      const { publisher, consumer } = createNotificationPair({
        channel: 'bench',
        consumerRedis: open(),
        publisherRedis: open(),
      })
      const cache = new Loader({
        inMemoryCache: { cacheType: 'lru-map', ttlInMsecs: HOUR_MS, maxItems: l1Entries },
        asyncCache: new RedisCache(open(), { json: true, ttlInMsecs: HOUR_MS }),
        dataSourceGetOneFn: loadUser,
        notificationConsumer: consumer,
        notificationPublisher: publisher,
      })
      await cache.init()
      return {
        getOrSet: (key) => cache.get(key),
        set: (key, value) => cache.forceSetValue(key, value),
        delete: (key) => cache.invalidateCacheFor(key),
        close: () => cache.close(),
      }
    },
  },
  {
    name: 'async-cache-dedupe',
    packages: ['async-cache-dedupe'],
    hasL1: false,
    open: async ({ port, load: loadUser }) => {
      const { createCache } = createRequire(import.meta.url)('async-cache-dedupe')
      const { Redis } = await load('ioredis')
      const client = new Redis(port, '127.0.0.1')
      const cache = createCache({ ttl: HOUR_MS / 1_000, storage: { type: 'redis', options: { client } } })
      cache.define('user', loadUser)
      return {
        getOrSet: (key) => cache.user(key),
        delete: (key) => cache.clear('user', key),
        close: () => client.disconnect(),
      }
    },
  },
  {
    name: BARE,
    packages: [],
    hasL1: false,
    open: async ({ port, load: loadUser }) => {
      const { Redis } = await load('ioredis')
      const client = new Redis(port, '127.0.0.1')
      /** @param {string} key @param {User} value */
      const set = (key, value) => client.set(key, JSON.stringify(value), 'PX', HOUR_MS)
      /** @param {string} key */
      const get = async (key) => {
        const text = await client.get(key)
        return text === null ? undefined : JSON.parse(text)
      }
      return {
        get,
        getOrSet: async (key) => {
          const found = await get(key)
          if (found !== undefined) return found
          const value = await loadUser(key)
          await set(key, value)
          return value
        },
        set,
        delete: (key) => client.del(key),
        close: () => client.disconnect(),
      }
    },
  },
]

/** @param {string} name */
export function contenderOf(name) {
  const contender = contenders.find((one) => one.name === name)
  if (contender === undefined) throw new Error(`no contender ${name}`)
  return contender
}

/** @param {string} key @returns {User} a new one each time, the same for the same key */
export function userOf(key) {
  return { id: key, name: `user ${key}`, email: `${key}@example.com`, active: true, score: key.length / 3 }
}
