// Cache-Status (RFC 9211): what this cache did, for whoever debugs. It names no key, no tag and no header value.

/** Why a request went to the origin. */
export type ForwardReason = 'bypass' | 'method' | 'uri-miss' | 'vary-miss' | 'stale' | 'request' | 'miss'

/** What became of a request. */
export type CacheOutcome =
  | { readonly kind: 'hit'; readonly leftSeconds: number; readonly detail?: string }
  | {
      readonly kind: 'forwarded'
      readonly reason: ForwardReason
      readonly status?: number | undefined
      readonly stored: boolean
      readonly collapsed: boolean
      readonly detail?: string | undefined
    }

/**
 * The field's member for this cache.
 *
 * @param name - A token, or any text, which is quoted then.
 */
export function formatCacheStatus(name: string, outcome: CacheOutcome): string {
  if (outcome.kind === 'hit') {
    const detail = outcome.detail === undefined ? '' : `; detail=${outcome.detail}`
    return `${name}; hit; ttl=${outcome.leftSeconds}${detail}`
  }
  const status = outcome.status === undefined ? '' : `; fwd-status=${outcome.status}`
  const stored = outcome.stored ? '; stored' : ''
  const collapsed = outcome.collapsed ? '; collapsed' : ''
  const detail = outcome.detail === undefined ? '' : `; detail=${outcome.detail}`
  return `${name}; fwd=${outcome.reason}${status}${stored}${collapsed}${detail}`
}
