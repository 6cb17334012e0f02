import fc from 'fast-check'
import { describe, expect, test } from 'vitest'

import { isAtOrAfter, partitionOf, type Stamp } from '../../src/stamp.ts'
import { holds, seed } from '../support/seed.ts'

const stamps = fc.record({
  partition: fc.nat(2),
  epoch: fc.oneof(fc.nat(3), fc.constant(Number.MAX_SAFE_INTEGER)),
  sequence: fc.oneof(fc.nat(3), fc.constant(Number.MAX_SAFE_INTEGER)),
})

describe('isAtOrAfter', () => {
  const at = (partition: number, epoch: number, sequence: number): Stamp => ({ partition, epoch, sequence })

  test('a stamp is at or after itself', () => {
    expect(isAtOrAfter(at(3, 7, 9), at(3, 7, 9))).toBe(true)
  })

  test('within an epoch the sequence decides', () => {
    expect(isAtOrAfter(at(0, 1, 5), at(0, 1, 4))).toBe(true)
    expect(isAtOrAfter(at(0, 1, 4), at(0, 1, 5))).toBe(false)
  })

  test('a later epoch is after every sequence of an earlier one', () => {
    expect(isAtOrAfter(at(0, 2, 0), at(0, 1, Number.MAX_SAFE_INTEGER))).toBe(true)
    expect(isAtOrAfter(at(0, 1, Number.MAX_SAFE_INTEGER), at(0, 2, 0))).toBe(false)
  })

  test('it is a total order within a partition, and none across partitions', () => {
    holds(
      fc.property(stamps, stamps, stamps, (one, two, three) => {
        const forward = isAtOrAfter(one, two)
        const backward = isAtOrAfter(two, one)
        if (one.partition !== two.partition) {
          expect([forward, backward], `SEED=${seed}`).toEqual([false, false])
          return
        }
        expect(forward || backward, `SEED=${seed}`).toBe(true)
        if (forward && backward) expect(one, `SEED=${seed}`).toEqual(two)
        if (forward && isAtOrAfter(two, three)) expect(isAtOrAfter(one, three), `SEED=${seed}`).toBe(true)
      }),
      { numRuns: 2_000 },
    )
  })
})

describe('partitionOf', () => {
  test('keys keep the partitions that processes of other versions compute', () => {
    // Computed by another program from the definition. A change here moves keys between partitions.
    const golden = [
      [12, 364],
      [4, 868],
      [9, 353],
      [2, 386],
      [3, 179],
      [8, 232],
      [12, 364],
    ] as const
    const texts = ['', 'a', 'user:7', 'é', '漢字', '\ud83d\udc69', 'x'.repeat(512)]
    expect(texts.map((text) => [partitionOf(text, 16), partitionOf(text, 1_000)])).toEqual(golden)
  })

  test('with one partition every key is in it', () => {
    expect(partitionOf('user:7', 1)).toBe(0)
  })

  test('it is always a partition there is', () => {
    holds(
      fc.property(fc.string({ unit: 'binary' }), fc.integer({ min: 1, max: 65_536 }), (text, partitions) => {
        const partition = partitionOf(text, partitions)
        expect(Number.isInteger(partition) && partition >= 0 && partition < partitions, `SEED=${seed}`).toBe(
          true,
        )
      }),
      { numRuns: 1_000 },
    )
  })

  test.each([2, 3, 16, 64, 1_000])(
    '%d partitions get their share of keys that differ in a number',
    (partitions) => {
      const counts = new Uint32Array(partitions)
      const keys = 200 * partitions
      for (let id = 0; id < keys; id++) {
        const partition = partitionOf(`users:${id}`, partitions)
        counts[partition] = (counts[partition] as number) + 1
      }
      expect(Math.min(...counts)).toBeGreaterThan(100)
      expect(Math.max(...counts)).toBeLessThan(300)
    },
  )
})
