// The order of mutations, as an authority gives it out.
//
// A stamp says: this was the `sequence`-th mutation of partition `partition` in its `epoch`. Sequences
// only grow within an epoch, and a new epoch (the authority lost its state) only makes everything
// older unusable. Stamps of different partitions say nothing about each other.

/** The place of a mutation, or of a read, in the order that the authority keeps. */
export interface Stamp {
  readonly partition: number
  /** Grows whenever the authority had to start over; compared before `sequence`. */
  readonly epoch: number
  /** Grows with each mutation of the partition; not necessarily by one. At most 2^53 - 1. */
  readonly sequence: number
}

/**
 * Whether `stamp` is at or after `other` in the order of one partition.
 *
 * Stamps of two partitions are never ordered: the answer is `false` both ways.
 */
export function isAtOrAfter(stamp: Stamp, other: Stamp): boolean {
  if (stamp.partition !== other.partition) return false
  if (stamp.epoch !== other.epoch) return stamp.epoch > other.epoch
  return stamp.sequence >= other.sequence
}

/**
 * The partition of a key: FNV-1a over its UTF-16 units, unseeded so that every process agrees,
 * modulo `partitions`. The version of a key must not be part of `text` (contracts: `incrVersion` stays
 * in one partition).
 *
 * Spreading is all that is asked of it; nothing about a partition is secret.
 */
export function partitionOf(text: string, partitions: number): number {
  if (partitions === 1) return 0
  let hash = 0x811c9dc5
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193)
  return ((hash ^ (hash >>> 15)) >>> 0) % partitions
}
