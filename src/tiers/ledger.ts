// The contract of a ledger: a tier, or the backend of a bus, that can be the authority, the one place
// that orders the mutations of a cache.
//
// What it must keep: a commit is one step, so there is no moment at which the entry is changed and the
// bus will not ring, and a reader that was rung for a mutation finds it done. A populate is fenced: it
// stores nothing when a mutation of the key came after the read it rests on. See contracts: 2 and 3.

import type { Message } from '../message.ts'
import type { Stamp } from '../stamp.ts'
import type { TierEntry, TierWrite } from './tier.ts'

/** A change that others have to hear of. */
export type Mutation =
  | {
      readonly op: 'set'
      readonly key: string
      /** Not kept by a ledger without data; the copies of others become unusable all the same. */
      readonly bytes: Uint8Array
      readonly remainingMs: number
    }
  | { readonly op: 'delete'; readonly key: string }
  | { readonly op: 'clear'; readonly prefix: string }

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
  readonly stamp: Stamp
  /** Whether a live entry of the key was there before; `false` where the ledger keeps no data. */
  readonly existed: boolean
}

/** The keeper of the order of mutations. */
export interface Ledger {
  /**
   * Names the backend as the bus names it: a bus rings for a ledger when both say the same. Such as
   * the real path of a directory; carries no credentials.
   */
  readonly channel: string
  /** Number of partitions, fixed for the life of the backend. */
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
   * rings one message for each, all of the same origin and serial. The stamp is that of partition 0.
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
   * Resolves to where each partition stands, and echoes `token` on this process's bus behind every
   * message that was committed before.
   */
  probe(token: string): Promise<Stamp[]>
}
