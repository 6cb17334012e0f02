// `tierwheel/http`: the cache that adapters put in front of handlers. Each adapter is an entry of its own, such as
// `tierwheel/http/express`.

export { type CacheControl, patchCacheControl, patchVary } from './headers.ts'
export { HttpCache, httpCache } from './http-cache.ts'
export type { HttpCacheOptions, PageOptions, PageTags } from './options.ts'
export type { FieldLine, Fields } from './policy/fields.ts'
export type { RequestHead } from './policy/storable.ts'
