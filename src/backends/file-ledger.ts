// A shared directory as the keeper of the order of mutations; the file tier's ledger has entries, the file
// bus's own has none.
//
// The order of a commit, under the lock: the place in the log is known beforehand, as it is a number of
// bytes; the entry file is changed with that stamp; then the record is appended. So whoever hears of a
// mutation finds it done: the other way round, a reader in between could take the old entry for the new
// one, for good. A reader that is in between here sees a new entry and knows less of it than is true,
// which is harmless. When the record cannot be written, the entry is removed, which a cache may always do,
// and nothing has happened; when the process dies in between, its lock stays behind, and whoever breaks it
// begins a new epoch, by which every process learns that anything may have changed.

import type { Message } from '../message.ts'
import type { Stamp } from '../stamp.ts'
import type { Committed, Ledger, LedgerReading, Mutation, Origin } from '../tiers/ledger.ts'
import type { TierEntry, TierWrite } from '../tiers/tier.ts'
import type { Position } from './log.ts'
import type { FoundEntry, SharedDirectory } from './shared-directory.ts'

/** What listens in this process to a directory's log. */
export interface Doorbell {
  /** The log has grown. */
  ring(): void
  /** Tell everything up to now, then the token. */
  echo(token: string): void
}

/**
 * The doorbells of this process by channel. A bus would hear of its own process's commits from the file
 * system too; this way it does so at once, and a probe finds its way to it.
 */
const doorbells = new Map<string, Set<Doorbell>>()

/** Has `bell` rung for a channel from now on; the function returned ends that. */
export function hang(channel: string, bell: Doorbell): () => void {
  const bells = doorbells.get(channel) ?? new Set()
  doorbells.set(channel, bells.add(bell))
  return () => {
    bells.delete(bell)
    if (bells.size === 0 && doorbells.get(channel) === bells) doorbells.delete(channel)
  }
}

/** The stamp of a place in the log: a directory has one partition. */
export function stampAt(position: Position): Stamp {
  return { partition: 0, epoch: position.epoch, sequence: position.sequence }
}

/** The live entry of a key, outside of a change; a file that holds none is removed on the way. */
export function readFrom(
  directory: SharedDirectory,
  key: string,
): TierEntry | undefined | Promise<TierEntry | undefined> {
  const opened = (found: FoundEntry | 'dead' | undefined): TierEntry | undefined => {
    if (found === 'dead') directory.discard(key)
    if (typeof found !== 'object') return undefined
    return { bytes: found.bytes, remainingMs: found.remainingMs, stamp: found.head.stamp }
  }
  const found = directory.find(key)
  return found instanceof Promise ? found.then(opened) : opened(found)
}

/** The ledger over a shared directory. */
export class FileLedger implements Ledger {
  readonly channel: string
  readonly partitions = 1
  readonly keepsData: boolean
  readonly #directory: SharedDirectory
  #isSweeping = false

  constructor(directory: SharedDirectory, keepsData: boolean) {
    this.channel = directory.channel
    this.keepsData = keepsData
    this.#directory = directory
  }

  read(keys: readonly string[]): Promise<LedgerReading[]> {
    const directory = this.#directory
    return directory.attempt('read', () =>
      directory.each(keys, (key) => {
        // The end of the log before the entry: what comes in between makes a reading newer than it says.
        const asOf = stampAt(directory.log.end)
        const entry = this.keepsData ? readFrom(directory, key) : undefined
        return entry instanceof Promise ? entry.then((later) => ({ entry: later, asOf })) : { entry, asOf }
      }),
    )
  }

  async commit(mutation: Mutation, origin: Origin): Promise<Committed> {
    const directory = this.#directory
    const committed = await directory.attempt('commit', () =>
      directory.change(() => this.#commit(mutation, origin)),
    )
    for (const bell of doorbells.get(this.channel) ?? []) bell.ring()
    if (mutation.op === 'clear') this.#sweep()
    return committed
  }

  populate(write: TierWrite, asOf: Stamp): Promise<'stored' | 'refused'> {
    const directory = this.#directory
    return directory.attempt('populate', async () => {
      if (!this.keepsData) {
        await directory.ready()
        return this.#isCurrent(write.key, asOf) ? 'stored' : 'refused'
      }
      return await directory.change(() => {
        if (!this.#isCurrent(write.key, asOf)) return 'refused'
        directory.store({ ...write, stamp: asOf }, directory.log.end)
        return 'stored'
      })
    })
  }

  since(after: Stamp): Promise<Message[] | 'gap'> {
    return this.#directory.attempt('since', async () => {
      await this.#directory.ready()
      return this.#since(after) ?? 'gap'
    })
  }

  probe(token: string): Promise<Stamp[]> {
    return this.#directory.attempt('probe', async () => {
      await this.#directory.ready()
      const stamps = [stampAt(this.#directory.log.end)]
      for (const bell of doorbells.get(this.channel) ?? []) bell.echo(token)
      return stamps
    })
  }

  #commit(mutation: Mutation, origin: Origin): Committed {
    const directory = this.#directory
    const key = mutation.op === 'clear' ? undefined : mutation.key
    const message = directory.log.place({
      op: mutation.op,
      keys: [mutation.op === 'clear' ? mutation.prefix : mutation.key],
      origin: origin.id,
      serial: origin.serial,
    })
    const { stamp } = message
    const existed = this.keepsData && key !== undefined && typeof directory.look(key) === 'object'
    if (mutation.op === 'set' && this.keepsData) {
      directory.store({ ...mutation, stamp }, stamp)
    } else if (key !== undefined) {
      // Without data too: a cache with a file tier over this directory must not find what was before.
      directory.remove(key)
    }
    try {
      directory.log.append(message)
    } catch (error) {
      if (key !== undefined) this.#undo(key)
      throw error
    }
    return { stamp, existed }
  }

  #undo(key: string): void {
    try {
      this.#directory.remove(key)
    } catch {
      this.#directory.doubt()
    }
  }

  #since(after: Stamp): Message[] | undefined {
    const { log } = this.#directory
    if (after.partition !== 0 || after.epoch !== log.end.epoch) return undefined
    return log.since(after.sequence)
  }

  /** Whether no mutation of the key came after `asOf`, as far as the log can tell. */
  #isCurrent(key: string, asOf: Stamp): boolean {
    const later = this.#since(asOf)
    if (later === undefined) return false
    return !later.some(({ op, keys }) =>
      op === 'clear' ? key.startsWith(keys[0] ?? '') : keys.includes(key),
    )
  }

  /** Gives the disk back what a clear made dead. Nobody waits for it, and `prune` does what it leaves. */
  #sweep(): void {
    if (this.#isSweeping || !this.keepsData) return
    this.#isSweeping = true
    void this.#directory
      .prune(true)
      .catch(() => {})
      .finally(() => {
        this.#isSweeping = false
      })
  }
}
