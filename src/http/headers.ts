// Changing the two fields that say how a response may be cached, without losing what is in them already. The same
// functions serve handlers (by way of each adapter's `cacheControl`, `varyOn`, `neverCache`) and the cache itself.

import { describe } from '../duration.ts'
import { formatCacheControl, parseCacheControl } from './policy/cache-control.ts'
import { isToken, listOf, trimBlanks } from './policy/fields.ts'
import { formatHttpDate } from './policy/http-date.ts'

/**
 * Directives to set, by name in camel case or as they are written: `{ maxAge: 60, public: true, noCache: 'set-cookie' }`.
 * `true` is a directive without an argument, `false` and `undefined` leave it as it is. Times are seconds, as in the
 * field itself.
 */
export type CacheControl = Readonly<Record<string, string | number | boolean | undefined>>

/**
 * Adds names to the value of a `Vary` field: in their order, behind those that are there, whatever their case. A `*` on
 * either side makes the field `*`.
 *
 * @param value - The field as it is; `undefined` when the response has none.
 * @throws TypeError for something that is no field name.
 */
export function patchVary(value: string | undefined, names: readonly string[]): string {
  const present = value === undefined ? [] : listOf(value)
  const seen = new Set(present.map((name) => name.toLowerCase()))
  for (const name of names.map(trimBlanks)) {
    if (!isToken(name)) throw new TypeError(`vary: ${describe(name)} is not the name of a field`)
    if (seen.has(name.toLowerCase())) continue
    seen.add(name.toLowerCase())
    present.push(name)
  }
  return seen.has('*') ? '*' : present.join(', ')
}

/**
 * Sets directives in the value of a `Cache-Control` field.
 *
 * `max-age` becomes the smaller of the two. `private` and `public` replace each other. `no-cache` collects field names,
 * and without any it is about the whole response.
 *
 * @param value - The field as it is; `undefined` when the response has none. A malformed one is replaced.
 * @throws TypeError for something that is no directive, and for an argument that is neither text, a number nor boolean.
 */
export function patchCacheControl(value: string | undefined, control: CacheControl): string {
  const directives = new Map<string, string | true>(parseCacheControl(value) ?? [])
  for (const [given, argument] of Object.entries(control)) {
    if (argument === undefined || argument === false) continue
    const name = given
      .replace(/_/g, '-')
      .replace(/([a-z])([A-Z])/g, '$1-$2')
      .toLowerCase()
    if (!isToken(name)) throw new TypeError(`cacheControl: ${describe(given)} is not the name of a directive`)
    set(directives, name, argument)
  }
  return formatCacheControl(directives)
}

function set(directives: Map<string, string | true>, name: string, argument: string | number | true): void {
  if (typeof argument !== 'string' && typeof argument !== 'number' && argument !== true) {
    throw new TypeError(
      `cacheControl: ${name}: ${describe(argument)} is neither text, a number nor a boolean`,
    )
  }
  if (name === 'private' || name === 'public') directives.delete(name === 'private' ? 'public' : 'private')
  const before = directives.get(name)
  if (name === 'max-age' && before !== undefined && before !== true) {
    directives.set(name, String(Math.min(Number(before), Number(argument))))
  } else if (name === 'no-cache' && before !== undefined) {
    const isWhole = before === true || argument === true
    directives.set(name, isWhole ? true : [...new Set([...listOf(before), String(argument)])].join(', '))
  } else {
    directives.set(name, argument === true ? true : String(argument))
  }
}

/** What a response says that is cached by nobody. */
export const neverCached: CacheControl = {
  maxAge: 0,
  noCache: true,
  noStore: true,
  mustRevalidate: true,
  private: true,
}

/** A `Cache-Control` and an `Expires` for a page that lives `ttlMs`; what the page says itself is kept where shorter. */
export function freshnessLines(
  control: string | undefined,
  expires: string | undefined,
  ttlMs: number,
  wallMs: number,
): { cacheControl: string; expires: string } {
  const seconds = Math.max(0, Math.floor(ttlMs / 1000))
  return {
    cacheControl: patchCacheControl(control, { maxAge: seconds }),
    expires: expires ?? formatHttpDate(wallMs + seconds * 1000),
  }
}
