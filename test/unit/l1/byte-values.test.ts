// Values as bytes, seen from outside: what comes back, what is lent, what is refused, what a listener is told.

import { describe, expect, test } from 'vitest'
import { createL1, type L1Options } from '../../../src/create-l1.ts'
import type { Key } from '../../../src/key.ts'
import type { RemovalCause } from '../../../src/l1/l1.ts'
import { ManualClock } from '../../../src/testing/manual-clock.ts'

const MAX_BYTES = 2 ** 20

function open<V = unknown>(options: Partial<L1Options<V>> = {}) {
  return createL1<V>({ maxBytes: MAX_BYTES, values: 'bytes', ...options })
}

const texts = [
  '',
  'a',
  'plain text',
  '\u00e9',
  '\u3042\u3044',
  '\ud83d\ude00',
  '\ufeffbegins with a mark',
  '\ud800',
  'a lone \udc00 half',
  'x'.repeat(21_824),
  'x'.repeat(21_825),
  'y'.repeat(70_000),
  '\u3042'.repeat(21_824),
  '\u3042'.repeat(21_825),
  `${'z'.repeat(60_000)}\ud800`,
]

describe('values come back as they were', () => {
  test.each(texts.map((text) => [text.length, text.slice(0, 10), text] as const))(
    'text of %i: %j',
    (_length, _start, text) => {
      const l1 = open<string>({ maxBytes: 2 ** 22 })
      for (const key of ['key', 7, 'k'.repeat(100), '\u3042'.repeat(40_000)] as Key[]) {
        expect(l1.set(key, text)).toBe(true)
        expect(l1.get(key) === text).toBe(true)
        expect(l1.peek(key) === text).toBe(true)
        expect(l1.prepare(key).get() === text).toBe(true)
      }
      expect([...l1.entries()].every(([, value]) => value === text)).toBe(true)
    },
  )

  test('bytes, which are copied both ways and are no Buffer', () => {
    const l1 = open<Uint8Array>()
    for (const given of [
      new Uint8Array(),
      Uint8Array.of(0, 255, 7),
      Buffer.from('buffer'),
      new Uint8Array(50_000),
    ]) {
      const copy = Uint8Array.from(given)
      l1.set('key', given)
      given.fill(9)
      const first = l1.get('key') as Uint8Array
      expect(first).toEqual(copy)
      expect(Object.getPrototypeOf(first)).toBe(Uint8Array.prototype)
      first.fill(1)
      expect(l1.get('key')).toEqual(copy)
    }
  })

  test('everything else by the codec', () => {
    const l1 = open()
    const values = [
      null,
      0,
      -1.5,
      true,
      { a: [1, { b: 'c' }] },
      new Date(5),
      new Map([[1, 2]]),
      10n ** 30n,
      [undefined],
    ]
    for (const value of values) {
      l1.set('key', value)
      expect(l1.get('key')).toEqual(value)
    }
    const object = { a: 1 }
    l1.set('key', object)
    expect(l1.get('key')).not.toBe(object)
  })

  test('a codec of the caller is used for objects alone', () => {
    const seen: unknown[] = []
    const codec = {
      id: 99,
      name: 'shout',
      encode: (value: unknown) => {
        seen.push(value)
        return Uint8Array.of(42)
      },
      decode: (bytes: Uint8Array) => ({ decoded: bytes[0] }),
    }
    const l1 = open({ codec })
    l1.set('text', 'text')
    l1.set('object', { a: 1 })
    expect([l1.get('text'), l1.get('object'), seen]).toEqual(['text', { decoded: 42 }, [{ a: 1 }]])
  })
})

describe('getInto', () => {
  test('fills the buffer of the caller and says how much', () => {
    const l1 = open()
    l1.set('bytes', Uint8Array.of(1, 2, 3))
    l1.set('text', 'h\u00e9')
    const target = new Uint8Array(5)
    expect(l1.getInto('bytes', target)).toBe(3)
    expect([...target]).toEqual([1, 2, 3, 0, 0])
    expect(l1.getInto('text', target)).toBe(3)
    expect(new TextDecoder().decode(target.subarray(0, 3))).toBe('h\u00e9')
    expect(l1.getInto('absent', target)).toBeUndefined()
  })

  test('writes nothing into one that is too small, and says what it takes', () => {
    const l1 = open()
    l1.set('bytes', Uint8Array.of(1, 2, 3))
    const target = new Uint8Array(2)
    expect(l1.getInto('bytes', target)).toBe(3)
    expect([...target]).toEqual([0, 0])
    expect(() => l1.getInto('bytes', [] as unknown as Uint8Array)).toThrow('target: is not a Uint8Array')
  })
})

describe('view', () => {
  test('lends the bytes and answers what came of them', () => {
    const l1 = open()
    l1.set('bytes', Uint8Array.of(1, 2, 3))
    expect(l1.view('bytes', (bytes) => [...bytes])).toEqual([1, 2, 3])
    expect(l1.view('absent', () => 1)).toBeUndefined()
    expect(l1.stats()).toMatchObject({ hits: 1, misses: 1 })
  })

  test('what is lent stays as it is whatever the borrower does with the cache', () => {
    const value = new Uint8Array(300).fill(5)
    const ways: ((l1: ReturnType<typeof open>, key: string) => void)[] = [
      (l1, key) => l1.set(key, new Uint8Array(300).fill(9)),
      (l1, key) => l1.set(key, new Uint8Array(20_000).fill(9)),
      (l1, key) => l1.delete(key),
      (l1) => l1.clear(),
      (l1) => {
        for (let other = 0; other < 4_000; other++) l1.set(other, new Uint8Array(other % 2_000).fill(9))
      },
      (l1, key) => l1.view(key, () => l1.delete(key)),
    ]
    for (const way of ways) {
      const l1 = open({ maxEntries: 1_000, policy: 'lru' })
      const all = l1.stats().largestFree
      l1.set('lent', value)
      l1.view('lent', (bytes) => {
        way(l1, 'lent')
        for (let other = 0; other < 2_000; other++) l1.set(`other ${other}`, new Uint8Array(700).fill(9))
        expect(bytes.every((byte) => byte === 5)).toBe(true)
      })
      l1.clear()
      expect(l1.stats().largestFree).toBe(all)
    }
  })

  test('a borrower that throws gives back what it was lent, and one that waits is told of its mistake', () => {
    const l1 = open()
    const all = l1.stats().largestFree
    l1.set('bytes', Uint8Array.of(1))
    expect(() =>
      l1.view('bytes', () => {
        throw new Error('borrower')
      }),
    ).toThrow('borrower')
    expect(() => l1.view('bytes', () => Promise.resolve(1))).toThrow('use: returned a promise')
    l1.clear()
    expect(l1.stats().largestFree).toBe(all)
  })
})

describe('limits', () => {
  test('a value above maxEntryBytes is refused, and what was there is gone', () => {
    const removals: unknown[] = []
    const l1 = open({ maxEntryBytes: 100, onRemoval: (...removal) => removals.push(removal) })
    l1.set('key', 'small')
    expect(() => l1.set('key', 'x'.repeat(101))).toThrow(
      new RangeError(
        'value: takes 101 bytes, more than 100 (maxEntryBytes); nothing is stored under its key',
      ),
    )
    expect(l1.has('key')).toBe(false)
    expect(removals).toEqual([['key', 'small', 'deleted']])
    expect(l1.set('key', 'x'.repeat(100))).toBe(true)
  })

  test('a value without a form is refused, and what was there stays', () => {
    const l1 = open()
    l1.set('key', 'small')
    expect(() => l1.set('key', () => 1)).toThrow(expect.objectContaining({ code: 'CACHE_ENCODE_FAILED' }))
    expect(l1.get('key')).toBe('small')
  })

  test('memory is never more than the budget, and what is needed least leaves', () => {
    const l1 = open({ policy: 'lru', maxEntries: 3_000 })
    for (let key = 0; key < 20_000; key++) l1.set(key, 'v'.repeat(key % 900))
    const stats = l1.stats()
    expect(stats.bytes).toBe(MAX_BYTES)
    expect(Object.values(stats.regions).reduce((sum, bytes) => sum + bytes, 0)).toBeLessThanOrEqual(MAX_BYTES)
    expect(stats.evictions).toBe(20_000 - stats.size)
    expect(stats.fragmentation).toBeLessThan(0.05)
    expect([...l1.keys()]).toEqual(Array.from({ length: stats.size }, (_, at) => 19_999 - at))
  })

  test('options that cannot go together are refused with the reason', () => {
    const wrong: [Partial<L1Options<unknown>>, string][] = [
      [{ maxBytes: 2 ** 33 }, 'maxBytes: 8589934592 is more than 4 GiB'],
      [{ maxBytes: 1_000 }, 'maxBytes: 1000 must be a whole number from 262144 to 4294967296'],
      [{ maxBytes: 2 ** 18, maxEntries: 100_000 }, 'maxBytes: 262144 bytes are too few for 100000 entries'],
      [{ maxEntryBytes: 2 ** 20 }, 'maxEntryBytes: 1048576 is more than'],
      [{ sizeOf: () => 1 }, "sizeOf: is not asked with values: 'bytes'"],
      [{ cloneOn: 'get' }, 'cloneOn: is for values by reference'],
      [{ values: 'reference' }, "maxBytes: needs sizeOf, or values: 'bytes'"],
      [{ codec: {} as never }, 'codec: '],
      [{ values: 'lent' as never }, 'values: "lent" is not one of'],
    ]
    for (const [options, message] of wrong) expect(() => open(options), message).toThrow(message)
    expect(() => createL1({ values: 'bytes' })).toThrow("values: 'bytes' needs maxBytes")
    expect(() => createL1({ maxEntries: 5, sizeOf: () => 1 })).toThrow('sizeOf: needs maxBytes')
    expect(() => createL1({ maxEntries: 5, policy: 'gdsf' })).toThrow("policy: 'gdsf' goes by the sizes")
    expect(() => createL1({ maxEntries: 5 }).view('key', () => 1)).toThrow('holds values by reference')
    expect(() => createL1({ maxEntries: 5 }).getInto('key', new Uint8Array(1))).toThrow('by reference')
  })
})

describe('a listener', () => {
  test('is told of every entry that leaves, with a value of its own and the cause', () => {
    const clock = new ManualClock()
    const told: [Key, unknown, RemovalCause][] = []
    const l1 = open({
      policy: 'lru',
      maxEntries: 3,
      clock,
      clockResolution: 0,
      onRemoval: (...removal) => told.push(removal),
    })
    l1.set('a', { n: 1 })
    l1.set('a', { n: 2, longer: 'x'.repeat(500) })
    l1.set('b', null)
    l1.set('b', 'text')
    l1.set('c', Uint8Array.of(3))
    l1.set('d', 4)
    l1.delete('b')
    l1.set('timed', 'gone', { ttl: 10 })
    clock.advance(10)
    expect(l1.get('timed')).toBeUndefined()
    l1.set('timed', 'again', { ttl: 10 })
    clock.advance(10)
    l1.set('timed', 'and again')
    l1.clear()
    expect(told).toEqual([
      ['a', { n: 1 }, 'replaced'],
      ['b', null, 'replaced'],
      ['a', { n: 2, longer: 'x'.repeat(500) }, 'evicted'],
      ['b', 'text', 'deleted'],
      ['timed', 'gone', 'expired'],
      ['timed', 'again', 'expired'],
      ['timed', 'and again', 'deleted'],
      ['d', 4, 'deleted'],
      ['c', Uint8Array.of(3), 'deleted'],
    ])
  })
})

describe('by reference with a budget', () => {
  test('entries are evicted until the sum of what they take fits', () => {
    const told: Key[] = []
    const l1 = createL1<string>({
      maxBytes: 100,
      maxEntryBytes: 50,
      sizeOf: (value, key) => value.length + String(key).length,
      policy: 'lru',
      onRemoval: (key) => told.push(key),
    })
    for (const key of ['a', 'b', 'c', 'd']) l1.set(key, 'x'.repeat(24))
    expect(l1.stats().valueBytes).toBe(100)
    l1.get('a')
    l1.set('e', 'x'.repeat(30))
    expect(told).toEqual(['b', 'c'])
    expect([...l1.keys()]).toEqual(['e', 'a', 'd'])
    expect(() => l1.set('a', 'x'.repeat(50))).toThrow('takes 51 bytes, more than 50')
    expect(l1.has('a')).toBe(false)
    expect(l1.set('d', 'x'.repeat(49))).toBe(true)
    expect(l1.stats().valueBytes).toBe(31 + 50)
  })

  test('a size that is none is refused before anything changes', () => {
    const sizes: unknown[] = [0, 1.5, -1, Number.NaN, '5']
    const l1 = createL1<number>({
      maxBytes: 100,
      sizeOf: (value) => (value === 0 ? 1 : (sizes[value - 1] as number)),
    })
    l1.set('key', 0)
    for (let value = 1; value <= sizes.length; value++) {
      expect(() => l1.set('key', value)).toThrow('sizeOf: ')
      expect(l1.get('key')).toBe(0)
    }
  })

  test('thousands of small ones make room for a large one, each of them told', () => {
    let told = 0
    const l1 = createL1<number>({
      maxBytes: 5_000,
      maxEntries: 5_000,
      maxEntryBytes: 2_500,
      sizeOf: (value) => value,
      onRemoval: (_key, value) => {
        expect(value).toBe(1)
        told++
      },
      policy: 'lru',
    })
    for (let key = 0; key < 5_000; key++) l1.set(key, 1)
    l1.set('large', 2_500)
    expect([told, l1.size]).toEqual([2_500, 2_501])
  })
})

test('a cache may hold its first level as bytes', async () => {
  const { createCache } = await import('../../../src/create-cache.ts')
  const cache = createCache({ l1: { maxBytes: MAX_BYTES, values: 'bytes' }, ttl: '1m' })
  const user = { name: 'Ada', tags: new Set(['a']) }
  await cache.set('user:7', user)
  const first = await cache.get('user:7')
  expect(first).toEqual(user)
  expect(first).not.toBe(await cache.get('user:7'))
  expect(await cache.getOrSet('other', () => ({ n: 1 }))).toEqual({ n: 1 })
  expect(await cache.getOrSet('huge', () => 'x'.repeat(MAX_BYTES))).toHaveLength(MAX_BYTES)
  expect(cache.l1?.has('huge')).toBe(false)
  await cache.close()
})
