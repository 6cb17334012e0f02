import { describe, expect, test } from 'vitest'
import { createCache } from '../../src/create-cache.ts'
import { cached, invalidates } from '../../src/memoize.ts'
import { arrangements, deferred, opened, rest } from '../support/caches.ts'

describe.each(arrangements)('wrap: $name', (arrangement) => {
  test('answers calls from the cache, under a key made of the arguments', async () => {
    const { cache } = await opened(arrangement)
    let calls = 0
    const sum = cache.wrap((left: number, right: number) => left + right + 0 * ++calls, { name: 'sum' })
    expect(await Promise.all([sum(1, 2), sum(1, 2), sum(2, 1)])).toEqual([3, 3, 3])
    expect(calls).toBe(2)
    expect(sum.key(1, 2)).toBe('sum(1,2)')
    expect(await cache.get('sum(1,2)')).toBe(3)
    expect(await sum.invalidate(1, 2)).toBe(arrangement.hasTier || cache.stats().l1 !== undefined)
    await sum(1, 2)
    expect(calls).toBe(3)
  })

  test('with a key of its own and options of getOrSet', async () => {
    const { cache } = await opened(arrangement)
    const user = cache.wrap(async (id: number) => ({ id }), {
      key: (id) => `user:${id}`,
      version: 2,
      ttl: '1h',
    })
    expect(await user(7)).toEqual({ id: 7 })
    expect(await cache.get('user:7', { version: 2 })).toEqual({ id: 7 })
    await user.invalidate(7)
    expect(await cache.get('user:7', { version: 2 })).toBeUndefined()
  })

  test('expire leaves what a call returned to the stale windows', async () => {
    const { cache } = await opened(arrangement, { staleIfError: '1h' })
    let isDown = false
    const user = cache.wrap(
      async (id: number) => {
        if (isDown) throw new Error('down')
        return { id }
      },
      { name: 'user', version: 3 },
    )
    await user(7)
    if (arrangement.name === 'L1 with a bus and no tier') {
      await expect(user.expire(7)).rejects.toMatchObject({ code: 'CACHE_NOT_SUPPORTED' })
      return
    }
    expect(await user.expire(7)).toBe(true)
    expect(await cache.get(user.key(7), { version: 3 })).toBeUndefined()
    expect(await user.expire(7)).toBe(false)
    isDown = true
    expect(await user(7)).toEqual({ id: 7 })
  })

  test('invalidateAfter does when the change is over what it noted, and not before', async () => {
    const { cache } = await opened(arrangement)
    let stored = 'before'
    const read = () => cache.getOrSet('a', () => stored, { tags: ['t'] })
    for (const note of ['delete', 'deleteTags', 'expireTags', 'clear'] as const) {
      stored = 'before'
      await cache.delete('a')
      await read()
      const commit = deferred<void>()
      const changing = cache.invalidateAfter(async (later) => {
        if (note === 'delete') later.delete('a')
        else if (note === 'clear') later.clear()
        else later[note](['t'])
        await commit.promise
        stored = 'after'
        return 'changed'
      })
      await rest()
      expect(await read(), note).toBe('before')
      commit.resolve()
      expect(await changing).toBe('changed')
      expect(await read(), note).toBe('after')
    }
  })

  test('invalidateAfter invalidates after a change that failed, too, and says how that failed', async () => {
    const { cache } = await opened(arrangement)
    await cache.set('a', 1)
    const failure = new Error('the connection broke during the commit')
    const changing = cache.invalidateAfter(async (later) => {
      later.delete('a')
      later.delete(1.5)
      throw failure
    })
    await expect(changing).rejects.toBe(failure)
    expect(await cache.get('a')).toBeUndefined()
    await expect(cache.invalidateAfter((later) => later.delete(1.5))).rejects.toThrow('key: 1.5')
    let kept: { delete(key: string): void } | undefined
    await cache.invalidateAfter((later) => {
      kept = later
    })
    expect(() => kept?.delete('a')).toThrow('the change is over')
    await expect(cache.invalidateAfter(7 as never)).rejects.toThrow('change: 7 is not a function')
  })

  test('invalidateAround removes what is loaded while the change is under way', async () => {
    const { cache } = await opened(arrangement)
    let stored = 'before'
    const read = () => cache.getOrSet('a', () => stored)
    await read()
    const change = deferred<string>()
    const changing = cache.invalidateAround(['a', 'b'], async () => {
      const next = await change.promise
      stored = next
      return next
    })
    await rest()
    expect(await read(), 'from before the change').toBe('before')
    change.resolve('after')
    expect(await changing).toBe('after')
    expect(await read()).toBe('after')
    const failure = new Error('no')
    await expect(cache.invalidateAround('a', () => Promise.reject(failure))).rejects.toBe(failure)
    expect(await cache.get('a')).toBeUndefined()
  })
})

test('arguments make an unmistakable key, or are refused', () => {
  const cache = createCache({ ttl: '1m' })
  const call = cache.wrap((...args: unknown[]) => args.length, { name: 'call' })
  const keys = [[], [1], ['1'], [1n], [true], ['true'], [null], ['a', 'b'], ['a,b'], ['a","b'], [1, 2], [12]]
  expect(new Set(keys.map((args) => call.key(...args))).size).toBe(keys.length)
  for (const arg of [{}, [], undefined, Number.NaN, () => 1, Symbol('s')]) {
    expect(() => call.key(arg)).toThrow(/makes no key by itself/)
  }
  expect(() => cache.wrap(() => 1, {})).toThrow(/^name: undefined is no name/)
  expect(() => cache.wrap(5 as never, { name: 'five' })).toThrow(/^run: 5/)
})

test('decorated methods go through the cache, with their object as this', async () => {
  const cache = createCache({ ttl: '1m' })
  const log: string[] = []
  class Users {
    prefix = 'user'
    async byId(id: number): Promise<string> {
      log.push(`${this.prefix} ${id}`)
      return `name of ${id}`
    }
    async rename(id: number, name: string): Promise<string> {
      log.push(`rename ${id}`)
      return name
    }
  }
  const byId = cached(cache, {
    key(this: Users, id: number) {
      return `${this.prefix}:${id}`
    },
  })(Users.prototype.byId, { name: 'byId' })
  const named = cached<[id: number], string>(cache, {})(Users.prototype.byId, { name: 'byId' })
  const rename = invalidates(cache, (id: number) => [`user:${id}`])(Users.prototype.rename, {
    name: 'rename',
  })
  const users = new Users()
  expect(await byId.call(users, 7)).toBe('name of 7')
  expect(await byId.call(users, 7)).toBe('name of 7')
  expect(await rename.call(users, 7, 'Ada')).toBe('Ada')
  expect(await byId.call(users, 7)).toBe('name of 7')
  expect(await named.call(users, 7)).toBe('name of 7')
  expect(await cache.get('byId(7)')).toBe('name of 7')
  expect(log).toEqual(['user 7', 'rename 7', 'user 7', 'user 7'])
})
