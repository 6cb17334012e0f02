import { describe, test, vi } from 'vitest'
import { sqlBus } from '../../src/bus/sql.ts'
import { busContract, ledgerContract, type Runner, tierContract } from '../../src/testing/index.ts'
import { openBuses, openLedger, openTier, type SqlBackend } from '../support/sql-contract.ts'
import { SqliteFile } from '../support/sqlite.ts'

vi.setConfig({ maxConcurrency: 10, testTimeout: 120_000 })
const sideBySide: Runner = { describe, test: test.concurrent as Runner['test'] }

function open(): SqlBackend {
  const file = new SqliteFile()
  return {
    connect: () => file.connect(),
    bus: (executor, table) => sqlBus({ executor, table, logMessages: 128, pollMs: 5 }),
    close: () => file.close(),
  }
}

tierContract('sqlite', () => openTier(open()), sideBySide)
ledgerContract('sqlite', () => openLedger(open(), true), sideBySide)
ledgerContract('sqlite bus, without data', () => openLedger(open(), false), sideBySide)
busContract('sqlite', () => openBuses(open()), sideBySide)
