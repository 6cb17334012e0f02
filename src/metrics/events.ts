// Every event a cache can tell of, and the one place that tells them. An event is noun and past
// participle; there is one per decision, so that no log line is needed anywhere else.
//
// Nothing is paid without a listener: whoever would tell asks `hears(name)` before it builds the event.

import { describe } from '../duration.ts'
import type { CacheError } from '../errors.ts'
import type { Key } from '../key.ts'

/** Where an answer came from: `l1`, the name of a tier, or `request` for what the request had seen. */
export type Level = string

/** What a mutation did. */
export type MutationOp =
  | 'set'
  | 'add'
  | 'touch'
  | 'increment'
  | 'expire'
  | 'move'
  | 'delete'
  | 'clear'
  | 'expire-tags'
  | 'delete-tags'

/** Name and payload of every event. */
export interface CacheEvents {
  /** A value was found. `stale` when it was past its ttl. */
  'entry.hit': { key: Key; level: Level; stale: boolean }
  /** No level had a usable value. */
  'entry.missed': { key: Key }
  /** Another process changed a key; the copy here, if there was one, was dropped. */
  'entry.invalidated': { key: Key; origin: string }
  /** A tier's bytes were not an entry of this cache: damaged, of another format or another codec. Read as a miss. */
  'entry.undecodable': { key: Key; tier: string; error: CacheError }
  /** A loaded value has no bytes in the cache's codec; the caller got it, nobody keeps it. */
  'entry.unencodable': { key: Key; error: unknown }
  /** A loader ran and resolved. `stored` is false when a mutation overtook it, or its ttl was 0, or it resolved to `undefined`. */
  'load.finished': { key: Key; durationMs: number; stored: boolean }
  /**
   * A loader rejected, threw or outlasted its limit, or what another process was loading was not there within it;
   * `servedStale` when a stale value went out in its place.
   */
  'load.failed': { key: Key; durationMs: number; error: unknown; servedStale: boolean }
  /** A load was not begun, since one of the key failed a moment ago and its caller had something to go on with. */
  'load.throttled': { key: Key }
  /** A caller went on with a stale value after `softLoadTimeout`; the load goes on. */
  'load.outwaited': { key: Key; waitedMs: number }
  /** A refresh began behind an answer: that one was stale, or `ahead` of the end of its ttl. */
  'refresh.started': { key: Key; reason: 'stale' | 'ahead' }
  /** A mutation was taken by the authority; one that did not apply is none. */
  'mutation.committed': { op: MutationOp; key: Key | undefined }
  /** A mutation that the authority did not take waits for it, as `whenDown: 'queue'` says. */
  'mutation.queued': { op: MutationOp; key: Key | undefined }
  /** A tier failed or did not answer in time. Reads took it for a miss. */
  'tier.failed': { tier: string; operation: string; error: CacheError }
  /** The bus began to listen, or does so again; until then copies are not used. */
  'bus.connected': { bus: string }
  /** Messages may have been missed; copies older than this are checked with the authority before use. */
  'bus.gap': { bus: string; partition: number | undefined; reason: string }
  /** The bus does not work at the moment; copies are not used while that lasts. */
  'bus.failed': { bus: string; error: unknown }
  /** What came of a snapshot that the cache was given to begin with; `error` with `failed`, else `undefined`. */
  'snapshot.restored': { status: string; entries: number; leftOut: number; error: unknown }
  /** L1 answered with a copy for longer than a lease after the authority had something newer. That must never be. */
  'audit.stale': { key: Key; staleMs: number }
  /** A listener threw, or `waitUntil` did, which `event` names then; the cache went on. */
  'listener.failed': { event: string; error: unknown }
}

/** Name of an event. */
export type CacheEventName = keyof CacheEvents

const eventNames: Readonly<Record<CacheEventName, true>> = {
  'audit.stale': true,
  'bus.connected': true,
  'bus.failed': true,
  'bus.gap': true,
  'entry.hit': true,
  'entry.invalidated': true,
  'entry.missed': true,
  'entry.undecodable': true,
  'entry.unencodable': true,
  'listener.failed': true,
  'load.failed': true,
  'load.finished': true,
  'load.outwaited': true,
  'load.throttled': true,
  'mutation.committed': true,
  'mutation.queued': true,
  'refresh.started': true,
  'snapshot.restored': true,
  'tier.failed': true,
}

/** Tells listeners what happened. */
export class Events {
  readonly #listeners = new Map<CacheEventName, Set<(event: never) => void>>()
  /** `hears('entry.hit')`. A field, as each hit in L1 looks at it. */
  hearsHits = false

  /** Whether anyone listens to `name`; ask before building an event. */
  hears(name: CacheEventName): boolean {
    return this.#listeners.has(name)
  }

  /**
   * Adds a listener and returns the function that takes it away again.
   *
   * @throws TypeError for a name that no event has.
   */
  on<Name extends CacheEventName>(name: Name, listener: (event: CacheEvents[Name]) => void): () => void {
    if (!Object.hasOwn(eventNames, name)) {
      const known = Object.keys(eventNames).join(', ')
      throw new TypeError(`name: there is no event ${describe(name)}; there are ${known}`)
    }
    const listeners = this.#listeners.get(name) ?? new Set()
    this.#listeners.set(name, listeners)
    listeners.add(listener)
    this.hearsHits = this.#listeners.has('entry.hit')
    return () => {
      listeners.delete(listener)
      if (listeners.size === 0 && this.#listeners.get(name) === listeners) this.#listeners.delete(name)
      this.hearsHits = this.#listeners.has('entry.hit')
    }
  }

  /** Calls the listeners of `name`, in the order in which they came. A listener that throws stops nobody. */
  tell<Name extends CacheEventName>(name: Name, event: CacheEvents[Name]): void {
    for (const listener of this.#listeners.get(name) ?? []) {
      try {
        ;(listener as (event: CacheEvents[Name]) => void)(event)
      } catch (error) {
        if (name !== 'listener.failed') this.tell('listener.failed', { event: name, error })
      }
    }
  }
}
