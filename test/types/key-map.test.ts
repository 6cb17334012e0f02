// Types that must and must not compile; `npm run check` compiles this file. What is called is run as well.

import { expect, expectTypeOf, test } from 'vitest'
import type { Cache } from '../../src/cache.ts'
import { createCache } from '../../src/create-cache.ts'
import type { TypedCache } from '../../src/key-map.ts'

interface User {
  readonly name: string
}

interface Keys {
  [key: `user:${string}`]: User
  [key: `count:${number}`]: number
  motd: string
}

test('keys say which value is under them', async () => {
  const cache = createCache<Keys>({ ttl: '1m' })
  expectTypeOf(cache).toEqualTypeOf<TypedCache<Keys>>()
  await cache.set('user:7', { name: 'Ada' })
  await cache.set('count:7', 7)
  await cache.set('motd', 'hello')
  // @ts-expect-error a user is no number
  await cache.set('user:8', 8)
  // @ts-expect-error there is no such key
  await cache.set('users:7', { name: 'Ada' })
  // @ts-expect-error `x` is no number
  await cache.set('count:x', 1)

  const user = await cache.get('user:7')
  expectTypeOf(user).toEqualTypeOf<User | undefined>()
  expect(user?.name).toBe('Ada')
  const count = await cache.getOrSet('count:9', () => 9)
  expectTypeOf(count).toEqualTypeOf<number>()
  expect(count).toBe(9)
  // @ts-expect-error what is loaded is a user
  await cache.getOrSet('user:9', () => 9)
  expectTypeOf(cache.l1.get('motd')).toEqualTypeOf<string | undefined>()
  expect(cache.l1.get('motd')).toBe('hello')
  const many = await cache.getMany(['user:7', 'user:10'])
  expectTypeOf(many.get('user:7')).toEqualTypeOf<User | undefined>()
  expect([...many.keys()]).toEqual(['user:7'])
  // @ts-expect-error there is no such key
  expect(await cache.delete('nobody')).toBe(false)
  expect(await cache.delete('user:7')).toBe(true)
  expect(cache.stats().loads).toBe(2)
  await cache.close()
})

test('a type without patterns is a type of values, as ever', async () => {
  expectTypeOf(createCache<User>()).toEqualTypeOf<Cache<User>>()
  expectTypeOf(createCache<Record<string, number>>()).toEqualTypeOf<Cache<Record<string, number>>>()
  expectTypeOf(createCache<string>()).toEqualTypeOf<Cache<string>>()
  expectTypeOf(createCache<number[]>()).toEqualTypeOf<Cache<number[]>>()
  expectTypeOf(createCache()).toEqualTypeOf<Cache<unknown>>()
  const cache = createCache<User>({ ttl: '1m' })
  await cache.set('any key', { name: 'Ada' })
  expect((await cache.get('any key'))?.name).toBe('Ada')
})
