// Many keys, one load. Each key goes its own way through filling.ts, with its own flight, fence and stand-in, and
// shares two steps with the others: one reading of the tiers, and one call of the loader for the keys that nobody had.
//
// That call is made when every key of the batch has said what became of it: found, given up, or to be loaded. A key
// that is refreshed later, when the call was made, is loaded alone.

import { describe } from '../duration.ts'
import type { Key } from '../key.ts'
import type { Loader, LoaderContext } from './loading.ts'
import type { Reading } from './tier-stack.ts'

/** What a loader of many keys is given. */
export interface BulkLoaderContext {
  /** The keys to load, each once. */
  readonly keys: readonly Key[]
  /** Fires when `loadTimeout` is over, with a `CACHE_LOAD_TIMEOUT` as its reason; pass it on to what you call. */
  readonly signal: AbortSignal
  /** One key failed, the others did not. */
  fail(key: Key, error: unknown): void
}

/**
 * Produces many missing values at once. Keys that it does not return have no value and are not stored. What it throws
 * is the failure of all its keys.
 */
export type BulkLoader<V> = (
  context: BulkLoaderContext,
) => Iterable<readonly [Key, V]> | PromiseLike<Iterable<readonly [Key, V]>>

/** One use of a bulk loader. */
export class Batch {
  readonly #load: BulkLoader<unknown>
  readonly #read: (keys: readonly Key[], stored: readonly string[]) => Promise<Reading[]>
  /** Keys that are in the batch, by what became of them. */
  readonly #undecided = new Map<Key, string>()
  readonly #wanted = new Map<Key, Wanted>()
  #isSealed = false
  #readings: Promise<Map<Key, Reading>> | undefined

  constructor(
    load: BulkLoader<unknown>,
    read: (keys: readonly Key[], stored: readonly string[]) => Promise<Reading[]>,
  ) {
    this.#load = load
    this.#read = read
  }

  /** `key` takes part, if that is still possible; ends with `decided`. */
  begin(key: Key, stored: string): void {
    if (!this.#isSealed) this.#undecided.set(key, stored)
  }

  /** All that take part have begun. */
  seal(): void {
    this.#isSealed = true
    this.#callWhenDecided()
  }

  /** What the tiers say of `key`; one call of each for the whole batch. */
  async read(key: Key, stored: string): Promise<Reading | undefined> {
    if (!this.#undecided.has(key)) return (await this.#read([key], [stored]))[0]
    // Not before the others have begun, whose fences must be up by then.
    this.#readings ??= Promise.resolve().then(async () => {
      const keys = [...this.#undecided]
      const readings = await this.#read(
        keys.map(([each]) => each),
        keys.map(([, each]) => each),
      )
      return new Map(keys.map(([each], turn) => [each, readings[turn] as Reading]))
    })
    return (await this.#readings).get(key)
  }

  /** What is to become of `key` is clear. */
  decided(key: Key): void {
    if (this.#undecided.delete(key)) this.#callWhenDecided()
  }

  /** The loader of one key, which waits for the call that loads them all. */
  get loader(): Loader<unknown> {
    return (context) => {
      if (!this.#undecided.has(context.key)) return callAlone(this.#load, context)
      const outcome = new Promise((resolve, reject) => {
        this.#wanted.set(context.key, { context, resolve, reject })
      })
      this.decided(context.key)
      return outcome
    }
  }

  #callWhenDecided(): void {
    if (!this.#isSealed || this.#undecided.size > 0 || this.#wanted.size === 0) return
    const wanted = new Map(this.#wanted)
    this.#wanted.clear()
    void call(this.#load, wanted)
  }
}

interface Wanted {
  readonly context: LoaderContext
  resolve(value: unknown): void
  reject(error: unknown): void
}

function callAlone(load: BulkLoader<unknown>, context: LoaderContext): Promise<unknown> {
  return new Promise((resolve, reject) => {
    void call(load, new Map([[context.key, { context, resolve, reject }]]))
  })
}

/** Calls the loader and deals out what it brings. Never rejects. */
async function call(load: BulkLoader<unknown>, wanted: ReadonlyMap<Key, Wanted>): Promise<void> {
  const [first] = wanted.values()
  if (first === undefined) return
  const { signal } = first.context
  try {
    const loaded: unknown = await load({
      keys: [...wanted.keys()],
      signal,
      fail: (key, error) => wanted.get(key)?.reject(error),
    })
    if (typeof loaded !== 'object' || loaded === null || !(Symbol.iterator in loaded)) {
      throw new TypeError(
        `load: it returned ${describe(loaded)} and must return a Map, or pairs of key and value`,
      )
    }
    for (const pair of loaded as Iterable<readonly [Key, unknown]>) {
      if (!Array.isArray(pair))
        throw new TypeError(`load: ${describe(pair)} in what it returned is no pair of key and value`)
      wanted.get(pair[0])?.resolve(pair[1])
    }
    for (const { resolve } of wanted.values()) resolve(undefined)
  } catch (error) {
    for (const { reject } of wanted.values()) reject(error)
  }
}
