// What a namespace is besides a cache: that it is one is shown by the suites that run in namespaces as well.

import { describe, expect, test } from 'vitest'
import type { Cache } from '../../src/cache.ts'
import { createCache } from '../../src/create-cache.ts'
import { ManualClock } from '../../src/testing/manual-clock.ts'
import { Hub, memoryTier } from '../../src/tiers/memory.ts'
import { arrangements, deferred, opened, pass, rest } from '../support/caches.ts'

describe.each(arrangements)('namespaces: $name', (arrangement) => {
  test('a key is another one in each, whatever they are called', async () => {
    const { cache } = await opened(arrangement, { prefix: 'shop' })
    const names = ['users', 'usersAbc', 'user', 'users:1', '@users', 'a%3Ab', 'a:b', '1', ' ']
    const spaces: Cache[] = [cache, ...names.map((name) => cache.namespace(name))]
    spaces.push(cache.namespace('users').namespace('users'), cache.namespace('users').namespace('@users'))
    for (const [turn, space] of spaces.entries()) await space.set('a', turn)
    for (const [turn, space] of spaces.entries()) await space.set(7, turn + 100)
    for (const [turn, space] of spaces.entries()) {
      expect([await space.get('a'), await space.get(7)]).toEqual([turn, turn + 100])
      expect(await space.getMany(['a', 'b'])).toEqual(new Map([['a', turn]]))
    }
    await cache.namespace('users').delete('a')
    const left = await Promise.all(spaces.map((space) => space.has('a')))
    expect(left.filter((isThere) => !isThere)).toHaveLength(1)
  })

  test('a clear of `users` never touches `usersAbc`, and takes what is within `users`', async () => {
    const { cache, other } = await opened(arrangement, { prefix: 'shop' })
    const spaces = (at: Cache): Record<string, Cache> => ({
      root: at,
      users: at.namespace('users'),
      deep: at.namespace('users').namespace('eu'),
      usersAbc: at.namespace('usersAbc'),
    })
    const isOneStore = arrangement.name.includes('ledger with its bus')
    for (const [name, space] of Object.entries(spaces(cache))) {
      await space.set('a', name)
      await space.set('b', name, { version: 9 })
    }
    if (isOneStore) for (const space of Object.values(spaces(other))) await space.get('a')
    await cache.namespace('users').clear()
    await rest()
    for (const at of isOneStore ? [cache, other] : [cache]) {
      const found = Object.values(spaces(at)).map((space) => space.get('a'))
      expect(await Promise.all(found)).toEqual(['root', undefined, undefined, 'usersAbc'])
      const versions = Object.values(spaces(at)).map((space) => space.get('b', { version: 9 }))
      expect(await Promise.all(versions)).toEqual(['root', undefined, undefined, 'usersAbc'])
    }
    expect(cache.namespace('users').l1.get('a')).toBeUndefined()
    await cache.clear()
    expect(await cache.namespace('usersAbc').get('a')).toBeUndefined()
  })

  test('a clear of one keeps no load of its own, and disturbs none of another', async () => {
    const { cache } = await opened(arrangement)
    const [users, carts] = [cache.namespace('users'), cache.namespace('carts')]
    const answers = [deferred<string>(), deferred<string>()]
    const loads = [
      users.getOrSet('a', () => (answers[0] as (typeof answers)[0]).promise),
      carts.getOrSet('a', () => (answers[1] as (typeof answers)[0]).promise),
    ]
    await rest()
    await users.clear()
    for (const answer of answers) answer.resolve('loaded')
    expect(await Promise.all(loads)).toEqual(['loaded', 'loaded'])
    await rest()
    expect([await users.get('a'), await carts.get('a')]).toEqual([undefined, 'loaded'])
    expect(cache.stats().loadsOvertaken).toBe(1)
  })

  test('from the call of a clear on no read in it sees what was there, and others do not wait', async () => {
    const { cache } = await opened(arrangement)
    const [users, carts] = [cache.namespace('users'), cache.namespace('carts')]
    await users.set('a', 1)
    await carts.set('a', 2)
    const cleared = users.clear()
    expect(users.l1.get('a')).toBeUndefined()
    const again = users.set('a', 3)
    expect(await users.get('a')).toBe(3)
    expect(await carts.get('a')).toBe(2)
    await Promise.all([cleared, again])
    expect(await users.get('a')).toBe(3)
  })

  test('tags reach through all of them', async () => {
    const { cache } = await opened(arrangement)
    await cache.set('a', 1, { tags: ['tenant:7'] })
    await cache.namespace('users').set('a', 2, { tags: ['tenant:7'] })
    await cache.namespace('users').set('b', 3, { tags: ['tenant:8'] })
    await cache.namespace('carts').deleteTags(['tenant:7'])
    expect(await cache.get('a')).toBeUndefined()
    expect([...(await cache.namespace('users').getMany(['a', 'b']))]).toEqual([['b', 3]])
  })

  test('rule 3.2.1: its own defaults, which a call may go against', async () => {
    const { cache, clock } = await opened(arrangement)
    const brief = cache.namespace('brief', { ttl: '1s', version: 'v2' })
    await brief.set('a', 1)
    await brief.set('b', 2, { ttl: '1h' })
    expect(await brief.get('a', { version: 'v2' })).toBe(1)
    await pass(clock, 1_500)
    expect([...(await brief.getMany(['a', 'b']))]).toEqual([['b', 2]])
  })
})

test('a name or an option that can not be right is refused', () => {
  const cache = createCache({ ttl: '1m' })
  for (const name of ['', 7, undefined, null]) {
    expect(() => cache.namespace(name as string)).toThrow('namespace: ')
  }
  expect(() => cache.namespace('a', { tll: 1 } as object)).toThrow('did you mean ttl?')
  expect(() => cache.namespace('a', { prefix: 'b' } as object)).toThrow('namespace: there is no option')
})

describe('a clear of a namespace that was not taken', () => {
  /** A cache over a tier that fails while it is told to. */
  async function failing(options?: Parameters<typeof createCache>[0]) {
    const clock = new ManualClock()
    const hub = new Hub({ clock })
    const tier = memoryTier({ hub })
    const { ledger } = tier
    let isDown = false
    const commit = ledger?.commit.bind(ledger)
    if (ledger !== undefined && commit !== undefined) {
      ledger.commit = (...args) => (isDown ? Promise.reject(new Error('down')) : commit(...args))
    }
    const cache = createCache({ clock, ttl: '1h', tiers: [tier], ...options })
    return { cache, clock, hub, setDown: (value: boolean) => (isDown = value) }
  }

  test('puts its keys in doubt and no others, and the next read says it again', async () => {
    const { cache, setDown } = await failing({ l1: false })
    const [users, carts] = [cache.namespace('users'), cache.namespace('carts')]
    await users.set('a', 1)
    await carts.set('a', 2)
    setDown(true)
    await expect(users.clear()).rejects.toMatchObject({ code: 'CACHE_TIER_FAILED' })
    expect(await users.get('a')).toBeUndefined()
    expect(await carts.get('a')).toBe(2)
    setDown(false)
    expect(await users.get('a')).toBeUndefined()
    expect(await carts.get('a')).toBe(2)
    await users.set('a', 3)
    expect(await users.get('a')).toBe(3)
  })

  test('waits where mutations do, and takes away what waited in it and nothing else', async () => {
    const { cache, clock, setDown } = await failing({ whenDown: 'queue' })
    const [users, carts] = [cache.namespace('users'), cache.namespace('carts')]
    await users.set('kept?', 1)
    setDown(true)
    await users.set('a', 1)
    await carts.set('a', 2)
    await users.clear()
    await users.set('b', 3)
    setDown(false)
    await pass(clock, 5_000)
    expect(cache.health().outbox?.size).toBe(0)
    expect([...(await users.getMany(['kept?', 'a', 'b']))]).toEqual([['b', 3]])
    expect(await carts.get('a')).toBe(2)
    expect(await cache.close()).toEqual([])
  })

  test('a clear of all prefixes that waits is one when it is delivered, whatever is cleared meanwhile', async () => {
    const { cache, clock, hub, setDown } = await failing({ whenDown: 'queue', prefix: 'shop' })
    const sibling = createCache({ clock, ttl: '1h', tiers: [memoryTier({ hub })], prefix: 'blog', l1: false })
    for (const early of [true, false]) {
      await sibling.set('a', 1)
      setDown(true)
      await cache.clear({ all: true })
      expect(await sibling.get('a')).toBe(1)
      setDown(false)
      if (early) await cache.clear()
      else await pass(clock, 5_000)
      expect(await sibling.get('a'), `cleared early: ${early}`).toBeUndefined()
      // Once, not whenever this cache is cleared.
      await sibling.set('a', 2)
      await cache.clear()
      await pass(clock, 5_000)
      expect(await sibling.get('a'), `cleared early: ${early}`).toBe(2)
    }
    expect(await cache.close()).toEqual([])
  })
})
