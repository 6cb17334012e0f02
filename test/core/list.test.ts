import { expect, test } from 'vitest'
import { openTestingCore, type TestingCore } from './open-core.ts'
import { SEED, SeededRandom } from './random.ts'

const FIRST_HEAD = -1
const SECOND_HEAD = -2

function walk(core: TestingCore, head: number, step: 'listBehind' | 'listBefore'): number[] {
  const nodes = []
  for (let node = core[step](head); node !== head; node = core[step](node)) nodes.push(node)
  return nodes
}

test('a ring reads the same in both directions', () => {
  const core = openTestingCore({ maxEntries: 4 })
  core.listEmpty(FIRST_HEAD)
  expect(walk(core, FIRST_HEAD, 'listBehind')).toEqual([])
  for (const node of [0, 1, 2, 3]) core.listAddFirst(FIRST_HEAD, node)
  expect(walk(core, FIRST_HEAD, 'listBehind')).toEqual([3, 2, 1, 0])
  expect(walk(core, FIRST_HEAD, 'listBefore')).toEqual([0, 1, 2, 3])
})

test('the last node leaves an empty ring', () => {
  const core = openTestingCore({ maxEntries: 1 })
  core.listEmpty(FIRST_HEAD)
  core.listAddFirst(FIRST_HEAD, 0)
  core.listUnlink(0)
  expect(core.listBehind(FIRST_HEAD)).toBe(FIRST_HEAD)
  expect(core.listBefore(FIRST_HEAD)).toBe(FIRST_HEAD)
})

test('two rings over the same links agree with two arrays', () => {
  const random = new SeededRandom(SEED)
  const core = openTestingCore({ maxEntries: 50 })
  const rings = new Map<number, number[]>([
    [FIRST_HEAD, []],
    [SECOND_HEAD, []],
  ])
  for (const head of rings.keys()) core.listEmpty(head)
  for (let step = 0; step < 5_000; step++) {
    const node = random.below(50)
    const [head, nodes] = random.pick([...rings])
    const owner = [...rings.values()].find((ring) => ring.includes(node))
    if (owner !== undefined) {
      core.listUnlink(node)
      owner.splice(owner.indexOf(node), 1)
    } else {
      core.listAddFirst(head, node)
      nodes.unshift(node)
    }
    for (const [head, nodes] of rings) {
      expect(walk(core, head, 'listBehind'), `SEED=${SEED} step ${step}`).toEqual(nodes)
      expect(walk(core, head, 'listBefore'), `SEED=${SEED} step ${step}`).toEqual([...nodes].reverse())
    }
  }
})
