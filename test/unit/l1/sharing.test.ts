import { describe, expect, test } from 'vitest'
import { createCache } from '../../../src/create-cache.ts'
import { createL1, type L1Options } from '../../../src/create-l1.ts'

interface User {
  name: string
  tags: string[]
}

function open(options: Partial<L1Options<User>> = {}) {
  return createL1<User>({ maxEntries: 10, ...options })
}

const ada = (): User => ({ name: 'Ada', tags: ['a'] })

describe('cloneOn', () => {
  test('never: everybody has the same object', () => {
    const l1 = open()
    const user = ada()
    l1.set('user', user)
    expect(l1.get('user')).toBe(user)
  })

  test('get: no reader can change what is stored', () => {
    const l1 = open({ cloneOn: 'get' })
    l1.set('user', ada())
    const prepared = l1.prepare('user')
    for (const read of [
      () => l1.get('user'),
      () => l1.peek('user'),
      () => prepared.get(),
      () => prepared.peek(),
      () => [...l1.entries()][0]?.[1],
    ]) {
      const user = read() as User
      user.tags.push('changed')
      expect(l1.get('user')).toEqual(ada())
    }
  })

  test('set: who stored it cannot change it, and readers share one object', () => {
    const l1 = open({ cloneOn: 'set' })
    const user = ada()
    l1.set('user', user)
    user.tags.push('changed')
    expect(l1.get('user')).toEqual(ada())
    expect(l1.get('user')).toBe(l1.get('user'))
  })

  test('a copier of the caller is used instead of structuredClone', () => {
    let copies = 0
    const clone = (user: User): User => {
      copies++
      return { ...user }
    }
    const l1 = open({ cloneOn: 'get', clone })
    l1.set('user', ada())
    expect(copies).toBe(0)
    l1.get('user')
    l1.get('missing')
    expect(copies).toBe(1)
  })

  test('a value that cannot be copied is not stored, and what was there stays', () => {
    const l1 = createL1<unknown>({ maxEntries: 10, cloneOn: 'set' })
    l1.set('key', 'before')
    expect(() => l1.set('key', { run: () => 1 })).toThrow('could not be cloned')
    expect(l1.get('key')).toBe('before')
  })

  test('values that cannot be changed are not copied', () => {
    const l1 = createL1<unknown>({ maxEntries: 10, cloneOn: 'get' })
    const values = ['text', 7, null, false, 7n, Symbol('one'), () => 1]
    for (const [key, value] of values.entries()) l1.set(key, value)
    for (const [key, value] of values.entries()) expect(l1.get(key)).toBe(value)
  })

  test('the listener gets the stored object', () => {
    const told: User[] = []
    const l1 = open({ cloneOn: 'get', onRemoval: (_, user) => void told.push(user) })
    const user = ada()
    l1.set('user', user)
    l1.delete('user')
    expect(told[0]).toBe(user)
  })
})

describe('freeze', () => {
  test('a stored value and what it holds cannot be changed', () => {
    const l1 = open({ freeze: true })
    const user = ada()
    l1.set('user', user)
    expect(() => (user.name = 'Eve')).toThrow(TypeError)
    expect(() => l1.get('user')?.tags.push('changed')).toThrow(TypeError)
    expect(l1.get('user')).toEqual(ada())
  })

  test('with cloneOn set the copy is frozen and the caller keeps a free object', () => {
    const l1 = open({ freeze: true, cloneOn: 'set' })
    const user = ada()
    l1.set('user', user)
    user.name = 'Eve'
    expect(() => l1.get('user')?.tags.push('changed')).toThrow(TypeError)
    expect(l1.get('user')).toEqual(ada())
  })

  test('cycles, buffers, accessors and deep nesting do no harm', () => {
    const l1 = createL1<Record<string, unknown>>({ maxEntries: 10, freeze: true })
    const value: Record<string, unknown> = {
      bytes: new Uint8Array(3),
      at: new Date(0),
      [Symbol.iterator]: [1],
    }
    value.self = value
    Object.defineProperty(value, 'computed', { get: () => expect.fail('was read'), enumerable: true })
    let deep: Record<string, unknown> = {}
    const bottom = deep
    for (let level = 0; level < 50_000; level++) deep = { deep }
    value.deep = deep
    l1.set('key', value)
    expect([
      Object.isFrozen(value),
      Object.isFrozen(bottom),
      Object.isFrozen(value[Symbol.iterator as never]),
    ]).toEqual([true, true, true])
  })
})

test.each<[string, object]>([
  ["cloneOn: \"read\" is not one of 'get', 'set', 'never'", { cloneOn: 'read' }],
  ['clone: 7 is not a function', { cloneOn: 'get', clone: 7 }],
  ["clone: is used with cloneOn: 'get' or 'set', which is not given", { clone: () => 1 }],
  ['freeze: "yes" is neither true nor false', { freeze: 'yes' }],
  ['touchOnGet: 1 is neither true nor false', { touchOnGet: 1 }],
])('%s', (message, options) => {
  expect(() => open(options as Partial<L1Options<User>>)).toThrow(new TypeError(message))
})

describe('within a cache', () => {
  test('get: neither readers nor those who loaded can change what is stored', async () => {
    const cache = createCache<User>({ ttl: '1m', l1: { cloneOn: 'get' } })
    const loaded = await cache.getOrSet('user', ada)
    loaded.tags.push('by who loaded')
    const read = await cache.get('user')
    read?.tags.push('by who read')
    expect(await cache.get('user')).toEqual(ada())
    expect(cache.l1.get('user')).not.toBe(cache.l1.get('user'))
  })

  test('set: readers share one copy, which is not what was stored', async () => {
    const cache = createCache<User>({ ttl: '1m', l1: { cloneOn: 'set' } })
    const user = ada()
    await cache.set('user', user)
    user.tags.push('later')
    expect(await cache.get('user')).toEqual(ada())
    expect(await cache.get('user')).toBe(await cache.get('user'))
  })

  test('freeze: who writes to a shared value finds out', async () => {
    const cache = createCache<User>({ ttl: '1m', l1: { freeze: true } })
    const user = await cache.getOrSet('user', ada)
    expect(() => user.tags.push('x')).toThrow(TypeError)
  })

  test('wrong options are named as the first level has them', () => {
    expect(() => createCache({ l1: { cloneOn: 'both' as 'get' } })).toThrow('l1.cloneOn: "both"')
    expect(() => createCache({ l1: { maxBytes: 1 << 20, values: 'bytes', freeze: true } })).toThrow(
      'l1.freeze: is for',
    )
  })
})
