import { describe, expect, test } from 'vitest'
import { faultsByChance, flakyTier, ManualClock } from '../../../src/testing/index.ts'
import { Hub, memoryTier } from '../../../src/tiers/memory.ts'

const bytes = new TextEncoder().encode('value')
const write = { key: 'key', bytes, remainingMs: Infinity }
const origin = { id: '0123456789abcdef', serial: 1 }

/** What a promise has come to, given every chance that needs no time. */
async function outcomeOf(
  promise: Promise<unknown>,
  clock: ManualClock,
): Promise<'pending' | 'done' | 'failed'> {
  let outcome: 'pending' | 'done' | 'failed' = 'pending'
  promise.then(
    () => (outcome = 'done'),
    () => (outcome = 'failed'),
  )
  await clock.run(0)
  return outcome
}

describe('flakyTier', () => {
  test('without a plan every call works, and is counted', async () => {
    const tier = flakyTier(memoryTier())
    await tier.set(write)
    expect((await tier.get('key'))?.bytes).toEqual(bytes)
    expect(await tier.getMany(['key', 'missing'])).toHaveLength(2)
    await tier.setMany([{ ...write, key: 'many' }])
    expect(await tier.add(write)).toBe(false)
    expect(await tier.compareAndSet(write, bytes)).toBe(true)
    await tier.set({ ...write, key: 'number', bytes: new TextEncoder().encode('41') })
    expect(await tier.increment('number', 1, 0)).toBe(42)
    expect(await tier.touch('key', 1)).toBe(true)
    expect(await tier.delete('many')).toBe(true)
    expect(await tier.deleteMany(['key', 'number'])).toBeGreaterThan(0)
    await tier.clear('')
    expect(await tier.prune()).toBe(0)
    await tier.close()
    await expect(tier.get('key')).rejects.toMatchObject({ code: 'CACHE_CLOSED' })
    expect([tier.countOf(), tier.countOf('set'), tier.countOf('get'), tier.countOf('nothing')]).toEqual([
      15, 2, 2, 0,
    ])
  })

  test('it shows name, scope and abilities of what it wraps', () => {
    const inner = memoryTier({ scope: 'fleet' })
    const tier = flakyTier(inner)
    expect([tier.name, tier.scope, tier.supports, tier.ledger]).toEqual([
      'memory',
      'fleet',
      inner.supports,
      undefined,
    ])
  })

  for (const [fault, outcome, isDone] of [
    ['fail', 'failed', false],
    ['hang', 'pending', false],
    ['fail-after', 'failed', true],
    ['hang-after', 'pending', true],
  ] as const) {
    test(`'${fault}' leaves a call ${outcome}, and it is ${isDone ? 'done' : 'not done'}`, async () => {
      const clock = new ManualClock()
      const inner = memoryTier({ clock })
      const tier = flakyTier(inner, { clock, plan: () => fault })
      expect(await outcomeOf(tier.set(write), clock)).toBe(outcome)
      expect((await inner.get('key')) !== undefined).toBe(isDone)
      tier.plan = () => 'work'
      expect(await outcomeOf(tier.get('key'), clock)).toBe('done')
    })
  }

  test('a fault strikes the call with its number, or the method it names', async () => {
    const tier = flakyTier(memoryTier(), { plan: ({ number }) => (number === 2 ? 'fail' : 'work') })
    await tier.get('key')
    await expect(tier.get('key')).rejects.toThrow('memory tier: get failed as planned')
    await tier.get('key')
    tier.plan = ({ method }) => (method === 'delete' ? 'fail' : 'work')
    await tier.set(write)
    await expect(tier.delete('key')).rejects.toThrow('delete failed as planned')
    expect(await tier.get('key')).toBeDefined()
  })

  test('delays pass on the clock, before the call and before its answer', async () => {
    const clock = new ManualClock()
    const inner = memoryTier({ clock })
    const tier = flakyTier(inner, { clock, plan: () => ({ delayMs: 100, answerDelayMs: 50 }) })
    const set = tier.set(write)
    await clock.run(99)
    expect(await inner.get('key')).toBeUndefined()
    await clock.run(1)
    expect(await inner.get('key')).toBeDefined()
    expect(await outcomeOf(set, clock)).toBe('pending')
    await clock.run(50)
    expect(await outcomeOf(set, clock)).toBe('done')
    expect(clock.timers).toBe(0)
  })

  test('the ledger of the tier fails by the same plan', async () => {
    const hub = new Hub()
    const tier = flakyTier(memoryTier({ hub }))
    const ledger = tier.ledger
    if (ledger === undefined) throw new Error('a tier on a hub is a ledger')
    expect([ledger.channel, ledger.partitions, ledger.keepsData]).toEqual([hub.channel, 16, true])
    tier.plan = ({ method }) => (method === 'ledger.commit' ? 'fail-after' : 'work')
    const commit = ledger.commit({ op: 'set', key: 'key', bytes, remainingMs: Infinity }, origin)
    await expect(commit).rejects.toThrow('ledger.commit was done')
    const [reading] = await ledger.read(['key'])
    expect(reading?.entry?.bytes).toEqual(bytes)
    if (reading === undefined) throw new Error('a reading for each key')
    expect(await ledger.populate(write, reading.asOf)).toBe('stored')
    expect(await ledger.since(reading.asOf)).toEqual([])
    expect(await ledger.probe('token')).toHaveLength(17)
    expect(tier.countOf('ledger.read')).toBe(1)
  })
})

describe('faultsByChance', () => {
  const calls = Array.from({ length: 4_000 }, (_, at) => ({ number: at + 1, method: 'get' }))

  test('the same seed gives the same faults, another seed others', () => {
    const of = (seed: number) => calls.map(faultsByChance({ seed, fail: 0.2, hang: 0.1, maxDelayMs: 10 }))
    expect(of(1)).toEqual(of(1))
    expect(of(1)).not.toEqual(of(2))
  })

  test('faults come as often as was asked, with SEED=7', () => {
    const plan = faultsByChance({
      seed: 7,
      fail: 0.4,
      hang: 0.2,
      failAfter: 0.1,
      hangAfter: 0.05,
      maxDelayMs: 10,
    })
    const counts = new Map<string, number>()
    for (const call of calls) {
      const decision = plan(call)
      if (typeof decision === 'string') throw new Error('it says delays as well')
      counts.set(decision.fault ?? '', (counts.get(decision.fault ?? '') ?? 0) + 1)
      expect(decision.delayMs).toBeGreaterThanOrEqual(0)
      expect(decision.delayMs).toBeLessThan(10)
    }
    for (const [fault, share] of [
      ['fail', 0.4],
      ['hang', 0.2],
      ['fail-after', 0.1],
      ['hang-after', 0.05],
      ['work', 0.25],
    ] as const) {
      expect(Math.abs((counts.get(fault) ?? 0) / calls.length - share), `SEED=7 ${fault}`).toBeLessThan(0.03)
    }
  })

  test('close is spared, and chances above 1 are refused', () => {
    const plan = faultsByChance({ seed: 1, hang: 1 })
    expect(plan({ number: 1, method: 'close' })).toBe('work')
    expect(plan({ number: 2, method: 'get' })).toMatchObject({ fault: 'hang' })
    expect(() => faultsByChance({ seed: 1, hang: 0.6, fail: 0.6 })).toThrow(RangeError)
  })
})
