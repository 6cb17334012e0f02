// What a plain version of an eviction policy is asked, and how it is told what the core did. The models in this
// folder are written from the papers and from the pseudo-code of docs/decisions/0017, with arrays and Maps, and
// take time for every entry.

/** An integer; the core's other keys differ only in their hashes. */
export type Key = number

/** What a model is made of. */
export interface ModelOptions {
  /** Entries that there are slots for. */
  maxEntries: number
  /** What residents may weigh together: `maxEntries` where each weighs 1. */
  capacity: number
  /** What a resident weighs now, or the key that comes. */
  weightOf: (key: Key) => number
  /** Under a budget in bytes, how many residents there are; sketch and ghosts go by it. */
  size: (() => number) | undefined
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

/** What a policy is asked under a budget in bytes, where one key may need several victims, or none. */
export interface BudgetModel extends Omit<PolicyModel, 'insert'> {
  /** A key that is not resident is about to come. */
  arrive(key: Key): void
  /** The resident that leaves next, for room for something of this weight. It has left. */
  victim(incoming: number): Key
  /** The key has come. */
  enter(key: Key): void
  /** A resident was written again, and weighs something else. */
  resize(key: Key): void
}

/** What the residents in a queue weigh together. */
export function weightIn(queue: readonly Key[], weightOf: (key: Key) => number): number {
  return queue.reduce((weight, key) => weight + weightOf(key), 0)
}

/** `insert` for a policy that names its victim before the new entry is there. */
export function insertByVictim(
  model: BudgetModel,
  key: Key,
  expired: readonly Key[],
  { capacity }: ModelOptions,
): Key | undefined {
  model.arrive(key)
  for (const old of expired) model.remove(old)
  const evicted = model.keys().length === capacity ? model.victim(1) : undefined
  model.enter(key)
  return evicted
}

/** Takes `key` out of the one of `queues` that it is in. */
export function takeOut(queues: readonly Key[][], key: Key): void {
  for (const queue of queues) {
    const at = queue.indexOf(key)
    if (at !== -1) queue.splice(at, 1)
  }
}
