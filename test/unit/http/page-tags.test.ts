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
