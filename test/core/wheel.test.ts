import { describe, expect, test } from 'vitest'
import {
  type Core,
  compile,
  get,
  instantiate,
  openCore,
  openTestingCore,
  removalsOf,
  set,
  sizeOf,
  statsOf,
  type TestingCore,
} from './open-core.ts'
import { SEED, SeededRandom } from './random.ts'

const TICK = 128
/** What a bucket of the last level spans. */
const LAST = TICK * 8 ** 9
const YEAR = 365 * 24 * 3_600_000

/** Works the wheel off at `now`: slots whose deadline has come, as the store does it. */
function expire(core: TestingCore, now: number, deadlines: ReadonlyMap<number, number>): number[] {
  const expired: number[] = []
  let rounds = 0
  for (let slot = core.wheelNextDue(now); slot !== -1; slot = core.wheelNextDue(now)) {
    if (++rounds > 10_000) throw new Error('the wheel does not get on')
    if ((deadlines.get(slot) as number) > now) core.wheelPlaceAgain(slot, now)
    else {
      core.wheelUnschedule(slot)
      expired.push(slot)
    }
  }
  return expired
}

describe('the wheel alone', () => {
  const cases: { name: string; now: number; deadline: number; at: number; isExpired: boolean }[] = [
    { name: 'before its tick', now: 0, deadline: 128, at: 127, isExpired: false },
    { name: 'at its tick', now: 0, deadline: 128, at: 128, isExpired: true },
    { name: 'within a tick, before the tick ends', now: 0, deadline: 100, at: 127, isExpired: false },
    { name: 'within a tick, when the tick ends', now: 0, deadline: 100, at: 128, isExpired: true },
    { name: 'a deadline that has passed', now: 1_000, deadline: 500, at: 1_000, isExpired: false },
    {
      name: 'a deadline that has passed, a tick later',
      now: 1_000,
      deadline: 500,
      at: 1_128,
      isExpired: true,
    },
    {
      name: 'the last bucket of level 0, early',
      now: 0,
      deadline: 63 * TICK,
      at: 63 * TICK - 1,
      isExpired: false,
    },
    { name: 'the last bucket of level 0', now: 0, deadline: 63 * TICK, at: 63 * TICK, isExpired: true },
    { name: 'the first of level 1, early', now: 0, deadline: 64 * TICK, at: 64 * TICK - 1, isExpired: false },
    { name: 'the first of level 1', now: 0, deadline: 64 * TICK, at: 64 * TICK, isExpired: true },
    { name: 'level 1, rounded up, early', now: 0, deadline: 65 * TICK, at: 72 * TICK - 1, isExpired: false },
    { name: 'level 1, rounded up', now: 0, deadline: 65 * TICK, at: 72 * TICK, isExpired: true },
    {
      name: 'a clock that started late',
      now: 1e12,
      deadline: 1e12 + 1_000,
      at: 1e12 + 1_128,
      isExpired: true,
    },
    { name: 'a year', now: 77, deadline: YEAR, at: YEAR * 1.126, isExpired: true },
    { name: 'a year, early', now: 77, deadline: YEAR, at: YEAR - 1, isExpired: false },
    { name: 'beyond the last level, early', now: 0, deadline: 500 * YEAR, at: 499 * YEAR, isExpired: false },
    { name: 'beyond the last level', now: 0, deadline: 500 * YEAR, at: 563 * YEAR, isExpired: true },
    { name: 'a turn of the last level away', now: 0, deadline: 65 * LAST, at: LAST, isExpired: false },
    { name: 'the end of all ticks', now: 0, deadline: 1e300, at: 1e299, isExpired: false },
    { name: 'before all ticks', now: 500, deadline: -Infinity, at: 628, isExpired: true },
  ]
  test.each(cases)('$name', ({ now, deadline, at, isExpired }) => {
    const core = openTestingCore({ maxEntries: 1 })
    core.wheelSchedule(0, deadline, now)
    expect(expire(core, at, new Map([[0, deadline]]))).toEqual(isExpired ? [0] : [])
  })

  test('an entry outlives every look before its deadline and no eighth of its life after it', () => {
    const random = new SeededRandom(SEED)
    const maxEntries = 300
    const core = openTestingCore({ maxEntries })
    let now = random.below(1e9)
    const deadlines = new Map<number, number>()
    const bornAt = new Map<number, number>()
    for (let step = 0; step < 4_000; step++) {
      const slot = random.below(maxEntries)
      if (deadlines.has(slot)) {
        if (random.below(8) === 0) {
          core.wheelUnschedule(slot)
          deadlines.delete(slot)
        }
      } else {
        const deadline = now + random.below(random.pick([200, 20_000, 3_000_000, YEAR]))
        core.wheelSchedule(slot, deadline, now)
        deadlines.set(slot, deadline)
        bornAt.set(slot, now)
      }
      // Time moves a tick at most, or far: then lateness is the host's, who did not call.
      const isFar = random.below(500) === 0
      now += isFar ? random.below(random.pick([1e6, YEAR])) : random.below(TICK)
      for (const expired of expire(core, now, deadlines)) {
        const deadline = deadlines.get(expired) as number
        expect(deadline <= now, `SEED=${SEED} step ${step}: early`).toBe(true)
        deadlines.delete(expired)
      }
      if (random.below(20) !== 0) continue
      for (const [slot, deadline] of deadlines) {
        const born = bornAt.get(slot) as number
        const latest = deadline + (deadline - born) / 8 + TICK
        expect(now <= latest, `SEED=${SEED} step ${step} slot ${slot}: ${now} > ${latest}`).toBe(true)
      }
    }
  })

  test('a jump over ages costs one look at each entry that came up', () => {
    // Once, entries to be placed again crept after the cursors of their level, a turn of 64 buckets at a time.
    const core = openTestingCore({ maxEntries: 50 })
    const start = 10 * YEAR
    for (let slot = 0; slot < 50; slot++) core.wheelSchedule(slot, 1_000 * (slot + 1), 0)
    const deadlines = new Map(Array.from({ length: 50 }, (_, slot) => [slot, start + 17_000 + slot * 1_000]))
    // Put off without telling the wheel, as a write over an entry does.
    const view = new DataView(core.memory.buffer)
    for (const [slot, deadline] of deadlines)
      view.setFloat64(core.recordsAt() + slot * 64 + 16, deadline, true)
    let looks = 0
    for (let slot = core.wheelNextDue(start); slot !== -1; slot = core.wheelNextDue(start)) {
      core.wheelPlaceAgain(slot, start)
      looks++
    }
    expect(looks).toBe(50)
    expect(expire(core, start + 17_000 + 50_000 * 1.125, deadlines).length).toBe(50)
  })

  test('what came up and was not worked off yet can still leave', () => {
    const core = openTestingCore({ maxEntries: 3 })
    for (const slot of [0, 1, 2]) core.wheelSchedule(slot, 1_000, 0)
    const first = core.wheelNextDue(2_000)
    const others = [0, 1, 2].filter((slot) => slot !== first)
    for (const slot of others) core.wheelUnschedule(slot)
    expect(core.wheelBacklog(2_000)).toBe(1)
    expect(core.wheelNextDue(2_000)).toBe(first)
    core.wheelUnschedule(first)
    expect([core.wheelNextDue(2_000), core.wheelBacklog(2_000)]).toEqual([-1, 0])
  })

  test('entries that leave early leave nothing behind', () => {
    const core = openTestingCore({ maxEntries: 64 })
    for (let slot = 0; slot < 64; slot++) core.wheelSchedule(slot, 100 * 3 ** (slot % 20), 0)
    for (let slot = 0; slot < 64; slot++) core.wheelUnschedule(slot)
    expect(core.wheelNextDue(100 * YEAR)).toBe(-1)
    expect(core.wheelBacklog(200 * YEAR)).toBe(0)
  })

  test('the backlog is the number of buckets that are due', () => {
    const core = openTestingCore({ maxEntries: 8 })
    for (const [slot, deadline] of [100, 100, 300, 5_000, 60_000, YEAR].entries())
      core.wheelSchedule(slot, deadline, 0)
    expect(core.wheelBacklog(0)).toBe(0)
    expect(core.wheelBacklog(128)).toBe(1)
    expect(core.wheelBacklog(10_000)).toBe(3)
    expect(core.wheelBacklog(70_000)).toBe(4)
    expect(core.wheelBacklog(2 * YEAR)).toBe(5)
  })
})

describe('the wheel in a cache', () => {
  test('a budget bounds the work and keeps its place', () => {
    const core = openCore({ maxEntries: 1_000 })
    for (let key = 0; key < 1_000; key++) set(core, key, 1_000 + key, 0)
    const perCall = []
    for (let call = 0; call < 11; call++) {
      perCall.push(core.advance(5_000, 100))
      expect(core.check()).toBe(0)
      core.drain()
    }
    expect(perCall).toEqual([100, 100, 100, 100, 100, 100, 100, 100, 100, 100, 0])
    expect(sizeOf(core)).toBe(0)
  })

  test('advance stops at a full removal list and goes on after the drain', () => {
    const core = openCore({ maxEntries: 3_000 })
    for (let key = 0; key < 3_000; key++) set(core, key, 1_000, 0)
    expect(core.advance(2_000, 10_000)).toBe(1_024)
    expect(core.advance(2_000, 10_000)).toBe(0)
    // A read finds an expired entry absent even when it cannot be recorded.
    expect(get(core, 2_999, 2_000)).toBe(-1)
    core.drain()
    expect(core.advance(2_000, 10_000)).toBe(1_024)
    core.drain()
    expect(core.advance(2_000, 10_000)).toBe(952)
    expect(statsOf(core).expirations).toBe(3_000)
    expect(core.check()).toBe(0)
  })

  test('an entry without a deadline never enters the wheel', () => {
    const core = openCore({ maxEntries: 4 })
    set(core, 1, Infinity, 0)
    expect(core.advance(1_000 * YEAR, 10)).toBe(0)
    expect(get(core, 1, 1_000 * YEAR)).not.toBe(-1)
  })

  test('a deadline put off, brought forward or dropped holds', () => {
    const core = openCore({ maxEntries: 8 })
    set(core, 'off', 1_000, 0)
    set(core, 'off', 100_000, 10)
    set(core, 'forward', 100_000, 0)
    set(core, 'forward', 1_000, 10)
    set(core, 'dropped', 1_000, 0)
    set(core, 'dropped', Infinity, 10)
    set(core, 'taken up', Infinity, 0)
    set(core, 'taken up', 1_000, 10)
    expect(core.check()).toBe(0)
    expect(core.advance(2_000, 100)).toBe(2)
    expect(core.check()).toBe(0)
    expect(get(core, 'off', 99_999)).not.toBe(-1)
    expect(core.advance(101_000 * 1.125, 100)).toBe(1)
    expect(get(core, 'dropped', YEAR)).not.toBe(-1)
    expect(removalsOf(core).length).toBe(3)
  })

  test('a full cache expires before it evicts', () => {
    const core = openCore({ maxEntries: 3 })
    set(core, 'oldest', Infinity, 0)
    set(core, 'short', 1_000, 0)
    set(core, 'newest', Infinity, 0)
    set(core, 'next', Infinity, 2_000)
    expect(get(core, 'oldest', 2_000)).not.toBe(-1)
    expect(removalsOf(core).map(({ cause }) => cause)).toEqual(['expired'])
    expect(statsOf(core).evictions).toBe(0)
  })

  test('random lives in a cache end on time, whatever the host does', () => {
    const random = new SeededRandom(SEED)
    const core = openCore({ maxEntries: 200 })
    const deadlines = new Map<number, number>()
    let now = random.below(1e6)
    for (let step = 0; step < 5_000; step++) {
      const message = `SEED=${SEED} step ${step}`
      const key = random.below(200)
      const deadline = random.below(5) === 0 ? Infinity : now + random.below(random.pick([500, 50_000, YEAR]))
      if (random.below(2) === 0) {
        set(core, key, deadline, now)
        deadlines.set(key, deadline)
      } else {
        const isUsable = (deadlines.get(key) ?? -1) > now
        expect(get(core, key, now) !== -1, message).toBe(isUsable)
      }
      now += random.below(random.pick([10, 10, 10, 1_000, 100_000]))
      core.advance(now, random.below(20))
      expect(core.check(), message).toBe(0)
      core.drain()
    }
  })
})

test('a million entries that expire together never cost a call more than its budget', {
  timeout: 120_000,
}, () => {
  const million = 1_000_000
  const budget = 256
  // The build that ships, since a million entries are slow with asserts.
  const core = instantiate(compile('core'), {}) as unknown as Core
  expect(core.create(million, 0, 0, 0, 0)).toBe(0)
  for (let key = 0; key < million; key++) core.setInteger(key, 60_000, 60_000, 0)
  // Putting them off leaves them where they are, so the work of placing them again counts too.
  for (let key = 0; key < million; key += 2) {
    core.stageInteger(key)
    core.touch(70_000, 70_000, 0)
  }
  let calls = 0
  let expired = 0
  for (const now of [68_000, 80_000]) {
    while (core.wheelBacklog(now) !== 0) {
      const before = sizeOf(core)
      const answer = core.advance(now, budget)
      const gone = before - sizeOf(core)
      if (answer > budget || gone !== answer) expect([answer, gone]).toBe('no more than the budget')
      core.drain()
      expired += answer
      calls++
      // A read and a write in between expire no more than they may: one, and what makes room.
      if (calls % 100 === 0) {
        const held = sizeOf(core)
        core.getInteger(calls, now)
        core.setInteger(-calls, Infinity, Infinity, now)
        expect(held - sizeOf(core)).toBeLessThanOrEqual(17)
        expired += removalsOf(core).length
        core.drain()
      }
    }
  }
  expect(expired).toBe(million)
  expect(calls).toBeGreaterThan((1.5 * million) / budget - 2 * 17)
  expect(core.advance(1e9, budget)).toBe(0)
})
