// A key that is asked for again and again, with the place where its entry was last found: a look-up compares slot
// and generation and neither reads the key nor hashes it. When the entry has moved, the key is looked up.

import { ABSENT } from '../core/core.ts'
import type { Key } from '../key.ts'

/** What a prepared key needs of its L1. @internal */
export interface PreparedHome<V> {
  /** As `look`, by slot and generation; `MOVED` when they name nothing that can be seen. */
  useAt(slot: number, generation: number): number
  /** As `useAt`, but not as a use. */
  peekAt(slot: number, generation: number): number
  /** As `useAt` and `peekAt`, by the key. */
  seek(key: Key, isUse: boolean): number
  generationAt(answer: number): number
  read(answer: number): V
}

/** A key of one L1 whose look-ups cost no hashing; `l1.prepare(key)` makes one. It holds no value. */
export class PreparedKey<V> {
  /** The key it stands for. */
  readonly key: Key
  readonly #home: PreparedHome<V>
  /** `-1` before the entry was first found. */
  #slot = -1
  #generation = 0

  /** @internal Use `l1.prepare`. */
  constructor(home: PreparedHome<V>, key: Key) {
    this.#home = home
    this.key = key
  }

  /** What `l1.get(key)` would answer, as a use of the entry. */
  get(): V | undefined {
    if (this.#slot >= 0) {
      const answer = this.#home.useAt(this.#slot, this.#generation)
      if (answer >= 0) return this.#home.read(answer)
      if (answer === ABSENT) return undefined
    }
    const answer = this.#seek(true)
    return answer < 0 ? undefined : this.#home.read(answer)
  }

  /** What `l1.peek(key)` would answer: not a use of the entry. */
  peek(): V | undefined {
    const answer = this.#glance()
    return answer < 0 ? undefined : this.#home.read(answer)
  }

  /** What `l1.has(key)` would answer: not a use of the entry. */
  has(): boolean {
    return this.#glance() >= 0
  }

  #glance(): number {
    if (this.#slot >= 0) {
      const answer = this.#home.peekAt(this.#slot, this.#generation)
      if (answer >= ABSENT) return answer
    }
    return this.#seek(false)
  }

  #seek(isUse: boolean): number {
    const answer = this.#home.seek(this.key, isUse)
    if (answer >= 0) {
      this.#slot = answer >> 3
      this.#generation = this.#home.generationAt(answer)
    }
    return answer
  }
}
