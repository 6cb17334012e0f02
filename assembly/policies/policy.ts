// Which entry makes room: what a policy has to answer, and who answers it in this cache.
//
// A policy is a file of functions with these names over links, heads and one byte per entry; the store
// calls them through here and knows no policy by name. To add one: write its file, give it the next
// number, and add its branch to each function below. The number is fixed at creation, so the branch is
// predicted and costs nothing that was measured.
//
//   reset()          forget every entry
//   onInsert(slot)   a new entry; its hash is in its record
//   onHit(slot)      it was read, written again or touched
//   onRemove(slot)   it leaves, for whatever reason; the record is still whole
//   victim(hash)     which entry should leave so that a key with this hash can come; the cache is not
//                    empty. What a policy remembers of evicted keys is noted here, since onRemove
//                    does not say why
//   nextOlder(slot)  a walk over all entries, the one to keep longest first; -1 starts and ends it

import * as lru from './lru'

export const LRU: u32 = 0

export function isKnown(policy: u32): bool {
  return policy == LRU
}

export function reset(): void {
  lru.reset()
}

export function onInsert(slot: u32): void {
  lru.onInsert(slot)
}

export function onHit(slot: u32): void {
  lru.onHit(slot)
}

export function onRemove(slot: u32): void {
  lru.onRemove(slot)
}

export function victim(_hash: u32): u32 {
  return lru.victim()
}

export function nextOlder(slot: u32): u32 {
  return lru.nextOlder(slot)
}
