// Mutations of many entries at once: of all, and of those that carry a tag. Each is one step for whoever orders, however
// many entries that are; here they overtake whatever is under way.

import type { KeyScope } from '../key.ts'
import { isAtOrAfter } from '../stamp.ts'
import type { TagFate } from '../tag-table.ts'
import type { Backlog } from './backlog.ts'
import type { Commits } from './commits.ts'
import type { Copies } from './copies.ts'
import type { Doubts } from './doubts.ts'
import type { HoldOff } from './hold-off.ts'
import type { Life } from './life.ts'
import type { Ongoing } from './ongoing.ts'
import type { Outbox } from './outbox.ts'
import type { Session } from './session.ts'
import type { Tags } from './tags.ts'
import type { Following, TierStack } from './tier-stack.ts'

/** What clearing works with. */
export interface ClearingParts {
  readonly copies: Copies
  readonly stack: TierStack
  readonly tags: Tags
  readonly ongoing: Ongoing
  readonly commits: Commits
  readonly session: Session
  readonly doubts: Doubts
  /** Where mutations wait that the authority does not take; `undefined` where they are refused. */
  readonly outbox: Outbox | undefined
  readonly backlog: Backlog
  readonly holdOff: HoldOff
  readonly life: Life
  /** Prefix and version of the cache itself. */
  readonly scope: KeyScope
  /** Whether somebody orders mutations. */
  readonly isOrdered: boolean
  /** Whether a bus tells others. */
  readonly isHeard: boolean
}

/** What every stored key begins with, whatever cache it is of. */
const EVERY_PREFIX = ''
/** More tags than this are invalidated in several steps. */
const TAGS_PER_COMMIT = 64

/** Clears, and invalidates tags. */
export class Clearing {
  readonly #copies: Copies
  readonly #stack: TierStack
  readonly #tags: Tags
  readonly #ongoing: Ongoing
  readonly #commits: Commits
  readonly #session: Session
  readonly #doubts: Doubts
  readonly #outbox: Outbox | undefined
  readonly #backlog: Backlog
  readonly #holdOff: HoldOff
  readonly #life: Life
  readonly #scope: KeyScope
  readonly #isOrdered: boolean
  readonly #isHeard: boolean
  /** A clear of all prefixes waits for the authority. */
  #owesEverything = false

  constructor(parts: ClearingParts) {
    this.#copies = parts.copies
    this.#stack = parts.stack
    this.#tags = parts.tags
    this.#ongoing = parts.ongoing
    this.#commits = parts.commits
    this.#session = parts.session
    this.#doubts = parts.doubts
    this.#outbox = parts.outbox
    this.#backlog = parts.backlog
    this.#holdOff = parts.holdOff
    this.#life = parts.life
    this.#scope = parts.scope
    this.#isOrdered = parts.isOrdered
    this.#isHeard = parts.isHeard
  }

  /** Makes every entry that carries one of the tags stale, or unusable, everywhere. */
  async invalidateTagged(tags: readonly string[], how: TagFate): Promise<void> {
    this.#life.refuse()
    if (tags.length === 0) return
    const serial = this.#commits.next()
    const pending = this.#tags.call(tags, how)
    // Whoever asks from now on must not wait for something that began before.
    this.#ongoing.forgetAll()
    await this.#life.working(async () => {
      try {
        if (!this.#isOrdered) this.#tags.order(tags, how)
        else await this.#commitTags(this.#tags.namesOf(tags), how, serial)
        if (how === 'delete') this.#holdOff.note(this.#tags.namesOf(tags))
        this.#commits.announce(`${how}-tags`, undefined)
      } catch (error) {
        if (!this.#tags.doubt(tags, how, serial)) this.#doubts.addAll(serial)
        if (!this.#backlog.takes(error, `${how}-tags`, undefined)) throw error
      } finally {
        pending.end()
      }
    })
  }

  /**
   * Removes every entry of this cache, of one of its namespaces, or of everybody, in all versions.
   *
   * @param asked - What their stored keys begin with; `''` for everybody's.
   * @param isRetry - Says again what was called before the mutations that wait.
   */
  async clear(asked: string, isRetry = false): Promise<void> {
    this.#life.refuse()
    const isAll = this.#scope.prefix.startsWith(asked)
    // A clear of this cache makes up for all that it has in doubt, so what more was asked for is said with it.
    const prefix = isAll && this.#owesEverything ? EVERY_PREFIX : asked
    const turn = this.#ongoing.marks.clear(prefix)
    const serial = this.#commits.next()
    this.#ongoing.forgetAll(prefix)
    if (isAll) this.#copies.clear()
    else this.#copies.dropUnder(prefix)
    const mutation: Following = { op: 'clear', prefix }
    await this.#life.working(async () => {
      try {
        await turn.ready
        const { stamp } = await this.#commits.commit(mutation, serial)
        if (prefix === EVERY_PREFIX) this.#owesEverything = false
        // Another process may yet copy, into a nearer tier that we share, what it loaded before.
        for (const stand of await this.#stack.standsForCopies()) {
          if (isAll) this.#copies.suspect(stand)
          else this.#copies.noteUnder(prefix, stand)
        }
        this.#doubts.liftAll(serial, isAll ? '' : prefix)
        if (isAll) this.#tags.liftAll()
        if (!isRetry) this.#outbox?.clear(prefix)
        for (const stored of this.#outbox?.keysUnder(prefix) ?? []) this.#doubts.add(stored, serial)
        this.#holdOff.noteAll(prefix)
        await this.#stack.follow(mutation, stamp)
        if (this.#isHeard) {
          for (const stand of await this.#stack.stands()) this.#session.committed(stand, false)
        }
        this.#commits.announce('clear', undefined)
      } catch (error) {
        this.#doubts.addAll(serial, isAll ? '' : prefix)
        if (!isRetry) this.#outbox?.clear(prefix)
        await this.#stack.follow(mutation, undefined)
        if (isRetry || !this.#backlog.takes(error, 'clear', undefined)) throw error
        if (prefix === EVERY_PREFIX) this.#owesEverything = true
      } finally {
        turn.end()
      }
    })
  }

  async #commitTags(names: readonly string[], how: TagFate, serial: number): Promise<void> {
    for (let at = 0; at < names.length; at += TAGS_PER_COMMIT) {
      const portion = names.slice(at, at + TAGS_PER_COMMIT)
      const { place } = this.#tags
      const { stamp } = await this.#commits.commit({ op: 'tags', tags: portion, how }, serial)
      // A place that was known before, and lies behind this one, was made up.
      if (stamp !== undefined && place !== undefined && isAtOrAfter(place, stamp)) this.#tags.restart(stamp)
      if (stamp !== undefined) this.#tags.invalidated(portion, how, stamp)
      this.#tags.lift(portion, how, serial)
    }
  }
}
