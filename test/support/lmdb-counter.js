// Counts up an entry of an LMDB tier. argv: the folder of the sources, the environment's, how often.

import { open } from 'lmdb'

const [source, path, times] = process.argv.slice(2)
const { lmdbTier } = await import(`${source}/tiers/lmdb.js`)
const environment = open({ path: String(path), noSync: true })
const tier = lmdbTier({ environment })
process.send?.('ready')
for (let at = 0; at < Number(times); at += 50) {
  await Promise.all(Array.from({ length: 50 }, () => tier.increment('counter', 1, 0)))
}
await environment.close()
process.disconnect()
