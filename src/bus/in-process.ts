// A bus within one process: caches that share a hub hear of each other's mutations.
//
// It exists for two uses: several caches in one process, each with an L1 of its own, and tests of
// everything that a bus can do to a cache. It adds nothing to its hub; losing and reordering messages is
// done there, through `hub.links`.

import { Hub, type HubLink } from '../backends/hub.ts'
import { describe } from '../duration.ts'
import { CacheError } from '../errors.ts'
import { checkNames } from '../options.ts'
import type { Stamp } from '../stamp.ts'
import type { Ledger } from '../tiers/ledger.ts'
import type { TierScope } from '../tiers/tier.ts'
import type { Bus, BusListener } from './bus.ts'

export { type Delivery, Hub, type HubLink, type HubOptions } from '../backends/hub.ts'

/** What an in-process bus can be told. */
export interface InProcessBusOptions {
  /** The memory whose mutations it tells; pass the same one to every cache that is to hear of the others. */
  hub: Hub

  /**
   * How far the bus claims to reach. It never reaches beyond this process; the wider scopes are for tests and
   * examples, where several caches of one process play several machines.
   *
   * @defaultValue `'process'`
   */
  scope?: TierScope
}

/**
 * A bus between the caches of one process.
 *
 * A cache without a tier on the same hub is ordered by the hub all the same, which then keeps no values.
 *
 * @throws TypeError naming the option.
 */
export function inProcessBus(options: InProcessBusOptions): Bus {
  checkNames(options, ['hub', 'scope'], 'inProcessBus')
  const { hub, scope = 'process' } = options
  if (!(hub instanceof Hub))
    throw new TypeError(`hub: ${describe(hub)} is not a Hub; make one with new Hub()`)
  if (!['process', 'machine', 'fleet'].includes(scope)) {
    throw new TypeError(`scope: ${describe(scope)} is none of 'process', 'machine' and 'fleet'`)
  }
  return new InProcessBus(hub, scope)
}

class InProcessBus implements Bus {
  readonly name = 'in-process'
  readonly scope: TierScope
  readonly channel: string
  readonly ledger: Ledger
  readonly #hub: Hub
  #link: HubLink | undefined
  #isClosed = false

  constructor(hub: Hub, scope: TierScope) {
    this.#hub = hub
    this.scope = scope
    this.channel = hub.channel
    this.ledger = hub.withoutData()
  }

  async subscribe(listener: BusListener): Promise<Stamp[]> {
    if (this.#isClosed)
      throw new CacheError('CACHE_CLOSED', 'in-process bus: it is closed', { tier: this.name })
    this.#link?.close()
    const { link, stamps } = this.#hub.link(listener)
    this.#link = link
    return stamps
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#link?.close()
  }
}
