import { appendFileSync, readFileSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { isBefore, Log, type Unplaced } from '../../../src/backends/log.ts'
import { makeFolder, removeFolder } from '../../support/folder.ts'

let folder = ''
let path = ''
const logs: Log[] = []

beforeEach(() => {
  folder = makeFolder()
  path = join(folder, 'current')
})
afterEach(() => {
  for (const log of logs.splice(0)) log.close()
  removeFolder(folder)
})

function openLog(limitBytes = 2 ** 20, boot = 'this boot'): Log {
  const log = new Log(path, limitBytes, boot)
  logs.push(log)
  return log
}

function mutation(key: string, serial = 1, op: Unplaced['op'] = 'delete'): Unplaced {
  return { op, keys: [key], origin: '0123456789abcdef', serial }
}

function append(log: Log, unplaced: Unplaced): void {
  log.append(log.place(unplaced))
}

test('a log that is not there is missing, and begins at nought', () => {
  const log = openLog()
  expect(log.refresh()).toBe('missing')
  log.begin(7, [], false)
  expect([log.refresh(), log.end]).toEqual(['whole', { epoch: 7, sequence: 0 }])
  expect(openLog().refresh()).toBe('whole')
})

test('what one appends another reads, each message where it said it would be', () => {
  const [log, other] = [openLog(), openLog()]
  log.begin(1, [], false)
  other.refresh()
  const placed = log.place(mutation('key'))
  expect(placed.after).toBe(0)
  log.append(placed)
  append(log, mutation('\u{1f600}', 2))
  expect(other.refresh()).toBe('whole')
  expect(other.end).toEqual(log.end)
  expect(other.since(0)).toEqual(log.since(0))
  expect(other.since(0)?.[0]).toEqual(placed)
  expect(other.since(placed.stamp.sequence)?.map(({ serial }) => serial)).toEqual([2])
})

test('since knows nothing of places where no message ended, nor beyond the end', () => {
  const log = openLog()
  log.begin(1, [], false)
  append(log, mutation('key'))
  const { sequence } = log.end
  for (const place of [1, sequence - 1, sequence + 1]) expect(log.since(place), `${place}`).toBe(undefined)
  expect(log.since(sequence)).toEqual([])
})

test('a full log carries on at least half of what it may hold, and its sequences go on', () => {
  const log = openLog(4096)
  log.begin(1, [], false)
  const ends = [0]
  for (let serial = 1; serial <= 1_000; serial++) {
    append(log, mutation('key', serial))
    ends.push(log.end.sequence)
    const recent = ends.at(-30) ?? 0
    const messages = log.since(recent)
    expect(messages?.map((message) => message.serial).at(-1), `${serial}`).toBe(serial)
    expect(messages?.length).toBe(Math.min(serial, 29))
  }
  expect(readFileSync(path).length).toBeLessThan(4096 + 200)
  expect(log.since(0)).toBe(undefined)
  const other = openLog(4096)
  expect(other.refresh()).toBe('whole')
  expect(other.end).toEqual(log.end)
})

test('a tail that is half a record is damage until it is whole', () => {
  const [log, other] = [openLog(), openLog()]
  log.begin(1, [], false)
  append(log, mutation('first'))
  const before = readFileSync(path)
  append(log, mutation('second', 2))
  const whole = readFileSync(path)
  for (let cut = before.length + 1; cut < whole.length; cut++) {
    writeFileSync(path, whole.subarray(0, cut))
    expect(other.refresh(), `${cut}`).toBe('damaged')
    expect(other.since(0)?.length, `${cut}`).toBe(1)
  }
  writeFileSync(path, whole)
  expect(other.refresh()).toBe('whole')
  expect(other.since(0)?.length).toBe(2)
})

test('a log that became shorter than it was known, zeros and foreign bytes are damage', () => {
  const log = openLog()
  log.begin(1, [], false)
  append(log, mutation('key'))
  const whole = readFileSync(path)
  for (const tail of [Buffer.alloc(8), Buffer.alloc(4096), Buffer.from('something else'), whole]) {
    writeFileSync(path, whole)
    const reader = openLog()
    expect(reader.refresh()).toBe('whole')
    appendFileSync(path, tail)
    expect(reader.refresh()).toBe('damaged')
    expect(openLog().refresh()).toBe('damaged')
  }
  truncateSync(path, whole.length - 1)
  expect(log.refresh()).toBe('damaged')
})

test('a record of an earlier epoch that is appended to a later log is damage', () => {
  const log = openLog()
  log.begin(1, [], false)
  const header = readFileSync(path).length
  append(log, mutation('key'))
  const record = readFileSync(path).subarray(header)
  log.begin(2, [], false)
  appendFileSync(path, record)
  expect(openLog().refresh()).toBe('damaged')
})

test('a log of another boot is outlived, and stays so until a new one begins', () => {
  openLog(4096, 'an earlier boot').begin(5, [{ prefix: 'a', epoch: 4, sequence: 9 }], false)
  const log = openLog()
  expect([log.refresh(), log.refresh()]).toEqual(['outlived', 'outlived'])
  expect(log.marks).toEqual([{ prefix: 'a', epoch: 4, sequence: 9 }])
  log.begin(6, log.marks, false)
  expect(log.refresh()).toBe('whole')
})

test('a link in the log’s place is no log, and is replaced, not written through', () => {
  const target = join(folder, 'target')
  writeFileSync(target, 'stays')
  symlinkSync(target, path)
  const log = openLog()
  expect(log.refresh()).toBe('missing')
  log.begin(1, [], false)
  expect([log.refresh(), readFileSync(target, 'utf8')]).toEqual(['whole', 'stays'])
})

test('a format of a later version is an error, not damage', () => {
  const log = openLog()
  log.begin(1, [], false)
  const text = readFileSync(path)
  log.close()
  rmSync(path)
  const header = Buffer.from(text.subarray(8).toString().replace('"format":1', '"format":9'))
  writeFileSync(path, frame(header))
  expect(() => openLog().refresh()).toThrow('format 9')
})

/** A frame as the head of log.ts draws it; the checksum bit by bit (RFC 3720, B.4). */
function frame(payload: Buffer): Buffer {
  let crc = 0xffffffff
  for (const byte of payload) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0x82f63b78 : 0)
  }
  const head = Buffer.alloc(8)
  head.writeUInt32LE(payload.length, 0)
  head.writeUInt32LE(~crc >>> 0, 4)
  return Buffer.concat([head, payload])
}

test('marks: a clear leaves one, a wider one covers it, and what was swept is forgotten for good', () => {
  const log = openLog()
  log.begin(1, [], false)
  append(log, mutation('a:b:', 1, 'clear'))
  append(log, mutation('c:', 2, 'clear'))
  append(log, mutation('a:', 3, 'clear'))
  expect(log.marks.map(({ prefix }) => prefix)).toEqual(['c:', 'a:'])
  const swept = log.end
  append(log, mutation('d:', 4, 'clear'))
  log.forget(swept)
  expect(log.marks.map(({ prefix }) => prefix)).toEqual(['d:'])
  const other = openLog()
  other.refresh()
  expect(other.marks).toEqual(log.marks)
})

test('places are ordered by epoch, then by sequence', () => {
  expect(isBefore({ epoch: 1, sequence: 9 }, { epoch: 2, sequence: 0 })).toBe(true)
  expect(isBefore({ epoch: 2, sequence: 0 }, { epoch: 1, sequence: 9 })).toBe(false)
  expect(isBefore({ epoch: 1, sequence: 1 }, { epoch: 1, sequence: 1 })).toBe(false)
  expect(isBefore({ epoch: 1, sequence: 0 }, { epoch: 1, sequence: 1 })).toBe(true)
})

test('tags have an order of their own in the same file, and their last places are carried on', () => {
  const log = openLog(4096)
  log.begin(1, [], false)
  append(log, mutation('key'))
  append(log, mutation('app:users', 2, 'delete-tags'))
  const deleted = log.stand(1)
  append(log, mutation('other', 3))
  const stood = log.stand(0)
  expect(log.sinceStamp({ partition: 1, epoch: 1, sequence: 0 })?.map(({ serial }) => serial)).toEqual([2])
  expect(
    log.sinceStamp({ partition: 0, epoch: 1, sequence: 0 })?.map(({ serial, after }) => [serial, after]),
  ).toEqual([
    [1, 0],
    [3, log.sinceStamp({ partition: 0, epoch: 1, sequence: 0 })?.[0]?.stamp.sequence],
  ])
  for (let at = 0; at < 200; at++) append(log, mutation('app:posts', at + 4, 'expire-tags'))
  for (const reader of [log, openLog(4096)]) {
    expect(reader.refresh()).toBe('whole')
    expect(reader.tags.placesOf('app:users')).toEqual({ expired: undefined, deleted })
    expect(reader.tags.placesOf('app:posts')).toEqual({ expired: reader.stand(1), deleted: undefined })
    expect(reader.tags.floor).toEqual({ partition: 1, epoch: 1, sequence: 0 })
    expect(reader.stand(0), 'keys stand where they stood').toEqual(stood)
    expect(reader.sinceStamp(stood), 'and nothing of theirs was missed').toEqual([])
    expect(reader.sinceStamp(deleted), 'of tags it no longer reaches back').toBeUndefined()
  }
})

test('what is known of tags outlives a boot, and is lost with a log that cannot be read', () => {
  const before = openLog(4096, 'an earlier boot')
  before.begin(5, [], false)
  append(before, mutation('app:users', 1, 'delete-tags'))
  const deleted = before.stand(1)
  const log = openLog()
  expect(log.refresh()).toBe('outlived')
  log.begin(6, log.marks, true)
  expect(log.tags.placesOf('app:users')).toEqual({ expired: undefined, deleted })
  expect(log.tags.floor.epoch, 'nothing was forgotten').toBe(5)
  log.begin(7, [], false)
  expect(log.tags.placesOf('app:users')).toEqual({ expired: undefined, deleted: undefined })
  expect(log.tags.floor).toEqual({ partition: 1, epoch: 7, sequence: 0 })
})
