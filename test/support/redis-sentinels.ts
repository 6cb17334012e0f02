// A Redis with a replica, and three sentinels that watch them: real processes on free loopback ports, ended by their
// pids.

import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { endProcess } from './end-process.ts'
import { freePort } from './free-port.ts'
import { askRedis, hasRedis, RedisServer, until } from './redis-server.ts'

const NAME = 'tierwheel-test'
const QUORUM = 2
const DOWN_AFTER_MS = 1_000

/** Whether sentinels can be had here. Where services are required their absence fails the tests. */
export function hasSentinel(): boolean {
  if (!hasRedis()) return false
  if (spawnSync('redis-sentinel', ['--version']).status === 0) return true
  if (process.env.CI !== undefined || process.env.REQUIRE_SERVICES !== undefined) {
    throw new Error('redis-sentinel is not on the PATH, and the tests here must not go without it')
  }
  console.warn('SKIPPED: redis-sentinel is not on the PATH, so nothing here was tested with Sentinel')
  return false
}

/** Two servers, one of which follows the other, and their sentinels. */
export class RedisSentinels {
  readonly name: string = NAME
  readonly ports: readonly number[]
  readonly #servers: readonly RedisServer[]
  readonly #sentinels: readonly ChildProcess[]

  private constructor(
    servers: readonly RedisServer[],
    ports: readonly number[],
    sentinels: readonly ChildProcess[],
  ) {
    this.#servers = servers
    this.ports = ports
    this.#sentinels = sentinels
  }

  /** @param folder - Where the sentinels and the servers keep what they write. */
  static async start(folder: string): Promise<RedisSentinels> {
    // A replica writes what it is sent to a file, and would begin with it again.
    const place = (name: string): string => {
      const path = join(folder, name)
      mkdirSync(path, { recursive: true })
      return path
    }
    const master = await RedisServer.start({ dir: place('first') })
    const replica = await RedisServer.start({
      dir: place('second'),
      replicaof: `127.0.0.1 ${master.port}`,
    })
    const ports: number[] = []
    const sentinels: ChildProcess[] = []
    for (let at = 0; at < 3; at++) {
      const port = await freePort()
      const dir = place(`sentinel-${at}`)
      const path = join(dir, 'sentinel.conf')
      const lines = [
        `port ${port}`,
        'bind 127.0.0.1',
        `dir ${dir}`,
        `sentinel monitor ${NAME} 127.0.0.1 ${master.port} ${QUORUM}`,
        `sentinel down-after-milliseconds ${NAME} ${DOWN_AFTER_MS}`,
        `sentinel failover-timeout ${NAME} 3000`,
      ]
      writeFileSync(path, `${lines.join('\n')}\n`)
      ports.push(port)
      sentinels.push(spawn('redis-sentinel', [path], { stdio: 'ignore' }))
    }
    const all = new RedisSentinels([master, replica], ports, sentinels)
    await until('the sentinels find each other and the replica', async () => {
      const infos = await Promise.all(ports.map((port) => askRedis(port, 'INFO sentinel')))
      return infos.every((info) => info.includes('status=ok') && info.includes('slaves=1,sentinels=3'))
    })
    await all.whenReplicating()
    return all
  }

  /** The server that the others follow now. */
  async master(): Promise<RedisServer> {
    return (await this.#withRole('master')) as RedisServer
  }

  async replica(): Promise<RedisServer> {
    return (await this.#withRole('slave')) as RedisServer
  }

  /** Has no write take place any more, and all that did be at the replica. */
  async settleWrites(): Promise<void> {
    const master = await this.master()
    await master.ask('CLIENT PAUSE 20000 WRITE')
    await until('the replica has all', async () => {
      const info = await master.ask('INFO replication')
      const [, written] = /master_repl_offset:(\d+)/.exec(info) ?? []
      const [, followed] = /slave0:.*?offset=(\d+)/.exec(info) ?? []
      return written !== undefined && written === followed
    })
  }

  /** Waits until another one than `old` is the master, and starts `old` again, which follows it then. */
  async whenFailedOver(old: RedisServer): Promise<void> {
    await until('another master is chosen', async () => {
      const answers = await Promise.all(
        this.ports.map((port) => askRedis(port, `SENTINEL GET-MASTER-ADDR-BY-NAME ${NAME}`)),
      )
      return answers.every((answer) => !answer.includes(`\r\n${old.port}\r\n`))
    })
    const taken = this.#servers.find((server) => server !== old) as RedisServer
    await old.restart({ replicaof: `127.0.0.1 ${taken.port}` })
    await this.whenReplicating()
  }

  /** Has the replica get nothing of what is written from now on, until it is resumed. */
  async cutReplica(): Promise<RedisServer> {
    const [master, replica] = [await this.master(), await this.replica()]
    // What is in the socket already would still reach it, so its connection is ended as well.
    replica.pause()
    await master.ask('CLIENT KILL TYPE replica')
    return replica
  }

  async whenReplicating(): Promise<void> {
    await until('the replica follows', async () => {
      const replica = await this.#withRole('slave')
      const info = (await replica?.ask('INFO replication')) ?? ''
      return info.includes('master_link_status:up') && (await this.#withRole('master')) !== undefined
    })
  }

  async end(): Promise<void> {
    for (const sentinel of this.#sentinels) await endProcess(sentinel)
    for (const server of this.#servers) {
      server.resume()
      await server.kill()
    }
  }

  async #withRole(role: 'master' | 'slave'): Promise<RedisServer | undefined> {
    const infos = await Promise.all(
      this.#servers.map((server) => server.ask('INFO replication').catch(() => '')),
    )
    const found = this.#servers.filter((_, at) => infos[at]?.includes(`role:${role}\r\n`))
    return found.length === 1 ? found[0] : undefined
  }
}
