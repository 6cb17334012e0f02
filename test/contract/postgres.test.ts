import pg from 'pg'
import { afterAll, beforeAll, describe, test, vi } from 'vitest'
import { postgresBus } from '../../src/bus/postgres.ts'
import { busContract, ledgerContract, type Runner, tierContract } from '../../src/testing/index.ts'
import { postgresExecutor } from '../../src/tiers/sql.ts'
import { hasPostgres, PostgresServer } from '../support/postgres-server.ts'
import { openBuses, openLedger, openTier, type SqlBackend } from '../support/sql-contract.ts'

vi.setConfig({ maxConcurrency: 10, testTimeout: 120_000, hookTimeout: 120_000 })
const sideBySide: Runner = { describe, test: test.concurrent as Runner['test'] }

describe.skipIf(!hasPostgres())('postgres', () => {
  let server: PostgresServer
  let pools: pg.Pool[] = []

  beforeAll(async () => {
    server = await PostgresServer.start()
    pools = [server.pool(), server.pool()]
  })
  afterAll(async () => {
    for (const pool of pools) await pool.end()
    await server.kill()
  })

  let turn = 0
  const backend: SqlBackend = {
    connect: () => postgresExecutor(pools[turn++ % 2] as pg.Pool),
    bus: (executor, table) =>
      postgresBus({ executor, table, logMessages: 128, subscriber: () => new pg.Client(server.config) }),
    close: () => {},
  }

  tierContract('postgres', () => openTier(backend), sideBySide)
  ledgerContract('postgres', () => openLedger(backend, true), sideBySide)
  ledgerContract('postgres bus, without data', () => openLedger(backend, false), sideBySide)
  busContract('postgres', () => openBuses(backend), sideBySide)
})
