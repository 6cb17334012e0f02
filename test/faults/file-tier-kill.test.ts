// kill -9 of writers in the middle: what is left must be whole entries, and a directory that works on.

import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { fileTier } from '../../src/tiers/file.ts'
import type { Ledger } from '../../src/tiers/ledger.ts'
import { makeFolder, removeFolder } from '../support/folder.ts'
import { seed } from '../support/seed.ts'
import { seededRandom } from '../support/seeded-random.ts'
import { writeSource } from '../support/source.ts'
import { keys, writtenIn } from './file-tier-writer.js'

/** `npm run test:crash` asks for more. */
const KILLS = Number(process.env.KILLS ?? 50)
vi.setConfig({ testTimeout: 60_000 + 1_000 * KILLS })

let source = ''
let folder = ''
const writers = new Set<ChildProcess>()

beforeAll(() => {
  source = makeFolder()
  folder = makeFolder()
  writeSource(source, ['tiers/file.ts', 'bus/file.ts'])
}, 60_000)
afterAll(() => {
  for (const writer of writers) writer.kill('SIGKILL')
  removeFolder(source)
  removeFolder(folder)
})

async function startWriter(directory: string): Promise<ChildProcess> {
  const script = fileURLToPath(new URL('file-tier-writer.js', import.meta.url))
  const writer = fork(script, [source, directory], { execArgv: [] })
  writers.add(writer)
  await once(writer, 'message')
  return writer
}

test('after each kill -9 every key is whole or absent, and the directory goes on', async () => {
  const random = seededRandom(seed)
  const directory = join(folder, 'cache')
  const tier = fileTier({ directory })
  const ledger = tier.ledger as Ledger
  await ledger.probe('open')
  const counts = { whole: 0, absent: 0, epochs: 0 }
  let { epoch } = (await ledger.read(['key']))[0]?.asOf ?? { epoch: 0 }

  // Two write at a time, so that one finds the lock of the other dead.
  const waiting = [startWriter(directory), startWriter(directory)]
  for (let kill = 1; kill <= KILLS; kill++) {
    const writer = await (waiting.shift() as Promise<ChildProcess>)
    if (kill + 1 < KILLS) waiting.push(startWriter(directory))
    await wait(random() * 40)
    const ended = once(writer, 'exit')
    writer.kill('SIGKILL')
    await ended
    writers.delete(writer)

    const readings = await ledger.read(keys)
    for (const [at, { entry }] of readings.entries()) {
      const what = `SEED=${seed}: kill ${kill}, ${keys[at]}`
      if (entry === undefined) counts.absent++
      else {
        expect(writtenIn(keys[at] as string, entry.bytes), what).toBeGreaterThan(0)
        counts.whole++
      }
    }
    const committed = await ledger.commit(
      { op: 'set', key: 'ours', bytes: Uint8Array.of(kill), remainingMs: Infinity },
      { id: '0123456789abcdef', serial: kill },
    )
    const [ours] = await ledger.read(['ours'])
    expect([...(ours?.entry?.bytes ?? [])], `SEED=${seed}: kill ${kill}`).toEqual([kill])
    expect(committed.stamp.epoch, `SEED=${seed}: kill ${kill}`).toBeGreaterThanOrEqual(epoch)
    if (committed.stamp.epoch > epoch) counts.epochs++
    epoch = committed.stamp.epoch
  }
  // A run in which nothing was written or nobody died in the middle would show nothing.
  expect(counts.whole, `SEED=${seed}`).toBeGreaterThan(KILLS)
  expect(counts.epochs, `SEED=${seed}: locks that were left by the dead`).toBeGreaterThan(0)

  await tier.prune()
  const left = readdirSync(directory, { recursive: true, encoding: 'utf8' })
  expect(
    left.filter((name) => name.endsWith('.tmp') || name.includes('broken-') || name.endsWith('held')),
  ).toEqual([])
  expect(left.filter((name) => name.includes('owner-')).length).toBe(1)
  await tier.close()
})
