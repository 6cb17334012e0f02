import { describe, expect, test } from 'vitest'
import { inProcessBus } from '../../../src/bus/in-process.ts'
import { type CacheOptions, createCache } from '../../../src/create-cache.ts'
import { fileTier } from '../../../src/tiers/file.ts'
import { Hub, memoryTier } from '../../../src/tiers/memory.ts'

function adviceFor(options: CacheOptions): string[] {
  const heard: string[] = []
  const cache = createCache({ onAdvice: (advice) => heard.push(advice), ...options })
  expect(cache.health().advice).toEqual(heard)
  return heard
}

describe('advice', () => {
  test.each<[CacheOptions, RegExp]>([
    [{ ttl: 1, softLoadTimeout: 5 }, /^softLoadTimeout: without staleIfError/],
    [{ ttl: 1, staleIfError: 5, softLoadTimeout: 5, loadTimeout: 5 }, /^softLoadTimeout: it is not shorter/],
    [{ ttl: 1, maxLoads: 1 }, /^maxLoads: without loadTimeout/],
    [{ ttl: null, staleIfError: 1 }, /^ttl: null never ends/],
    [{ ttl: null, refreshAhead: 0.5 }, /^refreshAhead: a ttl of null/],
    [{ ttl: 0 }, /^ttl: 0 stores nothing/],
    [{ ttl: 1, l1: false }, /^l1: it is off/],
    [{ ttl: 1, tiers: [fileTier({ directory: 'never-made' })] }, /^bus: /],
  ])('%# is given once', (options, message) => {
    expect(adviceFor(options)).toEqual([expect.stringMatching(message)])
  })

  test('is not given where options go together', () => {
    const hub = new Hub()
    expect(adviceFor({})).toEqual([])
    expect(
      adviceFor({
        ttl: '1m',
        staleIfError: '1h',
        softLoadTimeout: '1s',
        loadTimeout: '5s',
        maxLoads: 10,
        refreshAhead: 0.8,
        tiers: [memoryTier({ hub })],
        bus: inProcessBus({ hub }),
      }),
    ).toEqual([])
  })
})
