// @ts-check
/** One sentence for every kind of row in which somebody is faster than tierwheel. A row without one says so. */

/** @type {{ row: RegExp, reason: string }[]} */
const reasons = [
  {
    row: /^(set|delete) /,
    reason:
      'a mutation is one script that gives it its place in the order, writes the entry or a tombstone, keeps a message ' +
      'in the log and publishes it, where the others send a command that writes (and some a second one that tells, ' +
      'without waiting for it); sent by ioredis alone, with its answer and the message heard, such a script takes twice ' +
      'what SET takes, and the rest is done here: the marks for which reads wait, envelope, checksum and codec, the guard, ' +
      'the copies that follow; this is what the promises of docs/guide/consistency.md cost',
  },
  {
    row: /miss and load/,
    reason:
      'what is stored after a load goes through a script that refuses it when a mutation overtook it, and the read ' +
      'before it asks for the place in the order as well',
  },
  {
    row: /L1 hit/,
    reason:
      'each hit asks the core whether the entry is fresh, its partition not suspect and the lease not over, where ' +
      'layered-loader looks into a Map. Both read a clock, 0.04 us, and in the figures of both are 0.13 us of the loop that ' +
      'builds a key, asks and waits. So 1.2x would leave 0.03 us for the look-up, and the look into a Map alone takes 0.04',
  },
  {
    row: /L2 hit/,
    reason:
      'the script that reads entry, remaining time and place in the order takes a client a seventh more than GET where one ' +
      'reads alone, and a fifth of it where 64 share a call; the rest is done here for each read: the fence behind which ' +
      'nothing old is kept, the guard with its deadline and breaker, the flight that others may join, envelope, checksum ' +
      'and codec, a promise for nearly each of them, and the collector, which has a seventh of the whole',
  },
  {
    row: /stampede/,
    reason: 'a thousand callers wait on one flight each behind the look at L1 and the marks',
  },
]

/** @param {string} row */
export function reasonFor(row) {
  return reasons.find((one) => one.row.test(row))?.reason ?? 'not explained yet'
}
