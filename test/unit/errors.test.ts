import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'

import { CacheError } from '../../src/errors.ts'

describe('CacheError', () => {
  test('it is an Error with a name, a code and a message', () => {
    const error = new CacheError('CACHE_CLOSED', 'the cache is closed')
    expect(error).toBeInstanceOf(Error)
    expect(error).toBeInstanceOf(CacheError)
    expect(error.name).toBe('CacheError')
    expect(error.code).toBe('CACHE_CLOSED')
    expect(error.message).toBe('the cache is closed')
    expect(String(error)).toBe('CacheError: the cache is closed')
    expect(error.stack).toContain('errors.test.ts')
  })

  test('it carries key, tier and cause as they were given', () => {
    const cause = new TypeError('underneath')
    const error = new CacheError('CACHE_TIER_FAILED', 'failed', { key: 7, tier: 'redis', cause })
    expect(error.key).toBe(7)
    expect(error.tier).toBe('redis')
    expect(error.cause).toBe(cause)
  })

  test('what it is not about is undefined, and without a cause it has none', () => {
    const error = new CacheError('CACHE_NOT_SUPPORTED', 'no')
    expect(error.key).toBeUndefined()
    expect(error.tier).toBeUndefined()
    expect('cause' in error).toBe(false)
    expect('cause' in new CacheError('CACHE_CLOSED', 'no', { cause: undefined })).toBe(false)
  })

  test.each([null, 0, '', false])('a cause of %o is a cause', (cause) => {
    const error = new CacheError('CACHE_TIER_FAILED', 'failed', { cause })
    expect('cause' in error).toBe(true)
    expect(error.cause).toBe(cause)
  })
})

describe('docs/reference/errors.md', () => {
  const source = readFileSync(new URL('../../src/errors.ts', import.meta.url), 'utf8')
  const page = readFileSync(new URL('../../docs/reference/errors.md', import.meta.url), 'utf8')
  const union = /export type CacheErrorCode =\n((?: {2}\| '\w+'\n)+)/.exec(source)?.[1] ?? ''
  const codes = [...union.matchAll(/'(\w+)'/g)].map((match) => match[1])
  const headings = [...page.matchAll(/^## `(CACHE_\w+)`$/gm)].map((match) => match[1])

  test('it has one heading per code, in the same order, and no other', () => {
    expect(codes.length).toBeGreaterThanOrEqual(6)
    expect(headings).toEqual(codes)
  })
})
