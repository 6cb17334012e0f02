import { describe, expect, test } from 'vitest'
import { createL1, type L1Options } from '../../../src/create-l1.ts'
import { ManualClock } from '../../../src/testing/manual-clock.ts'

function open(options: Partial<L1Options<unknown>> = {}) {
  const clock = new ManualClock()
  return {
    l1: createL1<unknown>({ maxEntries: 3, policy: 'lru', clockResolution: 0, clock, ...options }),
    clock,
  }
}

describe.each(['text', 7, 'x'.repeat(200), ''])('a prepared key, %j', (key) => {
  test('answers as the key does', () => {
    const { l1 } = open()
    const prepared = l1.prepare(key)
    expect([prepared.key, prepared.get(), prepared.peek(), prepared.has()]).toEqual([
      key,
      undefined,
      undefined,
      false,
    ])
    l1.set(key, 'value')
    for (let again = 0; again < 3; again++) {
      expect([prepared.get(), prepared.peek(), prepared.has()]).toEqual(['value', 'value', true])
    }
    l1.set(key, 'another')
    expect(prepared.get()).toBe('another')
    l1.delete(key)
    expect([prepared.get(), prepared.peek(), prepared.has()]).toEqual([undefined, undefined, false])
  })

  test('follows its entry to another place', () => {
    const { l1 } = open()
    const prepared = l1.prepare(key)
    l1.set(key, 1)
    expect(prepared.get()).toBe(1)
    for (const other of ['a', 'b', 'c']) l1.set(other, other)
    expect(prepared.get()).toBe(undefined)
    l1.set(key, 2)
    expect([prepared.peek(), prepared.get()]).toEqual([2, 2])
    l1.clear()
    expect(prepared.get()).toBe(undefined)
  })

  test('is a use, and its hits and misses are counted once', () => {
    const { l1 } = open()
    const prepared = l1.prepare(key)
    prepared.get()
    l1.set(key, 1)
    for (const other of ['a', 'b']) l1.set(other, other)
    prepared.get()
    prepared.get()
    prepared.has()
    l1.set('c', 'c')
    expect([...l1.keys()]).toEqual(['c', key, 'b'])
    const { hits, misses } = l1.stats()
    expect([hits, misses]).toEqual([2, 1])
  })

  test('finds nothing at the deadline, and the listener is told', () => {
    const told: unknown[] = []
    const { l1, clock } = open({ onRemoval: (...removal) => void told.push(removal) })
    const prepared = l1.prepare(key)
    l1.set(key, 1, { ttl: 100 })
    expect(prepared.get()).toBe(1)
    clock.advance(99)
    expect(prepared.has()).toBe(true)
    // The clock alone: no timer has swept.
    l1.set('later', 1)
    clock.advance(1)
    expect([prepared.peek(), prepared.has(), prepared.get()]).toEqual([undefined, false, undefined])
    expect(told).toEqual([[key, 1, 'expired']])
  })
})

test.each([undefined, null, {}, 1.5, NaN])('%s cannot be prepared', (key) => {
  expect(() => open().l1.prepare(key as string)).toThrow(TypeError)
})

test('a key too long cannot be prepared', () => {
  expect(() => open().l1.prepare('x'.repeat(65_536))).toThrow(RangeError)
})
