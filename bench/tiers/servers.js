// @ts-check
/** The servers that some contenders need, each a process of its own on a free loopback port, ended by its pid. */
import { spawn, spawnSync } from 'node:child_process'
import { connect, createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

/** @type {Record<string, (port: number) => { program: string, args: string[] }>} by group of contenders */
const programs = {
  redis: (port) => ({
    program: 'redis-server',
    args: ['--port', `${port}`, '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'],
  }),
  memcached: (port) => ({
    program: 'memcached',
    args: [
      '-l',
      '127.0.0.1',
      '-p',
      `${port}`,
      '-U',
      '0',
      '-m',
      '1024',
      ...(process.getuid?.() === 0 ? ['-u', 'root'] : []),
    ],
  }),
}

/** @param {string} group */
export function needsServer(group) {
  return group in programs
}

/**
 * @param {string} group
 * @returns {Promise<{ port: number, end: () => void } | undefined>} `undefined` where the program is not here
 */
export async function startServer(group) {
  const port = await freePort()
  const command = programs[group]?.(port)
  if (command === undefined || spawnSync(command.program, ['--version']).status !== 0) return undefined
  const server = spawn(command.program, command.args, { stdio: 'ignore' })
  for (let attempt = 0; !(await isOpen(port)); attempt++) {
    if (attempt === 250) throw new Error(`${command.program} does not answer on port ${port}`)
    await sleep(20)
  }
  return { port, end: () => void server.kill('SIGKILL') }
}

/** @returns {Promise<number>} */
function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0))
    })
  })
}

/** @param {number} port @returns {Promise<boolean>} */
function isOpen(port) {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.once('error', () => resolve(false))
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
  })
}
