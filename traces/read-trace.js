// @ts-check
// Reads a recorded sequence of requests, so that a cache can be tried with what a real service was asked for.
//
// The format is CTR1 inside gzip. All numbers are unsigned words of 32 bits, little endian:
//
//    at  words  what
//     0      1  'CTR1' as four bytes
//     4      1  requests
//     8      1  unique keys
//    12      1  flags: which columns follow the keys
//    16      n  key of each request, as difference to the key before; wraps around, starts from 0
//            n  bytes of the value asked for          if flags & 1
//            n  ttl in seconds                        if flags & 2
//            n  time, as difference to the time before, starts from 0    if flags & 4
//
// Whole columns of differences, because that is what gzip makes small. A file is read whole: the largest of use
// have a few million requests.

import { readFile } from 'node:fs/promises'
import { basename } from 'node:path'
import { gunzipSync } from 'node:zlib'

const HEADER_BYTES = 16
const HAS_SIZES = 1
const HAS_TTLS = 2
const HAS_TIMES = 4

/**
 * @typedef {object} Trace
 * @property {number} requests
 * @property {number} uniqueKeys
 * @property {Uint32Array} keys one for each request, in order
 * @property {Uint32Array | undefined} sizes bytes of each value, where the trace tells
 * @property {Uint32Array | undefined} ttlSeconds of each value, where the trace tells
 * @property {Uint32Array | undefined} times since the first request, in the unit of the trace, where it tells
 */

/**
 * Reads a trace from a file.
 *
 * @param {string | URL} path
 * @returns {Promise<Trace>}
 * @throws Error with the name of the file and what is wrong with it, when it is no whole trace.
 */
export async function readTrace(path) {
  return decodeTrace(await readFile(path), basename(String(path)))
}

/**
 * Decodes a trace.
 *
 * @param {Uint8Array} file what is in the file
 * @param {string} name the file's, for the message of an error
 * @returns {Trace}
 * @throws Error with the name and what is wrong, when this is no whole trace.
 */
export function decodeTrace(file, name) {
  const bytes = unzipped(file, name)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (bytes.length < HEADER_BYTES || String.fromCharCode(...bytes.subarray(0, 4)) !== 'CTR1') {
    throw new Error(`${name}: not a trace; it does not begin with CTR1 and three numbers`)
  }
  const requests = view.getUint32(4, true)
  const uniqueKeys = view.getUint32(8, true)
  const flags = view.getUint32(12, true)
  if (flags > (HAS_SIZES | HAS_TTLS | HAS_TIMES)) {
    throw new Error(
      `${name}: flags ${flags} name a column that this reader does not know; it knows 1, 2 and 4`,
    )
  }
  const columns = 1 + [HAS_SIZES, HAS_TTLS, HAS_TIMES].filter((flag) => flags & flag).length
  const expectedBytes = HEADER_BYTES + 4 * requests * columns
  if (bytes.length !== expectedBytes) {
    throw new Error(
      `${name}: ${bytes.length} bytes unzipped, but ${requests} requests in ${columns} columns take ${expectedBytes}`,
    )
  }

  let at = HEADER_BYTES
  const column = () => {
    const words = new Uint32Array(requests)
    for (let turn = 0; turn < requests; turn++, at += 4) words[turn] = view.getUint32(at, true)
    return words
  }
  const keys = summed(column())
  const sizes = flags & HAS_SIZES ? column() : undefined
  const ttlSeconds = flags & HAS_TTLS ? column() : undefined
  const times = flags & HAS_TIMES ? summed(column()) : undefined

  const counted = new Set(keys).size
  if (counted !== uniqueKeys) {
    throw new Error(`${name}: ${counted} unique keys, but its header says ${uniqueKeys}`)
  }
  return { requests, uniqueKeys, keys, sizes, ttlSeconds, times }
}

/**
 * @param {Uint8Array} file
 * @param {string} name
 */
function unzipped(file, name) {
  try {
    return gunzipSync(file)
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new Error(`${name}: not a whole gzip file (${reason})`, { cause })
  }
}

/**
 * Turns differences into what they are differences of, in place; a Uint32Array wraps around by itself.
 *
 * @param {Uint32Array} differences
 */
function summed(differences) {
  let sum = 0
  for (let turn = 0; turn < differences.length; turn++) {
    sum = (sum + /** @type {number} */ (differences[turn])) >>> 0
    differences[turn] = sum
  }
  return differences
}
