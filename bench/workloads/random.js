// @ts-check
/** Numbers from a seed: the same workload on every run, for every contender, on every engine. */

/**
 * sfc32 (Chris Doty-Humphrey, PractRand), started from the FNV-1a hash of `seed`.
 *
 * @param {string} seed
 * @returns {() => number} from 0, below 1, in steps of 2^-32
 */
export function randomFrom(seed) {
  let hash = 0x811c9dc5
  for (let at = 0; at < seed.length; at++) {
    hash = Math.imul(hash ^ seed.charCodeAt(at), 0x01000193)
  }
  let a = hash
  let b = hash ^ 0x9e3779b9
  let c = Math.imul(hash, 0x85ebca6b)
  let counter = 1
  const next = () => {
    const sum = (a + b + counter) | 0
    counter = (counter + 1) | 0
    a = b ^ (b >>> 9)
    b = (c + (c << 3)) | 0
    c = ((c << 21) | (c >>> 11)) + sum
    return (sum >>> 0) / 2 ** 32
  }
  // Until the seed has reached every bit.
  for (let round = 0; round < 16; round++) next()
  return next
}

/**
 * The numbers below `count` in a random order (Fisher and Yates).
 *
 * @param {number} count
 * @param {() => number} random
 * @returns {Uint32Array}
 */
export function shuffled(count, random) {
  const ids = Uint32Array.from({ length: count }, (_, id) => id)
  for (let at = count - 1; at > 0; at--) {
    const other = Math.floor(random() * (at + 1))
    const id = /** @type {number} */ (ids[at])
    ids[at] = /** @type {number} */ (ids[other])
    ids[other] = id
  }
  return ids
}
