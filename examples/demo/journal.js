// @ts-check
// What was written and what was answered, and the verdict: was any answer staler than is promised?
//
// A read is judged by the moment it was sent, a write by the moment its acknowledgement had arrived, both on the
// driver's clock; what was in flight at the same time may be answered either way. An answer is older than a write
// when it was sent after that write was acknowledged and carries a smaller version. Such an answer is
//
//    stale at the acknowledging server    when the server that answered had acknowledged the write itself;
//    stale at the other server            when that server had heard of the write before the read was sent, or the
//                                         write had been acknowledged for GRACE_MS;
//    older in the window                  otherwise: the other server did not know yet. This is allowed.
//
// Only answers that are older than something are kept, so a long run costs no memory as long as all is well. When a
// server heard of a write is known only after the run, so the verdict is given then.

/** How long the other server may take to hear of an acknowledged write. Source: promise C4 of the guide. */
export const GRACE_MS = 250

/**
 * @typedef {object} Write
 * @property {number} product
 * @property {number} server that acknowledged it
 * @property {number} version it gave the product
 * @property {number} invalidatedAt when that server's cache had taken the invalidation, by that server
 * @property {number} acknowledgedAt when the driver had the acknowledgement
 */

/**
 * @typedef {object} Read
 * @property {number} product
 * @property {number} server that answered
 * @property {number} version it answered with
 * @property {number} sentAt
 */

/**
 * @typedef {object} Verdict
 * @property {number} staleAtAcknowledging
 * @property {number} staleAtOther
 * @property {number} olderInWindow
 * @property {number[]} heardAfterMs of each write the other server heard of: how long after the invalidation was
 *   taken; negative when it heard before the acknowledging server was through
 * @property {number} unheard writes of which it is not known when the other server heard
 */

/** The reads and writes of one run, with two servers. */
export class Journal {
  /** By product, in the order of their versions. @type {Map<number, Write[]>} */
  #writes = new Map()
  /** @type {Read[]} */
  #older = []

  /**
   * Notes an acknowledged write. Writes of one product must not overlap.
   *
   * @param {Write} write
   */
  noteWrite(write) {
    const writes = this.#writes.get(write.product)
    if (writes === undefined) this.#writes.set(write.product, [write])
    else writes.push(write)
  }

  /**
   * Notes an answer, when it arrives.
   *
   * @param {Read} read
   */
  noteRead(read) {
    if (this.#missedBy(read).length > 0) this.#older.push(read)
  }

  /**
   * @param {[product: number, at: number][][]} heard for each server, in its order, when it heard that the other one
   *   had changed a product
   * @returns {Verdict}
   */
  judge(heard) {
    const { heardAt, unheard } = this.#match(heard)
    const verdict = { staleAtAcknowledging: 0, staleAtOther: 0, olderInWindow: 0 }
    for (const read of this.#older) {
      const missed = this.#missedBy(read)
      if (missed.some(({ server }) => server === read.server)) verdict.staleAtAcknowledging++
      else if (missed.some((write) => knownAt(write, heardAt.get(write)) <= read.sentAt))
        verdict.staleAtOther++
      else verdict.olderInWindow++
    }
    const heardAfterMs = [...heardAt].map(([write, at]) => at - write.invalidatedAt)
    return { ...verdict, heardAfterMs, unheard }
  }

  /**
   * The writes that were acknowledged before the read was sent and that its answer does not show.
   *
   * @param {Read} read
   */
  #missedBy({ product, version, sentAt }) {
    const writes = this.#writes.get(product) ?? []
    return writes.filter((write) => write.acknowledgedAt <= sentAt && write.version > version)
  }

  /**
   * Finds out which news was of which write: news of one product arrive in the order of its writes. Where the numbers
   * differ, because a server missed news and was told of the gap instead, none of that product's is taken as known.
   *
   * @param {[product: number, at: number][][]} heard
   */
  #match(heard) {
    /** @type {Map<Write, number>} */
    const heardAt = new Map()
    let unheard = 0
    for (const [server, news] of heard.entries()) {
      /** @type {Map<number, number[]>} */
      const timesOf = new Map()
      for (const [product, at] of news) timesOf.set(product, [...(timesOf.get(product) ?? []), at])
      for (const [product, writes] of this.#writes) {
        const others = writes.filter((write) => write.server !== server)
        const times = timesOf.get(product) ?? []
        if (times.length === others.length) {
          for (const [turn, write] of others.entries())
            heardAt.set(write, /** @type {number} */ (times[turn]))
        } else {
          unheard += others.length
        }
      }
    }
    return { heardAt, unheard }
  }
}

/**
 * From when on the other server has no excuse.
 *
 * @param {Write} write
 * @param {number | undefined} heardAt
 */
function knownAt(write, heardAt) {
  return Math.min(heardAt ?? Number.POSITIVE_INFINITY, write.acknowledgedAt + GRACE_MS)
}
