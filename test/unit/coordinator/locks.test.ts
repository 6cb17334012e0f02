import { describe, expect, test } from 'vitest'
import { createCache } from '../../../src/create-cache.ts'
import { ManualClock } from '../../../src/testing/manual-clock.ts'
import { Hub, memoryTier } from '../../../src/tiers/memory.ts'
import { arrangements, inNamespaces, opened, pass, rest } from '../../support/caches.ts'

const all = [...arrangements, ...inNamespaces]
const holding = all.filter(({ name }) => name.endsWith('L1 alone') || name.includes('ledger'))

describe.each(holding)('lock: $name', (arrangement) => {
  test('has one holder at a time, each with a token of its own and a greater fencing number', async () => {
    const { cache } = await opened(arrangement)
    let inside = 0
    const fences: bigint[] = []
    const tokens = new Set<string>()
    for (let turn = 0; turn < 5; turn++) {
      await using lock = await cache.lock('report')
      expect(lock?.isHeld).toBe(true)
      expect(++inside).toBe(1)
      expect(await cache.lock('report')).toBeUndefined()
      await using other = await cache.lock('another')
      expect(other?.name).toBe('another')
      if (lock === undefined) expect.fail('nobody held it')
      fences.push(lock.fence)
      tokens.add(lock.token)
      inside--
    }
    expect(tokens.size).toBe(5)
    expect(fences.toSorted((left, right) => (left < right ? -1 : 1))).toEqual(fences)
    expect(new Set(fences).size).toBe(5)
  })

  test('who waits gets it when it is released, or nothing when that takes too long', async () => {
    const { cache, clock } = await opened(arrangement)
    const lock = await cache.lock('report')
    const order: string[] = []
    const patient = cache.lock('report', { wait: '10s' }).then((won) => {
      order.push('patient')
      return won
    })
    const hurried = cache.lock('report', { wait: '1s' }).then((won) => {
      order.push('hurried')
      return won
    })
    await pass(clock, 1_500)
    expect(await hurried).toBeUndefined()
    expect(await lock?.release()).toBe(true)
    await rest()
    const won = await patient
    expect(won?.isHeld).toBe(true)
    expect(order).toEqual(['hurried', 'patient'])
    expect(await lock?.release()).toBe(false)
    expect(lock?.isHeld).toBe(false)
    expect(won?.isHeld).toBe(true)
  })

  test('it is renewed while it is held, and ends with its ttl where it is not', async () => {
    const { cache, clock } = await opened(arrangement)
    const renewed = await cache.lock('renewed', { ttl: '3s' })
    const left = await cache.lock('left', { ttl: '3s', renew: false })
    await pass(clock, 2_900)
    expect(left?.isHeld).toBe(true)
    await pass(clock, 200)
    expect(left?.isHeld).toBe(false)
    expect(left?.signal.reason).toMatchObject({ code: 'CACHE_LOCK_LOST' })
    expect(await left?.renew()).toBe(false)
    const next = await cache.lock('left')
    expect(next?.isHeld).toBe(true)
    expect(next !== undefined && left !== undefined && next.fence > left.fence).toBe(true)
    await pass(clock, 20_000)
    expect(renewed?.isHeld).toBe(true)
    expect(renewed?.signal.aborted).toBe(false)
    expect(await cache.lock('renewed')).toBeUndefined()
    expect(await renewed?.release()).toBe(true)
  })

  test('by hand, renewal begins the ttl anew', async () => {
    const { cache, clock } = await opened(arrangement)
    const lock = await cache.lock('report', { ttl: '3s', renew: false })
    await pass(clock, 2_000)
    expect(await lock?.renew()).toBe(true)
    await pass(clock, 2_000)
    expect(lock?.isHeld).toBe(true)
    expect(await cache.lock('report')).toBeUndefined()
  })

  test('it is no entry: keys of the same name, and a clear, are another matter', async () => {
    const { cache } = await opened(arrangement)
    const lock = await cache.lock('a')
    expect(await cache.get('a')).toBeUndefined()
    await cache.set('a', 1)
    await cache.clear()
    expect(await cache.lock('a')).toBeUndefined()
    expect(await lock?.release()).toBe(true)
  })

  test('a cache that is closed releases what it holds, tells the holder, and hands out nothing', async () => {
    const { cache, other } = await opened(arrangement)
    const lock = await cache.lock('report', { ttl: '1h' })
    await cache.close()
    expect(lock?.isHeld).toBe(false)
    expect(lock?.signal.reason).toMatchObject({ code: 'CACHE_LOCK_LOST' })
    expect(await lock?.release()).toBe(false)
    await expect(cache.lock('report')).rejects.toMatchObject({ code: 'CACHE_CLOSED' })
    expect((await other.lock('report'))?.isHeld).toBe(true)
  })

  test('what can not be right is refused', async () => {
    const { cache } = await opened(arrangement)
    await expect(cache.lock(7 as never)).rejects.toThrow('lock: 7 is not a string')
    await expect(cache.lock('a'.repeat(600))).rejects.toThrow(RangeError)
    await expect(cache.lock('a', { ttl: 10 })).rejects.toThrow('ttl: a lock of 10 ms')
    await expect(cache.lock('a', { tll: 10 } as object)).rejects.toThrow('did you mean ttl?')
    await expect(cache.lock('a', { renew: 1 as never })).rejects.toThrow('renew: 1')
    await expect(cache.lock('a', { wait: 'long' as never })).rejects.toThrow('wait: ')
  })
})

test('of two processes one holds it, and the other is told when it is released', async () => {
  for (const arrangement of holding.filter(({ name }) => name.includes('ledger with its bus'))) {
    const { cache, other } = await opened(arrangement)
    const lock = await cache.lock('report')
    expect(await other.lock('report'), arrangement.name).toBeUndefined()
    const waiting = other.lock('report', { wait: null })
    await rest()
    await lock?.release()
    await rest()
    const won = await waiting
    expect(won?.isHeld && lock !== undefined && won.fence > lock.fence).toBe(true)
  }
})

test('where nobody orders among several processes there are no locks', async () => {
  for (const arrangement of all.filter((each) => !holding.includes(each))) {
    const { cache } = await opened(arrangement)
    await expect(cache.lock('a'), arrangement.name).rejects.toMatchObject({ code: 'CACHE_NOT_SUPPORTED' })
  }
})

test('a lock that can not be renewed is lost at its end and not before', async () => {
  const clock = new ManualClock()
  const tier = memoryTier({ hub: new Hub({ clock }) })
  const cache = createCache({ clock, ttl: '1m', tiers: [tier] })
  const lock = await cache.lock('report', { ttl: '6s' })
  const { ledger } = tier
  if (ledger === undefined) expect.fail('a memory tier over a hub has a ledger')
  const { commit } = ledger
  ledger.commit = () => Promise.reject(new Error('down'))
  await pass(clock, 4_500)
  expect([lock?.isHeld, lock?.signal.aborted]).toEqual([true, false])
  ledger.commit = commit
  await pass(clock, 4_000)
  expect(lock?.isHeld).toBe(true)
  ledger.commit = () => Promise.reject(new Error('down'))
  await pass(clock, 7_000)
  expect([lock?.isHeld, lock?.signal.aborted]).toEqual([false, true])
})
