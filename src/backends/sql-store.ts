// One tier's or one bus's hold on a cache's tables: runs statements, remembers how far it has seen each partition, and
// gives failures the form that callers know.
//
//    table                one row per entry: key, partition, bytes, deadline, when it was written, stamp
//    table_partitions     one row per partition: format, number of partitions, epoch, sequence
//    table_log            one row per mutation that is still known: partition, sequence, message
//
// Whoever changes the order locks the row of the partition first, so a transaction that holds it is alone with its
// partition. What does not concern the order (the tier's own operations) is one statement each, and the database's own
// locks on the entry's row decide.
//
// A partition that stands before where it was seen has lost something: the database was restored from an older copy,
// or another server took over that was behind. Then a new epoch begins and the partition's entries are removed. The
// epoch is the database's time in microseconds, and larger than any that was seen.

import type { Clock } from '../clock.ts'
import { describe } from '../duration.ts'
import { CacheError } from '../errors.ts'
import { partitionTextOf } from '../key.ts'
import { checkCount } from '../options.ts'
import { isAtOrAfter, partitionOf, type Stamp } from '../stamp.ts'
import type { TierEntry, TierWrite } from '../tiers/tier.ts'
import {
  type SqlDialect,
  type SqlDialectName,
  type SqlTables,
  sqlDialects,
  tableStatements,
  tablesOf,
} from './sql-dialects.ts'
import type { SqlExecutor, SqlQuery, SqlResult, SqlValue } from './sql-executors.ts'

/** Options that a SQL tier and a PostgreSQL bus share; those that belong together are given the same. */
export interface SqlOptions {
  /** The database: `sqliteExecutor(database)`, `postgresExecutor(pool)`, `mysqlExecutor(pool)`, or one of yours. */
  executor: SqlExecutor

  /**
   * The table of entries; two more have its name with `_partitions` and `_log` behind it. At most 40 letters, digits,
   * underscores and single spaces inside, with a schema and a dot in front where it is not the first of the search path. Caches with
   * different tables share a database without meeting.
   *
   * @defaultValue `'tierwheel_cache'`
   */
  table?: string

  /**
   * Whether the tables are made at the first operation where they are missing. Otherwise
   * `tierwheel createcachetable` makes them, or `createCacheTables`.
   *
   * @defaultValue `false`
   */
  createTables?: boolean

  /**
   * Into how many parts the keys are dealt, each with an order of its own, from 1 to 1,024. The same for everyone who
   * uses the table; another number is refused.
   *
   * @defaultValue `16`
   */
  partitions?: number

  /**
   * How many mutations of each partition are kept at the least for those who missed some, from 1 to 100,000: a
   * populate looks through those that came after its read.
   *
   * @defaultValue `1_024`
   */
  logMessages?: number
}

/** The names of `SqlOptions`. */
export const sqlOptionNames: readonly string[] = [
  'executor',
  'table',
  'createTables',
  'partitions',
  'logMessages',
]

/** The table of a cache that names none. */
export const DEFAULT_TABLE = 'tierwheel_cache'

/** What was found of a key. */
export interface SqlLooked {
  readonly entry: TierEntry | undefined
  readonly asOf: Stamp
}

const FORMAT = 1
/** Keys of one statement. */
const KEYS_PER_CALL = 128
const ROWS_PER_PRUNE = 1_000
const ATTEMPTS = 6
const FIRST_RETRY_MS = 2
/** Longer lives are for ever. */
const LONGEST_MS = 2 ** 52
const HOUR_US = 3_600_000_000
/** For so long all wait for one connection; whoever comes later asks on another one. */
const PATIENCE_MS = 1_000

const columns = [
  'cache_key',
  'part',
  'value',
  'expires_at',
  'written_at',
  'stamp_part',
  'stamp_epoch',
  'stamp_sequence',
] as const

/** That a partition has no row, or stands before where it was seen. Never leaves this room. */
class Unsettled {
  readonly partitions: readonly number[]

  constructor(partitions: readonly number[]) {
    this.partitions = partitions
  }
}

/** What all operations wait for before their own statements. */
interface Agreement {
  readonly reached: Promise<void>
  readonly begunAt: number
  isReached: boolean
}

/** What a tier or a bus adds to its options. */
export interface SqlHold {
  /** `null` for any number. */
  readonly maxEntries: number | null
  /** For the waits before a statement is tried again that lost against another. */
  readonly clock: Clock
}

/** A cache's tables, as one tier or bus has them. */
export class SqlStore {
  /** The tier or bus, for its errors. */
  readonly name: string
  readonly partitions: number
  readonly logMessages: number
  /** What the tier's and the bus's `channel` says. */
  readonly channel: string
  readonly table: string
  readonly dialect: SqlDialect
  readonly tables: SqlTables
  readonly #executor: SqlExecutor
  readonly #createTables: boolean
  readonly #seen: Stamp[]
  readonly #hold: SqlHold
  readonly #query: SqlQuery
  readonly #encoder = new TextEncoder()
  readonly #decoder = new TextDecoder('utf-8', { ignoreBOM: true })
  readonly #isLive: string
  /** After so many entries written here they are counted. */
  readonly #countEvery: number
  #written = 0
  #isClosed = false
  /** That every partition has its row, and as many as here. */
  #agreement: Agreement | undefined

  /** @throws TypeError or RangeError naming the option. */
  constructor(name: string, options: SqlOptions, hold: SqlHold) {
    const {
      executor,
      table = DEFAULT_TABLE,
      createTables = false,
      partitions = 16,
      logMessages = 1_024,
    } = options
    this.name = name
    this.#executor = checkExecutor(executor)
    this.dialect = dialectOf(executor.dialect, 'executor.dialect')
    this.table = checkTable(table)
    if (typeof createTables !== 'boolean')
      throw new TypeError(`createTables: ${describe(createTables)} is neither true nor false`)
    this.#createTables = createTables
    this.partitions = checkCount(partitions, 'partitions', 1, 1_024)
    this.logMessages = checkCount(logMessages, 'logMessages', 1, 100_000)
    this.tables = tablesOf(this.dialect, table)
    this.channel = `sql:${executor.dialect}:${table}`
    // Those of keys, and the tag partition.
    this.#seen = Array.from({ length: partitions + 1 }, (_, partition) => ({
      partition,
      epoch: 0,
      sequence: 0,
    }))
    this.#hold = hold
    this.#query = (sql, values) => executor.query(sql, values)
    this.#countEvery = Math.max(1, Math.floor((hold.maxEntries ?? Number.POSITIVE_INFINITY) / 16))
    this.#isLive = `(expires_at IS NULL OR expires_at > ${this.dialect.nowMs})`
  }

  get isClosed(): boolean {
    return this.#isClosed
  }

  close(): void {
    this.#isClosed = true
  }

  /** Runs an operation on tables that are there, and gives its failure the form that callers know. */
  async attempt<T>(what: string, run: (query: SqlQuery) => Promise<T>): Promise<T> {
    if (this.#isClosed)
      throw new CacheError('CACHE_CLOSED', `${this.name}: ${what} after close`, { tier: 'sql' })
    try {
      for (let attempt = 1; ; attempt++) {
        try {
          await this.#agreed()
          const result = await run(this.#query)
          if (this.#written >= this.#countEvery) await this.#bound()
          return result
        } catch (error) {
          if (attempt === ATTEMPTS) throw error instanceof Unsettled ? new Error(UNSETTLED) : error
          if (error instanceof Unsettled) void this.#begin(this.#settleAll(error.partitions))
          else if (isTransient(error)) await later(this.#hold.clock, FIRST_RETRY_MS * 2 ** attempt)
          else throw error
        }
      }
    } catch (error) {
      throw sqlFailureOf(this.name, what, error, this.table)
    }
  }

  partitionOf(key: string): number {
    return partitionOf(partitionTextOf(key), this.partitions)
  }

  /** How far the partition was seen. */
  seen(partition: number): Stamp {
    return this.#seen[partition] as Stamp
  }

  /** Takes note of where a partition stands. */
  note(stamp: Stamp): void {
    if (isAtOrAfter(stamp, this.seen(stamp.partition))) this.#seen[stamp.partition] = stamp
  }

  transaction<T>(body: (query: SqlQuery) => Promise<T>): Promise<T> {
    return this.#executor.transaction(body)
  }

  /**
   * Locks a partition and says where it stands.
   *
   * @param lock - `forShare` keeps the order from being changed, `forUpdate` keeps everyone out.
   */
  async lock(query: SqlQuery, partition: number, lock: 'forShare' | 'forUpdate'): Promise<Stamp> {
    const { rows } = await query(
      `SELECT part, epoch, sequence FROM ${this.tables.partitions} WHERE part = ? ${this.dialect[lock]}`,
      [partition],
    )
    const [stamp] = this.#stampsOf(rows, [this.seen(partition)])
    return stamp as Stamp
  }

  /** The same for all of them, in the one order in which everybody does it. */
  async lockAll(query: SqlQuery): Promise<Stamp[]> {
    const { rows } = await query(
      `SELECT part, epoch, sequence FROM ${this.tables.partitions} ORDER BY part ${this.dialect.forUpdate}`,
      [],
    )
    return this.#stampsOf(rows, [...this.#seen])
  }

  /** Where all partitions stand. */
  async stand(): Promise<Stamp[]> {
    const seen = [...this.#seen]
    const { rows } = await this.#query(
      `SELECT part, epoch, sequence FROM ${this.tables.partitions} ORDER BY part`,
      [],
    )
    return this.#stampsOf(rows, seen)
  }

  #stampsOf(rows: SqlResult['rows'], seen: readonly Stamp[]): Stamp[] {
    const found = new Map(rows.map((row) => [Number(row.part), row]))
    // All that have lost their place at once: a table may be empty.
    const unsettled: number[] = []
    const stamps = seen.map((from) => {
      const row = found.get(from.partition)
      const stamp = { ...from, epoch: Number(row?.epoch), sequence: Number(row?.sequence) }
      if (row === undefined || !isAtOrAfter(stamp, from)) unsettled.push(from.partition)
      return stamp
    })
    if (unsettled.length > 0) throw new Unsettled(unsettled)
    return stamps
  }

  /**
   * Entries and where their partitions stand, in the order of the keys. One statement, so both are of one moment.
   *
   * @param keepsData - Without, entries are left out.
   */
  async look(keys: readonly string[], keepsData: boolean): Promise<SqlLooked[]> {
    const seen = [...this.#seen]
    const answers: SqlLooked[] = []
    for (const part of chunksOf(keys)) {
      const partitions = [...new Set(part.map((key) => this.partitionOf(key)))]
      const [parts, marks] = [padded(partitions), padded(part)]
      const entries = keepsData
        ? `LEFT JOIN ${this.tables.entries} e ON e.part = p.part AND e.cache_key IN (${marks.map(() => '?').join(', ')}) AND ${this.#isLive}`
        : ''
      const found = keepsData
        ? `, e.cache_key AS cache_key, e.value AS value, e.expires_at - ${this.dialect.nowMs} AS remaining, e.stamp_part AS stamp_part, e.stamp_epoch AS stamp_epoch, e.stamp_sequence AS stamp_sequence`
        : ''
      const { rows } = await this.#query(
        `SELECT p.part AS part, p.epoch AS epoch, p.sequence AS sequence${found} FROM ${this.tables.partitions} p ${entries} WHERE p.part IN (${parts.map(() => '?').join(', ')})`,
        [...(keepsData ? marks.map((key) => this.keyOf(key)) : []), ...parts],
      )
      const wanted = partitions.map((partition) => seen[partition] as Stamp)
      const stands = new Map(this.#stampsOf(rows, wanted).map((stamp) => [stamp.partition, stamp]))
      const byKey = this.#entriesIn(rows)
      for (const key of part) {
        const asOf = stands.get(this.partitionOf(key)) as Stamp
        this.note(asOf)
        answers.push({ entry: byKey.get(key), asOf })
      }
    }
    return answers
  }

  /** Live entries, in the order of the keys. */
  async entriesOf(query: SqlQuery, keys: readonly string[]): Promise<(TierEntry | undefined)[]> {
    const answers: (TierEntry | undefined)[] = []
    for (const part of chunksOf(keys)) {
      const byKey = await this.#entriesBy(query, part, '')
      for (const key of part) answers.push(byKey.get(key))
    }
    return answers
  }

  /** A live entry that nobody else can change until the transaction is over. */
  async lockEntry(query: SqlQuery, key: string): Promise<TierEntry | undefined> {
    return (await this.#entriesBy(query, [key], this.dialect.forUpdate)).get(key)
  }

  async #entriesBy(query: SqlQuery, keys: readonly string[], lock: string): Promise<Map<string, TierEntry>> {
    const marks = padded(keys)
    const { rows } = await query(
      `SELECT cache_key, value, expires_at - ${this.dialect.nowMs} AS remaining, stamp_part, stamp_epoch, stamp_sequence FROM ${this.tables.entries} WHERE cache_key IN (${marks.map(() => '?').join(', ')}) AND ${this.#isLive} ${lock}`,
      marks.map((key) => this.keyOf(key)),
    )
    return this.#entriesIn(rows)
  }

  #entriesIn(rows: SqlResult['rows']): Map<string, TierEntry> {
    const entries = new Map<string, TierEntry>()
    for (const row of rows) {
      if (row.cache_key === undefined || row.cache_key === null) continue
      const { stamp_part: partition, stamp_epoch: epoch, stamp_sequence: sequence } = row
      entries.set(this.#decoder.decode(bytesIn(row.cache_key)), {
        bytes: bytesIn(row.value),
        remainingMs: row.remaining === null ? Number.POSITIVE_INFINITY : Number(row.remaining),
        stamp:
          epoch === null
            ? undefined
            : { partition: Number(partition), epoch: Number(epoch), sequence: Number(sequence) },
      })
    }
    return entries
  }

  /** Stores entries of different keys, replacing what was there; those without time are removed. */
  async store(query: SqlQuery, writes: readonly TierWrite[]): Promise<void> {
    const gone = writes.filter(({ remainingMs }) => !(remainingMs > 0))
    if (gone.length > 0)
      await this.remove(
        query,
        gone.map(({ key }) => key),
      )
    // In one order, so that two who store the same keys do not wait for each other.
    const kept = writes
      .filter(({ remainingMs }) => remainingMs > 0)
      .toSorted((left, right) => (left.key < right.key ? -1 : 1))
    this.#written += kept.length
    for (const part of chunksOf(kept)) {
      await query(
        `INSERT INTO ${this.tables.entries} (${columns.join(', ')}) VALUES ${part.map(() => this.#row()).join(', ')} ${this.dialect.replaceExisting('cache_key', columns.slice(1))}`,
        part.flatMap((write) => this.#valuesOf(write)),
      )
    }
  }

  /** Stores an entry if no live one is there. */
  async add(query: SqlQuery, write: TierWrite): Promise<boolean> {
    const [verb, suffix] = this.dialect.keepExisting
    if (!(write.remainingMs > 0)) return (await this.#entriesBy(query, [write.key], '')).size === 0
    await query(`DELETE FROM ${this.tables.entries} WHERE cache_key = ? AND NOT ${this.#isLive}`, [
      this.keyOf(write.key),
    ])
    this.#written++
    const { changed } = await query(
      `${verb} INTO ${this.tables.entries} (${columns.join(', ')}) VALUES ${this.#row()} ${suffix}`,
      this.#valuesOf(write),
    )
    return changed > 0
  }

  /**
   * Stores an entry over a live one.
   *
   * @param expected - The bytes that the live one must have; `undefined` for any.
   */
  async replace(query: SqlQuery, write: TierWrite, expected?: Uint8Array): Promise<boolean> {
    const where = `cache_key = ? AND ${this.#isLive}${expected === undefined ? '' : ' AND value = ?'}`
    const values = [this.keyOf(write.key), ...(expected === undefined ? [] : [expected])]
    if (!(write.remainingMs > 0)) {
      return (await query(`DELETE FROM ${this.tables.entries} WHERE ${where}`, values)).changed > 0
    }
    const { nowMs } = this.dialect
    const { changed } = await query(
      `UPDATE ${this.tables.entries} SET value = ?, expires_at = ${nowMs} + ?, written_at = ${nowMs}, stamp_part = ?, stamp_epoch = ?, stamp_sequence = ? WHERE ${where}`,
      [...this.#valuesOf(write).slice(2), ...values],
    )
    return changed > 0
  }

  /** Gives a live entry other bytes, and keeps its remaining time and, without a new one, its stamp. */
  async rewrite(query: SqlQuery, key: string, bytes: Uint8Array, stamp?: Stamp): Promise<void> {
    const stamped = stamp === undefined ? '' : ', stamp_part = ?, stamp_epoch = ?, stamp_sequence = ?'
    await query(`UPDATE ${this.tables.entries} SET value = ?${stamped} WHERE cache_key = ?`, [
      bytes,
      ...(stamp === undefined ? [] : [stamp.partition, stamp.epoch, stamp.sequence]),
      this.keyOf(key),
    ])
  }

  /** Gives a live entry a new remaining time and, where there is one, a new stamp. */
  async touch(query: SqlQuery, key: string, remainingMs: number, stamp?: Stamp): Promise<boolean> {
    const where = `cache_key = ? AND ${this.#isLive}`
    if (!(remainingMs > 0)) {
      return (await query(`DELETE FROM ${this.tables.entries} WHERE ${where}`, [this.keyOf(key)])).changed > 0
    }
    const stamped = stamp === undefined ? '' : ', stamp_part = ?, stamp_epoch = ?, stamp_sequence = ?'
    const { changed } = await query(
      `UPDATE ${this.tables.entries} SET expires_at = ${this.dialect.nowMs} + ?${stamped} WHERE ${where}`,
      [
        remainingOf(remainingMs),
        ...(stamp === undefined ? [] : [stamp.partition, stamp.epoch, stamp.sequence]),
        this.keyOf(key),
      ],
    )
    return changed > 0
  }

  /** Removes entries. Resolves to how many of them were live. */
  async remove(query: SqlQuery, keys: readonly string[]): Promise<number> {
    let removed = 0
    for (const part of chunksOf(keys.toSorted())) {
      const marks = padded(part)
      const where = `cache_key IN (${marks.map(() => '?').join(', ')}) AND ${this.#isLive}`
      const { changed } = await query(
        `DELETE FROM ${this.tables.entries} WHERE ${where}`,
        marks.map((key) => this.keyOf(key)),
      )
      removed += changed
    }
    return removed
  }

  /** Removes every entry below a prefix. */
  async clear(query: SqlQuery, prefix: string): Promise<void> {
    if (prefix === '') {
      await query(`DELETE FROM ${this.tables.entries}`, [])
      return
    }
    const from = this.keyOf(prefix)
    // No byte of UTF-8 is 0xff, so the last one has a successor.
    const to = Uint8Array.from(from)
    to[to.length - 1] = (to.at(-1) as number) + 1
    await query(`DELETE FROM ${this.tables.entries} WHERE cache_key >= ? AND cache_key < ?`, [from, to])
  }

  /** Removes entries whose time is over, a portion of them. Resolves to how many. */
  async prune(): Promise<number> {
    const { changed } = await this.#query(
      this.#removeFirst(`WHERE expires_at <= ${this.dialect.nowMs} ORDER BY expires_at`, ROWS_PER_PRUNE),
      [],
    )
    return changed
  }

  /** Counts, and makes room where there is none: expired entries first, then those written longest ago. */
  async #bound(): Promise<void> {
    const most = this.#hold.maxEntries ?? Number.POSITIVE_INFINITY
    this.#written = 0
    try {
      let entries = await this.#count()
      if (entries <= most) return
      // Counted once: to count is to look at every row.
      for (let pruned = ROWS_PER_PRUNE; pruned === ROWS_PER_PRUNE; entries -= pruned) {
        pruned = await this.prune()
      }
      const kept = Math.max(1, Math.floor((most * 7) / 8))
      for (let excess = entries - kept; excess > 0; excess -= ROWS_PER_PRUNE) {
        await this.#query(this.#removeFirst('ORDER BY written_at', Math.min(excess, ROWS_PER_PRUNE)), [])
      }
    } catch {
      // What was written is written. Another one may be making room just now; if not, the next write tries again.
      this.#written = this.#countEvery
    }
  }

  async #count(): Promise<number> {
    const { rows } = await this.#query(`SELECT COUNT(*) AS entries FROM ${this.tables.entries}`, [])
    return Number(rows[0]?.entries)
  }

  /** MySQL takes a limit in a subquery only inside another one. */
  #removeFirst(which: string, limit: number): string {
    const first = `SELECT cache_key FROM ${this.tables.entries} ${which} LIMIT ${limit}`
    return `DELETE FROM ${this.tables.entries} WHERE cache_key IN (SELECT cache_key FROM (${first}) first)`
  }

  keyOf(key: string): Uint8Array {
    return this.#encoder.encode(key)
  }

  #row(): string {
    const { nowMs } = this.dialect
    return `(?, ?, ?, ${nowMs} + ?, ${nowMs}, ?, ?, ?)`
  }

  #valuesOf({ key, bytes, remainingMs, stamp }: TierWrite): SqlValue[] {
    return [
      this.keyOf(key),
      this.partitionOf(key),
      bytes,
      remainingOf(remainingMs),
      stamp?.partition ?? null,
      stamp?.epoch ?? null,
      stamp?.sequence ?? null,
    ]
  }

  /** Sees to it that every partition has its row, and that their number is the same for all. */
  async #agree(): Promise<void> {
    const { rows } = await this.#standing()
    for (const row of rows) {
      if (Number(row.format) !== FORMAT) throw new Error(`TIERWHEEL format ${String(row.format)}`)
      if (Number(row.partitions) !== this.partitions)
        throw new Error(`TIERWHEEL partitions ${String(row.partitions)}`)
    }
    const there = new Set(rows.map((row) => Number(row.part)))
    for (const { partition } of this.#seen) if (!there.has(partition)) await this.#settle(partition)
  }

  /** All wait for the same statements, but not for ever: an answer that never comes must not be everybody's. */
  #agreed(): Promise<void> {
    const found = this.#agreement
    const isWaitedFor =
      found !== undefined && (found.isReached || this.#hold.clock.now() - found.begunAt < PATIENCE_MS)
    return isWaitedFor ? found.reached : this.#begin(this.#agree())
  }

  #begin(reached: Promise<void>): Promise<void> {
    const agreement: Agreement = { reached, begunAt: this.#hold.clock.now(), isReached: false }
    this.#agreement = agreement
    reached.then(
      () => {
        agreement.isReached = true
      },
      () => {
        if (this.#agreement === agreement) this.#agreement = undefined
      },
    )
    return reached
  }

  async #standing(): Promise<SqlResult> {
    const statement = `SELECT part, format, partitions FROM ${this.tables.partitions}`
    try {
      return await this.#query(statement, [])
    } catch (error) {
      if (!this.#createTables || !isMissingTable(error)) throw error
      await createTables(this.#executor, this.table, true)
      return await this.#query(statement, [])
    }
  }

  async #settleAll(partitions: readonly number[]): Promise<void> {
    for (const partition of partitions) await this.#settle(partition)
  }

  /** Begins a new epoch in a partition that has no row, or that stands before where it was seen. */
  async #settle(partition: number): Promise<void> {
    const before = this.seen(partition)
    const stamp = await this.transaction((query) => this.#settleIn(query, partition))
    // An answer that took its time must not take back what was seen meanwhile.
    if (this.seen(partition) === before) this.#seen[partition] = stamp
    else this.note(stamp)
  }

  async #settleIn(query: SqlQuery, partition: number): Promise<Stamp> {
    const { partitions, log, entries } = this.tables
    const [verb, suffix] = this.dialect.keepExisting
    const { changed } = await query(
      `${verb} INTO ${partitions} (part, format, partitions, epoch, sequence) VALUES (?, ?, ?, 0, 0) ${suffix}`,
      [partition, FORMAT, this.partitions],
    )
    const { rows } = await query(
      `SELECT epoch, sequence, ${this.dialect.nowMs} AS now FROM ${partitions} WHERE part = ? ${this.dialect.forUpdate}`,
      [partition],
    )
    const [{ epoch, sequence, now } = { epoch: 0, sequence: 0, now: 0 }] = rows
    const stamp = { partition, epoch: Number(epoch), sequence: Number(sequence) }
    const seen = this.seen(partition)
    const nowUs = Number(now) * 1_000
    // An epoch of the far future is made up by who can write to the channel, and no reason to begin another one.
    const isBehind = !isAtOrAfter(stamp, seen) && seen.epoch < nowUs + HOUR_US
    if (changed === 0 && !isBehind) return stamp
    const next = Math.max(nowUs, stamp.epoch + 1, isBehind ? seen.epoch + 1 : 0)
    await query(`DELETE FROM ${log} WHERE part = ?`, [partition])
    await query(`DELETE FROM ${entries} WHERE part = ?`, [partition])
    await query(`UPDATE ${partitions} SET epoch = ?, sequence = 0 WHERE part = ?`, [next, partition])
    return { partition, epoch: next, sequence: 0 }
  }
}

const UNSETTLED = 'a partition is older than it was seen, again and again; are reads sent to a replica?'

/** Makes a cache's tables where they are missing. Resolves to the names of these. */
export async function createTables(
  executor: SqlExecutor,
  table: string,
  isVolatile: boolean,
): Promise<string[]> {
  const dialect = sqlDialects[executor.dialect]
  const statements = tableStatements(dialect, checkTable(table), isVolatile)
  const missing: string[] = []
  for (const [name, quoted] of Object.entries(tablesOf(dialect, table))) {
    try {
      await executor.query(`SELECT 1 FROM ${quoted} WHERE 1 = 0`, [])
    } catch (error) {
      if (!isMissingTable(error)) throw error
      missing.push(name === 'entries' ? table : `${table}_${name}`)
    }
  }
  for (const statement of statements) {
    try {
      await executor.query(statement, [])
    } catch (error) {
      // PostgreSQL looks before it makes: of two at once one may fail, and then it is there.
      const { code } = error as { code?: unknown }
      if (code !== '23505' && code !== '42P07') throw error
      await executor.query(statement, [])
    }
  }
  return missing
}

/**
 * Refuses a name that is not a plain one.
 *
 * @throws TypeError.
 */
export function checkTable(table: unknown): string {
  if (
    typeof table === 'string' &&
    table.length <= 40 &&
    /^([A-Za-z_][A-Za-z0-9_]*\.)?[A-Za-z_][A-Za-z0-9_]*( [A-Za-z0-9_]+)*$/.test(table)
  )
    return table
  throw new TypeError(
    `table: ${describe(table)} may have at most 40 letters, digits, underscores and single spaces inside, not a digit first, with a schema and a dot in front where it needs one`,
  )
}

function checkExecutor(value: unknown): SqlExecutor {
  const executor = value as Partial<SqlExecutor> | null | undefined
  if (typeof executor?.query !== 'function' || typeof executor.transaction !== 'function') {
    throw new TypeError(
      `executor: ${describe(value)} has no query() and transaction(); pass sqliteExecutor(database), postgresExecutor(pool) or mysqlExecutor(pool)`,
    )
  }
  return executor as SqlExecutor
}

/**
 * The database with this name.
 *
 * @throws TypeError naming the option.
 */
export function dialectOf(name: unknown, option: string): SqlDialect {
  if (typeof name === 'string' && Object.hasOwn(sqlDialects, name)) return sqlDialects[name as SqlDialectName]
  throw new TypeError(`${option}: ${describe(name)} is none of 'sqlite', 'postgres' and 'mysql'`)
}

function remainingOf(remainingMs: number): number | null {
  return remainingMs > LONGEST_MS ? null : Math.ceil(remainingMs)
}

/** What a client gives for bytes: a view, or bare memory. */
export function bytesIn(value: unknown): Uint8Array {
  if (value instanceof Uint8Array) return value
  if (value instanceof ArrayBuffer) return new Uint8Array(value)
  throw new Error(`${describe(value)} where bytes were stored; was the table made by something else?`)
}

function later(clock: Clock, delayMs: number): Promise<void> {
  return new Promise((resolve) => void clock.setTimer(resolve, delayMs))
}

function chunksOf<T>(all: readonly T[]): T[][] {
  const chunks: T[][] = []
  for (let at = 0; at < all.length; at += KEYS_PER_CALL) chunks.push(all.slice(at, at + KEYS_PER_CALL))
  return chunks
}

/** A list made longer to a power of two by its last member, so that there are few different statements. */
function padded<T>(list: readonly T[]): T[] {
  let length = 1
  while (length < list.length) length *= 2
  return Array.from({ length }, (_, at) => list[Math.min(at, list.length - 1)] as T)
}

/** Whether a statement lost against another one, and may well succeed when it is tried again. */
function isTransient(error: unknown): boolean {
  const { code, errno, errcode } = error as { code?: unknown; errno?: unknown; errcode?: unknown }
  return (
    code === '40001' ||
    code === '40P01' ||
    errno === 1_205 ||
    errno === 1_213 ||
    errcode === 5 ||
    (typeof code === 'string' && code.startsWith('SQLITE_BUSY'))
  )
}

function isMissingTable(error: unknown): boolean {
  const { code, errno, message } = error as { code?: unknown; errno?: unknown; message?: unknown }
  return code === '42P01' || errno === 1_146 || (typeof message === 'string' && /no such table/.test(message))
}

/**
 * An operation's failure, as callers know it.
 *
 * Errors of client libraries carry the statement, its values and the row in the way; none may get into a log. What is
 * kept is the message without credentials, the name and the code.
 */
export function sqlFailureOf(name: string, what: string, error: unknown, table: string): unknown {
  if (error instanceof CacheError || error instanceof RangeError || error instanceof TypeError) return error
  const { message, code } = (error ?? {}) as { message?: unknown; code?: unknown }
  const told = typeof message === 'string' && message !== '' ? message : String(code ?? 'it gave no reason')
  const cause = new Error(told.replace(/\/\/[^@/\s]*@/g, '//').slice(0, 300))
  if (error instanceof Error) cause.name = error.name
  if (typeof code === 'string') Object.assign(cause, { code })
  const advice = isMissingTable(error)
    ? `there is no table ${table}; make it with "tierwheel createcachetable", or set createTables`
    : adviceFor(cause.message)
  return new CacheError('CACHE_TIER_FAILED', `${name}: ${what} failed: ${advice}`, { tier: 'sql', cause })
}

/** What the message means, where more can be said than it says. */
function adviceFor(message: string): string {
  const [, what, found] = /TIERWHEEL (partitions|format) (\w+)/.exec(message) ?? []
  if (what === 'partitions')
    return `partitions: the table has ${found}; give the same number everywhere, or another table`
  if (what === 'format')
    return `the table was written in format ${found}, and this version knows format ${FORMAT}; give another table`
  return message
}
