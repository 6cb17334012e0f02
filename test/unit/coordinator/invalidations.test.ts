import { describe, expect, test } from 'vitest'
import { Invalidations } from '../../../src/coordinator/invalidations.ts'
import type { Stamp } from '../../../src/stamp.ts'

const at = (sequence: number, epoch = 1, partition = 0): Stamp => ({ partition, epoch, sequence })

function listening(mostKeys?: number): Invalidations {
  const invalidations = new Invalidations(true, mostKeys)
  invalidations.trust(true)
  invalidations.raise(at(10))
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

  test('is never good while the bus does not work', () => {
    const invalidations = listening()
    invalidations.trust(false)
    expect(invalidations.allows('a', at(20))).toBe(false)
  })

  test('is judged by own mutations alone where there is no bus', () => {
    const invalidations = new Invalidations(false)
    expect(invalidations.allows('a', at(1))).toBe(true)
    invalidations.note('a', at(2))
    expect(invalidations.allows('a', at(1))).toBe(false)
  })
})

test('what is forgotten for room raises the floor', () => {
  const invalidations = listening(2)
  for (const [turn, key] of ['a', 'b', 'c', 'd'].entries()) invalidations.note(key, at(11 + turn))
  expect(invalidations.allows('x', at(11))).toBe(false)
  expect(invalidations.allows('x', at(12))).toBe(true)
  expect(invalidations.allows('d', at(13))).toBe(false)
})
