// Values as bytes in the core's memory: what a value becomes there, and what a reader gets of it.
//
//   kind        value                            in memory
//   BYTES       a Uint8Array                     its bytes; read as a Uint8Array of its own, never a Buffer
//   ASCII       text below U+0080                a byte each
//   UTF8        other well-formed text           UTF-8
//   TWO_BYTE    text with lone surrogates        UTF-16, so that it comes back as it was
//   CODED       everything else                  what the codec makes of it
//
// Short text is encoded straight into the memory, behind the key that is staged there, and the core copies it to its
// place in the call that stores the entry. The rest is written when the core has said where.
//
// A reader gets a copy, because the memory is used again as soon as the entry leaves. `view` lends the bytes as they
// are: the core keeps them where they are while they are lent, whatever becomes of the entry meanwhile.

import type { Codec } from '../codecs/codec.ts'
import { type Core, STAGED_VALUE_BYTES } from '../core/core.ts'

const BYTES = 0
const ASCII = 1
const UTF8 = 2
const TWO_BYTE = 3
const CODED = 4

/** A character takes up to three bytes, so text of this length always fits where short text is staged. */
const SHORT_TEXT = Math.floor(STAGED_VALUE_BYTES / 3)

const encoder = new TextEncoder()

/** How values are held in the memory of one core. */
export class ByteValues {
  readonly #core: Core
  readonly #codec: Codec
  /** The value that is about to be stored, unless it is staged in the core's memory. */
  #pending: Uint8Array | undefined
  #kind = BYTES
  #bytes = 0
  /** By block, how many views of it are open. */
  readonly #lent = new Map<number, number>()

  constructor(core: Core, codec: Codec) {
    this.#core = core
    this.#codec = codec
  }

  /**
   * Encodes `value`, for `announce`.
   *
   * @param mayStage - The key that is staged for it is not so long that it reaches where short text is staged.
   * @returns How many bytes it takes.
   * @throws CacheError `CACHE_ENCODE_FAILED` for what the codec has no form for.
   */
  encode(value: unknown, mayStage: boolean): number {
    this.#pending = undefined
    if (typeof value === 'string') this.#encodeText(value, mayStage)
    else if (value instanceof Uint8Array) this.#hold(value, BYTES)
    else this.#hold(this.#codec.encode(value), CODED)
    return this.#bytes
  }

  /** Tells the core what the next `set` brings. */
  announce(): void {
    this.#core.announce(this.#bytes, this.#kind, this.#pending === undefined)
  }

  /** Writes the announced value to the slot that the core has given it. */
  write(slot: number): void {
    if (this.#pending === undefined) return
    this.#core.writeValue(slot, this.#pending)
    this.#pending = undefined
  }

  /** The value at `slot`, as a value of the reader's own. */
  read(slot: number): unknown {
    const core = this.#core
    const kind = core.valueKindOf(slot)
    if (kind === ASCII || kind === UTF8) return core.valueText(slot, kind === ASCII)
    if (kind === BYTES) return core.valueBytes(slot).slice()
    if (kind === TWO_BYTE) return core.valueUnits(slot)
    // A copy: a codec may hand out parts of what it was given.
    return this.#codec.decode(core.valueBytes(slot).slice())
  }

  /** Copies the bytes at `slot` into `target`, if they fit; answers how many they are. */
  readInto(slot: number, target: Uint8Array): number {
    const bytes = this.#core.valueBytes(slot)
    if (bytes.length <= target.length) target.set(bytes)
    return bytes.length
  }

  /** Lends the bytes at `slot` to `use`. */
  lend<R>(slot: number, use: (bytes: Uint8Array) => R): R {
    const core = this.#core
    const bytes = core.valueBytes(slot)
    const block = core.lend(slot)
    this.#lent.set(block, (this.#lent.get(block) ?? 0) + 1)
    try {
      return use(bytes)
    } finally {
      const others = (this.#lent.get(block) ?? 1) - 1
      if (others > 0) this.#lent.set(block, others)
      else {
        this.#lent.delete(block)
        core.unlend(block)
      }
    }
  }

  #encodeText(text: string, mayStage: boolean): void {
    // A key and a short text are staged side by side, so neither has to wait for the other.
    const written = mayStage && text.length <= SHORT_TEXT ? this.#core.stageValue(text) : -1
    this.#bytes = written
    this.#kind = written === text.length ? ASCII : UTF8
    if (this.#kind === ASCII || (written >= 0 && isWellFormed(text))) return
    if (isWellFormed(text)) {
      const bytes = encoder.encode(text)
      this.#hold(bytes, bytes.length === text.length ? ASCII : UTF8)
    } else {
      const units = Uint16Array.from({ length: text.length }, (_, at) => text.charCodeAt(at))
      this.#hold(new Uint8Array(units.buffer), TWO_BYTE)
    }
  }

  #hold(bytes: Uint8Array, kind: number): void {
    this.#pending = bytes
    this.#bytes = bytes.length
    this.#kind = kind
  }
}

/** Whether UTF-8 keeps the text: it has no form for a surrogate without its other half. */
function isWellFormed(text: string): boolean {
  const engine = text as string & { isWellFormed?: () => boolean }
  if (engine.isWellFormed !== undefined) return engine.isWellFormed()
  return !/\p{Surrogate}/u.test(text)
}
