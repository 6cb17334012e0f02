// Targeted cache control (RFC 9213): a field such as `CDN-Cache-Control` that is meant for some caches only and goes
// before `Cache-Control` and `Expires` there. It is a structured field; one that is malformed, or gives seconds in
// another type, is ignored as a whole, and then `Cache-Control` counts again.

import { type Directives, MOST_SECONDS } from './cache-control.ts'
import { type Fields, fieldOf } from './fields.ts'
import { parseDictionary } from './structured.ts'

const seconds = new Set(['max-age', 's-maxage', 'stale-if-error', 'stale-while-revalidate'])

/** The directives of the first of `targets` that says anything, or `undefined` where none does. */
export function targetedDirectives(fields: Fields, targets: readonly string[]): Directives | undefined {
  for (const target of targets) {
    const value = fieldOf(fields, target)
    if (value === undefined) continue
    const directives = directivesIn(value)
    if (directives !== undefined && directives.size > 0) return directives
  }
  return undefined
}

function directivesIn(value: string): Directives | undefined {
  const members = parseDictionary(value.toLowerCase())
  if (members === undefined) return undefined
  const directives = new Map<string, string | true>()
  for (const [name, member] of members) {
    if (seconds.has(name)) {
      if (member.kind !== 'integer') return undefined
      directives.set(name, String(Math.min(Math.max(member.value, 0), MOST_SECONDS)))
    } else if (member.kind !== 'boolean' || member.value) {
      directives.set(name, true)
    }
  }
  return directives
}
