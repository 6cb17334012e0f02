import { describe, expect, test } from 'vitest'
import { inProcessBus } from '../../../src/bus/in-process.ts'
import { authorityOf } from '../../../src/coordinator/authority.ts'
import { Hub, memoryTier } from '../../../src/tiers/memory.ts'

const hub = new Hub()
const other = new Hub()

describe('the authority', () => {
  test('is nobody without a ledger and a bus', () => {
    expect(authorityOf([], undefined)).toBeUndefined()
    expect(authorityOf([memoryTier()], undefined)).toBeUndefined()
    expect(authorityOf([memoryTier({ hub }), memoryTier({ scope: 'fleet' })], undefined)).toBeUndefined()
  })

  test('is the farthest tier when it is a ledger, with its bus or without', () => {
    const tiers = [memoryTier(), memoryTier({ hub, scope: 'machine' })]
    expect(authorityOf(tiers, undefined)).toMatchObject({ name: 'memory', depth: 1, scope: 'machine' })
    expect(authorityOf(tiers, inProcessBus({ hub, scope: 'machine' }))).toMatchObject({
      depth: 1,
      ledger: { keepsData: true },
    })
  })

  test('is the bus’s own backend when no tier is on it', () => {
    expect(authorityOf([], inProcessBus({ hub }))).toMatchObject({
      name: 'in-process',
      depth: undefined,
      ledger: { keepsData: false },
    })
    expect(authorityOf([memoryTier()], inProcessBus({ hub }))).toMatchObject({ depth: undefined })
  })

  test.each([
    [
      'tiers in the wrong order',
      [memoryTier({ scope: 'fleet' }), memoryTier()],
      undefined,
      /nearest to the farthest/,
    ],
    [
      'a tier that reaches farther than the bus',
      [memoryTier({ scope: 'fleet' })],
      inProcessBus({ hub }),
      /nobody would tell/,
    ],
    ['two backends of one scope', [memoryTier({ hub: other })], inProcessBus({ hub }), /Give both the same/],
    [
      'a tier behind the one that orders',
      [memoryTier({ hub }), memoryTier()],
      inProcessBus({ hub }),
      /must be the farthest tier/,
    ],
  ])('is refused for %s, with the reason', (_, tiers, bus, message) => {
    expect(() => authorityOf(tiers, bus)).toThrow(TypeError)
    expect(() => authorityOf(tiers, bus)).toThrow(message)
  })
})
