// A hundred million operations on one index: what a look-up reads does not grow with what was there before.

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
  const before = l1.stats().probeLength
  let longest = before
  for (let operation = 0; operation < OPERATIONS; operation++) {
    const key = random.below(ENTRIES * 4)
    const chance = random.below(10)
    if (chance < 4) l1.set(key, key)
    else if (chance < 6) l1.delete(key)
    else if (l1.get(key) !== undefined && l1.get(key) !== key) expect.fail(`SEED=${SEED} ${operation} ${key}`)
    if (operation % 1_000_000 === 0) longest = Math.max(longest, l1.stats().probeLength)
  }
  for (let key = 0; key < ENTRIES * 2; key++) l1.set(key, key)
  const after = l1.stats().probeLength
  console.log(
    `SEED=${SEED} buckets read by a hit: ${before.toFixed(4)} at first, ${longest.toFixed(4)} at most, ${after.toFixed(4)} after`,
  )
  expect(after, `SEED=${SEED}`).toBeLessThan(before + 0.02)
  expect(longest, `SEED=${SEED}`).toBeLessThan(before + 0.02)
})
