import { describe, test } from 'vitest'
import { Hub, inProcessBus } from '../../src/bus/in-process.ts'
import { busContract } from '../../src/testing/index.ts'

busContract(
  'in-process',
  async () => {
    const hub = new Hub()
    return { bus: inProcessBus({ hub }), other: inProcessBus({ hub }), settle: () => Promise.resolve() }
  },
  { describe, test },
)
