// `add`, `touch`, `incr`, `pull`, `expire`, `incrVersion`: the steps of a mutation (mutations.ts) around one that depends
// on what is there. What is asked of whoever orders is in conditions.ts; what is done where nobody does, in alone.ts.

import type { Clock } from '../clock.ts'
import { shortened, staleMsOf } from '../entry.ts'
import { CacheError } from '../errors.ts'
import type { Key, KeyScope } from '../key.ts'
import type { MutationOp } from '../metrics/events.ts'
import { lifetimeOf, type ResolvedCall } from '../options.ts'
import type { Random } from '../random.ts'
import type { Stamp } from '../stamp.ts'
import type { Mutation } from '../tiers/ledger.ts'
import type { Alone } from './alone.ts'
import type { Commits } from './commits.ts'
import type { Commit, Conditions, Decided } from './conditions.ts'
import type { Copies } from './copies.ts'
import type { Doubts } from './doubts.ts'
import type { Life } from './life.ts'
import type { Ongoing } from './ongoing.ts'
import type { Outbox } from './outbox.ts'
import type { Subject, Subjects } from './subject.ts'
import { taggingOf } from './tagging.ts'
import type { Tags } from './tags.ts'
import { followingOf, type Outcome, type TierStack } from './tier-stack.ts'

/** What decisions work with. */
export interface DecisionsParts {
  readonly copies: Copies
  readonly stack: TierStack
  readonly tags: Tags
  readonly conditions: Conditions
  readonly alone: Alone
  readonly ongoing: Ongoing
  readonly commits: Commits
  readonly doubts: Doubts
  /** Where mutations wait that the authority does not take; `undefined` where they are refused. */
  readonly outbox: Outbox | undefined
  readonly subjects: Subjects
  readonly life: Life
  readonly clock: Clock
  readonly random: Random
  /** Nobody but L1 holds anything, and nobody tells: mutations take effect within the call. */
  readonly isAlone: boolean
}

/** What a conditional mutation does where L1 is all there is, and where somebody orders. */
interface DecideSteps<T> {
  alone(): T
  ask(commit: Commit): Promise<Decided<T>>
  /** Puts the value into L1 when it applied; without it the key is gone there. */
  install?(stamp: Stamp | undefined): void
}

/** Mutations that depend on what is there. */
export class Decisions {
  readonly #copies: Copies
  readonly #stack: TierStack
  readonly #tags: Tags
  readonly #conditions: Conditions
  readonly #alone: Alone
  readonly #ongoing: Ongoing
  readonly #commits: Commits
  readonly #doubts: Doubts
  readonly #outbox: Outbox | undefined
  readonly #subjects: Subjects
  readonly #life: Life
  readonly #clock: Clock
  readonly #random: Random
  readonly #isAlone: boolean

  constructor(parts: DecisionsParts) {
    this.#copies = parts.copies
    this.#stack = parts.stack
    this.#tags = parts.tags
    this.#conditions = parts.conditions
    this.#alone = parts.alone
    this.#ongoing = parts.ongoing
    this.#commits = parts.commits
    this.#doubts = parts.doubts
    this.#outbox = parts.outbox
    this.#subjects = parts.subjects
    this.#life = parts.life
    this.#clock = parts.clock
    this.#random = parts.random
    this.#isAlone = parts.isAlone
  }

  /** Stores `value` if there is no fresh one. */
  add(key: Key, scope: KeyScope, value: unknown, call: ResolvedCall): Promise<boolean> {
    const { subject, lifetime: named } = this.#subjects.ofWrite(key, scope, value, call)
    const lifetime = shortened(named, call.jitter, () => this.#random.next())
    const known = this.#tags.beginWrite(call.tags)
    let since = known instanceof Promise ? undefined : known
    const { taggedAt, noteAt } = taggingOf(this.#tags, call, lifetime)
    // What it takes to decide is no part of the value's life.
    const freshUntil = this.#clock.now() + lifetime.ttlMs
    const usableUntil = freshUntil + staleMsOf(lifetime)
    return this.#decide<boolean>('add', [subject], {
      alone: () => this.#alone.add(subject, value, lifetime, noteAt(since)),
      ask: async (commit) => {
        if (known instanceof Promise) since = await known
        return this.#conditions.add(subject, value, lifetime, taggedAt(since), commit)
      },
      install: (stamp) => {
        if (lifetime.ttlMs === 0) return
        this.#copies.put(subject.l1Key, value, freshUntil, usableUntil, stamp, noteAt(since))
      },
    })
  }

  /** Gives a fresh entry another ttl. Resolves to whether there was one. */
  touch(key: Key, scope: KeyScope, call: ResolvedCall): Promise<boolean> {
    const subject = this.#subjects.of(key, scope)
    const lifetime = lifetimeOf(call)
    return this.#decide<boolean>('touch', [subject], {
      alone: () => this.#alone.touch(subject, lifetime),
      ask: (commit) => this.#conditions.touch(subject, lifetime, commit),
    })
  }

  /** Adds to a fresh integer. Resolves to the sum. */
  increment(key: Key, scope: KeyScope, delta: number): Promise<number> {
    const subject = this.#subjects.of(key, scope)
    return this.#decide<number>('increment', [subject], {
      alone: () => this.#alone.increment(subject, delta),
      ask: (commit) => this.#conditions.increment(subject, delta, commit),
    })
  }

  /** Removes a fresh entry. Resolves to its value, or `undefined`. */
  take(key: Key, scope: KeyScope): Promise<unknown> {
    const subject = this.#subjects.of(key, scope)
    return this.#decide<unknown>('delete', [subject], {
      alone: () => this.#alone.take(subject),
      ask: (commit) => this.#conditions.take(subject, commit),
    })
  }

  /** Makes a fresh entry stale. Resolves to whether there was one. */
  expire(key: Key, scope: KeyScope): Promise<boolean> {
    const subject = this.#subjects.of(key, scope)
    return this.#decide<boolean>('expire', [subject], {
      alone: () => this.#alone.expire(subject),
      ask: (commit) => this.#conditions.expire(subject, commit),
    })
  }

  /** Puts a fresh entry under another version of its key. */
  async move(key: Key, scope: KeyScope, to: KeyScope): Promise<void> {
    const subject = this.#subjects.of(key, scope)
    const target = this.#subjects.of(key, to)
    await this.#decide<unknown>('move', [subject, target], {
      alone: () => this.#alone.move(subject, target),
      ask: (commit) => this.#conditions.move(subject, target, commit),
    })
  }

  /**
   * A mutation that depends on what is there: the steps of `Mutations.mutate`, with a look and as many attempts as it takes in
   * place of one commit. It cannot be said again later, as its answer is what was asked for.
   */
  async #decide<T>(op: MutationOp, subjects: readonly Subject[], steps: DecideSteps<T>): Promise<T> {
    if (this.#isAlone) {
      for (const { stored } of subjects) this.#ongoing.overtake(stored)
      const result = steps.alone()
      if (result !== false && result !== undefined) this.#commits.announce(op, subjects[0]?.key)
      return result
    }
    // Before anything is asked: a part that refuses what it was never able to do has not failed.
    if (!this.#stack.canDecide) {
      throw new CacheError(
        'CACHE_NOT_SUPPORTED',
        `${op}: a bus orders the mutations of this cache and keeps no entries, so none can depend on what is there. Give the cache a tier over the same backend`,
        { key: subjects[0]?.key },
      )
    }
    const turns = subjects.map(({ stored }) => this.#ongoing.marks.mutate(stored))
    for (const { l1Key, stored } of subjects) {
      this.#ongoing.forget(stored)
      this.#copies.hide(l1Key)
    }
    const isLatest = (): boolean => turns.every((turn) => turn.isLatest())
    let serial = 0
    let lost: unknown
    const commit = async (mutation: Mutation): Promise<Outcome> => {
      serial = this.#commits.next()
      try {
        return await this.#commits.commit(mutation, serial)
      } catch (error) {
        lost = error
        throw error
      }
    }
    let isInstalled = false
    const decided = await this.#life.working(async () => {
      try {
        for (const turn of turns) await turn.ready
        for (const { stored } of subjects) await this.#overcomeDoubt(stored, commit)
        const { result, outcome, mutation } = await steps.ask(commit)
        if (outcome === undefined || mutation === undefined) return { result, isApplied: false }
        const { stamp } = outcome
        for (const { stored } of subjects) {
          this.#doubts.lift(stored, serial)
          this.#outbox?.remove(stored)
          if (stamp !== undefined) this.#copies.note(stored, stamp)
        }
        for (const following of followingOf(mutation)) await this.#stack.follow(following, stamp)
        if (steps.install !== undefined && isLatest()) {
          steps.install(stamp)
          isInstalled = true
        }
        return { result, isApplied: true }
      } catch (error) {
        // Only what was asked of whoever orders can be unknown; the rest was refused before.
        if (error === lost) {
          for (const { stored } of subjects) {
            this.#doubts.add(stored, serial)
            await this.#stack.follow({ op: 'delete', key: stored }, undefined)
          }
        }
        throw error
      } finally {
        if (!isInstalled) for (const { l1Key } of subjects) this.#copies.drop(l1Key)
        for (const turn of turns) turn.end()
      }
    })
    if (decided.isApplied) this.#commits.announce(op, subjects[0]?.key)
    return decided.result
  }

  /** Says again, as a removal, what was not taken; what is there may be from before it. */
  async #overcomeDoubt(stored: string, commit: Commit): Promise<void> {
    if (!this.#doubts.has(stored)) return
    await commit({ op: 'delete', key: stored })
    this.#doubts.lift(stored, this.#commits.serial)
  }
}
