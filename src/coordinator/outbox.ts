// Mutations that the authority did not take and that are to be delivered later (`whenDown: 'queue'`).
//
// Per key the last one counts, since each of them says all there is to say of its key. They are kept in the order in
// which they were called, and their bytes are bounded: what is over the bound becomes one clear of everything, which
// is coarser and forgets nothing. That their keys are not answered from copies and tiers meanwhile is the affair of
// doubts.ts.

import type { Key } from '../key.ts'
import type { Subject } from './subject.ts'
import type { KeyFollowing } from './tier-stack.ts'

/** A mutation that waits. */
export interface Queued {
  readonly subject: Subject
  readonly mutation: KeyFollowing
  /** Number of the mutation: heard of after all, it need not be said again. */
  readonly serial: number
  /** When it was called, by the clock: a set's life goes on while it waits. */
  readonly calledAt: number
}

/** What one mutation weighs besides its key and bytes. */
const OVERHEAD_BYTES = 128

/** The mutations of one cache that wait for the authority. */
export class Outbox {
  readonly #maxBytes: number
  readonly #queued = new Map<string, Queued>()
  #bytes = 0

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  /** What they weigh. */
  get bytes(): number {
    return this.#bytes
  }

  /** The one that waits longest. */
  get first(): Queued | undefined {
    for (const queued of this.#queued.values()) return queued
    return undefined
  }

  /** What waits, in the order in which it was called. */
  get undelivered(): { readonly op: 'set' | 'delete'; readonly key: Key }[] {
    return [...this.#queued.values()].map(({ mutation, subject }) => ({ op: mutation.op, key: subject.key }))
  }

  /** The stored keys that wait and begin with `prefix`. */
  keysUnder(prefix: string): string[] {
    return [...this.#queued.keys()].filter((stored) => stored.startsWith(prefix))
  }

  get(stored: string): Queued | undefined {
    return this.#queued.get(stored)
  }

  /**
   * Has a mutation wait, in place of an earlier one of its key.
   *
   * @returns `false` when there is no room: then nothing waits any more.
   */
  add(queued: Queued): boolean {
    this.remove(queued.mutation.key)
    this.#queued.set(queued.mutation.key, queued)
    this.#bytes += weightOf(queued)
    if (this.#bytes <= this.#maxBytes) return true
    this.clear()
    return false
  }

  /** Nothing waits for this key any more. */
  remove(stored: string): void {
    const queued = this.#queued.get(stored)
    if (queued === undefined) return
    this.#queued.delete(stored)
    this.#bytes -= weightOf(queued)
  }

  /** Nothing waits any more for keys that begin with `prefix`. */
  clear(prefix = ''): void {
    for (const stored of this.keysUnder(prefix)) this.remove(stored)
  }
}

function weightOf({ mutation }: Queued): number {
  return OVERHEAD_BYTES + 2 * mutation.key.length + (mutation.op === 'set' ? mutation.bytes.length : 0)
}
