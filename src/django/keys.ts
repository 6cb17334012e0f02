// Keys as Django makes and judges them: `prefix:version:key`, and what memcached would not take.

import { CacheKeyWarning, InvalidCacheKey } from './errors.ts'

/** Longest key that memcached takes: Django counts characters, the server bytes. */
const MEMCACHE_MAX_KEY_LENGTH = 250

/**
 * What is wrong with a whole key for memcached, in Django's words; empty when nothing is.
 *
 * @param length - Of the key, in characters unless it is said to be something else.
 *
 * Source: `memcache_key_warnings` in django/core/cache/backends/base.py.
 */
export function keyWarnings(whole: string, length: number = [...whole].length): CacheKeyWarning[] {
  const warnings: CacheKeyWarning[] = []
  if (length > MEMCACHE_MAX_KEY_LENGTH) {
    warnings.push(
      new CacheKeyWarning(
        `Cache key will cause errors if used with memcached: ${quoted(whole)} (longer than ${MEMCACHE_MAX_KEY_LENGTH})`,
      ),
    )
  }
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  if (/[\u0000-\u0020\u007f]/.test(whole)) {
    warnings.push(
      new CacheKeyWarning(
        `Cache key contains characters that will cause errors if used with memcached: ${quoted(whole)}`,
      ),
    )
  }
  return warnings
}

/**
 * The rule of memcached.
 *
 * @throws InvalidCacheKey for a whole key that it does not take, more than 250 bytes of UTF-8 included.
 */
export function refuseKey(whole: string): void {
  const [warning] = keyWarnings(whole, new TextEncoder().encode(whole).length)
  if (warning !== undefined) throw new InvalidCacheKey(warning.message)
}

/** Text as Python shows it. */
function quoted(text: string): string {
  const mark = text.includes("'") && !text.includes('"') ? '"' : "'"
  let inside = ''
  for (const char of text) {
    const code = char.codePointAt(0) as number
    if (char === '\\' || char === mark) inside += `\\${char}`
    else if (char === '\n') inside += '\\n'
    else if (char === '\r') inside += '\\r'
    else if (char === '\t') inside += '\\t'
    else if (code < 32 || (code >= 127 && code < 161)) inside += `\\x${code.toString(16).padStart(2, '0')}`
    else inside += char
  }
  return `${mark}${inside}${mark}`
}
