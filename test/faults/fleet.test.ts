// Several processes over a real Redis while faults strike it, them, and the wires between: what they were answered is
// recorded and held against C1 to C9 by the simulator's checker. In `npm test` there are a few faults on one server;
// `npm run test:faults` has thirty, and Sentinel and a cluster as well.

import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { makeFolder, removeFolder } from '../support/folder.ts'
import { hasSentinel } from '../support/redis-sentinels.ts'
import { hasRedis } from '../support/redis-server.ts'
import { seed } from '../support/seed.ts'
import { seededRandom } from '../support/seeded-random.ts'
import { Fleet } from './fleet/fleet.ts'
import { aloneWorld, clusterWorld, sentinelWorld, type World } from './fleet/world.ts'

/** How many faults strike; none is given in `npm test`. */
const asked = process.env.FAULTS === undefined ? undefined : Number(process.env.FAULTS)
const isLong = asked !== undefined
/** What the faults that strike have in their names. */
const only = process.env.ONLY ?? ''
const LEASE_MS = isLong ? 3_000 : 1_000
const repeat = `SEED=${seed} npm run test:faults`

async function strike(
  open: (folder: string, members: number) => Promise<World>,
  members: number,
  faults: number,
): Promise<void> {
  const folder = makeFolder()
  const world = await open(folder, members)
  const fleet = new Fleet({
    seed,
    members,
    folder,
    leaseMs: LEASE_MS,
    thinkMs: 60,
    writeShare: 0.08,
    way: world.way,
  })
  const struck: string[] = []
  const random = seededRandom(seed)
  try {
    await fleet.start()
    const names: string[] = []
    const startedAt = performance.now()
    for (let turn = 1; turn <= faults; turn++) {
      await sleep(300 + 900 * random())
      // Each kind once before any comes again.
      if (names.length === 0) names.push(...Object.keys(world.faults).filter((each) => each.includes(only)))
      const [name] = names.splice(Math.floor(random() * names.length), 1) as [string]
      struck.push(name)
      await world.faults[name]?.(fleet, random)
      await fleet.checkAlive()
      if (isLong) {
        const leftS = Math.ceil((((performance.now() - startedAt) / turn) * (faults - turn)) / 1_000)
        console.log(`${world.name}: ${turn} of ${faults}, ${name}; SEED=${seed}, about ${leftS} s left`)
      }
    }
    const account = await fleet.finish()
    console.log(`${world.name}, SEED=${seed}: ${JSON.stringify({ faults, ...account })}`)
    // A run in which little was answered shows little.
    expect(account.answers, repeat).toBeGreaterThan(20 * members)
    expect(account.acknowledged, repeat).toBeGreaterThan(2 * members)
  } catch (error) {
    const { message } = error as Error
    throw new Error(`${world.name}: ${message}\nstruck by: ${struck.join('; ')}\nrepeat: ${repeat}`, {
      cause: error,
    })
  } finally {
    await fleet.end()
    await world.end()
    if (process.env.KEEP === undefined) removeFolder(folder)
    else console.log(`kept: ${join(folder, '*.jsonl')}`)
  }
}

describe.skipIf(!hasRedis())('a fleet over Redis, under faults', () => {
  test('one server: C1 to C9 hold', () => strike(aloneWorld, isLong ? 8 : 4, asked ?? 4), 900_000)

  describe.skipIf(!isLong)('elsewhere', () => {
    const half = Math.ceil((asked ?? 0) / 2)
    test.skipIf(!isLong || !hasSentinel()).each(['server', 'replica'] as const)(
      'sentinels, a mutation counts when it is at the %s: C1 to C9 hold',
      (durability) => strike((folder) => sentinelWorld(folder, durability), 8, half),
      900_000,
    )
    test('three masters and their replicas: C1 to C9 hold', () => strike(clusterWorld, 8, half), 900_000)
  })
})
