// The public names of the root entry. Tiers, buses, codecs and L1 alone have entries of their own, so that
// importing the root reaches no `node:` module and no client library.

export type { Bus, BusListener } from './bus/bus.ts'
export type {
  Cache,
  CacheEntry,
  CacheHealth,
  CacheStats,
  ClearOptions,
  KeyOptions,
  L1View,
  NamespaceOptions,
  ReadOptions,
  TierStats,
} from './cache.ts'
export type { Clock, Timer } from './clock.ts'
export type { Codec } from './codecs/codec.ts'
export type { BulkLoader, BulkLoaderContext } from './coordinator/batch.ts'
export type { Undelivered } from './coordinator/delivery.ts'
export type { Loader, LoaderContext, ValidatorsGiven } from './coordinator/loading.ts'
export type { Lock, LockOptions } from './coordinator/locks.ts'
export type { EvictionPolicy } from './core/policies.ts'
export { type CacheL1Options, type CacheOptions, createCache } from './create-cache.ts'
export type { Duration, DurationUnit } from './duration.ts'
export { CacheError, type CacheErrorCode, type CacheErrorDetails } from './errors.ts'
export type { LaterInvalidations } from './invalidate-after.ts'
export type { Key, KeyVersion } from './key.ts'
export type { CacheOf, KeyIn, TypedCache } from './key-map.ts'
export type { L1Stats, RestoreOutcome } from './l1/l1.ts'
export { cached, invalidates, type WrapOptions, type Wrapped } from './memoize.ts'
export type { Message, MessageOp } from './message.ts'
export type { CacheEventName, CacheEvents, Level, MutationOp } from './metrics/events.ts'
export type {
  CallOptions,
  LifetimeOptions,
  LoadLimits,
  LoadOptions,
  RefreshAhead,
  Skip,
} from './options.ts'
export type { Random } from './random.ts'
export type { RequestPort } from './request-memory.ts'
export type { Stamp } from './stamp.ts'
export type { TagFate, TagPlaces } from './tag-table.ts'
export type { Committed, Ledger, LedgerReading, Mutation, Origin, TagsReading } from './tiers/ledger.ts'
export type { Tier, TierEntry, TierScope, TierSupports, TierWrite } from './tiers/tier.ts'
