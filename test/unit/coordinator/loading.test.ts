// What goes on around a load, in every arrangement: what may stand in for it, who waits how long, what it may say.

import { describe, expect, test } from 'vitest'
import { inProcessBus } from '../../../src/bus/in-process.ts'
import type { Cache } from '../../../src/cache.ts'
import type { LoaderContext } from '../../../src/coordinator/loading.ts'
import { type CacheOptions, createCache } from '../../../src/create-cache.ts'
import { type FaultPlan, flakyTier } from '../../../src/testing/chaos.ts'
import { ManualClock } from '../../../src/testing/manual-clock.ts'
import { Hub, memoryTier } from '../../../src/tiers/memory.ts'
import type { Tier } from '../../../src/tiers/tier.ts'
import { arrangements, deferred, inNamespaces, opened, pass, rest } from '../../support/caches.ts'

const down = new Error('the source is down')
const fail = () => Promise.reject(down)

/** A loader that fails, and how often it was called. */
function counting(): { count: () => Promise<never>; loads: () => number } {
  let loads = 0
  return {
    count: () => {
      loads++
      return fail()
    },
    loads: () => loads,
  }
}

describe.each([...arrangements, ...inNamespaces])('loading: $name', (arrangement) => {
  const keeps = arrangement.hasTier || !arrangement.name.startsWith('no L1')

  test('a signal that is asked for after the limit was over all the same', async () => {
    const { cache, clock } = await opened(arrangement, { loadTimeout: '1s' })
    const { promise, resolve } = deferred<string>()
    let given: LoaderContext | undefined
    const loaded = expect(
      cache.getOrSet('a', (context) => {
        given = context
        return promise
      }),
    ).rejects.toMatchObject({ code: 'CACHE_LOAD_TIMEOUT' })
    await pass(clock, 1_000)
    await loaded
    expect(given?.signal.aborted).toBe(true)
    expect(given?.signal.reason).toMatchObject({ code: 'CACHE_LOAD_TIMEOUT' })
    expect(given?.signal).toBe(given?.signal)
    resolve('late')
  })

  test('rule 3.1.8: after a failure the source is left alone for failureThrottle, as long as a stale value serves', async () => {
    const { cache, clock } = await opened(arrangement)
    const options = { ttl: '1s', staleIfError: '1h', failureThrottle: '10s' } as const
    await cache.getOrSet('a', () => 'good', options)
    await pass(clock, 1_000)
    const { count, loads } = counting()
    for (let call = 0; call < 5; call++) expect(await cache.getOrSet('a', count, options)).toBe('good')
    expect(loads()).toBe(1)
    await pass(clock, 9_999)
    expect(await cache.getOrSet('a', count, options)).toBe('good')
    expect(loads()).toBe(1)
    await pass(clock, 1)
    expect(await cache.getOrSet('a', count, options)).toBe('good')
    expect(loads(), 'tried again when it is over').toBe(2)
    expect(cache.stats().staleServed).toBe(7)
  })

  test('rule 3.1.3: a stale window has to be given when the value is written, and when it is asked for', async () => {
    const { cache, clock } = await opened(arrangement, { ttl: '1s', failureThrottle: 0 })
    await cache.set('without', 'old')
    await cache.set('with', 'old', { staleIfError: '1h' })
    await pass(clock, 1_000)
    await expect(cache.getOrSet('without', fail, { staleIfError: '1h' })).rejects.toBe(down)
    await expect(cache.getOrSet('with', fail)).rejects.toBe(down)
    expect(await cache.getOrSet('with', fail, { staleIfError: '1h' })).toBe('old')
  })

  test('who has nothing to go on with loads in spite of the throttle', async () => {
    const { cache } = await opened(arrangement)
    await expect(cache.getOrSet('a', fail, { failureThrottle: '1h' })).rejects.toBe(down)
    expect(await cache.getOrSet('a', () => 'up again', { failureThrottle: '1h' })).toBe('up again')
  })

  test('rule 3.1.9: a throttle ends when the key is changed', async () => {
    const { cache, clock } = await opened(arrangement)
    const options = { ttl: '1s', staleIfError: '1h', failureThrottle: '1h' } as const
    await cache.set('a', 'good', options)
    await pass(clock, 1_000)
    expect(await cache.getOrSet('a', fail, options)).toBe('good')
    await cache.set('a', 'newer', { ...options, ttl: '1s' })
    await pass(clock, 1_000)
    expect(await cache.getOrSet('a', () => 'loaded', options)).toBe('loaded')
  })

  test('a refresh that failed is not begun again before failureThrottle is over', async () => {
    const { cache, clock } = await opened(arrangement)
    const options = { ttl: '1s', staleWhileRevalidate: '1h', failureThrottle: '5s' } as const
    await cache.getOrSet('a', () => 'good', options)
    await pass(clock, 1_000)
    const { count, loads } = counting()
    for (let call = 0; call < 3; call++) {
      expect(await cache.getOrSet('a', count, options)).toBe('good')
      await rest()
    }
    expect(loads()).toBe(1)
    await pass(clock, 5_000)
    expect(await cache.getOrSet('a', count, options)).toBe('good')
    await rest()
    expect(loads()).toBe(2)
  })

  test('rule 3.1.7: fallback is given for the very first failure, is not stored, and spares the source while it is throttled', async () => {
    const { cache, clock } = await opened(arrangement)
    const { count, loads } = counting()
    const options = { fallback: 'nothing yet', failureThrottle: '2s' }
    expect(await cache.getOrSet<unknown>('a', count, { ...options, failureThrottle: '2s' })).toBe(
      'nothing yet',
    )
    expect(await cache.getOrSet<unknown>('a', count, { ...options, failureThrottle: '2s' })).toBe(
      'nothing yet',
    )
    expect(loads()).toBe(1)
    expect(await cache.get('a')).toBeUndefined()
    await pass(clock, 2_000)
    expect(await cache.getOrSet<unknown>('a', count, { ...options, failureThrottle: '2s' })).toBe(
      'nothing yet',
    )
    expect(loads()).toBe(2)
    expect(await cache.getOrSet<unknown>('b', fail, { fallback: null })).toBeNull()
  })

  test('rule 3.1.13: after softLoadTimeout the stale value answers, and the load goes on and is stored', async () => {
    const { cache, clock } = await opened(arrangement)
    const options = { ttl: '1s', staleIfError: '1h', softLoadTimeout: 200 } as const
    await cache.getOrSet('a', () => 'old', options)
    await pass(clock, 1_000)
    const loading = deferred<string>()
    const outwaited: number[] = []
    cache.on('load.outwaited', ({ waitedMs }) => outwaited.push(waitedMs))
    const call = cache.getOrSet('a', () => loading.promise, options)
    await pass(clock, 200)
    expect(await call).toBe('old')
    expect(outwaited).toEqual([200])
    loading.resolve('new')
    await rest()
    if (keeps) expect(await cache.get('a')).toBe('new')
    expect(cache.stats().loads).toBe(2)
  })

  test('rule 3.1.12: softLoadTimeout is no limit where no stale value may serve', async () => {
    const { cache, clock } = await opened(arrangement)
    const loading = deferred<string>()
    const call = cache.getOrSet('a', () => loading.promise, { softLoadTimeout: 200, staleIfError: '1h' })
    await pass(clock, 10_000)
    loading.resolve('value')
    expect(await call).toBe('value')
  })

  test('rule 3.1.14: at loadTimeout a stale value serves, else the call rejects', async () => {
    const { cache, clock } = await opened(arrangement)
    const options = { ttl: '1s', staleIfError: '1h', loadTimeout: '2s' } as const
    await cache.getOrSet('a', () => 'old', options)
    await pass(clock, 1_000)
    const never = () => new Promise<string>(() => {})
    const stale = cache.getOrSet('a', never, options)
    await pass(clock, 2_000)
    expect(await stale).toBe('old')
    const without = expect(cache.getOrSet('b', never, options)).rejects.toMatchObject({
      code: 'CACHE_LOAD_TIMEOUT',
    })
    await pass(clock, 2_000)
    await without
  })

  test('rule 3.1.14: who joins a load waits for it no longer than its own loadTimeout', async () => {
    const { cache, clock } = await opened(arrangement)
    const never = () => new Promise<string>(() => {})
    void cache.getOrSet('a', never).catch(() => {})
    await rest()
    const joined = expect(cache.getOrSet('a', () => 'unused', { loadTimeout: '1s' })).rejects.toMatchObject({
      code: 'CACHE_LOAD_TIMEOUT',
      key: 'a',
    })
    await pass(clock, 1_000)
    await joined
  })

  test('a load that has run for longer than a caller’s loadTimeout is not joined by it', async () => {
    const { cache, clock } = await opened(arrangement)
    void cache.getOrSet('a', () => new Promise<string>(() => {})).catch(() => {})
    await pass(clock, 1_001)
    expect(await cache.getOrSet('a', () => 'mine', { loadTimeout: '1s' })).toBe('mine')
  })

  test('rule 3.3.4: forceFresh passes by what is there and what is being loaded, and nothing older ends up over it', async () => {
    const { cache } = await opened(arrangement)
    await cache.set('a', 'old')
    expect(await cache.getOrSet('a', () => 'forced', { forceFresh: true })).toBe('forced')
    if (keeps) expect(await cache.get('a')).toBe('forced')
    await cache.delete('a')
    const slow = deferred<string>()
    const first = cache.getOrSet('a', () => slow.promise)
    await rest()
    expect(await cache.getOrSet('a', () => 'newer', { forceFresh: true })).toBe('newer')
    slow.resolve('older')
    expect(await first).toBe('older')
    await rest()
    if (keeps) expect(await cache.get('a')).toBe('newer')
    expect(cache.stats().loadsOvertaken).toBe(1)
  })

  test('a forced load that fails is not hidden by a fresh value', async () => {
    const { cache } = await opened(arrangement)
    await cache.set('a', 'fresh')
    await expect(cache.getOrSet('a', fail, { forceFresh: true })).rejects.toBe(down)
    expect(await cache.get('a')).toBe('fresh')
    expect(await cache.getOrSet('a', fail, { forceFresh: true, staleIfError: 1 })).toBe('fresh')
  })

  test('rule 3.1.30: a loader says how long its value is good for', async () => {
    const { cache, clock } = await opened(arrangement)
    await cache.getOrSet('a', ({ setTtl }) => {
      setTtl('10s')
      return 1
    })
    await cache.getOrSet('b', ({ setTtl }) => {
      setTtl(0)
      return 1
    })
    expect(await cache.get('b')).toBeUndefined()
    await pass(clock, 9_999)
    expect(await cache.get('a')).toBe(1)
    await pass(clock, 1)
    expect(await cache.get('a')).toBeUndefined()
    await expect(
      cache.getOrSet('c', ({ setTtl }) => {
        setTtl(-1)
        return 1
      }),
    ).rejects.toThrow(RangeError)
  })

  test('skip hands a value on and stores it nowhere', async () => {
    const { cache } = await opened(arrangement)
    const stored: boolean[] = []
    cache.on('load.finished', (event) => stored.push(event.stored))
    expect(await cache.getOrSet('a', ({ skip }) => skip('partial'))).toBe('partial')
    expect(await cache.get('a')).toBeUndefined()
    expect(stored).toEqual([false])
  })

  test('rule 3.1.4: fail is a failure whatever the loader does about it', async () => {
    const { cache, clock } = await opened(arrangement)
    const options = { ttl: '1s', staleIfError: '1h' } as const
    const stubborn = (context: LoaderContext) => {
      try {
        context.fail(down)
      } catch {
        // It goes on as if nothing had been.
      }
      return 'all is well'
    }
    await expect(cache.getOrSet('a', stubborn, options)).rejects.toBe(down)
    await cache.set('a', 'good', options)
    await pass(clock, 1_000)
    expect(await cache.getOrSet('a', stubborn, options)).toBe('good')
  })

  test('rule 3.1.31: notModified gives the value from before a new life', async () => {
    const { cache, clock } = await opened(arrangement)
    const options = { ttl: '1s', staleIfError: '1h' } as const
    const value = { n: 1 }
    await cache.getOrSet('a', () => value, options)
    await pass(clock, 1_000)
    expect(await cache.get('a')).toBeUndefined()
    expect(await cache.getOrSet('a', ({ notModified }) => notModified(), options)).toEqual(value)
    expect(await cache.get('a')).toEqual(value)
    await expect(cache.getOrSet('b', ({ notModified }) => notModified(), options)).rejects.toThrow(
      /^notModified: there is no value from before/,
    )
  })

  test('rule 3.2.3: a refresh knows the stale value and its validators, and keeps both when nothing is modified', async () => {
    const { cache, clock } = await opened(arrangement)
    const options = { ttl: '1s', staleWhileRevalidate: '1h' } as const
    const load = ({ setValidators }: LoaderContext) => {
      setValidators({ etag: '"1"', lastModified: 'Mon, 02 Jan 2006 15:04:05 GMT' })
      return 'body'
    }
    await cache.getOrSet('a', load, options)
    await pass(clock, 1_000)
    const seen: Partial<LoaderContext>[] = []
    const ask = ({ stale, etag, lastModified, notModified }: LoaderContext) => {
      seen.push({ stale, etag, lastModified })
      return notModified()
    }
    await cache.getOrSet('a', ask, options)
    await rest()
    const first = { stale: 'body', etag: '"1"', lastModified: 'Mon, 02 Jan 2006 15:04:05 GMT' }
    expect(seen).toEqual([first])
    expect(await cache.get('a')).toBe('body')
    await pass(clock, 1_000)
    expect(await cache.getOrSet('a', ask, options)).toBe('body')
    await rest()
    expect(seen).toEqual([first, first])
  })

  test('validators go with their value: a touch keeps them, another value has none', async () => {
    const { cache } = await opened(arrangement)
    if (arrangement.name.includes('bus and no tier')) return
    const load = ({ setValidators }: LoaderContext) => {
      setValidators({ etag: '"1"', lastModified: null })
      return 1
    }
    const etagAfter = async (change: () => Promise<unknown>): Promise<unknown> => {
      await cache.getOrSet('a', load, { forceFresh: true })
      await change()
      let seen: unknown = 'not called'
      await cache.getOrSet('a', ({ etag }) => (seen = etag), { forceFresh: true, staleIfError: '1h' })
      return seen
    }
    expect(await etagAfter(() => Promise.resolve())).toBe('"1"')
    expect(await etagAfter(() => cache.touch('a', { ttl: '1h', staleIfError: '2h' }))).toBe('"1"')
    expect(await etagAfter(() => cache.incr('a'))).toBeUndefined()
    expect(await etagAfter(() => cache.set('a', 1))).toBeUndefined()
    expect(await etagAfter(() => cache.delete('a'))).toBeUndefined()
  })

  test('what can be no validator fails the load that says it', async () => {
    const { cache } = await opened(arrangement)
    const saying = (etag: unknown) =>
      cache.getOrSet('a', ({ setValidators }) => setValidators({ etag: etag as string }))
    await expect(saying(7)).rejects.toThrow(new TypeError('etag: 7 is not a string'))
    await expect(saying('é'.repeat(2_049))).rejects.toThrow('etag: 4098 bytes of UTF-8 are more than 4096')
  })

  test('a loader that throws, settles twice or ignores its signal harms its own callers only', async () => {
    const { cache, clock } = await opened(arrangement)
    const throws = () => {
      throw down
    }
    const twice = () => ({
      // biome-ignore lint/suspicious/noThenProperty: a loader may return whatever has a then
      then(resolve: (value: string) => void, reject: (error: unknown) => void) {
        resolve('first')
        resolve('second')
        reject(down)
      },
    })
    const deaf = () => new Promise<string>(() => {})
    await expect(cache.getOrSet('a', throws)).rejects.toBe(down)
    expect(await cache.getOrSet('b', twice as () => PromiseLike<string>)).toBe('first')
    const late = expect(cache.getOrSet('c', deaf, { loadTimeout: 100 })).rejects.toMatchObject({
      code: 'CACHE_LOAD_TIMEOUT',
    })
    expect(await cache.getOrSet('d', () => 'untouched')).toBe('untouched')
    await pass(clock, 100)
    await late
    expect(await cache.getOrSet('c', () => 'next')).toBe('next')
    expect(await cache.get('b')).toBe('first')
  })

  test('rule 3.1.32: a get that skips copies is answered by whoever orders, one that skips tiers by L1 alone', async () => {
    const { cache } = await opened(arrangement)
    await cache.set('a', 1)
    expect(await cache.get('a', { skip: 'copies' })).toBe(arrangement.hasTier ? 1 : undefined)
    expect(await cache.get('a', { skip: 'tiers' })).toBe(cache.stats().l1 === undefined ? undefined : 1)
    const many = await cache.getMany(['a'], { skip: 'copies' })
    expect(many.get('a')).toBe(arrangement.hasTier ? 1 : undefined)
    expect((await cache.getMany(['b'], { skip: 'tiers' })).size).toBe(0)
  })

  test('rule 3.1.32: a getOrSet that skips tiers neither asks nor writes them', async () => {
    const { cache } = await opened(arrangement)
    expect(await cache.getOrSet('a', () => 'here', { skip: 'tiers' })).toBe('here')
    for (const tier of cache.stats().tiers) expect(tier).toMatchObject({ hits: 0, misses: 0 })
    if (arrangement.hasTier) expect(await cache.get('a', { skip: 'copies' })).toBeUndefined()
  })

  test('maxLoads runs so many loads at once, the others in the order in which they came', async () => {
    const { cache, clock } = await opened(arrangement, { maxLoads: 2 })
    const begun: unknown[] = []
    const loading = new Map<unknown, ReturnType<typeof deferred<string>>>()
    const load = ({ key }: LoaderContext) => {
      begun.push(key)
      const outcome = deferred<string>()
      loading.set(key, outcome)
      return outcome.promise
    }
    const calls = ['a', 'b', 'c', 'd'].map((key) => cache.getOrSet(key, load))
    const givesUp = expect(cache.getOrSet('e', load, { loadTimeout: 100 })).rejects.toMatchObject({
      code: 'CACHE_LOAD_TIMEOUT',
    })
    await rest()
    expect(begun).toEqual(['a', 'b'])
    await pass(clock, 100)
    await givesUp
    loading.get('b')?.resolve('b')
    await rest()
    expect(begun).toEqual(['a', 'b', 'c'])
    loading.get('a')?.reject(down)
    await rest()
    expect(begun).toEqual(['a', 'b', 'c', 'd'])
    loading.get('c')?.resolve('c')
    loading.get('d')?.resolve('d')
    const outcomes = await Promise.allSettled(calls)
    expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'fulfilled', 'fulfilled', 'fulfilled'])
    expect(await cache.getOrSet('f', () => 'a place is free')).toBe('a place is free')
  })

  test('a waitUntil that throws costs nobody the answer', async () => {
    const { cache, clock } = await opened(arrangement, {
      waitUntil: () => {
        throw down
      },
    })
    const failed: unknown[] = []
    cache.on('listener.failed', (event) => failed.push(event))
    const swr = { ttl: '1s', staleWhileRevalidate: '1h' } as const
    await cache.getOrSet('a', () => 1, swr)
    await pass(clock, 1_000)
    expect(await cache.getOrSet('a', () => 2, swr)).toBe(1)
    await rest()
    expect(await cache.get('a')).toBe(2)
    expect(failed).toEqual([{ event: 'waitUntil', error: down }])
  })

  test('waitUntil is told of refreshes and of loads that go on, and what it gets never rejects', async () => {
    const told: Promise<unknown>[] = []
    const { cache, clock } = await opened(arrangement, { waitUntil: (work) => told.push(work) })
    const swr = { ttl: '1s', staleWhileRevalidate: '1h' } as const
    const soft = { ttl: '1s', staleIfError: '1h', softLoadTimeout: 100 } as const
    await cache.getOrSet('a', () => 1, swr)
    await cache.getOrSet('b', () => 1, soft)
    expect(told).toEqual([])
    await pass(clock, 1_000)
    await cache.getOrSet('a', fail, swr)
    const loading = deferred<number>()
    const call = cache.getOrSet('b', () => loading.promise, soft)
    await pass(clock, 100)
    expect(await call).toBe(1)
    expect(told).toHaveLength(2)
    loading.reject(down)
    expect(await Promise.all(told)).toEqual([undefined, undefined])
  })

  test('close does not wait for a refresh that never ends, and fires its signal', async () => {
    const { cache, clock } = await opened(arrangement)
    const options = { ttl: '1s', staleWhileRevalidate: '1h' } as const
    await cache.getOrSet('a', () => 1, options)
    await pass(clock, 1_000)
    let signal: AbortSignal | undefined
    await cache.getOrSet(
      'a',
      (context) => {
        signal = context.signal
        return new Promise<number>(() => {})
      },
      options,
    )
    const closing = cache.close()
    await pass(clock, 500)
    await closing
    expect(signal?.reason).toMatchObject({ code: 'CACHE_CLOSED' })
  })
})

describe.each([...arrangements, ...inNamespaces])('renewal before the end: $name', (arrangement) => {
  test('rule 3.1.16: refreshAhead renews behind the answer, once, after its share of the ttl', async () => {
    const { cache, clock } = await opened(arrangement, { ttl: '10s', refreshAhead: 0.8 })
    const started: string[] = []
    cache.on('refresh.started', ({ reason }) => started.push(reason))
    let loads = 0
    const load = () => ++loads
    expect(await cache.getOrSet('a', load)).toBe(1)
    await pass(clock, 7_999)
    expect(await cache.getOrSet('a', load)).toBe(1)
    await rest()
    expect(loads).toBe(1)
    await pass(clock, 2)
    expect(await cache.get('a'), 'it is fresh to everyone').toBe(1)
    expect(cache.l1.get('a')).toBe(cache.stats().l1 === undefined ? undefined : 1)
    expect(await Promise.all([1, 2, 3].map(() => cache.getOrSet('a', load)))).toEqual([1, 1, 1])
    await rest()
    expect(loads).toBe(2)
    expect(started).toEqual(['ahead'])
    expect(await cache.getOrSet('a', load)).toBe(2)
    await rest()
    expect(loads).toBe(2)
    await pass(clock, 7_990)
    expect(await cache.getOrSet('a', load), 'a whole life again').toBe(2)
    await rest()
    expect(loads).toBe(2)
  })

  test('a failed renewal leaves the value, and the next one waits for failureThrottle', async () => {
    const { cache, clock } = await opened(arrangement, { ttl: '10s', refreshAhead: 0.5 })
    await cache.getOrSet('a', () => 'value')
    await pass(clock, 5_001)
    const { count, loads } = counting()
    for (let call = 0; call < 3; call++) {
      expect(await cache.getOrSet('a', count)).toBe('value')
      await rest()
    }
    expect(loads()).toBe(1)
  })

  test('what was set is renewed before its end too', async () => {
    const { cache, clock } = await opened(arrangement, { ttl: '10s', refreshAhead: 0.5 })
    await cache.set('a', 'set')
    await pass(clock, 5_001)
    expect(await cache.getOrSet('a', () => 'renewed')).toBe('set')
    await rest()
    expect(await cache.getOrSet('a', () => 'unused')).toBe('renewed')
  })

  test('rule 3.1.19: jitter takes off at most its share, and adds nothing', async () => {
    const { cache, clock } = await opened(arrangement, {
      ttl: '10s',
      jitter: 0.5,
      random: { bytes: (count) => new Uint8Array(count).fill(7), next: () => 0.5 },
    })
    await cache.getOrSet('loaded', () => 1)
    await cache.set('set', 1)
    await cache.set('ever', 1, { ttl: null })
    await pass(clock, 7_499)
    expect(await cache.getMany(['loaded', 'set'])).toEqual(
      new Map([
        ['loaded', 1],
        ['set', 1],
      ]),
    )
    await pass(clock, 1)
    expect((await cache.getMany(['loaded', 'set', 'ever'])).size).toBe(1)
  })
})

test('the window of a stale value goes on while tiers are waited for', async () => {
  const clock = new ManualClock()
  const tier = memoryTier({ clock })
  const cache = createCache({ clock, ttl: '1s', staleIfError: '1s', tiers: [tier] })
  await cache.set('a', 'old')
  await pass(clock, 1_800)
  const slow = deferred<undefined>()
  tier.get = () => slow.promise
  const asking = expect(cache.getOrSet('a', fail)).rejects.toBe(down)
  await pass(clock, 400)
  slow.resolve(undefined)
  await asking
})

test('rule 3.1.6: of a stale value in L1 and one that another process has set since the newer one stands in', async () => {
  const clock = new ManualClock()
  const hub = new Hub({ clock })
  const options = { clock, ttl: '1s', staleIfError: '1h' } as const
  const [one, two] = [1, 2].map(() => createCache({ ...options, tiers: [memoryTier({ hub })] }))
  await one?.set('a', 'older')
  await two?.set('a', 'newer')
  await pass(clock, 1_000)
  expect(await one?.getOrSet('a', fail)).toBe('newer')
})

test('rule 3.1.17: refreshAhead asks the tiers before the source: what another process has renewed is taken', async () => {
  const [arrangement] = arrangements.filter(({ name }) => name === 'L1 over a ledger with its bus')
  if (arrangement === undefined) throw new Error('the arrangement has another name')
  const { cache, other, clock } = await opened(arrangement, { ttl: '10s', refreshAhead: 0.5 })
  await cache.getOrSet('a', () => 'first')
  expect(await other.get('a')).toBe('first')
  await pass(clock, 5_001)
  await cache.getOrSet('a', () => 'second')
  await rest()
  expect(await other.getOrSet('a', () => 'not asked for')).toBe('first')
  await rest()
  expect(await other.getOrSet('a', () => 'not asked for')).toBe('second')
  expect(other.stats().loads).toBe(0)
  expect(cache.stats().loads).toBe(2)
})

describe('XFetch', () => {
  /** A cache whose loads take 100 ms and whose random numbers are all `draw`. */
  function xfetching(draw: number): {
    cache: Cache
    clock: ManualClock
    loads: () => number
    load: () => unknown
  } {
    const clock = new ManualClock()
    const cache = createCache({
      clock,
      ttl: '10s',
      refreshAhead: { beta: 1 },
      random: { bytes: (count) => new Uint8Array(count).fill(7), next: () => draw },
    })
    let loads = 0
    const load = () => {
      loads++
      return new Promise((resolve) => clock.setTimer(() => resolve(loads), 100))
    }
    return { cache, clock, load, loads: () => loads }
  }

  // With a random number of 1 - 1/e the product is 100 ms, with 0.9 it is 230 ms.
  test.each([
    [1 - Math.exp(-1), 100],
    [0.9, 100 * Math.LN10],
  ])('with a random number of %d a use renews within %d ms of the end', async (draw, aheadMs) => {
    const { cache, clock, load, loads } = xfetching(draw)
    const first = cache.getOrSet('a', load)
    await pass(clock, 100)
    expect(await first).toBe(1)
    await clock.run(10_000 - aheadMs - 1, 1_000)
    expect(await cache.getOrSet('a', load)).toBe(1)
    await rest()
    expect(loads()).toBe(1)
    await clock.run(2)
    expect(await cache.getOrSet('a', load)).toBe(1)
    await rest()
    expect(loads()).toBe(2)
    await pass(clock, 100)
    expect(await cache.get('a')).toBe(2)
  })

  test('what loads at once, or never ends, is not renewed early', async () => {
    const { cache, clock } = xfetching(0.999)
    await cache.getOrSet('fast', () => 1)
    await cache.getOrSet('ever', () => 1, { ttl: null })
    await pass(clock, 9_999)
    expect(await cache.getOrSet('fast', () => 2)).toBe(1)
    expect(await cache.getOrSet('ever', () => 2)).toBe(1)
    await rest()
    expect(await cache.getOrSet('fast', () => 2)).toBe(1)
  })
})

test('what is over before a slow tier has it goes to nobody who asks then', async () => {
  const clock = new ManualClock(0)
  const tier = flakyTier(memoryTier({ clock }), {
    clock,
    plan: ({ method }) => (method.startsWith('get') ? 'work' : { delayMs: 400 }),
  })
  const cache = createCache<number>({ clock, tiers: [tier], ttl: 100 })
  let loads = 0
  const read = () => cache.getOrSet('a', () => ++loads)
  const reads = [read()]
  await pass(clock, 50)
  reads.push(read())
  await pass(clock, 100)
  reads.push(read())
  await pass(clock, 1_000)
  expect(await Promise.all(reads)).toEqual([1, 1, 2])
})

test('who joins a search is not given what L1 had when that began, once the lease of that is over', async () => {
  const clock = new ManualClock()
  const hub = new Hub({ clock })
  const cache = createCache<string>({
    clock,
    bus: inProcessBus({ hub }),
    ttl: '1s',
    staleIfError: '1m',
    lease: '3s',
  })
  await rest()
  await cache.getOrSet('a', () => 'old')
  await pass(clock, 1_500)
  hub.links[0]?.hold()
  await pass(clock, 1_500)
  const loading = deferred<string>()
  const began = cache.getOrSet('a', () => loading.promise, { softLoadTimeout: 200 })
  await pass(clock, 200)
  expect(await began).toBe('old')
  await pass(clock, 1_500)
  expect(cache.health().copiesTrusted).toBe(false)
  const joined = cache.getOrSet('a', () => 'not loaded', { softLoadTimeout: 200 })
  await pass(clock, 300)
  loading.resolve('new')
  expect(await joined).toBe('new')
})

describe('nobody is given something older than what was given out before', () => {
  const apart = async (plan: FaultPlan, options: CacheOptions = {}) => {
    const clock = new ManualClock()
    const hub = new Hub({ clock })
    const tier = flakyTier(memoryTier({ hub }), { clock })
    const make = (tiers: Tier[]) =>
      createCache<string>({ clock, tiers, bus: inProcessBus({ hub }), ttl: '1m', ...options })
    const near = flakyTier(memoryTier({ clock }), { clock })
    const here = make([near, tier])
    await rest()
    const there = make([memoryTier({ hub })])
    await rest()
    tier.plan = plan
    return { clock, here, there, near, link: hub.links[0] }
  }

  test('by a reading that began before a load did', async () => {
    let reads = 0
    const { clock, here, there, link } = await apart(
      ({ method }) => (method === 'ledger.read' && reads++ === 0 ? { answerDelayMs: 400 } : 'work'),
      { l1: false },
    )
    await there.set('a', 'old')
    const reading = here.get('a')
    await pass(clock, 1)
    link?.hold()
    await there.delete('a')
    expect(await here.getOrSet('a', () => 'new')).toBe('new')
    const joining = here.get('a')
    await pass(clock, 400)
    expect([await reading, await joining]).toEqual(['old', 'new'])
  })

  test('by a nearer tier that did not take the copy of it', async () => {
    const { here, there, link, near } = await apart(() => 'work', { l1: false })
    expect(await here.getOrSet('a', () => 'old')).toBe('old')
    link?.hold()
    await there.delete('a')
    near.plan = ({ method }) => (method === 'set' ? 'fail' : 'work')
    expect(await here.getOrSet('a', () => 'new', { skip: 'copies' })).toBe('new')
    expect(await here.get('a')).toBe('new')
  })

  test('by a copy, when the authority has it no more', async () => {
    const { clock, here, there, link } = await apart(() => 'work', {
      ttl: '1s',
      staleIfError: '1m',
      l1: false,
    })
    expect(await here.getOrSet('a', () => 'old')).toBe('old')
    await pass(clock, 1_000)
    link?.hold()
    await there.delete('a')
    await expect(here.getOrSet('a', fail)).rejects.toBe(down)
  })
})

test('who asks when the time of what was found is over joins no search that is still busy with it', async () => {
  const clock = new ManualClock()
  const hub = new Hub({ clock })
  const near = flakyTier(memoryTier({ clock }), { clock })
  const cache = createCache<string>({ clock, ttl: '1s', tiers: [near, memoryTier({ hub })], l1: false })
  const other = createCache<string>({ clock, ttl: '1s', tiers: [memoryTier({ hub })] })
  await other.set('a', 'old')
  await pass(clock, 800)
  near.plan = ({ method }) => (method === 'set' ? { delayMs: 400 } : 'work')
  const busy = cache.getOrSet('a', () => 'not loaded')
  await pass(clock, 300)
  const late = cache.getOrSet('a', () => 'new')
  await pass(clock, 800)
  expect([await busy, await late]).toEqual(['old', 'new'])
})
