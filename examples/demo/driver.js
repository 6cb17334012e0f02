// @ts-check
// Plays a shop's visitors: so many at once, each waiting for an answer before asking for the next product, in the
// order of the trace and at both servers in turn. One request in a hundred is preceded by a write of the same product,
// so popular products are written more often. Right after a write, the product is read at both servers, because a stale
// answer is likeliest then; and at the end all that was written is read once more, when nobody has an excuse any more.

import { setTimeout as wait } from 'node:timers/promises'
import { GRACE_MS } from './journal.js'
import { machineNow } from './machine-clock.js'

/** Enough to see that something is broken; the rest would be the same. */
const MOST_ERRORS = 20

/**
 * @typedef {object} ReplaySettings
 * @property {Uint32Array} products one for each request
 * @property {number} concurrency
 * @property {number} writeShare of the requests, those with a write before them
 * @property {number} seed decides which these are
 * @property {import('./http-client.js').HttpClient[]} servers
 * @property {import('./journal.js').Journal} journal is told of every read and write
 * @property {number} limitMs ends the replay early, with what there is by then
 * @property {AbortSignal} signal ends it at once
 */

/** One replay of a trace; its counts can be watched while it runs. */
export class Replay {
  /** Reads of the trace that were answered. */
  requests = 0
  writes = 0
  /** Reads that only see what became of the writes. */
  checkReads = 0
  /** Of all reads, those for which nothing had to be loaded. */
  withoutLoad = 0
  elapsedMs = 0
  /** Requests that failed or were answered with anything but 200. @type {string[]} */
  errors = []

  #settings
  #latenciesMs
  /** By request, whether a write comes before it. @type {boolean[]} */
  #isWritten
  #next = 0
  /** Products whose write is under way: the journal wants them one at a time. @type {Set<number>} */
  #writing = new Set()
  /** @type {Set<number>} */
  #written = new Set()

  /** @param {ReplaySettings} settings */
  constructor(settings) {
    const random = seededRandom(settings.seed)
    this.#settings = settings
    this.#latenciesMs = new Float64Array(settings.products.length)
    this.#isWritten = Array.from(settings.products, () => random() < settings.writeShare)
  }

  /** How long each request took, in the order of the answers. */
  get latenciesMs() {
    return this.#latenciesMs.subarray(0, this.requests)
  }

  async run() {
    const { concurrency, limitMs } = this.#settings
    const startedAt = machineNow()
    await atOnce(concurrency, () => this.#visit(startedAt + limitMs))
    if (this.#isWorthwhile()) await wait(GRACE_MS)
    const unchecked = this.#written.values()
    await atOnce(concurrency, () => this.#checkAll(unchecked))
    this.elapsedMs = machineNow() - startedAt
  }

  #isWorthwhile() {
    return !this.#settings.signal.aborted && this.errors.length < MOST_ERRORS
  }

  /**
   * One visitor.
   *
   * @param {number} until
   */
  async #visit(until) {
    const { products, servers } = this.#settings
    while (this.#next < products.length && this.#isWorthwhile() && machineNow() < until) {
      const turn = this.#next++
      const product = /** @type {number} */ (products[turn])
      const server = turn % servers.length
      if (this.#isWritten[turn]) await this.#write(server, product)
      const elapsedMs = await this.#read(server, product)
      if (elapsedMs !== undefined) this.#latenciesMs[this.requests++] = elapsedMs
    }
  }

  /**
   * Reads a product and resolves to how long it took; `undefined` when it failed.
   *
   * @param {number} server
   * @param {number} product
   */
  async #read(server, product) {
    const sentAt = machineNow()
    const answer = await this.#ask(server, 'GET', product)
    if (answer === undefined) return undefined
    const elapsedMs = machineNow() - sentAt
    if (answer.headers['x-cache'] === 'hit') this.withoutLoad++
    this.#settings.journal.noteRead({ product, server, version: answer.body.version, sentAt })
    return elapsedMs
  }

  /**
   * @param {number} server
   * @param {number} product
   */
  async #write(server, product) {
    if (this.#writing.has(product)) return
    this.#writing.add(product)
    const answer = await this.#ask(server, 'PUT', product, { price: 10 + (this.#next % 990) })
    if (answer !== undefined) {
      const { version, acknowledgedAt: invalidatedAt } = answer.body
      const acknowledgedAt = machineNow()
      this.#settings.journal.noteWrite({ product, server, version, invalidatedAt, acknowledgedAt })
      this.writes++
    }
    this.#writing.delete(product)
    this.#written.add(product)
    await this.#check(product)
  }

  /** @param {number} product */
  async #check(product) {
    const reads = this.#settings.servers.map((_, server) => this.#read(server, product))
    for (const elapsedMs of await Promise.all(reads)) if (elapsedMs !== undefined) this.checkReads++
  }

  /** @param {Iterable<number>} unchecked an iterator from which others take too */
  async #checkAll(unchecked) {
    for (const product of unchecked) {
      if (!this.#isWorthwhile()) return
      await this.#check(product)
    }
  }

  /**
   * @param {number} server
   * @param {'GET' | 'PUT'} method
   * @param {number} product
   * @param {unknown} [content]
   */
  async #ask(server, method, product, content) {
    const path = `/product/${product}`
    try {
      const client = /** @type {import('./http-client.js').HttpClient} */ (this.#settings.servers[server])
      const answer = await client.ask(method, path, content)
      if (answer.status === 200) return answer
      this.errors.push(`${method} ${path}: ${answer.status} ${answer.body.error}`)
    } catch (error) {
      this.errors.push(`${method} ${path}: ${error instanceof Error ? error.message : error}`)
    }
    return undefined
  }
}

/**
 * Reads products past the cache and resolves to how long each took.
 *
 * @param {Pick<ReplaySettings, 'products' | 'concurrency' | 'servers' | 'signal'>} settings
 * @returns {Promise<Float64Array>}
 */
export async function readUncached({ products, concurrency, servers, signal }) {
  const latenciesMs = new Float64Array(products.length)
  let next = 0
  await atOnce(concurrency, async () => {
    while (next < products.length && !signal.aborted) {
      const turn = next++
      const client = /** @type {import('./http-client.js').HttpClient} */ (servers[turn % servers.length])
      const sentAt = machineNow()
      const { status, body } = await client.ask('GET', `/uncached/product/${products[turn]}`)
      if (status !== 200) throw new Error(`GET past the cache: ${status} ${body.error}`)
      latenciesMs[turn] = machineNow() - sentAt
    }
  })
  return latenciesMs
}

/**
 * @param {number} count
 * @param {() => Promise<void>} visitor
 */
async function atOnce(count, visitor) {
  await Promise.all(Array.from({ length: count }, visitor))
}

/**
 * Numbers from 0 up to 1, the same for the same seed. Source: mulberry32 by Tommy Ettinger, in the public domain.
 *
 * @param {number} seed
 */
function seededRandom(seed) {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
