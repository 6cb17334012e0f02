// What a loader said of a value's version, over each kind of tier: the loader of another process is told of it.

import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { encryptedCodec } from '../../src/codecs/encrypted.ts'
import { jsonCodec } from '../../src/codecs/json.ts'
import type { LoaderContext } from '../../src/coordinator/loading.ts'
import { type CacheOptions, createCache } from '../../src/create-cache.ts'
import { ManualClock } from '../../src/testing/manual-clock.ts'
import { fileTier } from '../../src/tiers/file.ts'
import { Hub, memoryTier } from '../../src/tiers/memory.ts'
import { redisTier } from '../../src/tiers/redis.ts'
import type { Tier } from '../../src/tiers/tier.ts'
import { makeFolder, removeFolder } from '../support/folder.ts'
import { libraries } from '../support/redis-clients.ts'
import { hasRedis, RedisServer } from '../support/redis-server.ts'

const hasServer = hasRedis()

describe('validators', () => {
  const folder = makeFolder()
  const hub = new Hub({ clock: new ManualClock() })
  const ends: (() => unknown)[] = [() => removeFolder(folder)]
  const tiers: Record<string, () => Tier> = {
    memory: () => memoryTier({ hub }),
    file: () => fileTier({ directory: folder }),
  }

  beforeAll(async () => {
    if (!hasServer) return
    const server = await RedisServer.start()
    ends.unshift(() => server.kill())
    const connections = await libraries[0]?.connect(server.port)
    if (connections === undefined) expect.fail('there is a client')
    ends.unshift(() => connections.close())
    tiers.redis = () => redisTier({ client: connections.client })
  }, 30_000)

  afterAll(async () => {
    for (const end of ends) await end()
  })

  const validators = { etag: '"7"', lastModified: 'Mon, 02 Jan 2006 15:04:05 GMT' }
  const load = ({ setValidators }: LoaderContext) => {
    setValidators(validators)
    return { body: 'whole' }
  }
  const said = ({ etag, lastModified }: LoaderContext) => ({ etag, lastModified })

  function twoProcesses(name: string, options: CacheOptions = {}) {
    const open = tiers[name] ?? expect.fail(`${name} is a tier`)
    const processes = [open(), open()].map((tier) =>
      createCache({ ttl: '1h', staleIfError: '1h', tiers: [tier], ...options }),
    )
    return processes as [(typeof processes)[0], (typeof processes)[0]]
  }

  test.each(['memory', 'file', ...(hasServer ? ['redis'] : [])])(
    '%s: another process is told them, and renews what was not modified',
    async (name) => {
      const [one, two] = twoProcesses(name)
      await one.getOrSet('a', load, { tags: ['t'] })
      await one.expire('a')
      const seen: unknown[] = []
      const ask = (context: LoaderContext) => {
        seen.push({ ...said(context), stale: context.stale })
        return context.notModified()
      }
      const before = { ...validators, stale: { body: 'whole' } }
      expect(await two.getOrSet('a', ask, { tags: ['t'] })).toEqual({ body: 'whole' })
      expect(seen).toEqual([before])
      expect(await one.getOrSet('a', () => expect.fail('it is fresh again'))).toEqual({ body: 'whole' })
      await two.expire('a')
      await one.getOrSet('a', ask, { skip: 'copies', loadTimeout: '1m' })
      expect(seen, 'what was renewed has them still').toEqual([before, before])
      await Promise.all([one.close(), two.close()])
    },
  )

  test('with a codec that encrypts they stay in the process that loaded', async () => {
    const codec = encryptedCodec(jsonCodec(), { keys: [{ id: '1', key: new Uint8Array(32).fill(7) }] })
    const [one, two] = twoProcesses('memory', { codec, prefix: 'secret' })
    await one.getOrSet('a', load)
    const told: unknown[] = []
    const ask = (context: LoaderContext) => {
      told.push(said(context))
      return context.stale
    }
    expect(await two.getOrSet('a', ask, { forceFresh: true })).toEqual({ body: 'whole' })
    expect(told).toEqual([{ etag: undefined, lastModified: undefined }])
    await Promise.all([one.close(), two.close()])
  })
})
