// Writes through the file tier until it is killed. argv: the folder of the sources, the directory.
//
// An entry's content follows from its key, a serial number and its size, so a reader can tell a whole
// write from any mixture of two.

import { fileURLToPath } from 'node:url'

const sizes = [16, 1_000, 5_000, 70_000, 400_000]
/** What is written to. */
export const keys = Array.from({ length: 8 }, (_, at) => `key:${at}`)

/** @param {string} key @param {number} serial @param {number} size */
function contentOf(key, serial, size) {
  const bytes = Buffer.alloc(size)
  bytes.writeUInt32LE(serial, 0)
  bytes.writeUInt32LE(size, 4)
  for (let at = 8; at < size; at++) bytes[at] = serial * 31 + at * 7 + key.charCodeAt(4)
  return bytes
}

/**
 * The serial of the one write that `bytes` are, or 0 when they are none.
 *
 * @param {string} key @param {Uint8Array} bytes @returns {number}
 */
export function writtenIn(key, bytes) {
  if (bytes.length < 16) return 0
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const serial = view.getUint32(0, true)
  return contentOf(key, serial, view.getUint32(4, true)).equals(bytes) ? serial : 0
}

async function main() {
  const [source, directory] = process.argv.slice(2)
  const { fileTier } = await import(`${source}/tiers/file.js`)
  const tier = fileTier({ directory })
  const id = process.pid.toString(16).padStart(16, '0')
  const [{ asOf }] = await tier.ledger.read(['key'])
  process.send?.('ready')
  for (let serial = 1; ; serial++) {
    const key = /** @type {string} */ (keys[(serial * 5) % keys.length])
    const bytes = contentOf(key, serial, /** @type {number} */ (sizes[serial % sizes.length]))
    const write = { key, bytes, remainingMs: Infinity }
    if (serial % 11 === 0) await tier.ledger.commit({ op: 'delete', key }, { id, serial })
    else if (serial % 3 === 0) await tier.set(write)
    else if (serial % 7 === 0) await tier.ledger.populate(write, asOf)
    else await tier.ledger.commit({ op: 'set', ...write }, { id, serial })
    // A parent that died without killing this one.
    if (process.send === undefined || !process.connected) break
    if (serial % 16 === 0) await new Promise((resolve) => setImmediate(resolve))
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main()
