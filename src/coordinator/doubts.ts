// Keys whose last mutation here was not taken, as far as anyone can tell. It may have been lost on the way there, or
// done and its answer lost on the way back, or be done yet. From the moment of its call no read here may answer with
// what was before, so what the tiers hold under such a key is not believed in this process until a mutation of it
// was taken, the one in doubt or a later one; the next read begins with trying that. Other processes were promised
// nothing, and go on.
//
// Mutations are numbered, since they can be heard of late: that an earlier one was taken after all says nothing of a
// later one. A `clear` that was not taken puts every key under its prefix in doubt; then the keys are kept that are in
// doubt no more.
// All is bounded. What is over the bound is in doubt, which costs a load, never an old answer.

const MOST_KEYS = 16_384
/** More clears of namespaces than this in doubt are as good as one of everything. */
const MOST_PREFIXES = 64

/** What begins with every key. */
const EVERYTHING = ''

/** What this process does not believe of its tiers. */
export class Doubts {
  readonly #mostKeys: number
  /** Keys in doubt, with the number of the last mutation that was not taken. */
  readonly #keys = new Map<string, number>()
  /** By prefix: the number of a clear that was not taken, and the keys of which a mutation after it was. */
  readonly #prefixes = new Map<string, { readonly since: number; readonly lifted: Set<string> }>()

  constructor(mostKeys: number = MOST_KEYS) {
    this.#mostKeys = mostKeys
  }

  /** Whether anything is in doubt. */
  get hasAny(): boolean {
    return this.#keys.size > 0 || this.#prefixes.size > 0
  }

  /** Whether what the tiers hold under `key` may be from before a mutation called here. */
  has(key: string): boolean {
    if (this.#keys.has(key)) return true
    for (const [prefix, { lifted }] of this.#prefixes) {
      if (key.startsWith(prefix) && !lifted.has(key)) return true
    }
    return false
  }

  /** What was put in doubt at once: prefixes of stored keys, of which `''` is everything. */
  get prefixes(): readonly string[] {
    return [...this.#prefixes.keys()]
  }

  /** Mutation `serial`, of `key`, was not taken. */
  add(key: string, serial: number): void {
    this.#keys.set(key, serial)
    if (this.#keys.size > this.#mostKeys) this.addAll(serial)
  }

  /** Mutation `serial`, of all keys that begin with `prefix`, was not taken. */
  addAll(serial: number, prefix: string = EVERYTHING): void {
    this.liftAll(serial, prefix)
    this.#prefixes.set(prefix, { since: serial, lifted: new Set() })
    if (this.#prefixes.size > MOST_PREFIXES) this.addAll(serial)
  }

  /** Mutation `serial`, of `key`, was taken. */
  lift(key: string, serial: number): void {
    if ((this.#keys.get(key) ?? serial) <= serial) this.#keys.delete(key)
    for (const [prefix, { lifted, since }] of this.#prefixes) {
      if (key.startsWith(prefix) && since < serial && lifted.size < this.#mostKeys) lifted.add(key)
    }
  }

  /** Mutation `serial`, of all keys that begin with `prefix`, was taken: what is known from before it is over. */
  liftAll(serial: number, prefix: string = EVERYTHING): void {
    for (const [key, since] of this.#keys) {
      if (since <= serial && key.startsWith(prefix)) this.#keys.delete(key)
    }
    for (const [other, { since }] of this.#prefixes) {
      if (since <= serial && other.startsWith(prefix)) this.#prefixes.delete(other)
    }
  }
}
