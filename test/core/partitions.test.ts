import { describe, expect, test } from 'vitest'
import { AUTHORITY, type Core, get, openCore, set, stage, statsOf } from './open-core.ts'

const FRESH = 0
const STALE = 1
const SUSPECT = 2

function setStamped(
  core: Core,
  key: string,
  stamp: { partition: number; epoch: number; asOf: number },
): number {
  core.stampNext(stamp.partition, stamp.epoch, stamp.asOf, 77)
  return set(core, key) >> 3
}

describe('stamps', () => {
  test('an entry keeps the stamp it was written with', () => {
    const core = openCore({ maxEntries: 4, flags: AUTHORITY, partitions: 8 })
    const slot = setStamped(core, 'a', { partition: 3, epoch: 5, asOf: 2 ** 40 })
    expect([core.partitionOf(slot), core.epochOf(slot), core.asOf(slot), core.tagSequence(slot)]).toEqual([
      3,
      5,
      2 ** 40,
      77,
    ])
    expect(core.check()).toBe(0)
  })

  test('a stamp is for one write', () => {
    const core = openCore({ maxEntries: 4, flags: AUTHORITY, partitions: 2 })
    setStamped(core, 'a', { partition: 1, epoch: 0, asOf: 9 })
    expect(get(core, 'a') & 7).toBe(FRESH)
    set(core, 'a')
    expect(get(core, 'a') & 7).toBe(SUSPECT)
    set(core, 'b')
    expect(get(core, 'b') & 7).toBe(SUSPECT)
  })

  test('a touch can lift an entry above the doubt', () => {
    const core = openCore({ maxEntries: 4, flags: AUTHORITY, partitions: 2 })
    const slot = setStamped(core, 'a', { partition: 1, epoch: 0, asOf: 5 })
    core.setPartition(1, 0, 6)
    expect(get(core, 'a') & 7).toBe(SUSPECT)
    stage(core, 'a')
    core.touch(Infinity, Infinity, 0)
    expect([core.asOf(slot), core.get(0) & 7]).toEqual([5, SUSPECT])
    core.stampNext(1, 0, 6, 0)
    expect(core.touch(Infinity, Infinity, 0)).toBe(slot << 3)
    expect([core.asOf(slot), core.get(0) & 7]).toEqual([6, FRESH])
  })

  test('an unknown partition makes an entry suspect for ever', () => {
    const core = openCore({ maxEntries: 4, flags: AUTHORITY, partitions: 2 })
    setStamped(core, 'a', { partition: 2, epoch: 0, asOf: 1e9 })
    core.setPartition(2, 0, -1e9)
    core.setPartition(0, 0, 0)
    expect(get(core, 'a') & 7).toBe(SUSPECT)
    expect(core.check()).toBe(0)
  })
})

describe('an entry is suspect', () => {
  const open = () => {
    const core = openCore({ maxEntries: 4, flags: AUTHORITY, partitions: 4 })
    core.setPartition(2, 1, 10)
    setStamped(core, 'a', { partition: 2, epoch: 1, asOf: 10 })
    expect(get(core, 'a', 50) & 7).toBe(FRESH)
    return core
  }

  test('from the moment the lease lapses, and not once it is renewed', () => {
    const core = open()
    core.setLease(100)
    expect([99, 100, 200].map((now) => get(core, 'a', now) & 7)).toEqual([FRESH, SUSPECT, SUSPECT])
    core.setLease(300)
    expect(get(core, 'a', 200) & 7).toBe(FRESH)
  })

  test('in another epoch of its partition, and of no other', () => {
    const core = open()
    core.setPartition(1, 9, 0)
    expect(get(core, 'a') & 7).toBe(FRESH)
    core.setPartition(2, 2, 10)
    expect(get(core, 'a') & 7).toBe(SUSPECT)
  })

  test('below the mark of its partition', () => {
    const core = open()
    core.setPartition(2, 1, 10.5)
    expect(get(core, 'a') & 7).toBe(SUSPECT)
    stage(core, 'a')
    expect(core.peek(0) & 7).toBe(SUSPECT)
    expect(core.remove(0) & 7).toBe(SUSPECT)
  })

  test('and counts as a miss, as it answers nothing', () => {
    const core = open()
    const before = statsOf(core)
    core.setLease(-Infinity)
    get(core, 'a')
    expect(statsOf(core)).toEqual({ ...before, misses: before.misses + 1 })
  })

  test('rather than stale, and absent rather than suspect', () => {
    const core = openCore({ maxEntries: 4, flags: AUTHORITY, partitions: 1 })
    core.stampNext(0, 0, 5, 0)
    stage(core, 'a')
    core.set(100, 200, 0)
    expect(core.get(150) & 7).toBe(STALE)
    core.setPartition(0, 0, 6)
    expect(core.get(150) & 7).toBe(SUSPECT)
    expect(core.get(200)).toBe(-1)
  })
})

test('a cache without an authority has no stamps and no suspicion', () => {
  const core = openCore({ maxEntries: 4 })
  core.stampNext(0, 1, 2, 3)
  core.setLease(0)
  core.setPartition(0, 9, 9)
  const slot = set(core, 'a') >> 3
  expect(get(core, 'a', 10) & 7).toBe(FRESH)
  expect([core.partitionOf(slot), core.asOf(slot)]).toEqual([-1, -1])
  expect(core.check()).toBe(0)
})
