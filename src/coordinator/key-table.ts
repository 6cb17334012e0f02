// What is under way per key, where thousands of keys come and go each second: a `Map` is the wrong table for that.
//
// A `Map` that loses as many entries as it gets is copied again and again, and V8 has each abandoned copy point to the
// next one, for the sake of iterators. Once one of them has got into the old generation, all that came after it are held
// from there, with the entries they had when they were abandoned, until the next full collection: half a kilobyte of
// each read of a tier was moved to the old generation that way, which cost as much as the read.
//
// Here a removed entry points to nothing. Buckets with lists, as many as there are entries; the hash spreads and
// defends against nobody, since there are no more entries than callers at the same time.

interface Node<V> {
  readonly key: string
  readonly hash: number
  value: V
  next: Node<V> | undefined
}

const FIRST_BUCKETS = 16
/** From more than this on, a table that is nearly empty gives half of them back. */
const KEPT_BUCKETS = 1_024

/** Values by key, for keys that do not stay. */
export class KeyTable<V> {
  #buckets: (Node<V> | undefined)[] = emptyBuckets(FIRST_BUCKETS)
  #size = 0

  get size(): number {
    return this.#size
  }

  get(key: string): V | undefined {
    const hash = hashOf(key)
    let node = this.#buckets[hash & (this.#buckets.length - 1)]
    while (node !== undefined && (node.hash !== hash || node.key !== key)) node = node.next
    return node?.value
  }

  set(key: string, value: V): void {
    const hash = hashOf(key)
    const at = hash & (this.#buckets.length - 1)
    const first = this.#buckets[at]
    for (let node = first; node !== undefined; node = node.next) {
      if (node.hash === hash && node.key === key) {
        node.value = value
        return
      }
    }
    this.#buckets[at] = { key, hash, value, next: first }
    this.#size++
    if (this.#size > this.#buckets.length) this.#resize(2 * this.#buckets.length)
  }

  delete(key: string): void {
    const hash = hashOf(key)
    const at = hash & (this.#buckets.length - 1)
    let before: Node<V> | undefined
    let node = this.#buckets[at]
    while (node !== undefined && (node.hash !== hash || node.key !== key)) {
      before = node
      node = node.next
    }
    if (node === undefined) return
    if (before === undefined) this.#buckets[at] = node.next
    else before.next = node.next
    node.next = undefined
    this.#size--
    const count = this.#buckets.length
    if (count > KEPT_BUCKETS && this.#size < count / 8) this.#resize(count / 2)
  }

  /** Those that are there now, in no order. */
  entries(): [key: string, value: V][] {
    const all: [string, V][] = []
    for (let node of this.#buckets) {
      for (; node !== undefined; node = node.next) all.push([node.key, node.value])
    }
    return all
  }

  #resize(count: number): void {
    const buckets = emptyBuckets<V>(count)
    for (let node of this.#buckets) {
      while (node !== undefined) {
        const { next }: Node<V> = node
        const at = node.hash & (count - 1)
        node.next = buckets[at]
        buckets[at] = node
        node = next
      }
    }
    this.#buckets = buckets
  }
}

function emptyBuckets<V>(count: number): (Node<V> | undefined)[] {
  return Array.from({ length: count }, () => undefined)
}

function hashOf(key: string): number {
  let hash = 0
  for (let at = 0; at < key.length; at++) hash = Math.imul(hash, 31) + key.charCodeAt(at)
  return hash ^ (hash >>> 15)
}
