// Functions whose calls go through a cache: `cache.wrap`, and the decorators for methods. The key is made of the
// arguments, so what a function is called with decides what is shared; only arguments that make an unmistakable text
// are put into it unasked.

import type { Cache, KeyOptions } from './cache.ts'
import { describe } from './duration.ts'
import { type Key, withVersion } from './key.ts'
import { checkCall, checkFunction, checkSeveral, type LoadOptions } from './options.ts'

/** How calls become keys: by a function of yours, or by a name and the arguments. */
export interface WrapOptions<Args extends unknown[], V> extends LoadOptions<V> {
  /**
   * The key of a call.
   *
   * @defaultValue `name` and the arguments, which then have to be strings, numbers, bigints, booleans or null
   */
  key?: ((...args: Args) => Key) | undefined

  /** What keys begin with when there is no `key`; every wrapped function needs its own. */
  name?: string | undefined
}

/** A function whose calls are answered from a cache. */
export interface Wrapped<Args extends unknown[], V> {
  /** Answers from the cache, or calls the function, as `getOrSet` does. */
  (...args: Args): Promise<V>
  /** The key of a call. */
  key(...args: Args): Key
  /** Deletes what a call returned. Resolves to whether it was there. */
  invalidate(...args: Args): Promise<boolean>
  /** Ends the `ttl` of what a call returned, as `cache.expire` does. Resolves to whether it was fresh. */
  expire(...args: Args): Promise<boolean>
}

/**
 * Wraps `run` so that its calls go through `cache`.
 *
 * @throws TypeError when there is neither `key` nor `name`.
 */
export function wrap<Args extends unknown[], V>(
  cache: Pick<Cache, 'getOrSet' | 'delete' | 'expire'>,
  run: (...args: Args) => V | PromiseLike<V>,
  options: WrapOptions<Args, V>,
): Wrapped<Args, V> {
  checkFunction(run, 'run')
  const call = callOf(options)
  const keyOf = options.key ?? keyByName(options.name)
  const scope: KeyOptions = call.version === undefined ? {} : { version: call.version }
  const wrapped = (...args: Args): Promise<V> => {
    try {
      return cache.getOrSet<unknown>(keyOf(...args), () => run(...args), call) as Promise<V>
    } catch (error) {
      return Promise.reject(error)
    }
  }
  return Object.assign(wrapped, {
    key: keyOf,
    invalidate: async (...args: Args) => cache.delete(keyOf(...args), scope),
    expire: async (...args: Args) => cache.expire(keyOf(...args), scope),
  })
}

/**
 * Answers calls of a method from `cache`. Objects of one class share the entries, so what a key does not say of the
 * object, the method must not depend on.
 *
 * @param options - As for `cache.wrap`; `key` is called with the object as `this`.
 * @example
 * class Users {
 *   \@cached(cache, { key: (id: number) => `user:${id}`, ttl: '5m' })
 *   async byId(id: number) { … }
 * }
 */
export function cached<Args extends unknown[], V>(
  cache: Pick<Cache, 'getOrSet'>,
  options: WrapOptions<Args, V>,
): <This>(
  method: (this: This, ...args: Args) => V | PromiseLike<V>,
  context: { readonly name: string | symbol },
) => (this: This, ...args: Args) => Promise<V> {
  const call = callOf(options)
  const { key: given, name } = options
  return (method, context) => {
    const keyOf = given ?? keyByName(name === undefined ? String(context.name) : name)
    return async function (this, ...args) {
      const key = keyOf.apply(this, args)
      return cache.getOrSet<unknown>(key, () => method.apply(this, args), call) as Promise<V>
    }
  }
}

/**
 * Deletes keys of `cache` around a method that changes what they stand for: before it, so that nothing from before is
 * served while it runs, and after it, whether it succeeded or not, so that nothing loaded meanwhile stays.
 *
 * @param keys - The keys that a call concerns; called with the object as `this`.
 */
export function invalidates<Args extends unknown[]>(
  cache: Pick<Cache, 'delete'>,
  keys: (...args: Args) => Key | readonly Key[],
): <This, All extends [...Args, ...unknown[]], R>(
  method: (this: This, ...args: All) => R | PromiseLike<R>,
  context: { readonly name: string | symbol },
) => (this: This, ...args: All) => Promise<R> {
  return (method) =>
    async function (this, ...args) {
      const own = keys.apply(this, args as unknown as Args)
      return invalidateAround(cache, own, () => method.apply(this, args))
    }
}

/** Deletes `keys` before and after `change`; see `Cache.invalidateAround`. */
export async function invalidateAround<R>(
  cache: Pick<Cache, 'delete'>,
  keys: Key | readonly Key[],
  change: () => R | PromiseLike<R>,
): Promise<R> {
  checkFunction(change, 'change')
  const all = typeof keys === 'object' ? checkSeveral(keys, 'keys') : [keys]
  await Promise.all(all.map((key) => cache.delete(key)))
  try {
    return await change()
  } finally {
    await Promise.all(all.map((key) => cache.delete(key)))
  }
}

/** What wrapped calls are told, refused at once when no call could be told it. */
function callOf<Args extends unknown[], V>(options: WrapOptions<Args, V>): LoadOptions<V> {
  if (typeof options !== 'object' || options === null)
    throw new TypeError(`options: ${describe(options)} is not an object with a name, or a key`)
  const { key, name: _, ...call } = options
  if (key !== undefined) checkFunction(key, 'key')
  if (call.version !== undefined) withVersion({ prefix: '' }, call.version)
  checkCall(call)
  return call
}

function keyByName(name: string | undefined): (...args: readonly unknown[]) => string {
  if (typeof name !== 'string' || name === '') {
    throw new TypeError(`name: ${describe(name)} is no name; a wrapped function needs one, or a key`)
  }
  return (...args) => `${name}(${args.map(textOf).join()})`
}

/** An argument as text that no other argument has. */
function textOf(arg: unknown): string {
  if (typeof arg === 'string') return JSON.stringify(arg)
  if (typeof arg === 'bigint') return `${arg}n`
  if (typeof arg === 'boolean' || arg === null || (typeof arg === 'number' && Number.isFinite(arg))) {
    return String(arg)
  }
  throw new TypeError(
    `key: ${describe(arg)} makes no key by itself; give wrap a function of the arguments as key`,
  )
}
