import type { Key } from './policy-model.ts'

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
  readonly #hashOf: (key: Key) => number
  readonly #ghosts = new Map<number, Ghost>()
  #noted = 0

  constructor(reach: number, hashOf: (key: Key) => number) {
    this.#reach = reach
    this.#hashOf = hashOf
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
    return this.#step() - ghost.step <= Math.floor(this.#reach / this.#stepSize)
  }

  #step(): number {
    return Math.floor(this.#noted / this.#stepSize)
  }

  #cellOf(key: Key): number {
    return this.#hashOf(key) % this.#cells
  }

  #tagOf(key: Key): number {
    return Math.floor(this.#hashOf(key) / 65_536) || 1
  }
}
