// Scripts of calls, replayed on every backend. One of 810 calls comes with Django's own answers: those of its memory
// backend, since where its other backends differ, an accident of theirs shows. Others are made at random, and answered
// everywhere as our memory backend answers them.

import { readFileSync } from 'node:fs'
import { expect, test, vi } from 'vitest'
import { KeyNotFoundError } from '../../src/django/index.ts'
import { type DjangoBackend, memory, onEveryBackend, type World } from '../support/django-worlds.ts'
import { seed } from '../support/seed.ts'
import type { DjangoCache } from './behaviour.ts'
import { type Call, makeScript } from './make-script.ts'

type Answer = { ok: unknown } | { err: string }

const read = (name: string): unknown =>
  JSON.parse(readFileSync(new URL(name, import.meta.url), 'utf8')) as unknown
const calls = read('ops.json') as Call[]
const answers = read('answers.json') as (Answer | null)[]

/** How many random scripts there are, and of how many calls; `npm run test:django -- --scripts=100` makes more. */
const scripts = Number(process.env.DJANGO_SCRIPTS ?? 2)
const CALLS = 150
vi.setConfig({ maxConcurrency: 12, testTimeout: 120_000 + scripts * 20_000 })

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
    case 'decr_version':
      return cache.decrVersion(first, second, options)
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

/** What a call gives, the errors that Django's callers know included. */
async function answerOf(cache: DjangoCache, each: Call): Promise<Answer> {
  try {
    return { ok: (await call(cache, each)) ?? null }
  } catch (error) {
    if (error instanceof KeyNotFoundError) return { err: 'ValueError' }
    if (error instanceof TypeError || error instanceof RangeError) return { err: error.name }
    throw error
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

/** Makes every call in a fresh store; `judge` hears of each answer. */
async function replay(
  backend: DjangoBackend,
  script: readonly Call[],
  judge: (at: number, each: Call, answer: Answer, isGone: boolean) => void,
): Promise<void> {
  const world: World = await backend.open({ default: { OPTIONS: { MAX_ENTRIES: 10_000 } } })
  const cache = world.caches('default')
  for (const [at, [method, args, options]] of script.entries()) {
    // Memory alone never waits, and servers that others wait for could not be heard.
    if (at % 25 === 0) await new Promise((resolve) => setImmediate(resolve))
    if (method === 'sleep') {
      await world.pass(Number(args[0]) * 1_000 * world.pace)
      continue
    }
    const { timeout } = options
    const each: Call = [method, args, timeout === 1 ? { ...options, timeout: world.pace } : options]
    const isGone = method === 'delete' && !(await cache.has(args[0] as never, options))
    judge(at, each, await answerOf(cache, each), isGone)
  }
  await world.close()
}

const expected = Array.from({ length: scripts }, async (_, number) => {
  const script = makeScript(seed + number, CALLS)
  const given: string[] = []
  await replay(memory, script, (at, __, answer) => {
    given[at] = shown(answer)
  })
  return { script, given }
})

onEveryBackend((backend) => {
  if (backend.backend === 'dummy') return
  test.concurrent(`${backend.name} answers 810 calls as Django does`, async () => {
    const wrong: string[] = []
    await replay(backend, calls, (at, each, answer, isGone) => {
      const given = answers[at] as Answer
      if (saysMore.has(each[0]) && 'ok' in given && 'ok' in answer) return
      // Django's memory still deletes what has expired; to us that is gone.
      if (isGone && shown(answer) === '{"ok":false}') return
      if (shown(answer) !== shown(given)) {
        wrong.push(`${at} ${JSON.stringify(each)}: ${shown(answer)}, Django ${shown(given)}`)
      }
    })
    expect(wrong).toEqual([])
  })
  test.concurrent(`${backend.name} answers ${scripts} scripts of ${CALLS} calls as memory does`, async () => {
    for (const [number, made] of expected.entries()) {
      const { script, given } = await made
      const wrong: string[] = []
      await replay(backend, script, (at, each, answer) => {
        if (shown(answer) !== given[at]) {
          wrong.push(`${at} ${JSON.stringify(each)}: ${shown(answer)}, in memory ${given[at]}`)
        }
      })
      expect(wrong, `SEED=${seed} script ${number}`).toEqual([])
    }
  })
})
