import { describe, expect, test } from 'vitest'
import {
  ABSENT,
  Core,
  type CoreOptions,
  EVICTED,
  EXPIRED,
  FRESH,
  INSERTED,
  REPLACED,
  REPLACED_EXPIRED,
  STALE,
  SUSPECT,
} from '../../../src/core/core.ts'
import { instantiateCore } from '../../../src/core/module.ts'
import type { Key } from '../../../src/key.ts'
import { systemRandom } from '../../../src/random.ts'

/** Keys that would be one if anything were truncated, padded or converted, around every limit of length. */
const keys: Key[] = [
  '',
  '\0',
  '\0\0',
  '7',
  7,
  -7,
  0.0,
  '0',
  'a',
  'A',
  '\u0141',
  '\ud800',
  '\udc00',
  '\ud83d\ude00',
  Number.MAX_SAFE_INTEGER,
  Number.MIN_SAFE_INTEGER,
  ...[8, 16, 19, 20, 21, 32, 33, 64, 127, 128, 129, 1_000].flatMap((length) => [
    'x'.repeat(length),
    '\u00f8'.repeat(length),
    '\u0178'.repeat(length),
    `${'x'.repeat(length - 1)}\0`,
    `${'x'.repeat(length - 1)}\ud800`,
  ]),
]

describe.each([
  ['as they are', true],
  ['staged', false],
])('keys %s', (_, readsStrings) => {
  function open(options: Partial<CoreOptions> = {}): Core {
    const { exports, readsStrings: canRead } = instantiateCore()
    const instance = { exports, readsStrings: readsStrings && canRead }
    return new Core({
      maxEntries: 1_000,
      policy: 'lru',
      reportsKeys: true,
      partitions: 0,
      random: systemRandom,
      instance,
      ...options,
    })
  }

  test('every key is itself and no other', () => {
    const core = open()
    const slots = keys.map((key) => core.set(key, Infinity, Infinity, 0) >> 3)
    expect(new Set(slots).size).toBe(keys.length)
    expect(core.size).toBe(keys.length)
    keys.forEach((key, at) => {
      const slot = slots[at] as number
      expect(core.get(key, 0)).toBe((slot << 3) | FRESH)
      expect(core.keyOf(slot)).toBe(key)
    })
  })

  test('a string that was put together is the key it spells', () => {
    const core = open()
    for (const key of keys) core.set(key, Infinity, Infinity, 0)
    for (const key of keys) {
      if (typeof key !== 'string') continue
      for (let at = 0; at <= Math.min(key.length, 50); at += 7) {
        expect(core.get(key.slice(0, at) + key.slice(at), 0)).toBeGreaterThanOrEqual(0)
      }
    }
  })

  test('-0 is 0', () => {
    const core = open()
    core.set(-0, Infinity, Infinity, 0)
    expect(core.get(0, 0)).toBeGreaterThanOrEqual(0)
    expect(core.keyOf(0)).toBe(0)
  })

  test.each([undefined, null, 1.5, NaN, Infinity, 2 ** 53, true, 10n, Symbol('key'), {}, ['a']])(
    'what is no key is refused by each operation: %s',
    (wrong) => {
      const core = open()
      const key = wrong as Key
      const operations = [
        () => core.get(key, 0),
        () => core.peek(key, 0),
        () => core.set(key, Infinity, Infinity, 0),
        () => core.remove(key, 0),
        () => core.touch(key, Infinity, Infinity, 0),
        () => core.hide(key),
      ]
      for (const operation of operations) expect(operation).toThrow(TypeError)
      expect(operations[0]).toThrow(/^key: .* is not a key; keys are strings and safe integers$/)
      expect(core.size).toBe(0)
    },
  )

  test('a key has at most 65,535 UTF-16 units', () => {
    const core = open()
    for (const unit of ['x', '\u00e6', '\u20ac']) {
      const longest = unit.repeat(65_535)
      const slot = core.set(longest, Infinity, Infinity, 0) >> 3
      expect(core.keyOf(slot)).toBe(longest)
      const key = unit.repeat(65_536)
      expect(() => core.get(key, 0)).toThrow(/65536 UTF-16 units; a key has at most 65535/)
      expect(() => core.set(key, Infinity, Infinity, 0)).toThrow(RangeError)
      expect(() => core.remove(key, 0)).toThrow(RangeError)
    }
  })

  test('set says what it met', () => {
    const core = open()
    expect(core.set('key', 10, 10, 0) & 7).toBe(INSERTED)
    expect(core.set('key', 20, 20, 5) & 7).toBe(REPLACED)
    expect(core.set('key', 30, 30, 25) & 7).toBe(REPLACED_EXPIRED)
  })

  test('an entry is fresh, then stale, then absent', () => {
    const core = open()
    core.set('key', 10, 20, 0)
    const states = [0, 9.999, 10, 19.999, 20].map((now) => core.peek('key', now))
    expect(states.map((answer) => (answer < 0 ? answer : answer & 7))).toEqual([
      FRESH,
      FRESH,
      STALE,
      STALE,
      ABSENT,
    ])
    expect([core.freshUntilOf(0), core.usableUntilOf(0)]).toEqual([10, 20])
  })

  test('what the core removed by itself is on the list until it is drained', () => {
    const core = open({ maxEntries: 2 })
    core.set('due', 10, 10, 0)
    core.set('a key of more than thirty-two bytes', Infinity, Infinity, 0)
    expect(core.get('due', 10)).toBe(ABSENT)
    core.set(2, Infinity, Infinity, 10)
    core.set(3, Infinity, Infinity, 10)
    expect(core.removalCount).toBe(2)
    expect([0, 1].map((index) => [core.removedKey(index), core.removedCause(index)])).toEqual([
      ['due', EXPIRED],
      ['a key of more than thirty-two bytes', EVICTED],
    ])
    expect([core.removedSlot(0), core.removedSlot(1)]).toEqual([0, 1])
    core.drain()
    expect(core.removalCount).toBe(0)
  })

  test('a hidden entry is there for writes alone', () => {
    const core = open()
    core.set('key', Infinity, Infinity, 0)
    expect(core.hide('key')).toBeGreaterThanOrEqual(0)
    expect([core.get('key', 0), core.peek('key', 0), core.touch('key', 1, 1, 0)]).toEqual([
      ABSENT,
      ABSENT,
      ABSENT,
    ])
    expect(core.isUsable(0, 0)).toBe(false)
    expect(core.set('key', Infinity, Infinity, 0) & 7).toBe(REPLACED)
    expect(core.get('key', 0)).toBeGreaterThanOrEqual(0)
    core.hide('key')
    expect(core.remove('key', 0)).toBeGreaterThanOrEqual(0)
    expect(core.hide('key')).toBe(ABSENT)
  })

  test('entries are walked from the newest use to the oldest', () => {
    const core = open()
    for (const key of ['a', 'b', 'c']) core.set(key, Infinity, Infinity, 0)
    core.get('a', 0)
    const seen: Key[] = []
    for (let slot = core.nextOlder(-1); slot !== -1; slot = core.nextOlder(slot)) seen.push(core.keyOf(slot))
    expect(seen).toEqual(['a', 'c', 'b'])
  })

  test('a slot given to another entry has another generation', () => {
    const core = open({ maxEntries: 1 })
    core.set('a', Infinity, Infinity, 0)
    const before = core.generationOf(0)
    core.set('b', Infinity, Infinity, 0)
    expect(core.generationOf(0)).not.toBe(before)
  })

  test('the wheel says whether it is behind and whether there is any deadline', () => {
    const core = open()
    core.set('for ever', Infinity, Infinity, 0)
    expect(core.isTimed).toBe(false)
    for (let key = 0; key < 10; key++) core.set(key, 1_000, 1_000, 0)
    expect([core.isTimed, core.isBehind(500), core.isBehind(2_000)]).toEqual([true, false, true])
    expect(core.advance(2_000, 4)).toBe(4)
    expect(core.isBehind(2_000)).toBe(true)
    expect(core.advance(2_000, 100)).toBe(6)
    expect([core.isTimed, core.isBehind(2_000), core.size]).toEqual([false, false, 1])
  })

  test('entries are suspect after the lease, in another epoch, and below what is known', () => {
    const core = open({ partitions: 2 })
    core.setPartition(0, 5, 100)
    core.setPartition(1, 5, 100)
    core.stampNext(0, 5, 100, 0)
    core.set('key', Infinity, Infinity, 0)
    const state = (now: number): number => core.get('key', now) & 7
    expect(state(0)).toBe(FRESH)
    core.setLease(1_000)
    expect([state(999), state(1_000)]).toEqual([FRESH, SUSPECT])
    core.setLease(Infinity)
    core.setPartition(1, 6, 200)
    expect(state(0)).toBe(FRESH)
    core.setPartition(0, 5, 101)
    expect(state(0)).toBe(SUSPECT)
    core.setPartition(0, 6, 100)
    expect(state(0)).toBe(SUSPECT)
  })

  test('everything is counted', () => {
    const core = open({ maxEntries: 2 })
    core.set('a', 10, 10, 0)
    core.set('b', Infinity, Infinity, 0)
    core.set('b', Infinity, Infinity, 0)
    core.get('a', 0)
    core.get('nothing', 0)
    core.get('a', 10)
    core.set('c', Infinity, Infinity, 10)
    core.set('d', Infinity, Infinity, 10)
    core.remove('d', 10)
    expect(core.counters()).toEqual({
      hits: 1,
      misses: 2,
      inserts: 4,
      replaces: 1,
      evictions: 1,
      expirations: 1,
      deletes: 1,
      refusals: 0,
      refusedAdmissions: 0,
    })
  })

  test('keys go on working while the memory grows', () => {
    const core = open({ maxEntries: 5_000 })
    const before = core.bytes
    for (let number = 0; number < 5_000; number++) {
      core.set(`${number}:${'k'.repeat(200)}`, Infinity, Infinity, 0)
      expect(core.size).toBe(number + 1)
    }
    expect(core.bytes).toBeGreaterThan(before + 65_536)
    for (let number = 0; number < 5_000; number++) {
      expect(core.keyOf(core.get(`${number}:${'k'.repeat(200)}`, 0) >> 3)).toBe(
        `${number}:${'k'.repeat(200)}`,
      )
    }
  })
})

const small = { maxEntries: 5, policy: 'lru', reportsKeys: false, partitions: 0 } as const

test('memory that the engine refuses is a RangeError that names the option', () => {
  const { exports, readsStrings } = instantiateCore()
  const instance = { exports: { ...exports, create: () => -1 }, readsStrings }
  const options: CoreOptions = { ...small, random: systemRandom, instance }
  expect(() => new Core(options)).toThrow(RangeError)
  expect(() => new Core(options)).toThrow('maxEntries: the engine refused the memory that 5 entries take')
})

test('the secrets of each instance come from the random source', () => {
  const asked: number[] = []
  const random = {
    next: () => 0,
    bytes(count: number) {
      asked.push(count)
      return new Uint8Array(count).fill(0xa5)
    },
  }
  new Core({ ...small, random })
  new Core({ ...small, random })
  expect(asked).toEqual([40, 40])
})
