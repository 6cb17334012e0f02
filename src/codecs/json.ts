// JSON that keeps what JSON loses, and costs plain values no more than JSON does.
//
// The first byte of the encoded value is its form:
//
//    byte  form     what follows
//    0x20  plain    JSON, read by JSON.parse and by nothing else
//    0x09  tagged   JSON in which {"$": [kind, …]} stands for a value that JSON has no form for
//    0x01  bytes    the bytes themselves
//    0x02  text     UTF-8 of a well-formed string
//
// Blank and tab are white space to JSON.parse, so neither JSON form is cut before it is parsed. A walk
// finds out whether a value is plain; it allocates nothing and stops at the first value that is not.
// Only the tagged form has tags to escape: an object whose one key is "$" becomes
// {"$": ["Object", value of "$"]}.
//
// Bytes may come from anyone who can write to a backend. So no kind names code, no number in the bytes
// decides how much is allocated, nothing deeper than a limit is handed out or walked (JSON.parse itself
// does not recurse, or throws), integers are written in hexadecimal, as decimal takes quadratic time, and
// `__proto__` is always an own property.

import { fromBase64, toBase64 } from '../base64.ts'
import { describe } from '../duration.ts'
import { CacheError } from '../errors.ts'
import type { Codec } from './codec.ts'

const PLAIN = 0x20
const TAGGED = 0x09
const BYTES = 0x01
const TEXT = 0x02

/** Deepest nesting of arrays, objects, maps and sets, the outermost included. */
const MAX_DEPTH = 1_000
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
const TOO_DEEP = 'they nest too deep'
const objectPrototype: object = Object.prototype

/**
 * The codec that a cache uses unless it is given another.
 *
 * Kept besides what JSON keeps: `undefined`, `NaN`, infinities, `-0`, BigInt, valid and invalid `Date`,
 * `Map`, `Set`, `ArrayBuffer`, `DataView`, typed arrays (`Buffer` comes back as `Uint8Array`) and an own
 * `__proto__`. `toJSON` is honoured; an instance of a class comes back as a plain object of its own
 * enumerable properties. Shared references become copies. What has no faithful form is refused, naming
 * its place: cycles, functions, symbols, errors, regular expressions, promises, weak collections and
 * instances that keep nothing in enumerable properties. docs/reference/codecs/json.md has the list.
 */
export function jsonCodec(): Codec {
  const encoder = new TextEncoder()
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

  return {
    id: 1,
    name: 'json',

    encode(value: unknown): Uint8Array {
      let walk: TaggedForm | undefined
      try {
        if (typeof value === 'string' && isWellFormed(value)) return encoder.encode(`\x02${value}`)
        if (isBytes(value)) return bytesForm(value)
        const left = plainBudgetOf(value)
        if (left === TOO_MANY) throw new Refusal(`value ${tooMany(MAX_VALUES)}`)
        if (left >= 0) {
          const plain: string | undefined = JSON.stringify(value)
          if (plain !== undefined) return encoder.encode(` ${plain}`)
        }
        walk = new TaggedForm()
        const text = JSON.stringify(walk.of(value))
        return encoder.encode(walk.isTagged ? `\t${text}` : ` ${text}`)
      } catch (error) {
        if (error instanceof Refusal)
          throw new CacheError('CACHE_ENCODE_FAILED', `json codec: ${error.reason}`)
        const place = walk?.place ?? 'value'
        throw new CacheError('CACHE_ENCODE_FAILED', `json codec: ${place} cannot be read`, { cause: error })
      }
    },

    decode(bytes: Uint8Array): unknown {
      try {
        switch (bytes[0]) {
          case PLAIN: {
            const text = decoder.decode(bytes)
            const value: unknown = JSON.parse(text)
            if (hasMoreBrackets(MAX_DEPTH, text) && nestsDeeper(MAX_DEPTH, value)) throw new Refusal(TOO_DEEP)
            return value
          }
          case TAGGED:
            return untagged(JSON.parse(decoder.decode(bytes)), 0)
          case BYTES:
            // A copy: what a tier hands out is not the caller's to change, and a view of a pool would keep it alive.
            return new Uint8Array(bytes.subarray(1))
          case TEXT:
            return decoder.decode(bytes).slice(1)
          default:
            throw new Refusal(bytes.length === 0 ? 'there are none' : 'they begin with no form of it')
        }
      } catch (error) {
        const reason = error instanceof Refusal ? error.reason : 'they do not parse'
        throw new CacheError(
          'CACHE_DECODE_FAILED',
          `json codec: ${bytes.length} bytes are not of this codec: ${reason}`,
          error instanceof Refusal ? {} : { cause: error },
        )
      }
    },
  }
}

/** Why a value or bytes were refused, until the codec makes a `CacheError` of it. Never leaves this file. */
class Refusal {
  readonly reason: string

  constructor(reason: string) {
    this.reason = reason
  }
}

function plainBudgetOf(value: unknown): number {
  try {
    return plainBudget(value, 0, MAX_VALUES)
  } catch {
    // A getter or a trap threw; the other walk will meet it again and knows where it is.
    return NOT_PLAIN
  }
}

/**
 * How much of the budget `left` remains after a plain value: one that `JSON.parse(JSON.stringify(value))`
 * gives back. `NOT_PLAIN` when it is none, or is too deep to tell; `TOO_MANY` when the budget does not do.
 */
function plainBudget(value: unknown, depth: number, left: number): number {
  switch (typeof value) {
    case 'string':
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
      if (typeof member !== 'string') rest = plainBudget(member, depth + 1, rest)
    }
    return rest
  }
  if (!isPlainObject(value)) return NOT_PLAIN
  for (const key in value) {
    if (--rest < 0) return TOO_MANY
    const member = (value as Record<string, unknown>)[key]
    if (typeof member !== 'string') {
      rest = plainBudget(member, depth + 1, rest)
      if (rest < 0) return rest
    }
  }
  return rest
}

/** A step on the way to a value: a property, an index, or a member of a map or set. */
type Step = string | number | { readonly member: string }

/** One walk through a value that makes a copy of it in which every special value is tagged. */
class TaggedForm {
  /** Whether the copy has a tag; without one it is plain JSON after all. */
  isTagged = false
  readonly #path: Step[] = []
  /** The containers around the current value; a cycle meets one of them again. */
  readonly #open = new Set<object>()
  #left = MAX_TAGGED_VALUES

  /** Where the walk is, or was when something threw, such as `value.user.friends[3]`. */
  get place(): string {
    const text = `value${this.#path.map(stepText).join('')}`
    return text.length > 200 ? `${text.slice(0, 200)}…` : text
  }

  of(value: unknown): unknown {
    switch (typeof value) {
      case 'string':
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
        return this.#tag(kind, toBase64(new Uint8Array(new DataView(value as ArrayBuffer).buffer)))
    }
    if (ArrayBuffer.isView(value)) {
      const width = kind === 'DataView' ? 1 : arrays.get(kind)?.BYTES_PER_ELEMENT
      if (width === undefined) return this.#refuse(`is of class ${kind}, which has no form here`)
      const bytes = new Uint8Array(value.buffer, value.byteOffset, value.byteLength)
      return this.#tag(kind, toBase64(littleEndian(bytes, width)))
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

/** The inverse of `TaggedForm`, in place: `value` was just made by JSON.parse and belongs to nobody else. */
function untagged(value: unknown, depth: number): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (depth === MAX_DEPTH) {
    // A tagged leaf is no container, so one more level may hold it.
    const kind = tagIn(value)?.[0]
    if (kind === undefined || kind === 'Map' || kind === 'Set' || kind === 'Object') {
      throw new Refusal(TOO_DEEP)
    }
  }
  if (Array.isArray(value)) {
    for (let at = 0; at < value.length; at++) value[at] = untagged(value[at], depth + 1)
    return value
  }
  const tag = tagIn(value)
  if (tag !== undefined) return valueOfTag(tag, depth)
  const object = value as Record<string, unknown>
  for (const key of Object.keys(object)) {
    const member = object[key]
    if (typeof member === 'object' && member !== null) setOwn(object, key, untagged(member, depth + 1))
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

function valueOfTag(tag: unknown[], depth: number): unknown {
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
        return { [TAG]: untagged(payload, depth + 1) }
      case 'Map': {
        if (!Array.isArray(payload) || payload.length % 2 !== 0) break
        const map = new Map<unknown, unknown>()
        for (let at = 0; at < payload.length; at += 2) {
          map.set(untagged(payload[at], depth + 1), untagged(payload[at + 1], depth + 1))
        }
        return map
      }
      case 'Set': {
        if (!Array.isArray(payload)) break
        return new Set(payload.map((member) => untagged(member, depth + 1)))
      }
      default: {
        if (typeof kind !== 'string' || typeof payload !== 'string') break
        const bytes = fromBase64(payload)
        const view = bytes === undefined ? undefined : viewOf(kind, bytes)
        if (view !== undefined) return view
      }
    }
  }
  throw new Refusal('a tag is damaged, or of a later version')
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

function bytesForm(value: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(value.length + 1)
  bytes[0] = BYTES
  bytes.set(value, 1)
  return bytes
}

function isBytes(value: unknown): value is Uint8Array {
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

function isWellFormed(text: string): boolean {
  const native = (String.prototype as { isWellFormed?: (this: string) => boolean }).isWellFormed
  return native === undefined ? !/\p{Surrogate}/u.test(text) : native.call(text)
}

/** Sets an own property, `__proto__` too, which an assignment would make the prototype. */
function setOwn(object: Record<string, unknown>, key: string, value: unknown): void {
  if (key !== '__proto__') object[key] = value
  else Object.defineProperty(object, key, { value, writable: true, enumerable: true, configurable: true })
}

/**
 * Whether JSON has more than `limit` opening brackets, those in strings included: the cheap question that
 * spares nearly every value the walk of `nestsDeeper`.
 */
function hasMoreBrackets(limit: number, text: string): boolean {
  if (text.length <= 2 * limit) return false
  let left = limit
  for (const bracket of ['{', '[']) {
    for (let at = text.indexOf(bracket); at >= 0; at = text.indexOf(bracket, at + 1)) {
      if (--left < 0) return true
    }
  }
  return false
}

/** Whether arrays and objects in what JSON.parse made lie more than `limit` deep. */
function nestsDeeper(limit: number, value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false
  if (limit === 0) return true
  if (Array.isArray(value)) {
    for (let at = 0; at < value.length; at++) if (nestsDeeper(limit - 1, value[at])) return true
    return false
  }
  for (const key in value) {
    if (nestsDeeper(limit - 1, (value as Record<string, unknown>)[key])) return true
  }
  return false
}
