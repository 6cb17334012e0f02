import { describe, expect, test } from 'vitest'
import { createL1, type L1Options } from '../../src/create-l1.ts'
import { ManualClock } from '../../src/testing/manual-clock.ts'

/** Options as a caller without types may give them. */
function create(options: unknown): unknown {
  return createL1(options as L1Options<unknown>)
}

test('an L1 needs its size and nothing else', () => {
  const l1 = createL1<string>({ maxEntries: 2 })
  l1.set('user:7', 'Ada', { ttl: '5m' })
  expect([l1.get('user:7'), l1.get('user:8'), l1.size]).toEqual(['Ada', undefined, 1])
})

test('the example of the documentation holds', () => {
  const l1 = createL1<{ name: string }>({ maxEntries: 10_000, ttl: '5m' })
  l1.set('user:7', { name: 'Ada' })
  expect(l1.get('user:7')?.name).toBe('Ada')
  expect(l1.get('user:8')).toBe(undefined)
})

describe('maxEntries', () => {
  test('bounds the entries', () => {
    const l1 = createL1<number>({ maxEntries: 3, policy: 'lru' })
    for (let key = 0; key < 10; key++) l1.set(key, key)
    expect([...l1.keys()]).toEqual([9, 8, 7])
  })

  test.each([0, -1, 1.5, NaN, Infinity, 2 ** 26])('of %s is a RangeError', (maxEntries) => {
    expect(() => create({ maxEntries })).toThrow(RangeError)
    expect(() => create({ maxEntries })).toThrow(
      `maxEntries: ${maxEntries} must be a whole number from 1 to 67108863`,
    )
  })

  test.each([
    ['"10"', '10'],
    ['undefined', undefined],
    ['null', null],
    ['10n', 10n],
  ])('of %s is a TypeError', (shown, maxEntries) => {
    expect(() => create({ maxEntries })).toThrow(TypeError)
    expect(() => create({ maxEntries })).toThrow(`maxEntries: ${shown} is not a number`)
  })
})

describe('policy', () => {
  /** The keys in order after four were set, the first was used twice and the second once, and a fifth came. */
  function keysUnder(options: Partial<L1Options<number>>): unknown[] {
    const l1 = createL1<number>({ maxEntries: 4, ...options })
    for (const key of [1, 2, 3, 4]) l1.set(key, key)
    for (const key of [1, 1, 2]) l1.get(key)
    l1.set(5, 5)
    return [...l1.keys()]
  }

  test.each([
    // The entry behind the two that were used, in order of use.
    ['lru', [5, 2, 1, 4]],
    // The one in the window had no use and lost against the resident; those that were used are protected.
    ['lazy-tinylfu', [2, 1, 3, 5]],
    // The hand passed over the two that were used.
    ['sieve', [5, 4, 2, 1]],
    // Two uses lead to the main queue, one does not.
    ['s3fifo', [1, 5, 4, 3]],
  ] as const)('%s has its own idea of who leaves and of the order', (policy, keys) => {
    expect(keysUnder({ policy })).toEqual(keys)
  })

  test('is lazy-tinylfu unless it is named', () => {
    expect(keysUnder({})).toEqual(keysUnder({ policy: 'lazy-tinylfu' }))
    expect(keysUnder({})).not.toEqual(keysUnder({ policy: 'lru' }))
  })

  test.each(['lazy-tinylfu', 'lru', 's3fifo', 'sieve'] as const)(
    '%s keeps the new entry of two, and of one',
    (policy) => {
      for (const maxEntries of [1, 2]) {
        const l1 = createL1<number>({ maxEntries, policy })
        for (let key = 0; key < 50; key++) {
          l1.set(key, key)
          expect(l1.get(key)).toBe(key)
          expect(l1.get(key)).toBe(key)
        }
        expect(l1.size).toBe(maxEntries)
      }
    },
  )
})

describe('ttl', () => {
  test('is how long entries live', () => {
    const clock = new ManualClock()
    const l1 = createL1<number>({ maxEntries: 3, ttl: '1s', clock })
    l1.set('key', 1)
    clock.advance(999)
    expect(l1.get('key')).toBe(1)
    clock.advance(1)
    expect(l1.get('key')).toBe(undefined)
  })

  test.each([undefined, null])('of %s means for ever', (ttl) => {
    const clock = new ManualClock()
    const l1 = create({ maxEntries: 3, ttl, clock }) as ReturnType<typeof createL1<number>>
    l1.set('key', 1)
    clock.advance(1e12)
    expect([l1.get('key'), clock.timers]).toEqual([1, 0])
  })

  test('of 0 stores only what has a ttl of its own', () => {
    const l1 = createL1<number>({ maxEntries: 3, ttl: 0 })
    expect([l1.set('a', 1), l1.set('b', 1, { ttl: '1m' }), [...l1.keys()]]).toEqual([false, true, ['b']])
  })

  test.each([NaN, -1, Infinity])('of %s is a RangeError that names the option', (ttl) => {
    expect(() => create({ maxEntries: 3, ttl })).toThrow(RangeError)
    expect(() => create({ maxEntries: 3, ttl })).toThrow(/^ttl: /)
  })

  test('that is no duration is a TypeError', () => {
    expect(() => create({ maxEntries: 3, ttl: '5 minutes' })).toThrow(TypeError)
    expect(() => createL1({ maxEntries: 3 }).set('key', 1, { ttl: 'soon' as '1s' })).toThrow(TypeError)
  })
})

describe('clockResolution', () => {
  /** Whether an entry is served after its deadline while no timer can run. */
  function servesLate(options: Partial<L1Options<number>>): boolean {
    const clock = new ManualClock()
    let heldMs = 0
    const held = {
      now: () => clock.now() + heldMs,
      wallNow: () => clock.wallNow(),
      setTimer: clock.setTimer.bind(clock),
    }
    const l1 = createL1<number>({ maxEntries: 3, clock: held, ...options })
    l1.set('key', 1, { ttl: 100 })
    l1.get('key')
    heldMs = 500
    return l1.has('key')
  }

  test('is 1 ms, so work that holds the event loop delays expiry', () => {
    expect(servesLate({})).toBe(true)
  })

  test('of 0 reads the clock each time', () => {
    expect(servesLate({ clockResolution: 0 })).toBe(false)
  })

  test.each([-1, NaN, Infinity])('of %s is a RangeError', (clockResolution) => {
    expect(() => create({ maxEntries: 3, clockResolution })).toThrow(RangeError)
    expect(() => create({ maxEntries: 3, clockResolution })).toThrow(/^clockResolution: /)
  })
})

test.each([
  [
    { policy: 'fifo' },
    `policy: "fifo" is not a policy; there are 'gdsf', 'lazy-tinylfu', 'lru', 's3fifo', 'sieve'`,
  ],
  [{ policy: null }, 'policy: null is not a policy'],
  [{ policy: 'toString' }, 'policy: "toString" is not a policy'],
  [{ values: 'clone' }, `values: "clone" is not one of 'reference', 'bytes'`],
  [{ onRemoval: 'log' }, 'onRemoval: "log" is not a function'],
  [{ clock: {} }, 'clock: an object has no now(), wallNow() and setTimer()'],
  [{ clock: null }, 'clock: null has no now()'],
  [{ random: Math.random }, 'random: a function has no bytes()'],
])('an option that is wrong is a TypeError that says so: %j', (options, message) => {
  expect(() => create({ maxEntries: 3, ...options })).toThrow(TypeError)
  expect(() => create({ maxEntries: 3, ...options })).toThrow(message)
})

test.each([
  ['maxentries', 'maxEntries'],
  ['maxEntires', 'maxEntries'],
  ['onRemova', 'onRemoval'],
  ['tll', 'ttl'],
])('an unknown option is refused: %s, did you mean %s?', (given, meant) => {
  expect(() => create({ maxEntries: 3, [given]: 1 })).toThrow(TypeError)
  expect(() => create({ maxEntries: 3, [given]: 1 })).toThrow(
    `createL1: there is no option "${given}"; did you mean ${meant}?`,
  )
})

test('an unknown option that is near to none is answered with all', () => {
  expect(() => create({ maxEntries: 3, allowStale: true })).toThrow(
    'createL1: there is no option "allowStale"; it knows clock, clockResolution, clone, cloneOn, codec, freeze, maxBytes, maxEntries, maxEntryBytes, onRemoval, policy, random, restore, sizeOf, touchOnGet, ttl, values',
  )
})

test.each([undefined, null, 1_000])('options have to be an object: %s', (options) => {
  expect(() => create(options)).toThrow(TypeError)
})

test('two caches share nothing', () => {
  const first = createL1<number>({ maxEntries: 3 })
  const second = createL1<number>({ maxEntries: 3 })
  first.set('key', 1)
  expect(second.get('key')).toBe(undefined)
})

describe('touchOnGet', () => {
  function open(touchOnGet: boolean) {
    const clock = new ManualClock()
    return {
      clock,
      l1: createL1<number>({ maxEntries: 10, ttl: 100, clock, clockResolution: 0, touchOnGet }),
    }
  }

  test('an entry that is used lives on, each time for its own ttl', () => {
    const { clock, l1 } = open(true)
    l1.set('short', 1)
    l1.set('long', 2, { ttl: 1_000 })
    const prepared = l1.prepare('long')
    for (let turn = 0; turn < 20; turn++) {
      clock.advance(90)
      expect([l1.get('short'), prepared.get()]).toEqual([1, 2])
    }
    clock.advance(100)
    expect([l1.get('short'), l1.get('long')]).toEqual([undefined, 2])
    clock.advance(999)
    expect(prepared.get()).toBe(2)
    clock.advance(1_000)
    expect(prepared.get()).toBe(undefined)
  })

  test('peek, has, entries and inspect are no uses', () => {
    const { clock, l1 } = open(true)
    l1.set('key', 1)
    clock.advance(90)
    expect([l1.peek('key'), l1.has('key'), [...l1.keys()], l1.inspect('key')?.freshForMs]).toEqual([
      1,
      true,
      ['key'],
      10,
    ])
    clock.advance(10)
    expect(l1.has('key')).toBe(false)
  })

  test('touch gives the ttl that later uses renew', () => {
    const { clock, l1 } = open(true)
    l1.set('key', 1)
    l1.touch('key', { ttl: 300 })
    clock.advance(250)
    l1.get('key')
    expect(l1.inspect('key')?.freshForMs).toBe(300)
  })

  test('without it, or without a ttl, a use changes no deadline', () => {
    const { clock, l1 } = open(false)
    l1.set('key', 1)
    clock.advance(60)
    l1.get('key')
    expect(l1.inspect('key')?.freshForMs).toBe(40)
    const sliding = open(true).l1
    sliding.set('key', 1, { ttl: null })
    sliding.get('key')
    expect(sliding.inspect('key')?.freshForMs).toBe(Infinity)
  })
})

describe('inspect', () => {
  test('shows the times, the key and what the policy knows, and is no use', () => {
    const clock = new ManualClock()
    const l1 = createL1<number>({ maxEntries: 4, clock, clockResolution: 0 })
    for (const key of ['a', 'b', 'c', 'd']) l1.set(key, 1, { ttl: 1_000 })
    for (let use = 0; use < 2; use++) l1.get('a')
    clock.advance(400)
    const before = l1.stats()
    expect(l1.inspect('a')).toEqual({
      state: 'fresh',
      freshForMs: 600,
      usableForMs: 600,
      slot: 0,
      generation: 0,
      keyBytes: 1,
      policy: { name: 'lazy-tinylfu', queue: 'probation', uses: 2, frequency: 1 },
    })
    expect(l1.inspect('d')?.policy.queue).toBe('window')
    expect(l1.stats()).toEqual(before)
  })

  test.each([
    ['lru', { queue: undefined, uses: 0 }],
    ['sieve', { queue: undefined, uses: 1 }],
    ['s3fifo', { queue: 'small', uses: 2 }],
  ] as const)('knows as much as %s does', (policy, known) => {
    const l1 = createL1<number>({ maxEntries: 4, policy })
    l1.set('\u0416', 1)
    l1.get('\u0416')
    l1.get('\u0416')
    expect(l1.inspect('\u0416')).toMatchObject({ keyBytes: 2, policy: { name: policy, ...known } })
  })

  test('has nothing to say of a key that is not there', () => {
    expect(createL1<number>({ maxEntries: 4 }).inspect('a')).toBe(undefined)
  })
})
