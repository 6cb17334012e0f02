import { expect, test } from 'vitest'
import { type Core, Core as RealCore } from '../../../src/core/core.ts'
import { Memo } from '../../../src/l1/memo.ts'
import { systemRandom } from '../../../src/random.ts'
import { seed as SEED } from '../../support/seed.ts'
import { seededRandom } from '../../support/seeded-random.ts'

const MAX_ENTRIES = 1_000
/** Look-ups counted together, with as many entries; the first trial begins after as many. */
const WINDOW = 4_096
const SAMPLE = 64

/** A memo over a core that counts by which way it was asked. */
function open(maxEntries = MAX_ENTRIES): {
  memo: Memo
  core: Core
  asked: { byKey: number; bySlot: number }
} {
  const real = new RealCore({
    maxEntries,
    policy: 'lazy-tinylfu',
    reportsKeys: false,
    partitions: 0,
    random: systemRandom,
  })
  const asked = { byKey: 0, bySlot: 0 }
  const core = Object.create(real, {
    get: {
      value: (key: string, now: number) => {
        asked.byKey++
        return real.get(key, now)
      },
    },
    getAt: {
      value: (slot: number, generation: number, now: number) => {
        asked.bySlot++
        return real.getAt(slot, generation, now)
      },
    },
    generationOf: { value: (slot: number) => real.generationOf(slot) },
  }) as Core
  return { memo: new Memo(core, maxEntries), core: real, asked }
}

const keyOf = (id: number): string => `tenant:eu:user:${1_000_000 + id}:session`

/** Asks for `count` keys that are there, in no order of theirs, and sees to it that each is found where it is. */
function ask(memo: Memo, slots: Map<string, number>, count: number): void {
  const keys = [...slots.keys()]
  for (let at = 0; at < count; at++) {
    const key = keys[(at * 7_919) % keys.length] as string
    // Not an expectation each time, which would take longer than all the rest.
    if (memo.get(key, 0) >> 3 !== slots.get(key)) expect.fail(`${key} is not where it is`)
  }
}

function fill(core: Core, ids: number, nameOf = keyOf): Map<string, number> {
  const slots = new Map<string, number>()
  for (let id = 0; id < ids; id++) slots.set(nameOf(id), core.set(nameOf(id), Infinity, Infinity, 0) >> 3)
  return slots
}

test('keys that are asked for again are found without being read', () => {
  const { memo, core, asked } = open()
  const slots = fill(core, 500)
  ask(memo, slots, 3 * WINDOW)
  asked.byKey = asked.bySlot = 0
  ask(memo, slots, WINDOW)
  expect(asked.bySlot / WINDOW).toBeGreaterThan(0.75)
})

test.each<[string, (id: number) => string]>([
  ['that differ at their end', (id) => `user:${id}`],
  ['that differ at their start', (id) => `${1_000 + id}:of:the:tenant:with:a:long:name`],
  ['of one length that differ in the middle', keyOf],
  ['that say their number twice', (id) => `${1_000 + id}/of/${1_000 + id}`],
  [
    'in hexadecimal',
    (id) =>
      Math.imul(id + 1, 0x9e3779b1)
        .toString(16)
        .padStart(9, '0'),
  ],
  ['of another script', (id) => `ключ:${id}`],
])('the characters in which they differ are found in keys %s', (_, nameOf) => {
  const { memo, core, asked } = open()
  const slots = fill(core, 500, nameOf)
  ask(memo, slots, 3 * WINDOW)
  asked.byKey = asked.bySlot = 0
  ask(memo, slots, WINDOW)
  expect(asked.bySlot / WINDOW).toBeGreaterThan(0.6)
})

test('an equal string that is another object is the same key', () => {
  const { memo, core, asked } = open()
  const slots = fill(core, 10)
  ask(memo, slots, 2 * WINDOW)
  asked.byKey = 0
  for (let id = 0; id < 10; id++) expect(memo.get(keyOf(id), 0) >> 3).toBe(slots.get(keyOf(id)))
  expect(asked.byKey).toBe(0)
})

test('where it answers too little it is given up, and tried again ever more rarely', () => {
  const { memo, core, asked } = open()
  fill(core, 500)
  // Nothing that is asked for is there, so nothing can be remembered.
  const trials: number[] = []
  let isOn = false
  let left = 0
  for (let at = 0; at < 200 * WINDOW; at++) {
    memo.get(`missing:${at % 977}`, 0)
    const { isOn: isOnNow } = memo
    if (isOnNow && !isOn) trials.push(at)
    if (!isOnNow && isOn) left++
    isOn = isOnNow
  }
  expect(asked.bySlot).toBe(0)
  expect(left).toBe(trials.length)
  // Two windows of trial and a pause that doubles.
  const pauses = trials.slice(1).map((at, index) => Math.round((at - (trials[index] as number)) / WINDOW))
  expect(pauses).toEqual([10, 18, 34, 66, 66])
})

test('after a pause it comes back when keys have become hot', () => {
  const { memo, core, asked } = open()
  const slots = fill(core, 100)
  for (let at = 0; at < 4 * WINDOW; at++) memo.get(`missing:${at}`, 0)
  expect(memo.isOn).toBe(false)
  ask(memo, slots, 12 * WINDOW)
  asked.byKey = asked.bySlot = 0
  ask(memo, slots, WINDOW)
  expect(asked.bySlot / WINDOW).toBeGreaterThan(0.9)
})

test('keys that are empty, short or very long are found too', () => {
  const { memo, core } = open()
  const odd = ['', 'a', 'ab', 'x'.repeat(129), 'y'.repeat(5_000), '\u0416']
  const slots = fill(core, 200)
  for (const key of odd) slots.set(key, core.set(key, Infinity, Infinity, 0) >> 3)
  ask(memo, slots, 4 * WINDOW)
})

test('an answer is never another entry: random keys, writes, removals, expiry and clearing', () => {
  const random = seededRandom(SEED)
  const below = (limit: number): number => Math.floor(random() * limit)
  for (const maxEntries of [1, 8, 300]) {
    const { memo, core, asked } = open(maxEntries)
    // What is stored is the number of its key, at its slot.
    const values: (string | undefined)[] = []
    const keys = Array.from({ length: Math.ceil(maxEntries * 1.2) }, (_, id) => `${below(3)}:key:${id}`)
    let now = 0
    for (let step = 0; step < 60_000; step++) {
      const key = keys[below(keys.length)] as string
      const chance = random()
      if (chance < 0.9) {
        const answer = memo.get(key, now)
        // A look that finds an entry by the memo finds the one that the core has under the key.
        if (answer !== core.peek(key, now) || (answer >= 0 && values[answer >> 3] !== key)) {
          expect.fail(`SEED=${SEED} ${maxEntries} entries, step ${step}: ${key}, ${answer}`)
        }
      } else if (chance < 0.98) {
        const until = random() < 0.2 ? now + below(200) + 1 : Infinity
        values[core.set(key, until, until, now) >> 3] = key
      } else if (chance < 0.99) core.remove(key, now)
      else if (chance < 0.995) core.hide(key)
      else now += below(30)
      if (random() < 0.000_1) {
        core.clear()
        memo.clear()
      }
      if (core.removalCount !== 0) core.drain()
    }
    expect(asked.bySlot, `SEED=${SEED} ${maxEntries} entries`).toBeGreaterThan(0)
  }
})

test('the sample of keys comes after the first window', () => {
  const { memo, core } = open()
  const slots = fill(core, 100)
  ask(memo, slots, WINDOW)
  expect(memo.isOn).toBe(false)
  ask(memo, slots, SAMPLE)
  expect(memo.isOn).toBe(true)
})
