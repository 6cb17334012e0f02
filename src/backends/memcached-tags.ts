// Tags on Memcached: the order of invalidations is a counter, and each tag's last places are an item.
//
// Servers forget what they like. A counter that is gone begins a new epoch, as a lost state does. A tag that is gone is
// written again as deleted just now: what carries it and is older is not used, and nothing comes back. So a tag that
// is asked for the first time costs the entries that carry it, of which there are none yet.
//
// The items are entries of the keyspace whose keys begin with `#`, as no stored key does.

import type { Clock } from '../clock.ts'
import type { Stamp } from '../stamp.ts'
import type { TagFate, TagPlaces } from '../tag-table.ts'
import type { TagsReading } from '../tiers/ledger.ts'
import type { TierEntry, TierWrite } from '../tiers/tier.ts'
import type { MemcachedStore } from './memcached-store.ts'

const COUNTER = '#tags'

/** The tag partition of a keyspace. */
export class MemcachedTags {
  readonly #store: MemcachedStore
  readonly #clock: Clock

  constructor(store: MemcachedStore, clock: Clock) {
    this.#store = store
    this.#clock = clock
  }

  /** Where the order stands, `step` places further. */
  async stand(step = 0): Promise<Stamp> {
    let stamp = this.#stampOf(undefined)
    await this.#store.change(COUNTER, (entry) => {
      stamp = this.#stampOf(entry)
      if (step === 0 && entry !== undefined) return 'keep'
      stamp = { ...stamp, sequence: stamp.sequence + step }
      return { write: writeOf(COUNTER, [stamp.epoch, stamp.sequence]) }
    })
    return stamp
  }

  /** Invalidates tags; the place of it. */
  async invalidate(names: readonly string[], how: TagFate): Promise<Stamp> {
    const stamp = await this.stand(1)
    await Promise.all(
      names.map((name) =>
        this.#store.change(keyOf(name), (entry) => {
          const { expired, deleted } = this.#placesIn(entry, stamp) ?? { expired: undefined, deleted: stamp }
          const places =
            how === 'delete'
              ? { expired, deleted: latest(deleted, stamp) }
              : { expired: latest(expired, stamp), deleted }
          return { write: writeOf(keyOf(name), pairsOf(places)) }
        }),
      ),
    )
    return stamp
  }

  /** When tags were last invalidated. */
  async read(names: readonly string[]): Promise<TagsReading> {
    const tags = await Promise.all(names.map((name) => this.#find(name)))
    const asOf = await this.stand()
    const floor = { ...asOf, sequence: 0 }
    // Of an epoch that is over, so nothing is known of the tag in this one.
    const known = tags.map((places) =>
      [places.expired, places.deleted].some((place) => place !== undefined && place.epoch !== asOf.epoch)
        ? { expired: undefined, deleted: asOf }
        : places,
    )
    return { asOf, floor, tags: known }
  }

  async #find(name: string): Promise<TagPlaces> {
    const stamp = await this.stand()
    const { entry } = await this.#store.find(keyOf(name), 0)
    const places = this.#placesIn(entry, stamp)
    if (places !== undefined) return places
    const deleted = await this.stand(1)
    await this.#store.change(keyOf(name), (found) =>
      this.#placesIn(found, deleted) === undefined
        ? { write: writeOf(keyOf(name), pairsOf({ expired: undefined, deleted })) }
        : 'keep',
    )
    const { entry: kept } = await this.#store.find(keyOf(name), 0)
    return this.#placesIn(kept, deleted) ?? { expired: undefined, deleted }
  }

  #stampOf(entry: TierEntry | undefined): Stamp {
    const [epoch, sequence] = entry === undefined ? [] : numbersIn(entry)
    // Microseconds, so that a later state's epoch is larger.
    return {
      partition: this.#store.servers,
      epoch: epoch ?? Math.floor(this.#clock.wallNow() * 1_000),
      sequence: sequence ?? 0,
    }
  }

  /** What an item says of a tag in the epoch of a stamp. */
  #placesIn(entry: TierEntry | undefined, { partition, epoch }: Stamp): TagPlaces | undefined {
    if (entry === undefined) return undefined
    const [of, expired, deleted] = numbersIn(entry)
    if (of !== epoch || expired === undefined || deleted === undefined) return undefined
    const placeOf = (sequence: number): Stamp | undefined =>
      sequence === 0 ? undefined : { partition, epoch, sequence }
    return { expired: placeOf(expired), deleted: placeOf(deleted) }
  }
}

function keyOf(name: string): string {
  return `#tag ${name}`
}

function writeOf(key: string, numbers: readonly number[]): TierWrite {
  return { key, bytes: new TextEncoder().encode(numbers.join(' ')), remainingMs: Number.POSITIVE_INFINITY }
}

function numbersIn({ bytes }: TierEntry): number[] {
  const numbers = new TextDecoder().decode(bytes).split(' ').map(Number)
  return numbers.every(Number.isSafeInteger) ? numbers : []
}

function pairsOf({ expired, deleted }: TagPlaces): number[] {
  return [expired?.epoch ?? deleted?.epoch ?? 0, expired?.sequence ?? 0, deleted?.sequence ?? 0]
}

function latest(place: Stamp | undefined, stamp: Stamp): Stamp {
  return place !== undefined && place.sequence > stamp.sequence ? place : stamp
}
