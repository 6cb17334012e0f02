// Every file system call of an operation fails once, in each way that disks and systems have. Whatever
// becomes of the operation: nobody sees a mixture, nothing is changed without being told, and the next
// operation works.

import { spawnSync } from 'node:child_process'
import { readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeEach, expect, test, vi } from 'vitest'
import { fileBus } from '../../src/bus/file.ts'
import { CacheError } from '../../src/errors.ts'
import { BusObserver } from '../../src/testing/bus-observer.ts'
import { ManualClock } from '../../src/testing/manual-clock.ts'
import { fileTier } from '../../src/tiers/file.ts'
import type { Ledger } from '../../src/tiers/ledger.ts'
import type { Tier } from '../../src/tiers/tier.ts'
import { makeFolder, removeFolder } from '../support/folder.ts'

/** Counts the calls, and fails the one with the number `failAt` by `code`. */
const faults = vi.hoisted(() => ({ isOn: false, calls: 0, failAt: 0, code: '', failed: '' }))

vi.mock('node:fs', async (importOriginal) => {
  const real = await importOriginal<typeof import('node:fs')>()
  const wrap = (name: string, call: (...args: unknown[]) => unknown) =>
    function faulty(...args: unknown[]): unknown {
      if (!faults.isOn || ++faults.calls !== faults.failAt) return call(...args)
      faults.failed = name
      if (faults.code === 'TORN' && name === 'writevSync') {
        const [file, parts] = args as [number, Uint8Array[]]
        const whole = Buffer.concat(parts)
        real.writeSync(file, whole, 0, Math.floor(whole.length / 2))
      }
      throw Object.assign(new Error(`${faults.code}: ${name}`), {
        code: faults.code === 'TORN' ? 'ENOSPC' : faults.code,
      })
    }
  const wrapped = Object.fromEntries(
    Object.entries(real).map(([name, value]) =>
      name.endsWith('Sync') && !['rmSync', 'mkdtempSync'].includes(name)
        ? [name, wrap(name, value as never)]
        : [name, value],
    ),
  )
  return { ...wrapped, default: wrapped }
})

const codes = ['EIO', 'ENOSPC', 'EMFILE', 'EACCES', 'TORN']
const id = '0123456789abcdef'
const bytesOf = (text: string) => new TextEncoder().encode(text)

let folder = ''
beforeEach(() => {
  folder = makeFolder()
})
afterEach(() => {
  faults.isOn = false
  removeFolder(folder)
})

interface Scene {
  readonly tier: Tier
  readonly ledger: Ledger
  readonly other: Ledger
  readonly observer: BusObserver
  close(): Promise<void>
}

async function openScene(directory: string): Promise<Scene> {
  const clock = new ManualClock()
  const [tier, otherTier] = [fileTier({ directory, clock }), fileTier({ directory, clock })]
  const bus = fileBus({ directory, clock })
  const observer = new BusObserver()
  observer.begin(await bus.subscribe(observer))
  const [ledger, other] = [tier.ledger, otherTier.ledger] as [Ledger, Ledger]
  await ledger.commit(
    { op: 'set', key: 'key', bytes: bytesOf('old'), remainingMs: Infinity },
    { id, serial: 1 },
  )
  await other.read(['key'])
  const close = async () => {
    for (const part of [tier, otherTier, bus]) await part.close()
  }
  return { tier, ledger, other, observer, close }
}

/** Runs `operate` with its call number `failAt` failing, and says what became of it. */
async function operateWithFault(
  operate: () => Promise<unknown>,
  failAt: number,
  code: string,
): Promise<unknown> {
  Object.assign(faults, { isOn: true, calls: 0, failAt, code, failed: '' })
  try {
    await operate()
    return undefined
  } catch (error) {
    return error
  } finally {
    faults.isOn = false
  }
}

const operations: [string, (scene: Scene) => Promise<unknown>][] = [
  [
    'commit of a set',
    ({ ledger }) =>
      ledger.commit(
        { op: 'set', key: 'key', bytes: bytesOf('new'), remainingMs: Infinity },
        { id, serial: 2 },
      ),
  ],
  ['commit of a delete', ({ ledger }) => ledger.commit({ op: 'delete', key: 'key' }, { id, serial: 2 })],
  ['set', ({ tier }) => tier.set({ key: 'key', bytes: bytesOf('new'), remainingMs: Infinity })],
  ['get', ({ tier }) => tier.get('key')],
]

for (const [name, operate] of operations) {
  test(`${name}: with any one call failing the entry is old, new or absent, and what changed is told`, async () => {
    let failures = 0
    for (const code of codes) {
      for (let failAt = 1; ; failAt++) {
        const scene = await openScene(join(folder, `${code}-${failAt}`))
        const before = scene.observer.events.length
        const error = await operateWithFault(() => operate(scene), failAt, code)
        const what = `${code} at call ${failAt} (${faults.failed})`
        if (error !== undefined) {
          failures++
          expect(error, what).toBeInstanceOf(CacheError)
          expect((error as CacheError).code, what).toBe('CACHE_TIER_FAILED')
        }
        const [reading] = await scene.other.read(['key'])
        const text = reading?.entry === undefined ? undefined : new TextDecoder().decode(reading.entry.bytes)
        expect(['old', 'new', undefined], what).toContain(text)
        if (name.startsWith('commit') && error === undefined) {
          expect(text, what).toBe(name.endsWith('set') ? 'new' : undefined)
        }
        if (name === 'get') expect(text, what).toBe('old')
        // Any change after which others would go on with the old value has to be heard of.
        if (name.startsWith('commit') && text === 'new') {
          await scene.other.probe('heard')
          const told = scene.observer.events
            .slice(before)
            .filter(({ kind }) => kind !== 'failure' && kind !== 'echo')
          expect(told.length, what).toBeGreaterThan(0)
        }
        const { stamp } = await scene.other.commit({ op: 'delete', key: 'key' }, { id, serial: 3 })
        expect(scene.observer.heard(stamp), what).toBe(true)
        const again = { op: 'set', key: 'key', bytes: bytesOf('again'), remainingMs: Infinity } as const
        await scene.ledger.commit(again, { id, serial: 4 })
        const [after] = await scene.other.read(['key'])
        expect(new TextDecoder().decode(after?.entry?.bytes), what).toBe('again')
        expect(scene.observer.disorder, what).toEqual([])
        await scene.tier.prune()
        const left = readdirSync(join(folder, `${code}-${failAt}`), { recursive: true, encoding: 'utf8' })
        expect(
          left.filter((path) => path.endsWith('.tmp') || path.endsWith('held')),
          what,
        ).toEqual([])
        await scene.close()
        rmSync(join(folder, `${code}-${failAt}`), { recursive: true })
        if (faults.calls < failAt) break
      }
    }
    expect(failures).toBeGreaterThan(codes.length)
  }, 60_000)
}

const mountPoint = makeFolder()
const canMount =
  spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=256k,mode=700', 'tmpfs', mountPoint]).status === 0
afterAll(() => {
  if (canMount) spawnSync('umount', [mountPoint])
  removeFolder(mountPoint)
})

test.runIf(canMount)(
  'a disk that is really full refuses writes, keeps what it has, and takes more when there is room',
  async () => {
    const directory = join(mountPoint, 'cache')
    const clock = new ManualClock()
    const tier = fileTier({ directory, clock })
    const ledger = tier.ledger as Ledger
    const set = (key: string, size: number, serial: number) =>
      ledger.commit(
        { op: 'set', key, bytes: new Uint8Array(size).fill(serial), remainingMs: Infinity },
        { id, serial },
      )
    await set('first', 1_000, 1)
    let stored = 1
    let refusal: unknown
    for (let serial = 2; serial < 500 && refusal === undefined; serial++) {
      await set(`key:${serial}`, 10_000, serial).then(
        () => stored++,
        (error) => {
          refusal = error
        },
      )
    }
    expect(refusal).toMatchObject({ code: 'CACHE_TIER_FAILED', cause: { code: 'ENOSPC' } })
    for (let serial = 500; serial < 520; serial++) await set('first', 200_000, serial).catch(() => {})
    expect((await tier.get('first'))?.bytes.length).toBe(1_000)
    expect(
      readdirSync(directory, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.tmp')),
    ).toEqual([])
    for (let serial = 2; serial < stored; serial++) await tier.delete(`key:${serial}`)
    await set('second', 10_000, 600)
    expect((await tier.get('second'))?.bytes.length).toBe(10_000)
    await tier.close()
  },
)
