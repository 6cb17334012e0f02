// One lock per directory, so that of all processes and threads one at a time changes it.
//
// Node has no flock. The lock is a file `held` that is made exclusively, as a hard link to the owner's own
// file: it has its whole content from the first moment, so nobody ever finds a lock that does not say
// whose it is, and taking and releasing it costs 5 µs instead of the 20 µs of a new file.
//
//    held         the lock, while somebody has it
//    owner-ID     who ID is: process, thread, when they started, boot
//    broken-ID    somebody is breaking the lock that the dead ID left; says who, as `held` does
//
// Breaking a dead owner's lock. Unlinking it would be wrong: of two breakers the slower one could remove
// the lock that a third has taken meanwhile. So a breaker first takes `broken-ID` exclusively, looks
// again whether `held` is still ID's, repairs what ID may have left half done, and then renames its claim
// over `held`: the dead lock turns into its own in one step. ID is dead, so a lock of ID never comes back
// after that. When the breaker dies on the way, its claim is a dead owner's file like any other and is
// taken over by the same rule; when repairing fails, the dead lock stays and the next one tries again.
//
// A copy of the directory, made while the lock was held, has a lock that its owner knows nothing of and never releases.
// So an owner's file says which file it is, by the number that hard links share and copies do not: a copy is dead,
// whoever it names. The other way round an owner may find its own file replaced by a copy of it, when a directory was
// put back from one. Then it is stripped of its lock, see `isHeld`, and introduces itself anew.
//
// Sections are synchronous. So a lock of this very thread that is found when none is running here was left
// by a release that failed, and waiting happens between sections only.

import {
  closeSync,
  linkSync,
  lstatSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  unlinkSync,
} from 'node:fs'
import { uptime } from 'node:os'
import { join } from 'node:path'
import { MessageChannel, threadId } from 'node:worker_threads'
import type { Clock } from '../clock.ts'
import type { Random } from '../random.ts'
import { codeOf, openForAppend, quietly, readStart, removeFile, writeAll, writeNewFile } from './directory.ts'

/** Who holds a lock. */
interface Owner {
  /** Random, one per `DirectoryLock`. */
  readonly id: string
  readonly pid: number
  /** Node's number of the thread within the process. */
  readonly thread: number
  /** Linux: the thread's place under /proc and when it started, which no later thread has both of. */
  readonly task: string
  readonly started: string
  /** Linux: which boot of which kernel, and which space of process numbers (a container has its own). */
  readonly boot: string
  readonly space: string
  /** When this was written, by the wall clock; where there is no boot id, older than the boot means dead. */
  readonly writtenAt: number
  /** Which file this was written to. Versions before this one do not say. */
  readonly inode?: number
}

/** What the lock needs to know of the directory around it. */
export interface DirectoryLockOptions {
  /** Where the lock's files are; its own directory, since others watch the rest for changes. */
  readonly directory: string
  /** How long a section may wait before it is rejected. */
  readonly waitMs: number
  readonly clock: Clock
  readonly random: Random
  /** Makes `directory`; called when it is not there. */
  prepare(): void
  /** Repairs what a dead owner may have left half done. When it throws, the lock is not taken. */
  recover(): void
}

interface Waiting {
  readonly run: () => void
  readonly reject: (error: unknown) => void
  readonly since: number
}

/** Sections that run in one turn of the event loop, and under one acquisition, before others get a turn. */
const SECTIONS_PER_TURN = 64
const LONGEST_PAUSE_MS = 10
/**
 * How long a lock from another space of process numbers is watched standing still before it is taken for
 * dead: whether its process lives cannot be asked from here. Sections take milliseconds.
 */
const FOREIGN_PATIENCE_MS = 10_000
const OWNER_LIMIT_BYTES = 4096

/** The exclusive right to change one directory. */
export class DirectoryLock {
  readonly #options: DirectoryLockOptions
  readonly #held: string
  readonly #own: string
  readonly #self: Owner
  #ownInode: bigint | undefined
  readonly #queue: Waiting[] = []
  #isPumping = false
  #acquisitions = 0
  #ranThisTurn = 0
  #foreign: { id: string; changedAt: bigint; since: number } | undefined

  constructor(options: DirectoryLockOptions) {
    const id = Buffer.from(options.random.bytes(8)).toString('hex')
    this.#options = options
    this.#held = join(options.directory, 'held')
    this.#own = join(options.directory, `owner-${id}`)
    this.#self = describeSelf(id, options.clock)
  }

  /** The boot of the machine by which this process runs; empty where the system does not say. */
  get boot(): string {
    return this.#self.boot
  }

  /** How often the lock was taken: between two sections with the same number nobody else had it. */
  get acquisitions(): number {
    return this.#acquisitions
  }

  /**
   * Runs `section` under the lock as soon as it is free. When it is, that is behind what runs now and is queued behind
   * it, so that all who come at once share one acquisition.
   *
   * @throws What `section` throws, and an error when the lock was not free within `waitMs`.
   */
  run<T>(section: () => T): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const run = (): void => {
        // Both outcomes settle the caller alone: the section of the next in the queue runs all the same.
        try {
          resolve(section())
        } catch (error) {
          reject(error)
        }
      }
      this.#queue.push({ run, reject, since: this.#options.clock.now() })
      if (!this.#isPumping) this.#pump().catch((error) => this.#rejectAll(error))
    })
  }

  /**
   * Whether the lock that was taken is this owner's. It is not when the directory was replaced by a copy of it, in which
   * the lock was taken with a copy of the owner's file: others take that for dead.
   */
  isHeld(): boolean {
    const found = lstatSync(this.#held, { bigint: true, throwIfNoEntry: false })
    return found !== undefined && found.ino === this.#ownInode
  }

  /** Runs `section` under the lock if it is free this moment. Says whether it ran. */
  tryRun(section: () => void): boolean {
    if (this.#isPumping || !this.#take()) return false
    try {
      section()
    } finally {
      this.#release()
    }
    return true
  }

  /** Removes the files that dead owners left; the lock must be held. */
  tidy(): void {
    for (const name of readdirSync(this.#options.directory)) {
      if (!name.startsWith('owner-') && !name.startsWith('broken-')) continue
      const path = join(this.#options.directory, name)
      const owner = readOwner(path)
      // With the lock in our hands a claim on a dead owner's lock is about nothing any more.
      if (owner !== undefined && owner.id !== this.#self.id && !this.#isAlive(owner, path)) removeFile(path)
    }
  }

  /** Runs what waits, if the lock is free this moment. */
  flush(): void {
    if (this.#queue.length > 0 && this.#take()) this.#runSome(this.#queue.length)
  }

  /** Removes this owner's file. The lock can be used again after that. */
  close(): void {
    quietly(() => removeFile(this.#own))
    this.#ownInode = undefined
  }

  async #pump(): Promise<void> {
    this.#isPumping = true
    let pauses = 0
    try {
      await undefined
      while (this.#queue.length > 0) {
        if (this.#ranThisTurn >= SECTIONS_PER_TURN) await nextTurn()
        if (!this.#take()) {
          this.#rejectOverdue()
          if (this.#queue.length > 0) await this.#pause(pauses++)
          continue
        }
        pauses = 0
        this.#runSome(SECTIONS_PER_TURN)
      }
    } finally {
      this.#isPumping = false
    }
  }

  /** Runs up to `most` sections and releases the lock, which must be held. */
  #runSome(most: number): void {
    try {
      for (let room = most; room > 0 && this.#queue.length > 0; room--) {
        this.#countTurn()
        this.#queue.shift()?.run()
      }
    } finally {
      this.#release()
    }
  }

  #rejectAll(error: unknown): void {
    for (const waiting of this.#queue.splice(0)) waiting.reject(error)
  }

  #countTurn(): void {
    if (this.#ranThisTurn++ === 0) setImmediate(() => (this.#ranThisTurn = 0))
  }

  #rejectOverdue(): void {
    const { clock, waitMs } = this.#options
    while (this.#queue[0] !== undefined && clock.now() - this.#queue[0].since >= waitMs) {
      const owner = readOwner(this.#held)
      const whose = owner?.self === undefined ? 'an unknown owner' : `process ${owner.self.pid}`
      this.#queue.shift()?.reject(new Error(`the lock ${this.#held} was held for ${waitMs} ms by ${whose}`))
    }
  }

  /** The timers of a `Clock` do not keep a process alive, but a mutation that waits must not be lost. */
  #pause(pauses: number): Promise<void> {
    const { clock, random } = this.#options
    const { port1 } = new MessageChannel()
    port1.ref()
    return new Promise((resolve) => {
      const run = (): void => {
        port1.close()
        resolve()
      }
      // Jitter lets processes that met once not meet again at each try.
      clock.setTimer(run, Math.min(1 + pauses, LONGEST_PAUSE_MS) * (0.5 + random.next()))
    })
  }

  #take(): boolean {
    this.#acquisitions++
    if (this.#link(this.#held)) return true
    const owner = readOwner(this.#held)
    if (owner === undefined) return this.#link(this.#held)
    if (this.#isAlive(owner, this.#held)) return false
    return this.#takeOver(this.#held, owner.id)
  }

  /** Turns the file that the dead `id` left at `path` into this owner's; `false` when another is about it. */
  #takeOver(path: string, id: string): boolean {
    const claim = join(this.#options.directory, `broken-${id}`)
    if (!this.#link(claim)) {
      const rival = readOwner(claim)
      if (rival === undefined || this.#isAlive(rival, claim) || !this.#takeOver(claim, rival.id)) return false
    }
    try {
      const found = readOwner(path)
      // The owner of whose lock there was a copy may have taken it again.
      if (found === undefined || found.id !== id || this.#isAlive(found, path)) {
        removeFile(claim)
        return false
      }
      if (path === this.#held) this.#options.recover()
      renameSync(claim, path)
      return true
    } catch (error) {
      quietly(() => removeFile(claim))
      throw error
    }
  }

  #link(path: string): boolean {
    for (let attempt = 0; ; attempt++) {
      try {
        if (this.#ownInode === undefined) this.#introduce()
        linkSync(this.#own, path)
        return true
      } catch (error) {
        const code = codeOf(error)
        if (code === 'EEXIST') return false
        // The directory was removed under us, or never made.
        if (code !== 'ENOENT' || attempt > 0) throw error
        this.#options.prepare()
        this.#ownInode = undefined
      }
    }
  }

  /** Writes the file that says who this owner is. */
  #introduce(): void {
    removeFile(this.#own)
    writeNewFile(this.#own, [])
    const { ino } = lstatSync(this.#own, { bigint: true })
    const file = openForAppend(this.#own)
    try {
      writeAll(file, [Buffer.from(JSON.stringify({ ...this.#self, inode: Number(ino) }))])
    } finally {
      closeSync(file)
    }
    this.#ownInode = ino
  }

  #release(): void {
    // What fails here leaves a lock of this very thread, which the next section takes over.
    quietly(() => {
      const found = lstatSync(this.#held, { bigint: true, throwIfNoEntry: false })
      // A process that was frozen for so long that it was taken for dead must not remove its successor's lock.
      if (found?.ino === this.#ownInode) unlinkSync(this.#held)
      else this.#ownInode = undefined
    })
  }

  #isAlive(owner: FoundOwner, path: string): boolean {
    const { self } = owner
    if (self === undefined || self.boot !== this.#self.boot) return false
    if (self.space !== this.#self.space) return this.#isMoving(owner, path)
    if (self.task !== '') {
      if (self.task === this.#self.task && self.started === this.#self.started) return false
      return startOf(self.task) === self.started
    }
    if (self.boot === '' && self.writtenAt < this.#options.clock.wallNow() - uptime() * 1000 - 60_000)
      return false
    if (self.pid === process.pid) return self.thread !== threadId
    try {
      process.kill(self.pid, 0)
      return true
    } catch (error) {
      return codeOf(error) !== 'ESRCH'
    }
  }

  /** Whether a lock whose owner cannot be asked for was seen to change lately. */
  #isMoving(owner: FoundOwner, path: string): boolean {
    const found = lstatSync(path, { bigint: true, throwIfNoEntry: false })
    const now = this.#options.clock.now()
    // Each taking and each release changes the number of links, and with it this time.
    const changedAt = found?.ctimeNs ?? 0n
    if (this.#foreign?.id !== owner.id || this.#foreign.changedAt !== changedAt) {
      this.#foreign = { id: owner.id, changedAt, since: now }
    }
    return now - this.#foreign.since < FOREIGN_PATIENCE_MS
  }
}

interface FoundOwner {
  readonly id: string
  /** `undefined` when the file does not say, as after a power cut, or is a copy: then nobody alive wrote it. */
  readonly self: Owner | undefined
}

function readOwner(path: string): FoundOwner | undefined {
  const start = readStart(path, OWNER_LIMIT_BYTES)
  if (start === undefined) return undefined
  try {
    if (start !== 'strange') {
      const owner = JSON.parse(start.bytes.toString()) as Owner
      // The id becomes part of a file's name.
      if (/^[0-9a-f]{16}$/.test(owner.id) && Number.isSafeInteger(owner.pid)) {
        const isCopy = owner.inode !== undefined && owner.inode !== start.inode
        return { id: owner.id, self: isCopy ? undefined : owner }
      }
    }
  } catch {
    // Falls through to an owner that nobody knows.
  }
  const found = lstatSync(path, { bigint: true, throwIfNoEntry: false })
  return found === undefined ? undefined : { id: `unknown-${found.ino}`, self: undefined }
}

function describeSelf(id: string, clock: Clock): Owner {
  // "4711/task/4712", of the thread that asks.
  const task = ask(() => readlinkSync('/proc/thread-self'))
  return {
    id,
    pid: process.pid,
    thread: threadId,
    task,
    started: task === '' ? '' : (startOf(task) ?? ''),
    boot: ask(() => readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim()),
    space: ask(() => readlinkSync('/proc/self/ns/pid')),
    writtenAt: clock.wallNow(),
  }
}

/** When a Linux thread started, in clock ticks since the boot; `undefined` when it is no more. */
function startOf(task: string): string | undefined {
  const stat = /^\d+\/task\/\d+$/.test(task) ? ask(() => readFileSync(`/proc/${task}/stat`, 'latin1')) : ''
  // The second field is the name in parentheses and may hold anything; the state is the third, the start
  // the twenty-second. A zombie has ended, and only its parent has not looked yet.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return stat === '' || fields[0] === 'Z' || fields[0] === 'X' ? undefined : fields[19]
}

/** An answer of the system, or `''` where it has none. */
function ask(question: () => string): string {
  try {
    return question()
  } catch {
    return ''
  }
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
