import type { Key, ModelOptions, PolicyModel } from './policy-model.ts'

/** A Map in order of use. */
export class LruModel implements PolicyModel {
  readonly #maxEntries: number
  /** From the oldest use to the newest. */
  readonly #keys = new Set<Key>()

  constructor({ maxEntries }: ModelOptions) {
    this.#maxEntries = maxEntries
  }

  hit(key: Key): void {
    this.#keys.delete(key)
    this.#keys.add(key)
  }

  remove(key: Key): void {
    this.#keys.delete(key)
  }

  insert(key: Key, expired: readonly Key[]): Key | undefined {
    for (const old of expired) this.remove(old)
    const [oldest] = this.#keys.size === this.#maxEntries ? this.#keys : []
    if (oldest !== undefined) this.#keys.delete(oldest)
    this.#keys.add(key)
    return oldest
  }

  keys(): Key[] {
    return [...this.#keys].reverse()
  }
}
