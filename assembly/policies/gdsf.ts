// GreedyDual-Size-Frequency, lazily and by sample: the most hits for the bytes, where sizes differ much.
//
// An entry's priority is the clock when it was last looked at, plus its hits divided by its weight. Room is made by
// the least priority in a sample of live entries, and the clock is set to it: so what is not asked for falls behind.
// A hit only counts in the entry's mark; the mark becomes hits, and the clock the entry's own, when a sample meets
// it. Nothing is linked. So it needs sizes, and bytes are its measure: it lets large entries go for many small ones,
// which answers more requests and fewer bytes.
//
// In the place of the links, per entry: the clock at @0 and the hits at @4, two u32. The clock counts in 2^-24 of a
// hit per byte and goes round; what is compared are distances, and no live entry is half a round away.
//
// Source: Cherkasova, Improving WWW Proxies Performance with Greedy-Dual-Size-Frequency Caching Policy (1998);
// sampling as in Redis. Cost of a victim: SAMPLES entries read at random.

import { isLive, NONE, usableUntilOf } from '../entry'
import { LINK_BYTES, POLICY_STATE_AT, recencyAt, USED_SLOTS_AT } from '../layout'
import { weightOf } from '../values'
import * as chance from './chance'
import { markOf, setMark } from './marks'

/** The priority of the last victim; u32. */
const CLOCK_AT: u32 = POLICY_STATE_AT

export const MARK_LIMIT: u32 = 255
const SAMPLES: u32 = 32
/** Slots that are drawn for the samples at most; some are free. */
const DRAWS: u32 = 64
const MOST_HITS: u32 = 65_535
const SCALE_BITS: u64 = 24
/** What an entry can be ahead of the clock. */
const GREATEST_LEAD: u64 = 1 << 30
const HITS = 4

export function reset(): void {
  store<u32>(CLOCK_AT, 0)
  chance.reset()
}

export function onInsert(slot: u32): void {
  setMark(slot, 0)
  place(slot, 1)
}

export function victim(now: f64): u32 {
  const used = load<u32>(USED_SLOTS_AT)
  let found = NONE
  let least: u32 = 0
  let met: u32 = 0
  for (let draw: u32 = 0; draw < DRAWS && met < SAMPLES; ++draw) {
    const slot = drawn(used)
    if (!isLive(slot)) continue
    if (usableUntilOf(slot) <= now) return slot
    met += 1
    const priority = priorityOf(slot)
    if (found == NONE || i32(priority - least) < 0) {
      found = slot
      least = priority
    }
  }
  if (found == NONE) {
    found = drawn(used)
    while (!isLive(found)) found = found + 1 == used ? 0 : found + 1
    least = priorityOf(found)
  }
  store<u32>(CLOCK_AT, least)
  return found
}

/** By slot: there is no order among entries that have not met in a sample. */
export function nextOlder(slot: u32): u32 {
  const used = load<u32>(USED_SLOTS_AT)
  for (let next = slot + 1; next < used; ++next) if (isLive(next)) return next
  return NONE
}

function drawn(used: u32): u32 {
  return u32((u64(chance.random()) * u64(used)) >> 32)
}

/** Takes over the hits since the entry was last looked at. */
function priorityOf(slot: u32): u32 {
  const mark = markOf(slot)
  if (mark != 0) {
    setMark(slot, 0)
    place(slot, min(load<u32>(stateAt(slot), HITS) + mark, MOST_HITS))
  }
  const lead = (u64(load<u32>(stateAt(slot), HITS)) << SCALE_BITS) / u64(max<u32>(weightOf(slot), 1))
  return load<u32>(stateAt(slot)) + u32(min(lead, GREATEST_LEAD))
}

function place(slot: u32, hits: u32): void {
  store<u32>(stateAt(slot), load<u32>(CLOCK_AT))
  store<u32>(stateAt(slot), hits, HITS)
}

function stateAt(slot: u32): usize {
  return recencyAt + usize(slot) * LINK_BYTES
}
