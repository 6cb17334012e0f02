// Many processes miss one key at once: one of them loads, and tells the others. With Redis gone each loads for itself, once.

import { type ChildProcess, fork } from 'node:child_process'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { hasRedis, RedisServer } from '../support/redis-server.ts'

const PROCESSES = 8
const CALLERS = 500

interface Answer {
  readonly loads: number
  readonly answers: readonly string[]
  readonly connected: boolean
}

describe.runIf(hasRedis())('one load for several processes', () => {
  let server: RedisServer
  let peers: ChildProcess[] = []

  beforeAll(async () => {
    server = await RedisServer.start()
    peers = Array.from({ length: PROCESSES }, () =>
      fork(join(import.meta.dirname, 'load-peer.js'), [String(server.port)]),
    )
    await Promise.all(peers.map((peer) => new Promise((resolve) => peer.once('message', resolve))))
  }, 120_000)

  afterAll(async () => {
    for (const peer of peers) peer.kill()
    await server?.kill()
  })

  const askAll = (key: string): Promise<Answer[]> =>
    Promise.all(
      peers.map(
        (peer) =>
          new Promise<Answer>((resolve) => {
            peer.once('message', (answer) => resolve(answer as Answer))
            peer.send({ key, callers: CALLERS })
          }),
      ),
    )

  test(`${PROCESSES} processes x ${CALLERS} callers on one missing key are one load`, async () => {
    for (const key of ['first', 'second', 'third']) {
      const answers = await askAll(key)
      expect(answers.reduce((sum, { loads }) => sum + loads, 0)).toBe(1)
      expect(new Set(answers.flatMap((each) => each.answers)).size).toBe(1)
    }
  }, 120_000)

  test('with Redis gone it is at most one in each, and all are answered', async () => {
    await server.kill()
    const answers = await askAll('fourth')
    for (const { answers: own, loads } of answers) {
      expect(loads).toBe(1)
      expect(own).toHaveLength(1)
    }
  }, 120_000)
})
