import { tierContract } from '../../src/testing/index.ts'
import { redisTier } from '../../src/tiers/redis.ts'
import { freshKeyspace, realTime, sideBySide, withEachLibrary } from '../support/redis-contract.ts'

withEachLibrary((library, connections) => {
  const open = async () => {
    const options = { client: connections().client, keyspace: freshKeyspace() }
    return { tier: redisTier(options), other: redisTier(options), ...realTime }
  }
  tierContract(`redis, ${library}`, open, sideBySide)
})
