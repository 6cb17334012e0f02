// The traps that caches of several levels and processes fall into, one test for each: what goes wrong elsewhere, and that
// it does not here. rules.js has the rule behind each of them; `npm run traps` takes each rule away and expects its test
// to fail.

import { describe, expect, test, vi } from 'vitest'
import type { BusListener } from '../../src/bus/bus.ts'
import { inProcessBus } from '../../src/bus/in-process.ts'
import type { Cache } from '../../src/cache.ts'
import { LONGEST_DELAY_MS, systemClock } from '../../src/clock.ts'
import { type CacheOptions, createCache } from '../../src/create-cache.ts'
import { createL1 } from '../../src/create-l1.ts'
import { encodeMessage, type Message } from '../../src/message.ts'
import { ManualClock } from '../../src/testing/manual-clock.ts'
import { Hub, memoryTier } from '../../src/tiers/memory.ts'
import { deferred, pass, rest } from '../support/caches.ts'

/** Two processes over one hub, and what the second one's bus brings it and asks of the hub. */
async function processes(
  options: CacheOptions = {},
  hubOptions: { maxTags?: number; logMessages?: number } = {},
) {
  const clock = new ManualClock()
  const hub = new Hub({ clock, ...hubOptions })
  const one = createCache({
    clock,
    ttl: '1h',
    tiers: [memoryTier({ hub })],
    bus: inProcessBus({ hub }),
    ...options,
  })
  const bus = inProcessBus({ hub })
  const heard: Message[] = []
  let listener: BusListener | undefined
  const subscribe = bus.subscribe.bind(bus)
  bus.subscribe = (given) => {
    listener = given
    const told: BusListener = {
      onMessage: (message) => {
        heard.push(message)
        given.onMessage(message)
      },
      onEcho: (token, stamps) => given.onEcho(token, stamps),
      onGap: (partition, stamps, reason) => given.onGap(partition, stamps, reason),
      onFailure: (error) => given.onFailure(error),
    }
    return subscribe(told)
  }
  const tier = memoryTier({ hub })
  const { ledger } = tier
  if (ledger === undefined) expect.fail('a memory tier over a hub has a ledger')
  const calls = { read: 0 }
  const gates: Promise<unknown>[] = []
  const read = ledger.read.bind(ledger)
  ledger.read = async (keys) => {
    calls.read++
    const readings = await read(keys)
    await gates.shift()
    return readings
  }
  const two = createCache({ clock, ttl: '1h', tiers: [tier], bus, ...options })
  await rest()
  const [, link] = hub.links
  if (link === undefined || listener === undefined) expect.fail('both listen')
  return { clock, hub, one, two, link, heard, listener, calls, gates }
}

describe('traps', () => {
  test('trap 1: a load that an invalidation overtook is given to who waits and kept nowhere', async () => {
    const cache = createCache({ ttl: '1h' })
    const row = deferred<string>()
    const waiting = cache.getOrSet('a', () => row.promise)
    await rest()
    await cache.delete('a')
    row.resolve('from before')
    expect(await waiting).toBe('from before')
    expect(await cache.get('a')).toBeUndefined()
    expect(await cache.getOrSet('a', () => 'after')).toBe('after')
  })

  test('trap 2: a value read before a message does not land in L1 after it', async () => {
    const { one, two, gates } = await processes()
    await one.set('a', 'old')
    const gate = deferred<void>()
    gates.push(gate.promise)
    const reading = two.get('a')
    await rest()
    await one.delete('a')
    await rest()
    gate.resolve()
    await reading
    expect(two.l1.get('a')).toBeUndefined()
    expect(await two.get('a')).toBeUndefined()
  })

  test('trap 3: a load of another process is not stored over a mutation that came after its read', async () => {
    const { one, two, link } = await processes({ l1: false })
    const row = deferred<string>()
    const waiting = two.getOrSet('a', () => row.promise)
    await rest()
    // The other process has not heard of it.
    link.hold()
    await one.set('a', 'new')
    row.resolve('old')
    expect(await waiting).toBe('old')
    expect(await one.get('a')).toBe('new')
    link.release()
    expect(await two.get('a')).toBe('new')
  })

  test('trap 4: a tag invalidated while a load runs invalidates what it brings', async () => {
    const { one, two } = await processes()
    const row = deferred<string>()
    const waiting = two.getOrSet('a', () => row.promise, { tags: ['t'] })
    await rest()
    await one.deleteTags(['t'])
    await rest()
    row.resolve('old')
    await waiting
    expect(await one.get('a')).toBeUndefined()
    expect(await two.get('a')).toBeUndefined()
  })

  test('trap 5: an older message does nothing to a newer value', async () => {
    const { one, two, heard, listener } = await processes()
    await one.set('a', 'first')
    await one.set('a', 'second')
    await rest()
    expect(await two.get('a')).toBe('second')
    const [first] = heard
    if (first === undefined) expect.fail('two messages were told')
    let gaps = 0
    two.on('bus.gap', () => gaps++)
    listener.onMessage(first)
    expect(two.l1.get('a')).toBe('second')
    expect(gaps).toBe(0)
  })

  test('trap 6: a message that is lost is noticed with the next one', async () => {
    const { one, two, link } = await processes()
    await one.set('a', 'old')
    await rest()
    expect(await two.get('a')).toBe('old')
    link.hold()
    await one.set('a', 'new')
    link.queue.pop()
    link.release()
    // One of the same partition: another version of the key.
    await one.set('a', 'other', { version: 2 })
    await rest()
    expect(await two.get('a')).toBe('new')
  })

  test('trap 7: after a partition each key is asked for once, whoever asks', async () => {
    const { one, two, link, calls } = await processes({}, { logMessages: 1 })
    for (let key = 0; key < 5; key++) {
      await one.set(key, key)
      await two.get(key)
    }
    link.cut(new Error('partition'))
    await rest()
    for (const round of [10, 20]) for (let key = 0; key < 5; key++) await one.set(key, key + round)
    link.mend()
    await rest()
    calls.read = 0
    const asked = Array.from({ length: 500 }, (_, at) => two.get(at % 5))
    expect(new Set(await Promise.all(asked))).toEqual(new Set([20, 21, 22, 23, 24]))
    expect(calls.read).toBe(5)
  })

  test('trap 8: who is rung finds the mutation done, and nobody is rung for one that was not', async () => {
    const { one, hub, heard } = await processes()
    const found: unknown[] = []
    hub.links[1]?.hold()
    const [link] = hub.links
    const ring = link?.push.bind(link)
    if (link === undefined || ring === undefined) expect.fail('a link is there')
    link.push = (delivery) => {
      if (delivery.kind === 'message') found.push(hub.entries.has(delivery.message.keys[0] as string))
      ring(delivery)
    }
    await one.set('a', 1)
    await one.delete('a')
    expect(found).toEqual([true, false])
    expect(await one.add('b', 1)).toBe(true)
    expect(await one.add('b', 2)).toBe(false)
    expect(found).toHaveLength(3)
    hub.links[1]?.release()
    await rest()
    expect(heard).toHaveLength(3)
  })

  test('trap 9: what a slow reader loads during a change does not survive it', async () => {
    const cache = createCache({ ttl: '1h' })
    let row = 'old'
    const change = deferred<void>()
    const changing = cache.invalidateAround('a', async () => {
      await change.promise
      row = 'new'
    })
    await rest()
    expect(await cache.getOrSet('a', () => row)).toBe('old')
    change.resolve()
    await changing
    expect(await cache.getOrSet('a', () => row)).toBe('new')
  })

  test('trap 10: an authority whose wall clock was set back begins a later epoch all the same', async () => {
    const { one, two, hub, clock } = await processes()
    await one.set('a', 'old')
    expect(await two.get('a')).toBe('old')
    clock.setWall(clock.wallNow() - 3_600_000)
    hub.reset()
    await one.set('a', 'new')
    await rest()
    expect(await two.get('a')).toBe('new')
    await one.set('a', 'newest')
    await rest()
    expect(await two.get('a')).toBe('newest')
  })

  test('trap 11: what is falsy is a value in every level', async () => {
    for (const value of [0, '', false, null, Number.NaN]) {
      const { one, two } = await processes()
      await one.set('a', value)
      expect(await two.get('a')).toEqual(value)
      expect(await two.getMany(['a'])).toEqual(new Map([['a', value]]))
      expect(await two.getOrSet('a', () => 'loaded')).toEqual(value)
    }
  })

  test('trap 12: a clear of a namespace leaves those whose names begin alike', async () => {
    const { one, two } = await processes({ prefix: 'app' })
    const named = (cache: Cache) => ['users', 'usersAbc'].map((name) => cache.namespace(name))
    for (const space of named(one)) await space.set('a', 1)
    for (const space of named(two)) await space.get('a')
    await named(one)[0]?.clear()
    await rest()
    for (const cache of [one, two]) {
      expect(await Promise.all(named(cache).map((space) => space.get('a')))).toEqual([undefined, 1])
    }
  })

  test('trap 13: no timer is set that would overflow and run at once', () => {
    const setTimer = vi.spyOn(globalThis, 'setTimeout')
    try {
      for (const days of [24, 25, 60, 10_000]) systemClock.setTimer(() => {}, days * 86_400_000).cancel()
      const delays = setTimer.mock.calls.map(([, delayMs]) => delayMs ?? 0)
      expect(Math.max(...delays)).toBe(LONGEST_DELAY_MS)
      expect(delays).toHaveLength(4)
    } finally {
      setTimer.mockRestore()
    }
  })

  test('trap 14: what is removed because of how it looked is removed only if it still looks so', async () => {
    const { one, two, gates } = await processes({ l1: false })
    await one.set('a', 'seen')
    const gate = deferred<void>()
    gates.push(gate.promise)
    const pulled = two.pull('a')
    await rest()
    await one.set('a', 'set by another')
    gate.resolve()
    expect(await pulled).toBe('set by another')
    await one.set('a', 'later')
    expect(await one.get('a')).toBe('later')
  })

  test('trap 15: a tag that the authority has forgotten brings nothing back', async () => {
    const { one, hub, clock } = await processes({}, { maxTags: 2 })
    await one.set('a', 'old', { tags: ['t'] })
    await one.deleteTags(['t'])
    for (const tag of ['x', 'y', 'z']) await one.deleteTags([tag])
    const third = createCache({ clock, ttl: '1h', tiers: [memoryTier({ hub })] })
    expect(await third.get('a')).toBeUndefined()
    expect(await one.get('a')).toBeUndefined()
  })

  test('trap 16: who gets a copy cannot change what others get', () => {
    const l1 = createL1<{ tags: string[] }>({ maxEntries: 10, cloneOn: 'get' })
    l1.set('a', { tags: ['x'] })
    l1.get('a')?.tags.push('mine')
    expect(l1.get('a')).toEqual({ tags: ['x'] })
  })

  test('trap 17: what others set is looked for when it is asked for, once, and not before', async () => {
    const { one, two, calls } = await processes()
    for (let key = 0; key < 20; key++) {
      await one.set(key, 0)
      await two.get(key)
    }
    calls.read = 0
    for (let round = 1; round <= 10; round++) for (let key = 0; key < 20; key++) await one.set(key, round)
    await rest()
    expect(calls.read).toBe(0)
    expect(await two.get(3)).toBe(10)
    expect(calls.read).toBe(1)
  })

  test('trap 18: no message has a value in it', async () => {
    const { one, clock, heard } = await processes()
    await one.set('a', 'a secret that nobody else is to hear')
    await one.add('b', 'a secret that nobody else is to hear')
    await pass(clock, 10)
    const told = heard.map((message) => new TextDecoder().decode(encodeMessage(message)))
    expect(told).toHaveLength(2)
    for (const text of told) expect(text).not.toContain('secret')
  })
})
