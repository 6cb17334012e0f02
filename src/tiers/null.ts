// The tier that keeps nothing: for turning a level off by configuration, and for tests of what is around it. Django's
// dummy backend answers alike: what would be stored counts as stored, and nothing is ever there.

import { describe } from '../duration.ts'
import { CacheError } from '../errors.ts'
import { checkNames } from '../options.ts'
import type { Tier, TierEntry, TierScope, TierSupports, TierWrite } from './tier.ts'

/** What a null tier can be told. */
export interface NullTierOptions {
  /**
   * How far the tier claims to reach, so that it can stand in for one that does.
   *
   * @defaultValue `'process'`
   */
  scope?: TierScope
}

/**
 * A tier that keeps nothing. `add` and `compareAndSet` over nothing say that they stored; all else finds nothing.
 *
 * @throws TypeError naming the option.
 * @example
 * const tier = process.env.NO_CACHE ? nullTier() : fileTier({ directory })
 */
export function nullTier(options: NullTierOptions = {}): Tier {
  checkNames(options, ['scope'], 'nullTier')
  const { scope = 'process' } = options
  if (!['process', 'machine', 'fleet'].includes(scope))
    throw new TypeError(`scope: ${describe(scope)} is none of 'process', 'machine' and 'fleet'`)
  return new NullTier(scope)
}

class NullTier implements Tier {
  readonly name = 'null'
  readonly scope: TierScope
  readonly supports: TierSupports = {
    expiry: true,
    prefixClear: true,
    add: true,
    increment: true,
    compareAndSet: true,
  }
  readonly ledger = undefined
  #isClosed = false

  constructor(scope: TierScope) {
    this.scope = scope
  }

  get(): Promise<TierEntry | undefined> {
    return this.#answer(undefined)
  }

  getMany(keys: readonly string[]): Promise<(TierEntry | undefined)[]> {
    return this.#answer(keys.map(() => undefined))
  }

  set(): Promise<void> {
    return this.#answer(undefined)
  }

  setMany(): Promise<void> {
    return this.#answer(undefined)
  }

  add(): Promise<boolean> {
    return this.#answer(true)
  }

  compareAndSet(_write: TierWrite, expected: Uint8Array | undefined): Promise<boolean> {
    return this.#answer(expected === undefined)
  }

  increment(): Promise<number | undefined> {
    return this.#answer(undefined)
  }

  touch(): Promise<boolean> {
    return this.#answer(false)
  }

  delete(): Promise<boolean> {
    return this.#answer(false)
  }

  deleteMany(): Promise<number> {
    return this.#answer(0)
  }

  clear(): Promise<void> {
    return this.#answer(undefined)
  }

  prune(): Promise<number> {
    return this.#answer(0)
  }

  async close(): Promise<void> {
    this.#isClosed = true
  }

  async #answer<T>(answer: T): Promise<T> {
    if (this.#isClosed) throw new CacheError('CACHE_CLOSED', 'null tier: it is closed', { tier: this.name })
    return answer
  }
}
