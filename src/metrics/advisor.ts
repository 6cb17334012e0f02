// Options that are right each by itself and defeat each other. Said once, when a cache is made; nothing is changed.

/** What is looked at. */
export interface Advised {
  /** `undefined` when the cache names none. */
  readonly ttlMs: number | undefined
  readonly staleWhileRevalidateMs: number
  readonly staleIfErrorMs: number
  readonly loadTimeoutMs: number
  readonly softLoadTimeoutMs: number
  readonly maxLoads: number
  readonly hasRefreshAhead: boolean
  readonly hasL1: boolean
  /** Scopes of the tiers, from the nearest to the farthest. */
  readonly scopes: readonly string[]
  readonly hasBus: boolean
  readonly loadLeaseMs: number
  /** Whether an authority keeps entries, and so leases. */
  readonly hasLeases: boolean
}

/** Advice for a cache; empty when its options go together. */
export function adviceOn(options: Advised): string[] {
  const { loadTimeoutMs, maxLoads, softLoadTimeoutMs, staleIfErrorMs, staleWhileRevalidateMs, ttlMs } =
    options
  const advice: string[] = []
  const forEver = Number.POSITIVE_INFINITY
  if (softLoadTimeoutMs !== forEver && staleIfErrorMs === 0) {
    advice.push('softLoadTimeout: without staleIfError there is no value that a caller could go on with')
  }
  if (softLoadTimeoutMs >= loadTimeoutMs && softLoadTimeoutMs !== forEver) {
    advice.push('softLoadTimeout: it is not shorter than loadTimeout, which ends the waiting first')
  }
  if (maxLoads !== forEver && loadTimeoutMs === forEver) {
    advice.push('maxLoads: without loadTimeout, loaders that never settle keep their places for ever')
  }
  if (ttlMs === forEver && staleWhileRevalidateMs + staleIfErrorMs > 0) {
    advice.push('ttl: null never ends, so staleWhileRevalidate and staleIfError never begin')
  }
  if (ttlMs === forEver && options.hasRefreshAhead) {
    advice.push('refreshAhead: a ttl of null has no share after which it could be')
  }
  if (ttlMs === 0) advice.push('ttl: 0 stores nothing, in a whole cache')
  if (!options.hasL1 && options.scopes.length === 0) {
    advice.push('l1: it is off and there are no tiers, so nothing is kept anywhere')
  }
  if (options.hasL1 && !options.hasBus && options.scopes.some((scope) => scope !== 'process')) {
    advice.push(
      'bus: other processes share a tier and nothing tells of their changes, so L1 is old for up to a ttl',
    )
  }
  if (options.loadLeaseMs > 0 && !options.hasLeases) {
    advice.push('loadLease: there is no authority that keeps entries, so each process loads for itself')
  }
  return advice
}
