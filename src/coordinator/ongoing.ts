// What is under way for the keys of one cache in this process: marks of mutations and fences of loads, readings and
// searches that may be joined, loads that failed a moment ago. What is newer than all of that says so here, in one
// step, so that nobody joins, keeps or goes by something that began before it.

import type { Clock } from '../clock.ts'
import type { RequestPort } from '../request-memory.ts'
import { Failures } from './failures.ts'
import type { SearchNote } from './filling.ts'
import { Marks } from './marks.ts'
import { SingleFlight } from './single-flight.ts'

/** What is under way. */
export class Ongoing {
  readonly marks: Marks = new Marks()
  readonly failures: Failures
  /** Readings of the tiers. */
  readonly reads: SingleFlight
  /** Readings with a loader behind them. */
  readonly searches: SingleFlight<SearchNote>
  readonly #requests: RequestPort | undefined

  /**
   * @param joinableMs - What began longer ago is joined by nobody; see `SingleFlight`.
   * @param requests - Requests that remember what they have seen; `undefined` where none do.
   */
  constructor(clock: Clock, joinableMs: number, requests?: RequestPort) {
    this.failures = new Failures(clock)
    this.reads = new SingleFlight(clock, joinableMs)
    this.searches = new SingleFlight(clock, joinableMs)
    this.#requests = requests
  }

  /** Nobody joins what is under way for a key; it may still be kept if the marks allow it. */
  forget(stored: string): void {
    this.searches.forget(stored)
    this.reads.forget(stored)
    this.failures.forget(stored)
    this.#requests?.current?.forget(this, stored)
  }

  /** Nobody joins what is under way for any key that begins with `prefix`. */
  forgetAll(prefix = ''): void {
    this.searches.forgetAll(prefix)
    this.reads.forgetAll(prefix)
    this.#requests?.current?.forgetAll(this, prefix)
  }

  /** Something newer than every load of this key under way exists. */
  overtake(stored: string): void {
    this.marks.overtake(stored)
    this.forget(stored)
  }

  /** Something newer than any load under way may exist, for any key. */
  overtakeAll(): void {
    this.marks.overtakeAll()
    this.forgetAll()
  }

  /** The same, for keys that begin with `prefix`. */
  overtakeUnder(prefix: string): void {
    this.marks.overtakeUnder(prefix)
    this.forgetAll(prefix)
  }
}
