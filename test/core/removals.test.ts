import { expect, test } from 'vitest'
import { get, openCore, REPORT_KEYS, removalsOf, set, sizeOf, statsOf } from './open-core.ts'
import { SEED, SeededRandom } from './random.ts'

const kinds = [
  'short',
  'x'.repeat(32),
  'y'.repeat(33),
  '\u3042'.repeat(16),
  '\u3042'.repeat(17),
  'z'.repeat(5_000),
]

test('without a listener an eviction is not recorded and an expiry is, without its key', () => {
  const core = openCore({ maxEntries: 1 })
  set(core, 'a', 1_000, 0)
  set(core, 'b', 1_000, 0)
  expect(removalsOf(core)).toEqual([])
  get(core, 'b', 1_000)
  expect(removalsOf(core)).toEqual([{ slot: 0, cause: 'expired', key: '' }])
})

test('with a listener every eviction and expiry is recorded with its key', () => {
  const core = openCore({ maxEntries: 2, flags: REPORT_KEYS })
  for (const key of [...kinds, 7]) set(core, key, 1_000, 0)
  expect(removalsOf(core).map(({ key, cause }) => [key, cause])).toEqual(
    kinds.slice(0, 5).map((key) => [key, 'evicted']),
  )
  core.advance(2_000, 10)
  expect(
    removalsOf(core)
      .slice(5)
      .map(({ key }) => key)
      .sort(),
  ).toEqual([7, kinds[5]])
  expect(core.check()).toBe(0)
  core.drain()
  expect(removalsOf(core)).toEqual([])
  expect(core.check()).toBe(0)
})

test('key bytes outlive the reuse of the slot until the drain', () => {
  const core = openCore({ maxEntries: 1, flags: REPORT_KEYS })
  const keys = Array.from({ length: 40 }, (_, number) => `${number} `.padEnd(10 + number * 7, 'key'))
  for (const key of keys) {
    set(core, key)
    expect(core.check()).toBe(0)
  }
  expect(removalsOf(core).map(({ key }) => key)).toEqual(keys.slice(0, -1))
  core.drain()
  // What the drained records held serves new keys.
  const before = core.memory.buffer.byteLength
  for (let round = 0; round < 500; round++) {
    set(core, `${round} `.padEnd(280, 'key'))
    core.drain()
  }
  expect(core.memory.buffer.byteLength).toBe(before)
  expect(core.check()).toBe(0)
})

test('clear keeps the keys of records that were not drained', () => {
  const core = openCore({ maxEntries: 1, flags: REPORT_KEYS })
  const key = 'k'.repeat(100)
  set(core, key)
  set(core, 'other'.repeat(30))
  core.clear()
  set(core, 'third'.repeat(30))
  expect(removalsOf(core).map((removal) => removal.key)).toEqual([key])
  expect(core.check()).toBe(0)
  core.drain()
  core.clear()
  expect(core.check()).toBe(0)
})

test('remove and replace are the caller’s own doing and not recorded', () => {
  const core = openCore({ maxEntries: 2, flags: REPORT_KEYS })
  set(core, 'a', 100, 0)
  set(core, 'a', 100, 0)
  set(core, 'a', 300, 200)
  core.remove(200)
  expect(removalsOf(core)).toEqual([])
})

test('a host that never drains loses records, not entries and not memory', () => {
  const core = openCore({ maxEntries: 4, flags: REPORT_KEYS })
  const fill = (from: number) => {
    for (let number = from; number < from + 3_000; number++)
      set(core, `${number} `.padEnd(100, 'x'), 1_000, 0)
  }
  fill(0)
  const bytes = core.memory.buffer.byteLength
  fill(3_000)
  expect(core.memory.buffer.byteLength).toBe(bytes)
  expect([sizeOf(core), statsOf(core).evictions]).toEqual([4, 5_996])
  expect(core.check()).toBe(0)
  core.drain()
  expect(core.check()).toBe(0)
})

test('records agree with what is gone, under random use', () => {
  const random = new SeededRandom(SEED)
  const core = openCore({ maxEntries: 20, flags: REPORT_KEYS })
  const held = new Map<string, number>()
  let now = 0
  for (let step = 0; step < 4_000; step++) {
    const message = `SEED=${SEED} step ${step}`
    const key = `${random.below(60)} `.padEnd(random.pick([20, 32, 33, 90]), 'x')
    now += random.below(50)
    if (random.below(3) === 0) get(core, key, now)
    else held.set(key, set(core, key, now + random.below(3_000), now) >> 3)
    if (random.below(4) === 0) core.advance(now, 3)
    for (const removal of removalsOf(core)) {
      expect(held.get(removal.key as string), message).toBe(removal.slot)
      held.delete(removal.key as string)
      // The key that was just written may have taken the slot of one that expired unseen.
    }
    expect(core.check(), message).toBe(0)
    core.drain()
    expect(held.size, message).toBe(sizeOf(core))
  }
})
