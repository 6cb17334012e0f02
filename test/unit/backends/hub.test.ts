import { describe, expect, test } from 'vitest'
import { Hub, type HubLink, inProcessBus } from '../../../src/bus/in-process.ts'
import type { Message } from '../../../src/message.ts'
import { ManualClock } from '../../../src/testing/index.ts'
import type { Mutation } from '../../../src/tiers/ledger.ts'
import { memoryTier } from '../../../src/tiers/memory.ts'

const bytes = new TextEncoder().encode('value')
let serial = 0
const origin = () => ({ id: '0123456789abcdef', serial: ++serial })
const setOf = (key: string): Mutation => ({ op: 'set', key, bytes, remainingMs: Infinity })

/** A hub with a bus that writes down what it hears, as `keys of a message`, `echo …`, `gap` and `failure`. */
async function listenedHub(): Promise<{ hub: Hub; link: HubLink; heard: string[]; clock: ManualClock }> {
  const clock = new ManualClock()
  const hub = new Hub({ clock })
  const heard: string[] = []
  await inProcessBus({ hub }).subscribe({
    onMessage: ({ keys }) => void heard.push(keys.join()),
    onEcho: (token) => void heard.push(`echo ${token}`),
    onGap: (partition, stamps, reason) => void heard.push(`gap ${partition} ${stamps.length} ${reason}`),
    onFailure: (error) => void heard.push(`failure ${error}`),
  })
  const [link] = hub.links
  if (link === undefined) throw new Error('a listener has a link')
  return { hub, link, heard, clock }
}

describe('a hub', () => {
  test('refuses options that nobody reads or that make no sense', () => {
    expect(() => new Hub({ partition: 4 } as object)).toThrow(/partition.*partitions/)
    expect(() => new Hub({ partitions: 0 })).toThrow(RangeError)
    expect(() => new Hub({ partitions: 65_536 })).toThrow(RangeError)
    expect(() => new Hub({ logMessages: 0 })).toThrow(RangeError)
    expect(() => new Hub({ maxEntries: 1.5 })).toThrow(RangeError)
    expect(() => new Hub({ clock: {} as ManualClock })).toThrow(TypeError)
  })

  test('is a backend of its own, with a name that tells it from others', () => {
    expect(new Hub().channel).toMatch(/^hub:[0-9a-f]{16}$/)
    expect(new Hub().channel).not.toBe(new Hub().channel)
    const random = { bytes: (count: number) => new Uint8Array(count).fill(10), next: () => 0 }
    expect(new Hub({ random }).channel).toBe('hub:0a0a0a0a0a0a0a0a')
  })

  test('deals keys to all of its sixteen partitions', async () => {
    const readings = await new Hub().read(Array.from({ length: 400 }, (_, at) => `app:1:user:${at}`))
    expect(new Set(readings.map(({ asOf }) => asOf.partition)).size).toBe(16)
  })

  test('counts sequences up by one', async () => {
    const hub = new Hub({ partitions: 1 })
    for (let sequence = 1; sequence <= 5; sequence++) {
      expect((await hub.commit(setOf(`app:1:${sequence}`), origin())).stamp.sequence).toBe(sequence)
    }
    const [stood] = await hub.probe('token')
    const later = await hub.since({ partition: 0, epoch: stood?.epoch ?? 0, sequence: 2 })
    expect((later as Message[]).map(({ after, stamp }) => [after, stamp.sequence])).toEqual([
      [2, 3],
      [3, 4],
      [4, 5],
    ])
  })

  test('keeps as many messages of a partition as it was told, and says that there is a gap before', async () => {
    const hub = new Hub({ partitions: 1, logMessages: 3 })
    const [start] = await hub.probe('start')
    const stamps = []
    for (let at = 0; at < 5; at++) stamps.push((await hub.commit(setOf('app:1:a'), origin())).stamp)
    if (start === undefined || stamps[0] === undefined || stamps[1] === undefined)
      throw new Error('one stamp each')
    expect(await hub.since(start)).toBe('gap')
    expect(await hub.since(stamps[0])).toBe('gap')
    expect(await hub.since(stamps[1])).toHaveLength(3)
    expect(await hub.since({ ...start, partition: 2 })).toBe('gap')
  })

  test('begins its epochs in microseconds of the wall clock, and each later one is larger', async () => {
    const clock = new ManualClock(0, 1_700_000_000_000)
    const hub = new Hub({ clock })
    const epochOf = async () => (await hub.probe('token'))[0]?.epoch
    expect(await epochOf()).toBe(1_700_000_000_000_000)
    hub.reset()
    expect(await epochOf()).toBe(1_700_000_000_000_001)
    clock.advance(5)
    hub.reset()
    expect(await epochOf()).toBe(1_700_000_000_005_000)
    clock.setWall(0)
    hub.reset()
    expect(await epochOf()).toBe(1_700_000_000_005_001)
    clock.setWall(0)
    expect((await new Hub({ clock }).probe('token'))[0]?.epoch).toBe(1)
  })

  test('drops the entry that was written longest ago when it is full', async () => {
    const hub = new Hub({ maxEntries: 2 })
    const tier = memoryTier({ hub })
    await hub.commit(setOf('app:1:a'), origin())
    await tier.set({ key: 'app:1:b', bytes, remainingMs: Infinity })
    await hub.commit(setOf('app:1:a'), origin())
    await tier.set({ key: 'app:1:c', bytes, remainingMs: Infinity })
    const entries = await tier.getMany(['app:1:a', 'app:1:b', 'app:1:c'])
    expect(entries.map((entry) => entry !== undefined)).toEqual([true, false, true])
  })

  test('refuses a populate on an evicted key that was deleted meanwhile', async () => {
    const hub = new Hub({ maxEntries: 1 })
    const [before] = await hub.read(['app:1:a'])
    if (before === undefined) throw new Error('a reading for each key')
    await hub.commit({ op: 'delete', key: 'app:1:a' }, origin())
    for (let at = 0; at < 10; at++) await hub.commit(setOf(`app:1:other:${at}`), origin())
    expect(await hub.populate({ key: 'app:1:a', bytes, remainingMs: Infinity }, before.asOf)).toBe('refused')
  })

  test('without data orders and fences as with data, and takes what a tier holds out of the way', async () => {
    const hub = new Hub()
    const tier = memoryTier({ hub })
    const order = hub.withoutData()
    await tier.set({ key: 'app:1:a', bytes, remainingMs: Infinity })
    const { existed } = await order.commit(setOf('app:1:a'), origin())
    expect([order.keepsData, existed, await tier.get('app:1:a'), hub.entries.size]).toEqual([
      false,
      false,
      undefined,
      0,
    ])
    const [reading] = await order.read(['app:1:a'])
    if (reading === undefined) throw new Error('a reading for each key')
    expect(await order.populate({ key: 'app:1:a', bytes, remainingMs: Infinity }, reading.asOf)).toBe(
      'stored',
    )
    expect(hub.entries.size).toBe(0)
    await hub.commit({ op: 'delete', key: 'app:1:a' }, origin())
    expect(await order.populate({ key: 'app:1:a', bytes, remainingMs: Infinity }, reading.asOf)).toBe(
      'refused',
    )
  })
})

describe('a link of a hub', () => {
  test('delivers later, never inside the commit', async () => {
    const { hub, heard, clock } = await listenedHub()
    const commit = hub.commit(setOf('app:1:a'), origin())
    expect(heard).toEqual([])
    await commit
    await clock.run(0)
    expect(heard).toEqual(['app:1:a'])
  })

  test('held, keeps what comes until it is released', async () => {
    const { hub, link, heard, clock } = await listenedHub()
    link.hold()
    await hub.commit(setOf('app:1:a'), origin())
    await hub.commit(setOf('app:1:b'), origin())
    await hub.probe('token')
    await clock.run(0)
    expect([link.isHeld, heard, link.queue.length]).toEqual([true, [], 3])
    link.step()
    expect([link.isHeld, heard]).toEqual([true, ['app:1:a']])
    link.release()
    expect([link.isHeld, heard]).toEqual([false, ['app:1:a', 'app:1:b', 'echo token']])
    await hub.commit(setOf('app:1:c'), origin())
    await clock.run(0)
    expect(heard.at(-1)).toBe('app:1:c')
  })

  test('loses, doubles and swaps what a test takes out of its queue or puts in', async () => {
    const { hub, link, heard } = await listenedHub()
    link.hold()
    for (const key of ['a', 'b', 'c', 'd']) await hub.commit(setOf(`app:1:${key}`), origin())
    const [a, , c, d] = link.queue
    if (a === undefined || c === undefined || d === undefined) throw new Error('four on their way')
    link.queue.splice(0, 4, a, a, d, c)
    link.release()
    expect(heard).toEqual(['app:1:a', 'app:1:a', 'app:1:d', 'app:1:c'])
  })

  test('cut, says so and loses everything; mended, tells of the gap and goes on', async () => {
    const { hub, link, heard, clock } = await listenedHub()
    const lost = hub.commit(setOf('app:1:lost under way'), origin())
    link.cut('broken')
    await lost
    await hub.commit(setOf('app:1:lost'), origin())
    await clock.run(0)
    expect(heard).toEqual(['failure broken'])
    link.mend()
    link.mend()
    await hub.commit(setOf('app:1:a'), origin())
    await clock.run(0)
    expect(heard).toEqual(['failure broken', 'gap undefined 17 the link was cut', 'app:1:a'])
  })

  test('is gone when its bus is closed, and another listener hears the rest', async () => {
    const hub = new Hub()
    const heard: string[][] = [[], []]
    const buses = heard.map(() => inProcessBus({ hub }))
    for (const [at, bus] of buses.entries()) {
      await bus.subscribe({
        onMessage: ({ keys }) => void heard[at]?.push(keys.join()),
        onEcho: () => {},
        onGap: () => {},
        onFailure: () => {},
      })
    }
    expect(hub.links).toHaveLength(2)
    await hub.commit(setOf('app:1:a'), origin())
    await buses[0]?.close()
    expect(hub.links).toHaveLength(1)
    await hub.commit(setOf('app:1:b'), origin())
    await new ManualClock().run(0)
    expect(heard[1]).toEqual(['app:1:a', 'app:1:b'])
    expect(heard[0]).not.toContain('app:1:b')
  })
})
