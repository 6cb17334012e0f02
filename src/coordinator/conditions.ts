// Mutations that depend on what is there: `add`, `touch`, `incr`, `pull`, `expire`, `incrVersion`. Whoever orders
// decides them in one step (docs/reference/ledger.md); here is what is asked of it, and what the answer means.
//
// The authority knows live entries; a caller means fresh ones. An entry past its ttl that is kept for the stale windows
// is absent to `add`, `touch`, `incr`, `pull` and `incrVersion`, and none of them brings it back to life. So the entry is
// looked at, and where it matters what was seen is part of the condition; a look that was overtaken is taken again. Each
// time that happens, somebody else got on.

import type { Codec } from '../codecs/codec.ts'
import { type Lifetime, staleMsOf } from '../entry.ts'
import { CacheError } from '../errors.ts'
import type { Key } from '../key.ts'
import type { Mutation } from '../tiers/ledger.ts'
import { DIGITS_AT, encodeEntry, encodeEnvelope, isStoredInteger } from './envelope.ts'
import type { Subject } from './subject.ts'
import type { Tagged } from './tags.ts'
import type { Found, Outcome, TierStack } from './tier-stack.ts'

/** Has whoever orders decide one mutation. */
export type Commit = (mutation: Mutation) => Promise<Outcome>

/** What a conditional mutation came to. */
export interface Decided<T> {
  readonly result: T
  /** What was committed, applied or not; `undefined` when it was clear without. */
  readonly outcome: Outcome | undefined
  readonly mutation: Mutation | undefined
}

/** How often a look may be overtaken before the call gives up. */
const MOST_LOOKS = 1_000

/** Asks for conditional mutations. */
export class Conditions {
  readonly #stack: TierStack
  readonly #codec: Codec

  constructor(stack: TierStack, codec: Codec) {
    this.#stack = stack
    this.#codec = codec
  }

  /** Stores `value` if there is no fresh entry. With a ttl of 0 nothing is stored, and the answer is the same. */
  add(
    subject: Subject,
    value: unknown,
    lifetime: Lifetime,
    tagged: Tagged | undefined,
    commit: Commit,
  ): Promise<Decided<boolean>> {
    const remainingMs = lifetime.ttlMs === 0 ? 0 : lifetime.ttlMs + staleMsOf(lifetime)
    const { key, stored } = subject
    const write = {
      key: stored,
      bytes: encodeEntry(this.#codec, subject, value, lifetime, tagged),
      remainingMs,
    }
    return untilDecided(key, async () => {
      const added: Mutation = { op: 'add', ...write }
      const outcome = await commit(added)
      if (outcome.applied) return { result: true, outcome, mutation: added }
      // What stands in the way may be past its ttl.
      const found = await this.#stack.look(key, stored)
      if (found === undefined) return undefined
      if (found.freshMs > 0) return unchanged(false)
      const swapped: Mutation = { op: 'swap', ...write, expected: found.bytes }
      const second = await commit(swapped)
      return second.applied ? { result: true, outcome: second, mutation: swapped } : undefined
    })
  }

  /** Gives a fresh entry another `ttl`; of 0 it is removed. */
  touch({ key, stored }: Subject, lifetime: Lifetime, commit: Commit): Promise<Decided<boolean>> {
    const staleMs = staleMsOf(lifetime)
    const remainingMs = lifetime.ttlMs === 0 ? 0 : lifetime.ttlMs + staleMs
    return untilDecided(key, async () => {
      const found = await this.#fresh(key, stored)
      if (found === undefined) return unchanged(false)
      // How much of its life is past its ttl stands in the entry.
      const mutation: Mutation =
        found.staleMs === staleMs || remainingMs === 0
          ? { op: 'touch', key: stored, remainingMs }
          : {
              op: 'swap',
              key: stored,
              bytes: encodeEnvelope(
                this.#codec,
                stored,
                found.value,
                staleMs,
                found.tagged,
                found.validators,
              ),
              remainingMs,
              expected: found.bytes,
            }
      return decidedBy(mutation, true, await commit(mutation))
    })
  }

  /**
   * Adds `delta` to a fresh integer and keeps its times.
   *
   * @throws CacheError `CACHE_NOT_FOUND`; TypeError when the value is no safe integer, RangeError when the sum is none.
   */
  increment({ key, stored }: Subject, delta: number, commit: Commit): Promise<Decided<number>> {
    return untilDecided(key, async () => {
      const found = await this.#fresh(key, stored)
      if (found === undefined) throw notFound(key)
      const sum = sumOf(key, found.value, delta)
      if (!isStoredInteger(found.bytes)) {
        const bytes = encodeEnvelope(this.#codec, stored, sum, found.staleMs, found.tagged)
        const { bytes: expected, usableMs: remainingMs } = found
        const mutation: Mutation = { op: 'swap', key: stored, bytes, remainingMs, expected }
        return decidedBy(mutation, sum, await commit(mutation))
      }
      const mutation: Mutation = { op: 'increment', key: stored, delta, from: DIGITS_AT }
      try {
        const outcome = await commit(mutation)
        return decidedBy(mutation, outcome.number as number, outcome)
      } catch (error) {
        // Replaced since it was seen, by something that is no integer or too great; the next look says so.
        const cause = error instanceof CacheError ? error.cause : error
        if (cause instanceof TypeError || cause instanceof RangeError) return undefined
        throw error
      }
    })
  }

  /** Removes a fresh entry and answers with its value; `undefined` when there is none. */
  take({ key, stored }: Subject, commit: Commit): Promise<Decided<unknown>> {
    return untilDecided(key, async () => {
      const found = await this.#fresh(key, stored)
      if (found === undefined) return unchanged(undefined)
      const { bytes } = found
      const mutation: Mutation = { op: 'swap', key: stored, bytes, remainingMs: 0, expected: bytes }
      return decidedBy(mutation, found.value, await commit(mutation))
    })
  }

  /** Ends the fresh time of an entry; what is left of it are its stale windows. */
  expire({ key, stored }: Subject, commit: Commit): Promise<Decided<boolean>> {
    return untilDecided(key, async () => {
      const found = await this.#fresh(key, stored)
      if (found === undefined) return unchanged(false)
      const mutation: Mutation = { op: 'touch', key: stored, remainingMs: found.staleMs }
      return decidedBy(mutation, true, await commit(mutation))
    })
  }

  /**
   * Puts a fresh entry under another version of its key, and keeps its times.
   *
   * @throws CacheError `CACHE_NOT_FOUND`.
   */
  move({ key, stored }: Subject, to: Subject, commit: Commit): Promise<Decided<boolean>> {
    return untilDecided(key, async () => {
      if ((await this.#fresh(key, stored)) === undefined) throw notFound(key)
      const mutation: Mutation = { op: 'move', key: stored, to: to.stored }
      return decidedBy(mutation, true, await commit(mutation))
    })
  }

  async #fresh(key: Key, stored: string): Promise<Found | undefined> {
    const found = await this.#stack.look(key, stored)
    return found !== undefined && found.freshMs > 0 ? found : undefined
  }
}

async function untilDecided<T>(
  key: Key,
  attempt: () => Promise<Decided<T> | undefined>,
): Promise<Decided<T>> {
  for (let looks = 0; looks < MOST_LOOKS; looks++) {
    const decided = await attempt()
    if (decided !== undefined) return decided
  }
  throw new CacheError('CACHE_TIER_FAILED', `${JSON.stringify(key)} was changed by others all the time`, {
    key,
  })
}

/** `undefined` when the look was overtaken. */
function decidedBy<T>(mutation: Mutation, result: T, outcome: Outcome): Decided<T> | undefined {
  return outcome.applied ? { result, outcome, mutation } : undefined
}

/** The error of a mutation that needs an entry. */
export function notFound(key: Key): CacheError {
  return new CacheError('CACHE_NOT_FOUND', `there is no entry ${JSON.stringify(key)}`, { key })
}

/**
 * The sum of an integer that is stored and `delta`.
 *
 * @throws TypeError when `value` is no safe integer, RangeError when the sum is none.
 */
export function sumOf(key: Key, value: unknown, delta: number): number {
  if (!Number.isSafeInteger(value)) throw notInteger(key)
  const sum = (value as number) + delta
  if (Number.isSafeInteger(sum)) return sum
  throw new RangeError(`${JSON.stringify(key)}: ${value} and ${delta} make no safe integer; the value stays`)
}

function notInteger(key: Key): TypeError {
  return new TypeError(
    `${JSON.stringify(key)}: the value is not a safe integer, so nothing can be added to it`,
  )
}

function unchanged<T>(result: T): Decided<T> {
  return { result, outcome: undefined, mutation: undefined }
}
