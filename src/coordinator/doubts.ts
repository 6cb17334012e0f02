// Keys whose last mutation here was not taken, as far as anyone can tell. It may have been lost on the way there, or
// done and its answer lost on the way back, or be done yet. From the moment of its call no read here may answer with
// what was before, so what the tiers hold under such a key is not believed in this process until a mutation of it
// was taken, the one in doubt or a later one; the next read begins with trying that. Other processes were promised
// nothing, and go on.
//
// A `clear` that was not taken puts every key in doubt; then the keys are kept that are in doubt no more. Both sets
// are bounded. What is over the bound is in doubt, which costs a load, never an old answer.

const MOST_KEYS = 16_384

/** What this process does not believe of its tiers. */
export class Doubts {
  readonly #mostKeys: number
  /** Keys in doubt; or, when all are, those that are not. */
  #keys = new Set<string>()
  #isAll = false

  constructor(mostKeys: number = MOST_KEYS) {
    this.#mostKeys = mostKeys
  }

  /** Whether what the tiers hold under `key` may be from before a mutation called here. */
  has(key: string): boolean {
    return this.#keys.has(key) !== this.#isAll
  }

  /** Whether everything was put in doubt at once. */
  get isAll(): boolean {
    return this.#isAll
  }

  /** A mutation of `key` was not taken. */
  add(key: string): void {
    if (this.#isAll) {
      this.#keys.delete(key)
      return
    }
    this.#keys.add(key)
    if (this.#keys.size > this.#mostKeys) this.addAll()
  }

  /** A mutation of all keys was not taken. */
  addAll(): void {
    this.#isAll = true
    this.#keys = new Set()
  }

  /** A mutation of `key` was taken. */
  lift(key: string): void {
    if (!this.#isAll) this.#keys.delete(key)
    else if (this.#keys.size < this.#mostKeys) this.#keys.add(key)
  }

  /** A mutation of all keys was taken. */
  liftAll(): void {
    this.#isAll = false
    this.#keys = new Set()
  }
}
