import { expect, test } from 'vitest'
import { GhostModel } from '../model/policies/ghost-model.ts'
import { openTestingCore, type TestingCore } from './open-core.ts'
import { SEED, SeededRandom } from './random.ts'

/** The two tables of lazy-tinylfu. For 8 entries they reach 16 evictions back and have 32 cells. */
function open(maxEntries = 8): TestingCore {
  return openTestingCore({ maxEntries, policy: 'lazy-tinylfu' })
}

const ANNA = 0xaaaa_0001
const BERT = 0xbbbb_0002

function noteOften(core: TestingCore, hash: number, times: number): void {
  for (let time = 0; time < times; time++) core.ghostNote(0, hash)
}

test('a ghost is taken once', () => {
  const core = open()
  core.ghostNote(0, ANNA)
  expect([core.ghostTake(0, ANNA), core.ghostTake(0, ANNA)]).toEqual([1, 0])
})

test('keys that were not noted have no ghost, not even those of hash 0', () => {
  const core = open()
  expect([0, 1, ANNA].map((hash) => core.ghostTake(0, hash))).toEqual([0, 0, 0])
  core.ghostNote(0, 0)
  expect([core.ghostTake(0, 0), core.ghostTake(0, 0)]).toEqual([1, 0])
})

test('the tables know nothing of each other', () => {
  const core = open()
  core.ghostNote(1, ANNA)
  expect([core.ghostTake(0, ANNA), core.ghostTake(1, ANNA)]).toEqual([0, 1])
})

test('a later key in the same cell takes the place of an earlier one', () => {
  const core = open()
  core.ghostNote(0, ANNA)
  core.ghostNote(0, 0xcccc_0001)
  expect([core.ghostTake(0, ANNA), core.ghostTake(0, 0xcccc_0001)]).toEqual([0, 1])
})

test('a ghost is good for as many evictions as the table reaches back', () => {
  for (const [later, isGood] of [
    [15, 1],
    [16, 1],
    [17, 0],
    [300, 0],
    [40_000, 0],
    [65_535, 0],
  ] as const) {
    const core = open()
    core.ghostNote(0, ANNA)
    noteOften(core, BERT, later)
    expect(core.ghostTake(0, ANNA), `${later} later`).toBe(isGood)
  }
})

test('age is right where the 16 bits of the sequence start again', () => {
  for (const [later, isGood] of [
    [1, 1],
    [16, 1],
    [17, 0],
    [1_000, 0],
  ] as const) {
    const core = open()
    noteOften(core, BERT, 65_530)
    core.ghostNote(0, ANNA)
    noteOften(core, BERT, later)
    expect(core.ghostTake(0, ANNA), `${later} later`).toBe(isGood)
  }
})

test('in a large cache age is counted in steps', () => {
  // Reaches 8,192 back: 256 steps of 32.
  for (const [later, isGood] of [
    [8_000, 1],
    [8_192, 1],
    [8_192 + 64, 0],
  ] as const) {
    const core = open(65_536)
    core.ghostNote(0, ANNA)
    noteOften(core, BERT, later)
    expect(core.ghostTake(0, ANNA), `${later} later`).toBe(isGood)
  }
})

test('random notes and takes agree with a Map', () => {
  for (const maxEntries of [1, 8, 200, 5_000]) {
    const random = new SeededRandom(SEED + maxEntries)
    const core = open(maxEntries)
    const model = new GhostModel(Math.max(16, Math.floor(maxEntries / 8)), {
      hashOf: (key) => key,
      maxEntries,
      size: undefined,
    })
    const hashes = Array.from({ length: maxEntries + 30 }, () => random.bits())
    for (let step = 0; step < 20_000; step++) {
      const hash = random.pick(hashes)
      if (random.below(2) === 0) {
        core.ghostNote(0, hash)
        model.note(hash)
      } else {
        expect(core.ghostTake(0, hash), `SEED=${SEED} ${maxEntries} entries, step ${step}`).toBe(
          Number(model.take(hash)),
        )
      }
    }
  }
})
