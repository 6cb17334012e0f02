// Values as trees of what a notation can write: plain data, and tags for what it has no form for.
//
// JSON and MessagePack keep different things without help, and what they lose is the same kind of thing. So the walk
// that finds out whether a value is plain, the copy in which every special value is {"$": [kind, …]}, and the way
// back are here, once; `Notation` says what a notation keeps by itself. An object whose one key is "$" becomes
// {"$": ["Object", value of "$"]}.
//
// Bytes may come from anyone who can write to a backend. So no kind names code, no number in the bytes decides how
// much is allocated, nothing deeper than a limit is walked, integers are written in hexadecimal, as decimal takes
// quadratic time, and `__proto__` is always an own property.

import { describe } from '../duration.ts'
import { CacheError } from '../errors.ts'

/** What a notation keeps by itself, and how it writes bytes. */
export interface Notation {
  /** Every string survives, lone surrogates included, as a value and as a key; so does the key `__proto__`. */
  readonly keepsAnyText: boolean
  /** A `Uint8Array` is a value like others. */
  readonly keepsBytes: boolean
  /** The payload of a tag that stands for bytes. */
  payloadOf(bytes: Uint8Array): unknown
  /** The bytes of such a payload, in memory of their own; `undefined` when it is none. */
  bytesIn(payload: unknown): Uint8Array<ArrayBuffer> | undefined
}

/** Deepest nesting of arrays, objects, maps and sets, the outermost included. */
export const MAX_DEPTH = 1_000
/** Why deeper values are refused. */
export const TOO_DEEP = 'they nest too deep'
/**
 * Most values inside one value, and inside one that needs tags, which take some fifty times as long.
 * Shared references become copies, so fifty objects that each hold the next one twice would otherwise be
 * 2^50 values.
 */
const MAX_VALUES = 2 ** 22
const MAX_TAGGED_VALUES = 2 ** 20
/** Two answers of `plainBudget` that are no budget. */
const NOT_PLAIN = -1
const TOO_MANY = -2

const TAG = '$'
const DAMAGED_TAG = 'a tag is damaged, or of a later version'
const objectPrototype: object = Object.prototype

/** Why a value or bytes were refused, until the codec makes a `CacheError` of it. Never leaves this room. */
export class Refusal {
  readonly reason: string

  constructor(reason: string) {
    this.reason = reason
  }
}

/**
 * Whether the notation gives a value back as it is, without tags.
 *
 * @throws Refusal when it holds too many values to tell.
 */
export function isPlain(value: unknown, notation: Notation): boolean {
  const left = plainBudgetOf(value, notation)
  if (left === TOO_MANY) throw new Refusal(`value ${tooMany(MAX_VALUES)}`)
  return left >= 0
}

function plainBudgetOf(value: unknown, notation: Notation): number {
  try {
    return plainBudget(value, 0, MAX_VALUES, notation)
  } catch {
    // A getter or a trap threw; the other walk will meet it again and knows where it is.
    return NOT_PLAIN
  }
}

/**
 * How much of the budget `left` remains after a plain value: one that the notation gives back. `NOT_PLAIN` when it is none, or is too deep to tell; `TOO_MANY` when the budget does not do.
 */
function plainBudget(value: unknown, depth: number, left: number, notation: Notation): number {
  switch (typeof value) {
    case 'string':
      return notation.keepsAnyText || isWellFormed(value) ? left : NOT_PLAIN
    case 'boolean':
      return left
    case 'number':
      return Number.isFinite(value) && !Object.is(value, -0) ? left : NOT_PLAIN
    case 'object':
      break
    default:
      return NOT_PLAIN
  }
  if (value === null) return left
  if (depth === MAX_DEPTH) return NOT_PLAIN
  let rest = left
  if (Array.isArray(value)) {
    rest -= value.length
    if (rest < 0) return TOO_MANY
    for (let at = 0; at < value.length && rest >= 0; at++) {
      const member: unknown = value[at]
      if (typeof member !== 'string' || !notation.keepsAnyText)
        rest = plainBudget(member, depth + 1, rest, notation)
    }
    return rest
  }
  if (!isPlainObject(value)) return notation.keepsBytes && isBytes(value) ? left : NOT_PLAIN
  for (const key in value) {
    if (--rest < 0) return TOO_MANY
    if (!notation.keepsAnyText && !isUsualKey(key)) return NOT_PLAIN
    const member = (value as Record<string, unknown>)[key]
    if (typeof member !== 'string' || !notation.keepsAnyText) {
      rest = plainBudget(member, depth + 1, rest, notation)
      if (rest < 0) return rest
    }
  }
  return rest
}

/** A step on the way to a value: a property, an index, or a member of a map or set. */
type Step = string | number | { readonly member: string }

/** One walk through a value that makes a copy of it in which every special value is tagged. */
export class TaggedForm {
  /** Whether the copy has a tag; without one it is plain JSON after all. */
  isTagged = false
  readonly #path: Step[] = []
  /** The containers around the current value; a cycle meets one of them again. */
  readonly #open = new Set<object>()
  readonly #notation: Notation
  #left = MAX_TAGGED_VALUES

  constructor(notation: Notation) {
    this.#notation = notation
  }

  /** Where the walk is, or was when something threw, such as `value.user.friends[3]`. */
  get place(): string {
    const text = `value${this.#path.map(stepText).join('')}`
    return text.length > 200 ? `${text.slice(0, 200)}…` : text
  }

  /**
   * The tagged form of a value.
   *
   * @throws Refusal naming the place, or what a getter, a `toJSON` or a trap throws.
   */
  of(value: unknown): unknown {
    switch (typeof value) {
      case 'string':
        if (this.#notation.keepsAnyText || isWellFormed(value)) return value
        return this.#tag('text', this.#notation.payloadOf(unitsOf(value)))
      case 'boolean':
        return value
      case 'number':
        if (Number.isFinite(value) && !Object.is(value, -0)) return value
        return this.#tag('number', Object.is(value, -0) ? '-0' : String(value))
      case 'undefined':
        return this.#tag('undefined')
      case 'bigint':
        return this.#tag('bigint', value.toString(16))
      case 'object':
        return value === null ? null : this.#ofObject(value)
      default:
        return this.#refuse(`is ${describe(value)}, which has no form here`)
    }
  }

  #ofObject(value: object): unknown {
    const { toJSON } = value as { toJSON?: unknown }
    if (typeof toJSON !== 'function' && (Array.isArray(value) || isPlainObject(value))) {
      return this.#ofProperties('Object', value)
    }
    const kind = kindOf(value)
    switch (kind) {
      case 'Date': {
        const time = Date.prototype.getTime.call(value)
        return this.#tag(kind, Number.isNaN(time) ? null : time)
      }
      case 'Map':
      case 'Set':
        return this.#ofMembers(kind, value)
      case 'ArrayBuffer':
        // By way of a DataView, which takes nothing but a buffer; Uint8Array would make bytes of any object.
        return this.#tag(
          kind,
          this.#notation.payloadOf(new Uint8Array(new DataView(value as ArrayBuffer).buffer)),
        )
    }
    if (ArrayBuffer.isView(value)) {
      const width = kind === 'DataView' ? 1 : arrays.get(kind)?.BYTES_PER_ELEMENT
      if (width === undefined) return this.#refuse(`is of class ${kind}, which has no form here`)
      const bytes = new Uint8Array(value.buffer, value.byteOffset, value.byteLength)
      if (kind === 'Uint8Array' && this.#notation.keepsBytes) return bytes
      return this.#tag(kind, this.#notation.payloadOf(littleEndian(bytes, width)))
    }

    if (typeof toJSON !== 'function') return this.#ofProperties(kind, value)
    const step = this.#path.at(-1) ?? ''
    const replaced: unknown = toJSON.call(value, typeof step === 'object' ? step.member : String(step))
    // As in JSON, what toJSON returns is not asked for its own toJSON; else `return this` would not end.
    const isTree = typeof replaced === 'object' && replaced !== null && !isKept(replaced)
    return isTree ? this.#ofProperties(kindOf(replaced), replaced) : this.of(replaced)
  }

  #ofMembers(kind: 'Map' | 'Set', value: object): unknown {
    this.#enter(value)
    const members: unknown[] = []
    const add = (step: string, member: unknown): void => {
      this.#spend(1)
      this.#path.push({ member: step })
      members.push(this.of(member))
      this.#path.pop()
    }
    // By the built-in method and not by the value's own iterator, which could be anything and endless.
    if (kind === 'Map') {
      Map.prototype.forEach.call(value, (member, key) => {
        const at = members.length / 2
        add(`key ${at}`, key)
        add(`value ${at}`, member)
      })
    } else {
      Set.prototype.forEach.call(value, (member) => add(`member ${members.length}`, member))
    }
    this.#open.delete(value)
    return this.#tag(kind, members)
  }

  #ofProperties(kind: string, value: object): unknown {
    this.#enter(value)
    const result = Array.isArray(value) ? this.#ofElements(value) : this.#ofRecord(kind, value)
    this.#open.delete(value)
    return result
  }

  #ofElements(value: unknown[]): unknown {
    this.#spend(value.length)
    const copy: unknown[] = []
    for (let at = 0; at < value.length; at++) {
      this.#path.push(at)
      copy.push(this.of(value[at]))
      this.#path.pop()
    }
    return copy
  }

  #ofRecord(kind: string, value: object): unknown {
    switch (kind) {
      case 'Number':
        return this.of(Number.prototype.valueOf.call(value))
      case 'String':
        return this.of(String.prototype.valueOf.call(value))
      case 'Boolean':
        return this.of(Boolean.prototype.valueOf.call(value))
      case 'BigInt':
        return this.of(BigInt.prototype.valueOf.call(value))
    }
    if (refused.has(kind)) return this.#refuse(`is of class ${kind}, which has no form here`)
    const keys = Object.keys(value)
    if (keys.length === 0 && !isRecord(value)) {
      return this.#refuse(
        `is ${classOf(value, kind)}, which keeps nothing in enumerable properties of its own`,
      )
    }
    this.#spend(keys.length)
    if (!this.#notation.keepsAnyText && !keys.every(isUsualKey)) {
      const pairs = keys.flatMap((key) => {
        this.#path.push(key)
        const pair = [this.of(key), this.of((value as Record<string, unknown>)[key])]
        this.#path.pop()
        return pair
      })
      return this.#tag('Record', pairs)
    }
    const copy: Record<string, unknown> = {}
    for (const key of keys) {
      this.#path.push(key)
      setOwn(copy, key, this.of((value as Record<string, unknown>)[key]))
      this.#path.pop()
    }
    return keys.length === 1 && keys[0] === TAG ? this.#tag('Object', copy[TAG]) : copy
  }

  #enter(value: object): void {
    if (this.#open.has(value)) this.#refuse('is a cycle: it is one of the objects it lies in')
    if (this.#open.size === MAX_DEPTH) this.#refuse(`is more than ${MAX_DEPTH} levels deep`)
    this.#open.add(value)
  }

  #tag(kind: string, ...payload: unknown[]): unknown {
    this.isTagged = true
    return { [TAG]: [kind, ...payload] }
  }

  #spend(count: number): void {
    this.#left -= count
    if (this.#left < 0) this.#refuse(tooMany(MAX_TAGGED_VALUES))
  }

  #refuse(what: string): never {
    throw new Refusal(`${this.place} ${what}`)
  }
}

function tooMany(limit: number): string {
  return `makes more than ${limit} values, shared ones counted each time`
}

function stepText(step: Step): string {
  if (typeof step === 'object') return `<${step.member}>`
  if (typeof step === 'number') return `[${step}]`
  return /^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u.test(step) ? `.${step}` : `[${JSON.stringify(step)}]`
}

/**
 * The inverse of `TaggedForm`, in place: `value` was just parsed and belongs to nobody else.
 *
 * @throws Refusal when it is not what `TaggedForm` makes.
 */
export function untagged(value: unknown, notation: Notation, depth = 0): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (notation.keepsBytes && value instanceof Uint8Array) return new Uint8Array(value)
  if (depth === MAX_DEPTH) {
    // A tagged leaf is no container, so one more level may hold it.
    const kind = tagIn(value)?.[0]
    if (kind === undefined || kind === 'Map' || kind === 'Set' || kind === 'Object' || kind === 'Record') {
      throw new Refusal(TOO_DEEP)
    }
  }
  if (Array.isArray(value)) {
    for (let at = 0; at < value.length; at++) value[at] = untagged(value[at], notation, depth + 1)
    return value
  }
  const tag = tagIn(value)
  if (tag !== undefined) return valueOfTag(tag, notation, depth)
  const object = value as Record<string, unknown>
  for (const key of Object.keys(object)) {
    const member = object[key]
    if (typeof member === 'object' && member !== null)
      setOwn(object, key, untagged(member, notation, depth + 1))
  }
  return object
}

/** What is behind the tag of `value`; `undefined` when it is no tagged value. */
function tagIn(value: object): unknown[] | undefined {
  // Arrays have no key "$"; an inherited one would be somebody's addition to Object.prototype.
  if (!Object.hasOwn(value, TAG) || Object.keys(value).length !== 1) return undefined
  const tag = (value as Record<string, unknown>)[TAG]
  if (!Array.isArray(tag)) throw new Refusal('a tag is damaged')
  return tag
}

function valueOfTag(tag: unknown[], notation: Notation, depth: number): unknown {
  const [kind, payload] = tag
  if (tag.length === (kind === 'undefined' ? 1 : 2)) {
    switch (kind) {
      case 'undefined':
        return undefined
      case 'number':
        if (typeof payload === 'string' && numbers.has(payload)) return numbers.get(payload)
        break
      case 'bigint':
        if (typeof payload !== 'string' || !/^-?[0-9a-f]+$/.test(payload)) break
        return payload.startsWith('-') ? -BigInt(`0x${payload.slice(1)}`) : BigInt(`0x${payload}`)
      case 'Date':
        if (payload === null) return new Date(Number.NaN)
        if (typeof payload !== 'number' || Number.isNaN(new Date(payload).getTime())) break
        return new Date(payload)
      case 'Object':
        return { [TAG]: untagged(payload, notation, depth + 1) }
      case 'Map': {
        if (!Array.isArray(payload) || payload.length % 2 !== 0) break
        const map = new Map<unknown, unknown>()
        for (let at = 0; at < payload.length; at += 2) {
          map.set(untagged(payload[at], notation, depth + 1), untagged(payload[at + 1], notation, depth + 1))
        }
        return map
      }
      case 'Set': {
        if (!Array.isArray(payload)) break
        return new Set(payload.map((member) => untagged(member, notation, depth + 1)))
      }
      case 'Record': {
        // JSON has no need of it, so there it is a damaged tag.
        if (notation.keepsAnyText || !Array.isArray(payload) || payload.length % 2 !== 0) break
        const record: Record<string, unknown> = {}
        for (let at = 0; at < payload.length; at += 2) {
          const key = untagged(payload[at], notation, depth + 1)
          if (typeof key !== 'string') throw new Refusal(DAMAGED_TAG)
          setOwn(record, key, untagged(payload[at + 1], notation, depth + 1))
        }
        return record
      }
      case 'text': {
        const units = notation.keepsAnyText ? undefined : notation.bytesIn(payload)
        if (units === undefined || units.length % 2 !== 0) break
        return textOfUnits(units)
      }
      default: {
        if (typeof kind !== 'string') break
        const bytes = notation.bytesIn(payload)
        const view = bytes === undefined ? undefined : viewOf(kind, bytes)
        if (view !== undefined) return view
      }
    }
  }
  throw new Refusal(DAMAGED_TAG)
}

const numbers: ReadonlyMap<string, number> = new Map([
  ['NaN', Number.NaN],
  ['Infinity', Number.POSITIVE_INFINITY],
  ['-Infinity', Number.NEGATIVE_INFINITY],
  ['-0', -0],
])

/** A class of typed arrays. */
interface ArrayClass {
  readonly BYTES_PER_ELEMENT: number
  new (buffer: ArrayBuffer): ArrayBufferView
}

/** The typed arrays that are kept, and the only classes that bytes can name. */
const arrays: ReadonlyMap<string, ArrayClass> = new Map<string, ArrayClass>([
  ['Uint8Array', Uint8Array],
  ['Uint8ClampedArray', Uint8ClampedArray],
  ['Int8Array', Int8Array],
  ['Int16Array', Int16Array],
  ['Uint16Array', Uint16Array],
  ['Int32Array', Int32Array],
  ['Uint32Array', Uint32Array],
  ['Float32Array', Float32Array],
  ['Float64Array', Float64Array],
  ['BigInt64Array', BigInt64Array],
  ['BigUint64Array', BigUint64Array],
])

/** Classes whose own enumerable properties, if there are any, are not what they are. */
const refused: ReadonlySet<string> = new Set([
  'DOMException',
  'Error',
  'Promise',
  'RegExp',
  'SharedArrayBuffer',
  'WeakMap',
  'WeakRef',
  'WeakSet',
])

/** The buffer or view that `stored` holds; `undefined` when no such kind is, or not at that length. */
function viewOf(kind: string, stored: Uint8Array<ArrayBuffer>): unknown {
  if (kind === 'ArrayBuffer') return stored.buffer
  if (kind === 'DataView') return new DataView(stored.buffer)
  const array = arrays.get(kind)
  if (array === undefined || stored.length % array.BYTES_PER_ELEMENT !== 0) return undefined
  return new array(littleEndian(stored, array.BYTES_PER_ELEMENT).buffer)
}

/** Elements of `width` bytes from the machine's order to little endian, or back, which is the same. */
function littleEndian<Bytes extends Uint8Array>(
  bytes: Bytes,
  width: number,
): Bytes | Uint8Array<ArrayBuffer> {
  if (width === 1 || new Uint8Array(Uint16Array.of(1).buffer)[0] === 1) return bytes
  const turned = Uint8Array.from(bytes)
  for (let at = 0; at < turned.length; at += width) turned.subarray(at, at + width).reverse()
  return turned
}

/** Whether a value is a `Uint8Array`, of whichever realm. */
export function isBytes(value: unknown): value is Uint8Array {
  if (!ArrayBuffer.isView(value)) return false
  // The second question is for arrays of another realm, such as a frame or a test environment.
  return value instanceof Uint8Array || kindOf(value) === 'Uint8Array'
}

/** The built-in class of an object, also of another realm's; what a forger gains is an error. */
function kindOf(value: object): string {
  return Object.prototype.toString.call(value).slice(8, -1)
}

/** Whether a value is kept by what it is, whatever `toJSON` it has. */
function isKept(value: object): boolean {
  const kind = kindOf(value)
  return (
    kind === 'Date' || kind === 'Map' || kind === 'Set' || kind === 'ArrayBuffer' || ArrayBuffer.isView(value)
  )
}

/** Whether a value is an object as `{}` makes it here. */
function isPlainObject(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === objectPrototype || prototype === null
}

/** Whether a value is an object as `{}` makes it, of whichever realm. */
function isRecord(value: object): boolean {
  const prototype: object | null = Object.getPrototypeOf(value)
  return prototype === null || Object.getPrototypeOf(prototype) === null
}

function classOf(value: object, kind: string): string {
  if (kind !== 'Object') return `of class ${kind}`
  const { constructor: made } = value
  return typeof made === 'function' && made !== Object
    ? `of class ${made.name}`
    : 'an object with a prototype'
}

/** Whether text has no lone surrogate. */
export function isWellFormed(text: string): boolean {
  const native = (String.prototype as { isWellFormed?: (this: string) => boolean }).isWellFormed
  return native === undefined ? !/\p{Surrogate}/u.test(text) : native.call(text)
}

/** Sets an own property, `__proto__` too, which an assignment would make the prototype. */
function setOwn(object: Record<string, unknown>, key: string, value: unknown): void {
  if (key !== '__proto__') object[key] = value
  else Object.defineProperty(object, key, { value, writable: true, enumerable: true, configurable: true })
}

/** Whether a key is one that every notation keeps. */
function isUsualKey(key: string): boolean {
  return key !== '__proto__' && isWellFormed(key)
}

/** The UTF-16 units of text, little endian. */
function unitsOf(text: string): Uint8Array {
  const bytes = new Uint8Array(2 * text.length)
  const view = new DataView(bytes.buffer)
  for (let at = 0; at < text.length; at++) view.setUint16(2 * at, text.charCodeAt(at), true)
  return bytes
}

function textOfUnits(bytes: Uint8Array): string {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  let text = ''
  for (let at = 0; at < bytes.length; at += 2) text += String.fromCharCode(view.getUint16(at, true))
  return text
}

/** What a codec's `encode` throws, from what was thrown inside it. */
export function encodeFailure(name: string, error: unknown, walk: TaggedForm | undefined): CacheError {
  if (error instanceof Refusal) return new CacheError('CACHE_ENCODE_FAILED', `${name} codec: ${error.reason}`)
  return new CacheError('CACHE_ENCODE_FAILED', `${name} codec: ${walk?.place ?? 'value'} cannot be read`, {
    cause: error,
  })
}

/** What a codec's `decode` throws, from what was thrown inside it. Says nothing of what the bytes hold. */
export function decodeFailure(name: string, error: unknown, bytes: Uint8Array): CacheError {
  const isRefused = error instanceof Refusal
  return new CacheError(
    'CACHE_DECODE_FAILED',
    `${name} codec: ${bytes.length} bytes are not of this codec: ${isRefused ? error.reason : 'they do not parse'}`,
    isRefused ? {} : { cause: error },
  )
}
