// One million random operations on L1 over the debug core under `lru`, and a quarter as many under each other
// policy, each compared with the obvious slow version: results, sizes, every removal with its key, value and
// cause, and under `lru` the order of eviction (policies.test.ts has that of the others). The core checks its own
// invariants after each operation in small caches and every n/64 operations in large ones.
//
// The listener uses the cache too. Operations are written down as they happen and replayed on the model, because
// the removals of an operation are told before those of the operations its listener runs.

import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import type { Clock } from '../../src/clock.ts'
import { jsonCodec } from '../../src/codecs/json.ts'
import { compileCore, instantiateCore } from '../../src/core/module.ts'
import { type EvictionPolicy, policyNumbers } from '../../src/core/policies.ts'
import { L1 } from '../../src/l1/l1.ts'
import type { PreparedKey } from '../../src/l1/prepared-key.ts'
import { ManualClock } from '../../src/testing/manual-clock.ts'
import { scale } from '../support/long.ts'
import { seed as SEED } from '../support/seed.ts'
import { seededRandom } from '../support/seeded-random.ts'
import { Broken, type Key, L1Model, type Removal } from './l1-model.ts'

const debugCore = compileCore(
  new Uint8Array(readFileSync(new URL('../../build/core.debug.wasm', import.meta.url))),
)

const YEAR_MS = 31_536_000_000

/** Entries, operations; together a million. */
const sizes = [
  [1, 60_000],
  [2, 60_000],
  [3, 60_000],
  [7, 80_000],
  [12, 80_000],
  [64, 160_000],
  [1_000, 250_000],
  [10_000, 250_000],
] as const

for (const keysBy of ['strings as they are', 'staged'] as const) {
  const isSkipped = keysBy === 'strings as they are' && !debugCore.readsStrings
  describe.skipIf(isSkipped)(`L1 agrees with the model, keys ${keysBy}`, () => {
    for (const [maxEntries, operations] of sizes) {
      // The paths of keys differ, what is behind them does not: half of the operations each where both exist.
      const steps = debugCore.readsStrings ? operations / 2 : operations
      test(
        `${maxEntries} entries, ${steps} operations`,
        () => {
          for (const resolution of [0, 1]) {
            const isStaged = keysBy === 'staged'
            const run = new Run('lru', SEED + maxEntries * 2 + resolution, maxEntries, resolution, isStaged)
            run.go((steps / 2) * scale)
          }
        },
        60_000 * scale,
      )
    }
  })
}

const others = (Object.keys(policyNumbers) as EvictionPolicy[]).filter(
  (policy) => policy !== 'lru' && policy !== 'gdsf',
)

describe.each(others)('L1 under %s agrees with the model as far as that goes', (policy) => {
  test.each(sizes)(
    '%d entries',
    (maxEntries, operations) => {
      const seed = SEED + maxEntries * 2
      new Run(policy, seed, maxEntries, maxEntries % 2, !debugCore.readsStrings).go((operations / 4) * scale)
    },
    60_000 * scale,
  )
})

describe.each(Object.keys(policyNumbers) as EvictionPolicy[])(
  'L1 with values as bytes under %s',
  (policy) => {
    test.each(sizes)(
      '%d entries',
      (maxEntries, operations) => {
        const seed = SEED + maxEntries * 2
        // A tenth, but as many as it takes to fill the cache.
        const steps = Math.floor(Math.max(operations / 10, maxEntries * 6) * scale)
        new Run(policy, seed, maxEntries, maxEntries % 2, !debugCore.readsStrings, true).go(steps)
      },
      60_000 * scale,
    )
  },
)

/** An operation that was done, to be replayed on the model. */
interface Done {
  readonly name: string
  readonly key: Key
  readonly value: unknown
  readonly ttl: number | null
  answer: unknown
  /** What the clock said. */
  readonly clock: number
  /** The time it went by, and how many removals it brought about: known when the first is told. */
  now: number
  removals: number
  isNoted: boolean
}

class Run {
  readonly #policy: EvictionPolicy
  readonly #maxEntries: number
  readonly #holdsBytes: boolean
  readonly #resolution: number
  readonly #touchOnGet: boolean
  readonly #random: () => number
  readonly #l1: L1<unknown>
  readonly #model: L1Model
  readonly #check: () => number
  readonly #timers = new ManualClock(5_000)
  readonly #keys: Key[]
  /** Keys that are asked for by a handle made at some time. */
  readonly #prepared = new Map<Key, PreparedKey<unknown>>()
  readonly #done: Done[] = []
  readonly #told: Removal[] = []
  readonly #counts = { hits: 0, misses: 0, evicted: 0, expired: 0, deleted: 0, replaced: 0 }
  /** What the clock is ahead of the timers, because someone set it or the process was stopped. */
  #offset = 0
  /** The latest time the L1 was told. */
  #latest = 0
  #deadlineSetAt = 0
  #removedBefore = 0
  #step = 0
  #values = 0

  constructor(
    policy: EvictionPolicy,
    seed: number,
    maxEntries: number,
    resolution: number,
    isStaged: boolean,
    holdsBytes = false,
  ) {
    this.#policy = policy
    this.#holdsBytes = holdsBytes
    this.#maxEntries = maxEntries
    this.#resolution = resolution
    this.#random = seededRandom(seed)
    // Half of the runs, in which uses make entries live on.
    this.#touchOnGet = this.#random() < 0.5
    const started = instantiateCore(debugCore)
    this.#check = (started.exports as unknown as { check(): number }).check
    this.#l1 = new L1<unknown>({
      maxEntries,
      policy,
      ttlMs: Infinity,
      clockResolutionMs: resolution,
      hasTimers: true,
      clock: this.#clock(),
      random: {
        next: this.#random,
        bytes: (count) => Uint8Array.from({ length: count }, () => this.#below(256)),
      },
      touchOnGet: this.#touchOnGet,
      onRemoval: (key, value, cause) => this.#hear({ key, value, cause }),
      snapshotCodec: jsonCodec(),
      partitions: 0,
      // So much that the limit is the number of entries, as the model has it; budget.test.ts has the other one.
      ...(holdsBytes ? { maxBytes: 2 ** 20 + maxEntries * 8_192, codec: jsonCodec() } : {}),
      instance: { exports: started.exports, readsStrings: started.readsStrings && !isStaged },
    })
    this.#model = new L1Model(maxEntries, policy === 'lru', this.#touchOnGet)
    const keys = new Set<Key>()
    for (let at = this.#below(1_000); keys.size < maxEntries * 1.7 + 4; at++) keys.add(keyNumber(at))
    this.#keys = [...keys]
  }

  go(steps: number): void {
    const checkEvery = this.#maxEntries <= 64 ? 1 : Math.ceil(this.#maxEntries / 64)
    for (this.#step = 0; this.#step < steps; this.#step++) {
      this.#draw()
      this.#replay()
      if (this.#step % checkEvery === 0) this.#checkCore()
    }
    this.#checkCore()
    const { hits, misses, evictions, expirations, deletes, replaces } = this.#l1.stats()
    expect({ hits, misses, evictions, expirations, deletes, replaces }, this.#where('stats')).toEqual({
      hits: this.#counts.hits,
      misses: this.#counts.misses,
      evictions: this.#counts.evicted,
      expirations: this.#counts.expired,
      deletes: this.#counts.deleted,
      replaces: this.#counts.replaced,
    })
    // A run in which nothing was evicted or expired would have shown nothing.
    expect(Math.min(evictions, expirations, deletes, replaces, hits), this.#where('stats')).toBeGreaterThan(0)
  }

  #draw(): void {
    const chance = this.#random()
    const listing = 2 / (this.#maxEntries + 50)
    if (chance < 0.03) this.#letTimePass()
    else if (chance < 0.03 + listing) this.#operate('entries', 0, () => [...this.#l1.entries()])
    else if (chance < 0.03 + 2 * listing) this.#operate('keys', 0, () => [...this.#l1.keys()])
    else if (chance < 0.03 + 2.02 * listing) this.#operate('clear', 0, () => this.#l1.clear())
    else this.#drawOnKey()
  }

  #drawOnKey(): void {
    const l1 = this.#l1
    // First each key once, then times of mostly writing, so that the cache is full, and times of everything.
    const isFilling = Math.floor(this.#step / (this.#maxEntries * 4 + 100)) % 2 === 0
    const key = this.#key(this.#step < this.#maxEntries ? this.#step : this.#below(this.#keys.length))
    const ttl = isFilling && this.#random() < 0.8 ? null : this.#ttl()
    const chance =
      this.#step < this.#maxEntries ? 1 : isFilling ? 0.55 + this.#random() * 0.45 : this.#random()
    const asker = this.#askerFor(key)
    if (chance < 0.35) this.#operate('get', key, () => asker.get())
    else if (chance < 0.43) this.#operate('peek', key, () => asker.peek())
    else if (chance < 0.5) this.#operate('has', key, () => asker.has())
    else if (chance < 0.58) this.#operate('delete', key, () => l1.delete(key))
    else if (chance < 0.65) this.#operate('touch', key, () => l1.touch(key, { ttl }), ttl)
    else {
      const value = this.#value()
      this.#operate('set', key, () => l1.set(key, value, { ttl }), ttl, value)
    }
  }

  /** Who asks for `key`: the cache, or one look-up in three a handle made now or earlier. */
  #askerFor(key: Key): Pick<PreparedKey<unknown>, 'get' | 'peek' | 'has'> {
    const l1 = this.#l1
    if (this.#random() >= 0.3) {
      return { get: () => l1.get(key), peek: () => l1.peek(key), has: () => l1.has(key) }
    }
    const known = this.#prepared.get(key)
    if (known !== undefined && this.#random() < 0.95) return known
    const prepared = l1.prepare(key)
    this.#prepared.set(key, prepared)
    return prepared
  }

  #operate(name: string, key: Key, run: () => unknown, ttl: number | null = null, value?: unknown): void {
    const clock = this.#timers.now() + this.#offset
    const done: Done = {
      name,
      key,
      value,
      ttl,
      answer: undefined,
      clock,
      now: 0,
      removals: 0,
      isNoted: false,
    }
    this.#done.push(done)
    done.answer = run()
    this.#note(done)
  }

  /** The first removal an operation tells of, or its end, is when what it did is complete. */
  #note(done: Done): void {
    if (done.isNoted) return
    done.isNoted = true
    done.now = this.#latest
    const { evictions, expirations, deletes, replaces } = this.#l1.stats()
    const removed = evictions + expirations + deletes + replaces
    done.removals = removed - this.#removedBefore
    this.#removedBefore = removed
  }

  #hear(removal: Removal): void {
    this.#note(this.#done.at(-1) as Done)
    this.#told.push(removal)
    if (this.#random() < 0.1) this.#drawOnKey()
  }

  #replay(): void {
    for (const done of this.#done) {
      const removals = this.#told.splice(0, done.removals)
      for (const { cause } of removals) this.#counts[cause]++
      try {
        this.#replayOne(done, removals)
      } catch (error) {
        if (error instanceof Broken) this.#fail(`${done.name} ${show(done.key)}: ${error.message}`)
        throw error
      }
    }
    this.#done.length = 0
    if (this.#told.length !== 0) this.#fail(`${this.#told.length} removals too many`)
    if (this.#l1.size !== this.#model.size) {
      this.#fail(`${this.#l1.size} entries, the model has ${this.#model.size}`)
    }
  }

  #replayOne(done: Done, removals: Removal[]): void {
    const model = this.#model
    const { name, key, value, ttl, now, answer } = done
    const deadline = ttl === null ? Infinity : now + ttl
    // With deadlines about, each operation that depends on the time goes by a reading not older than promised.
    const isTimeless = name === 'clear' || name === 'timer'
    if (!isTimeless && model.isTimed && now < done.clock - this.#resolution)
      throw new Broken('went by an old time')
    if (ttl === 0) {
      const existed = model.delete(key, removals, now)
      this.#same(done, answer, name === 'touch' && existed)
    } else if (name === 'get') {
      const expected = model.get(key, removals, now)
      this.#counts[expected === undefined ? 'misses' : 'hits']++
      if (this.#touchOnGet && expected !== undefined && model.hasDeadline(key)) this.#deadlineSetAt = now
      this.#same(done, answer, expected)
    } else if (name === 'peek') {
      this.#same(done, answer, model.peek(key, removals, now))
    } else if (name === 'has') {
      this.#same(done, answer, model.peek(key, removals, now) !== undefined)
    } else if (name === 'set') {
      model.set(key, value, deadline, removals, now)
      if (ttl !== null) this.#deadlineSetAt = now
      this.#same(done, answer, true)
    } else if (name === 'touch') {
      const found = model.touch(key, deadline, removals, now)
      if (found && ttl !== null) this.#deadlineSetAt = now
      this.#same(done, answer, found)
    } else if (name === 'delete') {
      this.#same(done, answer, model.delete(key, removals, now))
    } else if (name === 'clear') {
      model.clear(removals)
    } else if (name === 'timer') {
      model.expire(removals, now)
    } else {
      this.#sameList(done, answer as unknown[], model.usable(now), removals)
    }
  }

  #same(done: Done, answer: unknown, expected: unknown): void {
    if (answer === expected) return
    this.#fail(
      `${done.name} ${show(done.key)} at ${done.now}: ${show(answer)}, the model says ${show(expected)}`,
    )
  }

  #sameList(done: Done, answer: unknown[], expected: [Key, unknown][], removals: Removal[]): void {
    if (removals.length !== 0) throw new Broken('a list removed something')
    const values = new Map(expected)
    const isSame = answer.every((given, at) => {
      const key = done.name === 'keys' ? given : Array.isArray(given) && given[0]
      const isInOrder = this.#policy !== 'lru' || key === expected[at]?.[0]
      // Each once, whatever the order.
      const value = values.get(key as Key)
      return values.delete(key as Key) && isInOrder && (!Array.isArray(given) || given[1] === value)
    })
    if (answer.length !== expected.length || !isSame)
      this.#fail(`${done.name} are others, or in another order`)
  }

  #letTimePass(): void {
    const chance = this.#random()
    // Whole days are rare in a large cache, or it would never be full.
    const isLong = this.#random() < 200 / this.#maxEntries
    if (chance < 0.6) this.#advance(1 + this.#below(60))
    else if (chance < 0.8) this.#advance(1 + this.#below(isLong ? 6_000 : 60))
    else if (chance < 0.85) {
      // The clock goes back: time stands still here until it has caught up.
      this.#offset -= 1 + this.#below(2_000)
      this.#advance(1)
    } else if (!isLong) this.#jump(this.#below(1_000))
    else if (chance < 0.92) this.#advance(1 + this.#below(3_600_000))
    else if (chance < 0.94) this.#advance(1 + this.#below(4 * YEAR_MS))
    else this.#jump(this.#below(chance < 0.99 ? 60_000 : YEAR_MS))
    if (this.#resolution === 0 && this.#random() < 0.3) this.#advance(this.#random())
  }

  #advance(ms: number): void {
    this.#timers.advance(ms)
    this.#replay()
    this.#checkOverdue()
  }

  /** The process was stopped: time has passed, no timer has run. */
  #jump(ms: number): void {
    const untilSweep = Math.max(128, (this.#latest - this.#deadlineSetAt) / 8)
    this.#offset += ms
    this.#timers.advance(1)
    for (let left = this.#below(5); left > 0; left--) {
      this.#drawOnKey()
      this.#replay()
    }
    this.#advance(Math.ceil(untilSweep) + 2 + this.#maxEntries / 256)
  }

  /**
   * What nobody asks for is gone an eighth of its life after its deadline by the wheel and another by the sweep;
   * two ticks of the wheel, the shortest time between sweeps and a millisecond for each 256 entries come on top.
   */
  #checkOverdue(): void {
    const latestOf = (since: number, deadline: number): number => {
      const due = deadline + (deadline - since) / 8 + 256
      return due + Math.max(128, (due - since) / 8) + this.#maxEntries / 256 + 2
    }
    const overdue = this.#model.overdue(latestOf, this.#latest)
    if (overdue !== undefined) this.#fail(`${show(overdue)} should have expired by ${this.#latest}`)
  }

  #checkCore(): void {
    const broken = this.#check()
    if (broken !== 0) this.#fail(`invariant ${broken} of the core is broken`)
  }

  #clock(): Clock {
    return {
      now: () => {
        const now = this.#timers.now() + this.#offset
        this.#latest = Math.max(this.#latest, now)
        return now
      },
      wallNow: () => this.#timers.wallNow(),
      setTimer: (run, delayMs) => this.#timers.setTimer(() => this.#operate('timer', 0, run), delayMs),
    }
  }

  #key(at: number): Key {
    const key = this.#keys[at] as Key
    if (typeof key === 'number' || this.#random() < 0.5) return key
    // As it is when it was put together by the caller.
    const half = key.length >> 1
    return key.slice(0, half) + key.slice(half)
  }

  #value(): unknown {
    const number = ++this.#values
    // What comes back from bytes is another object each time, so the model could not compare it.
    if (this.#holdsBytes && number % 3 === 0)
      return ['v', '\u00e9', '\ud800'][number % 4]?.repeat(number % 1_000) ?? ''
    return number % 3 === 0
      ? { number }
      : number % 3 === 1
        ? number
        : number % 5 === 0
          ? null
          : `value ${number}`
  }

  #ttl(): number | null {
    const chance = this.#random()
    if (chance < 0.4) return null
    if (chance < 0.43) return 0
    if (chance < 0.7) return this.#random() * 300
    if (chance < 0.9) return this.#below(20_000) + 1
    if (chance < 0.97) return this.#below(86_400_000) + 1
    return chance < 0.999 ? 1e12 * this.#random() + 1 : 1e300
  }

  #below(limit: number): number {
    return Math.floor(this.#random() * limit)
  }

  #where(what: string): string {
    const run = `SEED=${SEED} ${this.#policy}, ${this.#maxEntries} entries, resolution ${this.#resolution}`
    return `${run}, step ${this.#step}: ${what}`
  }

  #fail(what: string): never {
    expect.fail(this.#where(what))
  }
}

/** Keys of all kinds; several would be one if anything were truncated, padded or converted. */
function keyNumber(at: number): Key {
  const kinds: readonly Key[] = [
    `key:${at}`,
    at - 12,
    String(at - 12),
    `user:${'0'.repeat(24)}:profile:${at}`,
    `aA\u0000${at}`,
    `a\u0141\u0100${at}`,
    `\ud800${at}`,
    `${at}\udc00`,
    `\u00e9\u00ff${at}`,
    'x'.repeat(at % 71),
    '\u00e6'.repeat(at % 71),
    '\u0416'.repeat(at % 71),
    'y'.repeat((at % 12) * 300),
    Number.MAX_SAFE_INTEGER - at,
    `${'\0'.repeat(at % 13)}`,
    `${'padded to thirty-two bytes here:'}${'\0'.repeat(at % 9)}`,
  ]
  return kinds[at % kinds.length] as Key
}

function show(value: unknown): string {
  return typeof value === 'string'
    ? JSON.stringify(value.slice(0, 60))
    : (JSON.stringify(value) ?? String(value))
}
