// The parent's side of django-process.js.

import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { endProcess } from './end-process.ts'

/** What a process opens. */
export interface SharedStore {
  readonly backend: 'cluster' | 'filebased' | 'memcached' | 'postgres' | 'redis' | 'sqlite'
  readonly location: { readonly folder?: string; readonly file?: string }
  readonly port?: number
  readonly ports?: readonly number[]
}

/** A process with a cache over a store that others have too. */
export class DjangoProcess {
  readonly #child: ChildProcess
  readonly #open = new Map<number, { resolve: (value: unknown) => void; reject: (error: Error) => void }>()
  #calls = 0

  private constructor(child: ChildProcess) {
    this.#child = child
    child.on('message', ({ id, value, error }: { id: number; value?: unknown; error?: string }) => {
      if (error === undefined) this.#open.get(id)?.resolve(value)
      else this.#open.get(id)?.reject(new Error(error))
      this.#open.delete(id)
    })
    child.on('exit', (code) => {
      for (const call of this.#open.values()) call.reject(new Error(`the process ended with ${code}`))
    })
  }

  /** The package must be built. */
  static async start(store: SharedStore, isTiered: boolean): Promise<DjangoProcess> {
    const script = fileURLToPath(new URL('django-process.js', import.meta.url))
    const built = new URL('../../dist', import.meta.url).href
    const child = fork(script, [built, JSON.stringify({ ...store, isTiered })], { execArgv: [] })
    const started = new DjangoProcess(child)
    await new Promise((resolve, reject) => started.#open.set(0, { resolve, reject }))
    return started
  }

  get pid(): number | undefined {
    return this.#child.pid
  }

  call(method: string, ...args: unknown[]): Promise<unknown> {
    const id = ++this.#calls
    return new Promise((resolve, reject) => {
      this.#open.set(id, { resolve, reject })
      this.#child.send({ id, method, args })
    })
  }

  kill(): Promise<void> {
    return endProcess(this.#child)
  }
}
