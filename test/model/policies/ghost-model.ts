import type { Key, ModelOptions } from './policy-model.ts'

interface Ghost {
  readonly tag: number
  /** The eviction it was noted at, in steps. */
  readonly step: number
}

/** A Map of cells, in which a later key takes the place of an earlier one. Steps are counted without an end. */
export class GhostModel {
  readonly #reach: number
  readonly #cells: number
  readonly #stepSize: number
  readonly #options: Pick<ModelOptions, 'hashOf' | 'maxEntries' | 'size'>
  readonly #ghosts = new Map<number, Ghost>()
  #noted = 0

  constructor(reach: number, options: Pick<ModelOptions, 'hashOf' | 'maxEntries' | 'size'>) {
    this.#reach = reach
    this.#options = options
    this.#cells = 1
    while (this.#cells < reach * 2) this.#cells *= 2
    this.#stepSize = 1
    while (this.#stepSize * 512 <= reach) this.#stepSize *= 2
  }

  note(key: Key): void {
    this.#noted++
    this.#ghosts.set(this.#cellOf(key), { tag: this.#tagOf(key), step: this.#step() })
  }

  take(key: Key): boolean {
    const ghost = this.#ghosts.get(this.#cellOf(key))
    if (ghost?.tag !== this.#tagOf(key)) return false
    this.#ghosts.delete(this.#cellOf(key))
    return this.#step() - ghost.step <= Math.floor(this.#reachNow() / this.#stepSize)
  }

  #reachNow(): number {
    const { size, maxEntries } = this.#options
    return size === undefined ? this.#reach : Math.max(16, Math.floor((this.#reach * size()) / maxEntries))
  }

  #step(): number {
    return Math.floor(this.#noted / this.#stepSize)
  }

  #cellOf(key: Key): number {
    return this.#options.hashOf(key) % this.#cells
  }

  #tagOf(key: Key): number {
    return Math.floor(this.#options.hashOf(key) / 65_536) || 1
  }
}
