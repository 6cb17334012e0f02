// The aliases of a `CACHES` setting. Each is made when it is first asked for; aliases of one store and one KEY_PREFIX
// share one `Cache`, so that what one of them changes in a first level the others see.

import type { Bus } from '../bus/bus.ts'
import { fileBus } from '../bus/file.ts'
import type { Cache } from '../cache.ts'
import type { Clock } from '../clock.ts'
import type { Codec } from '../codecs/codec.ts'
import { createCache } from '../create-cache.ts'
import { type Duration, describe } from '../duration.ts'
import { checkNames } from '../options.ts'
import { fileTier } from '../tiers/file.ts'
import type { Tier } from '../tiers/tier.ts'
import { DjangoCache, type KeyFunction } from './django-cache.ts'
import { type CacheKeyWarning, InvalidCacheBackendError } from './errors.ts'
import { LocmemTier } from './locmem.ts'
import { type CacheSettings, checkSettings, type Settings } from './settings.ts'

/** What a backend consists of. */
export interface Backend {
  readonly tiers: readonly Tier[]
  /** Tells other processes; without one `tiered` shows what others changed only when an entry's time is over. */
  readonly bus?: Bus
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

/** What is no plain data, beside the settings. */
export interface ConfigureOptions {
  /**
   * How backends are opened, by the names that BACKEND has; called once for each KEY_PREFIX and use. `redis`, `db` and
   * `memcached` are opened here, with a client of yours.
   */
  backends?: Readonly<Record<string, (settings: BackendSettings) => Backend>>
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

const optionNames = ['backends', 'clock', 'codec', 'keyFunctions', 'onWarning', 'tierTimeout'] as const

interface Store {
  readonly caches: Map<string, Cache>
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
  for (const each of aliases.values()) keyFunctionOf(each, options)
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
    const cache = store.caches.get(prefix) ?? makeCache(own, store, prefix)
    store.caches.set(prefix, cache)
    const opened = new DjangoCache({
      cache,
      settings: own,
      keyFunction,
      clearStore: async () => {
        for (const each of store.caches.values()) await each.clear()
      },
      warn: options.onWarning ?? ((warning) => process.emitWarning(warning)),
    })
    made.set(alias, opened)
    return opened
  }

  const storeOf = ({ alias, backend, locations, options: own }: Settings): Store => {
    // A store of its own for each alias of a backend of yours: what its OPTIONS mean is not known here.
    const isNamed = backend === 'locmem' || backend === 'filebased' || backend === 'tiered'
    const name = JSON.stringify(isNamed ? [backend, locations, own] : [backend, alias])
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

  const makeCache = (own: Settings, store: Store, prefix: string): Cache => {
    const { clock, codec, tierTimeout } = options
    const isTiered = own.backend === 'tiered'
    const { bus, tiers } = isTiered ? openUnder(own) : openBackend(own, store)
    return createCache({
      prefix,
      tiers,
      l1: isTiered ? { maxEntries: own.maxEntries, policy: 'lru' } : false,
      ...(isTiered && bus !== undefined ? { bus } : {}),
      ...(clock === undefined ? {} : { clock }),
      ...(codec === undefined ? {} : { codec }),
      ...(tierTimeout === undefined ? {} : { tierTimeout }),
    })
  }

  const openUnder = (own: Settings): Backend => {
    const [alias = ''] = own.locations
    const under = aliases.get(alias)
    if (under === undefined || under.backend === 'tiered' || under.backend === 'dummy') {
      throw new InvalidCacheBackendError(
        `CACHES.${own.alias}.LOCATION: '${alias}' is not the alias of a cache that a first level can stand before`,
      )
    }
    return openBackend(under, storeOf(under))
  }

  const openBackend = (own: Settings, store: Store): Backend => {
    const { alias, backend, cullFrequency, locations, maxEntries, options: given } = own
    const opener = options.backends?.[backend]
    if (opener !== undefined) return opener({ alias, cullFrequency, locations, maxEntries, options: given })
    switch (backend) {
      case 'dummy':
        return { tiers: [] }
      case 'locmem':
        return { tiers: [new LocmemTier({ maxEntries, cullFrequency }, store.locmem, options.clock)] }
      case 'filebased': {
        const [directory = ''] = locations
        const place = { directory, ...(options.clock === undefined ? {} : { clock: options.clock }) }
        return { tiers: [fileTier(place)], bus: fileBus(place) }
      }
      default:
        throw new InvalidCacheBackendError(
          `Could not find backend '${backend}': it is none of dummy, filebased, locmem and tiered, and configureCaches was given no backends.${backend}`,
        )
    }
  }

  const caches = (alias: string): DjangoCache => open(alias)
  return Object.assign(caches, {
    all: (initializedOnly = false) =>
      initializedOnly ? [...made.values()] : [...aliases.keys()].map((alias) => open(alias)),
    closeAll: async () => {
      const open = [...stores.values()].flatMap((store) => [...store.caches.values()])
      made.clear()
      stores.clear()
      await Promise.all(open.map((cache) => cache.close()))
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
