// The structured clone form, as the engine itself writes it: cycles, shared references, errors and expressions
// survive, and there is nothing to install.
//
//    byte  field
//       0  length of the engine's name
//       1  the engine's name, such as `node v8-11.3`, in ASCII
//          what the engine wrote
//
// Every engine writes a form of its own (Bun's is not V8's) and changes it with its versions. Another engine reads
// some of it without complaint and makes another value of it. So the engine is in the bytes, and bytes of any other
// are refused: a new version of Node begins with a cold cache, and machines of two kinds do not hear each other's values.

import { deserialize, serialize } from 'node:v8'
import { CacheError } from '../errors.ts'
import type { Codec } from './codec.ts'

/**
 * A codec that keeps whatever `structuredClone` keeps, between processes of one engine and version.
 *
 * For tiers that only such processes share. It is not made for bytes from strangers: who may write to the backend can
 * make it build large values and expressions; put `encryptedCodec` around it where that matters.
 */
export function structuredCodec(): Codec {
  const engine = engineName()
  const head = Uint8Array.of(engine.length, ...new TextEncoder().encode(engine))

  return {
    id: 3,
    name: 'structured',

    encode(value: unknown): Uint8Array {
      try {
        const written = serialize(value)
        const bytes = new Uint8Array(head.length + written.length)
        bytes.set(head)
        bytes.set(written, head.length)
        return bytes
      } catch (cause) {
        const reason = cause instanceof Error && cause.name === 'DataCloneError' ? `: ${cause.message}` : ''
        throw new CacheError(
          'CACHE_ENCODE_FAILED',
          `structured codec: value cannot be cloned${reason.slice(0, 200)}`,
          { cause },
        )
      }
    },

    decode(bytes: Uint8Array): unknown {
      if (!head.every((byte, at) => bytes[at] === byte)) {
        throw new CacheError(
          'CACHE_DECODE_FAILED',
          `structured codec: ${bytes.length} bytes were not written by ${engine}, and no other engine is read`,
        )
      }
      try {
        // A copy: arrays inside the value would else be views of what a tier handed out.
        return deserialize(new Uint8Array(bytes.subarray(head.length)))
      } catch (cause) {
        throw new CacheError(
          'CACHE_DECODE_FAILED',
          `structured codec: ${bytes.length} bytes are not of this codec: they do not parse`,
          { cause },
        )
      }
    },
  }
}

/** What wrote the bytes: the runtime, and the version of the part of it that writes them. */
function engineName(): string {
  const { bun, deno, node, v8 = '' } = process.versions
  if (bun !== undefined) return `bun ${bun}`
  const [major, minor] = v8.split('.')
  return `${deno === undefined ? `node ${node.split('.')[0]}` : 'deno'} v8-${major}.${minor}`
}
