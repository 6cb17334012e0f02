import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { describe, test } from 'vitest'
import { fileBus } from '../../src/bus/file.ts'
import { type LedgerUnderTest, ledgerContract, ManualClock } from '../../src/testing/index.ts'
import { fileTier } from '../../src/tiers/file.ts'
import type { Ledger } from '../../src/tiers/ledger.ts'
import { makeFolder, removeFolder } from '../support/folder.ts'

function open(keepsData: boolean): LedgerUnderTest {
  const clock = new ManualClock()
  const directory = makeFolder()
  const options = { directory, clock, logBytes: 32_768 }
  const bus = fileBus(options)
  const tiers = [fileTier(options), fileTier(options)]
  const buses = [bus, fileBus(options)]
  const [ledger, other] = (keepsData ? tiers : buses).map((part) => part.ledger) as [Ledger, Ledger]
  return {
    ledger,
    other,
    bus,
    logMessages: 128,
    clock,
    advance: (byMs) => clock.advance(byMs),
    settle: () => setImmediate(),
    reset: () => {
      for (const name of readdirSync(directory)) removeFolder(join(directory, name))
    },
    close: async () => {
      for (const part of [...tiers, ...buses]) await part.close()
      removeFolder(directory)
    },
  }
}

ledgerContract('file', async () => open(true), { describe, test })
ledgerContract('file bus, without data', async () => open(false), { describe, test })
