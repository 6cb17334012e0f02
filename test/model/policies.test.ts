// Every eviction policy of the core against a plain version of it, operation by operation: who is there, who
// leaves, and in which order all would. Random operations with deletions, deadlines, overwriting and hidden
// entries, and the recorded trace that ships.

import { describe, expect, test } from 'vitest'
import { readTrace } from '../../traces/read-trace.js'
import {
  keysOf,
  openTestingCore,
  policies,
  REPORT_KEYS,
  removalsOf,
  sizeOf,
  type TestingCore,
} from '../core/open-core.ts'
import { SEED, SeededRandom } from '../core/random.ts'
import { scale } from '../support/long.ts'
import { LazyTinyLfuModel } from './policies/lazy-tinylfu-model.ts'
import { LruModel } from './policies/lru-model.ts'
import type { Key, ModelOptions, PolicyModel } from './policies/policy-model.ts'
import { S3FifoModel } from './policies/s3fifo-model.ts'
import { SieveModel } from './policies/sieve-model.ts'

type PolicyName = keyof typeof policies

const models: Record<PolicyName, new (options: ModelOptions) => PolicyModel> = {
  lru: LruModel,
  'lazy-tinylfu': LazyTinyLfuModel,
  sieve: SieveModel,
  s3fifo: S3FifoModel,
}

/** Entries, operations. From 4,096 entries on lazy-tinylfu counts the age of ghosts in steps, s3fifo from 569. */
const sizes = [
  [1, 4_000],
  [2, 4_000],
  [3, 4_000],
  [5, 4_000],
  [9, 4_000],
  [10, 4_000],
  [11, 4_000],
  [20, 8_000],
  [64, 10_000],
  [150, 20_000],
  [1_000, 60_000],
  [5_000, 60_000],
] as const

const web12 = await readTrace(new URL('../../traces/web12.ctr.gz', import.meta.url))

for (const name of Object.keys(policies) as PolicyName[]) {
  describe(name, () => {
    test.each(sizes)(
      '%d entries agree with the model over %d operations',
      (maxEntries, steps) => {
        const run = new Run(name, maxEntries, SEED + maxEntries)
        for (let step = 0; step < steps * scale; step++) run.step()
        run.finish()
      },
      60_000 * scale,
    )

    test.each([0.1, 1, 10])(
      'a recorded day of a web shop, with room for %d percent of its keys',
      (percent) => {
        const maxEntries = Math.max(10, Math.round((web12.uniqueKeys * percent) / 100))
        const run = new Run(name, maxEntries, SEED)
        for (const key of web12.keys) run.request(key)
        run.finish()
      },
      60_000 * scale,
    )
  })
}

class Run {
  readonly #policy: PolicyName
  readonly #maxEntries: number
  readonly #random: SeededRandom
  readonly #core: TestingCore
  #model: PolicyModel
  readonly #hashes = new Map<Key, number>()
  /** Deadlines of all residents. */
  readonly #residents = new Map<Key, number>()
  readonly #hidden = new Set<Key>()
  readonly #seed: number
  #now = 1_000
  #operations = 0
  #what = ''
  #evictions = 0

  constructor(policy: PolicyName, maxEntries: number, seed: number) {
    this.#policy = policy
    this.#maxEntries = maxEntries
    this.#random = new SeededRandom(seed)
    this.#seed = this.#random.bits()
    const secrets = [this.#seed, 2, 3, 4, 5].map(BigInt)
    this.#core = openTestingCore({ maxEntries, policy, flags: REPORT_KEYS, seed: secrets })
    this.#model = this.#newModel()
  }

  step(): void {
    const random = this.#random
    // Times of much change and times of few hot keys; and now and then a scan.
    const turn = Math.floor(this.#operations / (this.#maxEntries * 5 + 50)) % 4
    const skew = turn === 0 ? 1 : turn === 1 ? 2 : 4
    const range = this.#maxEntries * 3 + 3
    const key = turn === 3 ? this.#operations % range : Math.floor(range * (random.bits() / 2 ** 32) ** skew)
    const chance = random.below(1_000)
    if (random.below(8) === 0) this.#now += random.below(20)
    if (chance < 600) this.request(key)
    else if (chance < 800) this.#set(key)
    else if (chance < 850) this.#delete(key)
    else if (chance < 900) this.#touch(key)
    else if (chance < 920) this.#hide(key)
    else if (chance < 950) this.#advance()
    else if (chance < 999) this.#get(key)
    else if (random.below(this.#maxEntries) === 0) this.#clear()
    if (this.#operations % Math.ceil(this.#maxEntries / 20) === 0) this.#compare()
  }

  /** What most callers do: ask, and store what was not there. */
  request(key: Key): void {
    if (!this.#get(key)) this.#set(key)
  }

  finish(): void {
    this.#compare()
    // A run in which hardly anything was evicted would have shown nothing.
    expect(this.#evictions, this.#where('evictions')).toBeGreaterThan(this.#maxEntries)
  }

  /** The whole state. */
  #compare(): void {
    this.#same('broken invariant', this.#core.check(), 0)
    this.#same('size', sizeOf(this.#core), this.#residents.size)
    if (this.#residents.size > this.#maxEntries) this.#fail('more entries than maxEntries')
    this.#sameList('order', keysOf(this.#core), this.#model.keys())
  }

  #get(key: Key): boolean {
    this.#begin(`get ${key}`)
    const isHit = this.#core.getInteger(key, this.#now) >= 0
    const isFound = this.#residents.has(key) && !this.#hidden.has(key)
    this.#removed(isFound && this.#isExpired(key) ? [key] : [])
    this.#same('answer', isHit, isFound && this.#residents.has(key))
    if (isHit) this.#model.hit(key)
    return isHit
  }

  #set(key: Key): void {
    this.#begin(`set ${key}`)
    const deadline = this.#deadline()
    const slot = this.#core.setInteger(key, deadline, deadline, this.#now) >> 3
    this.#hidden.delete(key)
    if (this.#residents.has(key)) {
      this.#removed([])
      this.#model.hit(key)
    } else {
      const view = new DataView(this.#core.memory.buffer)
      this.#hashes.set(key, view.getUint32(this.#core.recordsAt() + slot * 64, true))
      this.#inserted(key)
    }
    this.#residents.set(key, deadline)
  }

  #inserted(key: Key): void {
    const removals = removalsOf(this.#core)
    const keysBy = (cause: string) => removals.filter((one) => one.cause === cause).map((one) => one.key)
    const expired = keysBy('expired') as Key[]
    const [evicted, second] = keysBy('evicted') as Key[]
    for (const old of expired) {
      if (!this.#isExpired(old)) this.#fail(`${old} expired early`)
      this.#forget(old)
    }
    this.#same('evicted', evicted, this.#model.insert(key, expired))
    this.#same('evicted second', second, undefined)
    if (evicted !== undefined) {
      this.#forget(evicted)
      this.#evictions++
    }
    this.#core.drain()
  }

  #delete(key: Key): void {
    this.#begin(`delete ${key}`)
    this.#core.stageInteger(key)
    const wasThere = this.#residents.has(key)
    const isExpired = wasThere && this.#isExpired(key)
    this.#same('answer', this.#core.remove(this.#now) >= 0, wasThere && !isExpired)
    this.#removed(isExpired ? [key] : [])
    if (!wasThere || isExpired) return
    this.#model.remove(key)
    this.#forget(key)
  }

  #touch(key: Key): void {
    this.#begin(`touch ${key}`)
    const deadline = this.#deadline()
    const isUsable = this.#residents.has(key) && !this.#hidden.has(key) && !this.#isExpired(key)
    this.#core.stageInteger(key)
    const isTouched = this.#core.touch(deadline, deadline, this.#now) >= 0
    this.#same('answer', isTouched, isUsable)
    this.#removed([])
    if (!isTouched) return
    this.#model.hit(key)
    this.#residents.set(key, deadline)
  }

  #hide(key: Key): void {
    this.#begin(`hide ${key}`)
    this.#core.stageInteger(key)
    this.#same('answer', this.#core.hide() >= 0, this.#residents.has(key))
    if (this.#residents.has(key)) this.#hidden.add(key)
  }

  #advance(): void {
    this.#begin('advance')
    this.#core.advance(this.#now, this.#random.below(5))
    this.#removed(removalsOf(this.#core).map(({ key }) => key as Key))
  }

  #clear(): void {
    this.#begin('clear')
    this.#core.clear()
    this.#residents.clear()
    this.#hidden.clear()
    this.#model = this.#newModel()
  }

  /** The operation removed these, which have expired, and nothing else. */
  #removed(expected: readonly Key[]): void {
    const removed = removalsOf(this.#core).map(({ key }) => key)
    this.#sameList('removals', removed, expected)
    for (const key of expected) {
      if (!this.#isExpired(key)) this.#fail(`${key} expired early`)
      this.#model.remove(key)
      this.#forget(key)
    }
    this.#core.drain()
  }

  #begin(what: string): void {
    this.#operations++
    this.#what = what
  }

  #forget(key: Key): void {
    this.#residents.delete(key)
    this.#hidden.delete(key)
  }

  #isExpired(key: Key): boolean {
    return (this.#residents.get(key) ?? Infinity) <= this.#now
  }

  #deadline(): number {
    return this.#random.below(4) === 0 ? this.#now + 1 + this.#random.below(3_000) : Infinity
  }

  #same(what: string, given: unknown, expected: unknown): void {
    if (given !== expected) this.#fail(`${what} ${given}, the model says ${expected}`)
  }

  #sameList(what: string, given: readonly unknown[], expected: readonly unknown[]): void {
    if (given.length === expected.length && given.every((one, at) => one === expected[at])) return
    this.#fail(`${what} ${given.slice(0, 20)}, the model says ${expected.slice(0, 20)}`)
  }

  #fail(what: string): never {
    expect.fail(this.#where(what))
  }

  #where(what: string): string {
    const run = `SEED=${SEED} ${this.#policy}, ${this.#maxEntries} entries`
    return `${run}, operation ${this.#operations}, ${this.#what}: ${what}`
  }

  #newModel(): PolicyModel {
    return new models[this.#policy]({
      maxEntries: this.#maxEntries,
      capacity: this.#maxEntries,
      weightOf: () => 1,
      size: undefined,
      seed: this.#seed,
      hashOf: (key) => this.#hashes.get(key) as number,
      isExpired: (key) => this.#isExpired(key),
    })
  }
}
