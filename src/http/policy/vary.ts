// Vary: which request fields a response depends on, and the key that those fields of one request make (RFC 9111
// section 4.1).
//
// The key is framed. Each name and each value stands behind its length, and an absent field is a mark that no value
// can look like, so (`ab`, `c`) and (`a`, `bc`) differ, as do no field and an empty one. Joining the values without
// a frame let one visitor's headers name another one's page in Django (CVE-2026-113593).

import { type Fields, fieldOf, isToken, listOf } from './fields.ts'

/** Names in lower case, sorted; `'*'` when no request is known to match. */
export type VaryNames = readonly string[] | '*'

/** What a response's `Vary` names. A member that is no field name makes it `'*'`: nobody can match it. */
export function parseVary(value: string | undefined): VaryNames {
  if (value === undefined) return []
  const names = new Set<string>()
  for (const member of listOf(value)) {
    if (member === '*' || !isToken(member)) return '*'
    names.add(member.toLowerCase())
  }
  return [...names].sort()
}

/** The names in either list. */
export function unionOf(left: readonly string[], right: readonly string[]): readonly string[] {
  if (right.every((name) => left.includes(name))) return left
  return [...new Set([...left, ...right])].sort()
}

/** What a request brings for each of `names`: its cookies for `cookie`, where only some of them count. */
export function variantOf(
  fields: Fields,
  names: readonly string[],
  cookieNames: readonly string[] | 'all',
): string {
  let framed = ''
  for (const name of names) {
    framed += frame(name)
    if (name !== 'cookie' || cookieNames === 'all') {
      const value = fieldOf(fields, name)
      framed += value === undefined ? '-' : frame(value)
    } else {
      for (const cookie of cookieNames) {
        const values = cookiesOf(fieldOf(fields, 'cookie'), cookie)
        framed += `${frame(cookie)}${values.length}=${values.map(frame).join('')}`
      }
    }
  }
  return framed
}

function frame(text: string): string {
  return `${text.length}:${text}`
}

/** The values of the cookie `name`, in their order, as they were sent. */
export function cookiesOf(header: string | undefined, name: string): string[] {
  const values: string[] = []
  for (const pair of (header ?? '').split(';')) {
    const equals = pair.indexOf('=')
    if (equals !== -1 && pair.slice(0, equals).trim() === name) values.push(pair.slice(equals + 1).trim())
  }
  return values
}
