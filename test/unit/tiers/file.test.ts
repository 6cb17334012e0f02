import {
  chmodSync,
  chownSync,
  existsSync,
  lchownSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { fileBus } from '../../../src/bus/file.ts'
import { CacheError } from '../../../src/errors.ts'
import type { Stamp } from '../../../src/stamp.ts'
import { BusObserver } from '../../../src/testing/bus-observer.ts'
import { ManualClock } from '../../../src/testing/manual-clock.ts'
import { type FileTierOptions, fileTier } from '../../../src/tiers/file.ts'
import type { Ledger } from '../../../src/tiers/ledger.ts'
import type { Tier, TierEntry } from '../../../src/tiers/tier.ts'
import { FileProcess } from '../../support/file-process.ts'
import { makeFolder, removeFolder } from '../../support/folder.ts'
import { writeSource } from '../../support/source.ts'

const origin = { id: '0123456789abcdef', serial: 1 }
const bytesOf = (text: string) => new TextEncoder().encode(text)
const textOf = (entry: TierEntry | undefined) =>
  entry === undefined ? undefined : new TextDecoder().decode(entry.bytes)
const write = (key: string, text: string, remainingMs = Infinity) => ({
  key,
  bytes: bytesOf(text),
  remainingMs,
})

let folder = ''
let directory = ''
let source = ''
let clock = new ManualClock()
const opened: Tier[] = []
const processes: FileProcess[] = []

beforeAll(() => {
  source = makeFolder()
  writeSource(source, ['tiers/file.ts', 'bus/file.ts'])
}, 60_000)
afterAll(() => removeFolder(source))
beforeEach(() => {
  folder = makeFolder()
  directory = join(folder, 'cache')
  clock = new ManualClock()
})
afterEach(async () => {
  for (const tier of opened.splice(0)) await tier.close()
  for (const process of processes.splice(0)) await process.kill()
  removeFolder(folder)
})

function open(options: Partial<FileTierOptions> = {}): Tier & { ledger: Ledger } {
  const tier = fileTier({ directory, clock, ...options })
  opened.push(tier)
  return tier as Tier & { ledger: Ledger }
}

async function start(): Promise<FileProcess> {
  const started = await FileProcess.start(source, directory)
  processes.push(started)
  return started
}

/** Every path below the directory, files and directories. */
function paths(): string[] {
  return readdirSync(directory, { recursive: true, encoding: 'utf8' }).map((name) => join(directory, name))
}

function entryFiles(): string[] {
  return paths().filter((path) => /entries\/[0-9a-f]{2}\/[0-9a-f]{32}$/.test(path))
}

function only(files: readonly string[]): string {
  expect(files.length).toBe(1)
  return files[0] as string
}

test('options are checked when the tier is made, and nothing is touched before the first operation', async () => {
  const wrong: [unknown, string][] = [
    [undefined, 'fileTier'],
    [{}, 'directory'],
    [{ directory: 7 }, 'directory'],
    [{ directory: '' }, 'directory'],
    [{ directory: 'a\0b' }, 'directory'],
    [{ directory, maxEntryBytes: 0 }, 'maxEntryBytes'],
    [{ directory, logBytes: 1 }, 'logBytes'],
    [{ directory, lockWaitMs: 1.5 }, 'lockWaitMs'],
    [{ directory, clock: {} }, 'clock'],
    [{ directory, random: {} }, 'random'],
    [{ directory, folder: 'x' }, 'folder'],
  ]
  for (const [options, name] of wrong) {
    expect(() => fileTier(options as FileTierOptions), name).toThrow(name)
  }
  const tier = open()
  expect(existsSync(directory)).toBe(false)
  expect(await tier.get('key')).toBe(undefined)
  expect(existsSync(directory)).toBe(true)
})

for (const umask of [0o000, 0o077]) {
  test(`with umask ${umask.toString(8)} each directory is 0700 and each file 0600, on every level that was made`, async () => {
    const before = process.umask(umask)
    try {
      directory = join(folder, 'some', 'levels', 'deep')
      const tier = open()
      await tier.set(write('key', 'value'))
      await tier.ledger.commit({ op: 'set', ...write('other', 'value') }, origin)
    } finally {
      process.umask(before)
    }
    const levels = [join(folder, 'some'), join(folder, 'some', 'levels'), directory]
    for (const path of [...levels, ...paths()]) {
      const found = lstatSync(path)
      expect((found.mode & 0o777).toString(8), path).toBe(found.isDirectory() ? '700' : '600')
    }
    expect(entryFiles().length).toBe(2)
  })
}

test('a directory that others may write into is refused, with its path', async () => {
  mkdirSync(directory)
  chmodSync(directory, 0o770)
  const error = await open()
    .get('key')
    .catch((reason) => reason)
  expect(error).toBeInstanceOf(CacheError)
  expect(error.code).toBe('CACHE_TIER_FAILED')
  expect(error.message).toContain(directory)
  expect(error.message).toContain('0770')
  expect(readdirSync(directory)).toEqual([])
})

test.runIf(process.getuid?.() === 0)('a directory of another user is refused', async () => {
  mkdirSync(directory, 0o700)
  chownSync(directory, 12_345, 12_345)
  await expect(open().set(write('key', 'value'))).rejects.toThrow('belongs to user 12345')
  expect(readdirSync(directory)).toEqual([])
})

test.runIf(process.getuid?.() === 0)('a link that another user planted on the way is refused', async () => {
  const target = join(folder, 'target')
  mkdirSync(target, 0o700)
  symlinkSync(target, directory)
  const ours = open()
  await ours.set(write('key', 'value'))
  expect(textOf(await ours.get('key'))).toBe('value')
  rmSync(directory)
  symlinkSync(target, directory)
  lchownSync(directory, 12_345, 12_345)
  await expect(open().get('key')).rejects.toThrow('link that user 12345 made')
})

test('a path that cannot be a directory makes every operation reject, and later ones work when it can', async () => {
  writeFileSync(directory, 'in the way')
  const tier = open()
  for (const call of [
    () => tier.get('key'),
    () => tier.set(write('key', 'value')),
    () => tier.ledger.probe('t'),
  ]) {
    await expect(call()).rejects.toMatchObject({ code: 'CACHE_TIER_FAILED', tier: 'file' })
  }
  rmSync(directory)
  await tier.set(write('key', 'value'))
  expect(textOf(await tier.get('key'))).toBe('value')
})

test('links planted in the place of files are neither read nor written through', async () => {
  const tier = open()
  await tier.set(write('key', 'value'))
  const file = only(entryFiles())
  const secret = join(folder, 'secret')
  for (const plant of [symlinkSync, linkSync]) {
    writeFileSync(secret, readFileSync(file).subarray(0, 50))
    rmSync(file, { force: true })
    plant(secret, file)
    plant(secret, `${file}.tmp`)
    expect(await tier.get('key')).toBe(undefined)
    expect(existsSync(file), 'the link is removed').toBe(false)
    plant(secret, file)
    await tier.set(write('key', 'again'))
    expect(textOf(await tier.get('key'))).toBe('again')
    expect(readFileSync(secret).length, 'what it led to stays').toBe(50)
    expect(lstatSync(file).isFile()).toBe(true)
    expect(lstatSync(file).nlink).toBe(1)
    rmSync(secret)
  }
  plantLevel(file)
  const anew = open()
  expect(await anew.get('key')).toBe(undefined)
  await expect(anew.set(write('key', 'value'))).rejects.toMatchObject({ code: 'CACHE_TIER_FAILED' })
  expect(readdirSync(join(folder, 'elsewhere'))).toEqual([])
})

/** Puts a link to another directory in the place of an entry's level. */
function plantLevel(file: string): void {
  const level = join(file, '..')
  rmSync(level, { recursive: true })
  mkdirSync(join(folder, 'elsewhere'), 0o700)
  symlinkSync(join(folder, 'elsewhere'), level)
}

test('an entry file with any byte changed, cut off or doubled is a miss and is removed', async () => {
  const tier = open()
  await tier.set({ ...write('key', 'the value', 60_000), stamp: { partition: 3, epoch: 5, sequence: 7 } })
  const file = only(entryFiles())
  const whole = readFileSync(file)
  const damaged: [string, Buffer][] = [['empty', Buffer.alloc(0)]]
  for (let at = 0; at < whole.length; at++) {
    for (let bit = 0; bit < 8; bit++) {
      const flipped = Buffer.from(whole)
      flipped[at] = (flipped[at] as number) ^ (1 << bit)
      damaged.push([`bit ${bit} of byte ${at}`, flipped])
    }
    for (const value of [0x00, 0xff]) {
      const set = Buffer.from(whole)
      set[at] = value
      if (!set.equals(whole)) damaged.push([`byte ${at} as ${value}`, set])
    }
    damaged.push([`cut at ${at}`, whole.subarray(0, at)])
    damaged.push([`doubled at ${at}`, Buffer.concat([whole.subarray(0, at + 1), whole.subarray(at)])])
  }
  damaged.push(['twice', Buffer.concat([whole, whole])])
  for (const [what, bytes] of damaged) {
    writeFileSync(file, bytes)
    const [reading] = await tier.ledger.read(['key'])
    expect(reading?.entry, what).toBe(undefined)
    expect(existsSync(file), what).toBe(false)
  }
  writeFileSync(file, whole)
  expect(textOf(await tier.get('key'))).toBe('the value')
})

test('a file that lies under the name of another key is not its entry', async () => {
  const tier = open()
  await tier.set(write('a', 'of a'))
  const fileOfA = only(entryFiles())
  await tier.set(write('b', 'of b'))
  const fileOfB = only(entryFiles().filter((file) => file !== fileOfA))
  writeFileSync(fileOfA, readFileSync(fileOfB))
  expect(await tier.get('a')).toBe(undefined)
  expect(textOf(await tier.get('b'))).toBe('of b')
})

test('file names give no key away, and differ between directories', async () => {
  await open().set(write('user:7', 'value'))
  const first = only(entryFiles()).slice(-32)
  directory = join(folder, 'second')
  await open().set(write('user:7', 'value'))
  expect(only(entryFiles()).slice(-32)).not.toBe(first)
  expect(first).toMatch(/^[0-9a-f]{32}$/)
})

test('a wall clock that is put back gives an entry no more than its whole time', async () => {
  const tier = open()
  await tier.set(write('key', 'value', 60_000))
  clock.advance(30_000)
  expect((await tier.get('key'))?.remainingMs).toBe(30_000)
  clock.setWall(clock.wallNow() - 3_600_000)
  expect((await tier.get('key'))?.remainingMs).toBe(60_000)
  clock.setWall(clock.wallNow() + 3_600_000 + 30_000)
  expect(await tier.get('key')).toBe(undefined)
})

test('an entry over maxEntryBytes is refused and the old one stays; a larger one of others is a miss', async () => {
  const small = open({ maxEntryBytes: 4 })
  const large = open()
  await small.set(write('key', '1234'))
  await expect(small.set(write('key', '12345'))).rejects.toThrow(RangeError)
  await expect(small.ledger.commit({ op: 'set', ...write('key', '12345') }, origin)).rejects.toThrow(
    'maxEntryBytes',
  )
  expect(textOf(await small.get('key'))).toBe('1234')
  await large.set(write('key', 'x'.repeat(2_000)))
  expect(await small.get('key')).toBe(undefined)
  expect(textOf(await large.get('key'))).toBe('x'.repeat(2_000))
})

test('a directory that is removed under the tier is made anew, with a new epoch', async () => {
  const tier = open()
  const other = open()
  await tier.ledger.commit({ op: 'set', ...write('key', 'value') }, origin)
  const [before] = await tier.ledger.read(['key'])
  rmSync(directory, { recursive: true })
  clock.advance(1)
  const committed = await other.ledger.commit({ op: 'set', ...write('other', 'value') }, origin)
  expect(committed.stamp.epoch).toBeGreaterThan(before?.asOf.epoch ?? Infinity)
  const [after] = await tier.ledger.read(['key'])
  expect(after?.entry).toBe(undefined)
  expect(after?.asOf).toEqual(committed.stamp)
  expect(await tier.ledger.populate(write('key', 'old'), before?.asOf as never)).toBe('refused')
  expect(textOf(await tier.get('other'))).toBe('value')
  rmSync(join(directory, 'entries'), { recursive: true })
  mkdirSync(join(directory, 'entries'), 0o700)
  await tier.set(write('other', 'again'))
  expect(textOf(await other.get('other'))).toBe('again')
})

test('a format of a later version is refused and left as it is', async () => {
  await open().set(write('key', 'value'))
  const file = join(directory, 'format')
  writeFileSync(file, JSON.stringify({ ...JSON.parse(readFileSync(file, 'utf8')), format: 2 }))
  const before = readFileSync(file, 'utf8')
  await expect(open().get('key')).rejects.toThrow('format 2')
  await expect(open().set(write('key', 'value'))).rejects.toThrow('format 2')
  expect(readFileSync(file, 'utf8')).toBe(before)
})

test('a format file that cannot be read starts the directory cold, never wrong', async () => {
  for (const damage of [(file: string) => truncateSync(file), (file: string) => rmSync(file)]) {
    const tier = open()
    await tier.ledger.commit({ op: 'set', ...write('key', 'value') }, origin)
    const [before] = await tier.ledger.read(['key'])
    await tier.close()
    damage(join(directory, 'format'))
    const next = open()
    const [after] = await next.ledger.read(['key'])
    expect(after?.entry).toBe(undefined)
    expect(after?.asOf.epoch).toBeGreaterThan(before?.asOf.epoch ?? Infinity)
    await next.set(write('key', 'again'))
    expect(await next.prune(), 'files under names of the old key').toBe(1)
    expect(textOf(await next.get('key'))).toBe('again')
  }
})

test('a log with any byte changed or cut off gives a new epoch or the very same messages, and dead entries stay dead', async () => {
  const first = open()
  for (const key of ['a1', 'a2', 'b1']) {
    await first.ledger.commit({ op: 'set', ...write(key, key) }, origin)
  }
  const start = (await first.ledger.probe('start'))[0] as never as {
    epoch: number
    sequence: number
    partition: 0
  }
  await first.ledger.commit({ op: 'clear', prefix: 'a' }, { ...origin, serial: 2 })
  await first.ledger.commit({ op: 'delete', key: 'c' }, { ...origin, serial: 3 })
  const truth = await first.ledger.since(start)
  await first.close()
  const file = join(directory, 'log', 'current')
  const kept = [file, join(directory, 'format'), ...entryFiles()].map(
    (path) => [path, readFileSync(path)] as const,
  )
  const restore = () => kept.forEach(([path, bytes]) => void writeFileSync(path, bytes))
  const log = readFileSync(file)
  const damaged: [string, Buffer][] = []
  for (let at = 0; at < log.length; at++) {
    const flipped = Buffer.from(log)
    flipped[at] = (flipped[at] as number) ^ (1 << (at % 8))
    damaged.push([`byte ${at} flipped`, flipped])
    if (at % 4 === 0) damaged.push([`cut at ${at}`, log.subarray(0, at)])
    if (at % 8 === 0) damaged.push([`doubled from ${at}`, Buffer.concat([log, log.subarray(at)])])
  }
  damaged.push(['a tail of zeros', Buffer.concat([log, Buffer.alloc(64)])])
  for (const [what, bytes] of damaged) {
    restore()
    writeFileSync(file, bytes)
    clock.advance(1)
    const tier = open()
    const since = await tier.ledger.since(start)
    const [a, b] = await tier.ledger.read(['a1', 'b1'])
    if (since !== 'gap') {
      // A cut at the end of a record is a shorter log that nothing tells from a whole one.
      expect(truth.slice(0, since.length), what).toEqual(since)
      expect(what.startsWith('cut') || since.length === truth.length, what).toBe(true)
      if (since.length > 0) expect(a?.entry, what).toBe(undefined)
    } else if (a?.asOf.epoch === start.epoch) {
      // Cut between two records, and before where we stood.
      expect(what).toMatch(/^cut/)
      expect(a.asOf.sequence, what).toBeLessThan(start.sequence)
    } else {
      expect(a?.asOf.epoch, what).toBeGreaterThan(start.epoch)
      expect([a?.entry, b?.entry], what).toEqual([undefined, undefined])
    }
    await tier.close()
  }
  restore()
  const tier = open()
  const [a, b] = await tier.ledger.read(['a1', 'b1'])
  expect(a?.entry).toBe(undefined)
  expect(textOf(b?.entry)).toBe('b1')
}, 60_000)

test('a clear outlives the records that carried it, and many clears cost no entry they do not name', async () => {
  const tier = open({ logBytes: 4096 })
  // The bus's ledger has no data, so it leaves the sweeping to others.
  const bus = fileBus({ directory, clock, logBytes: 4096 })
  await tier.ledger.commit({ op: 'set', ...write('kept', 'value') }, origin)
  await tier.ledger.commit({ op: 'set', ...write('a:1', 'value') }, origin)
  await bus.ledger.commit({ op: 'clear', prefix: 'a:' }, origin)
  for (let at = 0; at < 200; at++) await bus.ledger.commit({ op: 'clear', prefix: `other:${at}:` }, origin)
  await bus.close()
  const log = join(directory, 'log', 'current')
  expect(readFileSync(log, 'latin1')).toContain('"a:"')
  expect(entryFiles().length).toBe(2)
  for (const reader of [tier, open({ logBytes: 4096 })]) {
    expect((await reader.getMany(['a:1', 'kept'])).map(textOf)).toEqual([undefined, 'value'])
  }
  await tier.ledger.commit({ op: 'set', ...write('a:2', 'new') }, origin)
  await tier.prune()
  expect(readFileSync(log, 'latin1'), 'what is swept is forgotten').not.toContain('"a:"')
  for (const reader of [tier, open({ logBytes: 4096 })]) {
    expect((await reader.getMany(['a:1', 'a:2', 'kept'])).map(textOf)).toEqual([undefined, 'new', 'value'])
  }
})

test('more clears than can be remembered make everything dead, and nothing alive', async () => {
  const tier = open()
  const bus = fileBus({ directory, clock })
  await tier.ledger.commit({ op: 'set', ...write('a:1', 'value') }, origin)
  await bus.ledger.commit({ op: 'clear', prefix: 'a:' }, origin)
  for (let at = 0; at < 300; at++) await bus.ledger.commit({ op: 'clear', prefix: `other:${at}:` }, origin)
  await bus.close()
  for (const reader of [tier, open()]) expect(await reader.get('a:1')).toBe(undefined)
  await tier.set(write('a:1', 'new'))
  expect(textOf(await open().get('a:1'))).toBe('new')
})

test('a dead owner’s lock is broken with a new epoch: others hear a gap, and what was loaded before is refused', async () => {
  const tier = open()
  const bus = fileBus({ directory, clock })
  const observer = new BusObserver()
  observer.begin(await bus.subscribe(observer))
  await tier.ledger.commit({ op: 'set', ...write('key', 'value') }, origin)
  const [before] = await tier.ledger.read(['key', 'loaded'])
  // Nobody's: what a power cut leaves of a lock.
  writeFileSync(join(directory, 'lock', 'held'), '')
  const asOf = before?.asOf as Stamp
  expect(await tier.ledger.populate(write('loaded', 'old'), asOf)).toBe('refused')
  const [after] = await tier.ledger.read(['key'])
  expect(after?.asOf.epoch).toBeGreaterThan(asOf.epoch)
  expect(textOf(after?.entry), 'entries are whole files and stay').toBe('value')
  await tier.ledger.probe('token')
  expect(observer.events.map(({ kind }) => kind)).toEqual(['message', 'gap', 'echo'])
  await bus.close()
})

test('after a clear the files go without anybody asking', async () => {
  const tier = open()
  for (let at = 0; at < 100; at++) await tier.set(write(`a:${at}`, 'value'))
  await tier.set(write('b', 'value'))
  await tier.ledger.commit({ op: 'clear', prefix: 'a:' }, origin)
  expect((await tier.getMany(['a:1', 'b'])).map(textOf)).toEqual([undefined, 'value'])
  await expect.poll(() => entryFiles().length).toBe(1)
})

test('prune removes what dead processes left and nothing of the living', async () => {
  const tier = open()
  await tier.set(write('live', 'value'))
  await tier.set(write('short', 'value', 1_000))
  const file = entryFiles()[0] as string
  for (const path of [`${file}.tmp`, join(directory, 'format.tmp'), join(directory, 'log', 'current.tmp')]) {
    writeFileSync(path, 'half')
  }
  const child = await start()
  await child.call('tier', 'set', write('of the child', 'value'))
  expect(readdirSync(join(directory, 'lock')).length).toBe(2)
  await child.kill()
  clock.advance(1_000)
  expect(await tier.prune()).toBe(1)
  expect(readdirSync(join(directory, 'lock')).length).toBe(1)
  expect(paths().filter((path) => path.endsWith('.tmp'))).toEqual([])
  expect((await tier.getMany(['live', 'of the child'])).map(textOf)).toEqual(['value', 'value'])
}, 30_000)

test('two processes that race lose no increment, and of two adds or swaps one wins', async () => {
  const tier = open()
  await tier.setMany([write('counter', '0'), write('swapped', '0')])
  const pair = await Promise.all([start(), start()])
  const race = (method: string, ...args: unknown[]) =>
    Promise.all(pair.map((process) => process.call('races', method, ...args)))
  await race('increment', 'counter', 300)
  expect(textOf(await tier.get('counter'))).toBe('600')
  const stored = (await race('add', 'added:', 300)) as number[]
  expect(stored.reduce((sum, count) => sum + count)).toBe(300)
  await race('compareAndSet', 'swapped', 150)
  expect(textOf(await tier.get('swapped'))).toBe('300')
  const before = (await tier.ledger.probe('before'))[0]
  await Promise.all(
    pair.map((process, at) => process.call('races', 'commit', 'key', 200, `000000000000000${at}`)),
  )
  const messages = await tier.ledger.since(before as never)
  expect(messages).toHaveLength(400)
}, 60_000)

test('two processes that start at once agree on names and epoch', async () => {
  const pair = await Promise.all([start(), start(), start()])
  await Promise.all(pair.map((process, at) => process.call('tier', 'set', write(`key:${at}`, `${at}`))))
  const readings = await Promise.all(
    pair.map((process) => process.call('ledger', 'read', ['key:0', 'key:1', 'key:2'])),
  )
  expect(readings[1]).toEqual(readings[0])
  expect(readings[2]).toEqual(readings[0])
  const found = (readings[0] as { entry: TierEntry | undefined }[]).map(({ entry }) => textOf(entry))
  expect(found).toEqual(['0', '1', '2'])
}, 30_000)
