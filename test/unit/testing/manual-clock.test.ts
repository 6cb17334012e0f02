import { describe, expect, test } from 'vitest'

import { LONGEST_DELAY_MS } from '../../../src/clock.ts'
import { ManualClock } from '../../../src/testing/manual-clock.ts'

describe('ManualClock', () => {
  test('it stands still until it is told otherwise, and moves both clocks alike', () => {
    const clock = new ManualClock(100, 5_000)
    expect([clock.now(), clock.wallNow()]).toEqual([100, 5_000])
    clock.advance(0.25)
    expect([clock.now(), clock.wallNow()]).toEqual([100.25, 5_000.25])
    clock.setWall(1)
    expect([clock.now(), clock.wallNow()]).toEqual([100.25, 1])
    clock.advance(1)
    expect([clock.now(), clock.wallNow()]).toEqual([101.25, 2])
  })

  test('timers run in the order they are due, each at its own time, equal ones as they were set', () => {
    const clock = new ManualClock(0)
    const ran: [string, number][] = []
    const note = (name: string) => () => void ran.push([name, clock.now()])
    clock.setTimer(note('late'), 30)
    clock.setTimer(note('first of two'), 10)
    clock.setTimer(note('second of two'), 10)
    clock.setTimer(note('at once'), -5)
    clock.setTimer(note('beyond'), 31)
    expect(clock.timers).toBe(5)
    clock.advance(30)
    expect(ran).toEqual([
      ['at once', 0],
      ['first of two', 10],
      ['second of two', 10],
      ['late', 30],
    ])
    expect([clock.timers, clock.now()]).toEqual([1, 30])
  })

  test('a timer that is set by a timer runs in the same move when it is due in it', () => {
    const clock = new ManualClock(0)
    const ran: number[] = []
    const again = (): void => {
      ran.push(clock.now())
      clock.setTimer(again, 10)
    }
    clock.setTimer(again, 10)
    clock.advance(35)
    expect(ran).toEqual([10, 20, 30])
    expect([clock.now(), clock.timers]).toEqual([35, 1])
  })

  test('a timer sees an instant that is not before its own, whatever the fractions', () => {
    const clock = new ManualClock(0.1)
    const late: number[] = []
    for (let step = 1; step < 200; step++) {
      const due = clock.now() + step / 7
      clock.setTimer(() => late.push(clock.now() - due), step / 7)
    }
    for (let step = 0; step < 100; step++) clock.advance(1 / 3)
    expect(late.length).toBe(199)
    expect(Math.min(...late)).toBe(0)
  })

  test('a cancelled timer does not run, also when a timer of the same instant cancels it', () => {
    const clock = new ManualClock(0)
    const ran: string[] = []
    const before = clock.setTimer(() => ran.push('before'), 5)
    clock.setTimer(() => {
      ran.push('canceller')
      during.cancel()
    }, 5)
    const during = clock.setTimer(() => ran.push('during'), 5)
    before.cancel()
    before.cancel()
    clock.advance(10)
    during.cancel()
    expect(ran).toEqual(['canceller'])
    expect(clock.timers).toBe(0)
  })

  test('a timer that moves the clock itself is not undone by the move that ran it', () => {
    const clock = new ManualClock(0, 0)
    clock.setTimer(() => clock.advance(100), 5)
    clock.advance(10)
    expect([clock.now(), clock.wallNow()]).toEqual([105, 105])
  })

  test('a delay above 24 days is cut, as the clock of the machine cuts it', () => {
    const clock = new ManualClock(0)
    const ran: number[] = []
    clock.setTimer(() => ran.push(clock.now()), Number.POSITIVE_INFINITY)
    clock.advance(LONGEST_DELAY_MS - 1)
    expect(ran).toEqual([])
    clock.advance(1)
    expect(ran).toEqual([LONGEST_DELAY_MS])
  })

  test.each([-1, Number.NaN])('a move by %d ms is a RangeError', (byMs) => {
    const clock = new ManualClock(10)
    expect(() => clock.advance(byMs)).toThrow(RangeError)
    expect(clock.now()).toBe(10)
  })

  test('run lets promises settle before the move and after each step', async () => {
    const clock = new ManualClock(0)
    const ran: [string, number][] = []
    void Promise.resolve()
      .then(() => Promise.resolve())
      .then(() => {
        ran.push(['settled', clock.now()])
        clock.setTimer(() => ran.push(['timer', clock.now()]), 3)
      })
    await clock.run(10)
    expect(ran).toEqual([
      ['settled', 0],
      ['timer', 3],
    ])
    expect(clock.now()).toBe(10)
  })

  test('run by steps lets promises go on between them', async () => {
    const clock = new ManualClock(0)
    const ran: number[] = []
    const loop = async (): Promise<void> => {
      for (let turn = 0; turn < 4; turn++) {
        await new Promise<void>((resolve) => clock.setTimer(resolve, 5))
        ran.push(clock.now())
      }
    }
    void loop()
    await clock.run(17, 5)
    expect(ran).toEqual([5, 10, 15])
    expect(clock.now()).toBe(17)
  })

  test('run by nothing runs what is due now', async () => {
    const clock = new ManualClock(0)
    let ran = false
    clock.setTimer(() => {
      ran = true
    }, 0)
    await clock.run(0)
    expect([ran, clock.now()]).toEqual([true, 0])
  })

  test.each([0, -1, Number.NaN])(
    'a step of %d ms is a RangeError and not an endless loop',
    async (stepMs) => {
      await expect(new ManualClock().run(10, stepMs)).rejects.toThrow(RangeError)
    },
  )
})
