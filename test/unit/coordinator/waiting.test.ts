import { expect, test } from 'vitest'
import { LATE, within } from '../../../src/coordinator/waiting.ts'
import { ManualClock } from '../../../src/testing/manual-clock.ts'

test('what is there in time is the answer, and no timer is left', async () => {
  const clock = new ManualClock()
  expect(await within(Promise.resolve(1), 100, clock)).toBe(1)
  await expect(within(Promise.reject(new Error('no')), 100, clock)).rejects.toThrow('no')
  expect(clock.timers).toBe(0)
})

test('what is not there in time is LATE, unless the time is for ever', async () => {
  const clock = new ManualClock()
  const never = new Promise<number>(() => {})
  const late = within(never, 100, clock)
  clock.advance(100)
  expect(await late).toBe(LATE)
  expect(within(never, Number.POSITIVE_INFINITY, clock)).toBe(never)
})
