// Counters at fixed addresses, read by the host without a call. They count from creation and never fall.

import { STATS_AT } from './layout'

/** Look-ups that found a usable entry, whatever its state. */
export const HITS: u32 = STATS_AT
export const MISSES: u32 = STATS_AT + 8
export const INSERTS: u32 = STATS_AT + 16
/** Writes over a live entry. */
export const REPLACES: u32 = STATS_AT + 24
export const EVICTIONS: u32 = STATS_AT + 32
export const EXPIRATIONS: u32 = STATS_AT + 40
/** Entries removed on request, by `remove` or `clear`. */
export const DELETES: u32 = STATS_AT + 48
/** Writes that found no memory for their key. */
export const REFUSALS: u32 = STATS_AT + 56

export function count(counterAt: u32): void {
  store<u64>(counterAt, load<u64>(counterAt) + 1)
}

export function countOf(counterAt: u32): u64 {
  return load<u64>(counterAt)
}
