import { redisBus } from '../../src/bus/redis.ts'
import { busContract } from '../../src/testing/index.ts'
import { freshKeyspace, settle, sideBySide, withEachLibrary } from '../support/redis-contract.ts'

withEachLibrary((library, connections) => {
  const open = async () => {
    const { client, subscriber } = connections()
    const options = { client, keyspace: freshKeyspace() }
    const bus = redisBus({ ...options, subscriber: await subscriber() })
    const other = redisBus({ ...options, subscriber: await subscriber() })
    return { bus, other, settle }
  }
  busContract(`redis, ${library}`, open, sideBySide)
})
