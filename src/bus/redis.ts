// The bus over Redis publish and subscribe: a message per mutation on one channel, published by the script that
// commits it, and echoes on a channel of each process.
//
// Both channels are on one connection, and a server sends to a connection in order. So an echo comes behind every
// message that was published before it, and what it says of the partitions has been heard.
//
// Publish and subscribe forgets what it cannot deliver. So nothing is believed of a connection: each time it is made
// anew, and when a message cannot be read, a token is sent the whole way round, and only with its return does the bus
// say that it works, and from where. A user of Redis without permission for the channels shows there as well.

import {
  checkSubscriber,
  listenTo,
  type RedisSubscriber,
  type Subscription,
} from '../backends/redis-client.ts'
import { type Echo, echoChannel, isEcho, messageChannel, parseEcho } from '../backends/redis-layout.ts'
import { processId, RedisLedger } from '../backends/redis-ledger.ts'
import {
  failureOf,
  isForbidden,
  type RedisOptions,
  RedisStore,
  redisOptionNames,
} from '../backends/redis-store.ts'
import { type Clock, systemClock, type Timer } from '../clock.ts'
import { decodeMessage } from '../message.ts'
import { checkClock, checkNames } from '../options.ts'
import { randomId, systemRandom } from '../random.ts'
import type { Stamp } from '../stamp.ts'
import type { Ledger } from '../tiers/ledger.ts'
import type { Bus, BusListener } from './bus.ts'
import { Recovery } from './recovery.ts'

export type { RedisClient, RedisSubscriber } from '../backends/redis-client.ts'

/** What `redisBus` takes. */
export interface RedisBusOptions extends RedisOptions {
  /**
   * A connection of the bus's own to the same server and database, such as `client.duplicate()`; of a cluster, a
   * connection to one of its servers. It stays the caller's to close.
   */
  subscriber: RedisSubscriber

  /** @defaultValue the machine's. */
  clock?: Clock
}

const CHECK_MS = 3_000

/** Connections that a bus has; what one bus ends, another would miss. */
const takenSubscribers = new WeakSet<object>()

/**
 * A bus over Redis, for all machines that use the same server, database and keyspace.
 *
 * @throws TypeError or RangeError for a wrong option or client. A server that cannot be used makes `subscribe`
 *   reject with `CACHE_TIER_FAILED`.
 */
export function redisBus(options: RedisBusOptions): Bus {
  checkNames(options, [...redisOptionNames, 'subscriber', 'clock'], 'redisBus')
  const { client, subscriber, clock = systemClock } = options
  const store = new RedisStore('redis bus', options)
  checkSubscriber(subscriber, client)
  if (takenSubscribers.has(subscriber)) {
    throw new TypeError('subscriber: another bus has this connection already; make one for each bus')
  }
  return new RedisBus(store, subscriber, checkClock(clock))
}

/** A token that waits for its return. */
interface Check {
  /** Channels on which it has not come back yet. */
  readonly awaited: Set<string>
  readonly arrived: (stamps: readonly Stamp[]) => void
}

/** Tokens of which some partitions are told; of a cluster each server tells its own. */
const MOST_PARTIAL = 64

class RedisBus implements Bus {
  readonly name = 'redis'
  readonly scope = 'fleet'
  readonly channel: string
  readonly ledger: Ledger
  readonly #store: RedisStore
  readonly #clock: Clock
  readonly #subscriber: object
  readonly #subscription: Subscription
  readonly #messages: string
  readonly #echoes: string
  readonly #checks = new Map<string, Check>()
  /** By channel and token: the partitions told so far. */
  readonly #partial = new Map<string, Map<number, Stamp>>()
  readonly #recovery: Recovery
  #listener: BusListener | undefined

  constructor(store: RedisStore, subscriber: object, clock: Clock) {
    this.channel = store.channel
    this.ledger = new RedisLedger(store, false)
    this.#store = store
    this.#clock = clock
    this.#messages = messageChannel(store.keyspace, store.database)
    this.#echoes = echoChannel(store.keyspace, store.database, processId())
    this.#recovery = new Recovery({
      clock,
      listener: () => this.#listener,
      prove: (arrived) => this.#check([this.#echoes], arrived),
      failureOf: (error) => failureOf('redis bus', 'listening', error),
      noted: (stamp) => store.note(stamp),
    })
    takenSubscribers.add(subscriber)
    this.#subscriber = subscriber
    this.#subscription = listenTo(subscriber, {
      onMessage: (channel, bytes) => this.#hear(channel, bytes),
      onDown: (error) => this.#recovery.fail(error),
      onUp: () => {
        if (this.#recovery.isDown) this.#recovery.begin('the connection was lost')
      },
    })
  }

  subscribe(listener: BusListener): Promise<Stamp[]> {
    return this.#store.listen('subscribe', async () => {
      this.#listener = listener
      let stood: readonly Stamp[] = []
      await this.#check([this.#messages, this.#echoes], (stamps) => {
        stood = stamps
        this.#recovery.works()
      })
      return [...stood]
    })
  }

  async close(): Promise<void> {
    if (this.#store.isClosed) return
    this.#store.close()
    this.#listener = undefined
    this.#recovery.end()
    this.#checks.clear()
    this.#partial.clear()
    this.#subscription.close([this.#messages, this.#echoes])
    takenSubscribers.delete(this.#subscriber)
  }

  /**
   * Subscribes, and sends a token round by the given channels.
   *
   * @param arrived - Runs within the hearing of the last of them, so between two messages.
   */
  async #check(channels: readonly string[], arrived: (stamps: readonly Stamp[]) => void): Promise<void> {
    const token = randomId(systemRandom)
    let timer: Timer | undefined
    try {
      await new Promise<void>((resolve, reject) => {
        timer = this.#clock.setTimer(() => {
          this.#subscription.renew()
          const silent = `what was sent on ${channels.join(' and ')} did not arrive within ${CHECK_MS} ms`
          reject(
            new Error(
              `${silent}; is the subscriber connected, and to the server and database of the client?`,
            ),
          )
        }, CHECK_MS)
        this.#checks.set(token, {
          awaited: new Set(channels),
          arrived: (stamps) => {
            arrived(stamps)
            resolve()
          },
        })
        this.#ask(token, channels).catch(reject)
      })
    } finally {
      timer?.cancel()
      this.#checks.delete(token)
    }
  }

  async #ask(token: string, channels: readonly string[]): Promise<void> {
    try {
      await this.#subscription.subscribe([this.#messages, this.#echoes])
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause)
      if (!isForbidden(reason)) throw cause
      throw new Error(
        `the subscriber's user may not subscribe to ${this.#messages} and ${this.#echoes}; grant it the channels "&${this.#store.keyspace}:bus:*"`,
      )
    }
    // Nobody waits for it any more when the connection took too long to come.
    if (!this.#checks.has(token)) return
    try {
      await this.#store.stand(token, channels)
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause)
      if (!isForbidden(reason)) throw cause
      throw new Error(
        `the client's user may not do what a probe does (${reason}); grant it the channels "&${this.#store.keyspace}:bus:*" and the keys "~{${this.#store.keyspace}:*"`,
      )
    }
  }

  /** Runs inside the client's own reading, where an exception would end the process. */
  #hear(channel: string, bytes: Uint8Array): void {
    if (this.#listener === undefined || (channel !== this.#messages && channel !== this.#echoes)) return
    if (isEcho(bytes)) {
      const echo = parseEcho(bytes, this.#store.partitions)
      if (echo !== undefined) this.#hearEcho(channel, echo)
      return
    }
    const message = channel === this.#messages ? decodeMessage(bytes) : undefined
    if (message === undefined || message.stamp.partition > this.#store.partitions) {
      this.#recovery.soon('a message could not be read')
      return
    }
    this.#recovery.hear(message.stamp)
    this.#listener.onMessage(message)
  }

  #hearEcho(channel: string, { token, stamps }: Echo): void {
    const check = this.#checks.get(token)
    // Those of other processes come on the channel of all; what they say is right, but nobody here waits for it.
    if (check === undefined && channel !== this.#echoes) return
    const isBehind = this.#recovery.hearEcho(stamps)
    // It proves nothing of what was heard: that may never have been, or be in no order any more.
    if (isBehind && check === undefined) return
    const whole = this.#gather(`${channel} ${token}`, stamps)
    if (whole === undefined) return
    if (check === undefined) {
      this.#listener?.onEcho(token, whole)
      return
    }
    check.awaited.delete(channel)
    if (check.awaited.size === 0) check.arrived(whole)
  }

  /** Stamps of all partitions, once the token has come from each. */
  #gather(name: string, stamps: readonly Stamp[]): readonly Stamp[] | undefined {
    const partitions = this.#store.partitions + 1
    if (stamps.length === partitions) return stamps
    const told = this.#partial.get(name) ?? new Map<number, Stamp>()
    for (const stamp of stamps) told.set(stamp.partition, stamp)
    this.#partial.delete(name)
    if (told.size === partitions) {
      return [...told.values()].sort((left, right) => left.partition - right.partition)
    }
    this.#partial.set(name, told)
    for (const oldest of this.#partial.keys()) {
      if (this.#partial.size <= MOST_PARTIAL) break
      this.#partial.delete(oldest)
    }
    return undefined
  }
}
