import {
  type BudgetModel,
  insertByVictim,
  type Key,
  type ModelOptions,
  type PolicyModel,
} from './policy-model.ts'

/** A Map in order of use. */
export class LruModel implements PolicyModel, BudgetModel {
  readonly #options: ModelOptions
  /** From the oldest use to the newest. */
  readonly #keys = new Set<Key>()

  constructor(options: ModelOptions) {
    this.#options = options
  }

  hit(key: Key): void {
    this.#keys.delete(key)
    this.#keys.add(key)
  }

  remove(key: Key): void {
    this.#keys.delete(key)
  }

  insert(key: Key, expired: readonly Key[]): Key | undefined {
    return insertByVictim(this, key, expired, this.#options)
  }

  arrive(): void {}

  victim(): Key {
    const [oldest] = this.#keys
    this.#keys.delete(oldest as Key)
    return oldest as Key
  }

  enter(key: Key): void {
    this.#keys.add(key)
  }

  resize(): void {}

  keys(): Key[] {
    return [...this.#keys].reverse()
  }
}
