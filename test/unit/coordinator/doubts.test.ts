import { describe, expect, test } from 'vitest'
import { Doubts } from '../../../src/coordinator/doubts.ts'

describe('doubts', () => {
  test('are about one key until they are lifted', () => {
    const doubts = new Doubts()
    doubts.add('a')
    expect([doubts.has('a'), doubts.has('b')]).toEqual([true, false])
    doubts.lift('a')
    expect(doubts.has('a')).toBe(false)
  })

  test('are about every key but those that were lifted since', () => {
    const doubts = new Doubts()
    doubts.addAll()
    doubts.lift('a')
    doubts.lift('b')
    doubts.add('b')
    expect([doubts.has('a'), doubts.has('b'), doubts.has('c')]).toEqual([false, true, true])
    doubts.liftAll()
    expect(doubts.has('c')).toBe(false)
  })

  test('without room become doubts about everything, and without room for exceptions stay', () => {
    const doubts = new Doubts(2)
    for (const key of ['a', 'b', 'c']) doubts.add(key)
    expect(doubts.has('never heard of')).toBe(true)
    for (const key of ['x', 'y', 'z']) doubts.lift(key)
    expect(['x', 'y', 'z'].map((key) => doubts.has(key))).toEqual([false, false, true])
  })
})
