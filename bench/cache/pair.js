// @ts-check
/**
 * One of two processes with the same contender over the same Redis: started by cache.js, told by messages what to do,
 * and answers each with one. Times are of the system's monotonic clock, which both processes have in common.
 *
 * - `read`: reads the key, so that it is in the first level.
 * - `watch`: reads the key until its value is newer than the one it had, with a turn of the event loop between two
 *   reads. Answers with when that was, or without a time when it never was.
 * - `delete`: deletes the key. Answers with when it was called and when it resolved.
 * - `rush`: a thousand callers for one missing key, whose load takes a while. Answers with how often the loader ran.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { contenderOf, userOf } from './contenders.js'

/** @typedef {{ what: 'read' | 'watch' | 'delete' | 'rush', key: string }} Request */
/** @typedef {{ seenAt?: number, calledAt?: number, ackedAt?: number, loads?: number }} Answer */

const CALLERS = 1_000
const RUSH_LOAD_MS = 100
/** As long as somebody without a bus is given to hear of a change after all. */
const WATCH_MS = 1_000

const [name = '', port = ''] = process.argv.slice(2)
let loads = 0
/** No value of one process is one of the other's. */
let score = process.pid * 1e6
let loadMs = 0
const cache = await contenderOf(name).open({
  port: Number(port),
  l1Entries: 10_000,
  load: async (key) => {
    loads++
    if (loadMs > 0) await sleep(loadMs)
    return { ...userOf(key), score: ++score }
  },
})

const now = () => Number(process.hrtime.bigint()) / 1e6

/** @type {Record<Request['what'], (key: string) => Promise<Answer>>} */
const answers = {
  async read(key) {
    await cache.getOrSet(key)
    return {}
  },
  async watch(key) {
    const old = (await cache.getOrSet(key))?.score
    process.send?.({ watching: true })
    const until = now() + WATCH_MS
    while (now() < until) {
      if ((await cache.getOrSet(key))?.score !== old) return { seenAt: now() }
      await new Promise((resolve) => setImmediate(resolve))
    }
    return {}
  },
  async delete(key) {
    const calledAt = now()
    await cache.delete(key)
    return { calledAt, ackedAt: now() }
  },
  async rush(key) {
    const before = loads
    loadMs = RUSH_LOAD_MS
    const ask = cache.getOrSetOnce ?? cache.getOrSet
    await Promise.all(Array.from({ length: CALLERS }, () => ask(key)))
    loadMs = 0
    return { loads: loads - before }
  },
}

process.on('message', async (/** @type {Request} */ { what, key }) => {
  process.send?.(await answers[what](key))
})
process.on('disconnect', () => process.exit())
process.send?.({ ready: true })
