// A real disk that hangs: a file system that is frozen lets no write return.

import { fork, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, expect, test } from 'vitest'
import { makeFolder, removeFolder } from '../support/folder.ts'
import { writeSource } from '../support/source.ts'

const folder = makeFolder()
const image = join(folder, 'image')
const mountPoint = join(folder, 'mounted')
mkdirSync(mountPoint, { mode: 0o700 })
writeFileSync(image, '')
truncateSync(image, 16 * 2 ** 20)
const run = (program: string, ...args: string[]): boolean => spawnSync(program, args).status === 0
const isMounted =
  run('fsfreeze', '--version') &&
  run('mkfs.ext4', '-q', '-F', image) &&
  run('mount', '-o', 'loop', image, mountPoint)
if (!isMounted) console.log('SKIPPED: no file system can be mounted and frozen here, so none hung')

afterAll(() => {
  if (isMounted) {
    run('fsfreeze', '--unfreeze', mountPoint)
    run('umount', mountPoint)
  }
  removeFolder(folder)
})

test.runIf(isMounted)(
  'while a file system is frozen, writes are refused, the pool is free, and all goes on after the thaw',
  { timeout: 60_000 },
  async () => {
    const source = join(folder, 'source')
    writeSource(source, ['tiers/file.ts'])
    const script = fileURLToPath(new URL('file-tier-frozen.js', import.meta.url))
    const child = fork(script, [source, join(mountPoint, 'cache')], { execArgv: [] })
    const told = async (): Promise<unknown> => (await once(child, 'message'))[0]
    expect(await told()).toBe('freeze')
    // Should the process be held up, this ends it, and what it says comes too late.
    const thaw = setTimeout(() => run('fsfreeze', '--unfreeze', mountPoint), 20_000)
    expect(run('fsfreeze', '--freeze', mountPoint)).toBe(true)
    child.send('frozen')
    const { outcomes, pool } = (await told()) as { outcomes: string[]; pool: string }
    clearTimeout(thaw)
    expect(run('fsfreeze', '--unfreeze', mountPoint), 'it was frozen all the time').toBe(true)
    expect(outcomes.length).toBeGreaterThan(0)
    for (const outcome of outcomes) expect(outcome).toContain('the disk has not answered for 500 ms')
    expect(pool).toBe('free')
    const after = told()
    const ended = once(child, 'exit')
    child.send('thawed')
    expect(await after).toBe('after')
    expect((await ended)[0]).toBe(0)
  },
)
