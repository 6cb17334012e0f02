// The simulator's runs (world.ts). SEED=n repeats one, and tells what happened with TRACE=1; SEEDS=n makes n of them,
// FROM=n begins at n; EDITION=n draws them as it was done then (plan.ts). `npm run simulate` makes many, and takes
// guards away one by one to see that each is missed.

import { beforeAll, expect, test } from 'vitest'
import { simulate, warmUp } from './world.ts'

const { SEED, SEEDS, FROM = '1', EDITION, TRACE } = process.env
const tell = TRACE === undefined ? undefined : (line: string) => console.log(line)
const edition = EDITION === undefined ? undefined : Number(EDITION)
/** Beyond the first, those that found something, as they were drawn then. */
const FOUND = [
  // C1: a refresh began while a mutation was on its way, found what was there before it, and was joined after it.
  { seed: 1140, edition: 1 },
]
const from = SEED ?? FROM
const count = SEED === undefined ? Number(SEEDS ?? 300) : 1
const counted = Array.from({ length: count }, (_, at) => ({ seed: Number(from) + at, edition }))
const runs = SEED === undefined && SEEDS === undefined ? [...counted, ...FOUND] : counted
/** What is found after so many is more of the same. */
const MOST_FOUND = 5

beforeAll(warmUp)

test('processes that share an authority keep every promise, whatever strikes', async () => {
  const startedAt = performance.now()
  const sum = { reads: 0, answers: 0, stale: 0, writes: 0, loads: 0, faults: 0 }
  const found: unknown[] = []
  for (const { seed, edition } of runs) {
    try {
      const account = await simulate(seed, tell, edition)
      for (const name of Object.keys(sum) as (keyof typeof sum)[]) sum[name] += account[name]
      if (SEED !== undefined) console.log(account.shape)
    } catch (error) {
      found.push((error as Error).message)
      if (found.length === MOST_FOUND) break
    }
  }
  const msPerSeed = ((performance.now() - startedAt) / runs.length).toFixed(0)
  console.log(`${runs.length} seeds, ${msPerSeed} ms each: ${JSON.stringify(sum)}`)
  expect(found.join('\n')).toBe('')
  // A run that nothing strikes, or in which nothing is answered, shows nothing.
  if (runs.length >= 50) expect(Math.min(...Object.values(sum))).toBeGreaterThan(runs.length)
}, 600_000)
