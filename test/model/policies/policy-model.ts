// What a plain version of an eviction policy is asked, and how it is told what the core did. The models in this
// folder are written from the papers and from the pseudo-code of docs/decisions/0017, with arrays and Maps, and
// take time for every entry.

/** An integer; the core's other keys differ only in their hashes. */
export type Key = number

/** What a model is made of. */
export interface ModelOptions {
  maxEntries: number
  /** The low 32 bits of what the host wrote at SEED_AT. */
  seed: number
  /** The 32 bits of a key's hash that the core keeps. */
  hashOf: (key: Key) => number
  /** Whether a resident is past its deadline now. */
  isExpired: (key: Key) => boolean
}

/** A policy, slowly. */
export interface PolicyModel {
  /** A resident was read, written again or touched. */
  hit(key: Key): void
  /** A resident was deleted, or expired and was found or swept. */
  remove(key: Key): void
  /**
   * A key that is not resident comes in. `expired` are the residents that were swept for it. Answers the one that
   * is evicted, which is none while there is room.
   */
  insert(key: Key, expired: readonly Key[]): Key | undefined
  /** Residents, those to keep longest first. */
  keys(): Key[]
}

/** Takes `key` out of the one of `queues` that it is in. */
export function takeOut(queues: readonly Key[][], key: Key): void {
  for (const queue of queues) {
    const at = queue.indexOf(key)
    if (at !== -1) queue.splice(at, 1)
  }
}
