// Two processes, each with its own L1, over one directory: what one changes, the other serves anew. The package
// as it is built, since a process of Node 20 runs no TypeScript.

import { type ChildProcess, fork } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'

const directory = mkdtempSync(join(tmpdir(), 'tierwheel-two-'))

class Peer {
  readonly #child: ChildProcess = fork(join(import.meta.dirname, 'peer.js'), [directory])
  readonly #waiting = new Map<number, (answer: unknown) => void>()
  #asked = 0

  constructor() {
    this.#child.on('message', (message) => {
      const { id, answer } = message as { id: number; answer: unknown }
      this.#waiting.get(id)?.(answer)
      this.#waiting.delete(id)
    })
  }

  ask(call: string, key = '', value: unknown = undefined): Promise<unknown> {
    const id = ++this.#asked
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, resolve)
      this.#child.once('exit', () => reject(new Error('the other process ended')))
      this.#child.send({ id, call, key, value })
    })
  }

  /** Asks again until the answer is `expected`: how often is the test's business, how long is nobody's. */
  async until(call: string, key: string, expected: unknown): Promise<void> {
    for (let turn = 0; turn < 20_000; turn++) {
      if ((await this.ask(call, key)) === expected) return
    }
    expect.fail(`${call} of ${key} never became ${String(expected)}`)
  }

  end(): void {
    this.#child.kill()
  }
}

let one: Peer
let two: Peer

beforeAll(async () => {
  one = new Peer()
  two = new Peer()
  await one.until('connected', '', true)
  await two.until('connected', '', true)
})

afterAll(() => {
  one?.end()
  two?.end()
  rmSync(directory, { recursive: true, force: true })
})

test('what one process loads, the other finds in the tier', async () => {
  expect(await one.ask('load', 'shared', 'by one')).toBe('by one')
  expect(await two.ask('load', 'shared', 'by two')).toBe('by one')
  expect(await two.ask('inL1', 'shared')).toBe('by one')
})

test.each(['delete', 'set', 'clear'])(
  'after a %s in one process resolves, the other serves the new value',
  async (call) => {
    const key = `changed by ${call}`
    await one.ask('load', key, 'old')
    expect(await two.ask('load', key, 'unused')).toBe('old')
    expect(await two.ask('inL1', key)).toBe('old')
    await one.ask(call, key, 'new')
    await two.until('inL1', key, undefined)
    expect(await two.ask('load', key, 'new')).toBe('new')
    expect(await two.ask('inL1', key)).toBe('new')
    expect(await one.ask('load', key, 'unused')).toBe('new')
  },
)

test('many changes by both: at the end both agree', async () => {
  const keys = Array.from({ length: 20 }, (_, at) => `key ${at}`)
  for (let round = 0; round < 5; round++) {
    await Promise.all(
      keys.map((key, at) => ((at + round) % 2 === 0 ? one : two).ask('set', key, `${key} in round ${round}`)),
    )
  }
  for (const key of keys) {
    await one.until('get', key, `${key} in round 4`)
    await two.until('get', key, `${key} in round 4`)
  }
})
