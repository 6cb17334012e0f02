import { spawnSync } from 'node:child_process'
import {
  cpSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { DirectoryLock } from '../../../src/backends/lock.ts'
import { systemRandom } from '../../../src/random.ts'
import { ManualClock } from '../../../src/testing/manual-clock.ts'
import { makeFolder, removeFolder } from '../../support/folder.ts'

let folder = ''
let directory = ''
let clock = new ManualClock()
let recovered = 0

beforeEach(() => {
  folder = makeFolder()
  directory = join(folder, 'lock')
  mkdirSync(directory)
  clock = new ManualClock()
  recovered = 0
})
afterEach(() => removeFolder(folder))

const held = () => join(directory, 'held')
const names = (prefix: string) => readdirSync(directory).filter((name) => name.startsWith(prefix))

function makeLock(recover: () => void = () => {}): DirectoryLock {
  return new DirectoryLock({
    directory,
    waitMs: 1_000,
    clock,
    random: systemRandom,
    prepare: () => void mkdirSync(directory, { recursive: true }),
    recover: () => {
      recover()
      recovered++
    },
  })
}

/** What a lock of this process writes of itself, changed into somebody else. Call before `held` is there. */
function ownerLike(change: Record<string, unknown>, id = 'aaaaaaaaaaaaaaaa'): string {
  const lock = makeLock()
  lock.tryRun(() => {})
  const own = join(directory, names('owner-')[0] as string)
  // Without the number of the file: the text is going to be in another one.
  const owner = { ...JSON.parse(readFileSync(own, 'utf8')), inode: undefined, id, ...change }
  lock.close()
  return JSON.stringify(owner)
}

/** A process that has ended. */
const deadPid = () => spawnSync(process.execPath, ['-e', '']).pid
const deadOwner = (id?: string) => {
  const pid = deadPid()
  return ownerLike({ pid, task: process.platform === 'linux' ? `${pid}/task/${pid}` : '' }, id)
}
/** A live process that is not this one: the parent of the test's process. */
const liveOwner = () => {
  const task = `${process.ppid}/task/${process.ppid}`
  if (process.platform !== 'linux') return ownerLike({ pid: process.ppid, task: '' })
  const stat = readFileSync(`/proc/${task}/stat`, 'latin1')
  const started = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]
  return ownerLike({ pid: process.ppid, task, started })
}

test('the lock says whose it is from the first moment, and is gone after the section', async () => {
  const lock = makeLock()
  const seen = await lock.run(() => JSON.parse(readFileSync(held(), 'utf8')))
  expect(seen.pid).toBe(process.pid)
  expect(existsSync(held())).toBe(false)
  await expect(lock.run(() => Promise.reject(new Error('mine')))).rejects.toThrow('mine')
  await expect(
    lock.run(() => {
      throw new Error('thrown')
    }),
  ).rejects.toThrow('thrown')
  expect(existsSync(held())).toBe(false)
  lock.close()
  expect(readdirSync(directory)).toEqual([])
})

test('a live owner is waited for, and the section runs when it is done', async () => {
  const lock = makeLock()
  writeFileSync(held(), liveOwner())
  let ran = false
  const done = lock.run(() => {
    ran = true
  })
  expect(lock.tryRun(() => {})).toBe(false)
  await clock.run(500, 5)
  expect([ran, recovered, existsSync(held())]).toEqual([false, 0, true])
  rmSync(held())
  await clock.run(50, 5)
  await done
  expect([ran, recovered]).toEqual([true, 0])
})

test('who waits longer than waitMs is told by whom the lock is held, and the next is served', async () => {
  const lock = makeLock()
  writeFileSync(held(), liveOwner())
  const late = lock.run(() => {})
  const refused = expect(late).rejects.toThrow(`process ${process.ppid}`)
  await clock.run(900, 5)
  const next = lock.run(() => 'ran')
  await clock.run(150, 5)
  await refused
  rmSync(held())
  await clock.run(50, 5)
  expect(await next).toBe('ran')
})

test.each([
  ['a process that has ended', () => deadOwner()],
  ['a process of an earlier boot', () => ownerLike({ pid: process.ppid, boot: 'another boot' })],
  ['nobody, as after a power cut', () => ''],
  ['nonsense', () => '{"id":"../../x","pid":1}'],
])('a lock of %s is broken, after repairing', async (_what, content) => {
  writeFileSync(held(), content())
  const lock = makeLock(() => expect(existsSync(held()), 'it is not removed first').toBe(true))
  expect(await lock.run(() => JSON.parse(readFileSync(held(), 'utf8')).pid)).toBe(process.pid)
  expect(recovered).toBe(1)
  expect(await lock.run(() => 'again')).toBe('again')
  expect(recovered).toBe(1)
  expect([names('broken-'), names('held')]).toEqual([[], []])
})

test.runIf(process.platform === 'linux')(
  'a number that was given to another process does not keep a lock alive',
  async () => {
    const owner = JSON.parse(liveOwner())
    writeFileSync(held(), JSON.stringify({ ...owner, started: '1' }))
    await makeLock().run(() => {})
    expect(recovered).toBe(1)
  },
)

test('a link in the place of the lock is broken without touching what it leads to', async () => {
  const target = join(folder, 'target')
  writeFileSync(target, 'stays')
  symlinkSync(target, held())
  await makeLock().run(() => {})
  expect(readFileSync(target, 'utf8')).toBe('stays')
  expect(recovered).toBe(1)
})

test('when repairing fails the dead lock stays, and the next one repairs', async () => {
  writeFileSync(held(), deadOwner())
  const failing = makeLock(() => {
    throw new Error('the disk is full')
  })
  await expect(failing.run(() => {})).rejects.toThrow('the disk is full')
  expect([existsSync(held()), names('broken-'), recovered]).toEqual([true, [], 0])
  await makeLock().run(() => {})
  expect(recovered).toBe(1)
})

test('a breaker that died is broken as well, and only one lock comes of it', async () => {
  const [first, second, third] = ['aaaaaaaaaaaaaaaa', 'bbbbbbbbbbbbbbbb', 'cccccccccccccccc'].map(deadOwner)
  writeFileSync(held(), first as string)
  writeFileSync(join(directory, 'broken-aaaaaaaaaaaaaaaa'), second as string)
  writeFileSync(join(directory, 'broken-bbbbbbbbbbbbbbbb'), third as string)
  await makeLock().run(() => {})
  expect([recovered, names('broken-'), names('held')]).toEqual([1, [], []])
})

test('while a live process breaks a dead lock, others wait', async () => {
  const claim = join(directory, 'broken-aaaaaaaaaaaaaaaa')
  const [dead, live] = [deadOwner('aaaaaaaaaaaaaaaa'), liveOwner()]
  writeFileSync(held(), dead)
  writeFileSync(claim, live)
  const lock = makeLock()
  const done = lock.run(() => {})
  await clock.run(100, 5)
  expect([recovered, existsSync(held())]).toEqual([0, true])
  renameSync(claim, held())
  await clock.run(100, 5)
  expect(recovered).toBe(0)
  rmSync(held())
  await clock.run(50, 5)
  await done
  expect(recovered).toBe(0)
})

test("a copy of the lock of a live owner is nobody's, and the lock itself is waited for", async () => {
  const live = JSON.parse(liveOwner())
  writeFileSync(held(), '')
  const inode = statSync(held()).ino
  writeFileSync(held(), JSON.stringify({ ...live, inode }))
  expect(makeLock().tryRun(() => {})).toBe(false)
  cpSync(held(), `${held()}.copy`)
  renameSync(`${held()}.copy`, held())
  expect(makeLock().tryRun(() => {})).toBe(true)
  expect([recovered, names('broken-'), names('held')]).toEqual([1, [], []])
})

test('an owner whose own file was replaced by a copy introduces itself anew', async () => {
  const lock = makeLock()
  await lock.run(() => {})
  cpSync(directory, `${directory}.copy`, { recursive: true })
  rmSync(directory, { recursive: true })
  renameSync(`${directory}.copy`, directory)
  expect(await lock.run(() => lock.isHeld())).toBe(false)
  const inodes = await lock.run(() => [
    lock.isHeld(),
    JSON.parse(readFileSync(held(), 'utf8')).inode === statSync(held()).ino,
  ])
  expect([inodes, recovered, names('held')]).toEqual([[true, true], 1, []])
})

test('a lock from another space of process numbers is broken only after it stood still for long', async () => {
  writeFileSync(held(), ownerLike({ space: 'pid:[1]', pid: 1 }))
  const lock = makeLock()
  const tried = async () => {
    const outcome = lock.run(() => 'ran').catch(() => 'refused')
    await clock.run(1_100, 10)
    return outcome
  }
  expect(await tried()).toBe('refused')
  for (let turn = 0; turn < 5; turn++) expect(await tried()).toBe('refused')
  // It was released and taken again: the time starts over.
  linkSync(held(), join(folder, 'moved'))
  for (let turn = 0; turn < 8; turn++) expect(await tried()).toBe('refused')
  let outcome = 'refused'
  for (let turn = 0; turn < 4 && outcome === 'refused'; turn++) outcome = await tried()
  expect([outcome, recovered]).toEqual(['ran', 1])
})

test.runIf(process.platform === 'linux')(
  'the lock of a worker thread that was terminated is broken',
  async () => {
    const script = `
    const { readFileSync, readlinkSync, writeFileSync } = require('node:fs')
    const { parentPort, threadId, workerData } = require('node:worker_threads')
    const task = readlinkSync('/proc/thread-self')
    const stat = readFileSync('/proc/thread-self/stat', 'latin1')
    const started = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]
    writeFileSync(workerData.held, JSON.stringify({ ...JSON.parse(workerData.owner), thread: threadId, task, started }))
    parentPort.postMessage('held')
    for (;;) {}`
    const worker = new Worker(script, { eval: true, workerData: { held: held(), owner: ownerLike({}) } })
    await new Promise((resolve) => worker.once('message', resolve))
    const lock = makeLock()
    const waiting = lock.run(() => 'ran')
    await clock.run(100, 5)
    expect(recovered).toBe(0)
    await worker.terminate()
    await clock.run(100, 5)
    expect([await waiting, recovered]).toEqual(['ran', 1])
  },
)

test('many sections let others have their turn', async () => {
  const lock = makeLock()
  let turns = 0
  let isRunning = true
  const count = async () => {
    while (isRunning) {
      await setImmediate()
      turns++
    }
  }
  const counting = count()
  await Promise.all(Array.from({ length: 1_000 }, () => lock.run(() => {})))
  isRunning = false
  await counting
  expect(turns).toBeGreaterThanOrEqual(1_000 / 64 - 1)
})

test('tidy removes what dead owners left, and leaves the living', async () => {
  writeFileSync(join(directory, 'owner-aaaaaaaaaaaaaaaa'), deadOwner('aaaaaaaaaaaaaaaa'))
  writeFileSync(join(directory, 'broken-aaaaaaaaaaaaaaaa'), deadOwner('bbbbbbbbbbbbbbbb'))
  writeFileSync(join(directory, 'owner-dddddddddddddddd'), liveOwner())
  const lock = makeLock()
  await lock.run(() => lock.tidy())
  expect(names('broken-')).toEqual([])
  expect(names('owner-').length).toBe(2)
  expect(names('owner-')).toContain('owner-dddddddddddddddd')
})

test('a directory that is removed is made again by the next section', async () => {
  const lock = makeLock()
  await lock.run(() => {})
  rmSync(directory, { recursive: true })
  expect(await lock.run(() => 'ran')).toBe('ran')
  expect(names('owner-').length).toBe(1)
})
