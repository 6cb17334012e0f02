import { fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { open as openEnvironment, type RootDatabase } from 'lmdb'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { fileBus } from '../../../src/bus/file.ts'
import { createCache } from '../../../src/create-cache.ts'
import { ManualClock } from '../../../src/testing/manual-clock.ts'
import { lmdbTier } from '../../../src/tiers/lmdb.ts'
import { makeFolder, removeFolder } from '../../support/folder.ts'
import { writeSource } from '../../support/source.ts'

vi.setConfig({ testTimeout: 30_000 })

const write = (key: string, text: string, remainingMs = Number.POSITIVE_INFINITY) => ({
  key,
  bytes: new TextEncoder().encode(text),
  remainingMs,
})
const textOf = (entry: { bytes: Uint8Array } | undefined) => entry && new TextDecoder().decode(entry.bytes)

let folder = ''
let environment: RootDatabase
beforeEach(() => {
  folder = makeFolder()
  environment = openEnvironment({ path: join(folder, 'env'), noSync: true })
})
afterEach(async () => {
  await environment.close()
  removeFolder(folder)
})

test('databases of one environment do not meet, and entries are there after it was opened anew', async () => {
  const [one, other] = [
    lmdbTier({ environment, database: 'one' }),
    lmdbTier({ environment, database: 'other' }),
  ]
  await one.set(write('key', '1'))
  await other.set(write('key', '2'))
  await one.clear('')
  expect(await one.get('key')).toBeUndefined()
  await environment.close()
  environment = openEnvironment({ path: join(folder, 'env'), noSync: true })
  expect(textOf(await lmdbTier({ environment, database: 'other' }).get('key'))).toBe('2')
  await expect(other.get('key'), 'the old one was closed').rejects.toMatchObject({
    code: 'CACHE_TIER_FAILED',
  })
})

test('bytes that were changed behind its back are a miss, and prune removes them', async () => {
  const tier = lmdbTier({ environment })
  await tier.setMany([write('key', 'value'), write('kept', 'value')])
  const database = environment.openDB<Buffer, Buffer>({
    name: 'tierwheel',
    encoding: 'binary',
    keyEncoding: 'binary',
  })
  const whole = Buffer.from(database.get(Buffer.from('key')) as Buffer)
  for (let at = 0; at < whole.length; at++) {
    const damaged = Buffer.from(whole)
    damaged[at] = (damaged[at] as number) ^ 0x10
    await database.put(Buffer.from('key'), damaged)
    expect(await tier.get('key'), `byte ${at}`).toBeUndefined()
  }
  await database.put(Buffer.from('another key'), whole)
  expect(await tier.get('another key')).toBeUndefined()
  expect(await tier.prune()).toBe(2)
  expect(textOf(await tier.get('kept'))).toBe('value')
})

test('prune looks at no more entries than it may, and goes on where it ended', async () => {
  const clock = new ManualClock()
  const tier = lmdbTier({ environment, clock, pruneEntries: 100 })
  await tier.setMany(
    Array.from({ length: 250 }, (_, at) =>
      write(`key:${`${at}`.padStart(3, '0')}`, 'x', at % 2 === 0 ? 1_000 : 60_000),
    ),
  )
  clock.advance(1_000)
  expect([await tier.prune(), await tier.prune(), await tier.prune()]).toEqual([50, 50, 25])
  expect(await tier.prune()).toBe(0)
  expect(textOf(await tier.get('key:001'))).toBe('x')
})

test('a refusal among other changes of the same moment leaves those as they were meant', async () => {
  const tier = lmdbTier({ environment })
  await tier.setMany([write('text', 'x'), write('number', '1')])
  const outcomes = await Promise.allSettled([
    tier.set(write('before', '1')),
    tier.increment('number', 1, 0),
    tier.increment('text', 1, 0),
    tier.add(write('after', '1')),
  ])
  expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected', 'fulfilled'])
  expect((await tier.getMany(['before', 'number', 'text', 'after'])).map(textOf)).toEqual([
    '1',
    '2',
    'x',
    '1',
  ])
})

test('two processes that count lose nothing', async () => {
  const source = join(folder, 'source')
  writeSource(source, ['tiers/lmdb.ts'])
  const tier = lmdbTier({ environment })
  await tier.set(write('counter', '0'))
  const script = fileURLToPath(new URL('../../support/lmdb-counter.js', import.meta.url))
  const child = fork(script, [source, join(folder, 'env'), '300'], { execArgv: [] })
  const ended = once(child, 'exit')
  await once(child, 'message')
  for (let at = 0; at < 300; at += 50) {
    await Promise.all(Array.from({ length: 50 }, () => tier.increment('counter', 1, 0)))
  }
  expect((await ended)[0]).toBe(0)
  expect(textOf(await tier.get('counter'))).toBe('600')
})

test('two caches with a file bus: what one changes the other hears, and does not read from before', async () => {
  const directory = join(folder, 'bus')
  const open = () =>
    createCache<string>({ tiers: [lmdbTier({ environment })], bus: fileBus({ directory }), ttl: '5m' })
  const [here, there] = [open(), open()]
  for (let round = 0; round < 50; round++) {
    await here.set('key', `${round}`)
    expect(await there.getOrSet('key', () => `${round}`)).toBe(`${round}`)
  }
  expect(here.health().authority).toMatchObject({ name: 'file' })
  await Promise.all([here.close(), there.close()])
})

test('wrong options are refused with name and value', () => {
  for (const [options, message] of [
    [{}, 'environment'],
    [{ environment: {} }, 'environment'],
    [{ environment, database: 'a b' }, 'database: "a b"'],
    [{ environment, pruneEntries: 0 }, 'pruneEntries'],
    [{ environment, maxEntries: 5 }, 'maxEntries'],
  ] as const) {
    expect(() => lmdbTier(options as never), JSON.stringify(message)).toThrow(message)
  }
})
