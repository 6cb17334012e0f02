// Session tokens: the last mutations of a process, so that another process can be asked for nothing older.
//
// A token says, for each partition in which this cache has committed something lately, the place of the last commit.
// What was committed longer ago than a lease has been heard everywhere, or copies are not used there; so a token is
// short where writes are few, and has at most one place for each partition.
//
//    1~p.e.s~p.e.s-…    partition, epoch and sequence in base 36; with a `-` the commit lies somewhere before that place

import type { Clock } from '../clock.ts'
import { describe } from '../duration.ts'
import { isAtOrAfter, type Stamp } from '../stamp.ts'

const form = /^1(~[0-9a-z]{1,4}\.[0-9a-z]{1,11}\.[0-9a-z]{1,11}-?)*$/
/** One place for each of the most partitions there can be would be more; nobody writes to them all within a lease. */
const LONGEST = 32_768

/** A place in the order, up to which something was committed. */
export interface Place {
  readonly stamp: Stamp
  /** Whether it is that of the commit, and not one somewhere behind it. */
  readonly isExact: boolean
}

/** The commits of one cache that others may not have heard of yet. */
export class Session {
  readonly #clock: Clock
  readonly #ms: number
  readonly #last = new Map<number, Place & { readonly at: number }>()

  /** @param ms - After how long everyone has heard, or uses no copies. */
  constructor(clock: Clock, ms: number) {
    this.#clock = clock
    this.#ms = ms
  }

  /**
   * The cache has committed this.
   *
   * @param isExact - Whether the place is that of the commit, and not one somewhere behind it.
   */
  committed(stamp: Stamp, isExact = true): void {
    const last = this.#last.get(stamp.partition)?.stamp
    if (last !== undefined && isAtOrAfter(last, stamp)) return
    this.#last.set(stamp.partition, { stamp, at: this.#clock.now(), isExact })
  }

  /**
   * Whether a place is that of this cache's own last commit, of which its copies know. Of what others committed before
   * that they need not, so a place that lies somewhere behind a commit says nothing.
   */
  isOwn({ stamp: { partition, epoch, sequence }, isExact }: Place): boolean {
    const last = this.#last.get(partition)
    const isBoth = isExact && last?.isExact === true
    return isBoth && last.stamp.epoch === epoch && last.stamp.sequence === sequence
  }

  /** The token of now. */
  get token(): string {
    const now = this.#clock.now()
    let token = '1'
    for (const { stamp, at, isExact } of this.#last.values()) {
      if (now - at > this.#ms) continue
      const { partition, epoch, sequence } = stamp
      token += `~${[partition, epoch, sequence].map((number) => number.toString(36)).join('.')}`
      if (!isExact) token += '-'
    }
    return token
  }
}

/**
 * The places in a token.
 *
 * @throws TypeError when it is none that this version writes.
 */
export function placesIn(token: unknown): Place[] {
  if (typeof token !== 'string' || token.length > LONGEST || !form.test(token))
    throw new TypeError(`atLeast: ${describe(token)} is no token of cache.token()`)
  return token
    .split('~')
    .slice(1)
    .map((place) => {
      const isExact = !place.endsWith('-')
      const [partition, epoch, sequence] = place.split('.').map((text) => Number.parseInt(text, 36))
      return { stamp: { partition, epoch, sequence } as Stamp, isExact }
    })
}
