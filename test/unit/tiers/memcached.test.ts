import { createServer, type Server, type Socket } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { encodeEntry, encodeState, newState } from '../../../src/backends/memcached-layout.ts'
import { memcachedTier } from '../../../src/tiers/memcached.ts'

const closing: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closing.splice(0)) await close()
})

test('wrong options are refused at once, with name, value and rule', () => {
  for (const [options, message] of [
    [{}, 'servers'],
    [{ servers: [] }, 'servers'],
    [{ servers: 'localhost' }, 'servers'],
    [{ servers: [7] }, 'servers: 7'],
    [{ servers: ['a b'] }, 'servers: "a b"'],
    [{ servers: ['a:0'] }, 'servers'],
    [{ servers: ['a:65536'] }, 'servers'],
    [{ servers: ['a', 'a:11211'] }, 'named twice'],
    [{ servers: ['a'], keyspace: 'a b' }, 'keyspace'],
    [{ servers: ['a'], keyspace: '' }, 'keyspace'],
    [{ servers: ['a'], deadlineMs: 0 }, 'deadlineMs'],
    [{ servers: ['a'], fence: 1 }, 'fence'],
    [{ servers: ['a'], connect: 1 }, 'connect'],
    [{ server: ['a'] }, 'servers'],
  ] as const) {
    expect(() => memcachedTier(options as never), JSON.stringify(options)).toThrow(message)
  }
  expect(memcachedTier({ servers: ['[::1]:11212', '/run/memcached.sock'] }).ledger).toBeUndefined()
})

/** A server that answers each request with what `answer` makes of its line. */
async function fakeServer(
  answer: (line: string, socket: Socket) => string,
): Promise<{ name: string; seen: string[]; connections: () => number }> {
  const seen: string[] = []
  let connections = 0
  const sockets = new Set<Socket>()
  const server: Server = createServer((socket) => {
    connections++
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('data', (data) => {
      for (const line of data.toString('latin1').split('\r\n').slice(0, -1)) {
        seen.push(line)
        socket.write(answer(line, socket), 'latin1')
      }
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  closing.push(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  return { name: `127.0.0.1:${port}`, seen, connections: () => connections }
}

const opaqueOf = (line: string): string => /O(\w+)/.exec(line)?.[1] ?? ''

test('a server that says anything unexpected loses the connection, and every caller that waits is told', async () => {
  for (const surprise of [
    () => 'ERROR\r\n',
    () => 'CLIENT_ERROR line format\r\n',
    () => 'SERVER_ERROR busy\r\n',
    (line: string) => `HD O${opaqueOf(line)}x\r\n`,
    (line: string) => `VA 3 O${opaqueOf(line)}\r\nabcde\r\n`,
    () => 'HD\r\n',
  ]) {
    const server = await fakeServer(surprise)
    const tier = memcachedTier({ servers: [server.name] })
    closing.push(() => tier.close())
    const calls = [tier.get('a'), tier.get('b'), tier.delete('c')]
    for (const call of calls) await expect(call).rejects.toMatchObject({ code: 'CACHE_TIER_FAILED' })
    expect(server.connections()).toBe(1)
    await expect(tier.get('a')).rejects.toMatchObject({ code: 'CACHE_TIER_FAILED' })
    expect(server.connections()).toBe(2)
    // After the second failure in a row it is left alone for a moment.
    await expect(tier.get('a')).rejects.toThrow('left alone')
    expect(server.connections()).toBe(2)
  }
})

test('a value that comes for another key is not given out', async () => {
  const state = newState(17)
  const write = { key: 'other', bytes: Uint8Array.of(7), remainingMs: Number.POSITIVE_INFINITY }
  const value = (bytes: Uint8Array, line: string): string =>
    `VA ${bytes.length} O${opaqueOf(line)} c1 t-1\r\n${Buffer.from(bytes).toString('latin1')}\r\n`
  const server = await fakeServer((line) =>
    value(line.startsWith('mg tierwheel! ') ? encodeState(state) : encodeEntry(write, state, 0), line),
  )
  const tier = memcachedTier({ servers: [server.name] })
  closing.push(() => tier.close())
  expect(await tier.get('key')).toBeUndefined()
  expect((await tier.get('other'))?.bytes).toEqual(Uint8Array.of(7))
})

test('a server that does not answer costs the deadline and no more', async () => {
  const server = await fakeServer(() => '')
  const tier = memcachedTier({ servers: [server.name], deadlineMs: 50 })
  closing.push(() => tier.close())
  await expect(tier.get('key')).rejects.toThrow('no answer within 50 ms')
})

test('a server that is not there rejects, and says where it was looked for', async () => {
  const tier = memcachedTier({ servers: ['127.0.0.1:1'], deadlineMs: 2_000 })
  await expect(tier.get('key')).rejects.toThrow('127.0.0.1:1')
  await tier.close()
})

test('another way to the server can be passed in', async () => {
  const { connect } = await import('node:net')
  const server = await fakeServer(() => 'EN\r\n')
  const asked: string[] = []
  const tier = memcachedTier({
    servers: ['cache.example:11311'],
    connect: ({ host, port }) => {
      asked.push(`${host} ${port}`)
      return connect(Number(server.name.split(':')[1]), '127.0.0.1')
    },
  })
  closing.push(() => tier.close())
  expect(await tier.get('key')).toBeUndefined()
  expect(asked).toEqual(['cache.example 11311'])
})
