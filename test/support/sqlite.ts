// SQLite databases for tests: a file in a folder of its own, and one connection per handle, as processes have them.

import { join } from 'node:path'
import * as stand from '@photostructure/sqlite'
import { type SqlExecutor, sqliteExecutor } from '../../src/tiers/sql.ts'
import { makeFolder, removeFolder } from './folder.ts'

/** `node:sqlite` where this Node has it, and else the package that stands in for it. */
const { DatabaseSync } = (process.getBuiltinModule('node:sqlite') as typeof stand | undefined) ?? stand

/** A database file and the connections to it. */
export class SqliteFile {
  readonly #folder = makeFolder()
  readonly #open: { close(): unknown }[] = []

  get path(): string {
    return join(this.#folder, 'cache.db')
  }

  /** One more connection. */
  connect(): SqlExecutor {
    const database = new DatabaseSync(this.path, { timeout: 50 })
    database.exec('PRAGMA journal_mode = WAL')
    database.exec('PRAGMA synchronous = OFF')
    this.#open.push(database)
    return sqliteExecutor(database)
  }

  close(): void {
    for (const database of this.#open) database.close()
    removeFolder(this.#folder)
  }
}

/** A database in memory, for one connection. */
export function memoryDatabase(): { executor: SqlExecutor; close(): void } {
  const database = new DatabaseSync(':memory:')
  return { executor: sqliteExecutor(database), close: () => database.close() }
}
