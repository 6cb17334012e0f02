// Django's behaviours, by their numbers in its design notes: those that one backend has by itself.

import { existsSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'vitest'
import { configureCaches, createCacheTable, InvalidCacheKey } from '../../src/django/index.ts'
import { type RedisClient, redisTier } from '../../src/tiers/redis.ts'
import type { SqlExecutor } from '../../src/tiers/sql.ts'
import { memoryDatabase } from '../support/sqlite.ts'
import { type Aliases, bare, behaviour, callsWith, type DjangoCache, missing, only } from './behaviour.ts'

// Databases

const db = only('db')
const table = bare('db')
/** Many worlds share the machine. */
const tierTimeout = '15s'
/** What `call` asks the database. */
const asked = async (statements: string[], call: () => Promise<unknown>): Promise<string[]> => {
  statements.length = 0
  await call()
  return [...statements]
}
behaviour(77, 'getMany is one query, also where a row has expired', table, async (world, cache) => {
  await cache.setMany({ a: 1, b: 2, c: 3 })
  expect(await asked(world.statements, () => cache.getMany(['a', 'b', 'c']))).toHaveLength(1)
  await cache.set('d', 4, { timeout: 1 })
  await world.pass(1_100)
  expect(await asked(world.statements, () => cache.getMany(['a', 'd']))).toHaveLength(1)
  expect(await asked(world.statements, () => cache.getMany([]))).toHaveLength(0)
})
behaviour(78, 'deleteMany is a transaction for each key', table, async ({ statements }, cache) => {
  await cache.setMany({ a: 1, b: 2, c: 3 })
  const deletes = (await asked(statements, () => cache.deleteMany(['a', 'b', 'c']))).filter((sql) =>
    /^DELETE FROM "store_\d+" /.test(sql),
  )
  expect(deletes).toHaveLength(3)
  expect((await cache.getMany(['a', 'b', 'c'])).size).toBe(0)
})
behaviour(
  79,
  'a cull counts once, and names are quoted',
  table,
  async ({ location, statements }, cache) => {
    for (let key = 0; key < 9; key++) await cache.set(key, key)
    const all = await asked(statements, () => cache.set('one more', 1))
    expect(all.filter((sql) => sql.includes('COUNT('))).toHaveLength(1)
    for (const sql of all) expect(sql.replaceAll(`"${location}`, '')).not.toContain(location)
  },
  { default: { OPTIONS: { MAX_ENTRIES: 9 } } },
)
behaviour(80, 'how many rows went is known', db, async (_, cache) => {
  await cache.setMany({ a: 1, b: 2 })
  expect([await cache.delete('a'), await cache.delete('a')]).toEqual([true, false])
  expect(await cache.deleteMany(['a', 'b'])).toBe(1)
})
const saying = async (
  databases: Readonly<Record<string, SqlExecutor>>,
  LOCATION: string,
  options: Partial<Parameters<typeof createCacheTable>[1]> = {},
): Promise<string[]> => {
  const lines: string[] = []
  const settings = { default: { BACKEND: 'db', LOCATION }, other: { BACKEND: 'db', LOCATION, VERSION: 2 } }
  await createCacheTable(settings, { databases, say: (line) => lines.push(line), ...options })
  return lines
}
behaviour(81, 'a table with spaces in its name', table, async ({ databases, location }) => {
  const spaced = `${location} with spaces`
  await saying(databases, spaced)
  const caches = configureCaches({ default: { BACKEND: 'db', LOCATION: spaced } }, { databases, tierTimeout })
  await caches('default').set('key', 'value')
  expect(await caches('default').get('key')).toBe('value')
  await caches.closeAll()
})
behaviour(
  82,
  'tables that are there are told, once for each alias',
  table,
  async ({ databases, location }) => {
    const line = `Cache table '${location}' already exists.`
    expect(await saying(databases, location)).toEqual([line, line])
    expect(await saying(databases, location, { verbosity: 0 })).toEqual([])
  },
)
behaviour(83, 'a dry run prints and sends nothing', table, async ({ databases, location, statements }) => {
  statements.length = 0
  const lines = await saying(databases, `${location}_dry`, { dryRun: true })
  expect(lines[0]).toMatch(/^CREATE (UNLOGGED )?TABLE IF NOT EXISTS "store_\d+_dry" /)
  expect(statements).toEqual([])
  const caches = configureCaches(
    { default: { BACKEND: 'db', LOCATION: `${location}_dry` } },
    { databases, tierTimeout },
  )
  await expect(caches('default').set('key', 1)).rejects.toThrow('createcachetable')
  await caches.closeAll()
})
behaviour(84, 'a table that was made is told when asked', table, async ({ databases, location }) => {
  const name = `${location}_new`
  expect(await saying(databases, name, { verbosity: 2 })).toEqual([
    `Cache table '${name}' created.`,
    `Cache table '${name}' already exists.`,
  ])
})
behaviour(85, 'has is one query with quoted names', table, async ({ location, statements }, cache) => {
  await cache.set('key', 'value')
  const [sql = '', ...more] = await asked(statements, () => cache.has('key'))
  expect(more).toEqual([])
  expect(sql).toContain(`"${location}"`)
})
behaviour(86, 'the time zone of the database is no matter', db, async (world, cache) => {
  const [executor] = Object.values(world.databases)
  if (executor?.dialect === 'postgres') {
    const { rows } = await executor.query('SHOW TimeZone', [])
    expect(rows).toEqual([{ TimeZone: 'Pacific/Chatham' }])
  }
  await cache.set('key', 'value', { timeout: 60 })
  await world.pass(59_000)
  expect(await cache.get('key')).toBe('value')
  await world.pass(1_000)
  expect(await cache.get('key')).toBeUndefined()
})
behaviour(87, 'the settings say which database has the table', table, async () => {
  const [one, two] = [memoryDatabase(), memoryDatabase()]
  const sent: Record<string, string[]> = { default: [], other: [] }
  const noted = (name: string, { dialect, query, transaction }: SqlExecutor): SqlExecutor => ({
    dialect,
    transaction,
    query: (sql, values) => {
      sent[name]?.push(sql)
      return query(sql, values)
    },
  })
  const databases = { default: noted('default', one.executor), other: noted('other', two.executor) }
  const settings = { default: { BACKEND: 'db', LOCATION: 'cache', OPTIONS: { DATABASE: 'other' } } }
  expect(await createCacheTable(settings, { databases, database: 'default' })).toEqual([])
  expect(sent).toEqual({ default: [], other: [] })
  expect(await createCacheTable(settings, { databases, database: 'other' })).toEqual(['cache'])
  expect(sent.default).toEqual([])
  expect(sent.other?.filter((sql) => /^CREATE (TABLE|INDEX) .*"cache/.test(sql)).length).toBeGreaterThan(1)
  expect(() => configureCaches(settings, { databases: { default: databases.default } })).toThrow(
    'CACHES.default.OPTIONS.DATABASE: "other"',
  )
  one.close()
  two.close()
})
behaviour(88, 'touch of a row that has expired is false', table, async (world, cache) => {
  await cache.set('key', 'value', { timeout: 1 })
  await world.pass(1_100)
  const { rows } = await (world.databases.default as SqlExecutor).query(
    `SELECT COUNT(*) AS n FROM "${world.location}"`,
    [],
  )
  expect(Number(rows[0]?.n)).toBe(1)
  expect(await cache.touch('key')).toBe(false)
  expect(await cache.get('key')).toBeUndefined()
})

// Memory

const locmem = only('locmem')
behaviour(
  91,
  'another LOCATION is another store',
  bare('locmem'),
  async ({ caches }, cache) => {
    await cache.set('value', 42)
    expect(await caches('other').get('value')).toBeUndefined()
    expect(await caches('same').get('value')).toBe(42)
  },
  { other: { LOCATION: 'other' }, same: {} },
)
behaviour(92, 'while a value becomes bytes the store is free', locmem, async (_, cache) => {
  const inside: Promise<unknown>[] = []
  const meddling = {
    get a() {
      inside.push(cache.set('other', 1), cache.get('other'))
      return 1
    },
  }
  await cache.set('set', meddling)
  expect(await cache.add('add', meddling)).toBe(true)
  expect(inside.length).toBeGreaterThan(0)
  await Promise.all(inside)
  expect([...(await cache.getMany(['set', 'add', 'other'])).values()]).toEqual([{ a: 1 }, { a: 1 }, 1])
})
behaviour(93, 'incr and decr leave the expiry', locmem, async (world, cache) => {
  await cache.set('value', 1, { timeout: 2 })
  await world.pass(1_000)
  await cache.incr('value')
  await cache.decr('value')
  await world.pass(1_000)
  expect(await cache.get('value')).toBeUndefined()
})
const nine: Aliases = { default: { OPTIONS: { MAX_ENTRIES: 9 } } }
const evicts = async (cache: DjangoCache, use: (key: number) => Promise<unknown>): Promise<number[]> => {
  for (let key = 0; key < 9; key++) await cache.set(key, key, { timeout: null })
  for (let key = 0; key < 6; key++) await use(key)
  await cache.set(9, 9, { timeout: null })
  return [...(await cache.getMany([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])).keys()]
}
const used = [0, 1, 2, 3, 4, 5, 9]
behaviour(
  94,
  'get is a use',
  bare('locmem'),
  async (_, cache) => {
    expect(await evicts(cache, (key) => cache.get(key))).toEqual(used)
  },
  nine,
)
behaviour(
  95,
  'set is a use',
  bare('locmem'),
  async (_, cache) => {
    for (let key = 0; key < 9; key++) await cache.set(key, key, { timeout: null })
    // A full store culls before it stores, also what it has.
    await cache.set(0, 0, { timeout: null })
    expect([...(await cache.getMany([0, 1, 2, 3, 4])).keys()]).toEqual([0, 3, 4])
  },
  nine,
)
behaviour(
  96,
  'incr is a use',
  bare('locmem'),
  async (_, cache) => {
    expect(await evicts(cache, (key) => cache.incr(key, 1))).toEqual(used)
  },
  nine,
)
behaviour(
  97,
  'has and touch are uses too',
  bare('locmem'),
  async (_, cache) => {
    expect(await evicts(cache, (key) => cache.has(key))).toEqual(used)
    await cache.clear()
    expect(await evicts(cache, (key) => cache.touch(key, { timeout: null }))).toEqual(used)
  },
  nine,
)

// Memcached

const memcached = only('memcached')
behaviour(98, 'LOCATION as a list or as text', bare('memcached'), async ({ location }) => {
  const names = [location, location.replace('127.0.0.1', 'localhost')]
  const OPTIONS = { keyspace: `location.${process.pid}`, deadlineMs: 15_000 }
  const caches = configureCaches(
    {
      default: { BACKEND: 'memcached', LOCATION: names, OPTIONS },
      semicolons: { BACKEND: 'memcached', LOCATION: names.join(';'), OPTIONS },
      commas: { BACKEND: 'memcached', LOCATION: names.join(','), OPTIONS },
    },
    { tierTimeout },
  )
  const values = new Map(Array.from({ length: 20 }, (_, at) => [`key${at}`, at]))
  await caches('default').setMany(values)
  for (const alias of ['semicolons', 'commas'])
    expect(await caches(alias).getMany(values.keys())).toEqual(values)
  await caches.closeAll()
})
const refusedByAll = async (cache: DjangoCache, key: string, why: string): Promise<void> => {
  const more = [() => cache.has(key), () => cache.getOrSet(key, 1), () => cache.incrVersion(key)]
  for (const call of [...callsWith(cache, key), ...more]) {
    const error = await call().then(
      () => undefined,
      (refusal: unknown) => refusal,
    )
    expect(error).toBeInstanceOf(InvalidCacheKey)
    expect((error as Error).message).toContain(why)
  }
}
behaviour(
  99,
  'keys that memcached does not take are refused by each call',
  memcached,
  async (world, cache) => {
    await refusedByAll(cache, 'key with spaces and 清', "':1:key with spaces and 清'")
    await refusedByAll(cache, 'a\u0000b', "':1:a\\x00b'")
    expect(world.warnings).toEqual([])
    expect(await cache.get('b')).toBeUndefined()
  },
)
behaviour(100, 'the whole key counts, in bytes', memcached, async (_, cache) => {
  await cache.set('a'.repeat(247), 1)
  expect(await cache.get('a'.repeat(247))).toBe(1)
  await refusedByAll(cache, 'a'.repeat(248), '(longer than 250)')
  await refusedByAll(cache, '清'.repeat(83), '(longer than 250)')
})
behaviour(
  101,
  'default timeouts of for ever and of a year',
  memcached,
  async ({ caches }, cache) => {
    await cache.set('key', 'value')
    await caches('year').set('other', 'value')
    expect(await cache.cache.ttl('key')).toBeNull()
    expect(await caches('year').cache.ttl('other')).toBeGreaterThan(364 * 86_400_000)
    expect([await cache.get('key'), await caches('year').get('other')]).toEqual(['value', 'value'])
  },
  { default: { TIMEOUT: null }, year: { TIMEOUT: 31_536_000 } },
)
const tooLarge = 'x'.repeat(2 * 2 ** 20)
behaviour(102, 'a value that is too large takes the old one with it', memcached, async (_, cache) => {
  await cache.set('key', 'small')
  await expect(cache.set('key', tooLarge)).rejects.toThrow()
  expect(await cache.get('key')).toBeUndefined()
})
behaviour(103, 'close keeps connections, closeAll ends them', memcached, async ({ caches }, cache) => {
  await cache.set('key', 'value')
  await cache.close()
  expect(await cache.get('key')).toBe('value')
  await caches.closeAll()
  await expect(cache.set('key', 'value')).rejects.toMatchObject({ code: 'CACHE_CLOSED' })
  expect(await caches('default').get('key')).toBe('value')
})
behaviour(104, 'setMany says which keys failed, as they were given', memcached, async (_, cache) => {
  const values = new Map<string | number, unknown>([
    ['small', 1],
    [7, tooLarge],
  ])
  expect(await cache.setMany(values)).toEqual([7])
  expect([await cache.get('small'), await cache.get(7)]).toEqual([1, undefined])
})
behaviour(105, 'options, sockets and IPv6', bare('memcached'), async () => {
  const opened = (LOCATION: string, OPTIONS: Record<string, unknown> = {}) =>
    configureCaches({ default: { BACKEND: 'memcached', LOCATION, OPTIONS } }, { tierTimeout })
  expect(() => opened('host', { deadlineMs: 0 })).toThrow('CACHES.default.OPTIONS.deadlineMs: 0')
  expect(() => opened('host', { deadlineS: 1 })).toThrow('CACHES.default.OPTIONS: there is no option')
  expect(() => opened('no host')).toThrow('CACHES.default.LOCATION: "no host"')
  const failure = async (LOCATION: string): Promise<string> => {
    const caches = opened(LOCATION, { deadlineMs: 15_000 })
    const error: unknown = await caches('default')
      .set('key', 1)
      .catch((refusal: unknown) => refusal)
    await caches.closeAll()
    return String(error)
  }
  expect(await failure('unix:/nowhere/memcached.sock')).toContain('/nowhere/memcached.sock')
  expect(await failure('[::1]:1')).toContain('[::1]:1')
})

// Files

const filebased = bare('filebased')
behaviour(106, 'clear leaves foreign files', filebased, async ({ location }, cache) => {
  await cache.set('foo', 'bar')
  const foreign = join(location, 'not-a-cache-file')
  writeFileSync(foreign, 'foo')
  await cache.clear()
  expect(existsSync(foreign)).toBe(true)
})
behaviour(107, 'clear keeps the directory', filebased, async ({ location }, cache) => {
  await cache.set('foo', 'bar')
  await cache.clear()
  expect(existsSync(location)).toBe(true)
})
behaviour(108, 'set makes the directory anew', filebased, async ({ location }, cache) => {
  await cache.set('foo', 'bar')
  rmSync(location, { recursive: true })
  await cache.set('foo', 'again')
  expect(await cache.get('foo')).toBe('again')
})
behaviour(109, 'get of a vanished file is the default', filebased, async ({ location }, cache) => {
  await cache.set('foo', 'bar')
  for (const name of readdirSync(location, { recursive: true, withFileTypes: true })) {
    if (name.isFile() && name.name.length > 20) rmSync(join(name.parentPath, name.name))
  }
  expect(await cache.get('foo', 'baz')).toBe('baz')
})
behaviour(110, 'directories are for their owner alone', filebased, async ({ location }) => {
  const nested = join(location, 'a', 'b')
  const caches = configureCaches({ default: { BACKEND: 'filebased', LOCATION: nested } }, { tierTimeout })
  await caches('default').set('foo', 'bar')
  await caches.closeAll()
  for (const folder of [join(location, 'a'), nested]) expect(statSync(folder).mode & 0o777).toBe(0o700)
})
behaviour(111, 'what is no missing file fails the writes', filebased, async ({ location }) => {
  const file = join(location, 'no-directory')
  writeFileSync(file, '')
  const caches = configureCaches({ default: { BACKEND: 'filebased', LOCATION: file } }, { tierTimeout })
  await expect(caches('default').set('foo', 'bar')).rejects.toMatchObject({ code: 'CACHE_TIER_FAILED' })
  expect(await caches('default').get('foo', 'default')).toBe('default')
  await caches.closeAll()
})
/** The files of entries. */
const entryFiles = (location: string): string[] =>
  readdirSync(location, { recursive: true, withFileTypes: true })
    .filter((each) => each.isFile() && /^[0-9a-f]{32}$/.test(each.name))
    .map(({ parentPath, name }) => join(parentPath, name))
behaviour(112, 'an empty file has expired', filebased, async ({ location }, cache) => {
  await cache.set('foo', 'bar')
  const files = entryFiles(location)
  expect(files).toHaveLength(1)
  for (const file of files) writeFileSync(file, '')
  expect([await cache.has('foo'), await cache.get('foo', 'gone'), await cache.touch('foo')]).toEqual([
    false,
    'gone',
    false,
  ])
})
behaviour(113, 'has stands a file that vanishes', filebased, async ({ location }, cache) => {
  for (let round = 0; round < 20; round++) {
    await cache.set('foo', 'bar')
    const looks = [cache.has('foo'), cache.has('foo')]
    for (const file of entryFiles(location)) rmSync(file)
    looks.push(cache.has('foo'))
    for (const look of looks) expect(typeof (await look)).toBe('boolean')
    expect(await cache.has('foo')).toBe(false)
  }
})
behaviour(114, 'touch by a clock that is moved', filebased, async (world, cache) => {
  await cache.set('foo', 'bar', { timeout: 1 })
  expect(await cache.touch('foo', { timeout: 3 })).toBe(true)
  await world.pass(2_999)
  expect(await cache.get('foo')).toBe('bar')
  await world.pass(1)
  expect(await cache.get('foo')).toBeUndefined()
})
behaviour(115, 'LOCATION is text', filebased, async ({ location }) => {
  const LOCATION = new URL(`file://${location}`) as unknown as string
  expect(() => configureCaches({ default: { BACKEND: 'filebased', LOCATION } })).toThrow(
    /^CACHES\.default\.LOCATION: /,
  )
})
behaviour(
  116,
  'garbage in a file is a miss, for get, has and touch',
  filebased,
  async ({ location }, cache) => {
    const spoil = (): void => {
      for (const name of readdirSync(location, { recursive: true, withFileTypes: true })) {
        if (name.isFile() && name.name.length > 20) writeFileSync(join(name.parentPath, name.name), 'garbage')
      }
    }
    for (const look of [() => cache.get('foo'), () => cache.has('foo'), () => cache.touch('foo')]) {
      await cache.set('foo', 'bar')
      spoil()
      expect([undefined, false]).toContain(await look())
    }
    await cache.set('foo', 'again')
    expect(await cache.get('foo')).toBe('again')
  },
)
behaviour(117, 'touch of an expired file is false', filebased, async (world, cache) => {
  await cache.set('foo', 'bar', { timeout: 1 })
  await world.pass(1_100)
  expect(await cache.touch('foo')).toBe(false)
})
behaviour(118, 'of two who add over one directory one is first', filebased, async ({ location }) => {
  const settings = { default: { BACKEND: 'filebased', LOCATION: location } }
  const both = [configureCaches(settings, { tierTimeout }), configureCaches(settings, { tierTimeout })]
  for (let round = 0; round < 30; round++) {
    const added = await Promise.all(both.map((caches, at) => caches('default').add(`race${round}`, at)))
    expect(added.filter(Boolean)).toHaveLength(1)
    expect(await both[0]?.('default').get(`race${round}`)).toBe(added.indexOf(true))
  }
  for (const caches of both) await caches.closeAll()
})
behaviour(119, 'a file is whole, and what a crash left is swept', filebased, async ({ location }, cache) => {
  await cache.set('foo', 'bar')
  const [file = ''] = entryFiles(location)
  writeFileSync(`${file}.tmp`, 'half of an ent')
  expect(await cache.get('foo')).toBe('bar')
  await cache.cache.prune()
  expect(existsSync(`${file}.tmp`)).toBe(false)
  expect(await cache.get('foo')).toBe('bar')
})

// Redis

const redis = only('redis')
/** What BACKEND redis is opened with, and how often its client is called. */
const openedRedis = async (
  client: RedisClient,
  settings: { LOCATION: string | string[]; OPTIONS?: Record<string, unknown> },
  run: (cache: DjangoCache, calls: string[]) => Promise<void>,
): Promise<unknown> => {
  const calls: string[] = []
  const { callBuffer } = client as { callBuffer: (...words: unknown[]) => Promise<unknown> }
  const told: unknown[] = []
  const caches = configureCaches(
    { default: { BACKEND: 'redis', ...settings } },
    {
      tierTimeout,
      backends: {
        redis: ({ locations, options }) => {
          told.push({ locations, options })
          const noting = {
            callBuffer: (...words: unknown[]) => {
              calls.push(locations[0] ?? '')
              return callBuffer.call(client, ...words)
            },
          }
          return { tiers: [redisTier({ client: noting, keyspace: `opened.${process.pid}` })] }
        },
      },
    },
  )
  await run(caches('default'), calls)
  await caches.closeAll()
  return told
}
const leader = ['redis://leader', 'redis://replica']
behaviour(120, 'incr goes where writes go', bare('redis'), async (_, __, { servers }) => {
  await openedRedis(servers.redis?.client as RedisClient, { LOCATION: leader }, async (cache, calls) => {
    await cache.set('n', 41)
    calls.length = 0
    expect(await cache.incr('n')).toBe(42)
    expect(new Set(calls)).toEqual(new Set(['redis://leader']))
  })
})
behaviour(121, 'timeouts', redis, async (_, cache) => {
  await cache.set('a', 1, { timeout: 10 })
  await cache.set('b', 1, { timeout: -5 })
  await cache.set('c', 1, { timeout: null })
  expect([...(await cache.getMany(['a', 'b', 'c'])).keys()]).toEqual(['a', 'c'])
})
behaviour(122, 'reads go where writes go', bare('redis'), async (_, __, { servers }) => {
  await openedRedis(servers.redis?.client as RedisClient, { LOCATION: leader }, async (cache, calls) => {
    for (let round = 0; round < 10; round++) {
      await cache.set('key', round)
      expect(await cache.get('key')).toBe(round)
    }
    expect(new Set(calls)).toEqual(new Set(['redis://leader']))
  })
})
behaviour(123, 'integers can be added to, booleans and text cannot', redis, async (_, cache) => {
  await cache.setMany({ int: 1, bool: true, text: '1' })
  expect(await cache.incr('int')).toBe(2)
  await expect(cache.incr('bool')).rejects.toBeInstanceOf(TypeError)
  await expect(cache.incr('text')).rejects.toBeInstanceOf(TypeError)
})
behaviour(124, 'the options reach who makes the client', bare('redis'), async (_, __, { servers }) => {
  const OPTIONS = { db: 5, socket_timeout: 2.5, retry_on_timeout: true }
  const LOCATION = 'redis://one;redis://two'
  const told = await openedRedis(servers.redis?.client as RedisClient, { LOCATION, OPTIONS }, async () => {})
  expect(told).toEqual([{ locations: ['redis://one', 'redis://two'], options: OPTIONS }])
})
behaviour(125, 'the client says what it was told to say', bare('redis'), async (_, cache, { servers }) => {
  await servers.redis?.send('CLIENT', 'SETNAME', 'my-program')
  await cache.set('key', 'value')
  const info = await servers.redis?.send('CLIENT', 'INFO')
  const text = info instanceof Uint8Array ? new TextDecoder().decode(info) : String(info)
  expect(text).toContain(' name=my-program ')
  expect(text).not.toContain('tierwheel')
})
behaviour(126, 'less than a second is not zero', redis, async (_, cache) => {
  await cache.set('a', 1, { timeout: 0.5 })
  expect(await cache.get('a')).toBe(1)
})
behaviour(127, 'incr creates nothing', redis, async (_, cache) => {
  await missing(cache.incr('nothing'))
  expect(await cache.has('nothing')).toBe(false)
})
