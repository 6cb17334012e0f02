import { describe, expect, test } from 'vitest'
import {
  type Core,
  get,
  keyOf,
  keysOf,
  openCore,
  openTestingCore,
  removalsOf,
  remove,
  set,
  sizeOf,
  stage,
  statsOf,
} from './open-core.ts'
import { SEED, SeededRandom } from './random.ts'

const FRESH = 0
const STALE = 1
const INSERTED = 0
const REPLACED = 1
const REPLACED_EXPIRED = 2

describe('creating', () => {
  test('an instance serves one cache: a second is refused and leaves the first as it was', () => {
    const core = openCore({ maxEntries: 1 })
    set(core, 'a')
    expect(core.create(1, 0, 0, 0, 0)).toBe(-2)
    expect(keysOf(core)).toEqual(['a'])
    expect(core.check()).toBe(0)
  })

  test('records take one cache line, links and stamps what was promised', () => {
    const core = openTestingCore({ maxEntries: 10 })
    const sizes = ['RECORD_BYTES', 'BUCKET_BYTES', 'LINK_BYTES', 'REMOVAL_BYTES', 'AUTHORITY_BYTES'] as const
    expect(sizes.map((name) => core[name].value)).toEqual([64, 64, 8, 48, 24])
    expect((core.recordsAt() >>> 0) % 64).toBe(0)
    expect(core.REMOVAL_LIMIT.value).toBe(1_024)
    expect(core.SCRATCH_BYTES.value).toBeGreaterThanOrEqual(131_072 + 64)
  })

  test('a cache takes the memory it was promised and no more', () => {
    const bytesFor = (maxEntries: number) => openCore({ maxEntries }).memory.buffer.byteLength
    const perEntry = (bytesFor(500_000) - bytesFor(100_000)) / 400_000
    expect(perEntry).toBeLessThan(64 + 8 + 8 + 64 / 7 + 1)
  })
})

describe('get, set and remove', () => {
  test('slots are handed out in ascending order, and a freed one comes next', () => {
    const core = openCore({ maxEntries: 5 })
    expect(['a', 'b', 'c'].map((key) => set(core, key) >> 3)).toEqual([0, 1, 2])
    remove(core, 'b')
    expect(['d', 'e', 'f'].map((key) => set(core, key) >> 3)).toEqual([1, 3, 4])
    expect(core.check()).toBe(0)
  })

  test('set says whether it inserted or replaced', () => {
    const core = openCore({ maxEntries: 3 })
    expect(set(core, 'a', 100, 0) & 7).toBe(INSERTED)
    expect(set(core, 'a', 100, 50) & 7).toBe(REPLACED)
    expect(set(core, 'a', 500, 100) & 7).toBe(REPLACED_EXPIRED)
    expect(sizeOf(core)).toBe(1)
    expect(statsOf(core)).toMatchObject({ inserts: 2, replaces: 1, expirations: 1 })
    expect(core.check()).toBe(0)
  })

  test('a read says fresh, then stale, then absent, each from its deadline on', () => {
    const core = openCore({ maxEntries: 3 })
    stage(core, 'a')
    core.set(100, 200, 0)
    expect([0, 99.9, 100, 199.9].map((now) => core.get(now) & 7)).toEqual([FRESH, FRESH, STALE, STALE])
    expect(core.peek(200)).toBe(-1)
    expect(sizeOf(core)).toBe(1)
    expect(core.get(200)).toBe(-1)
    expect(sizeOf(core)).toBe(0)
    expect(core.check()).toBe(0)
  })

  test('remove answers for usable entries only', () => {
    const core = openCore({ maxEntries: 3 })
    const slot = set(core, 'a', 100, 0) >> 3
    set(core, 'b', 100, 0)
    expect(remove(core, 'a', 50)).toBe(slot << 3)
    expect(remove(core, 'a', 50)).toBe(-1)
    expect(remove(core, 'b', 100)).toBe(-1)
    expect(statsOf(core)).toMatchObject({ deletes: 1, expirations: 1 })
    expect(core.check()).toBe(0)
  })

  test('touch gives new deadlines and makes an entry the newest', () => {
    const core = openCore({ maxEntries: 3 })
    const slot = set(core, 'a', 100, 0) >> 3
    set(core, 'b', 100, 0)
    stage(core, 'a')
    expect(core.touch(150, 300, 50)).toBe(slot << 3)
    expect([core.freshUntil(slot), core.usableUntil(slot)]).toEqual([150, 300])
    expect(keysOf(core)).toEqual(['a', 'b'])
    stage(core, 'b')
    expect(core.touch(500, 500, 100)).toBe(-1)
    stage(core, 'c')
    expect(core.touch(500, 500, 100)).toBe(-1)
    expect(core.check()).toBe(0)
  })

  test('peek changes nothing', () => {
    const core = openCore({ maxEntries: 2 })
    set(core, 'a')
    set(core, 'b')
    const before = statsOf(core)
    stage(core, 'a')
    expect(core.peek(0)).not.toBe(-1)
    stage(core, 'c')
    expect(core.peek(0)).toBe(-1)
    expect(keysOf(core)).toEqual(['b', 'a'])
    expect(statsOf(core)).toEqual(before)
  })

  test('a staged integer and the fused calls are the same key', () => {
    const core = openCore({ maxEntries: 2 })
    const slot = core.setInteger(12, Infinity, Infinity, 0) >> 3
    core.stageInteger(12)
    expect(core.get(0) >> 3).toBe(slot)
    new Float64Array(core.memory.buffer, core.scratchAt(), 1)[0] = 12
    expect(core.getStaged(8, 2, 0) >> 3).toBe(slot)
    new Float64Array(core.memory.buffer, core.scratchAt(), 1)[0] = 12
    expect(core.setStaged(8, 2, Infinity, Infinity, 0)).toBe((slot << 3) | REPLACED)
  })
})

describe('slot and generation instead of a key', () => {
  const MOVED = -2

  function hide(core: Core, key: string): void {
    stage(core, key)
    core.hide()
  }

  /** A core with an entry under 'a', and what names it. */
  function open(): { core: Core; slot: number; generation: number } {
    const core = openCore({ maxEntries: 2 })
    const slot = set(core, 'a', 100, 0) >> 3
    return { core, slot, generation: core.generation(slot) }
  }

  test('find what the key finds, and count as it does', () => {
    const { core, slot, generation } = open()
    expect(core.getAt(slot, generation, 0)).toBe((slot << 3) | FRESH)
    expect(statsOf(core).hits).toBe(1)
    expect(core.peekAt(slot, generation, 0)).toBe((slot << 3) | FRESH)
    expect(statsOf(core).hits).toBe(1)
  })

  test('a look is a use: the entry is not the next to leave', () => {
    const { core, slot, generation } = open()
    set(core, 'b')
    core.peekAt(slot, generation, 0)
    core.getAt(slot, generation, 0)
    set(core, 'c')
    expect(keysOf(core)).toEqual(['c', 'a'])
  })

  test('at its deadline the entry is absent; a look removes it, a glance does not', () => {
    const { core, slot, generation } = open()
    expect(core.peekAt(slot, generation, 100)).toBe(-1)
    expect(sizeOf(core)).toBe(1)
    expect(core.getAt(slot, generation, 100)).toBe(-1)
    expect([sizeOf(core), statsOf(core).misses]).toEqual([0, 1])
    expect(core.getAt(slot, generation, 100)).toBe(MOVED)
  })

  test.each<[string, (core: Core) => unknown]>([
    ['removed', (core) => remove(core, 'a')],
    ['hidden', (core) => hide(core, 'a')],
    ['cleared', (core) => core.clear()],
    ['evicted', (core) => [set(core, 'b'), set(core, 'c')]],
    ['replaced when it had expired', (core) => set(core, 'a', 300, 200)],
  ])('an entry that was %s is not found, and nothing is counted', (_, change) => {
    const { core, slot, generation } = open()
    change(core)
    const { hits, misses } = statsOf(core)
    expect([core.getAt(slot, generation, 0), core.peekAt(slot, generation, 0)]).toEqual([MOVED, MOVED])
    expect(statsOf(core)).toMatchObject({ hits, misses })
    expect(core.check()).toBe(0)
  })

  test('another entry in the slot is another entry', () => {
    const { core, slot, generation } = open()
    remove(core, 'a')
    expect(set(core, 'b') >> 3).toBe(slot)
    expect(core.getAt(slot, generation, 0)).toBe(MOVED)
    expect(core.getAt(slot, core.generation(slot), 0) >> 3).toBe(slot)
  })

  test('a new deadline is no use, and the entry expires by it', () => {
    const { core, slot } = open()
    set(core, 'b')
    core.extend(slot, 500, 500, 50)
    expect([core.freshUntil(slot), core.usableUntil(slot)]).toEqual([500, 500])
    expect(keysOf(core)).toEqual(['b', 'a'])
    expect(core.check()).toBe(0)
    core.advance(10_000, 10)
    expect(keysOf(core)).toEqual(['b'])
  })
})

test('times that are no numbers do no harm', () => {
  const core = openCore({ maxEntries: 2 })
  stage(core, 'a')
  core.set(NaN, NaN, NaN)
  stage(core, 'b')
  core.set(1e308, 1e308, -1e308)
  core.set(-Infinity, -Infinity, 0)
  for (const now of [NaN, -Infinity, 0, 1e308, Infinity]) {
    core.advance(now, 5)
    core.wheelBacklog(now)
    expect(core.check()).toBe(0)
  }
  expect(removalsOf(core).map(({ slot }) => slot)).toEqual([1])
})

describe('hiding', () => {
  test('a hidden entry is invisible until it is set again', () => {
    const core = openCore({ maxEntries: 2 })
    const slot = set(core, 'a') >> 3
    expect(core.hide()).toBe(slot << 3)
    expect(core.hide()).toBe(slot << 3)
    expect([core.get(0), core.peek(0), core.touch(1, 1, 0)]).toEqual([-1, -1, -1])
    expect([core.isLive(slot), core.isHidden(slot), sizeOf(core)]).toEqual([1, 1, 1])
    expect(core.check()).toBe(0)
    expect(core.set(Infinity, Infinity, 0)).toBe((slot << 3) | REPLACED)
    expect([core.get(0), core.isHidden(slot)]).toEqual([slot << 3, 0])
  })

  test('a hidden entry is removed, evicted and expired like any other', () => {
    const core = openCore({ maxEntries: 3 })
    for (const key of ['a', 'b', 'c']) {
      set(core, key, key === 'c' ? 1_000 : Infinity, 0)
      core.hide()
    }
    expect(remove(core, 'b')).not.toBe(-1)
    set(core, 'd')
    set(core, 'e')
    expect(keysOf(core)).toEqual(['e', 'd', 'c'])
    expect(core.advance(2_000, 10)).toBe(1)
    expect(core.check()).toBe(0)
  })

  test('there is nothing to hide for an absent key', () => {
    const core = openCore({ maxEntries: 3 })
    stage(core, 'a')
    expect(core.hide()).toBe(-1)
  })
})

describe('recency', () => {
  test('the entry that was not used for longest leaves, and its slot is used again', () => {
    const core = openCore({ maxEntries: 3 })
    for (const key of ['a', 'b', 'c']) set(core, key)
    get(core, 'a')
    get(core, 'a')
    const slotOfB = get(core, 'b') >> 3
    set(core, 'c')
    get(core, 'a')
    expect(keysOf(core)).toEqual(['a', 'c', 'b'])
    expect(set(core, 'd') >> 3).toBe(slotOfB)
    expect(keysOf(core)).toEqual(['d', 'a', 'c'])
    expect(get(core, 'b')).toBe(-1)
    expect(core.check()).toBe(0)
  })

  test('a cache of one entry works', () => {
    const core = openCore({ maxEntries: 1 })
    for (const key of ['a', 'b', 'a', 'a', 'x'.repeat(50), 'y'.repeat(50)]) {
      set(core, key, 500, 0)
      expect(get(core, key)).toBe(0)
      expect(keysOf(core)).toEqual([key])
      expect(core.check()).toBe(0)
    }
    expect(core.advance(1_000, 5)).toBe(1)
    expect(core.nextOlder(-1)).toBe(-1)
  })
})

describe('generations', () => {
  test('a slot gets a new generation whenever an entry leaves it, and only then', () => {
    const core = openCore({ maxEntries: 1 })
    set(core, 'a', 100, 0)
    const first = core.generation(0)
    set(core, 'a', 100, 0)
    get(core, 'a')
    expect(core.generation(0)).toBe(first)
    set(core, 'a', 500, 200)
    expect(core.generation(0), 'replaced after expiry').toBe(first + 1)
    set(core, 'b', 500, 200)
    expect(core.generation(0), 'evicted').toBe(first + 2)
    remove(core, 'b', 200)
    expect(core.generation(0), 'removed').toBe(first + 3)
    set(core, 'c', 300, 200)
    expect(core.generation(0), 'a free slot stays as it is').toBe(first + 3)
    get(core, 'c', 300)
    expect(core.generation(0), 'expired').toBe(first + 4)
    set(core, 'd', 400, 300)
    core.clear()
    expect(core.generation(0), 'cleared').toBe(first + 5)
  })
})

describe('clear', () => {
  test('leaves an empty cache that works, and no records', () => {
    const core = openCore({ maxEntries: 50 })
    for (let round = 0; round < 3; round++) {
      for (let key = 0; key < 60; key++) set(core, `${key}`.repeat(1 + (key % 30)), 1_000 + key, 0)
      core.clear()
      expect(core.check()).toBe(0)
      expect([sizeOf(core), core.nextOlder(-1), core.isLive(0)]).toEqual([0, -1, 0])
      expect(core.advance(1e6, 100)).toBe(0)
      expect(set(core, 'a') >> 3).toBe(0)
      expect(core.check()).toBe(0)
    }
  })
})

describe('memory', () => {
  test('a refusal for a long key is answered, counted and harmless', () => {
    const maxEntries = 60
    const core = openTestingCore({ maxEntries }, 24)
    let answer = 0
    let stored = 0
    for (; stored < maxEntries; stored++) {
      answer = set(core, `${stored}`.padEnd(60_000, 'x'))
      if (answer === -1) break
    }
    expect(answer).toBe(-1)
    expect(statsOf(core)).toMatchObject({ refusals: 1, evictions: 0, inserts: stored })
    expect(set(core, 'short')).toBe(stored << 3)
    expect(core.check()).toBe(0)
    remove(core, '0'.padEnd(60_000, 'x'))
    expect(set(core, 'again'.padEnd(60_000, 'x'))).toBe(0)
    expect(core.check()).toBe(0)
  })

  test('a cache beyond 4 GiB is refused before the engine is asked', () => {
    const core = openCore({ maxEntries: 2 ** 26 - 1, isRefused: true })
    expect(core.memory.buffer.byteLength).toBe(65_536)
    expect(core.create(2 ** 26, 0, 0, 0, 0)).toBe(-2)
    expect(core.create(0, 0, 0, 0, 0)).toBe(-2)
    expect(core.create(10, 99, 0, 0, 0)).toBe(-2)
  })

  test('create answers -1 when the memory cannot be had, and a smaller cache can follow', () => {
    const core = openTestingCore({ maxEntries: 2 ** 20, isRefused: true }, 64)
    expect(core.create(10, 0, 0, 0, 0)).toBe(0)
    set(core, 'a')
    expect(core.check()).toBe(0)
  })
})

test('random operations agree with a Map in order of use', { timeout: 60_000 }, () => {
  for (const maxEntries of [1, 2, 7, 12, 40]) {
    const random = new SeededRandom(SEED + maxEntries)
    const core = openCore({ maxEntries })
    const model = new Map<string | number, number>()
    const keyFor = (number: number): string | number =>
      number % 3 === 0
        ? number
        : number % 3 === 1
          ? `key ${number}`
          : `a key too long for its record ${number}`.repeat(number % 5)
    for (let step = 0; step < 3_000; step++) {
      const key = keyFor(random.below(maxEntries * 2))
      const message = `SEED=${SEED} ${maxEntries} entries, step ${step}, ${key}`
      const action = random.below(10)
      if (action < 5) {
        const slot = model.get(key)
        expect(get(core, key), message).toBe(slot === undefined ? -1 : slot << 3)
        if (slot !== undefined) {
          model.delete(key)
          model.set(key, slot)
        }
      } else if (action < 9) {
        const isNew = !model.has(key)
        if (isNew && model.size === maxEntries) model.delete([...model.keys()][0] as string)
        const answer = set(core, key)
        expect(answer & 7, message).toBe(isNew ? INSERTED : REPLACED)
        model.delete(key)
        model.set(key, answer >> 3)
      } else {
        expect(remove(core, key) !== -1, message).toBe(model.delete(key))
      }
      expect(keysOf(core), message).toEqual([...model.keys()].reverse())
      expect(core.check(), message).toBe(0)
    }
    expectSlots(core, model)
  }
})

function expectSlots(core: Core, model: ReadonlyMap<string | number, number>): void {
  for (const [key, slot] of model) expect(keyOf(core, slot)).toBe(key)
}
