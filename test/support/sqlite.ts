// SQLite databases for tests: a file in a folder of its own, and one connection per handle, as processes have them.

import { join } from 'node:path'
import { DatabaseSync } from '@photostructure/sqlite'
import { type SqlExecutor, sqliteExecutor } from '../../src/tiers/sql.ts'
import { makeFolder, removeFolder } from './folder.ts'

/** A database file and the connections to it. */
export class SqliteFile {
  readonly #folder = makeFolder()
  readonly #open: { close(): unknown }[] = []

  /** One more connection. The package is `node:sqlite` for versions of Node that have none. */
  connect(): SqlExecutor {
    const database = new DatabaseSync(join(this.#folder, 'cache.db'), { timeout: 50 })
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
