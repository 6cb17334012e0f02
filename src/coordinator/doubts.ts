// Keys whose last mutation here was not taken, as far as anyone can tell. It may have been lost on the way there, or
// done and its answer lost on the way back, or be done yet. From the moment of its call no read here may answer with
// what was before, so what the tiers hold under such a key is not believed in this process until a mutation of it
// was taken, the one in doubt or a later one; the next read begins with trying that. Other processes were promised
// nothing, and go on.
//
// Mutations are numbered, since they can be heard of late: that an earlier one was taken after all says nothing of a
// later one. A `clear` that was not taken puts every key in doubt; then the keys are kept that are in doubt no more.
// All is bounded. What is over the bound is in doubt, which costs a load, never an old answer.

const MOST_KEYS = 16_384

/** What this process does not believe of its tiers. */
export class Doubts {
  readonly #mostKeys: number
  /** Keys in doubt, with the number of the last mutation that was not taken. */
  readonly #keys = new Map<string, number>()
  /** The number of a mutation of all keys that was not taken; `undefined` when there is none. */
  #allSince: number | undefined
  /** Keys of which a mutation after `#allSince` was taken. */
  readonly #lifted = new Set<string>()

  constructor(mostKeys: number = MOST_KEYS) {
    this.#mostKeys = mostKeys
  }

  /** Whether what the tiers hold under `key` may be from before a mutation called here. */
  has(key: string): boolean {
    return this.#keys.has(key) || (this.#allSince !== undefined && !this.#lifted.has(key))
  }

  /** Whether everything was put in doubt at once. */
  get isAll(): boolean {
    return this.#allSince !== undefined
  }

  /** Mutation `serial`, of `key`, was not taken. */
  add(key: string, serial: number): void {
    this.#keys.set(key, serial)
    if (this.#keys.size > this.#mostKeys) this.addAll(serial)
  }

  /** Mutation `serial`, of all keys, was not taken. */
  addAll(serial: number): void {
    this.#allSince = serial
    this.#keys.clear()
    this.#lifted.clear()
  }

  /** Mutation `serial`, of `key`, was taken. */
  lift(key: string, serial: number): void {
    if ((this.#keys.get(key) ?? serial) <= serial) this.#keys.delete(key)
    if (this.#allSince !== undefined && this.#allSince < serial && this.#lifted.size < this.#mostKeys) {
      this.#lifted.add(key)
    }
  }

  /** Mutation `serial`, of all keys, was taken. */
  liftAll(serial: number): void {
    for (const [key, since] of this.#keys) if (since <= serial) this.#keys.delete(key)
    if (this.#allSince === undefined || this.#allSince > serial) return
    this.#allSince = undefined
    this.#lifted.clear()
  }
}
