// The suites over a cluster of three masters: scripts of one slot each, echoes of each server.

import { Cluster, Redis } from 'ioredis'
import { createCluster } from 'redis'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { type RedisClient, redisBus } from '../../src/bus/redis.ts'
import { busContract, ledgerContract, tierContract } from '../../src/testing/index.ts'
import { redisTier } from '../../src/tiers/redis.ts'
import { makeFolder, removeFolder } from '../support/folder.ts'
import { freshKeyspace, realTime, settle, sideBySide } from '../support/redis-contract.ts'
import { hasRedis, RedisServer } from '../support/redis-server.ts'

vi.setConfig({ maxConcurrency: 8, testTimeout: 40_000, hookTimeout: 30_000 })

const nodes = (servers: readonly RedisServer[]) => servers.map(({ port }) => ({ host: '127.0.0.1', port }))

/** A client of a cluster, and what ends it. */
type Connect = (servers: readonly RedisServer[]) => Promise<{ client: RedisClient; end: () => unknown }>

const byIoredis: Connect = async (servers) => {
  const client = new Cluster(nodes(servers))
  client.on('error', () => {})
  return { client, end: () => client.disconnect() }
}

const byNodeRedis: Connect = async (servers) => {
  const client = createCluster({ rootNodes: nodes(servers).map((socket) => ({ socket })) })
  client.on('error', () => {})
  await client.connect()
  return { client, end: () => client.destroy() }
}

describe.skipIf(!hasRedis()).each([
  ['ioredis 6', byIoredis],
  ['node-redis 6', byNodeRedis],
] as const)('three masters, %s', (_, connect) => {
  const folder = makeFolder()
  let servers: RedisServer[] = []
  let client: RedisClient
  let end: () => unknown = () => {}
  const admins: Redis[] = []
  const subscribers: Redis[] = []

  beforeAll(async () => {
    servers = await RedisServer.startCluster(folder)
    ;({ client, end } = await connect(servers))
    admins.push(...servers.map(({ port }) => new Redis(port, '127.0.0.1')))
  })
  afterAll(async () => {
    await end()
    for (const one of [...subscribers, ...admins]) one.disconnect()
    for (const server of servers) await server.kill()
    removeFolder(folder)
  })

  let turn = 0
  const bus = (keyspace: string) => {
    const subscriber = new Redis(servers[turn++ % 3]?.port ?? 0, '127.0.0.1')
    subscriber.on('error', () => {})
    subscribers.push(subscriber)
    return redisBus({ client, subscriber, keyspace, logMessages: 128 })
  }

  tierContract(
    'redis cluster',
    async () => {
      const options = { client, keyspace: freshKeyspace() }
      return { tier: redisTier(options), other: redisTier(options), ...realTime }
    },
    sideBySide,
  )

  ledgerContract(
    'redis cluster',
    async () => {
      const keyspace = freshKeyspace()
      const options = { client, keyspace, logMessages: 128 }
      const [tier, other, own] = [redisTier(options), redisTier(options), bus(keyspace)] as const
      if (tier.ledger === undefined || other.ledger === undefined) throw new Error('no ledger')
      return {
        ledger: tier.ledger,
        other: other.ledger,
        bus: own,
        logMessages: 128,
        ...realTime,
        settle,
        reset: async () => {
          for (const node of admins) {
            for (const name of await node.keys(`{${keyspace}:*`)) await node.del(name)
          }
        },
        close: async () => {
          for (const part of [tier, other, own]) await part.close()
        },
      }
    },
    sideBySide,
  )

  busContract(
    'redis cluster',
    async () => {
      const keyspace = freshKeyspace()
      return { bus: bus(keyspace), other: bus(keyspace), settle }
    },
    sideBySide,
  )

  test('partitions are on more than one server, and a clear reaches and sweeps them all', async () => {
    const tier = redisTier({ client })
    const entries = async () => {
      const names = await Promise.all(admins.map((node) => node.keys('{tierwheel:*:e:*')))
      return names.map((some) => some.length)
    }
    const keys = Array.from({ length: 200 }, (_, at) => `k:${at}`)
    await tier.setMany(keys.map((key) => ({ key, bytes: new Uint8Array(1), remainingMs: 60_000 })))
    expect((await entries()).every((count) => count > 0)).toBe(true)
    await tier.clear('k:')
    expect((await tier.getMany(keys)).filter((entry) => entry !== undefined)).toEqual([])
    await vi.waitFor(async () => expect(await entries()).toEqual([0, 0, 0]), { timeout: 5_000 })
  })
})
