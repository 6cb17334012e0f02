// Requests told apart by asynchronous context: what runs within `run`, and whatever that begins, belongs to one request.
// Given to `createCache` as `requestScope`. Needs `node:async_hooks`, which Node, Deno, Bun and workerd have.

import { AsyncLocalStorage } from 'node:async_hooks'
import { checkCount, checkNames } from './options.ts'
import { RequestMemory, type RequestPort } from './request-memory.ts'

/** Options of `requestScope`. */
export interface RequestScopeOptions {
  /**
   * The most keys that one request remembers, over all caches; further ones are looked up each time. 1 to 1,000,000.
   *
   * @defaultValue `1_000`
   */
  maxEntries?: number
}

/** Requests, for `createCache({ requestScope })`; several caches may have the same one. */
export interface RequestScope extends RequestPort {
  /**
   * Runs one request: until what `work` returns has settled, the caches look each key up once, and answer the same each
   * time. Within a request it is a part of that.
   *
   * @returns What `work` returns.
   * @throws What `work` throws.
   * @example
   * createServer((request, response) => requests.run(() => handle(request, response)))
   */
  run<T>(work: () => T | PromiseLike<T>): Promise<T>
}

interface Context {
  /** `undefined` within a loader that no request asked for. */
  readonly memory: RequestMemory | undefined
  /** Within a loader. */
  readonly isAside: boolean
}

const DEFAULT_ENTRIES = 1_000

/**
 * Makes a first look of the requests of this program.
 *
 * @throws TypeError or RangeError for options that cannot be right.
 * @example
 * const requests = requestScope()
 * const cache = createCache({ ttl: '5m', requestScope: requests })
 */
export function requestScope(options: RequestScopeOptions = {}): RequestScope {
  checkNames(options, ['maxEntries'], 'requestScope')
  const most = checkCount(options.maxEntries, 'maxEntries', 1, 1_000_000, DEFAULT_ENTRIES)
  const contexts = new AsyncLocalStorage<Context>()
  const memoryNow = (): RequestMemory | undefined => {
    const memory = contexts.getStore()?.memory
    // What a request began may go on after it, and keeps its context for as long.
    return memory?.isOver === false ? memory : undefined
  }
  return {
    get current() {
      return memoryNow()
    },
    get reading() {
      return contexts.getStore()?.isAside === true ? undefined : memoryNow()
    },
    aside(load) {
      const context: Context = { memory: memoryNow(), isAside: true }
      return (given) => contexts.run(context, load, given)
    },
    async run(work) {
      if (memoryNow() !== undefined) return work()
      const memory = new RequestMemory(most)
      try {
        return await contexts.run({ memory, isAside: false }, work)
      } finally {
        memory.end()
      }
    },
  }
}
