// The checker guards the other tests, so here it is the one that is tested: it must notice each kind of damage.

import { expect, test } from 'vitest'
import { AUTHORITY, openTestingCore, set, type TestingCore } from './open-core.ts'

const damages: { name: string; broken: number[]; damage: (core: TestingCore, view: DataView) => void }[] = [
  { name: 'a wrong size', broken: [2], damage: (core, view) => view.setUint32(core.SIZE_AT.value, 5, true) },
  {
    name: 'a size above the capacity',
    broken: [1],
    damage: (core, view) => view.setUint32(core.SIZE_AT.value, 500, true),
  },
  {
    name: 'a lost free slot',
    broken: [3],
    damage: (core, view) => view.setUint32(core.HEADER_AT.value + 28, 0, true),
  },
  { name: 'a torn recency ring', broken: [4], damage: (core) => core.listUnlink(2) },
  { name: 'a slot missing from the table', broken: [5], damage: (core) => removeFromTable(core, 2) },
  {
    name: 'a key that changed',
    broken: [7],
    damage: (core, view) => view.setUint8(core.keyAt(2), view.getUint8(core.keyAt(2)) ^ 1),
  },
  { name: 'rubbish behind a key', broken: [7], damage: (core, view) => view.setUint8(core.keyAt(2) + 31, 1) },
  { name: 'a deadline without a place in the wheel', broken: [8], damage: (core) => core.wheelUnschedule(6) },
  {
    name: 'a deadline before the bucket is met',
    broken: [9],
    damage: (core, view) => view.setFloat64(core.recordsAt() + 6 * 64 + 16, 1_000, true),
  },
  { name: 'a block that nobody owns', broken: [12], damage: (core) => core.arenaAllocate(100) },
  {
    name: 'a lost count',
    broken: [13],
    damage: (core, view) => view.setBigUint64(core.STATS_AT.value + 16, 1_000n, true),
  },
  { name: 'a stamp of no partition', broken: [14], damage: stampWrongly },
]

test.each(damages)('$name is noticed', ({ broken, damage }) => {
  const core = openTestingCore({ maxEntries: 20, flags: AUTHORITY, partitions: 2 })
  for (let key = 0; key < 4; key++) set(core, `key ${key}`)
  set(core, 'x'.repeat(50))
  set(core, 'y'.repeat(500))
  set(core, 'timed', 1e6, 0)
  set(core, 'gone')
  core.remove(0)
  expect(core.check()).toBe(0)
  damage(core, new DataView(core.memory.buffer))
  expect(broken).toContain(core.check())
})

test('a block freed while in use is noticed', () => {
  const core = openTestingCore({ maxEntries: 20 })
  const slot = set(core, 'x'.repeat(50)) >> 3
  core.arenaRelease(core.keyAt(slot), 50)
  expect(core.checkArena()).toBe(11)
})

/** Takes a slot out of the table alone, by a second removal of its record. */
function removeFromTable(core: TestingCore, slot: number): void {
  const view = new DataView(core.memory.buffer)
  const word = view.getUint32(core.recordsAt() + slot * 64 + 4, true)
  const generation = core.generation(slot)
  core.tableRemove(slot)
  view.setUint32(core.recordsAt() + slot * 64 + 4, word, true)
  view.setUint32(core.recordsAt() + slot * 64 + 24, generation, true)
}

function stampWrongly(core: TestingCore, view: DataView): void {
  core.stampNext(1, 0x1234_5678, 3, 0)
  const slot = set(core, 'stamped') >> 3
  for (let at = core.arenaAt() - 4; at > 0; at -= 4) {
    if (view.getUint32(at, true) !== 0x1234_5678 || core.epochOf(slot) !== 0x1234_5678) continue
    view.setUint32(at - 4, 9, true)
    return
  }
}
