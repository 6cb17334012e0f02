import type { Key, ModelOptions } from './policy-model.ts'

/** A Map of counters, all of which are halved at once. */
export class SketchModel {
  readonly #blocks: number
  readonly #options: Pick<ModelOptions, 'hashOf' | 'maxEntries' | 'size'>
  #units = 0
  #counters = new Map<string, number>()

  constructor(options: Pick<ModelOptions, 'hashOf' | 'maxEntries' | 'size'>) {
    const { maxEntries } = options
    this.#options = options
    this.#blocks = 1
    // Blocks of sixteen words for two words an entry.
    while (this.#blocks * 16 < maxEntries * 2) this.#blocks *= 2
  }

  add(key: Key, units: number): void {
    if (units === 0) return
    for (const name of this.#countersOf(key)) {
      this.#counters.set(name, Math.min(15, (this.#counters.get(name) ?? 0) + units))
    }
    this.#units += units
    const { size, maxEntries } = this.#options
    const entries = size === undefined ? maxEntries : Math.max(16, size())
    if (this.#units < 10 * entries) return
    this.#units = 0
    this.#counters = new Map(
      [...this.#counters].map(([name, count]) => [name, Math.floor(count / 2)] as const),
    )
  }

  estimate(key: Key): number {
    return Math.min(...this.#countersOf(key).map((name) => this.#counters.get(name) ?? 0))
  }

  /** One in each of four rows of 32, in the block that the key belongs to. */
  #countersOf(key: Key): string[] {
    const hash = this.#options.hashOf(key)
    const block = Math.floor(((Math.imul(hash, 0x9e3779b1) >>> 0) / 2 ** 32) * this.#blocks)
    const columns = Math.floor((Math.imul(hash ^ (hash >>> 15), 0x85ebca77) >>> 0) / 2 ** 12)
    return [0, 1, 2, 3].map((row) => `${block} ${row} ${Math.floor(columns / 32 ** row) % 32}`)
  }
}
