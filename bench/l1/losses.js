// @ts-check
/** One sentence for every kind of row in which tierwheel is slower than the baseline. A row without one says so. */

/** @typedef {import('./rows.js').Row} Row */

/** @type {{ reason: string, covers: (row: Row, nodeMajor: number) => boolean }[]} */
const reasons = [
  {
    covers: ({ keys }) => keys === 'integer',
    reason:
      'a small integer costs V8 a few instructions to hash and none to compare, which leaves little for tierwheel to ' +
      'save and the way into WebAssembly to pay for',
  },
  {
    covers: ({ keys }) => keys === 'equal',
    reason:
      'V8 knows the hash of a string it has hashed before and reads its characters once, to compare them; tierwheel ' +
      'reads them to hash them first',
  },
  {
    covers: ({ keys }, nodeMajor) => keys !== 'fresh' && nodeMajor < 22,
    reason:
      'V8 looks up a string it has hashed before without reading its characters; tierwheel reads them all each time, ' +
      'and on this Node JavaScript must first copy them for the core',
  },
  {
    covers: ({ keys }) => keys !== 'fresh',
    reason:
      'V8 looks up a string it has hashed before without reading its characters; tierwheel reads and hashes them all ' +
      'each time',
  },
  {
    covers: (_row, nodeMajor) => nodeMajor < 22,
    reason:
      'on this Node JavaScript must flatten the key and copy its characters before the core can hash them',
  },
]

/**
 * @param {Row} row
 * @param {number} nodeMajor
 */
export function reasonFor(row, nodeMajor) {
  return reasons.find(({ covers }) => covers(row, nodeMajor))?.reason ?? 'not explained yet'
}
