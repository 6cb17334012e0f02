import { redisBus } from '../../src/bus/redis.ts'
import { type LedgerUnderTest, ledgerContract } from '../../src/testing/index.ts'
import type { Ledger } from '../../src/tiers/ledger.ts'
import { redisTier } from '../../src/tiers/redis.ts'
import type { Connections } from '../support/redis-clients.ts'
import { freshKeyspace, realTime, settle, sideBySide, withEachLibrary } from '../support/redis-contract.ts'

async function open(connections: Connections, keepsData: boolean): Promise<LedgerUnderTest> {
  const { client } = connections
  const keyspace = freshKeyspace()
  const options = { client, keyspace, logMessages: 128, maxTags: 32 }
  const bus = redisBus({ ...options, subscriber: await connections.subscriber() })
  const other = redisBus({ ...options, subscriber: await connections.subscriber() })
  const tiers = [redisTier(options), redisTier(options)]
  const [ledger, otherLedger] = (keepsData ? tiers : [bus, other]).map((part) => part.ledger) as [
    Ledger,
    Ledger,
  ]
  return {
    ledger,
    other: otherLedger,
    bus,
    logMessages: 128,
    maxTags: 32,
    ...realTime,
    settle,
    reset: async () => {
      const names = (await connections.send('KEYS', `{${keyspace}:*`)) as string[]
      await connections.send('DEL', ...names)
    },
    close: async () => {
      for (const part of [...tiers, bus, other]) await part.close()
    },
  }
}

withEachLibrary((library, connections) => {
  ledgerContract(`redis, ${library}`, () => open(connections(), true), sideBySide)
  ledgerContract(`redis bus, without data, ${library}`, () => open(connections(), false), sideBySide)
})
