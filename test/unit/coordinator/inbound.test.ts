import { describe, expect, test } from 'vitest'
import type { Bus, BusListener } from '../../../src/bus/bus.ts'
import { Inbound, type InboundTarget } from '../../../src/coordinator/inbound.ts'
import type { Message } from '../../../src/message.ts'
import { Events } from '../../../src/metrics/events.ts'
import type { Stamp } from '../../../src/stamp.ts'
import { ManualClock } from '../../../src/testing/manual-clock.ts'
import { rest } from '../../support/caches.ts'

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

/** An inbound on a bus that does what the test says, and what it told its target. */
async function listening(subscribe: (attempt: number) => Promise<Stamp[]> = async () => [at(10)]) {
  const told: string[] = []
  const target: InboundTarget = {
    dropKeys: (keys, stamp) => told.push(`drop ${keys} at ${stamp.sequence}`),
    clearPrefix: (prefix, stamp, isNews) =>
      told.push(`clear ${prefix} at ${stamp.sequence}${isNews ? '' : ', no news'}`),
    isUnsettled: (serial) => serial === 99,
    suspect: (stamp) => told.push(`suspect below ${stamp.sequence} of ${stamp.epoch}`),
    trust: (isTrusted) => told.push(`trust ${isTrusted}`),
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
  const clock = new ManualClock()
  const events = new Events()
  events.on('bus.gap', ({ reason }) => told.push(`gap: ${reason}`))
  events.on('bus.failed', () => told.push('failed'))
  const inbound = new Inbound(bus, OWN, target, clock, events)
  await rest()
  return { inbound, told, clock, listener: listener as BusListener, attempts: () => attempts }
}

describe('what the bus tells', () => {
  test('is followed from where the bus began', async () => {
    const { told, inbound, listener } = await listening()
    expect(told.splice(0)).toEqual(['suspect below 10 of 1', 'trust true'])
    listener.onMessage(message(11))
    listener.onMessage(message(12, { op: 'clear', keys: ['shop:'] }))
    expect(told).toEqual(['drop key 11 at 11', 'clear shop: at 12'])
    expect(inbound.heard(0)).toEqual(at(12))
  })

  test('twice is ignored, and so are keys that this cache changed itself; its clears are not', async () => {
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
    expect(told).toEqual(['suspect below 13 of 1', 'gap: mutations 10 to 12 were not heard'])
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
    const { told, listener } = await listening(() => new Promise((resolve) => (begin = resolve)))
    listener.onMessage(message(11))
    begin([at(10)])
    await rest()
    expect(told).toEqual(['suspect below 10 of 1', 'trust true', 'drop key 11 at 11'])
  })

  test('after a failure, copies are trusted only when the gap is told', async () => {
    const { told, inbound, listener } = await listening()
    told.length = 0
    listener.onFailure(new Error('gone'))
    expect(inbound.isConnected).toBe(false)
    expect(inbound.error).toEqual(new Error('gone'))
    listener.onGap(undefined, [at(20)], 'reconnected')
    expect(told).toEqual(['trust false', 'failed', 'suspect below 20 of 1', 'gap: reconnected', 'trust true'])
    expect(inbound.error).toBeUndefined()
  })
})

test('a bus that can not be reached is tried again, ever more rarely', async () => {
  const { told, clock, attempts, inbound } = await listening(async (attempt) => {
    if (attempt < 4) throw new Error('refused')
    return [at(1)]
  })
  expect(told).toEqual(['trust false', 'failed'])
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
