import { setTimeout as sleep } from 'node:timers/promises'
import type { Cache } from '../../src/cache.ts'
import { seed } from './seed.ts'
import { seededRandom } from './seeded-random.ts'

/** 200 rounds in which one cache loads what the other deletes. The answers afterwards that are the old value. */
export async function raceLoads(here: Cache<string>, there: Cache<string>): Promise<string[]> {
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
    const answers = [await here.get(key), await there.getOrSet(key, load), await here.getOrSet(key, load)]
    for (const answer of answers)
      if (answer !== undefined && answer !== source) stale.push(`${round}: ${answer}`)
  }
  return stale
}
