// Django's `createcachetable`: makes the tables of every alias of `db`, and says so in Django's words.

import { checkNames } from '../options.ts'
import { cacheTableStatements, createCacheTables, type SqlExecutor } from '../tiers/sql.ts'
import { checkBackend, executorOf } from './backends.ts'
import { type CacheSettings, checkSettings } from './settings.ts'

/** What `createCacheTable` takes beside the settings. */
export interface CreateCacheTableOptions {
  /** As `configureCaches` has them. */
  databases: Readonly<Record<string, SqlExecutor>>
  /**
   * Only in this one of the databases; tables of others are left alone, and no statement is sent there.
   *
   * @defaultValue all of them
   */
  database?: string
  /**
   * Prints the statements, and sends none.
   *
   * @defaultValue `false`
   */
  dryRun?: boolean
  /**
   * 0 says nothing, 1 which tables are there already, 2 also which were made.
   *
   * @defaultValue `1`
   */
  verbosity?: 0 | 1 | 2
  /**
   * Gets each line.
   *
   * @defaultValue `console.log`
   */
  say?: (line: string) => void
}

const names = ['databases', 'database', 'dryRun', 'say', 'verbosity']

/**
 * Makes the tables of every alias whose BACKEND is `db`, where they are missing.
 *
 * @returns The tables that were made; with `dryRun` none.
 * @throws TypeError or RangeError naming alias, setting and value; what the client throws, when the database refuses.
 * @example
 * await createCacheTable(settings.CACHES, { databases: { default: postgresExecutor(pool) } })
 */
export async function createCacheTable(
  settings: Readonly<Record<string, CacheSettings>>,
  options: CreateCacheTableOptions,
): Promise<string[]> {
  checkNames(options, names, 'createCacheTable')
  const { databases, database, dryRun = false, say = (line) => console.log(line), verbosity = 1 } = options
  const all = [...checkSettings(settings).values()].filter(({ backend }) => backend === 'db')
  for (const each of all) checkBackend(each, { databases })
  const made: string[] = []
  for (const each of all) {
    if (database !== undefined && (each.options.DATABASE ?? 'default') !== database) continue
    const [table = ''] = each.locations
    const executor = executorOf(each, { databases })
    if (dryRun) {
      for (const statement of cacheTableStatements(executor.dialect, { table })) say(`${statement};`)
      continue
    }
    const missing = await createCacheTables(executor, { table })
    if (missing.length > 0) made.push(table)
    if (missing.length === 0 && verbosity > 0) say(`Cache table '${table}' already exists.`)
    if (missing.length > 0 && verbosity > 1) say(`Cache table '${table}' created.`)
  }
  return made
}
