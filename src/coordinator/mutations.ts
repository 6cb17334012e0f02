// `set` and `delete`: the four steps of a mutation (contracts: 3). It is pending from the moment of the call, so that no
// read here uses a copy and no load under way is kept; then whoever orders takes it; then copies follow; then it is no
// longer pending. One that was not taken leaves its key in doubt (doubts.ts), and may wait (backlog.ts).

import type { Clock } from '../clock.ts'
import type { Codec } from '../codecs/codec.ts'
import { shortened, staleMsOf } from '../entry.ts'
import type { Key, KeyScope } from '../key.ts'
import type { ResolvedCall } from '../options.ts'
import type { Random } from '../random.ts'
import type { Stamp } from '../stamp.ts'
import type { Backlog } from './backlog.ts'
import type { Commits } from './commits.ts'
import type { Copies } from './copies.ts'
import type { Doubts } from './doubts.ts'
import { encodeEntry } from './envelope.ts'
import type { HoldOff } from './hold-off.ts'
import type { Life } from './life.ts'
import type { Ongoing } from './ongoing.ts'
import type { Outbox } from './outbox.ts'
import type { Subject, Subjects } from './subject.ts'
import { taggingOf } from './tagging.ts'
import type { Tags } from './tags.ts'
import type { Following, KeyFollowing, TierStack } from './tier-stack.ts'

/** For a place, which tags it will be about makes no difference. */
const anyTags: readonly string[] = ['']

/** Where a value stands that is made elsewhere and set afterwards. */
export interface Making {
  /** Up to where invalidations of tags were known when it began; `undefined` where nobody can tell, or it carries none. */
  readonly place: Stamp | undefined
  readonly beganAt: number
  /** Whether one of the tags known by then was held off. */
  readonly isHeld: boolean
}

/** What mutations work with. */
export interface MutationsParts {
  readonly copies: Copies
  readonly stack: TierStack
  readonly tags: Tags
  readonly ongoing: Ongoing
  readonly commits: Commits
  readonly doubts: Doubts
  /** Where mutations wait that the authority does not take; `undefined` where they are refused. */
  readonly outbox: Outbox | undefined
  readonly backlog: Backlog
  readonly holdOff: HoldOff
  readonly subjects: Subjects
  readonly life: Life
  readonly codec: Codec
  readonly clock: Clock
  readonly random: Random
  /** Nobody but L1 holds anything, and nobody tells: mutations take effect within the call. */
  readonly isAlone: boolean
}

/** Mutations of one key, whatever is there. */
export class Mutations {
  readonly #copies: Copies
  readonly #stack: TierStack
  readonly #tags: Tags
  readonly #ongoing: Ongoing
  readonly #commits: Commits
  readonly #doubts: Doubts
  readonly #outbox: Outbox | undefined
  readonly #backlog: Backlog
  readonly #holdOff: HoldOff
  readonly #subjects: Subjects
  readonly #life: Life
  readonly #codec: Codec
  readonly #clock: Clock
  readonly #random: Random
  readonly #isAlone: boolean

  constructor(parts: MutationsParts) {
    this.#copies = parts.copies
    this.#stack = parts.stack
    this.#tags = parts.tags
    this.#ongoing = parts.ongoing
    this.#commits = parts.commits
    this.#doubts = parts.doubts
    this.#outbox = parts.outbox
    this.#backlog = parts.backlog
    this.#holdOff = parts.holdOff
    this.#subjects = parts.subjects
    this.#life = parts.life
    this.#codec = parts.codec
    this.#clock = parts.clock
    this.#random = parts.random
    this.#isAlone = parts.isAlone
  }

  /**
   * Where a value stands that begins to be made now, for `setMade`.
   *
   * @param tags - Those that it will carry, as far as they are known; `undefined` when it will carry none.
   */
  async beginMaking(tags: readonly string[] | undefined): Promise<Making> {
    const beganAt = this.#clock.now()
    const isHeld = this.#isHeld(tags ?? [], beganAt)
    const place = tags === undefined ? undefined : await this.#tags.begin(anyTags)
    return { place, beganAt, isHeld }
  }

  /**
   * As `set`, for a value that was made since `making`.
   *
   * @returns `false` also for one that is held off, and for one whose tags nobody could judge.
   */
  async setMade(
    key: Key,
    scope: KeyScope,
    value: unknown,
    call: ResolvedCall,
    { place, beganAt, isHeld }: Making,
  ): Promise<boolean> {
    if (call.tags.length > 0 && place === undefined) return false
    const { stored } = this.#subjects.of(key, scope)
    if (isHeld || this.#holdOff.holds(stored, beganAt) || this.#isHeld(call.tags, beganAt)) return false
    return this.set(key, scope, value, call, place)
  }

  /**
   * Stores `value` everywhere.
   *
   * @param madeSince - The place at which its making began; `undefined` for now.
   * @returns `false` when its ttl is 0: then the key is deleted.
   */
  async set(
    key: Key,
    scope: KeyScope,
    value: unknown,
    call: ResolvedCall,
    madeSince?: Stamp,
  ): Promise<boolean> {
    const { subject, lifetime: named } = this.#subjects.ofWrite(key, scope, value, call)
    if (named.ttlMs === 0) {
      await this.remove(subject)
      return false
    }
    const lifetime = shortened(named, call.jitter, () => this.#random.next())
    const known = madeSince ?? this.#tags.beginWrite(call.tags)
    const { taggedAt, noteAt } = taggingOf(this.#tags, call, lifetime)
    if (this.#isAlone) {
      this.#ongoing.overtake(subject.stored)
      this.#copies.keep(subject.l1Key, value, lifetime, undefined, noteAt(known as Stamp))
      this.#commits.announce('set', key)
      return true
    }
    const remainingMs = lifetime.ttlMs + staleMsOf(lifetime)
    const freshUntil = this.#clock.now() + lifetime.ttlMs
    const mutationAt = (since: Stamp | undefined): KeyFollowing => {
      const isKept = this.#stack.levels.length > 0
      const bytes = isKept
        ? encodeEntry(this.#codec, subject, value, lifetime, taggedAt(since))
        : new Uint8Array(0)
      return { op: 'set', key: subject.stored, bytes, remainingMs }
    }
    // Where nobody tells, the place has to be asked for; the key is pending all the same, and what can not be written is
    // refused before that.
    const early = mutationAt(known instanceof Promise ? undefined : known)
    let since = known instanceof Promise ? undefined : known
    const mutation =
      known instanceof Promise
        ? known.then((place) => {
            since = place
            return mutationAt(since)
          })
        : early
    await this.mutate(subject, 'set', mutation, (stamp) =>
      this.#copies.put(
        subject.l1Key,
        value,
        freshUntil,
        freshUntil + staleMsOf(lifetime),
        stamp,
        noteAt(since),
      ),
    )
    return true
  }

  /** Removes `key` everywhere. Resolves to whether there was a live entry, as far as anyone here can tell. */
  delete(key: Key, scope: KeyScope): Promise<boolean> {
    return this.remove(this.#subjects.of(key, scope))
  }

  #isHeld(tags: readonly string[], beganAt: number): boolean {
    return this.#tags.namesOf(tags).some((name) => this.#holdOff.holds(name, beganAt))
  }

  /** As `delete`. */
  async remove(subject: Subject): Promise<boolean> {
    const held = (this.#copies.held(subject.l1Key)?.staleForMs ?? 0) < 0
    if (this.#isAlone) {
      this.#ongoing.overtake(subject.stored)
      this.#copies.drop(subject.l1Key)
      this.#holdOff.note([subject.stored])
      this.#commits.announce('delete', subject.key)
      return held
    }
    const existed = await this.mutate(subject, 'delete', { op: 'delete', key: subject.stored }, undefined)
    return existed || (held && this.#stack.levels.length === 0)
  }

  /** The four steps of a mutation: pending, commit, copies, no longer pending. */
  async mutate(
    subject: Subject,
    op: 'set' | 'delete',
    called: KeyFollowing | Promise<KeyFollowing>,
    install: ((stamp: Stamp | undefined) => void) | undefined,
    isRetry = false,
  ): Promise<boolean> {
    const { key, l1Key, stored } = subject
    const turn = this.#ongoing.marks.mutate(stored)
    const serial = this.#commits.next()
    this.#ongoing.forget(stored)
    this.#copies.hide(l1Key)
    const remove: Following = { op: 'delete', key: stored }
    const calledAt = this.#clock.now()
    let isInstalled = false
    let mutation: KeyFollowing = remove
    return await this.#life.working(async () => {
      try {
        await turn.ready
        mutation = called instanceof Promise ? await called : called
        const committed = await this.#commits.commit(mutation, serial)
        this.#doubts.lift(stored, serial)
        this.#outbox?.remove(stored)
        if (op === 'delete') this.#holdOff.note([stored])
        if (committed.stamp !== undefined) this.#copies.note(stored, committed.stamp)
        await this.#stack.follow(turn.isLatest() ? this.#aged(mutation, calledAt) : remove, committed.stamp)
        if (install !== undefined && turn.isLatest()) {
          install(committed.stamp)
          isInstalled = true
        }
        this.#commits.announce(op, key)
        return committed.existed
      } catch (error) {
        this.#doubts.add(stored, serial)
        await this.#stack.follow(remove, undefined)
        if (isRetry || !this.#backlog.takes(error, op, key)) throw error
        // Without room for it, everything is cleared once the authority is back: coarser, never forgotten.
        if (this.#outbox?.add({ subject, mutation, serial, calledAt }) === false) this.#doubts.addAll(serial)
        return false
      } finally {
        if (!isInstalled) this.#copies.drop(l1Key)
        turn.end()
      }
    })
  }

  /** A mutation for the copies: what it took to commit is no part of a value's life. */
  #aged(mutation: Following, calledAt: number): Following {
    if (mutation.op !== 'set') return mutation
    return { ...mutation, remainingMs: mutation.remainingMs - (this.#clock.now() - calledAt) }
  }
}
