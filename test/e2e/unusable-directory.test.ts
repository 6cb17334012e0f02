// A cache over a directory that cannot be used: every read is a miss and an event, every mutation a clear error,
// a loader still answers, and nothing hangs. A file stands where a directory is needed, which stops root too.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { fileBus } from '../../src/bus/file.ts'
import { createCache } from '../../src/create-cache.ts'
import { fileTier } from '../../src/tiers/file.ts'

const parent = mkdtempSync(join(tmpdir(), 'tierwheel-unusable-'))
const file = join(parent, 'a file')
writeFileSync(file, 'not a directory')
afterAll(() => rmSync(parent, { recursive: true, force: true }))

test.each([true, false])('with a bus: %s', async (hasBus) => {
  const directory = join(file, 'cache')
  const cache = createCache({
    ttl: '1m',
    tiers: [fileTier({ directory })],
    ...(hasBus ? { bus: fileBus({ directory }) } : {}),
  })
  const failed: string[] = []
  cache.on('tier.failed', ({ operation, error }) => failed.push(`${operation}: ${error.message}`))
  expect(await cache.get('a')).toBeUndefined()
  expect(await cache.getOrSet('a', () => 'loaded')).toBe('loaded')
  await expect(cache.set('a', 1)).rejects.toMatchObject({ code: 'CACHE_TIER_FAILED', tier: 'file' })
  await expect(cache.delete('a')).rejects.toMatchObject({ code: 'CACHE_TIER_FAILED' })
  expect(await cache.setMany([['a', 1]])).toEqual({ failed: ['a'] })
  expect(failed.length).toBeGreaterThanOrEqual(4)
  expect(failed[0]).toContain(directory)
  if (hasBus) expect(cache.health().bus).toMatchObject({ connected: false })
  await cache.close()
})

test.each([undefined, 7, '', 'a\0b', null, {}])('%j as the directory is refused at once', (directory) => {
  expect(() => fileTier({ directory: directory as string })).toThrow(/^directory: /)
  expect(() => fileBus({ directory: directory as string })).toThrow(/^directory: /)
})
