// @ts-check
/**
 * The built package in the form that judges of hit ratios ask for: `get`, and after a miss `set`. Of the working
 * tree, by the path that its package.json publishes; `npm run build` makes it.
 */
import { readFileSync } from 'node:fs'

const root = new URL('../../', import.meta.url)
/** @type {{ exports: Record<string, { default: string }> }} */
const { exports } = JSON.parse(readFileSync(new URL('package.json', root), 'utf8'))

/** @type {typeof import('../../src/create-l1.ts')} */
const { createL1 } = await import(new URL(exports['./l1']?.default ?? '', root).href)

/**
 * @typedef {object} Judged
 * @property {(key: string | number) => boolean} get whether it was a hit
 * @property {(key: string | number) => void} set
 * @property {(key: string | number) => boolean} has
 */

/**
 * @param {number} capacity in entries
 * @param {{ policy?: import('../../src/create-l1.ts').EvictionPolicy }} [info] by default the package's own policy
 * @returns {Judged}
 */
export function create(capacity, { policy } = {}) {
  const l1 = createL1({
    maxEntries: capacity,
    ...(policy === undefined ? {} : { policy }),
    // The same secrets each time, so that a run can be repeated to the last hit.
    random: { next: () => 0, bytes: (count) => new Uint8Array(count).fill(1) },
  })
  return {
    get: (key) => l1.get(key) !== undefined,
    set: (key) => void l1.set(key, true),
    has: (key) => l1.has(key),
  }
}
