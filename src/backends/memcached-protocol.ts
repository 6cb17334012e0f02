// Memcached's meta protocol: requests into bytes, bytes into replies. Nothing here knows a socket.
//
// Four commands are enough: `mg` reads, `ms` writes, `md` removes, `mn` says nothing. Text lines with flags of one
// letter, and one block of bytes of a stated length behind `ms` and `VA`. Source: doc/protocol.txt of memcached 1.6.
//
// Every request carries an opaque number that its reply repeats. Whatever is not exactly a reply to the oldest
// request is a surprise, and after a surprise nobody knows which bytes belong to whom: the connection must go, or one
// key's value would be given out for another's (Django's CVE-2020-13254 was that).

/** A key as the server is to read it: at most 250 signs, none of them a blank or a control character. */
export interface MetaKey {
  readonly text: string
  /** The server turns it from Base64 into the bytes that it keeps. */
  readonly isBase64: boolean
}

/** One command. */
export interface MetaRequest {
  readonly command: 'mg' | 'ms' | 'md'
  readonly key: MetaKey
  /** Flags without the opaque, such as `v c t`. */
  readonly flags: string
  /** What `ms` stores. */
  readonly value?: Uint8Array
}

/** One answer. */
export interface MetaReply {
  /** `TOO_LARGE` and `NO_MEMORY` are the server's two ways of not storing; the rest as in the protocol. */
  readonly code: 'VA' | 'HD' | 'EN' | 'NF' | 'NS' | 'EX' | 'TOO_LARGE' | 'NO_MEMORY'
  /** The rest of the line, flags with a blank between them. */
  readonly flags: string
  readonly value: Uint8Array | undefined
}

/** Bytes that are no reply: of a broken server, or of something else that listens there. */
export class ProtocolSurprise extends Error {
  override readonly name = 'ProtocolSurprise'
}

const MAX_LINE_BYTES = 2_048
/** More than any server allows (its `-I` goes up to 1 GiB, but nobody reads that in one piece). */
const MAX_VALUE_BYTES = 2 ** 28
const LINE_END = 10
const keyForm = /^[\x21-\x7e]{1,250}$/
const flagForm = /^[A-Za-z0-9 -]*$/

const codesOf: Record<MetaRequest['command'], readonly string[]> = {
  mg: ['VA', 'HD', 'EN'],
  ms: ['HD', 'NS', 'EX', 'NF', 'TOO_LARGE', 'NO_MEMORY'],
  md: ['HD', 'NF', 'EX'],
}

const errorLines: Record<string, MetaReply['code']> = {
  'SERVER_ERROR object too large for cache': 'TOO_LARGE',
  'SERVER_ERROR out of memory storing object': 'NO_MEMORY',
}

/**
 * The bytes of a request.
 *
 * @throws RangeError for a key or flags that would be another command: nothing of them reaches the wire.
 */
export function encodeRequest({ command, key, flags, value }: MetaRequest, opaque: number): Uint8Array[] {
  if (!keyForm.test(key.text)) throw new RangeError('key: it is no word of the protocol')
  if (!flagForm.test(flags)) throw new RangeError('flags: they are no words of the protocol')
  const size = value === undefined ? '' : ` ${value.length}`
  const base64 = key.isBase64 ? ' b' : ''
  const line = `${command} ${key.text}${size}${base64} O${opaque.toString(36)}${flags === '' ? '' : ' '}${flags}\r\n`
  return value === undefined ? [Buffer.from(line)] : [Buffer.from(line), value, CRLF]
}

const CRLF = Uint8Array.of(13, LINE_END)

/**
 * Checks that a reply answers a request.
 *
 * @throws ProtocolSurprise.
 */
export function checkReply(reply: MetaReply, command: MetaRequest['command'], opaque: number): void {
  if (!codesOf[command].includes(reply.code))
    throw new ProtocolSurprise(`${command} was answered with ${reply.code}`)
  const echoed = flagOf(reply, 'O')
  // What was not found, and what was not stored for want of room, says nothing of the request; who comes next does.
  const mayBeBare = reply.code === 'EN' || reply.code === 'TOO_LARGE' || reply.code === 'NO_MEMORY'
  if (echoed === undefined ? !mayBeBare : echoed !== opaque.toString(36)) {
    throw new ProtocolSurprise('a reply to another request came')
  }
}

/** The value of a flag; `''` for one without, `undefined` when it is not there. */
export function flagOf(reply: MetaReply, flag: string): string | undefined {
  return reply.flags
    .split(' ')
    .find((word) => word.startsWith(flag))
    ?.slice(1)
}

/** Cuts what comes in into replies. */
export class ReplyParser {
  #parts: Buffer[] = []
  #bytes = 0
  /** Nothing can be whole before there are as many bytes. */
  #needed = 0

  /**
   * The replies that are whole with this piece.
   *
   * @throws ProtocolSurprise; the parser is of no more use then.
   */
  feed(piece: Buffer): MetaReply[] {
    this.#parts.push(piece)
    this.#bytes += piece.length
    if (this.#bytes < this.#needed) return []
    const bytes = this.#parts.length === 1 ? piece : Buffer.concat(this.#parts)
    const replies: MetaReply[] = []
    let at = 0
    this.#needed = 0
    while (at < bytes.length) {
      const end = bytes.indexOf(LINE_END, at)
      if ((end === -1 ? bytes.length : end) - at > MAX_LINE_BYTES)
        throw new ProtocolSurprise('a line does not end')
      if (end === -1) break
      if (bytes[end - 1] !== 13) throw new ProtocolSurprise('a line ends in the middle')
      const line = bytes.toString('latin1', at, end - 1)
      if (!line.startsWith('VA ')) {
        replies.push(headed(line))
        at = end + 1
        continue
      }
      const [, size = '', flags = ''] = /^VA (\d{1,9})(?: (.*))?$/.exec(line) ?? []
      const valueAt = end + 1
      const valueEnd = valueAt + Number(size)
      if (size === '' || Number(size) > MAX_VALUE_BYTES)
        throw new ProtocolSurprise('a value has no size or too large a one')
      if (bytes.length < valueEnd + 2) {
        this.#needed = valueEnd + 2 - at
        break
      }
      if (bytes[valueEnd] !== 13 || bytes[valueEnd + 1] !== LINE_END)
        throw new ProtocolSurprise('a value does not end where it should')
      // A copy: what came with it would otherwise stay in memory as long as the value.
      replies.push({ code: 'VA', flags, value: new Uint8Array(bytes.subarray(valueAt, valueEnd)) })
      at = valueEnd + 2
    }
    this.#parts = at === bytes.length ? [] : [bytes.subarray(at)]
    this.#bytes = bytes.length - at
    return replies
  }
}

function headed(line: string): MetaReply {
  const error = errorLines[line]
  if (error !== undefined) return { code: error, flags: '', value: undefined }
  const [, code, flags = ''] = /^(HD|EN|NF|NS|EX)(?: (.*))?$/.exec(line) ?? []
  if (code === undefined)
    throw new ProtocolSurprise(`the server said ${JSON.stringify(line.replace(/[^ -~]/g, '?').slice(0, 60))}`)
  return { code: code as MetaReply['code'], flags, value: undefined }
}
