// Base64 of bytes (RFC 4648 section 4, with padding), in every runtime.
//
// Where the engine has `Uint8Array.prototype.toBase64` it does the work. Elsewhere the text is written
// into a byte array by table and decoded once: building it with `+=` or through `btoa` costs a string
// per chunk, and `Buffer` is Node's alone.

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'
const PAD = 0x3d

/** What engines of 2025 and later add to `Uint8Array`. */
interface Native {
  toBase64?: (this: Uint8Array) => string
  fromBase64?: (text: string, options: { lastChunkHandling: 'strict' }) => Uint8Array<ArrayBuffer>
}

let digits: Uint8Array | undefined
let values: Int8Array | undefined

function digitTable(): Uint8Array {
  digits ??= new TextEncoder().encode(alphabet)
  return digits
}

/** The value of each ASCII character, -1 for those that are no digit. */
function valueTable(): Int8Array {
  if (values === undefined) {
    values = new Int8Array(128).fill(-1)
    for (let value = 0; value < 64; value++) values[alphabet.charCodeAt(value)] = value
  }
  return values
}

/** The Base64 text of `bytes`. */
export function toBase64(bytes: Uint8Array): string {
  const native = (Uint8Array.prototype as Native).toBase64
  if (native !== undefined) return native.call(bytes)

  const table = digitTable()
  const text = new Uint8Array(4 * Math.ceil(bytes.length / 3))
  const whole = bytes.length - (bytes.length % 3)
  let to = 0
  for (let at = 0; at < whole; at += 3) {
    const three = ((bytes[at] as number) << 16) | ((bytes[at + 1] as number) << 8) | (bytes[at + 2] as number)
    text[to] = table[three >>> 18] as number
    text[to + 1] = table[(three >>> 12) & 63] as number
    text[to + 2] = table[(three >>> 6) & 63] as number
    text[to + 3] = table[three & 63] as number
    to += 4
  }
  if (whole < bytes.length) {
    const isOne = bytes.length - whole === 1
    const rest = ((bytes[whole] as number) << 8) | (isOne ? 0 : (bytes[whole + 1] as number))
    text[to] = table[rest >>> 10] as number
    text[to + 1] = table[(rest >>> 4) & 63] as number
    text[to + 2] = isOne ? PAD : (table[(rest << 2) & 63] as number)
    text[to + 3] = PAD
  }
  return new TextDecoder().decode(text)
}

/** The bytes that `text` is the Base64 of, or `undefined` when it is the Base64 of nothing. */
export function fromBase64(text: string): Uint8Array<ArrayBuffer> | undefined {
  if (text.length % 4 !== 0) return undefined
  const native = (Uint8Array as Native).fromBase64
  if (native !== undefined) {
    try {
      // The native function skips white space, which shows as a text that is too long for its bytes.
      const bytes = native.call(Uint8Array, text, { lastChunkHandling: 'strict' })
      return 4 * Math.ceil(bytes.length / 3) === text.length ? bytes : undefined
    } catch {
      return undefined
    }
  }

  const table = valueTable()
  const padding = text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0
  const length = text.length - padding
  const bytes = new Uint8Array((text.length / 4) * 3 - padding)
  let bits = 0
  let to = 0
  // One -1 among the values makes this negative, so the loop needs no branch for it.
  let wrong = 0
  for (let at = 0; at < length; at++) {
    const code = text.charCodeAt(at)
    const value = code < 128 ? (table[code] as number) : -1
    wrong |= value
    bits = (bits << 6) | (value & 63)
    if ((at & 3) === 3) {
      bytes[to] = bits >>> 16
      bytes[to + 1] = bits >>> 8
      bytes[to + 2] = bits
      to += 3
      bits = 0
    }
  }
  if (wrong < 0) return undefined
  // Bits that belong to no byte must be zero: otherwise two texts would stand for the same bytes.
  if (padding === 1) {
    if ((bits & 3) !== 0) return undefined
    bytes[to] = bits >>> 10
    bytes[to + 1] = bits >>> 2
  } else if (padding === 2) {
    if ((bits & 15) !== 0) return undefined
    bytes[to] = bits >>> 4
  }
  return bytes
}
