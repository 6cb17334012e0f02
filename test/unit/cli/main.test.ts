import { join } from 'node:path'
import * as sqlite from '@photostructure/sqlite'
import { describe, expect, test } from 'vitest'
import { main } from '../../../src/cli/main.ts'
import { cacheTableStatements } from '../../../src/tiers/sql.ts'
import { makeFolder, removeFolder } from '../../support/folder.ts'

interface Ran {
  readonly code: number
  readonly said: string
  readonly complained: string
}

/** Runs a command line in a world where the given modules are installed, and nothing else. */
async function run(
  args: readonly string[],
  { env = {}, modules = {} }: { env?: Record<string, string>; modules?: Record<string, object> } = {},
): Promise<Ran> {
  const said: string[] = []
  const complained: string[] = []
  const code = await main(args, {
    say: (line) => void said.push(line),
    complain: (line) => void complained.push(line),
    env,
    load: async (name) => {
      const module = modules[name]
      if (module === undefined) throw new Error(`Cannot find module '${name}'`)
      return module
    },
  })
  return { code, said: said.join('\n'), complained: complained.join('\n') }
}

/** What is said when all tables are made, in the order of the statements. */
function madeOf(table: string): string {
  const names = cacheTableStatements('sqlite', { table }).flatMap(
    (statement) => /^CREATE TABLE .*?"(\w+)"/.exec(statement)?.[1] ?? [],
  )
  expect(names[0]).toBe(table)
  return names.map((name) => `made ${name}`).join('\n')
}

describe('tierwheel', () => {
  test('without a command it says what there is, and that this was none', async () => {
    const { code, said, complained } = await run([])
    expect([code, said]).toEqual([2, ''])
    expect(complained).toContain('createcachetable')
  })

  test('help is an answer', async () => {
    for (const args of [
      ['--help'],
      ['-h'],
      ['help'],
      ['createcachetable', '--help'],
      ['createcachetable', '-h'],
    ]) {
      const { code, said, complained } = await run(args)
      expect([code, complained], args.join(' ')).toEqual([0, ''])
      expect(said).toContain('tierwheel')
    }
  })

  test('an unknown command is a wrong call', async () => {
    const { code, complained } = await run(['createcachtable'])
    expect(code).toBe(2)
    expect(complained).toContain('there is no command "createcachtable"')
  })
})

describe('createcachetable --dry-run', () => {
  test.each(['postgres', 'mysql', 'sqlite'] as const)(
    'prints the statements for %s and loads nothing',
    async (dialect) => {
      const { code, said } = await run(['createcachetable', '--dry-run', dialect])
      expect(code).toBe(0)
      expect(said).toBe(
        cacheTableStatements(dialect)
          .map((statement) => `${statement};`)
          .join('\n'),
      )
    },
  )

  test('options show in the statements', async () => {
    const args = [
      'createcachetable',
      '--dry-run',
      'postgres://app:hunter2@db/x',
      '--table',
      'a',
      '--table',
      's.b',
      '--logged',
    ]
    const { said } = await run(args)
    expect(said).toContain('CREATE TABLE IF NOT EXISTS "a"')
    expect(said).toContain('CREATE TABLE IF NOT EXISTS "s"."b_log"')
    expect(said).not.toMatch(/UNLOGGED|hunter2/)
    expect((await run(['createcachetable', '--dry-run', 'postgres'])).said).toContain('CREATE UNLOGGED TABLE')
  })
})

describe('createcachetable', () => {
  const modules = { 'node:sqlite': sqlite }

  test('makes what is missing, and says what is there', async () => {
    const folder = makeFolder()
    try {
      const address = `sqlite:${join(folder, 'cache.db')}`
      expect(await run(['createcachetable', address], { modules })).toEqual({
        code: 0,
        said: madeOf('tierwheel_cache'),
        complained: '',
      })
      const again = await run(['createcachetable', '--table', 'tierwheel_cache', '--table', 'other'], {
        modules,
        env: { DATABASE_URL: address },
      })
      expect(again.said).toBe(`tierwheel_cache is there already\n${madeOf('other')}`)
    } finally {
      removeFolder(folder)
    }
  })

  test('a client that is not installed is named, with what to do', async () => {
    for (const [address, name] of [
      ['postgres://db/x', 'pg'],
      ['mysql://db/x', 'mysql2'],
      ['mariadb://db/x', 'mysql2'],
      ['sqlite:cache.db', 'better-sqlite3'],
    ] as const) {
      const { code, complained } = await run(['createcachetable', address])
      expect(code).toBe(1)
      expect(complained).toContain(`${name} is not installed in this folder; run: npm install ${name}`)
    }
  })

  test('a database that refuses is a failure, and its password stays out of it', async () => {
    class Pool {
      readonly on = (): void => {}
      readonly end = async (): Promise<void> => {}
      connect = async (): Promise<never> => this.query()
      async query(): Promise<never> {
        throw new Error('no route to postgres://app:hunter2@db/x')
      }
    }
    const { code, complained } = await run(['createcachetable', 'postgres://app:hunter2@db/x'], {
      modules: { pg: { default: { Pool } } },
    })
    expect(code).toBe(1)
    expect(complained).toBe('tierwheel createcachetable: no route to postgres://db/x')
  })

  test.each<[string[], string]>([
    [[], 'name a database, or set DATABASE_URL'],
    [['redis://x'], 'must begin with postgres:, mysql: or sqlite:'],
    [['postgres'], 'postgres is no address'],
    [['sqlite:'], 'sqlite: needs the path of a file'],
    [['sqlite:a', 'sqlite:b'], 'more than one database'],
    [['--dryrun', 'postgres'], "Unknown option '--dryrun'"],
    [['sqlite:a', '--table', 'x"; DROP TABLE y'], 'table: "x'],
  ])('%j is a wrong call', async (args, message) => {
    const { code, said, complained } = await run(['createcachetable', ...args])
    expect([code, said]).toEqual([2, ''])
    expect(complained).toContain(message)
    expect(complained).toContain('--help says how it is called')
  })
})
