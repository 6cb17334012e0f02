// Uses a file tier while its file system is frozen, and says how that went. argv: the folder of the sources, the directory.
//
// A process of its own: should a call hold it up, only a thaw ends that.

import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { setTimeout as wait } from 'node:timers/promises'

const [source, directory] = process.argv.slice(2)
const { fileTier } = await import(`${source}/tiers/file.js`)
const tier = fileTier({ directory, lockWaitMs: 500 })
/** @param {string} text */
const write = (text) => tier.set({ key: 'key', bytes: Buffer.from(text), remainingMs: Infinity })

await write('before')
// So that the disk was silent for a while.
await wait(1_100)
const frozen = once(process, 'message')
process.send?.('freeze')
await frozen

/** @type {string[]} */
const outcomes = []
for (let at = 0; at < 6; at++) {
  write('refused').then(
    () => outcomes.push('done'),
    (/** @type {Error} */ error) => outcomes.push(error.message),
  )
  await wait(100)
}
await wait(500)
// As many as would fill a pool that the six before had taken.
const pool = await Promise.race([readFile(process.execPath).then(() => 'free'), wait(10_000, 'taken')])
const refused = outcomes.length
const thawed = once(process, 'message')
process.send?.({ outcomes: outcomes.slice(0, refused), pool })
await thawed
await write('after')
process.send?.(Buffer.from((await tier.get('key')).bytes).toString())
await tier.close()
process.disconnect()
