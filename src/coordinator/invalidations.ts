// Which copies in narrower tiers are still good. L1 can be told to drop a key; a file tier in front of
// the authority can not be reached into safely, so its copies are judged when they are read: by the
// stamp they carry, against what this process knows to have changed since.
//
// Known are: per partition a floor, under which every copy is suspect (where the bus began, or began
// anew after a gap), and above the floor the keys that were changed and the namespaces that were cleared.
// Both are bounded: when there
// are too many, the oldest goes and nothing in its partition that is older than it is good any more, so
// that forgetting makes copies unusable, never usable. Without a bus nobody tells of others' changes;
// then there are no floors and no lease, and only this process's own mutations count.

import type { Clock } from '../clock.ts'
import { isAtOrAfter, type Stamp } from '../stamp.ts'

const MOST_KEYS = 16_384
const MOST_PREFIXES = 64

/** Judges copies by their stamps. */
export class Invalidations {
  readonly #clock: Clock
  readonly #hasBus: boolean
  readonly #isAsked: boolean
  readonly #mostKeys: number
  readonly #floors = new Map<number, Stamp>()
  /** In order of change, oldest first. */
  readonly #changed = new Map<string, Stamp>()
  /** By partition: the youngest change that there was no room for. */
  readonly #forgotten = new Map<number, Stamp>()
  /** By prefix and partition: when a namespace was cleared. */
  readonly #cleared = new Map<string, Map<number, Stamp>>()
  #goodUntil: number

  /**
   * @param hasBus - Whether someone tells of others' changes; until it does, no copy is good.
   * @param isAsked - Whether there are tiers with copies to judge; where there are none nothing has to be remembered.
   */
  constructor(clock: Clock, hasBus: boolean, isAsked: boolean, mostKeys: number = MOST_KEYS) {
    this.#clock = clock
    this.#hasBus = hasBus
    this.#isAsked = isAsked
    this.#mostKeys = mostKeys
    this.#goodUntil = hasBus ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY
  }

  /** Keys of which it is known that they were changed. */
  get size(): number {
    return this.#changed.size
  }

  /** Copies are good until then, by the clock. */
  lease(until: number): void {
    this.#goodUntil = until
  }

  /** Copies of the partition that are older than `stamp`, or of another epoch, are not good. */
  setFloor(stamp: Stamp): void {
    this.#floors.set(stamp.partition, stamp)
  }

  /** The entry of `key` was changed at `stamp`. */
  note(key: string, stamp: Stamp): void {
    if (!this.#isAsked) return
    const known = this.#changed.get(key)
    if (known !== undefined && known.epoch === stamp.epoch && known.sequence > stamp.sequence) return
    this.#changed.delete(key)
    this.#changed.set(key, stamp)
    if (this.#changed.size <= this.#mostKeys) return
    for (const [oldest, changed] of this.#changed) {
      this.#changed.delete(oldest)
      this.#forget(changed)
      break
    }
  }

  /** The entries of the partition whose keys begin with `prefix` were removed at `stamp`. */
  noteUnder(prefix: string, stamp: Stamp): void {
    if (!this.#isAsked) return
    const stamps = this.#cleared.get(prefix) ?? new Map<number, Stamp>()
    const known = stamps.get(stamp.partition)
    if (known === undefined || isAtOrAfter(stamp, known)) stamps.set(stamp.partition, stamp)
    this.#cleared.delete(prefix)
    this.#cleared.set(prefix, stamps)
    if (this.#cleared.size <= MOST_PREFIXES) return
    for (const [oldest, forgotten] of this.#cleared) {
      this.#cleared.delete(oldest)
      for (const change of forgotten.values()) this.#forget(change)
      break
    }
  }

  /** A copy of `key` has to be newer than `asOf`, and than any change of it that is known. */
  surpass(key: string, asOf: Stamp): void {
    const known = this.#changed.get(key)
    const latest = known !== undefined && isAtOrAfter(known, asOf) ? known : asOf
    this.note(key, { ...latest, sequence: latest.sequence + 1 })
  }

  /** Whether a copy of `key` that was current at `stamp` still is, as far as this process has heard. */
  allows(key: string, stamp: Stamp | undefined): boolean {
    if (stamp === undefined || this.#goodUntil <= this.#clock.now()) return false
    const floor = this.#floors.get(stamp.partition)
    if (floor === undefined && this.#hasBus) return false
    const isPast = (change: Stamp | undefined): boolean =>
      change === undefined || (change.epoch === stamp.epoch && change.sequence <= stamp.sequence)
    if (![floor, this.#forgotten.get(stamp.partition), this.#changed.get(key)].every(isPast)) return false
    for (const [prefix, stamps] of this.#cleared) {
      if (key.startsWith(prefix) && !isPast(stamps.get(stamp.partition))) return false
    }
    return true
  }

  /** There is no room for a change: nothing in its partition that is older is good any more. */
  #forget(change: Stamp): void {
    const known = this.#forgotten.get(change.partition)
    if (known === undefined || isAtOrAfter(change, known)) this.#forgotten.set(change.partition, change)
  }
}
