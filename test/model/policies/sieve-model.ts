import {
  type BudgetModel,
  insertByVictim,
  type Key,
  type ModelOptions,
  type PolicyModel,
} from './policy-model.ts'

/** SIEVE as in figure 4 of Zhang et al., NSDI 2024. */
export class SieveModel implements PolicyModel, BudgetModel {
  readonly #options: ModelOptions
  /** The head first. */
  readonly #queue: Key[] = []
  readonly #visited = new Set<Key>()
  /** Where the hand stands; `undefined` before the tail. */
  #hand: Key | undefined

  constructor(options: ModelOptions) {
    this.#options = options
  }

  hit(key: Key): void {
    this.#visited.add(key)
  }

  remove(key: Key): void {
    const at = this.#queue.indexOf(key)
    if (this.#hand === key) this.#hand = this.#queue[at - 1]
    this.#queue.splice(at, 1)
    this.#visited.delete(key)
  }

  insert(key: Key, expired: readonly Key[]): Key | undefined {
    return insertByVictim(this, key, expired, this.#options)
  }

  arrive(): void {}

  victim(): Key {
    const key = this.#next()
    this.remove(key)
    return key
  }

  enter(key: Key): void {
    this.#queue.unshift(key)
  }

  resize(): void {}

  keys(): Key[] {
    return [...this.#queue]
  }

  #next(): Key {
    for (;;) {
      const key = this.#hand ?? (this.#queue.at(-1) as Key)
      this.#hand = key
      if (!this.#visited.has(key) || this.#options.isExpired(key)) return key
      this.#visited.delete(key)
      this.#hand = this.#queue[this.#queue.indexOf(key) - 1]
    }
  }
}
