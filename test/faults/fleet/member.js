// @ts-check
/**
 * A process of the fleet: a cache over a real Redis, and callers who read and write as a seed says. What they do and
 * what they are answered is written to a file as it happens, one line each, so that a process which is killed leaves
 * what it has done. Times are of the system's monotonic clock, which all processes of a machine have in common.
 *
 * Two kinds of keys. `shared` ones are deleted by anyone, and by their tag, and hold what a loader brings. `own` ones
 * belong to one process, which sets them: a set carries a value that a later mutation makes old, so there is one at a
 * time, none after one whose outcome is not known, and after some seconds another key takes its place.
 */
import { openSync, writeSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import * as ioredis6 from 'ioredis'
import * as ioredis5 from 'ioredis5'
import { createClient, createCluster, createSentinel } from 'redis'
import { createCache } from 'tierwheel'
import { redisBus } from 'tierwheel/bus/redis'
import { redisTier } from 'tierwheel/tiers/redis'
import { randomFrom } from '../../../bench/workloads/random.js'

/**
 * @typedef {object} Order
 * @property {string} name
 * @property {number} place
 * @property {number} places how many processes there are
 * @property {string} log
 * @property {number} seed
 * @property {number} slotMs how long an `own` key lasts
 * @property {boolean} isSecond a process of this place was killed: its `own` key is not touched before the next
 * @property {number} leaseMs
 * @property {number} thinkMs between two acts, in the mean
 * @property {number} writeShare
 * @property {import('./world.ts').Way} way
 */

const order = /** @type {Order} */ (JSON.parse(process.argv[2] ?? ''))
const SHARED = Array.from({ length: 6 }, (_, at) => `shared:${at}`)
const TAG = 'shared'
const LONGEST_LOAD_MS = 2_000
/** What wants to be written to an `own` key is written while this much of its time is left. */
const LAST_SET_MS = 2_000

const file = openSync(order.log, 'a')
const now = () => Number(process.hrtime.bigint()) / 1e6
/** @param {string} what @param {object} more */
const note = (what, more) => void writeSync(file, `${JSON.stringify({ t: now(), e: what, ...more })}\n`)
const random = randomFrom(String(order.seed))
/** @template T @param {readonly T[]} of */
const pick = (of) => /** @type {T} */ (of[Math.floor(random() * of.length)])
/** @param {number} meanMs */
const exponential = (meanMs) => -Math.log(1 - random()) * meanMs

let serial = 0
let waiting = 0
let isQuiet = false
const startedSlot = Math.floor(now() / order.slotMs)
/** `own` keys that are being set, or whose last mutation was rejected. */
const untouchable = new Set()

const { client, subscriber } = await connect(order.way)
const durability = order.way.kind === 'sentinel' ? order.way.durability : 'server'
const cache = createCache({
  tiers: [redisTier({ client, durability })],
  bus: redisBus({ client, subscriber }),
  ttl: '10m',
  lease: order.leaseMs,
  // Longer than a replica is waited for.
  tierTimeout: durability === 'replica' ? 1_000 : 300,
})
const overtakenAll = () => note('overtaken', {})
cache.on('bus.connected', overtakenAll)
cache.on('bus.gap', overtakenAll)
cache.on('entry.invalidated', ({ key }) => note('overtaken', { key }))

process.on('message', async (/** @type {'state' | 'go' | 'quiet' | 'settle'} */ what) => {
  if (what === 'go') for (let at = 0; at < 4; at++) void work()
  if (what === 'quiet') isQuiet = true
  if (what === 'settle') {
    // Everything works again: what is still wrong now will stay so.
    const keys = [...SHARED, ...Array.from({ length: order.places }, (_, place) => ownKeyOf(place))]
    for (let turn = 0; turn < 2; turn++) await Promise.all(keys.map((key) => read(key, 'getOrSet')))
    await Promise.all(keys.flatMap((key) => [read(key, 'get'), read(key, 'l1'), read(key, 'authority')]))
  }
  const { bus, copiesTrusted, tiers } = cache.health()
  const told = `bus ${bus?.error ?? 'well'}, tier ${tiers[0]?.breaker}`
  process.send?.({ what, isTrusted: copiesTrusted, waiting, told })
})
process.on('disconnect', () => process.exit())
process.send?.({ what: 'started', isTrusted: false, waiting, told: '' })

async function work() {
  for (;;) {
    await sleep(exponential(order.thinkMs))
    if (isQuiet) return
    const isShared = random() < 0.6
    const key = isShared ? pick(SHARED) : ownKeyOf(Math.floor(random() * order.places))
    if (random() >= order.writeShare) {
      void read(key, pick(['get', 'getMany', 'getOrSet', 'getOrSet', 'getOrSet', 'l1', 'authority']))
    } else if (isShared && random() < 0.1) void mutate(SHARED, true, undefined)
    else if (isShared) void mutate([key], false, undefined)
    else void change()
  }
}

/** @param {number} place */
function ownKeyOf(place) {
  return `own:${place}:${Math.floor(now() / order.slotMs)}`
}

/** Sets or deletes the key that is this process's own. */
async function change() {
  const key = ownKeyOf(order.place)
  const slot = Math.floor(now() / order.slotMs)
  const leftMs = (slot + 1) * order.slotMs - now()
  if (untouchable.has(key) || leftMs < LAST_SET_MS || (order.isSecond && slot === startedSlot)) return
  untouchable.add(key)
  const isTaken = await mutate([key], false, random() < 0.7 ? idOf() : undefined)
  if (isTaken) untouchable.delete(key)
}

/** @param {string[]} keys @param {boolean} isOfTag @param {string | undefined} value set under the one key */
async function mutate(keys, isOfTag, value) {
  const mutation = ++serial
  note('mutate', { m: mutation, keys, isOfTag, value })
  waiting++
  try {
    const [key] = keys
    if (isOfTag) await cache.deleteTags([TAG])
    else if (value !== undefined) await cache.set(String(key), value)
    else await cache.delete(String(key))
    note('acknowledged', { m: mutation })
    return true
  } catch (error) {
    note('rejected', { m: mutation, code: codeOf(error), message: String(error) })
    return false
  } finally {
    waiting--
  }
}

/** @param {string} key @param {string} how */
async function read(key, how) {
  const asked = ++serial
  note('ask', { a: asked, key, how })
  waiting++
  try {
    note('answer', { a: asked, value: await answerOf(key, how, asked) })
  } catch (error) {
    note('failed', { a: asked, code: codeOf(error), message: String(error) })
  } finally {
    waiting--
  }
}

/** @param {string} key @param {string} how @param {number} asked */
async function answerOf(key, how, asked) {
  if (how === 'l1') return cache.l1.get(key)
  if (how === 'get') return cache.get(key)
  if (how === 'authority') return cache.get(key, { skip: 'copies' })
  if (how === 'getMany') return (await cache.getMany([key, pick(SHARED)])).get(key)
  return cache.getOrSet(
    key,
    async () => {
      const value = idOf()
      note('load', { a: asked, value })
      await sleep(Math.min(exponential(pick([2, 20, 200])), LONGEST_LOAD_MS))
      note('loaded', { value })
      return value
    },
    key.startsWith(TAG) ? { tags: [TAG] } : {},
  )
}

function idOf() {
  return `${order.name}/${++serial}`
}

/** @param {unknown} error */
function codeOf(error) {
  return /** @type {{ code?: unknown }} */ (error)?.code
}

/** @param {Order['way']} way */
async function connect(way) {
  // The same constructors as far as they are used here; the types of two versions do not mix.
  const { Cluster, Redis } =
    way.library === 'ioredis5' ? /** @type {typeof ioredis6} */ (/** @type {unknown} */ (ioredis5)) : ioredis6
  const options = {
    maxRetriesPerRequest: 1,
    autoResendUnfulfilledCommands: false,
    retryStrategy: () => 50,
  }
  if (way.kind === 'sentinel' && way.library === 'node-redis') {
    const open = async () => {
      const one = createSentinel({
        name: way.name,
        sentinelRootNodes: way.ports.map((port) => ({ host: '127.0.0.1', port })),
        nodeClientOptions: {
          socket: { reconnectStrategy: () => 50, socketTimeout: 2_000 },
          pingInterval: 500,
        },
      })
      one.on('error', () => {})
      await one.connect()
      return one
    }
    return { client: await open(), subscriber: await open() }
  }
  if (way.kind === 'sentinel') {
    // Without failoverDetector: when it strikes while a connection is being made, ioredis 6.0 ends that for good.
    const sentinels = way.ports.map((port) => ({ host: '127.0.0.1', port }))
    const open = () =>
      hearing(
        new Redis({
          ...options,
          sentinels,
          name: way.name,
          sentinelRetryStrategy: () => 50,
          reconnectOnError: ({ message }) => message.startsWith('READONLY'),
        }),
      )
    return { client: open(), subscriber: open() }
  }
  if (way.kind === 'cluster' && way.library === 'node-redis') {
    const defaults = { socket: { reconnectStrategy: () => 50, socketTimeout: 2_000 }, pingInterval: 500 }
    const rootNodes = way.ports.map((port) => ({ socket: { host: '127.0.0.1', port } }))
    const cluster = hearing(createCluster({ rootNodes, defaults }))
    await cluster.connect()
    const port = /** @type {number} */ (way.ports[order.place % way.ports.length])
    const subscriber = hearing(
      createClient({ ...defaults, socket: { ...defaults.socket, host: '127.0.0.1', port } }),
    )
    await subscriber.connect()
    return { client: cluster, subscriber }
  }
  if (way.kind === 'cluster') {
    const cluster = new Cluster(
      way.ports.map((port) => ({ host: '127.0.0.1', port })),
      {
        clusterRetryStrategy: () => 50,
        slotsRefreshTimeout: 1_000,
        redisOptions: { maxRetriesPerRequest: 1 },
      },
    )
    const port = /** @type {number} */ (way.ports[order.place % way.ports.length])
    return { client: hearing(cluster), subscriber: hearing(new Redis({ ...options, port })) }
  }
  if (way.library !== 'node-redis') {
    const open = () => hearing(new Redis({ ...options, host: '127.0.0.1', port: way.port }))
    return { client: open(), subscriber: open() }
  }
  const open = async () => {
    const one = createClient({
      socket: { host: '127.0.0.1', port: way.port, reconnectStrategy: () => 50, socketTimeout: 2_000 },
      pingInterval: 500,
    })
    one.on('error', () => {})
    await one.connect()
    return one
  }
  return { client: await open(), subscriber: await open() }
}

/** @template {{ on(event: 'error', listener: () => void): unknown }} Client @param {Client} one */
function hearing(one) {
  one.on('error', () => {})
  return one
}
