import { GhostModel } from './ghost-model.ts'
import { type Key, type ModelOptions, type PolicyModel, takeOut } from './policy-model.ts'

/** S3-FIFO as in algorithm 1 of Yang et al., SOSP 2023, with one eviction for one insert. */
export class S3FifoModel implements PolicyModel {
  readonly #options: ModelOptions
  readonly #smallEntries: number
  /** The head first. */
  readonly #small: Key[] = []
  readonly #main: Key[] = []
  readonly #ghosts: GhostModel
  readonly #frequency = new Map<Key, number>()

  constructor(options: ModelOptions) {
    this.#options = options
    this.#smallEntries = Math.max(1, Math.floor(options.maxEntries / 10))
    this.#ghosts = new GhostModel(Math.max(1, Math.floor((options.maxEntries * 9) / 10)), options.hashOf)
  }

  hit(key: Key): void {
    this.#frequency.set(key, Math.min(3, this.#frequencyOf(key) + 1))
  }

  remove(key: Key): void {
    takeOut([this.#small, this.#main], key)
    this.#frequency.delete(key)
  }

  insert(key: Key, expired: readonly Key[]): Key | undefined {
    const isKnown = this.#ghosts.take(key)
    for (const old of expired) this.remove(old)
    const isFull = this.#small.length + this.#main.length === this.#options.maxEntries
    const evicted = isFull ? this.#evict() : undefined
    if (isKnown) this.#main.unshift(key)
    else this.#small.unshift(key)
    return evicted
  }

  keys(): Key[] {
    return [...this.#main, ...this.#small]
  }

  #evict(): Key {
    const evicted =
      (this.#small.length >= this.#smallEntries ? this.#evictSmall() : undefined) ?? this.#evictMain()
    this.#frequency.delete(evicted)
    return evicted
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
