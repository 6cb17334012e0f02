// The parent's side of cache-process.js.

import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { Cache } from '../../src/cache.ts'

/** What a process shares with others. */
export type Place =
  | { readonly directory: string }
  | { readonly port: number; readonly library: 'ioredis' | 'node-redis' }

/** The cache of another process, as far as tests use one. */
export class CacheProcess {
  readonly child: ChildProcess
  readonly #open = new Map<number, { resolve: (value: never) => void; reject: (error: Error) => void }>()
  readonly #loads = new Map<string, () => unknown>()
  #calls = 0

  private constructor(child: ChildProcess) {
    this.child = child
    child.on('message', async (told: { id: number; load?: string; value?: never; error?: string }) => {
      if (told.load !== undefined) {
        const loaded = await this.#loads.get(told.load)?.()
        child.send({ id: told.id, loaded })
        return
      }
      const call = this.#open.get(told.id)
      if (told.error === undefined) call?.resolve(told.value as never)
      else call?.reject(new Error(told.error))
      this.#open.delete(told.id)
    })
    child.on('exit', (code) => {
      for (const call of this.#open.values()) call.reject(new Error(`the process ended with ${code}`))
    })
  }

  /** The package must be built. */
  static async start(place: Place, leaseMs: number): Promise<CacheProcess> {
    const script = fileURLToPath(new URL('cache-process.js', import.meta.url))
    const built = new URL('../../dist', import.meta.url).href
    const order = JSON.stringify({ ...place, lease: leaseMs })
    const remote = new CacheProcess(fork(script, [built, order], { execArgv: [] }))
    await new Promise((resolve, reject) => remote.#open.set(0, { resolve, reject }))
    return remote
  }

  call<T>(method: string, ...args: unknown[]): Promise<T> {
    const id = ++this.#calls
    return new Promise((resolve, reject) => {
      this.#open.set(id, { resolve, reject })
      this.child.send({ id, method, args })
    })
  }

  /** What a race needs of it. */
  get cache(): Cache<string> {
    return this as unknown as Cache<string>
  }

  getOrSet(key: string, load: () => unknown): Promise<string> {
    this.#loads.set(key, load)
    return this.call('getOrSet', key)
  }
}
