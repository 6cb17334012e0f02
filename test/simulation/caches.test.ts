// The simulator's runs (world.ts). SEED=n repeats one; SEEDS=n makes n of them, FROM=n begins at n.
// `npm run simulate` makes many, and switches guards off one by one to see that each is missed.

import { describe, test } from 'vitest'
import { layouts, simulate } from './world.ts'

const { SEED, SEEDS = '200', FROM = '1' } = process.env
const seeds =
  SEED === undefined ? Array.from({ length: Number(SEEDS) }, (_, at) => Number(FROM) + at) : [Number(SEED)]

describe.each(layouts)('processes that share an authority: %s', (layout) => {
  test('no answer is older than a mutation called here, or acknowledged a lease ago', async () => {
    for (const seed of seeds) {
      await simulate(layout, seed)
      // What a run leaves behind can be collected only between turns of the event loop.
      await new Promise((resolve) => setImmediate(resolve))
    }
  }, 600_000)
})
