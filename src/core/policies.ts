// The eviction policies by name: which the core has, and which it is asked for.

import { describe } from '../duration.ts'

/**
 * Which entry makes room for a new one.
 *
 * - `gdsf`: of 32 entries drawn by chance, the one with the fewest uses for its bytes, of late; only with `maxBytes`.
 *   Answers the most requests where sizes differ much, and fewer bytes than the others.
 * - `lazy-tinylfu`: new entries pass through a window, and one that was not used twice there gets in only against
 *   an entry that was asked for less often of late, whether or not it was here. Scans and loops do little harm.
 * - `lru`: the entry whose last use is the longest ago, exactly.
 * - `s3fifo`: new entries pass through a tenth of the cache, and one that was not used twice there leaves.
 * - `sieve`: the next entry, from the oldest on, that was not used since it was last passed over.
 *
 * A hit under `lru` moves the entry to the front; under the others it counts in a byte, and nothing moves.
 */
export type EvictionPolicy = 'gdsf' | 'lazy-tinylfu' | 'lru' | 's3fifo' | 'sieve'

/** The numbers that assembly/layout.ts gives them. */
export const policyNumbers: Readonly<Record<EvictionPolicy, number>> = {
  gdsf: 4,
  'lazy-tinylfu': 1,
  lru: 0,
  s3fifo: 3,
  sieve: 2,
}

/** The queues of the policies that have several, by the numbers their files in assembly/policies give them. */
export const queueNames: Readonly<Partial<Record<EvictionPolicy, readonly string[]>>> = {
  'lazy-tinylfu': ['protected', 'probation', 'window'],
  s3fifo: ['main', 'small'],
}

/** The best of them over many kinds of traces; docs/decisions/0017 has the table. */
export const defaultPolicy: EvictionPolicy = 'lazy-tinylfu'

/**
 * Takes `value` for the policy that `option` names.
 *
 * @param hasSizes - Entries have sizes, without which `gdsf` has nothing to go by.
 * @throws TypeError that lists the policies.
 */
export function checkPolicy(value: unknown, option: string, hasSizes: boolean): EvictionPolicy {
  if (typeof value !== 'string' || !Object.hasOwn(policyNumbers, value)) {
    const names = Object.keys(policyNumbers).map((name) => `'${name}'`)
    throw new TypeError(`${option}: ${describe(value)} is not a policy; there are ${names.join(', ')}`)
  }
  if (value === 'gdsf' && !hasSizes) {
    throw new TypeError(
      `${option}: 'gdsf' goes by the sizes of entries and needs maxBytes, which is not given`,
    )
  }
  return value as EvictionPolicy
}
