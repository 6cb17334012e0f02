// The bus over LISTEN and NOTIFY of PostgreSQL: a message per mutation on one channel, told by the transaction that
// commits it, and echoes on a channel of each process.
//
// Both channels are on one connection, and PostgreSQL delivers to it in the order of the commits. So an echo comes
// behind every message that was committed before its probe, and what it says of the partitions has been heard.
//
// A connection that is gone has missed what was told meanwhile, and `pg` makes none anew. So the bus makes its own, by
// the function that it is given, and each time a token goes the whole way round before the bus says that it works, and
// from where. A connection that is silent for too long is tried with a token too: it may have died without a word.

import { parseTold, SqlLedger, sqlEchoChannel, sqlMessageChannel } from '../backends/sql-ledger.ts'
import { type SqlOptions, SqlStore, sqlFailureOf, sqlOptionNames } from '../backends/sql-store.ts'
import { fromBase64 } from '../base64.ts'
import type { Clock, Timer } from '../clock.ts'
import { describe } from '../duration.ts'
import { checkClock, checkNames } from '../options.ts'
import { randomId, systemRandom } from '../random.ts'
import type { Stamp } from '../stamp.ts'
import type { Ledger } from '../tiers/ledger.ts'
import type { Bus, BusListener } from './bus.ts'
import { Recovery } from './recovery.ts'

export { type PostgresPool, postgresExecutor, type SqlExecutor } from '../backends/sql-executors.ts'

/** A connection that listens: a `Client` of pg, not connected yet. */
export interface PostgresSubscriber {
  connect(): Promise<unknown>
  query(sql: string): Promise<unknown>
  on(
    event: 'notification',
    listener: (told: { channel: string; payload?: string | undefined }) => void,
  ): unknown
  on(event: 'error', listener: (error: Error) => void): unknown
  on(event: 'end', listener: () => void): unknown
  end(): Promise<unknown>
}

/** What `postgresBus` takes. */
export interface PostgresBusOptions extends SqlOptions {
  /**
   * Makes a connection for the bus to listen on, such as `() => new pg.Client(config)`; called again whenever one is
   * lost. The bus connects and ends it. Not through a pooler that shares connections between transactions: it would not
   * keep on listening.
   */
  subscriber: () => PostgresSubscriber

  /** @defaultValue the machine's. */
  clock?: Clock
}

/** Within so long a connection has to be made, and within so long a token that was sent has to come back. */
const CONNECT_MS = 10_000
const CHECK_MS = 3_000
/** After so long without a word the connection is tried. */
const SILENCE_MS = 5_000

/**
 * A bus over LISTEN and NOTIFY, for all machines that use the same table.
 *
 * @throws TypeError or RangeError for a wrong option. A server that cannot be used makes `subscribe` reject with
 *   `CACHE_TIER_FAILED`.
 * @example
 * const pool = new pg.Pool(config)
 * const executor = postgresExecutor(pool)
 * const cache = createCache({
 *   tiers: [sqlTier({ executor })],
 *   bus: postgresBus({ executor, subscriber: () => new pg.Client(config) }),
 *   ttl: '5m',
 * })
 */
export function postgresBus(options: PostgresBusOptions): Bus {
  checkNames(options, [...sqlOptionNames, 'subscriber', 'clock'], 'postgresBus')
  const clock = checkClock(options.clock)
  const store = new SqlStore('postgres bus', options, { maxEntries: null, clock })
  if (store.dialect.ring === undefined) {
    throw new TypeError(`executor: it is for ${store.dialect.name}, which has no NOTIFY; take sqlBus there`)
  }
  if (typeof options.subscriber !== 'function') {
    throw new TypeError(
      `subscriber: ${describe(options.subscriber)} is not a function; pass one that makes a connection, such as () => new pg.Client(config)`,
    )
  }
  return new PostgresBus(store, options.subscriber, clock)
}

class PostgresBus implements Bus {
  readonly name = 'postgres'
  readonly scope = 'fleet'
  readonly channel: string
  readonly ledger: Ledger
  readonly #echoing: SqlLedger
  readonly #store: SqlStore
  readonly #clock: Clock
  readonly #open: () => PostgresSubscriber
  readonly #messages: string
  readonly #echoes: string
  #connection: PostgresSubscriber | undefined
  /** Listens already, but what it was made for has not begun. */
  #connecting: PostgresSubscriber | undefined
  /** Tokens that wait for their return: one who subscribes and a recovery may be at it at once. */
  readonly #checks = new Map<string, (stamps: readonly Stamp[]) => void>()
  readonly #recovery: Recovery
  #listener: BusListener | undefined
  #watch: Timer | undefined
  #isSilent = false

  constructor(store: SqlStore, open: () => PostgresSubscriber, clock: Clock) {
    this.channel = store.channel
    this.#echoing = new SqlLedger(store, false)
    this.ledger = this.#echoing
    this.#store = store
    this.#open = open
    this.#clock = clock
    this.#messages = sqlMessageChannel(store.table)
    this.#echoes = sqlEchoChannel(store.table)
    this.#recovery = new Recovery({
      clock,
      listener: () => this.#listener,
      prove: (arrived) => this.#prove(arrived),
      failureOf: (error) => sqlFailureOf('postgres bus', 'listening', error, store.table),
      noted: (stamp) => store.note(stamp),
    })
  }

  subscribe(listener: BusListener): Promise<Stamp[]> {
    return this.#store.attempt('subscribe', async () => {
      this.#listener = listener
      let stood: readonly Stamp[] = []
      await this.#prove((stamps) => {
        stood = stamps
        this.#recovery.works()
      })
      this.#watchSilence()
      return [...stood]
    })
  }

  async close(): Promise<void> {
    this.#store.close()
    this.#listener = undefined
    this.#recovery.end()
    this.#watch?.cancel()
    this.#drop()
  }

  /**
   * Makes a connection where there is none, and sends a token round.
   *
   * @param arrived - Runs within the hearing of it, so between two messages.
   */
  async #prove(arrived: (stamps: readonly Stamp[]) => void): Promise<void> {
    const token = randomId(systemRandom)
    let timer: Timer | undefined
    try {
      await new Promise<void>((resolve, reject) => {
        const within = (limitMs: number, what: string): void => {
          timer?.cancel()
          timer = this.#clock.setTimer(() => {
            this.#drop()
            reject(new Error(`${what} within ${limitMs} ms`))
          }, limitMs)
        }
        within(CONNECT_MS, 'no connection was made')
        this.#checks.set(token, (stamps) => {
          arrived(stamps)
          resolve()
        })
        const onSend = (): void => within(CHECK_MS, `what was sent on ${this.#echoes} did not arrive`)
        this.#send(token, onSend).catch(reject)
      })
    } catch (error) {
      this.#drop()
      throw error
    } finally {
      timer?.cancel()
      this.#checks.delete(token)
    }
  }

  async #send(token: string, onSend: () => void): Promise<void> {
    this.#connection ??= await this.#connect()
    // Nobody waits for it any more when the connection took too long to come.
    if (!this.#checks.has(token)) return
    onSend()
    await this.#store.attempt('probe', (query) => this.#echoing.echo(query, token))
  }

  async #connect(): Promise<PostgresSubscriber> {
    const connection = this.#open()
    if (typeof connection?.connect !== 'function' || typeof connection.on !== 'function') {
      throw new TypeError(`subscriber: it made ${describe(connection)}, which is not a Client of pg`)
    }
    const isLost = (error: Error): void => {
      if (this.#connection === connection) this.#lose(error)
    }
    // One that failed while it was made has told that already; without a listener it would end the process.
    connection.on('error', isLost)
    connection.on('end', () => isLost(new Error('the connection was closed')))
    connection.on('notification', ({ channel, payload }) => {
      if (this.#connection === connection || this.#connecting === connection) this.#hear(channel, payload)
    })
    this.#connecting = connection
    try {
      await connection.connect()
      await connection.query(`LISTEN "${this.#messages}"; LISTEN "${this.#echoes}"`)
      if (this.#store.isClosed) throw new Error('it was closed meanwhile')
      return connection
    } catch (error) {
      connection.end().catch(() => {})
      throw error
    } finally {
      this.#connecting = undefined
    }
  }

  /** Ends the connection without waiting: a server that does not answer must not hold up a program that ends. */
  #drop(): void {
    const connection = this.#connection
    this.#connection = undefined
    connection?.end().catch(() => {})
  }

  #lose(error: Error): void {
    this.#drop()
    this.#recovery.fail(error)
    this.#recovery.begin('the connection was lost')
  }

  /** Runs inside the client's own reading, where an exception would end the process. */
  #hear(channel: string, payload = ''): void {
    this.#isSilent = false
    if (this.#listener === undefined || (channel !== this.#messages && channel !== this.#echoes)) return
    const told = parseTold(payload, fromBase64)
    const stamps = told === undefined ? [] : told.kind === 'echo' ? told.stamps : [stampOf(told)]
    if (told === undefined || !stamps.every(({ partition }) => partition <= this.#store.partitions)) {
      this.#recovery.soon('a message could not be read')
    } else if (told.kind === 'echo') {
      this.#hearEcho(told.token, told.stamps)
    } else if (told.kind === 'place') {
      this.#recovery.hear(told.stamp)
      this.#listener.onGap(told.stamp.partition, [told.stamp], 'a message was too long for the channel')
    } else {
      this.#recovery.hear(told.message.stamp)
      this.#listener.onMessage(told.message)
    }
  }

  #hearEcho(token: string, stamps: readonly Stamp[]): void {
    const isBehind = this.#recovery.hearEcho(stamps)
    const arrived = this.#checks.get(token)
    if (arrived !== undefined) arrived(stamps)
    // It proves nothing of what was heard: that may never have been, or be in no order any more.
    else if (!isBehind) this.#listener?.onEcho(token, stamps)
  }

  /** Tries a connection that has been silent. */
  #watchSilence(): void {
    this.#watch?.cancel()
    this.#isSilent = true
    this.#watch = this.#clock.setTimer(() => {
      if (this.#listener === undefined) return
      if (this.#isSilent && this.#recovery.isIdle) this.#recovery.begin('the connection was silent')
      this.#watchSilence()
    }, SILENCE_MS)
  }
}

function stampOf(
  told: { kind: 'message'; message: { stamp: Stamp } } | { kind: 'place'; stamp: Stamp },
): Stamp {
  return told.kind === 'message' ? told.message.stamp : told.stamp
}
