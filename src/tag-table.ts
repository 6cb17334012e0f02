// When tags were last invalidated, in the order of an authority: as a backend keeps it that has no better place, and as
// a cache remembers it.
//
// It is bounded. What is forgotten is what was invalidated longest ago, and the floor rises to it: about anything
// older than the floor nothing is known, so forgetting makes entries unusable, never usable.

import { isAtOrAfter, type Stamp } from './stamp.ts'

/** What an invalidation of tags does to the entries that carry one of them: makes them stale, or unusable. */
export type TagFate = 'expire' | 'delete'

/** When a tag was last invalidated, in the order of the tag partition; `undefined`: not that is remembered. */
export interface TagPlaces {
  readonly expired: Stamp | undefined
  readonly deleted: Stamp | undefined
}

const NEVER: TagPlaces = { expired: undefined, deleted: undefined }

/** A bounded table of tags. */
export class TagTable {
  readonly #maxTags: number
  readonly #maxUnits: number
  /** From the one invalidated longest ago to the latest. */
  readonly #places = new Map<string, TagPlaces>()
  #units = 0
  #floor: Stamp

  /** @param maxUnits - Most UTF-16 units of names together. */
  constructor(floor: Stamp, maxTags: number, maxUnits: number = Number.POSITIVE_INFINITY) {
    this.#floor = floor
    this.#maxTags = maxTags
    this.#maxUnits = maxUnits
  }

  /** About what is older than this, nothing is known. */
  get floor(): Stamp {
    return this.#floor
  }

  /** Forgets everything, and with it everything from before `floor`. */
  reset(floor: Stamp): void {
    this.#places.clear()
    this.#units = 0
    this.#floor = floor
  }

  /** The names were invalidated at `stamp`, which comes after all before it. */
  invalidate(names: readonly string[], how: TagFate, stamp: Stamp): void {
    for (const name of names) {
      const { expired, deleted } = this.placesOf(name)
      this.keep(name, how === 'delete' ? { expired, deleted: stamp } : { expired: stamp, deleted })
    }
  }

  /** Takes what is known of a tag, as the latest. */
  keep(name: string, places: TagPlaces): void {
    if (this.#places.delete(name)) this.#units -= name.length
    this.#places.set(name, places)
    this.#units += name.length
    for (const [oldest, { expired, deleted }] of this.#places) {
      if (this.#places.size <= this.#maxTags && this.#units <= this.#maxUnits) return
      this.#places.delete(oldest)
      this.#units -= oldest.length
      for (const place of [expired, deleted]) {
        if (place !== undefined && isAtOrAfter(place, this.#floor)) this.#floor = place
      }
    }
  }

  /** Whether anything is kept of a tag. */
  has(name: string): boolean {
    return this.#places.has(name)
  }

  placesOf(name: string): TagPlaces {
    return this.#places.get(name) ?? NEVER
  }

  /** All of them, from the one invalidated longest ago to the latest. */
  entries(): IterableIterator<[string, TagPlaces]> {
    return this.#places.entries()
  }
}
