// @ts-check
/** A process with a cache of its own over Redis: answers each message of its parent, and ends with it. */
import { Redis } from 'ioredis'
import { createCache } from 'tierwheel'
import { redisBus } from 'tierwheel/bus/redis'
import { redisTier } from 'tierwheel/tiers/redis'

const options = { host: '127.0.0.1', port: Number(process.argv[2]), maxRetriesPerRequest: 1 }
const client = new Redis(options)
const subscriber = new Redis(options)
for (const each of [client, subscriber]) each.on('error', () => {})
const cache = createCache({
  ttl: '1h',
  l1: { maxEntries: 1_000 },
  loadLease: '1m',
  tiers: [redisTier({ client })],
  bus: redisBus({ client, subscriber }),
})

process.on('message', async (/** @type {{ key: string, callers: number }} */ { key, callers }) => {
  let loads = 0
  const load = async () => {
    loads++
    await new Promise((resolve) => setTimeout(resolve, 300))
    return `${process.pid}`
  }
  const answers = await Promise.all(Array.from({ length: callers }, () => cache.getOrSet(key, load)))
  process.send?.({ loads, answers: [...new Set(answers)], connected: cache.health().bus?.connected })
})
process.on('disconnect', () => process.exit())
while (!cache.health().bus?.connected) await new Promise((resolve) => setTimeout(resolve, 10))
process.send?.('ready')
