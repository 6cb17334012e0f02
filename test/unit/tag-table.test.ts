import { describe, expect, test } from 'vitest'
import type { Stamp } from '../../src/stamp.ts'
import { TagTable } from '../../src/tag-table.ts'

const at = (sequence: number, epoch = 1): Stamp => ({ partition: 4, epoch, sequence })

describe('the table of tags', () => {
  test('keeps the last place of each kind', () => {
    const table = new TagTable(at(0), 10)
    table.invalidate(['a', 'b'], 'expire', at(1))
    table.invalidate(['b'], 'delete', at(2))
    expect(table.placesOf('a')).toEqual({ expired: at(1), deleted: undefined })
    expect(table.placesOf('b')).toEqual({ expired: at(1), deleted: at(2) })
    expect(table.placesOf('c')).toEqual({ expired: undefined, deleted: undefined })
    expect(table.floor).toEqual(at(0))
  })

  test('forgets what was invalidated longest ago, and the floor rises to it', () => {
    const table = new TagTable(at(0), 2)
    table.invalidate(['a'], 'delete', at(1))
    table.invalidate(['b'], 'expire', at(2))
    table.invalidate(['a'], 'expire', at(3))
    table.invalidate(['c'], 'delete', at(4))
    expect(table.placesOf('b')).toEqual({ expired: undefined, deleted: undefined })
    expect(table.floor).toEqual(at(2))
    table.invalidate(['d'], 'delete', at(5))
    expect(table.floor, 'the later of the two places of a').toEqual(at(3))
    expect([...table.entries()].map(([name]) => name)).toEqual(['c', 'd'])
  })

  test('is bounded by what the names weigh, too', () => {
    const table = new TagTable(at(0), 100, 10)
    table.invalidate(['aaaa'], 'delete', at(1))
    table.invalidate(['bbbb'], 'delete', at(2))
    table.invalidate(['aaaa'], 'delete', at(3))
    expect(table.floor, 'a name that comes again weighs once').toEqual(at(0))
    table.invalidate(['cccc'], 'delete', at(4))
    expect([...table.entries()].map(([name]) => name)).toEqual(['aaaa', 'cccc'])
    expect(table.floor).toEqual(at(2))
  })

  test('knows nothing from before it was reset', () => {
    const table = new TagTable(at(0), 10)
    table.invalidate(['a'], 'delete', at(7))
    table.reset(at(0, 2))
    expect([...table.entries()]).toEqual([])
    expect(table.floor).toEqual(at(0, 2))
  })
})
