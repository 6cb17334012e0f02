// @ts-check
/** One sentence for every kind of row in which tierwheel is slower than the baseline. A row without one says so. */

/** @typedef {import('./rows.js').Row} Row */

/** @type {{ reason: string, covers: (row: Row, isStaged: boolean) => boolean }[]} */
const reasons = [
  {
    covers: ({ keys }) => keys === 'integer',
    reason:
      'a small integer costs the engine a few instructions to hash and none to compare, which leaves little for ' +
      'tierwheel to save and the way into WebAssembly to pay for',
  },
  {
    covers: ({ keys, workload }) =>
      keys === 'reused' && workload !== 'hit-zipf' && workload !== 'hit-uniform',
    reason:
      'only look-ups that find their entry are spared by the memo; misses and writes read and hash the whole key, ' +
      'which V8 does once in the life of a string',
  },
  {
    covers: ({ keys }) => keys === 'equal',
    reason:
      'V8 knows the hash of a string it has hashed before and reads its characters once, to compare them; tierwheel ' +
      'reads them to hash them first',
  },
  {
    covers: ({ keys }, isStaged) => keys !== 'fresh' && isStaged,
    reason:
      'V8 looks up a string it has hashed before without reading its characters; tierwheel reads them all each time, ' +
      'and on this engine JavaScript must first copy them for the core',
  },
  {
    covers: ({ keys }) => keys !== 'fresh',
    reason:
      'V8 looks up a string it has hashed before without reading its characters; tierwheel reads and hashes them all ' +
      'each time',
  },
  {
    covers: (_row, isStaged) => isStaged,
    reason:
      'on this engine JavaScript must flatten the key and copy its characters before the core can hash them',
  },
]

/**
 * @param {Row} row
 * @param {string} engine
 */
export function reasonFor(row, engine) {
  // These hand strings to WebAssembly.
  const isStaged = !['node22', 'node24', 'node26'].includes(engine)
  return reasons.find(({ covers }) => covers(row, isStaged))?.reason ?? 'not explained yet'
}
