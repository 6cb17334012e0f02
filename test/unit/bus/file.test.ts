import { cpSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import type { Bus } from '../../../src/bus/bus.ts'
import { type FileBusOptions, fileBus } from '../../../src/bus/file.ts'
import { isAtOrAfter } from '../../../src/stamp.ts'
import { BusObserver } from '../../../src/testing/bus-observer.ts'
import { ManualClock } from '../../../src/testing/manual-clock.ts'
import { fileTier } from '../../../src/tiers/file.ts'
import type { Ledger } from '../../../src/tiers/ledger.ts'
import type { Tier } from '../../../src/tiers/tier.ts'
import { FileProcess } from '../../support/file-process.ts'
import { makeFolder, removeFolder } from '../../support/folder.ts'
import { writeSource } from '../../support/source.ts'

const id = '0123456789abcdef'

let folder = ''
let directory = ''
let source = ''
let clock = new ManualClock()
const opened: (Bus | Tier)[] = []
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
  for (const part of opened.splice(0)) await part.close()
  for (const process of processes.splice(0)) await process.kill()
  removeFolder(folder)
})

function openBus(options: Partial<FileBusOptions> = {}): Bus {
  const bus = fileBus({ directory, clock, ...options })
  opened.push(bus)
  return bus
}

function openLedger(logBytes = 2 ** 20): Ledger {
  const tier = fileTier({ directory, clock, logBytes })
  opened.push(tier)
  return tier.ledger as Ledger
}

async function observe(bus: Bus): Promise<BusObserver> {
  const observer = new BusObserver()
  observer.begin(await bus.subscribe(observer))
  return observer
}

const remove = (ledger: Ledger, key: string, serial: number) =>
  ledger.commit({ op: 'delete', key }, { id, serial })

test('options are checked when the bus is made', () => {
  for (const [options, name] of [
    [undefined, 'fileBus'],
    [{}, 'directory'],
    [{ directory, pollMs: 0 }, 'pollMs'],
    [{ directory, poll: 1 }, 'poll'],
  ] as const) {
    expect(() => fileBus(options as unknown as FileBusOptions), name).toThrow(name)
  }
})

test('the tier and the bus over one directory have one channel, whatever way its path is written', () => {
  const ways = [directory, `${directory}/`, join(folder, 'x', '..', 'cache'), `${folder}/./cache`]
  const channels = ways.flatMap((way) => [
    fileBus({ directory: way }),
    fileTier({ directory: way }).ledger as Ledger,
  ])
  expect(new Set(channels.map(({ channel }) => channel)).size).toBe(1)
})

test('what one process commits the other is told, in order, and the other way round', async () => {
  const other = await FileProcess.start(source, directory)
  processes.push(other)
  await other.call('bus', 'subscribe')
  const ledger = openLedger()
  const observer = await observe(openBus())
  for (let serial = 1; serial <= 50; serial++) await remove(ledger, `here:${serial}`, serial)
  await other.call('races', 'commit', 'there:', 50, 'fedcba9876543210')
  // The clock stands still here, so it is the file system that rings.
  await expect.poll(() => observer.messages.length, { timeout: 10_000 }).toBe(100)
  await expect.poll(() => other.messages.length, { timeout: 10_000 }).toBe(100)
  expect(observer.disorder).toEqual([])
  expect(other.messages).toEqual(observer.messages)
  expect(other.messages.map(({ keys }) => keys[0])).toEqual([
    ...Array.from({ length: 50 }, (_, at) => `here:${at + 1}`),
    ...Array.from({ length: 50 }, (_, at) => `there:${at + 1}`),
  ])
}, 40_000)

test('who is rung for a mutation of another process finds it done', async () => {
  const other = await FileProcess.start(source, directory)
  processes.push(other)
  const ledger = openLedger()
  const late: number[] = []
  const readings: Promise<void>[] = []
  const observer = new BusObserver(({ stamp, serial }) => {
    const check = async () => {
      const [reading] = await ledger.read(['key'])
      const found = reading?.entry?.stamp
      if (reading === undefined || !isAtOrAfter(reading.asOf, stamp)) late.push(serial)
      if (found === undefined || !isAtOrAfter(found, stamp)) late.push(serial)
    }
    readings.push(check())
  })
  await openBus().subscribe(observer)
  await other.call('races', 'set', 'key', 1_000, 'fedcba9876543210')
  await expect.poll(() => observer.messages.length, { timeout: 10_000 }).toBe(1_000)
  await Promise.all(readings)
  expect(late).toEqual([])
}, 40_000)

test('a process that has nothing else to do ends, though its bus was not closed', async () => {
  const other = await FileProcess.start(source, directory)
  processes.push(other)
  await other.call('bus', 'subscribe')
  await other.call('ledger', 'commit', { op: 'delete', key: 'key' }, { id, serial: 1 })
  const ended = new Promise((resolve) => other.child.once('exit', (code) => resolve(code)))
  other.child.disconnect()
  expect(await ended).toBe(0)
}, 40_000)

test('where the file system does not ring, the poll tells', async () => {
  const bus = openBus()
  const observer = await observe(bus)
  const ledger = openLedger()
  await remove(ledger, 'a', 1)
  expect(observer.messages.length).toBe(1)
  // A record that comes from nowhere this process knows of, as another process appends it.
  const log = join(directory, 'log', 'current')
  const bytes = readFileSync(log)
  const scratch = join(folder, 'scratch')
  cpSync(directory, scratch, { recursive: true })
  const far = fileTier({ directory: scratch, clock })
  await remove(far.ledger as Ledger, 'b', 2)
  await far.close()
  const longer = readFileSync(join(scratch, 'log', 'current'))
  writeFileSync(log, longer.subarray(bytes.length), { flag: 'a' })
  clock.advance(250)
  expect(observer.messages.map(({ keys }) => keys[0])).toEqual(['a', 'b'])
})

test('a log that starts anew at its size limit is followed without a gap', async () => {
  const observer = await observe(openBus({ logBytes: 4096 }))
  const ledger = openLedger(4096)
  for (let serial = 1; serial <= 500; serial++) await remove(ledger, `key:${serial}`, serial)
  expect(observer.events.map(({ kind }) => kind)).toEqual(Array.from({ length: 500 }, () => 'message'))
  expect(observer.disorder).toEqual([])
  expect(observer.messages.map(({ serial }) => serial)).toEqual(
    Array.from({ length: 500 }, (_, at) => at + 1),
  )
  expect(readFileSync(join(directory, 'log', 'current')).length).toBeLessThan(4096 + 200)
})

test('who fell behind by more than the log keeps is told a gap, to where the bus goes on', async () => {
  const observer = await observe(openBus({ logBytes: 4096 }))
  const ledger = openLedger(4096)
  const log = join(directory, 'log', 'current')
  const hidden = join(folder, 'hidden')
  const far = fileTier({ directory: hidden, clock, logBytes: 4096 })
  // The same log, 200 mutations on: what the bus finds when it was held up for that long.
  mkdirSync(hidden, 0o700)
  cpSync(directory, hidden, { recursive: true })
  rmSync(join(hidden, 'lock'), { recursive: true })
  for (let serial = 1; serial <= 200; serial++) await remove(far.ledger as Ledger, 'key', serial)
  const stamps = await (far.ledger as Ledger).probe('end')
  await far.close()
  writeFileSync(`${log}.new`, readFileSync(join(hidden, 'log', 'current')), { mode: 0o600 })
  renameSync(`${log}.new`, log)
  clock.advance(250)
  expect(observer.events).toEqual([{ kind: 'gap', partition: undefined, stamps }])
  const { stamp } = await remove(ledger, 'key', 201)
  expect(observer.positionOf(0)).toEqual(stamp)
  expect(observer.disorder).toEqual([])
})

test('a record that is damaged is never told: a new epoch comes with the second poll', async () => {
  const bus = openBus()
  const observer = await observe(bus)
  const ledger = openLedger()
  const { stamp } = await remove(ledger, 'a', 1)
  const log = join(directory, 'log', 'current')
  const whole = readFileSync(log)
  await remove(ledger, 'b', 2)
  const record = readFileSync(log).subarray(whole.length)
  const before = observer.events.length
  for (let at = 0; at < record.length; at++) {
    const { epoch } = observer.positionOf(0) as never as { epoch: number }
    const damaged = Buffer.from(record)
    damaged[at] = (damaged[at] as number) ^ (1 << (at % 8))
    writeFileSync(log, damaged, { flag: 'a' })
    clock.advance(250)
    expect(observer.positionOf(0)?.epoch, `byte ${at}`).toBe(epoch)
    clock.advance(250)
    await expect.poll(() => observer.positionOf(0)?.epoch, { message: `byte ${at}` }).toBeGreaterThan(epoch)
  }
  expect(observer.messages.length).toBe(2)
  expect(new Set(observer.events.slice(before).map(({ kind }) => kind))).toEqual(new Set(['gap']))
  expect(await ledger.since(stamp)).toBe('gap')
  expect(observer.disorder).toEqual([])
}, 30_000)

test('half a record is waited for, and told when the rest has come', async () => {
  const bus = openBus()
  const observer = await observe(bus)
  const ledger = openLedger()
  await remove(ledger, 'a', 1)
  const log = join(directory, 'log', 'current')
  const before = readFileSync(log).length
  const shadow = join(folder, 'shadow')
  cpSync(directory, shadow, { recursive: true })
  rmSync(join(shadow, 'lock'), { recursive: true })
  const far = fileTier({ directory: shadow, clock })
  await remove(far.ledger as Ledger, 'b', 2)
  await far.close()
  const record = readFileSync(join(shadow, 'log', 'current')).subarray(before)
  writeFileSync(log, record.subarray(0, 20), { flag: 'a' })
  clock.advance(250)
  expect(observer.messages.length).toBe(1)
  writeFileSync(log, record.subarray(20), { flag: 'a' })
  clock.advance(250)
  await setImmediate()
  expect(observer.messages.map(({ keys }) => keys[0])).toEqual(['a', 'b'])
  expect(observer.events.every(({ kind }) => kind === 'message')).toBe(true)
})

test('a directory that is gone is a failure, told once, and a gap when it is back', async () => {
  const bus = openBus()
  const observer = await observe(bus)
  rmSync(directory, { recursive: true })
  clock.advance(250)
  clock.advance(250)
  expect(observer.events.map(({ kind }) => kind)).toEqual(['failure'])
  const [failure] = observer.events
  expect(failure?.kind === 'failure' && failure.error).toMatchObject({
    code: 'CACHE_TIER_FAILED',
    tier: 'file',
  })
  const ledger = openLedger()
  const { stamp } = await remove(ledger, 'a', 1)
  expect(observer.events.map(({ kind }) => kind)).toEqual(['failure', 'gap'])
  expect(observer.heard(stamp)).toBe(true)
  await bus.ledger.probe('token')
  expect(observer.echoOf('token')?.stamps).toEqual([stamp, { ...stamp, partition: 1, sequence: 0 }])
  const next = await remove(ledger, 'b', 2)
  expect(observer.positionOf(0)).toEqual(next.stamp)
})

test('a listener may commit and close from inside', async () => {
  const bus = openBus()
  const ledger = openLedger()
  const commits: Promise<unknown>[] = []
  const told: number[] = []
  await bus.subscribe({
    onMessage: ({ serial }) => {
      told.push(serial)
      if (serial < 5) commits.push(remove(ledger, 'again', serial + 1))
      if (serial === 4) void bus.close()
    },
    onEcho: () => {},
    onGap: () => {},
    onFailure: () => {},
  })
  await remove(ledger, 'first', 1)
  for (let at = 0; at < commits.length; at++) await commits[at]
  expect(told).toEqual([1, 2, 3, 4])
})
