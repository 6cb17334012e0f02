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

import { CacheError } from '../errors.ts'
import type { Message } from '../message.ts'
import type { Stamp } from '../stamp.ts'
import type { Committed, Ledger, LedgerReading, Mutation, Origin, TagsReading } from '../tiers/ledger.ts'
import type { TierEntry, TierWrite } from '../tiers/tier.ts'
import { addToDecimal } from './decimal.ts'
import { isExpected } from './entry-bytes.ts'
import { KEYS, type Log, TAGS, type Unplaced } from './log.ts'
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

/** Where the partitions stand: that of all keys, and that of tags. */
export function stampsOf(log: Log): Stamp[] {
  return [log.stand(KEYS), log.stand(TAGS)]
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
        const asOf = directory.log.stand(KEYS)
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
      const stamps = stampsOf(this.#directory.log)
      for (const bell of doorbells.get(this.channel) ?? []) bell.echo(token)
      return stamps
    })
  }

  readTags(names: readonly string[]): Promise<TagsReading> {
    const directory = this.#directory
    return directory.attempt('readTags', async () => {
      await directory.ready()
      const { log } = directory
      return {
        asOf: log.stand(TAGS),
        floor: log.tags.floor,
        tags: names.map((name) => log.tags.placesOf(name)),
      }
    })
  }

  #commit(mutation: Mutation, origin: Origin): Committed {
    const { log } = this.#directory
    const { id, serial } = origin
    if (mutation.op === 'clear' || mutation.op === 'tags') {
      const placed: Unplaced =
        mutation.op === 'clear'
          ? { op: 'clear', keys: [mutation.prefix], origin: id, serial }
          : { op: `${mutation.how}-tags`, keys: mutation.tags, origin: id, serial }
      const message = log.place(placed)
      log.append(message)
      return { stamp: message.stamp, applied: true, existed: false, number: undefined }
    }
    const { key } = mutation
    const found = this.#find(key)
    const existed = found !== undefined
    const change = this.#changeOf(mutation, found)
    if (change === undefined) return { stamp: log.stand(KEYS), applied: false, existed, number: undefined }
    const keys = mutation.op === 'move' ? [key, mutation.to] : [key]
    const op = mutation.op === 'delete' || mutation.op === 'move' ? mutation.op : 'set'
    const message = log.place({ op, keys, origin: id, serial })
    const { stamp } = message
    // Without data too: a cache with a file tier over this directory must not find what was before.
    if (change.write === undefined || change.write.key !== key) this.#directory.remove(key)
    if (change.write !== undefined) this.#directory.store({ ...change.write, stamp }, { ...stamp })
    try {
      log.append(message)
    } catch (error) {
      for (const changed of keys) this.#undo(changed)
      throw error
    }
    return { stamp, applied: true, existed, number: change.number }
  }

  /** What a mutation of one key comes to; `undefined` when it does not apply. */
  #changeOf(mutation: KeyMutation, found: FoundEntry | undefined): Change | undefined {
    const { key } = mutation
    if (!this.keepsData && mutation.op !== 'set' && mutation.op !== 'delete') {
      throw new CacheError('CACHE_NOT_SUPPORTED', `file bus: it keeps no data to ${mutation.op}`, {
        tier: 'file',
      })
    }
    switch (mutation.op) {
      case 'set':
        return { write: this.keepsData ? mutation : undefined, number: undefined }
      case 'delete':
        return { write: undefined, number: undefined }
      case 'add':
        return found === undefined ? { write: mutation, number: undefined } : undefined
      case 'swap':
        return isExpected(found, mutation.expected) ? { write: mutation, number: undefined } : undefined
      case 'increment': {
        if (found === undefined) return undefined
        const { bytes, sum: number } = addToDecimal(found.bytes, mutation.delta, mutation.from)
        return { write: { key, bytes, remainingMs: found.remainingMs }, number }
      }
      case 'touch': {
        if (found === undefined) return undefined
        return { write: { key, bytes: found.bytes, remainingMs: mutation.remainingMs }, number: undefined }
      }
      case 'move': {
        if (mutation.to === key) throw new TypeError('move: the keys must be two of one partition')
        if (found === undefined) return undefined
        const { bytes, remainingMs } = found
        return { write: { key: mutation.to, bytes, remainingMs }, number: undefined }
      }
    }
  }

  #find(key: string): FoundEntry | undefined {
    const found = this.keepsData ? this.#directory.look(key) : undefined
    return typeof found === 'object' ? found : undefined
  }

  #undo(key: string): void {
    try {
      this.#directory.remove(key)
    } catch {
      this.#directory.doubt()
    }
  }

  #since(after: Stamp): Message[] | undefined {
    return this.#directory.log.sinceStamp(after)
  }

  /** Whether no mutation of the key came after `asOf`, as far as the log can tell. */
  #isCurrent(key: string, asOf: Stamp): boolean {
    const later = asOf.partition === KEYS ? this.#since(asOf) : undefined
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

type KeyMutation = Exclude<Mutation, { op: 'clear' | 'tags' }>

/** The entry that is to be written, if any, and what an increment came to. */
interface Change {
  readonly write:
    | { readonly key: string; readonly bytes: Uint8Array; readonly remainingMs: number }
    | undefined
  readonly number: number | undefined
}
