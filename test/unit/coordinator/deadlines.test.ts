import { describe, expect, test } from 'vitest'
import { Deadlines } from '../../../src/coordinator/deadlines.ts'
import { ManualClock } from '../../../src/testing/manual-clock.ts'

function waiting(isShared: boolean) {
  const clock = new ManualClock(0)
  const deadlines = new Deadlines(clock, 500, isShared)
  const late: string[] = []
  return {
    clock,
    deadlines,
    late,
    begin: (name: string) => deadlines.begin(() => late.push(`${name} ${clock.now()}`)),
  }
}

for (const isShared of [true, false]) {
  describe(isShared ? 'deadlines under one timer' : 'deadlines with a timer each', () => {
    test('each ends on its own time, and none that is over', () => {
      const { begin, clock, deadlines, late } = waiting(isShared)
      const first = begin('first')
      clock.advance(100)
      begin('second')
      const third = begin('third')
      clock.advance(100)
      begin('fourth')
      deadlines.end(first)
      deadlines.end(first)
      deadlines.end(third)
      clock.advance(1_000)
      begin('fifth')
      clock.advance(499)
      expect(late).toEqual(['second 600', 'fourth 700'])
      clock.advance(1)
      expect(late).toEqual(['second 600', 'fourth 700', 'fifth 1700'])
      expect(clock.timers).toBe(0)
    })
  })
}

test('a thousand waits have one timer', () => {
  const { begin, clock, deadlines } = waiting(true)
  for (let turn = 0; turn < 1_000; turn++) {
    deadlines.end(begin('short'))
    clock.advance(0.1)
  }
  expect(clock.timers).toBe(1)
  clock.advance(1_000)
  expect(clock.timers).toBe(0)
})
