import { createHmac } from 'node:crypto'
import zlib from 'node:zlib'
import { expect, test } from 'vitest'
import {
  type EntryHead,
  encodeHead,
  entryNames,
  MAX_HEAD_BYTES,
  parseHead,
  payloadOf,
  remainingMsOf,
} from '../../../src/backends/entry-file.ts'
import { hostileKeys } from '../../../src/testing/hostile-keys.ts'

const head: EntryHead = {
  key: 'key',
  position: { epoch: 1_700_000_000_000_123, sequence: 4_711 },
  stamp: { partition: 65_535, epoch: 2 ** 53 - 1, sequence: 2 ** 53 - 2 },
  writtenAt: 1_700_000_000_000.5,
  ttlMs: Infinity,
}
const payload = new TextEncoder().encode('payload')
const fileOf = (of: EntryHead, bytes: Uint8Array) => Buffer.concat([encodeHead(of, bytes), bytes])

test('a head comes back as it was written, whatever the key', () => {
  for (const key of hostileKeys) {
    for (const stamp of [undefined, head.stamp]) {
      const file = fileOf({ ...head, key, stamp }, payload)
      const parsed = parseHead(file, file.length)
      expect(parsed).toMatchObject({ ...head, key, stamp })
      expect(Buffer.from((parsed && payloadOf(file, parsed)) ?? []).toString()).toBe('payload')
    }
  }
})

test('the beginning of a file is enough for its head', () => {
  const key = hostileKeys.find((key) => Buffer.byteLength(key) === 512) as string
  const file = fileOf({ ...head, key }, new Uint8Array(10_000))
  expect(parseHead(file.subarray(0, MAX_HEAD_BYTES), file.length)?.key).toBe(key)
  expect(parseHead(file.subarray(0, MAX_HEAD_BYTES - 1), file.length)).toBe(undefined)
})

test('no head passes with another payload, not even one of its length', () => {
  const [file, other] = [fileOf(head, payload), fileOf(head, new TextEncoder().encode('PAYLOAD'))]
  const mixed = Buffer.concat([file.subarray(0, -payload.length), other.subarray(-payload.length)])
  const parsed = parseHead(mixed, mixed.length)
  expect(parsed && payloadOf(mixed, parsed)).toBe(undefined)
})

test('remaining time never grows beyond the whole, wherever the wall clock goes', () => {
  const entry = { ...head, writtenAt: 1_000, ttlMs: 500 }
  expect([0, 999, 1_000, 1_100, 1_500, 9_999].map((now) => remainingMsOf(entry, now))).toEqual([
    500, 500, 500, 400, 0, -8_499,
  ])
  expect(remainingMsOf({ ...head, ttlMs: Infinity }, 1e15)).toBe(Infinity)
})

test('names are the first half of an HMAC-SHA-256, whatever the key', () => {
  const secret = '0123456789abcdef'.repeat(4)
  const nameOf = entryNames(secret)
  // The last of them is longer than any key that a cache stores.
  for (const key of [...hostileKeys, '', '\ud800', '€'.repeat(512), 'x'.repeat(2_000)]) {
    const hmac = createHmac('sha256', Buffer.from(secret, 'hex')).update(key).digest('hex')
    expect(nameOf(key)).toBe(hmac.slice(0, 32))
  }
})

test('the checksum of the payload is the one of zlib', () => {
  const file = fileOf(head, payload)
  expect(parseHead(file, file.length)?.payloadChecksum).toBe(zlib.crc32(payload))
})
