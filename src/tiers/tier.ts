// The contract of a tier: one storage level below L1. Bytes in, bytes out, no policy.
//
// A tier knows nothing of freshness, tags, codecs or retries. It reports failure by rejecting; what a
// failure means is decided in coordinator/guard.ts. Times are remaining milliseconds by the
// backend's own clock, since two machines' wall clocks are never compared. `src/testing` has the suite
// that every tier passes.

import type { Stamp } from '../stamp.ts'
import type { Ledger } from './ledger.ts'

/** How far a tier or a bus reaches: one process, all processes of one machine, or all machines. */
export type TierScope = 'process' | 'machine' | 'fleet'

/**
 * What a tier can do beyond the basics. The contract suite and the coordinator both read it; a call of
 * something that is `false` here rejects with `CACHE_NOT_SUPPORTED`.
 */
export interface TierSupports {
  /** Entries vanish by themselves when their time is over; otherwise `prune` must be called. */
  readonly expiry: boolean
  /** `clear` can remove one prefix without touching the rest. */
  readonly prefixClear: boolean
  /** `add` decides atomically, also against other processes of the tier's scope. */
  readonly add: boolean
  /** `increment` is atomic, also against other processes of the tier's scope. */
  readonly increment: boolean
  /** `compareAndSet` is atomic, also against other processes of the tier's scope. */
  readonly compareAndSet: boolean
}

/** A live entry as a tier holds it. */
export interface TierEntry {
  /** What was stored; the caller must not write into it. */
  readonly bytes: Uint8Array
  /** How long the entry has still to live, measured by the backend; `Infinity` for no deadline. */
  readonly remainingMs: number
  /** The mutation that wrote it; `undefined` where no authority orders this tier. */
  readonly stamp: Stamp | undefined
}

/** An entry to be stored. */
export interface TierWrite {
  readonly key: string
  /** The tier copies or writes them before it resolves; the caller may reuse the array after that. */
  readonly bytes: Uint8Array
  /** How long the entry may live from now; `Infinity` for no deadline; zero or less leaves no live entry. */
  readonly remainingMs: number
  /** The mutation this entry comes from, stored beside the bytes; `undefined` where nobody orders. */
  readonly stamp?: Stamp | undefined
}

/**
 * One storage level below L1.
 *
 * Keys are stored keys (`src/key.ts`): well-formed strings of 1 to 512 bytes of UTF-8, any character.
 */
export interface Tier {
  /** Short stable name used in events, errors and metrics, such as `file`. */
  readonly name: string
  readonly scope: TierScope
  readonly supports: TierSupports
  /** The tier as keeper of the order of mutations; `undefined` when it cannot order. */
  readonly ledger: Ledger | undefined

  /** Resolves to the live entry, or `undefined`. */
  get(key: string): Promise<TierEntry | undefined>

  /** Resolves to an answer for each key, in the order asked; fewer round trips than as many `get`. */
  getMany(keys: readonly string[]): Promise<(TierEntry | undefined)[]>

  /** Stores an entry, replacing what was there. */
  set(write: TierWrite): Promise<void>

  /** Stores all entries; rejects when any failed, and then says nothing of the others. */
  setMany(writes: readonly TierWrite[]): Promise<void>

  /** Stores the entry if no live one is there, in one step. Resolves to whether it stored. */
  add(write: TierWrite): Promise<boolean>

  /**
   * Stores the entry if the live one has exactly the bytes `expected`, in one step.
   *
   * @param expected - `undefined` means: if no live entry is there.
   */
  compareAndSet(write: TierWrite, expected: Uint8Array | undefined): Promise<boolean>

  /**
   * Adds `delta` to the decimal integer that the stored bytes hold from byte `from` to their end, and
   * keeps the first `from` bytes and the remaining time.
   *
   * @returns The new number, or `undefined` when there is no live entry.
   * @throws TypeError when those bytes are not a decimal integer, RangeError when the result leaves the
   *   safe integers; the entry stays as it was.
   */
  increment(key: string, delta: number, from: number): Promise<number | undefined>

  /** Gives a live entry a new remaining time. Resolves to whether there was one. */
  touch(key: string, remainingMs: number): Promise<boolean>

  /** Resolves to whether a live entry was removed. */
  delete(key: string): Promise<boolean>

  /** Resolves to the number of live entries that were removed. */
  deleteMany(keys: readonly string[]): Promise<number>

  /** Removes every entry whose key starts with `prefix`; `''` removes all. */
  clear(prefix: string): Promise<void>

  /** Reclaims entries whose time is over, as many as it sees fit. Resolves to how many. */
  prune(): Promise<number>

  /** Releases what the tier opened itself. A client passed in by the caller stays open. */
  close(): Promise<void>
}
