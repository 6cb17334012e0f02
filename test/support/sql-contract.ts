// What the contract tests of the SQL parts open over any database.

import { setTimeout as sleep } from 'node:timers/promises'
import type { Bus } from '../../src/bus/bus.ts'
import { systemClock } from '../../src/clock.ts'
import type { BusUnderTest, LedgerUnderTest, TierUnderTest } from '../../src/testing/index.ts'
import type { Ledger } from '../../src/tiers/ledger.ts'
import { createCacheTables, type SqlExecutor, sqlTier } from '../../src/tiers/sql.ts'

/** The databases' own grain of time: an entry may be there for a millisecond longer. */
const GRAIN_MS = 5

const realTime = { clock: systemClock, advance: (byMs: number) => sleep(byMs + GRAIN_MS) }

/** A database for one test. */
export interface SqlBackend {
  /** A connection, or a pool, as another process has it. */
  connect(): SqlExecutor
  /** A bus over the same tables. */
  bus(executor: SqlExecutor, table: string): Bus
  close(): Promise<void> | void
}

let tables = 0

async function freshTable(executor: SqlExecutor): Promise<string> {
  const table = `cache_${++tables}`
  await createCacheTables(executor, { table })
  return table
}

export async function openTier(backend: SqlBackend): Promise<TierUnderTest> {
  const executor = backend.connect()
  const table = await freshTable(executor)
  return {
    tier: sqlTier({ executor, table }),
    other: sqlTier({ executor: backend.connect(), table }),
    ...realTime,
    close: () => backend.close(),
  }
}

export async function openLedger(backend: SqlBackend, keepsData: boolean): Promise<LedgerUnderTest> {
  const executor = backend.connect()
  const table = await freshTable(executor)
  const executors = [executor, backend.connect()]
  const tiers = executors.map((one) => sqlTier({ executor: one, table, logMessages: 128 }))
  const buses = executors.map((one) => backend.bus(one, table))
  const [ledger, other] = (keepsData ? tiers : buses).map((part) => part.ledger) as [Ledger, Ledger]
  return {
    ledger,
    other,
    bus: buses[0] as Bus,
    logMessages: 128,
    ...realTime,
    settle: () => sleep(2),
    reset: async () => {
      for (const suffix of ['_partitions', '_log', '_tags', ''])
        await executor.query(`DELETE FROM ${table}${suffix}`, [])
    },
    close: async () => {
      for (const part of [...tiers, ...buses]) await part.close()
      await backend.close()
    },
  }
}

export async function openBuses(backend: SqlBackend): Promise<BusUnderTest> {
  const executor = backend.connect()
  const table = await freshTable(executor)
  return {
    bus: backend.bus(executor, table),
    other: backend.bus(backend.connect(), table),
    settle: () => sleep(2),
    close: () => backend.close(),
  }
}
