// Two processes, each with a cache over one directory and its bus: loads that are overtaken from the other process, and
// a process that stands still while the other one writes. Time is real here, since the other process's is.

import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { fileBus } from '../../src/bus/file.ts'
import type { Cache } from '../../src/cache.ts'
import { createCache } from '../../src/create-cache.ts'
import { fileTier } from '../../src/tiers/file.ts'
import { CacheProcess } from '../support/cache-process.ts'
import { endProcess } from '../support/end-process.ts'
import { makeFolder, removeFolder } from '../support/folder.ts'
import { raceLoads } from '../support/load-race.ts'
import { seed } from '../support/seed.ts'

const LEASE_MS = 1_000
vi.setConfig({ testTimeout: 120_000, hookTimeout: 60_000 })

let folder = ''
let here: Cache<string>
let there: CacheProcess
beforeEach(async () => {
  folder = makeFolder()
  here = createCache<string>({
    tiers: [fileTier({ directory: folder })],
    bus: fileBus({ directory: folder }),
    lease: LEASE_MS,
    tierTimeout: '15s',
    ttl: '10m',
  })
  there = await CacheProcess.start({ directory: folder }, LEASE_MS)
  const patience = { timeout: 20_000, interval: 20 }
  await vi.waitUntil(() => here.health().copiesTrusted, patience)
  await vi.waitUntil(() => there.call('isReady'), patience)
})
afterEach(async () => {
  await endProcess(there.child)
  await here.close()
  removeFolder(folder)
})

test('a load that the other process’s delete overtook is kept nowhere: 200 rounds', async () => {
  expect(await raceLoads(here, there.cache, LEASE_MS), `SEED=${seed}`).toEqual([])
})

test('a process that stood still for longer than its lease answers none of 80 copies stale', async () => {
  const keys = Array.from({ length: 80 }, (_, at) => `key:${at}`)
  for (const key of keys) await here.set(key, 'old')
  const answers = async () => new Map(await there.call<[string, string][]>('getMany', keys))
  expect([...(await answers()).values()]).toEqual(keys.map(() => 'old'))
  const expected = (key: string): string => (Number(key.slice(4)) % 4 === 0 ? 'new' : 'old')

  there.child.kill('SIGSTOP')
  // Before it runs again, so that the question is answered with what it has by then.
  const asked = answers()
  for (const key of keys) if (expected(key) === 'new') await here.set(key, 'new')
  await sleep(2 * LEASE_MS)
  there.child.kill('SIGCONT')
  for (const [key, value] of await asked) expect(value, key).toBe(expected(key))
  expect([...(await answers()).values()]).toEqual(keys.map(expected))
})
