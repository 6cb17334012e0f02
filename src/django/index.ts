// Django's cache framework: settings, aliases, and its low-level API over the same cache as everything else.

export type { Backend, BackendSettings } from './backends.ts'
export { type Caches, type ConfigureOptions, configureCaches } from './caches.ts'
export { type CreateCacheTableOptions, createCacheTable } from './create-cache-table.ts'
export type { DjangoCache, DjangoKey, KeyFunction, TimeoutOption, VersionOption } from './django-cache.ts'
export { CacheKeyWarning, InvalidCacheBackendError, InvalidCacheKey, KeyNotFoundError } from './errors.ts'
export type { CacheSettings } from './settings.ts'
