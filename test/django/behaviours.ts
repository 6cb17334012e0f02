// Django's behaviours, by their numbers in its design notes: those of every backend, tried bare and under a first level.
// What a number leaves open is Django's own test of that name.

import { expect, vi } from 'vitest'
import { configureCaches, InvalidCacheBackendError } from '../../src/django/index.ts'
import type { DjangoBackend, World } from '../support/django-worlds.ts'
import {
  type Aliases,
  all,
  behaviour,
  callsWith,
  type DjangoCache,
  missing,
  only,
  type Try,
} from './behaviour.ts'

// Dummy

const dummy = only('dummy')
behaviour(1, 'set then get is a miss', dummy, async (_, cache) => {
  await cache.set('key', 'value')
  expect(await cache.get('key')).toBeUndefined()
})
behaviour(2, 'add is true, twice', dummy, async (_, cache) => {
  expect(await cache.add('key', 1)).toBe(true)
  expect(await cache.add('key', 1)).toBe(true)
  expect(await cache.get('key')).toBeUndefined()
})
behaviour(3, 'get with a default', dummy, async (_, cache) => {
  expect(await cache.get('missing', 'bang!')).toBe('bang!')
})
behaviour(4, 'getMany is empty', dummy, async (_, cache) => {
  await cache.set('a', 'a')
  expect((await cache.getMany(['a', 'b'])).size).toBe(0)
})
behaviour(5, 'many with a key with a space warn', dummy, async (world, cache) => {
  await cache.getMany(['a b'])
  await cache.setMany({ 'a b': 1 })
  await cache.deleteMany(['a b'])
  expect(world.warnings).toHaveLength(3)
})
behaviour(6, 'delete and has are false', dummy, async (_, cache) => {
  await cache.set('key', 1)
  expect(await cache.delete('key')).toBe(false)
  expect(await cache.has('key')).toBe(false)
})
behaviour(7, 'incr and decr throw', dummy, async (_, cache) => {
  await cache.set('answer', 42)
  await missing(cache.incr('answer'))
  await missing(cache.decr('answer'))
  await missing(cache.incr('missing'))
})
behaviour(8, 'touch is false', dummy, async (_, cache) => {
  expect(await cache.touch('whatever')).toBe(false)
})
behaviour(9, 'every type and unicode keys are taken and ignored', dummy, async (_, cache) => {
  for (const value of ['text', 1, true, [1], { a: 1 }, null]) {
    await cache.set('ключ ✓', value)
    expect(await cache.get('ключ ✓')).toBeUndefined()
  }
})
behaviour(10, 'expiry has no effect', dummy, async (world, cache) => {
  await cache.set('key', 1, { timeout: 1 })
  await world.pass(1_100)
  expect(await cache.add('key', 2)).toBe(true)
})
behaviour(11, 'setMany fails nothing', dummy, async (_, cache) => {
  expect(await cache.setMany({ a: 1 })).toEqual([])
  expect(await cache.setMany({ a: 1 }, { timeout: 2, version: 1 })).toEqual([])
})
behaviour(12, 'deleteMany and clear do nothing', dummy, async (_, cache) => {
  await cache.deleteMany(['a'])
  await cache.clear()
})
behaviour(13, 'incrVersion and decrVersion throw', dummy, async (_, cache) => {
  await missing(cache.incrVersion('answer'))
  await missing(cache.decrVersion('missing', 1, { version: 2 }))
})
behaviour(14, 'getOrSet is the default', dummy, async (_, cache) => {
  expect(await cache.getOrSet('key', 'default')).toBe('default')
  expect(await cache.getOrSet('key', () => 'called')).toBe('called')
  expect(await cache.getOrSet('key', null)).toBeNull()
})

// Basics

behaviour(15, 'set and get', all, async (_, cache) => {
  await cache.set('key', 'value')
  expect(await cache.get('key')).toBe('value')
})
behaviour(16, 'a stored null beats a default', all, async (_, cache) => {
  await cache.set('none', null)
  expect(await cache.get('none', 'default')).toBeNull()
})
behaviour(17, 'add refuses what is there', all, async (_, cache) => {
  expect(await cache.add('key', 'value')).toBe(true)
  expect(await cache.add('key', 'newvalue')).toBe(false)
  expect(await cache.get('key')).toBe('value')
})
behaviour(
  18,
  'aliases with different KEY_PREFIX do not see each other’s keys',
  all,
  async ({ caches }, cache) => {
    await cache.set('key', 'value')
    expect(await caches('prefix').has('key')).toBe(false)
    await caches('prefix').set('key', 'value2')
    expect(await cache.get('key')).toBe('value')
    expect(await caches('prefix').get('key')).toBe('value2')
  },
  { prefix: { KEY_PREFIX: 'cacheprefix' } },
)
behaviour(19, 'a missing key', all, async (_, cache) => {
  expect(await cache.get('missing')).toBeUndefined()
  expect(await cache.get('missing', 'bang!')).toBe('bang!')
})
behaviour(20, 'getMany returns what was found', all, async (_, cache) => {
  await cache.setMany({ a: 'a', b: 'b', c: 'c', d: 'd' })
  expect([...(await cache.getMany(['a', 'c', 'd', 'missing']))]).toEqual([
    ['a', 'a'],
    ['c', 'c'],
    ['d', 'd'],
  ])
})
behaviour(21, 'getMany takes an iterator', all, async (_, cache) => {
  await cache.set('a', 1)
  const keys = function* () {
    yield 'a'
    yield 'b'
  }
  expect([...(await cache.getMany(keys()))]).toEqual([['a', 1]])
})
behaviour(22, 'getMany has keys whose value is null', all, async (_, cache) => {
  await cache.set('a', null)
  expect([...(await cache.getMany(['a', 'b']))]).toEqual([['a', null]])
})
behaviour(23, 'delete removes one key', all, async (_, cache) => {
  await cache.setMany({ a: 1, b: 2 })
  expect(await cache.delete('a')).toBe(true)
  expect(await cache.get('a')).toBeUndefined()
  expect(await cache.get('b')).toBe(2)
})
behaviour(24, 'delete of a missing key', all, async (_, cache) => {
  expect(await cache.delete('missing')).toBe(false)
})
behaviour(25, 'has', all, async (_, cache) => {
  await cache.set('hello', 'goodbye')
  await cache.set('ever', 1, { timeout: null })
  await cache.set('none', null)
  for (const key of ['hello', 'ever', 'none']) expect(await cache.has(key)).toBe(true)
  expect(await cache.hasKey('goodbye')).toBe(false)
})
behaviour(26, 'has is about the default version', all, async (_, cache) => {
  await cache.set('key', 1, { version: 2 })
  expect(await cache.has('key')).toBe(false)
  expect(await cache.has('key', { version: 2 })).toBe(true)
})
behaviour(27, 'incr', all, async (_, cache) => {
  await cache.set('answer', 41)
  expect(await cache.incr('answer')).toBe(42)
  expect(await cache.incr('answer', 10)).toBe(52)
  expect(await cache.incr('answer', -10)).toBe(42)
  expect(await cache.get('answer')).toBe(42)
})
behaviour(28, 'incr of a missing key', all, async (_, cache) => {
  await missing(cache.incr('missing'))
  await missing(cache.incr('missing', -1))
})
behaviour(29, 'incr of null', all, async (_, cache) => {
  await cache.set('null', null)
  await expect(cache.incr('null')).rejects.toBeInstanceOf(TypeError)
})
behaviour(30, 'decr', all, async (_, cache) => {
  await cache.set('answer', 43)
  expect(await cache.decr('answer')).toBe(42)
  expect(await cache.decr('answer', 10)).toBe(32)
  expect(await cache.decr('answer', -10)).toBe(42)
  await missing(cache.decr('missing'))
  await missing(cache.decr('missing', -1))
  await cache.set('null', null)
  await expect(cache.decr('null')).rejects.toBeInstanceOf(TypeError)
})
behaviour(31, 'close', all, async (_, cache) => {
  await cache.close()
  await cache.set('key', 1)
  expect(await cache.get('key')).toBe(1)
})
behaviour(32, 'data types', all, async (_, cache) => {
  const values = ['this is a string', 42, true, [1, 2], { a: { b: [null] } }, new Date(0), new Map([[1, 2]])]
  for (const value of values) {
    await cache.set('key', value)
    expect(await cache.get('key')).toEqual(value)
  }
  await expect(cache.set('key', () => 1)).rejects.toMatchObject({ code: 'CACHE_ENCODE_FAILED' })
})
behaviour(33, 'the default of a value is not made again on read', all, async (_, cache) => {
  let made = 0
  const make = () => ({ n: ++made })
  await cache.getOrSet('key', make)
  expect(await cache.get('key')).toEqual({ n: 1 })
  expect(await cache.getOrSet('key', make)).toEqual({ n: 1 })
  expect(made).toBe(1)
})
const lazily = (made: { count: number }) => ({
  a: 1,
  toJSON() {
    made.count++
    return { a: 1 }
  },
})
behaviour(34, 'a value that nobody stores is not turned into bytes', all, async (_, cache) => {
  const made = { count: 0 }
  await cache.getOrSet('key', 'there')
  await cache.getOrSet('key', () => lazily(made))
  expect(made.count).toBe(0)
})
behaviour(35, 'nor is one when it is read', all, async (_, cache) => {
  await cache.set('key', { a: 1 })
  expect(await cache.get('key')).toEqual({ a: 1 })
  expect(await cache.get('key')).toEqual({ a: 1 })
})
behaviour(36, 'expiry', all, async (world, cache) => {
  for (const key of ['expire1', 'expire2', 'expire3']) await cache.set(key, 'very quickly', { timeout: 1 })
  await world.pass(1_100)
  expect(await cache.get('expire1')).toBeUndefined()
  expect(await cache.add('expire2', 'newvalue')).toBe(true)
  expect(await cache.get('expire2')).toBe('newvalue')
  expect(await cache.has('expire3')).toBe(false)
})
behaviour(37, 'touch', all, async (world, cache) => {
  await cache.set('expire1', 'very quickly', { timeout: 1 })
  expect(await cache.touch('expire1', { timeout: 2 })).toBe(true)
  await world.pass(1_100)
  expect(await cache.has('expire1')).toBe(true)
  await world.pass(1_100)
  expect(await cache.has('expire1')).toBe(false)
  await cache.set('expire1', 'very quickly', { timeout: 1 })
  expect(await cache.touch('expire1')).toBe(true)
  await world.pass(1_100)
  expect(await cache.has('expire1')).toBe(true)
  expect(await cache.touch('nonexistent')).toBe(false)
})
behaviour(38, 'unicode', all, async (_, cache) => {
  const stuff = {
    ascii: 'ascii_value',
    unicode_ascii: 'Iñtërnâtiônàlizætiøn1',
    Iñtërnâtiônàlizætiøn: 'x',
    ключ: '✓',
  }
  for (const [key, value] of Object.entries(stuff)) {
    await cache.set(key, value)
    expect(await cache.get(key)).toBe(value)
    await cache.delete(key)
    expect(await cache.add(key, value)).toBe(true)
    expect(await cache.get(key)).toBe(value)
    await cache.delete(key)
  }
  await cache.setMany(stuff)
  for (const [key, value] of Object.entries(stuff)) expect(await cache.get(key)).toBe(value)
})
behaviour(39, 'binary', all, async (_, cache) => {
  const bytes = Uint8Array.from({ length: 256 }, (__, at) => at)
  await cache.set('a', bytes)
  expect(await cache.get('a')).toEqual(bytes)
  await cache.add('b', bytes)
  expect(await cache.get('b')).toEqual(bytes)
  await cache.setMany({ c: bytes })
  expect(await cache.get('c')).toEqual(bytes)
})
behaviour(40, 'setMany', all, async (_, cache) => {
  expect(await cache.setMany({ key1: 'spam', key2: 'eggs' })).toEqual([])
  expect(await cache.get('key1')).toBe('spam')
  expect(await cache.get('key2')).toBe('eggs')
})
behaviour(41, 'setMany with a timeout', all, async (world, cache) => {
  await cache.setMany({ key1: 'spam', key2: 'eggs' }, { timeout: 1 })
  await world.pass(1_100)
  expect((await cache.getMany(['key1', 'key2'])).size).toBe(0)
})
behaviour(42, 'setMany of nothing', all, async (_, cache) => {
  expect(await cache.setMany({})).toEqual([])
})
behaviour(43, 'deleteMany', all, async (_, cache) => {
  await cache.setMany({ a: 1, b: 2, c: 3 })
  expect(await cache.deleteMany(['a', 'b', 'missing'])).toBe(2)
  expect(await cache.has('a')).toBe(false)
  expect(await cache.get('c')).toBe(3)
  expect(await cache.deleteMany([])).toBe(0)
})
behaviour(44, 'clear', all, async (_, cache) => {
  await cache.setMany({ a: 1, b: 2 })
  await cache.clear()
  expect((await cache.getMany(['a', 'b'])).size).toBe(0)
})
behaviour(45, 'more than thirty days', all, async (_, cache) => {
  const timeout = 60 * 60 * 24 * 30 + 1
  await cache.set('key1', 'eggs', { timeout })
  await cache.add('key2', 'ham', { timeout })
  await cache.setMany({ key3: 'sausage' }, { timeout })
  expect((await cache.getMany(['key1', 'key2', 'key3'])).size).toBe(3)
})
behaviour(46, 'null is for ever', all, async (world, cache) => {
  await cache.set('key1', 'eggs', { timeout: null })
  expect(await cache.add('key2', 'ham', { timeout: null })).toBe(true)
  expect(await cache.add('key1', 'new', { timeout: null })).toBe(false)
  await cache.setMany({ key3: 'sausage' }, { timeout: null })
  await cache.set('key5', 'belgian fries', { timeout: 1 })
  await cache.touch('key5', { timeout: null })
  await world.pass(2_000)
  expect((await cache.getMany(['key1', 'key2', 'key3', 'key5'])).size).toBe(4)
})
behaviour(47, 'zero is not at all', all, async (_, cache) => {
  await cache.set('key1', 'eggs', { timeout: 0 })
  expect(await cache.get('key1')).toBeUndefined()
  expect(await cache.add('key2', 'ham', { timeout: 0 })).toBe(true)
  expect(await cache.get('key2')).toBeUndefined()
  await cache.setMany({ key3: 'sausage' }, { timeout: 0 })
  expect(await cache.get('key3')).toBeUndefined()
  await cache.set('key5', 'fries', { timeout: 5 })
  expect(await cache.touch('key5', { timeout: 0 })).toBe(true)
  expect(await cache.get('key5')).toBeUndefined()
  await cache.set('key6', 'there')
  await cache.set('key6', 'gone', { timeout: -5 })
  expect(await cache.get('key6')).toBeUndefined()
})
behaviour(48, 'parts of a second', all, async (world, cache) => {
  await cache.set('key1', 'spam', { timeout: 100.2 })
  expect(await cache.get('key1')).toBe('spam')
  // A busy machine may take longer over one call than that.
  await vi.waitUntil(
    async () => {
      await cache.set('key2', 'eggs', { timeout: 0.4 })
      return (await cache.get('key2')) === 'eggs'
    },
    { timeout: 20_000, interval: 1 },
  )
  await world.pass(450)
  expect(await cache.get('key2')).toBeUndefined()
})

// Counted below a first level, which has a bound of its own.
const counted = async (world: World, cache: DjangoCache, { isTiered }: DjangoBackend): Promise<number> => {
  for (let key = 1; key < 50; key++) await cache.set(`cull${key}`, 'value', { timeout: 1_000 })
  const keys = Array.from({ length: 49 }, (_, at) => `cull${at + 1}`)
  if (isTiered) expect(cache.cache.l1?.size).toBeLessThanOrEqual(30)
  const store = isTiered ? world.caches('under default') : cache
  return (await store.getMany(keys)).size
}
const isBounded = ({ backend }: DjangoBackend): boolean => backend === 'filebased' || backend === 'db'
const culls = (number: number, title: string, CULL_FREQUENCY: number, left: number): void =>
  behaviour(
    number,
    title,
    all,
    async (world, cache, backend) => {
      const count = await counted(world, cache, backend)
      if (backend.backend === 'locmem') expect(count).toBe(left)
      else if (!isBounded(backend)) expect(count).toBe(49)
      else {
        expect(count).toBeGreaterThan(0)
        expect(count).toBeLessThanOrEqual(30)
      }
    },
    { default: { OPTIONS: { MAX_ENTRIES: 30, CULL_FREQUENCY } } },
  )
culls(49, 'culls a third when it is full', 3, 29)
culls(50, 'culls everything with a frequency of 0', 0, 19)
behaviour(
  51,
  'a cull of nothing keeps the new key',
  all,
  async (_, cache) => {
    await cache.set('force_cull', 'value', { timeout: 1_000 })
    expect(await cache.get('force_cull')).toBe('value')
  },
  { default: { OPTIONS: { MAX_ENTRIES: 1, CULL_FREQUENCY: 1 } } },
)

const inEachCall = async (world: World, cache: DjangoCache, key: string, text: string): Promise<void> => {
  for (const call of callsWith(cache, key)) {
    world.warnings.length = 0
    await call()
    expect(world.warnings).toEqual([text])
  }
}
// Memcached refuses them, which is 99 and 100.
const warns = ({ backend }: DjangoBackend): boolean => backend !== 'memcached'
behaviour(
  52,
  'a key with a space warns in each call',
  (backend) => all(backend) && warns(backend),
  async (world, cache) => {
    const text =
      "Cache key contains characters that will cause errors if used with memcached: ':1:key with spaces and 清'"
    await inEachCall(world, cache, 'key with spaces and 清', text)
  },
)
behaviour(
  53,
  'a key that is too long warns in each call',
  (backend) => all(backend) && warns(backend),
  async (world, cache) => {
    const key = 'a'.repeat(251)
    const text = `Cache key will cause errors if used with memcached: ':1:${key}' (longer than 250)`
    await inEachCall(world, cache, key, text)
  },
)
behaviour(
  54,
  'the length of the whole key counts',
  (backend) => all(backend) && warns(backend),
  async ({ caches, warnings }) => {
    await caches('default').set('a'.repeat(60), 1)
    expect(warnings).toHaveLength(1)
  },
  { default: { KEY_FUNCTION: 'suffixed' } },
  { keyFunctions: { suffixed: (key) => `${key}${'s'.repeat(200)}` } },
)

// Versions

const twoVersions: Aliases = { v2: { VERSION: 2 } }
const versioned = (number: number, title: string, attempt: Try): void =>
  behaviour(number, title, all, attempt, twoVersions)
const seenAt = async (world: World, key: string): Promise<unknown[]> => {
  const [one, two] = [world.caches('default'), world.caches('v2')]
  return [
    await one.get(key),
    await one.get(key, undefined, { version: 1 }),
    await one.get(key, undefined, { version: 2 }),
    await two.get(key),
    await two.get(key, undefined, { version: 1 }),
    await two.get(key, undefined, { version: 2 }),
  ]
}
const atOne = [42, 42, undefined, undefined, 42, undefined]
const atTwo = [undefined, undefined, 42, 42, undefined, 42]
versioned(55, 'set is at version 1 only', async (world, cache) => {
  await cache.set('answer1', 42)
  expect(await seenAt(world, 'answer1')).toEqual(atOne)
})
versioned(56, 'set with a version is there only', async (world, cache) => {
  await cache.set('answer2', 42, { version: 2 })
  expect(await seenAt(world, 'answer2')).toEqual(atTwo)
})
versioned(57, 'set through the alias of version 2', async (world) => {
  await world.caches('v2').set('answer3', 42)
  expect(await seenAt(world, 'answer3')).toEqual(atTwo)
})
versioned(58, 'set through the alias of version 2 with version 1', async (world) => {
  await world.caches('v2').set('answer4', 42, { version: 1 })
  expect(await seenAt(world, 'answer4')).toEqual(atOne)
})
versioned(59, 'add is per version', async (world, cache) => {
  expect(await cache.add('answer1', 42, { version: 2 })).toBe(true)
  expect(await cache.add('answer1', 37, { version: 2 })).toBe(false)
  expect(await cache.add('answer1', 37, { version: 1 })).toBe(true)
  expect(await world.caches('v2').add('answer2', 42)).toBe(true)
  expect(await world.caches('v2').add('answer2', 37)).toBe(false)
  expect(await world.caches('v2').add('answer2', 37, { version: 1 })).toBe(true)
  expect(await world.caches('v2').add('answer3', 42, { version: 1 })).toBe(true)
  expect(await cache.add('answer3', 37)).toBe(false)
})
versioned(60, 'has is per version', async (world, cache) => {
  await cache.set('answer1', 42)
  expect(await cache.has('answer1', { version: 1 })).toBe(true)
  expect(await cache.has('answer1', { version: 2 })).toBe(false)
  expect(await world.caches('v2').has('answer1')).toBe(false)
})
versioned(61, 'delete is per version', async (world, cache) => {
  const v2 = world.caches('v2')
  for (const key of ['a', 'b', 'c', 'd']) {
    await cache.set(key, 37, { version: 1 })
    await cache.set(key, 42, { version: 2 })
  }
  await cache.delete('a')
  await cache.delete('b', { version: 2 })
  await v2.delete('c')
  await v2.delete('d', { version: 1 })
  const left = async (key: string) => [await cache.get(key), await v2.get(key)]
  expect(await left('a')).toEqual([undefined, 42])
  expect(await left('b')).toEqual([37, undefined])
  expect(await left('c')).toEqual([37, undefined])
  expect(await left('d')).toEqual([undefined, 42])
})
versioned(62, 'incr and decr are per version', async (world, cache) => {
  const v2 = world.caches('v2')
  for (const key of ['a', 'b', 'c', 'd']) {
    await cache.set(key, 37, { version: 1 })
    await cache.set(key, 42, { version: 2 })
  }
  await cache.incr('a')
  await cache.incr('b', 1, { version: 2 })
  await v2.incr('c')
  await v2.decr('d', 1, { version: 1 })
  const left = async (key: string) => [await cache.get(key), await v2.get(key)]
  expect(await left('a')).toEqual([38, 42])
  expect(await left('b')).toEqual([37, 43])
  expect(await left('c')).toEqual([37, 43])
  expect(await left('d')).toEqual([36, 42])
})
versioned(63, 'getMany and setMany are per version', async (world, cache) => {
  const v2 = world.caches('v2')
  await cache.setMany({ ford1: 37, arthur1: 42 })
  await v2.setMany({ ford2: 37, arthur2: 42 })
  await cache.setMany({ ford3: 37, arthur3: 42 }, { version: 2 })
  await v2.setMany({ ford4: 37, arthur4: 42 }, { version: 1 })
  for (const [at, version] of [1, 2, 2, 1].entries()) {
    const keys = [`ford${at + 1}`, `arthur${at + 1}`]
    expect((await cache.getMany(keys, { version })).size).toBe(2)
    expect((await v2.getMany(keys, { version: 3 - version })).size).toBe(0)
    expect((await cache.getMany(keys)).size).toBe(version === 1 ? 2 : 0)
    expect((await v2.getMany(keys)).size).toBe(version === 2 ? 2 : 0)
  }
})
versioned(64, 'incrVersion moves the value', async (_, cache) => {
  await cache.set('answer', 42, { version: 2 })
  expect(await cache.incrVersion('answer', 1, { version: 2 })).toBe(3)
  expect(await cache.get('answer', undefined, { version: 2 })).toBeUndefined()
  expect(await cache.get('answer', undefined, { version: 3 })).toBe(42)
})
versioned(65, 'incrVersion through the alias of version 2', async (world) => {
  const v2 = world.caches('v2')
  await v2.set('answer2', 42)
  expect(await v2.incrVersion('answer2')).toBe(3)
  expect(await v2.get('answer2')).toBeUndefined()
  expect(await v2.get('answer2', undefined, { version: 3 })).toBe(42)
})
versioned(66, 'incrVersion of a missing key, and of null', async (_, cache) => {
  await missing(cache.incrVersion('does_not_exist'))
  await cache.set('null', null)
  expect(await cache.incrVersion('null')).toBe(2)
  expect(await cache.get('null', 'x', { version: 2 })).toBeNull()
})
versioned(67, 'decrVersion', async (world, cache) => {
  const v2 = world.caches('v2')
  await cache.set('answer', 42, { version: 2 })
  expect(await cache.decrVersion('answer', 1, { version: 2 })).toBe(1)
  expect(await cache.get('answer')).toBe(42)
  await v2.set('answer2', 42)
  expect(await v2.decrVersion('answer2')).toBe(1)
  expect(await cache.get('answer2')).toBe(42)
  await missing(cache.decrVersion('does_not_exist', 1, { version: 2 }))
})
const custom = (key: string, prefix: string, version: number | string) => `CUSTOM-${prefix}-${version}-${key}`
behaviour(
  68,
  'key functions isolate, whatever their names',
  all,
  async ({ caches }, cache) => {
    await cache.set('answer1', 42)
    await caches('custom').set('answer2', 42)
    expect(await caches('custom').get('answer1')).toBeUndefined()
    expect(await cache.get('answer2')).toBeUndefined()
    expect(await caches('custom2').get('answer2')).toBe(42)
    expect(await caches('custom').incrVersion('answer2')).toBe(2)
    expect(await caches('custom').get('answer2', undefined, { version: 2 })).toBe(42)
  },
  { custom: { KEY_FUNCTION: 'custom' }, custom2: { KEY_FUNCTION: 'another' } },
  { keyFunctions: { custom, another: custom } },
)
behaviour(69, 'a page with cookies is stored, read, stored again, and the same', all, async (_, cache) => {
  const cookies = [
    ['set-cookie', 'name=value; Path=/'],
    ['set-cookie', 'other=1; HttpOnly'],
  ]
  await cache.set('page', { status: 200, headers: cookies, body: Uint8Array.of(1, 2) })
  const page = await cache.get('page')
  await cache.set('page', page)
  expect(await cache.get('page')).toEqual({ status: 200, headers: cookies, body: Uint8Array.of(1, 2) })
})
behaviour(70, 'add of what has no bytes', all, async (_, cache) => {
  await expect(cache.add('key', () => 1)).rejects.toMatchObject({ code: 'CACHE_ENCODE_FAILED' })
})
behaviour(71, 'set of what has no bytes', all, async (_, cache) => {
  await expect(cache.set('key', Symbol('s'))).rejects.toMatchObject({ code: 'CACHE_ENCODE_FAILED' })
})
behaviour(72, 'getOrSet', all, async (_, cache) => {
  expect(await cache.get('projector')).toBeUndefined()
  expect(await cache.getOrSet('projector', 42)).toBe(42)
  expect(await cache.get('projector')).toBe(42)
  expect(await cache.getOrSet('null', null)).toBeNull()
  expect(await cache.get('null', 'default')).toBeNull()
})
behaviour(73, 'getOrSet with a function', all, async (_, cache) => {
  expect(await cache.getOrSet('mykey', () => 'value')).toBe('value')
  expect(await cache.getOrSet('mykey', async () => 'other')).toBe('value')
  expect(await cache.getOrSet('null', () => null)).toBeNull()
  expect(await cache.get('null', 'default')).toBeNull()
})
behaviour(74, 'getOrSet needs a default, and honours the version', all, async (_, cache) => {
  await expect(cache.getOrSet('brian', undefined)).rejects.toBeInstanceOf(TypeError)
  expect(await cache.getOrSet('brian', 1979, { version: 2 })).toBe(1979)
  expect(await cache.get('brian')).toBeUndefined()
})
behaviour(75, 'getOrSet that is overtaken returns the default', all, async (_, cache) => {
  const answer = await cache.getOrSet('key', async () => {
    await cache.set('key', 'racing')
    return 'default'
  })
  expect(answer).toBe('default')
  expect(await cache.get('key')).toBe('racing')
})
behaviour(76, 'getMany asks the store once', all, async (_, cache) => {
  await cache.setMany({ a: 1, b: 2 })
  expect((await cache.getMany(['a', 'b'])).size).toBe(2)
})
behaviour(89, 'incr keeps the remaining time', all, async (world, cache) => {
  await cache.set('n', 1, { timeout: 1 })
  await cache.incr('n')
  await world.pass(1_100)
  expect(await cache.has('n')).toBe(false)
})
behaviour(90, 'of two who add at once one is first', all, async (_, cache) => {
  const added = await Promise.all([cache.add('race', 1), cache.add('race', 2)])
  expect(added.filter(Boolean)).toHaveLength(1)
})

// Keys, life, names

behaviour(128, 'a backend has a rule of its own for keys', only('dummy'), async () => {
  const warnings: string[] = []
  const refused = new Error('no')
  const caches = configureCaches(
    { default: { BACKEND: 'anything' }, nothing: { BACKEND: 'nothing' } },
    {
      backends: {
        anything: () => ({ tiers: [], validateKey: () => {} }),
        nothing: () => ({
          tiers: [],
          validateKey: () => {
            throw refused
          },
        }),
      },
      onWarning: ({ message }) => warnings.push(message),
    },
  )
  expect(await caches('default').get(`some key ${'x'.repeat(300)}`, 'taken')).toBe('taken')
  expect(warnings).toEqual([])
  await expect(caches('nothing').get('key')).rejects.toBe(refused)
  await caches.closeAll()
})
const everywhere = (): boolean => true
behaviour(
  129,
  'what is closed at the end of a request works on, and nothing is made by that',
  everywhere,
  async ({ caches }, cache) => {
    const before = caches.all(true)
    for (const each of caches.all(true)) await each.close()
    expect(caches.all(true)).toEqual(before)
    expect(before).toEqual([cache])
    await cache.set('key', 'value')
    expect([undefined, 'value']).toContain(await cache.get('key'))
    await caches.closeAll()
    expect(caches.all(true)).toEqual([])
    await expect(cache.set('key', 'value')).rejects.toMatchObject({ code: 'CACHE_CLOSED' })
  },
  { unused: {} },
)
behaviour(
  130,
  'timeouts that a call does not name',
  all,
  async ({ caches }, cache) => {
    const ttlAt = async (alias: string): Promise<number | null | undefined> => {
      await caches(alias).set(alias, 1)
      return caches(alias).cache.ttl(alias)
    }
    expect([cache.defaultTimeout, caches('ever').defaultTimeout, caches('text').defaultTimeout]).toEqual([
      300,
      null,
      7,
    ])
    const [usual, text] = [await ttlAt('default'), await ttlAt('text')]
    expect(usual).toBeGreaterThan(200_000)
    expect(usual).toBeLessThanOrEqual(300_000)
    expect(text).toBeLessThanOrEqual(7_000)
    expect(await ttlAt('ever')).toBeNull()
  },
  { ever: { TIMEOUT: null }, text: { TIMEOUT: '7' } },
)
behaviour(
  131,
  'an alias is one cache, in each configuration its own',
  everywhere,
  async ({ caches }, cache) => {
    expect(caches('default')).toBe(cache)
    expect(caches('second')).not.toBe(cache)
    const others = configureCaches({ default: { BACKEND: 'dummy' } })
    expect(others('default')).not.toBe(cache)
    await others.closeAll()
  },
  { second: {} },
)
behaviour(132, 'names that nobody knows', everywhere, async ({ caches }) => {
  const refusal = (call: () => unknown): unknown => {
    try {
      return call()
    } catch (error) {
      return error
    }
  }
  expect(refusal(() => caches('nonexistent'))).toEqual(
    new InvalidCacheBackendError("The connection 'nonexistent' doesn't exist."),
  )
  const unknown = refusal(() => configureCaches({ default: { BACKEND: 'nope' } })('default'))
  expect(unknown).toBeInstanceOf(InvalidCacheBackendError)
  expect(String(unknown)).toContain("Could not find backend 'nope'")
})
behaviour(
  133,
  'all() makes what is missing, all(true) does not',
  everywhere,
  async ({ caches }, cache, { isTiered }) => {
    expect(caches.all(true)).toEqual([cache])
    expect(caches.all()).toHaveLength(isTiered ? 4 : 2)
    expect(caches.all(true)).toHaveLength(isTiered ? 4 : 2)
    expect(new Set(caches.all())).toEqual(new Set(caches.all(true)))
  },
  { second: {} },
)
