// @ts-check
/** A process with a cache of its own over a directory: answers each message of its parent, and ends with it. */
import { createCache } from 'tierwheel'
import { fileBus } from 'tierwheel/bus/file'
import { fileTier } from 'tierwheel/tiers/file'

const directory = /** @type {string} */ (process.argv[2])
const cache = createCache({ ttl: '1h', tiers: [fileTier({ directory })], bus: fileBus({ directory }) })

/** @type {Record<string, (key: string, value: unknown) => unknown>} */
const calls = {
  connected: () => cache.health().bus?.connected,
  inL1: (key) => cache.l1.get(key),
  get: (key) => cache.get(key),
  set: (key, value) => cache.set(key, value),
  delete: (key) => cache.delete(key),
  clear: () => cache.clear(),
  load: (key, value) => cache.getOrSet(key, () => value),
}

process.on(
  'message',
  async (/** @type {{ id: number, call: string, key: string, value: unknown }} */ asked) => {
    const answer = await calls[asked.call]?.(asked.key, asked.value)
    process.send?.({ id: asked.id, answer })
  },
)
process.on('disconnect', () => process.exit())
