// A hundred million operations on one index: what a look-up reads does not grow with what was there before.
//
// In a table that was only filled entries are nearer to their homes than under churn, where each keeps the place that
// it found (assembly/layout.ts). So what must not grow is the length after the first million operations.

import { expect, test } from 'vitest'
import { createL1 } from '../../src/create-l1.ts'
import { SEED, SeededRandom } from '../core/random.ts'

const ENTRIES = 100_000
const OPERATIONS = 100_000_000

test('a hundred million sets, deletes and gets leave the length of probes as it was', {
  timeout: 3_600_000,
}, () => {
  const random = new SeededRandom(SEED)
  const l1 = createL1<number>({ maxEntries: ENTRIES, policy: 'lru' })
  for (let key = 0; key < ENTRIES; key++) l1.set(key, key)
  const filled = l1.stats().probeLength
  let before = filled
  let longest = filled
  for (let operation = 0; operation < OPERATIONS; operation++) {
    const key = random.below(ENTRIES * 4)
    const chance = random.below(10)
    if (chance < 4) l1.set(key, key)
    else if (chance < 6) l1.delete(key)
    else if (l1.get(key) !== undefined && l1.get(key) !== key) expect.fail(`SEED=${SEED} ${operation} ${key}`)
    if (operation % 1_000_000 !== 999_999) continue
    if (operation === 999_999) before = l1.stats().probeLength
    longest = Math.max(longest, l1.stats().probeLength)
  }
  const after = l1.stats().probeLength
  console.log(
    `SEED=${SEED} buckets read by a hit: ${filled.toFixed(4)} when filled, ${before.toFixed(4)} after a million, ${longest.toFixed(4)} at most, ${after.toFixed(4)} after`,
  )
  expect(after, `SEED=${SEED}`).toBeLessThan(before + 0.01)
  expect(longest, `SEED=${SEED}`).toBeLessThan(1.05)
})
