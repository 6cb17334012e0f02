// The contract of a ledger: a tier, or the backend of a bus, that can be the authority, the one place
// that orders the mutations of a cache.
//
// What it must keep: a commit is one step, so there is no moment at which the entry is changed and the
// bus will not ring, and a reader that was rung for a mutation finds it done. A populate is fenced: it
// stores nothing when a mutation of the key came after the read it rests on. See contracts: 2 and 3.

import type { Message } from '../message.ts'
import type { Stamp } from '../stamp.ts'
import type { TagFate, TagPlaces } from '../tag-table.ts'
import type { TierEntry, TierWrite } from './tier.ts'

/**
 * A change that others have to hear of, one step at the authority.
 *
 * `set`, `delete`, `clear` and `tags` always apply. The others depend on the live entry that is there; when they do not
 * apply nothing changes, nothing is rung and no place in the order is taken. A ledger without data cannot decide them
 * and rejects with `CACHE_NOT_SUPPORTED`.
 */
export type Mutation =
  | {
      readonly op: 'set'
      readonly key: string
      /** Not kept by a ledger without data; the copies of others become unusable all the same. */
      readonly bytes: Uint8Array
      readonly remainingMs: number
    }
  | {
      /** Stores if no live entry is there. */
      readonly op: 'add'
      readonly key: string
      readonly bytes: Uint8Array
      /** Zero or less stores nothing, and applies all the same. */
      readonly remainingMs: number
    }
  | {
      /** Stores if the live entry has exactly these bytes. */
      readonly op: 'swap'
      readonly key: string
      readonly bytes: Uint8Array
      readonly remainingMs: number
      /** `undefined`: if no live entry is there. */
      readonly expected: Uint8Array | undefined
    }
  | {
      /**
       * Adds to the decimal integer that the live entry's bytes hold from byte `from` to their end; the bytes before
       * and the remaining time stay. Throws as `Tier.increment` does, and then nothing has happened.
       */
      readonly op: 'increment'
      readonly key: string
      readonly delta: number
      readonly from: number
    }
  | {
      /** Gives a live entry a new remaining time; zero or less removes it. */
      readonly op: 'touch'
      readonly key: string
      readonly remainingMs: number
    }
  | { readonly op: 'delete'; readonly key: string }
  | {
      /** Puts a live entry under another key of the same partition, in place of what is there; its remaining time stays. */
      readonly op: 'move'
      readonly key: string
      /** Another version of the same key. A key of another partition, or `key` itself, is a TypeError. */
      readonly to: string
    }
  | { readonly op: 'clear'; readonly prefix: string }
  | {
      /** Invalidates tags, in the tag partition. */
      readonly op: 'tags'
      /** 1 to 64 names, each of 1 to 512 bytes of UTF-8, without doubles. */
      readonly tags: readonly string[]
      readonly how: TagFate
    }

/** Who commits, and its how-manieth commit this is: tells a message from its own echo and its double. */
export interface Origin {
  /** Random per cache and process start, 16 hexadecimal digits. */
  readonly id: string
  /** Counts up from 1 within `id`. */
  readonly serial: number
}

/** What the authority knows of a key. */
export interface LedgerReading {
  /** The live entry; `undefined` when there is none, or when the ledger keeps no data. */
  readonly entry: TierEntry | undefined
  /** Where the key's partition stood when this was read: the answer includes every mutation up to here. */
  readonly asOf: Stamp
}

/** What became of a commit. */
export interface Committed {
  /** The mutation's place in the order; where the partition stands when it was not applied. */
  readonly stamp: Stamp
  /** Whether it changed anything; always, where the mutation depends on nothing. */
  readonly applied: boolean
  /** Whether a live entry of the key was there before; `false` where the ledger keeps no data. */
  readonly existed: boolean
  /** What an `increment` came to; `undefined` for everything else. */
  readonly number: number | undefined
}

/** What the authority knows of tags. */
export interface TagsReading {
  /** Where the tag partition stood: the answer includes every invalidation up to here. */
  readonly asOf: Stamp
  /**
   * Invalidations up to this place may have been forgotten, so of anything older nobody can tell whether it was
   * invalidated. Where the order began, while nothing was forgotten.
   */
  readonly floor: Stamp
  /** For each name, in the order asked. */
  readonly tags: readonly TagPlaces[]
}

/** The keeper of the order of mutations. */
export interface Ledger {
  /**
   * Names the backend as the bus names it: a bus rings for a ledger when both say the same. Such as
   * the real path of a directory; carries no credentials.
   */
  readonly channel: string
  /**
   * Number of partitions that keys are dealt into, fixed for the life of the backend. Invalidations of tags have an
   * order of their own: the tag partition, whose number is `partitions`.
   */
  readonly partitions: number
  /** Whether `read` can answer with entries. */
  readonly keepsData: boolean

  /** Resolves to a reading for each key, in the order asked. */
  read(keys: readonly string[]): Promise<LedgerReading[]>

  /**
   * Applies `mutation`, gives it its place in the order, keeps it for `since`, and rings the bus: all or
   * nothing, and in that order to any observer.
   *
   * A `clear` concerns keys of any partition, so in the same step it takes one place in every partition and
   * rings one message for each, all of the same origin and serial. The stamp is that of partition 0. It takes none in
   * the tag partition.
   *
   * Add, swap, increment and touch ring as `set`, which is what they are to those who hear of them; `move` rings one
   * message with both keys, tags one with their names.
   *
   * When it rejects, the outcome is unknown: the mutation may have been applied.
   */
  commit(mutation: Mutation, origin: Origin): Promise<Committed>

  /**
   * Stores an entry that was loaded on the ground of a read, unless a mutation of its key came after
   * `asOf` or that can no longer be told. Takes no place in the order and rings nothing.
   */
  populate(write: TierWrite, asOf: Stamp): Promise<'stored' | 'refused'>

  /** The mutations of one partition after `after`, oldest first, or `'gap'` when they are no longer known. */
  since(after: Stamp): Promise<Message[] | 'gap'>

  /**
   * Resolves to where each partition stands, the tag partition last, and echoes `token` on this process's bus behind every
   * message that was committed before.
   */
  probe(token: string): Promise<Stamp[]>

  /**
   * Resolves to when tags were last invalidated. A ledger remembers that for at least so many tags as its own options
   * say, those invalidated last; what it forgets raises the floor.
   */
  readTags(names: readonly string[]): Promise<TagsReading>
}
