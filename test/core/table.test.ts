import { expect, test } from 'vitest'
import { openTestingCore, type TestingCore } from './open-core.ts'
import { SEED, SeededRandom } from './random.ts'

/** Hashes are given by the tests, so that collisions are theirs to choose. */
const HOME = 0
const PLACES = 12

test('entries of one hash are told apart by their keys', () => {
  const core = openTestingCore({ maxEntries: 9 })
  for (let slot = 0; slot < 9; slot++) core.tableInsert(slot, slot * 10, 0x1234)
  for (let slot = 0; slot < 9; slot++) expect(core.tableFind(slot * 10, 0x1234)).toBe(slot)
  expect(core.tableFind(5, 0x1234)).toBe(-1)
  expect(core.checkTable()).toBe(0)
})

test('a bucket counts what passed it, and deleting counts back', () => {
  const core = openTestingCore({ maxEntries: 40 })
  for (let slot = 0; slot < 30; slot++) core.tableInsert(slot, slot, HOME)
  expect([0, 1, 2, 3].map((bucket) => core.tableOverflow(bucket))).toEqual([18, 6, 0, 0])
  expect(core.checkTable()).toBe(0)
  // One of the last bucket: everything it passed counts one less.
  core.tableRemove(29)
  expect([0, 1, 2].map((bucket) => core.tableOverflow(bucket))).toEqual([17, 5, 0])
  // One at home: nobody moves, and nobody's path has become shorter.
  core.tableRemove(0)
  expect([0, 1, 2].map((bucket) => core.tableOverflow(bucket))).toEqual([17, 5, 0])
  expect(core.tableFind(28, HOME)).toBe(28)
  for (let slot = 1; slot < 29; slot++) core.tableRemove(slot)
  expect([0, 1, 2].map((bucket) => core.tableOverflow(bucket))).toEqual([0, 0, 0])
  expect(core.checkTable()).toBe(0)
})

test('a probe ends when every bucket has an overflow count', () => {
  const core = openTestingCore({ maxEntries: 14 })
  const last = 0xffff_ff00
  // Thirteen at bucket 0 send one to bucket 1; then bucket 1 fills up and sends one to bucket 0.
  for (let slot = 0; slot <= PLACES; slot++) core.tableInsert(slot, slot, HOME)
  for (let slot = 0; slot < PLACES; slot++) core.tableRemove(slot)
  for (let slot = 0; slot < PLACES; slot++) core.tableInsert(slot, slot, last)
  expect([core.tableOverflow(0), core.tableOverflow(1)]).toEqual([1, 1])
  expect(core.tableFind(99, HOME)).toBe(-1)
  expect(core.tableFind(99, last)).toBe(-1)
  expect(core.checkTable()).toBe(0)
})

test('tags next to each other in value are not confused', () => {
  // The word trick behind the tag comparison can report a byte one above a match as a match too.
  const core = openTestingCore({ maxEntries: 9 })
  for (let slot = 0; slot < 8; slot++) core.tableInsert(slot, slot, slot)
  for (let slot = 0; slot < 8; slot++) {
    expect(core.tableFind(slot, slot)).toBe(slot)
    expect(core.tableFind(slot, slot ^ 1)).toBe(-1)
  }
})

test.each([1, 2, 9, 10, 19, 100])(
  'random inserts and deletes at %i entries leave exact counts',
  (maxEntries) => {
    const random = new SeededRandom(SEED + maxEntries)
    const core = openTestingCore({ maxEntries })
    const held = new Map<number, { value: number; hash: number }>()
    // Few different hashes, so that buckets overflow and wrap round.
    const hashes = Array.from({ length: 5 }, () => random.bits())
    for (let step = 0; step < 3_000; step++) {
      const slot = random.below(maxEntries)
      const message = `SEED=${SEED} step ${step} slot ${slot}`
      const entry = held.get(slot)
      if (entry !== undefined) {
        expect(core.tableFind(entry.value, entry.hash), message).toBe(slot)
        core.tableRemove(slot)
        held.delete(slot)
        expect(core.tableFind(entry.value, entry.hash), message).toBe(-1)
      } else {
        const hash = random.below(2) === 0 ? random.pick(hashes) : random.bits()
        core.tableInsert(slot, step, hash)
        held.set(slot, { value: step, hash })
        expect(core.tableFind(step, hash), message).toBe(slot)
      }
      expect(core.checkTable(), message).toBe(0)
    }
    for (const [slot, { value, hash }] of held) expect(core.tableFind(value, hash)).toBe(slot)
  },
)

test('a million mixed operations do not lengthen the probes', { timeout: 60_000 }, () => {
  const random = new SeededRandom(SEED)
  const maxEntries = 20_000
  const core = openTestingCore({ maxEntries })
  const hashes = new Uint32Array(maxEntries)
  const fill = (slot: number) => {
    hashes[slot] = random.bits()
    core.tableInsert(slot, slot, hashes[slot] as number)
  }
  const churn = (operations: number) => {
    for (let operation = 0; operation < operations; operation += 2) {
      const slot = random.below(maxEntries)
      core.tableRemove(slot)
      fill(slot)
    }
    return passedBuckets(core)
  }
  for (let slot = 0; slot < maxEntries; slot++) fill(slot)
  // An entry keeps the place it found, so a full table under churn soon has more entries away from home than
  // one just filled. From there it must not get worse; with tombstones it would go on growing.
  const early = churn(200_000)
  const late = churn(800_000)
  expect(late, `SEED=${SEED} early ${early}`).toBeLessThan(early * 1.5)
  expect(late / maxEntries, `SEED=${SEED}`).toBeLessThan(0.08)
  expect(core.checkTable(), `SEED=${SEED}`).toBe(0)
  for (let slot = 0; slot < maxEntries; slot++) {
    expect(core.tableFind(slot, hashes[slot] as number) === slot, `SEED=${SEED} slot ${slot}`).toBe(true)
  }
})

/** How many buckets all entries together are away from home: the sum of the overflow counts. */
function passedBuckets(core: TestingCore): number {
  let passed = 0
  for (let bucket = 0; bucket < core.tableBuckets(); bucket++) passed += core.tableOverflow(bucket)
  return passed
}
