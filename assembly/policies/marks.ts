// What a hit leaves behind under every policy but `lru`: one byte per entry, counted up to a limit.
//
// The bytes have an array of their own and are all that a hit writes, and only while below the limit. So a
// hit moves nothing, the commonest hit of all, on an entry that is at its limit, writes nothing, and a lost
// update between two writers at once would cost a count and never a link.

import { marksAt } from '../layout'

/** Counts a hit, up to `limit`. */
export function count(slot: u32, limit: u32): void {
  const mark = load<u8>(marksAt + slot)
  if (mark < limit) store<u8>(marksAt + slot, mark + 1)
}

export function markOf(slot: u32): u32 {
  return load<u8>(marksAt + slot)
}

export function setMark(slot: u32, mark: u32): void {
  store<u8>(marksAt + slot, u8(mark))
}
