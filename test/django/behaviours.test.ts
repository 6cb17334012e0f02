// Every behaviour on every backend. The last test of each backend prints how many hold there.

import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { bothWays, type DjangoBackend } from '../support/django-worlds.ts'
import { type Connections, libraries } from '../support/redis-clients.ts'
import { hasRedis, RedisServer } from '../support/redis-server.ts'
import { behaviours } from './behaviours.ts'
import { differences } from './differences.ts'

vi.setConfig({ maxConcurrency: 12, testTimeout: 20_000 })

function declare(backend: DjangoBackend): void {
  describe(backend.name, () => {
    const counts = { hold: 0, differ: 0, all: 0 }
    for (const behaviour of behaviours) {
      if (!behaviour.on(backend)) continue
      counts.all++
      const isDifferent = differences.get(behaviour.number)?.on(backend) === true
      const title = `${behaviour.number} ${behaviour.title}${isDifferent ? ' (differs on purpose)' : ''}`
      test.concurrent(title, async () => {
        await behaviour.run(backend)
        counts[isDifferent ? 'differ' : 'hold']++
      })
    }
    afterAll(() => {
      const { all, differ, hold } = counts
      console.log(`${backend.name}: ${hold} of ${all} behaviours hold, ${differ} differ on purpose`)
    })
  })
}

const [dummy] = bothWays('dummy')
for (const each of [dummy, ...bothWays('locmem'), ...bothWays('filebased')]) if (each) declare(each)

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
  for (const each of bothWays('redis', () => connections as Connections)) declare(each)
})

test('every difference is one of a behaviour that is tried', () => {
  const numbers = new Set(behaviours.map(({ number }) => number))
  expect([...differences.keys()].filter((number) => !numbers.has(number))).toEqual([])
})
