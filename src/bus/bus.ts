// The contract of a bus: the doorbell between processes. It carries who changed which keys, never a
// value; it decides nothing and writes nothing.
//
// A bus has no `publish`: the ledger rings it inside `commit`, so that there is no mutation without its
// message. Messages of one partition arrive in order; what was lost or came out of order shows as a
// message whose `after` is beyond what was seen, or as `onGap`.

import type { Message } from '../message.ts'
import type { Stamp } from '../stamp.ts'
import type { Ledger } from '../tiers/ledger.ts'
import type { TierScope } from '../tiers/tier.ts'

/** What a bus tells. No method may throw; each returns quickly, as it runs inside the bus's own reading. */
export interface BusListener {
  /** A mutation was committed, by anyone, this process included. May come twice. */
  onMessage(message: Message): void

  /** The probe with this token has passed; every message committed before it has been delivered. */
  onEcho(token: string, stamps: readonly Stamp[]): void

  /** Messages may have been missed, of one partition or (`undefined`) of all; `stamps` is where the bus goes on. */
  onGap(partition: number | undefined, stamps: readonly Stamp[], reason: string): void

  /** The bus does not work at the moment, and why; it goes on trying. `onGap` follows when it works again. */
  onFailure(error: unknown): void
}

/** Tells this process what other processes changed. */
export interface Bus {
  /** Short stable name used in events, errors and metrics, such as `file`. */
  readonly name: string
  readonly scope: TierScope
  /** Names the backend, as `Ledger.channel` does. */
  readonly channel: string
  /** The bus's backend as authority, for caches that have no ledger tier of this scope. */
  readonly ledger: Ledger

  /**
   * Begins to listen. One listener at a time.
   *
   * @returns Where each partition stands: every later mutation will be told, or a gap will.
   */
  subscribe(listener: BusListener): Promise<Stamp[]>

  /** Ends listening and releases what the bus opened itself. */
  close(): Promise<void>
}
