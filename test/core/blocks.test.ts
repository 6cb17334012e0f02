// The heap: what it takes, how holes become room again, what is lent, and that the checker sees what is broken.

import { describe, expect, test } from 'vitest'
import {
  BYTES,
  type Core,
  get,
  keysOf,
  openTestingCore,
  REPORT_KEYS,
  removalsOf,
  set,
  sizeOf,
  stage,
  statsOf,
  type TestingCore,
  WEIGHED,
} from './open-core.ts'
import { SEED, SeededRandom } from './random.ts'

const MAX_BYTES = 393_216
const BLOCKED = 15

function open(maxEntries = 500, flags = 0, maxBytes = MAX_BYTES): TestingCore {
  return openTestingCore({ maxEntries, maxBytes, flags: WEIGHED | BYTES | flags })
}

function put(core: Core, key: string | number, bytes: number, fill = 1): number {
  stage(core, key)
  core.valueNext(bytes, 0, 0)
  const answer = core.set(Infinity, Infinity, 0)
  if (answer >= 0) bytesOf(core, answer >> 3).fill(fill)
  return answer
}

function bytesOf(core: Core, slot: number): Uint8Array {
  const view = new DataView(core.memory.buffer)
  const at = (core.valuesAt() >>> 0) + slot * 8
  return new Uint8Array(core.memory.buffer, view.getUint32(at, true), view.getUint32(at + 4, true) >>> 3)
}

describe('memory', () => {
  test('is what the budget says from the start, whatever comes', () => {
    const core = open()
    expect(core.memory.buffer.byteLength).toBe(MAX_BYTES)
    for (let key = 0; key < 3_000; key++) put(core, key, (key * 37) % 3_000)
    expect(core.memory.buffer.byteLength).toBe(MAX_BYTES)
    expect(core.check()).toBe(0)
  })

  test('is refused where the budget does not reach for the entries, and where the engine does not give it', () => {
    const options = { maxEntries: 500, flags: WEIGHED | BYTES, isRefused: true }
    openTestingCore({ ...options, maxBytes: 200_000 })
    openTestingCore({ ...options, maxBytes: MAX_BYTES }, 5)
  })

  test('is refused where flags and budget contradict each other', () => {
    const core = openTestingCore({
      maxEntries: 5,
      maxBytes: 100_000,
      flags: WEIGHED | BYTES,
      isRefused: true,
    })
    expect(core.create(5, 0, WEIGHED, 0, 0)).toBe(-2)
    expect(core.create(5, 0, 0, 0, 1_000)).toBe(-2)
    expect(core.create(5, 4, 0, 0, 0)).toBe(-2)
    expect(core.create(5, 4, WEIGHED, 0, 1_000)).toBe(0)
  })

  test('comes back: when all is gone the heap is one block again', () => {
    const core = open()
    const all = core.largestFree()
    for (let key = 0; key < 300; key++) put(core, `${key}`.repeat(20), key * 3)
    for (let key = 0; key < 300; key += 2) {
      stage(core, `${key}`.repeat(20))
      core.remove(0)
    }
    expect(core.check()).toBe(0)
    core.clear()
    expect(core.largestFree()).toBe(all)
    expect(core.freeBytes()).toBe(all)
    expect(core.check()).toBe(0)
  })
})

describe('a large value among small ones', () => {
  test('gets its room by moving others, not by evicting many times what it takes', () => {
    const core = open(4_000, 0, 786_432)
    let count = 0
    while (statsOf(core).evictions === 0) put(core, count++, 40, count % 251)
    const before = sizeOf(core)
    const large = 20_000
    put(core, 'large', large)
    const slack = ((core.heapEnd() >>> 0) - (core.heapAt() >>> 0)) / 32
    expect(statsOf(core).evictions - 1).toBeLessThan((large + slack) / 48 + 20)
    expect(sizeOf(core)).toBeGreaterThan(before - (large + slack) / 48 - 20)
    for (const key of keysOf(core)) {
      if (typeof key === 'number')
        expect(bytesOf(core, get(core, key) >> 3).every((byte) => byte === (key + 1) % 251)).toBe(true)
    }
    expect(core.check()).toBe(0)
  })

  test('a value of another size keeps its place, and its long key comes along', () => {
    const core = open()
    const key = 'k'.repeat(40)
    for (let other = 0; other < 50; other++) put(core, other, 100)
    const slot = put(core, key, 10, 7) >> 3
    put(core, 'behind', 10)
    for (const bytes of [500, 20, 5_000, 4_900, 0]) {
      expect(put(core, key, bytes, 9)).toBe((slot << 3) | 1)
      expect(bytesOf(core, get(core, key) >> 3)).toEqual(new Uint8Array(bytes).fill(9))
      expect(core.check()).toBe(0)
    }
  })
})

describe('what is lent', () => {
  test('stays as it is when its entry is written again, removed, evicted or cleared', () => {
    const ways: ((core: TestingCore) => void)[] = [
      (core) => put(core, 'lent', 100, 9),
      (core) => put(core, 'lent', 4_000, 9),
      (core) => {
        stage(core, 'lent')
        core.remove(0)
        for (let key = 0; key < 400; key++) put(core, key, 300, 9)
      },
      (core) => {
        for (let key = 0; key < 2_000; key++) put(core, key, (key * 7) % 2_000, 9)
      },
      (core) => {
        core.clear()
        for (let key = 0; key < 400; key++) put(core, key, 300, 9)
      },
    ]
    for (const [number, change] of ways.entries()) {
      const core = open()
      const all = core.largestFree()
      const slot = put(core, 'lent', 100, 5) >> 3
      const lent = bytesOf(core, slot)
      const block = core.lend(slot)
      change(core)
      expect(
        lent.every((byte) => byte === 5),
        `way ${number}`,
      ).toBe(true)
      expect(core.check(), `way ${number}`).toBe(0)
      core.unlend(block)
      expect(core.check(), `way ${number}`).toBe(0)
      core.clear()
      expect(core.largestFree(), `way ${number}`).toBe(all)
    }
  })

  test('in the middle of all there is, it leaves no room, and then a write is refused and harmless', () => {
    const core = open()
    const all = core.largestFree()
    put(core, 'first', Math.floor(all / 2) - 100)
    const slot = put(core, 'lent', 10, 5) >> 3
    const block = core.lend(slot)
    expect(put(core, 'large', Math.floor(all * 0.8))).toBe(-1)
    expect(statsOf(core)).toMatchObject({ refusals: 1 })
    expect(core.check()).toBe(0)
    core.unlend(block)
    expect(put(core, 'large', Math.floor(all * 0.8))).toBeGreaterThanOrEqual(0)
    expect(core.check()).toBe(0)
  })
})

describe('removals', () => {
  test('with a listener a write waits until the host has seen key and value of each victim', () => {
    const core = open(3, REPORT_KEYS)
    for (const key of ['a', 'b', 'c'.repeat(50)]) put(core, key, 10, key.charCodeAt(0))
    get(core, 'b')
    expect(put(core, 'd', 10)).toBe(-3)
    const [removal] = removalsOf(core)
    expect(removal).toMatchObject({ key: 'a', cause: 'evicted' })
    expect(bytesOf(core, removal?.slot ?? -1)).toEqual(new Uint8Array(10).fill(97))
    expect(core.check()).toBe(0)
    core.drain()
    expect(put(core, 'd', 10) & 7).toBe(0)
    expect(keysOf(core)).toEqual(['d', 'b', 'c'.repeat(50)])
    expect(core.check()).toBe(0)
  })

  test('without one nothing waits and nothing is recorded', () => {
    const core = open(3)
    for (let key = 0; key < 50; key++) expect(put(core, key, 1_000)).toBeGreaterThanOrEqual(0)
    stage(core, 'timed')
    core.valueNext(10, 0, 0)
    core.set(100, 100, 0)
    expect(core.advance(1_000, 10)).toBe(1)
    expect(removalsOf(core)).toEqual([])
    expect(core.check()).toBe(0)
  })
})

test('gdsf keeps many small ones rather than a large one that is used as often', () => {
  const core = openTestingCore({
    maxEntries: 900,
    maxBytes: MAX_BYTES,
    flags: WEIGHED | BYTES,
    policy: 'gdsf',
  })
  const random = new SeededRandom(SEED)
  for (let step = 0; step < 20_000; step++) {
    const number = random.below(900)
    if (get(core, number) < 0) put(core, number, number % 30 === 0 ? 5_000 : 150)
  }
  const keys = keysOf(core) as number[]
  const isLarge = (key: number) => key % 30 === 0
  const shareOfLarge = keys.filter(isLarge).length / 30
  const shareOfSmall = keys.filter((key) => !isLarge(key)).length / 870
  expect(shareOfSmall, `SEED=${SEED}`).toBeGreaterThan(shareOfLarge + 0.3)
})

test('the checker sees what is broken in a heap', () => {
  const damages: [number[], (core: TestingCore, view: DataView) => void][] = [
    // A size, a flag, an owner, a free list, a tag behind a free block, a value's address, a total.
    [[BLOCKED, 16, 18], (core, view) => view.setUint32(core.blockOf(4) >>> 0, 33, true)],
    [
      [BLOCKED],
      (core, view) =>
        view.setUint32(core.blockOf(5) >>> 0, view.getUint32(core.blockOf(5) >>> 0, true) ^ 2, true),
    ],
    [[16], (core, view) => view.setUint32((core.blockOf(4) >>> 0) + 4, 5, true)],
    [[17], (_core, view) => view.setBigUint64(952, 0n, true)],
    [[BLOCKED], (core, view) => view.setUint32((core.blockOf(4) >>> 0) - 4, 48, true)],
    [[16], (core, view) => view.setUint32((core.valuesAt() >>> 0) + 4 * 8, 5, true)],
    [[BLOCKED], (_core, view) => view.setUint32(940, 5, true)],
  ]
  for (const [number, [broken, damage]] of damages.entries()) {
    const core = open()
    for (let key = 0; key < 10; key++) put(core, key, 100)
    stage(core, 3)
    core.remove(0)
    expect(core.check()).toBe(0)
    damage(core, new DataView(core.memory.buffer))
    expect(broken, `damage ${number}`).toContain(core.check())
  }
})

test('a weight that was lost is seen', () => {
  const core = openTestingCore({ maxEntries: 10, maxBytes: 1_000, flags: WEIGHED })
  for (let key = 0; key < 5; key++) {
    stage(core, key)
    core.valueNext(100, 0, 0)
    core.set(Infinity, Infinity, 0)
  }
  expect(core.check()).toBe(0)
  new DataView(core.memory.buffer).setUint32(936, 400, true)
  expect(core.check()).toBe(18)
  expect(set(core, 1)).toBeGreaterThanOrEqual(0)
})

test('memory that the engine refuses at any growth is survived', { timeout: 60_000 }, () => {
  // By reference long keys are in the arena, which grows: the same run with a page more each time.
  const keys = Array.from({ length: 60 }, (_, number) => `${number}`.padEnd(3_000 + number * 400, 'k'))
  let refusals = Infinity
  for (let pages = 5; refusals > 0; pages++) {
    const core = openTestingCore({ maxEntries: 50, flags: REPORT_KEYS }, pages)
    refusals = 0
    for (const key of keys) {
      const answer = set(core, key)
      expect(core.check(), `${pages} pages`).toBe(0)
      if (answer === -1) refusals++
      else expect(get(core, key)).toBe(answer & ~7)
      core.drain()
    }
    expect(statsOf(core).refusals, `${pages} pages`).toBe(refusals)
    expect(core.memory.buffer.byteLength).toBeLessThanOrEqual(pages * 65_536)
  }
  // With values as bytes there is one allocation: all of it, or nothing.
  for (let pages = 1; pages < MAX_BYTES / 65_536; pages++) {
    openTestingCore({ maxEntries: 500, maxBytes: MAX_BYTES, flags: WEIGHED | BYTES, isRefused: true }, pages)
  }
})
