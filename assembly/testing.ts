// The entry of the testing build: the ABI, and below it the structures one by one, for test/core.
//
// Unlike the other entries it imports its memory, so that a test can set where the engine refuses to grow,
// and it may pass i64, which arrive as BigInt.

import * as arena from './arena'
import * as blocks from './blocks'
import { ANY, inlineKeyAt, retire, setDeadlines, setSignature, signature, wordOf } from './entry'
import { hashBytes, mixSeed } from './hash'
import { copyInline, currentKey, stageInteger as stageNumber } from './keys'
import * as layout from './layout'
import * as list from './list'
import * as ghost from './policies/ghost'
import * as sketch from './policies/sketch'
import * as table from './table'
import * as values from './values'
import * as wheel from './wheel'

export { check, checkArena, checkTable } from './check'
export * from './index'
export {
  AUTHORITY_BYTES,
  BUCKET_BYTES,
  LINK_BYTES,
  MAX_KEY_LENGTH,
  PARTITION_BYTES,
  RECORD_BYTES,
  REMOVAL_BYTES,
  REMOVAL_LIMIT,
  SCRATCH_BYTES,
} from './layout'

export function recordsAt(): usize {
  return layout.recordsAt
}

export function arenaAt(): usize {
  return layout.arenaAt
}

/** wyhash with the secret that is in the header. */
export function wyhash(at: usize, bytes: u32, seed: u64): u64 {
  return hashBytes(at, bytes, mixSeed(seed))
}

/** Enters the integer `value` at `slot` as if its hash were `hash`. */
export function tableInsert(slot: u32, value: f64, hash: u32): void {
  stageNumber(value)
  setSignature(slot, signature(hash, wordOf(currentKey())))
  copyInline(inlineKeyAt(slot))
  table.insert(slot, hash)
}

export function tableFind(value: f64, hash: u32): i32 {
  stageNumber(value)
  return table.find(signature(hash, wordOf(currentKey())), ANY)
}

export function tableRemove(slot: u32): void {
  table.remove(slot)
  retire(slot)
}

export function tableBuckets(): u32 {
  return layout.bucketCount
}

export function tableOverflow(bucket: u32): u32 {
  return table.overflowIn(bucket)
}

export function listEmpty(head: i32): void {
  list.empty(layout.recencyAt, head)
}

export function listAddFirst(head: i32, node: i32): void {
  list.addFirst(layout.recencyAt, head, node)
}

export function listUnlink(node: i32): void {
  list.unlink(layout.recencyAt, node)
}

export function listBehind(node: i32): i32 {
  return list.behind(layout.recencyAt, node)
}

export function listBefore(node: i32): i32 {
  return list.before(layout.recencyAt, node)
}

export function wheelSchedule(slot: u32, deadline: f64, now: f64): void {
  setDeadlines(slot, deadline, deadline)
  wheel.schedule(slot, deadline, now)
}

export function wheelUnschedule(slot: u32): void {
  wheel.unschedule(slot)
}

export function wheelNextDue(now: f64): i32 {
  return i32(wheel.nextDue(now))
}

export function wheelPlaceAgain(slot: u32, now: f64): void {
  wheel.placeAgain(slot, now)
}

export function sketchAdd(hash: u32, units: u32): void {
  sketch.add(hash, units)
}

export function sketchEstimate(hash: u32): u32 {
  return sketch.estimate(hash)
}

export function ghostNote(table: u32, hash: u32): void {
  ghost.note(table, hash)
}

export function ghostTake(table: u32, hash: u32): i32 {
  return i32(ghost.take(table, hash))
}

/** Where the policy's own memory starts. */
export function marksAt(): usize {
  return layout.marksAt
}

export function policyEnd(): usize {
  return layout.policyEnd
}

export function arenaAllocate(bytes: u32): usize {
  return arena.allocate(bytes)
}

export function arenaRelease(block: usize, bytes: u32): void {
  arena.release(block, bytes)
}

export function arenaBlockBytes(bytes: u32): u32 {
  return arena.blockBytes(bytes)
}

/** Where the heap is, and the block of a live slot. */
export function heapAt(): usize {
  return layout.heapAt
}

export function heapEnd(): usize {
  return layout.heapEnd
}

export function blockOf(slot: u32): usize {
  return values.blockOf(slot)
}

export function freeBytes(): u32 {
  return blocks.freeBytes()
}

export function heapGather(bytes: u32): i32 {
  return i32(blocks.gather(bytes))
}

export function arenaTop(): u32 {
  return arena.top()
}
