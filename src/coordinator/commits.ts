// Own mutations at the authority: each has a number, by which it is known again when the bus tells of it. One whose
// answer was lost may have been done, or be done yet; what the bus told meanwhile decides.

import type { Key } from '../key.ts'
import type { Message } from '../message.ts'
import type { Events, MutationOp } from '../metrics/events.ts'
import type { Stamp } from '../stamp.ts'
import type { Mutation } from '../tiers/ledger.ts'
import type { Session } from './session.ts'
import type { Outcome, TierStack } from './tier-stack.ts'

/** What commits work with. */
export interface CommitsParts {
  readonly stack: TierStack
  readonly session: Session
  readonly events: Events
  /** Id of this cache among those that share the authority. */
  readonly origin: string
  /** Whether mutations that are not taken are said again later. */
  readonly isRepeating: boolean
}

/** Each is a number; a commit that has not taken effect after so many later failures will not. */
const MOST_UNSETTLED = 4_096

/** The mutations of one cache, on their way and given up. */
export class Commits {
  readonly #parts: CommitsParts
  #serial = 0
  /** Own mutations whose commit was given up: they may still take effect, and are news then. */
  readonly #unsettled = new Set<number>()
  /** Own mutations on their way, and their place in the order as far as the bus has told of them. */
  readonly #underway = new Map<number, Stamp | undefined>()

  constructor(parts: CommitsParts) {
    this.#parts = parts
  }

  /** Number of the last mutation. */
  get serial(): number {
    return this.#serial
  }

  /** The number of a mutation that is called now. */
  next(): number {
    return ++this.#serial
  }

  async commit(mutation: Mutation, serial: number): Promise<Outcome> {
    const { isRepeating, origin, session, stack } = this.#parts
    try {
      this.#underway.set(serial, undefined)
      const outcome = await stack.commit(mutation, { id: origin, serial })
      if (outcome.stamp !== undefined) session.committed(outcome.stamp)
      return outcome
    } catch (error) {
      // It was done, and only the answer lost: to say it again later could undo what came in between. A clear is told by
      // many, of which one says nothing of the others.
      const stamp = this.#underway.get(serial)
      if (stamp !== undefined && isRepeating && mutation.op !== 'clear') {
        session.committed(stamp)
        return { stamp, applied: true, existed: false, number: undefined }
      }
      this.#unsettled.add(serial)
      if (this.#unsettled.size > MOST_UNSETTLED) {
        for (const oldest of this.#unsettled) {
          this.#unsettled.delete(oldest)
          break
        }
      }
      throw error
    } finally {
      this.#underway.delete(serial)
    }
  }

  /** The bus told of a mutation of this cache. Says whether it was given up, so that its outcome was not known. */
  isUnsettled({ serial, stamp }: Pick<Message, 'serial' | 'stamp'>): boolean {
    if (this.#underway.has(serial)) this.#underway.set(serial, stamp)
    return this.#unsettled.has(serial)
  }

  /** Tells that a mutation has taken effect. */
  announce(op: MutationOp, key: Key | undefined): void {
    const { events } = this.#parts
    if (events.hears('mutation.committed')) events.tell('mutation.committed', { op, key })
  }
}
