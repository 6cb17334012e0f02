// Keys: what a caller gives, and the stored key that tiers and the bus use.
//
// A stored key is `prefix:version:key` for text and `prefix:version#7` for the integer 7. It is
// injective, since neither prefix nor version can hold a colon or a hash, and it is well-formed
// Unicode, since every tier turns it into UTF-8, where all lone surrogates would become the same three
// bytes. Both are ensured by escapes that ordinary keys never need:
//
//   in the prefix   %  :  #         as %25 %3A %23; so in the name of a namespace
//   in the key      a lone surrogate, and the mark U+FDD0 itself, as U+FDD0 and four hexadecimal digits
//                   (U+FDD0 is a noncharacter: no text uses it)
//
// Within a namespace a stored key is `prefix:@name:version:key`, and so on for one in another: no version begins with
// `@`, and each part ends with its colon, so what begins with `prefix:@users:` is in `users` and in nothing else.
//
// L1 needs neither, as it compares UTF-16 units: there a key of the cache's own version is itself, so a
// hit builds no string. Keys of other versions, and the rare key that begins with NUL, are NUL and the
// stored key.

import { describe } from './duration.ts'

/** What names an entry: any string, or a safe integer. `7` and `'7'` are different keys, as in a `Map`. */
export type Key = string | number

/** Most bytes of UTF-8 that a stored key may have, prefix and version included. */
export const MAX_STORED_KEY_BYTES = 512

/** The part of a stored key in front of the user's key. */
export interface KeyScope {
  /** `prefix:` escaped; what `clear` removes begins with it. */
  readonly prefix: string
  /** `prefix:version`. */
  readonly text: string
}

/** A key version: part of the stored key, so that raising it drops a generation of entries. */
export type KeyVersion = number | string

const versionForm = /^[A-Za-z0-9._-]{1,32}$/
// A whole pair is matched first and kept; what the second and third alternatives find stands alone.
const unsafe = /[\ud800-\udbff][\udc00-\udfff]|[\ud800-\udfff]|\ufdd0/g

/**
 * The scope of a prefix and a version.
 *
 * @throws TypeError or RangeError naming the option.
 */
export function keyScope(prefix: string, version: KeyVersion): KeyScope {
  if (typeof prefix !== 'string') throw new TypeError(`prefix: ${describe(prefix)} is not a string`)
  return withVersion({ prefix: `${escapePart(prefix)}:` }, version)
}

/**
 * The scope of another version.
 *
 * @throws TypeError or RangeError naming the option.
 */
export function withVersion({ prefix }: Pick<KeyScope, 'prefix'>, version: KeyVersion): KeyScope {
  const versionText = typeof version === 'number' ? String(version) : version
  if (
    typeof version === 'number'
      ? !(Number.isSafeInteger(version) && version >= 0)
      : typeof version !== 'string'
  ) {
    throw new TypeError(`version: ${describe(version)} is neither a whole number from 0 on nor a string`)
  }
  if (!versionForm.test(versionText)) {
    throw new RangeError(
      `version: ${describe(version)} may have 1 to 32 characters, each a letter, a digit, a dot, a hyphen or an underscore`,
    )
  }
  return { prefix, text: `${prefix}${versionText}` }
}

/**
 * The scope of a namespace within a scope.
 *
 * @throws TypeError when `name` can be no name.
 */
export function namespaceScope({ prefix }: KeyScope, name: string, version: KeyVersion): KeyScope {
  if (typeof name !== 'string' || name === '')
    throw new TypeError(`namespace: ${describe(name)} is not a string with at least one character`)
  return withVersion({ prefix: `${prefix}@${escapePart(name)}:` }, version)
}

/**
 * Refuses what cannot be a key.
 *
 * @throws TypeError naming the value.
 */
export function checkKey(key: unknown): asserts key is Key {
  if (typeof key === 'string') return
  if (typeof key === 'number') {
    if (Number.isSafeInteger(key)) return
    throw new TypeError(
      `key: ${key} is not a safe integer; numbers from -(2^53 - 1) to 2^53 - 1 without a fraction can be keys`,
    )
  }
  throw new TypeError(`key: ${describe(key)} is neither a string nor a safe integer`)
}

/**
 * The stored key of a checked key.
 *
 * @throws RangeError when it has more than 512 bytes of UTF-8.
 */
export function storedKey(scope: KeyScope, key: Key): string {
  if (typeof key === 'number') return `${scope.text}#${key === 0 ? 0 : key}`
  // Long before a regular expression sees it: a character is at least one byte.
  if (key.length > MAX_STORED_KEY_BYTES) throw tooLong(key, scope.text.length + key.length, 'at least ')
  const stored = `${scope.text}:${escapeUnsafe(key)}`
  if (stored.length * 3 > MAX_STORED_KEY_BYTES) {
    const bytes = utf8Length(stored)
    if (bytes > MAX_STORED_KEY_BYTES) throw tooLong(key, bytes, '')
  }
  return stored
}

/**
 * The key under which L1 holds an entry of `scope`, where `own` is the scope of the cache.
 *
 * @throws TypeError for what is no key at all; whether a number may be one is left to L1, which looks anyway.
 */
export function l1KeyOf(own: KeyScope, scope: KeyScope, key: Key): Key {
  if (scope === own && (typeof key === 'number' || (typeof key === 'string' && key.charCodeAt(0) !== 0)))
    return key
  checkKey(key)
  return `\0${storedKey(scope, key)}`
}

/** The key under which L1 of the cache with scope `own` holds the entry with this stored key. */
export function l1KeyOfStored(own: KeyScope, stored: string): Key {
  if (stored.startsWith(own.text)) {
    const mark = stored.charAt(own.text.length)
    const rest = stored.slice(own.text.length + 1)
    if (mark === '#') return Number(rest)
    if (mark === ':' && rest.charCodeAt(0) !== 0) return unescapeUnsafe(rest)
  }
  return `\0${stored}`
}

/**
 * A stored key without its version: what its partition is computed from, so that all versions of a key
 * live in one partition, and what a codec may tie an entry's bytes to.
 */
export function partitionTextOf(stored: string): string {
  let versionAt = stored.indexOf(':') + 1
  while (stored.charCodeAt(versionAt) === 0x40) versionAt = stored.indexOf(':', versionAt) + 1
  for (let at = versionAt; at < stored.length; at++) {
    const mark = stored.charCodeAt(at)
    if (mark === 0x3a || mark === 0x23) return stored.slice(0, versionAt) + stored.slice(at)
  }
  return stored
}

function escapePart(text: string): string {
  return escapeUnsafe(text.replace(/[%:#]/g, (mark) => `%${mark.charCodeAt(0).toString(16).toUpperCase()}`))
}

function escapeUnsafe(text: string): string {
  if (text.isWellFormed() && !text.includes('\ufdd0')) return text
  return text.replace(unsafe, (found) =>
    found.length === 2 ? found : `\ufdd0${found.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}

function unescapeUnsafe(text: string): string {
  if (!text.includes('\ufdd0')) return text
  return text.replace(/\ufdd0([0-9a-f]{4})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 16)),
  )
}

function utf8Length(text: string): number {
  let bytes = 0
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at)
    // Each half of a pair counts two: four for the pair.
    bytes += unit < 0x80 ? 1 : unit < 0x800 || (unit >= 0xd800 && unit < 0xe000) ? 2 : 3
  }
  return bytes
}

function tooLong(key: string, bytes: number, hedge: string): RangeError {
  return new RangeError(
    `key: ${describe(key)} makes a stored key of ${hedge}${bytes} bytes of UTF-8; the limit is ${MAX_STORED_KEY_BYTES}, prefix and version included. Use a digest of long keys`,
  )
}
