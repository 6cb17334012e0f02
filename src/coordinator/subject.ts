// What a call is about: the forms that one key takes, worked out once where the call comes in.

import type { Lifetime } from '../entry.ts'
import { checkKey, type Key, type KeyScope, l1KeyOf, storedKey } from '../key.ts'
import { lifetimeOf, type ResolvedCall } from '../options.ts'
import type { Life } from './life.ts'

/** One entry that a caller named: the forms its key takes. */
export interface Subject {
  readonly key: Key
  readonly l1Key: Key
  readonly stored: string
}

/** Turns keys into subjects, for a cache that is open. */
export class Subjects {
  readonly #life: Life
  readonly #own: KeyScope

  /** @param own - Prefix and version of the cache itself. */
  constructor(life: Life, own: KeyScope) {
    this.#life = life
    this.#own = own
  }

  /** @throws TypeError or RangeError for what can be no key; CacheError `CACHE_CLOSED`. */
  of(key: Key, scope: KeyScope): Subject {
    this.#life.refuse()
    checkKey(key)
    return { key, l1Key: l1KeyOf(this.#own, scope, key), stored: storedKey(scope, key) }
  }

  /**
   * Refuses what `set` would refuse before it does anything.
   *
   * @throws As `of`, and TypeError for a value that says nothing or a life without a length.
   */
  ofWrite(
    key: Key,
    scope: KeyScope,
    value: unknown,
    call: ResolvedCall,
  ): { readonly subject: Subject; readonly lifetime: Lifetime } {
    if (value === undefined) {
      throw new TypeError('value: undefined means that there is no entry; use delete, or null for "nothing"')
    }
    return { subject: this.of(key, scope), lifetime: lifetimeOf(call) }
  }
}
