// The way between processes and servers, and what befalls it: latency, requests and replies that are lost or late,
// messages that are dropped, doubled, late or out of order, connections that break, and those that are dead without
// anyone saying so. To a process it looks like the clients that it would be given, so the code that is meant for
// Redis runs as it is.

import { createHash } from 'node:crypto'
import { processId } from '../../src/backends/redis-ledger.ts'
import { ModelRedis, type Observer } from './model-redis.ts'
import type { Life, Universe } from './universe.ts'

/** How likely what is, for each request or message. */
export interface Weather {
  readonly latencyMs: number
  requestLost: number
  replyLost: number
  requestLate: number
  messageLost: number
  messageDoubled: number
  messageLate: number
  messageSwapped: number
}

const LONGEST_LATE_MS = 4_000
/** What a connection that flickers loses and delays. */
const FLICKER = { messageLost: 0.5, requestLost: 0.25, requestLate: 0.5, longestLateMs: 450 }
/** After so long nothing that was sent is still on its way. */
export const LONGEST_ON_THE_WAY_MS: number = LONGEST_LATE_MS + 100

const digests = new Map<string, string>()

function digestOf(text: string): string {
  const digest = digests.get(text) ?? createHash('sha1').update(text, 'latin1').digest('hex')
  digests.set(text, digest)
  return digest
}

/** The servers and all connections. */
export class Network {
  readonly universe: Universe
  readonly random: () => number
  readonly weather: Weather
  readonly servers: readonly ModelRedis[]
  readonly lines = new Set<Line>()
  /** Whose request is being served. */
  serving: Life | undefined

  constructor(parts: {
    universe: Universe
    random: () => number
    weather: Weather
    masters: number
    /** Whether another server may take over that was behind. */
    isLossy: boolean
    observer: Observer
  }) {
    this.universe = parts.universe
    this.random = parts.random
    this.weather = parts.weather
    this.servers = Array.from(
      { length: parts.masters },
      (_, at) =>
        new ModelRedis(
          parts.universe,
          parts.observer,
          (channel, bytes) => {
            const heard = Buffer.from(bytes, 'latin1')
            for (const line of this.lines) line.carry(at, channel, heard)
          },
          digestOf,
          parts.isLossy,
        ),
    )
  }

  latency(): number {
    return this.weather.latencyMs * (0.5 + this.random())
  }

  chance(share: number): boolean {
    return share > 0 && this.random() < share
  }

  /** The server that has the keys of a command. */
  serverOf(words: readonly string[]): ModelRedis {
    if (this.servers.length === 1) return this.servers[0] as ModelRedis
    const partition = /^\{[^:}]*:(\d+)\}/.exec(words[3] ?? '')?.[1] ?? '0'
    return this.servers[Number(partition) % this.servers.length] as ModelRedis
  }

  /** Breaks the connections of everyone, as a server does that ends. */
  breakAll(): void {
    for (const line of [...this.lines]) line.break()
  }
}

/** The name of the channel on which a process alone hears its echoes: here many share one real process. */
function own(life: string, word: string): string {
  return word.endsWith(processId()) ? `${word}#${life}` : word
}

function bytesOf(word: string | Uint8Array): string {
  if (typeof word === 'string') return isAscii(word) ? word : Buffer.from(word).toString('latin1')
  return Buffer.from(word.buffer, word.byteOffset, word.byteLength).toString('latin1')
}

function isAscii(text: string): boolean {
  for (let at = 0; at < text.length; at++) if (text.charCodeAt(at) > 127) return false
  return true
}

/** A connection for commands, as ioredis would be: of a cluster where there are several servers. */
export class Client {
  readonly options = { db: 0 }
  readonly isCluster: boolean
  readonly #network: Network
  readonly #life: Life
  readonly #name: string
  readonly #only: ModelRedis | undefined
  /** About to break. */
  isFlickering = false
  /** What is asked is lost. */
  isLosing = false
  /** No answer arrives before. */
  answersFrom = 0
  /** What was sent before arrives before, unless it is late. */
  #arrivedAt = 0
  #repliedAt = 0

  constructor(network: Network, life: Life, name: string, only?: ModelRedis) {
    this.#network = network
    this.#life = life
    this.#name = name
    this.#only = only
    this.isCluster = only === undefined && network.servers.length > 1
  }

  nodes(): Client[] {
    return this.#network.servers.map((server) => new Client(this.#network, this.#life, this.#name, server))
  }

  callBuffer(...given: (string | Uint8Array)[]): Promise<unknown> {
    const network = this.#network
    const { universe, weather } = network
    const words = given.map((word) =>
      typeof word === 'string' ? own(this.#name, bytesOf(word)) : bytesOf(word),
    )
    const server = this.#only ?? network.serverOf(words)
    return new Promise((resolve, reject) => {
      if (this.isLosing) return
      if (network.chance(this.isFlickering ? FLICKER.requestLost : weather.requestLost)) return
      let arrivesAt = Math.max(universe.now + network.latency(), this.#arrivedAt)
      if (this.isFlickering && network.chance(FLICKER.requestLate))
        arrivesAt += network.random() * FLICKER.longestLateMs
      else if (network.chance(weather.requestLate)) arrivesAt += network.random() * LONGEST_LATE_MS
      else this.#arrivedAt = arrivesAt
      universe.at(arrivesAt, () => {
        const answer = (settle: () => void) => {
          if (network.chance(weather.replyLost)) return
          const at = Math.max(universe.now + network.latency(), this.#repliedAt, this.answersFrom)
          this.#repliedAt = at
          universe.at(at, settle, this.#life)
        }
        if (!server.isUp) {
          // Refused at once, or silent.
          if (network.chance(0.7)) answer(() => reject(new Error('connect ECONNREFUSED')))
          return
        }
        network.serving = this.#life
        let reply: unknown
        try {
          reply = server.execute(words)
        } catch (error) {
          answer(() => reject(error))
          return
        } finally {
          network.serving = undefined
        }
        answer(() => resolve(reply))
      })
    })
  }
}

type Listener = (...values: unknown[]) => void

/** A connection that listens. */
export class Line {
  status = 'ready'
  /** Told of every message before the process is. */
  onHeard: (bytes: Uint8Array) => void = () => {}
  /** Nothing arrives, and nobody says so. */
  isDead = false
  /** What arrives waits. */
  isHeld = false
  /** About to break. */
  isFlickering = false
  /** What is sent is lost. */
  isLosing = false
  /** When it breaks, no other can be made. */
  isCut = false
  readonly #network: Network
  readonly #life: Life
  readonly #name: string
  readonly #listeners = new Map<string, Set<Listener>>()
  readonly #channels = new Set<string>()
  readonly #held: (() => void)[] = []
  /** By server: when the last message arrives. */
  readonly #lastAt: number[] = []
  /** Raised when the connection breaks: what is on its way is lost. */
  #making = 0

  constructor(network: Network, life: Life, name: string) {
    this.#network = network
    this.#life = life
    this.#name = name
    network.lines.add(this)
  }

  callBuffer(): Promise<unknown> {
    return Promise.reject(new Error('a connection that listens can do nothing else'))
  }

  on(event: string, listener: Listener): void {
    const listeners = this.#listeners.get(event) ?? new Set()
    this.#listeners.set(event, listeners.add(listener))
  }

  off(event: string, listener: Listener): void {
    this.#listeners.get(event)?.delete(listener)
  }

  subscribe(...channels: string[]): Promise<unknown> {
    const making = this.#making
    return new Promise((resolve) => {
      if (this.isDead || this.status !== 'ready') return
      const { universe } = this.#network
      universe.at(universe.now + this.#network.latency(), () => {
        if (this.isDead || making !== this.#making) return
        for (const channel of channels) this.#channels.add(own(this.#name, channel))
        this.#life.after(this.#network.latency(), () => resolve(channels.length))
      })
    })
  }

  unsubscribe(): Promise<unknown> {
    this.#channels.clear()
    return Promise.resolve(0)
  }

  /** The client makes its connection anew. */
  disconnect(): void {
    this.break()
  }

  /** The connection breaks, the client hears of it, and soon makes another. */
  break(): void {
    if (this.status !== 'ready' || this.#life.isDead) return
    this.#making++
    this.status = 'reconnecting'
    this.isDead = this.isHeld = false
    this.#held.length = 0
    const channels = [...this.#channels]
    this.#channels.clear()
    this.#life.after(0, () => this.#emit('close'))
    const again = (): void => {
      if (this.isCut || !this.#network.servers.every((server) => server.isUp)) {
        this.#life.after(50 + 200 * this.#network.random(), again)
        return
      }
      for (const channel of channels) this.#channels.add(channel)
      this.status = 'ready'
      this.#emit('ready')
    }
    this.#life.after(50 + 400 * this.#network.random(), again)
  }

  /** For good: its process ended. */
  end(): void {
    this.#making++
    this.#network.lines.delete(this)
  }

  release(): void {
    this.isHeld = false
    for (const deliver of this.#held.splice(0)) this.#life.after(0, deliver)
  }

  /** A message of a server is on its way. */
  carry(server: number, channel: string, bytes: Uint8Array): void {
    const network = this.#network
    const { universe, weather } = network
    if (!this.#channels.has(channel) || this.isDead || this.isLosing) return
    if (network.chance(this.isFlickering ? FLICKER.messageLost : weather.messageLost)) return
    const making = this.#making
    const name = Buffer.from(channel.replace(/#.*$/, ''))
    const deliver = (): void => {
      if (making !== this.#making || this.isDead) return
      if (this.isHeld) this.#held.push(deliver)
      else {
        this.onHeard(bytes)
        this.#emit('messageBuffer', name, bytes)
      }
    }
    let at = Math.max(universe.now + network.latency(), this.#lastAt[server] ?? 0)
    // Late is late for everything behind it, but not later and later; what changes places is so alone.
    if (network.chance(weather.messageLate)) at = Math.max(at, universe.now + network.random() * 1_500)
    this.#lastAt[server] = at
    if (network.chance(weather.messageSwapped)) at += 3 * network.latency()
    universe.at(at, deliver, this.#life)
    if (network.chance(weather.messageDoubled)) {
      universe.at(at + network.random() * 500, deliver, this.#life)
    }
  }

  #emit(event: string, ...values: unknown[]): void {
    for (const listener of this.#listeners.get(event) ?? []) listener(...values)
  }
}
