// Requests for one page that is being made wait for the one that makes it, and have its answer only if that turns out to
// be a page that anybody of them may have. What they get is an outcome, never a response: a response with a cookie in
// it, a private one, or one of another variant sends each of them to the origin alone.

import type { Clock } from '../clock.ts'
import type { Page } from './page.ts'
import type { Kept } from './page-store.ts'

/** How the making of a page ended, for those who waited. */
export type Outcome =
  | { readonly kind: 'stored'; readonly kept: Kept }
  /** The origin failed, and this page may stand in where its time allows. */
  | { readonly kind: 'failed'; readonly stale: Page }
  /** The answer is for the one who asked and for nobody else. */
  | { readonly kind: 'refused' }
  /** Nothing came of it, and nothing is known: somebody else may try. */
  | { readonly kind: 'aborted' }

/** One page in the making. */
export interface Flight {
  settle(outcome: Outcome): void
}

/** How long requests for a URL that could not be shared go to the origin side by side, without waiting first. */
const APART_MS = 5_000
const MOST_APART = 1_000

/** The pages that are being made in this process. */
export class Flights {
  readonly #clock: Clock
  readonly #flights = new Map<string, Promise<Outcome>>()
  /** Keys whose last answer could not be shared, with the time until which that is believed. */
  readonly #apart = new Map<string, number>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Begins to make the page of `key`. */
  begin(key: string): Flight {
    let settle: (outcome: Outcome) => void = () => {}
    const flight = new Promise<Outcome>((resolve) => {
      settle = resolve
    })
    this.#flights.set(key, flight)
    return {
      settle: (outcome) => {
        if (this.#flights.get(key) === flight) this.#flights.delete(key)
        if (outcome.kind === 'refused') this.#setApart(key)
        settle(outcome)
      },
    }
  }

  has(key: string): boolean {
    return this.#flights.has(key)
  }

  /** Whether requests for `key` go their own ways at the moment. */
  areApart(key: string): boolean {
    const until = this.#apart.get(key)
    if (until === undefined) return false
    if (until > this.#clock.now()) return true
    this.#apart.delete(key)
    return false
  }

  /** How the page of `key` turns out, or `undefined` after `mostMs`. */
  wait(key: string, mostMs: number): Promise<Outcome | undefined> {
    const flight = this.#flights.get(key) ?? Promise.resolve(undefined)
    return new Promise((resolve) => {
      const timer = this.#clock.setTimer(() => resolve(undefined), mostMs)
      void flight.then((outcome) => {
        timer.cancel()
        resolve(outcome)
      })
    })
  }

  #setApart(key: string): void {
    this.#apart.delete(key)
    this.#apart.set(key, this.#clock.now() + APART_MS)
    const oldest = this.#apart.keys().next().value
    if (this.#apart.size > MOST_APART && oldest !== undefined) this.#apart.delete(oldest)
  }
}
