// The tags of a cache in a table: when each was last invalidated, in the order of the tag partition.
//
// The row without a name says up to where invalidations may have been forgotten. Where it is missing, or of an epoch
// that is over, nothing is known from before the present place.

import type { Stamp } from '../stamp.ts'
import type { TagFate } from '../tag-table.ts'
import type { TagsReading } from '../tiers/ledger.ts'
import type { SqlQuery } from './sql-executors.ts'
import { bytesIn, type SqlStore } from './sql-store.ts'

/** Of so many tags at the least it is remembered when they were invalidated. */
const MOST_TAGS = 65_536
/** How often it is counted whether there are more: with each of so many. */
const COUNT_EVERY = 64

interface TagRow {
  readonly expired: number
  readonly deleted: number
}

/** When tags were last invalidated. */
export async function readTags(
  query: SqlQuery,
  store: SqlStore,
  names: readonly string[],
): Promise<TagsReading> {
  // First where it stands, then the tags: what comes in between makes the answer newer than it says.
  const asOf = await store.lock(query, store.partitions, 'forShare')
  const rows = await rowsOf(query, store, ['', ...names], asOf)
  const placeOf = (sequence: number): Stamp | undefined =>
    sequence === 0 ? undefined : { ...asOf, sequence }
  store.note(asOf)
  return {
    asOf,
    floor: { ...asOf, sequence: rows.get('')?.deleted ?? asOf.sequence },
    tags: names.map((name) => {
      const { expired = 0, deleted = 0 } = rows.get(name) ?? {}
      return { expired: placeOf(expired), deleted: placeOf(deleted) }
    }),
  }
}

/** Invalidates tags within a transaction, which has to write the message. */
export async function invalidateTags(
  query: SqlQuery,
  store: SqlStore,
  names: readonly string[],
  how: TagFate,
): Promise<{ stamp: Stamp; after: number }> {
  const { tags } = store.tables
  const stands = await store.lock(query, store.partitions, 'forUpdate')
  const stamp = { ...stands, sequence: stands.sequence + 1 }
  const rows = await rowsOf(query, store, ['', ...names], stands)
  if (!rows.has('')) {
    await query(`DELETE FROM ${tags}`, [])
    rows.clear()
    await write(query, store, '', stamp.epoch, { expired: 0, deleted: stands.sequence })
  }
  for (const name of names) {
    const { expired = 0, deleted = 0 } = rows.get(name) ?? {}
    const isDelete = how === 'delete'
    await write(query, store, name, stamp.epoch, {
      expired: isDelete ? expired : stamp.sequence,
      deleted: isDelete ? stamp.sequence : deleted,
    })
  }
  if (stamp.sequence % COUNT_EVERY === 0) await forget(query, store, stamp.epoch)
  return { stamp, after: stands.sequence }
}

async function rowsOf(
  query: SqlQuery,
  store: SqlStore,
  names: readonly string[],
  { epoch }: Stamp,
): Promise<Map<string, TagRow>> {
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true })
  const { rows } = await query(
    `SELECT name, epoch, expired, deleted FROM ${store.tables.tags} WHERE name IN (${names.map(() => '?').join(', ')})`,
    names.map((name) => store.keyOf(name)),
  )
  return new Map(
    rows
      .filter((row) => Number(row.epoch) === epoch)
      .map((row) => [
        decoder.decode(bytesIn(row.name)),
        { expired: Number(row.expired), deleted: Number(row.deleted) },
      ]),
  )
}

async function write(
  query: SqlQuery,
  store: SqlStore,
  name: string,
  epoch: number,
  { expired, deleted }: TagRow,
): Promise<void> {
  const suffix = store.dialect.replaceExisting('name', ['epoch', 'expired', 'deleted'])
  await query(
    `INSERT INTO ${store.tables.tags} (name, epoch, expired, deleted) VALUES (?, ?, ?, ?) ${suffix}`,
    [store.keyOf(name), epoch, expired, deleted],
  )
}

/** Forgets the tags invalidated longest ago, if there are too many, and says so. */
async function forget(query: SqlQuery, store: SqlStore, epoch: number): Promise<void> {
  const { tags } = store.tables
  const last = 'CASE WHEN expired > deleted THEN expired ELSE deleted END'
  const { rows } = await query(
    `SELECT ${last} AS last FROM ${tags} WHERE name <> ? ORDER BY last DESC LIMIT 1 OFFSET ${MOST_TAGS}`,
    [store.keyOf('')],
  )
  const newest = rows[0]?.last
  if (newest === undefined || newest === null) return
  await query(`DELETE FROM ${tags} WHERE name <> ? AND ${last} <= ?`, [store.keyOf(''), Number(newest)])
  await write(query, store, '', epoch, { expired: 0, deleted: Number(newest) })
}
