// The aliases of a `CACHES` setting. Each is made when it is first asked for; aliases of one store and one KEY_PREFIX
// share one `Cache`, so that what one of them changes in a first level the others see.

import type { Cache } from '../cache.ts'
import type { Clock } from '../clock.ts'
import type { Codec } from '../codecs/codec.ts'
import { createCache } from '../create-cache.ts'
import { type Duration, describe } from '../duration.ts'
import { checkNames } from '../options.ts'
import type { SqlExecutor } from '../tiers/sql.ts'
import { type Backend, type BackendSettings, checkBackend, isOpenedHere, openBackend } from './backends.ts'
import { DjangoCache, type KeyFunction } from './django-cache.ts'
import { type CacheKeyWarning, InvalidCacheBackendError } from './errors.ts'
import { type CacheSettings, checkSettings, type Settings } from './settings.ts'

/** What is no plain data, beside the settings. */
export interface ConfigureOptions {
  /**
   * How backends are opened, by the names that BACKEND has; called once for each KEY_PREFIX and use. `redis` is opened
   * here, with a client of yours; one that is named as a backend that tierwheel opens takes its place.
   *
   * @defaultValue none
   */
  backends?: Readonly<Record<string, (settings: BackendSettings) => Backend>>
  /**
   * The databases of `db`, by the names that OPTIONS.DATABASE has: `postgresExecutor(pool)` and the like of
   * `tierwheel/tiers/sql`.
   *
   * @defaultValue none
   */
  databases?: Readonly<Record<string, SqlExecutor>>
  /** Functions by the names that KEY_FUNCTION has. */
  keyFunctions?: Readonly<Record<string, KeyFunction>>
  /**
   * Told of keys that memcached could not take.
   *
   * @defaultValue a process warning
   */
  onWarning?: (warning: CacheKeyWarning) => void
  /** How long one call of a backend may take; see `CacheOptions.tierTimeout`. */
  tierTimeout?: Duration
  /** @defaultValue JSON that keeps what `tierwheel/codecs/json` says */
  codec?: Codec
  /** @defaultValue the machine's clock */
  clock?: Clock
}

/** The caches of a program; call it with an alias. */
export interface Caches {
  /** @throws InvalidCacheBackendError when there is no such alias, or nobody can open its backend. */
  (alias: string): DjangoCache
  /** Every cache, made now if need be; with `initializedOnly` those that have been asked for. */
  all(initializedOnly?: boolean): DjangoCache[]
  /** Closes those that have been asked for. An alias that is asked for again is opened again. */
  closeAll(): Promise<void>
}

const optionNames = [
  'backends',
  'clock',
  'codec',
  'databases',
  'keyFunctions',
  'onWarning',
  'tierTimeout',
] as const

/** A cache with the rule for keys that its backend brings. */
interface Opened {
  readonly cache: Cache
  readonly validateKey: Backend['validateKey'] | undefined
}

interface Store {
  /** By KEY_PREFIX. */
  readonly caches: Map<string, Opened>
  readonly locmem: Map<string, unknown>
}

/**
 * Reads a `CACHES` setting.
 *
 * @throws TypeError or RangeError naming alias, setting and value.
 * @example
 * const caches = configureCaches({
 *   default: { BACKEND: 'locmem' },
 *   sessions: { BACKEND: 'filebased', LOCATION: '/var/tmp/sessions', TIMEOUT: 3_600 },
 * })
 * await caches('default').set('greeting', 'hello', { timeout: 60 })
 */
export function configureCaches(
  settings: Readonly<Record<string, CacheSettings>>,
  options: ConfigureOptions = {},
): Caches {
  const aliases = checkSettings(settings)
  checkNames(options, [...optionNames], 'configureCaches')
  for (const each of aliases.values()) {
    keyFunctionOf(each, options)
    checkBackend(each, options)
  }
  const made = new Map<string, DjangoCache>()
  const stores = new Map<string, Store>()

  const open = (alias: string): DjangoCache => {
    const found = made.get(alias)
    if (found !== undefined) return found
    const own = aliases.get(alias)
    if (own === undefined) throw new InvalidCacheBackendError(`The connection '${alias}' doesn't exist.`)
    const keyFunction = keyFunctionOf(own, options)
    const store = storeOf(own)
    // Whole keys of a KEY_FUNCTION are kept apart from those that have prefix and version in their places.
    const prefix = keyFunction === undefined ? own.keyPrefix : ' whole keys'
    const parts = store.caches.get(prefix) ?? makeCache(own, store, prefix)
    store.caches.set(prefix, parts)
    const opened = new DjangoCache({
      ...parts,
      settings: own,
      keyFunction,
      clearStore: async () => {
        for (const each of store.caches.values()) await each.cache.clear({ all: true })
      },
      warn: options.onWarning ?? ((warning) => process.emitWarning(warning)),
    })
    made.set(alias, opened)
    return opened
  }

  const storeOf = (settings: Settings): Store => {
    const { alias, backend, locations, options: own } = settings
    const name = JSON.stringify(
      isOpenedHere(settings, options) ? [backend, locations, own] : [backend, alias],
    )
    const store = stores.get(name) ?? { caches: new Map(), locmem: locmemOf(backend, locations) }
    stores.set(name, store)
    return store
  }

  // Aliases with one LOCATION share their entries, whatever their OPTIONS.
  const locmems = new Map<string, Map<string, unknown>>()
  const locmemOf = (backend: string, locations: readonly string[]): Map<string, unknown> => {
    const name = `${backend} ${locations}`
    const entries = locmems.get(name) ?? new Map<string, unknown>()
    locmems.set(name, entries)
    return entries
  }

  const makeCache = (own: Settings, store: Store, prefix: string): Opened => {
    const { clock, codec, tierTimeout } = options
    const isTiered = own.backend === 'tiered'
    const { bus, tiers, validateKey } = isTiered ? openUnder(own) : openBackend(own, options, store.locmem)
    const cache = createCache({
      prefix,
      tiers,
      l1: isTiered ? { maxEntries: own.maxEntries, policy: 'lru' } : false,
      ...(isTiered && bus !== undefined ? { bus } : {}),
      ...(clock === undefined ? {} : { clock }),
      ...(codec === undefined ? {} : { codec }),
      ...(tierTimeout === undefined ? {} : { tierTimeout }),
    })
    return { cache, validateKey }
  }

  const openUnder = (own: Settings): Backend => {
    const [alias = ''] = own.locations
    const under = aliases.get(alias)
    if (under === undefined || under.backend === 'tiered' || under.backend === 'dummy') {
      throw new InvalidCacheBackendError(
        `CACHES.${own.alias}.LOCATION: '${alias}' is not the alias of a cache that a first level can stand before`,
      )
    }
    return openBackend(under, options, storeOf(under).locmem)
  }

  const caches = (alias: string): DjangoCache => open(alias)
  return Object.assign(caches, {
    all: (initializedOnly = false) =>
      initializedOnly ? [...made.values()] : [...aliases.keys()].map((alias) => open(alias)),
    closeAll: async () => {
      const opened = [...stores.values()].flatMap((store) => [...store.caches.values()])
      made.clear()
      stores.clear()
      await Promise.all(opened.map(({ cache }) => cache.close()))
    },
  })
}

function keyFunctionOf(settings: Settings, { keyFunctions }: ConfigureOptions): KeyFunction | undefined {
  const { alias, keyFunction: name } = settings
  if (name === undefined) return undefined
  const found = keyFunctions?.[name]
  if (typeof found === 'function') return found
  throw new TypeError(`CACHES.${alias}.KEY_FUNCTION: ${describe(name)} is none of the keyFunctions given`)
}
