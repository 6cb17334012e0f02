import { expect, test } from 'vitest'
import type { BusListener } from '../../../src/bus/bus.ts'
import { Recovery } from '../../../src/bus/recovery.ts'
import type { Stamp } from '../../../src/stamp.ts'
import { ManualClock } from '../../../src/testing/manual-clock.ts'
import { rest } from '../../support/caches.ts'

const at = (sequence: number, epoch = 1): Stamp => ({ partition: 0, epoch, sequence })

/** A recovery whose token comes round while `isUp`; `told` is what the listener hears. */
function open() {
  const clock = new ManualClock()
  const told: string[] = []
  const noted: Stamp[] = []
  const state = { isUp: true, proofs: 0, hasListener: true }
  const listener: BusListener = {
    onMessage: () => {},
    onEcho: () => {},
    onGap: (_partition, stamps, reason) => void told.push(`gap at ${stamps[0]?.sequence}: ${reason}`),
    onFailure: (error) => void told.push(`failure: ${error}`),
  }
  const recovery = new Recovery({
    clock,
    listener: () => (state.hasListener ? listener : undefined),
    prove: async (arrived) => {
      state.proofs++
      await Promise.resolve()
      if (!state.isUp) throw 'down'
      arrived([at(7)])
    },
    failureOf: (error) => `told ${error}`,
    noted: (stamp) => void noted.push(stamp),
  })
  return { clock, noted, recovery, state, told }
}

test('a bus that was lost tells its failure once, and a gap when it works again', async () => {
  const { clock, recovery, state, told } = open()
  state.isUp = false
  recovery.fail('cut')
  recovery.fail('cut again')
  recovery.begin('the connection was lost')
  await rest()
  expect([told, recovery.isDown, recovery.isIdle]).toEqual([['failure: told cut'], true, false])
  state.isUp = true
  await clock.run(100)
  await rest()
  expect(told).toEqual(['failure: told cut', 'gap at 7: the connection was lost'])
  expect([recovery.isDown, recovery.isIdle]).toEqual([false, true])
})

test('a failure that nothing follows is looked into all the same', async () => {
  const { clock, recovery, state, told } = open()
  recovery.fail('doubted')
  await rest()
  expect([state.proofs, recovery.isDown]).toEqual([0, true])
  await clock.run(100)
  await rest()
  expect(told).toEqual(['failure: told doubted', 'gap at 7: the connection was in doubt'])
  expect([state.proofs, recovery.isDown, recovery.isIdle]).toEqual([1, false, true])
})

test('a connection that is there again while the token is on its way costs no second one', async () => {
  const { clock, recovery, state, told } = open()
  recovery.begin('the connection was in doubt')
  recovery.fail('cut')
  recovery.begin('the connection was lost')
  await clock.run(60_000)
  await rest()
  expect([state.proofs, told.length, recovery.isIdle]).toEqual([1, 2, true])
})

test('a failure right behind the token is looked into as well', async () => {
  const { clock, recovery, state, told } = open()
  recovery.begin('lost')
  await Promise.resolve()
  await Promise.resolve()
  expect(told).toEqual(['gap at 7: lost'])
  recovery.fail('doubted')
  await rest()
  expect([state.proofs, recovery.isDown]).toEqual([1, true])
  await clock.run(100)
  await rest()
  expect([state.proofs, recovery.isDown]).toEqual([2, false])
})

test('it is tried ever more rarely, up to every five seconds', async () => {
  const { clock, recovery, state } = open()
  state.isUp = false
  recovery.begin('lost')
  for (const [ms, proofs] of [
    [0, 1],
    [100, 2],
    [200, 3],
    [400, 4],
    [800, 5],
    [1_600, 6],
    [3_200, 7],
    [5_000, 8],
  ] as const) {
    await clock.run(ms)
    await rest()
    expect(state.proofs, `after another ${ms} ms`).toBe(proofs)
  }
  await clock.run(5_000)
  await rest()
  expect(state.proofs).toBe(9)
})

test('one at a time; what is wanted meanwhile comes after it', async () => {
  const { clock, recovery, state, told } = open()
  recovery.begin('first')
  recovery.begin('second')
  recovery.soon('third')
  await rest()
  expect([state.proofs, told]).toEqual([1, ['gap at 7: first']])
  await clock.run(100)
  await rest()
  expect([state.proofs, told]).toEqual([2, ['gap at 7: first', 'gap at 7: third']])
})

test('many reasons in a while cost one token', async () => {
  const { clock, recovery, state } = open()
  for (let times = 0; times < 50; times++) recovery.soon('a message could not be read')
  expect(recovery.isIdle).toBe(false)
  await clock.run(100)
  await rest()
  expect(state.proofs).toBe(1)
})

test('an echo from before what was heard: part of the order is lost', async () => {
  const { clock, noted, recovery, told } = open()
  recovery.hear(at(5))
  recovery.hear(at(4))
  expect(recovery.hearEcho([at(5)])).toBe(false)
  expect(recovery.hearEcho([at(4)])).toBe(true)
  // The server stands there now: the same again is no news.
  expect(recovery.hearEcho([at(4)])).toBe(false)
  expect(recovery.hearEcho([at(1, 2)])).toBe(false)
  expect(noted).toEqual([at(5), at(4), at(5), at(4), at(4), at(1, 2)])
  await clock.run(100)
  await rest()
  expect(told).toEqual(['gap at 7: the server has lost part of the order'])
})

test('after the end nothing is tried or told', async () => {
  const { clock, recovery, state, told } = open()
  state.isUp = false
  recovery.begin('lost')
  state.hasListener = false
  await rest()
  recovery.soon('late')
  recovery.end()
  await clock.run(60_000)
  await rest()
  expect([state.proofs, told]).toEqual([1, []])
})
