// Lengths of time as people write them.

/** The units a duration may be written in. */
export type DurationUnit = 'ms' | 's' | 'm' | 'h' | 'd' | 'w'

/** A length of time: a number of milliseconds, or text such as `'250ms'`, `'5m'`, `'1.5h'`, `'7d'`. */
export type Duration = number | `${number}${DurationUnit}`

const msPerUnit: Record<DurationUnit, number> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
}

const written = /^(\d+(?:\.\d+)?)(ms|s|m|h|d|w)$/

/**
 * Turns a duration into milliseconds.
 *
 * @param value - What the caller gave; `0` is allowed, `null` is not (the caller of this knows what it means).
 * @param option - Name of the option, for the message.
 * @throws TypeError when `value` is neither a number nor a written duration; RangeError when it is
 *   negative, NaN or infinite.
 */
export function toMs(value: unknown, option: string): number {
  if (typeof value === 'string') {
    const match = written.exec(value)
    if (match === null) {
      throw new TypeError(
        `${option}: ${describe(value)} is not a duration; write milliseconds as a number, or text such as '250ms', '30s', '5m', '2h', '7d'`,
      )
    }
    const ms = Number(match[1]) * msPerUnit[match[2] as DurationUnit]
    if (!Number.isFinite(ms)) throw new RangeError(`${option}: ${describe(value)} is longer than any number`)
    return ms
  }
  if (typeof value !== 'number') {
    throw new TypeError(
      `${option}: ${describe(value)} is not a duration; write milliseconds or text such as '5m'`,
    )
  }
  if (!Number.isFinite(value) || value < 0) {
    throw new RangeError(
      `${option}: ${value} is not a length of time; it must be 0 or more milliseconds (null where "for ever" is meant)`,
    )
  }
  return value
}

/**
 * Shows a value in a message without calling anything of it: no toString, no getter.
 *
 * @internal
 */
export function describe(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}…` : value)
  if (typeof value === 'bigint') return `${value}n`
  if (typeof value === 'function') return 'a function'
  if (typeof value === 'symbol') return 'a symbol'
  if (typeof value === 'object' && value !== null) return Array.isArray(value) ? 'an array' : 'an object'
  return String(value)
}
