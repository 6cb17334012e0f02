// What conditions.ts asks of whoever orders, in a cache that is a first level and nothing else: there a look and what
// follows from it are one step, as nothing is awaited in between.

import type { Lifetime } from '../entry.ts'
import { notFound, sumOf } from './conditions.ts'
import type { Copies, HeldValue, Note } from './copies.ts'
import type { Subject } from './subject.ts'

/** Conditional mutations of L1 alone. */
export class Alone {
  readonly #copies: Copies

  constructor(copies: Copies) {
    this.#copies = copies
  }

  add({ l1Key }: Subject, value: unknown, lifetime: Lifetime, note: Note | undefined): boolean {
    if (this.#fresh(l1Key) !== undefined) return false
    if (lifetime.ttlMs === 0) this.#copies.drop(l1Key)
    else this.#copies.keep(l1Key, value, lifetime, undefined, note)
    return true
  }

  touch({ l1Key }: Subject, lifetime: Lifetime): boolean {
    const held = this.#fresh(l1Key)
    if (held === undefined) return false
    if (lifetime.ttlMs === 0) this.#copies.drop(l1Key)
    else this.#copies.keep(l1Key, held.value, lifetime, undefined, notAhead(held.note))
    return true
  }

  increment({ key, l1Key }: Subject, delta: number): number {
    const held = this.#fresh(l1Key)
    if (held === undefined) throw notFound(key)
    const sum = sumOf(key, held.value, delta)
    const note = held.note && { ...held.note, validators: undefined }
    this.#copies.put(l1Key, sum, held.freshUntil, held.usableUntil, undefined, note)
    return sum
  }

  take({ l1Key }: Subject): unknown {
    const held = this.#fresh(l1Key)
    if (held === undefined) return undefined
    this.#copies.drop(l1Key)
    return held.value
  }

  expire({ l1Key }: Subject): boolean {
    const held = this.#fresh(l1Key)
    if (held === undefined) return false
    const now = held.freshUntil + held.staleForMs
    const staleMs = held.usableUntil - held.freshUntil
    if (staleMs > 0) this.#copies.put(l1Key, held.value, now, now + staleMs, undefined, notAhead(held.note))
    else this.#copies.drop(l1Key)
    return true
  }

  move({ key, l1Key }: Subject, to: Subject): boolean {
    const held = this.#fresh(l1Key)
    if (held === undefined) throw notFound(key)
    this.#copies.drop(l1Key)
    this.#copies.put(to.l1Key, held.value, held.freshUntil, held.usableUntil, undefined, held.note)
    return true
  }

  #fresh(l1Key: Subject['l1Key']): HeldValue | undefined {
    const held = this.#copies.held(l1Key)
    return held !== undefined && held.staleForMs < 0 ? held : undefined
  }
}

/** The note of a value that gets other times: what it says of renewing it before its end was for those it had. */
function notAhead(note: Note | undefined): Note | undefined {
  return note && { ...note, aheadMs: 0, spreadMs: 0 }
}
