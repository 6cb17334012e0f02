// Preconditions (RFC 9110 section 13) and what a 304 does to a stored response (RFC 9111 sections 3.2 and 4.3.4).

import { type FieldLine, type Fields, fieldOf, hopByHop, listOf } from './fields.ts'
import { parseHttpDate } from './http-date.ts'

/** Who asks and what there is: the validators of the response that would be sent. */
export interface Validators {
  readonly etag: string | undefined
  readonly lastModified: string | undefined
  /** `Date` of the response; stands in for `Last-Modified` where there is none. */
  readonly date: string | undefined
}

/** The validators among a response's fields. */
export function validatorsOf(fields: Fields): Validators {
  return {
    etag: fieldOf(fields, 'etag'),
    lastModified: fieldOf(fields, 'last-modified'),
    date: fieldOf(fields, 'date'),
  }
}

const etagForm = /^(W\/)?"([\x21\x23-\x7e\x80-\xff]*)"$/

/** Whether two entity tags match, `W/` left aside (weak comparison). Something that is no entity tag matches nothing. */
export function matchWeakly(left: string, right: string): boolean {
  const [one, other] = [etagForm.exec(left), etagForm.exec(right)]
  return one !== null && other !== null && one[2] === other[2]
}

/** Whether two entity tags match and neither is weak (strong comparison). */
export function matchStrongly(left: string, right: string): boolean {
  return !left.startsWith('W/') && !right.startsWith('W/') && matchWeakly(left, right)
}

/** Whether a client that sent these fields has the response already. `If-None-Match` makes the date irrelevant. */
export function isNotModified(
  request: Fields,
  { etag, lastModified, date }: Validators,
  nowMs: number,
): boolean {
  const noneMatch = fieldOf(request, 'if-none-match')
  if (noneMatch !== undefined) {
    if (noneMatch.trim() === '*') return true
    return etag !== undefined && listOf(noneMatch).some((candidate) => matchWeakly(candidate, etag))
  }
  const since = fieldOf(request, 'if-modified-since')
  const changed = lastModified ?? date
  if (since === undefined || changed === undefined) return false
  return isAtMost(changed, since, nowMs)
}

/**
 * What the origin answers to a conditional request, in the order of RFC 9110 section 13.2.2: `200` sends the response.
 */
export function preconditionStatus(
  method: string,
  request: Fields,
  validators: Validators,
  nowMs: number,
): 200 | 304 | 412 {
  const { etag, lastModified } = validators
  const match = fieldOf(request, 'if-match')
  const unmodified = fieldOf(request, 'if-unmodified-since')
  if (match !== undefined) {
    const holds =
      match.trim() === '*' ||
      (etag !== undefined && listOf(match).some((candidate) => matchStrongly(candidate, etag)))
    if (!holds) return 412
  } else if (unmodified !== undefined && lastModified !== undefined) {
    if (parseHttpDate(unmodified, nowMs) !== undefined && !isAtMost(lastModified, unmodified, nowMs))
      return 412
  }
  const isSafe = method === 'GET' || method === 'HEAD'
  if (fieldOf(request, 'if-none-match') !== undefined) {
    if (isNotModified(request, validators, nowMs)) return isSafe ? 304 : 412
  } else if (isSafe && isNotModified(request, { ...validators, date: undefined }, nowMs)) {
    return 304
  }
  return 200
}

function isAtMost(earlier: string, later: string, nowMs: number): boolean {
  const laterMs = parseHttpDate(later, nowMs)
  const earlierMs = parseHttpDate(earlier, nowMs)
  return laterMs !== undefined && earlierMs !== undefined && earlierMs <= laterMs
}

/**
 * Fields that describe the body, which stays the stored one, or that only the client who asked may see. The `ETag` was
 * what the origin was asked by: one that says another confirms nothing about the stored one's.
 */
const notUpdated: ReadonlySet<string> = new Set([
  ...hopByHop,
  'content-encoding',
  'content-length',
  'content-md5',
  'content-range',
  'etag',
  'set-cookie',
])

/** The stored lines with those of a 304 in the place of their namesakes. */
export function updatedBy304(stored: readonly FieldLine[], fresh: readonly FieldLine[]): FieldLine[] {
  const replacing = fresh.filter(([name]) => !notUpdated.has(name.toLowerCase()))
  const names = new Set(replacing.map(([name]) => name.toLowerCase()))
  return [...stored.filter(([name]) => !names.has(name.toLowerCase())), ...replacing]
}

/** Whether a line of the full response belongs on a 304 as well: all but what describes the body. */
export function belongsOn304(lowerName: string): boolean {
  return !lowerName.startsWith('content-') || lowerName === 'content-location'
}
