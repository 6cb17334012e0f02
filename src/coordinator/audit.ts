// The auditor: now and then, a copy that was answered with is compared with the authority, so that the bound on old
// answers is measured where the cache runs and not only proved in tests.
//
// That a copy is older than the authority proves nothing: the message may be on its way. But when the authority has
// said that there is something newer, every process must have heard of it a lease later, or must not use copies. So
// the copy is looked at again after that time; if L1 still answers with it, a promise is broken.
//
// Nothing of it is in the way of the answer, and there is one audit at a time.
//
// Source: the observer of Meta's cache consistency, Polaris (2022), which asks replicas after an invalidation.

import type { Clock, Timer } from '../clock.ts'
import { type Key, type KeyScope, partitionTextOf, storedKey } from '../key.ts'
import type { Message } from '../message.ts'
import type { Events } from '../metrics/events.ts'
import type { Random } from '../random.ts'
import { isAtOrAfter, partitionOf, type Stamp } from '../stamp.ts'
import type { Ledger } from '../tiers/ledger.ts'
import type { Copies } from './copies.ts'
import type { Guard } from './guard.ts'

/** What audits found. */
export interface AuditCounts {
  /** Copies that were compared with the authority. */
  audits: number
  /** Of those, how many were answered with for longer than a lease after the authority had something newer. */
  auditStale: number
  /** The longest time after which one of those was seen in use, in milliseconds. */
  auditStaleMs: number
}

/** What an auditor is made of. */
export interface AuditorParts {
  readonly ledger: Ledger
  readonly guard: Guard
  readonly copies: Copies
  /** Id of this cache: what it did itself its copies follow, whatever they say of the order. */
  readonly origin: string
  readonly leaseMs: number
  /** How many of the hits in L1 are audited: more than 0, at most 1. */
  readonly share: number
  readonly clock: Clock
  readonly random: Random
  readonly events: Events
}

/** Audits hits in L1. */
export class Auditor {
  readonly #parts: AuditorParts
  readonly counts: AuditCounts = { audits: 0, auditStale: 0, auditStaleMs: 0 }
  /** Hits until the next audit. */
  #left: number
  #isBusy = false
  #timer: Timer | undefined

  constructor(parts: AuditorParts) {
    this.#parts = parts
    this.#left = this.#distance()
  }

  /** L1 answered. Costs a subtraction, but for the one hit that is audited. */
  hit(key: Key, l1Key: Key, scope: KeyScope): void {
    if (--this.#left > 0) return
    this.#left = this.#distance()
    const stored = storedKey(scope, key)
    const asOf = this.#isBusy ? undefined : this.#parts.copies.asOf(l1Key, this.#partitionOf(stored))
    if (asOf === undefined) return
    this.#isBusy = true
    this.#audit(key, l1Key, stored, asOf).catch(() => this.#end())
  }

  /** Ends the audit under way, without a finding. */
  close(): void {
    this.#timer?.cancel()
    this.#left = Number.POSITIVE_INFINITY
  }

  async #audit(key: Key, l1Key: Key, stored: string, asOf: Stamp): Promise<void> {
    const { clock, copies, leaseMs } = this.#parts
    this.counts.audits++
    const changed = await this.#changedAfter(stored, asOf)
    if (changed === undefined) {
      this.#end()
      return
    }
    const knownAt = clock.now()
    this.#timer = clock.setTimer(() => {
      const held = copies.asOf(l1Key, asOf.partition)
      if (held === undefined || isAtOrAfter(held, changed)) this.#end()
      else
        void this.#confirm(key, l1Key, stored, held, changed, clock.now() - knownAt).finally(() =>
          this.#end(),
        )
    }, leaseMs)
  }

  /** A copy was in use for too long; unless the change was lost meanwhile, with the server that had it. */
  async #confirm(
    key: Key,
    l1Key: Key,
    stored: string,
    held: Stamp,
    changed: Stamp,
    staleMs: number,
  ): Promise<void> {
    const { copies, events } = this.#parts
    const still = await this.#changedAfter(stored, held)
    if (still !== undefined && still.epoch === changed.epoch && isAtOrAfter(still, changed)) {
      this.counts.auditStale++
      this.counts.auditStaleMs = Math.max(this.counts.auditStaleMs, staleMs)
      copies.drop(l1Key)
      if (events.hears('audit.stale')) events.tell('audit.stale', { key, staleMs })
    }
  }

  /** Where the authority has a mutation of the key after `asOf`; `undefined` for nowhere, and when it cannot tell. */
  async #changedAfter(stored: string, asOf: Stamp): Promise<Stamp | undefined> {
    const { guard, ledger, origin } = this.#parts
    const readings = await guard.attempt('audit', () => ledger.read([stored]))
    const reading = readings?.[0]
    if (reading === undefined || reading.asOf.epoch < asOf.epoch) return undefined
    if (reading.asOf.epoch > asOf.epoch) return reading.asOf
    const written = reading.entry?.stamp
    if (isAtOrAfter(asOf, written ?? reading.asOf)) return undefined
    // An entry that was loaded anew is younger and says nothing else; a removal leaves its place in the log alone.
    const messages = await guard.attempt('audit', () => ledger.since(asOf))
    if (messages === undefined || messages === 'gap') return undefined
    return messages.findLast((message) => message.origin !== origin && concerns(message, stored))?.stamp
  }

  #partitionOf(stored: string): number {
    return partitionOf(partitionTextOf(stored), this.#parts.ledger.partitions)
  }

  #end(): void {
    this.#isBusy = false
  }

  /** Hits up to the next audit, at random: a program that reads in turns must not have one key audited for ever. */
  #distance(): number {
    const { random, share } = this.#parts
    return share === 1 ? 1 : Math.ceil(-Math.log(1 - random.next()) / share)
  }
}

function concerns({ op, keys }: Message, stored: string): boolean {
  return op === 'clear' ? stored.startsWith(keys[0] ?? '') : keys.includes(stored)
}
