// The shape of a run: what there is, what the processes do, which faults strike, and how values live. All of it is drawn
// from the seed. What comes last is drawn last, so that a seed keeps the rest of its shape when something is added.

import type { Key, Lifetimes } from './history.ts'
import type { Weather } from './network.ts'

/** All keys there are. */
export const NAMES: readonly Key[] = ['a', 'b', 'c', 7, '\ud800', 'd', 'e', 'f']

/** Nothing is lost, late or out of place. */
export const calm: Omit<Weather, 'latencyMs'> = {
  requestLost: 0,
  replyLost: 0,
  requestLate: 0,
  messageLost: 0,
  messageDoubled: 0,
  messageLate: 0,
  messageSwapped: 0,
}

/** How often faults strike, on average. */
export const everyMs = {
  stop: 15_000,
  kill: 20_000,
  hold: 8_000,
  deaf: 12_000,
  break: 10_000,
  outage: 20_000,
  flush: 20_000,
  forge: 15_000,
  evict: 8_000,
  failover: 25_000,
  'lossy failover': 15_000,
  flicker: 10_000,
  'slow source': 8_000,
  'two gaps': 6_000,
  'parted histories': 8_000,
  'late answers': 6_000,
  'late echoes': 8_000,
}
/** Several things that befall a process one after the other, at the worst of times: alone they would hardly ever meet. */
const scripted: readonly Trouble[] = ['slow source', 'two gaps', 'parted histories', 'late answers']
/** What came last. */
const latest: Trouble = 'late echoes'
/** A fault that strikes now and then. */
export type Trouble = keyof typeof everyMs

/** The shape of a run. */
export interface Plan {
  /** Nothing strikes. */
  readonly isHealthy: boolean
  readonly weather: Omit<Weather, 'latencyMs'>
  readonly troubles: readonly Trouble[]
  /** A server may take over that lacks the last moments. */
  readonly isLossy: boolean
  readonly hasTier: boolean
  readonly hasMachines: boolean
  readonly machineFails: number
  readonly masters: number
  readonly partitions: number
  readonly logMessages: number
  readonly nodes: number
  readonly keys: readonly Key[]
  readonly skew: number
  readonly l1Entries: number
  readonly latencyMs: number
  readonly thinkMs: number
  readonly writeShare: number
  readonly clearShare: number
  readonly burstShare: number
  readonly lifetimes: Lifetimes
  readonly longestLoadMs: number
  readonly loadMs: readonly number[]
  readonly loadFails: number
  readonly auditShare: number
  /** Every entry carries a tag of its key then, and a quarter of the mutations go by it. */
  readonly isTagged: boolean
  readonly shape: string
  /** How much of its ttl a value is old when it is renewed; `undefined` for never. */
  readonly refreshAhead: number | undefined
  readonly jitter: number
  readonly holdOffMs: number
  /** `undefined`: mutations that are not taken are rejected. */
  readonly maxQueuedBytes: number | undefined
  /** How often, after a mutation, another process is asked for nothing older. */
  readonly tokenShare: number
  /** Which share of the mutations depends on what is there. */
  readonly conditionShare: number
  /** Processes save what they have, and those that are begun again take it in. */
  readonly isWarm: boolean
  /** Entries are asked for with what is known of them. */
  readonly looksAtEntries: boolean
  readonly deletesMany: boolean
  /** Keys lie in the cache and in two namespaces. */
  readonly hasSpaces: boolean
  readonly hasLocks: boolean
}

/** How many times something was added at the end of what is drawn. */
export const EDITION = 4

/**
 * Draws the shape of a run.
 *
 * @param edition - As it was drawn then: what was added later is off, so that a seed goes on telling what it told.
 */
export function planOf(random: () => number, edition: number = EDITION): Plan {
  const pick = <T>(of: readonly T[]): T => of[Math.floor(random() * of.length)] as T
  const isHealthy = random() < 0.08
  const shape: string[] = []
  const isOn = (name: string, share = 0.5): boolean => {
    const on = random() < share && !isHealthy
    if (on) shape.push(name)
    return on
  }
  const rate = (name: string, share: number): number => (isOn(name) ? share * (0.2 + random()) : 0)
  const weather = {
    requestLost: rate('lost requests', 0.02),
    replyLost: rate('lost replies', 0.02),
    requestLate: rate('late requests', 0.03),
    messageLost: rate('lost messages', 0.1),
    messageDoubled: rate('doubled messages', 0.1),
    messageLate: rate('late messages', 0.05),
    messageSwapped: rate('swapped messages', 0.1),
  }
  const strikes = (trouble: Trouble): boolean => {
    const isLossy = trouble === 'lossy failover' || trouble === 'parted histories'
    return isOn(trouble, isLossy ? 0.25 : 0.5)
  }
  const troubles = (Object.keys(everyMs) as Trouble[]).filter(
    (trouble) =>
      trouble !== 'flicker' && trouble !== latest && !scripted.includes(trouble) && strikes(trouble),
  )
  const hasTier = random() < 0.85
  const hasMachines = hasTier && random() < 0.5
  const masters = random() < 0.3 ? 3 : 1
  const ttlMs = pick([Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY, 800, 5_000])
  const isTimed = ttlMs < Number.POSITIVE_INFINITY
  const drawn = {
    ttlMs,
    staleWhileRevalidateMs: isTimed ? pick([0, 0, 1_000]) : 0,
    staleIfErrorMs: isTimed ? pick([0, 5_000]) : 0,
    loadTimeoutMs: pick([Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY, 1_000]),
    failureThrottleMs: pick([0, 1_000]),
  }
  const longestLoadMs = pick([50, 2_000, 8_000])
  if (hasMachines) shape.push('machine tier')
  if (masters > 1) shape.push('cluster')
  const first = {
    isHealthy,
    weather,
    troubles,
    hasTier,
    hasMachines,
    machineFails: pick([0, 0.05]),
    masters,
    partitions: pick([3, 4, 6]),
    logMessages: pick([5, 20, 200]),
    nodes: 2 + Math.floor(random() ** 2 * 7),
    keys: NAMES.slice(0, pick([2, 5, 8])),
    skew: pick([1, 2]),
    l1Entries: pick([2, 4, 100]),
    latencyMs: pick([0.3, 1, 5]),
    thinkMs: pick([50, 150, 400]),
    writeShare: pick([0.003, 0.01, 0.03, 0.08]),
    clearShare: pick([0.02, 0.15]),
    burstShare: pick([0, 0.1, 0.3]),
    longestLoadMs,
    loadMs: pick([[5], [5, 50], [5, 500, 3_000]]),
    loadFails: pick([0, 0, 0.2]),
    auditShare: pick([0, 0.05, 1]),
    isTagged: random() < 0.5,
  }
  const second = {
    lifetimes: {
      ...drawn,
      loadLeaseMs: 0,
      softLoadTimeoutMs: pick([Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY, 200]),
    },
    refreshAhead: isTimed && random() < 0.3 ? 0.5 : undefined,
    jitter: pick([0, 0, 0.2]),
    holdOffMs: pick([0, 0, 500]),
    maxQueuedBytes: random() < 0.3 ? pick([400, 100_000]) : undefined,
    // What is forged hides what follows for up to a lease, from those who bring a token as well.
    tokenShare: troubles.includes('forge') ? 0 : pick([0, 0.5]),
    conditionShare: pick([0, 0.3]),
    isWarm: !isHealthy && random() < 0.5,
  }
  if (edition > 1 && isOn('flicker')) troubles.push('flicker')
  const isDrawn = (name: string): boolean => {
    const on = edition > 1 && random() < 0.5
    if (on) shape.push(name)
    return on
  }
  const third = {
    lifetimes: {
      ...second.lifetimes,
      loadLeaseMs: hasTier && isDrawn('load leases') ? pick([1_000, 5_000]) : 0,
    },
    looksAtEntries: isDrawn('entries'),
    deletesMany: isDrawn('many'),
    hasSpaces: isDrawn('namespaces'),
    hasLocks: hasTier && isDrawn('locks'),
  }
  if (edition > 2) troubles.push(...scripted.filter(strikes))
  if (edition > 3 && strikes(latest)) troubles.push(latest)
  return {
    ...first,
    ...second,
    ...third,
    isLossy: troubles.includes('lossy failover') || troubles.includes('parted histories'),
    shape: `${shape.join(', ') || 'nothing'}; ${hasTier ? 'a tier' : 'a bus alone'}`,
  }
}
