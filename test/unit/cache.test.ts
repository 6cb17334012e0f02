import { describe, expect, test } from 'vitest'
import type { LoaderContext } from '../../src/coordinator/loading.ts'
import { CacheError } from '../../src/errors.ts'
import { arrangements, deferred, inNamespaces, opened, pass, rest } from '../support/caches.ts'

describe.each([...arrangements, ...inNamespaces])('a cache: $name', (arrangement) => {
  test('returns what was set, undefined for what was not, and null as a value', async () => {
    const { cache } = await opened(arrangement)
    expect(await cache.get('a')).toBeUndefined()
    expect(await cache.set('a', { n: 1 })).toBe(true)
    expect(await cache.get('a')).toEqual({ n: 1 })
    await cache.set('nothing', null)
    expect(await cache.get('nothing')).toBeNull()
    expect(await cache.has('nothing')).toBe(true)
    expect(await cache.has('b')).toBe(false)
  })

  test.each([0, '', false, null, Number.NaN])('keeps %j as a value and not as a miss', async (value) => {
    const { cache } = await opened(arrangement)
    await cache.set('falsy', value)
    expect(await cache.get('falsy')).toEqual(value)
    expect(await cache.getOrSet('falsy', () => 'loaded')).toEqual(value)
    expect(await cache.getMany(['falsy'])).toEqual(new Map([['falsy', value]]))
  })

  test('tells 7 from "7", and lone surrogates from each other', async () => {
    const { cache } = await opened(arrangement)
    const keys = [
      7,
      '7',
      '',
      '\ud800',
      '\udc00',
      '\ufffd',
      '\ufdd0d800',
      '\0',
      '\0:1:x',
      'x',
      '__proto__',
      '../../etc/passwd',
      -0,
      -7,
    ]
    for (const [value, key] of keys.entries()) await cache.set(key, value)
    for (const [value, key] of keys.entries()) expect(await cache.get(key), JSON.stringify(key)).toBe(value)
    expect(await cache.get(0)).toBe(12)
    expect(({} as Record<string, unknown>).x).toBeUndefined()
  })

  test('an entry is gone at its ttl, and null keeps it for ever', async () => {
    const { cache, clock } = await opened(arrangement)
    await cache.set('minute', 1)
    await cache.set('second', 2, { ttl: '1s' })
    await cache.set('ever', 3, { ttl: null })
    await pass(clock, 999)
    expect(await cache.get('second')).toBe(2)
    await pass(clock, 1)
    expect(await cache.get('second')).toBeUndefined()
    expect(await cache.get('minute')).toBe(1)
    await pass(clock, 59_000)
    expect(await cache.get('minute')).toBeUndefined()
    await pass(clock, 600_000)
    expect(await cache.get('ever')).toBe(3)
  })

  test('a ttl of 0 stores nothing and removes what was there', async () => {
    const { cache } = await opened(arrangement)
    await cache.set('a', 1)
    expect(await cache.set('a', 2, { ttl: 0 })).toBe(false)
    expect(await cache.get('a')).toBeUndefined()
    expect(await cache.getOrSet('a', () => 3, { ttl: 0 })).toBe(3)
    expect(await cache.get('a')).toBeUndefined()
  })

  test('delete says whether something was there', async () => {
    const { cache } = await opened(arrangement)
    await cache.set('a', 1)
    expect(await cache.delete('a')).toBe(true)
    expect(await cache.delete('a')).toBe(false)
    expect(await cache.get('a')).toBeUndefined()
  })

  test('clear removes this prefix in all versions and no other', async () => {
    const { cache, clock, hub } = await opened(arrangement, { prefix: 'shop' })
    const sibling = arrangement.open(clock, hub, { prefix: 'shop:eu' })
    await rest()
    await cache.set('a', 1)
    await cache.set('a', 2, { version: 2 })
    await sibling.set('a', 3)
    await cache.clear()
    expect(await cache.get('a')).toBeUndefined()
    expect(await cache.get('a', { version: 2 })).toBeUndefined()
    expect(await sibling.get('a')).toBe(3)
  })

  test('clear of all removes every prefix, for everybody, and loads from before it are kept nowhere', async () => {
    const { cache, clock, hub, other } = await opened(arrangement, { prefix: 'shop' })
    const sibling = arrangement.open(clock, hub, { prefix: 'blog' })
    await rest()
    const isShared = arrangement.name.includes('ledger')
    const hears = arrangement.name.includes('bus') && !arrangement.name.includes('no bus')
    const all = [cache, other, sibling, sibling.namespace('inner')]
    for (const each of all) {
      await each.set('a', 'before')
      await each.set('a', 'before', { version: 2 })
    }
    await rest()
    const loading = deferred<string>()
    const call = sibling.getOrSet('b', () => loading.promise)
    await rest()
    await cache.clear({ all: true })
    await rest()
    loading.resolve('old')
    expect(await call).toBe('old')
    for (const [place, each] of all.entries()) {
      const isGone = place === 0 || hears
      for (const version of [1, 2]) {
        const found = await each.get('a', { version })
        if (isGone) expect(found, `cache ${place}, version ${version}`).toBeUndefined()
        // Without a bus its first level goes on; what it has below is gone.
        else expect(found, `cache ${place}, version ${version}`).toBe('before')
        if (isShared) expect(await each.get('a', { version, skip: 'copies' })).toBeUndefined()
      }
    }
    if (hears || isShared) expect(await sibling.get('b', hears ? {} : { skip: 'copies' })).toBeUndefined()
    await cache.set('a', 'after')
    expect(await cache.get('a')).toBe('after')
    // @ts-expect-error: what only JavaScript can ask
    await expect(cache.clear({ all: 1 })).rejects.toThrow('all: 1 is neither true nor false')
    await expect(cache.clear({ every: true } as object)).rejects.toThrow('every')
  })

  test('versions of a key do not see each other', async () => {
    const { cache } = await opened(arrangement)
    await cache.set('a', 'one')
    await cache.set('a', 'two', { version: 2 })
    expect(await cache.get('a')).toBe('one')
    expect(await cache.get('a', { version: 2 })).toBe('two')
    expect(await cache.getOrSet('a', () => 'three', { version: 'v3' })).toBe('three')
    await cache.delete('a', { version: 2 })
    expect(await cache.get('a')).toBe('one')
    expect(await cache.get('a', { version: 2 })).toBeUndefined()
  })

  test('a key of the cache’s own version is one key, whether the version is named or not', async () => {
    const { cache } = await opened(arrangement)
    await cache.set('a', 'first')
    await cache.set('a', 'second', { version: 1 })
    expect(await cache.get('a')).toBe('second')
    await cache.set('a', 'third')
    expect(await cache.get('a', { version: '1' })).toBe('third')
    await cache.delete('a', { version: 1 })
    expect(await cache.get('a')).toBeUndefined()
  })

  test('getMany answers in the order of the keys, setMany stores all', async () => {
    const { cache } = await opened(arrangement)
    expect(
      await cache.setMany(
        new Map<string | number, unknown>([
          ['a', 1],
          ['b', null],
          [3, 'three'],
        ]),
      ),
    ).toEqual({ failed: [] })
    const values = await cache.getMany([3, 'missing', 'b', 'a', 'a'])
    expect([...values]).toEqual([
      [3, 'three'],
      ['b', null],
      ['a', 1],
    ])
    expect(await cache.getMany([])).toEqual(new Map())
  })

  test('deleteMany says how many there were', async () => {
    const { cache } = await opened(arrangement)
    await cache.setMany([
      ['a', 1],
      ['b', 2],
      ['c', 3],
    ])
    expect(await cache.deleteMany(['a', 'b', 'a', 'missing'])).toEqual({ deleted: 2, failed: [] })
    expect([...(await cache.getMany(['a', 'b', 'c']))]).toEqual([['c', 3]])
    expect(await cache.deleteMany([])).toEqual({ deleted: 0, failed: [] })
    await expect(cache.deleteMany(['c', 1.5])).rejects.toThrow('key: 1.5')
    expect(await cache.get('c')).toBe(3)
  })

  test('getEntry says where an entry is, how long it is good and what it carries, stale or not', async () => {
    const { cache, clock } = await opened(arrangement, { staleIfError: '10s' })
    expect(await cache.getEntry('a')).toBeUndefined()
    await cache.set('a', null, { ttl: '5s', tags: ['t'] })
    await pass(clock, 2_000)
    const known = { value: null, level: expect.any(String), tags: ['t'] }
    expect(await cache.getEntry('a')).toEqual({
      ...known,
      isStale: false,
      freshForMs: 3_000,
      usableForMs: 13_000,
    })
    await pass(clock, 4_000)
    expect(await cache.getEntry('a')).toEqual({ ...known, isStale: true, freshForMs: 0, usableForMs: 9_000 })
    await pass(clock, 9_000)
    expect(await cache.getEntry('a')).toBeUndefined()
    await cache.set('ever', 1, { ttl: null })
    const ever = await cache.getEntry('ever')
    expect(ever).toMatchObject({ value: 1, freshForMs: null, usableForMs: null, tags: [] })
    expect(ever?.level).toBe((await cache.l1.get('ever')) === undefined ? 'memory' : 'l1')
    await cache.set('b', 1, { tags: ['t'] })
    await cache.expireTags(['t'])
    expect((await cache.getEntry('b'))?.isStale ?? true).toBe(true)
  })

  test('rule 3.1.20: getOrSet loads once for all who ask at once, and keeps the value', async () => {
    const { cache } = await opened(arrangement)
    let loads = 0
    const loading = deferred<string>()
    const callers = Array.from({ length: 100 }, () =>
      cache.getOrSet('a', () => {
        loads++
        return loading.promise
      }),
    )
    await rest()
    loading.resolve('value')
    expect(new Set(await Promise.all(callers))).toEqual(new Set(['value']))
    expect(await cache.getOrSet('a', () => 'other')).toBe('value')
    expect(loads).toBe(1)
  })

  test('a loader gets its key and a signal', async () => {
    const { cache } = await opened(arrangement)
    let seen: LoaderContext | undefined
    await cache.getOrSet(7, (context) => {
      seen = context
      return 1
    })
    expect(seen?.key).toBe(7)
    expect(seen?.signal.aborted).toBe(false)
  })

  test('what a loader throws reaches everyone who waits, unchanged, and the next call loads again', async () => {
    const { cache } = await opened(arrangement)
    const failure = new Error('source is down')
    const callers = Array.from({ length: 10 }, () => cache.getOrSet('a', () => Promise.reject(failure)))
    for (const outcome of await Promise.allSettled(callers)) {
      expect(outcome).toEqual({ status: 'rejected', reason: failure })
    }
    await expect(
      cache.getOrSet('a', () => {
        throw failure
      }),
    ).rejects.toBe(failure)
    expect(await cache.getOrSet('a', () => 'value')).toBe('value')
  })

  test('rule 3.2.4: a loader that resolves to undefined stores nothing', async () => {
    const { cache } = await opened(arrangement)
    expect(await cache.getOrSet('a', () => undefined)).toBeUndefined()
    expect(await cache.getOrSet('a', () => 1)).toBe(1)
  })

  test('a loader over its limit is CACHE_LOAD_TIMEOUT, its signal fires, and what it does later is ignored', async () => {
    const { cache, clock } = await opened(arrangement)
    const late = deferred<string>()
    let signal: AbortSignal | undefined
    const call = cache.getOrSet(
      'a',
      (context) => {
        signal = context.signal
        return late.promise
      },
      { loadTimeout: '2s' },
    )
    const outcome = expect(call).rejects.toMatchObject({ code: 'CACHE_LOAD_TIMEOUT', key: 'a' })
    await pass(clock, 2_000)
    await outcome
    expect(signal?.aborted).toBe(true)
    late.resolve('late')
    await rest()
    expect(await cache.get('a')).toBeUndefined()
  })

  test.each(['set', 'delete', 'clear'] as const)(
    'rule 3.3.2: a load that a %s here overtakes is returned and kept nowhere',
    async (op) => {
      const { cache, other } = await opened(arrangement)
      const loading = deferred<string>()
      const call = cache.getOrSet('a', () => loading.promise)
      await rest()
      if (op === 'set') await cache.set('a', 'new')
      else if (op === 'delete') await cache.delete('a')
      else await cache.clear()
      loading.resolve('old')
      expect(await call).toBe('old')
      await rest()
      const expected = op === 'set' ? 'new' : undefined
      expect(await cache.get('a')).toBe(expected)
      if (
        arrangement.name !== 'L1 alone' &&
        arrangement.hasTier &&
        !arrangement.name.includes('cannot order')
      ) {
        expect(await other.get('a')).toBe(expected)
      }
    },
  )

  test('rule 3.3.1: a caller who comes after a mutation does not join a load from before it', async () => {
    const { cache } = await opened(arrangement)
    const before = deferred<string>()
    const first = cache.getOrSet('a', () => before.promise)
    await rest()
    await cache.delete('a')
    const second = cache.getOrSet('a', () => 'after')
    expect(await second).toBe('after')
    before.resolve('before')
    expect(await first).toBe('before')
    expect(await cache.get('a')).toBe('after')
  })

  test('from the call of a mutation on, no read here sees the old value, awaited or not', async () => {
    const { cache } = await opened(arrangement)
    await cache.set('a', 'old')
    const setting = cache.set('a', 'new')
    expect(cache.l1.get('a')).not.toBe('old')
    expect(await cache.get('a')).toBe('new')
    await setting
    const deleting = cache.delete('a')
    expect(cache.l1.get('a')).toBeUndefined()
    const [one, many, loaded] = await Promise.all([
      cache.get('a'),
      cache.getMany(['a']),
      cache.getOrSet('a', () => 'loaded'),
    ])
    expect(['old', 'new']).not.toContain(one)
    expect(['old', 'new']).not.toContain(many.get('a'))
    expect(loaded).toBe('loaded')
    await deleting
  })

  test('mutations of one key take effect in the order of the calls', async () => {
    const { cache, other } = await opened(arrangement)
    await Promise.all([
      cache.set('a', 1),
      cache.delete('a'),
      cache.set('a', 2),
      cache.clear(),
      cache.set('a', 3),
      cache.set('a', 4),
    ])
    expect(await cache.get('a')).toBe(4)
    await rest()
    if (arrangement.name.includes('ledger')) expect(await other.get('a')).toBe(4)
  })

  test('rule 3.1.5: staleWhileRevalidate answers at once and refreshes once behind it', async () => {
    const { cache, clock } = await opened(arrangement)
    const options = { ttl: '1s', staleWhileRevalidate: '9s' } as const
    let loads = 0
    const load = () => ++loads
    expect(await cache.getOrSet('a', load, options)).toBe(1)
    await pass(clock, 1_500)
    expect(await cache.get('a'), 'a plain get is for fresh values').toBeUndefined()
    const answers = await Promise.all([1, 2, 3].map(() => cache.getOrSet('a', load, options)))
    expect(answers).toEqual([1, 1, 1])
    await rest()
    expect(loads).toBe(2)
    expect(await cache.getOrSet('a', load, options)).toBe(2)
    await pass(clock, 10_000)
    expect(await cache.getOrSet('a', load, options), 'past the window').toBe(3)
  })

  test('rule 3.2.2: staleIfError answers for a loader that fails, to the end of its window', async () => {
    const { cache, clock } = await opened(arrangement)
    const options = { ttl: '1s', staleIfError: '10s' } as const
    const failure = new Error('down')
    const fail = () => Promise.reject(failure)
    await cache.getOrSet('a', () => 'good', options)
    await pass(clock, 10_999)
    expect(await cache.getOrSet('a', fail, options)).toBe('good')
    await pass(clock, 1)
    await expect(cache.getOrSet('a', fail, options)).rejects.toBe(failure)
  })

  test('stats count what happened', async () => {
    const { cache } = await opened(arrangement)
    await cache.getOrSet('a', () => 1)
    await cache.getOrSet('a', () => 1)
    await expect(cache.getOrSet('b', () => Promise.reject(new Error('x')))).rejects.toThrow('x')
    expect(cache.stats()).toMatchObject({ loads: 2, loadFailures: 1, loadsOvertaken: 0, staleServed: 0 })
    if (cache.stats().l1 !== undefined) expect(cache.stats().l1).toMatchObject({ hits: 1 })
  })

  test('a closed cache refuses everything with CACHE_CLOSED, after its mutations are done', async () => {
    const { cache } = await opened(arrangement)
    const setting = cache.set('a', 1)
    await cache.close()
    expect(await setting).toBe(true)
    await cache.close()
    const calls = [
      () => cache.get('a'),
      () => cache.set('a', 1),
      () => cache.delete('a'),
      () => cache.has('a'),
      () => cache.getMany(['a']),
      () => cache.setMany([['a', 1]]),
      () => cache.clear(),
      () => cache.getOrSet('a', () => 1),
    ]
    for (const call of calls) await expect(call()).rejects.toMatchObject({ code: 'CACHE_CLOSED' })
    expect(cache.l1.get('a')).toBeUndefined()
    expect(cache.health().closed).toBe(true)
  })

  test('a cache is closed by await using', async () => {
    const { cache } = await opened(arrangement)
    await cache[Symbol.asyncDispose]()
    await expect(cache.get('a')).rejects.toBeInstanceOf(CacheError)
  })

  test('an event tells of each decision, and a listener that throws stops nothing', async () => {
    const { cache } = await opened(arrangement)
    const heard: string[] = []
    cache.on('entry.hit', ({ key, level, stale }) => heard.push(`hit ${key} ${level} ${stale}`))
    cache.on('entry.missed', ({ key }) => heard.push(`missed ${key}`))
    cache.on('load.finished', ({ key, stored }) => heard.push(`loaded ${key} ${stored}`))
    cache.on('load.failed', ({ key, servedStale }) => heard.push(`failed ${key} ${servedStale}`))
    cache.on('mutation.committed', ({ op, key }) => heard.push(`${op} ${key}`))
    cache.on('listener.failed', ({ event }) => heard.push(`listener of ${event} failed`))
    const off = cache.on('entry.missed', () => {
      throw new Error('listener')
    })
    await cache.getOrSet('a', () => 1)
    off()
    const level = cache.stats().l1 === undefined ? 'memory' : 'l1'
    await cache.get('a')
    await cache.set('b', 1)
    await cache.delete('b')
    await cache.clear()
    await cache.getOrSet('c', () => Promise.reject(new Error('x'))).catch(() => {})
    expect(heard).toEqual([
      'missed a',
      'listener of entry.missed failed',
      'loaded a true',
      `hit a ${level} false`,
      'set b',
      'delete b',
      'clear undefined',
      'missed c',
      'failed c false',
    ])
  })
})
