// @ts-check
// Four processes on one machine that share a cache over a directory, without any server: one loads for all of them, what
// one changes the others serve anew, and one at a time does the nightly work. `node examples/many-processes/main.js`.

import assert from 'node:assert/strict'
import { fork } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createCache } from 'tierwheel'
import { fileBus } from 'tierwheel/bus/file'
import { fileTier } from 'tierwheel/tiers/file'

const PROCESSES = 4

if (process.argv[2] === undefined) await lead(mkdtempSync(join(tmpdir(), 'tierwheel-example-')))
else await work(process.argv[2])

/** @param {string} directory */
async function lead(directory) {
  const workers = Array.from({ length: PROCESSES }, () => fork(import.meta.filename, [directory]))
  /** @param {string} task @returns {Promise<any[]>} */
  const askAll = (task) =>
    Promise.all(
      workers.map(
        (worker) =>
          new Promise((resolve) => {
            worker.once('message', resolve)
            worker.send(task)
          }),
      ),
    )
  try {
    await askAll('begin')
    const loads = (await askAll('load')).reduce((sum, each) => sum + each, 0)
    console.log(`${PROCESSES} processes, 100 callers in each: ${loads} load`)
    assert.equal(loads, 1)
    const nights = (await askAll('nightly')).filter((each) => each === 'at it')
    console.log(`nightly work: done by ${nights.length}`)
    assert.equal(nights.length, 1)
    workers[0]?.send('change')
    await new Promise((resolve) => workers[0]?.once('message', resolve))
    let seen = await askAll('look')
    for (let turn = 0; turn < 500 && seen.some((each) => each !== 'new'); turn++) seen = await askAll('look')
    assert.deepEqual(new Set(seen), new Set(['new']))
    console.log(`after a change in one: ${seen.join(', ')}`)
  } finally {
    await askAll('end')
    rmSync(directory, { recursive: true, force: true })
  }
}

/** @param {string} directory */
async function work(directory) {
  const cache = createCache({
    ttl: '1h',
    loadLease: '30s',
    tiers: [fileTier({ directory })],
    bus: fileBus({ directory }),
  })
  /** @type {Record<string, () => Promise<unknown>>} */
  const tasks = {
    async begin() {
      while (!cache.health().bus?.connected) await pause(10)
      return 'ready'
    },
    async load() {
      const load = async () => {
        await pause(200)
        return 'old'
      }
      await Promise.all(Array.from({ length: 100 }, () => cache.getOrSet('report', load)))
      return cache.stats().loads
    },
    async nightly() {
      const lock = await cache.lock('nightly')
      // Renewed while the work goes on, and released by `close` here; `await using` does it at the end of a block.
      return lock === undefined ? 'somebody is at it' : 'at it'
    },
    change: () => cache.set('report', 'new'),
    look: () => cache.get('report'),
    async end() {
      await cache.close()
      setImmediate(() => process.disconnect())
      return 'closed'
    },
  }
  process.on('message', async (/** @type {string} */ task) => process.send?.(await tasks[task]?.()))
}

/** @param {number} ms */
function pause(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
