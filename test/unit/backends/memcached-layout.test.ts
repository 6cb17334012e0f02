import { createHash } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import {
  encodeEntry,
  encodeState,
  entryIn,
  entryKey,
  expiryFlag,
  newState,
  parseState,
  withClear,
} from '../../../src/backends/memcached-layout.ts'
import type { MetaReply } from '../../../src/backends/memcached-protocol.ts'
import { hostileKeys } from '../../../src/testing/hostile-keys.ts'

const NOW = 1_700_000_000_000
const DAY_MS = 24 * 3_600_000
const bytes = Uint8Array.of(1, 2, 3)
const state = newState(17)
const reply = (value: Uint8Array, flags = 't-1'): MetaReply => ({ code: 'VA', flags, value })
const item = (remainingMs: number, key = 'key') => encodeEntry({ key, bytes, remainingMs }, state, NOW)

/** What the server will call it, whichever way it is told. */
function nameOnServer(keyspace: string, key: string): string {
  const { text, isBase64 } = entryKey(keyspace, key)
  expect(text).toMatch(/^[\x21-\x7e]{1,250}$/)
  return isBase64 ? Buffer.from(text, 'base64').toString('latin1') : text
}

describe('names', () => {
  test('are the key itself where that is a word of the protocol, and Base64 elsewhere', () => {
    expect(entryKey('ks', 'a')).toEqual({ text: 'ks:a', isBase64: false })
    expect(entryKey('ks', 'a b')).toEqual({ text: Buffer.from('ks:a b').toString('base64'), isBase64: true })
  })

  test('of hostile keys in hostile keyspaces are all different', () => {
    const names = ['a', 'a.b', 'x'.repeat(64)].flatMap((keyspace) => [
      `${keyspace}!`,
      ...hostileKeys.map((key) => nameOnServer(keyspace, key)),
    ])
    expect(new Set(names).size).toBe(names.length)
  })

  test('a key that is spelt like the name of another is not it', () => {
    const long = 'k'.repeat(300)
    const digest = createHash('sha256').update(long).digest('base64url')
    expect(nameOnServer('ks', long)).toBe(`ks#${digest}`)
    for (const key of [`#${digest}`, digest, '!', ':', `ks#${digest}`]) {
      expect([`ks#${digest}`, 'ks!']).not.toContain(nameOnServer('ks', key))
    }
  })
})

describe('items', () => {
  test('any byte that is changed, cut off or doubled makes no entry', () => {
    const whole = encodeEntry(
      { key: 'key', bytes, remainingMs: 60_000, stamp: { partition: 3, epoch: 9, sequence: 4 } },
      state,
      NOW,
    )
    const open = (value: Uint8Array) => entryIn(reply(new Uint8Array(value)), 'key', state, NOW)
    expect(open(whole)).toEqual({
      bytes,
      remainingMs: 60_000,
      stamp: { partition: 3, epoch: 9, sequence: 4 },
    })
    for (let at = 0; at < whole.length; at++) {
      for (let bit = 0; bit < 8; bit++) {
        const damaged = Uint8Array.from(whole)
        damaged[at] = (damaged[at] as number) ^ (1 << bit)
        expect(open(damaged), `bit ${bit} of byte ${at}`).toBeUndefined()
      }
      expect(open(whole.slice(0, at)), `cut at ${at}`).toBeUndefined()
      const doubled = Buffer.concat([whole.subarray(0, at + 1), whole.subarray(at)])
      expect(open(doubled), `byte ${at} doubled`).toBeUndefined()
    }
  })

  test('another key, another epoch and what is stale make no entry', () => {
    expect(entryIn(reply(item(1_000)), 'kez', state, NOW)).toBeUndefined()
    expect(entryIn(reply(item(1_000)), 'key', newState(18), NOW)).toBeUndefined()
    expect(entryIn(reply(item(1_000)), 'key', undefined, NOW)).toBeUndefined()
    expect(entryIn(reply(item(1_000), 't5 X W'), 'key', state, NOW)).toBeUndefined()
    expect(entryIn(reply(new Uint8Array(0), 't60 W'), 'key', state, NOW)).toBeUndefined()
    expect(entryIn({ code: 'EN', flags: '', value: undefined }, 'key', state, NOW)).toBeUndefined()
  })

  test('a wall clock that is wrong by hours is wrong by two seconds here', () => {
    // The server was given 62 s for 60, and has 40 left: between 21 and 23 s have passed.
    for (const [wallNow, remainingMs] of [
      [NOW + 22_400, 37_600],
      [NOW + 5 * 3_600_000, 37_000],
      [NOW - 5 * 3_600_000, 39_000],
    ] as const) {
      expect(entryIn(reply(item(60_000), 't40'), 'key', state, wallNow)?.remainingMs).toBe(remainingMs)
    }
  })

  test('a long life is told as a date, and one beyond 2038 is not told at all', () => {
    expect(expiryFlag(1, NOW)).toBe('T2')
    expect(expiryFlag(30 * DAY_MS - 2_000, NOW)).toBe(`T${30 * 24 * 3_600}`)
    expect(expiryFlag(30 * DAY_MS, NOW)).toBe(`T${NOW / 1_000 + 30 * 24 * 3_600 + 2}`)
    expect(expiryFlag(1e15, NOW)).toBe('T0')
    expect(expiryFlag(Number.POSITIVE_INFINITY, NOW)).toBe('T0')
  })
})

describe('states', () => {
  test('a clear makes older entries of its prefix dead, and those only', () => {
    const cleared = withClear(state, 'a:')
    expect(entryIn(reply(item(1_000, 'a:1')), 'a:1', cleared, NOW)).toBeUndefined()
    expect(entryIn(reply(item(1_000, 'b:1')), 'b:1', cleared, NOW)).toBeDefined()
    const later = encodeEntry({ key: 'a:1', bytes, remainingMs: 1_000 }, cleared, NOW)
    expect(entryIn(reply(later), 'a:1', cleared, NOW)).toBeDefined()
    expect(withClear(withClear(state, 'a:1'), 'a:').marks).toEqual([{ prefix: 'a:', generation: 2 }])
  })

  test('too many marks, or too long ones, become one that covers everything', () => {
    let many = state
    for (let at = 0; at < 16; at++) many = withClear(many, `p${at}:`)
    expect(many.marks).toHaveLength(16)
    expect(withClear(many, 'one more')).toMatchObject({
      generation: 17,
      marks: [{ prefix: '', generation: 17 }],
    })
    const long = withClear(withClear(withClear(state, 'a'.repeat(500)), 'b'.repeat(500)), 'c'.repeat(500))
    expect(long.marks).toEqual([{ prefix: '', generation: 3 }])
  })

  test('any byte that is changed, cut off or doubled makes no state', () => {
    const value = encodeState(withClear(state, 'a:'))
    expect(parseState(value)).toEqual(withClear(state, 'a:'))
    for (let at = 0; at < value.length; at++) {
      for (let bit = 0; bit < 8; bit++) {
        const damaged = Uint8Array.from(value)
        damaged[at] = (damaged[at] as number) ^ (1 << bit)
        expect(parseState(damaged), `bit ${bit} of byte ${at}`).toBeUndefined()
      }
      expect(parseState(value.slice(0, at))).toBeUndefined()
      expect(parseState(Buffer.concat([value.subarray(0, at + 1), value.subarray(at)]))).toBeUndefined()
    }
  })

  test('a state of a later format is refused with its number', () => {
    expect(() => parseState(encodeState({ ...state, format: 2 }))).toThrow('format 2')
  })
})
