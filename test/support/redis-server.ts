// A real Redis server for tests: its own process on a free loopback port, without persistence, ended by its pid.

import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { endProcess } from './end-process.ts'
import { freePort } from './free-port.ts'

/**
 * Whether Redis can be had here. Where services are required it is taken to be: then its absence fails the tests.
 */
export function hasRedis(): boolean {
  const { status } = spawnSync('redis-server', ['--version'])
  if (status === 0) return true
  if (process.env.CI !== undefined || process.env.REQUIRE_SERVICES !== undefined) {
    throw new Error('redis-server is not on the PATH, and the tests here must not go without it')
  }
  console.warn('SKIPPED: redis-server is not on the PATH, so nothing here was tested with Redis')
  return false
}

/** A running server. */
export class RedisServer {
  readonly port: number
  readonly #options: Record<string, string>
  #process: ChildProcess

  private constructor(port: number, options: Record<string, string>, server: ChildProcess) {
    this.port = port
    this.#options = options
    this.#process = server
  }

  /** @param more - Options of the server, on top of a loopback port and no persistence. */
  static async start(more: Record<string, string> = {}): Promise<RedisServer> {
    for (let attempt = 1; ; attempt++) {
      const port = await freePort()
      try {
        return new RedisServer(port, more, await launch(port, more))
      } catch (error) {
        // Somebody else may have taken the port meanwhile.
        if (attempt === 5) throw error
      }
    }
  }

  /**
   * Three servers that share the slots of a cluster.
   *
   * @param folder - Where they keep what they know of each other.
   * @param more - Options of each server.
   * @param haveReplicas - Whether each has a replica: then there are six, of which the last three follow the first.
   */
  static async startCluster(
    folder: string,
    more: Record<string, string> = {},
    haveReplicas = false,
  ): Promise<RedisServer[]> {
    const servers: RedisServer[] = []
    const ports: Place[] = []
    const count = haveReplicas ? 6 : 3
    for (let at = 0; at < count; at++) {
      const gossip = await freePort()
      const server = await RedisServer.start({
        ...more,
        dir: folder,
        appenddirname: `kept-${at}`,
        dbfilename: `sent-${at}.rdb`,
        'cluster-enabled': 'yes',
        'cluster-config-file': `nodes-${at}.conf`,
        'cluster-port': `${gossip}`,
        'cluster-node-timeout': '5000',
      })
      ports.push({ port: server.port, gossip })
      servers.push(server)
    }
    try {
      await form(ports)
    } catch (error) {
      for (const server of servers) await server.kill()
      throw error
    }
    return servers
  }

  /** Stops the process where it stands, as a machine under too much load does. */
  pause(): void {
    this.#process.kill('SIGSTOP')
  }

  resume(): void {
    this.#process.kill('SIGCONT')
  }

  /** Ends the process at once. */
  kill(): Promise<void> {
    return endProcess(this.#process)
  }

  /**
   * A new process on the same port, with what the old one kept on the disk: nothing, unless its options say so.
   *
   * @param other - Options that it has now and did not have before.
   */
  async restart(other: Record<string, string> = {}): Promise<void> {
    await this.kill()
    this.#process = await launch(this.port, { ...this.#options, ...other })
  }

  /** Sends one inline command. */
  ask(command: string): Promise<string> {
    return askRedis(this.port, command)
  }
}

/** Where a server of a cluster is, for clients and for the other servers. */
interface Place {
  readonly port: number
  readonly gossip: number
}

/** Has servers share the slots among the first three, and the others follow those. */
async function form(ports: readonly Place[]): Promise<void> {
  const [first] = ports as [Place]
  for (const [at, { port }] of ports.slice(0, 3).entries()) {
    const slots = [Math.floor((16_384 / 3) * at), Math.floor((16_384 / 3) * (at + 1)) - 1]
    await askRedis(port, `CLUSTER ADDSLOTSRANGE ${slots.join(' ')}`)
    await askRedis(port, `CLUSTER SET-CONFIG-EPOCH ${at + 1}`)
  }
  for (const { port } of ports.slice(1))
    await askRedis(port, `CLUSTER MEET 127.0.0.1 ${first.port} ${first.gossip}`)
  for (const { port } of ports) {
    await until('the cluster forms', async () => {
      const info = await askRedis(port, 'CLUSTER INFO')
      return info.includes('cluster_state:ok') && info.includes(`cluster_known_nodes:${ports.length}`)
    })
  }
  for (const [at, { port }] of ports.entries()) {
    if (at < 3) continue
    const id = /[0-9a-f]{40}/.exec(await askRedis(ports[at - 3]?.port ?? 0, 'CLUSTER MYID'))?.[0]
    await until('a replica follows', () => askRedis(port, `CLUSTER REPLICATE ${id}`).then(() => true))
  }
}

async function launch(port: number, more: Record<string, string> = {}): Promise<ChildProcess> {
  const options = { port: `${port}`, bind: '127.0.0.1', save: '', appendonly: 'no', daemonize: 'no', ...more }
  const args = Object.entries(options).flatMap(([name, value]) => [`--${name}`, value])
  const server = spawn('redis-server', args, { stdio: 'ignore' })
  for (let attempt = 0; attempt < 250; attempt++) {
    if (server.exitCode !== null) throw new Error(`redis-server ended with ${server.exitCode}`)
    if (await answers(port, server.pid)) return server
    await sleep(20)
  }
  server.kill('SIGKILL')
  throw new Error(`redis-server does not answer on port ${port}`)
}

/** Whether that very process answers: another server's tests must not meet ours. */
async function answers(port: number, pid: number | undefined): Promise<boolean> {
  const info = await askRedis(port, 'INFO server').catch(() => '')
  return info.includes(`process_id:${pid}\r\n`)
}

/** Asks again and again, for half a minute at the most, until it is so. */
export async function until(what: string, isSo: () => Promise<boolean>): Promise<void> {
  for (let attempt = 0; !(await isSo().catch(() => false)); attempt++) {
    if (attempt === 600) throw new Error(`not within half a minute: ${what}`)
    await sleep(50)
  }
}

/** Sends one inline command. */
export function askRedis(port: number, command: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(`${command}\r\n`))
    socket.once('error', reject)
    socket.setTimeout(1_000, () => socket.destroy(new Error(`${command}: no answer`)))
    socket.once('data', (data) => {
      socket.destroy()
      const reply = data.toString()
      if (reply.startsWith('-')) reject(new Error(`${command}: ${reply}`))
      else resolve(reply)
    })
  })
}
