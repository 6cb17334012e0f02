// Leases: names that one holder has at a time, for a while, decided by whoever orders. Two things are made of them, one
// load for several processes (load-turns.ts) and locks (locks.ts).
//
// A lease is an entry of its own with the holder's token as its bytes: taken by `add`, prolonged and given back by
// `swap` against those bytes, so that nobody touches a lease that is not theirs any more. A holder that dies gives it
// back by its end. Its stored key begins with a `%` that no prefix of a cache begins with, so no cache has it, in L1 or
// anywhere, and no `clear` but that of all prefixes removes it. Those who wait are rung by the bus when it is given back.
//
// A stop of the holder that is longer than the lease leaves two who believe they hold it. That is why a lock has a
// fencing number, the place of its `add` in the order: it grows from holder to holder. A load needs none, as what it
// stores is fenced anyway.

import type { Clock } from '../clock.ts'
import { type Random, randomId } from '../random.ts'
import type { Commits } from './commits.ts'
import type { TierStack } from './tier-stack.ts'

/** What leases work with. */
export interface LeasesParts {
  readonly stack: TierStack
  readonly commits: Commits
  readonly clock: Clock
  readonly random: Random
  readonly origin: string
  /** Nobody else could hold one: they are kept in this process. */
  readonly isAlone: boolean
}

/** A lease that was taken. */
export interface Lease {
  readonly stored: string
  readonly token: string
  /** Greater than that of every holder before. */
  readonly fence: bigint
  /** When it ends, by this process's clock; counted from before it was asked for. */
  readonly until: number
}

/** A sequence is less. */
const EPOCH_SHIFT = 64n

/** Takes leases and gives them back. */
export class Leases {
  readonly #parts: LeasesParts
  readonly #watchers = new Map<string, Set<() => void>>()
  /** Where nobody orders: what is held in this process, and how many were. */
  readonly #held = new Map<string, Lease>()
  #count = 0n

  constructor(parts: LeasesParts) {
    this.#parts = parts
  }

  /** Takes a lease that nobody holds; `undefined` when somebody does. Rejects when whoever orders could not be asked. */
  async take(stored: string, ms: number): Promise<Lease | undefined> {
    const { clock, isAlone, random } = this.#parts
    const token = randomId(random)
    const until = clock.now() + ms
    if (isAlone) {
      if ((this.#held.get(stored)?.until ?? 0) > clock.now()) return undefined
      const lease = { stored, token, fence: ++this.#count, until }
      this.#held.set(stored, lease)
      return lease
    }
    try {
      const { applied, stamp } = await this.#commit('add', stored, token, ms)
      if (!applied || stamp === undefined) return undefined
      return { stored, token, fence: (BigInt(stamp.epoch) << EPOCH_SHIFT) + BigInt(stamp.sequence), until }
    } catch (error) {
      // It may have been done all the same; then nobody would hold it until its end.
      this.#commit('swap', stored, token, 0).catch(() => {})
      throw error
    }
  }

  /** Prolongs a lease from now on. `undefined` when it was somebody else's, or nobody's, already. */
  async prolong(lease: Lease, ms: number): Promise<Lease | undefined> {
    const { clock, isAlone } = this.#parts
    const prolonged = { ...lease, until: clock.now() + ms }
    if (!isAlone)
      return (await this.#commit('swap', lease.stored, lease.token, ms)).applied ? prolonged : undefined
    if (this.#held.get(lease.stored)?.token !== lease.token || lease.until <= clock.now()) return undefined
    this.#held.set(lease.stored, prolonged)
    return prolonged
  }

  /** Gives a lease back. Resolves to whether it was held until now. */
  async give({ stored, token, until }: Lease): Promise<boolean> {
    const { clock, isAlone } = this.#parts
    if (isAlone) {
      if (this.#held.get(stored)?.token !== token) return false
      this.#held.delete(stored)
      this.tell(stored)
      return until > clock.now()
    }
    const { applied } = await this.#commit('swap', stored, token, 0)
    // The bus tells others only.
    if (applied) this.tell(stored)
    return applied
  }

  /** Calls `wake` when something is told of a lease. Returns what ends that. */
  watch(stored: string, wake: () => void): () => void {
    const watchers = this.#watchers.get(stored) ?? new Set()
    watchers.add(wake)
    this.#watchers.set(stored, watchers)
    return () => {
      watchers.delete(wake)
      if (watchers.size === 0 && this.#watchers.get(stored) === watchers) this.#watchers.delete(stored)
    }
  }

  /** Something was told of the entry of this stored key. */
  tell(stored: string): void {
    if (this.#watchers.size === 0) return
    for (const wake of [...(this.#watchers.get(stored) ?? [])]) wake()
  }

  #commit(
    op: 'add' | 'swap',
    key: string,
    token: string,
    remainingMs: number,
  ): ReturnType<TierStack['commit']> {
    const { commits, origin, stack } = this.#parts
    const bytes = new TextEncoder().encode(token)
    const mutation =
      op === 'add' ? { op, key, bytes, remainingMs } : { op, key, bytes, remainingMs, expected: bytes }
    return stack.commit(mutation, { id: origin, serial: commits.next() })
  }
}
