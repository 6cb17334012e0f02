// What Django's cache raises and warns of, with its texts.

/** A name of a cache that is not configured, or of a backend that nobody can open. */
export class InvalidCacheBackendError extends Error {
  override readonly name = 'InvalidCacheBackendError'
}

/** A key that memcached cannot take. The other backends warn. */
export class InvalidCacheKey extends Error {
  override readonly name = 'InvalidCacheKey'
}

/** `incr`, `decr`, `incrVersion` or `decrVersion` of a key that is not there; Django's `ValueError`. */
export class KeyNotFoundError extends Error {
  override readonly name = 'KeyNotFoundError'
}

/** Told of a key that would cause errors with memcached. */
export class CacheKeyWarning extends Error {
  override readonly name = 'CacheKeyWarning'
}
