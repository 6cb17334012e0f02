// The core under a budget in bytes, with the values in its memory or weights alone, against plain models: what is
// there and with which bytes, who leaves and in which order, what has to wait for a drain. After each operation of a
// small cache the core checks its own invariants, the heap's among them.
//
// The number of victims is for the heap to say, so the model is asked for as many as there were, and the rest of the
// promise is checked apart: the last one was needed, and the memory is that of the budget.

import { describe, expect, test } from 'vitest'
import {
  BYTES,
  budgetPolicies,
  keysOf,
  openTestingCore,
  REPORT_KEYS,
  removalsOf,
  sizeOf,
  stage,
  statsOf,
  type TestingCore,
  WEIGHED,
} from '../core/open-core.ts'
import { SEED, SeededRandom } from '../core/random.ts'
import { scale } from '../support/long.ts'
import { GdsfModel } from './policies/gdsf-model.ts'
import { LazyTinyLfuModel } from './policies/lazy-tinylfu-model.ts'
import { LruModel } from './policies/lru-model.ts'
import type { BudgetModel, Key, ModelOptions } from './policies/policy-model.ts'
import { S3FifoModel } from './policies/s3fifo-model.ts'
import { SieveModel } from './policies/sieve-model.ts'

type PolicyName = keyof typeof budgetPolicies

const models: Record<Exclude<PolicyName, 'gdsf'>, new (options: ModelOptions) => BudgetModel> = {
  lru: LruModel,
  'lazy-tinylfu': LazyTinyLfuModel,
  sieve: SieveModel,
  s3fifo: S3FifoModel,
}

/** Of one slot at `valuesAt`. */
const SLOT_BYTES = 8
/** Where the core keeps the hash of the current key. */
const CURRENT_KEY_AT = 96
/** The host has to drain and call again. */
const WAIT = -3

interface Shape {
  readonly maxBytes: number
  readonly maxEntries: number
  readonly steps: number
  readonly largest: number
}

/** Values of a byte to an eighth of the heap, few and many, small ones and ones of one size. */
const inBytes: readonly Shape[] = [
  { maxBytes: 262_144, maxEntries: 40, steps: 4_000, largest: 8_000 },
  { maxBytes: 262_144, maxEntries: 300, steps: 8_000, largest: 2_000 },
  { maxBytes: 327_680, maxEntries: 1_000, steps: 20_000, largest: 600 },
  { maxBytes: 1_048_576, maxEntries: 4_000, steps: 30_000, largest: 5_000 },
]

const byReference: readonly Shape[] = [
  { maxBytes: 1, maxEntries: 10, steps: 1_000, largest: 1 },
  { maxBytes: 1_000, maxEntries: 20, steps: 5_000, largest: 300 },
  { maxBytes: 50_000, maxEntries: 1_000, steps: 8_000, largest: 500 },
  { maxBytes: 4_000_000_000, maxEntries: 500, steps: 10_000, largest: 40_000_000 },
]

for (const policy of Object.keys(budgetPolicies) as PolicyName[]) {
  describe(policy, () => {
    test.each(inBytes)(
      'values in $maxBytes bytes, $maxEntries entries',
      (shape) => new Run(policy, shape, true).go(),
      60_000 * scale,
    )

    test.each(byReference)(
      'weights up to $maxBytes, $maxEntries entries',
      (shape) => new Run(policy, shape, false).go(),
      60_000 * scale,
    )
  })
}

interface Resident {
  deadline: number
  weight: number
  /** What its bytes were drawn from, and how many there are. */
  stamp: number
  bytes: number
  slot: number
  isHidden: boolean
}

class Run {
  readonly #policy: PolicyName
  readonly #shape: Shape
  readonly #isInBytes: boolean
  readonly #random: SeededRandom
  readonly #seed: number
  readonly #core: TestingCore
  /** Reports nothing, and has to do the same. */
  readonly #silent: TestingCore
  readonly #capacity: number
  #model: BudgetModel
  readonly #residents = new Map<Key, Resident>()
  readonly #hashes = new Map<Key, number>()
  readonly #keyAt = new Map<number, Key>()
  #usedSlots = 0
  #coming: { key: Key; weight: number } | undefined
  #now = 1_000
  #operations = 0
  #what = ''
  #evictions = 0
  #lent: { key: Key; block: number; silent: number } | undefined

  constructor(policy: PolicyName, shape: Shape, isInBytes: boolean) {
    this.#policy = policy
    this.#shape = shape
    this.#isInBytes = isInBytes
    this.#random = new SeededRandom(SEED + shape.maxBytes + shape.maxEntries)
    this.#seed = this.#random.bits()
    const { maxBytes, maxEntries } = shape
    const open = (reports: number) =>
      openTestingCore({
        maxEntries,
        maxBytes,
        policy,
        flags: WEIGHED | (isInBytes ? BYTES : 0) | reports,
        seed: [this.#seed, 2, 3, 4, 5].map(BigInt),
      })
    this.#core = open(REPORT_KEYS)
    this.#silent = open(0)
    this.#capacity = isInBytes ? (this.#core.heapEnd() >>> 0) - (this.#core.heapAt() >>> 0) - 16 : maxBytes
    this.#model = this.#newModel()
  }

  go(): void {
    const { steps, maxEntries } = this.#shape
    const checkEvery = maxEntries <= 40 ? 1 : Math.ceil(maxEntries / 20)
    for (let step = 0; step < steps * scale; step++) {
      this.#step()
      if (step % checkEvery === 0) this.#compare()
    }
    this.#compare()
    expect(this.#evictions, this.#where('evictions')).toBeGreaterThan(maxEntries)
    expect(this.#core.memory.buffer.byteLength, this.#where('memory')).toBeLessThanOrEqual(
      this.#isInBytes ? this.#shape.maxBytes : Infinity,
    )
  }

  #step(): void {
    const random = this.#random
    const range = this.#shape.maxEntries * 2 + 3
    const skew = Math.floor(this.#operations / (this.#shape.maxEntries * 5 + 50)) % 2 === 0 ? 1 : 3
    const key = Math.floor(range * (random.bits() / 2 ** 32) ** skew)
    const chance = random.below(1_000)
    if (random.below(8) === 0) this.#now += random.below(20)
    if (chance < 550) {
      if (!this.#get(key)) this.#set(key)
    } else if (chance < 850) this.#set(key)
    else if (chance < 900) this.#delete(key)
    else if (chance < 930) this.#hide(key)
    else if (chance < 960) this.#advance()
    else if (chance < 980) this.#lend(key)
    else if (chance < 999) this.#get(key)
    else if (random.below(this.#shape.maxEntries) === 0) this.#clear()
  }

  #compare(): void {
    this.#same('broken invariant', this.#core.check(), 0)
    this.#same('broken invariant, silent', this.#silent.check(), 0)
    this.#same('size', sizeOf(this.#core), this.#residents.size)
    this.#sameList('order', keysOf(this.#core).map(numberOf), this.#model.keys())
    this.#sameList('order, silent', keysOf(this.#silent).map(numberOf), this.#model.keys())
  }

  #get(key: Key): boolean {
    this.#begin(`get ${key}`)
    const answer = this.#both((core) => {
      stage(core, keyFor(key))
      return core.get(this.#now)
    })
    const resident = this.#residents.get(key)
    const isFound = resident !== undefined && !resident.isHidden
    if (isFound && this.#isExpired(key)) this.#removed([key])
    else this.#removed([])
    const isHit = isFound && this.#residents.has(key)
    this.#same('answer', answer >= 0, isHit)
    if (isHit) {
      this.#model.hit(key)
      this.#checkBytes(this.#core, resident)
      this.#checkBytes(this.#silent, resident)
    }
    return isHit
  }

  #set(key: Key): void {
    this.#begin(`set ${key}`)
    const random = this.#random
    const { largest } = this.#shape
    const before = this.#residents.get(key)
    const isSameSize = before !== undefined && random.below(3) === 0
    const drawn = random.below(10) === 0 ? random.below(largest) : random.below(Math.ceil(largest / 10))
    const bytes = isSameSize ? before.bytes : drawn + (this.#isInBytes ? 0 : 1)
    const stamp = random.below(256)
    const weight = this.#isInBytes ? blockBytes(key, bytes) : Math.min(bytes, this.#shape.maxBytes)
    const deadline = random.below(4) === 0 ? this.#now + 1 + random.below(3_000) : Infinity
    if (before !== undefined && this.#isExpired(key))
      this.#expect([key], this.#write(key, weight, bytes, deadline))

    const isThere = this.#residents.has(key)
    stage(this.#core, keyFor(key))
    this.#hashes.set(key, new DataView(this.#core.memory.buffer).getUint32(CURRENT_KEY_AT, true))
    this.#coming = { key, weight }
    if (isThere) this.#model.hit(key)
    else this.#model.arrive(key)
    let isResident = isThere
    let answer = WAIT
    let last = 0
    // Each time that the core asks for it, and until the write has happened.
    while (answer === WAIT) {
      const oldWeight = this.#residents.get(key)?.weight ?? 0
      answer = this.#write(key, weight, bytes, deadline)
      for (const { key: text, cause } of removalsOf(this.#core)) {
        const gone = numberOf(text)
        if (cause === 'expired') {
          if (!this.#isExpired(gone)) this.#fail(`${gone} expired early`)
          this.#model.remove(gone)
        } else {
          if (!isResident) this.#coming = { key, weight }
          else this.#coming = { key, weight: oldWeight }
          this.#same('evicted', gone, this.#model.victim(isResident ? 0 : weight))
          this.#evictions++
          last = this.#residents.get(gone)?.weight ?? 0
          if (gone === key) {
            isResident = false
            this.#coming = { key, weight }
          }
        }
        this.#forget(gone)
        if (gone === key) {
          isResident = false
          this.#coming = { key, weight }
          this.#model.arrive(key)
        }
      }
      this.#core.drain()
      this.#silent.drain()
    }
    if (answer < 0) {
      this.#same('refused', answer, -1)
      this.#same('pins', this.#lent !== undefined, true)
      this.#residents.delete(key)
      this.#coming = undefined
      return
    }
    this.#same('outcome', answer & 7, isResident ? 1 : 0)
    const slot = answer >> 3
    this.#usedSlots = Math.max(this.#usedSlots, slot + 1)
    this.#keyAt.set(slot, key)
    if (!isResident) this.#model.enter(key)
    this.#residents.set(key, { deadline, weight, stamp, bytes, slot, isHidden: false })
    this.#coming = undefined
    if (isResident) this.#model.resize(key)
    this.#fill(this.#core, slot, stamp, bytes)
    this.#fill(this.#silent, slot, stamp, bytes)
    // What had no room behind it gave its old block up when it had another.
    if (last > 0) this.#checkNeed(weight + (before?.weight ?? 0), last)
  }

  /** The last victim was needed: without it there would not have been room, or only in holes. */
  #checkNeed(added: number, last: number): void {
    let total = 0
    for (const resident of this.#residents.values()) total += resident.weight
    const isFull = this.#residents.size === this.#shape.maxEntries
    if (!this.#isInBytes) {
      if (total + last <= this.#capacity && !isFull) this.#fail('an entry was evicted without need')
    } else if (this.#lent === undefined && !isFull) {
      // What lies in the way of a block may be as large as any, and too large for the holes there are.
      const largest = Math.max(...[...this.#residents.values()].map((resident) => resident.weight))
      const slack = Math.floor(this.#capacity / 32) + largest
      if (this.#core.freeBytes() > added + last + slack)
        this.#fail(`${this.#core.freeBytes()} bytes are free`)
    }
  }

  #write(key: Key, weight: number, bytes: number, deadline: number): number {
    return this.#both((core) => {
      stage(core, keyFor(key))
      core.valueNext(this.#isInBytes ? bytes : weight, key % 5, 0)
      return core.set(deadline, deadline, this.#now)
    })
  }

  #delete(key: Key): void {
    this.#begin(`delete ${key}`)
    const isThere = this.#residents.has(key)
    const isExpired = isThere && this.#isExpired(key)
    const answer = this.#both((core) => {
      stage(core, keyFor(key))
      return core.remove(this.#now)
    })
    this.#same('answer', answer >= 0, isThere && !isExpired)
    this.#removed(isExpired ? [key] : [])
    if (!isThere || isExpired) return
    this.#model.remove(key)
    this.#forget(key)
  }

  #hide(key: Key): void {
    this.#begin(`hide ${key}`)
    const answer = this.#both((core) => {
      stage(core, keyFor(key))
      return core.hide()
    })
    const resident = this.#residents.get(key)
    this.#same('answer', answer >= 0, resident !== undefined)
    if (resident !== undefined) resident.isHidden = true
  }

  #advance(): void {
    this.#begin('advance')
    const budget = this.#random.below(5)
    this.#both((core) => core.advance(this.#now, budget))
    this.#removed(removalsOf(this.#core).map(({ key }) => numberOf(key)))
  }

  /** Keeps the bytes of one entry for some operations, whatever becomes of it. */
  #lend(key: Key): void {
    if (!this.#isInBytes) return
    const lent = this.#lent
    if (lent !== undefined) {
      this.#begin(`unlend ${lent.key}`)
      this.#core.unlend(lent.block)
      this.#silent.unlend(lent.silent)
      this.#lent = undefined
      return
    }
    const resident = this.#residents.get(key)
    if (resident === undefined) return
    this.#begin(`lend ${key}`)
    this.#lent = { key, block: this.#core.lend(resident.slot), silent: this.#silent.lend(resident.slot) }
  }

  #clear(): void {
    this.#begin('clear')
    this.#both((core) => {
      core.clear()
      return 0
    })
    this.#residents.clear()
    this.#keyAt.clear()
    this.#usedSlots = 0
    this.#model = this.#newModel()
  }

  /** The same on both cores, which have to answer the same; what the one waits for, the other has done at once. */
  #both(operate: (core: TestingCore) => number): number {
    const answer = operate(this.#core)
    if (answer === WAIT) return answer
    let silent = operate(this.#silent)
    while (silent === WAIT) {
      this.#silent.drain()
      silent = operate(this.#silent)
    }
    this.#same('silent answer', silent, answer)
    return answer
  }

  #fill(core: TestingCore, slot: number, stamp: number, bytes: number): void {
    if (!this.#isInBytes) return
    const at = new DataView(core.memory.buffer).getUint32((core.valuesAt() >>> 0) + slot * SLOT_BYTES, true)
    new Uint8Array(core.memory.buffer, at, bytes).fill(stamp)
  }

  #checkBytes(core: TestingCore, { slot, stamp, bytes }: Resident): void {
    if (!this.#isInBytes) return
    const view = new DataView(core.memory.buffer)
    const at = view.getUint32((core.valuesAt() >>> 0) + slot * SLOT_BYTES, true)
    this.#same('bytes', view.getUint32((core.valuesAt() >>> 0) + slot * SLOT_BYTES + 4, true) >>> 3, bytes)
    const held = new Uint8Array(core.memory.buffer, at, bytes)
    if (!held.every((byte) => byte === stamp)) this.#fail('bytes of another value')
  }

  #removed(expected: readonly Key[]): void {
    this.#expect(expected)
    this.#core.drain()
    this.#silent.drain()
  }

  #expect(expected: readonly Key[], answer?: number): void {
    if (answer !== undefined) this.#same('answer', answer, WAIT)
    this.#sameList(
      'removals',
      removalsOf(this.#core).map(({ key }) => numberOf(key)),
      expected,
    )
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
    const resident = this.#residents.get(key)
    if (resident === undefined) return
    this.#residents.delete(key)
    this.#keyAt.delete(resident.slot)
  }

  #isExpired(key: Key): boolean {
    return (this.#residents.get(key)?.deadline ?? Infinity) <= this.#now
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
    const { maxBytes, maxEntries } = this.#shape
    const run = `SEED=${SEED} ${this.#policy}, ${maxBytes} bytes, ${maxEntries} entries`
    return `${run}, operation ${this.#operations}, ${this.#what}: ${what}; ${JSON.stringify(statsOf(this.#core))}`
  }

  #newModel(): BudgetModel {
    const options: ModelOptions = {
      maxEntries: this.#shape.maxEntries,
      capacity: this.#capacity,
      weightOf: (key) =>
        this.#coming?.key === key ? this.#coming.weight : (this.#residents.get(key)?.weight ?? 0),
      size: () => this.#residents.size,
      seed: this.#seed,
      hashOf: (key) => this.#hashes.get(key) as number,
      isExpired: (key) => this.#isExpired(key),
    }
    if (this.#policy !== 'gdsf') return new models[this.#policy](options)
    return new GdsfModel(options, { keyAt: (slot) => this.#keyAt.get(slot), used: () => this.#usedSlots })
  }
}

/** Every fourth key is too long for its record. */
function keyFor(key: Key): string | number {
  return key % 4 === 0 ? `${key} is the number of a long key${'.'.repeat(10 + (key % 50))}` : key
}

function numberOf(key: string | number): Key {
  return typeof key === 'number' ? key : Number.parseInt(key, 10)
}

function blockBytes(key: Key, bytes: number): number {
  const text = keyFor(key)
  const inBlock = typeof text === 'number' || text.length <= 32 ? 0 : Math.ceil(text.length / 8) * 8
  return Math.ceil((inBlock + bytes + 8) / 16) * 16
}
