// What the contract tests of the Redis parts open: one server and one connection of each library for a file, and a
// keyspace of its own for each test, so that tests run side by side while they wait for real time to pass.

import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, test, vi } from 'vitest'
import { systemClock } from '../../src/clock.ts'
import type { Runner } from '../../src/testing/index.ts'
import { type Connections, libraries } from './redis-clients.ts'
import { hasRedis, RedisServer } from './redis-server.ts'

/** The server's own grain of time: an entry may be there for a millisecond longer. */
const GRAIN_MS = 5

/** Time as a real server has it. */
export const realTime: { clock: typeof systemClock; advance: (byMs: number) => Promise<void> } = {
  clock: systemClock,
  advance: (byMs: number) => sleep(byMs + GRAIN_MS),
}

/** A bus hears within a turn or a millisecond. */
export const settle = (): Promise<void> => sleep(2)

export const sideBySide: Runner = { describe, test: test.concurrent as Runner['test'] }

let keyspaces = 0

/** A keyspace that nobody has used. */
export function freshKeyspace(): string {
  return `test-${++keyspaces}`
}

/** Declares tests for every library, where there is a server. */
export function withEachLibrary(declare: (library: string, connections: () => Connections) => void): void {
  vi.setConfig({ maxConcurrency: 40, testTimeout: 15_000 })
  describe.skipIf(!hasRedis()).each(libraries)('$name', (library) => {
    let server: RedisServer | undefined
    let connections: Connections | undefined
    beforeAll(async () => {
      server = await RedisServer.start()
      connections = await library.connect(server.port)
    })
    afterAll(async () => {
      connections?.close()
      await server?.kill()
    })
    declare(library.name, () => connections as Connections)
  })
}
