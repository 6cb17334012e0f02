// Whether those who store a value and those who read it share one object. By default they do, which costs nothing
// and lets any of them change what the others have.

import { describe } from '../duration.ts'
import { checkFlag, checkFunction } from '../options.ts'

/** Options that say what is shared. */
export interface SharingOptions<V> {
  /**
   * When a value is copied: `'get'`, so that no reader can change what is stored, at the price of a copy for each
   * read; `'set'`, so that who stored it can not, while readers share the copy; `'never'`.
   *
   * @defaultValue `'never'`
   */
  cloneOn?: 'get' | 'set' | 'never'

  /**
   * How a value is copied. What it throws reaches the caller of `get` or `set`, and what was stored stays.
   *
   * @defaultValue `structuredClone`, which refuses functions and forgets classes
   */
  clone?: (value: V) => V

  /**
   * Whether a value is frozen when it is stored, with all that it holds: to find out during development who writes
   * into shared values. With `cloneOn: 'set'` the copy is frozen, otherwise the caller's own object. It takes a
   * walk through the value. Properties are frozen; the contents of maps, sets, dates and buffers cannot be.
   *
   * @defaultValue `false`
   */
  freeze?: boolean
}

/** Their names. */
export const sharingNames = ['cloneOn', 'clone', 'freeze'] as const

/** What `L1` does with values on their way in and out; `undefined` for nothing. */
export interface Sharing<V> {
  readonly onStore: ((value: V) => V) | undefined
  readonly onRead: ((value: V) => V) | undefined
}

/**
 * Checks the options; `prefix` stands before their names in messages.
 *
 * @param isBytes - Whether values are held as bytes: those are copied on the way in and on the way out, so what is for
 *   shared objects has nothing to do.
 */
export function sharingOf<V>(options: SharingOptions<V>, isBytes: boolean, prefix = ''): Sharing<V> {
  if (isBytes) {
    for (const name of sharingNames) {
      if (options[name] === undefined) continue
      throw new TypeError(`${prefix}${name}: is for values by reference; bytes are not shared`)
    }
  }
  const { cloneOn = 'never', clone = copyOf, freeze = false } = options
  if (cloneOn !== 'get' && cloneOn !== 'set' && cloneOn !== 'never') {
    throw new TypeError(`${prefix}cloneOn: ${describe(cloneOn)} is not one of 'get', 'set', 'never'`)
  }
  checkFunction(clone, `${prefix}clone`)
  if (options.clone !== undefined && cloneOn === 'never') {
    throw new TypeError(`${prefix}clone: is used with cloneOn: 'get' or 'set', which is not given`)
  }
  checkFlag(freeze, `${prefix}freeze`)
  const copiesIn = cloneOn === 'set' ? clone : undefined
  return {
    onStore: freeze ? (value) => frozen(copiesIn === undefined ? value : copiesIn(value)) : copiesIn,
    onRead: cloneOn === 'get' ? clone : undefined,
  }
}

/** Numbers, text and the like cannot be changed, so they are their own copies. */
function copyOf<V>(value: V): V {
  return typeof value === 'object' && value !== null ? structuredClone(value) : value
}

/** Freezes `value` and all objects and functions that it reaches by its own properties. */
function frozen<V>(value: V): V {
  const waiting: unknown[] = [value]
  while (waiting.length > 0) {
    const next = waiting.pop()
    if ((typeof next !== 'object' && typeof next !== 'function') || next === null) continue
    // Elements of a buffer cannot be frozen, and the attempt is an error; what is frozen was walked through.
    if (ArrayBuffer.isView(next) || Object.isFrozen(next)) continue
    Object.freeze(next)
    for (const name of Reflect.ownKeys(next)) {
      const property = Object.getOwnPropertyDescriptor(next, name)
      if (property !== undefined && 'value' in property) waiting.push(property.value)
    }
  }
  return value
}
