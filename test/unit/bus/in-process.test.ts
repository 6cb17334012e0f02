import { describe, expect, test } from 'vitest'
import { Hub, inProcessBus } from '../../../src/bus/in-process.ts'

describe('inProcessBus', () => {
  test('refuses options that nobody reads, and what is no hub', () => {
    expect(() => inProcessBus({} as { hub: Hub })).toThrow(/hub: undefined is not a Hub/)
    expect(() => inProcessBus({ hub: {} as Hub })).toThrow(TypeError)
    expect(() => inProcessBus({ hub: new Hub(), hubs: 1 } as { hub: Hub })).toThrow(/did you mean hub/)
    expect(() => inProcessBus({ hub: new Hub(), scope: 'world' as 'fleet' })).toThrow(/scope: "world"/)
  })

  test('reaches one process unless it is told to claim more, and keeps no data of its own', () => {
    const hub = new Hub()
    expect(inProcessBus({ hub }).scope).toBe('process')
    expect(inProcessBus({ hub, scope: 'fleet' }).scope).toBe('fleet')
    expect(inProcessBus({ hub }).channel).toBe(hub.channel)
    expect(inProcessBus({ hub }).ledger.keepsData).toBe(false)
  })
})
