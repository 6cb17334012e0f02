// A real Memcached server for tests: its own process on a free loopback port, ended by its pid.

import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { endProcess } from './end-process.ts'
import { freePort } from './free-port.ts'

/** Whether Memcached can be had here. Where services are required its absence fails the tests. */
export function hasMemcached(): boolean {
  const { status } = spawnSync('memcached', ['--version'])
  if (status === 0) return true
  if (process.env.CI !== undefined || process.env.REQUIRE_SERVICES !== undefined) {
    throw new Error('memcached is not on the PATH, and the tests here must not go without it')
  }
  console.warn('SKIPPED: memcached is not on the PATH, so nothing here was tested with Memcached')
  return false
}

/** A running server. */
export class MemcachedServer {
  readonly port: number
  readonly #args: readonly string[]
  #process: ChildProcess

  private constructor(port: number, server: ChildProcess, args: readonly string[]) {
    this.port = port
    this.#process = server
    this.#args = args
  }

  /** @param args - Its options, such as `-I 8m`. */
  static async start(...args: string[]): Promise<MemcachedServer> {
    for (let attempt = 1; ; attempt++) {
      const port = await freePort()
      try {
        return new MemcachedServer(port, await launch(port, args), args)
      } catch (error) {
        // Somebody else may have taken the port meanwhile.
        if (attempt === 5) throw error
      }
    }
  }

  /** As the tier is told of it. */
  get name(): string {
    return `127.0.0.1:${this.port}`
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

  /** A new process on the same port, with nothing in it. */
  async restart(): Promise<void> {
    await this.kill()
    this.#process = await launch(this.port, this.#args)
  }

  /** Sends lines as they are, and resolves to what comes back within a moment. */
  ask(...lines: string[]): Promise<string> {
    return talk(this.port, lines)
  }
}

async function launch(port: number, more: readonly string[]): Promise<ChildProcess> {
  const user = process.getuid?.() === 0 ? ['-u', 'root'] : []
  const args = ['-l', '127.0.0.1', '-p', `${port}`, '-U', '0', '-t', '2', ...user, ...more]
  const server = spawn('memcached', args, { stdio: 'ignore' })
  for (let attempt = 0; attempt < 250; attempt++) {
    if (server.exitCode !== null) throw new Error(`memcached ended with ${server.exitCode}`)
    const stats = await talk(port, ['stats']).catch(() => '')
    // That very process: another server's tests must not meet ours.
    if (stats.includes(`STAT pid ${server.pid}\r\n`)) return server
    await sleep(20)
  }
  server.kill('SIGKILL')
  throw new Error(`memcached does not answer on port ${port}`)
}

function talk(port: number, lines: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    let reply = ''
    const socket = connect(port, '127.0.0.1', () => socket.write([...lines, 'mn', ''].join('\r\n')))
    socket.once('error', reject)
    socket.setTimeout(2_000, () => socket.destroy(new Error(`no answer to ${lines[0]}`)))
    socket.on('data', (data) => {
      reply += data.toString('latin1')
      if (!reply.endsWith('MN\r\n')) return
      socket.destroy()
      resolve(reply.slice(0, -4))
    })
  })
}
