// Who orders the mutations of a cache (contracts: 2). Worked out once, from the tiers and the bus that
// the cache was given; combinations in which nobody could order them are refused with the reason.
//
//   bus and a ledger tier on the bus's backend     that tier; it must be the farthest one
//   bus and no such tier                           the bus's own backend, which keeps no data
//   no bus, the farthest tier is a ledger          that tier: races on it are fenced, but nobody rings,
//                                                  so copies here may be behind other processes
//   neither                                        nobody: this process's order of calls is the order

import type { Bus } from '../bus/bus.ts'
import type { Ledger } from '../tiers/ledger.ts'
import type { Tier, TierScope } from '../tiers/tier.ts'

/** The one place that orders a cache's mutations. */
export interface Authority {
  readonly ledger: Ledger
  /** Name of the tier or the bus. */
  readonly name: string
  readonly scope: TierScope
  /** Which tier it is, counted from the nearest; `undefined` when it is the bus's backend. */
  readonly depth: number | undefined
}

const reach: Record<TierScope, number> = { process: 0, machine: 1, fleet: 2 }

/**
 * The authority for `tiers` (nearest first) and `bus`; `undefined` when nobody orders beyond this process.
 *
 * @throws TypeError that says which parts do not go together, and why.
 */
export function authorityOf(tiers: readonly Tier[], bus: Bus | undefined): Authority | undefined {
  for (const [depth, tier] of tiers.entries()) {
    const nearer = tiers[depth - 1]
    if (nearer !== undefined && reach[nearer.scope] > reach[tier.scope]) {
      throw new TypeError(
        `tiers: ${nearer.name} (scope ${nearer.scope}) stands before ${tier.name} (scope ${tier.scope}); list them from the nearest to the farthest`,
      )
    }
  }

  const farthest = tiers.at(-1)
  const own = farthest?.ledger
  if (bus === undefined) {
    if (farthest === undefined || own === undefined) return undefined
    return { ledger: own, name: farthest.name, scope: farthest.scope, depth: tiers.length - 1 }
  }

  if (farthest !== undefined && own !== undefined && own.channel === bus.channel) {
    return { ledger: own, name: farthest.name, scope: farthest.scope, depth: tiers.length - 1 }
  }
  for (const tier of tiers) {
    if (reach[tier.scope] > reach[bus.scope]) {
      throw new TypeError(
        `tiers: ${tier.name} is shared by the ${tier.scope}, but the ${bus.name} bus reaches only the ${bus.scope}: others would write there and nobody would tell. Give a bus of scope ${tier.scope}, or none`,
      )
    }
    if (tier.ledger?.channel === bus.channel) {
      throw new TypeError(
        `tiers: ${tier.name} orders the mutations that the ${bus.name} bus tells of, so it must be the farthest tier; ${farthest?.name} stands behind it`,
      )
    }
    if (tier.ledger !== undefined && tier.scope === bus.scope) {
      throw new TypeError(
        `tiers: ${tier.name} and the ${bus.name} bus have the same scope (${bus.scope}) but different backends: ${tier.name} orders on ${tier.ledger.channel}, the bus rings for ${bus.channel}. Give both the same`,
      )
    }
  }
  return { ledger: bus.ledger, name: bus.name, scope: bus.scope, depth: undefined }
}

/** How many of `tiers` tiers, from the nearest, hold copies of what an authority orders. */
export function copiesBefore(authority: Authority | undefined, tiers: number): number {
  return authority === undefined ? 0 : (authority.depth ?? tiers)
}
