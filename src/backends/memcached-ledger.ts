// A Memcached tier as the fence of a cache without a bus: what was loaded before a mutation is not stored after it.
//
// The order of a server's mutations is that of its CAS tokens, which only grow. A read that finds nothing leaves a
// place behind (`N`), so that there is a token in any case; a populate carries the token of its read, and the server
// refuses it when the item has changed since. A delete does not remove the item but makes it stale (`I`), which gives
// it a new token. This is the lease of Facebook's memcache (Nishtala and others, NSDI 2013), kept by the server.
//
// One partition per server. A clear raises the epoch in which stamps of that server are, so it refuses every load under
// way there; so does a server that lost its state.
//
// There is no log and nobody rings: `since` knows nothing, and who has copies elsewhere cannot be told.

import type { Clock } from '../clock.ts'
import type { Message } from '../message.ts'
import type { Stamp } from '../stamp.ts'
import type { Committed, Ledger, LedgerReading, Mutation, TagsReading } from '../tiers/ledger.ts'
import type { TierEntry, TierWrite } from '../tiers/tier.ts'
import { addToDecimal } from './decimal.ts'
import { isExpected } from './entry-bytes.ts'
import type { KeyspaceState } from './memcached-layout.ts'
import type { Change, MemcachedStore } from './memcached-store.ts'
import { MemcachedTags } from './memcached-tags.ts'

/** How long a place is kept for a load, and a deleted item stays as a token. A load that takes longer is refused. */
const PLACE_S = 60

/** The ledger of a fenced Memcached tier. */
export class MemcachedLedger implements Ledger {
  readonly channel: string
  readonly partitions: number
  readonly keepsData = true
  readonly #store: MemcachedStore
  readonly #tags: MemcachedTags

  constructor(store: MemcachedStore, clock: Clock) {
    this.#store = store
    this.#tags = new MemcachedTags(store, clock)
    this.channel = `memcached:${store.keyspace}`
    this.partitions = store.servers
  }

  read(keys: readonly string[]): Promise<LedgerReading[]> {
    return this.#store.attempt('read', () =>
      Promise.all(
        keys.map(async (key) => {
          const { entry, cas, state } = await this.#store.find(key, PLACE_S)
          return { entry, asOf: this.#stampOf(key, state, cas) }
        }),
      ),
    )
  }

  commit(mutation: Mutation): Promise<Committed> {
    return this.#store.attempt('commit', async () => {
      if (mutation.op === 'clear') {
        await this.#store.clear(mutation.prefix)
        const [stamp] = await this.#stamps()
        return { stamp: stamp as Stamp, applied: true, existed: false, number: undefined }
      }
      if (mutation.op === 'tags') {
        const stamp = await this.#tags.invalidate(mutation.tags, mutation.how)
        return { stamp, applied: true, existed: false, number: undefined }
      }
      if (mutation.op !== 'set' && mutation.op !== 'delete') return await this.#change(mutation)
      const { key } = mutation
      const { entry, state } = await this.#store.find(key, 0)
      const existed = entry !== undefined
      if (mutation.op === 'set' && mutation.remainingMs > 0) {
        const { bytes, remainingMs } = mutation
        const { cas, state: now } = await this.#store.put({ key, bytes, remainingMs })
        return { stamp: this.#stampOf(key, now, cas), applied: true, existed, number: undefined }
      }
      const stamp = this.#stampOf(key, state, await this.#store.outdate(key, PLACE_S))
      return { stamp, applied: true, existed, number: undefined }
    })
  }

  populate(write: TierWrite, asOf: Stamp): Promise<'stored' | 'refused'> {
    return this.#store.attempt('populate', async () => {
      if (asOf.partition !== this.#store.serverOf(write.key)) return 'refused'
      const state = (await this.#store.states())[asOf.partition] as KeyspaceState
      if (epochOf(state) !== asOf.epoch) return 'refused'
      const stored = await this.#store.swap({ ...write, stamp: undefined }, String(asOf.sequence), state)
      return stored === undefined ? 'refused' : 'stored'
    })
  }

  /** No log is kept. */
  since(): Promise<Message[] | 'gap'> {
    return this.#store.attempt('since', async () => 'gap' as const)
  }

  probe(): Promise<Stamp[]> {
    return this.#store.attempt('probe', async () => [...(await this.#stamps()), await this.#tags.stand()])
  }

  readTags(names: readonly string[]): Promise<TagsReading> {
    return this.#store.attempt('readTags', () => this.#tags.read(names))
  }

  /** A mutation that depends on what is there. */
  async #change(mutation: Dependent): Promise<Committed> {
    const { key } = mutation
    let number: number | undefined
    const { found, change } = await this.#store.change(key, (entry) => {
      const decided = decide(mutation, entry)
      number = decided.number
      return decided.change
    })
    const applied = change !== 'keep'
    // Taken away first: of two who move it one has it, and nobody finds it twice.
    if (mutation.op === 'move' && applied && found !== undefined) {
      await this.#store.put({ key: mutation.to, bytes: found.bytes, remainingMs: found.remainingMs })
    }
    const { cas, state } = await this.#store.find(key, PLACE_S)
    return { stamp: this.#stampOf(key, state, cas), applied, existed: found !== undefined, number }
  }

  async #stamps(): Promise<Stamp[]> {
    const states = await this.#store.states()
    return states.map((state, partition) => ({ partition, epoch: epochOf(state), sequence: 0 }))
  }

  #stampOf(key: string, state: KeyspaceState, cas: string | undefined): Stamp {
    return { partition: this.#store.serverOf(key), epoch: epochOf(state), sequence: Number(cas ?? 0) }
  }
}

/** A clear counts as a new epoch; a new state begins microseconds, so more than any number of clears, later. */
function epochOf(state: KeyspaceState): number {
  return state.epoch + state.generation
}

type Dependent = Extract<Mutation, { op: 'add' | 'swap' | 'increment' | 'touch' | 'move' }>

function decide(
  mutation: Dependent,
  entry: TierEntry | undefined,
): { change: Change; number: number | undefined } {
  const keep = { change: 'keep' as const, number: undefined }
  const { key } = mutation
  switch (mutation.op) {
    case 'add':
      return entry === undefined ? { change: { write: mutation }, number: undefined } : keep
    case 'swap':
      return isExpected(entry, mutation.expected) ? { change: { write: mutation }, number: undefined } : keep
    case 'increment': {
      if (entry === undefined) return keep
      const { bytes, sum: number } = addToDecimal(entry.bytes, mutation.delta, mutation.from)
      return { change: { write: { ...entry, key, bytes } }, number }
    }
    case 'touch':
      if (entry === undefined) return keep
      return { change: { write: { ...entry, key, remainingMs: mutation.remainingMs } }, number: undefined }
    case 'move':
      if (mutation.to === key) throw new TypeError('move: the keys must be two of one partition')
      return entry === undefined ? keep : { change: 'remove', number: undefined }
  }
}
