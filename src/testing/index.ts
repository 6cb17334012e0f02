// What authors of tiers, ledgers, buses and codecs need to test them. The suites run under any runner that
// has `describe` and `test`.

export { type BusUnderTest, busContract } from './bus-contract.ts'
export {
  type Chances,
  type Fault,
  type FaultPlan,
  type FaultWithDelay,
  type FlakyCall,
  type FlakyTier,
  type FlakyTierOptions,
  faultsByChance,
  flakyTier,
} from './chaos.ts'
export { codecContract } from './codec-contract.ts'
export { ExpectationError, type Runner } from './expect.ts'
export { type LedgerUnderTest, ledgerContract } from './ledger-contract.ts'
export { ManualClock } from './manual-clock.ts'
export { type TierUnderTest, tierContract } from './tier-contract.ts'
