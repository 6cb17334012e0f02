// A cache's tables as the keeper of the order of mutations; the tier's ledger has entries, the bus's own has none.
//
// A commit is one transaction: lock the row of the partition, change the entry, write the log, move the row on, ring.
// The lock is held until the end, so mutations of a partition become visible in their order, and PostgreSQL delivers
// what a transaction told a channel when it commits, in the order of the commits.

import { toBase64 } from '../base64.ts'
import { CacheError } from '../errors.ts'
import { decodeMessage, encodeMessage, type Message } from '../message.ts'
import { randomId, systemRandom } from '../random.ts'
import type { Stamp } from '../stamp.ts'
import type { Committed, Ledger, LedgerReading, Mutation, Origin, TagsReading } from '../tiers/ledger.ts'
import type { TierWrite } from '../tiers/tier.ts'
import { addToDecimal } from './decimal.ts'
import type { SqlQuery, SqlValue } from './sql-executors.ts'
import { bytesIn, type SqlStore } from './sql-store.ts'
import { invalidateTags, readTags } from './sql-tags.ts'

/** How often old messages are removed from the log: with each of so many. */
const TRIM_EVERY = 64
/** PostgreSQL refuses to tell a channel 8,000 bytes or more. */
const MOST_TOLD = 7_900

let idOfProcess: string | undefined

/** What listens in this process to a cache's tables by looking. */
export interface Bell {
  /** The log has grown. */
  ring(): void
  /** Tell everything up to now, then the token. */
  echo(token: string): void
}

/** The bells of this process by channel: a bus that looks would else hear of its own process's commits late. */
const bells = new Map<string, Set<Bell>>()

/** Has `bell` rung for a channel from now on; the function returned ends that. */
export function hangBell(channel: string, bell: Bell): () => void {
  const hung = bells.get(channel) ?? new Set()
  bells.set(channel, hung.add(bell))
  return () => {
    hung.delete(bell)
    if (hung.size === 0 && bells.get(channel) === hung) bells.delete(channel)
  }
}

/** The channel on which the messages of a table are told. */
export function sqlMessageChannel(table: string): string {
  return `tw:${table}`
}

/**
 * The channel on which this process hears its echoes. All buses of the process listen to it, so that a tier's ledger
 * need not know its bus.
 */
export function sqlEchoChannel(table: string): string {
  idOfProcess ??= randomId(systemRandom)
  return `tw:${table}:${idOfProcess}`
}

/** What is told on channels: messages, places in the order whose message was too long, echoes. */
export type Told =
  | { readonly kind: 'message'; readonly message: Message }
  | { readonly kind: 'place'; readonly stamp: Stamp }
  | { readonly kind: 'echo'; readonly token: string; readonly stamps: readonly Stamp[] }

/** What was told; `undefined` when this version does not understand it. */
export function parseTold(
  text: string,
  fromBase64: (text: string) => Uint8Array | undefined,
): Told | undefined {
  const rest = text.slice(1)
  if (text.startsWith('m')) {
    const bytes = fromBase64(rest)
    const message = bytes && decodeMessage(bytes)
    return message && { kind: 'message', message }
  }
  const [head = '', ...lines] = rest.split('\n')
  const stamps = (text.startsWith('p') ? [head] : lines).map(stampIn)
  if (!stamps.every((stamp) => stamp !== undefined)) return undefined
  if (text.startsWith('p') && stamps[0] !== undefined) return { kind: 'place', stamp: stamps[0] }
  return text.startsWith('e') ? { kind: 'echo', token: head, stamps } : undefined
}

function stampText({ partition, epoch, sequence }: Stamp): string {
  return `${partition} ${epoch} ${sequence}`
}

function stampIn(text: string): Stamp | undefined {
  const numbers = /^\d{1,5} \d{1,16} \d{1,16}$/.test(text) ? text.split(' ').map(Number) : []
  const [partition, epoch, sequence] = numbers as [number, number, number]
  return numbers.every(Number.isSafeInteger) && numbers.length === 3
    ? { partition, epoch, sequence }
    : undefined
}

/** The ledger over a store. */
export class SqlLedger implements Ledger {
  readonly channel: string
  readonly partitions: number
  readonly keepsData: boolean
  readonly #store: SqlStore

  constructor(store: SqlStore, keepsData: boolean) {
    this.channel = store.channel
    this.partitions = store.partitions
    this.keepsData = keepsData
    this.#store = store
  }

  read(keys: readonly string[]): Promise<LedgerReading[]> {
    return this.#store.attempt('read', () => this.#store.look(keys, this.keepsData))
  }

  async commit(mutation: Mutation, origin: Origin): Promise<Committed> {
    const committed = await this.#store.attempt('commit', () =>
      this.#store.transaction((query) => {
        if (mutation.op === 'clear') return this.#clear(query, mutation.prefix, origin)
        if (mutation.op === 'tags') return this.#invalidate(query, mutation, origin)
        return this.#commit(query, mutation, origin)
      }),
    )
    for (const stamp of committed.stamps) this.#store.note(stamp)
    if (committed.applied) for (const bell of bells.get(this.channel) ?? []) bell.ring()
    const { applied, existed, number } = committed
    return { stamp: committed.stamps[0] as Stamp, applied, existed, number }
  }

  populate(write: TierWrite, asOf: Stamp): Promise<'stored' | 'refused'> {
    const store = this.#store
    const partition = store.partitionOf(write.key)
    return store.attempt('populate', async () => {
      if (asOf.partition !== partition) return 'refused'
      return await store.transaction(async (query) => {
        const stands = await store.lock(query, partition, 'forShare')
        if (!(await this.#isCurrent(query, write.key, asOf, stands))) return 'refused'
        if (this.keepsData) await store.store(query, [{ ...write, stamp: write.stamp ?? asOf }])
        return 'stored'
      })
    })
  }

  since(after: Stamp): Promise<Message[] | 'gap'> {
    const store = this.#store
    return store.attempt('since', async (query) => {
      const { partition } = after
      if (!Number.isInteger(partition) || partition < 0 || partition > this.partitions) return 'gap'
      return (await this.#since(query, after)) ?? 'gap'
    })
  }

  probe(token: string): Promise<Stamp[]> {
    return this.#store.attempt('probe', (query) => this.echo(query, token))
  }

  /** Where the partitions stand, told with the token on the channel of this process. */
  async echo(query: SqlQuery, token: string): Promise<Stamp[]> {
    const store = this.#store
    const stamps = await store.stand()
    const { ring } = store.dialect
    // The stand was read before: all of it is committed, so all of its messages come before the echo.
    if (ring !== undefined) {
      await query(`SELECT ${ring}`, [
        sqlEchoChannel(store.table),
        [`e${token}`, ...stamps.map(stampText)].join('\n'),
      ])
    }
    for (const stamp of stamps) store.note(stamp)
    for (const bell of bells.get(this.channel) ?? []) bell.echo(token)
    return stamps
  }

  readTags(names: readonly string[]): Promise<TagsReading> {
    return this.#store.attempt('readTags', (query) => readTags(query, this.#store, names))
  }

  async #commit(query: SqlQuery, mutation: KeyMutation, origin: Origin): Promise<Done> {
    const store = this.#store
    const { op, key } = mutation
    if (op === 'move' && (mutation.to === key || store.partitionOf(mutation.to) !== store.partitionOf(key)))
      throw new TypeError('move: the keys must be two of one partition')
    if (!this.keepsData && op !== 'set' && op !== 'delete')
      throw new CacheError('CACHE_NOT_SUPPORTED', `${store.name}: it keeps no data to ${op}`, { tier: 'sql' })
    const stands = await store.lock(query, store.partitionOf(key), 'forUpdate')
    const stamp = { ...stands, sequence: stands.sequence + 1 }
    const { applied, existed, number } = await this.#change(query, mutation, stamp)
    if (!applied) return { stamps: [stands], applied, existed, number }
    const told = op === 'delete' || op === 'move' ? op : 'set'
    const keys = op === 'move' ? [key, mutation.to] : [key]
    await this.#place(query, [
      { op: told, keys, stamp, after: stands.sequence, origin: origin.id, serial: origin.serial },
    ])
    return { stamps: [stamp], applied, existed: existed && this.keepsData, number }
  }

  /** Changes the entries, with the partition locked. */
  async #change(query: SqlQuery, mutation: KeyMutation, stamp: Stamp): Promise<Omit<Done, 'stamps'>> {
    const store = this.#store
    const { op, key } = mutation
    const done = (applied: boolean, existed: boolean, number?: number) => ({ applied, existed, number })
    switch (op) {
      case 'set': {
        if (!this.keepsData) return done(true, (await store.remove(query, [key])) > 0)
        const write = { key, bytes: mutation.bytes, remainingMs: mutation.remainingMs, stamp }
        const existed = await store.replace(query, write)
        if (!existed) await store.store(query, [write])
        return done(true, existed)
      }
      case 'delete':
        return done(true, (await store.remove(query, [key])) > 0)
      case 'add': {
        const { bytes, remainingMs } = mutation
        const isStored = await store.add(query, { key, bytes, remainingMs, stamp })
        return done(isStored, !isStored)
      }
      case 'swap': {
        const { bytes, remainingMs, expected } = mutation
        const write = { key, bytes, remainingMs, stamp }
        const isStored =
          expected === undefined ? await store.add(query, write) : await store.replace(query, write, expected)
        return done(isStored, isStored === (expected !== undefined))
      }
      case 'touch': {
        const existed = await store.touch(query, key, mutation.remainingMs, stamp)
        return done(existed, existed)
      }
      case 'increment': {
        const entry = await store.lockEntry(query, key)
        if (entry === undefined) return done(false, false)
        const { bytes, sum: number } = addToDecimal(entry.bytes, mutation.delta, mutation.from)
        await store.rewrite(query, key, bytes, stamp)
        return done(true, true, number)
      }
      case 'move': {
        const entry = await store.lockEntry(query, key)
        if (entry === undefined) return done(false, false)
        await store.remove(query, [key])
        await store.store(query, [
          { key: mutation.to, bytes: entry.bytes, remainingMs: entry.remainingMs, stamp },
        ])
        return done(true, true)
      }
    }
  }

  async #invalidate(
    query: SqlQuery,
    { tags, how }: Extract<Mutation, { op: 'tags' }>,
    { id, serial }: Origin,
  ): Promise<Done> {
    const { stamp, after } = await invalidateTags(query, this.#store, tags, how)
    await this.#place(query, [{ op: `${how}-tags`, keys: tags, stamp, after, origin: id, serial }])
    return { stamps: [stamp], applied: true, existed: false, number: undefined }
  }

  async #clear(query: SqlQuery, prefix: string, { id, serial }: Origin): Promise<Done> {
    const stood = (await this.#store.lockAll(query)).slice(0, this.partitions)
    await this.#store.clear(query, prefix)
    const messages = stood.map((stands): Message => {
      const stamp = { ...stands, sequence: stands.sequence + 1 }
      return { op: 'clear', keys: [prefix], stamp, after: stands.sequence, origin: id, serial }
    })
    await this.#place(query, messages)
    return { stamps: messages.map(({ stamp }) => stamp), applied: true, existed: false, number: undefined }
  }

  /** Writes one message for each of some partitions into the log, moves these on, and rings. */
  async #place(query: SqlQuery, messages: readonly Message[]): Promise<void> {
    const { tables, dialect, table, logMessages } = this.#store
    const encoded = messages.map((message) => ({ ...message.stamp, bytes: encodeMessage(message) }))
    const statements: [sql: string, values: SqlValue[]][] = [
      [
        `INSERT INTO ${tables.log} (part, sequence, message) VALUES ${encoded.map(() => '(?, ?, ?)').join(', ')}`,
        encoded.flatMap(({ partition, sequence, bytes }) => [partition, sequence, bytes]),
      ],
      [
        `UPDATE ${tables.partitions} SET sequence = sequence + 1 WHERE part IN (${encoded.map(() => '?').join(', ')})`,
        encoded.map(({ partition }) => partition),
      ],
    ]
    if (dialect.ring === undefined) {
      for (const [sql, values] of statements) await query(sql, values)
    } else {
      // What writes may stand in front of a SELECT there: one round trip for all.
      const rung = encoded.flatMap(({ bytes, ...stamp }) => {
        const text = `m${toBase64(bytes)}`
        return [sqlMessageChannel(table), text.length <= MOST_TOLD ? text : `p${stampText(stamp)}`]
      })
      const before = statements.map(([sql], at) => `step${at} AS (${sql})`).join(', ')
      await query(`WITH ${before} SELECT ${encoded.map(() => dialect.ring).join(', ')}`, [
        ...statements.flatMap(([, values]) => values),
        ...rung,
      ])
    }
    for (const { partition, sequence } of encoded) {
      if (sequence % TRIM_EVERY !== 0) continue
      await query(`DELETE FROM ${tables.log} WHERE part = ? AND sequence <= ?`, [
        partition,
        sequence - logMessages,
      ])
    }
  }

  /** Whether no mutation of the key came after a place in the order; `false` when that can no longer be told. */
  async #isCurrent(query: SqlQuery, key: string, asOf: Stamp, stands: Stamp): Promise<boolean> {
    if (asOf.epoch !== stands.epoch || asOf.sequence > stands.sequence) return false
    if (asOf.sequence === stands.sequence) return true
    const messages = await this.#since(query, asOf)
    return (
      messages?.every(({ op, keys }) =>
        op === 'clear' ? !key.startsWith(keys[0] ?? '') : !keys.includes(key),
      ) ?? false
    )
  }

  /** The messages after a place, in one statement; `undefined` for a gap. */
  async #since(query: SqlQuery, { partition, epoch, sequence }: Stamp): Promise<Message[] | undefined> {
    const { tables } = this.#store
    const { rows } = await query(
      `SELECT p.epoch AS epoch, p.sequence AS stands, l.message AS message FROM ${tables.partitions} p LEFT JOIN ${tables.log} l ON l.part = p.part AND l.sequence > ? WHERE p.part = ? ORDER BY l.sequence`,
      [sequence, partition],
    )
    const [first] = rows
    if (first === undefined || Number(first.epoch) !== epoch) return undefined
    const missing = Number(first.stands) - sequence
    const messages = rows.flatMap(({ message }) =>
      message === null ? [] : (decodeMessage(bytesIn(message)) ?? []),
    )
    return missing >= 0 && messages.length === missing ? messages : undefined
  }
}

type KeyMutation = Exclude<Mutation, { op: 'clear' | 'tags' }>

/** What a transaction did. */
interface Done extends Omit<Committed, 'stamp'> {
  readonly stamps: readonly Stamp[]
}
