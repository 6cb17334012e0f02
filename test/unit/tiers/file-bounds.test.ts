// A directory that is full: what goes, what stays, and what it costs, in calls of the file system.

import {
  chmodSync,
  existsSync,
  linkSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { ManualClock } from '../../../src/testing/manual-clock.ts'
import { type FileTierOptions, fileTier } from '../../../src/tiers/file.ts'
import type { Tier, TierEntry } from '../../../src/tiers/tier.ts'
import { makeFolder, removeFolder } from '../../support/folder.ts'

/** Counts the calls of the file system by name. */
const calls = vi.hoisted(() => new Map<string, number>())

vi.mock('node:fs', async (importOriginal) => {
  const real = await importOriginal<typeof import('node:fs')>()
  const counted = (name: string, call: (...args: unknown[]) => unknown) =>
    function count(...args: unknown[]): unknown {
      calls.set(name, (calls.get(name) ?? 0) + 1)
      return call(...args)
    }
  const isCounted = (name: string): boolean => name.endsWith('Sync') || name === 'read'
  const wrapped = Object.fromEntries(
    Object.entries(real).map(([name, value]) => [
      name,
      isCounted(name) ? counted(name, value as never) : value,
    ]),
  )
  return { ...wrapped, default: wrapped }
})

vi.setConfig({ testTimeout: 30_000 })

let folder = ''
let clock = new ManualClock()
const opened: Tier[] = []
beforeEach(() => {
  folder = makeFolder()
  clock = new ManualClock()
})
afterEach(async () => {
  for (const tier of opened.splice(0)) await tier.close()
  removeFolder(folder)
})

function open(options: Partial<FileTierOptions> = {}): Tier {
  const tier = fileTier({ directory: join(folder, 'cache'), clock, ...options })
  opened.push(tier)
  return tier
}

const write = (at: number, size = 10, remainingMs = Number.POSITIVE_INFINITY) => ({
  key: `key:${at}`,
  bytes: new Uint8Array(size).fill(at),
  remainingMs,
})
const fill = async (tier: Tier, from: number, to: number, size?: number, remainingMs?: number) => {
  for (let at = from; at < to; at++) await tier.set(write(at, size, remainingMs))
}
const usagePath = () => join(folder, 'cache', 'usage')

/** What the table of the directory says. */
function usage(): { entries: number; bytes: number } {
  const file = readFileSync(usagePath())
  const table = new Float64Array(file.buffer.slice(file.byteOffset, file.byteOffset + file.length))
  let [entries, bytes] = [0, 0]
  for (let at = 1; at < table.length; at += 2) {
    entries += table[at] as number
    bytes += table[at + 1] as number
  }
  return { entries, bytes }
}

async function alive(tier: Tier, to: number): Promise<number[]> {
  const found = await tier.getMany(Array.from({ length: to }, (_, at) => `key:${at}`))
  return found.flatMap((entry, at) => (entry === undefined ? [] : [at]))
}

test('there are never more entries than allowed, and the one just written is there', async () => {
  const tier = open({ maxEntries: 200 })
  await fill(tier, 0, 200)
  expect(await alive(tier, 200)).toHaveLength(200)
  for (let at = 200; at < 600; at++) {
    await tier.set(write(at))
    expect(usage().entries).toBeLessThanOrEqual(200)
    expect(await tier.get(`key:${at}`)).toBeDefined()
  }
  const left = await alive(tier, 600)
  expect(left).toHaveLength(usage().entries)
  expect(left.length).toBeGreaterThan(180)
})

test('those written longest ago are the ones that go', async () => {
  const tier = open({ maxEntries: 1_200, cullFrequency: 4 })
  await fill(tier, 0, 1_200)
  await fill(tier, 1_200, 1_500)
  const left = await alive(tier, 1_500)
  const gone = (from: number, to: number) => to - from - left.filter((at) => at >= from && at < to).length
  expect(gone(0, 600)).toBeGreaterThan(2 * gone(600, 1_500))
})

test('there are never more bytes than allowed, and a large entry makes room for itself', async () => {
  const tier = open({ maxBytes: 100_000 })
  await fill(tier, 0, 200, 1_000)
  expect(usage().bytes).toBeLessThanOrEqual(100_000)
  await tier.set(write(200, 60_000))
  expect((await tier.get('key:200'))?.bytes.length).toBe(60_000)
  for (let at = 201; at < 210; at++) await tier.set(write(at, 10))
  expect(usage().bytes).toBeLessThanOrEqual(100_000)
})

test('what is replaced, touched, counted or removed counts once, in two tiers over one directory', async () => {
  const [tier, other] = [open(), open()]
  for (let round = 0; round < 3; round++) {
    await fill(tier, 0, 50, 100 + round)
    await fill(other, 25, 75, 200)
  }
  expect(usage().entries).toBe(75)
  expect(await other.touch('key:3', 1_000)).toBe(true)
  await tier.set({ key: 'key:4', bytes: new TextEncoder().encode('9'), remainingMs: 1_000 })
  expect(await other.increment('key:4', 1, 0)).toBe(10)
  expect(await tier.delete('key:5')).toBe(true)
  expect(await other.deleteMany(['key:6', 'key:7', 'no such key'])).toBe(2)
  const found = usage()
  expect(found.entries).toBe(72)
  const kept = await alive(tier, 75)
  const entries = await tier.getMany(kept.map((at) => `key:${at}`))
  const headBytes = (at: number): number => 72 + `key:${at}`.length + 4
  expect(found.bytes).toBe(
    kept.reduce((sum, at, turn) => sum + headBytes(at) + (entries[turn]?.bytes.length ?? 0), 0),
  )
  await tier.clear('')
  expect(usage()).toEqual({ entries: 0, bytes: 0 })
})

test('a table that is damaged, or knows nothing of what happened, is put right', async () => {
  const tier = open()
  await fill(tier, 0, 40)
  const right = usage()
  for (const damage of [
    () => rmSync(usagePath()),
    () => truncateSync(usagePath(), 100),
    () => writeFileSync(usagePath(), Buffer.alloc(readFileSync(usagePath()).length, 0xff)),
  ]) {
    damage()
    const next = open()
    await next.set(write(0))
    expect(usage()).toEqual(right)
    await next.close()
  }
  // As by a process that was killed between an entry and its row.
  const table = readFileSync(usagePath())
  table.writeDoubleLE(table.readDoubleLE(8) + 5, 8)
  writeFileSync(usagePath(), table)
  await open().prune()
  expect(usage()).toEqual(right)
})

test('a set lists no directory while there is room, and takes as many calls with 2,000 entries as with 200', async () => {
  const callsOfSets = async (entries: number): Promise<Record<string, number>> => {
    const tier = open({ directory: join(folder, `cache-${entries}`) })
    await fill(tier, 0, entries)
    calls.clear()
    for (let round = 0; round < 20; round++) await tier.set(write(7, 10))
    return Object.fromEntries(calls)
  }
  const [few, many] = [await callsOfSets(200), await callsOfSets(2_000)]
  expect(few.readdirSync ?? 0).toBe(0)
  expect(many).toEqual(few)
})

test('a small entry is written over where it is, a large one and one that has another name are replaced', async () => {
  const tier = open()
  const directory = join(folder, 'cache', 'entries')
  const pathOf = (): string => {
    const [level = ''] = readdirSync(directory)
    return join(directory, level, readdirSync(join(directory, level))[0] as string)
  }
  const renames = async (size: number): Promise<number> => {
    calls.clear()
    await tier.set(write(1, size))
    const count = calls.get('renameSync') ?? 0
    expect((await tier.get('key:1'))?.bytes).toEqual(write(1, size).bytes)
    expect(usage()).toEqual({ entries: 1, bytes: statSync(pathOf()).size })
    return count
  }
  await renames(2_000)
  expect([await renames(1_000), await renames(3_900), await renames(0), await renames(2_000)]).toEqual([
    0, 0, 0, 0,
  ])
  expect([await renames(5_000), await renames(5_000), await renames(2_000)], 'over a page').toEqual([1, 1, 1])
  const copy = join(folder, 'copy')
  linkSync(pathOf(), copy)
  const before = readFileSync(copy)
  expect(await renames(2_100)).toBe(1)
  expect(readFileSync(copy)).toEqual(before)
  chmodSync(pathOf(), 0o644)
  expect(await renames(2_000)).toBe(1)
  expect(statSync(pathOf()).mode & 0o777).toBe(0o600)
})

test('what is asked at once takes the lock once, and looks at the log once', async () => {
  const tier = open()
  await fill(tier, 0, 50, 1_000)
  calls.clear()
  await Promise.all(Array.from({ length: 50 }, (_, at) => tier.set(write(at, 1_000))))
  expect(calls.get('linkSync')).toBe(1)
  // To look at an entry, to open, write and close it; and what the lock and the log take once.
  expect([...calls.values()].reduce((sum, count) => sum + count)).toBeLessThan(4 * 50 + 20)
  calls.clear()
  const found = await Promise.all(Array.from({ length: 50 }, (_, at) => tier.get(`key:${at}`)))
  expect(found.every((entry) => entry !== undefined)).toBe(true)
  expect(Object.fromEntries(calls)).toEqual({ lstatSync: 1, openSync: 50, readSync: 50, closeSync: 50 })
})

test('a set into a full directory lists less than one 256th of it', async () => {
  const tier = open({ maxEntries: 1_500 })
  await fill(tier, 0, 1_500)
  calls.clear()
  await fill(tier, 1_500, 2_000)
  // Each time a level of some six is looked at, two go.
  expect(calls.get('readdirSync')).toBeLessThan(350)
  expect(usage().entries).toBeLessThanOrEqual(1_500)
})

test('prune looks at no more files than it may, goes on where it ended, and gets round in the end', async () => {
  const tier = open({ pruneFiles: 50 })
  await fill(tier, 0, 200, 10, 1_000)
  await fill(tier, 200, 300)
  clock.advance(1_000)
  const pruned: number[] = []
  for (let call = 0; call < 10; call++) {
    calls.clear()
    pruned.push(await tier.prune())
    // Each file is opened to be looked at, and once more under the lock before it is removed.
    expect(calls.get('openSync') ?? 0).toBeLessThan(140)
  }
  expect(pruned.reduce((sum, count) => sum + count)).toBe(200)
  expect(Math.max(...pruned)).toBeLessThanOrEqual(60)
  expect(usage().entries).toBe(100)
})

test('a large entry is read in the thread pool, a small one at once', async () => {
  const tier = open()
  await tier.setMany([write(1, 100_000), write(2, 1_000_000)])
  calls.clear()
  const isWhole = (entry: TierEntry | undefined, at: number, size: number) =>
    entry !== undefined && Buffer.compare(entry.bytes, write(at, size).bytes) === 0
  expect(isWhole(await tier.get('key:1'), 1, 100_000)).toBe(true)
  expect(calls.get('read')).toBeUndefined()
  const [found, missing] = await tier.getMany(['key:2', 'key:3'])
  expect(isWhole(found, 2, 1_000_000)).toBe(true)
  expect(missing).toBeUndefined()
  expect(calls.get('read')).toBeGreaterThan(0)
  expect((await tier.ledger?.read(['key:2']))?.[0]?.entry?.bytes.length).toBe(1_000_000)
})

test('limits that are none are refused', () => {
  for (const options of [
    { maxEntries: 0 },
    { maxEntries: 1.5 },
    { maxBytes: -1 },
    { cullFrequency: 0 },
    { pruneFiles: 0 },
    { maxEntrys: 1 },
  ]) {
    expect(() => open(options as never), JSON.stringify(options)).toThrow(
      Object.keys(options)[0]?.slice(0, 8),
    )
  }
  expect(existsSync(join(folder, 'cache'))).toBe(false)
})
