// The events of caches on Node's diagnostics channels, for tools that watch a program from outside of it.

import { channel } from 'node:diagnostics_channel'
import { checkSeveral } from '../options.ts'
import type { CacheEventName, CacheEvents } from './events.ts'

/** What can be listened to: a cache. */
export interface EventSource {
  on<Name extends CacheEventName>(name: Name, listener: (event: CacheEvents[Name]) => void): () => void
}

/** What a subscriber of a channel gets. */
export interface Diagnostic<Name extends CacheEventName = CacheEventName> {
  /** The name given to `publishEvents`. */
  readonly cache: string
  readonly event: CacheEvents[Name]
}

/**
 * Publishes events of `source` on the channels `tierwheel:<event>`, such as `tierwheel:load.failed`.
 *
 * @param cache - Tells caches apart; part of each message.
 * @param names - Which events. Each that is named is built from then on, subscriber or not, so `entry.hit` costs every
 *   hit an object.
 * @returns Ends it.
 * @example
 * publishEvents(cache, 'users', ['load.failed', 'tier.failed'])
 */
export function publishEvents(
  source: EventSource,
  cache: string,
  names: readonly CacheEventName[],
): () => void {
  const ends = checkSeveral(names, 'names').map((name) => {
    const target = channel(`tierwheel:${name}`)
    return source.on(name, (event) => {
      if (target.hasSubscribers) target.publish({ cache, event } satisfies Diagnostic)
    })
  })
  return () => {
    for (const end of ends) end()
  }
}
