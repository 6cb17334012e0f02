import type { BudgetModel, Key, ModelOptions } from './policy-model.ts'

const SAMPLES = 32
const DRAWS = 64
const SCALE = 2 ** 24

/** Where the core holds its entries: what a sample meets depends on it. */
export interface Slots {
  /** The resident at a slot. */
  keyAt: (slot: number) => Key | undefined
  /** Slots that were handed out at least once. */
  used: () => number
}

/** GreedyDual-Size-Frequency by sample, with a clock that does not go round. */
export class GdsfModel implements BudgetModel {
  readonly #options: ModelOptions
  readonly #slots: Slots
  readonly #residents = new Map<Key, { clock: number; hits: number; unseen: number }>()
  #clock = 0
  #random: number

  constructor(options: ModelOptions, slots: Slots) {
    this.#options = options
    this.#slots = slots
    this.#random = options.seed === 0 ? 0x9e3779b9 : options.seed
  }

  hit(key: Key): void {
    const state = this.#stateOf(key)
    state.unseen = Math.min(255, state.unseen + 1)
  }

  remove(key: Key): void {
    this.#residents.delete(key)
  }

  arrive(): void {}

  victim(): Key {
    let found: Key | undefined
    let least = 0
    let met = 0
    for (let draw = 0; draw < DRAWS && met < SAMPLES; draw++) {
      const key = this.#slots.keyAt(this.#draw())
      if (key === undefined) continue
      if (this.#options.isExpired(key)) return this.#gone(key)
      met++
      const priority = this.#priorityOf(key)
      if (found === undefined || priority < least) {
        found = key
        least = priority
      }
    }
    if (found === undefined) {
      let slot = this.#draw()
      while (this.#slots.keyAt(slot) === undefined) slot = (slot + 1) % this.#slots.used()
      found = this.#slots.keyAt(slot) as Key
      least = this.#priorityOf(found)
    }
    this.#clock = least
    return this.#gone(found)
  }

  enter(key: Key): void {
    this.#residents.set(key, { clock: this.#clock, hits: 1, unseen: 0 })
  }

  resize(): void {}

  keys(): Key[] {
    const slots = Array.from({ length: this.#slots.used() }, (_, slot) => this.#slots.keyAt(slot))
    return slots.filter((key) => key !== undefined)
  }

  #gone(key: Key): Key {
    this.#residents.delete(key)
    return key
  }

  #priorityOf(key: Key): number {
    const state = this.#stateOf(key)
    if (state.unseen > 0) {
      state.hits = Math.min(65_535, state.hits + state.unseen)
      state.clock = this.#clock
      state.unseen = 0
    }
    const lead = Math.floor((state.hits * SCALE) / Math.max(1, this.#options.weightOf(key)))
    return state.clock + Math.min(2 ** 30, lead)
  }

  #stateOf(key: Key): { clock: number; hits: number; unseen: number } {
    return this.#residents.get(key) as { clock: number; hits: number; unseen: number }
  }

  /** A slot, by Marsaglia's xorshift 13-17-5. */
  #draw(): number {
    this.#random ^= this.#random << 13
    this.#random ^= this.#random >>> 17
    this.#random ^= this.#random << 5
    return Math.floor(((this.#random >>> 0) / 2 ** 32) * this.#slots.used())
  }
}
