// Removals on their way to the listener: each is told once the operation that removed the entry is complete, in
// order. The listener may use the cache: what it removes joins the end of the queue.

import type { Key } from '../key.ts'

/**
 * Why an entry left: `evicted` for room (its deadline may have passed unnoticed), `expired` because of its
 * deadline, `deleted` by the caller (`delete`, a ttl of 0, or `clear`, whatever the deadline), `replaced` by a
 * new value under the same key.
 */
export type RemovalCause = 'evicted' | 'expired' | 'deleted' | 'replaced'

/** Told of every entry that leaves, after the operation that removed it is complete. */
export type RemovalListener<V> = (key: Key, value: V, cause: RemovalCause) => void

interface Removal<V> {
  readonly key: Key
  readonly value: V
  readonly cause: RemovalCause
}

/** What a listener has not been told yet. */
export class RemovalQueue<V> {
  readonly #listener: RemovalListener<V>
  readonly #removals: Removal<V>[] = []
  #isDelivering = false

  constructor(listener: RemovalListener<V>) {
    this.#listener = listener
  }

  add(key: Key, value: V, cause: RemovalCause): void {
    this.#removals.push({ key, value, cause })
  }

  /**
   * Tells the listener. What it throws does not stop the others from being delivered: it reaches the caller of the
   * outermost operation afterwards, several errors as one AggregateError.
   */
  deliver(): void {
    // A listener that uses the cache comes here again; the loop below takes what it added.
    if (this.#removals.length === 0 || this.#isDelivering) return
    this.#isDelivering = true
    const errors: unknown[] = []
    for (let at = 0; at < this.#removals.length; at++) {
      const { key, value, cause } = this.#removals[at] as Removal<V>
      try {
        this.#listener(key, value, cause)
      } catch (error) {
        errors.push(error)
      }
    }
    this.#removals.length = 0
    this.#isDelivering = false
    if (errors.length === 1) throw errors[0]
    if (errors.length > 1) throw new AggregateError(errors, `onRemoval threw for ${errors.length} entries`)
  }
}
