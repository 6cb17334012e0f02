// What an authority cache may still trust: the partition table, the lease, and each entry's stamp.
//
//   partition table, 16 bytes each          an entry's authority block, 24 bytes
//    at  bytes  field                        at  bytes  field
//     0      4  epoch         index           0      4  partition
//     4      4  unused                        4      4  epoch        index
//     8      8  suspectBelow  f64             8      8  asOf         f64, known current up to here
//                                            16      8  tagSequence  f64, of the tag partition
//
// An entry is suspect when the lease has lapsed, when its partition has another epoch by now, or when the
// cache has learnt of a gap above what the entry is known to be current for. All three are one look here,
// so the host marks whole partitions by writing one number. The coordinator decides what follows.

import { stampAt } from './entry'
import {
  AUTHORITY,
  flags,
  LEASE_AT,
  NEXT_STAMP_AT,
  PARTITION_BYTES,
  partitionCount,
  partitionsAt,
  STAMP_PENDING_AT,
} from './layout'

const EPOCH = 4
const AS_OF = 8
const TAG_SEQUENCE = 16
const SUSPECT_BELOW = 8

export function reset(): void {
  store<f64>(LEASE_AT, Infinity)
  store<u32>(STAMP_PENDING_AT, 0)
}

/** Sets what the next write or touch says of its entry. An unknown partition makes it suspect for ever. */
export function stampNext(partition: u32, epoch: u32, asOf: f64, tagSequence: f64): void {
  const isKnown = partition < partitionCount
  write(NEXT_STAMP_AT, isKnown ? partition : 0, epoch, isKnown ? asOf : -Infinity, tagSequence)
  store<u32>(STAMP_PENDING_AT, 1)
}

/** Stamps an entry that is written; without a pending stamp it gets one that vouches for nothing. */
export function stampWritten(slot: u32): void {
  if (!stampTouched(slot)) write(stampAt(slot), 0, 0, -Infinity, 0)
}

/** Stamps an entry that was confirmed, if a stamp is pending; else it keeps its own. */
export function stampTouched(slot: u32): bool {
  if (!load<u32>(STAMP_PENDING_AT)) return false
  memory.copy(stampAt(slot), NEXT_STAMP_AT, 24)
  store<u32>(STAMP_PENDING_AT, 0)
  return true
}

export function setPartition(partition: u32, epoch: u32, suspectBelow: f64): void {
  if (partition >= partitionCount) return
  const at = partitionsAt + usize(partition) * PARTITION_BYTES
  store<u32>(at, epoch)
  store<f64>(at, suspectBelow, SUSPECT_BELOW)
}

export function setLease(until: f64): void {
  store<f64>(LEASE_AT, until)
}

export function isSuspect(slot: u32, now: f64): bool {
  const stamp = stampAt(slot)
  const at = partitionsAt + usize(load<u32>(stamp)) * PARTITION_BYTES
  return (
    now >= load<f64>(LEASE_AT) ||
    load<u32>(stamp, EPOCH) != load<u32>(at) ||
    load<f64>(stamp, AS_OF) < load<f64>(at, SUSPECT_BELOW)
  )
}

/** -1 in a cache without stamps, as every known sequence is above it. */
export function asOf(slot: u32): f64 {
  return flags & AUTHORITY ? load<f64>(stampAt(slot), AS_OF) : -1
}

export function partitionOf(slot: u32): i32 {
  return flags & AUTHORITY ? i32(load<u32>(stampAt(slot))) : -1
}

export function epochOf(slot: u32): i32 {
  return flags & AUTHORITY ? i32(load<u32>(stampAt(slot), EPOCH)) : -1
}

export function tagSequence(slot: u32): f64 {
  return flags & AUTHORITY ? load<f64>(stampAt(slot), TAG_SEQUENCE) : -1
}

function write(at: usize, partition: u32, epoch: u32, asOf: f64, tagSequence: f64): void {
  store<u32>(at, partition)
  store<u32>(at, epoch, EPOCH)
  store<f64>(at, asOf, AS_OF)
  store<f64>(at, tagSequence, TAG_SEQUENCE)
}
