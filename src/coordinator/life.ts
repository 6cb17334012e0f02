// Whether a cache is open, and what it still has to do before it is closed: mutations, which are always waited for, and
// work that goes on behind an answer, which is waited for no longer than a limit.

import type { Clock } from '../clock.ts'
import { CacheError } from '../errors.ts'
import type { Events } from '../metrics/events.ts'
import { Chain } from './chain.ts'
import { within } from './waiting.ts'

/** The life of one cache. */
export class Life {
  readonly #waitUntil: ((work: Promise<unknown>) => void) | undefined
  readonly #events: Events
  readonly #work = new Chain<Promise<unknown>>()
  readonly #behind = new Set<Promise<unknown>>()
  /** Set once, by `close`. A field, as each hit looks at it. */
  isClosed = false

  /** @param waitUntil - Told of each piece of work that goes on behind an answer; it never rejects. */
  constructor(waitUntil: ((work: Promise<unknown>) => void) | undefined, events: Events) {
    this.#waitUntil = waitUntil
    this.#events = events
  }

  /** @throws CacheError `CACHE_CLOSED`. */
  refuse(): void {
    if (this.isClosed)
      throw new CacheError('CACHE_CLOSED', 'the cache is closed; nothing can be asked of it any more')
  }

  /** Does work that `close` waits for, however long it takes. */
  async working<T>(work: () => Promise<T>): Promise<T> {
    const running = work()
    const place = this.#work.add(running)
    try {
      return await running
    } finally {
      this.#work.remove(place)
    }
  }

  /** `work` goes on behind an answer: `close` waits for it, and so does the platform where it has to be told. */
  goesOn(work: Promise<unknown>): void {
    const done = work.then(
      () => {},
      () => {},
    )
    this.#behind.add(done)
    void done.then(() => this.#behind.delete(done))
    try {
      this.#waitUntil?.(done)
    } catch (error) {
      // The answer is there, whatever the platform says of the work behind it.
      if (this.#events.hears('listener.failed'))
        this.#events.tell('listener.failed', { event: 'waitUntil', error })
    }
  }

  /** Refuses new work. */
  close(): void {
    this.isClosed = true
  }

  /** Resolves when nothing is under way any more, or what goes on behind answers has had `mostMs` for it. */
  async settled(mostMs: number, clock: Clock): Promise<void> {
    await Promise.allSettled(this.#work.values())
    // A loader that never settles must not keep the process from ending.
    await within(Promise.allSettled([...this.#behind]), mostMs, clock)
  }
}
