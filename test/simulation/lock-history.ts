// Who held which lock in one run, and whether that keeps what locks promise (docs/guide/locks.md).
//
//   L1  who was given a lock later has the greater fencing number
//   L2  while one process knows by its clock that it holds a lock, no other does
//   L3  what is guarded by the number refuses whoever comes after a later holder
//
// In which order a lock was given is seen at the authority, by the tokens that it stores. When it forgets what it
// had, it forgets its locks: L2 holds between two holders in whose time nothing was forgotten. When another server takes
// over that was behind (E1), everything begins anew; and a server that has nothing left but its clock, and that set
// back, gives numbers that were given before.

import type { Lock } from '../../src/coordinator/locks.ts'
import { Broken } from './history.ts'
import type { Life } from './universe.ts'

interface Grant {
  readonly place: number
  readonly epoch: number
  /** How often leases had been forgotten. */
  readonly losses: number
  /** How often what was done had been undone. */
  readonly returns: number
}

interface Holder {
  readonly lock: Lock
  readonly life: Life
  readonly grant: Grant
}

/** What is changed under a lock: it refuses a lower number than it has seen. */
interface Guarded {
  fence: bigint
  grant: Grant
}

/** One run's locks. */
export class LockHistory {
  readonly #grants = new Map<string, Grant>()
  readonly #holders = new Map<string, Holder[]>()
  readonly #guarded = new Map<string, Guarded>()
  #losses = 0
  #returns = 0
  #wasSetBack = false
  /** How many were given, and how many writes were refused. */
  given = 0
  refused = 0

  /** The authority stored the token of a holder; again, when that one prolongs. */
  stored(token: string, epoch: number): void {
    if (this.#grants.has(token)) return
    const { size: place } = this.#grants
    this.#grants.set(token, { place, epoch, losses: this.#losses, returns: this.#returns })
  }

  /** Leases were forgotten. */
  forgotten(): void {
    this.#losses++
  }

  /** What was done in the last moments was undone. */
  returned(): void {
    this.#returns++
    this.#guarded.clear()
  }

  /** The clock of a server went back. */
  setBack(): void {
    this.#wasSetBack = true
  }

  obtained(lock: Lock, life: Life): void {
    const grant = this.#grants.get(lock.token)
    if (grant === undefined) throw new Broken(`L1: the authority knows nothing of a holder of ${lock.name}`)
    this.given++
    const holder = { lock, life, grant }
    const others = (this.#holders.get(lock.name) ?? []).filter((other) => !other.life.isDead)
    for (const other of others) {
      const [earlier, later] = other.grant.place < grant.place ? [other, holder] : [holder, other]
      if (this.#areOrdered(earlier.grant, later.grant) && earlier.lock.fence >= later.lock.fence)
        throw new Broken(`L1: ${lock.name} has the number ${later.lock.fence} after ${earlier.lock.fence}`)
    }
    this.#holders.set(lock.name, [...others.slice(-20), holder])
    this.#checkAlone(holder)
  }

  /** Something guarded by a lock is asked to change, with a holder's number. */
  write(lock: Lock): void {
    const holder = this.#holders.get(lock.name)?.find((one) => one.lock === lock)
    if (holder === undefined) return
    this.#checkAlone(holder)
    const { grant } = holder
    const known = this.#guarded.get(lock.name)
    if (known !== undefined && lock.fence < known.fence) {
      this.refused++
      return
    }
    if (known !== undefined && this.#areOrdered(grant, known.grant) && grant.place < known.grant.place)
      throw new Broken(`L3: ${lock.name} was written to by who held it before the last that did`)
    this.#guarded.set(lock.name, { fence: lock.fence, grant })
  }

  #checkAlone(holder: Holder): void {
    const { grant, lock } = holder
    if (!lock.isHeld) return
    for (const other of this.#holders.get(lock.name) ?? []) {
      if (other === holder || other.life.isDead || !other.lock.isHeld) continue
      const wasForgotten = other.grant.epoch !== grant.epoch || other.grant.losses !== grant.losses
      if (!wasForgotten && other.grant.returns === grant.returns)
        throw new Broken(`L2: ${lock.name} is held twice, with ${other.lock.fence} and ${lock.fence}`)
    }
  }

  #areOrdered(one: Grant, other: Grant): boolean {
    return one.returns === other.returns && (one.epoch === other.epoch || !this.#wasSetBack)
  }
}
