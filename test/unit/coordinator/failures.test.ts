import { expect, test } from 'vitest'
import { Failures } from '../../../src/coordinator/failures.ts'
import { ManualClock } from '../../../src/testing/manual-clock.ts'

test('a failure is known until its time is over, and is replaced by the next one', () => {
  const clock = new ManualClock()
  const failures = new Failures(clock)
  failures.add('a', 'first', 100)
  clock.advance(99)
  expect(failures.get('a')).toMatchObject({ error: 'first' })
  failures.add('a', 'second', 100)
  clock.advance(99)
  expect(failures.get('a')).toMatchObject({ error: 'second' })
  clock.advance(1)
  expect(failures.get('a')).toBeUndefined()
})

test('a failure without a throttle, and one that is forgotten, is not known', () => {
  const failures = new Failures(new ManualClock())
  failures.add('a', 'error', 100)
  failures.add('a', 'error', 0)
  failures.add('b', 'error', 100)
  failures.forget('b')
  expect(failures.get('a')).toBeUndefined()
  expect(failures.get('b')).toBeUndefined()
})

test('of many failures the oldest is let go', () => {
  const failures = new Failures(new ManualClock())
  for (let key = 0; key <= 4_096; key++) failures.add(String(key), key, 100)
  expect(failures.get('0')).toBeUndefined()
  expect(failures.get('1')).toMatchObject({ error: 1 })
  expect(failures.get('4096')).toMatchObject({ error: 4_096 })
})
