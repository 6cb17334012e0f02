// A process with a cache over a directory or a Redis server, and its bus there, whose loads ask its parent.
//
// argv: the folder of the built package, and as JSON what cache-process.ts says of the place. A request is
// { id, method, args }; the answer has its id, and `value` or `error`. A load is asked for as { load, id } and answered by
// { loaded, id }.

const [built = '', order = ''] = process.argv.slice(2)
/** @type {import('./cache-process.ts').Place & { lease: number }} */
const { lease, ...place } = JSON.parse(order)
const { createCache } = await import(`${built}/index.js`)

async function openLevels() {
  if ('directory' in place) {
    const { fileTier } = await import(`${built}/tiers/file.js`)
    const { fileBus } = await import(`${built}/bus/file.js`)
    return { tiers: [fileTier(place)], bus: fileBus(place) }
  }
  const { redisTier } = await import(`${built}/tiers/redis.js`)
  const { redisBus } = await import(`${built}/bus/redis.js`)
  const connect = place.library === 'ioredis' ? connectIoredis : connectNodeRedis
  const [client, subscriber] = [await connect(place.port), await connect(place.port)]
  return { tiers: [redisTier({ client })], bus: redisBus({ client, subscriber }) }
}

/** @param {number} port */
async function connectIoredis(port) {
  const { Redis } = await import('ioredis')
  return new Redis(port, '127.0.0.1', { maxRetriesPerRequest: 1 })
}

/** @param {number} port */
async function connectNodeRedis(port) {
  const { createClient } = await import('redis')
  return await createClient({ socket: { host: '127.0.0.1', port } }).connect()
}

const cache = createCache({
  ...(await openLevels()),
  lease,
  tierTimeout: '15s',
  ttl: '10m',
})
const tell = (/** @type {object} */ message) => process.send?.(message)
/** @type {Map<number, (value: unknown) => void>} */
const loads = new Map()
let asked = 0

/** @type {Record<string, (...args: any[]) => unknown>} */
const methods = {
  isReady: () => cache.health().copiesTrusted,
  get: (key) => cache.get(key),
  /** Of many keys, what is not undefined, as pairs. */
  getMany: async (keys) => [...(await cache.getMany(keys))],
  getOrSet: (key) =>
    cache.getOrSet(key, () => {
      const id = ++asked
      return new Promise((resolve) => {
        loads.set(id, resolve)
        tell({ load: key, id })
      })
    }),
}

process.on('message', async (/** @type {any} */ { id, method, args, loaded }) => {
  if (method === undefined) {
    loads.get(id)?.(loaded)
    loads.delete(id)
    return
  }
  try {
    tell({ id, value: await methods[method]?.(...args) })
  } catch (error) {
    tell({ id, error: String(error) })
  }
})
// Whoever started it may end without a word.
process.on('disconnect', () => process.exit())
tell({ id: 0 })
