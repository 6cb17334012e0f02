// What one request has seen of the caches it asks, and the port by which a cache finds the request it is asked in. The
// requests of a program are told apart by request-scope.ts, the only file of the two that needs Node.
//
// A look-up takes its sight when it begins, so that all who look a key up at once end with what the first of them
// brings. A mutation throws the sight away: who looks afterwards takes another one, and what was under way meanwhile
// ends in the old one, where nobody finds it.

/** In place of a value: the key is still being looked up. */
export const UNSEEN: unique symbol = Symbol('unseen')

/** What a request has seen under one key: a value, `undefined` where there was none, `UNSEEN` until that is known. */
export interface Sight {
  value: unknown
}

/** What one request has seen. */
export class RequestMemory {
  readonly #most: number
  /** By cache, then by stored key. */
  readonly #caches = new Map<object, Map<string, Sight>>()
  #size = 0
  #isOver = false

  /** @param most - Keys beyond these are looked up each time. */
  constructor(most: number) {
    this.#most = most
  }

  get isOver(): boolean {
    return this.#isOver
  }

  /** What was seen under a key; `undefined` when it was not looked up. */
  find(cache: object, stored: string): Sight | undefined {
    return this.#caches.get(cache)?.get(stored)
  }

  /** Where a look-up is to leave what it sees; `undefined` when there is no room, or the request is over. */
  sight(cache: object, stored: string): Sight | undefined {
    const found = this.find(cache, stored)
    if (found !== undefined || this.#isOver || this.#size >= this.#most) return found
    let sights = this.#caches.get(cache)
    if (sights === undefined) {
      sights = new Map()
      this.#caches.set(cache, sights)
    }
    const sight: Sight = { value: UNSEEN }
    sights.set(stored, sight)
    this.#size++
    return sight
  }

  /** A key was changed, or is to be looked up again. */
  forget(cache: object, stored: string): void {
    if (this.#caches.get(cache)?.delete(stored) === true) this.#size--
  }

  /** All keys that begin with `prefix` were. */
  forgetAll(cache: object, prefix: string): void {
    for (const stored of this.#caches.get(cache)?.keys() ?? []) {
      if (stored.startsWith(prefix)) this.forget(cache, stored)
    }
  }

  /** What goes on after the request looks everything up by itself. */
  end(): void {
    this.#isOver = true
    this.#caches.clear()
    this.#size = 0
  }
}

/** How a cache finds the request that it is asked in. */
export interface RequestPort {
  /** The request under way; `undefined` outside of one. */
  readonly current: RequestMemory | undefined
  /** The same for a read; `undefined` also within a loader, whose value is for everybody. */
  readonly reading: RequestMemory | undefined
  /**
   * A loader whose reads find no request, and whose mutations find the one in which this was asked: it may be called in
   * another one's turn, when that gives a place among `maxLoads` back.
   */
  aside<Context, T>(load: (context: Context) => T): (context: Context) => T
}
