// The Redis clients that are passed in, as one: commands in strings and bytes, replies in bytes, and what a
// subscriber hears.
//
// ioredis and node-redis differ in little that matters here. ioredis answers with bytes from `callBuffer`,
// node-redis from `sendCommand` with a type mapping. ioredis tells messages as events of the connection,
// node-redis to a function per subscription. Both want `Buffer` where bytes go in; plain `Uint8Array` is turned
// into text by the one and refused by the other.
//
// Nothing is set on a client. A subscriber gets listeners, and has its own resubscribing turned off while the bus has
// it: both are taken back.

import { describe } from '../duration.ts'

/** A word of a command. */
export type Word = string | Uint8Array

/**
 * The connection for commands of ioredis (5.9 or 6, a `Cluster` too) or of node-redis (6, a `createSentinel` or a
 * `createCluster` too).
 */
export type RedisClient =
  | { callBuffer: (...words: never[]) => Promise<unknown> }
  | { sendCommand: (...words: never[]) => Promise<unknown> }

/** A connection of its own that subscribes: an `ioredis` connection, or one of node-redis. */
export type RedisSubscriber = RedisClient & {
  subscribe: (...words: never[]) => Promise<unknown>
  unsubscribe: (...words: never[]) => Promise<unknown>
  on: (event: never, listener: never) => unknown
  off: (event: never, listener: never) => unknown
}

/** A client as the rest of the backend uses it. */
export interface Caller {
  /** The number of the database the client chose when it was made. */
  readonly database: number
  /** The keys are spread over several servers, so that a script may touch those of one slot only. */
  readonly isCluster: boolean
  /** What is sent one after the other may go over several connections. */
  readonly isPooled: boolean
  /** Sends a command. Strings of the reply are bytes. */
  call(words: readonly Word[]): Promise<unknown>
  /** The same for each server that has keys of its own; of a cluster there are several. */
  servers(): ((words: readonly Word[]) => Promise<unknown>)[]
}

/** What a subscriber tells. */
export interface Hearing {
  onMessage(channel: string, bytes: Uint8Array): void
  /** The connection is gone, or in doubt. */
  onDown(error: unknown): void
  /** The connection is there again. */
  onUp(): void
}

/** A subscriber as the bus uses it. */
export interface Subscription {
  /** Subscribes; again, after a reconnect, is no harm. */
  subscribe(channels: readonly string[]): Promise<unknown>
  /**
   * Has the client make its connection anew, as one that is silent may have died without a word. node-redis finds that
   * out by itself (`pingInterval`, `socketTimeout`) or not at all.
   */
  renew(): void
  /** Ends it without waiting: a server that does not answer must not hold up a program that ends. */
  close(channels: readonly string[]): void
}

type Call = (...words: unknown[]) => Promise<unknown>

/** All that is looked at of any client. */
interface Shape {
  callBuffer?: Call
  sendCommand?: Call
  subscribe?: Call
  unsubscribe?: Call
  on?: (event: string, listener: (...values: never[]) => void) => unknown
  off?: (event: string, listener: (...values: never[]) => void) => unknown
  disconnect?: (reconnect: boolean) => unknown
  connect?: Call
  status?: unknown
  /** The socket of an ioredis connection; another one after each reconnect. */
  stream?: { cork?: () => void; uncork?: () => void; writableCorked?: unknown } | null
  isOpen?: unknown
  isReady?: unknown
  nodes?: (role: string) => unknown[]
  isCluster?: unknown
  /** A cluster's, in node-redis. */
  masters?: readonly unknown[]
  nodeClient?: (node: unknown) => unknown
  /** Sentinel's, in node-redis. */
  getMasterNode?: unknown
  /** A pool's, in node-redis. */
  totalClients?: unknown
  options?: {
    autoResubscribe?: unknown
    db?: unknown
    database?: unknown
    keyPrefix?: unknown
    redisOptions?: { keyPrefix?: unknown }
  }
}

/** `EVALSHA digest 2 key …` */
const FIRST_KEY_OF_SCRIPT = 3

/** How node-redis is told that strings of a reply (`$` in the protocol) are to be bytes. */
const BULK_STRING = 36

/**
 * Adapts a client that was passed in.
 *
 * @param option - The option's name, for messages.
 * @throws TypeError that says what to pass.
 */
export function callerOf(client: unknown, option: string): Caller {
  const shape = shapeOf(client, option)
  const prefix = shape.options?.keyPrefix ?? shape.options?.redisOptions?.keyPrefix
  if (prefix !== undefined && prefix !== '') {
    throw new TypeError(
      `${option}: it has a keyPrefix, which would hide keys from scripts; use a client without, and the option keyspace`,
    )
  }
  const chosen = shape.options?.db ?? shape.options?.database
  const call = callOf(shape)
  const isCluster = shape.isCluster === true || isNodeCluster(shape)
  return {
    database: typeof chosen === 'number' ? chosen : 0,
    isCluster,
    isPooled: isSentinel(shape) || shape.totalClients !== undefined,
    call,
    servers: () => {
      if (!isCluster) return [call]
      if (!isNodeCluster(shape)) return (shape.nodes?.('master') ?? []).map((node) => callOf(node as Shape))
      const connect = shape.nodeClient?.bind(shape)
      return (shape.masters ?? []).map(
        (node) => async (words) => callOf((await connect?.(node)) as Shape)(words),
      )
    },
  }
}

/**
 * Adapts a subscriber that was passed in, and listens to it.
 *
 * @throws TypeError that says what to pass.
 */
export function listenTo(subscriber: unknown, hearing: Hearing): Subscription {
  const shape = subscriberShapeOf(subscriber)
  const decoder = new TextDecoder()
  let becomeReady: (() => void) | undefined
  let ready: Promise<void> | undefined
  // ioredis 5 sends SUBSCRIBE as soon as there is a connection. Its own first question to the server then comes too
  // late, as a connection that listens may not ask, and it gives the connection up. node-redis would keep each SUBSCRIBE
  // of a long outage.
  const whenReady = async (): Promise<void> => {
    if (shape.status === 'ready' || (shape.status === undefined && isReadyOrClosed(shape))) return
    if (shape.status === 'end') throw new Error('the connection has ended')
    ready ??= new Promise((resolve) => {
      becomeReady = resolve
    })
    // Made with lazyConnect; what goes wrong is told as an event.
    if (shape.status === 'wait') shape.connect?.().catch(() => {})
    await ready
  }
  const listeners: [event: string, listener: (...values: never[]) => void][] = [
    ['close', () => hearing.onDown(new Error('the connection was closed'))],
    ['end', () => hearing.onDown(new Error('the connection has ended'))],
    ['reconnecting', () => hearing.onDown(new Error('the connection was lost'))],
    ['error', (error: unknown) => hearing.onDown(error)],
    [
      'ready',
      () => {
        becomeReady?.()
        ready = becomeReady = undefined
        hearing.onUp()
      },
    ],
  ]
  const hear = (bytes: unknown, channel: unknown): void => {
    if (bytes instanceof Uint8Array && channel instanceof Uint8Array) {
      hearing.onMessage(decoder.decode(channel), bytes)
    }
  }
  const isIoredis = typeof shape.callBuffer === 'function'
  if (isIoredis) listeners.push(['messageBuffer', (channel: unknown, bytes: unknown) => hear(bytes, channel)])
  for (const [event, listener] of listeners) shape.on(event, listener)
  const { options } = shape
  const resubscribes = options?.autoResubscribe
  // Nobody waits for what ioredis subscribes by itself: when the connection breaks again meanwhile, that is an unhandled
  // rejection, which ends the process.
  if (isIoredis && options !== undefined) options.autoResubscribe = false
  return {
    subscribe: async (channels) => {
      await whenReady()
      if (!isIoredis) return await shape.subscribe([...channels], hear, true)
      return await shape.subscribe(...channels)
    },
    renew: () => {
      // One that is being made has limits of its own.
      if (isIoredis && shape.status === 'ready') shape.disconnect?.(true)
    },
    close: (channels) => {
      if (isIoredis && options !== undefined) options.autoResubscribe = resubscribes
      for (const [event, listener] of listeners) shape.off(event, listener)
      const ended = isIoredis ? shape.unsubscribe(...channels) : shape.unsubscribe([...channels], hear, true)
      ended.catch(() => {})
    },
  }
}

/** Whether a client of node-redis can send, or says at once that it cannot. */
function isReadyOrClosed({ isOpen, isReady }: Shape): boolean {
  return isOpen !== true || isReady !== false
}

/**
 * Refuses what cannot subscribe, and the connection that commands go through.
 *
 * @throws TypeError that says what to pass.
 */
export function checkSubscriber(subscriber: unknown, client: unknown): asserts subscriber is object {
  subscriberShapeOf(subscriber)
  if (subscriber === client) {
    throw new TypeError(
      'subscriber: it is the same connection as client; a connection that listens can do nothing else. Pass client.duplicate()',
    )
  }
}

function subscriberShapeOf(
  subscriber: unknown,
): Shape & Required<Pick<Shape, 'subscribe' | 'unsubscribe' | 'on' | 'off'>> {
  const shape = shapeOf(subscriber, 'subscriber')
  const { subscribe, unsubscribe, on, off } = shape
  if (
    shape.isCluster === true ||
    isNodeCluster(shape) ||
    typeof subscribe !== 'function' ||
    typeof unsubscribe !== 'function' ||
    typeof on !== 'function' ||
    typeof off !== 'function'
  ) {
    throw new TypeError(
      `subscriber: ${describe(subscriber)} is not a plain connection that can subscribe; pass one of its own, such as client.duplicate(), and in a cluster a connection to one of its servers`,
    )
  }
  return shape as ReturnType<typeof subscriberShapeOf>
}

function shapeOf(client: unknown, option: string): Shape {
  const shape = client as Shape | null | undefined
  const isClient = typeof shape?.callBuffer === 'function' || typeof shape?.sendCommand === 'function'
  if (!isClient || shape === null || shape === undefined) {
    throw new TypeError(
      `${option}: ${describe(client)} is not a Redis client; pass new Redis() of ioredis, or createClient() of redis`,
    )
  }
  return shape
}

function callOf(shape: Shape): (words: readonly Word[]) => Promise<unknown> {
  if (typeof shape.callBuffer === 'function') {
    const callBuffer = shape.callBuffer.bind(shape)
    return (words) => {
      gather(shape)
      return callBuffer(...words.map(asArgument))
    }
  }
  const sendCommand = (shape.sendCommand as Call).bind(shape)
  const options = { typeMapping: { [BULK_STRING]: bufferOf() } }
  // Sentinel's is told first whether a replica will do.
  if (isSentinel(shape)) return (words) => sendCommand(false, words.map(asArgument), options)
  // A cluster's is told by which key the server is chosen. What goes over a cluster is scripts, with the keys of a slot.
  if (isNodeCluster(shape))
    return (words) => sendCommand(words[FIRST_KEY_OF_SCRIPT], false, words.map(asArgument), options)
  return (words) => sendCommand(words.map(asArgument), options)
}

/**
 * Holds back what is written to a connection of ioredis until the turn of the event loop ends, microtasks included: then
 * the calls of the turn are one write to the socket, as they are with node-redis, which does so itself.
 */
function gather({ stream }: Shape): void {
  const { process } = globalThis as { process?: { nextTick?: (run: () => void) => void } }
  if (stream?.writableCorked !== 0 || process?.nextTick === undefined) return
  stream.cork?.()
  process.nextTick(() => stream.uncork?.())
}

function isNodeCluster({ callBuffer, masters }: Shape): boolean {
  return callBuffer === undefined && masters !== undefined
}

function isSentinel({ callBuffer, getMasterNode }: Shape): boolean {
  return callBuffer === undefined && typeof getMasterNode === 'function'
}

/** `Buffer`, which is there wherever these clients run; not imported, since nothing else here needs Node. */
interface BufferLike {
  from(memory: ArrayBufferLike, at: number, length: number): Uint8Array
}

function bufferOf(): BufferLike | undefined {
  return (globalThis as { Buffer?: BufferLike }).Buffer
}

function asArgument(word: Word): Word {
  if (typeof word === 'string') return word
  return bufferOf()?.from(word.buffer, word.byteOffset, word.length) ?? word
}
