// What every eviction policy keeps to beside its own order, which test/model/policies.test.ts compares.

import { describe, expect, test } from 'vitest'
import { get, keysOf, openTestingCore, policies, set, statsOf, type TestingCore } from './open-core.ts'

const names = Object.keys(policies) as (keyof typeof policies)[]
const counting = names.filter((name) => name !== 'lru')

/** Addresses that an operation changed, apart from counters, the current key and scratch. */
function changed(core: TestingCore, operate: () => void): number[] {
  const before = new Uint8Array(core.memory.buffer.slice(0))
  operate()
  const after = new Uint8Array(core.memory.buffer)
  const scratchAt = core.scratchAt()
  const scratchEnd = scratchAt + (core.SCRATCH_BYTES.value as number)
  const addresses: number[] = []
  for (let at = 1_024; at < after.length; at++) {
    if (after[at] !== before[at] && (at < scratchAt || at >= scratchEnd)) addresses.push(at)
  }
  return addresses
}

describe.each(counting)('%s', (policy) => {
  test('writes one byte on a hit, and none once the byte is at its limit', () => {
    const core = openTestingCore({ maxEntries: 100, policy })
    for (let key = 0; key < 150; key++) set(core, key)
    const key = keysOf(core)[50] as number
    const limit = policy === 'sieve' ? 1 : 3
    const mark = core.marksAt() + (get(core, key) >> 3)
    for (let hit = 2; hit <= limit; hit++) expect(changed(core, () => get(core, key))).toEqual([mark])
    expect(changed(core, () => get(core, key))).toEqual([])
    expect(new Uint8Array(core.memory.buffer)[mark]).toBe(limit)
  })

  test('does not move an entry that is read, written again or touched', () => {
    const core = openTestingCore({ maxEntries: 10, policy })
    for (let key = 0; key < 10; key++) set(core, key)
    const before = keysOf(core)
    for (const key of [3, 7, 0]) {
      get(core, key)
      set(core, key)
      core.touch(Infinity, Infinity, 0)
    }
    expect(keysOf(core)).toEqual(before)
  })

  test('evicts what has expired unnoticed before anything that is alive', () => {
    const core = openTestingCore({ maxEntries: 20, policy })
    // Due on the wheel's tick at 1,024, expired at 901.
    for (let key = 0; key < 20; key++) set(core, key, key === 0 ? 901 : Infinity, 0)
    for (const key of [0, 0, 0, 0]) get(core, key, 0)
    set(core, 'new', Infinity, 902)
    expect(keysOf(core)).not.toContain(0)
    expect(statsOf(core)).toMatchObject({ evictions: 1, expirations: 0 })
    expect(core.check()).toBe(0)
  })
})

describe.each(names)('%s', (policy) => {
  test('holds as many entries as it may and never more', () => {
    for (const maxEntries of [1, 2, 3, 10, 33]) {
      const core = openTestingCore({ maxEntries, policy })
      for (let key = 0; key < maxEntries * 5; key++) {
        set(core, key)
        for (let again = 0; again < key % 4; again++) get(core, key)
        expect(get(core, key)).toBeGreaterThanOrEqual(0)
        expect(keysOf(core).length).toBe(Math.min(key + 1, maxEntries))
        expect(core.check()).toBe(0)
      }
    }
  })

  test('forgets everything on clear', () => {
    const used = openTestingCore({ maxEntries: 50, policy })
    const fresh = openTestingCore({ maxEntries: 50, policy })
    for (let step = 0; step < 2_000; step++)
      if (get(used, (step * step) % 90) < 0) set(used, (step * step) % 90)
    used.clear()
    for (const core of [used, fresh]) {
      for (let step = 0; step < 500; step++) {
        const key = (step * 7 * step) % 80
        if (get(core, key) < 0) set(core, key)
      }
      expect(core.check()).toBe(0)
    }
    expect(keysOf(used)).toEqual(keysOf(fresh))
  })

  test('a queue that is torn is noticed', () => {
    const core = openTestingCore({ maxEntries: 20, policy })
    for (let key = 0; key < 10; key++) set(core, key)
    core.listUnlink(4)
    expect(core.check()).toBe(4)
  })
})

test('a mark beyond the limit and an entry in the wrong queue are noticed', () => {
  for (const [policy, damage] of [
    ['sieve', (core: TestingCore) => core.marksAt() + 4],
    ['s3fifo', (core: TestingCore) => core.marksAt() + 4],
    ['lazy-tinylfu', (core: TestingCore) => core.marksAt() + 4],
    ['s3fifo', (core: TestingCore) => core.recordsAt() + 4 * 64 + 28],
    ['lazy-tinylfu', (core: TestingCore) => core.recordsAt() + 4 * 64 + 28],
  ] as const) {
    const core = openTestingCore({ maxEntries: 20, policy })
    for (let key = 0; key < 10; key++) set(core, key)
    new Uint8Array(core.memory.buffer)[damage(core)] = 9
    expect(core.check(), policy).toBe(4)
  }
})

test('a policy takes the memory it needs and no other', () => {
  const bytesPerEntry = (policy: keyof typeof policies, maxEntries: number) => {
    const core = openTestingCore({ maxEntries, policy })
    return (core.policyEnd() - core.marksAt()) / maxEntries
  }
  expect(names.map((name) => bytesPerEntry(name, 65_536))).toEqual([
    0,
    // Mark, sketch and its ages, two tables of ghosts; just above a power of two it is the most.
    1 + 8 + 0.125 + 2,
    1,
    1 + 8,
  ])
  expect(bytesPerEntry('lazy-tinylfu', 65_600)).toBeLessThan(1 + 16 + 0.25 + 4.01)
  expect(bytesPerEntry('s3fifo', 72_900)).toBeLessThan(1 + 14.5)
})
