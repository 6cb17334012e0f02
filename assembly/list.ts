// Doubly linked rings over arrays of links, so that an entry is moved without being touched itself.
//
// A node is a number: a slot, or the head of a ring, counted from -1 downward. Links are 8 bytes, at
// `links + node * 8` in wrapping arithmetic, so heads lie in front of the links of slot 0:
//
//   … │ head -2 │ head -1 │ slot 0 │ slot 1 │ …        each: u32 behind @0, u32 before @4
//
// A ring always holds its head, so adding and removing have no special cases: behind the head is the
// first node, before it the last, and walking from the head ends at the head. A head is told from a
// slot by its sign.

const BEFORE = 4

function linkAt(links: usize, node: u32): usize {
  return links + (usize(node) << 3)
}

export function isHead(node: u32): bool {
  return i32(node) < 0
}

export function behind(links: usize, node: u32): u32 {
  return load<u32>(linkAt(links, node))
}

export function before(links: usize, node: u32): u32 {
  return load<u32>(linkAt(links, node), BEFORE)
}

function setBehind(links: usize, node: u32, target: u32): void {
  store<u32>(linkAt(links, node), target)
}

function setBefore(links: usize, node: u32, target: u32): void {
  store<u32>(linkAt(links, node), target, BEFORE)
}

/** Makes `head` an empty ring. */
export function empty(links: usize, head: u32): void {
  setBehind(links, head, head)
  setBefore(links, head, head)
}

/** Puts `node` directly behind `head`, that is, first. */
export function addFirst(links: usize, head: u32, node: u32): void {
  const first = behind(links, head)
  setBehind(links, node, first)
  setBefore(links, node, head)
  setBefore(links, first, node)
  setBehind(links, head, node)
}

/** Takes `node` out; its own links are left as they were. */
export function unlink(links: usize, node: u32): void {
  const next = behind(links, node)
  const last = before(links, node)
  setBefore(links, next, last)
  setBehind(links, last, next)
}

/** Moves all nodes of the ring of `source`, which is not empty, to the front of that of `target`. */
export function moveAll(links: usize, source: u32, target: u32): void {
  const first = behind(links, source)
  const last = before(links, source)
  const next = behind(links, target)
  setBehind(links, target, first)
  setBefore(links, first, target)
  setBehind(links, last, next)
  setBefore(links, next, last)
  empty(links, source)
}

/**
 * The node behind `node` on a walk through the rings of heads -1, -2, … `rings` of them, in that order; from -1
 * the first, and -1 at the end.
 */
export function nextThrough(links: usize, node: u32, rings: u32): u32 {
  let next = behind(links, node)
  while (isHead(next)) {
    // At the end of a ring stands its own head, and one below it that of the next.
    if (next == 0 - rings) return 0xffff_ffff
    next = behind(links, next - 1)
  }
  return next
}
