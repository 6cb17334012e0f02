// Stands between a handler and its `ServerResponse`: shows the head to an exchange before it is sent, shows the body as
// it goes by, and sends something else where the exchange says so. Whatever framework made the response ends in
// `writeHead`, `write` and `end`, so these three are replaced, on this one response; back-pressure is that of the
// originals, since `write` answers what they answer.
//
//    waiting ──▶ decided ──▶ sending ──▶ ended      the handler's response, recorded or not
//       └──────────────────▶ replaced               something else was sent; what the handler sends is thrown away
//
// Middleware that replaces the same methods may stand on either side: what is outside sees what is sent here, what is
// inside has finished the head by the time it comes here.

import { type IncomingMessage, ServerResponse } from 'node:http'
import type { Answer, Kept } from '../answer.ts'
import type { Decision, Exchange } from '../exchange.ts'
import type { FieldLine } from '../policy/fields.ts'

type Write = (chunk: unknown, encoding?: unknown, callback?: unknown) => boolean

/** Changes a response's lines before anything else looks at them. */
export type Patch = (lines: FieldLine[]) => FieldLine[]

const taps = new WeakMap<ServerResponse, Tap>()

/** The tap on a response, put there if there is none. */
export function tapOf(response: ServerResponse): Tap {
  let tap = taps.get(response)
  if (tap === undefined) {
    tap = new Tap(response)
    taps.set(response, tap)
  }
  return tap
}

/** The tap on a response, if there is one. */
export function tapIfAny(response: ServerResponse): Tap | undefined {
  return taps.get(response)
}

/** One response on its way from the handler to the client. */
export class Tap {
  readonly #response: ServerResponse
  readonly #writeHead: ServerResponse['writeHead']
  readonly #write: ServerResponse['write']
  readonly #end: ServerResponse['end']
  readonly #patches: Patch[] = []
  #exchange: Exchange | undefined
  #state: 'waiting' | 'decided' | 'sending' | 'ended' | 'replaced' | 'open' = 'waiting'
  #decision: (Decision & { kind: 'send' }) | undefined

  /** @internal Use `tapOf`. */
  constructor(response: ServerResponse) {
    this.#response = response
    this.#writeHead = response.writeHead
    this.#write = response.write
    this.#end = response.end
    response.writeHead = ((...given: unknown[]) => this.#onWriteHead(given)) as ServerResponse['writeHead']
    response.write = ((...given: unknown[]) => this.#onWrite(given)) as ServerResponse['write']
    response.end = ((...given: unknown[]) => this.#onEnd(given)) as ServerResponse['end']
    response.once('close', () => this.#exchange?.abort())
  }

  /** The exchange whose response this is, if one is attached. */
  get exchange(): Exchange | undefined {
    return this.#exchange
  }

  /** Lets `exchange` decide on what comes. */
  attach(exchange: Exchange): void {
    this.#exchange = exchange
  }

  /** Changes the head before the exchange sees it; the patch that came last goes first, being nearest to the handler. */
  patch(patch: Patch): void {
    this.#patches.unshift(patch)
  }

  /** Sends `answer` in the place of anything that the handler may send from now on. */
  replace(answer: Answer): void {
    this.#state = 'open'
    send(this.#response, answer)
    this.#state = 'replaced'
  }

  /** Whether the handler can still be stood in for. */
  get isWaiting(): boolean {
    return this.#state === 'waiting' && !this.#response.headersSent
  }

  #onWriteHead(given: unknown[]): ServerResponse {
    const response = this.#response
    if (this.#state === 'replaced') return response
    if (this.#state !== 'waiting' && this.#state !== 'decided') {
      return Reflect.apply(this.#writeHead, response, given)
    }
    const [status, ...rest] = given as [number, ...unknown[]]
    const reason = typeof rest[0] === 'string' ? rest[0] : undefined
    mergeHeaders(response, reason === undefined ? rest[0] : rest[1])
    if (this.#state === 'waiting') this.#decide(status)
    return this.#sendHead(reason)
  }

  #onWrite([chunk, encoding, callback]: unknown[]): boolean {
    const response = this.#response
    if (this.#state === 'waiting') response.writeHead(response.statusCode)
    const done = typeof encoding === 'function' ? encoding : callback
    if (this.#state === 'replaced') return skip(done)
    if (this.#state === 'open')
      return Reflect.apply(this.#write as Write, response, [chunk, encoding, callback])
    this.#record(chunk, encoding)
    if (this.#decision?.sendsBody === false) return skip(done)
    return Reflect.apply(this.#write as Write, response, [chunk, encoding, callback])
  }

  #onEnd(given: unknown[]): ServerResponse {
    const response = this.#response
    if (this.#state === 'open') return Reflect.apply(this.#end, response, given)
    const [first, second, third] = given
    const chunk = typeof first === 'function' ? undefined : first
    const encoding = typeof second === 'string' ? second : undefined
    const done = [first, second, third].find((argument) => typeof argument === 'function')
    if (this.#state === 'waiting') this.#decide(response.statusCode)
    if (this.#state === 'replaced') {
      skip(done)
      return response
    }
    if (this.#state === 'ended') return Reflect.apply(this.#end, response, given)
    if (chunk !== undefined && chunk !== null) this.#record(chunk, encoding)
    // Stored before it is sent, so that whoever asks next finds it or finds it being stored.
    void this.#exchange?.end()
    if (this.#decision?.sendsBody === false) {
      if (this.#state === 'decided') this.#sendHead(undefined)
      this.#state = 'ended'
      return Reflect.apply(this.#end, response, done === undefined ? [] : [done])
    }
    if (this.#state === 'sending') this.#state = 'ended'
    // With the head unsent, the original finds the length of the body first and then comes by `writeHead`.
    return Reflect.apply(this.#end, response, given)
  }

  #decide(status: number): void {
    let lines = linesOf(this.#response)
    for (const patch of this.#patches) lines = patch(lines)
    const decision: Decision = this.#exchange?.respond(status, lines) ?? {
      kind: 'send',
      status,
      lines,
      sendsBody: true,
      records: false,
    }
    if (decision.kind === 'substitute') {
      for (const name of this.#response.getHeaderNames()) this.#response.removeHeader(name)
      this.replace(decision.answer)
    } else {
      this.#decision = decision
      this.#state = 'decided'
    }
  }

  #sendHead(reason: string | undefined): ServerResponse {
    const response = this.#response
    const decision = this.#decision
    if (this.#state === 'replaced' || decision === undefined) return response
    this.#state = 'sending'
    setLines(response, decision.lines)
    const status = decision.status
    const isOwnStatus = reason !== undefined && status !== 304
    return Reflect.apply(this.#writeHead, response, isOwnStatus ? [status, reason] : [status])
  }

  #record(chunk: unknown, encoding: unknown): void {
    if (this.#exchange?.isRecording !== true) return
    if (typeof chunk === 'string') {
      this.#exchange.write(
        Buffer.from(chunk, typeof encoding === 'string' ? (encoding as BufferEncoding) : 'utf8'),
        false,
      )
    } else if (chunk instanceof Uint8Array) {
      this.#exchange.write(chunk)
    }
  }
}

const { write: plainWrite, end: plainEnd } = ServerResponse.prototype

/**
 * Bodies up to this length are sent as text: with their head they are written in one piece, and below 16 kB without a
 * buffer of their own.
 */
const MOST_TEXT = 12_000
/** So many texts are kept, whoever's: making one costs what it saves, so that only a page that is asked for often gains. */
const texts: Pick<Kept, 'text'>[] = Array.from({ length: 1_000 }, () => ({ text: undefined }))
let nextText = 0

/** Sends a whole answer: one head, one body, as they lie there. */
export function send(response: ServerResponse, answer: Answer): void {
  const { status, lines, body } = answer
  if (response.getHeaderNames().length === 0) {
    response.writeHead(status, answer.flat as string[])
  } else {
    // What middleware in front has set stays, where the page does not say it itself.
    setLines(response, [...linesOf(response).filter(isMissingIn(lines)), ...lines])
    response.writeHead(status)
  }
  if (body === undefined) response.end()
  else if (!sendAtOnce(response, answer, body)) response.end(body)
}

/**
 * Sends head and body as one piece of text, and at once: `end` would hold both back to write them with an empty third.
 * Only where nobody stands between this response and its socket.
 */
function sendAtOnce(response: ServerResponse, { kept }: Answer, body: Uint8Array): boolean {
  const { socket } = response
  if (body.length === 0 || body.length > MOST_TEXT || socket === null || socket.writableCorked > 0)
    return false
  if (response.write !== plainWrite || response.end !== plainEnd) return false
  // Held here, as `write` would otherwise hold it itself until the next turn.
  socket.cork()
  response.write(kept.text ?? textOf(kept, body), 'latin1')
  socket.uncork()
  response.end()
  return true
}

function textOf(kept: Kept, { buffer, byteOffset, length }: Uint8Array): string {
  const text = Buffer.from(buffer, byteOffset, length).toString('latin1')
  kept.text = text
  const before = texts[nextText]
  if (before !== undefined) before.text = undefined
  texts[nextText] = kept
  nextText = (nextText + 1) % texts.length
  return text
}

function isMissingIn(lines: readonly FieldLine[]): (line: FieldLine) => boolean {
  const names = new Set(lines.map(([name]) => name.toLowerCase()))
  return ([name]) => !names.has(name.toLowerCase())
}

/** Fields set on a response, a line for each value. */
export function linesOf(response: ServerResponse): FieldLine[] {
  const lines: FieldLine[] = []
  for (const name of (response as ServerResponse & { getRawHeaderNames(): string[] }).getRawHeaderNames()) {
    const value = response.getHeader(name)
    for (const line of Array.isArray(value) ? value : [value]) lines.push([name, String(line)])
  }
  return lines
}

function setLines(response: ServerResponse, lines: readonly FieldLine[]): void {
  for (const name of response.getHeaderNames()) response.removeHeader(name)
  const values = new Map<string, { name: string; all: string[] }>()
  for (const [name, value] of lines) {
    const lower = name.toLowerCase()
    const held = values.get(lower)
    if (held === undefined) values.set(lower, { name, all: [value] })
    else held.all.push(value)
  }
  for (const { name, all } of values.values())
    response.setHeader(name, all.length === 1 ? (all[0] as string) : all)
}

/** Adds the fields given to `writeHead` to those set before, as Node does. */
function mergeHeaders(response: ServerResponse, headers: unknown): void {
  if (headers === undefined || headers === null) return
  if (!Array.isArray(headers)) {
    for (const [name, value] of Object.entries(
      headers as Record<string, string | string[] | number | undefined>,
    )) {
      if (value !== undefined) response.setHeader(name, value)
    }
    return
  }
  const pairs: [string, string][] = Array.isArray(headers[0])
    ? (headers as [string, string][])
    : Array.from({ length: headers.length / 2 }, (_, at) => [headers[at * 2], headers[at * 2 + 1]])
  for (const [name] of pairs) response.removeHeader(name)
  for (const [name, value] of pairs) response.appendHeader(name, value)
}

function skip(done: unknown): true {
  if (typeof done === 'function') setImmediate(done as () => void)
  return true
}

/** Lets the handler see the fields that an exchange forwards, in both forms that Node has of them. */
export function forwardTo(request: IncomingMessage, exchange: Exchange): void {
  const before = request.headers
  const after = exchange.forwardFields(before as Record<string, string | undefined>)
  if (after === before) return
  const raw: string[] = []
  const added = new Set(Object.keys(after))
  for (let at = 0; at < request.rawHeaders.length; at += 2) {
    const name = request.rawHeaders[at] as string
    const lower = name.toLowerCase()
    if (after[lower] === undefined || after[lower] !== before[lower]) continue
    added.delete(lower)
    raw.push(name, request.rawHeaders[at + 1] as string)
  }
  for (const name of added) {
    const value = after[name]
    if (value !== undefined) raw.push(name, value)
  }
  request.headers = after
  request.rawHeaders = raw
}
