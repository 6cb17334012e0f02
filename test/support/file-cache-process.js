// A process with a cache over a file tier and a file bus, whose loads ask its parent.
//
// argv: the folder of the built package, the directory, the lease in milliseconds. A request is { id, method, args }; the
// answer has its id, and `value` or `error`. A load is asked for as { load, id } and answered by { loaded, id }.

const [built, directory, lease] = process.argv.slice(2)
const { createCache } = await import(`${built}/index.js`)
const { fileTier } = await import(`${built}/tiers/file.js`)
const { fileBus } = await import(`${built}/bus/file.js`)

const cache = createCache({
  tiers: [fileTier({ directory })],
  bus: fileBus({ directory }),
  lease: Number(lease),
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
