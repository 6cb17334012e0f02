// What pages are tagged with, and what becomes of a page whose tags cannot be told.

import assert from 'node:assert/strict'
import { describe, expect, test } from 'vitest'
import { cachedFetch, type FetchHandler } from '../../../src/http/adapters/fetch.ts'
import { type HttpCacheOptions, httpCache } from '../../../src/http/index.ts'
import { folderTagOf, namedIn, tagsOf } from '../../../src/http/page-tags.ts'
import { createCache } from '../../../src/index.ts'
import { ManualClock } from '../../../src/testing/manual-clock.ts'
import { memoryTier } from '../../../src/tiers/memory.ts'

const request = { method: 'GET', fields: {}, url: 'https://a.example/x/y?z=/w/' }
const response = { status: 200, fields: {} }
const none = { ofRoute: [], ofField: [], folderPrefix: undefined }

describe('the tags of a page', () => {
  test('are those of its route, of its field and of its folders, each once', () => {
    const sources = { ofRoute: ['a', 'b'], ofField: ['b', 'c'], folderPrefix: 'p' }
    const folders = ['p:f:https://a.example/', 'p:f:https://a.example/x/']
    assert.deepEqual(tagsOf(sources, request, response), ['a', 'b', 'c', ...folders])
  })

  test('cannot be told where there are too many, or too long ones, or the function fails', () => {
    const many = Array.from({ length: 65 }, (_, at) => `${at}`)
    const fails = () => {
      throw new Error('no')
    }
    for (const ofRoute of [many, ['x'.repeat(257)], [''], fails, () => 7 as never]) {
      assert.equal(tagsOf({ ...none, ofRoute }, request, response), undefined)
    }
    assert.equal(tagsOf({ ...none, ofField: many }, request, response), undefined)
  })

  test('stand between commas or blanks in a field', () => {
    assert.deepEqual(namedIn(' a,b  c\t,, d:e '), ['a', 'b', 'c', 'd:e'])
    assert.deepEqual(namedIn(undefined), [])
  })

  test('of a folder are the same for whoever names it and for the pages in it, however long it is', () => {
    for (const folder of [
      'https://a.example/',
      `https://a.example/${'long/'.repeat(14)}`,
      'https://a.example/\u00e4/',
    ]) {
      const sources = { ...none, folderPrefix: 'p' }
      const tags = tagsOf(sources, { ...request, url: `${folder}page` }, response)
      assert.ok(tags?.includes(folderTagOf('p', folder)), folder)
    }
    const deep = `https://a.example/${'x/'.repeat(16)}`
    expect(() => folderTagOf('p', deep)).toThrow(RangeError)
    for (const url of ['https://a.example', 'https://a.example/a', 'https://a.example/a/?b/', '/a/', 7]) {
      expect(() => folderTagOf('p', url), String(url)).toThrow(TypeError)
    }
  })
})

describe('pages with tags', () => {
  const clock = new ManualClock()
  const site = (
    options: Partial<HttpCacheOptions>,
    handler: FetchHandler<[]>,
    cache = createCache({ clock }),
  ) => {
    const pages = httpCache({ cache, clock, ...options })
    const work: Promise<unknown>[] = []
    const cached = cachedFetch(pages, handler, { waitUntil: (one) => work.push(one) })
    const get = async (headers = {}) => {
      const answer = await cached(new Request('https://a.example/a', { headers }))
      const body = await answer.text()
      await Promise.all(work)
      for (let turn = 0; turn < 50; turn++) await Promise.resolve()
      return [body, answer.headers.get('cache-status')]
    }
    return { cache, pages, get }
  }

  test('that cannot be told are not stored, which Cache-Status says', async () => {
    let runs = 0
    const { get } = site({ ttl: '1m', tags: () => [''] }, () => new Response(`${++runs}`))
    assert.deepEqual(await get(), ['1', 'tierwheel; fwd=uri-miss; detail=tags'])
    assert.deepEqual(await get(), ['2', 'tierwheel; fwd=uri-miss; detail=tags'])
  })

  test('go with the values that they were made of, and these with them', async () => {
    let runs = 0
    const { cache, pages, get } = site({ ttl: '1m', tags: ['user:7'] }, () => new Response(`${++runs}`))
    await cache.set('user', 'Ada', { ttl: '1m', tags: ['user:7'] })
    await get()
    await cache.deleteTags(['user:7'])
    assert.equal((await get())[0], '2')
    await cache.set('user', 'Ada', { ttl: '1m', tags: ['user:7'] })
    await pages.invalidateTags(['user:7'])
    assert.deepEqual([(await get())[0], await cache.get('user')], ['3', undefined])
  })

  test('keep those that a field named when a 304 does not name any, and change with one that does', async () => {
    let runs = 0
    const tags: (string | undefined)[] = ['one', undefined, 'two', undefined]
    const handler: FetchHandler<[]> = ({ headers }) => {
      const tag = tags[runs++]
      const fields = { 'Cache-Control': 'max-age=1', ETag: '"a"', ...(tag && { 'Cache-Tag': tag }) }
      const isKnown = headers.get('if-none-match') === '"a"'
      return new Response(isKnown ? null : `page ${runs}`, { status: isKnown ? 304 : 200, headers: fields })
    }
    const { pages, get } = site({ tagField: 'cache-tag', keepForValidation: '1h' }, handler)
    assert.equal((await get())[0], 'page 1')
    clock.advance(1_000)
    assert.equal((await get())[0], 'page 1')
    clock.advance(1_000)
    assert.deepEqual([(await get())[0], runs], ['page 1', 3])
    await pages.invalidateTags(['one'])
    assert.equal((await get())[1], 'tierwheel; hit; ttl=1')
    await pages.invalidateTags(['two'])
    assert.deepEqual([(await get())[0], runs], ['page 4', 4])
  })

  test('are judged in a tier as well', async () => {
    let runs = 0
    const tier = memoryTier({ clock })
    const cache = createCache({ clock, l1: false, tiers: [tier] })
    const { pages, get } = site({ ttl: '1m', tags: ['a'] }, () => new Response(`${++runs}`), cache)
    await get()
    assert.equal((await get())[0], '1')
    await pages.invalidateTags(['a'])
    assert.equal((await get())[0], '2')
  })

  describe('that expired', () => {
    const tags = ['a']
    const places = {
      'in L1': () => createCache({ clock }),
      'in a tier': () => createCache({ clock, l1: false, tiers: [memoryTier({ clock })] }),
    }
    for (const [where, open] of Object.entries(places)) {
      test(`are stale ${where}: sent in their window, and made again behind it`, async () => {
        let runs = 0
        const handler = () => new Response(`${++runs}`)
        const { cache, get } = site({ ttl: '1m', staleWhileRevalidate: '1m', tags }, handler, open())
        await get()
        clock.advance(5_000)
        await cache.expireTags(tags)
        assert.deepEqual(await get(), ['1', 'tierwheel; hit; ttl=0'])
        assert.deepEqual([await get(), runs], [['2', 'tierwheel; hit; ttl=60'], 2])
      })

      test(`are asked about ${where}, and good again when the handler says so`, async () => {
        const asked: (string | null)[] = []
        const handler: FetchHandler<[]> = ({ headers }) => {
          asked.push(headers.get('if-none-match'))
          const isKnown = headers.get('if-none-match') === '"a"'
          return new Response(isKnown ? null : 'page', {
            status: isKnown ? 304 : 200,
            headers: { ETag: '"a"' },
          })
        }
        const { cache, get } = site({ ttl: '1m', tags }, handler, open())
        await get()
        await cache.expireTags(tags)
        assert.deepEqual(await get(), ['page', 'tierwheel; fwd=stale; fwd-status=304; stored'])
        assert.deepEqual(await get(), ['page', 'tierwheel; hit; ttl=60'])
        assert.deepEqual(asked, [null, '"a"'])
        clock.advance(60_000)
        await cache.expireTags(tags)
        assert.equal((await get())[1], 'tierwheel; fwd=vary-miss; stored', 'its own time is over as ever')
      })
    }

    test('stand in for a handler that fails, those that were deleted do not', async () => {
      let runs = 0
      const handler = () => {
        if (++runs > 1) throw new Error('away')
        return new Response('page')
      }
      const { cache, get } = site({ ttl: '1m', staleIfError: '1h', tags }, handler)
      await get()
      await cache.expireTags(tags)
      assert.equal((await get())[0], 'page')
      await cache.deleteTags(tags)
      await expect(get()).rejects.toThrow('away')
    })

    test('say that they are as old as a stale one, so that no cache behind takes them for fresh', async () => {
      const cache = createCache({ clock })
      const pages = httpCache({ cache, clock, ttl: '1m', staleWhileRevalidate: '1m', tags })
      const handler = cachedFetch(pages, () => new Response('page'))
      const get = async () => (await handler(new Request('https://a.example/a'))).headers.get('age')
      await (await handler(new Request('https://a.example/a'))).text()
      for (let turn = 0; turn < 50; turn++) await Promise.resolve()
      clock.advance(5_000)
      assert.equal(await get(), '5')
      await cache.expireTags(tags)
      assert.equal(await get(), '60')
    })
  })

  describe('under a holdOff', () => {
    const held = (options: Partial<HttpCacheOptions>) => {
      const state = { runs: 0, during: async () => {} }
      const handler = async () => {
        const run = ++state.runs
        await state.during()
        return new Response(`${run}`, { headers: { 'Cache-Tag': 'named' } })
      }
      const cache = createCache({ clock, holdOff: '1s' })
      return { ...site({ ttl: '1h', tagField: 'cache-tag', ...options }, handler, cache), state }
    }

    test('are given out and not kept for so long after one of their tags was deleted', async () => {
      for (const tag of ['route', 'named']) {
        const { cache, get } = held({ tags: () => ['route'] })
        await get()
        await cache.deleteTags([tag])
        assert.deepEqual([(await get())[0], (await get())[0]], ['2', '3'], tag)
        clock.advance(1_000)
        assert.deepEqual([(await get())[0], (await get())[0]], ['4', '4'], tag)
      }
    })

    test('are not kept when they began to be made within it and took longer', async () => {
      const { cache, get, state } = held({ tags: ['route'], prefixes: true })
      for (const remove of [
        () => cache.deleteTags(['route']),
        () => cache.deleteTags([folderTagOf('page', 'https://a.example/')]),
      ]) {
        await remove()
        state.during = async () => {
          clock.advance(2_000)
          // What is held is forgotten at the next removal.
          await cache.deleteTags(['another'])
        }
        const first = await get()
        state.during = async () => {}
        assert.notEqual((await get())[0], first[0])
        clock.advance(1_000)
      }
    })

    test('and without tags are not kept for so long after everything was removed', async () => {
      let runs = 0
      const cache = createCache({ clock, holdOff: '1s' })
      const { get } = site({ ttl: '1h' }, () => new Response(`${++runs}`), cache)
      await get()
      await cache.clear()
      assert.deepEqual([(await get())[0], (await get())[0]], ['2', '3'])
      clock.advance(1_000)
      assert.deepEqual([(await get())[0], (await get())[0]], ['4', '4'])
    })
  })

  test('refuse by name what cannot be right', async () => {
    const cache = createCache()
    expect(() => httpCache({ cache, tags: ['a', ''] })).toThrow(/^tags: /)
    expect(() => httpCache({ cache, tagField: 'a b' })).toThrow(/^tagField: /)
    expect(() => httpCache({ cache, prefixes: 1 as never })).toThrow(/^prefixes: /)
    await expect(httpCache({ cache }).invalidatePrefix('https://a.example/')).rejects.toThrow(
      /option prefixes/,
    )
    await expect(httpCache({ cache }).invalidateTags('a')).rejects.toThrow(/^tags: /)
  })
})
