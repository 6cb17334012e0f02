// What is sent in the place of the handler's response: a stored page, or a 304 for a client that has it.

import type { Clock } from '../clock.ts'
import type { Page } from './page.ts'
import { type CacheOutcome, formatCacheStatus } from './policy/cache-status.ts'
import { belongsOn304, isNotModified, validatorsOf } from './policy/conditional.ts'
import type { FieldLine, Fields } from './policy/fields.ts'
import type { RequestHead } from './policy/storable.ts'

/** Of an answer, what is sent again and again. */
export interface Kept {
  /** The body, a character for each byte, for as long as there is room for it. */
  text: string | undefined
  /** The lines, as a `Response` takes them. */
  headers: Record<string, string> | [string, string][] | undefined
}

/** A whole response, ready to be sent. */
export interface Answer {
  readonly status: number
  readonly lines: readonly FieldLine[]
  /** The lines once more, names and values in turn, as `writeHead` of Node takes them. */
  readonly flat: readonly string[]
  /** `undefined` for an answer without a body. The bytes are the cache's own: not to be written to. */
  readonly body: Uint8Array | undefined
  /** What adapters have made of it. */
  readonly kept: Kept
}

/** An answer that is no page. */
export function answerOf(status: number, lines: readonly FieldLine[], body: Uint8Array | undefined): Answer {
  return { status, lines, flat: lines.flat(), body, kept: { text: undefined, headers: undefined } }
}

/** The answer to a request from a stored page. */
export function answerFrom(
  page: Page,
  request: RequestHead,
  outcome: CacheOutcome,
  statusName: string | undefined,
  nowMs: number,
  clock: Clock,
): Answer {
  const { head } = page
  const whole = wholeOf(page, outcome, statusName, nowMs)
  if (head.status === 200 && isConditional(request.fields)) {
    const validators = validatorsOf(page.fields)
    if (isNotModified(request.fields, validators, clock.wallNow())) {
      return answerOf(304, linesOf304(whole.lines), undefined)
    }
  }
  return request.method === 'HEAD' ? { ...whole, body: undefined } : whole
}

/** All of a page, with what is said of this use of it. What is said of a hit is the same for a second. */
function wholeOf(page: Page, outcome: CacheOutcome, statusName: string | undefined, nowMs: number): Answer {
  const ageSeconds = Math.max(0, Math.floor((nowMs - page.bornAtMs) / 1000))
  const { said } = page
  const leftSeconds = outcome.kind === 'hit' && outcome.detail === undefined ? outcome.leftSeconds : undefined
  if (said?.ageSeconds === ageSeconds && said.leftSeconds === leftSeconds && said.statusName === statusName) {
    return said.answer
  }
  const lines: FieldLine[] = [...page.head.lines, ['Age', String(ageSeconds)]]
  if (statusName !== undefined) lines.push(['Cache-Status', formatCacheStatus(statusName, outcome)])
  const answer = answerOf(page.head.status, lines, page.body)
  if (leftSeconds !== undefined) page.said = { ageSeconds, leftSeconds, statusName, answer }
  return answer
}

/** Whether a client says what it has. */
export function isConditional(fields: Fields): boolean {
  return Object.hasOwn(fields, 'if-none-match') || Object.hasOwn(fields, 'if-modified-since')
}

/** Of a response's lines, those that a 304 has. */
export function linesOf304(lines: readonly FieldLine[]): FieldLine[] {
  return lines.filter(([name]) => belongsOn304(name.toLowerCase()))
}
