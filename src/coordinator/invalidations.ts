// Which copies in narrower tiers are still good. L1 can be told to drop a key; a file tier in front of
// the authority can not be reached into safely, so its copies are judged when they are read: by the
// stamp they carry, against what this process knows to have changed since.
//
// Known are: per partition a floor, under which every copy is suspect (where the bus began, or began
// anew after a gap), and above the floor the keys that were changed. The keys are bounded: when there
// are too many, the oldest goes and the floor of its partition rises to it, so that forgetting makes
// copies unusable, never usable.

import type { Stamp } from '../stamp.ts'

const MOST_KEYS = 16_384

/** Judges copies by their stamps. */
export class Invalidations {
  readonly #floors = new Map<number, Stamp>()
  /** In order of change, oldest first. */
  readonly #changed = new Map<string, Stamp>()
  readonly #mostKeys: number
  readonly #hasBus: boolean
  #isTrusted: boolean

  /** @param hasBus - Whether someone tells of others' changes; until it does, no copy is good. */
  constructor(hasBus: boolean, mostKeys: number = MOST_KEYS) {
    this.#hasBus = hasBus
    this.#isTrusted = !hasBus
    this.#mostKeys = mostKeys
  }

  /** Copies may be used from now on, or may not. */
  trust(connected: boolean): void {
    this.#isTrusted = connected
  }

  /** Every copy of the partition that is older than `stamp` is suspect. */
  raise(stamp: Stamp): void {
    const floor = this.#floors.get(stamp.partition)
    if (floor === undefined || floor.epoch !== stamp.epoch || floor.sequence < stamp.sequence) {
      this.#floors.set(stamp.partition, stamp)
    }
  }

  /** The entry of `key` was changed at `stamp`. */
  note(key: string, stamp: Stamp): void {
    const known = this.#changed.get(key)
    if (known !== undefined && known.epoch === stamp.epoch && known.sequence > stamp.sequence) return
    this.#changed.delete(key)
    this.#changed.set(key, stamp)
    if (this.#changed.size <= this.#mostKeys) return
    for (const [oldest, changed] of this.#changed) {
      this.#changed.delete(oldest)
      this.raise(changed)
      break
    }
  }

  /** Whether a copy of `key` that was current at `stamp` still is, as far as this process has heard. */
  allows(key: string, stamp: Stamp | undefined): boolean {
    if (stamp === undefined || !this.#isTrusted) return false
    const floor = this.#floors.get(stamp.partition)
    if (floor === undefined) {
      if (this.#hasBus) return false
    } else if (floor.epoch !== stamp.epoch || stamp.sequence < floor.sequence) return false
    const changed = this.#changed.get(key)
    return changed === undefined || (changed.epoch === stamp.epoch && changed.sequence <= stamp.sequence)
  }
}
