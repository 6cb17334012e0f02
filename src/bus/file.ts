// The bus through a directory: each process follows the log that src/backends/log.ts describes.
//
// The file system says when the log changed (inotify and its like), which takes about a millisecond; where
// it does not say so, as on some network and virtual file systems, a look every `pollMs` does. Commits of
// this process ring at once. Either way the same step follows: read the log from where we stand, tell each
// message, and tell a gap when the log does not go on from there.

import { type FSWatcher, watch } from 'node:fs'
import {
  directoryOptionNames,
  resolveDirectory,
  type SharedDirectoryOptions,
} from '../backends/directory-options.ts'
import { FileLedger, hang, stampsOf } from '../backends/file-ledger.ts'
import type { Position } from '../backends/log.ts'
import { SharedDirectory, unbounded } from '../backends/shared-directory.ts'
import type { Timer } from '../clock.ts'
import { checkCount, checkNames } from '../options.ts'
import type { Stamp } from '../stamp.ts'
import type { Ledger } from '../tiers/ledger.ts'
import type { Bus, BusListener } from './bus.ts'

/** What `fileBus` takes. */
export interface FileBusOptions extends SharedDirectoryOptions {
  /**
   * How often the log is looked at where the file system does not tell of changes, in milliseconds.
   *
   * @defaultValue 250
   */
  pollMs?: number
}

/**
 * A bus through a directory, made with the first operation: all processes of one machine that name the
 * same directory hear of each other's mutations, with no server.
 *
 * @throws TypeError or RangeError for a wrong option. A directory that cannot be used makes the operations
 *   reject with `CACHE_TIER_FAILED`.
 */
export function fileBus(options: FileBusOptions): Bus {
  checkNames(options, [...directoryOptionNames, 'pollMs'], 'fileBus')
  const pollMs = checkCount(options.pollMs, 'pollMs', 1, 3_600_000, 250)
  return new FileBus(new SharedDirectory('file bus', resolveDirectory(options), unbounded), pollMs)
}

class FileBus implements Bus {
  readonly name = 'file'
  readonly scope = 'machine'
  readonly channel: string
  readonly ledger: Ledger
  readonly #directory: SharedDirectory
  readonly #pollMs: number
  #listener: BusListener | undefined
  #position: Position = { epoch: 0, sequence: 0 }
  #hasFailed = false
  #isReading = false
  /** Where the log was not whole when it was last looked at. */
  #stuckAt: Position | undefined
  #watcher: FSWatcher | undefined
  #watchedLoads = -1
  #timer: Timer | undefined
  #unhang: (() => void) | undefined

  constructor(directory: SharedDirectory, pollMs: number) {
    this.channel = directory.channel
    this.ledger = new FileLedger(directory, false)
    this.#directory = directory
    this.#pollMs = pollMs
  }

  subscribe(listener: BusListener): Promise<Stamp[]> {
    const directory = this.#directory
    return directory.attempt('subscribe', async () => {
      await directory.ready()
      if (directory.isClosed) throw new Error('it was closed meanwhile')
      this.#stop()
      this.#listener = listener
      this.#hasFailed = false
      this.#stuckAt = undefined
      this.#position = directory.log.end
      this.#unhang = hang(this.channel, { ring: () => this.#read(), echo: (token) => this.#echo(token) })
      this.#watch()
      this.#poll()
      return stampsOf(directory.log)
    })
  }

  async close(): Promise<void> {
    this.#stop()
    this.#directory.close()
  }

  #stop(): void {
    this.#listener = undefined
    this.#timer?.cancel()
    this.#watcher?.close()
    this.#unhang?.()
    this.#timer = this.#watcher = this.#unhang = undefined
    this.#watchedLoads = -1
  }

  #poll(): void {
    this.#timer = this.#directory.clock.setTimer(() => {
      this.#poll()
      const answer = this.#directory.answered()
      if (answer === undefined) this.#catchUp()
      else
        answer.then(
          () => this.#catchUp(),
          (error) => this.#fail(error),
        )
    }, this.#pollMs)
  }

  #catchUp(): void {
    this.#repair()
    this.#read()
  }

  /** Has the log's directory watched; anew after the log was replaced, as the directory may have been too. */
  #watch(): void {
    const { loads } = this.#directory.log
    if (loads === this.#watchedLoads) return
    this.#watchedLoads = loads
    this.#watcher?.close()
    this.#watcher = undefined
    try {
      const watcher = watch(this.#directory.logDirectory, { persistent: false }, () => this.#read())
      // Such as having no watches left: then the polls have to do.
      watcher.on('error', () => watcher.close())
      this.#watcher = watcher
    } catch {
      // As above.
    }
  }

  /**
   * A tail that cannot be read may be a record on its way, and is left alone when it is met first. When it
   * is still there at the next poll, its writer is gone: a new epoch lets everybody go on.
   */
  #repair(): void {
    const stuckAt = this.#stuckAt
    const { end } = this.#directory.log
    if (stuckAt === undefined || stuckAt.epoch !== end.epoch || stuckAt.sequence !== end.sequence) return
    this.#directory.ready().then(
      () => this.#read(),
      (error) => this.#fail(error),
    )
  }

  #echo(token: string): void {
    this.#read()
    if (!this.#hasFailed && this.#stuckAt === undefined)
      this.#listener?.onEcho(token, stampsOf(this.#directory.log))
  }

  /** Tells what came since the last time. */
  #read(): void {
    // A listener that commits rings again from inside; the loop around it goes on to what it wrote.
    if (this.#listener === undefined || this.#isReading) return
    this.#isReading = true
    try {
      this.#follow()
    } catch (error) {
      this.#fail(error)
    } finally {
      this.#isReading = false
    }
  }

  #follow(): void {
    const { log } = this.#directory
    // A listener may end the listening.
    while (this.#listener !== undefined) {
      const state = log.refresh()
      if (state === 'missing') throw new Error('the log is gone')
      // What comes before the damage is still good and was told; from the damage on nobody can tell.
      this.#stuckAt = state === 'whole' ? undefined : log.end
      this.#watch()
      const { end } = log
      if (this.#hasFailed) {
        if (state !== 'whole') return
        this.#hasFailed = false
        this.#gap('the bus works again')
        continue
      }
      if (end.epoch === this.#position.epoch && end.sequence === this.#position.sequence) return
      // A header that cannot be read names no epoch; the repair will.
      if (end.epoch === 0) return
      const messages = end.epoch === this.#position.epoch ? log.since(this.#position.sequence) : undefined
      if (messages === undefined)
        this.#gap(end.epoch === this.#position.epoch ? 'fell behind the log' : 'a new epoch began')
      for (const message of messages ?? []) {
        this.#position = { epoch: message.stamp.epoch, sequence: message.stamp.sequence }
        this.#listener?.onMessage(message)
      }
    }
  }

  #gap(reason: string): void {
    this.#position = this.#directory.log.end
    this.#listener?.onGap(undefined, stampsOf(this.#directory.log), reason)
  }

  #fail(error: unknown): void {
    if (this.#hasFailed) return
    this.#hasFailed = true
    this.#listener?.onFailure(this.#directory.failure('reading the log', error))
  }
}
