// @ts-check
/**
 * How much memory does an entry take, when the cache was just filled and after it has been in use?
 *
 * A million entries under keys of 30 characters, with values of a hundred bytes of text, small objects and buffers of a
 * hundred bytes. Resident memory of the process, beyond what it was before; for each contender the same number of
 * entries. `tierwheel` holds values by reference, `tierwheel-bytes` as bytes.
 */
import { largeRows, measureHeld } from './held.js'

/** @param {string[]} args */
export async function main(args) {
  await measureHeld({
    bench: 'memory',
    question: 'How many bytes of memory does an entry take?',
    rows: largeRows,
    columns: [
      { title: 'filled, B/entry', figure: 'filledBytes', hasRatio: true },
      { title: 'after churn, B/entry', figure: 'churnedBytes', hasRatio: true },
      { title: 'on the JavaScript heap, B/entry', figure: 'heapBytes' },
    ],
    args,
  })
}
