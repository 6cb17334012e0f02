// A disk that no longer answers: calls go into it and never come back. Nothing here may wait for them but who asked, and
// no more than a thread or two of the pool may be lost to them, however often it is tried again.

import { join } from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { fileBus } from '../../src/bus/file.ts'
import { createCache } from '../../src/create-cache.ts'
import { ManualClock } from '../../src/testing/manual-clock.ts'
import { fileTier } from '../../src/tiers/file.ts'
import { makeFolder, removeFolder } from '../support/folder.ts'

/** While it hangs, what goes to the pool is kept, and what would hold up the process is counted. */
const disk = vi.hoisted(() => ({ hangs: '', stuck: [] as (() => void)[], blocked: [] as string[] }))

vi.mock('node:fs', async (importOriginal) => {
  const real = await importOriginal<typeof import('node:fs')>()
  // Answered in the same turn, not by the pool, so that a test knows when.
  const inPool = (name: 'stat' | 'utimes' | 'read') =>
    function pooled(...args: unknown[]): void {
      const done = args.pop() as (error: null, count: number) => void
      const call = (): void =>
        done(null, name === 'read' ? real.readSync(...(args as Parameters<typeof real.readSync>)) : 0)
      if (disk.hangs.split(' ').includes(name)) disk.stuck.push(call)
      else queueMicrotask(call)
    }
  const atOnce = (name: string, call: (...args: unknown[]) => unknown) =>
    function blocking(...args: unknown[]): unknown {
      if (disk.hangs.includes('stat')) disk.blocked.push(name)
      return call(...args)
    }
  const wrapped = Object.fromEntries(
    Object.entries(real).map(([name, value]) => {
      if (name === 'stat' || name === 'utimes' || name === 'read') return [name, inPool(name)]
      // Rings when it likes.
      if (name === 'watch') return [name, () => ({ on: () => {}, close: () => {} })]
      const isOfTests = ['rmSync', 'mkdtempSync', 'existsSync'].includes(name)
      return [name, name.endsWith('Sync') && !isOfTests ? atOnce(name, value as never) : value]
    }),
  )
  return { ...wrapped, default: wrapped }
})

let folder = ''
beforeEach(() => {
  folder = makeFolder()
})
afterEach(() => {
  disk.hangs = ''
  for (const call of disk.stuck.splice(0)) call()
  disk.blocked.length = 0
  removeFolder(folder)
})

const turn = () => new Promise<void>((resolve) => setTimeout(resolve, 1))
/** Lets virtual time pass, and what is to be done in it. */
async function pass(clock: ManualClock, ms: number): Promise<void> {
  await turn()
  await clock.advance(ms)
  await turn()
}

/** Has the disk answer again, whatever was asked of it. */
async function recover(): Promise<void> {
  disk.hangs = ''
  while (disk.stuck.length > 0) {
    for (const call of disk.stuck.splice(0)) call()
    await turn()
  }
}

test('a disk that hangs is asked once, costs the deadline and then nothing, and comes back', async () => {
  const clock = new ManualClock()
  const tiers = [fileTier({ directory: folder, clock })]
  const cache = createCache<string>({ tiers, l1: false, clock, ttl: '1h' })
  await cache.set('key', 'kept')
  expect(await cache.get('key')).toBe('kept')
  await pass(clock, 1_000)
  disk.hangs = 'stat utimes read'
  for (let at = 0; at < 20; at++) {
    const got = cache.getOrSet(`key:${at}`, () => 'loaded')
    const written = cache.set('other', 'refused').catch((error: { code: string }) => error.code)
    await pass(clock, 500)
    await pass(clock, 500)
    expect(await got).toBe('loaded')
    expect(await written).toBe('CACHE_TIER_FAILED')
    await pass(clock, 500)
  }
  // One question of reads, one of writes.
  expect(disk.stuck.length).toBe(2)
  expect(disk.blocked).toEqual([])
  await recover()
  await pass(clock, 1_000)
  // The first one is let through by the breaker.
  await cache.get('key')
  await cache.set('key', 'after')
  expect(await cache.get('key')).toBe('after')
  await cache.close()
})

test('what waits for a disk that hangs is refused after lockWaitMs, and is not done later', async () => {
  const clock = new ManualClock()
  const tier = fileTier({ directory: folder, clock, lockWaitMs: 2_000 })
  const write = (text: string) =>
    tier.set({ key: 'key', bytes: new TextEncoder().encode(text), remainingMs: Infinity })
  await write('kept')
  await pass(clock, 1_000)
  disk.hangs = 'stat utimes read'
  const outcomes = [write('late'), tier.get('key'), tier.delete('key')].map((call) =>
    call.then(
      () => 'done',
      (error: Error) => error.message,
    ),
  )
  await pass(clock, 2_000)
  for (const outcome of await Promise.all(outcomes))
    expect(outcome).toContain('the disk has not answered for 2000 ms')
  await recover()
  await pass(clock, 100)
  expect(new TextDecoder().decode((await tier.get('key'))?.bytes)).toBe('kept')
  // In the order of the calls, though the second one comes when the answer is there.
  await pass(clock, 1_000)
  const [first, second] = [write('first'), Promise.resolve().then(() => write('second'))]
  await Promise.all([first, second])
  expect(new TextDecoder().decode((await tier.get('key'))?.bytes)).toBe('second')
  await tier.close()
})

test('reads of large entries that never come back hold one thread', async () => {
  const clock = new ManualClock()
  const tier = fileTier({ directory: folder, clock })
  await tier.set({ key: 'large', bytes: new Uint8Array(1_000_000).fill(7), remainingMs: Infinity })
  disk.hangs = 'stat utimes read'
  const outcomes: Promise<unknown>[] = []
  for (let at = 0; at < 10; at++) outcomes.push(tier.get('large').catch(() => 'refused'))
  await pass(clock, 1_000)
  for (let at = 0; at < 10; at++) outcomes.push(tier.get('large').catch(() => 'refused'))
  await pass(clock, 1_000)
  expect(disk.stuck.length).toBe(1)
  await recover()
  const found = (await Promise.all(outcomes)) as { bytes: Uint8Array }[]
  expect(found.map(({ bytes }) => bytes.length)).toEqual(Array.from({ length: 20 }, () => 1_000_000))
  await tier.close()
})

test('a bus over a disk that hangs says that it failed, and catches up when it answers', async () => {
  const clock = new ManualClock()
  const [tier, bus] = [fileTier({ directory: folder, clock }), fileBus({ directory: folder, clock })]
  const told: string[] = []
  await bus.subscribe({
    onMessage: ({ keys }) => told.push(...keys),
    onEcho: () => {},
    onGap: () => told.push('gap'),
    onFailure: () => told.push('failure'),
  })
  await pass(clock, 1_000)
  disk.hangs = 'stat utimes read'
  // For a second it is believed to answer still.
  for (let at = 0; at < 4; at++) await pass(clock, 250)
  disk.blocked.length = 0
  for (let at = 0; at < 40; at++) await pass(clock, 250)
  expect(told).toEqual(['failure'])
  expect(disk.stuck.length).toBe(1)
  expect(disk.blocked).toEqual([])
  await recover()
  await pass(clock, 250)
  const remove = { op: 'delete', key: join('a', 'b') } as const
  await tier.ledger?.commit(remove, { id: '0123456789abcdef', serial: 1 })
  await pass(clock, 250)
  expect(told.slice(0, 2)).toEqual(['failure', 'gap'])
  expect(told.at(-1)).toBe('a/b')
  await tier.close()
  await bus.close()
})
