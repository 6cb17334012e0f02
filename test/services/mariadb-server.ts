// A real MariaDB server for tests: data in a fresh folder, a socket there and no port, ended by its pid. Run by root, it
// becomes the user that Debian's package made.

import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { chownSync, existsSync } from 'node:fs'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { endProcess } from '../support/end-process.ts'
import { makeFolder, removeFolder } from '../support/folder.ts'

/** Whether MariaDB can be had here. Where services are required it is taken to be. */
export function hasMariadb(): boolean {
  if (spawnSync('mariadbd', ['--version']).status === 0) return true
  if (process.env.CI !== undefined || process.env.REQUIRE_SERVICES !== undefined) {
    throw new Error('mariadbd is not on the PATH, and the tests here must not go without it')
  }
  console.warn('SKIPPED: mariadbd is not on the PATH, so nothing here was tested with MariaDB')
  return false
}

/** A running server with an empty database named `test`. */
export class MariadbServer {
  readonly #folder: string
  readonly #process: ChildProcess

  private constructor(folder: string, server: ChildProcess) {
    this.#folder = folder
    this.#process = server
  }

  static async start(): Promise<MariadbServer> {
    const folder = makeFolder()
    const isRoot = process.getuid?.() === 0
    if (isRoot) {
      const [uid, gid] = ['-u', '-g'].map((flag) =>
        Number(spawnSync('id', [flag, 'mysql'], { encoding: 'utf8' }).stdout),
      )
      chownSync(folder, uid ?? 0, gid ?? 0)
    }
    const shared = [
      '--no-defaults',
      `--datadir=${join(folder, 'data')}`,
      `--user=${isRoot ? 'mysql' : userInfo().username}`,
    ]
    const made = spawnSync(
      'mariadb-install-db',
      [...shared, '--auth-root-authentication-method=normal', '--skip-test-db'],
      {
        encoding: 'utf8',
      },
    )
    if (made.status !== 0) throw new Error(`mariadb-install-db: ${made.stdout}${made.stderr}`)
    const socket = join(folder, 'socket')
    const options = [
      '--skip-networking',
      `--socket=${socket}`,
      '--innodb-flush-log-at-trx-commit=0',
      '--skip-log-bin',
    ]
    const server = spawn('mariadbd', [...shared, ...options], { stdio: 'ignore', cwd: folder })
    for (let attempt = 0; attempt < 500 && server.exitCode === null; attempt++) {
      const asked = existsSync(socket)
        ? spawnSync('mariadb', [
            `--socket=${socket}`,
            '-u',
            'root',
            '-e',
            'CREATE DATABASE IF NOT EXISTS test',
          ])
        : undefined
      if (asked?.status === 0) return new MariadbServer(folder, server)
      await sleep(50)
    }
    await endProcess(server)
    throw new Error('mariadbd does not answer')
  }

  /** How to connect. */
  get config(): { socketPath: string; user: string; database: string } {
    return { socketPath: join(this.#folder, 'socket'), user: 'root', database: 'test' }
  }

  async kill(): Promise<void> {
    await endProcess(this.#process)
    removeFolder(this.#folder)
  }
}
