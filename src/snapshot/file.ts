// Snapshots in files: written beside, made durable, renamed. Whoever reads finds the whole new one or the old one.

import { randomBytes } from 'node:crypto'
import { open, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'

/** What can be saved: an L1, say. */
export interface Snapshotable {
  snapshot(): AsyncIterable<Uint8Array>
}

/** How much a reading of the file brings at once. */
const PIECE_BYTES = 1 << 20

/**
 * Writes the snapshot of `source` to `path`, in place of what is there.
 *
 * The file is readable by its owner alone, since a cache may hold anything. Two processes with one path do no harm to
 * each other: the later whole snapshot stays.
 *
 * @returns How many bytes the file has.
 * @throws What the system says when the file cannot be written; what was at `path` stays then.
 * @example
 * await saveSnapshot(l1, '/var/cache/app/l1.snapshot')
 */
export async function saveSnapshot(source: Snapshotable, path: string): Promise<number> {
  const beside = `${path}.${randomBytes(8).toString('hex')}.tmp`
  let bytes = 0
  try {
    const file = await open(beside, 'wx', 0o600)
    try {
      for await (const piece of source.snapshot()) {
        await file.writeFile(piece)
        bytes += piece.length
      }
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(beside, path)
  } catch (error) {
    await rm(beside, { force: true })
    throw error
  }
  await syncFolder(dirname(path))
  return bytes
}

/**
 * The bytes of a file for `restore`. A file that is not there has none, so the cache begins empty; one that cannot be
 * read is told by `restored` as `failed`.
 *
 * @example
 * const l1 = createL1({ maxEntries: 100_000, restore: snapshotFile('/var/cache/app/l1.snapshot') })
 */
export async function* snapshotFile(path: string): AsyncGenerator<Uint8Array, void, undefined> {
  let file: Awaited<ReturnType<typeof open>>
  try {
    file = await open(path, 'r')
  } catch (error) {
    if ((error as { code?: unknown }).code === 'ENOENT') return
    throw error
  }
  const read = async (): Promise<Uint8Array> => {
    const piece = new Uint8Array(PIECE_BYTES)
    const { bytesRead } = await file.read(piece, 0, PIECE_BYTES)
    return piece.subarray(0, bytesRead)
  }
  // The next piece is read while the last one is worked on.
  let ahead = read()
  try {
    for (;;) {
      const piece = await ahead
      if (piece.length === 0) return
      ahead = read()
      // If it fails, that is told when it is asked for.
      ahead.catch(() => {})
      yield piece
    }
  } finally {
    await ahead.catch(() => {})
    await file.close()
  }
}

/** Makes a rename in `folder` durable; where the system does not let folders be opened it is so by itself. */
async function syncFolder(folder: string): Promise<void> {
  try {
    const handle = await open(folder, 'r')
    try {
      await handle.sync()
    } finally {
      await handle.close()
    }
  } catch {
    // The snapshot is there; at worst a power cut brings the former one back.
  }
}
