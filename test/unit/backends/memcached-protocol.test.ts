import { describe, expect, test } from 'vitest'
import {
  checkReply,
  encodeRequest,
  flagOf,
  type MetaReply,
  ProtocolSurprise,
  ReplyParser,
} from '../../../src/backends/memcached-protocol.ts'

const plain = (text: string) => ({ text, isBase64: false })
const textOf = (parts: readonly Uint8Array[]): string => Buffer.concat(parts).toString('latin1')

describe('requests', () => {
  test('are lines of the protocol', () => {
    expect(textOf(encodeRequest({ command: 'mg', key: plain('ks:a'), flags: 'v c t' }, 35))).toBe(
      'mg ks:a Oz v c t\r\n',
    )
    const stored = { command: 'ms', key: { text: 'YQ==', isBase64: true }, flags: 'T5' } as const
    expect(textOf(encodeRequest({ ...stored, value: Uint8Array.of(13, 10) }, 36))).toBe(
      'ms YQ== 2 b O10 T5\r\n\r\n\r\n',
    )
    expect(textOf(encodeRequest({ command: 'md', key: plain('ks:a'), flags: '' }, 1))).toBe('md ks:a O1\r\n')
  })

  test('a key that would be more than a key is refused before it is written', () => {
    for (const text of ['', 'a b', 'a\r\nflush_all', 'a\0', 'a\x7f', '\u00e9', 'a'.repeat(251), '\t']) {
      expect(() => encodeRequest({ command: 'mg', key: plain(text), flags: 'v' }, 1)).toThrow(RangeError)
    }
    expect(() => encodeRequest({ command: 'mg', key: plain('a'), flags: 'v\r\nflush_all' }, 1)).toThrow(
      RangeError,
    )
  })
})

describe('replies', () => {
  const wire = Buffer.from(
    'VA 5 c7 t-1 O1\r\na\r\nb\n\r\nHD O2\r\nEN\r\nVA 0 O3 W\r\n\r\nNS O4\r\nEX O5\r\nNF O6\r\n' +
      'SERVER_ERROR object too large for cache\r\nSERVER_ERROR out of memory storing object\r\n',
    'latin1',
  )
  const codes = ['VA', 'HD', 'EN', 'VA', 'NS', 'EX', 'NF', 'TOO_LARGE', 'NO_MEMORY']

  test('are the same wherever the wire cuts them', () => {
    for (let cut = 0; cut <= wire.length; cut++) {
      for (const piece of [1, wire.length]) {
        const parser = new ReplyParser()
        const replies = parser.feed(wire.subarray(0, cut))
        for (let at = cut; at < wire.length; at += piece)
          replies.push(...parser.feed(wire.subarray(at, at + piece)))
        expect(replies.map(({ code }) => code)).toEqual(codes)
        expect(Buffer.from(replies[0]?.value ?? []).toString()).toBe('a\r\nb\n')
        expect(replies[3]?.value).toEqual(new Uint8Array(0))
        expect(flagOf(replies[0] as MetaReply, 't')).toBe('-1')
        expect(flagOf(replies[3] as MetaReply, 'W')).toBe('')
        expect(flagOf(replies[3] as MetaReply, 'X')).toBeUndefined()
      }
    }
  })

  test('whatever else a server says is a surprise', () => {
    for (const said of [
      'ERROR\r\n',
      'CLIENT_ERROR bad command line format\r\n',
      'SERVER_ERROR out of memory reading request\r\n',
      'VALUE a 0 1\r\na\r\n',
      'VA\r\n',
      'VA -1 O1\r\n',
      'VA 1x O1\r\n',
      'VA 999999999 O1\r\n',
      'VA 1 O1\r\nab\r\n',
      'HD O1\n',
      '\r\n',
      `HD ${'x'.repeat(3_000)}`,
      '\0\0\0\0\r\n',
      'HTTP/1.1 400 Bad Request\r\n',
    ]) {
      expect(() => new ReplyParser().feed(Buffer.from(said)), JSON.stringify(said)).toThrow(ProtocolSurprise)
    }
  })

  test('a reply to another request, or of a kind that the request has not, is a surprise', () => {
    const reply = (code: MetaReply['code'], flags: string): MetaReply => ({ code, flags, value: undefined })
    checkReply(reply('HD', 'O7'), 'ms', 7)
    checkReply(reply('EN', ''), 'mg', 7)
    checkReply(reply('TOO_LARGE', ''), 'ms', 7)
    for (const [code, flags, command] of [
      ['HD', 'O8', 'ms'],
      ['HD', '', 'ms'],
      ['EN', 'O8', 'mg'],
      ['VA', '', 'mg'],
      ['VA', 'O7', 'ms'],
      ['NS', 'O7', 'mg'],
      ['EN', '', 'md'],
    ] as const) {
      expect(() => checkReply(reply(code, flags), command, 7), `${code} ${flags}`).toThrow(ProtocolSurprise)
    }
  })
})
