import { expect, test } from 'vitest'
import { type FlakyTier, flakyTier } from '../../../src/testing/chaos.ts'
import { ManualClock } from '../../../src/testing/manual-clock.ts'
import { type FailoverChange, failoverTier } from '../../../src/tiers/failover.ts'
import { memoryTier } from '../../../src/tiers/memory.ts'
import type { Tier, TierEntry } from '../../../src/tiers/tier.ts'
import { seed } from '../../support/seed.ts'
import { seededRandom } from '../../support/seeded-random.ts'

const write = (key: string, text: string) => ({
  key,
  bytes: new TextEncoder().encode(text),
  remainingMs: Number.POSITIVE_INFINITY,
})
const textOf = (entry: TierEntry | undefined) => entry && new TextDecoder().decode(entry.bytes)

interface Scene {
  readonly first: FlakyTier
  readonly second: FlakyTier
  readonly pair: Tier
  readonly clock: ManualClock
  readonly changes: FailoverChange[]
}

function open(): Scene {
  const clock = new ManualClock()
  const [first, second] = [
    flakyTier(memoryTier({ clock }), { clock }),
    flakyTier(memoryTier({ clock }), { clock }),
  ]
  const changes: FailoverChange[] = []
  const pair = failoverTier(first, second, { clock, onChange: (change) => changes.push(change) })
  return { first, second, pair, clock, changes }
}

test('while the first works the second is not read, and has what the first has', async () => {
  const { second, pair } = open()
  await pair.setMany([write('a', '1'), write('b', '2')])
  expect((await pair.getMany(['a', 'b', 'c'])).map(textOf)).toEqual(['1', '2', undefined])
  expect(second.countOf('get') + second.countOf('getMany')).toBe(0)
  expect((await second.getMany(['a', 'b'])).map(textOf)).toEqual(['1', '2'])
  expect(await pair.add(write('a', 'x'))).toBe(false)
  expect(textOf(await second.get('a'))).toBe('1')
})

test('when the first fails the second answers, and the first is left alone for a while', async () => {
  const { first, pair, clock, changes } = open()
  await pair.set(write('key', 'value'))
  first.plan = () => 'fail'
  expect(textOf(await pair.get('key'))).toBe('value')
  const calls = first.countOf()
  expect(textOf(await pair.get('key'))).toBe('value')
  expect(first.countOf()).toBe(calls)
  await clock.advance(1_000)
  expect(textOf(await pair.get('key'))).toBe('value')
  expect(first.countOf()).toBe(calls + 1)
  expect(changes.map(({ isUp }) => isUp)).toEqual([false])
})

test('a first that hangs costs its deadline once', async () => {
  const { first, pair, clock } = open()
  await pair.set(write('key', 'value'))
  first.plan = () => 'hang'
  const got = pair.get('key')
  await clock.run(0)
  await clock.advance(200)
  expect(textOf(await got)).toBe('value')
  expect(textOf(await pair.get('key'))).toBe('value')
})

test('what changed while the first was away is not read from it when it is back', async () => {
  const { first, second, pair, clock, changes } = open()
  await pair.setMany(['set', 'deleted', 'touched', 'counted', 'kept'].map((key) => write(key, '1')))
  first.plan = () => 'fail'
  await pair.set(write('set', '2'))
  expect(await pair.delete('deleted')).toBe(true)
  expect(await pair.increment('counted', 1, 0)).toBe(2)
  first.plan = () => 'work'
  await clock.advance(1_000)
  const keys = ['set', 'deleted', 'counted', 'kept']
  expect((await pair.getMany(keys)).map(textOf)).toEqual(['2', undefined, '2', '1'])
  expect(changes.map(({ isUp }) => isUp)).toEqual([false, true])
  expect((await first.getMany(['set', 'deleted', 'counted'])).map(textOf)).toEqual([
    undefined,
    undefined,
    undefined,
  ])
  // And the other way round: the second missed something, and then it is needed.
  second.plan = () => 'fail'
  await pair.set(write('kept', '3'))
  second.plan = () => 'work'
  await clock.advance(1_000)
  first.plan = () => 'fail'
  expect(await pair.get('kept')).toBeUndefined()
  expect(textOf(await second.get('kept')), 'removed there').toBeUndefined()
})

test('a clear that one of them missed is made up for before it is read', async () => {
  const { first, pair, clock } = open()
  await pair.setMany([write('a:1', '1'), write('b:1', '1')])
  first.plan = () => 'fail'
  await pair.clear('a:')
  first.plan = () => 'work'
  await clock.advance(1_000)
  expect((await pair.getMany(['a:1', 'b:1'])).map(textOf)).toEqual([undefined, '1'])
})

test('more keys missed than are remembered put all of that tier in doubt', async () => {
  const { first, pair, clock } = open()
  await pair.set(write('old', '1'))
  first.plan = () => 'fail'
  for (let at = 0; at < 10_001; at += 500) {
    await pair.deleteMany(Array.from({ length: 500 }, (_, turn) => `key:${at + turn}`))
  }
  await pair.set(write('old', '2'))
  first.plan = () => 'work'
  await clock.advance(1_000)
  expect(textOf(await pair.get('old'))).toBe('2')
  expect(await first.get('old'), 'cleared').toBeUndefined()
})

test('what one of them refuses is refused, and neither has the old entry', async () => {
  const { first, second, pair } = open()
  await pair.set(write('key', 'old'))
  first.set = async () => {
    throw new RangeError('too large')
  }
  await expect(pair.set(write('key', 'larger'))).rejects.toThrow(RangeError)
  expect(await pair.get('key')).toBeUndefined()
  expect(await second.get('key')).toBeUndefined()
})

test('when both fail, the call does', async () => {
  const { first, second, pair } = open()
  first.plan = second.plan = () => 'fail'
  for (const call of [
    () => pair.get('key'),
    () => pair.set(write('key', 'value')),
    () => pair.add(write('key', 'value')),
    () => pair.delete('key'),
    () => pair.clear(''),
  ]) {
    await expect(call()).rejects.toMatchObject({ code: 'CACHE_TIER_FAILED', tier: 'failover' })
  }
})

test('whatever fails when, no read is older than the last change that was taken', async () => {
  const random = seededRandom(seed)
  const { first, second, pair, clock } = open()
  const model = new Map<string, string | undefined>()
  const unsure = new Set<string>()
  const keys = ['a', 'b', 'c', 'd']
  for (let step = 0; step < 4_000; step++) {
    if (random() < 0.05)
      first.plan = random() < 0.5 ? () => 'work' : () => (random() < 0.5 ? 'fail' : 'fail-after')
    if (random() < 0.05)
      second.plan = random() < 0.7 ? () => 'work' : () => (random() < 0.5 ? 'fail' : 'fail-after')
    if (random() < 0.1) await clock.advance(1_000)
    const key = keys[Math.floor(random() * keys.length)] as string
    const drawn = random()
    try {
      if (drawn < 0.3) {
        const value = `${step}`
        unsure.add(key)
        await pair.set(write(key, value))
        model.set(key, value)
        unsure.delete(key)
      } else if (drawn < 0.4) {
        unsure.add(key)
        await pair.delete(key)
        model.set(key, undefined)
        unsure.delete(key)
      } else if (drawn < 0.45) {
        for (const one of keys) unsure.add(one)
        await pair.clear('')
        for (const one of keys) model.set(one, undefined)
        unsure.clear()
      } else {
        const found = textOf(await pair.get(key))
        if (found !== undefined && !unsure.has(key))
          expect(found, `SEED=${seed}, step ${step}`).toBe(model.get(key))
      }
    } catch (error) {
      expect((error as { code?: string }).code, `SEED=${seed}, step ${step}: ${error}`).toBe(
        'CACHE_TIER_FAILED',
      )
    }
  }
})

test('wrong options are refused with name and value', () => {
  const tier = memoryTier()
  expect(() => failoverTier(tier, tier)).toThrow('second')
  expect(() => failoverTier(undefined as never, tier)).toThrow('first')
  expect(() => failoverTier(tier, {} as never)).toThrow('second')
  for (const options of [{ deadlineMs: 0 }, { retryMs: -1 }, { onChange: 1 }, { clock: 1 }, { retry: 1 }]) {
    expect(() => failoverTier(tier, memoryTier(), options as never), JSON.stringify(options)).toThrow(
      Object.keys(options)[0],
    )
  }
})
