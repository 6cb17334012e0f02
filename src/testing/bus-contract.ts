// The suite that every bus passes: two buses on one backend, as two processes have them, each with its own
// listener. Nothing here asks how fast a message comes, only that it comes, in order, or that a gap is told.

import type { Bus } from '../bus/bus.ts'
import type { Message } from '../message.ts'
import type { Stamp } from '../stamp.ts'
import type { Committed, Mutation } from '../tiers/ledger.ts'
import { BusObserver } from './bus-observer.ts'
import { isTrue, type Runner, rejects, same } from './expect.ts'
import { hostileKeys } from './hostile-keys.ts'
import { until } from './until.ts'

/** Two fresh buses on one fresh backend. */
export interface BusUnderTest {
  readonly bus: Bus
  /** A second bus on the same backend, as another process has it. */
  readonly other: Bus
  /** Gives the buses a chance to hear what was committed; called up to 500 times for one message. */
  settle(): Promise<void>
  /** Releases what `open` made beside the buses, after they were closed. */
  close?(): Promise<void> | void
}

/** So many times `settle` is called before it is believed that nothing comes. */
const QUIET_TURNS = 10

/**
 * Declares the tests of the bus contract.
 *
 * @param open - Makes two fresh buses on one backend for each test; the suite closes them.
 */
export function busContract(name: string, open: () => Promise<BusUnderTest>, runner: Runner): void {
  const { describe, test } = runner

  const withBuses = (body: (underTest: BusUnderTest) => Promise<void>) => async (): Promise<void> => {
    const underTest = await open()
    try {
      await body(underTest)
    } finally {
      await underTest.bus.close()
      await underTest.other.close()
      await underTest.close?.()
    }
  }

  describe(`bus contract: ${name}`, () => {
    test(
      'a bus says its name, its scope, and the channel of its ledger',
      withBuses(async ({ bus, other }) => {
        isTrue(/^[a-z][a-z0-9-]*$/.test(bus.name), `name: ${bus.name}`)
        isTrue(['process', 'machine', 'fleet'].includes(bus.scope), `scope: ${bus.scope}`)
        isTrue(bus.channel.length > 0, 'channel')
        same(bus.ledger.channel, bus.channel, 'ledger')
        same([other.channel, other.ledger.channel], [bus.channel, bus.channel], 'both buses have one backend')
        same(other.ledger.partitions, bus.ledger.partitions)
      }),
    )

    test(
      'subscribe says where each partition stands',
      withBuses(async ({ bus, other }) => {
        const { stamp } = await commit(bus, 1)
        const late = await commit(other, 2)
        const stamps = await bus.subscribe(new BusObserver())
        same(
          stamps.map(({ partition }) => partition),
          stamps.map((_, at) => at),
          'in order',
        )
        same(stamps.length, bus.ledger.partitions + 1, 'those of keys, and the tag partition')
        same(stamps, await bus.ledger.probe('token'))
        isTrue(
          (stamps[stamp.partition]?.sequence ?? -1) >= stamp.sequence,
          'it stands at what was committed before',
        )
        isTrue((stamps[late.stamp.partition]?.sequence ?? -1) >= late.stamp.sequence, 'by anyone')
      }),
    )

    test(
      'both processes are told every commit of either, in order',
      withBuses(async ({ bus, other, settle }) => {
        const here = await observe(bus)
        const there = await observe(other)
        const stamps: Stamp[] = []
        for (let serial = 1; serial <= 40; serial++) {
          stamps.push((await commit(serial % 3 === 0 ? other : bus, serial)).stamp)
        }
        await until(
          settle,
          () => heardAll(here, stamps) && heardAll(there, stamps),
          'forty messages on both sides',
        )
        same([here.disorder, there.disorder], [[], []])
        same(toldOf(here), toldOf(there), 'both are told the same')
      }),
    )

    test(
      'commits made at once are told in the order of their stamps',
      withBuses(async ({ bus, other, settle }) => {
        const here = await observe(bus)
        const there = await observe(other)
        const commits = Array.from({ length: 200 }, (_, at) => commit(at % 2 === 0 ? bus : other, at + 1))
        const stamps = (await Promise.all(commits)).map(({ stamp }) => stamp)
        await until(
          settle,
          () => heardAll(here, stamps) && heardAll(there, stamps),
          'two hundred messages on both sides',
        )
        same([here.disorder, there.disorder], [[], []])
        for (const observer of [here, there]) {
          for (const stamp of await bus.ledger.probe('end')) same(observer.positionOf(stamp.partition), stamp)
        }
      }),
    )

    test(
      'a process is told what it committed itself',
      withBuses(async ({ bus, settle }) => {
        const observer = await observe(bus)
        const { stamp } = await bus.ledger.commit(setOf('app:1:a'), {
          id: 'ffffffffffffffff',
          serial: 9_007_199_254_740_991,
        })
        await until(settle, () => observer.heard(stamp), 'its own message')
        const message = observer.messages.find(({ keys }) => keys[0] === 'app:1:a')
        same(
          [message?.op, message?.origin, message?.serial, message?.stamp],
          ['set', 'ffffffffffffffff', 9_007_199_254_740_991, stamp],
        )
      }),
    )

    test(
      'a commit that runs while a process subscribes is in its stamps or is told',
      withBuses(async ({ bus, other, settle }) => {
        for (let round = 0; round < 10; round++) {
          const observer = new BusObserver()
          const [before, stamps, after] = await Promise.all([
            commit(other, 2 * round + 1),
            bus.subscribe(observer),
            commit(other, 2 * round + 2),
          ])
          observer.begin(stamps)
          const end = await commit(other, 1_000 + round)
          const isKnown = ({ stamp }: Committed): boolean =>
            observer.heard(stamp) || (stamps[stamp.partition]?.sequence ?? -1) >= stamp.sequence
          await until(settle, () => [before, after, end].every(isKnown), `the commits of round ${round}`)
          same(observer.disorder, [], `round ${round}`)
        }
      }),
    )

    test(
      'an echo comes behind every message before it',
      withBuses(async ({ bus, other, settle }) => {
        const observer = await observe(bus)
        for (let round = 0; round < 10; round++) {
          const commits = Array.from({ length: 8 }, (_, at) =>
            commit(at % 2 === 0 ? other : bus, round * 8 + at + 1),
          )
          const stamps = (await Promise.all(commits)).map(({ stamp }) => stamp)
          const token = `token-${round}`
          const probed = await bus.ledger.probe(token)
          await until(settle, () => observer.echoOf(token) !== undefined, `the echo of ${token}`)
          const echo = observer.echoOf(token)
          const before = new BusObserver()
          for (const event of observer.events.slice(0, echo?.at)) {
            if (event.kind === 'message') before.onMessage(event.message)
            if (event.kind === 'gap') before.onGap(event.partition, event.stamps, '')
          }
          isTrue(heardAll(before, stamps), `${token}: a message came behind the echo`)
          same(echo?.stamps.length, probed.length)
          for (const { partition, sequence } of probed) {
            isTrue(
              (echo?.stamps[partition]?.sequence ?? -1) >= sequence,
              `${token}: stamp of partition ${partition}`,
            )
          }
        }
        const tokens = observer.events.flatMap((event) => (event.kind === 'echo' ? [event.token] : []))
        same(new Set(tokens).size, 10, tokens.join(' '))
      }),
    )

    test(
      'a clear is told in every partition',
      withBuses(async ({ bus, other, settle }) => {
        const here = await observe(bus)
        const there = await observe(other)
        await commit(bus, 1)
        await other.ledger.commit({ op: 'clear', prefix: 'app:' }, { id: ORIGIN, serial: 2 })
        const stamps = (await bus.ledger.probe('end')).slice(0, bus.ledger.partitions)
        await until(settle, () => heardAll(here, stamps) && heardAll(there, stamps), 'the clear')
        for (const observer of [here, there]) {
          const clears = observer.messages.filter(({ op }) => op === 'clear')
          same(new Set(clears.map(({ stamp }) => stamp.partition)).size, bus.ledger.partitions)
          for (const { keys } of clears) same([...keys], ['app:'])
          same(observer.disorder, [])
        }
      }),
    )

    test(
      'keys arrive as they were committed, to the last bit',
      withBuses(async ({ bus, other, settle }) => {
        const observer = await observe(other)
        const stamps: Stamp[] = []
        for (const [at, key] of hostileKeys.entries()) {
          stamps.push((await bus.ledger.commit({ op: 'delete', key }, { id: ORIGIN, serial: at + 1 })).stamp)
        }
        await until(settle, () => heardAll(observer, stamps), 'a message for each key')
        const told = new Map(observer.messages.map((message) => [message.serial, message.keys]))
        for (const [at, key] of hostileKeys.entries()) same([...(told.get(at + 1) ?? [])], [key])
      }),
    )

    test(
      'a second subscribe takes the place of the first',
      withBuses(async ({ bus, settle }) => {
        const first = await observe(bus)
        const second = await observe(bus)
        const { stamp } = await commit(bus, 1)
        await until(settle, () => second.heard(stamp), 'a message to the second listener')
        same(first.heard(stamp), false, 'the first listener hears nothing any more')
        same(second.disorder, [])
      }),
    )

    test(
      'a closed bus tells nothing and refuses to listen, and the other goes on',
      withBuses(async ({ bus, other, settle }) => {
        const here = await observe(bus)
        const there = await observe(other)
        const first = await commit(other, 1)
        await until(
          settle,
          () => here.heard(first.stamp) && there.heard(first.stamp),
          'a message on both sides',
        )
        await bus.close()
        const told = here.events.length
        const second = await commit(other, 2)
        await until(settle, () => there.heard(second.stamp), 'a message on the other side')
        for (let turn = 0; turn < QUIET_TURNS; turn++) await settle()
        same(here.events.length, told, 'the closed one is told nothing')
        same(await bus.close(), undefined, 'closing twice is no harm')
        await rejects(
          bus.subscribe(new BusObserver()),
          (error) => (error as { code?: unknown } | null)?.code === 'CACHE_CLOSED',
          'subscribe after close',
        )
      }),
    )

    test(
      'closing keeps back what was still under way',
      withBuses(async ({ bus, other, settle }) => {
        const here = await observe(bus)
        const commits = Promise.all([commit(other, 1), commit(other, 2)])
        await bus.close()
        const told = here.events.length
        await commits
        for (let turn = 0; turn < QUIET_TURNS; turn++) await settle()
        same(here.events.length, told)
      }),
    )
  })
}

const ORIGIN = '0123456789abcdef'

function commit(bus: Bus, serial: number): Promise<Committed> {
  return bus.ledger.commit(setOf(`app:1:${serial % 7}`), { id: ORIGIN, serial })
}

function setOf(key: string): Mutation {
  return { op: 'set', key, bytes: new TextEncoder().encode('value'), remainingMs: Infinity }
}

async function observe(bus: Bus): Promise<BusObserver> {
  const observer = new BusObserver()
  observer.begin(await bus.subscribe(observer))
  return observer
}

function heardAll(observer: BusObserver, stamps: readonly Stamp[]): boolean {
  return stamps.every((stamp) => observer.heard(stamp))
}

/** What was told of each partition, in order, doubles left out. */
function toldOf(observer: BusObserver): Record<number, number[]> {
  const told: Record<number, number[]> = {}
  const isNew = (message: Message, serials: readonly number[]): boolean => !serials.includes(message.serial)
  for (const message of observer.messages) {
    told[message.stamp.partition] ??= []
    const serials = told[message.stamp.partition] as number[]
    if (isNew(message, serials)) serials.push(message.serial)
  }
  return told
}
