// Loads that failed a moment ago. A source that is down is not asked again by each caller who has something else to
// go on with: for `failureThrottle` after a failure they get that instead. In this process only, bounded, and gone
// as soon as the key is changed or loaded: forgetting one costs a load that fails.

import type { Clock } from '../clock.ts'

const MOST_KEYS = 4_096

/** Which keys are not to be loaded again just now, and why. */
export class Failures {
  readonly #clock: Clock
  readonly #keys = new Map<string, { readonly error: unknown; readonly until: number }>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** The load of `key` failed; it is left alone for `throttleMs`. */
  add(key: string, error: unknown, throttleMs: number): void {
    this.#keys.delete(key)
    if (throttleMs === 0) return
    this.#keys.set(key, { error, until: this.#clock.now() + throttleMs })
    if (this.#keys.size <= MOST_KEYS) return
    for (const oldest of this.#keys.keys()) {
      this.#keys.delete(oldest)
      break
    }
  }

  /** How the load of `key` failed a moment ago; `undefined` when it may be tried. */
  get(key: string): { readonly error: unknown } | undefined {
    const failure = this.#keys.get(key)
    if (failure === undefined || this.#clock.now() < failure.until) return failure
    this.#keys.delete(key)
    return undefined
  }

  /** The key was loaded or changed: nothing is known against another load. */
  forget(key: string): void {
    this.#keys.delete(key)
  }
}
