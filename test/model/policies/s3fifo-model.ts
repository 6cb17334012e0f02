import { GhostModel } from './ghost-model.ts'
import {
  type BudgetModel,
  insertByVictim,
  type Key,
  type ModelOptions,
  type PolicyModel,
  takeOut,
  weightIn,
} from './policy-model.ts'

/** S3-FIFO as in algorithm 1 of Yang et al., SOSP 2023, with as many evictions as an insert needs. */
export class S3FifoModel implements PolicyModel, BudgetModel {
  readonly #options: ModelOptions
  readonly #smallLimit: number
  /** The head first. */
  readonly #small: Key[] = []
  readonly #main: Key[] = []
  readonly #ghosts: GhostModel
  #isKnown = false
  readonly #frequency = new Map<Key, number>()

  constructor(options: ModelOptions) {
    this.#options = options
    this.#smallLimit = Math.max(1, Math.floor(options.capacity / 10))
    const reach = Math.max(1, Math.floor((options.maxEntries * 9) / 10))
    this.#ghosts = new GhostModel(reach, options)
  }

  hit(key: Key): void {
    this.#frequency.set(key, Math.min(3, this.#frequencyOf(key) + 1))
  }

  remove(key: Key): void {
    takeOut([this.#small, this.#main], key)
    this.#frequency.delete(key)
  }

  insert(key: Key, expired: readonly Key[]): Key | undefined {
    return insertByVictim(this, key, expired, this.#options)
  }

  arrive(key: Key): void {
    this.#isKnown = this.#ghosts.take(key)
  }

  victim(): Key {
    const isSmallDue =
      weightIn(this.#small, this.#options.weightOf) >= this.#smallLimit || this.#main.length === 0
    const evicted = (isSmallDue ? this.#evictSmall() : undefined) ?? this.#evictMain()
    this.#frequency.delete(evicted)
    return evicted
  }

  enter(key: Key): void {
    const queue = this.#isKnown ? this.#main : this.#small
    queue.unshift(key)
  }

  resize(): void {}

  keys(): Key[] {
    return [...this.#main, ...this.#small]
  }

  #evictSmall(): Key | undefined {
    for (;;) {
      const key = this.#small.pop()
      if (key === undefined || this.#options.isExpired(key)) return key
      if (this.#frequencyOf(key) <= 1) {
        this.#ghosts.note(key)
        return key
      }
      this.#frequency.set(key, 0)
      this.#main.unshift(key)
    }
  }

  #evictMain(): Key {
    for (;;) {
      const key = this.#main.pop() as Key
      if (this.#frequencyOf(key) === 0 || this.#options.isExpired(key)) return key
      this.#frequency.set(key, this.#frequencyOf(key) - 1)
      this.#main.unshift(key)
    }
  }

  #frequencyOf(key: Key): number {
    return this.#frequency.get(key) ?? 0
  }
}
