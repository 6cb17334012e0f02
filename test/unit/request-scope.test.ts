import { AsyncLocalStorage } from 'node:async_hooks'
import { describe, expect, test } from 'vitest'
import type { Cache } from '../../src/cache.ts'
import { createCache } from '../../src/create-cache.ts'
import { requestScope } from '../../src/request-scope.ts'
import { ManualClock } from '../../src/testing/manual-clock.ts'
import { Hub } from '../../src/tiers/memory.ts'
import { arrangements, deferred, opened, pass, rest } from '../support/caches.ts'

const withTags = { tags: ['t'] }

/** Does something outside of the request under way, as another one would. */
const outside = AsyncLocalStorage.snapshot()

/** Something done in the request, and what `get` has to answer afterwards; the entry is 7 and carries the tag. */
const ownMutations: readonly [name: string, mutate: (cache: Cache) => Promise<unknown>, after: unknown][] = [
  ['set', (cache) => cache.set('a', 8), 8],
  ['setMany', (cache) => cache.setMany([['a', 8]]), 8],
  ['delete', (cache) => cache.delete('a'), undefined],
  ['deleteMany', (cache) => cache.deleteMany(['a']), undefined],
  ['clear', (cache) => cache.clear(), undefined],
  ['deleteTags', (cache) => cache.deleteTags(['t']), undefined],
  ['expireTags', (cache) => cache.expireTags(['t']), undefined],
  ['invalidateAround', (cache) => cache.invalidateAround('a', () => {}), undefined],
  ['invalidateAfter', (cache) => cache.invalidateAfter((later) => later.delete('a')), undefined],
]
const ownDecisions: typeof ownMutations = [
  ['pull', (cache) => cache.pull('a'), undefined],
  ['expire', (cache) => cache.expire('a'), undefined],
  ['touch', (cache) => cache.touch('a', { ttl: 0 }), undefined],
  ['incrVersion', (cache) => cache.incrVersion('a'), undefined],
]

describe.each(arrangements)('requestScope: $name', (arrangement) => {
  async function inRequests(options = {}) {
    const requests = requestScope(options)
    const world = await opened(arrangement, { requestScope: requests })
    return { ...world, requests }
  }

  test('within a request a key is looked up once, whatever others do; the next request sees it', async () => {
    const { cache, requests } = await inRequests()
    await cache.set('a', 'before')
    const othersAreDone = deferred<void>()
    const request = requests.run(async () => {
      const seen = [await cache.get('a'), await cache.get('absent')]
      await othersAreDone.promise
      seen.push(await cache.get('a'), cache.l1.get('a'), await cache.getOrSet('a', () => 'loaded'))
      seen.push((await cache.getMany(['absent', 'a'])).get('a'), await cache.has('absent'))
      return seen
    })
    await rest()
    await cache.set('a', 'after')
    await cache.set('absent', 'there')
    await rest()
    othersAreDone.resolve()
    expect(await request).toEqual(['before', undefined, 'before', 'before', 'before', 'before', false])
    expect(await requests.run(() => cache.getMany(['a', 'absent']))).toEqual(
      new Map([
        ['a', 'after'],
        ['absent', 'there'],
      ]),
    )
  })

  test('own mutations are seen at once, by name', async () => {
    const { cache, requests } = await inRequests()
    const decides = arrangement.name !== 'L1 with a bus and no tier'
    for (const [name, mutate, after] of [...ownMutations, ...(decides ? ownDecisions : [])]) {
      await cache.set('a', 7, withTags)
      const seen = await requests.run(async () => {
        const first = await cache.get('a')
        await mutate(cache)
        return [first, await cache.get('a')]
      })
      expect(seen, name).toEqual([7, after])
    }
    if (!decides) return
    await cache.set('a', 7)
    expect(
      await requests.run(async () => [await cache.get('a'), await cache.incr('a'), await cache.get('a')]),
    ).toEqual([7, 8, 8])
    expect(
      await requests.run(async () => [
        await cache.get('new'),
        await cache.add('new', 1),
        await cache.get('new'),
      ]),
    ).toEqual([undefined, true, 1])
  })

  test('a read that an own mutation overtook leaves nothing behind', async () => {
    const { cache, requests } = await inRequests()
    const row = deferred<string>()
    const answers = requests.run(async () => {
      const reading = cache.getOrSet('a', () => row.promise)
      await rest()
      await cache.set('a', 'set')
      row.resolve('loaded before')
      return [await reading, await cache.get('a')]
    })
    expect(await answers).toEqual(['loaded before', 'set'])
  })

  test('what is loaded is made of what everybody sees, not of what the request remembers', async () => {
    const { cache, requests } = await inRequests()
    await cache.set('part', 'before')
    const othersAreDone = deferred<void>()
    const request = requests.run(async () => {
      await cache.get('part')
      await othersAreDone.promise
      const whole = await cache.getOrSet('whole', async () => `of ${await cache.get('part')}`)
      const { values } = await cache.getOrSetMany(['b'], async () => [['b', await cache.get('part')]])
      // What the loader changes is an own mutation of the request all the same.
      await cache.getOrSet('c', async () => cache.set('part', 'own'))
      return [whole, values.get('b'), await cache.get('part')]
    })
    await rest()
    await cache.set('part', 'after')
    othersAreDone.resolve()
    expect(await request).toEqual(['of after', 'after', 'own'])
    expect(await cache.get('whole')).toBe('of after')
  })
})

describe('requestScope', () => {
  const opener = (options = {}, more = {}) => {
    const requests = requestScope(options)
    return { requests, cache: createCache<unknown>({ ttl: '1m', requestScope: requests, ...more }) }
  }

  test('a key is asked for once below L1 too, alone and among many', async () => {
    const clock = new ManualClock()
    const hub = new Hub({ clock })
    const requests = requestScope()
    const [, , , , , noL1] = arrangements
    const cache = noL1?.open(clock, hub, { requestScope: requests }) ?? expect.fail('there is one without L1')
    await cache.set('a', 0)
    await requests.run(async () => {
      for (let turn = 0; turn < 5; turn++) {
        expect(await cache.get('a')).toBe(0)
        expect([...(await cache.getMany(['a', 'b', 'a'])).keys()]).toEqual(['a'])
        const { values } = await cache.getOrSetMany(['a', 'b'], ({ keys }) =>
          keys.map((key) => [key, `${key}!`]),
        )
        expect(values).toEqual(
          new Map<string, unknown>([
            ['a', 0],
            ['b', 'b!'],
          ]),
        )
        await cache.delete('b')
      }
    })
    const [tier] = cache.stats().tiers
    expect(tier).toMatchObject({ hits: 1, misses: 10 })
  })

  test('who looks a key up at the same time ends with the same value', async () => {
    const { cache, requests } = opener()
    const [first, second] = [deferred<string>(), deferred<string>()]
    const answers = await requests.run(() => {
      const both = [
        cache.getOrSet('a', () => first.promise),
        cache.getOrSet('a', () => second.promise, { forceFresh: true }),
      ]
      second.resolve('forced')
      setImmediate(() => first.resolve('shared'))
      return Promise.all([...both, both[1]?.then(() => cache.get('a'))])
    })
    expect(answers).toEqual(['shared', 'forced', 'forced'])
  })

  test('forceFresh, skip and atLeast pass by it and leave what they found', async () => {
    const { cache, requests } = opener()
    await cache.set('a', 1)
    const token = cache.token()
    const change = (value: number) => outside(() => cache.set('a', value))
    await requests.run(async () => {
      expect(await cache.get('a')).toBe(1)
      await change(2)
      expect(await cache.get('a')).toBe(1)
      expect(await cache.get('a', { atLeast: token })).toBe(2)
      await change(3)
      expect(await cache.get('a')).toBe(2)
      expect(await cache.getOrSet('a', () => 4, { forceFresh: true })).toBe(4)
      expect(await cache.get('a')).toBe(4)
      expect(await cache.get('b')).toBeUndefined()
      expect(await cache.get('b', { skip: 'tiers' })).toBeUndefined()
      expect(await cache.getOrSet('b', () => 5)).toBe(5)
      expect(await cache.get('b')).toBe(5)
    })
  })

  test('failures and fallbacks are not remembered, and each caller has its own limit', async () => {
    const clock = new ManualClock()
    const { cache, requests } = opener({}, { clock, failureThrottle: 0 })
    await requests.run(async () => {
      const fail = (): Promise<string> => Promise.reject(new Error('down'))
      await expect(cache.getOrSet('a', fail)).rejects.toThrow('down')
      expect(await cache.getOrSet('a', fail, { fallback: 'mine' })).toBe('mine')
      expect(await cache.getOrSet('a', () => undefined)).toBeUndefined()
      expect(await cache.getOrSet('a', () => 'up')).toBe('up')
      const row = deferred<string>()
      const patient = cache.getOrSet('b', () => row.promise)
      await rest()
      const hasty = cache.getOrSet('b', () => 'not called', { loadTimeout: 50 })
      const refused = expect(hasty).rejects.toMatchObject({ code: 'CACHE_LOAD_TIMEOUT' })
      await pass(clock, 60)
      await refused
      row.resolve('late')
      expect(await patient).toBe('late')
    })
  })

  test('a loader that waited for a place is called for the request that asked, not for the one that made room', async () => {
    const { cache, requests } = opener({}, { maxLoads: 1 })
    await cache.set('part', 'before')
    const first = deferred<string>()
    const holder = requests.run(async () => {
      await cache.get('part')
      await outside(() => cache.set('part', 'after'))
      return [await cache.getOrSet('a', () => first.promise), await cache.get('part')]
    })
    await rest()
    const waiting = requests.run(async () => {
      await cache.get('own')
      await cache.getOrSet('b', async () => [await cache.get('part'), await cache.set('own', 1)])
      return [await cache.get('b'), await cache.get('own')]
    })
    const ofNone = cache.getOrSet('c', () => cache.get('part'))
    await rest()
    first.resolve('loaded')
    expect(await holder).toEqual(['loaded', 'before'])
    expect(await waiting).toEqual([['after', true], 1])
    expect(await ofNone).toBe('after')
  })

  test('it remembers no more than maxEntries keys, over all caches', async () => {
    const { cache, requests } = opener({ maxEntries: 2 })
    const other = createCache<unknown>({ ttl: '1m', requestScope: requests })
    for (const key of ['a', 'b', 'c']) await cache.set(key, 1)
    await other.set('a', 1)
    await requests.run(async () => {
      expect([
        await cache.get('a'),
        await cache.get('b'),
        await cache.get('c'),
        await other.get('a'),
      ]).toEqual([1, 1, 1, 1])
      for (const key of ['a', 'b', 'c']) await outside(() => cache.set(key, 2))
      await outside(() => other.set('a', 2))
      expect([
        await cache.get('a'),
        await cache.get('b'),
        await cache.get('c'),
        await other.get('a'),
      ]).toEqual([1, 1, 2, 2])
      // Room that an own mutation has made is used again.
      await cache.delete('b')
      expect(await other.get('a')).toBe(2)
      await outside(() => other.set('a', 3))
      expect(await other.get('a')).toBe(2)
    })
  })

  test('a request ends with its work, and one within it is a part of it', async () => {
    const { cache, requests } = opener()
    await cache.set('a', 1)
    let after: () => Promise<unknown> = () => Promise.resolve()
    const gate = deferred<void>()
    await requests.run(async () => {
      const late = gate.promise.then(() => cache.get('a'))
      after = () => late
      expect(await cache.get('a')).toBe(1)
      await outside(() => cache.set('a', 2))
      expect(await requests.run(() => cache.get('a'))).toBe(1)
      await requests.run(() => cache.delete('a'))
      expect(await cache.get('a')).toBeUndefined()
    })
    await cache.set('a', 3)
    gate.resolve()
    expect(await after()).toBe(3)
    const failure = new Error('handler')
    const failing = requests.run(() => {
      throw failure
    })
    await expect(failing).rejects.toBe(failure)
  })

  test('with cloneOn: get no reader can change what another one of the request gets', async () => {
    const { cache, requests } = opener({}, { l1: { cloneOn: 'get' } })
    await requests.run(async () => {
      const loaded = (await cache.getOrSet('a', () => ({ n: 1 }))) as { n: number }
      loaded.n = 2
      const again = (await cache.get('a')) as { n: number }
      again.n = 3
      expect(await cache.get('a')).toEqual({ n: 1 })
    })
  })

  test('namespaces, versions and wrapped functions are remembered under their own keys', async () => {
    const { cache, requests } = opener()
    const users = cache.namespace('users')
    await users.set('a', 'user')
    await cache.set('a', 'second', { version: 2 })
    const length = cache.wrap((text: string) => text.length, { name: 'length' })
    const heard: string[] = []
    cache.on('entry.hit', ({ level }) => heard.push(level))
    await requests.run(async () => {
      for (let turn = 0; turn < 2; turn++) {
        expect(await cache.get('a')).toBeUndefined()
        expect([await users.get('a'), await cache.get('a', { version: 2 }), await length('abc')]).toEqual([
          'user',
          'second',
          3,
        ])
      }
      await users.clear()
      expect([await users.get('a'), await cache.get('a', { version: 2 })]).toEqual([undefined, 'second'])
    })
    expect(heard).toEqual(['l1', 'l1', 'request', 'request', 'request', 'request'])
    await cache.close()
    expect(await requests.run(() => cache.l1.get('a'))).toBeUndefined()
    await expect(requests.run(() => cache.get('a'))).rejects.toMatchObject({ code: 'CACHE_CLOSED' })
  })

  test('wrong options are refused', () => {
    expect(() => requestScope({ maxEntries: 0 })).toThrow('maxEntries: 0')
    expect(() => requestScope({ entries: 1 } as never)).toThrow('there is no option')
    expect(() => createCache({ requestScope: {} as never })).toThrow('requestScope: an object is none')
  })
})
