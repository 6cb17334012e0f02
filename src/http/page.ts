// A stored page: the head and the body of one response, and what is needed to judge whether it may be used again. It
// goes through the cache as one array of bytes, so that every codec passes it on as it is, and what L1 holds is what is
// written to the socket:
//
//    at  bytes       field
//     0      1       format, 1
//     1      4       length of the head, big-endian
//     5   length     the head: JSON
//                    the body, as the handler sent it
//
// The head is parsed once per process and array. Age is counted on the monotonic clock from there; only across
// processes does it rest on the wall clock, as `Date` and `Age` do everywhere on the web.

import type { Answer } from './answer.ts'
import type { FieldLine } from './policy/fields.ts'
import { type Fields, fieldsOf } from './policy/fields.ts'
import type { PageTimes } from './policy/freshness.ts'

/** What is kept of a response. */
export interface PageHead {
  readonly url: string
  readonly method: 'GET' | 'HEAD'
  readonly status: number
  /** As they are sent, without those of the connection and without `Age`. */
  readonly lines: readonly FieldLine[]
  readonly times: PageTimes
  /** The framed values of the request fields it varies with. */
  readonly variant: string
  /** Whether requests with `Authorization` may have it. */
  readonly isForAuthorized: boolean
  /** Those of its tags that a field of the response named. */
  readonly tags?: readonly string[] | undefined
  /** When its head came, on the wall clock of whoever stored it. */
  readonly storedAtMs: number
}

/** A page in this process. */
export interface Page {
  readonly head: PageHead
  readonly fields: Fields
  readonly body: Uint8Array
  /** When its age was 0, on this process's monotonic clock. */
  readonly bornAtMs: number
  /** The answer of the latest hit, to be given again while it says the same. */
  said: Said | undefined
}

/** An answer, and what it says of the moment. */
export interface Said {
  readonly ageSeconds: number
  readonly leftSeconds: number
  readonly statusName: string | undefined
  readonly answer: Answer
}

const FORMAT = 1
const HEAD_AT = 5
const encoder = new TextEncoder()
const decoder = new TextDecoder('utf-8', { fatal: true })

/** The bytes of a page. The body is copied. */
export function encodePage(head: PageHead, chunks: readonly Uint8Array[]): Uint8Array {
  const headBytes = encoder.encode(JSON.stringify(head))
  const bodyBytes = chunks.reduce((sum, { length }) => sum + length, 0)
  const bytes = new Uint8Array(HEAD_AT + headBytes.length + bodyBytes)
  bytes[0] = FORMAT
  new DataView(bytes.buffer).setUint32(1, headBytes.length)
  bytes.set(headBytes, HEAD_AT)
  let at = HEAD_AT + headBytes.length
  for (const chunk of chunks) {
    bytes.set(chunk, at)
    at += chunk.length
  }
  return bytes
}

/** The page in `bytes`, or `undefined` when they are none. The body is a view, not a copy. */
export function decodePage(bytes: unknown, wallMs: number, monotonicMs: number): Page | undefined {
  if (!(bytes instanceof Uint8Array) || bytes.length < HEAD_AT || bytes[0] !== FORMAT) return undefined
  const bodyAt = HEAD_AT + new DataView(bytes.buffer, bytes.byteOffset).getUint32(1)
  if (bodyAt > bytes.length) return undefined
  let head: PageHead
  try {
    head = JSON.parse(decoder.decode(bytes.subarray(HEAD_AT, bodyAt)))
  } catch {
    return undefined
  }
  const residentMs = Math.max(0, wallMs - head.storedAtMs)
  return {
    head,
    fields: fieldsOf(head.lines),
    body: bytes.subarray(bodyAt),
    bornAtMs: monotonicMs - residentMs - head.times.initialAgeMs,
    said: undefined,
  }
}

/** How long a page is worth keeping from when it is stored, in milliseconds. */
export function lifeMsOf(times: PageTimes, keepForValidationMs: number): number {
  const staleMs = Math.max(times.staleWhileRevalidateMs, times.staleIfErrorMs, keepForValidationMs)
  return Math.min(times.freshMs + staleMs - times.initialAgeMs, MOST_LIFE_MS)
}

/** A year; nothing is lost by asking once more after it. */
const MOST_LIFE_MS = 365 * 24 * 60 * 60 * 1000
