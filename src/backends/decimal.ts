// Counting in stored bytes, as `Tier.increment` promises it: decimal digits behind a head that stays as it is.

/** A sum, and the bytes that say it. */
export interface Counted {
  readonly sum: number
  readonly bytes: Uint8Array
}

/**
 * Adds to the decimal integer that `bytes` hold from byte `from` to their end.
 *
 * @throws TypeError when that is no decimal integer, RangeError when the result leaves the safe integers.
 */
export function addToDecimal(bytes: Uint8Array, delta: number, from: number): Counted {
  // Long before a regular expression sees it: no safe integer has so many digits.
  const text = bytes.length - from > 32 ? '' : String.fromCharCode(...bytes.subarray(from))
  if (!/^-?\d+$/.test(text)) throw new TypeError('increment: the entry does not hold a decimal integer')
  const sum = Number(text) + delta
  if (!Number.isSafeInteger(Number(text)) || !Number.isSafeInteger(sum))
    throw new RangeError(`increment: ${text} plus ${delta} leaves the safe integers`)
  const digits = new TextEncoder().encode(String(sum))
  const counted = new Uint8Array(from + digits.length)
  counted.set(bytes.subarray(0, from))
  counted.set(digits, from)
  return { sum, bytes: counted }
}
