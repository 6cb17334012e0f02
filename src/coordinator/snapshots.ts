// Whether what was saved of L1 is still good when the cache begins again (C12: a restore resurrects nothing).
//
// With a bus: a snapshot says up to where changes were heard when it began, and an entry in it was current at least up
// to there. When this process listens again, the log of each partition is asked for what came after. What the log names
// is dropped; what came later is heard, and drops what it names as always; so whatever else was saved is current, and
// says so with a stamp. Where the log does not reach back so far, nobody can tell, and the partition begins empty.
//
// Without a bus nobody tells of changes, neither to a cache that runs nor of the time between; so it is the caller who
// says that the snapshot is to be trusted.
//
// Tags are not judged here: an entry keeps what it says of them, and is judged when it is used, as any other.

import type { Clock } from '../clock.ts'
import type { KeyScope } from '../key.ts'
import type { CoreStamp, Provenance } from '../l1/l1.ts'
import type { Stamp } from '../stamp.ts'
import type { Authority } from './authority.ts'
import type { Copies, Note } from './copies.ts'
import type { Guard } from './guard.ts'
import type { Inbound } from './inbound.ts'
import type { Validators } from './loading.ts'
import type { Tagged, Tags } from './tags.ts'
import { LATE, within } from './waiting.ts'

/** How long a snapshot is held while the bus can not be reached. */
const PROOF_LIMIT_MS = 30_000

/** What snapshots of a cache are made of. */
export interface SnapshotsParts {
  readonly copies: Copies
  readonly tags: Tags
  readonly scope: KeyScope
  readonly clock: Clock
  readonly authority: Authority | undefined
  /** Follows the bus; `undefined` without one. */
  readonly inbound: Inbound | undefined
  readonly busGuard: Guard | undefined
}

/** A note as it is saved, under short names: there is one for each entry. */
interface SavedNote {
  readonly a?: number
  readonly s?: number
  readonly v?: Validators | undefined
  readonly t?: readonly string[]
  readonly p?: Stamp
}

/** Saves and proves what one cache has in L1. */
export class Snapshots implements Provenance {
  readonly of: string
  readonly #parts: SnapshotsParts

  constructor(parts: SnapshotsParts) {
    this.#parts = parts
    this.of = JSON.stringify([parts.scope.text, parts.authority?.ledger.channel ?? ''])
  }

  heard(): (Stamp | undefined)[] {
    const { inbound, authority } = this.#parts
    if (inbound === undefined || authority === undefined) return []
    return Array.from({ length: authority.ledger.partitions }, (_, partition) => inbound.heard(partition))
  }

  textOf(given: unknown): string | undefined {
    const note = given as Note | undefined
    if (note === undefined) return ''
    const { aheadMs, spreadMs, validators, mark } = note
    const saved: SavedNote = { a: aheadMs, s: spreadMs, v: validators }
    if (mark === undefined) return JSON.stringify(saved)
    const verdict = this.#parts.tags.verdictOf(mark)
    if (verdict === 'expired' || verdict === 'deleted') return undefined
    return JSON.stringify({ ...saved, t: mark.tags, p: mark.since })
  }

  noteOf(text: string): Note {
    const { copies, tags, authority } = this.#parts
    const { a = 0, s = 0, v, t, p } = JSON.parse(text) as SavedNote
    const note = { aheadMs: a, spreadMs: s, validators: v }
    if (t === undefined || p === undefined) return note
    // Where nobody orders, this process does, in an order that began with it; the entry is older than all of it.
    const since = authority === undefined && tags.place !== undefined ? { ...tags.place, sequence: 0 } : p
    const tagged: Tagged = { tags: t, since }
    const marked = { ...note, mark: tags.markOf(tagged) }
    copies.expect(marked)
    return marked
  }

  async prove(
    heard: readonly (Stamp | undefined)[],
  ): Promise<((partition: number) => CoreStamp | undefined) | undefined> {
    const { inbound, authority, clock } = this.#parts
    if (inbound === undefined || authority === undefined) return () => undefined
    if ((await within(inbound.connected(), PROOF_LIMIT_MS, clock)) === LATE) return undefined
    const known = await Promise.all(heard.map((stamp) => this.#follow(stamp)))
    return (partition) => known[partition]
  }

  /**
   * Drops what was changed after `heard`.
   *
   * @returns Up to where in the order everything else is good; `undefined` when that is not known.
   */
  async #follow(heard: Stamp | undefined): Promise<CoreStamp | undefined> {
    const { authority, busGuard, copies, scope } = this.#parts
    if (heard === undefined || authority === undefined) return undefined
    const { ledger } = authority
    const missed = await busGuard?.attempt('since', () => ledger.since(heard))
    if (missed === undefined || missed === 'gap') return undefined
    let stamp = heard
    for (const message of missed) {
      const follows = message.stamp.epoch === stamp.epoch && message.after === stamp.sequence
      if (!follows) return undefined
      const [cleared = ''] = message.op === 'clear' ? message.keys : []
      if (message.op !== 'clear') for (const key of message.keys) copies.invalidate(key, message.stamp)
      else if (scope.prefix.startsWith(cleared)) return undefined
      // Of a namespace of this cache, or of another cache, whose keys nobody has here.
      else copies.dropUnder(cleared)
      stamp = message.stamp
    }
    // As of now: if the order begins anew while entries come in, they are of the one before.
    return copies.stampOf(stamp)
  }
}
