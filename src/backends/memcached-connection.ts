// One connection to one Memcached server: requests in a row without waiting, replies in the same order.
//
// A connection is made when there is something to send, and given up for good at the first surprise: a reply that
// does not fit, an end, a reply that does not come in time. Whoever waits then is told that the outcome is unknown,
// and nothing is sent a second time. While a server cannot be reached, requests are refused at once; one is let
// through every now and then, at intervals that grow to two seconds.
//
// An idle connection does not keep the process alive.

import { connect as connectNet } from 'node:net'
import type { Duplex } from 'node:stream'
import type { Clock, Timer } from '../clock.ts'
import type { Random } from '../random.ts'
import {
  checkReply,
  encodeRequest,
  type MetaReply,
  type MetaRequest,
  ReplyParser,
} from './memcached-protocol.ts'

/** Where a server is. */
export interface ServerAddress {
  /** As it was given. */
  readonly name: string
  readonly host: string
  readonly port: number
}

/** What a connection is made with. */
export interface ConnectionOptions {
  /** How long a reply may take, the making of the connection included. */
  readonly deadlineMs: number
  /** Opens the way to a server; by default plain TCP. */
  readonly connect: ((server: ServerAddress) => Duplex) | undefined
  readonly clock: Clock
  readonly random: Random
}

interface Batch {
  readonly replies: MetaReply[]
  open: number
  readonly expiresAt: number
  readonly resolve: (replies: MetaReply[]) => void
  readonly reject: (error: Error) => void
}

interface Expected {
  readonly command: MetaRequest['command']
  readonly opaque: number
  readonly batch: Batch
}

/** Calls that wait at a time. More means that replies come slower than requests, and memory would only grow. */
const MAX_WAITING = 16_384
const SHORTEST_PAUSE_MS = 50
const LONGEST_PAUSE_MS = 2_000

/** A connection that comes and goes. */
export class MemcachedConnection {
  readonly #server: ServerAddress
  readonly #options: ConnectionOptions
  #socket: Duplex | undefined
  #parser = new ReplyParser()
  readonly #expected: Expected[] = []
  #opaque = 0
  #timer: Timer | undefined
  #isCorked = false
  #failures = 0
  #refusedUntil = Number.NEGATIVE_INFINITY
  #lastError = ''

  constructor(server: ServerAddress, options: ConnectionOptions) {
    this.#server = server
    this.#options = options
  }

  /**
   * Sends requests in one go. Resolves to their replies, in their order.
   *
   * @throws When any of them got no reply; what became of them is unknown then.
   */
  send(requests: readonly MetaRequest[]): Promise<MetaReply[]> {
    if (requests.length === 0) return Promise.resolve([])
    return new Promise((resolve, reject) => {
      const now = this.#options.clock.now()
      if (now < this.#refusedUntil) throw this.#error(`is left alone for a moment, since ${this.#lastError}`)
      if (this.#expected.length >= MAX_WAITING)
        throw this.#error(`has ${MAX_WAITING} requests to answer first`)
      // All of them before any is written: one that cannot be encoded must not leave the others half sent.
      const opaques = requests.map(() => (this.#opaque = (this.#opaque + 1) % 2 ** 30))
      const parts = requests.flatMap((request, at) => encodeRequest(request, opaques[at] as number))
      const socket = this.#socket ?? this.#open()
      const expiresAt = now + this.#options.deadlineMs
      const batch: Batch = { replies: [], open: requests.length, expiresAt, resolve, reject }
      for (const [at, { command }] of requests.entries()) {
        this.#expected.push({ command, opaque: opaques[at] as number, batch })
      }
      this.#watch()
      this.#write(socket, parts)
    })
  }

  /** Gives the connection up; the next request makes a new one. */
  close(): void {
    this.#drop(this.#error('the connection was closed here'))
  }

  #open(): Duplex {
    const { connect } = this.#options
    const socket = connect === undefined ? openTcp(this.#server) : connect(this.#server)
    this.#parser = new ReplyParser()
    this.#socket = socket
    // Of this socket only: what an older one says late is nobody's concern any more.
    const isCurrent = (): boolean => this.#socket === socket
    socket.on('data', (piece: Buffer) => {
      if (isCurrent()) this.#hear(piece)
    })
    socket.on('error', (error: Error) => {
      if (isCurrent()) this.#fail(error.message)
    })
    socket.on('close', () => {
      if (isCurrent()) this.#fail('the connection was ended')
    })
    return socket
  }

  /** Everything of one turn goes out as one piece. */
  #write(socket: Duplex, parts: readonly Uint8Array[]): void {
    if (!this.#isCorked) {
      this.#isCorked = true
      socket.cork()
      process.nextTick(() => {
        this.#isCorked = false
        socket.uncork()
      })
    }
    for (const part of parts) socket.write(part)
  }

  #hear(piece: Buffer): void {
    try {
      for (const reply of this.#parser.feed(piece)) {
        const [expected] = this.#expected
        if (expected === undefined) throw new Error('it spoke without being asked')
        checkReply(reply, expected.command, expected.opaque)
        // Only now: a surprise has to reach this one's caller too.
        this.#expected.shift()
        this.#failures = 0
        const { batch } = expected
        batch.replies.push(reply)
        if (--batch.open === 0) batch.resolve(batch.replies)
      }
    } catch (error) {
      this.#fail(error instanceof Error ? error.message : String(error))
      return
    }
    this.#watch()
  }

  /** One timer, for the request that waits the longest. */
  #watch(): void {
    const oldest = this.#expected[0]?.batch
    const socket = this.#socket as (Duplex & { ref?: () => void; unref?: () => void }) | undefined
    if (oldest === undefined) {
      this.#timer?.cancel()
      this.#timer = undefined
      socket?.unref?.()
      return
    }
    socket?.ref?.()
    this.#timer ??= this.#options.clock.setTimer(() => {
      this.#timer = undefined
      const late = this.#expected[0]?.batch
      if (late !== undefined && late.expiresAt <= this.#options.clock.now()) {
        this.#fail(`there was no answer within ${this.#options.deadlineMs} ms`)
      } else this.#watch()
    }, oldest.expiresAt - this.#options.clock.now())
  }

  #fail(reason: string): void {
    const { clock, random } = this.#options
    this.#lastError = reason
    // The first failure is tried again at once: a server that was restarted ends every connection that it had.
    if (this.#failures > 0) {
      const pauseMs = Math.min(SHORTEST_PAUSE_MS * 2 ** this.#failures, LONGEST_PAUSE_MS)
      this.#refusedUntil = clock.now() + pauseMs * (0.5 + random.next() / 2)
    }
    this.#failures++
    this.#drop(this.#error(reason))
  }

  #drop(error: Error): void {
    const socket = this.#socket
    this.#socket = undefined
    socket?.destroy()
    for (const { batch } of this.#expected.splice(0)) batch.reject(error)
    this.#watch()
  }

  #error(reason: string): Error {
    return new Error(`${this.#server.name}: ${reason}`)
  }
}

function openTcp({ host, port }: ServerAddress): Duplex {
  const socket = host.startsWith('/') ? connectNet(host) : connectNet(port, host)
  return socket.setNoDelay(true).setKeepAlive(true, 10_000)
}
