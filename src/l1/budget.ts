// What an L1 may hold: a number of entries, bytes that are counted, or bytes that are measured.
//
//   maxEntries                     entries, by reference
//   maxBytes and sizeOf            values by reference, and their sizes as the caller says
//   maxBytes and values: 'bytes'   keys and values in the core's memory, which is as large as that and not larger
//
// The options are checked here, once, for a first level alone and one within a cache.

import type { Codec } from '../codecs/codec.ts'
import { MAX_BYTES, MAX_ENTRIES } from '../core/core.ts'
import { describe } from '../duration.ts'
import type { Key } from '../key.ts'
import { checkCount, checkFunction } from '../options.ts'

/** Options that say how much an L1 holds, and as what. */
export interface BudgetOptions<V> {
  /**
   * The most entries held at once, from 1 to 67,108,863. One more evicts the one that `policy` names. The
   * index is laid out for all of them at creation; its memory is touched as entries come.
   *
   * @defaultValue none without `maxBytes`; with it one for every 512 bytes of `values: 'bytes'`, one for every 256
   *   otherwise, and at least 16
   */
  maxEntries?: number

  /**
   * The most bytes held at once, up to 4 GiB; entries are evicted until a new one fits. With `values: 'bytes'` it is
   * the memory of all of it: index, keys, values and what the policy notes, taken in whole pages of 64 KiB at creation
   * and never exceeded. With `sizeOf` it is the sum of what that says, and index and keys come on top.
   *
   * @defaultValue no limit but `maxEntries`
   */
  maxBytes?: number

  /**
   * The largest value that is taken, in bytes as it is stored, or as `sizeOf` says. A larger one is refused with a
   * RangeError, and what was under its key is gone.
   *
   * @defaultValue an eighth of `maxBytes`, or of what values have of it; at most half
   */
  maxEntryBytes?: number

  /**
   * How values are held: `'reference'`, as the objects they are; `'bytes'`, encoded in memory that the garbage
   * collector does not look at: text as UTF-8, `Uint8Array` as it is, everything else by `codec`. A reader gets a copy.
   *
   * @defaultValue `'reference'`
   */
  values?: 'reference' | 'bytes'

  /**
   * How many bytes an entry counts for, by reference with `maxBytes`: a whole number from 1. It is asked once for
   * each `set`, so a value that grows afterwards is not noticed. What it throws reaches the caller of `set`.
   *
   * @defaultValue none; needed with `maxBytes` by reference
   */
  sizeOf?: (value: V, key: Key) => number
}

/** What an L1 holds, every choice made. */
export interface Budget<V> {
  readonly maxEntries: number
  /** 0 without a budget in bytes. */
  readonly maxBytes: number
  /** `undefined` for the default. */
  readonly maxEntryBytes: number | undefined
  readonly sizeOf: ((value: V, key: Key) => number) | undefined
  /** Turns values into bytes; `undefined` where they are held by reference. */
  readonly codec: Codec | undefined
}

/** The names of the options. */
export const budgetNames: readonly (keyof BudgetOptions<unknown>)[] = [
  'maxBytes',
  'maxEntries',
  'maxEntryBytes',
  'sizeOf',
  'values',
]

const FOUR_GIB = 2 ** 32
/** One entry's memory, index and value, as the default of `maxEntries` takes it. */
const BYTES_PER_ENTRY = 512
const WEIGHT_PER_ENTRY = 256
const LEAST_ENTRIES = 16
/** Less leaves no room for values beside what every core has. */
const LEAST_BYTES = 2 ** 18

/**
 * Checks the options; `prefix` stands before their names in messages.
 *
 * @param codec - Taken where values are held as bytes.
 */
export function budgetOf<V>(options: BudgetOptions<V>, codec: Codec, prefix = ''): Budget<V> {
  const { values = 'reference', sizeOf, maxBytes, maxEntries, maxEntryBytes } = options
  if (values !== 'reference' && values !== 'bytes') {
    throw new TypeError(`${prefix}values: ${describe(values)} is not one of 'reference', 'bytes'`)
  }
  const holdsValues = values === 'bytes'
  if (sizeOf !== undefined) checkFunction(sizeOf, `${prefix}sizeOf`)
  if (maxBytes === undefined) {
    const needless =
      sizeOf !== undefined ? 'sizeOf' : maxEntryBytes !== undefined ? 'maxEntryBytes' : undefined
    if (holdsValues) throw new TypeError(`${prefix}values: 'bytes' needs maxBytes, which is not given`)
    if (needless !== undefined)
      throw new TypeError(`${prefix}${needless}: needs maxBytes, which is not given`)
    const entries = checkCount(maxEntries, `${prefix}maxEntries`, 1, MAX_ENTRIES)
    return { maxEntries: entries, maxBytes: 0, maxEntryBytes: undefined, sizeOf: undefined, codec: undefined }
  }
  if (typeof maxBytes === 'number' && maxBytes > FOUR_GIB) {
    throw new RangeError(
      `${prefix}maxBytes: ${maxBytes} is more than 4 GiB (${FOUR_GIB}), the most that one memory has; make several caches`,
    )
  }
  const bytes = checkCount(maxBytes, `${prefix}maxBytes`, holdsValues ? LEAST_BYTES : 1, FOUR_GIB)
  if (holdsValues && sizeOf !== undefined) {
    throw new TypeError(`${prefix}sizeOf: is not asked with values: 'bytes', whose bytes are known`)
  }
  if (!holdsValues && sizeOf === undefined) {
    throw new TypeError(`${prefix}maxBytes: needs sizeOf, or values: 'bytes', to know what an entry takes`)
  }
  const perEntry = holdsValues ? BYTES_PER_ENTRY : WEIGHT_PER_ENTRY
  const usual = Math.max(LEAST_ENTRIES, Math.floor(bytes / perEntry))
  return {
    maxEntries:
      maxEntries === undefined ? usual : checkCount(maxEntries, `${prefix}maxEntries`, 1, MAX_ENTRIES),
    maxBytes: Math.min(bytes, MAX_BYTES),
    maxEntryBytes:
      maxEntryBytes === undefined ? undefined : checkCount(maxEntryBytes, `${prefix}maxEntryBytes`, 1, bytes),
    sizeOf,
    codec: holdsValues ? codec : undefined,
  }
}
