// Keys that say which value is under them, for the compiler alone: `createCache<{ 'user:${string}': User }>()` has the
// methods of a cache with keys and values that go together. Nothing here exists at run time.

import type { Cache, CacheEntry, KeyOptions, L1View, ReadOptions } from './cache.ts'
import type { Loader } from './coordinator/loading.ts'
import type { Key } from './key.ts'
import type { CallOptions, LoadOptions } from './options.ts'

/** The keys of a map that are patterns such as `user:${string}`; a type of values has none. */
type PatternOf<K> = K extends string
  ? string extends K
    ? never
    : Record<never, never> extends Record<K, 1>
      ? K
      : never
  : never

/**
 * What `createCache<T>` returns: a cache of values `T`, or, where `T` has a key that is a pattern, of what its keys
 * say. A map without patterns is a value like any other: use `TypedCache` for it.
 */
export type CacheOf<T> = [PatternOf<keyof T>] extends [never] ? Cache<T> : TypedCache<T>

/** A key that a map knows. */
export type KeyIn<M> = keyof M & Key

/** A cache whose keys say what is under them. Methods that are not about one value are those of `Cache`. */
export interface TypedCache<M> extends Omit<Cache<M[keyof M]>, keyof TypedMethods<M>>, TypedMethods<M> {}

interface TypedMethods<M> {
  readonly l1: TypedL1View<M>
  get<K extends KeyIn<M>>(key: K, options?: ReadOptions): Promise<M[K] | undefined>
  getEntry<K extends KeyIn<M>>(key: K, options?: KeyOptions): Promise<CacheEntry<M[K]> | undefined>
  getOrSet<K extends KeyIn<M>>(
    key: K,
    load: Loader<M[K], M[K]>,
    options?: LoadOptions<NoInfer<M[K]>>,
  ): Promise<M[K]>
  getMany<K extends KeyIn<M>>(keys: Iterable<K>, options?: ReadOptions): Promise<Map<K, M[K]>>
  set<K extends KeyIn<M>>(key: K, value: M[K], options?: CallOptions): Promise<boolean>
  add<K extends KeyIn<M>>(key: K, value: M[K], options?: CallOptions): Promise<boolean>
  pull<K extends KeyIn<M>>(key: K, options?: KeyOptions): Promise<M[K] | undefined>
  has(key: KeyIn<M>, options?: ReadOptions): Promise<boolean>
  delete(key: KeyIn<M>, options?: KeyOptions): Promise<boolean>
  deleteMany(keys: Iterable<KeyIn<M>>, options?: KeyOptions): Promise<{ deleted: number; failed: Key[] }>
  expire(key: KeyIn<M>, options?: KeyOptions): Promise<boolean>
  touch(key: KeyIn<M>, options?: CallOptions): Promise<boolean>
}

interface TypedL1View<M> extends Pick<L1View<unknown>, 'size' | 'bytes'> {
  get<K extends KeyIn<M>>(key: K, options?: KeyOptions): M[K] | undefined
  has(key: KeyIn<M>, options?: KeyOptions): boolean
}
