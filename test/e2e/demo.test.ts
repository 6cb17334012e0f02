import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Result } from '../../examples/demo/report.js'
import { root } from '../../scripts/root.js'
import { run } from '../../scripts/run-command.js'
import { hasRedis, RedisServer } from '../support/redis-server.ts'

// The demo makes its folder in here, so that what it leaves behind is seen.
const folder = mkdtempSync(join(tmpdir(), 'tierwheel-demo-test-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const env = { TMPDIR: folder, TEMP: folder, TMP: folder, REDIS_URL: '' }

/** A few seconds suffice on a machine that has nothing else to do. */
const LIMIT_MS = 120_000

/** Runs the demo as `npm run demo` does, where there is no terminal. */
function demo(...args: string[]): ReturnType<typeof run> {
  return run(process.execPath, ['scripts/demo.js', ...args], { env, timeoutMs: LIMIT_MS })
}

function resultIn(file: string): Result {
  return JSON.parse(readFileSync(join(folder, file), 'utf8'))
}

describe('the demo', () => {
  let outcome: Awaited<ReturnType<typeof run>>
  let result: Result

  beforeAll(async () => {
    outcome = await demo('--requests', '3000', '--json', join(folder, 'result.json'))
    expect(outcome.ok, outcome.output).toBe(true)
    result = resultIn('result.json')
  }, LIMIT_MS)

  test('ends well, with every request answered', () => {
    expect(result).toMatchObject({
      isPassed: true,
      asked: 3_000,
      requests: 3_000,
      errors: [],
      tierFailures: 0,
    })
    expect(result.checks).toHaveLength(3)
  })

  test('answers nothing stale, and has written enough to know', () => {
    expect(result.stale).toMatchObject({ atAcknowledging: 0, atOther: 0 })
    expect(result.writes).toBeGreaterThanOrEqual(15)
    expect(result.checkReads).toBeGreaterThanOrEqual(2 * result.writes)
  })

  test('sees each write in the other process', () => {
    expect(result.heard).toMatchObject({ writes: result.writes, unheard: 0 })
    expect(result.heard.afterMs.p50).toBeLessThanOrEqual(result.heard.afterMs.longest)
  })

  test('counts the same in every place', () => {
    const reads = result.requests + result.checkReads
    const [a, b, file] = result.levels
    // Each read looks into one L1; those who wait for a load of another, or for a write, ask no tier themselves.
    expect(a && b && a.asked + b.asked).toBe(reads)
    expect(file?.asked).toBeGreaterThan(0)
    expect(file?.asked).toBeLessThanOrEqual(reads - (a?.hits ?? 0) - (b?.hits ?? 0))
    expect(file && file.asked - file.hits).toBe(result.source.loads)
    expect(result.source.spared).toBe(reads - result.source.loads)
    // The first 3,000 requests name 1,308 products.
    expect(result.source.loads).toBeGreaterThanOrEqual(1_308)
    expect(result.source.sparedRatio).toBeGreaterThan(0.4)
  })

  test('takes as long as the source only without the cache', () => {
    expect(result.latencyMs.uncached.requests).toBe(1_000)
    expect(result.latencyMs.uncached.p50).toBeGreaterThanOrEqual(15)
    expect(result.latencyMs.cached.requests).toBe(3_000)
  })

  test('prints a table of the numbers, the progress before it, and what to try next', () => {
    const { output } = outcome
    expect(output).toContain('100 %   3,000 requests')
    expect(output).toMatch(/requests of the trace +3,000\n/)
    expect(output).toMatch(/stale where acknowledged +0 /)
    expect(output).toContain('ok      no stale answer at the other server')
    expect(output).toContain('npm run demo -- --serve')
  })

  test('leaves nothing behind', () => {
    expect(readdirSync(folder)).toEqual(['result.json'])
  })
})

test(
  'without the bus the demo finds stale answers at the other server, and fails',
  async () => {
    const outcome = await demo('--requests', '2000', '--no-bus', '--json', join(folder, 'no-bus.json'))
    const result = resultIn('no-bus.json')
    expect(outcome.ok, outcome.output).toBe(false)
    expect(result.isPassed).toBe(false)
    expect(result.stale.atAcknowledging).toBe(0)
    expect(result.stale.atOther).toBeGreaterThan(0)
    expect(result.errors).toEqual([])
  },
  LIMIT_MS,
)

test.each([
  [['--request', '5'], "'--request'"],
  [['--requests', '0'], '--requests 0: must be a whole number from 1 to 95,607'],
  [['--requests', '1e3'], '--requests 1e3: must be'],
  [['--concurrency', '5000'], '--concurrency 5000: must be'],
  [['--json'], "'--json"],
  [['more'], "'more'"],
])(
  '%s is refused with the reason and the list of options',
  async (args, reason) => {
    const outcome = await demo(...args)
    expect(outcome.ok).toBe(false)
    expect(outcome.output).toContain(reason)
    expect(outcome.output).toContain('--concurrency N')
  },
  LIMIT_MS,
)

test(
  '--help lists the options and starts nothing',
  async () => {
    const outcome = await demo('--help')
    expect(outcome).toMatchObject({ ok: true })
    expect(outcome.output).toContain('--serve')
    expect(outcome.output).not.toContain('tierwheel demo:')
  },
  LIMIT_MS,
)

describe.skipIf(!hasRedis())('with REDIS_URL', () => {
  let server: RedisServer
  beforeAll(async () => {
    server = await RedisServer.start()
  })
  afterAll(() => server.kill())
  const over = (url: string, ...args: string[]) =>
    run(process.execPath, ['scripts/demo.js', ...args], {
      env: { ...env, REDIS_URL: url },
      timeoutMs: LIMIT_MS,
    })

  test(
    'the demo runs over that server, answers nothing stale, and leaves nothing there',
    async () => {
      const url = `redis://127.0.0.1:${server.port}/3`
      const outcome = await over(url, '--requests', '2000', '--json', join(folder, 'redis.json'))
      expect(outcome.ok, outcome.output).toBe(true)
      expect(outcome.output).toContain(`Redis at 127.0.0.1:${server.port} and its bus`)
      const result = resultIn('redis.json')
      expect(result).toMatchObject({ isPassed: true, errors: [], tierFailures: 0 })
      expect(result.levels.at(-1)).toMatchObject({ name: 'Redis tier, shared' })
      expect(result.levels.at(-1)?.asked).toBeGreaterThan(0)
      const client = new Redis(url)
      expect(await client.dbsize()).toBe(0)
      client.disconnect()
    },
    LIMIT_MS,
  )

  test(
    'nobody at the address, or none, is told without the password',
    async () => {
      const dead = await over('redis://user:s3cret@127.0.0.1:1', '--requests', '10')
      expect(dead.ok).toBe(false)
      expect(dead.output).toContain('REDIS_URL: nobody to work with at 127.0.0.1:1')
      const wrong = await over('http://user:s3cret@example.com')
      expect(wrong.ok).toBe(false)
      expect(wrong.output).toContain('REDIS_URL is not of the form')
      expect(dead.output + wrong.output).not.toContain('s3cret')
    },
    LIMIT_MS,
  )
})

describe('with --serve', () => {
  const start = (stdout: 'pipe' | 'ignore'): ChildProcess =>
    spawn(process.execPath, ['scripts/demo.js', '--serve', '--requests', '200'], {
      cwd: root,
      env: { ...process.env, ...env },
      stdio: ['ignore', stdout, 'inherit'],
    })

  /** Starts the demo, and resolves when both servers can be tried, to where they are. */
  async function serve(): Promise<{ demo: ChildProcess; a: string; b: string; product: string }> {
    const demo = start('pipe')
    let text = ''
    for await (const chunk of demo.stdout?.setEncoding('utf8') ?? []) {
      text += chunk
      if (text.includes('Ctrl-C ends everything.')) break
    }
    const [first, second] = [...text.matchAll(/curl -i (http:\/\/127\.0\.0\.1:\d+)(\/product\/\d+)/g)]
    if (!first || !second) throw new Error(`no addresses in ${text}`)
    return { demo, a: first[1] ?? '', b: second[1] ?? '', product: first[2] ?? '' }
  }

  async function versionAt(url: string): Promise<number> {
    const response = await fetch(url)
    expect(response.status).toBe(200)
    return (await response.json()).version
  }

  /** Those of demos; one of a test before may be on its way out. */
  const folders = (): string[] => readdirSync(folder).filter((name) => !name.endsWith('.json'))

  test(
    'a write at one server shows at both, and SIGINT ends everything well',
    async () => {
      const were = folders()
      const { demo, a, b, product } = await serve()
      const before = await versionAt(b + product)
      const written = await fetch(a + product, { method: 'PUT', body: '{"price": 1}' })
      expect(await written.json()).toMatchObject({ version: before + 1 })
      expect(await versionAt(a + product)).toBe(before + 1)
      await expect.poll(() => versionAt(b + product), { timeout: LIMIT_MS }).toBe(before + 1)

      const stats = await (await fetch(`${b}/stats`)).json()
      expect(stats).toMatchObject({ server: 'B', health: { copiesTrusted: true, bus: { connected: true } } })
      expect((await fetch(`${a}/product/seven`)).status).toBe(404)
      expect((await fetch(a + product, { method: 'DELETE' })).status).toBe(405)
      expect((await fetch(a + product, { method: 'PUT', body: '{' })).status).toBe(400)

      demo.kill('SIGINT')
      expect(await once(demo, 'exit')).toEqual([0, null])
      await expect(fetch(a + product)).rejects.toThrow()
      expect(folders().filter((name) => !were.includes(name))).toEqual([])
    },
    LIMIT_MS,
  )

  test(
    'a signal that comes twice, as npm hands it on, and one that is meant twice leave nothing behind',
    async () => {
      const were = folders()
      const left = () => folders().filter((name) => !were.includes(name))
      const twice = await serve()
      await versionAt(twice.a + twice.product)
      twice.demo.kill('SIGINT')
      await sleep(30)
      twice.demo.kill('SIGINT')
      // It may come when the process has done everything and lets go of its signals, which Node does before the end.
      expect([
        [0, null],
        [null, 'SIGINT'],
      ]).toContainEqual(await once(twice.demo, 'exit'))
      expect(left()).toEqual([])

      const stuck = await serve()
      await versionAt(stuck.a + stuck.product)
      // A server that stands still holds the end up, so that the second one comes in the midst of it.
      const { pid } = await (await fetch(`${stuck.b}/stats`)).json()
      process.kill(pid, 'SIGSTOP')
      stuck.demo.kill('SIGTERM')
      await sleep(700)
      stuck.demo.kill('SIGTERM')
      expect(await once(stuck.demo, 'exit')).toEqual([143, null])
      process.kill(pid, 'SIGCONT')
      await expect.poll(left, { timeout: LIMIT_MS }).toEqual([])
    },
    LIMIT_MS,
  )

  test(
    'a demo that is killed as soon as its folder is there leaves nothing behind',
    async () => {
      const were = folders()
      const left = () => folders().filter((name) => !were.includes(name))
      for (let times = 0; times < 2; times++) {
        const demo = start('ignore')
        await expect.poll(left, { timeout: LIMIT_MS / 4, interval: 2 }).toHaveLength(1)
        demo.kill('SIGKILL')
        await once(demo, 'exit')
        await expect.poll(left, { timeout: LIMIT_MS / 4 }).toEqual([])
      }
    },
    LIMIT_MS,
  )

  test(
    'a demo that is killed takes its processes and its folder along',
    async () => {
      const were = folders()
      const { demo, a, b, product } = await serve()
      await versionAt(a + product)
      demo.kill('SIGKILL')
      const isUp = (url: string) =>
        fetch(url + product).then(
          () => true,
          () => false,
        )
      const left = async () => [
        await isUp(a),
        await isUp(b),
        folders().filter((name) => !were.includes(name)).length,
      ]
      await expect.poll(left, { timeout: LIMIT_MS }).toEqual([false, false, 0])
    },
    LIMIT_MS,
  )
})
