// @ts-check
// A client that goes on without its network: what it has read lies in files and serves while the service cannot be
// reached, also after a restart, and a slow network keeps nobody waiting for what is there. `node
// examples/offline-client/main.js`.

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createCache } from 'tierwheel'
import { fileTier } from 'tierwheel/tiers/file'

const directory = mkdtempSync(join(tmpdir(), 'tierwheel-example-'))
/** @type {'online' | 'slow' | 'offline'} */
let network = 'online'
let edition = 1

/** @param {AbortSignal} signal */
async function readNews(signal) {
  if (network === 'offline') throw new Error('no network')
  if (network === 'slow') await new Promise((resolve) => setTimeout(resolve, 400))
  signal.throwIfAborted()
  return `news, edition ${edition}`
}

const open = () =>
  createCache({
    ttl: '100ms',
    staleIfError: '7d',
    softLoadTimeout: '50ms',
    loadTimeout: '5s',
    failureThrottle: '1s',
    tiers: [fileTier({ directory })],
  })

/** @param {import('tierwheel').Cache} cache */
const read = (cache) => cache.getOrSet('news', ({ signal }) => readNews(signal), { fallback: 'nothing yet' })

let cache = open()
try {
  network = 'offline'
  console.log(`never online: ${await read(cache)}`)
  await cache.close()

  network = 'online'
  cache = open()
  console.log(`online: ${await read(cache)}`)

  network = 'offline'
  await cache.expire('news')
  console.log(`offline: ${await read(cache)}`)
  await cache.close()
  cache = open()
  console.log(`offline, after a restart: ${await read(cache)}`)
  await cache.close()

  network = 'slow'
  edition = 2
  cache = open()
  await cache.expire('news')
  assert.equal(await read(cache), 'news, edition 1')
  while ((await cache.getEntry('news'))?.value !== 'news, edition 2') {
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  console.log('slow: edition 1 at once, edition 2 when it had come')
} finally {
  await cache.close()
  rmSync(directory, { recursive: true, force: true })
}
