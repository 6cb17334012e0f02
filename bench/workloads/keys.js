// @ts-check
/**
 * Ids made into keys. A process uses one kind, so the timed loop's call of it is inlined, for every contender alike.
 */

/** @typedef {'fresh' | 'reused' | 'equal' | 'integer'} KeyKind */

/** So that every id has seven digits, and every key 30 characters. */
const FIRST_ID = 1_000_000

/**
 * A key built at the moment of use: what a request handler does. V8 makes a rope of it, which nobody has hashed.
 *
 * @param {number} id below 9,000,000
 */
const freshKey = (id) => `tenant:eu:user:${FIRST_ID + id}:session`

/** Flat: the characters in one piece, as a key that came over the wire has them. @param {string} text */
const flat = (text) => Buffer.from(text, 'latin1').toString('latin1')

/** @type {string[]} */
const strings = []

/** @type {Record<KeyKind, { about: string, store: (id: number) => string | number, use: (id: number) => string | number }>} */
export const keyKinds = {
  fresh: {
    about: 'a 30-character key built for each operation by a template literal',
    store: freshKey,
    use: freshKey,
  },
  reused: {
    about:
      'the very string that was stored, again and again: its hash is known, a pointer comparison finds it',
    store: (id) => /** @type {string} */ (strings[id]),
    use: (id) => /** @type {string} */ (strings[id]),
  },
  equal: {
    about: 'a string that is used again and again, but another object than the one stored',
    store: (id) => flat(freshKey(id)),
    use: (id) => /** @type {string} */ (strings[id]),
  },
  integer: {
    about: 'a small integer',
    store: (id) => FIRST_ID + id,
    use: (id) => FIRST_ID + id,
  },
}

/**
 * Makes the strings that `reused` and `equal` hand out: those of `ids` and no others, so that no contender pays for
 * keys that are not used.
 *
 * @param {KeyKind} kind
 * @param {Iterable<number>[]} ids
 */
export function prepareKeys(kind, ids) {
  strings.length = 0
  if (kind !== 'reused' && kind !== 'equal') return
  let count = 0
  for (const part of ids) for (const id of part) count = Math.max(count, id + 1)
  for (let id = 0; id < count; id++) strings.push('')
  for (const part of ids) for (const id of part) if (strings[id] === '') strings[id] = flat(freshKey(id))
}
