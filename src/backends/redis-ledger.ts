// A keyspace on a Redis server as the keeper of the order of mutations; the tier's ledger has entries, the bus's own
// has none.
//
// What is promised happens in redis-scripts.ts: this is the other end of each script.

import { CacheError } from '../errors.ts'
import { decodeMessage, type Message } from '../message.ts'
import { randomId, systemRandom } from '../random.ts'
import type { Stamp } from '../stamp.ts'
import type { Committed, Ledger, LedgerReading, Mutation, Origin, TagsReading } from '../tiers/ledger.ts'
import type { TierWrite } from '../tiers/tier.ts'
import type { Word } from './redis-client.ts'
import {
  bytesOf,
  echoChannel,
  encodeRemaining,
  encodeStamp,
  encodeUnplaced,
  messageChannel,
  textOf,
} from './redis-layout.ts'
import {
  changeScript,
  clearScript,
  commitScript,
  populateScript,
  readTagsScript,
  sinceScript,
  tagsScript,
} from './redis-scripts.ts'
import type { RedisStore } from './redis-store.ts'

let idOfProcess: string | undefined

/**
 * The end of the name of the channel on which this process hears its echoes. All buses of the process listen to it, so
 * that a tier's ledger need not know its bus.
 */
export function processId(): string {
  idOfProcess ??= randomId(systemRandom)
  return idOfProcess
}

/** The ledger over a store. */
export class RedisLedger implements Ledger {
  readonly channel: string
  readonly partitions: number
  readonly keepsData: boolean
  readonly #store: RedisStore

  constructor(store: RedisStore, keepsData: boolean) {
    this.channel = store.channel
    this.partitions = store.partitions
    this.keepsData = keepsData
    this.#store = store
  }

  read(keys: readonly string[]): Promise<LedgerReading[]> {
    if (this.keepsData) return this.#store.attempt('read', () => this.#store.look(keys))
    return this.#store.attempt('read', async () => {
      // The state comes with no entries: those of a tier on this keyspace are not this ledger's.
      const readings = await Promise.all(
        this.#store
          .byPartition(keys, (key) => key)
          .map(async ({ partition, places }) => {
            const asOf = await this.#store.asOf(partition)
            return places.map((place) => ({ place, asOf }))
          }),
      )
      const answers: LedgerReading[] = []
      for (const { place, asOf } of readings.flat()) answers[place] = { entry: undefined, asOf }
      return answers
    })
  }

  async commit(mutation: Mutation, origin: Origin): Promise<Committed> {
    if (mutation.op === 'move') this.#checkMove(mutation.key, mutation.to)
    const committed = await this.#store.attempt('commit', async () => {
      const taken = await this.#commit(mutation, origin)
      if (typeof taken === 'object') await this.#store.settle(taken.stamp)
      return taken
    })
    if (committed === 1) throw new TypeError('increment: the stored bytes are not a decimal integer')
    if (committed === 2) throw new RangeError('increment: the number leaves the safe integers')
    return committed
  }

  populate(write: TierWrite, asOf: Stamp): Promise<'stored' | 'refused'> {
    const store = this.#store
    return store.attempt('populate', async () => {
      const partition = store.partitionOf(write.key)
      if (asOf.partition !== partition) return 'refused'
      const stored = await store.run(
        populateScript,
        partition,
        [write.key],
        [
          String(asOf.epoch),
          String(asOf.sequence),
          this.keepsData ? '1' : '0',
          encodeRemaining(write.remainingMs),
          encodeStamp(write.stamp ?? asOf),
          this.keepsData ? write.bytes : '',
        ],
      )
      return stored === 1 ? 'stored' : 'refused'
    })
  }

  since(after: Stamp): Promise<Message[] | 'gap'> {
    const store = this.#store
    return store.attempt('since', async () => {
      const { partition, epoch, sequence } = after
      if (!Number.isInteger(partition) || partition < 0 || partition > this.partitions) return 'gap'
      const reply = await store.run(sinceScript, partition, [], [String(epoch), String(sequence)])
      if (!Array.isArray(reply)) return 'gap'
      const messages: Message[] = []
      for (const bytes of reply as unknown[]) {
        const message = bytes instanceof Uint8Array ? decodeMessage(bytes) : undefined
        if (message === undefined) return 'gap'
        messages.push(message)
      }
      return messages
    })
  }

  probe(token: string): Promise<Stamp[]> {
    const { keyspace, database } = this.#store
    return this.#store.attempt('probe', () =>
      this.#store.stand(token, [echoChannel(keyspace, database, processId())]),
    )
  }

  readTags(names: readonly string[]): Promise<TagsReading> {
    const store = this.#store
    return store.attempt('readTags', async () => {
      const reply = (await store.runOnTags(readTagsScript, names.map(bytesOf))) as unknown[]
      const [epoch, sequence, floor, ...places] = reply
      const asOf = store.stampIn(this.partitions, epoch, sequence)
      const stampOf = (word: string | undefined): Stamp | undefined =>
        Number(word) > 0 ? { ...asOf, sequence: Number(word) } : undefined
      return {
        asOf,
        floor: { ...asOf, sequence: Number(textOf(floor)) },
        tags: places.map((word) => {
          const [expired, deleted] = textOf(word).split(' ')
          return { expired: stampOf(expired), deleted: stampOf(deleted) }
        }),
      }
    })
  }

  #checkMove(key: string, to: string): void {
    if (key === to || this.#store.partitionOf(key) !== this.#store.partitionOf(to))
      throw new TypeError('move: the keys must be two of one partition')
  }

  #commit(mutation: Mutation, origin: Origin): Promise<Committed | 1 | 2> {
    switch (mutation.op) {
      case 'clear':
        return this.#clear(mutation.prefix, origin)
      case 'tags':
        return this.#invalidate(mutation, origin)
      case 'set':
      case 'delete':
        return this.#write(mutation, origin)
      default:
        return this.#change(mutation, origin)
    }
  }

  async #write(mutation: Extract<Mutation, { op: 'set' | 'delete' }>, origin: Origin): Promise<Committed> {
    const store = this.#store
    const { op, key } = mutation
    const partition = store.partitionOf(key)
    const hasBytes = op === 'set' && this.keepsData
    const reply = await store.run(
      commitScript,
      partition,
      [key],
      [
        messageChannel(store.keyspace, store.database),
        String(store.logMessages),
        encodeUnplaced(op, [key], partition, origin),
        this.keepsData ? '1' : '0',
        hasBytes ? encodeRemaining(mutation.remainingMs) : '0',
        hasBytes ? mutation.bytes : '',
      ],
    )
    const [epoch, sequence, existed] = reply as unknown[]
    return {
      stamp: store.stampIn(partition, epoch, sequence),
      applied: true,
      existed: existed === 1,
      number: undefined,
    }
  }

  /** A mutation that depends on what is there; 1 or 2 when an increment finds no integer, or no safe one. */
  async #change(
    mutation: Exclude<Mutation, { op: 'set' | 'delete' | 'clear' | 'tags' }>,
    origin: Origin,
  ): Promise<Committed | 1 | 2> {
    const store = this.#store
    const { op, key } = mutation
    if (!this.keepsData)
      throw new CacheError('CACHE_NOT_SUPPORTED', `${store.name}: it keeps no data to ${op}`, {
        tier: 'redis',
      })
    const partition = store.partitionOf(key)
    const keys = op === 'move' ? [key, mutation.to] : [key]
    const reply = await store.run(changeScript, partition, keys, [
      messageChannel(store.keyspace, store.database),
      String(store.logMessages),
      encodeUnplaced(op === 'move' ? op : 'set', keys, partition, origin),
      op,
      ...wordsOf(mutation),
    ])
    const [epoch, sequence, existed, applied, number] = reply as unknown[]
    if (number === 1 || number === 2) return number
    return {
      stamp: store.stampIn(partition, epoch, sequence),
      applied: applied === 1,
      existed: existed === 1,
      number: op === 'increment' && applied === 1 ? Number(textOf(number)) : undefined,
    }
  }

  async #invalidate({ tags, how }: Extract<Mutation, { op: 'tags' }>, origin: Origin): Promise<Committed> {
    const store = this.#store
    const reply = await store.runOnTags(tagsScript, [
      messageChannel(store.keyspace, store.database),
      String(store.logMessages),
      encodeUnplaced(`${how}-tags`, tags, this.partitions, origin),
      how,
      String(store.maxTags),
      ...tags.map(bytesOf),
    ])
    const [epoch, sequence] = reply as unknown[]
    const stamp = store.stampIn(this.partitions, epoch, sequence)
    return { stamp, applied: true, existed: false, number: undefined }
  }

  async #clear(prefix: string, origin: Origin): Promise<Committed> {
    const store = this.#store
    const channel = messageChannel(store.keyspace, store.database)
    const stamps = await clearAll(store, prefix, channel, (partition) =>
      encodeUnplaced('clear', [prefix], partition, origin),
    )
    return { stamp: stamps[0] as Stamp, applied: true, existed: false, number: undefined }
  }
}

/** What a mutation brings besides its key. */
function wordsOf(mutation: Exclude<Mutation, { op: 'set' | 'delete' | 'clear' | 'tags' }>): Word[] {
  switch (mutation.op) {
    case 'add':
      return [encodeRemaining(mutation.remainingMs), mutation.bytes]
    case 'swap': {
      const words = [encodeRemaining(mutation.remainingMs), mutation.bytes]
      return mutation.expected === undefined ? words : [...words, mutation.expected]
    }
    case 'increment':
      return [String(mutation.delta), String(mutation.from)]
    case 'touch':
      return [encodeRemaining(mutation.remainingMs)]
    case 'move':
      return []
  }
}

/**
 * Makes every entry below a prefix dead, and has them removed later.
 *
 * @param channel - Where it is told; nothing when it takes no place in the order.
 */
export async function clearAll(
  store: RedisStore,
  prefix: string,
  channel: string,
  messageFor: (partition: number) => Word,
): Promise<Stamp[]> {
  const groups = await Promise.all(
    store.groups(store.partitions).map(async (group) => {
      const places = group.flatMap((partition) => {
        const { epoch, sequence } = store.seen(partition)
        return [String(epoch), String(sequence), messageFor(partition)]
      })
      const words = [String(store.partitions), channel, String(store.logMessages), bytesOf(prefix), ...places]
      const reply = (await store.evaluate(clearScript, store.namesOf(group), words)) as unknown[]
      return group.map((partition, turn) => store.stampIn(partition, reply[3 * turn], reply[3 * turn + 1]))
    }),
  )
  store.sweep(prefix)
  return groups.flat()
}
