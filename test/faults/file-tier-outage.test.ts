// A disk that fails under a cache, for every operation and for a while: nobody sees it but the listener, the tier is
// left alone after a few failures, and it comes back by itself.

import { afterEach, expect, test, vi } from 'vitest'
import { createCache } from '../../src/create-cache.ts'
import { ManualClock } from '../../src/testing/manual-clock.ts'
import { fileTier } from '../../src/tiers/file.ts'
import { makeFolder, removeFolder } from '../support/folder.ts'

/** Fails every call that touches the disk, or those that write, by `code`. */
const disk = vi.hoisted(() => ({ code: '', isReadable: false, calls: 0 }))

vi.mock('node:fs', async (importOriginal) => {
  const real = await importOriginal<typeof import('node:fs')>()
  const reading = new Set([
    'openSync',
    'readSync',
    'fstatSync',
    'closeSync',
    'lstatSync',
    'statSync',
    'readdirSync',
  ])
  const wrap = (name: string, call: (...args: unknown[]) => unknown) =>
    function faulty(...args: unknown[]): unknown {
      disk.calls++
      if (disk.code === '' || name === 'closeSync' || (disk.isReadable && reading.has(name)))
        return call(...args)
      throw Object.assign(new Error(`${disk.code}: ${name}`), { code: disk.code })
    }
  const wrapped = Object.fromEntries(
    Object.entries(real).map(([name, value]) =>
      name.endsWith('Sync') && !['rmSync', 'mkdtempSync'].includes(name)
        ? [name, wrap(name, value as never)]
        : [name, value],
    ),
  )
  return { ...wrapped, default: wrapped }
})

vi.setConfig({ testTimeout: 30_000 })

let folder = ''
afterEach(() => {
  disk.code = ''
  removeFolder(folder)
})

function open() {
  folder = makeFolder()
  const clock = new ManualClock()
  const cache = createCache<string>({
    l1: false,
    tiers: [fileTier({ directory: folder, clock })],
    clock,
    ttl: '1h',
  })
  const told: string[] = []
  cache.on('tier.failed', ({ error }) => told.push(error.message))
  return { cache, clock, told }
}

for (const code of ['EIO', 'EMFILE', 'ENFILE', 'EACCES', 'ESTALE']) {
  test(`${code} on every call: reads are misses, the loader answers, and the tier comes back`, async () => {
    const { cache, clock, told } = open()
    await cache.set('key', 'kept')
    disk.code = code
    let loads = 0
    for (let at = 0; at < 10; at++) {
      expect(await cache.getOrSet(`key:${at}`, () => `loaded ${++loads}`)).toBe(`loaded ${loads}`)
      expect(await cache.get('key')).toBeUndefined()
    }
    expect(told.length).toBeGreaterThanOrEqual(5)
    expect(told[0]).toContain(code)
    await expect(cache.set('key', 'refused')).rejects.toMatchObject({ code: 'CACHE_TIER_FAILED' })
    // Left alone: not a call more, however often it is asked.
    disk.calls = 0
    for (let at = 0; at < 10; at++) await cache.get('key')
    expect(disk.calls).toBe(0)
    disk.code = ''
    await clock.advance(1_000)
    expect(await cache.getOrSet('other', () => 'new')).toBe('new')
    await cache.set('key', 'after')
    expect(await cache.get('key')).toBe('after')
    await cache.close()
  })
}

for (const code of ['ENOSPC', 'EROFS', 'EDQUOT']) {
  test(`${code} on every write: what is there is read, mutations reject, and writing comes back`, async () => {
    const { cache, clock, told } = open()
    await cache.set('key', 'kept')
    disk.code = code
    disk.isReadable = true
    for (let at = 0; at < 8; at++) {
      await expect(cache.set(`key:${at}`, 'refused')).rejects.toMatchObject({ code: 'CACHE_TIER_FAILED' })
      expect(await cache.getOrSet(`load:${at}`, () => 'loaded')).toBe('loaded')
      await clock.advance(1_000)
      expect(await cache.get('key')).toBe('kept')
    }
    expect(told.length).toBeGreaterThanOrEqual(8)
    disk.code = ''
    await clock.advance(1_000)
    await cache.set('key', 'after')
    expect(await cache.get('key')).toBe('after')
    await cache.close()
  })
}
