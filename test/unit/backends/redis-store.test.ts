import { setImmediate } from 'node:timers/promises'
import { expect, test, vi } from 'vitest'
import { failureOf, RedisStore } from '../../../src/backends/redis-store.ts'
import { redisBus } from '../../../src/bus/redis.ts'
import type { CacheError } from '../../../src/errors.ts'
import { BusObserver } from '../../../src/testing/bus-observer.ts'
import { ManualClock } from '../../../src/testing/manual-clock.ts'
import { redisTier } from '../../../src/tiers/redis.ts'

const client = { callBuffer: async () => [null, null], options: { db: 3 } }
const subscriber = () => ({
  ...client,
  subscribe: async () => 1,
  unsubscribe: async () => 1,
  on() {},
  off() {},
})

test('what is no client is refused with what to pass', () => {
  for (const wrong of [undefined, null, 'redis://localhost', {}, { call: () => {} }, 6379]) {
    expect(() => redisTier({ client: wrong as never })).toThrow(
      /^client: .* is not a Redis client; pass new Redis/,
    )
  }
  expect(() => redisTier({ client: { ...client, options: { keyPrefix: 'a:' } } as never })).toThrow(
    /keyPrefix.*keyspace/,
  )
  expect(() => redisTier({ client, keyspaces: 'a' } as never)).toThrow('did you mean keyspace?')
})

test('options are refused with the rule', () => {
  for (const keyspace of ['', 'a{b', 'a}b', 'a:b', 'a b', 'x'.repeat(65), 7]) {
    expect(() => redisTier({ client, keyspace: keyspace as never })).toThrow(/^keyspace: /)
  }
  expect(() => redisTier({ client, partitions: 0 })).toThrow(/^partitions: /)
  expect(() => redisTier({ client, logMessages: 0.5 })).toThrow(/^logMessages: /)
  expect(() => redisTier({ client, durability: 'disk' as never })).toThrow(/^durability: /)
  const cluster = { ...client, isCluster: true, nodes: () => [] }
  expect(() => redisTier({ client: cluster, durability: 'replica' })).toThrow(/^durability: .* cluster/)
  for (const pooled of [
    { sendCommand: async () => null, getMasterNode: () => undefined },
    { sendCommand: async () => null, totalClients: 4 },
  ]) {
    expect(() => redisTier({ client: pooled })).not.toThrow()
    expect(() => redisTier({ client: pooled, durability: 'replica' })).toThrow(/^durability: .* pool/)
  }
})

test('what cannot listen alone is refused as a subscriber', () => {
  for (const wrong of [
    undefined,
    {},
    client,
    { ...subscriber(), isCluster: true },
    { ...subscriber(), callBuffer: undefined, sendCommand: async () => null, masters: [] },
  ]) {
    expect(() => redisBus({ client, subscriber: wrong as never })).toThrow(/^subscriber: /)
  }
  const both = subscriber()
  expect(() => redisBus({ client: both, subscriber: both })).toThrow('client.duplicate()')
})

test('nothing is sent on an ioredis connection before it is ready: version 5 would give it up', async () => {
  const listeners = new Map<string, () => void>()
  const sent: string[] = []
  const early = {
    ...subscriber(),
    status: 'wait',
    connect: async () => sent.push('connect'),
    subscribe: async () => sent.push('subscribe'),
    on: (event: string, listener: () => void) => listeners.set(event, listener),
  }
  const bus = redisBus({ client, subscriber: early, clock: new ManualClock() })
  const subscribed = bus.subscribe(new BusObserver())
  subscribed.catch(() => {})
  await vi.waitFor(() => expect(sent).toEqual(['connect']))
  early.status = 'connect'
  await setImmediate()
  expect(sent).toEqual(['connect'])
  early.status = 'ready'
  listeners.get('ready')?.()
  await setImmediate()
  expect(sent).toEqual(['connect', 'subscribe'])
  await bus.close()
})

test('a subscriber is for one bus at a time', async () => {
  const taken = subscriber()
  const bus = redisBus({ client, subscriber: taken })
  expect(() => redisBus({ client, subscriber: taken })).toThrow('another bus has this connection already')
  await bus.close()
  await redisBus({ client, subscriber: taken }).close()
})

test('tier and bus over one keyspace and database say the same channel', () => {
  const channels = [
    redisTier({ client }).ledger?.channel,
    redisBus({ client, subscriber: subscriber() }).channel,
    redisTier({ client, keyspace: 'other' }).ledger?.channel,
    redisTier({ client: { sendCommand: async () => null } }).ledger?.channel,
  ]
  expect(channels).toEqual(['redis:tierwheel:3', 'redis:tierwheel:3', 'redis:other:3', 'redis:tierwheel:0'])
})

test('a failure says why, without arguments and without credentials', () => {
  const error = Object.assign(new Error('connect ECONNREFUSED redis://app:hunter2@10.0.0.7:6379'), {
    name: 'ReplyError',
    code: 'ECONNREFUSED',
    command: { name: 'evalsha', args: ['canary'] },
  })
  const failure = failureOf('redis tier', 'get', error) as CacheError & { cause: object }
  expect([failure.code, failure.tier]).toEqual(['CACHE_TIER_FAILED', 'redis'])
  expect(failure.message).toBe('redis tier: get failed: connect ECONNREFUSED redis://10.0.0.7:6379')
  expect(failure.cause).toMatchObject({ name: 'ReplyError', code: 'ECONNREFUSED' })
  for (const one of [failure, failure.cause]) {
    const told = `${one} ${(one as Error).stack} ${JSON.stringify(one)} ${Object.keys(one).join()}`
    expect(told).not.toContain('hunter2')
    expect(told).not.toContain('canary')
  }
})

test('a failure without a message has its code', () => {
  const aggregate = Object.assign(new AggregateError([]), { code: 'ECONNREFUSED' })
  expect((failureOf('redis bus', 'probe', aggregate) as Error).message).toBe(
    'redis bus: probe failed: ECONNREFUSED',
  )
})

test('every operation of a failing client rejects in one form', async () => {
  const failing = { callBuffer: () => Promise.reject(new TypeError('broken')) }
  const tier = redisTier({ client: failing })
  const write = { key: 'a', bytes: new Uint8Array(1), remainingMs: 1 }
  const stamp = { partition: 0, epoch: 1, sequence: 1 }
  const calls = [
    tier.get('a'),
    tier.getMany(['a']),
    tier.set(write),
    tier.setMany([write]),
    tier.add(write),
    tier.compareAndSet(write, undefined),
    tier.increment('a', 1, 0),
    tier.touch('a', 1),
    tier.delete('a'),
    tier.deleteMany(['a']),
    tier.clear(''),
    tier.ledger?.read(['a']),
    tier.ledger?.commit({ op: 'delete', key: 'a' }, { id: '0123456789abcdef', serial: 1 }),
    tier.ledger?.populate(write, stamp),
    tier.ledger?.since(stamp),
    tier.ledger?.probe('token'),
  ]
  for (const outcome of await Promise.allSettled(calls)) {
    expect(outcome).toMatchObject({
      status: 'rejected',
      reason: { code: 'CACHE_TIER_FAILED', tier: 'redis' },
    })
  }
})

test('an answer that never comes to the first call does not hold up the ones after it', async () => {
  const answers: Promise<unknown>[] = [new Promise(() => {})]
  const stands = [Buffer.from('1'), Buffer.from('0')]
  const callBuffer = () => answers.shift() ?? Promise.resolve(stands)
  const tier = redisTier({ client: { callBuffer } as never })
  void tier.get('key')
  expect((await tier.ledger?.probe('token'))?.[0]).toEqual({ partition: 0, epoch: 1, sequence: 0 })
})

test('readers of one turn are one call, and while one is under way so are those of several', async () => {
  const calls: string[] = []
  const callBuffer = (...words: unknown[]) => {
    calls.push([...words.join(' ').matchAll(/:e:(\w+)/g)].map(([, key]) => key).join(' '))
    return new Promise(() => {})
  }
  const store = new RedisStore('redis tier', { client: { callBuffer }, partitions: 1 })
  const read = (key: string) => void store.look([key])
  for (const key of ['a', 'b']) read(key)
  await vi.waitFor(() => expect(calls).toEqual(['a b']))
  for (const key of ['c', 'd', 'e']) globalThis.setImmediate(read, key)
  await vi.waitFor(() => expect(calls).toEqual(['a b', 'c d e']))
})

test('a sweep whose answer never comes is begun again by a later clear, with what it was at', async () => {
  vi.useFakeTimers({ toFake: ['performance'] })
  try {
    const patterns: string[] = []
    let answer: (reply: unknown) => void = () => {}
    const callBuffer = async (command: string, ...words: unknown[]) => {
      if (command !== 'SCAN') return [null]
      patterns.push(String(words[2]))
      if (patterns.length > 1) return ['0', []]
      return await new Promise((resolve) => {
        answer = resolve
      })
    }
    const store = new RedisStore('redis tier', { client: { callBuffer } })
    const turns = async () => {
      for (let turn = 0; turn < 5; turn++) await setImmediate()
    }
    store.sweep('first:')
    await turns()
    vi.advanceTimersByTime(9_000)
    store.sweep('second:')
    await turns()
    expect(patterns.length).toBe(1)
    vi.advanceTimersByTime(1_000)
    store.sweep('third:')
    await turns()
    expect(patterns.map((pattern) => /first|second|third/.exec(pattern)?.[0]).sort()).toEqual([
      'first',
      'first',
      'second',
      'third',
    ])
    // The first one has ended, whatever it hears.
    answer(['7', []])
    await turns()
    expect(patterns.length).toBe(4)
  } finally {
    vi.useRealTimers()
  }
})
