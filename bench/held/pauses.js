// @ts-check
/**
 * How long does a cache hold its process when it is large?
 *
 * The CPU time of a full garbage collection over all it holds, and of the longest burst of fifty writes while entries
 * come and go, at one and at five million entries. CPU time and not wall time, since other programs take that away.
 */
import { largeRows, measureHeld } from './held.js'

/** @param {string[]} args */
export async function main(args) {
  await measureHeld({
    bench: 'pauses',
    question: 'How long does a large cache hold its process?',
    rows: [...largeRows, { values: 'text', entries: 5_000_000 }],
    columns: [
      { title: 'full collection, ms', figure: 'fullGcMs', hasRatio: true },
      { title: 'longest burst, ms', figure: 'longestBurstMs', hasRatio: true },
      { title: 'bursts over 20 ms', figure: 'longBursts' },
      { title: 'a set in churn, ns', figure: 'setNs', hasRatio: true },
    ],
    args,
  })
}
