// A loader that misbehaves harms those who wait for it, for no longer than their limits, and nobody else: each way to
// misbehave, at each place where a loader is called.

import { describe, expect, test } from 'vitest'
import type { Cache } from '../../../src/cache.ts'
import type { LoadOptions } from '../../../src/options.ts'
import { arrangements, opened, pass, rest } from '../../support/caches.ts'

const LIMIT_MS = 100
const down = new Error('thrown in the call')

type Load = () => unknown

/** Ways to misbehave. What is to be returned depends on the place; `late` lets go of what came too late. */
const misbehaviours: Record<string, (result: unknown, late: Promise<unknown>) => Load> = {
  'never settles': () => () => new Promise(() => {}),
  'throws synchronously': () => () => {
    throw down
  },
  'ignores its signal': (result, late) => () => late.then(() => result),
  'rejects after its limit': (_, late) => () => late.then(() => Promise.reject(down)),
  'settles twice': (result) => () => ({
    // biome-ignore lint/suspicious/noThenProperty: a loader may return whatever has a then
    then(resolve: (value: unknown) => void, reject: (error: unknown) => void) {
      resolve(result)
      resolve('again')
      reject(down)
    },
  }),
}

interface Place {
  /** What a loader returns here for a value. */
  resultOf?(value: unknown): unknown
  readonly options?: LoadOptions<string>
  /** Whether the answer is there before the load, from a value that was loaded. */
  readonly isBehind?: boolean
  /** What makes the load begin that misbehaves. */
  readonly waitMs?: number
  call(cache: Cache, load: Load, options: LoadOptions<string>): Promise<unknown>
}

const getOrSet: Place['call'] = (cache, load, options) => cache.getOrSet('a', load, options)

const places: Record<string, Place> = {
  getOrSet: { call: getOrSet },
  wrap: {
    call: (cache, load, options) => cache.wrap(load, { ...options, key: () => 'a' })(),
  },
  getOrSetMany: {
    resultOf: (value) => [['a', value]],
    async call(cache, load, options) {
      const bulk = load as () => Iterable<[string, unknown]>
      const { values, failed } = await cache.getOrSetMany(['a', 'held'], bulk, options)
      expect(values.get('held')).toBe('there')
      if (failed.has('a')) throw failed.get('a')
      return values.get('a')
    },
  },
  'getOrSet with loadLease': { options: { loadLease: '10s' }, call: getOrSet },
  'a refresh behind a stale answer': {
    options: { staleWhileRevalidate: '1h' },
    isBehind: true,
    waitMs: 60_000,
    call: getOrSet,
  },
  'a renewal ahead of the end': {
    options: { refreshAhead: 0.5 },
    isBehind: true,
    waitMs: 40_000,
    call: getOrSet,
  },
}

const cases = Object.keys(places).flatMap((place) =>
  Object.keys(misbehaviours).map((how) => ({ place, how })),
)

describe.each(arrangements)('a loader over $name', (arrangement) => {
  test.each(cases)('$how, in $place', async ({ place: placeName, how }) => {
    const place = places[placeName] ?? expect.fail(placeName)
    const { cache, other, clock } = await opened(arrangement)
    const options: LoadOptions<string> = {
      ttl: '1m',
      loadTimeout: LIMIT_MS,
      failureThrottle: 0,
      ...place.options,
    }
    let letGo = (): void => {}
    const late = new Promise<void>((resolve) => {
      letGo = resolve
    })
    const resultOf = place.resultOf ?? ((value: unknown) => value)
    const bad = misbehaviours[how]?.(resultOf('first'), late) ?? expect.fail(how)
    const good = () => resultOf('good')
    if (place.isBehind) await cache.getOrSet('a', () => 'old', options)
    await pass(clock, place.waitMs ?? 0)
    await cache.set('held', 'there', { ttl: '1h' })

    const isKept = how === 'settles twice'
    const outcome = place.call(cache, bad, options).then(
      (value) => ({ value }),
      (error: unknown) => ({ error }),
    )
    await rest()
    // Others of this process, and of another one, go on meanwhile; who joins waits no longer than its own limit.
    expect(await cache.getOrSet('b', () => 'untouched')).toBe('untouched')
    const hasty = cache
      .getOrSet('a', () => 'mine', { ...options, loadTimeout: LIMIT_MS / 2 })
      .catch(({ code }) => code)
    const elsewhere = other.getOrSet('a', () => 'theirs', { ...options, loadTimeout: 10 * LIMIT_MS })
    let answer: unknown = 'none yet'
    void hasty.then((value) => {
      answer = value
    })
    await rest()
    // What is there already keeps nobody waiting, wherever it is.
    if (place.isBehind) expect(answer).toBe(isKept ? 'first' : 'old')
    await pass(clock, LIMIT_MS + 60)
    const isTimedOut = how !== 'throws synchronously' && !isKept
    if (place.isBehind) {
      expect(await outcome).toEqual({ value: 'old' })
    } else {
      const timedOut = expect.objectContaining({ code: 'CACHE_LOAD_TIMEOUT' })
      expect(await outcome).toEqual(isKept ? { value: 'first' } : { error: isTimedOut ? timedOut : down })
      expect(isTimedOut ? ['CACHE_LOAD_TIMEOUT'] : ['first', 'mine']).toContain(await hasty)
    }
    expect(['first', 'old', 'mine', 'theirs']).toContain(await elsewhere)

    // The key goes on, and what comes too late comes to nobody.
    await cache.delete('a')
    await pass(clock, 0)
    expect(await place.call(cache, good, options)).toBe('good')
    letGo()
    await rest()
    expect(await cache.get('a')).toBe('good')
    await Promise.all([cache.close(), other.close()])
  })
})
