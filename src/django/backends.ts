// What each BACKEND consists of: settings in, tiers and a bus out. Nothing connects here; servers and databases are
// asked when the first call comes.

import type { Bus } from '../bus/bus.ts'
import { fileBus } from '../bus/file.ts'
import { sqlBus } from '../bus/sql.ts'
import type { Clock } from '../clock.ts'
import { describe } from '../duration.ts'
import { checkNames } from '../options.ts'
import { fileTier } from '../tiers/file.ts'
import { type MemcachedTierOptions, memcachedTier } from '../tiers/memcached.ts'
import { cacheTableStatements, type SqlExecutor, sqlTier } from '../tiers/sql.ts'
import type { Tier } from '../tiers/tier.ts'
import { InvalidCacheBackendError } from './errors.ts'
import { refuseKey } from './keys.ts'
import { LocmemTier } from './locmem.ts'
import type { Settings } from './settings.ts'

/** What a backend consists of. */
export interface Backend {
  readonly tiers: readonly Tier[]
  /** Tells other processes; without one `tiered` shows what others changed only when an entry's time is over. */
  readonly bus?: Bus
  /**
   * Judges whole keys instead of the warnings: throws for one that is not to be, and returns for any other.
   *
   * @defaultValue warnings; InvalidCacheKey for `memcached`
   */
  readonly validateKey?: (whole: string) => void
}

/** What a backend is opened with. */
export interface BackendSettings {
  readonly alias: string
  /** LOCATION, as a list. */
  readonly locations: readonly string[]
  /** OPTIONS, as they were given. */
  readonly options: Readonly<Record<string, unknown>>
  readonly maxEntries: number
  readonly cullFrequency: number
}

/** What backends are opened with beside the settings, as they are no plain data. */
export interface Openers {
  backends?: Readonly<Record<string, (settings: BackendSettings) => Backend>>
  databases?: Readonly<Record<string, SqlExecutor>>
  clock?: Clock
}

const bounds = ['CULL_FREQUENCY', 'MAX_ENTRIES']

/** The backends that are opened here, with the names that their OPTIONS may have. */
const known: Readonly<Record<string, readonly string[]>> = {
  db: [...bounds, 'DATABASE'],
  dummy: bounds,
  filebased: bounds,
  locmem: bounds,
  memcached: [...bounds, 'deadlineMs', 'keyspace'],
  tiered: bounds,
}

/** Whether its aliases with equal settings have one store. What the OPTIONS of a backend of yours mean is not known. */
export function isOpenedHere({ backend }: Settings, { backends }: Openers): boolean {
  return Object.hasOwn(known, backend) && backends?.[backend] === undefined
}

/**
 * Refuses what the backend could not be opened with, as far as that can be seen without asking a server.
 *
 * @throws TypeError or RangeError naming alias, setting and value.
 */
export function checkBackend(own: Settings, openers: Openers): void {
  if (!isOpenedHere(own, openers)) return
  const { alias, backend, locations, options } = own
  checkNames(options, known[backend] as readonly string[], `CACHES.${alias}.OPTIONS`)
  if (backend === 'filebased' && (locations.length > 1 || locations[0] === ''))
    throw new TypeError(`CACHES.${alias}.LOCATION: filebased needs the path of one directory`)
  if (backend === 'memcached') memcachedOf(own, openers)
  if (backend !== 'db') return
  const [table = ''] = locations
  if (table === '' || locations.length > 1)
    throw new TypeError(`CACHES.${alias}.LOCATION: db needs the name of one table`)
  executorOf(own, openers)
  inSettings(alias, { table: 'LOCATION' }, () => cacheTableStatements('sqlite', { table }))
}

/** @param entries - Of the LOCATION, for `locmem`. */
export function openBackend(own: Settings, openers: Openers, entries: Map<string, unknown>): Backend {
  const { alias, backend, cullFrequency, locations, maxEntries, options } = own
  const { clock } = openers
  const opener = openers.backends?.[backend]
  if (opener !== undefined) {
    const opened = opener({ alias, cullFrequency, locations, maxEntries, options })
    return backend === 'memcached' ? { validateKey: refuseKey, ...opened } : opened
  }
  const timed = clock === undefined ? {} : { clock }
  const [location = ''] = locations
  switch (backend) {
    case 'dummy':
      return { tiers: [] }
    case 'locmem':
      return { tiers: [new LocmemTier({ maxEntries, cullFrequency }, entries, clock)] }
    case 'filebased':
      return inSettings(alias, { directory: 'LOCATION', ...boundNames }, () => ({
        // Of a directory at least a part is left: 1 empties one 256th of it after the other, until there is room.
        tiers: [
          fileTier({
            directory: location,
            maxEntries,
            cullFrequency: Math.max(1, Math.min(cullFrequency, 1_000)),
            ...timed,
          }),
        ],
        bus: fileBus({ directory: location, ...timed }),
      }))
    case 'db': {
      const shared = { executor: executorOf(own, openers), table: location, ...timed }
      return { tiers: [sqlTier({ ...shared, maxEntries })], bus: sqlBus(shared) }
    }
    case 'memcached':
      return { tiers: [memcachedOf(own, openers)], validateKey: refuseKey }
    default:
      throw new InvalidCacheBackendError(
        `Could not find backend '${backend}': it is none of ${Object.keys(known).join(', ')}, and configureCaches was given no backends.${backend}`,
      )
  }
}

/** The database of an alias of `db`: the one that its OPTIONS name, or `default`. */
export function executorOf({ alias, options }: Settings, { databases = {} }: Openers): SqlExecutor {
  const name = options.DATABASE ?? 'default'
  const found = typeof name === 'string' && Object.hasOwn(databases, name) ? databases[name] : undefined
  if (found !== undefined) return found
  const setting = `CACHES.${alias}.${options.DATABASE === undefined ? 'BACKEND' : 'OPTIONS.DATABASE'}`
  throw new TypeError(
    `${setting}: ${describe(name)} is none of the databases given; pass databases: { ${typeof name === 'string' ? name : 'default'}: postgresExecutor(pool) }, or that of another client`,
  )
}

const boundNames = { maxEntries: 'OPTIONS.MAX_ENTRIES', cullFrequency: 'OPTIONS.CULL_FREQUENCY' }

function memcachedOf({ alias, locations, options }: Settings, { clock }: Openers): Tier {
  const { deadlineMs, keyspace } = options as Partial<Pick<MemcachedTierOptions, 'deadlineMs' | 'keyspace'>>
  return inSettings(alias, { servers: 'LOCATION' }, () =>
    memcachedTier({
      servers: locations.filter((name) => name !== '').map((name) => name.replace(/^unix:/, '')),
      // Nobody tells others of changes, so the servers themselves see to it that no late load stays.
      fence: true,
      ...(deadlineMs === undefined ? {} : { deadlineMs }),
      ...(keyspace === undefined ? {} : { keyspace }),
      ...(clock === undefined ? {} : { clock }),
    }),
  )
}

/** Has an error that begins with the name of an option begin with the setting instead. */
function inSettings<T>(alias: string, settings: Readonly<Record<string, string>>, make: () => T): T {
  try {
    return make()
  } catch (error) {
    if (!(error instanceof TypeError || error instanceof RangeError)) throw error
    const message = error.message.replace(
      /^\w+(?=:)/,
      (name) => `CACHES.${alias}.${settings[name] ?? `OPTIONS.${name}`}`,
    )
    throw error instanceof RangeError ? new RangeError(message) : new TypeError(message)
  }
}
