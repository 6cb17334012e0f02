import { expect, test } from 'vitest'
import { SketchModel } from '../model/policies/sketch-model.ts'
import { openTestingCore, type TestingCore } from './open-core.ts'
import { SEED, SeededRandom } from './random.ts'

function open(maxEntries: number): TestingCore {
  return openTestingCore({ maxEntries, policy: 'lazy-tinylfu' })
}

test('a key that was never counted is estimated at 0', () => {
  const core = open(100)
  expect([0, 1, 0xffffffff].map((hash) => core.sketchEstimate(hash))).toEqual([0, 0, 0])
})

test('a count stops at 15', () => {
  const core = open(100)
  const seen = Array.from({ length: 7 }, () => {
    core.sketchAdd(7, 3)
    return core.sketchEstimate(7)
  })
  expect(seen).toEqual([3, 6, 9, 12, 15, 15, 15])
})

test('estimates are never below the truth, and above it for few', () => {
  for (const maxEntries of [1, 100, 1_000, 5_000]) {
    const random = new SeededRandom(SEED + maxEntries)
    const core = open(maxEntries)
    const hashes = Array.from({ length: maxEntries * 2 }, () => random.bits())
    const counts = new Map<number, number>()
    // A cache that is full and as many keys that are not in it, short of the first halving.
    for (let step = 0; step < maxEntries * 4; step++) {
      const hash = random.pick(hashes)
      core.sketchAdd(hash, 1)
      counts.set(hash, (counts.get(hash) ?? 0) + 1)
    }
    let above = 0
    for (const [hash, count] of counts) {
      const estimate = core.sketchEstimate(hash)
      expect(estimate, `SEED=${SEED} ${maxEntries} entries, hash ${hash}`).toBeGreaterThanOrEqual(
        Math.min(count, 15),
      )
      if (estimate > count) above++
    }
    // Eight to sixteen keys share 32 counters in a row, so all four rows are shared with chance (1/5)^4 to (2/5)^4.
    expect(above, `SEED=${SEED} ${maxEntries} entries`).toBeLessThanOrEqual(5 + counts.size * 0.08)
  }
})

test('ten units for each entry halve every count, also of a key that nobody asks for meanwhile', () => {
  const core = open(100)
  core.sketchAdd(0x1234_5678, 15)
  const seen: number[] = []
  for (let units = 15; units < 5_000; units++) {
    core.sketchAdd(0x9abc_def0, 1)
    if ((units + 1) % 1_000 === 0) seen.push(core.sketchEstimate(0x1234_5678))
  }
  expect(seen).toEqual([7, 3, 1, 0, 0])
})

test('counts that went through several halvings unseen are as low as if they had been seen', () => {
  for (const halvings of [1, 2, 3, 4, 5, 200]) {
    const core = open(100)
    core.sketchAdd(0x1234_5678, 15)
    for (let units = 15; units < halvings * 1_000; units += 5) core.sketchAdd(0x9abc_def0, 5)
    expect(core.sketchEstimate(0x1234_5678), `${halvings} halvings`).toBe(15 >> (halvings % 32))
  }
})

test('random counting agrees with a Map of counters that is halved at once', { timeout: 60_000 }, () => {
  for (const maxEntries of [1, 3, 8, 9, 100, 777]) {
    const random = new SeededRandom(SEED + maxEntries)
    const core = open(maxEntries)
    const model = new SketchModel({ hashOf: (key) => key, maxEntries, size: undefined })
    const hashes = Array.from({ length: maxEntries * 3 + 5 }, () => random.bits())
    for (let step = 0; step < 20_000; step++) {
      const hash = random.pick(hashes)
      const units = random.below(4)
      core.sketchAdd(hash, units)
      model.add(hash, units)
      const asked = random.pick(hashes)
      expect(core.sketchEstimate(asked), `SEED=${SEED} ${maxEntries} entries, step ${step}`).toBe(
        model.estimate(asked),
      )
    }
  }
})
