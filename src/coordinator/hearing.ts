// What others did, as far as this process knows: what the bus tells, and what was found in a tier before the bus told of
// it. Both make what is older unusable here; nothing is written and nobody is told.

import type { Bus } from '../bus/bus.ts'
import type { Clock } from '../clock.ts'
import { type KeyScope, partitionTextOf } from '../key.ts'
import type { Message } from '../message.ts'
import type { Events } from '../metrics/events.ts'
import type { Random } from '../random.ts'
import { isAtOrAfter, partitionOf, type Stamp } from '../stamp.ts'
import type { Authority } from './authority.ts'
import type { Commits } from './commits.ts'
import type { Copies } from './copies.ts'
import type { Doubts } from './doubts.ts'
import type { Guard } from './guard.ts'
import type { HoldOff } from './hold-off.ts'
import { Inbound, type InboundTarget } from './inbound.ts'
import type { Leases } from './leases.ts'
import type { Ongoing } from './ongoing.ts'
import type { Outbox } from './outbox.ts'
import type { Tags } from './tags.ts'

/** What hearing works with. */
export interface HearingParts {
  readonly copies: Copies
  readonly tags: Tags
  readonly ongoing: Ongoing
  readonly commits: Commits
  readonly doubts: Doubts
  /** Where mutations wait that the authority does not take; `undefined` where they are refused. */
  readonly outbox: Outbox | undefined
  readonly holdOff: HoldOff
  readonly leases: Leases
  readonly authority: Authority | undefined
  readonly bus: Bus | undefined
  /** Guards the bus, where there is one. */
  readonly busGuard: Guard | undefined
  /** How long copies are good without proof that every mutation is heard. */
  readonly leaseMs: number
  readonly clock: Clock
  readonly random: Random
  readonly events: Events
  /** Id of this cache among those that share the authority. */
  readonly origin: string
  /** Prefix and version of the cache itself. */
  readonly scope: KeyScope
}

/** Hears of what others did. */
export class Hearing implements InboundTarget {
  readonly #copies: Copies
  readonly #tags: Tags
  readonly #ongoing: Ongoing
  readonly #commits: Commits
  readonly #doubts: Doubts
  readonly #outbox: Outbox | undefined
  readonly #holdOff: HoldOff
  readonly #leases: Leases
  readonly #authority: Authority | undefined
  readonly #events: Events
  readonly #origin: string
  readonly #scope: KeyScope
  /** `undefined` without a bus. */
  readonly inbound: Inbound | undefined

  constructor(parts: HearingParts) {
    this.#copies = parts.copies
    this.#tags = parts.tags
    this.#ongoing = parts.ongoing
    this.#commits = parts.commits
    this.#doubts = parts.doubts
    this.#outbox = parts.outbox
    this.#holdOff = parts.holdOff
    this.#leases = parts.leases
    this.#authority = parts.authority
    this.#events = parts.events
    this.#origin = parts.origin
    this.#scope = parts.scope
    const { authority, bus, busGuard } = parts
    if (bus !== undefined && busGuard !== undefined && authority !== undefined) {
      this.inbound = new Inbound({ ...parts, bus, guard: busGuard, ledger: authority.ledger, target: this })
    }
  }

  dropKeys({ op, keys, stamp, origin, serial }: Message): void {
    for (const stored of keys) {
      this.#leases.tell(stored)
      if (!stored.startsWith(this.#scope.prefix)) continue
      this.#ongoing.overtake(stored)
      // What others did may be older than what was called here; what was done here after all is not.
      if (origin === this.#origin) {
        this.#doubts.lift(stored, serial)
        if ((this.#outbox?.get(stored)?.serial ?? Number.POSITIVE_INFINITY) <= serial)
          this.#outbox?.remove(stored)
      }
      if (op === 'delete') this.#holdOff.note([stored])
      const key = this.#copies.invalidate(stored, stamp)
      if (this.#events.hears('entry.invalidated')) this.#events.tell('entry.invalidated', { key, origin })
    }
  }

  clearPrefix(prefix: string, stamp: Stamp, isNews: boolean): void {
    const own = this.#scope.prefix
    // Loads were overtaken when it was called here, and what was called since comes after it.
    if (own.startsWith(prefix)) {
      if (isNews) this.#holdOff.noteAll()
      if (isNews) this.suspect(stamp)
      else this.#copies.suspect(stamp)
    } else if (prefix.startsWith(own)) {
      this.#copies.noteUnder(prefix, stamp)
      if (!isNews) return
      this.#holdOff.noteAll(prefix)
      this.#ongoing.overtakeUnder(prefix)
      this.#copies.dropUnder(prefix)
    }
  }

  invalidateTags(message: Message, isNews: boolean): void {
    const isOurs = this.#tags.hear(message)
    if (message.origin === this.#origin) {
      this.#tags.lift(message.keys, message.op === 'delete-tags' ? 'delete' : 'expire', message.serial)
    }
    if (!isOurs || !isNews) return
    if (message.op === 'delete-tags') this.#holdOff.note(message.keys)
    this.#ongoing.forgetAll()
  }

  isUnsettled(message: Message): boolean {
    return this.#commits.isUnsettled(message)
  }

  suspect(stamp: Stamp): Stamp | undefined {
    if (stamp.partition === this.#authority?.ledger.partitions) {
      this.#tags.lost(stamp)
      return undefined
    }
    this.#ongoing.overtakeAll()
    return this.#copies.suspect(stamp)
  }

  restart(stamp: Stamp, heard: Stamp): void {
    if (stamp.partition === this.#authority?.ledger.partitions) {
      this.#tags.restart(stamp)
      return
    }
    this.#ongoing.overtakeAll()
    this.#copies.restart(stamp, heard)
  }

  absolve(stamp: Stamp, earlier: Stamp): void {
    this.#copies.absolve(stamp, earlier)
  }

  renewed(until: number): void {
    this.#copies.lease(until)
  }

  /** How far this process has heard in the partition of a key. */
  heard(stored: string): Stamp | undefined {
    if (this.#authority === undefined) return undefined
    return this.inbound?.heard(partitionOf(partitionTextOf(stored), this.#authority.ledger.partitions))
  }

  /**
   * An entry was found that was written at `stamp`: what is older is not good any more.
   *
   * @param isReading - Whether a reading found it. A search that did may be joined as before; that another one may not
   *   is its own affair when it answers.
   */
  met(stored: string, stamp: Stamp, isReading: boolean): boolean {
    if (this.inbound === undefined) return false
    const heard = this.inbound.heard(stamp.partition)
    // In another epoch it is news, even in an earlier one: what was heard may be made up, and what is there is not.
    if (heard?.epoch === stamp.epoch && isAtOrAfter(heard, stamp)) return false
    // L1 may have been given an older value meanwhile, by a look that began with this one.
    this.#copies.invalidate(stored, stamp)
    this.#ongoing.marks.overtake(stored)
    this.#ongoing.reads.forget(stored)
    if (isReading) this.#ongoing.searches.forget(stored)
    return true
  }
}
