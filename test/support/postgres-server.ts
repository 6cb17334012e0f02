// A real PostgreSQL server for tests: a cluster of its own in a fresh folder, on a free loopback port, ended by its pid.
// The server refuses to run as root, so root lends it the user that Debian's package made.

import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chownSync, existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { makeFolder, removeFolder } from './folder.ts'
import { freePort } from './free-port.ts'

/** Debian keeps the programs of each version apart, and none of those that serve on the PATH. */
function folderOfPrograms(): string | undefined {
  const versions = existsSync('/usr/lib/postgresql') ? readdirSync('/usr/lib/postgresql') : []
  return versions
    .sort((left, right) => Number(right) - Number(left))
    .map((version) => `/usr/lib/postgresql/${version}/bin`)
    .find((folder) => existsSync(join(folder, 'postgres')))
}

/** The user that the server runs as: whoever runs the tests, but not root. */
function userOfServer(): { uid?: number; gid?: number } | undefined {
  if (process.getuid?.() !== 0) return {}
  const [uid, gid] = ['-u', '-g'].map((flag) => {
    const { status, stdout } = spawnSync('id', [flag, 'postgres'], { encoding: 'utf8' })
    return status === 0 ? Number(stdout) : undefined
  })
  return uid === undefined || gid === undefined ? undefined : { uid, gid }
}

/**
 * Whether PostgreSQL can be had here. Where services are required it is taken to be: then its absence fails the tests.
 */
export function hasPostgres(): boolean {
  if (folderOfPrograms() !== undefined && userOfServer() !== undefined) return true
  if (process.env.CI !== undefined || process.env.REQUIRE_SERVICES !== undefined) {
    throw new Error(
      'there is no PostgreSQL server, or no user for it, and the tests here must not go without it',
    )
  }
  console.warn('SKIPPED: there is no PostgreSQL server, so nothing here was tested with it')
  return false
}

/** A running server. */
export class PostgresServer {
  readonly port: number
  readonly #folder: string
  #process: ChildProcess

  private constructor(port: number, folder: string, server: ChildProcess) {
    this.port = port
    this.#folder = folder
    this.#process = server
  }

  static async start(): Promise<PostgresServer> {
    const folder = makeFolder()
    const { uid, gid } = userOfServer() ?? {}
    if (uid !== undefined && gid !== undefined) chownSync(folder, uid, gid)
    const made = spawnSync(
      join(folderOfPrograms() ?? '', 'initdb'),
      ['-D', join(folder, 'data'), '-U', 'test', '-A', 'trust', '-E', 'UTF8', '--locale=C', '--no-sync'],
      { ...userOfServer(), encoding: 'utf8', cwd: folder },
    )
    if (made.status !== 0) throw new Error(`initdb: ${made.stderr}`)
    for (let attempt = 1; ; attempt++) {
      const port = await freePort()
      try {
        return new PostgresServer(port, folder, await launch(port, folder))
      } catch (error) {
        // Somebody else may have taken the port meanwhile.
        if (attempt === 5) throw error
      }
    }
  }

  /** How to connect. */
  get config(): pg.PoolConfig {
    return { host: '127.0.0.1', port: this.port, user: 'test', database: 'postgres' }
  }

  /** A pool whose idle connections may break without ending the process. */
  pool(max = 6): pg.Pool {
    const pool = new pg.Pool({ ...this.config, max })
    pool.on('error', () => {})
    return pool
  }

  /** A crash: everything unlogged is gone when it runs again. */
  async restart(): Promise<void> {
    await this.#end()
    this.#process = await launch(this.port, this.#folder)
  }

  async kill(): Promise<void> {
    await this.#end()
    removeFolder(this.#folder)
  }

  /** SIGQUIT has the server end its own processes at once, without writing anything down. */
  async #end(): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return
    const ended = once(this.#process, 'exit')
    this.#process.kill('SIGQUIT')
    await ended
  }
}

async function launch(port: number, folder: string): Promise<ChildProcess> {
  const settings = {
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    fsync: 'off',
    max_connections: '100',
    shared_buffers: '32MB',
    autovacuum: 'off',
  }
  const args = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])
  const server = spawn(
    join(folderOfPrograms() ?? '', 'postgres'),
    ['-D', join(folder, 'data'), '-p', `${port}`, ...args],
    { ...userOfServer(), stdio: 'ignore', cwd: folder },
  )
  for (let attempt = 0; attempt < 500; attempt++) {
    if (server.exitCode !== null) throw new Error(`postgres ended with ${server.exitCode}`)
    const client = new pg.Client({ host: '127.0.0.1', port, user: 'test', database: 'postgres' })
    client.on('error', () => {})
    try {
      await client.connect()
      await client.end()
      return server
    } catch {
      await sleep(20)
    }
  }
  server.kill('SIGQUIT')
  throw new Error(`postgres does not answer on port ${port}`)
}
