// The parts of the room put together, and the end of a cache's life. The decisions are in a file for each question:
//
//   reads.ts       what may answer a read: L1, the tiers, a loader; before them remembered.ts, what a request has seen
//   searches.ts    who waits for a load, for how long, and what may stand in for it
//   filling.ts     what one look below L1 finds or loads, and whether that may be kept
//   mutations.ts   in which steps a mutation takes effect
//   decisions.ts   the same, for one that depends on what is there
//   clearing.ts    the same, for all entries, and for those with a tag
//   backlog.ts     what becomes of a mutation that was not taken; delivery.ts says it again
//   hearing.ts     what follows from what others did
//
// They share ongoing.ts (what is under way, per key), commits.ts (own mutations, by number) and life.ts. Parts know
// nothing of each other: L1 answers with a state, tiers with bytes, marks with yes or no.

import type { Bus } from '../bus/bus.ts'
import type { Clock } from '../clock.ts'
import type { Codec } from '../codecs/codec.ts'
import type { KeyScope } from '../key.ts'
import type { Events } from '../metrics/events.ts'
import type { ResolvedCall } from '../options.ts'
import type { Random } from '../random.ts'
import type { RequestPort } from '../request-memory.ts'
import { Alone } from './alone.ts'
import { type AuditCounts, Auditor } from './audit.ts'
import type { Authority } from './authority.ts'
import { Backlog } from './backlog.ts'
import { Clearing } from './clearing.ts'
import { Commits } from './commits.ts'
import { Conditions } from './conditions.ts'
import type { Copies } from './copies.ts'
import { Decisions } from './decisions.ts'
import { Delivery, type Undelivered } from './delivery.ts'
import type { Doubts } from './doubts.ts'
import { Filling, type FillingCounts } from './filling.ts'
import type { Guard } from './guard.ts'
import { Hearing } from './hearing.ts'
import type { HoldOff } from './hold-off.ts'
import type { Inbound } from './inbound.ts'
import { Leases } from './leases.ts'
import { Life } from './life.ts'
import { LoadSlots } from './load-slots.ts'
import { LoadTurns } from './load-turns.ts'
import { Locks } from './locks.ts'
import { Mutations } from './mutations.ts'
import { Ongoing } from './ongoing.ts'
import type { Outbox } from './outbox.ts'
import { Reads } from './reads.ts'
import { type Answers, Remembered } from './remembered.ts'
import { Searches } from './searches.ts'
import { Session } from './session.ts'
import { Subjects } from './subject.ts'
import type { Tags } from './tags.ts'
import type { TierStack } from './tier-stack.ts'

/** What the coordinator works with, all wired. */
export interface CoordinatorParts {
  readonly copies: Copies
  readonly doubts: Doubts
  readonly stack: TierStack
  readonly tags: Tags
  readonly holdOff: HoldOff
  /** Where mutations wait that the authority does not take; `undefined` where they are refused. */
  readonly outbox: Outbox | undefined
  readonly authority: Authority | undefined
  readonly bus: Bus | undefined
  /** Guards the bus, where there is one. */
  readonly busGuard: Guard | undefined
  /** How long copies are good without proof that every mutation is heard. */
  readonly leaseMs: number
  /** Which share of the hits in L1 is audited. */
  readonly audit: number
  readonly codec: Codec
  readonly clock: Clock
  readonly random: Random
  readonly events: Events
  /** Id of this cache among those that share the authority. */
  readonly origin: string
  /** Prefix and version of the cache itself. */
  readonly scope: KeyScope
  /** What the cache says of calls that say nothing. */
  readonly defaults: ResolvedCall
  /** How many loads may run at once. */
  readonly maxLoads: number
  /** How long `close` waits for refreshes. */
  readonly closeMs: number
  /** Told of each piece of work that goes on behind an answer; it never rejects. */
  readonly waitUntil: ((work: Promise<unknown>) => void) | undefined
  /** Requests that remember what they have seen; `undefined` where none do. */
  readonly requests: RequestPort | undefined
  /** A value as another reader gets it, where readers are not to share one. */
  copy(value: unknown): unknown
}

const noAudits: AuditCounts = { audits: 0, auditStale: 0, auditStaleMs: 0 }

/** All decisions, for one cache. */
export class Coordinator {
  readonly subjects: Subjects
  readonly reads: Answers
  readonly mutations: Mutations
  readonly decisions: Decisions
  readonly clearing: Clearing
  readonly delivery: Delivery
  readonly locks: Locks
  readonly #life: Life
  readonly #filling: Filling
  readonly #hearing: Hearing
  readonly #auditor: Auditor | undefined
  readonly #session: Session
  readonly #backlog: Backlog
  readonly #copies: Copies
  readonly #stack: TierStack
  readonly #clock: Clock
  readonly #closeMs: number

  constructor(parts: CoordinatorParts) {
    const { authority, bus, clock, copies, outbox, stack } = parts
    const life = new Life(parts.waitUntil, parts.events)
    const { requests } = parts
    const joinableMs = bus === undefined ? Number.POSITIVE_INFINITY : parts.leaseMs
    const ongoing = new Ongoing(clock, joinableMs, requests)
    // Twice, since a lease counts from when its proof was sent.
    const session = new Session(clock, 2 * parts.leaseMs)
    const commits = new Commits({ ...parts, session, isRepeating: outbox !== undefined })
    const isAlone = stack.levels.length === 0 && authority === undefined
    const leases = new Leases({ ...parts, commits, isAlone })
    const subjects = new Subjects(life, parts.scope)
    const shared = {
      ...parts,
      life,
      ongoing,
      session,
      commits,
      subjects,
      leases,
      isAlone,
      isOrdered: authority !== undefined,
      isHeard: bus !== undefined,
      hasLeases: authority?.depth !== undefined,
    }
    const hearing = new Hearing(shared)
    const filling = new Filling({
      ...parts,
      marks: ongoing.marks,
      failures: ongoing.failures,
      slots: new LoadSlots(parts.maxLoads),
      turns: new LoadTurns(shared),
      heard: (stored) => hearing.heard(stored),
      met: (stored, stamp, isReading) => hearing.met(stored, stamp, isReading),
      forget: (stored, beganAt) => {
        const loadsSince = ongoing.searches.joinable(stored)?.note.loadsSince
        if (loadsSince === undefined || loadsSince < beganAt) ongoing.searches.forget(stored)
      },
    })
    const backlog = new Backlog({ ...shared, deliver: () => this.delivery.deliver() })
    const conditions = new Conditions(stack, parts.codec)
    this.subjects = subjects
    this.locks = new Locks(shared)
    this.mutations = new Mutations({ ...shared, backlog })
    this.decisions = new Decisions({ ...shared, conditions, alone: new Alone(copies) })
    this.clearing = new Clearing({ ...shared, backlog })
    this.delivery = new Delivery({
      ...shared,
      backlog,
      mutations: this.mutations,
      clearing: this.clearing,
    })
    const searches = new Searches({ ...shared, filling })
    const { audit: share, busGuard: guard } = parts
    if (bus !== undefined && authority !== undefined && guard !== undefined && share > 0)
      this.#auditor = new Auditor({ ...parts, ledger: authority.ledger, guard, share })
    const auditor = this.#auditor
    const reads = new Reads({ ...shared, delivery: this.delivery, filling, searches, hearing, auditor })
    this.reads = requests === undefined ? reads : new Remembered({ ...shared, reads, requests })
    this.#life = life
    this.#filling = filling
    this.#hearing = hearing
    this.#session = session
    this.#backlog = backlog
    this.#copies = copies
    this.#stack = stack
    this.#clock = clock
    this.#closeMs = parts.closeMs
  }

  /** Lets every tier reclaim what has expired. Resolves to how many entries that were; failures are events. */
  prune(): Promise<number> {
    this.#life.refuse()
    return this.#stack.prune()
  }

  /** What other processes have to have heard to know of everything that was committed here; see `Reads.isBehind`. */
  get token(): string {
    this.#life.refuse()
    return this.#session.token
  }

  get counts(): FillingCounts & AuditCounts {
    return { ...noAudits, ...this.#filling.counts, ...this.#auditor?.counts }
  }

  get isClosed(): boolean {
    return this.#life.isClosed
  }

  /** Whether the bus works, and why not; `undefined` without a bus. */
  get inbound(): Inbound | undefined {
    return this.#hearing.inbound
  }

  /** Refuses new work, lets what is under way end, and closes bus and tiers. Resolves to what was not delivered. */
  async close(): Promise<readonly Undelivered[]> {
    if (this.#life.isClosed) return []
    await this.delivery.deliver()
    this.#life.close()
    this.#backlog.end()
    this.#auditor?.close()
    this.#filling.close()
    await this.locks.end()
    await this.#life.settled(this.#closeMs, this.#clock)
    this.#filling.abandon()
    this.#copies.clear()
    const outcomes = await Promise.allSettled([this.#hearing.inbound?.close(), this.#stack.close()])
    const failed = outcomes.find((outcome) => outcome.status === 'rejected')
    if (failed !== undefined) throw failed.reason
    return this.delivery.undelivered
  }
}
