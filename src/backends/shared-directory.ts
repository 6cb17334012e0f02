// One directory as the file tier and the file bus share it with the other processes of the machine.
//
//    format         JSON: format, the key that names entries, the newest epoch
//    lock/          see lock.ts
//    log/current    see log.ts; in a directory of its own, so that watching it tells of nothing else
//    entries/ab/abcdef…   see entry-file.ts; the name is a keyed hash of the stored key
//    usage          how many entries and bytes each level has, see usage.ts
//
// The key is random per directory. So whoever chooses keys cannot aim two of them at one name, file names
// give nothing away, and names are the same on file systems that fold case.
//
// Nothing is touched before the first operation. From then on each operation starts with one look at the
// log (`ready` for those that read, `change` under the lock for those that write), which tells everything
// that can have happened meanwhile: other mutations, a new log, or that the directory is gone, in which
// case it is made anew with a new key and a new epoch.

import { lstatSync, realpathSync, type Stats, stat, utimes } from 'node:fs'
import { basename, join } from 'node:path'
import type { Clock } from '../clock.ts'
import { CacheError } from '../errors.ts'
import type { Random } from '../random.ts'
import type { Stamp } from '../stamp.ts'
import {
  codeOf,
  type FileStart,
  makeDirectory,
  makeLevel,
  overwriteFile,
  quietly,
  readStart,
  readStartOrLater,
  removeFile,
  replaceFile,
  sizeOf,
} from './directory.ts'
import type { ResolvedDirectory } from './directory-options.ts'
import { DiskPulse } from './disk-pulse.ts'
import {
  type EntryHead,
  encodeHead,
  entryNames,
  MAX_HEAD_BYTES,
  parseHead,
  payloadOf,
  remainingMsOf,
} from './entry-file.ts'
import { DirectoryLock } from './lock.ts'
import { isBefore, Log, type Mark, type Position } from './log.ts'
import { filesIn, type LevelUsage, namesIn, type SizedFile, Usage } from './usage.ts'

/** An entry that is to be written. */
export interface NewEntry {
  readonly key: string
  readonly bytes: Uint8Array
  /** From now; zero or less writes none and removes what is there. */
  readonly remainingMs: number
  readonly stamp: Stamp | undefined
}

/** A live entry as it was found. */
export interface FoundEntry {
  readonly head: EntryHead
  readonly bytes: Uint8Array
  readonly remainingMs: number
}

/** How much a directory may hold, and how room is made. */
export interface DirectoryBounds {
  readonly maxEntryBytes: number
  readonly maxEntries: number
  readonly maxBytes: number
  /** One of so many entries goes when there are too many. */
  readonly cullFrequency: number
  /** Files that one `prune` looks at. */
  readonly pruneFiles: number
}

/** The bounds of who writes no entries. */
export const unbounded: DirectoryBounds = {
  maxEntryBytes: 2 ** 30,
  maxEntries: Number.POSITIVE_INFINITY,
  maxBytes: Number.POSITIVE_INFINITY,
  cullFrequency: 3,
  pruneFiles: Number.POSITIVE_INFINITY,
}

interface Format {
  readonly format: number
  readonly key: string
  readonly epoch: number
}

const DIRECTORY_FORMAT = 1
const MAX_FORMAT_BYTES = 4096
/** More names than this are not remembered; hashing one again takes 1 µs. */
const MAX_NAMES = 4096
const FILES_PER_TURN = 32
/** Looking for 64 small entries takes about a millisecond. */
const KEYS_PER_TURN = 64
/** Of 256. One is enough for entries of one size; a single large one may want more. */
const LEVELS_PER_CULL = 16
const LEVELS = 256
/** From here on the way through the thread pool is small against the reading. */
const LARGE_BYTES = 256 * 1024
/** How often a reader looks at a file that is being written, before it waits for the lock. */
const MOST_LOOKS = 4
/** Fewer marks than this are not worth rewriting the log for. */
const MANY_MARKS = 16

/** The state of one shared directory, as one tier or bus of this process has it open. */
export class SharedDirectory {
  readonly name: string
  /** What the tier's and the bus's `channel` says. */
  readonly channel: string
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly logDirectory: string
  readonly #lock: DirectoryLock
  readonly #path: string
  readonly #givenPath: string
  readonly #bounds: DirectoryBounds
  readonly #usage: Usage
  readonly #reads: DiskPulse
  readonly #writes: DiskPulse
  #key = ''
  #hashName = entryNames('')
  #knownLoads = -1
  /** The acquisition of the lock in which the log was settled, and the one in which the usage was brought up to date. */
  #settledIn = -1
  #countedIn = -1
  /** The look at the log that is about to be taken, for all who ask before it is. */
  #look: Promise<void> | undefined
  #isChecked = false
  #isDoubted = false
  #isClosed = false
  /** Which level is culled, and which pruned, next: from a place at random, so that processes share the work. */
  #cullAt: number
  #pruneAt: number
  /** The walk that `prune` is on: where the log stood when it began, and how many levels it has seen. */
  #round: { readonly end: Position; levels: number } | undefined
  readonly #names = new Map<string, string>()
  readonly #levels = new Set<string>()

  /** @param name - The tier or bus, for its errors. */
  constructor(name: string, options: ResolvedDirectory, bounds: DirectoryBounds) {
    this.name = name
    this.channel = `file:${options.path}`
    this.clock = options.clock
    this.random = options.random
    this.logDirectory = join(options.path, 'log')
    this.#path = options.path
    this.#givenPath = options.givenPath
    this.#bounds = bounds
    this.#usage = new Usage(join(options.path, 'usage'), join(options.path, 'entries'))
    this.#cullAt = Math.floor(256 * options.random.next())
    this.#pruneAt = this.#cullAt
    this.#lock = new DirectoryLock({
      directory: join(options.path, 'lock'),
      waitMs: options.lockWaitMs,
      clock: options.clock,
      random: options.random,
      prepare: () => this.#prepare(),
      recover: () => this.#settle(true),
    })
    const { clock, lockWaitMs, path } = options
    this.#reads = new DiskPulse(clock, lockWaitMs, (done) => stat(join(path, 'log', 'current'), () => done()))
    this.#writes = new DiskPulse(clock, lockWaitMs, (done) => {
      const now = clock.wallNow() / 1_000
      utimes(join(path, 'lock'), now, now, () => done())
    })
    this.log = new Log(join(this.logDirectory, 'current'), options.logBytes, this.#lock.boot)
  }

  get isClosed(): boolean {
    return this.#isClosed
  }

  /**
   * Runs an operation of the tier or bus, and gives its failure the form that callers know.
   *
   * @param what - The operation, as the message names it.
   */
  async attempt<T>(what: string, run: () => Promise<T>): Promise<T> {
    if (this.#isClosed)
      throw new CacheError('CACHE_CLOSED', `${this.name}: ${what} after close`, { tier: 'file' })
    try {
      return await run()
    } catch (error) {
      throw this.failure(what, error)
    }
  }

  /** The error of an operation, as callers know it. */
  failure(what: string, error: unknown): unknown {
    if (error instanceof CacheError || error instanceof TypeError || error instanceof RangeError) return error
    const cause = error instanceof Error ? error.message : String(error)
    const message = `${this.name}: ${what} in ${this.#path} failed: ${cause}`
    return new CacheError('CACHE_TIER_FAILED', message, { tier: 'file', cause: error })
  }

  /** Opens the directory where needed, and brings what is known of the log up to date, once for all who ask meanwhile. */
  ready(): Promise<void> {
    if (this.#look !== undefined) return this.#look
    const answer = this.#reads.awaited() ?? Promise.resolve()
    this.#look = answer.then(
      () => {
        // First of all: who asks from here on may know of more than is found now.
        this.#look = undefined
        this.#refuseIfClosed()
        if (!this.#isChecked) this.#prepare()
        const isKnown = this.log.refresh() === 'whole' && this.#isFormatKnown()
        this.#reads.heard()
        return isKnown ? undefined : this.change(() => {})
      },
      (error) => {
        this.#look = undefined
        throw error
      },
    )
    return this.#look
  }

  /** What to wait for before the log is looked at without `ready`; `undefined` when the disk was heard of lately. */
  answered(): Promise<void> | undefined {
    return this.#reads.awaited()
  }

  /** Looks for each key, a few at a time so that other work gets its turn, and the log up to date each time. */
  async each<T>(keys: readonly string[], look: (key: string) => T | Promise<T>): Promise<T[]> {
    const found: T[] = []
    for (let at = 0; at < keys.length; at += KEYS_PER_TURN) {
      if (at > 0) await nextTurn()
      await this.ready()
      for (const key of keys.slice(at, at + KEYS_PER_TURN)) {
        const one = look(key)
        found.push(one instanceof Promise ? await one : one)
      }
    }
    return found
  }

  /** Runs `section` under the lock, with the log up to date and whole. */
  change<T>(section: () => T): Promise<T> {
    const answer = this.#writes.awaited()
    return answer === undefined ? this.#change(section) : answer.then(() => this.#change(section))
  }

  #change<T>(section: () => T): Promise<T> {
    this.#refuseIfClosed()
    if (!this.#isChecked) this.#prepare()
    return this.#lock.run(() => {
      const { acquisitions } = this.#lock
      // While the lock is held, nobody else adds to the log.
      if (this.#settledIn !== acquisitions || this.#isDoubted || this.#isClosed) this.#settle(false)
      this.#settledIn = acquisitions
      try {
        return section()
      } catch (error) {
        // What failed may have left the log or the directory in another state than is known.
        this.#settledIn = -1
        throw error
      } finally {
        this.#reads.heard()
        this.#writes.heard()
      }
    })
  }

  /** To be called when a mutation may be half done: the next change begins a new epoch. */
  doubt(): void {
    this.#isDoubted = true
  }

  /**
   * The live entry of `key`. Call `ready` before, or be within `change`.
   *
   * @returns `'dead'` when there is a file that holds none: expired, cleared, damaged, of another key.
   */
  look(key: string): FoundEntry | 'dead' | undefined {
    const path = this.#pathOf(key)
    const found = path === undefined ? undefined : this.#judge(key, readStart(path, this.#limitBytes))
    return found === 'torn' ? 'dead' : found
  }

  /** The same outside of `change`: a large entry is read while other work goes on. */
  find(key: string): FoundEntry | 'dead' | undefined | Promise<FoundEntry | 'dead' | undefined> {
    const path = this.#pathOf(key)
    if (path === undefined) return undefined
    for (let looks = 0; looks < MOST_LOOKS; looks++) {
      const start = readStartOrLater(path, this.#limitBytes, LARGE_BYTES, this.#reads)
      const found =
        start instanceof Promise ? start.then((later) => this.#judge(key, later)) : this.#judge(key, start)
      if (found instanceof Promise)
        return found.then((later) => (later === 'torn' ? this.change(() => this.look(key)) : later))
      if (found !== 'torn') return found
    }
    // Damaged, or written over all the time: nobody does while the lock is held.
    return this.change(() => this.look(key))
  }

  /**
   * Removes the file of `key` if it holds no live entry and the lock is free this moment. Reading can
   * leave it where it is just as well.
   */
  discard(key: string): void {
    const answer = this.#writes.awaited()
    if (answer === undefined) this.#discard(key)
    else
      answer.then(
        () => this.#discard(key),
        () => {},
      )
  }

  #discard(key: string): void {
    if (this.#isClosed) return
    quietly(() => {
      this.#lock.tryRun(() => {
        // Under the lock again: a fresh entry may have come in between.
        if (this.look(key) === 'dead') this.remove(key)
      })
    })
  }

  /**
   * Writes an entry; only within `change`.
   *
   * @param position - Where the log stands with it.
   * @throws RangeError when it is larger than `maxEntryBytes`; the old one stays.
   */
  store(entry: NewEntry, position: Position): void {
    this.#checkSize(entry.bytes)
    if (!(entry.remainingMs > 0)) {
      this.remove(entry.key)
      return
    }
    const head = {
      key: entry.key,
      position,
      stamp: entry.stamp,
      writtenAt: this.clock.wallNow(),
      ttlMs: entry.remainingMs,
    }
    this.#write(head, entry.bytes)
  }

  /** Writes new bytes into a live entry and keeps everything else; only within `change`. */
  rewrite(found: FoundEntry, bytes: Uint8Array): void {
    this.#checkSize(bytes)
    this.#write(found.head, bytes)
  }

  /** Removes the file of `key`, whatever it holds; only within `change`. */
  remove(key: string): void {
    const path = this.#pathOf(key)
    if (path !== undefined) this.#removeEntry(path)
  }

  /**
   * Removes the files whose entry is dead or chosen, a few at a time, so that others come in between.
   *
   * @returns How many entries were removed.
   */
  async sweep(isChosen: (key: string) => boolean): Promise<number> {
    let removed = 0
    for (let number = 0; number < LEVELS && !this.#isClosed; number++) {
      removed += (await this.#sweepLevel(levelName(number), isChosen)).removed
    }
    return removed
  }

  /**
   * Removes what nobody can use any more.
   *
   * @param isWhole - All of it. Otherwise as many levels as `pruneFiles` allows, from where the last call ended.
   * @returns How many entries were removed.
   */
  async prune(isWhole: boolean): Promise<number> {
    await this.change(() => quietly(() => this.#usage.refresh()))
    if (isWhole || this.#round === undefined) this.#round = { end: this.log.end, levels: 0 }
    const round = this.#round
    let removed = 0
    for (let files = 0; round.levels < LEVELS && (isWhole || files < this.#bounds.pruneFiles); ) {
      const level = levelName(this.#pruneAt++ % LEVELS)
      const swept = await this.#sweepLevel(level, () => false)
      if (this.#isClosed) return removed + swept.removed
      round.levels++
      removed += swept.removed
      files += swept.files
    }
    await this.change(() => {
      // Under the lock nobody writes, so what is temporary was left by a process that died.
      for (const file of ['format', join('log', 'current')]) removeFile(join(this.#path, `${file}.tmp`))
      this.#lock.tidy()
      if (round.levels === LEVELS && this.log.marks.length >= MANY_MARKS) this.log.forget(round.end)
    })
    if (round.levels === LEVELS && this.#round === round) this.#round = undefined
    return removed
  }

  /** Closes what is open; later operations are refused. */
  close(): void {
    if (this.#isClosed) return
    // What was asked for before is done, unless somebody else has the lock.
    quietly(() => this.#lock.flush())
    this.#isClosed = true
    this.log.close()
    this.#usage.close()
    this.#lock.close()
  }

  /** Makes the directory where it is missing, and checks that it is safe to use. */
  #prepare(): void {
    makeDirectory(this.#givenPath)
    const path = realpathSync(this.#givenPath)
    if (path !== this.#path)
      throw new Error(`${this.#givenPath} leads to ${path} now; it led to ${this.#path} before`)
    for (const level of ['lock', 'log', 'entries']) makeLevel(join(path, level))
    this.#levels.clear()
    this.#isChecked = true
  }

  /**
   * Makes the log whole, by a new epoch where the old one cannot be vouched for; only under the lock.
   *
   * @param isBroken - A holder of the lock died: it may have changed an entry without saying so.
   */
  #settle(isBroken: boolean): void {
    this.#refuseIfClosed()
    const state = this.log.refresh()
    // While a dead lock is repaired it is not held yet.
    if (!isBroken && this.log.loads !== this.#knownLoads && !this.#lock.isHeld())
      throw new Error(`${this.#path} was replaced by a copy of it`)
    const isSound = !isBroken && !this.#isDoubted
    if (state === 'whole' && isSound && this.#isFormatKnown()) return

    this.#prepare()
    const known = this.#readFormat()
    const key = known?.key ?? Buffer.from(this.random.bytes(32)).toString('hex')
    // Microseconds, the last three digits at random: a directory removed and made anew within a
    // millisecond, by processes that know nothing of each other, is still another one.
    const wall = Math.floor(this.clock.wallNow()) * 1000 + Math.floor(this.random.next() * 1000)
    const epoch = Math.max(wall, this.log.end.epoch + 1, (known?.epoch ?? 0) + 1)
    // What a damaged log said of clears is not known, so everything from before is dead.
    const isLegible = known !== undefined && (state === 'whole' || state === 'outlived')
    const marks: readonly Mark[] = isLegible ? this.log.marks : [{ prefix: '', epoch, sequence: 0 }]
    const format: Format = { format: DIRECTORY_FORMAT, key, epoch }
    replaceFile(join(this.#path, 'format'), [Buffer.from(JSON.stringify(format))])
    this.log.begin(epoch, marks, isLegible)
    this.#isDoubted = false
    this.#adopt(key)
  }

  #refuseIfClosed(): void {
    if (this.#isClosed)
      throw new CacheError('CACHE_CLOSED', `${this.name}: closed while waiting`, { tier: 'file' })
  }

  /** Whether the format file that belongs to the log is known, after having looked where need be. */
  #isFormatKnown(): boolean {
    if (this.log.loads === this.#knownLoads) return true
    const format = this.#readFormat()
    if (format !== undefined) this.#adopt(format.key)
    return format !== undefined
  }

  #adopt(key: string): void {
    if (key !== this.#key) {
      this.#names.clear()
      this.#hashName = entryNames(key)
    }
    this.#key = key
    this.#levels.clear()
    this.#usage.close()
    this.#countedIn = -1
    this.#knownLoads = this.log.loads
  }

  #readFormat(): Format | undefined {
    const path = join(this.#path, 'format')
    const start = readStart(path, MAX_FORMAT_BYTES)
    if (start === undefined || start === 'strange') return undefined
    let format: Partial<Format>
    try {
      format = JSON.parse(start.bytes.toString()) as Partial<Format>
    } catch {
      return undefined
    }
    if (typeof format?.format === 'number' && format.format !== DIRECTORY_FORMAT) {
      throw new Error(
        `${path} says format ${format.format}, and this version knows format ${DIRECTORY_FORMAT} only`,
      )
    }
    const { key, epoch } = format ?? {}
    const isWhole = typeof key === 'string' && /^[0-9a-f]{64}$/.test(key) && Number.isSafeInteger(epoch)
    return isWhole ? (format as Format) : undefined
  }

  get #limitBytes(): number {
    return MAX_HEAD_BYTES + this.#bounds.maxEntryBytes
  }

  /** `'torn'` when it is not a whole file: damaged, or somebody is writing it. */
  #judge(key: string, start: FileStart | 'strange' | undefined): FoundEntry | 'dead' | 'torn' | undefined {
    if (start === undefined) return undefined
    if (start === 'strange') return 'dead'
    // Another process may allow larger entries; it is theirs.
    if (start.size > this.#limitBytes) return undefined
    const head = parseHead(start.bytes, start.size)
    if (head === undefined) return 'torn'
    if (head.key !== key || this.#isDead(head)) return 'dead'
    const remainingMs = remainingMsOf(head, this.clock.wallNow())
    if (remainingMs <= 0) return 'dead'
    const bytes = payloadOf(start.bytes, head)
    return bytes === undefined ? 'torn' : { head, bytes, remainingMs }
  }

  #checkSize(bytes: Uint8Array): void {
    const { maxEntryBytes } = this.#bounds
    if (bytes.length > maxEntryBytes) {
      throw new RangeError(
        `maxEntryBytes: an entry of ${bytes.length} bytes is over the limit of ${maxEntryBytes}`,
      )
    }
  }

  #write(head: EntryHead, bytes: Uint8Array): void {
    const name = this.#nameOf(head.key)
    const level = name.slice(0, 2)
    const path = join(this.#path, 'entries', level, name)
    const parts = [encodeHead(head, bytes), bytes]
    const before = this.#hasLevel(level) ? lstatSync(path, { throwIfNoEntry: false }) : undefined
    const size = (parts[0]?.length ?? 0) + bytes.length
    this.#counted(
      () => {
        if (!this.#overwrite(level, path, before, parts, size)) this.#replaceIn(level, path, parts)
      },
      () => {
        this.#usage.add(level, before === undefined ? 1 : 0, size - (before?.size ?? 0))
        this.#cull(path)
      },
    )
  }

  #overwrite(
    level: string,
    path: string,
    before: Stats | undefined,
    parts: readonly Uint8Array[],
    size: number,
  ): boolean {
    try {
      return overwriteFile(path, before, parts, size)
    } catch (error) {
      let isGone = false
      quietly(() => {
        isGone = sizeOf(path) === undefined
      })
      if (isGone) quietly(() => this.#usage.add(level, -1, -(before?.size ?? 0)))
      else this.doubt()
      throw error
    }
  }

  #replaceIn(level: string, path: string, parts: readonly Uint8Array[]): void {
    if (this.#hasLevel(level)) {
      try {
        replaceFile(path, parts)
        return
      } catch (error) {
        // Removed since it was looked at.
        if (codeOf(error) !== 'ENOENT') throw error
      }
    }
    makeLevel(join(this.#path, 'entries', level))
    this.#levels.add(level)
    replaceFile(path, parts)
  }

  #isDead(head: EntryHead): boolean {
    return this.log.marks.some((mark) => isBefore(head.position, mark) && head.key.startsWith(mark.prefix))
  }

  /** Whether a file of the walk holds nothing that is to stay. */
  #isGone(path: string, isChosen: (key: string) => boolean): boolean {
    if (path.endsWith('.tmp')) return true
    const start = readStart(path, MAX_HEAD_BYTES)
    if (start === undefined) return false
    const head = start === 'strange' ? undefined : parseHead(start.bytes, start.size)
    if (head === undefined || this.#nameOf(head.key) !== basename(path)) return true
    return this.#isDead(head) || isChosen(head.key) || remainingMsOf(head, this.clock.wallNow()) <= 0
  }

  /** Removes a file of the walk. Says whether it was an entry's. */
  #sweepFile(path: string): boolean {
    try {
      if (!path.endsWith('.tmp')) return this.#removeEntry(path)
      removeFile(path)
      return false
    } catch (error) {
      // Somebody put a directory there.
      if (codeOf(error) === 'EISDIR' || codeOf(error) === 'EPERM') return false
      throw error
    }
  }

  /** Walks a level, and puts its row of the usage right. */
  async #sweepLevel(
    level: string,
    isChosen: (key: string) => boolean,
  ): Promise<{ removed: number; files: number }> {
    if (!this.#hasLevel(level) && this.#usage.isEmpty(level)) return { removed: 0, files: 0 }
    const levelPath = join(this.#path, 'entries', level)
    const names = namesIn(levelPath).filter((name) => /^[0-9a-f]{32}(\.tmp)?$/.test(name))
    let removed = 0
    for (let at = 0; at < names.length && !this.#isClosed; at += FILES_PER_TURN) {
      const paths = names.slice(at, at + FILES_PER_TURN).map((name) => join(levelPath, name))
      const gone = paths.filter((path) => this.#isGone(path, isChosen))
      if (gone.length > 0) {
        await this.change(() => {
          for (const path of gone) if (this.#isGone(path, isChosen) && this.#sweepFile(path)) removed++
        })
      }
      await nextTurn()
    }
    if (!this.#isClosed) {
      await this.change(() => {
        this.#counted(
          () => sumOf(filesIn(levelPath)),
          (found) => this.#usage.put(level, found),
        )
      })
    }
    return { removed, files: names.length }
  }

  /** Removes an entry's file. Says whether it was there. */
  #removeEntry(path: string): boolean {
    const size = sizeOf(path)
    if (size === undefined) return false
    return this.#counted(
      () => removeFile(path),
      (removed) => this.#usage.add(levelOf(path), removed ? -1 : 0, removed ? -size : 0),
    )
  }

  /**
   * Makes a change of files and takes note of it in the usage, which has to be up to date before. That it could not be
   * noted must not make a change fail that was made: then everything is measured before the numbers are used again.
   */
  #counted<T>(change: () => T, note: (outcome: T) => void): T {
    const { acquisitions } = this.#lock
    if (this.#countedIn !== acquisitions) {
      quietly(() => {
        this.#usage.refresh()
        this.#countedIn = acquisitions
      })
    }
    const outcome = change()
    try {
      note(outcome)
    } catch {
      this.#usage.doubt()
      this.#countedIn = -1
    }
    return outcome
  }

  /** Makes room where there is too much, for all but the newest entry. */
  #cull(newest: string): void {
    const { maxEntries, maxBytes, cullFrequency } = this.#bounds
    const usage = this.#usage
    const isOver = (): boolean => usage.entries > maxEntries || usage.bytes > maxBytes
    for (let looked = 0, passed = 0; isOver() && looked < LEVELS_PER_CULL && passed < LEVELS; passed++) {
      const level = levelName(this.#cullAt++ % LEVELS)
      if (usage.isEmpty(level)) continue
      looked++
      // Names are hashed, so a level is a fair sample of the directory, and its oldest are among the oldest.
      const files = filesIn(join(this.#path, 'entries', level)).sort(
        (left, right) => left.writtenAt - right.writtenAt,
      )
      const room = Math.ceil(files.length / cullFrequency)
      const gone = new Set(files.filter(({ path }) => path !== newest).slice(0, room))
      for (const { path } of gone) removeFile(path)
      usage.put(level, sumOf(files.filter((file) => !gone.has(file))))
    }
  }

  /** The file of a key; `undefined` while its level is not there. */
  #pathOf(key: string): string | undefined {
    const name = this.#nameOf(key)
    const level = name.slice(0, 2)
    return this.#hasLevel(level) ? join(this.#path, 'entries', level, name) : undefined
  }

  #nameOf(key: string): string {
    let name = this.#names.get(key)
    if (name === undefined) {
      name = this.#hashName(key)
      if (this.#names.size >= MAX_NAMES) this.#names.clear()
      this.#names.set(key, name)
    }
    return name
  }

  /** Whether a level is a directory, seen once: a link in its place would lead every path astray. */
  #hasLevel(level: string): boolean {
    if (this.#levels.has(level)) return true
    if (!/^[0-9a-f]{2}$/.test(level)) return false
    const found = lstatSync(join(this.#path, 'entries', level), { throwIfNoEntry: false })
    if (found?.isDirectory() === true) this.#levels.add(level)
    return found?.isDirectory() === true
  }
}

function sumOf(files: readonly SizedFile[]): LevelUsage {
  return { entries: files.length, bytes: files.reduce((sum, { size }) => sum + size, 0) }
}

/** The level that a file is in. */
function levelOf(path: string): string {
  return basename(path).slice(0, 2)
}

function levelName(number: number): string {
  return number.toString(16).padStart(2, '0')
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
