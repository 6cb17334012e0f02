// Cache-Control, read and written (RFC 9111 section 5.2). Directives are parsed, never searched for as text:
// `extension="no-store"` is one directive that nobody knows, and `x-private` is not `private`.
//
//   Cache-Control = [ directive *( OWS "," OWS directive ) ]
//   directive     = token [ "=" ( token / quoted-string ) ]
//
// A field that does not have this form answers `undefined`: then nobody knows what it was meant to forbid, and
// nothing is stored. Where a directive comes twice, the more restrictive one counts.

import { isToken, listOf } from './fields.ts'

/** Directives by lower-case name. `true` is a directive without an argument. */
export type Directives = ReadonlyMap<string, string | true>

/** What a directive of seconds can hold at most; RFC 9111 section 1.2.2 lets larger ones be cut. */
export const MOST_SECONDS: number = 2 ** 31

const secondsDirectives = new Set([
  'max-age',
  'max-stale',
  'min-fresh',
  's-maxage',
  'stale-if-error',
  'stale-while-revalidate',
])
const empty: Directives = new Map()

/** The directives in `value`, or `undefined` when it is malformed. An absent field has no directives. */
export function parseCacheControl(value: string | undefined): Directives | undefined {
  if (value === undefined || value === '') return empty
  const directives = new Map<string, string | true>()
  for (const member of listOf(value)) {
    const equals = member.indexOf('=')
    const name = (equals === -1 ? member : member.slice(0, equals)).toLowerCase()
    if (!isToken(name)) return undefined
    const argument = equals === -1 ? true : argumentOf(member.slice(equals + 1))
    if (argument === undefined) return undefined
    const before = directives.get(name)
    directives.set(name, before === undefined ? argument : stricter(name, before, argument))
  }
  return directives
}

/** A token as it is, a quoted string without its quotes and escapes; `undefined` for anything else. */
function argumentOf(text: string): string | undefined {
  if (isToken(text)) return text
  if (text.length < 2 || text[0] !== '"') return undefined
  let argument = ''
  for (let at = 1; at < text.length; at++) {
    const unit = text[at] as string
    if (unit === '"') return at === text.length - 1 ? argument : undefined
    if (unit === '\\') at++
    argument += text[at] ?? ''
  }
  return undefined
}

function stricter(name: string, left: string | true, right: string | true): string | true {
  if (secondsDirectives.has(name)) {
    const [leftSeconds, rightSeconds] = [secondsIn(left), secondsIn(right)]
    if (leftSeconds === undefined) return left
    if (rightSeconds === undefined) return right
    // A longer `min-fresh` asks for more; of all others the shorter one does.
    return leftSeconds < rightSeconds === (name !== 'min-fresh') ? left : right
  }
  // Without an argument `private` and `no-cache` are about the whole response, with one about some fields.
  if (left === true || right === true) return true
  return left === right ? left : `${left}, ${right}`
}

function secondsIn(argument: string | true): number | undefined {
  if (argument === true || !/^[0-9]+$/.test(argument)) return undefined
  return Math.min(Number(argument), MOST_SECONDS)
}

/**
 * The seconds of the directive `name`: `undefined` when it is absent, `0` when it is there and is no number of
 * seconds (`max-age`, `max-age=-1`, `max-age='5'`): a time that nobody can read is over (RFC 9111 section 4.2.1).
 */
export function secondsOf(directives: Directives, name: string): number | undefined {
  const argument = directives.get(name)
  return argument === undefined ? undefined : (secondsIn(argument) ?? 0)
}

/** Writes directives, in their order; arguments that are no token are quoted. */
export function formatCacheControl(directives: Directives): string {
  const parts: string[] = []
  for (const [name, argument] of directives) {
    if (argument === true) parts.push(name)
    else if (isToken(argument)) parts.push(`${name}=${argument}`)
    else parts.push(`${name}="${argument.replace(/["\\]/g, '\\$&')}"`)
  }
  return parts.join(', ')
}
