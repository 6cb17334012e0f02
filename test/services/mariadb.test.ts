import { createPool } from 'mysql2/promise'
import { afterAll, beforeAll, describe, test, vi } from 'vitest'
import { sqlBus } from '../../src/bus/sql.ts'
import { busContract, ledgerContract, type Runner, tierContract } from '../../src/testing/index.ts'
import { type MysqlPool, mysqlExecutor } from '../../src/tiers/sql.ts'
import { openBuses, openLedger, openTier, type SqlBackend } from '../support/sql-contract.ts'
import { hasMariadb, MariadbServer } from './mariadb-server.ts'

vi.setConfig({ maxConcurrency: 10, testTimeout: 60_000, hookTimeout: 120_000 })
const sideBySide: Runner = { describe, test: test.concurrent as Runner['test'] }

describe.skipIf(!hasMariadb())('mariadb', () => {
  let server: MariadbServer
  let pools: (MysqlPool & { end(): Promise<void> })[] = []

  beforeAll(async () => {
    server = await MariadbServer.start()
    pools = [1, 2].map(() => createPool({ ...server.config, connectionLimit: 6 }))
  })
  afterAll(async () => {
    for (const pool of pools) await pool.end()
    await server.kill()
  })

  let turn = 0
  const backend: SqlBackend = {
    connect: () => mysqlExecutor(pools[turn++ % 2] as MysqlPool),
    bus: (executor, table) => sqlBus({ executor, table, logMessages: 128, pollMs: 5 }),
    close: () => {},
  }

  tierContract('mariadb', () => openTier(backend), sideBySide)
  ledgerContract('mariadb', () => openLedger(backend, true), sideBySide)
  ledgerContract('mariadb bus, without data', () => openLedger(backend, false), sideBySide)
  busContract('mariadb', () => openBuses(backend), sideBySide)
})
