import { describe, expect, test } from 'vitest'
import { Invalidations } from '../../../src/coordinator/invalidations.ts'
import type { Stamp } from '../../../src/stamp.ts'
import { ManualClock } from '../../../src/testing/manual-clock.ts'

const at = (sequence: number, epoch = 1, partition = 0): Stamp => ({ partition, epoch, sequence })

const clock = new ManualClock()

function listening(mostKeys?: number): Invalidations {
  const invalidations = new Invalidations(clock, true, true, mostKeys)
  invalidations.lease(clock.now() + 1_000)
  invalidations.setFloor(at(10))
  return invalidations
}

describe('a copy', () => {
  test.each([
    ['as new as the floor', at(10), true],
    ['older than the floor', at(9), false],
    ['of an older epoch', at(99, 0), false],
    ['of a newer epoch that was not heard of', at(99, 2), false],
    ['of a partition without a floor', at(99, 1, 1), false],
    ['without a stamp', undefined, false],
  ])('%s: %j is allowed: %s', (_, stamp, allowed) => {
    expect(listening().allows('a', stamp as Stamp | undefined)).toBe(allowed)
  })

  test('is good again only when it is at least as new as the change of its key', () => {
    const invalidations = listening()
    invalidations.note('a', at(12))
    invalidations.note('a', at(11))
    expect(invalidations.allows('a', at(11))).toBe(false)
    expect(invalidations.allows('a', at(12))).toBe(true)
    expect(invalidations.allows('b', at(11))).toBe(true)
  })

  test('is good to the end of the lease, and again when it is renewed', () => {
    const invalidations = listening()
    clock.advance(999)
    expect(invalidations.allows('a', at(20))).toBe(true)
    clock.advance(1)
    expect(invalidations.allows('a', at(20))).toBe(false)
    invalidations.lease(clock.now() + 1)
    expect(invalidations.allows('a', at(20))).toBe(true)
  })

  test('is judged by own mutations alone where there is no bus', () => {
    const invalidations = new Invalidations(clock, false, true)
    expect(invalidations.allows('a', at(1))).toBe(true)
    invalidations.note('a', at(2))
    expect(invalidations.allows('a', at(1))).toBe(false)
  })
})

test('what is forgotten for room leaves nothing older good, whatever becomes of the floor', () => {
  const invalidations = listening(2)
  for (const [turn, key] of ['a', 'b', 'c', 'd'].entries()) invalidations.note(key, at(11 + turn))
  invalidations.setFloor(at(5))
  expect(invalidations.allows('x', at(11))).toBe(false)
  expect(invalidations.allows('x', at(12))).toBe(true)
  expect(invalidations.allows('d', at(13))).toBe(false)
})

test('where no tier has copies nothing is remembered', () => {
  for (const isAsked of [true, false]) {
    const invalidations = new Invalidations(clock, true, isAsked)
    invalidations.note('a', at(12))
    invalidations.surpass('b', at(12))
    expect(invalidations.size).toBe(isAsked ? 2 : 0)
  }
})
