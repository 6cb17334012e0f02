// What is sent in the place of the handler's response: a stored page, or a 304 for a client that has it.

import type { Page } from './page.ts'
import { type CacheOutcome, formatCacheStatus } from './policy/cache-status.ts'
import { belongsOn304, isNotModified, validatorsOf } from './policy/conditional.ts'
import type { FieldLine, Fields } from './policy/fields.ts'
import type { RequestHead } from './policy/storable.ts'

/** A whole response, ready to be sent. */
export interface Answer {
  readonly status: number
  readonly lines: readonly FieldLine[]
  /** `undefined` for an answer without a body. The bytes are the cache's own: not to be written to. */
  readonly body: Uint8Array | undefined
}

/** The answer to a request from a stored page. */
export function answerFrom(
  page: Page,
  request: RequestHead,
  outcome: CacheOutcome,
  statusName: string | undefined,
  nowMs: number,
  wallMs: number,
): Answer {
  const { head } = page
  const lines: FieldLine[] = [
    ...head.lines,
    ['Age', String(Math.max(0, Math.floor((nowMs - page.bornAtMs) / 1000)))],
  ]
  if (statusName !== undefined) lines.push(['Cache-Status', formatCacheStatus(statusName, outcome)])
  if (head.status === 200 && isConditional(request.fields)) {
    const validators = validatorsOf(page.fields)
    if (isNotModified(request.fields, validators, wallMs)) {
      return { status: 304, lines: linesOf304(lines), body: undefined }
    }
  }
  return { status: head.status, lines, body: request.method === 'HEAD' ? undefined : page.body }
}

/** Whether a client says what it has. */
export function isConditional(fields: Fields): boolean {
  return Object.hasOwn(fields, 'if-none-match') || Object.hasOwn(fields, 'if-modified-since')
}

/** Of a response's lines, those that a 304 has. */
export function linesOf304(lines: readonly FieldLine[]): FieldLine[] {
  return lines.filter(([name]) => belongsOn304(name.toLowerCase()))
}
