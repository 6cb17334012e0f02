// The parent's side of file-process.js.

import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { Message } from '../../src/message.ts'

interface Answer {
  readonly id?: number
  readonly value?: unknown
  readonly error?: string
  readonly event?: 'ready' | 'message' | 'echo' | 'gap' | 'failure'
  readonly message?: Message
}

/** Another process over a directory. */
export class FileProcess {
  readonly child: ChildProcess
  /** What its bus told, in order. */
  readonly events: Answer[] = []
  readonly #open = new Map<number, { resolve: (value: unknown) => void; reject: (error: Error) => void }>()
  #calls = 0

  private constructor(child: ChildProcess) {
    this.child = child
    child.on('message', (answer: Answer) => {
      if (answer.event !== undefined) this.events.push(answer)
      if (answer.id === undefined) return
      const call = this.#open.get(answer.id)
      if (answer.error === undefined) call?.resolve(answer.value)
      else call?.reject(new Error(answer.error))
    })
    child.on('exit', () => {
      for (const call of this.#open.values()) call.reject(new Error('the process ended'))
    })
  }

  static async start(source: string, directory: string): Promise<FileProcess> {
    const script = fileURLToPath(new URL('file-process.js', import.meta.url))
    const child = fork(script, [source, directory], { serialization: 'advanced', execArgv: [] })
    const started = new FileProcess(child)
    await new Promise<void>((resolve, reject) => {
      child.once('message', () => resolve())
      child.once('exit', (code) => reject(new Error(`the process ended with ${code} before it was ready`)))
    })
    return started
  }

  get messages(): Message[] {
    return this.events.flatMap(({ message }) => (message === undefined ? [] : [message]))
  }

  call(part: 'tier' | 'ledger' | 'bus' | 'races', method: string, ...args: unknown[]): Promise<unknown> {
    const id = ++this.#calls
    return new Promise((resolve, reject) => {
      this.#open.set(id, { resolve, reject })
      this.child.send({ id, part, method, args })
    })
  }

  async kill(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return
    const ended = once(this.child, 'exit')
    this.child.kill('SIGKILL')
    await ended
  }
}
