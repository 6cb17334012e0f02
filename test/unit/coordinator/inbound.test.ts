import { describe, expect, test } from 'vitest'
import type { Bus, BusListener } from '../../../src/bus/bus.ts'
import { defaultLimits, Guard } from '../../../src/coordinator/guard.ts'
import { Inbound, type InboundTarget } from '../../../src/coordinator/inbound.ts'
import { decodeMessage, encodeMessage, type Message } from '../../../src/message.ts'
import { Events } from '../../../src/metrics/events.ts'
import { systemRandom } from '../../../src/random.ts'
import type { Stamp } from '../../../src/stamp.ts'
import { ManualClock } from '../../../src/testing/manual-clock.ts'
import type { Ledger } from '../../../src/tiers/ledger.ts'
import { rest } from '../../support/caches.ts'
import { damaged } from '../../support/damage.ts'

const OWN = '00000000000000aa'
const OTHER = '00000000000000bb'
const at = (sequence: number, epoch = 1): Stamp => ({ partition: 0, epoch, sequence })
const message = (sequence: number, changes: Partial<Message> = {}): Message => ({
  op: 'delete',
  keys: [`key ${sequence}`],
  stamp: at(sequence),
  after: sequence - 1,
  origin: OTHER,
  serial: 1,
  ...changes,
})

interface Faults {
  subscribe?: (attempt: number) => Promise<Stamp[]>
  since?: () => Promise<Message[] | 'gap'>
  /** Whether a probe comes back over the bus by itself. */
  echoes?: boolean
}

/** An inbound on a bus that does what the test says, and what it told its target. */
async function listening({
  subscribe = async () => [at(10)],
  since = async () => 'gap',
  echoes = true,
}: Faults = {}) {
  const told: string[] = []
  const tokens: string[] = []
  const floors: Stamp[] = []
  let goodUntil = Number.NEGATIVE_INFINITY
  const target: InboundTarget = {
    dropKeys: ({ keys, stamp }) => told.push(`drop ${keys} at ${stamp.sequence}`),
    invalidateTags: ({ op, keys, stamp }) => told.push(`${op} ${keys.join(' ')} ${stamp.sequence}`),
    clearPrefix: (prefix, stamp, isNews) =>
      told.push(`clear ${prefix} at ${stamp.sequence}${isNews ? '' : ', no news'}`),
    isUnsettled: ({ serial }) => serial === 99,
    suspect: (stamp) => {
      told.push(`suspect below ${stamp.sequence} of ${stamp.epoch}`)
      floors.unshift(stamp)
      return floors[1]?.epoch === stamp.epoch ? floors[1] : undefined
    },
    restart: (stamp, heard) => told.push(`restart from ${stamp.sequence}, heard ${heard.sequence}`),
    absolve: (stamp, earlier) => told.push(`absolve from ${stamp.sequence} to ${earlier.sequence}`),
    renewed: (until) => {
      goodUntil = until
    },
  }
  let listener: BusListener | undefined
  let attempts = 0
  const bus = {
    name: 'bus',
    subscribe: (given: BusListener) => {
      listener = given
      return subscribe(++attempts)
    },
    close: async () => {},
  } as unknown as Bus
  const ledger = {
    since,
    probe: async (token: string) => {
      tokens.push(token)
      if (echoes) listener?.onEcho(token, [])
      return []
    },
  } as unknown as Ledger
  const clock = new ManualClock()
  const events = new Events()
  events.on('bus.gap', ({ reason }) => told.push(`gap: ${reason}`))
  events.on('bus.failed', () => told.push('failed'))
  events.on('bus.connected', () => told.push('connected'))
  const inbound = new Inbound({
    bus,
    ledger,
    guard: new Guard('bus', clock, events, defaultLimits),
    origin: OWN,
    target,
    leaseMs: 3_000,
    clock,
    random: systemRandom,
    events,
  })
  await rest()
  return {
    inbound,
    told,
    tokens,
    clock,
    listener: listener as BusListener,
    attempts: () => attempts,
    goodFor: () => goodUntil - clock.now(),
  }
}

describe('what the bus tells', () => {
  test('damaged on the way, at any byte, takes its key along no later than the next proof', async () => {
    let read = 0
    for (const [what, bytes] of damaged(encodeMessage(message(11)))) {
      const { told, listener } = await listening()
      told.length = 0
      const heard = decodeMessage(bytes)
      // What can not be read is told by the bus as a gap.
      if (heard === undefined) continue
      read++
      listener.onMessage(heard)
      listener.onEcho('proof', [at(11)])
      const isGone = told.some((said) => /^drop key 11 at|^suspect below \d+ of/.test(said))
      expect(isGone, `${what}: ${told.join('; ')}`).toBe(true)
    }
    expect(read).toBeGreaterThan(20)
  })

  test('is followed from where it goes on, also if that lies before what was heard: a message can be made up', async () => {
    const { told, inbound, listener } = await listening()
    listener.onMessage(message(11))
    listener.onMessage(message(7, { stamp: at(7, 9_999) }))
    expect(inbound.heard(0)).toEqual(at(7, 9_999))
    told.length = 0
    listener.onGap(undefined, [at(11)], 'a look around')
    expect(inbound.heard(0)).toEqual(at(11))
    expect(told).toContain('restart from 11, heard 7')
    told.length = 0
    listener.onMessage(message(12))
    expect(told).toEqual(['drop key 12 at 12'])
  })

  test('is followed from where the bus began', async () => {
    const { told, inbound, listener } = await listening()
    expect(told.splice(0)).toEqual(['suspect below 10 of 1', 'connected'])
    listener.onMessage(message(11))
    listener.onMessage(message(12, { op: 'clear', keys: ['shop:'] }))
    expect(told).toEqual(['drop key 11 at 11', 'clear shop: at 12'])
    expect(inbound.heard(0)).toEqual(at(12))
  })

  test('rule 3.1.22: twice is ignored, and so are keys that this cache changed itself; its clears are not', async () => {
    const { told, listener } = await listening()
    told.length = 0
    listener.onMessage(message(11))
    listener.onMessage(message(11))
    listener.onMessage(message(12, { origin: OWN }))
    listener.onMessage(message(13, { origin: OWN, op: 'clear', keys: [''] }))
    expect(told).toEqual(['drop key 11 at 11', 'clear  at 13, no news'])
  })

  test('is news when it is a mutation of this cache that was given up', async () => {
    const { told, listener } = await listening()
    told.length = 0
    listener.onMessage(message(11, { origin: OWN, serial: 99 }))
    expect(told).toEqual(['drop key 11 at 11'])
  })

  test('with a hole in it makes everything older suspect', async () => {
    const { told, listener } = await listening()
    told.length = 0
    listener.onMessage(message(13))
    await rest()
    expect(told).toEqual(['suspect below 13 of 1', 'gap: mutations after 10 and up to 13 were not heard'])
  })

  test('of another history, in which what was heard is no place, makes everything older suspect', async () => {
    const { told, listener } = await listening()
    told.length = 0
    listener.onMessage(message(500, { after: 9 }))
    await rest()
    expect(told).toEqual(['suspect below 500 of 1', 'gap: mutations after 10 and up to 500 were not heard'])
  })

  test('sequences need not be dense: `after` decides', async () => {
    const { told, listener } = await listening()
    told.length = 0
    listener.onMessage(message(500, { after: 10 }))
    expect(told).toEqual(['drop key 500 at 500'])
  })

  test('of a new epoch makes everything suspect, of an old one nothing', async () => {
    const { told, listener } = await listening()
    told.length = 0
    listener.onMessage(message(3, { stamp: at(3, 2) }))
    listener.onMessage(message(12, { stamp: at(12, 1) }))
    expect(told).toEqual(['suspect below 3 of 2', 'gap: the authority began a new epoch'])
  })

  test('before it is known from where is kept until then', async () => {
    let begin: (stamps: Stamp[]) => void = () => {}
    const { told, listener } = await listening({
      subscribe: () => new Promise((resolve) => (begin = resolve)),
    })
    listener.onMessage(message(11))
    begin([at(10)])
    await rest()
    expect(told).toEqual(['suspect below 10 of 1', 'connected', 'drop key 11 at 11'])
  })

  test('before a gap is nothing beside where the bus goes on behind it', async () => {
    let began = (_: Stamp[]): void => {}
    const { told, listener } = await listening({
      subscribe: () => new Promise((resolve) => (began = resolve)),
    })
    listener.onMessage(message(99, { stamp: at(99, 2) }))
    listener.onGap(undefined, [at(20)], 'the connection was lost')
    began([at(20)])
    await rest()
    expect(told).toEqual(['suspect below 20 of 1', 'gap: the connection was lost', 'connected'])
  })

  test('with a hole that the log still knows leaves only its keys gone', async () => {
    const { told, listener, inbound } = await listening({
      since: async () => [11, 12, 13, 14].map((sequence) => message(sequence)),
    })
    told.length = 0
    listener.onMessage(message(13))
    await rest()
    expect(told).toEqual([
      'suspect below 13 of 1',
      'gap: mutations after 10 and up to 13 were not heard',
      'absolve from 13 to 10',
      'drop key 11 at 11',
      'drop key 12 at 12',
      'drop key 13 at 13',
    ])
    expect(inbound.heard(0)).toEqual(at(13))
  })

  test.each([
    ['that does not begin where we stand', [12, 13]],
    ['with a hole of its own', [11, 13]],
    ['that ends too early', [11, 12]],
  ])('a log %s absolves nothing', async (_, sequences) => {
    const { told, listener } = await listening({
      since: async () => sequences.map((sequence) => message(sequence)),
    })
    told.length = 0
    listener.onMessage(message(13))
    await rest()
    expect(told).toEqual(['suspect below 13 of 1', 'gap: mutations after 10 and up to 13 were not heard'])
  })

  test('an echo that knows more than was heard shows a hole at the end of a silence', async () => {
    const { told, listener } = await listening()
    told.length = 0
    listener.onEcho('of another cache', [at(10)])
    expect(told).toEqual([])
    listener.onEcho('of another cache', [at(12)])
    expect(told).toEqual(['suspect below 12 of 1', 'gap: mutations after 10 and up to 12 were not heard'])
  })
})

describe('the lease', () => {
  test('is renewed three times as often as it needs, counted from when the proof was asked for', async () => {
    const { clock, goodFor, inbound } = await listening()
    expect(goodFor()).toBe(3_000)
    for (let turn = 0; turn < 10; turn++) {
      await clock.run(999)
      expect(goodFor()).toBe(2_001)
      await clock.run(1)
      expect(goodFor()).toBe(3_000)
    }
    expect(inbound.isConnected).toBe(true)
    await inbound.close()
    // What is left is the timer that all deadlines of the guard share.
    await clock.run(defaultLimits.deadlineMs)
    expect(clock.timers).toBe(0)
  })

  test('counts from when its token was sent, however long that was on its way', async () => {
    const { clock, goodFor, listener, tokens } = await listening({ echoes: false })
    await clock.run(1_000)
    await clock.run(900)
    expect(goodFor()).toBe(1_100)
    listener.onEcho(tokens[1] as string, [])
    expect(goodFor()).toBe(2_100)
    listener.onEcho(tokens[0] as string, [])
    listener.onEcho(tokens[1] as string, [])
    listener.onEcho('of somebody else', [])
    expect(goodFor(), 'an old or foreign token proves nothing new').toBe(2_100)
  })

  test('runs out when tokens do not come back, and then the bus is asked anew', async () => {
    const { clock, goodFor, inbound, attempts } = await listening({ echoes: false })
    await clock.run(2_999)
    expect(inbound.isConnected).toBe(true)
    expect(attempts()).toBe(1)
    await clock.run(1)
    expect(attempts(), 'three tokens are missing').toBe(2)
    expect(goodFor(), 'the bus answered when asked, which is a proof').toBe(3_000)
  })

  test('after a failure holds only when a token came back', async () => {
    const { told, inbound, listener, goodFor } = await listening()
    told.length = 0
    listener.onFailure(new Error('gone'))
    expect(inbound.isConnected).toBe(false)
    expect(inbound.error).toEqual(new Error('gone'))
    expect(goodFor()).toBe(Number.NEGATIVE_INFINITY)
    listener.onGap(undefined, [at(20)], 'reconnected')
    await rest()
    expect(told).toEqual([
      'failed',
      'suspect below 20 of 1',
      'gap: mutations after 10 and up to 20 were not heard',
      'gap: reconnected',
      'connected',
    ])
    expect(goodFor()).toBe(3_000)
    expect(inbound.error).toBeUndefined()
  })
})

test('a bus that can not be reached is tried again, ever more rarely', async () => {
  const { told, clock, attempts, inbound } = await listening({
    subscribe: async (attempt) => {
      if (attempt < 4) throw new Error('refused')
      return [at(1)]
    },
  })
  expect(told).toEqual(['failed'])
  await clock.run(100)
  expect(attempts()).toBe(2)
  await clock.run(199)
  expect(attempts()).toBe(2)
  await clock.run(1)
  expect(attempts()).toBe(3)
  await clock.run(400)
  expect(attempts()).toBe(4)
  expect(inbound.isConnected).toBe(true)
})
