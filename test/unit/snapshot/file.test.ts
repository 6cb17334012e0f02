import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { createL1, type L1 } from '../../../src/create-l1.ts'
import { saveSnapshot, snapshotFile } from '../../../src/snapshot/file.ts'
import { makeFolder, removeFolder } from '../../support/folder.ts'

const options = { maxEntries: 5_000 }

const folders: string[] = []

afterEach(() => {
  for (const folder of folders.splice(0)) removeFolder(folder)
})

function freshFolder(): string {
  const folder = makeFolder()
  folders.push(folder)
  return folder
}

function filled(value: string): L1<string> {
  const l1 = createL1<string>(options)
  for (let id = 0; id < 5_000; id++) l1.set(`key:${id}`, `${value} ${id}`)
  return l1
}

async function restored(path: string) {
  const l1 = createL1<string>({ ...options, restore: snapshotFile(path) })
  return { l1, outcome: await l1.restored }
}

test('a cache begins where another one ended', async () => {
  const path = join(freshFolder(), 'l1.snapshot')
  const before = filled('one')
  const bytes = await saveSnapshot(before, path)
  expect((await stat(path)).size).toBe(bytes)
  const { l1, outcome } = await restored(path)
  expect(outcome).toMatchObject({ status: 'restored', entries: 5_000 })
  expect([...l1.entries()]).toEqual([...before.entries()])
})

test('a later snapshot takes the place of an earlier one, and nothing else stays', async () => {
  const folder = freshFolder()
  const path = join(folder, 'l1.snapshot')
  await saveSnapshot(filled('one'), path)
  await saveSnapshot(filled('two'), path)
  expect((await restored(path)).l1.get('key:7')).toBe('two 7')
  expect(await readdir(folder)).toEqual(['l1.snapshot'])
  expect((await stat(path)).mode & 0o777).toBe(0o600)
})

test('two at once leave one whole snapshot', async () => {
  const path = join(freshFolder(), 'l1.snapshot')
  await Promise.all(['one', 'two', 'three'].map((value) => saveSnapshot(filled(value), path)))
  expect((await restored(path)).outcome).toMatchObject({ status: 'restored', entries: 5_000 })
})

test('no file is a cold start', async () => {
  const { outcome } = await restored(join(freshFolder(), 'missing'))
  expect(outcome.status).toBe('absent')
})

test('half a file is a cold start', async () => {
  const path = join(freshFolder(), 'l1.snapshot')
  await saveSnapshot(filled('one'), path)
  const bytes = await readFile(path)
  await writeFile(path, bytes.subarray(0, bytes.length >> 1))
  const { l1, outcome } = await restored(path)
  expect([outcome.status, l1.size]).toEqual(['damaged', 0])
})

test('a path that is no file is a cold start that says why', async () => {
  const { outcome } = await restored(freshFolder())
  expect(outcome).toMatchObject({ status: 'failed', error: { code: 'EISDIR' } })
})

describe('a snapshot that cannot be finished', () => {
  test('leaves the former one and no other file', async () => {
    const folder = freshFolder()
    const path = join(folder, 'l1.snapshot')
    await saveSnapshot(filled('one'), path)
    const broken = {
      async *snapshot(): AsyncGenerator<Uint8Array> {
        yield new Uint8Array(1_000)
        throw new Error('no more')
      },
    }
    await expect(saveSnapshot(broken, path)).rejects.toThrow('no more')
    expect(await readdir(folder)).toEqual(['l1.snapshot'])
    expect((await restored(path)).l1.get('key:7')).toBe('one 7')
  })

  test('rejects with what the system says', async () => {
    const folder = freshFolder()
    await mkdir(join(folder, 'l1.snapshot'))
    await expect(saveSnapshot(filled('one'), join(folder, 'missing', 'l1.snapshot'))).rejects.toThrow(
      'ENOENT',
    )
    await expect(saveSnapshot(filled('one'), join(folder, 'l1.snapshot'))).rejects.toThrow()
    expect(await readdir(folder)).toEqual(['l1.snapshot'])
  })
})
