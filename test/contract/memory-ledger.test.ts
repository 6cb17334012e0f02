import { describe, test } from 'vitest'
import { Hub, inProcessBus } from '../../src/bus/in-process.ts'
import { type LedgerUnderTest, ledgerContract, ManualClock } from '../../src/testing/index.ts'
import type { Ledger } from '../../src/tiers/ledger.ts'
import { memoryTier } from '../../src/tiers/memory.ts'

function open(partitions: number, ledgerOf: (hub: Hub) => Ledger): LedgerUnderTest {
  const clock = new ManualClock()
  const hub = new Hub({ clock, partitions, logMessages: 128, maxTags: 32 })
  const bus = inProcessBus({ hub })
  return {
    ledger: ledgerOf(hub),
    other: ledgerOf(hub),
    bus,
    logMessages: 128,
    maxTags: 32,
    clock,
    advance: (byMs) => clock.advance(byMs),
    settle: () => clock.run(0),
    reset: () => hub.reset(),
    close: () => bus.close(),
  }
}

const ofTier = (hub: Hub): Ledger => memoryTier({ hub }).ledger as Ledger
const ofBus = (hub: Hub): Ledger => inProcessBus({ hub }).ledger

ledgerContract('memory', async () => open(16, ofTier), { describe, test })
ledgerContract('memory, one partition', async () => open(1, ofTier), { describe, test })
ledgerContract('in-process bus, without data', async () => open(16, ofBus), { describe, test })
