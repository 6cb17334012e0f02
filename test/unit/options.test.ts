import { describe, expect, test } from 'vitest'
import {
  checkClock,
  checkCount,
  checkNames,
  resolveCall,
  resolveDefaults,
  ttlMsOf,
} from '../../src/options.ts'

describe('options of a call', () => {
  const defaults = resolveDefaults({ ttl: '1m', staleIfError: '1h', loadTimeout: 500 })

  test('are the cache’s own object when the call has none', () => {
    expect(resolveCall(defaults, undefined)).toBe(defaults)
  })

  test('rule 3.2.1: go over the cache’s one by one', () => {
    expect(resolveCall(defaults, { ttl: '2m' })).toEqual({
      lifetime: { ttlMs: 120_000, staleWhileRevalidateMs: 0, staleIfErrorMs: 3_600_000 },
      staleWhileRevalidateMs: 0,
      staleIfErrorMs: 3_600_000,
      loadLeaseMs: 0,
      loadTimeoutMs: 500,
      softLoadTimeoutMs: Number.POSITIVE_INFINITY,
      failureThrottleMs: 1_000,
      refreshAhead: undefined,
      jitter: 0,
      fallback: undefined,
      isForced: false,
      skip: undefined,
      tags: [],
    })
    expect(resolveCall(defaults, { ttl: null, loadTimeout: null, staleIfError: 0 })).toMatchObject({
      lifetime: { ttlMs: Number.POSITIVE_INFINITY, staleIfErrorMs: 0 },
      loadTimeoutMs: Number.POSITIVE_INFINITY,
    })
  })

  test('without a ttl anywhere there is no lifetime', () => {
    expect(resolveCall(resolveDefaults({}), { staleIfError: 5 }).lifetime).toBeUndefined()
  })

  test.each([
    [{ ttl: -1 }, /^ttl: -1/],
    [{ ttl: Number.NaN }, /^ttl: NaN/],
    [{ ttl: Number.POSITIVE_INFINITY }, /null where "for ever"/],
    [{ ttl: '5 m' }, /^ttl: "5 m" is not a duration/],
    [{ ttl: {} }, /^ttl: an object/],
    [{ staleIfError: null }, /^staleIfError: null/],
    [{ loadTimeout: 0 }, /^loadTimeout: 0 would let no loader finish/],
    [{ softLoadTimeout: 0 }, /^softLoadTimeout: 0/],
    [{ failureThrottle: null }, /^failureThrottle: null/],
    [{ refreshAhead: 1 }, /^refreshAhead: 1 is no share of ttl/],
    [{ refreshAhead: '1m' }, /^refreshAhead: "1m" is neither/],
    [{ refreshAhead: { beta: 0 } }, /^refreshAhead.beta: 0 must be/],
    [{ refreshAhead: { bet: 1 } }, /did you mean beta/],
    [{ refreshAhead: {} }, /^refreshAhead.beta: undefined is not a number/],
    [{ jitter: 1 }, /^jitter: 1 is no share/],
    [{ jitter: '10%' }, /^jitter: "10%" is not a number/],
    [{ forceFresh: 1 }, /^forceFresh: 1 is neither/],
    [{ skip: 'l1' }, /^skip: "l1" is neither/],
    [{ tll: 5 }, /no option "tll"; did you mean ttl\?/],
    [{ staleWhileRevalidat: 5 }, /did you mean staleWhileRevalidate/],
    [{ timeout: 5 }, /it knows failureThrottle, /],
    [null, /options: null is not an object/],
    [5, /options: 5/],
    [[], /options: an array/],
  ])('%j are refused with name, value and rule', (options, message) => {
    expect(() => resolveCall(defaults, options as never)).toThrow(message)
  })

  test('a ttl of null is for ever and 0 is 0', () => {
    expect(ttlMsOf(null)).toBe(Number.POSITIVE_INFINITY)
    expect(ttlMsOf(0)).toBe(0)
  })
})

test.each([
  ['5', TypeError],
  [Number.NaN, RangeError],
  [0, RangeError],
  [11, RangeError],
  [1.5, RangeError],
  [undefined, TypeError],
] as const)('a count of %s is refused with its bounds', (value, error) => {
  expect(() => checkCount(value, 'maxEntries', 1, 10)).toThrow(error)
  expect(() => checkCount(value, 'maxEntries', 1, 10)).toThrow(/^maxEntries: /)
})

test('a clock must have all three of its functions', () => {
  expect(() => checkClock({ now: () => 1 })).toThrow(
    /^clock: an object has no now\(\), wallNow\(\) and setTimer\(\)/,
  )
})

test('exchanged letters are recognised as a slip', () => {
  expect(() => checkNames({ lt1: 1 }, ['ltl'], 'x')).toThrow(/did you mean ltl/)
  expect(() => checkNames({ tier: [] }, ['tiers'], 'createCache')).toThrow(
    'createCache: there is no option "tier"; did you mean tiers?',
  )
})
