// One load for several processes (`loadLease`). Whoever misses a key takes a lease for it at the authority; the others
// wait until that is given back, and then look for what was loaded. It is a device for efficiency and nothing else: what
// is stored is fenced, so that two loads at once cost a load and never an old answer. So whatever goes wrong ends in a
// load: an authority that cannot be asked, a holder that died, a lease that is over before its load.
//
// Who gets the lease looks once more before it loads, as another process may have loaded and given it back between its
// miss and now.

import type { Clock } from '../clock.ts'
import type { Lease, Leases } from './leases.ts'
import type { Life } from './life.ts'
import { within } from './waiting.ts'

/** What load turns work with. */
export interface LoadTurnsParts {
  readonly leases: Leases
  readonly life: Life
  readonly clock: Clock
  /** Whether a bus rings when a lease is given back; it is looked for now and then, without one more often. */
  readonly isHeard: boolean
  /** Whether an authority keeps entries, and so leases. */
  readonly hasLeases: boolean
}

/** What to do after one more look: wait again, if that found nothing, or load. */
export type LoadTurnState = 'wait' | 'load'

/** How often it is looked for without a bus. */
const POLL_MS = 50
/** The same with one: nobody rings for a lease that ends by itself, and a ring may be lost. */
const HEARD_POLL_MS = 250
/** Stored keys that are longer leave no room for the mark in front. */
const LONGEST = 500

/** Hands out turns. */
export class LoadTurns {
  readonly #parts: LoadTurnsParts

  constructor(parts: LoadTurnsParts) {
    this.#parts = parts
  }

  /**
   * A turn to load a key; `undefined` when it needs none.
   *
   * @param leaseMs - How long a lease is; as long is waited for that of another, all in all.
   */
  of(stored: string, leaseMs: number, mostMs: number): LoadTurn | undefined {
    if (leaseMs === 0 || !this.#parts.hasLeases || new TextEncoder().encode(stored).length > LONGEST)
      return undefined
    return new LoadTurn(this.#parts, `%load:${stored}`, leaseMs, Math.min(leaseMs, mostMs))
  }
}

/** One search waiting for its turn. */
export class LoadTurn {
  readonly #parts: LoadTurnsParts
  readonly #stored: string
  readonly #leaseMs: number
  readonly #until: number
  #lease: Lease | undefined

  constructor(parts: LoadTurnsParts, stored: string, leaseMs: number, mostMs: number) {
    this.#parts = parts
    this.#stored = stored
    this.#leaseMs = leaseMs
    this.#until = parts.clock.now() + mostMs
  }

  /** Waits until there is reason to look again. Says what to do if that finds nothing. */
  async next(): Promise<LoadTurnState> {
    const { clock, isHeard, leases } = this.#parts
    let wake = (): void => {}
    const told = new Promise<void>((resolve) => {
      wake = resolve
    })
    // Before the lease is asked for: what is told between that and the waiting counts.
    const unwatch = leases.watch(this.#stored, () => wake())
    try {
      this.#lease = await leases.take(this.#stored, this.#leaseMs)
      const leftMs = this.#until - clock.now()
      if (this.#lease !== undefined || leftMs <= 0) return 'load'
      await within(told, Math.min(leftMs, isHeard ? HEARD_POLL_MS : POLL_MS), clock)
      return 'wait'
    } catch {
      return 'load'
    } finally {
      unwatch()
    }
  }

  /** The turn is over: something was found, loaded, or could not be. */
  end(): void {
    if (this.#lease !== undefined) this.#parts.life.goesOn(this.#parts.leases.give(this.#lease))
  }
}
