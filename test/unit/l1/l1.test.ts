import { describe, expect, test } from 'vitest'
import type { Clock } from '../../../src/clock.ts'
import { jsonCodec } from '../../../src/codecs/json.ts'
import { FRESH, STALE, SUSPECT } from '../../../src/core/core.ts'
import { instantiateCore } from '../../../src/core/module.ts'
import type { Key } from '../../../src/key.ts'
import { L1, type L1Settings, type RemovalCause } from '../../../src/l1/l1.ts'
import { systemRandom } from '../../../src/random.ts'
import { ManualClock } from '../../../src/testing/manual-clock.ts'

type Told = [key: Key, value: unknown, cause: RemovalCause]

function open<V = unknown>(settings: Partial<L1Settings<V>> = {}): L1<V> {
  return new L1<V>({
    maxEntries: 100,
    policy: 'lru',
    ttlMs: Infinity,
    clockResolutionMs: 0,
    hasTimers: true,
    clock: new ManualClock(),
    random: systemRandom,
    onRemoval: undefined,
    snapshotCodec: jsonCodec(),
    partitions: 0,
    ...settings,
  })
}

/** An L1 and what its listener was told. */
function openTold(settings: Partial<L1Settings<unknown>> = {}): {
  l1: L1<unknown>
  told: Told[]
  clock: ManualClock
} {
  const told: Told[] = []
  const clock = new ManualClock()
  const onRemoval = (...removal: Told): void => void told.push(removal)
  return { l1: open({ clock, onRemoval, ...settings }), told, clock }
}

describe('entries', () => {
  test('a value is what was set, by reference', () => {
    const l1 = open()
    const values = [{ name: 'Ada' }, 7, 0.5, '', 'text', null, false, 0, NaN, [1], () => 1, Symbol('value')]
    for (const [key, value] of values.entries()) expect(l1.set(key, value)).toBe(true)
    for (const [key, value] of values.entries()) expect(l1.get(key)).toBe(value)
    expect(l1.size).toBe(values.length)
  })

  test('undefined is no value', () => {
    const l1 = open()
    expect(() => l1.set('key', undefined)).toThrow(TypeError)
    expect(l1.has('key')).toBe(false)
  })

  test('a number and its text are two keys', () => {
    const l1 = open()
    l1.set(7, 'number')
    l1.set('7', 'text')
    expect([l1.get(7), l1.get('7')]).toEqual(['number', 'text'])
  })

  test('delete answers whether there was an entry', () => {
    const l1 = open()
    l1.set('key', 1)
    expect([l1.delete('key'), l1.delete('key'), l1.get('key'), l1.size]).toEqual([true, false, undefined, 0])
  })

  test('the one whose use is the longest ago makes room', () => {
    const l1 = open({ maxEntries: 3 })
    for (const key of ['a', 'b', 'c']) l1.set(key, key)
    l1.get('a')
    l1.set('d', 'd')
    expect([...l1.keys()]).toEqual(['d', 'a', 'c'])
  })

  test.each([
    ['get', (l1: L1<unknown>) => l1.get('a'), true],
    ['set', (l1: L1<unknown>) => l1.set('a', 2), true],
    ['touch', (l1: L1<unknown>) => l1.touch('a'), true],
    ['peek', (l1: L1<unknown>) => l1.peek('a'), false],
    ['has', (l1: L1<unknown>) => l1.has('a'), false],
  ] as const)('%s counts as a use or does not', (_, operation, isUse) => {
    const l1 = open({ maxEntries: 2 })
    l1.set('a', 1)
    l1.set('b', 1)
    operation(l1)
    l1.set('c', 1)
    expect(l1.has('a')).toBe(isUse)
  })

  test('clear removes all, and the cache goes on', () => {
    const l1 = open({ maxEntries: 10 })
    for (let round = 0; round < 3; round++) {
      for (let key = 0; key < 15; key++) l1.set(key, `${round}:${key}`)
      expect(l1.size).toBe(10)
      expect(l1.get(14)).toBe(`${round}:14`)
      l1.clear()
      expect([l1.size, l1.get(14), [...l1.keys()]]).toEqual([0, undefined, []])
    }
  })

  test('what is no key is refused', () => {
    const l1 = open()
    for (const key of [undefined, null, 1.5, {}] as unknown as Key[]) {
      expect(() => l1.get(key)).toThrow(TypeError)
      expect(() => l1.set(key, 1)).toThrow(TypeError)
      expect(() => l1.peek(key)).toThrow(TypeError)
      expect(() => l1.has(key)).toThrow(TypeError)
      expect(() => l1.delete(key)).toThrow(TypeError)
      expect(() => l1.touch(key)).toThrow(TypeError)
    }
    expect(() => l1.get('x'.repeat(65_536))).toThrow(RangeError)
  })

  test('without memory for the key nothing is stored, and set says so', () => {
    const { exports, readsStrings } = instantiateCore()
    const instance = { exports: { ...exports, setInteger: () => -1 }, readsStrings }
    const l1 = open({ instance })
    expect(l1.set(7, 'value')).toBe(false)
    expect(l1.set('text', 'value')).toBe(true)
    expect([l1.get(7), l1.get('text'), l1.size]).toEqual([undefined, 'value', 1])
  })

  test('stats are numbers, with what the cache holds', () => {
    const l1 = open({ maxEntries: 1 })
    l1.set('a', 1)
    l1.get('a')
    l1.get('b')
    l1.set('b', 1)
    expect(l1.stats()).toEqual({
      hits: 1,
      misses: 1,
      inserts: 2,
      replaces: 0,
      evictions: 1,
      expirations: 0,
      deletes: 0,
      refusals: 0,
      refusedAdmissions: 0,
      size: 1,
      bytes: l1.bytes,
      regions: expect.objectContaining({ records: 64, authority: 0, values: 0, heap: 0 }),
      valueBytes: 0,
      largestFree: 0,
      fragmentation: 0,
      probeLength: 1,
      wheelBacklog: 0,
    })
  })
})

describe('entries()', () => {
  function filled(): L1<unknown> {
    const l1 = open()
    for (const key of ['a', 'b', 'c', 'd']) l1.set(key, key.toUpperCase())
    return l1
  }

  test('goes from the newest use to the oldest', () => {
    const l1 = filled()
    l1.get('b')
    expect([...l1.entries()]).toEqual([
      ['b', 'B'],
      ['d', 'D'],
      ['c', 'C'],
      ['a', 'A'],
    ])
  })

  test('leaves out what has expired, and removes nothing', () => {
    const clock = new ManualClock()
    const l1 = open({ clock, hasTimers: false })
    l1.set('short', 1, { ttl: 10 })
    l1.set('long', 2, { ttl: 20 })
    clock.advance(10)
    expect([...l1.entries()]).toEqual([['long', 2]])
    expect(l1.size).toBe(2)
  })

  test('ends though each entry is used on the way', () => {
    const l1 = filled()
    const seen: Key[] = []
    for (const [key] of l1.entries()) {
      l1.get(key)
      seen.push(key)
    }
    expect(seen).toEqual(['d', 'c', 'b', 'a'])
  })

  test('passes over what has left, does not meet what has come, and sees new values', () => {
    const l1 = filled()
    const seen: [Key, unknown][] = []
    for (const entry of l1.entries()) {
      seen.push(entry)
      if (entry[0] !== 'd') continue
      l1.delete('c')
      l1.set('new', 'takes the slot of c')
      l1.set('b', 'another')
    }
    expect(seen).toEqual([
      ['d', 'D'],
      ['b', 'another'],
      ['a', 'A'],
    ])
  })

  test('ends when the cache is cleared', () => {
    const l1 = filled()
    const walk = l1.keys()
    expect(walk.next().value).toBe('d')
    l1.clear()
    l1.set('a', 1)
    expect(walk.next().done).toBe(true)
  })
})

describe('time', () => {
  const neverAsked = {
    now: () => expect.fail('the clock was read'),
    wallNow: () => expect.fail('the clock was read'),
    setTimer: () => expect.fail('a timer was started'),
  }

  test('without deadlines no clock is read and no timer started', () => {
    const l1 = open({ clock: neverAsked })
    l1.set('a', 1)
    l1.set('b', 1, { ttl: null })
    l1.get('a')
    l1.get('nothing')
    l1.peek('a')
    l1.has('a')
    l1.touch('a')
    l1.delete('a')
    expect([...l1.entries()]).toEqual([['b', 1]])
    l1.clear()
  })

  test('an entry is gone at its deadline, not before', () => {
    const clock = new ManualClock()
    const l1 = open({ clock })
    l1.set('key', 'value', { ttl: 1_000 })
    clock.advance(999.5)
    expect([l1.get('key'), l1.peek('key'), l1.has('key')]).toEqual(['value', 'value', true])
    clock.advance(0.5)
    expect([l1.peek('key'), l1.has('key'), l1.delete('key'), l1.get('key')]).toEqual([
      undefined,
      false,
      false,
      undefined,
    ])
  })

  test('the ttl of the cache holds unless the call has one', () => {
    const clock = new ManualClock()
    const l1 = open({ clock, ttlMs: 100 })
    l1.set('default', 1)
    l1.set('empty', 1, {})
    l1.set('own', 1, { ttl: '1s' })
    l1.set('never', 1, { ttl: null })
    clock.advance(100)
    expect([...l1.keys()]).toEqual(['never', 'own'])
    clock.advance(900)
    expect([...l1.keys()]).toEqual(['never'])
  })

  test('a ttl of 0 stores nothing and removes what was there', () => {
    const { l1, told } = openTold()
    l1.set('key', 'old')
    expect(l1.set('key', 'new', { ttl: 0 })).toBe(false)
    expect(l1.get('key')).toBe(undefined)
    expect(told).toEqual([['key', 'old', 'deleted']])
  })

  test.each([NaN, -1, Infinity, -Infinity])('a ttl of %s is a RangeError', (ttl) => {
    const l1 = open()
    expect(() => l1.set('key', 1, { ttl })).toThrow(RangeError)
    expect(() => l1.touch('key', { ttl })).toThrow(RangeError)
    expect(() => l1.set('key', 1, { ttl: Infinity })).toThrow('null')
    expect(l1.size).toBe(0)
  })

  test('a ttl may be as long as numbers are', () => {
    const clock = new ManualClock()
    const l1 = open({ clock })
    for (const ttl of [1e15, 1e300, Number.MAX_VALUE]) l1.set(ttl > 1e299 ? String(ttl) : 'years', 1, { ttl })
    clock.advance(1e14)
    expect(l1.size).toBe(3)
    expect([...l1.keys()].length).toBe(3)
  })

  test('touch gives an entry a new ttl from now', () => {
    const clock = new ManualClock()
    const l1 = open({ clock, ttlMs: 100 })
    for (const key of ['default', 'own', 'never', 'left']) l1.set(key, key)
    clock.advance(50)
    expect([l1.touch('default'), l1.touch('own', { ttl: 10 }), l1.touch('never', { ttl: null })]).toEqual([
      true,
      true,
      true,
    ])
    clock.advance(10)
    expect([...l1.keys()]).toEqual(['never', 'default', 'left'])
    clock.advance(89.5)
    expect([...l1.keys()]).toEqual(['never', 'default'])
    clock.advance(0.5)
    expect([...l1.keys()]).toEqual(['never'])
    expect([l1.touch('default'), l1.touch('never', { ttl: 0 }), l1.has('never')]).toEqual([
      false,
      true,
      false,
    ])
  })

  test('a clock that goes back stands still until it has caught up', () => {
    const clock = new ManualClock()
    let offset = 0
    const l1 = open({ clock: { ...ported(clock), now: () => clock.now() + offset } })
    l1.set('key', 1, { ttl: 100 })
    clock.advance(60)
    l1.get('key')
    offset = -1_000
    clock.advance(39)
    expect(l1.has('key')).toBe(true)
    clock.advance(1_000)
    expect(l1.has('key')).toBe(true)
    clock.advance(1)
    expect(l1.has('key')).toBe(false)
  })

  test('reads share a reading of the clock for as long as its resolution', () => {
    const clock = new ManualClock()
    const counted = countingReads(clock)
    const l1 = open({ clock: counted, clockResolutionMs: 5 })
    l1.set('key', 1, { ttl: 1_000 })
    counted.reads = 0
    for (let turn = 0; turn < 100; turn++) l1.get('key')
    expect(counted.reads).toBe(1)
    clock.advance(5)
    for (let turn = 0; turn < 100; turn++) l1.get('key')
    expect(counted.reads).toBe(2)
  })

  test('a write goes by the clock though reads share an older reading', () => {
    const clock = new ManualClock()
    let offset = 0
    const l1 = open({ clock: { ...ported(clock), now: () => clock.now() + offset }, clockResolutionMs: 1 })
    l1.set('first', 1, { ttl: 1_000_000 })
    l1.get('first')
    // The event loop was held for a minute: no timer has run.
    offset = 60_000
    l1.set('key', 1, { ttl: 100 })
    clock.advance(99)
    expect(l1.has('key')).toBe(true)
    clock.advance(1)
    expect(l1.has('key')).toBe(false)
  })

  test('with a resolution of 0 each operation reads the clock', () => {
    const clock = new ManualClock()
    let offset = 0
    const l1 = open({ clock: { ...ported(clock), now: () => clock.now() + offset } })
    l1.set('key', 1, { ttl: 100 })
    expect(l1.get('key')).toBe(1)
    offset = 100
    expect(l1.get('key')).toBe(undefined)
  })

  test('entries expire though nobody asks, at most 256 in one turn', () => {
    const { l1, told, clock } = openTold({ maxEntries: 1_000 })
    for (let key = 0; key < 600; key++) l1.set(key, key, { ttl: 100 })
    const turns: number[] = []
    for (let before = 0; l1.size > 0; before = told.length) {
      clock.advance(1)
      if (told.length > before) turns.push(told.length - before)
    }
    expect(turns).toEqual([256, 256, 88])
    expect(clock.now() - 1_000_000).toBeLessThan(400)
    expect(new Set(told.map(([key]) => key)).size).toBe(600)
    expect(told.every(([key, value, cause]) => key === value && cause === 'expired')).toBe(true)
  })

  test('a listener that a sweep calls goes by the time of the sweep', () => {
    const clock = new ManualClock()
    const seen: unknown[] = []
    const l1: L1<unknown> = open<unknown>({
      clock,
      clockResolutionMs: 1_000,
      onRemoval: (key) => void seen.push([key, l1.has('b'), l1.has('c')]),
    })
    l1.set('a', 1, { ttl: 100 })
    l1.set('b', 1, { ttl: 250 })
    l1.set('c', 1, { ttl: 260 })
    l1.get('a')
    clock.advance(256)
    expect(seen).toEqual([['a', false, true]])
  })

  test('an entry waits for the sweep no longer than its wheel is coarse', () => {
    const clock = new ManualClock()
    const l1 = open({ clock })
    for (const ttl of [1_000, 60_000, 3_600_000, 86_400_000]) {
      l1.set('key', 1, { ttl })
      clock.advance(ttl * 1.27 + 512)
      expect(l1.size).toBe(0)
    }
  })

  test('an idle year takes few sweeps', () => {
    const clock = new ManualClock()
    let timers = 0
    const setTimer: ManualClock['setTimer'] = (run, delayMs) => {
      timers++
      return clock.setTimer(run, delayMs)
    }
    const l1 = open({ clock: { ...ported(clock), setTimer } })
    l1.set('key', 1, { ttl: '520w' })
    clock.advance(31_536_000_000)
    expect(l1.get('key')).toBe(1)
    expect(timers).toBeGreaterThan(100)
    expect(timers).toBeLessThan(200)
  })

  test('a short ttl after a long idle time is swept in time', () => {
    const clock = new ManualClock()
    const l1 = open({ clock })
    l1.set('long', 1, { ttl: '52w' })
    clock.advance(86_400_000)
    l1.set('short', 1, { ttl: 100 })
    clock.advance(500)
    expect(l1.size).toBe(1)
  })

  test('once nothing has a deadline there are no timers and no readings', () => {
    const clock = new ManualClock()
    const counted = countingReads(clock)
    const l1 = open({ clock: counted, clockResolutionMs: 1 })
    l1.set('for ever', 1)
    for (const end of [() => l1.delete('key'), () => clock.advance(1_000), () => l1.clear()]) {
      l1.set('key', 1, { ttl: 500 })
      l1.get('key')
      expect(clock.timers).toBe(2)
      end()
      clock.advance(1_000)
      counted.reads = 0
      l1.get('for ever')
      expect([clock.timers, counted.reads]).toEqual([0, 0])
    }
  })

  test('who looks at the counts starts no timer', () => {
    const clock = new ManualClock()
    const l1 = open({ clock: ported(clock), clockResolutionMs: 1 })
    l1.set('a', 1, { ttl: 60_000 })
    clock.advance(2)
    const before = clock.timers
    expect(l1.stats().wheelBacklog).toBe(0)
    expect(clock.timers).toBe(before)
  })

  test('where timers cannot be had, reads and writes expire entries', () => {
    const clock = new ManualClock()
    let attempts = 0
    const setTimer = (): never => {
      attempts++
      throw new Error('no timers here')
    }
    const l1 = open({ clock: { ...ported(clock), setTimer }, clockResolutionMs: 1, maxEntries: 2 })
    l1.set('a', 1, { ttl: 100 })
    l1.set('b', 1, { ttl: 100 })
    clock.advance(99)
    expect([l1.get('a'), l1.get('b')]).toEqual([1, 1])
    clock.advance(1)
    expect(l1.get('a')).toBe(undefined)
    l1.set('c', 1, { ttl: 100 })
    clock.advance(50)
    l1.set('d', 1, { ttl: 100 })
    expect([...l1.keys()]).toEqual(['d', 'c'])
    expect(attempts).toBe(1)
  })

  test('where timers cannot be relied on, none is started', () => {
    const clock = new ManualClock()
    const l1 = open({ clock, hasTimers: false, clockResolutionMs: 1 })
    l1.set('key', 1, { ttl: 100 })
    expect(l1.get('key')).toBe(1)
    expect(clock.timers).toBe(0)
    clock.advance(100)
    expect(l1.get('key')).toBe(undefined)
  })
})

describe('removals', () => {
  test('each cause is told with key and value', () => {
    const { l1, told, clock } = openTold({ maxEntries: 2 })
    l1.set('a', 1)
    l1.set('a', 2)
    l1.delete('a')
    l1.set('b', 3, { ttl: 10 })
    clock.advance(10)
    l1.get('b')
    l1.set('c', 4, { ttl: 10 })
    clock.advance(10)
    l1.set('c', 5)
    l1.set('d', 6)
    l1.set('e', 7)
    l1.clear()
    expect(told).toEqual([
      ['a', 1, 'replaced'],
      ['a', 2, 'deleted'],
      ['b', 3, 'expired'],
      ['c', 4, 'expired'],
      ['c', 5, 'evicted'],
      ['e', 7, 'deleted'],
      ['d', 6, 'deleted'],
    ])
  })

  test('delete of an expired entry tells that it has expired', () => {
    const { l1, told, clock } = openTold({ hasTimers: false })
    l1.set('key', 1, { ttl: 10 })
    clock.advance(10)
    expect(l1.delete('key')).toBe(false)
    expect(told).toEqual([['key', 1, 'expired']])
  })

  test('long keys are told whole though their slots are in use again', () => {
    const { l1, told } = openTold({ maxEntries: 1 })
    const keys = ['a', '\u0416', '\ud800', '\u00e9'].map((unit) => unit.repeat(300))
    for (const key of [...keys, 'last']) l1.set(key, key.length)
    expect(told).toEqual(keys.map((key) => [key, 300, 'evicted']))
  })

  test('the listener finds the operation complete', () => {
    const seen: unknown[] = []
    const l1: L1<number> = open<number>({
      maxEntries: 1,
      onRemoval: (key) => void seen.push([key, l1.size, l1.peek('b'), l1.has(key)]),
    })
    l1.set('a', 1)
    l1.set('b', 2)
    expect(seen).toEqual([['a', 1, 2, false]])
  })

  test('a listener may use the cache: what it removes is told after the rest, in order', () => {
    const told: Told[] = []
    const l1: L1<unknown> = open<unknown>({
      maxEntries: 2,
      onRemoval: (...removal) => {
        told.push(removal)
        if (removal[0] === 'a' && removal[2] === 'deleted') {
          l1.set('again', 'from a')
          l1.delete('again')
        }
        if (removal[0] === 'b') l1.set('kept', 'from b')
      },
    })
    l1.set('a', 1)
    l1.set('b', 2)
    l1.get('a')
    l1.clear()
    expect(told).toEqual([
      ['a', 1, 'deleted'],
      ['b', 2, 'deleted'],
      ['again', 'from a', 'deleted'],
    ])
    expect([...l1.entries()]).toEqual([['kept', 'from b']])
  })

  test('what a listener throws reaches the caller when all is told and done', () => {
    const told: Key[] = []
    const l1 = open({
      maxEntries: 2,
      onRemoval: (key) => {
        told.push(key)
        throw new Error(`refused ${key}`)
      },
    })
    l1.set('a', 1)
    l1.set('b', 2)
    expect(() => l1.set('c', 3)).toThrow('refused a')
    expect([...l1.entries()]).toEqual([
      ['c', 3],
      ['b', 2],
    ])
    expect(() => l1.delete('b')).toThrow('refused b')
    l1.set('d', 4)
    const thrown = catching(() => l1.clear()) as AggregateError
    expect(thrown).toBeInstanceOf(AggregateError)
    expect(thrown.errors.map((error: Error) => error.message)).toEqual(['refused d', 'refused c'])
    expect([told, l1.size]).toEqual([['a', 'b', 'd', 'c'], 0])
    l1.set('e', 5)
    expect(l1.get('e')).toBe(5)
  })

  test('what a listener throws for an expiry that nobody asked for leaves the sweep running', () => {
    const clock = new ManualClock()
    let count = 0
    const l1 = open({
      clock,
      onRemoval: () => {
        count++
        throw new Error('refused')
      },
    })
    l1.set('a', 1, { ttl: 100 })
    l1.set('b', 1, { ttl: 10_000 })
    expect(() => clock.advance(1_000)).toThrow('refused')
    expect(() => clock.advance(20_000)).toThrow('refused')
    expect([count, l1.size, clock.timers]).toEqual([2, 0, 0])
  })
})

describe('for a coordinator', () => {
  test('look answers state and slot, put stores with times of its own', () => {
    const l1 = open()
    expect(l1.look('key', 0)).toBeLessThan(0)
    expect(l1.put('key', 'value', 100, 200, 0)).toBe(true)
    const fresh = l1.look('key', 99)
    const stale = l1.look('key', 100)
    expect([fresh & 7, stale & 7]).toEqual([FRESH, STALE])
    expect(l1.valueAt(stale)).toBe('value')
    expect(l1.timesAt(stale)).toEqual({ freshUntil: 100, usableUntil: 200 })
    expect([l1.glance('key', 150), l1.glance('key', 200), l1.size]).toEqual([stale, -1, 1])
    expect(l1.look('key', 200)).toBeLessThan(0)
    expect(l1.size).toBe(0)
  })

  test('what is said of an entry is there until the entry is put anew, has left, or all are gone', () => {
    const l1 = open({ maxEntries: 1, policy: 'lru' })
    const put = (key: string): number => {
      l1.put(key, 'value', Infinity, Infinity, 0, 'note')
      return l1.look(key, 0)
    }
    l1.checked(put('key'), 7)
    expect(l1.checkAt(l1.look('key', 0))).toBe(7)
    expect(l1.checkAt(put('key'))).toBe(0)
    l1.checked(l1.look('key', 0), 7)
    expect(l1.checkAt(put('other'))).toBe(0)
    l1.checked(l1.look('other', 0), 7)
    l1.clear()
    expect(l1.checkAt(put('other'))).toBe(0)
    l1.checked(l1.look('other', 0), 7)
    // Without a note, in a cache that has notes.
    l1.put('plain', 'value', Infinity, Infinity, 0)
    expect(l1.checkAt(l1.look('plain', 0))).toBe(0)
  })

  test('time does not go back between its calls', () => {
    const l1 = open()
    l1.put('key', 'value', 100, 100, 0)
    l1.look('other', 100)
    expect(l1.look('key', 50)).toBeLessThan(0)
  })

  test('a hidden entry is absent until it is put again or dropped', () => {
    const { l1, told } = openTold()
    l1.put('key', 1, Infinity, Infinity, 0)
    expect([l1.hide('key'), l1.hide('nothing')]).toEqual([true, false])
    expect(l1.look('key', 0)).toBeLessThan(0)
    expect([l1.get('key'), l1.has('key'), [...l1.keys()]]).toEqual([undefined, false, []])
    l1.put('key', 2, Infinity, Infinity, 0)
    expect(l1.get('key')).toBe(2)
    l1.hide('key')
    expect([l1.drop('key'), l1.drop('key')]).toEqual([true, false])
    expect(told).toEqual([
      ['key', 1, 'replaced'],
      ['key', 2, 'deleted'],
    ])
  })

  test('partitions and the lease make entries suspect', () => {
    const l1 = open({ partitions: 4 })
    l1.setPartition(3, 1, 10)
    l1.stampNext(3, 1, 10, 0)
    l1.put('key', 'value', Infinity, Infinity, 0)
    expect(l1.look('key', 0) & 7).toBe(FRESH)
    l1.setPartition(3, 1, 11)
    expect(l1.look('key', 0) & 7).toBe(SUSPECT)
    l1.setPartition(3, 1, 10)
    l1.setLease(50)
    expect([l1.look('key', 49) & 7, l1.look('key', 50) & 7]).toEqual([FRESH, SUSPECT])
  })
})

/** A clock that counts how often it is asked. */
function countingReads(clock: ManualClock): Clock & { reads: number } {
  return {
    ...ported(clock),
    reads: 0,
    now() {
      this.reads++
      return clock.now()
    },
  }
}

/** A clock's methods as properties, so that one can be replaced. */
function ported(clock: ManualClock): Clock {
  return {
    now: () => clock.now(),
    wallNow: () => clock.wallNow(),
    setTimer: (run, delayMs) => clock.setTimer(run, delayMs),
  }
}

function catching(run: () => void): unknown {
  try {
    run()
  } catch (error) {
    return error
  }
  return undefined
}
