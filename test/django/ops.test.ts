// A script of 810 calls with Django's own answers, replayed. The answers are those of its memory backend: where its
// other backends differ, an accident of theirs shows.

import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type DjangoCache, KeyNotFoundError } from '../../src/django/index.ts'
import { bothWays, type DjangoBackend } from '../support/django-worlds.ts'
import { type Connections, libraries } from '../support/redis-clients.ts'
import { hasRedis, RedisServer } from '../support/redis-server.ts'

type Call = [method: string, args: unknown[], options: { timeout?: number | null; version?: number }]
type Answer = { ok: unknown } | { err: string } | null

const read = (name: string): unknown =>
  JSON.parse(readFileSync(new URL(name, import.meta.url), 'utf8')) as unknown
const calls = read('ops.json') as Call[]
const answers = read('answers.json') as Answer[]

/** Django answers `None` where we say more: whether it was stored, which keys, how many. */
const saysMore = new Set(['set', 'clear', 'delete_many'])

async function call(cache: DjangoCache, [method, args, options]: Call): Promise<unknown> {
  const [first, second] = args as [never, never]
  switch (method) {
    case 'get':
      return (await cache.get(first, second, options)) ?? null
    case 'set':
      return cache.set(first, second, options)
    case 'add':
      return cache.add(first, second, options)
    case 'touch':
      return cache.touch(first, options)
    case 'delete':
      return cache.delete(first, options)
    case 'has_key':
      return cache.hasKey(first, options)
    case 'incr':
      return cache.incr(first, second, options)
    case 'decr':
      return cache.decr(first, second, options)
    case 'incr_version':
      return cache.incrVersion(first, second, options)
    case 'get_or_set':
      return cache.getOrSet(first, second, options)
    case 'get_many':
      return Object.fromEntries(await cache.getMany(first, options))
    case 'set_many':
      return cache.setMany(first, options)
    case 'delete_many':
      return cache.deleteMany(first, options)
    case 'clear':
      return cache.clear()
    default:
      throw new Error(`the script calls ${method}, which is not known here`)
  }
}

/** As text, whatever the order of keys. */
function shown(value: unknown): string {
  return JSON.stringify(value, (_, part: unknown) =>
    typeof part === 'object' && part !== null && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([left], [right]) => (left < right ? -1 : 1)))
      : part,
  )
}

async function replay(backend: DjangoBackend): Promise<void> {
  const world = await backend.open({ default: { OPTIONS: { MAX_ENTRIES: 10_000 } } })
  const cache = world.caches('default')
  const wrong: string[] = []
  for (const [at, each] of calls.entries()) {
    if (each[0] === 'sleep') {
      await world.pass(Number(each[1][0]) * 1_000)
      continue
    }
    const expected = answers[at] as { ok: unknown } | { err: string }
    // Django's memory still deletes what has expired; to us that is gone.
    const isGone = each[0] === 'delete' && !(await cache.has(each[1][0] as never, each[2]))
    let answer: { ok: unknown } | { err: string }
    try {
      answer = { ok: await call(cache, each) }
    } catch (error) {
      if (!(error instanceof KeyNotFoundError || error instanceof TypeError)) throw error
      answer = { err: error instanceof KeyNotFoundError ? 'ValueError' : error.name }
    }
    if (saysMore.has(each[0]) && 'ok' in expected && 'ok' in answer) continue
    if (isGone && JSON.stringify(answer) === '{"ok":false}') continue
    if (shown(answer) !== shown(expected)) {
      wrong.push(
        `${at} ${JSON.stringify(each)}: ${JSON.stringify(answer)}, Django ${JSON.stringify(expected)}`,
      )
    }
  }
  await world.close()
  expect(wrong).toEqual([])
}

describe('810 calls, answered as Django answers', () => {
  for (const each of [...bothWays('locmem'), ...bothWays('filebased')]) {
    test(each.name, () => replay(each), 60_000)
  }

  describe.skipIf(!hasRedis())('with a server', () => {
    let server: RedisServer | undefined
    let connections: Connections | undefined
    beforeAll(async () => {
      server = await RedisServer.start()
      connections = await libraries[0]?.connect(server.port)
    })
    afterAll(async () => {
      connections?.close()
      await server?.kill()
    })
    for (const each of bothWays('redis', () => connections as Connections)) {
      test.concurrent(each.name, () => replay(each), 60_000)
    }
  })
})
