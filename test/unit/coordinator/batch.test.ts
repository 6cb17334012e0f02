// One load for many keys: `getOrSetMany`, in every arrangement.

import { describe, expect, test } from 'vitest'
import type { BulkLoaderContext } from '../../../src/coordinator/batch.ts'
import type { Key } from '../../../src/key.ts'
import { arrangements, deferred, inNamespaces, opened, pass, rest } from '../../support/caches.ts'

/** A bulk loader that answers `key!` for each key, and what it was asked for. */
function exclaiming(): { load: (context: BulkLoaderContext) => Map<Key, string>; asked: Key[][] } {
  const asked: Key[][] = []
  return {
    asked,
    load: ({ keys }) => {
      asked.push([...keys])
      return new Map(keys.map((key) => [key, `${key}!`]))
    },
  }
}

describe.each([...arrangements, ...inNamespaces])('getOrSetMany: $name', (arrangement) => {
  test('asks the loader once, for what nobody has, and answers in the order of the keys', async () => {
    const { cache } = await opened(arrangement)
    await cache.set('b', 'set')
    const { load, asked } = exclaiming()
    const { values, failed } = await cache.getOrSetMany(['c', 'b', 'a', 7, 'a'], load)
    expect([...values]).toEqual([
      ['c', 'c!'],
      ['b', 'set'],
      ['a', 'a!'],
      [7, '7!'],
    ])
    expect(failed.size).toBe(0)
    expect(asked).toEqual([['c', 'a', 7]])
    await cache.getOrSetMany(['a', 'b', 'c'], load)
    expect(asked).toHaveLength(1)
    expect((await cache.getOrSetMany([], load)).values.size).toBe(0)
  })

  test('asks each tier once', async () => {
    const { cache } = await opened(arrangement)
    await cache.getOrSetMany(['a', 'b', 'c'], exclaiming().load)
    for (const { misses } of cache.stats().tiers) expect(misses).toBe(3)
    expect(cache.stats().loads).toBe(3)
  })

  test('waits for keys that are being loaded already, and is waited for', async () => {
    const { cache } = await opened(arrangement)
    const single = deferred<string>()
    const first = cache.getOrSet('a', () => single.promise)
    await rest()
    const bulk = deferred<Map<Key, string>>()
    const asked: Key[][] = []
    const many = cache.getOrSetMany(['a', 'b'], ({ keys }) => {
      asked.push([...keys])
      return bulk.promise
    })
    await rest()
    const joined = cache.getOrSet('b', () => 'not asked for')
    await rest()
    expect(asked).toEqual([['b']])
    bulk.resolve(new Map([['b', 'bulk']]))
    expect(await joined).toBe('bulk')
    single.resolve('single')
    expect([...(await many).values]).toEqual([
      ['a', 'single'],
      ['b', 'bulk'],
    ])
    expect(await first).toBe('single')
  })

  test('a key that fails, or that the loader does not return, is none of the others', async () => {
    const { cache } = await opened(arrangement)
    const failure = new Error('no such user')
    const { values, failed } = await cache.getOrSetMany(['a', 'b', 'c'], ({ fail }) => {
      fail('b', failure)
      return [['a', 1] as const]
    })
    expect([...values]).toEqual([['a', 1]])
    expect([...failed]).toEqual([['b', failure]])
    expect(await cache.get('a')).toBe(1)
    expect(await cache.get('c')).toBeUndefined()
  })

  test('what the loader throws is the failure of its keys, and a stale value or the fallback stands in', async () => {
    const { cache, clock } = await opened(arrangement)
    const down = new Error('down')
    const options = { ttl: '1s', staleIfError: '1h', failureThrottle: 0 } as const
    await cache.set('old', 'stale', options)
    await pass(clock, 1_000)
    await cache.set('here', 'fresh', { ttl: '1h' })
    const fails = () => Promise.reject(down)
    const { values, failed } = await cache.getOrSetMany(['old', 'here', 'missing'], fails, options)
    expect([...values]).toEqual([
      ['old', 'stale'],
      ['here', 'fresh'],
    ])
    expect([...failed]).toEqual([['missing', down]])
    const second = await cache.getOrSetMany<unknown>(['missing'], fails, { fallback: 'none' })
    expect([...second.values]).toEqual([['missing', 'none']])
    const wrong = await cache.getOrSetMany(['missing'], () => 5 as never)
    expect(String(wrong.failed.get('missing'))).toMatch(/load: it returned 5/)
  })

  test('stale values that may serve do, with one refresh for all of them', async () => {
    const { cache, clock } = await opened(arrangement)
    const options = { ttl: '1s', staleWhileRevalidate: '1h' } as const
    await cache.setMany(
      [
        ['a', 'old'],
        ['b', 'old'],
      ],
      options,
    )
    await pass(clock, 1_000)
    const { load, asked } = exclaiming()
    expect([...(await cache.getOrSetMany(['a', 'b'], load, options)).values.values()]).toEqual(['old', 'old'])
    await rest()
    expect(asked.flat().sort()).toEqual(['a', 'b'])
    if (cache.stats().l1 !== undefined && arrangement.name === 'L1 alone') expect(asked).toHaveLength(1)
    expect([...(await cache.getOrSetMany(['a', 'b'], load, options)).values.values()]).toEqual(['a!', 'b!'])
  })

  test('a key that is changed meanwhile is given and not kept', async () => {
    const { cache } = await opened(arrangement)
    const bulk = deferred<Map<Key, string>>()
    const many = cache.getOrSetMany(['a', 'b'], () => bulk.promise)
    await rest()
    await cache.set('a', 'newer')
    bulk.resolve(
      new Map([
        ['a', 'older'],
        ['b', 'b'],
      ]),
    )
    expect([...(await many).values.values()]).toEqual(['older', 'b'])
    expect(await cache.get('a')).toBe('newer')
    expect(await cache.get('b')).toBe('b')
  })

  test('takes no place among maxLoads for each key, and ends at loadTimeout', async () => {
    const { cache, clock } = await opened(arrangement, { maxLoads: 1 })
    expect((await cache.getOrSetMany(['a', 'b', 'c'], exclaiming().load)).values.size).toBe(3)
    let signal: AbortSignal | undefined
    const late = cache.getOrSetMany(
      ['x', 'y'],
      (context) => {
        signal = context.signal
        return new Promise<Map<Key, string>>(() => {})
      },
      { loadTimeout: '1s' },
    )
    await pass(clock, 1_000)
    for (const error of (await late).failed.values())
      expect(error).toMatchObject({ code: 'CACHE_LOAD_TIMEOUT' })
    expect(signal?.aborted).toBe(true)
  })

  test('refuses a key that is none before anything is loaded', async () => {
    const { cache } = await opened(arrangement)
    const { load, asked } = exclaiming()
    await expect(cache.getOrSetMany(['a', {} as never], load)).rejects.toThrow(TypeError)
    await expect(cache.getOrSetMany(['a'], undefined as never)).rejects.toThrow(/^load: undefined/)
    expect(asked).toEqual([])
  })
})
