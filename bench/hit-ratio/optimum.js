// @ts-check
/**
 * The most hits that any cache of a size can have on a trace, knowing the future: Belady's MIN, which evicts what is
 * asked for again last, or does not take in what has just been asked for if that is it.
 *
 * A resident is known by when it is asked for next, which no two share, so the cache is a set of positions in the
 * trace. Source: Belady, A Study of Replacement Algorithms for a Virtual-Storage Computer (1966).
 */

/**
 * @param {Uint32Array} keys
 * @param {number} capacity in entries
 * @returns {number} hits
 */
export function mostHits(keys, capacity) {
  const next = nextUses(keys)
  const residents = new Positions(keys.length)
  let size = 0
  let hits = 0
  for (let at = 0; at < keys.length; at++) {
    if (residents.delete(at)) {
      hits++
      size--
    }
    const again = /** @type {number} */ (next[at])
    if (again === keys.length) continue
    residents.add(again)
    size++
    if (size > capacity) {
      residents.delete(residents.greatest())
      size--
    }
  }
  return hits
}

/**
 * For each request the position of the next one for its key; the number of requests where there is none.
 *
 * @param {Uint32Array} keys
 */
function nextUses(keys) {
  const next = new Uint32Array(keys.length)
  /** @type {Map<number, number>} */
  const seen = new Map()
  for (let at = keys.length - 1; at >= 0; at--) {
    const key = /** @type {number} */ (keys[at])
    next[at] = seen.get(key) ?? keys.length
    seen.set(key, at)
  }
  return next
}

/** A set of numbers below a limit: bits, and above each 32 of them a bit that says whether one is set. */
class Positions {
  /** @type {Uint32Array[]} the finest first; the last has one word */
  #levels = []

  /** @param {number} limit */
  constructor(limit) {
    do {
      limit = Math.ceil(limit / 32)
      this.#levels.push(new Uint32Array(limit))
    } while (limit > 1)
  }

  /** @param {number} position */
  add(position) {
    for (const level of this.#levels) {
      const word = position >>> 5
      level[word] = /** @type {number} */ (level[word]) | (1 << (position & 31))
      position = word
    }
  }

  /** @param {number} position */
  delete(position) {
    let wasThere = false
    for (const [depth, level] of this.#levels.entries()) {
      const word = position >>> 5
      const bits = /** @type {number} */ (level[word])
      if (depth === 0) wasThere = (bits & (1 << (position & 31))) !== 0
      if (!wasThere) return false
      level[word] = bits & ~(1 << (position & 31))
      if (level[word] !== 0) return true
      position = word
    }
    return wasThere
  }

  /** Of a set that is not empty. */
  greatest() {
    let position = 0
    for (let depth = this.#levels.length - 1; depth >= 0; depth--) {
      const bits = /** @type {number} */ (this.#levels[depth]?.[position])
      position = position * 32 + 31 - Math.clz32(bits)
    }
    return position
  }
}
