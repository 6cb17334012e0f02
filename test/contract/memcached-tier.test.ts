import { afterAll, beforeAll, describe, vi } from 'vitest'
import { tierContract } from '../../src/testing/index.ts'
import { memcachedTier } from '../../src/tiers/memcached.ts'
import { hasMemcached, MemcachedServer } from '../support/memcached-server.ts'
import { freshKeyspace, realTime, sideBySide } from '../support/redis-contract.ts'

vi.setConfig({ maxConcurrency: 40, testTimeout: 15_000 })

describe.skipIf(!hasMemcached())('memcached', () => {
  const servers: MemcachedServer[] = []
  beforeAll(async () => {
    for (let at = 0; at < 3; at++) servers.push(await MemcachedServer.start('-I', '4m'))
  })
  afterAll(async () => {
    for (const server of servers) await server.kill()
  })

  const open = (count: number, fence: boolean) => async () => {
    const names = servers.slice(0, count).map(({ name }) => name)
    const options = { servers: names, keyspace: freshKeyspace(), deadlineMs: 5_000, fence }
    return { tier: memcachedTier(options), other: memcachedTier(options), ...realTime }
  }
  tierContract('memcached', open(1, false), sideBySide)
  tierContract('memcached, three servers, fenced', open(3, true), sideBySide)
})
