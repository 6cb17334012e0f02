// One tier's hold on a keyspace that is spread over Memcached servers: which server has a key, the state of the
// keyspace on each, and the few ways in which items are read and changed.
//
// Every request for items is preceded, in the same piece, by one for the state (memcached-layout.ts), so an answer
// is judged by marks that are at least as new as the item. A write is made under the state that was known before it;
// when the state in front of it turns out to be another one, it is made again.
//
// What has to be one step (`add`, `increment`, compare-and-set, a delete that says what it removed) reads the item
// with its CAS token, decides, and writes with the token; who was overtaken starts over.

import { CacheError } from '../errors.ts'
import type { TierEntry, TierWrite } from '../tiers/tier.ts'
import { MemcachedConnection } from './memcached-connection.ts'
import {
  encodeEntry,
  encodeState,
  entryIn,
  entryKey,
  expiryFlag,
  type KeyspaceState,
  newState,
  parseState,
  stateKey,
  withClear,
} from './memcached-layout.ts'
import type { ResolvedMemcached } from './memcached-options.ts'
import { flagOf, type MetaReply, type MetaRequest } from './memcached-protocol.ts'
import { Ring } from './memcached-ring.ts'

/** What was found under a key. */
export interface FoundKey {
  /** The live entry; `undefined` when there is none. */
  readonly entry: TierEntry | undefined
  /** The token of the item, dead ones included; `undefined` when there is no item. */
  readonly cas: string | undefined
  readonly state: KeyspaceState
}

/** What a change makes of a key: an entry, nothing, or what was there. */
export type Change = { readonly write: TierWrite } | 'remove' | 'keep'

interface Server {
  readonly index: number
  readonly connection: MemcachedConnection
  state: KeyspaceState | undefined
  stateBytes: Buffer
}

interface Group<T> {
  readonly server: Server
  readonly members: T[]
  readonly places: number[]
}

/** Overtaken so often that something is wrong: others finish what they do. */
const MAX_ATTEMPTS = 1_000

/** A keyspace on servers. */
export class MemcachedStore {
  readonly keyspace: string
  readonly #options: ResolvedMemcached
  readonly #servers: readonly Server[]
  readonly #ring: Ring
  #isClosed = false

  constructor(options: ResolvedMemcached) {
    this.keyspace = options.keyspace
    this.#options = options
    this.#ring = new Ring(options.servers)
    this.#servers = options.servers.map((address, index) => ({
      index,
      connection: new MemcachedConnection(address, options),
      state: undefined,
      stateBytes: Buffer.alloc(0),
    }))
  }

  get servers(): number {
    return this.#servers.length
  }

  /** The number of the server that has a key. */
  serverOf(key: string): number {
    return this.#ring.ownerOf(key)
  }

  /** Runs an operation, and gives its failure the form that callers know. */
  async attempt<T>(what: string, run: () => Promise<T>): Promise<T> {
    if (this.#isClosed)
      throw new CacheError('CACHE_CLOSED', `memcached tier: ${what} after close`, { tier: 'memcached' })
    try {
      return await run()
    } catch (error) {
      if (error instanceof CacheError || error instanceof TypeError || error instanceof RangeError)
        throw error
      const reason = error instanceof Error ? error.message : String(error)
      throw new CacheError('CACHE_TIER_FAILED', `memcached tier: ${what} failed: ${reason}`, {
        tier: 'memcached',
        cause: error,
      })
    }
  }

  /**
   * The live entries, in the order of the keys. Keys of a server that does not answer count as absent as long as
   * another one does.
   */
  async look(keys: readonly string[]): Promise<(TierEntry | undefined)[]> {
    const entries: (TierEntry | undefined)[] = keys.map(() => undefined)
    await this.#each(
      keys,
      (key) => key,
      true,
      async ({ server, members, places }) => {
        const replies = await server.connection.send([
          this.#stateRequest,
          ...members.map((key) => this.#readRequest(key)),
        ])
        const state = this.#stateIn(server, replies[0])
        const wallNow = this.#options.clock.wallNow()
        for (const [turn, key] of members.entries()) {
          entries[places[turn] as number] = entryIn(replies[turn + 1] as MetaReply, key, state, wallNow)
        }
      },
    )
    return entries
  }

  /** Stores entries, whatever was there. */
  async store(writes: readonly TierWrite[]): Promise<void> {
    await this.#each(
      writes,
      ({ key }) => key,
      false,
      async ({ server, members }) => {
        await this.#storeOn(server, members)
      },
    )
  }

  /** Stores an entry, whatever was there, and says under which token and state. */
  async put(write: TierWrite): Promise<Pick<FoundKey, 'cas' | 'state'>> {
    const server = this.#servers[this.serverOf(write.key)] as Server
    const { replies, state } = await this.#storeOn(server, [write])
    return { cas: flagOf(replies[1] as MetaReply, 'c'), state }
  }

  /**
   * Reads one key, and keeps a place for it where there is no item, so that there is a token to populate with.
   *
   * @param placeS - For how many seconds the place is kept; 0 keeps none.
   */
  async find(key: string, placeS: number): Promise<FoundKey> {
    const server = this.#servers[this.serverOf(key)] as Server
    const vivify = placeS === 0 ? '' : ` N${placeS}`
    for (;;) {
      const [stateReply, reply] = (await server.connection.send([
        this.#stateRequest,
        this.#readRequest(key, vivify),
      ])) as [MetaReply, MetaReply]
      const state = this.#stateIn(server, stateReply)
      if (state === undefined) {
        await this.#openState(server)
        continue
      }
      const entry = entryIn(reply, key, state, this.#options.clock.wallNow())
      return { entry, cas: flagOf(reply, 'c'), state }
    }
  }

  /** Looks at a key and changes it in one step. Resolves to what was decided and what was found. */
  async change(
    key: string,
    decide: (entry: TierEntry | undefined) => Change,
  ): Promise<{ found: TierEntry | undefined; change: Change }> {
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      const { entry, cas, state } = await this.find(key, 0)
      const change = decide(entry)
      const isDone =
        change === 'keep' ||
        (change === 'remove' || !(change.write.remainingMs > 0)
          ? await this.#removeIf(key, cas)
          : (await this.swap(change.write, cas, state)) !== undefined)
      if (isDone) return { found: entry, change }
    }
    throw new Error(`a key was changed by others ${MAX_ATTEMPTS} times while it was to be changed`)
  }

  /**
   * Stores an entry over the item with a token, or where there is none.
   *
   * @param state - What the entry is to belong to.
   * @returns The token of the new item; `undefined` when another item is there.
   */
  async swap(write: TierWrite, cas: string | undefined, state: KeyspaceState): Promise<string | undefined> {
    const server = this.#servers[this.serverOf(write.key)] as Server
    const condition = cas === undefined ? 'ME' : `C${cas}`
    const [reply] = await server.connection.send([this.#writeRequest(write, state, `c ${condition}`)])
    await this.#checkStored(server, write, reply as MetaReply)
    return reply?.code === 'HD' ? (flagOf(reply, 'c') ?? '0') : undefined
  }

  /**
   * Makes the item of a key stale, so that nobody reads it and every token of it is worth nothing.
   *
   * @returns The token of what is there now.
   */
  async outdate(key: string, forS: number): Promise<string> {
    const server = this.#servers[this.serverOf(key)] as Server
    const name = entryKey(this.keyspace, key)
    const [, reply] = await server.connection.send([
      { command: 'md', key: name, flags: `I T${forS}` },
      { command: 'mg', key: name, flags: `c N${forS}` },
    ])
    return flagOf(reply as MetaReply, 'c') ?? '0'
  }

  /** Makes every entry below a prefix dead, on all servers. */
  async clear(prefix: string): Promise<void> {
    await Promise.all(this.#servers.map((server) => this.#clearOn(server, prefix)))
  }

  /** The state of each server, in their order. */
  states(): Promise<KeyspaceState[]> {
    return Promise.all(this.#servers.map((server) => this.#openState(server)))
  }

  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    for (const { connection } of this.#servers) connection.close()
  }

  async #storeOn(
    server: Server,
    writes: readonly TierWrite[],
  ): Promise<{ replies: readonly MetaReply[]; state: KeyspaceState }> {
    let state = server.state ?? (await this.#openState(server))
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      const used = state
      const replies = await server.connection.send([
        this.#stateRequest,
        ...writes.map((write) => this.#storeRequest(write, used)),
      ])
      const found = this.#stateIn(server, replies[0])
      for (const [turn, write] of writes.entries()) {
        await this.#checkStored(server, write, replies[turn + 1] as MetaReply)
      }
      if (found !== undefined && isSame(found, used)) return { replies, state: used }
      state = found ?? (await this.#openState(server))
    }
    throw new Error('the keyspace is cleared again and again')
  }

  #storeRequest(write: TierWrite, state: KeyspaceState): MetaRequest {
    if (write.remainingMs > 0) return this.#writeRequest(write, state, 'c')
    return { command: 'md', key: entryKey(this.keyspace, write.key), flags: '' }
  }

  /** An entry that the server has no room for takes the old one with it: what was replaced must not be read again. */
  async #checkStored(server: Server, write: TierWrite, reply: MetaReply): Promise<void> {
    if (reply.code !== 'TOO_LARGE' && reply.code !== 'NO_MEMORY') return
    await server.connection.send([{ command: 'md', key: entryKey(this.keyspace, write.key), flags: '' }])
    if (reply.code === 'NO_MEMORY') throw new Error('the server is out of memory; the old entry is gone')
    throw new RangeError(
      `an entry of ${write.bytes.length} bytes is larger than the server takes (its option -I, 1 MiB by default); the old one is gone`,
    )
  }

  /** Removes the item with a token. Says whether it was still there, or there was none to remove. */
  async #removeIf(key: string, cas: string | undefined): Promise<boolean> {
    if (cas === undefined) return true
    const server = this.#servers[this.serverOf(key)] as Server
    const [reply] = await server.connection.send([
      { command: 'md', key: entryKey(this.keyspace, key), flags: `C${cas}` },
    ])
    return reply?.code === 'HD'
  }

  async #clearOn(server: Server, prefix: string): Promise<void> {
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      await this.#openState(server)
      const [reply] = await server.connection.send([{ ...this.#stateRequest, flags: 'v c' }])
      const state = this.#stateIn(server, reply)
      const cas = reply && flagOf(reply, 'c')
      if (state === undefined || cas === undefined) continue
      const value = encodeState(withClear(state, prefix))
      const [stored] = await server.connection.send([{ ...this.#newStateRequest(value), flags: `C${cas}` }])
      if (stored?.code === 'HD') return
    }
    throw new Error('the keyspace is cleared again and again')
  }

  /** The state as it is now; begun where there is none. */
  async #openState(server: Server): Promise<KeyspaceState> {
    const { clock, random } = this.#options
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      const [reply] = await server.connection.send([{ ...this.#stateRequest, flags: 'v c' }])
      const state = this.#stateIn(server, reply)
      if (state !== undefined) return state
      const cas = reply && flagOf(reply, 'c')
      // Microseconds, the last three digits at random: two who begin at once do not begin the same one.
      const epoch = Math.floor(clock.wallNow()) * 1_000 + Math.floor(random.next() * 1_000)
      const value = encodeState(newState(epoch))
      await server.connection.send([
        { ...this.#newStateRequest(value), flags: cas === undefined ? 'ME' : `C${cas}` },
      ])
    }
    throw new Error('the keyspace has no state, however often one is begun')
  }

  #stateIn(server: Server, reply: MetaReply | undefined): KeyspaceState | undefined {
    if (reply?.code !== 'VA' || reply.value === undefined) return undefined
    const bytes = Buffer.from(reply.value.buffer, reply.value.byteOffset, reply.value.length)
    if (server.state === undefined || !bytes.equals(server.stateBytes)) {
      server.state = parseState(bytes)
      server.stateBytes = bytes
    }
    return server.state
  }

  get #stateRequest(): MetaRequest {
    return { command: 'mg', key: stateKey(this.keyspace), flags: 'v' }
  }

  #newStateRequest(value: Uint8Array): MetaRequest {
    return { command: 'ms', key: stateKey(this.keyspace), flags: '', value }
  }

  #readRequest(key: string, more = ''): MetaRequest {
    return { command: 'mg', key: entryKey(this.keyspace, key), flags: `v c t${more}` }
  }

  #writeRequest(write: TierWrite, state: KeyspaceState, flags: string): MetaRequest {
    const wallNow = this.#options.clock.wallNow()
    return {
      command: 'ms',
      key: entryKey(this.keyspace, write.key),
      flags: `${expiryFlag(write.remainingMs, wallNow)} ${flags}`,
      value: encodeEntry(write, state, wallNow),
    }
  }

  /** Deals what has a key to the servers, and has each group dealt with. */
  async #each<T>(
    all: readonly T[],
    keyOf: (one: T) => string,
    forgives: boolean,
    run: (group: Group<T>) => Promise<void>,
  ): Promise<void> {
    const groups = new Map<number, Group<T>>()
    for (const [place, one] of all.entries()) {
      const index = this.serverOf(keyOf(one))
      const group = groups.get(index) ?? {
        server: this.#servers[index] as Server,
        members: [],
        places: [],
      }
      groups.set(index, group)
      group.members.push(one)
      group.places.push(place)
    }
    const outcomes = await Promise.allSettled([...groups.values()].map((group) => run(group)))
    const failed = outcomes.find((outcome) => outcome.status === 'rejected')
    const isForgiven = forgives && outcomes.some((outcome) => outcome.status === 'fulfilled')
    if (failed !== undefined && !isForgiven) throw failed.reason
  }
}

function isSame(left: KeyspaceState, right: KeyspaceState): boolean {
  return left.epoch === right.epoch && left.generation === right.generation
}
