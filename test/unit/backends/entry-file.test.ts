import { expect, test } from 'vitest'
import {
  type EntryHead,
  encodeHead,
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
