import fc from 'fast-check'
import { expect, test } from 'vitest'
import { KeyTable } from '../../../src/coordinator/key-table.ts'
import { holds } from '../../support/seed.ts'

test('a table of keys answers as a map does', () => {
  // Few keys, so that they meet; two of them have the same hash.
  const key = fc.constantFrom('', 'Aa', 'BB', ...Array.from({ length: 60 }, (_, at) => `key:${at}`))
  const step = fc.record({ key, value: fc.option(fc.integer(), { nil: undefined }) })
  holds(
    fc.property(fc.array(step, { maxLength: 400 }), (steps) => {
      const table = new KeyTable<number>()
      const model = new Map<string, number>()
      for (const { key, value } of steps) {
        if (value === undefined) {
          table.delete(key)
          model.delete(key)
        } else {
          table.set(key, value)
          model.set(key, value)
        }
        expect(table.get(key)).toBe(model.get(key))
        expect(table.size).toBe(model.size)
      }
      expect(new Map(table.entries())).toEqual(model)
      for (const [each, value] of model) expect(table.get(each)).toBe(value)
    }),
  )
})
