// The bus through the tables of a SQL cache, by looking: each process asks every `pollMs` where the partitions stand,
// and reads from the log what is new. It needs nothing of the database but the tables, so it is the bus for SQLite and
// MySQL; PostgreSQL can tell of its own accord, see postgres.ts.
//
// Commits of this process ring at once. Either way the same step follows: read the stand, tell the messages up to there,
// tell a gap when the log does not reach back, then return the tokens that came before the step began.

import { hangBell, SqlLedger } from '../backends/sql-ledger.ts'
import { type SqlOptions, SqlStore, sqlOptionNames } from '../backends/sql-store.ts'
import type { Clock, Timer } from '../clock.ts'
import { checkClock, checkCount, checkNames } from '../options.ts'
import { isAtOrAfter, type Stamp } from '../stamp.ts'
import type { Ledger } from '../tiers/ledger.ts'
import type { TierScope } from '../tiers/tier.ts'
import type { Bus, BusListener } from './bus.ts'

/** What `sqlBus` takes. */
export interface SqlBusOptions extends SqlOptions {
  /**
   * How often is looked for mutations of other processes, in milliseconds, from 1 to 3,600,000. Each look is one small
   * statement.
   *
   * @defaultValue `250`
   */
  pollMs?: number

  /** @defaultValue the machine's. */
  clock?: Clock
}

/**
 * A bus through the tables that a `sqlTier` has too, for all processes that use them.
 *
 * @throws TypeError or RangeError for a wrong option. A database that cannot be used makes `subscribe` reject with
 *   `CACHE_TIER_FAILED`.
 */
export function sqlBus(options: SqlBusOptions): Bus {
  checkNames(options, [...sqlOptionNames, 'pollMs', 'clock'], 'sqlBus')
  const clock = checkClock(options.clock)
  const pollMs = checkCount(options.pollMs, 'pollMs', 1, 3_600_000, 250)
  return new SqlBus(new SqlStore('sql bus', options, { maxEntries: null, clock }), pollMs, clock)
}

class SqlBus implements Bus {
  readonly name = 'sql'
  readonly scope: TierScope
  readonly channel: string
  readonly ledger: Ledger
  readonly #store: SqlStore
  readonly #pollMs: number
  readonly #clock: Clock
  #listener: BusListener | undefined
  #positions: Stamp[] = []
  /** Tokens that wait for a step that began after they came. */
  #tokens: string[] = []
  #isReading = false
  #isRung = false
  #hasFailed = false
  #timer: Timer | undefined
  #unhang: (() => void) | undefined

  constructor(store: SqlStore, pollMs: number, clock: Clock) {
    this.scope = store.dialect.scope
    this.channel = store.channel
    this.ledger = new SqlLedger(store, false)
    this.#store = store
    this.#pollMs = pollMs
    this.#clock = clock
  }

  subscribe(listener: BusListener): Promise<Stamp[]> {
    return this.#store.attempt('subscribe', async () => {
      const stamps = await this.#store.stand()
      if (this.#store.isClosed) throw new Error('it was closed meanwhile')
      this.#stop()
      this.#listener = listener
      this.#positions = [...stamps]
      this.#hasFailed = false
      this.#unhang = hangBell(this.channel, {
        ring: () => this.#read(),
        echo: (token) => {
          this.#tokens.push(token)
          this.#read()
        },
      })
      this.#poll()
      return stamps
    })
  }

  async close(): Promise<void> {
    this.#stop()
    this.#store.close()
  }

  #stop(): void {
    this.#listener = undefined
    this.#tokens = []
    this.#timer?.cancel()
    this.#unhang?.()
    this.#timer = this.#unhang = undefined
  }

  #poll(): void {
    this.#timer = this.#clock.setTimer(() => {
      this.#poll()
      this.#read()
    }, this.#pollMs)
  }

  /** Tells what came since the last time; rung while it does, it begins once more. */
  #read(): void {
    this.#isRung = true
    if (this.#isReading) return
    this.#isReading = true
    const steps = async (): Promise<void> => {
      while (this.#isRung && this.#listener !== undefined) {
        this.#isRung = false
        await this.#step(this.#listener)
      }
    }
    steps()
      .catch((error: unknown) => {
        this.#tokens = []
        if (this.#hasFailed) return
        this.#hasFailed = true
        this.#listener?.onFailure(error)
      })
      .finally(() => {
        this.#isReading = false
      })
  }

  async #step(listener: BusListener): Promise<void> {
    const tokens = this.#tokens.splice(0)
    const stamps = await this.#store.attempt('reading the log', () => this.#store.stand())
    if (this.#listener !== listener) return
    if (this.#hasFailed) {
      this.#hasFailed = false
      this.#positions = [...stamps]
      listener.onGap(undefined, stamps, 'the bus works again')
    }
    for (const stamp of stamps) {
      const position = this.#positions[stamp.partition] as Stamp
      if (isAtOrAfter(position, stamp)) continue
      const messages = position.epoch === stamp.epoch ? await this.ledger.since(position) : 'gap'
      if (this.#listener !== listener) return
      if (messages === 'gap') {
        this.#positions[stamp.partition] = stamp
        const isNew = position.epoch !== stamp.epoch
        listener.onGap(stamp.partition, [stamp], isNew ? 'a new epoch began' : 'fell behind the log')
        continue
      }
      for (const message of messages) {
        this.#positions[stamp.partition] = message.stamp
        this.#store.note(message.stamp)
        listener.onMessage(message)
        // A listener may end the listening.
        if (this.#listener !== listener) return
      }
    }
    for (const token of tokens) listener.onEcho(token, [...this.#positions])
  }
}
