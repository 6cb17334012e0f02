// What an entry that is set says of its tags, to the tiers and beside its value in L1.

import type { Lifetime } from '../entry.ts'
import type { ResolvedCall } from '../options.ts'
import type { Stamp } from '../stamp.ts'
import { marked, type Note } from './copies.ts'
import { noteOf } from './renewal.ts'
import type { Tagged, Tags } from './tags.ts'

/** Both are given up to where invalidations are known; `undefined` where that is nowhere. */
export interface Tagging {
  taggedAt(since: Stamp | undefined): Tagged | undefined
  noteAt(since: Stamp | undefined): Note | undefined
}

/** Older than every place that an authority gives out. */
const BEFORE_ALL: Stamp = { partition: 0, epoch: 0, sequence: 0 }

/** The tagging of a value that is set with `call`. */
export function taggingOf(tags: Tags, call: ResolvedCall, lifetime: Lifetime): Tagging {
  const beside = noteOf(call.refreshAhead, lifetime.ttlMs, undefined, undefined)
  const taggedAt = (since: Stamp | undefined): Tagged | undefined =>
    call.tags.length === 0 ? undefined : { tags: call.tags, since: since ?? BEFORE_ALL }
  const noteAt = (since: Stamp | undefined): Note | undefined => {
    const tagged = taggedAt(since)
    return marked(beside, tagged && tags.markOf(tagged))
  }
  return { taggedAt, noteAt }
}
