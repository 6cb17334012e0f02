// The arena: bytes of variable size, for keys that do not fit their record.
//
// Blocks come in size classes: every multiple of 16 up to 256 bytes, then eight steps to each doubling up
// to 128 KiB, so that at most an eighth is wasted. A block has no header, since its owner knows its size.
// A freed block goes to the list of its class, whose first word links it to the next. A request is met,
// in this order, from its class's list; from the untouched end of the arena, which grows with the memory;
// and when the engine refuses memory, by splitting a free block of a larger class, whose rest goes back to
// the lists. Neighbours are not merged: lengths of keys change slowly, and a cache reuses its classes.
//
// Cost: 88 list heads of 4 bytes. Growing asks for an eighth of the arena at once, so that the host has to
// renew its views only now and then.

import { ARENA_CLASSES, ARENA_LISTS_AT, ARENA_TOP_AT, arenaAt, growTo, memoryBytes } from './layout'

export const LARGEST_BLOCK: u32 = 131_072
const SMALL_CLASSES: u32 = 16
const LEAST_GROWTH: u64 = 262_144

/** Empties the arena. */
export function reset(): void {
  memory.fill(ARENA_LISTS_AT, 0, ARENA_CLASSES * 4)
  store<u32>(ARENA_TOP_AT, u32(arenaAt))
}

/** A block of at least `bytes` (1 to 131,072), 16-aligned; 0 when there is no memory. */
export function allocate(bytes: u32): usize {
  const wanted = classOf(bytes)
  const listed = firstOf(wanted)
  if (listed != 0) {
    setFirst(wanted, load<u32>(listed))
    return listed
  }
  const size = sizeOf(wanted)
  const top = load<u32>(ARENA_TOP_AT)
  const end = u64(top) + size
  if (end <= memoryBytes() || grow(end)) {
    // At 4 GiB the end is not an address any more, so the last bytes of the address space stay unused.
    if (end < u64(1) << 32) {
      store<u32>(ARENA_TOP_AT, u32(end))
      return top
    }
  }
  return split(wanted, size)
}

/** Gives back a block that was allocated with the same number of bytes. */
export function release(block: usize, bytes: u32): void {
  push(block, classOf(bytes))
}

/** The size that a request of `bytes` really takes. */
export function blockBytes(bytes: u32): u32 {
  return sizeOf(classOf(bytes))
}

/** The first free block of a class, 0 when there is none. */
export function firstOf(sizeClass: u32): u32 {
  return load<u32>(ARENA_LISTS_AT + sizeClass * 4)
}

export function sizeOf(sizeClass: u32): u32 {
  if (sizeClass < SMALL_CLASSES) return (sizeClass + 1) << 4
  const step = sizeClass - SMALL_CLASSES
  return (9 + (step & 7)) << (5 + (step >> 3))
}

/** Where the untouched end begins. */
export function top(): u32 {
  return load<u32>(ARENA_TOP_AT)
}

function classOf(bytes: u32): u32 {
  if (bytes <= 256) return (bytes - 1) >> 4
  // Above 256 the four highest bits of the last byte's number name the step.
  const last = bytes - 1
  const shift = 28 - u32(clz(last))
  return SMALL_CLASSES + ((shift - 5) << 3) + ((last >> shift) - 8)
}

function setFirst(sizeClass: u32, block: u32): void {
  store<u32>(ARENA_LISTS_AT + sizeClass * 4, block)
}

function push(block: usize, sizeClass: u32): void {
  store<u32>(block, firstOf(sizeClass))
  setFirst(sizeClass, u32(block))
}

function grow(end: u64): bool {
  const share = (u64(load<u32>(ARENA_TOP_AT)) - u64(arenaAt)) >> 3
  const generous = min(end + max(share, LEAST_GROWTH), u64(1) << 32)
  return growTo(generous) || growTo(end)
}

function split(wanted: u32, size: u32): usize {
  for (let larger = wanted + 1; larger < ARENA_CLASSES; ++larger) {
    const block = firstOf(larger)
    if (block == 0) continue
    setFirst(larger, load<u32>(block))
    // Sizes are multiples of 16, and so is the rest: it falls apart into blocks without a remainder.
    let at = block + size
    let rest = sizeOf(larger) - size
    while (rest > 0) {
      const part = largestWithin(rest)
      push(at, part)
      at += sizeOf(part)
      rest -= sizeOf(part)
    }
    return block
  }
  return 0
}

function largestWithin(bytes: u32): u32 {
  const sizeClass = classOf(bytes)
  return sizeOf(sizeClass) == bytes ? sizeClass : sizeClass - 1
}
