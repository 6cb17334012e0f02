import { describe, expect, test } from 'vitest'
import { Doubts } from '../../../src/coordinator/doubts.ts'

describe('doubts', () => {
  test('are about one key until a mutation of it is taken', () => {
    const doubts = new Doubts()
    doubts.add('a', 1)
    expect([doubts.has('a'), doubts.has('b')]).toEqual([true, false])
    doubts.lift('a', 2)
    expect(doubts.has('a')).toBe(false)
  })

  test('are not lifted by an earlier mutation that was taken after all', () => {
    const doubts = new Doubts()
    doubts.add('a', 5)
    doubts.lift('a', 4)
    expect(doubts.has('a')).toBe(true)
    doubts.lift('a', 5)
    expect(doubts.has('a')).toBe(false)
    doubts.addAll(9)
    doubts.lift('a', 8)
    doubts.liftAll(8)
    expect(doubts.has('a')).toBe(true)
  })

  test('are about every key but those that were changed since', () => {
    const doubts = new Doubts()
    doubts.addAll(1)
    doubts.lift('a', 2)
    doubts.lift('b', 3)
    doubts.add('b', 4)
    expect([doubts.has('a'), doubts.has('b'), doubts.has('c')]).toEqual([false, true, true])
    expect(doubts.prefixes).toEqual([''])
    doubts.liftAll(3)
    expect([doubts.has('b'), doubts.has('c')]).toEqual([true, false])
  })

  test('without room become doubts about everything, and without room for exceptions stay', () => {
    const doubts = new Doubts(2)
    for (const [turn, key] of ['a', 'b', 'c'].entries()) doubts.add(key, turn)
    expect(doubts.has('never heard of')).toBe(true)
    for (const key of ['x', 'y', 'z']) doubts.lift(key, 9)
    expect(['x', 'y', 'z'].map((key) => doubts.has(key))).toEqual([false, false, true])
  })
})
