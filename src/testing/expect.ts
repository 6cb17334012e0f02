// What the published suites need of a test runner and of assertions: little enough that they run under
// vitest, node:test, Jest, Mocha and Deno alike, in a browser too.

import { describe as describeShortly } from '../duration.ts'

/** The two functions of a test runner that a suite calls; vitest's and node:test's own fit as they are. */
export interface Runner {
  describe(name: string, body: () => void): void
  test(name: string, body: () => Promise<void> | void): void
}

/** What a failed expectation throws. */
export class ExpectationError extends Error {
  override readonly name = 'ExpectationError'
  /** Runners that show differences read these two. */
  readonly actual: unknown
  readonly expected: unknown

  constructor(message: string, actual: unknown, expected: unknown, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.actual = actual
    this.expected = expected
  }
}

/**
 * Expects two values to be equal all the way down.
 *
 * `NaN` equals itself, `-0` is not `0`, an absent property or a hole is not one that holds `undefined`.
 * Two views of bytes are equal when their bytes are, whatever subclass of `Uint8Array` they are. Maps
 * and sets are equal in any order. Errors are equal by name, message and own properties.
 */
export function same(actual: unknown, expected: unknown, message?: string): void {
  const place = differenceOf(actual, expected, '', new Map())
  if (place === undefined) return
  const where = place === '' ? '' : ` (they differ at ${place})`
  throw new ExpectationError(
    `${message === undefined ? '' : `${message}: `}got ${show(actual)}, expected ${show(expected)}${where}`,
    actual,
    expected,
  )
}

/** Expects a condition to hold. */
export function isTrue(condition: boolean, message: string): asserts condition {
  if (!condition) throw new ExpectationError(message, condition, true)
}

/**
 * Expects a promise to reject.
 *
 * @param check - Sees what it rejected with; fails the expectation by returning `false` or by throwing.
 * @returns What the promise rejected with.
 */
export async function rejects(
  promise: PromiseLike<unknown>,
  check: (error: unknown) => unknown,
  message?: string,
): Promise<unknown> {
  let value: unknown
  try {
    value = await promise
  } catch (error) {
    return checked(error, check, message, 'rejected with')
  }
  throw new ExpectationError(
    `${message ?? 'expected a rejection'}: resolved to ${show(value)}`,
    value,
    undefined,
  )
}

/**
 * Expects a function to throw at once.
 *
 * @param check - Sees what it threw; fails the expectation by returning `false` or by throwing.
 * @returns What the function threw.
 */
export function throws(fn: () => unknown, check: (error: unknown) => unknown, message?: string): unknown {
  let value: unknown
  try {
    value = fn()
  } catch (error) {
    return checked(error, check, message, 'threw')
  }
  throw new ExpectationError(`${message ?? 'expected a throw'}: returned ${show(value)}`, value, undefined)
}

function checked(
  error: unknown,
  check: (error: unknown) => unknown,
  message: string | undefined,
  verb: string,
): unknown {
  if (check(error) !== false) return error
  const name = message === undefined ? '' : `${message}: `
  throw new ExpectationError(
    `${name}${verb} ${show(error)}, which is not what was expected`,
    error,
    undefined,
    error,
  )
}

/**
 * Where two values differ: a path such as `.user[3]`, `''` for the values themselves, `undefined` for nowhere.
 *
 * @param open - The pairs that are being compared, so that two equal cycles end.
 */
function differenceOf(
  left: unknown,
  right: unknown,
  path: string,
  open: Map<object, Set<object>>,
): string | undefined {
  if (Object.is(left, right)) return undefined
  if (typeof left !== 'object' || typeof right !== 'object' || left === null || right === null) return path
  const partners = open.get(left) ?? new Set()
  if (partners.has(right)) return undefined
  open.set(left, partners.add(right))
  const difference = insideDifference(left, right, path, open)
  partners.delete(right)
  return difference
}

function insideDifference(
  left: object,
  right: object,
  path: string,
  open: Map<object, Set<object>>,
): string | undefined {
  if (left instanceof Uint8Array && right instanceof Uint8Array) {
    if (left.length !== right.length) return `${path}.length`
    const at = left.findIndex((byte, index) => byte !== right[index])
    return at < 0 ? undefined : `${path}[${at}]`
  }
  if (kindOf(left) !== kindOf(right)) return path
  if (left instanceof Date && right instanceof Date) {
    return Object.is(left.getTime(), right.getTime()) ? undefined : path
  }
  if (left instanceof Error && right instanceof Error) {
    if (left.name !== right.name) return `${path}.name`
    if (left.message !== right.message) return `${path}.message`
  }
  if (left instanceof RegExp && String(left) !== String(right)) return path
  if (left instanceof ArrayBuffer && right instanceof ArrayBuffer) {
    return insideDifference(new Uint8Array(left), new Uint8Array(right), path, open)
  }
  if (left instanceof DataView && right instanceof DataView) {
    return insideDifference(bytesOf(left), bytesOf(right), path, open)
  }
  if (left instanceof Map && right instanceof Map) return membersDifference([...left], [...right], path, open)
  if (left instanceof Set && right instanceof Set) {
    return membersDifference([...left].map(alone), [...right].map(alone), path, open)
  }
  if (Array.isArray(left) && Array.isArray(right) && left.length !== right.length) return `${path}.length`

  const keys = Object.keys(left)
  const others = new Set(Object.keys(right))
  for (const key of keys) {
    const inside = Array.isArray(left) ? `${path}[${key}]` : `${path}.${key}`
    if (!others.delete(key)) return inside
    const difference = differenceOf(
      (left as Record<string, unknown>)[key],
      (right as Record<string, unknown>)[key],
      inside,
      open,
    )
    if (difference !== undefined) return difference
  }
  const [missing] = others
  return missing === undefined ? undefined : `${path}.${missing}`
}

/** Where two lists of members differ, in whatever order: a member is a list of one or of key and value. */
function membersDifference(
  left: unknown[][],
  right: unknown[][],
  path: string,
  open: Map<object, Set<object>>,
): string | undefined {
  if (left.length !== right.length) return `${path}.size`
  for (const [place, member] of left.entries()) {
    const at = right.findIndex((other) =>
      member.every((part, index) => differenceOf(part, other[index], '', open) === undefined),
    )
    if (at < 0) return `${path}<member ${place}: ${show(member[0])}>`
    right.splice(at, 1)
  }
  return undefined
}

/** A set's member as a list, and not as a pair with itself: sets in sets would be compared 2^depth times. */
function alone(member: unknown): unknown[] {
  return [member]
}

function bytesOf(view: DataView): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength)
}

/** What must be the same for two objects to be compared at all. A prototype of `null` makes no difference. */
function kindOf(value: object): unknown {
  if (Array.isArray(value)) return Array
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === null ? Object.prototype : prototype
}

/** A value as text for a message: at most some hundred characters, whatever it is. */
export function show(value: unknown): string {
  const text = shown(value, 0)
  return text.length > 300 ? `${text.slice(0, 300)}…` : text
}

function shown(value: unknown, depth: number): string {
  if (Object.is(value, -0)) return '-0'
  if (typeof value !== 'object' || value === null) return describeShortly(value)
  try {
    if (value instanceof Error) return `${value.name}: ${value.message}`
    if (value instanceof Date) return `Date(${value.getTime()})`
    if (depth === 4) return '…'
    const inner = (member: unknown): string => shown(member, depth + 1)
    if (ArrayBuffer.isView(value)) {
      const bytes = new Uint8Array(value.buffer, value.byteOffset, value.byteLength)
      return `${value.constructor.name}(${value.byteLength} bytes: ${[...bytes.subarray(0, 32)].join(' ')}${bytes.length > 32 ? ' …' : ''})`
    }
    const few = (members: Iterable<unknown>, one: (member: unknown) => string): string => {
      const texts: string[] = []
      for (const member of members) {
        if (texts.length === 20) return `${texts.join(', ')}, …`
        texts.push(one(member))
      }
      return texts.join(', ')
    }
    const pair = (member: unknown): string => {
      const [key, one] = member as [unknown, unknown]
      return `${inner(key)} => ${inner(one)}`
    }
    if (Array.isArray(value)) return `[${few(value, inner)}]`
    if (value instanceof Map) return `Map { ${few(value, pair)} }`
    if (value instanceof Set) return `Set { ${few(value, inner)} }`
    return `{ ${few(Object.keys(value), (key) => `${key as string}: ${inner((value as Record<string, unknown>)[key as string])}`)} }`
  } catch {
    return 'an object that cannot be shown'
  }
}
