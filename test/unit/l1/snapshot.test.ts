import { describe, expect, test } from 'vitest'
import type { Codec } from '../../../src/codecs/codec.ts'
import { createL1, type EvictionPolicy, type L1, type L1Options } from '../../../src/create-l1.ts'
import { readSnapshot, sumOf } from '../../../src/l1/snapshot-format.ts'
import { ManualClock } from '../../../src/testing/manual-clock.ts'
import { seed as SEED } from '../../support/seed.ts'
import { seededRandom } from '../../support/seeded-random.ts'

type Restored = { l1: L1<unknown>; outcome: Awaited<L1<unknown>['restored']> }

const policies: EvictionPolicy[] = ['lazy-tinylfu', 'lru', 's3fifo', 'sieve']

async function bytesOf(l1: L1<unknown>): Promise<Uint8Array> {
  const pieces: Uint8Array[] = []
  for await (const piece of l1.snapshot()) pieces.push(piece)
  return new Uint8Array(Buffer.concat(pieces))
}

async function restore(bytes: Uint8Array, options: L1Options<unknown>): Promise<Restored> {
  const l1 = createL1<unknown>({ ...options, restore: [bytes] })
  return { l1, outcome: await l1.restored }
}

/** A cache that was used for a while: a fifth of its keys more than the others. */
function used(options: L1Options<unknown> & { maxEntries: number }, operations = 5_000): L1<unknown> {
  const random = seededRandom(SEED)
  const l1 = createL1<unknown>(options)
  const keys = options.maxEntries * 2
  for (let step = 0; step < operations; step++) {
    const id = Math.floor(random() ** 3 * keys)
    const key = id % 3 === 0 ? id : id % 3 === 1 ? `key:${id}` : `ключ:${'x'.repeat(id % 50)}:${id}`
    if (l1.get(key) === undefined) l1.set(key, `value of ${key}`)
  }
  return l1
}

describe.each(policies)('under %s', (policy) => {
  const options = { maxEntries: 200, policy }

  test('everything comes back, in its order, and what the policy knows of it', async () => {
    const before = used(options)
    const { l1, outcome } = await restore(await bytesOf(before), options)
    expect(outcome).toEqual({ status: 'restored', error: undefined, entries: 200, leftOut: 0 })
    expect([...l1.entries()]).toEqual([...before.entries()])
    for (const key of before.keys()) {
      const { uses, queue } = before.inspect(key)?.policy ?? {}
      expect(l1.inspect(key)?.policy).toMatchObject({ uses, queue })
      // A sketch counts several keys in one place: at least what it knew is known.
      const known = before.inspect(key)?.policy.frequency ?? 0
      expect(l1.inspect(key)?.policy.frequency).toBeGreaterThanOrEqual(known)
    }
  })

  test('the same entries leave next', async () => {
    const before = used(options)
    const { l1 } = await restore(await bytesOf(before), options)
    for (let id = 0; id < 20; id++) {
      before.set(`new:${id}`, id)
      l1.set(`new:${id}`, id)
    }
    const kept = new Set(before.keys())
    const same = [...l1.keys()].filter((key) => kept.has(key)).length
    // Neither ghosts nor where the hand of sieve was come along, so a few differ.
    expect(same).toBeGreaterThanOrEqual(policy === 'lru' ? 200 : 170)
  })
})

const options = { maxEntries: 1_000, policy: 'lru' as const }

test('values of all kinds come back as they were', async () => {
  const l1 = createL1<unknown>(options)
  const values = [
    '',
    'text',
    'caf\u00e9 \u00ff',
    '\u0416 \ud800 lone',
    'x'.repeat(200_000),
    7,
    -0,
    NaN,
    Infinity,
    null,
    true,
    12n,
    new Date(5),
    new Map([['a', new Set([1])]]),
    new Uint8Array([1, 2, 3]),
    { deep: { list: [1, undefined, 'x'] } },
  ]
  for (const [key, value] of values.entries()) l1.set(key, value)
  const { l1: after, outcome } = await restore(await bytesOf(l1), options)
  expect(outcome).toMatchObject({ status: 'restored', entries: values.length })
  for (const [key, value] of values.entries()) expect(after.get(key)).toEqual(value)
})

test('keys of all kinds come back as they were', async () => {
  const l1 = createL1<unknown>(options)
  const keys = [
    '',
    '7',
    7,
    -1,
    Number.MAX_SAFE_INTEGER,
    'x'.repeat(32),
    'x'.repeat(33),
    'x'.repeat(65_535),
    '\u0416'.repeat(40),
    '\ud800',
    '\u00e9',
    'a\0',
  ]
  for (const key of keys) l1.set(key, key)
  const { l1: after } = await restore(await bytesOf(l1), options)
  expect([...after.entries()]).toEqual([...l1.entries()])
})

test('a value without bytes is left out, and the rest is there', async () => {
  const l1 = createL1<unknown>(options)
  l1.set('before', 1)
  l1.set('function', () => 1)
  l1.set('after', 2)
  const { l1: after, outcome } = await restore(await bytesOf(l1), options)
  expect(outcome).toMatchObject({ status: 'restored', entries: 2 })
  expect([...after.keys()]).toEqual(['after', 'before'])
})

test('an empty cache has a snapshot too', async () => {
  const { outcome } = await restore(await bytesOf(createL1(options)), options)
  expect(outcome).toMatchObject({ status: 'restored', entries: 0 })
})

describe('time', () => {
  const open = () => {
    const clock = new ManualClock(1_000_000)
    return { clock, timed: { ...options, clock, clockResolution: 0 } }
  }

  test('counts while the process is down', async () => {
    const { clock, timed } = open()
    const before = createL1<unknown>(timed)
    before.set('short', 1, { ttl: 100 })
    before.set('long', 2, { ttl: 1_000 })
    before.set('ever', 3)
    clock.advance(50)
    const bytes = await bytesOf(before)
    clock.advance(60)
    const { l1, outcome } = await restore(bytes, timed)
    expect(outcome).toMatchObject({ entries: 2, leftOut: 1 })
    expect([l1.get('short'), l1.inspect('long')?.freshForMs, l1.inspect('ever')?.freshForMs]).toEqual([
      undefined,
      890,
      Infinity,
    ])
    clock.advance(890)
    expect([l1.get('long'), l1.get('ever')]).toEqual([undefined, 3])
  })

  test('is not guessed where the wall clock has gone back', async () => {
    const { clock, timed } = open()
    const before = createL1<unknown>(timed)
    before.set('timed', 1, { ttl: 1e9 })
    before.set('ever', 3)
    const bytes = await bytesOf(before)
    const wall = {
      now: () => clock.now(),
      wallNow: () => clock.wallNow() - 1,
      setTimer: clock.setTimer.bind(clock),
    }
    const { l1, outcome } = await restore(bytes, { ...timed, clock: wall })
    expect(outcome).toMatchObject({ entries: 1, leftOut: 1 })
    expect([...l1.keys()]).toEqual(['ever'])
  })

  test('goes on for entries that uses renew', async () => {
    const { clock, timed } = open()
    const before = createL1<unknown>({ ...timed, touchOnGet: true })
    before.set('key', 1, { ttl: 100 })
    clock.advance(60)
    const { l1 } = await restore(await bytesOf(before), { ...timed, touchOnGet: true })
    expect(l1.inspect('key')?.freshForMs).toBe(40)
    l1.get('key')
    expect(l1.inspect('key')?.freshForMs).toBe(100)
  })

  test('lets go of restored entries that nobody asks for', async () => {
    const { clock, timed } = open()
    const before = createL1<unknown>(timed)
    before.set('key', 1, { ttl: 100 })
    const { l1 } = await restore(await bytesOf(before), timed)
    clock.advance(10_000)
    expect(l1.size).toBe(0)
  })

  test('is read once for a turn, when saving and when restoring, not once for an entry', async () => {
    const { clock } = open()
    let readings = 0
    const counted = {
      now: () => {
        readings++
        return clock.now()
      },
      wallNow: () => clock.wallNow(),
      setTimer: clock.setTimer.bind(clock),
    }
    const timed = { maxEntries: 4_000, clock: counted, clockResolution: 0 }
    const before = createL1<unknown>(timed)
    for (let id = 0; id < 4_000; id++) before.set(id, 'value', { ttl: '1h' })
    readings = 0
    const bytes = await bytesOf(before)
    expect(readings).toBeLessThan(40)
    readings = 0
    const { outcome } = await restore(bytes, timed)
    expect(outcome.entries).toBe(4_000)
    expect(readings).toBeLessThan(40)
  })

  test('that passes while a snapshot is written counts from the next turn on', async () => {
    const { clock, timed } = open()
    const before = createL1<unknown>({ ...timed, maxEntries: 4_000 })
    for (let id = 0; id < 4_000; id++) before.set(id, 'x'.repeat(100), { ttl: 100 })
    const pieces: Uint8Array[] = []
    for await (const piece of before.snapshot()) {
      pieces.push(piece)
      if (pieces.length === 2) clock.advance(1_000)
    }
    const { outcome } = await restore(new Uint8Array(Buffer.concat(pieces)), { ...timed, maxEntries: 4_000 })
    expect(outcome).toMatchObject({ status: 'restored', entries: 0 })
    expect(outcome.leftOut).toBeGreaterThan(0)
    expect(outcome.leftOut).toBeLessThan(1_000)
  })
})

describe('while the cache is in use', () => {
  /** Gives the pieces of a snapshot when it is told to. */
  function gate(bytes: Uint8Array) {
    let open = (): void => undefined
    const opened = new Promise<void>((resolve) => {
      open = resolve
    })
    return {
      open,
      async *[Symbol.asyncIterator]() {
        await opened
        yield bytes
      },
    }
  }

  test('what is done with a key before the snapshot is in stands', async () => {
    const before = createL1<unknown>(options)
    for (const key of ['set', 'deleted', 'replaced', 'left alone', 7]) before.set(key, 'old')
    const gated = gate(await bytesOf(before))
    const l1 = createL1<unknown>({ ...options, restore: gated })
    l1.set('set', 'new')
    l1.delete('deleted')
    l1.set('replaced', 'new', { ttl: 0 })
    l1.delete(7)
    gated.open()
    expect(await l1.restored).toMatchObject({ status: 'restored', entries: 1, leftOut: 4 })
    expect([...l1.entries()].sort()).toEqual([
      ['left alone', 'old'],
      ['set', 'new'],
    ])
  })

  test('after a clear nothing of the snapshot comes', async () => {
    const gated = gate(await bytesOf(used(options)))
    const l1 = createL1<unknown>({ ...options, restore: gated })
    l1.clear()
    gated.open()
    expect(await l1.restored).toMatchObject({ status: 'cleared', entries: 0 })
    expect(l1.size).toBe(0)
  })

  test('no turn takes long: neither writing nor restoring does more than a few hundred entries in one', async () => {
    const many = { maxEntries: 20_000, policy: 'lru' as const }
    const before = createL1<unknown>(many)
    for (let id = 0; id < 20_000; id++) before.set(id, id)
    let turns = 0
    let isDone = false
    const count = (): void => {
      turns++
      if (!isDone) setImmediate(count)
    }
    setImmediate(count)
    const bytes = await bytesOf(before)
    expect(turns).toBeGreaterThan(20_000 / 1_024)
    turns = 0
    const { outcome } = await restore(bytes, many)
    isDone = true
    expect(outcome.entries).toBe(20_000)
    expect(turns).toBeGreaterThan(20_000 / 1_024)
  })

  test.each(policies)(
    'a snapshot under %s has for each key a value that was there meanwhile',
    async (policy) => {
      const random = seededRandom(SEED)
      const busy = { maxEntries: 9_000, policy }
      const before = createL1<unknown>(busy)
      for (let id = 0; id < 9_000; id++) before.set(id, 0)
      let isDone = false
      let version = 0
      const change = (): void => {
        version++
        for (let step = 0; step < 500; step++) {
          const id = Math.floor(random() * 9_500)
          const chance = random()
          if (chance < 0.6) before.get(id)
          else if (chance < 0.9) before.set(id, version)
          else before.delete(id)
        }
        if (!isDone) setImmediate(change)
      }
      setImmediate(change)
      const bytes = await bytesOf(before)
      isDone = true
      const { l1, outcome } = await restore(bytes, busy)
      expect(outcome.status, `SEED=${SEED}`).toBe('restored')
      for (const [, value] of l1.entries()) expect(value, `SEED=${SEED}`).toBeLessThanOrEqual(version)
      // Nearly all of those that were there all the time are in it.
      expect(outcome.entries, `SEED=${SEED}`).toBeGreaterThan(7_000)
    },
  )
})

describe('what is no snapshot of this cache', () => {
  test.each<[string, Partial<L1Options<unknown>>]>([
    ['another policy', { policy: 'sieve' }],
    ['another size', { maxEntries: 999 }],
    ['another codec', { codec: { id: 99, name: 'other', encode: () => new Uint8Array(), decode: () => 1 } }],
  ])('is not used: %s', async (_, other) => {
    const { l1, outcome } = await restore(await bytesOf(used(options)), { ...options, ...other })
    expect([outcome.status, l1.size]).toEqual(['configuration', 0])
  })

  test('is told from bytes of another kind, from none, and from another format', async () => {
    const bytes = await bytesOf(used(options, 10))
    const newer = bytes.slice()
    newer[6] = 2
    const outcomes = [
      new Uint8Array(),
      Uint8Array.of(1),
      new TextEncoder().encode('{"not":"a snapshot"}'),
      newer,
    ].map(async (given) => (await restore(given, options)).outcome.status)
    expect(await Promise.all(outcomes)).toEqual(['absent', 'foreign', 'foreign', 'format'])
  })

  test('a source that throws, or gives something else, is a cold start', async () => {
    const error = new Error('no disk')
    async function* broken(): AsyncGenerator<Uint8Array> {
      yield await bytesOf(used(options, 10))
      throw error
    }
    const l1 = createL1<unknown>({ ...options, restore: broken() })
    expect([await l1.restored, l1.size]).toEqual([{ status: 'failed', error, entries: 0, leftOut: 0 }, 0])
    const wrong = createL1<unknown>({ ...options, restore: ['text'] as unknown as Uint8Array[] })
    expect(await wrong.restored).toMatchObject({ status: 'failed', error: expect.any(TypeError) })
  })

  test('a value that the codec refuses is left out', async () => {
    const fussy = (isWriting: boolean): Codec => ({
      id: 99,
      name: 'fussy',
      encode: () => Uint8Array.of(1),
      decode: () => (isWriting ? 1 : expect.fail('refused')),
    })
    const before = createL1<unknown>({ ...options, codec: fussy(true) })
    before.set('object', {})
    before.set('text', 'kept')
    const { l1, outcome } = await restore(await bytesOf(before), { ...options, codec: fussy(false) })
    expect(outcome).toMatchObject({ status: 'restored', entries: 1, leftOut: 1 })
    expect([...l1.keys()]).toEqual(['text'])
  })

  test.each([null, 7, 'text', new Uint8Array(3), {}])('%s cannot be given', (given) => {
    expect(() => createL1({ ...options, restore: given as never })).toThrow(TypeError)
  })
})

test('without a snapshot the outcome says so', async () => {
  expect(await createL1(options).restored).toMatchObject({ status: 'absent', entries: 0 })
})

test('a snapshot may come in pieces of any size', async () => {
  const before = used(options)
  const bytes = await bytesOf(before)
  for (const size of [1, 7, 4_096]) {
    const pieces = Array.from({ length: Math.ceil(bytes.length / size) }, (_, at) =>
      bytes.subarray(at * size, (at + 1) * size),
    )
    const l1 = createL1<unknown>({ ...options, restore: pieces })
    expect(await l1.restored).toMatchObject({ status: 'restored', entries: before.size })
    expect([...l1.entries()]).toEqual([...before.entries()])
  }
})

test('every byte of a 64 kB snapshot, flipped, removed or doubled: a cold start', async () => {
  const damaged = { maxEntries: 600, policy: 'lru' as const }
  const before = createL1<unknown>(damaged)
  for (let id = 0; id < 600; id++)
    before.set(`key:${id}`, id % 2 === 0 ? 'v'.repeat(90) : { id, text: 'w'.repeat(70) })
  const bytes = await bytesOf(before)
  expect(bytes.length).toBeGreaterThan(64_000)
  const statuses = new Map<string, number>()
  const give = async (what: string, ...pieces: Uint8Array[]): Promise<void> => {
    const read = await readSnapshot(pieces)
    if (typeof read !== 'string') expect.fail(`${what}: was taken for whole`)
    statuses.set(read, (statuses.get(read) ?? 0) + 1)
  }
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at] as number
    bytes[at] = byte ^ (1 << (at % 8))
    await give(`byte ${at} flipped`, bytes)
    bytes[at] = byte
    await give(`byte ${at} doubled`, bytes.subarray(0, at + 1), bytes.subarray(at))
    await give(`byte ${at} removed`, bytes.subarray(0, at), bytes.subarray(at + 1))
  }
  expect([...statuses.keys()].sort()).toEqual(['damaged', 'foreign', 'format'])
  // What is not whole is a cold start, and the intact one is taken.
  const { l1, outcome } = await restore(bytes.subarray(1), damaged)
  expect([outcome.status, l1.size]).toEqual(['foreign', 0])
  expect((await restore(bytes, damaged)).outcome).toMatchObject({ status: 'restored', entries: 600 })
}, 240_000)

test('cut off anywhere it is not used', async () => {
  const bytes = await bytesOf(used(options, 2_000))
  for (let length = 1; length < bytes.length; length += 7) {
    const read = await readSnapshot([bytes.subarray(0, length)])
    expect(['damaged', 'foreign'], `${length} bytes`).toContain(read)
  }
  const { l1, outcome } = await restore(bytes.subarray(0, -1), options)
  expect([outcome.status, l1.size]).toEqual(['damaged', 0])
})

test('a section that is missing, doubled or of another snapshot shows', async () => {
  const many = { maxEntries: 3_000, policy: 'lru' as const }
  const sectionsOf = async (value: string): Promise<Uint8Array[]> => {
    const l1 = createL1<unknown>(many)
    for (let id = 0; id < 3_000; id++) l1.set(id, value.repeat(80))
    const pieces: Uint8Array[] = []
    for await (const piece of l1.snapshot()) pieces.push(piece)
    return pieces
  }
  const [one, other] = [await sectionsOf('a'), await sectionsOf('b')]
  expect(one.length).toBeGreaterThan(4)
  const statusOf = async (pieces: Uint8Array[]) => {
    const l1 = createL1<unknown>({ ...many, restore: pieces })
    return (await l1.restored).status
  }
  const [head, first, second, ...rest] = one as [Uint8Array, Uint8Array, Uint8Array, ...Uint8Array[]]
  expect(
    await Promise.all(
      [
        [head, second, ...rest],
        [head, first, first, second, ...rest],
        [head, second, first, ...rest],
        [head, first, other[2] as Uint8Array, ...rest],
        [...one, ...one],
        one.slice(0, -1),
      ].map(statusOf),
    ),
  ).toEqual(Array(6).fill('damaged'))
  expect(await statusOf(one)).toBe('restored')
})

test('the sum is the published xxHash32', () => {
  const wordsOf = (text: string) => new Uint32Array(new TextEncoder().encode(text).buffer)
  // Vectors: XXH32 with seed 0 of these bytes.
  expect(sumOf(new Uint32Array())).toBe(0x02cc5d05)
  expect(sumOf(wordsOf('abcd'))).toBe(0xa3643705)
})

describe.each<[string, L1Options<unknown>]>([
  ['as bytes', { maxBytes: 2 ** 21, values: 'bytes' }],
  ['by weight', { maxBytes: 2 ** 20, sizeOf: (value) => String(value).length + 1 }],
])('values held %s', (_, held) => {
  test('come back, as many as fit', async () => {
    const l1 = createL1<unknown>(held)
    for (let id = 0; id < 500; id++) l1.set(`key:${id}`, id % 2 === 0 ? 'x'.repeat(id) : { id })
    const { l1: after, outcome } = await restore(await bytesOf(l1), held)
    expect(outcome).toEqual({ status: 'restored', error: undefined, entries: l1.size, leftOut: 0 })
    expect(new Map(after.entries())).toEqual(new Map(l1.entries()))
  })

  test('are not for a cache with another budget', async () => {
    const l1 = createL1<unknown>(held)
    const { outcome } = await restore(await bytesOf(l1), { ...held, maxBytes: 2 ** 22 })
    expect(outcome.status).toBe('configuration')
  })
})
