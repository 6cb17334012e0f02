// The contract of a codec: values to bytes and back.

import { describe } from '../duration.ts'
import { checkCount } from '../options.ts'

/** Turns values into bytes and bytes into values. */
export interface Codec {
  /**
   * Number that is stored with every entry, 1 to 255, so that bytes of another codec are recognised
   * and read as a miss. 1 to 63 are tierwheel's own (1 json, 2 msgpackr, 3 structured,
   * 4 compressed, 5 encrypted); take 64 or more for yours.
   */
  readonly id: number
  /**
   * Whether its bytes hide the values. Safe integers are stored as digits, without a codec, so that a backend can add
   * to them; a codec with `true` here gets them like everything else, and an addition costs it a compare-and-set.
   *
   * @defaultValue `false`
   */
  readonly isSecret?: boolean
  /** Short stable name used in errors and events, such as `json`. */
  readonly name: string

  /**
   * The bytes of `value`.
   *
   * @param name - Which entry they are for: its stored key without the version, since `incrVersion` puts the bytes under
   *   another one as they are. A codec may tie them to it. Left out where they are nobody else's, as in a first level.
   * @throws CacheError `CACHE_ENCODE_FAILED` when the value has no form here (a function, a symbol, a
   *   cycle), naming the place inside the value.
   */
  encode(value: unknown, name?: string): Uint8Array

  /**
   * The value in `bytes`, which were checked against damage before.
   *
   * @param name - The entry under which they were found, as for `encode`.
   * @throws CacheError `CACHE_DECODE_FAILED` when they are not of this codec. Never runs anything that
   *   the bytes name, and never assigns a `__proto__`.
   */
  decode(bytes: Uint8Array, name?: string): unknown
}

/**
 * Refuses a codec that is not one.
 *
 * @throws TypeError or RangeError.
 */
export function checkCodec(value: unknown): Codec {
  const codec = value as Partial<Codec> | null
  if (typeof codec?.encode !== 'function' || typeof codec.decode !== 'function') {
    throw new TypeError(`codec: ${describe(value)} has no encode() and decode()`)
  }
  checkCount(codec.id, 'codec.id', 1, 255)
  return codec as Codec
}
