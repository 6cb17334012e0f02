import { describe, expect, test } from 'vitest'
import { Marks } from '../../../src/coordinator/marks.ts'

describe('marks', () => {
  test('a fence holds until something overtakes it, and other keys do not', () => {
    const marks = new Marks()
    const fence = marks.watch('a')
    marks.overtake('b')
    expect(marks.holds(fence)).toBe(true)
    marks.overtake('a')
    expect(marks.holds(fence)).toBe(false)
    const second = marks.watch('a')
    marks.overtakeAll()
    expect(marks.holds(second)).toBe(false)
  })

  test('a mutation overtakes loads at its call and is pending until its turn ends', async () => {
    const marks = new Marks()
    const fence = marks.watch('a')
    const turn = marks.mutate('a')
    expect(marks.holds(fence)).toBe(false)
    expect(marks.pendingOn(['b'])).toBeUndefined()
    const pending = marks.pendingOn(['b', 'a'])
    expect(pending).toBeDefined()
    turn.end()
    await pending
    expect(marks.pendingOn(['a'])).toBeUndefined()
  })

  test('rule 3.3.3: writes of one key wait for each other in the order of the calls, copies among them', async () => {
    const marks = new Marks()
    const order: string[] = []
    const first = marks.mutate('a')
    const second = marks.copy('a')
    const third = marks.mutate('a')
    expect(first.ready).toBeUndefined()
    const waits = [
      second.ready?.then(() => order.push('second')),
      third.ready?.then(() => order.push('third')),
    ]
    order.push('first')
    first.end()
    await waits[0]
    second.end()
    await waits[1]
    third.end()
    expect(order).toEqual(['first', 'second', 'third'])
    expect(first.isLatest()).toBe(false)
    expect(third.isLatest()).toBe(true)
  })

  test('rule 3.2.6: a clear waits for every write and everything after it waits for the clear', async () => {
    const marks = new Marks()
    const before = marks.mutate('a')
    const clear = marks.clear('')
    const after = marks.mutate('b')
    expect(clear.ready).toBeDefined()
    expect(after.ready).toBeDefined()
    expect(marks.pendingOn(['any'])).toBeDefined()
    before.end()
    await clear.ready
    expect(before.isLatest()).toBe(false)
    clear.end()
    await after.ready
    expect(after.isLatest()).toBe(true)
    after.end()
    expect(marks.pendingOn(['any', 'b'])).toBeUndefined()
  })

  test('nothing is kept for keys with nothing under way', () => {
    const marks = new Marks()
    const fence = marks.watch('a')
    const turn = marks.mutate('a')
    const copy = marks.copy('b')
    expect(marks.size).toBe(2)
    marks.drop(fence)
    turn.end()
    copy.end()
    expect(marks.size).toBe(0)
  })
})
