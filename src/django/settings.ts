// Django's `CACHES` setting: plain data, checked once, with errors that name the alias and the setting.

import { describe } from '../duration.ts'
import { checkCount, checkNames } from '../options.ts'

/** What one alias can say; the names are Django's, so that a settings file can be carried over. */
export interface CacheSettings {
  /**
   * `'db'`, `'dummy'`, `'filebased'`, `'locmem'`, `'memcached'`, `'tiered'`, or the name of a backend given to
   * `configureCaches`.
   */
  BACKEND: string
  /**
   * `locmem`: the name of a store. `filebased`: a directory. `db`: a table. `memcached`: servers, each `host`,
   * `host:port`, `[address]:port` or `unix:path`. `tiered`: the alias under the first level. Others: an address. Several
   * are a list, or separated by `;` or `,`.
   *
   * @defaultValue `''`
   */
  LOCATION?: string | readonly string[]
  /**
   * Seconds an entry lives when a call does not say; `null` is for ever, `0` stores nothing. A number, or one as text.
   *
   * @defaultValue `300`
   */
  TIMEOUT?: number | string | null
  /** @defaultValue `''` */
  KEY_PREFIX?: string
  /** @defaultValue `1` */
  VERSION?: number | string
  /**
   * The name of a function given to `configureCaches`.
   *
   * @defaultValue none: `prefix:version:key`
   */
  KEY_FUNCTION?: string
  /**
   * `MAX_ENTRIES` (default 300) bounds `locmem`, `filebased`, `db` and the first level of `tiered`; `CULL_FREQUENCY`
   * (default 3, `0` culls everything) is for the first two of them. `DATABASE` (default `'default'`) says in which of
   * the databases the table of `db` is. `deadlineMs` and `keyspace` of `memcached` are those of `memcachedTier`. A backend
   * of yours gets whatever is here.
   */
  OPTIONS?: Readonly<Record<string, unknown>>
}

/** Settings of one alias, checked and complete. */
export interface Settings {
  readonly alias: string
  readonly backend: string
  readonly locations: readonly string[]
  /** `undefined` is for ever. */
  readonly timeout: number | undefined
  readonly keyPrefix: string
  readonly version: number | string
  readonly keyFunction: string | undefined
  readonly maxEntries: number
  readonly cullFrequency: number
  readonly options: Readonly<Record<string, unknown>>
}

const names = ['BACKEND', 'KEY_FUNCTION', 'KEY_PREFIX', 'LOCATION', 'OPTIONS', 'TIMEOUT', 'VERSION']
const DEFAULT_TIMEOUT = 300
const DEFAULT_MAX_ENTRIES = 300
const DEFAULT_CULL_FREQUENCY = 3

/**
 * The settings of every alias.
 *
 * @throws TypeError or RangeError naming alias, setting and value.
 */
export function checkSettings(settings: unknown): Map<string, Settings> {
  if (typeof settings !== 'object' || settings === null || Array.isArray(settings)) {
    throw new TypeError(`CACHES: ${describe(settings)} is not an object with an alias for each cache`)
  }
  const checked = new Map<string, Settings>()
  for (const [alias, each] of Object.entries(settings)) checked.set(alias, checkAlias(alias, each))
  if (!checked.has('default'))
    throw new TypeError("CACHES: there is no 'default'; one cache must have that name")
  return checked
}

function checkAlias(alias: string, settings: unknown): Settings {
  const at = `CACHES.${alias}`
  checkNames(settings, names, at)
  const given: Partial<Record<keyof CacheSettings, unknown>> = settings
  const { BACKEND, KEY_FUNCTION, KEY_PREFIX = '', OPTIONS = {}, VERSION = 1 } = given
  if (typeof BACKEND !== 'string') throw new TypeError(`${at}.BACKEND: ${describe(BACKEND)} is not a name`)
  if (typeof KEY_PREFIX !== 'string')
    throw new TypeError(`${at}.KEY_PREFIX: ${describe(KEY_PREFIX)} is not text`)
  if (KEY_FUNCTION !== undefined && typeof KEY_FUNCTION !== 'string') {
    throw new TypeError(
      `${at}.KEY_FUNCTION: ${describe(KEY_FUNCTION)} is not a name; give the function under it`,
    )
  }
  if (typeof OPTIONS !== 'object' || OPTIONS === null || Array.isArray(OPTIONS)) {
    throw new TypeError(`${at}.OPTIONS: ${describe(OPTIONS)} is not an object`)
  }
  if (typeof VERSION !== 'number' && typeof VERSION !== 'string') {
    throw new TypeError(`${at}.VERSION: ${describe(VERSION)} is neither a number nor text`)
  }
  const options = OPTIONS as Record<string, unknown>
  const count = (name: string, usual: number, least: number): number =>
    checkCount(options[name] ?? usual, `${at}.OPTIONS.${name}`, least, 2 ** 26 - 1)
  return {
    alias,
    backend: BACKEND,
    locations: locationsOf(given.LOCATION, at),
    timeout: timeoutOf(given.TIMEOUT, at),
    keyPrefix: KEY_PREFIX,
    version: VERSION,
    keyFunction: KEY_FUNCTION,
    maxEntries: count('MAX_ENTRIES', DEFAULT_MAX_ENTRIES, 1),
    cullFrequency: count('CULL_FREQUENCY', DEFAULT_CULL_FREQUENCY, 0),
    options,
  }
}

function locationsOf(location: unknown, at: string): string[] {
  if (location === undefined) return ['']
  if (typeof location === 'string') return location.split(/[;,]/).map((each) => each.trim())
  if (Array.isArray(location) && location.length > 0 && location.every((each) => typeof each === 'string')) {
    return location
  }
  throw new TypeError(`${at}.LOCATION: ${describe(location)} is neither text nor a list of texts`)
}

function timeoutOf(timeout: unknown, at: string): number | undefined {
  if (timeout === null) return undefined
  if (timeout === undefined) return DEFAULT_TIMEOUT
  const seconds = typeof timeout === 'string' && timeout.trim() !== '' ? Number(timeout) : timeout
  if (typeof seconds === 'number' && Number.isFinite(seconds)) return seconds
  throw new TypeError(`${at}.TIMEOUT: ${describe(timeout)} is no number of seconds; null is for ever`)
}
