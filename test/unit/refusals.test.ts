// What can not be right is refused where it enters, with its name: an option, a name that nobody reads, an argument.

import { describe, expect, test } from 'vitest'
import { fileBus } from '../../src/bus/file.ts'
import { compressedCodec } from '../../src/codecs/compressed.ts'
import { encryptedCodec } from '../../src/codecs/encrypted.ts'
import { jsonCodec } from '../../src/codecs/json.ts'
import { createCache } from '../../src/create-cache.ts'
import { createL1 } from '../../src/create-l1.ts'
import { resolveHttp } from '../../src/http/options.ts'
import { cached } from '../../src/memoize.ts'
import { publishEvents } from '../../src/metrics/diagnostics.ts'
import { requestScope } from '../../src/request-scope.ts'
import { failoverTier } from '../../src/tiers/failover.ts'
import { fileTier } from '../../src/tiers/file.ts'
import { lmdbTier } from '../../src/tiers/lmdb.ts'
import { memcachedTier } from '../../src/tiers/memcached.ts'
import { Hub, memoryTier } from '../../src/tiers/memory.ts'

// biome-ignore lint/suspicious/noExplicitAny: what is given here is what the types forbid.
type Wrong = any

const open = (options: Wrong = {}) => createCache<Wrong>({ ttl: '1m', ...options })

describe('null is no way to say the default, since it may be meant as none', () => {
  const environment = { openDB: () => undefined }
  const makers: Record<string, [make: (options: Wrong) => unknown, names: string[]]> = {
    createCache: [open, ['clock', 'l1', 'onAdvice', 'prefix', 'random', 'tiers', 'version']],
    queueing: [(options) => open({ whenDown: 'queue', ...options }), ['maxQueuedBytes']],
    fileTier: [
      (options) => fileTier({ directory: 'nowhere', ...options }),
      [
        'clock',
        'cullFrequency',
        'lockWaitMs',
        'logBytes',
        'maxBytes',
        'maxEntries',
        'maxEntryBytes',
        'pruneFiles',
      ],
    ],
    fileBus: [(options) => fileBus({ directory: 'nowhere', ...options }), ['pollMs']],
    memcachedTier: [
      (options) => memcachedTier({ servers: ['localhost'], ...options }),
      ['clock', 'deadlineMs', 'random'],
    ],
    lmdbTier: [(options) => lmdbTier({ environment, ...options }), ['clock', 'pruneEntries']],
    failoverTier: [
      (options) => failoverTier(memoryTier(), memoryTier(), options),
      ['clock', 'deadlineMs', 'retryMs'],
    ],
    Hub: [(options) => new Hub(options), ['random']],
    compressedCodec: [
      (options) => compressedCodec(jsonCodec(), options),
      ['level', 'maxBytes', 'thresholdBytes'],
    ],
    requestScope: [requestScope, ['maxEntries']],
    httpCache: [
      (options) => resolveHttp({ cache: open(), ...options }),
      [
        'cacheStatus',
        'clock',
        'collapseTimeout',
        'etag',
        'heuristic',
        'keepForValidation',
        'maxBodyBytes',
        'prefixes',
        'random',
        'requestDirectives',
        'statuses',
        'strict',
        'strictAge',
        'trustProxy',
      ],
    ],
  }
  const all = Object.entries(makers).flatMap(([maker, [make, names]]) =>
    names.map((name) => ({ maker, name, make })),
  )

  test.each(all)('$maker: $name', ({ name, make }) => {
    expect(() => make({ [name]: undefined })).not.toThrow()
    expect(() => make({ [name]: null })).toThrow(new RegExp(`^${name}: (null|.*null)`))
  })
})

describe('a name that nobody reads', () => {
  const wrong: Wrong = { verison: 2 }

  test.each(['delete', 'expire', 'get', 'getEntry', 'has', 'incr', 'pull', 'ttl'] as const)(
    'is refused by %s',
    async (method) => {
      const cache = open()
      const args = method === 'incr' ? ['a', 1, wrong] : ['a', wrong]
      await expect((cache[method] as Wrong)(...args)).rejects.toThrow(
        'options: there is no option "verison"; did you mean version?',
      )
    },
  )

  test('is refused by those for many keys, by the view of L1 where it has no answer, and by an L1', async () => {
    const cache = open()
    const message = 'there is no option "verison"'
    await expect(cache.getMany(['a'], wrong)).rejects.toThrow(message)
    await expect(cache.deleteMany(['a'], wrong)).rejects.toThrow(message)
    expect(() => cache.l1.get('a', wrong)).toThrow(message)
    expect(() => cache.l1.has('a', wrong)).toThrow(message)
    const l1 = createL1<number>({ maxEntries: 4 })
    expect(() => l1.set('a', 1, wrong)).toThrow(message)
    expect(() => l1.touch('a', wrong)).toThrow(message)
    expect(() => l1.set('a', 1, null as Wrong)).toThrow('options: null is not an object with options')
  })

  test('is refused when a function is wrapped, not when it is called, as is every option of its calls', () => {
    const cache = open()
    const run = () => 1
    expect(() => cache.wrap(run, { name: 'run', tll: 5 } as Wrong)).toThrow('there is no option "tll"')
    expect(() => cache.wrap(run, { name: 'run', ttl: -1 })).toThrow(/^ttl: -1/)
    expect(() => cache.wrap(run, { name: 'run', version: -1 })).toThrow(/^version: -1/)
    expect(() => cache.wrap(run, { key: 'run' } as Wrong)).toThrow('key: "run" is not a function')
    expect(() => cache.wrap(run, undefined as Wrong)).toThrow(/^options: undefined/)
    expect(() => cached(cache, { ttl: -1 })).toThrow(/^ttl: -1/)
  })

  test('of an event is refused', () => {
    const cache = open()
    expect(() => cache.on('entry.mised' as Wrong, () => {})).toThrow(
      'name: there is no event "entry.mised"; there are',
    )
    expect(() => publishEvents(cache, 'cache', ['entry.mised' as Wrong])).toThrow('there is no event')
  })
})

describe('an argument', () => {
  test('that is to be several is not one text, and not nothing', async () => {
    const cache = open()
    const load = () => []
    for (const wrong of ['user:7', undefined, 7] as Wrong[]) {
      const message = /^(keys|entries|tags): (.*is one string, not several|.*is neither an array)/
      await expect(cache.getMany(wrong)).rejects.toThrow(message)
      await expect(cache.getOrSetMany(wrong, load)).rejects.toThrow(message)
      await expect(cache.setMany(wrong)).rejects.toThrow(message)
      await expect(cache.deleteMany(wrong)).rejects.toThrow(message)
      await expect(cache.expireTags(wrong)).rejects.toThrow(message)
      await expect(cache.deleteTags(wrong)).rejects.toThrow(message)
    }
    await expect(cache.setMany(['user:7'] as Wrong)).rejects.toThrow(
      'entries: "user:7" is no pair of a key and a value',
    )
    const { failed } = await cache.getOrSetMany(['a'], () => [7] as Wrong)
    expect(String(failed.get('a'))).toContain('load: 7 in what it returned is no pair of key and value')
  })

  test('of invalidateAround is refused before anything is deleted', async () => {
    const cache = open()
    await cache.set('a', 1)
    await expect(cache.invalidateAround(null as Wrong, () => 1)).rejects.toThrow(/^keys: null/)
    await expect(cache.invalidateAround('a', undefined as Wrong)).rejects.toThrow(/^change: undefined/)
    expect(await cache.get('a')).toBe(1)
    expect(await cache.invalidateAround(new Set(['a']) as Wrong, () => 1)).toBe(1)
    expect(await cache.get('a')).toBeUndefined()
  })

  test('that makes no key is the rejection of a wrapped call', async () => {
    const cache = open()
    const wrapped = cache.wrap((_: unknown) => 1, { name: 'run' })
    const message = 'key: an object makes no key by itself'
    for (const call of [wrapped, wrapped.invalidate, wrapped.expire])
      await expect(call({})).rejects.toThrow(message)
  })

  test('that changes how a value is got is looked at for a hit as well', async () => {
    const cache = open()
    await cache.set('a', 1)
    const load = () => 2
    await expect(cache.getOrSet('a', load, { forceFresh: 1 } as Wrong)).rejects.toThrow(/^forceFresh: 1/)
    await expect(cache.getOrSet('a', load, { skip: 'l1' } as Wrong)).rejects.toThrow(/^skip: "l1"/)
  })

  test('of a codec around another is a codec', () => {
    expect(() => compressedCodec(undefined as Wrong)).toThrow(/^codec: undefined/)
    expect(() => encryptedCodec({} as Wrong, { keys: [] })).toThrow(/^codec: an object/)
  })
})
