// Outages of a Redis as long as they are: twenty seconds in which deletes are asked for, thirty under five thousand reads a
// second. `npm run test:faults` has them; what is quick of the same kind is in redis.test.ts.

import { setTimeout as sleep } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { Redis } from 'ioredis'
import { describe, expect, test } from 'vitest'
import { redisBus } from '../../src/bus/redis.ts'
import type { Cache } from '../../src/cache.ts'
import { createCache } from '../../src/create-cache.ts'
import { redisTier } from '../../src/tiers/redis.ts'
import { makeFolder, removeFolder } from '../support/folder.ts'
import { hasRedis, RedisServer } from '../support/redis-server.ts'

const isLong = process.env.FAULTS !== undefined
const LEASE_MS = 3_000

/** A cache as a process of its own has it, listening. */
async function open(
  port: number,
  whenDown: 'reject' | 'queue' = 'reject',
): Promise<{ cache: Cache<string>; end: () => Promise<void> }> {
  const connect = (): Redis => {
    const client = new Redis(port, '127.0.0.1', { maxRetriesPerRequest: 1, retryStrategy: () => 50 })
    client.on('error', () => {})
    return client
  }
  const [client, subscriber] = [connect(), connect()]
  const cache = createCache<string>({
    tiers: [redisTier({ client })],
    bus: redisBus({ client, subscriber }),
    ttl: '1h',
    whenDown,
  })
  await until('the cache listens', () => cache.health().copiesTrusted)
  return {
    cache,
    end: async () => {
      await cache.close().catch(() => {})
      for (const one of [client, subscriber]) one.disconnect()
    },
  }
}

async function until(what: string, isSo: () => boolean | Promise<boolean>): Promise<void> {
  for (let turn = 0; !(await isSo()); turn++) {
    if (turn === 400) throw new Error(`not within 20 s: ${what}`)
    await sleep(50)
  }
}

describe.skipIf(!isLong || !hasRedis())('long outages', () => {
  test.concurrent.each(['reject', 'queue'] as const)(
    'deletes in an outage of 20 s are not forgotten: %s',
    async (whenDown) => {
      const folder = makeFolder()
      const server = await RedisServer.start({ dir: folder, appendonly: 'yes' })
      const [here, there] = [await open(server.port, whenDown), await open(server.port)]
      const keys = Array.from({ length: 20 }, (_, at) => `key:${at}`)
      try {
        let source = 'old'
        const read = ({ cache }: typeof here) =>
          Promise.all(keys.map((key) => cache.getOrSet(key, () => source)))
        const all = (value: string) => keys.map(() => value)
        expect(await read(here)).toEqual(all('old'))
        expect(await read(there)).toEqual(all('old'))

        await server.kill()
        const down = sleep(20_000)
        source = 'new'
        for (const key of keys) {
          const answer = await here.cache.delete(key).catch((error: { code: unknown }) => error.code)
          expect(typeof answer).toBe(whenDown === 'queue' ? 'boolean' : 'string')
        }
        expect(here.cache.health().outbox?.size ?? 0).toBe(whenDown === 'queue' ? 20 : 0)
        // The writer answers with nothing old from the call on, and so does everybody a lease later.
        expect(await read(here)).toEqual(all('new'))
        await sleep(LEASE_MS)
        expect(await read(there)).toEqual(all('new'))
        await down

        await server.restart()
        await until('both hear again', () => [here, there].every(({ cache }) => cache.health().copiesTrusted))
        expect(await read(here)).toEqual(all('new'))
        await until('what was queued is delivered', () => (here.cache.health().outbox?.size ?? 0) === 0)
        await sleep(LEASE_MS)
        for (let turn = 0; turn < 10; turn++) {
          expect(await read(there)).toEqual(all('new'))
          expect(await read(here)).toEqual(all('new'))
          await sleep(100)
        }
      } finally {
        await here.end()
        await there.end()
        await server.kill()
        removeFolder(folder)
      }
    },
    120_000,
  )

  test.concurrent('a server that stands still for 30 s under 5,000 reads a second costs no error and no memory', async () => {
    setFlagsFromString('--expose-gc')
    const collect = runInNewContext('gc') as () => void
    const heap = (): number => {
      collect()
      return process.memoryUsage().heapUsed
    }
    const server = await RedisServer.start()
    const { cache, end } = await open(server.port)
    const errors: unknown[] = []
    let reads = 0
    let waiting = 0
    try {
      const ask = (): void => {
        const key = `key:${reads++ % 2_000}`
        waiting++
        cache
          .getOrSet(key, () => key)
          .then((value) => {
            waiting--
            if (value !== key) errors.push(value)
          })
          .catch((error) => errors.push(error))
      }
      server.pause()
      const startedAt = performance.now()
      let before = 0
      while (performance.now() - startedAt < 30_000) {
        // As many as the time that passed asks for, so that a busy machine does not make it easier.
        while (reads < 5 * (performance.now() - startedAt)) ask()
        if (before === 0 && performance.now() - startedAt > 5_000) before = heap()
        await sleep(5)
      }
      const after = heap()
      server.resume()
      await until('all are answered', () => waiting === errors.length)
      expect(errors).toEqual([])
      expect(reads).toBeGreaterThan(140_000)
      expect((after - before) / 2 ** 20).toBeLessThan(24)
      await until('the cache hears again', () => cache.health().copiesTrusted)
      await cache.set('after', 'taken')
    } finally {
      server.resume()
      await end()
      await server.kill()
    }
  }, 120_000)
})
