// How many entries a directory has, and how many bytes, without listing it: what bounds it needs to know at each write.
//
// A table with a row for each of the 256 levels, in a file that the holder of the lock keeps. Each process has a copy in
// memory; a number that goes up with each change says whether it is still the newest, so a write costs one short read
// and two short writes. Listing the directory at each write instead is what makes Django's file cache fall to some ten
// writes a second when it is large.
//
// A process that is killed between a file and its row leaves the row wrong by that file. So nothing rests on a row for
// good: whoever walks a level measures it and puts the row right, and a table that is missing or not whole is made anew
// by measuring every level once.
//
//    at  bytes  field
//     0      8  changes      f64
//     8   4096  256 rows: entries as f64, bytes as f64
//
// In the byte order of the machine, since a directory is one machine's.

import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  readdirSync,
  readSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { codeOf, quietly, removeFile, writeNewFile } from './directory.ts'

const LEVELS = 256
const TABLE_BYTES = 8 + LEVELS * 16
const NO_FOLLOW = constants.O_NOFOLLOW ?? 0

/** What a level holds. */
export interface LevelUsage {
  readonly entries: number
  readonly bytes: number
}

/** The table, as one process has it open. Only for the holder of the lock. */
export class Usage {
  readonly #path: string
  readonly #entriesPath: string
  #file: number | undefined
  #table = new Float64Array(TABLE_BYTES / 8)
  #entries = 0
  #bytes = 0
  #isDoubted = false

  /** @param entriesPath - The directory with the levels. */
  constructor(path: string, entriesPath: string) {
    this.#path = path
    this.#entriesPath = entriesPath
  }

  /** Entries in all levels, dead ones included. */
  get entries(): number {
    return this.#entries
  }

  /** What their files take, heads included; not what the file system rounds it up to. */
  get bytes(): number {
    return this.#bytes
  }

  /** Brings the copy up to date. To be called before files are changed, and again before the next change. */
  refresh(): void {
    const isDoubted = this.#isDoubted
    // Until it is done: what fails on the way leaves a copy that `add` must not build on.
    this.#isDoubted = true
    if (isDoubted || (this.#file === undefined && !this.#open())) {
      this.#measureAll()
    } else {
      const changes = new Float64Array(1)
      const count = readSync(this.#file as number, changes, 0, 8, 0)
      if ((count < 8 || changes[0] !== this.#table[0]) && !this.#load()) this.#measureAll()
    }
    this.#isDoubted = false
  }

  /** A level got more or fewer. */
  add(level: string, entries: number, bytes: number): void {
    const at = rowOf(level)
    this.#put(at, (this.#table[at] as number) + entries, (this.#table[at + 1] as number) + bytes)
  }

  /** A level was measured. */
  put(level: string, { entries, bytes }: LevelUsage): void {
    this.#put(rowOf(level), entries, bytes)
  }

  /** Whether a level has nothing, as far as is known. */
  isEmpty(level: string): boolean {
    return (this.#table[rowOf(level)] as number) < 1
  }

  /** A change may not have been noted: everything is measured before the numbers are used again. */
  doubt(): void {
    this.#isDoubted = true
  }

  /** Forgets the file; the next `refresh` opens what is there then. */
  close(): void {
    const file = this.#file
    this.#file = undefined
    if (file !== undefined) quietly(() => closeSync(file))
  }

  #put(at: number, entries: number, bytes: number): void {
    if (this.#isDoubted) return
    const table = this.#table
    const [entriesNow, bytesNow] = [Math.max(0, entries), Math.max(0, bytes)]
    if (entriesNow === table[at] && bytesNow === table[at + 1]) return
    this.#entries += entriesNow - (table[at] as number)
    this.#bytes += bytesNow - (table[at + 1] as number)
    table[at] = entriesNow
    table[at + 1] = bytesNow
    table[0] = ((table[0] as number) + 1) % 2 ** 52
    const file = this.#file as number
    writeSync(file, table, 8 * at, 16, 8 * at)
    writeSync(file, table, 0, 8, 0)
  }

  #open(): boolean {
    try {
      this.#file = openSync(this.#path, constants.O_RDWR | NO_FOLLOW)
    } catch (error) {
      if (codeOf(error) === 'ENOENT' || codeOf(error) === 'ELOOP') return false
      throw error
    }
    if (this.#load()) return true
    this.close()
    return false
  }

  #load(): boolean {
    const file = this.#file as number
    const table = new Float64Array(TABLE_BYTES / 8)
    const found = fstatSync(file)
    if (
      !found.isFile() ||
      found.size !== TABLE_BYTES ||
      readSync(file, table, 0, TABLE_BYTES, 0) !== TABLE_BYTES
    )
      return false
    if (!table.every((number) => Number.isSafeInteger(number) && number >= 0)) return false
    this.#table = table
    this.#entries = this.#bytes = 0
    for (let at = 1; at < table.length; at += 2) {
      this.#entries += table[at] as number
      this.#bytes += table[at + 1] as number
    }
    return true
  }

  #measureAll(): void {
    this.close()
    const table = new Float64Array(TABLE_BYTES / 8)
    for (const level of namesIn(this.#entriesPath)) {
      if (!/^[0-9a-f]{2}$/.test(level)) continue
      for (const { size } of filesIn(join(this.#entriesPath, level))) {
        const at = rowOf(level)
        table[at] = (table[at] as number) + 1
        table[at + 1] = (table[at + 1] as number) + size
      }
    }
    removeFile(this.#path)
    writeNewFile(this.#path, [new Uint8Array(table.buffer)])
    if (!this.#open()) throw new Error(`${this.#path} cannot be read right after it was written`)
  }
}

/** An entry's file, by what the file system says of it. */
export interface SizedFile {
  readonly path: string
  readonly size: number
  readonly writtenAt: number
}

/** The files of a level that have an entry's name. */
export function filesIn(levelPath: string): SizedFile[] {
  return namesIn(levelPath).flatMap((name) => {
    if (!/^[0-9a-f]{32}$/.test(name)) return []
    const path = join(levelPath, name)
    const found = lstatSync(path, { throwIfNoEntry: false })
    return found?.isFile() === true ? [{ path, size: found.size, writtenAt: found.mtimeMs }] : []
  })
}

/** The names in a directory; none when it is not there. */
export function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory)
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return []
    throw error
  }
}

function rowOf(level: string): number {
  return 1 + 2 * Number.parseInt(level, 16)
}
