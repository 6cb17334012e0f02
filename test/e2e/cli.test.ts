// The program as it is published, in a process of its own, against a real server.

import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { hasPostgres, PostgresServer } from '../support/postgres-server.ts'

const root = join(import.meta.dirname, '../..')

function tierwheel(args: readonly string[], env: Record<string, string> = {}) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(root, 'dist/cli/bin.js'), ...args], {
    encoding: 'utf8',
    cwd: root,
    env: { ...process.env, ...env },
  })
  return { status, stdout, stderr }
}

test('the program runs by itself, and says what it is called for', { timeout: 120_000 }, () => {
  expect(tierwheel([])).toMatchObject({
    status: 2,
    stdout: '',
    stderr: expect.stringContaining('createcachetable'),
  })
  const { status, stdout } = tierwheel(['createcachetable', '--dry-run', 'sqlite'])
  expect([status, stdout.slice(0, 45)]).toEqual([0, 'CREATE TABLE IF NOT EXISTS "tierwheel_cache" '])
})

describe.skipIf(!hasPostgres())('with a server', () => {
  test('tables are made once, and a server that is gone is a failure', { timeout: 120_000 }, async () => {
    const server = await PostgresServer.start()
    try {
      const env = { DATABASE_URL: `postgres://test:hunter2@127.0.0.1:${server.port}/postgres` }
      const first = tierwheel(['createcachetable', '--table', 'shop'], env)
      expect(first).toMatchObject({ status: 0, stderr: '' })
      expect(first.stdout).toMatch(/^made shop\nmade shop_partitions\nmade shop_log\n(made shop_\w+\n)*$/)
      expect(tierwheel(['createcachetable', '--table', 'shop'], env).stdout).toBe('shop is there already\n')
      await server.kill()
      const { status, stdout, stderr } = tierwheel(['createcachetable'], env)
      expect([status, stdout]).toEqual([1, ''])
      expect(stderr).toContain('ECONNREFUSED')
      expect(stderr).not.toContain('hunter2')
    } finally {
      await server.kill()
    }
  })
})
