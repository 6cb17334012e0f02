import { describe, test } from 'vitest'
import { ManualClock, tierContract } from '../../src/testing/index.ts'
import { Hub, memoryTier } from '../../src/tiers/memory.ts'

tierContract(
  'memory',
  async () => {
    const clock = new ManualClock()
    return { tier: memoryTier({ clock }), clock, advance: (byMs) => clock.advance(byMs) }
  },
  { describe, test },
)

tierContract(
  'memory, two tiers on a hub',
  async () => {
    const clock = new ManualClock()
    const hub = new Hub({ clock })
    return {
      tier: memoryTier({ hub }),
      other: memoryTier({ hub }),
      clock,
      advance: (byMs) => clock.advance(byMs),
    }
  },
  { describe, test },
)
