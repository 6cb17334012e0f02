import { expect, test } from 'vitest'
import { LoadSlots } from '../../../src/coordinator/load-slots.ts'

test('so many start at once, the others in their order, and who leaves the queue is passed over', () => {
  const slots = new LoadSlots(1)
  const started: string[] = []
  const giveBack = ['a', 'b', 'c', 'd'].map((name) => slots.take(() => started.push(name)))
  expect(started).toEqual(['a'])
  giveBack[1]?.()
  giveBack[0]?.()
  expect(started).toEqual(['a', 'c'])
  giveBack[2]?.()
  expect(started).toEqual(['a', 'c', 'd'])
  giveBack[3]?.()
  const free = slots.take(() => started.push('e'))
  expect(started).toEqual(['a', 'c', 'd', 'e'])
  free()
})
