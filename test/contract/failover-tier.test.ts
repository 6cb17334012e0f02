// The pair passes the suite whichever of the two works.

import { describe, test } from 'vitest'
import { type FaultPlan, flakyTier, ManualClock, tierContract } from '../../src/testing/index.ts'
import { failoverTier } from '../../src/tiers/failover.ts'
import { memoryTier } from '../../src/tiers/memory.ts'

const works: FaultPlan = () => 'work'
const fails: FaultPlan = ({ method }) => (method === 'close' ? 'work' : 'fail')

for (const [name, first, second] of [
  ['both work', works, works],
  ['only the first works', works, fails],
  ['only the second works', fails, works],
] as const) {
  tierContract(
    `failover, ${name}`,
    async () => {
      const clock = new ManualClock()
      const flaky = (plan: FaultPlan) => flakyTier(memoryTier({ clock }), { plan, clock })
      return {
        tier: failoverTier(flaky(first), flaky(second), { clock }),
        clock,
        advance: (byMs) => clock.advance(byMs),
      }
    },
    { describe, test },
  )
}
