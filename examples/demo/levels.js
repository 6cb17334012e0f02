// @ts-check
// What the two servers share below their first levels: a directory, or with REDIS_URL a Redis server, and the bus that
// goes with it.

import { rmSync } from 'node:fs'
import { rm } from 'node:fs/promises'

/**
 * @typedef {object} Shared
 * @property {string} directory
 * @property {string | undefined} redisUrl
 * @property {string} keyspace of its own for each run, so that it can be taken away again
 * @property {boolean} hasBus
 */

/**
 * @typedef {object} Levels
 * @property {import('tierwheel').CacheOptions} options
 * @property {() => void} close
 */

/**
 * @param {Shared} shared
 * @returns {Promise<Levels>}
 */
export async function openLevels({ directory, redisUrl, keyspace, hasBus }) {
  if (redisUrl === undefined) {
    const { fileBus } = await import('tierwheel/bus/file')
    const { fileTier } = await import('tierwheel/tiers/file')
    // Where the file system does not tell of changes, a look every 100 ms stays within the 250 ms that are checked.
    const bus = hasBus && { bus: fileBus({ directory, pollMs: 100 }) }
    return { options: { tiers: [fileTier({ directory })], ...bus }, close: () => {} }
  }
  const { redisBus } = await import('tierwheel/bus/redis')
  const { redisTier } = await import('tierwheel/tiers/redis')
  const client = await connect(redisUrl)
  const subscriber = await connect(redisUrl)
  const bus = hasBus && { bus: redisBus({ client, subscriber, keyspace }) }
  return {
    options: { tiers: [redisTier({ client, keyspace })], ...bus },
    close: () => {
      for (const one of [client, subscriber]) one.disconnect()
    },
  }
}

/**
 * Takes away what a run has left there.
 *
 * @param {Omit<Shared, 'hasBus'>} shared
 */
export async function forgetLevels({ directory, redisUrl, keyspace }) {
  await rm(directory, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 })
  if (redisUrl === undefined) return
  const client = await connect(redisUrl)
  try {
    for await (const names of client.scanStream({ match: `{${keyspace}:*`, count: 500 })) {
      if (names.length > 0) await client.unlink(...names)
    }
  } finally {
    client.disconnect()
  }
}

/**
 * Takes the folder away at the end of a process, when nothing can be waited for any more.
 *
 * @param {string} directory
 */
export function forgetFolder(directory) {
  try {
    rmSync(directory, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 })
  } catch {
    // A neighbour that is ending too still writes to it, and removes it when it is done.
  }
}

/**
 * @param {string} url
 * @throws Error that says where nobody answers, without the password that the address may have.
 */
async function connect(url) {
  const { Redis } = await import('ioredis')
  const client = new Redis(url, { lazyConnect: true, maxRetriesPerRequest: 1, retryStrategy: () => null })
  // What fails is told by the call that fails.
  client.on('error', () => {})
  try {
    await client.connect()
  } catch (error) {
    client.disconnect()
    throw new Error(`REDIS_URL: nobody to work with at ${placeOf(url)}: ${messageOf(error)}`)
  }
  return client
}

/**
 * An address as it may be shown.
 *
 * @param {string} url
 */
export function placeOf(url) {
  const { hostname, port } = new URL(url)
  return `${hostname}:${port || 6379}`
}

/** @param {unknown} error */
function messageOf(error) {
  return error instanceof Error ? error.message : String(error)
}
