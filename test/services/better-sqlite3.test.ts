import { join } from 'node:path'
import Database from 'better-sqlite3'
import { describe, test, vi } from 'vitest'
import { sqlBus } from '../../src/bus/sql.ts'
import { busContract, ledgerContract, type Runner, tierContract } from '../../src/testing/index.ts'
import { sqliteExecutor } from '../../src/tiers/sql.ts'
import { makeFolder, removeFolder } from '../support/folder.ts'
import { openBuses, openLedger, openTier, type SqlBackend } from '../support/sql-contract.ts'

vi.setConfig({ maxConcurrency: 10, testTimeout: 60_000 })
const sideBySide: Runner = { describe, test: test.concurrent as Runner['test'] }

function open(): SqlBackend {
  const folder = makeFolder()
  const databases: { close(): unknown }[] = []
  return {
    connect: () => {
      const database = new Database(join(folder, 'cache.db'), { timeout: 50 })
      database.pragma('journal_mode = WAL')
      database.pragma('synchronous = OFF')
      databases.push(database)
      return sqliteExecutor(database)
    },
    bus: (executor, table) => sqlBus({ executor, table, logMessages: 128, pollMs: 5 }),
    close: () => {
      for (const database of databases) database.close()
      removeFolder(folder)
    },
  }
}

tierContract('better-sqlite3', () => openTier(open()), sideBySide)
ledgerContract('better-sqlite3', () => openLedger(open(), true), sideBySide)
ledgerContract('better-sqlite3 bus, without data', () => openLedger(open(), false), sideBySide)
busContract('better-sqlite3', () => openBuses(open()), sideBySide)
