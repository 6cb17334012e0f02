// lazy-tinylfu as its pseudo-code says it: a new entry goes into the window first, and then room is made until
// window and cache have the size they should have. The core chooses the victim before the new entry is there, so
// that its slot can be used again; that both agree shows that this makes no difference. Under a budget in bytes, where
// the number of victims is for the heap to say, the model names them one by one as the core does.

import { GhostModel } from './ghost-model.ts'
import {
  type BudgetModel,
  type Key,
  type ModelOptions,
  type PolicyModel,
  takeOut,
  weightIn,
} from './policy-model.ts'
import { SketchModel } from './sketch-model.ts'

const MAX_REFERENCES = 3
const PROMOTE = 2
const GUARD = 16

/** Lazy TinyLFU, slowly. */
export class LazyTinyLfuModel implements PolicyModel, BudgetModel {
  readonly #options: ModelOptions
  readonly #leastTarget: number
  readonly #greatestTarget: number
  /** All with the head first. */
  readonly #window: Key[] = []
  readonly #probation: Key[] = []
  readonly #protected: Key[] = []
  readonly #references = new Map<Key, number>()
  readonly #sketch: SketchModel
  readonly #rejected: GhostModel
  readonly #displaced: GhostModel
  #target: number
  #random: number

  constructor(options: ModelOptions) {
    const { maxEntries, capacity, seed } = options
    this.#options = options
    this.#leastTarget = Math.max(1, Math.floor(capacity / 100))
    this.#greatestTarget = Math.max(1, Math.floor((capacity * 95) / 100))
    this.#target = Math.max(1, Math.floor(capacity / 10))
    this.#sketch = new SketchModel(options)
    const reach = Math.max(16, Math.floor(maxEntries / 8))
    this.#rejected = new GhostModel(reach, options)
    this.#displaced = new GhostModel(reach, options)
    this.#random = seed === 0 ? 0x9e3779b9 : seed
  }

  hit(key: Key): void {
    this.#references.set(key, Math.min(MAX_REFERENCES, this.#referencesOf(key) + 1))
  }

  remove(key: Key): void {
    takeOut([this.#window, this.#probation, this.#protected], key)
    this.#references.delete(key)
  }

  arrive(key: Key): void {
    const weight = this.#options.weightOf(key)
    if (this.#rejected.take(key)) {
      this.#target = Math.min(this.#greatestTarget, this.#target + weight)
      this.#trimProtected({ left: GUARD })
    } else if (this.#displaced.take(key)) {
      this.#target = Math.max(this.#leastTarget, this.#target - weight)
    }
    this.#sketch.add(key, 1)
  }

  victim(incoming: number): Key {
    const isMainEmpty = () => this.#probation.length + this.#protected.length === 0
    while (
      this.#window.length > 0 &&
      (this.#weightOf(this.#window) + incoming > this.#target || isMainEmpty())
    ) {
      const candidate = this.#window.at(-1) as Key
      if (this.#options.isExpired(candidate)) return this.#free(candidate)
      const isHot = this.#referencesOf(candidate) >= PROMOTE
      this.#settle(candidate)
      if (!isHot) return this.#contest(candidate, isMainEmpty())
      this.#window.pop()
      this.#probation.unshift(candidate)
    }
    return this.#displace(this.#coldest())
  }

  enter(key: Key): void {
    this.#window.unshift(key)
    this.#trimWindow()
  }

  resize(_key: Key): void {
    this.#trimWindow()
    this.#trimProtected({ left: GUARD })
  }

  insert(key: Key, expired: readonly Key[]): Key | undefined {
    this.arrive(key)
    for (const old of expired) this.remove(old)
    this.#window.unshift(key)
    const evicted: Key[] = []
    while (this.#window.length > this.#target || this.#size > this.#options.maxEntries) {
      const freed = this.#makeRoom()
      if (freed !== undefined) evicted.push(freed)
    }
    if (evicted.length > 1) throw new Error('the pseudo-code frees one entry at most')
    return evicted[0]
  }

  keys(): Key[] {
    return [...this.#protected, ...this.#probation, ...this.#window]
  }

  get #size(): number {
    return this.#window.length + this.#probation.length + this.#protected.length
  }

  #makeRoom(): Key | undefined {
    if (this.#window.length <= this.#target) return this.#displace(this.#coldest())
    const candidate = this.#window.at(-1) as Key
    if (this.#size > this.#options.maxEntries && this.#options.isExpired(candidate)) {
      return this.#free(candidate)
    }
    this.#window.pop()
    const isHot = this.#referencesOf(candidate) >= PROMOTE
    this.#settle(candidate)
    if (isHot || this.#size < this.#options.maxEntries) {
      this.#probation.unshift(candidate)
      return undefined
    }
    if (this.#probation.length + this.#protected.length > 0) {
      const victim = this.#coldest()
      if (this.#options.isExpired(victim) || this.#wins(candidate, victim)) {
        this.#displace(victim)
        this.#probation.unshift(candidate)
        return victim
      }
    }
    this.#rejected.note(candidate)
    return this.#free(candidate)
  }

  /** The loser of the contest at the window's tail has left. */
  #contest(candidate: Key, isMainEmpty: boolean): Key {
    if (!isMainEmpty) {
      const resident = this.#coldest()
      if (this.#options.isExpired(resident) || this.#wins(candidate, resident)) {
        takeOut([this.#window], candidate)
        this.#probation.unshift(candidate)
        return this.#displace(resident)
      }
    }
    this.#rejected.note(candidate)
    return this.#free(candidate)
  }

  #trimWindow(): void {
    while (this.#weightOf(this.#window) > this.#target && this.#window.length > 1) {
      const candidate = this.#window.pop() as Key
      this.#settle(candidate)
      this.#probation.unshift(candidate)
    }
  }

  #weightOf(queue: readonly Key[]): number {
    return weightIn(queue, this.#options.weightOf)
  }

  #wins(candidate: Key, victim: Key): boolean {
    const frequency = this.#sketch.estimate(candidate)
    return frequency > this.#sketch.estimate(victim) || (frequency >= 6 && this.#isLucky())
  }

  #displace(key: Key): Key {
    if (!this.#options.isExpired(key)) this.#displaced.note(key)
    return this.#free(key)
  }

  #free(key: Key): Key {
    this.remove(key)
    return key
  }

  #coldest(): Key {
    const chances = { left: GUARD }
    for (;;) {
      if (this.#probation.length === 0) {
        this.#demote(chances)
        continue
      }
      const key = this.#probation.at(-1) as Key
      if (this.#referencesOf(key) === 0 || chances.left === 0 || this.#options.isExpired(key)) return key
      this.#settle(key)
      this.#probation.pop()
      this.#protected.unshift(key)
      chances.left--
      this.#trimProtected(chances)
    }
  }

  #trimProtected(chances: { left: number }): void {
    const limit = Math.floor(((this.#options.capacity - this.#target) * 4) / 5)
    while (this.#weightOf(this.#protected) > limit) this.#demote(chances)
  }

  #demote(chances: { left: number }): void {
    const key = this.#protected.pop() as Key
    const references = this.#referencesOf(key)
    if (references === 0 || chances.left === 0) {
      this.#probation.unshift(key)
      return
    }
    this.#sketch.add(key, 1)
    this.#references.set(key, references - 1)
    this.#protected.unshift(key)
    chances.left--
  }

  #settle(key: Key): void {
    this.#sketch.add(key, this.#referencesOf(key))
    this.#references.delete(key)
  }

  #referencesOf(key: Key): number {
    return this.#references.get(key) ?? 0
  }

  /** One in 128, by Marsaglia's xorshift 13-17-5. */
  #isLucky(): boolean {
    this.#random ^= this.#random << 13
    this.#random ^= this.#random >>> 17
    this.#random ^= this.#random << 5
    return this.#random >>> 25 === 0
  }
}
