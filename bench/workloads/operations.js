// @ts-check
/**
 * The timed loops. Each makes a function that does `BATCH` operations, one key each, on the ids of a stream that was
 * drawn before, and answers how many found what they should. A stream is walked round and round.
 */

/** Operations per call of a task, so that reading the clock is lost in them. */
export const BATCH = 4_096

/**
 * @typedef {object} Stream
 * @property {Uint32Array} ids
 * @property {number} at where the next operation takes its id
 */

/**
 * @template V
 * @typedef {object} Setting
 * @property {import('../contenders/contender.js').Cache<V>} cache
 * @property {(id: number) => import('../contenders/contender.js').Key} keyOf
 * @property {Stream} stream
 * @property {V} value
 */

/**
 * Counts the lookups that answered `value`.
 *
 * @template V
 * @param {Setting<V>} setting
 */
export function lookUp({ cache, keyOf, stream, value }) {
  const { ids } = stream
  return () => {
    let { at } = stream
    let found = 0
    for (let count = 0; count < BATCH; count++) {
      if (cache.get(keyOf(/** @type {number} */ (ids[at]))) === value) found++
      if (++at === ids.length) at = 0
    }
    stream.at = at
    return found
  }
}

/**
 * As `lookUp`, by handles where the contender has some; each is made before the clock starts.
 *
 * @template V
 * @param {Setting<V>} setting
 */
export function lookUpPrepared(setting) {
  const { cache, keyOf, stream, value } = setting
  if (cache.prepare === undefined) return lookUp(setting)
  const { ids } = stream
  const { prepare } = cache
  // In ascending order and without holes, or the engine makes a dictionary of the array.
  let count = 0
  for (const id of ids) count = Math.max(count, id + 1)
  const handles = Array.from({ length: count }, (_, id) => prepare.call(cache, keyOf(id)))
  return () => {
    let { at } = stream
    let found = 0
    for (let count = 0; count < BATCH; count++) {
      const handle = handles[/** @type {number} */ (ids[at])]
      if (handle?.get() === value) found++
      if (++at === ids.length) at = 0
    }
    stream.at = at
    return found
  }
}

/**
 * Stores. What it did is checked when the clock has stopped.
 *
 * @template V
 * @param {Setting<V>} setting
 */
export function store({ cache, keyOf, stream, value }) {
  const { ids } = stream
  return () => {
    let { at } = stream
    for (let count = 0; count < BATCH; count++) {
      cache.set(keyOf(/** @type {number} */ (ids[at])), value)
      if (++at === ids.length) at = 0
    }
    stream.at = at
    return BATCH
  }
}

/**
 * Deletes and stores again, which is one operation here; counts the deletes that found an entry.
 *
 * @template V
 * @param {Setting<V>} setting
 */
export function deleteAndStore({ cache, keyOf, stream, value }) {
  const { ids } = stream
  return () => {
    let { at } = stream
    let found = 0
    for (let count = 0; count < BATCH; count++) {
      const key = keyOf(/** @type {number} */ (ids[at]))
      if (cache.delete(key)) found++
      cache.set(key, value)
      if (++at === ids.length) at = 0
    }
    stream.at = at
    return found
  }
}

/**
 * Gets, and stores what is not there; where the lowest bit of an id says so, stores without asking. Counts the hits.
 *
 * @template V
 * @param {Setting<V>} setting
 */
export function getOrStore({ cache, keyOf, stream, value }) {
  const { ids } = stream
  return () => {
    let { at } = stream
    let found = 0
    for (let count = 0; count < BATCH; count++) {
      const draw = /** @type {number} */ (ids[at])
      const key = keyOf(draw >>> 1)
      if ((draw & 1) !== 0) cache.set(key, value)
      else if (cache.get(key) === value) found++
      else cache.set(key, value)
      if (++at === ids.length) at = 0
    }
    stream.at = at
    return found
  }
}
