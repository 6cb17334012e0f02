import { setTimeout as sleep } from 'node:timers/promises'
import type { Cache } from '../../src/cache.ts'
import { seed } from './seed.ts'
import { seededRandom } from './seeded-random.ts'

/**
 * 200 rounds in which one cache loads what the other deletes. The answers afterwards that are the old value.
 *
 * @param hearingMs - How long the other cache may take to hear of a delete that is acknowledged. A value that was kept
 *   is still answered when that is over.
 */
export async function raceLoads(here: Cache<string>, there: Cache<string>, hearingMs = 0): Promise<string[]> {
  const random = seededRandom(seed)
  const stale: string[] = []
  for (let round = 0; round < 200; round++) {
    const key = `key:${round % 20}`
    let source = `old ${round}`
    await here.delete(key)
    const load = async (): Promise<string> => {
      const value = source
      await sleep(Math.floor(3 * random()))
      return value
    }
    const loads = [there.getOrSet(key, load), here.getOrSet(`${key}:other`, load)]
    await sleep(Math.floor(3 * random()))
    source = `new ${round}`
    await here.delete(key)
    await Promise.all(loads)
    const isOld = (answer: string | undefined): boolean => answer !== undefined && answer !== source
    const own = await here.get(key)
    let other = await there.getOrSet(key, load)
    for (let waitedMs = 0; isOld(other) && waitedMs < hearingMs; waitedMs += 10) {
      await sleep(10)
      other = await there.getOrSet(key, load)
    }
    const old = [own, other, await here.getOrSet(key, load)].filter(isOld)
    for (const answer of old) stale.push(`${round}: ${answer}`)
  }
  return stale
}
