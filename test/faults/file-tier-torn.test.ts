// Small entries are written over in place. A reader takes no lock, so it may meet the middle of that; it must never see
// it, nor take an entry that is there for a missing one.

import { join } from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { fileTier } from '../../src/tiers/file.ts'
import type { Tier } from '../../src/tiers/tier.ts'
import { FileProcess } from '../support/file-process.ts'
import { makeFolder, removeFolder } from '../support/folder.ts'
import { writeSource } from '../support/source.ts'

/** The next so many reads of more than a counter find the second half of another entry. */
const torn = vi.hoisted(() => ({ reads: 0 }))

vi.mock('node:fs', async (importOriginal) => {
  const real = await importOriginal<typeof import('node:fs')>()
  const readSync = (...args: Parameters<typeof real.readSync>): number => {
    const count = real.readSync(...args)
    if (count < 1_000 || torn.reads === 0) return count
    torn.reads--
    ;(args[1] as Uint8Array).fill(0x62, Math.floor(count / 2), count)
    return count
  }
  return { ...real, readSync, default: { ...real, readSync } }
})

vi.setConfig({ testTimeout: 60_000 })

let folder = ''
const opened: Tier[] = []
beforeEach(() => {
  folder = makeFolder()
})
afterEach(async () => {
  torn.reads = 0
  for (const tier of opened.splice(0)) await tier.close()
  removeFolder(folder)
})

function open(): Tier {
  const tier = fileTier({ directory: join(folder, 'cache') })
  opened.push(tier)
  return tier
}

const bytes = new Uint8Array(2_000).fill(0x61)

test('who meets the middle of a write looks again, and in the end with the lock', async () => {
  const tier = open()
  await tier.set({ key: 'key', bytes, remainingMs: Infinity })
  for (const reads of [1, 3, 4]) {
    torn.reads = reads
    expect((await tier.get('key'))?.bytes, `${reads} torn reads`).toEqual(bytes)
    expect(torn.reads).toBe(0)
  }
  torn.reads = 1
  expect((await tier.getMany(['key', 'missing'])).map((entry) => entry?.bytes)).toEqual([bytes, undefined])
  torn.reads = 4
  const [reading] = (await tier.ledger?.read(['key'])) ?? []
  expect(reading?.entry?.bytes).toEqual(bytes)
})

test('what stays damaged is a miss, and its file is gone', async () => {
  const tier = open()
  await tier.set({ key: 'key', bytes, remainingMs: Infinity })
  torn.reads = Infinity
  expect(await tier.get('key')).toBeUndefined()
  torn.reads = 0
  expect(await tier.get('key')).toBeUndefined()
})

test('while another process writes over an entry, it is there at each look, and whole', async () => {
  const source = join(folder, 'source')
  writeSource(source, ['tiers/file.ts', 'bus/file.ts'])
  const tier = open()
  await tier.set({ key: 'key', bytes: new Uint8Array(1_500).fill(1), remainingMs: Infinity })
  const other = await FileProcess.start(source, join(folder, 'cache'))
  const race = { isOver: false }
  const writing = other.call('races', 'overwrite', 'key', 4_000).finally(() => (race.isOver = true))
  const seen = new Set<number>()
  let looks = 0
  while (!race.isOver) {
    const found = await tier.get('key')
    const first = found?.bytes[0] ?? -1
    if (found?.bytes.some((byte) => byte !== first) !== false) {
      expect.fail(`look ${looks}: ${found === undefined ? 'nothing' : 'a mixture'} was found`)
    }
    seen.add(first)
    if (++looks % 32 === 0) await new Promise((resolve) => setImmediate(resolve))
  }
  await writing
  await other.kill()
  // Looks of which none met a writer would show nothing.
  expect(seen.size).toBeGreaterThan(2)
})
