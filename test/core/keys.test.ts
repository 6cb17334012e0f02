import { describe, expect, test } from 'vitest'
import {
  type Core,
  encode,
  get,
  hasStringBuiltins,
  INTEGER,
  keyOf,
  LATIN1,
  openCore,
  type StringCore,
  set,
  TWO_BYTE,
} from './open-core.ts'
import { SEED, SeededRandom } from './random.ts'

const awkward: (string | number)[] = [
  '',
  ' ',
  '\0',
  '\0\0',
  'a',
  'a\0',
  '\0a',
  'ab',
  '7',
  7,
  '-0',
  0,
  '0',
  -1,
  1.5e15,
  Number.MAX_SAFE_INTEGER,
  Number.MIN_SAFE_INTEGER,
  'ÿ',
  '\x80',
  '\u0100',
  'Ā',
  '\ud800',
  '\udfff',
  '\udfff\ud800',
  '😀',
  '日本語',
  'é',
  'e\u0301',
  'caf\u00e9',
  ...[7, 8, 9, 15, 16, 17, 31, 32, 33, 47, 48, 49, 63, 64, 65].flatMap((length) => [
    'x'.repeat(length),
    '\xff'.repeat(length),
    '\u0101'.repeat(length),
    `${'x'.repeat(length - 1)}\u0101`,
    `\u0101${'x'.repeat(length - 1)}`,
    `${'x'.repeat(length - 1)}\0`,
  ]),
]

/** The ways a key can be handed over; the second needs an engine with string builtins. */
const ways = [
  { name: 'staged', isMissing: false, set: (core: StringCore, key: string | number) => set(core, key), get },
  {
    name: 'by string builtins',
    isMissing: !hasStringBuiltins,
    set: (core: StringCore, key: string | number) =>
      typeof key === 'number'
        ? core.setInteger(key, Infinity, Infinity, 0)
        : core.setString(key, Infinity, Infinity, 0),
    get: (core: StringCore, key: string | number) =>
      typeof key === 'number' ? core.getInteger(key, 0) : core.getString(key, 0),
  },
]

describe.each(ways)('keys $name', (way) => {
  const forWay = test.skipIf(way.isMissing)

  forWay('every awkward key is a key of its own and comes back as it was', () => {
    const core = openCore({ maxEntries: awkward.length, seed: [5n, 6n, 7n, 8n, 9n] })
    const slots = new Map<string | number, number>()
    for (const key of awkward) {
      const answer = way.set(core, key)
      // 'ÿ' and its like appear twice in the list.
      expect(answer & 7, JSON.stringify(key)).toBe(slots.has(key) ? 1 : 0)
      slots.set(key, answer >> 3)
    }
    for (const [key, slot] of slots) {
      expect(way.get(core, key) >> 3, JSON.stringify(key)).toBe(slot)
      expect(keyOf(core, slot)).toBe(key)
      expect(core.keyLength(slot)).toBe(encode(key).length)
      expect(core.keyEncoding(slot)).toBe(encode(key).encoding)
    }
    expect(core.check()).toBe(0)
  })

  forWay('keys that differ in one place only are different keys', () => {
    for (const length of [1, 7, 8, 9, 30, 31, 32, 33, 40, 100]) {
      const core = openCore({ maxEntries: 300 })
      const plain = 'k'.repeat(length)
      const keys = [plain, `${plain}k`, plain.slice(1), `${plain}\0`]
      for (let at = 0; at < length; at++) keys.push(`${plain.slice(0, at)}K${plain.slice(at + 1)}`)
      for (const key of keys) expect(way.set(core, key) & 7, `${length}: ${key}`).toBe(0)
      for (const key of keys) expect(keyOf(core, way.get(core, key) >> 3)).toBe(key)
      expect(core.check()).toBe(0)
    }
  })

  forWay('random texts of all widths agree with a Map', () => {
    const random = new SeededRandom(SEED)
    const core = openCore({ maxEntries: 2_000 })
    const slots = new Map<string, number>()
    for (let step = 0; step < 3_000; step++) {
      const length = random.below(random.pick([4, 20, 40, 200]))
      const end = random.pick([0x61 + 3, 0x100, 0x10000])
      const key = String.fromCharCode(...Array.from({ length }, () => random.below(end)))
      if (slots.size === 2_000 && !slots.has(key)) continue
      const answer = way.set(core, key)
      const message = `SEED=${SEED} step ${step} ${JSON.stringify(key)}`
      expect(answer & 7, message).toBe(slots.has(key) ? 1 : 0)
      slots.set(key, answer >> 3)
    }
    for (const [key, slot] of slots) expect(way.get(core, key) >> 3, `SEED=${SEED}`).toBe(slot)
    expect(core.check(), `SEED=${SEED}`).toBe(0)
  })

  forWay('the longest key is 65,535 characters in either width', () => {
    const core = openCore({ maxEntries: 4 })
    for (const character of ['x', '\u3042']) {
      const key = character.repeat(65_535)
      const slot = way.set(core, key) >> 3
      expect(way.get(core, key) >> 3).toBe(slot)
      expect(way.get(core, `${key.slice(1)}y`)).toBe(-1)
      expect(keyOf(core, slot) === key).toBe(true)
    }
    expect(core.check()).toBe(0)
  })
})

describe('encodings', () => {
  test('bytes are stored as documented', () => {
    const core = openCore({ maxEntries: 4 })
    const bytesOf = (answer: number) => {
      const slot = answer >> 3
      const bytes = core.keyLength(slot) << (core.keyEncoding(slot) & 1)
      return [...new Uint8Array(core.memory.buffer, core.keyAt(slot), bytes)]
    }
    const latin1 = set(core, 'aÿ')
    const twoByte = set(core, 'a\u0100')
    const integer = set(core, 1)
    expect(bytesOf(latin1)).toEqual([0x61, 0xff])
    expect(bytesOf(twoByte)).toEqual([0x61, 0, 0, 1])
    expect(bytesOf(integer)).toEqual([0, 0, 0, 0, 0, 0, 0xf0, 0x3f])
    expect([latin1, twoByte, integer].map((answer) => core.keyEncoding(answer >> 3))).toEqual([
      LATIN1,
      TWO_BYTE,
      INTEGER,
    ])
  })

  test('-0 is 0, as in a Map', () => {
    const core = openCore({ maxEntries: 4 })
    const zero = set(core, 0)
    expect(core.getInteger(-0, 0)).toBe(zero)
    expect(core.setInteger(-0, Infinity, Infinity, 0)).toBe(zero | 1)
    expect(Object.is(keyOf(core, zero >> 3), 0)).toBe(true)
  })

  test('a key of 32 bytes lies in its record, one of 33 in the arena', () => {
    const core = openCore({ maxEntries: 4 })
    const short = set(core, 'x'.repeat(32)) >> 3
    const long = set(core, 'x'.repeat(33)) >> 3
    const wide = set(core, '\u0100'.repeat(16)) >> 3
    const wideLong = set(core, '\u0100'.repeat(17)) >> 3
    const arenaStart = Math.min(core.keyAt(long), core.keyAt(wideLong))
    expect(core.keyAt(short)).toBeLessThan(arenaStart)
    expect(core.keyAt(wide)).toBeLessThan(arenaStart)
    expect(core.check()).toBe(0)
  })

  test('a hash that agrees is not taken for a key that agrees', () => {
    const core = openCore({ maxEntries: 4 })
    for (const key of ['k'.repeat(32), 'k'.repeat(33), 'k'.repeat(200), '\u3042'.repeat(16)]) {
      const slot = set(core, key) >> 3
      const bytes = core.keyLength(slot) << (core.keyEncoding(slot) & 1)
      const stored = new Uint8Array(core.memory.buffer, core.keyAt(slot), bytes)
      for (let at = 0; at < bytes; at++) {
        // The record keeps the hash of the key that is asked for, and another key.
        stored[at] = (stored[at] as number) ^ 1
        expect(core.peek(0), `byte ${at} of ${bytes}`).toBe(-1)
        stored[at] = (stored[at] as number) ^ 1
      }
      expect(core.peek(0) >> 3).toBe(slot)
    }
  })

  test('the current key stays for the next operation', () => {
    const core = openCore({ maxEntries: 4 })
    core.stageInteger(42)
    expect(core.get(0)).toBe(-1)
    const slot = core.set(Infinity, Infinity, 0) >> 3
    expect(core.peek(0)).toBe(slot << 3)
    expect(core.remove(0)).toBe(slot << 3)
    expect(core.get(0)).toBe(-1)
  })
})

describe.skipIf(!hasStringBuiltins)('keys of both ways', () => {
  test('are the same keys', () => {
    const core: StringCore & Core = openCore({ maxEntries: awkward.length })
    for (const key of awkward) {
      if (typeof key === 'number') continue
      const slot = set(core, key) >> 3
      expect(core.getString(key, 0) >> 3, JSON.stringify(key)).toBe(slot)
      expect(core.stageString(key)).toBe(0)
      expect(core.peek(0) >> 3).toBe(slot)
    }
  })

  test('a string of 65,536 characters is refused and never stored', () => {
    const core = openCore({ maxEntries: 4 })
    const key = 'x'.repeat(65_536)
    expect(core.stageString(key)).toBe(-1)
    expect(core.getString(key, 0)).toBe(-1)
    expect(core.setString(key, Infinity, Infinity, 0)).toBe(-2)
    expect(core.setString('\u3042'.repeat(65_536), Infinity, Infinity, 0)).toBe(-2)
    expect(core.check()).toBe(0)
  })

  test('ropes and slices are read as the text they are', () => {
    const core = openCore({ maxEntries: 8 })
    const parts = ['user:', 'profile:', 'é', '12345678901234567890']
    const slot = core.setString(parts.join(''), Infinity, Infinity, 0) >> 3
    let rope = ''
    for (const part of parts) rope += part
    expect(core.getString(rope, 0) >> 3).toBe(slot)
    expect(core.getString(`--${rope}--`.slice(2, -2), 0) >> 3).toBe(slot)
  })
})
