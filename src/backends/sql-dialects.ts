// What differs between databases, as data: types, the database's own clock, locks, upserts, how a bell is rung. All
// statements are written once, in sql-store.ts and sql-ledger.ts, with `?` for values.
//
// Keys are bytes in the database: text there has collations that fold and trim, and in PostgreSQL no NUL. Times are
// whole milliseconds by the database's clock, so no machine's clock is compared with another's.

import type { TierScope } from '../tiers/tier.ts'

/** The databases that are known. */
export type SqlDialectName = 'sqlite' | 'postgres' | 'mysql'

/** One database. */
export interface SqlDialect {
  readonly name: SqlDialectName
  readonly scope: TierScope
  /** Milliseconds since 1970, the same within a statement. */
  readonly nowMs: string
  /** Behind a SELECT: nobody else may change the rows, or neither change nor lock them. */
  readonly forShare: string
  readonly forUpdate: string
  /** Encloses a name. */
  readonly quote: string
  /** What tells a channel something, with the two for values; `undefined` where there are no channels. */
  readonly ring: string | undefined
  readonly bytesType: string
  readonly keyType: string
  /** In front of `TABLE` for one whose contents need not outlive a crash of the server. */
  readonly volatileTable: string
  /** Behind the columns of a table. */
  readonly tableSuffix: string
  /** Indexes are part of CREATE TABLE, since CREATE INDEX knows no IF NOT EXISTS. */
  readonly hasInlineIndexes: boolean
  /** Turns INSERT into one that leaves a row with the same key as it is. */
  readonly keepExisting: readonly [verb: string, suffix: string]
  /** Turns INSERT into one that replaces the given columns of such a row. */
  replaceExisting(key: string, columns: readonly string[]): string
}

const onConflict = (key: string, columns: readonly string[]): string =>
  `ON CONFLICT (${key}) DO UPDATE SET ${columns.map((column) => `${column} = excluded.${column}`).join(', ')}`

const sqlite: SqlDialect = {
  name: 'sqlite',
  scope: 'machine',
  nowMs: "CAST(ROUND((julianday('now') - 2440587.5) * 86400000) AS INTEGER)",
  // A transaction that writes has the whole database.
  forShare: '',
  forUpdate: '',
  quote: '"',
  ring: undefined,
  bytesType: 'BLOB',
  keyType: 'BLOB',
  volatileTable: '',
  tableSuffix: '',
  hasInlineIndexes: false,
  keepExisting: ['INSERT', 'ON CONFLICT DO NOTHING'],
  replaceExisting: onConflict,
}

const postgres: SqlDialect = {
  name: 'postgres',
  scope: 'fleet',
  nowMs: 'FLOOR(EXTRACT(EPOCH FROM statement_timestamp()) * 1000)::bigint',
  forShare: 'FOR SHARE',
  forUpdate: 'FOR UPDATE',
  quote: '"',
  ring: 'pg_notify(?, ?)',
  bytesType: 'BYTEA',
  keyType: 'BYTEA',
  volatileTable: 'UNLOGGED',
  tableSuffix: '',
  hasInlineIndexes: false,
  keepExisting: ['INSERT', 'ON CONFLICT DO NOTHING'],
  replaceExisting: onConflict,
}

const mysql: SqlDialect = {
  name: 'mysql',
  scope: 'fleet',
  nowMs: "(TIMESTAMPDIFF(MICROSECOND, '1970-01-01 00:00:00', UTC_TIMESTAMP(6)) DIV 1000)",
  forShare: 'LOCK IN SHARE MODE',
  forUpdate: 'FOR UPDATE',
  quote: '`',
  ring: undefined,
  bytesType: 'LONGBLOB',
  keyType: 'VARBINARY(512)',
  volatileTable: '',
  tableSuffix: 'ENGINE=InnoDB',
  hasInlineIndexes: true,
  keepExisting: ['INSERT IGNORE', ''],
  replaceExisting: (_, columns) =>
    `ON DUPLICATE KEY UPDATE ${columns.map((column) => `${column} = VALUES(${column})`).join(', ')}`,
}

/** The databases by name. */
export const sqlDialects: Readonly<Record<SqlDialectName, SqlDialect>> = { sqlite, postgres, mysql }

/** The names of a cache's tables, quoted. */
export interface SqlTables {
  readonly entries: string
  readonly partitions: string
  readonly log: string
  readonly tags: string
}

/** The tables of a cache; `table` was checked. */
export function tablesOf(dialect: SqlDialect, table: string): SqlTables {
  const quoted = (suffix: string): string =>
    `${table}${suffix}`
      .split('.')
      .map((part) => `${dialect.quote}${part}${dialect.quote}`)
      .join('.')
  return {
    entries: quoted(''),
    partitions: quoted('_partitions'),
    log: quoted('_log'),
    tags: quoted('_tags'),
  }
}

/**
 * The statements that make a cache's tables where they are missing, in order.
 *
 * @param isVolatile - Contents need not outlive a crash of the server; decides for PostgreSQL only (`UNLOGGED`).
 */
export function tableStatements(dialect: SqlDialect, table: string, isVolatile: boolean): string[] {
  const tables = tablesOf(dialect, table)
  const create = `CREATE ${isVolatile && dialect.volatileTable !== '' ? `${dialect.volatileTable} ` : ''}TABLE IF NOT EXISTS`
  const columns = [
    `cache_key ${dialect.keyType} NOT NULL PRIMARY KEY`,
    'part INTEGER NOT NULL',
    `value ${dialect.bytesType} NOT NULL`,
    'expires_at BIGINT',
    'written_at BIGINT NOT NULL',
    'stamp_part INTEGER',
    'stamp_epoch BIGINT',
    'stamp_sequence BIGINT',
  ]
  const bare = table.slice(table.indexOf('.') + 1)
  const indexes = ['expires_at', 'written_at'].map((column) => ({
    name: `${dialect.quote}${bare}_${column}${dialect.quote}`,
    column,
  }))
  const inline = dialect.hasInlineIndexes
    ? indexes.map(({ name, column }) => `INDEX ${name} (${column})`)
    : []
  const table_ = (name: string, lines: readonly string[]): string =>
    `${create} ${name} (\n  ${lines.join(',\n  ')}\n)${dialect.tableSuffix === '' ? '' : ` ${dialect.tableSuffix}`}`
  return [
    table_(tables.entries, [...columns, ...inline]),
    ...(dialect.hasInlineIndexes
      ? []
      : indexes.map(
          ({ name, column }) => `CREATE INDEX IF NOT EXISTS ${name} ON ${tables.entries} (${column})`,
        )),
    table_(tables.partitions, [
      'part INTEGER NOT NULL PRIMARY KEY',
      'format INTEGER NOT NULL',
      'partitions INTEGER NOT NULL',
      'epoch BIGINT NOT NULL',
      'sequence BIGINT NOT NULL',
    ]),
    table_(tables.log, [
      'part INTEGER NOT NULL',
      'sequence BIGINT NOT NULL',
      `message ${dialect.bytesType} NOT NULL`,
      'PRIMARY KEY (part, sequence)',
    ]),
    // The last invalidations of tags, as sequences of the tag partition, 0 for none; the row without a name has in
    // `deleted` up to where they may have been forgotten.
    table_(tables.tags, [
      `name ${dialect.keyType} NOT NULL PRIMARY KEY`,
      'epoch BIGINT NOT NULL',
      'expired BIGINT NOT NULL',
      'deleted BIGINT NOT NULL',
    ]),
  ]
}
