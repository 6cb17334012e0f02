// @ts-check
/** One sentence for every kind of row in which somebody is faster than tierwheel. A row without one says so. */

/** @type {{ row: RegExp, reason: string }[]} */
const reasons = [
  {
    row: /^(set|delete) /,
    reason:
      'a mutation is one script that gives it its place in the order, writes the entry or a tombstone, keeps a message ' +
      'in the log and publishes it, where the others send a command that writes (and some a second one that tells, ' +
      'without waiting for it); this is what the promises of docs/guide/consistency.md cost',
  },
  {
    row: /miss and load/,
    reason:
      'what is stored after a load goes through a script that refuses it when a mutation overtook it, and the read ' +
      'before it asks for the place in the order as well',
  },
  {
    row: /L2 hit/,
    reason:
      'the reply carries the entry, its remaining time and its place in the order, and the bytes are an envelope that is ' +
      'checked before it is believed',
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
