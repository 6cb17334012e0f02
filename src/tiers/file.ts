// The tier in a directory: one file per entry, shared by all processes of one machine, with no server.
//
// Entries are whole or absent to every reader, kill -9 included: a file is written beside its place and renamed
// into it, or, up to a page, written over in one piece (0039). What changes an entry takes the directory's lock,
// so `add`, `compareAndSet` and `increment` are atomic between processes; what reads takes none. With `fileBus`
// over the same directory it is the authority of a fleet of processes on one machine; without one, plain storage.
//
// Where things are: src/backends/shared-directory.ts has the layout, log.ts the order of mutations,
// lock.ts the lock, entry-file.ts the form of a file, directory.ts what guards against other users.

import { addToDecimal } from '../backends/decimal.ts'
import {
  directoryOptionNames,
  resolveDirectory,
  type SharedDirectoryOptions,
} from '../backends/directory-options.ts'
import { isExpected } from '../backends/entry-bytes.ts'
import { FileLedger, readFrom } from '../backends/file-ledger.ts'
import { type FoundEntry, SharedDirectory } from '../backends/shared-directory.ts'
import { checkCount, checkNames } from '../options.ts'
import type { Ledger } from './ledger.ts'
import type { Tier, TierEntry, TierSupports, TierWrite } from './tier.ts'

/** What `fileTier` takes. */
export interface FileTierOptions extends SharedDirectoryOptions {
  /**
   * The largest entry that is stored or read, in stored bytes. Entries are written in one piece while nothing else
   * runs in the process; a megabyte takes a few milliseconds.
   *
   * @defaultValue 16 MiB
   */
  maxEntryBytes?: number

  /**
   * How many entries the directory may hold, expired ones that were not met since included. With one more, a part of
   * a part of them goes: see `cullFrequency`.
   *
   * @defaultValue 100,000
   */
  maxEntries?: number

  /**
   * How many bytes its entry files may have in all. The file system takes more, as each file has whole blocks.
   *
   * @defaultValue 1 GiB
   */
  maxBytes?: number

  /**
   * When there are too many entries or bytes, one of so many goes: in one 256th of the directory after the other, the
   * ones written longest ago, until there is room. 1 empties such a part.
   *
   * @defaultValue 3, as in Django
   */
  cullFrequency?: number

  /**
   * How many files one `prune` looks at; the next one goes on where it ended.
   *
   * @defaultValue 10,000
   */
  pruneFiles?: number
}

const ownOptionNames = ['cullFrequency', 'maxBytes', 'maxEntries', 'maxEntryBytes', 'pruneFiles']

/**
 * A tier of files in a directory, made with the first operation.
 *
 * It needs nothing but a local disk: entries survive restarts, and the processes of one machine share them.
 * Expired entries take up space until they are met, culled, or `prune` is called.
 *
 * @throws TypeError or RangeError for a wrong option. A directory that cannot be used makes the operations
 *   reject with `CACHE_TIER_FAILED`.
 * @example
 * const cache = createCache({ tiers: [fileTier({ directory })], bus: fileBus({ directory }), ttl: '5m' })
 */
export function fileTier(options: FileTierOptions): Tier {
  checkNames(options, [...directoryOptionNames, ...ownOptionNames], 'fileTier')
  const bounds = {
    maxEntryBytes: checkCount(options.maxEntryBytes, 'maxEntryBytes', 1, 2 ** 30, 16 * 2 ** 20),
    maxEntries: checkCount(options.maxEntries, 'maxEntries', 1, 2 ** 32, 100_000),
    maxBytes: checkCount(options.maxBytes, 'maxBytes', 1, 2 ** 50, 2 ** 30),
    cullFrequency: checkCount(options.cullFrequency, 'cullFrequency', 1, 1_000, 3),
    pruneFiles: checkCount(options.pruneFiles, 'pruneFiles', 1, 2 ** 32, 10_000),
  }
  return new FileTier(new SharedDirectory('file tier', resolveDirectory(options), bounds))
}

class FileTier implements Tier {
  readonly name = 'file'
  readonly scope = 'machine'
  readonly supports: TierSupports = {
    expiry: false,
    prefixClear: true,
    add: true,
    increment: true,
    compareAndSet: true,
  }
  readonly ledger: Ledger
  readonly #directory: SharedDirectory

  constructor(directory: SharedDirectory) {
    this.#directory = directory
    this.ledger = new FileLedger(directory, true)
  }

  get(key: string): Promise<TierEntry | undefined> {
    return this.#directory.attempt('get', async () => {
      await this.#directory.ready()
      return this.#read(key)
    })
  }

  getMany(keys: readonly string[]): Promise<(TierEntry | undefined)[]> {
    return this.#directory.attempt('getMany', () => this.#directory.each(keys, (key) => this.#read(key)))
  }

  async set(write: TierWrite): Promise<void> {
    await this.#change('set', () => this.#store(write))
  }

  async setMany(writes: readonly TierWrite[]): Promise<void> {
    const outcomes = await Promise.allSettled(
      writes.map((write) => this.#change('setMany', () => this.#store(write))),
    )
    const failed = outcomes.find((outcome) => outcome.status === 'rejected')
    // Even an empty batch is refused by a closed tier.
    if (writes.length === 0) await this.#directory.attempt('setMany', async () => {})
    if (failed !== undefined) throw failed.reason
  }

  add(write: TierWrite): Promise<boolean> {
    return this.#change('add', () => {
      if (this.#look(write.key) !== undefined) return false
      this.#store(write)
      return true
    })
  }

  compareAndSet(write: TierWrite, expected: Uint8Array | undefined): Promise<boolean> {
    return this.#change('compareAndSet', () => {
      const isStored = isExpected(this.#look(write.key), expected)
      if (isStored) this.#store(write)
      return isStored
    })
  }

  increment(key: string, delta: number, from: number): Promise<number | undefined> {
    return this.#change('increment', () => {
      const found = this.#look(key)
      if (found === undefined) return undefined
      const { sum, bytes } = addToDecimal(found.bytes, delta, from)
      this.#directory.rewrite(found, bytes)
      return sum
    })
  }

  touch(key: string, remainingMs: number): Promise<boolean> {
    return this.#change('touch', () => {
      const found = this.#look(key)
      if (found === undefined) return false
      this.#store({ key, bytes: found.bytes, remainingMs, stamp: found.head.stamp })
      return true
    })
  }

  delete(key: string): Promise<boolean> {
    return this.#change('delete', () => this.#delete(key))
  }

  async deleteMany(keys: readonly string[]): Promise<number> {
    const removed = await Promise.all(keys.map((key) => this.#change('deleteMany', () => this.#delete(key))))
    if (keys.length === 0) await this.#directory.attempt('deleteMany', async () => {})
    return removed.filter(Boolean).length
  }

  clear(prefix: string): Promise<void> {
    return this.#directory.attempt('clear', async () => {
      await this.#directory.ready()
      await this.#directory.sweep((key) => key.startsWith(prefix))
    })
  }

  prune(): Promise<number> {
    return this.#directory.attempt('prune', () => this.#directory.prune(false))
  }

  async close(): Promise<void> {
    this.#directory.close()
  }

  #change<T>(what: string, section: () => T): Promise<T> {
    return this.#directory.attempt(what, () => this.#directory.change(section))
  }

  #read(key: string): TierEntry | undefined | Promise<TierEntry | undefined> {
    return readFrom(this.#directory, key)
  }

  #look(key: string): FoundEntry | undefined {
    const found = this.#directory.look(key)
    return typeof found === 'object' ? found : undefined
  }

  #store(write: TierWrite): void {
    this.#directory.store({ ...write, stamp: write.stamp }, this.#directory.log.end)
  }

  #delete(key: string): boolean {
    const existed = this.#look(key) !== undefined
    this.#directory.remove(key)
    return existed
  }
}
