// What a Memcached tier is told, and how that is checked: when it is made, without a connection.

import type { Duplex } from 'node:stream'
import type { Clock } from '../clock.ts'
import { describe } from '../duration.ts'
import { checkClock, checkCount, checkFunction, checkNames, checkRandom } from '../options.ts'
import type { Random } from '../random.ts'
import type { ConnectionOptions, ServerAddress } from './memcached-connection.ts'

/** What `memcachedTier` takes. */
export interface MemcachedTierOptions {
  /**
   * The servers, each `'host'`, `'host:port'`, `'[address]:port'` or the path of a Unix socket; the port is 11211
   * where none is named. Everyone who shares the keyspace names the same ones, in any order and in the same words.
   */
  servers: readonly string[]

  /**
   * What the names of items begin with: 1 to 64 letters, digits, dots, hyphens and underscores. Caches with different
   * ones share servers without meeting.
   *
   * @defaultValue `'tierwheel'`
   */
  keyspace?: string

  /**
   * How long a server may take to answer, connecting included, in milliseconds. After that its connection is given up,
   * with all that waits on it.
   *
   * @defaultValue 1,000
   */
  deadlineMs?: number

  /**
   * Whether the tier itself refuses values that were loaded before a mutation, by the tokens of the server. For a
   * cache without a bus; with a bus the bus is who orders, and a tier that does too is refused.
   *
   * @defaultValue `false`
   */
  fence?: boolean

  /**
   * Opens the way to a server, such as `({ host, port }) => tls.connect(port, host)`. What it returns is owned by the
   * tier, which destroys it.
   *
   * @defaultValue plain TCP, or the Unix socket.
   */
  connect?: (server: ServerAddress) => Duplex

  /** @defaultValue the machine's clock */
  clock?: Clock

  /** @defaultValue the machine's randomness */
  random?: Random
}

/** `MemcachedTierOptions`, checked and complete. */
export interface ResolvedMemcached extends ConnectionOptions {
  readonly servers: readonly ServerAddress[]
  readonly keyspace: string
  readonly fence: boolean
}

const names = ['clock', 'connect', 'deadlineMs', 'fence', 'keyspace', 'random', 'servers']
const DEFAULT_PORT = 11_211

/** @throws TypeError or RangeError with the option's name, the value and the rule. */
export function resolveMemcached(options: MemcachedTierOptions): ResolvedMemcached {
  checkNames(options, names, 'memcachedTier')
  const { servers, keyspace = 'tierwheel', fence = false, connect } = options
  if (!Array.isArray(servers) || servers.length === 0)
    throw new TypeError(`servers: ${describe(servers)} is not a list of at least one server`)
  const addresses = servers.map(addressOf)
  const known = new Set(addresses.map(({ host, port }) => `${host}:${port}`))
  if (known.size < addresses.length) throw new RangeError('servers: one of them is named twice')
  if (typeof keyspace !== 'string' || !/^[A-Za-z0-9._-]{1,64}$/.test(keyspace)) {
    throw new TypeError(
      `keyspace: ${describe(keyspace)} may have 1 to 64 characters, each a letter, a digit, a dot, a hyphen or an underscore`,
    )
  }
  if (typeof fence !== 'boolean') throw new TypeError(`fence: ${describe(fence)} is neither true nor false`)
  if (connect !== undefined) checkFunction(connect, 'connect')
  return {
    // In one order, whatever the order given: the place in it is the partition of a fenced tier.
    servers: addresses.sort((left, right) => (left.name < right.name ? -1 : 1)),
    keyspace,
    fence,
    connect,
    deadlineMs: checkCount(options.deadlineMs, 'deadlineMs', 1, 3_600_000, 1_000),
    clock: checkClock(options.clock),
    random: checkRandom(options.random),
  }
}

function addressOf(name: unknown): ServerAddress {
  const rule = 'a host, host:port, [address]:port or the path of a Unix socket'
  if (typeof name !== 'string') throw new TypeError(`servers: ${describe(name)} is not ${rule}`)
  if (name.startsWith('/') && !name.includes('\0')) return { name, host: name, port: 0 }
  const [, bracketed, plain, digits] =
    /^(?:\[([0-9a-fA-F:.]+)\]|([A-Za-z0-9._-]+))(?::(\d{1,5}))?$/.exec(name) ?? []
  const host = bracketed ?? plain
  const port = digits === undefined ? DEFAULT_PORT : Number(digits)
  if (host === undefined || port === 0 || port > 65_535)
    throw new RangeError(`servers: ${describe(name)} is not ${rule}`)
  return { name, host, port }
}
