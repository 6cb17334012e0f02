// Saying a mutation again that the authority did not take: before a read that needs to know, as it is in doubt
// (doubts.ts), and of its own accord where mutations wait (outbox.ts).

import type { Clock } from '../clock.ts'
import type { Key, KeyScope } from '../key.ts'
import type { MutationOp } from '../metrics/events.ts'
import type { Backlog } from './backlog.ts'
import type { Clearing } from './clearing.ts'
import type { Doubts } from './doubts.ts'
import type { Life } from './life.ts'
import type { Mutations } from './mutations.ts'
import type { Outbox, Queued } from './outbox.ts'
import { SingleFlight } from './single-flight.ts'
import type { Subject } from './subject.ts'
import type { Tags } from './tags.ts'
import type { KeyFollowing } from './tier-stack.ts'

/** What a delivery works with. */
export interface DeliveryParts {
  readonly outbox: Outbox | undefined
  readonly backlog: Backlog
  readonly doubts: Doubts
  readonly tags: Tags
  readonly mutations: Mutations
  readonly clearing: Clearing
  readonly life: Life
  readonly clock: Clock
  /** Prefix and version of the cache itself. */
  readonly scope: KeyScope
}

/** A mutation that waited until the end; a key where it is about one. */
export interface Undelivered {
  readonly op: MutationOp
  readonly key: Key | undefined
}

/** No stored key, which has a colon. */
const TAGS = 'tags'

/** Says mutations again. */
export class Delivery {
  readonly #parts: DeliveryParts
  readonly #retries: SingleFlight
  /** By prefix. */
  readonly #clears: SingleFlight

  constructor(parts: DeliveryParts) {
    this.#parts = parts
    this.#retries = new SingleFlight(parts.clock, Number.POSITIVE_INFINITY)
    this.#clears = new SingleFlight(parts.clock, Number.POSITIVE_INFINITY)
  }

  /**
   * Says again, as a removal, what the authority did not take. Until it has, a value that is loaded here and stored
   * there could be followed by an older one that somebody else began to load before: nothing would be in between
   * that refuses it. When it fails again the key stays in doubt.
   */
  retry(subject: Subject): Promise<unknown> {
    const { doubts, mutations, outbox } = this.#parts
    const cleared = doubts.prefixes.find((prefix) => subject.stored.startsWith(prefix))
    if (cleared !== undefined) return this.#retryClear(cleared)
    const queued = outbox?.get(subject.stored)
    const again = (): Promise<unknown> =>
      queued === undefined ? mutations.remove(subject) : this.#say(queued)
    return this.#retries.run<unknown>(subject.stored, again).catch(() => {})
  }

  /** Says again a clear that was not taken: of a namespace, or with `''` of everything. */
  #retryClear(prefix: string): Promise<unknown> {
    const { clearing, scope } = this.#parts
    const again = (): Promise<void> => clearing.clear(prefix === '' ? scope.prefix : prefix, true)
    return this.#clears.run<unknown>(prefix, again).catch(() => {})
  }

  /** Says again, as they were called, the invalidations of tags that the authority did not take. */
  retryTags(): Promise<unknown> {
    const { clearing, scope, tags } = this.#parts
    const retry = async (): Promise<void> => {
      const doubted = [...tags.doubted]
      for (const how of ['expire', 'delete'] as const) {
        const named = doubted.flatMap(([name, doubt]) =>
          doubt.how === how ? name.slice(scope.prefix.length) : [],
        )
        await clearing.invalidateTagged(named, how)
      }
    }
    return this.#retries.run<unknown>(TAGS, retry).catch(() => {})
  }

  /** Says what waits, in the order in which it was called, as far as the authority takes it. */
  async deliver(): Promise<void> {
    const { backlog, doubts, life, outbox, tags } = this.#parts
    if (outbox === undefined) return
    for (const prefix of doubts.prefixes) await this.#retryClear(prefix)
    if (tags.doubted.size > 0) await this.retryTags()
    for (let next = outbox.first; next !== undefined && doubts.prefixes.length === 0; ) {
      const queued = next
      try {
        await this.#retries.run<unknown>(queued.mutation.key, () => this.#say(queued))
      } catch {
        break
      }
      next = outbox.first
    }
    if (this.undelivered.length > 0 && !life.isClosed) backlog.deliverLater()
  }

  /** What waits for the authority. */
  get undelivered(): Undelivered[] {
    const { doubts, outbox, tags } = this.#parts
    if (outbox === undefined) return []
    return [
      ...doubts.prefixes.map(() => ({ op: 'clear' as const, key: undefined })),
      ...[...tags.doubted.values()].map(({ how }) => ({ op: `${how}-tags` as const, key: undefined })),
      ...outbox.undelivered,
    ]
  }

  /** What waits, counted; `undefined` where nothing ever does. */
  get waiting(): { readonly size: number; readonly bytes: number } | undefined {
    const { outbox } = this.#parts
    return outbox && { size: this.undelivered.length, bytes: outbox.bytes }
  }

  /** Says a mutation that waits. */
  #say({ mutation, calledAt, subject }: Queued): Promise<unknown> {
    const { clock, mutations } = this.#parts
    const remainingMs = mutation.op === 'set' ? mutation.remainingMs - (clock.now() - calledAt) : 0
    const said: KeyFollowing =
      mutation.op === 'set' && remainingMs > 0
        ? { ...mutation, remainingMs }
        : { op: 'delete', key: mutation.key }
    return mutations.mutate(subject, said.op, said, undefined, true)
  }
}
