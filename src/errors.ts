// The errors a caller can meet. Few, because most failures are defined away: a missing key is
// `undefined`, a broken tier is a miss and an event. docs/reference/errors.md has a heading per code.

/** Why an operation failed. Codes are public API and stable; messages are prose and may change. */
export type CacheErrorCode =
  | 'CACHE_CLOSED'
  | 'CACHE_DECODE_FAILED'
  | 'CACHE_ENCODE_FAILED'
  | 'CACHE_LOAD_TIMEOUT'
  | 'CACHE_LOCK_LOST'
  | 'CACHE_NOT_FOUND'
  | 'CACHE_NOT_SUPPORTED'
  | 'CACHE_TIER_FAILED'

/** What an error is about. */
export interface CacheErrorDetails {
  /** The key, as the caller gave it. */
  key?: string | number | undefined
  /** Name of the tier or bus that failed. */
  tier?: string | undefined
  /** What was thrown underneath. */
  cause?: unknown
}

/** The one class a caller has to know: branch on `code`, read `cause` for the origin. */
export class CacheError extends Error {
  override readonly name = 'CacheError'
  readonly code: CacheErrorCode
  /** The key the operation was about; `undefined` when it was about none. */
  readonly key: string | number | undefined
  /** The tier or bus that failed; `undefined` when none did. */
  readonly tier: string | undefined

  constructor(code: CacheErrorCode, message: string, details: CacheErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause })
    this.code = code
    this.key = details.key
    this.tier = details.tier
  }
}
