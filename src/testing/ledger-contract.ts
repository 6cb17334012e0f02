// The suite that every ledger passes: the order of mutations, the fence in front of populates, the log
// behind `since`, and the bell that `commit` rings.
//
// A ledger is tested together with a bus on the same backend, since half of its promises are about what
// a listener of that bus may rely on. Time passes only in `settle` and `advance`, which the opener gives.
//
// It is one list of tests and nothing else, so it stays in one file.

import type { Bus } from '../bus/bus.ts'
import type { Clock } from '../clock.ts'
import type { Message } from '../message.ts'
import { isAtOrAfter, type Stamp } from '../stamp.ts'
import type { TagFate } from '../tag-table.ts'
import type { Committed, Ledger, LedgerReading, Mutation, Origin } from '../tiers/ledger.ts'
import type { TierEntry } from '../tiers/tier.ts'
import { BusObserver } from './bus-observer.ts'
import { isTrue, type Runner, rejects, same } from './expect.ts'
import { hostileKeys } from './hostile-keys.ts'
import { until } from './until.ts'

/** A fresh, empty ledger, and a bus on the same backend that nobody has subscribed to. */
export interface LedgerUnderTest {
  readonly ledger: Ledger
  /** A bus of this process on the ledger's backend; the suite subscribes to it. */
  readonly bus: Bus
  /** A second handle on the same backend, as another process has it; left out where there can be none. */
  readonly other?: Ledger
  /** How many messages of a partition are kept at the least, 128 or more; left out when too many to fill. */
  readonly logMessages?: number
  /** Of how many tags it is remembered when they were invalidated, 32 or more; left out when too many to fill. */
  readonly maxTags?: number
  /** The time the backend lives by. */
  readonly clock: Clock
  /** Lets at least `byMs` pass for the backend. */
  advance(byMs: number): Promise<void> | void
  /** Gives the bus a chance to hear what was committed; called up to 500 times for one message. */
  settle(): Promise<void>
  /** Makes the backend lose its memory, as after a crash; left out where that cannot be done. */
  reset?(): Promise<void> | void
  /** Releases all that `open` made, tiers and buses included. */
  close(): Promise<void> | void
}

const ORIGIN = '0123456789abcdef'
const OTHER_ORIGIN = 'fedcba9876543210'

/**
 * Declares the tests of the ledger contract.
 *
 * @param open - Makes a fresh, empty ledger for each test; the suite closes it.
 */
export function ledgerContract(name: string, open: () => Promise<LedgerUnderTest>, runner: Runner): void {
  const { describe, test } = runner

  const withLedger =
    (body: (underTest: LedgerUnderTest, hand: Hand) => Promise<void>) => async (): Promise<void> => {
      const underTest = await open()
      try {
        await body(underTest, new Hand(underTest.ledger))
      } finally {
        await underTest.close()
      }
    }

  describe(`ledger contract: ${name}`, () => {
    test(
      'a ledger says its channel and its partitions',
      withLedger(async ({ ledger, bus }) => {
        isTrue(ledger.channel.length > 0, 'channel')
        same(bus.channel, ledger.channel, 'the bus of the same backend says the same channel')
        isTrue(
          Number.isInteger(ledger.partitions) && ledger.partitions >= 1 && ledger.partitions <= 65_535,
          'partitions',
        )
        same(typeof ledger.keepsData, 'boolean')
      }),
    )

    test(
      'a read answers for each key in the order asked, with where its partition stands',
      withLedger(async ({ ledger }, hand) => {
        same(await ledger.read([]), [], 'no keys')
        const { stamp } = await hand.set('app:1:b', 'value')
        const readings = await ledger.read(['app:1:a', 'app:1:b', 'app:1:a'])
        same(readings.length, 3)
        const [absent, present, again] = readings as [LedgerReading, LedgerReading, LedgerReading]
        same(absent.entry, undefined)
        same(again, absent, 'a double is answered alike')
        same(present.asOf, stamp)
        same(textOf(present.entry), ledger.keepsData ? 'value' : undefined)
        for (const { asOf } of readings) {
          isTrue(
            Number.isInteger(asOf.partition) && asOf.partition >= 0 && asOf.partition < ledger.partitions,
            'partition',
          )
          isTrue(Number.isSafeInteger(asOf.epoch) && asOf.epoch > 0, `epoch ${asOf.epoch}`)
          isTrue(Number.isSafeInteger(asOf.sequence) && asOf.sequence >= 0, `sequence ${asOf.sequence}`)
        }
      }),
    )

    test(
      'all versions of a key live in one partition',
      withLedger(async ({ ledger }, hand) => {
        for (let at = 0; at < 20; at++) {
          const readings = await ledger.read([`app:1:user:${at}`, `app:2:user:${at}`, `app:v3:user:${at}`])
          const partitions = readings.map(({ asOf }) => asOf.partition)
          same(new Set(partitions).size, 1, `user:${at} lives in ${partitions.join(', ')}`)
          const { stamp } = await hand.delete(`app:4:user:${at}`)
          same(stamp.partition, partitions[0], 'a commit agrees with the reads')
        }
      }),
    )

    test(
      'a read after a commit sees it',
      withLedger(async ({ ledger, clock, advance }, hand) => {
        const bytes = bytesOf('first')
        const started = clock.now()
        const set = await hand.commit({ op: 'set', key: 'app:1:a', bytes, remainingMs: 10_000 })
        bytes.fill(0)
        const reading = await readOne(ledger, 'app:1:a')
        isTrue(isAtOrAfter(reading.asOf, set.stamp), 'asOf is at the commit')
        if (ledger.keepsData) {
          same(textOf(reading.entry), 'first', 'the bytes were copied')
          same(reading.entry?.stamp, set.stamp)
          const remainingMs = reading.entry?.remainingMs ?? Number.NaN
          const elapsedMs = clock.now() - started
          isTrue(remainingMs <= 10_001 && remainingMs >= 9_999 - elapsedMs, `remaining ${remainingMs}`)
        }
        const second = await hand.set('app:1:a', 'second')
        const after = await readOne(ledger, 'app:1:a')
        same(textOf(after.entry), ledger.keepsData ? 'second' : undefined)
        isTrue(isAtOrAfter(after.asOf, second.stamp), 'asOf is at the second commit')
        if (ledger.keepsData) same(after.entry?.remainingMs, Infinity)

        const deleted = await hand.delete('app:1:a')
        const gone = await readOne(ledger, 'app:1:a')
        same(gone.entry, undefined)
        isTrue(isAtOrAfter(gone.asOf, deleted.stamp), 'asOf is at the delete')

        await hand.set('app:1:a', 'short', 1_000)
        await advance(1_000)
        same((await readOne(ledger, 'app:1:a')).entry, undefined, 'gone at its deadline')
      }),
    )

    test(
      'a set without remaining time takes its place in the order and leaves no live entry',
      withLedger(async ({ ledger }, hand) => {
        const first = await hand.set('app:1:a', 'value')
        const second = await hand.set('app:1:a', 'value', 0)
        isTrue(isAfter(second.stamp, first.stamp), 'it has a place')
        same((await readOne(ledger, 'app:1:a')).entry, undefined)
      }),
    )

    test(
      'a commit says whether a live entry was there',
      withLedger(async ({ ledger, advance }, hand) => {
        const told: boolean[] = []
        told.push((await hand.set('app:1:a', '1')).existed)
        told.push((await hand.set('app:1:a', '2')).existed)
        told.push((await hand.delete('app:1:a')).existed)
        told.push((await hand.delete('app:1:a')).existed)
        told.push((await hand.set('app:1:a', '3', 1_000)).existed)
        await advance(1_000)
        told.push((await hand.delete('app:1:a')).existed)
        const expected = [false, true, true, false, false, false]
        same(told, ledger.keepsData ? expected : expected.map(() => false))
        same((await hand.clear('')).existed, false, 'a clear is about no key')
      }),
    )

    test(
      'the stamps of a partition grow with each mutation, and stand still without',
      withLedger(async ({ ledger }, hand) => {
        const before = (await readOne(ledger, 'app:1:a')).asOf
        let last = before
        for (let at = 0; at < 20; at++) {
          const { stamp } = at % 3 === 2 ? await hand.delete('app:1:a') : await hand.set('app:1:a', `${at}`)
          same([stamp.partition, stamp.epoch], [before.partition, before.epoch])
          isTrue(stamp.sequence > last.sequence, `${stamp.sequence} comes after ${last.sequence}`)
          last = stamp
        }
        same((await readOne(ledger, 'app:1:a')).asOf, last)
        same((await readOne(ledger, 'app:1:a')).asOf, last)
      }),
    )

    test(
      'a populate is stored when nothing came after its read',
      withLedger(async ({ ledger, bus }, hand) => {
        const observer = await observe(bus)
        await hand.set('app:1:other', 'value')
        const { asOf } = await readOne(ledger, 'app:1:a')
        same(await ledger.populate(writeOf('app:1:a', 'loaded'), asOf), 'stored')
        const reading = await readOne(ledger, 'app:1:a')
        same(textOf(reading.entry), ledger.keepsData ? 'loaded' : undefined)
        same(reading.asOf, asOf, 'a populate takes no place in the order')
        if (reading.entry?.stamp !== undefined) {
          isTrue(isAtOrAfter(asOf, reading.entry.stamp), 'its stamp is not after what it rests on')
        }
        same((await hand.set('app:1:a', 'set')).existed, ledger.keepsData, 'a populated entry is an entry')
        const messages = observer.messages.filter((message) => message.keys.includes('app:1:a'))
        isTrue(messages.length <= 1, 'a populate rings nothing')
      }),
    )

    for (const [what, mutate] of [
      ['a set', (hand: Hand, key: string) => hand.set(key, 'newer')],
      ['a delete', (hand: Hand, key: string) => hand.delete(key)],
      ['a set that left no live entry', (hand: Hand, key: string) => hand.set(key, 'newer', 0)],
      ['a clear of its prefix', (hand: Hand, key: string) => hand.clear(key.slice(0, 6))],
      ['a clear of everything', (hand: Hand) => hand.clear('')],
      ['an add', (hand: Hand, key: string) => hand.applied(addOf(key, 'newer'), key)],
      ['a swap', (hand: Hand, key: string) => hand.applied(swapOf(key, 'older', 'newer'), key, 'older')],
      [
        'an increment',
        (hand: Hand, key: string) => hand.applied({ op: 'increment', key, delta: 1, from: 1 }, key, '#7'),
      ],
      [
        'a touch',
        (hand: Hand, key: string) => hand.applied({ op: 'touch', key, remainingMs: 60_000 }, key, 'older'),
      ],
      [
        'a move from it',
        (hand: Hand, key: string) =>
          hand.applied({ op: 'move', key, to: key.replace('app:1:', 'app:2:') }, key, 'older'),
      ],
      [
        'a move to it',
        (hand: Hand, key: string) =>
          hand.applied(
            { op: 'move', key: key.replace('app:1:', 'app:2:'), to: key },
            key.replace('app:1:', 'app:2:'),
            'older',
          ),
      ],
    ] as const) {
      test(
        `a populate is refused when ${what} came after its read`,
        withLedger(async ({ ledger }, hand) => {
          if (!ledger.keepsData && /swap|add|increment|touch|move/.test(what)) return
          for (let at = 0; at < 20; at++) {
            const key = `app:1:${at}`
            if (at % 2 === 1) await hand.set(key, 'older')
            hand.prepared = undefined
            let { asOf } = await readOne(ledger, key)
            hand.prepared = async () => {
              asOf = (await readOne(ledger, key)).asOf
            }
            await mutate(hand, key)
            const before = textOf((await readOne(ledger, key)).entry)
            same(await ledger.populate(writeOf(key, 'loaded'), asOf), 'refused', key)
            same(textOf((await readOne(ledger, key)).entry), before, `${key} stays as it was`)
            const again = await readOne(ledger, key)
            same(
              await ledger.populate(writeOf(key, 'loaded again'), again.asOf),
              'stored',
              `${key}, after a new read`,
            )
          }
        }),
      )
    }

    test(
      'a populate is stored when only other keys changed',
      withLedger(async ({ ledger }, hand) => {
        const [key, ...others] = await keysOfOnePartition(ledger, 5)
        const { asOf } = await readOne(ledger, key as string)
        for (const other of others) await hand.set(other, 'value')
        for (const other of others) await hand.delete(other)
        await hand.clear('app:1:unrelated')
        await hand.clear('app:10')
        await hand.clear(`${key}:longer`)
        same(await ledger.populate(writeOf(key as string, 'loaded'), asOf), 'stored')
        same(textOf((await readOne(ledger, key as string)).entry), ledger.keepsData ? 'loaded' : undefined)
      }),
    )

    test(
      'a populate is refused when what it rests on is not known here',
      withLedger(async ({ ledger }, hand) => {
        await hand.set('app:1:a', 'value')
        const { asOf } = await readOne(ledger, 'app:1:a')
        const elsewhere: Stamp[] = [
          { ...asOf, epoch: asOf.epoch - 1 },
          { ...asOf, epoch: asOf.epoch + 1 },
          { ...asOf, sequence: asOf.sequence + 1_000_000 },
        ]
        if (ledger.partitions > 1)
          elsewhere.push({ ...asOf, partition: (asOf.partition + 1) % ledger.partitions })
        for (const stamp of elsewhere) {
          const shown = `${stamp.partition}/${stamp.epoch}/${stamp.sequence} against ${asOf.partition}/${asOf.epoch}/${asOf.sequence}`
          same(await ledger.populate(writeOf('app:1:a', 'loaded'), stamp), 'refused', shown)
        }
        same(textOf((await readOne(ledger, 'app:1:a')).entry), ledger.keepsData ? 'value' : undefined)
        same(await ledger.populate(writeOf('app:1:a', 'loaded'), asOf), 'stored')
      }),
    )

    test(
      'a populate without remaining time leaves no live entry',
      withLedger(async ({ ledger }) => {
        const { asOf } = await readOne(ledger, 'app:1:a')
        await ledger.populate({ ...writeOf('app:1:a', 'loaded'), remainingMs: 0 }, asOf)
        same((await readOne(ledger, 'app:1:a')).entry, undefined)
      }),
    )

    test(
      'a populate that races with a commit never outlives it',
      withLedger(async ({ ledger, other = ledger }, hand) => {
        for (let round = 0; round < 30; round++) {
          const key = `app:1:${round}`
          const { asOf } = await readOne(ledger, key)
          const write = writeOf(key, 'loaded')
          const commit = () => (round % 2 === 0 ? hand.set(key, 'committed') : hand.delete(key))
          const populate = (by: Ledger) => by.populate(write, asOf)
          await Promise.all(
            round % 3 === 0
              ? [populate(ledger), populate(other), commit()]
              : [populate(other), commit(), populate(ledger)],
          )
          const left = textOf((await readOne(ledger, key)).entry)
          same(left, ledger.keepsData && round % 2 === 0 ? 'committed' : undefined, `round ${round}`)
        }
      }),
    )

    test(
      'since tells every mutation of a partition after a stamp, oldest first',
      withLedger(async ({ ledger }, hand) => {
        const keys = (await keysOfOnePartition(ledger, 3)) as [string, string, string]
        const start = (await readOne(ledger, keys[0])).asOf
        same(await ledger.since(start), [], 'nothing yet')
        const committed = [
          await hand.set(keys[0], 'value'),
          await hand.delete(keys[1]),
          await hand.set(keys[2], 'value'),
        ]
        const messages = listOf(await ledger.since(start))
        same(
          messages.map(({ op, keys: told, origin, serial }) => ({ op, keys: [...told], origin, serial })),
          [
            { op: 'set', keys: [keys[0]], origin: ORIGIN, serial: 1 },
            { op: 'delete', keys: [keys[1]], origin: ORIGIN, serial: 2 },
            { op: 'set', keys: [keys[2]], origin: ORIGIN, serial: 3 },
          ],
        )
        same(
          messages.map(({ stamp }) => stamp),
          committed.map(({ stamp }) => stamp),
        )
        checkChain(messages, start)
        for (const [at, { stamp }] of committed.entries()) {
          same(
            listOf(await ledger.since(stamp)).map(({ serial }) => serial),
            [1, 2, 3].slice(at + 1),
            `since ${at + 1}`,
          )
        }
      }),
    )

    test(
      'since answers a gap for what it cannot know',
      withLedger(async ({ ledger }, hand) => {
        const { stamp } = await hand.set('app:1:a', 'value')
        same(await ledger.since({ ...stamp, epoch: stamp.epoch - 1 }), 'gap', 'an epoch before')
        same(await ledger.since({ ...stamp, epoch: stamp.epoch + 1 }), 'gap', 'an epoch after')
        same(
          await ledger.since({ ...stamp, sequence: stamp.sequence + 1_000_000 }),
          'gap',
          'a sequence never given out',
        )
        same(await ledger.since(stamp), [], 'where it stands')
      }),
    )

    test(
      'a log that is full forgets the oldest, and says so',
      withLedger(async ({ ledger, logMessages }, hand) => {
        if (logMessages === undefined) return
        const { asOf: start } = await readOne(ledger, 'app:1:a')
        const stamps: Stamp[] = []
        for (let at = 0; at < 3 * logMessages; at++) stamps.push((await hand.set('app:1:a', 'value')).stamp)
        const recent = stamps.at(-logMessages - 1) as Stamp
        const messages = listOf(await ledger.since(recent))
        same(messages.length, logMessages)
        checkChain(messages, recent)
        const old = await ledger.since(start)
        if (old !== 'gap') {
          same(old.length, 3 * logMessages, 'all, or a gap')
          checkChain(old, start)
        }
        same(await ledger.populate(writeOf('app:1:a', 'loaded'), start), 'refused')
        const [other] = (await keysOfOnePartition(
          ledger,
          1,
          (
            await readOne(ledger, 'app:1:a')
          ).asOf.partition,
        )) as [string]
        if (old === 'gap') {
          same(
            await ledger.populate(writeOf(other, 'loaded'), start),
            'refused',
            'what can no longer be told',
          )
        }
      }),
    )

    test(
      'a clear removes its prefix and takes one place in every partition',
      withLedger(async ({ ledger, bus, settle }, hand) => {
        const observer = await observe(bus)
        const keys = Array.from({ length: 40 }, (_, at) => `app:1:${at}`)
        const beside = ['app', 'app:2:1', 'apple:1:1', 'b:app:1:1']
        for (const key of [...keys, ...beside]) await hand.set(key, key)
        const before = await ledger.probe('before')
        const cleared = await hand.clear('app:1:')
        same(cleared.stamp.partition, 0, 'the stamp is that of partition 0')
        const after = await ledger.probe('after')
        for (const [partition, stamp] of before.entries()) {
          const messages = listOf(await ledger.since(stamp))
          if (partition === ledger.partitions) {
            same(messages, [], 'a clear says nothing of tags')
            continue
          }
          same(
            messages.map(({ op, keys: told, origin, serial }) => ({ op, keys: [...told], origin, serial })),
            [{ op: 'clear', keys: ['app:1:'], origin: ORIGIN, serial: hand.serial }],
            `partition ${partition}`,
          )
          checkChain(messages, stamp)
          same(messages[0]?.stamp, after[partition], `partition ${partition}`)
        }
        same(cleared.stamp, after[0])
        for (const { entry } of await ledger.read(keys)) same(entry, undefined, 'cleared')
        const left = (await ledger.read(beside)).map(({ entry }) => textOf(entry))
        same(
          left,
          beside.map((key) => (ledger.keepsData ? key : undefined)),
        )
        await until(
          settle,
          () => after.slice(0, -1).every((stamp) => observer.heard(stamp)),
          'the clear in every partition',
        )
        same(observer.disorder, [])
      }),
    )

    test(
      'a clear of everything removes every prefix, takes one place in every partition, and what comes after it stays',
      withLedger(async ({ ledger, bus, other = ledger, settle }, hand) => {
        const observer = await observe(bus)
        const keys = [
          'app:1:a',
          'app:2:a',
          'shop%3A:1:a',
          'b:@users:1#7',
          ':1:',
          ':1:__proto__',
          '%lock:app:a',
        ]
        for (const key of keys) await hand.set(key, key)
        const before = await ledger.probe('before')
        await hand.clear('')
        for (const stamp of before.slice(0, ledger.partitions)) {
          const messages = listOf(await other.since(stamp))
          same(
            messages.map(({ op, keys: told }) => ({ op, keys: [...told] })),
            [{ op: 'clear', keys: [''] }],
            `partition ${stamp.partition}`,
          )
        }
        for (const [at, { entry }] of (await other.read(keys)).entries()) same(entry, undefined, keys[at])
        await hand.set('app:1:a', 'after')
        const [again] = await other.read(['app:1:a'])
        same(textOf(again?.entry), ledger.keepsData ? 'after' : undefined)
        const stood = await ledger.probe('after')
        const areHeard = () => stood.slice(0, ledger.partitions).every((stamp) => observer.heard(stamp))
        await until(settle, areHeard, 'the clear and what came after it')
        same(observer.disorder, [])
      }),
    )

    test(
      'a commit rings the bus, and says who made it and where it stands',
      withLedger(async ({ ledger, bus, other = ledger, settle }, hand) => {
        const observer = await observe(bus)
        const set = await hand.set('app:1:a', 'a value that no message may carry')
        const deleted = await other.commit({ op: 'delete', key: 'app:1:b' }, { id: OTHER_ORIGIN, serial: 77 })
        await until(settle, () => observer.heard(set.stamp) && observer.heard(deleted.stamp), 'two messages')
        const byKey = (key: string) => observer.messages.find((message) => message.keys[0] === key)
        const first = byKey('app:1:a')
        same([first?.op, first?.origin, first?.serial, first?.stamp], ['set', ORIGIN, 1, set.stamp])
        const second = byKey('app:1:b')
        same(
          [second?.op, second?.origin, second?.serial, second?.stamp],
          ['delete', OTHER_ORIGIN, 77, deleted.stamp],
        )
        same(observer.disorder, [])
      }),
    )

    test(
      'a reader that was rung for a mutation finds it done',
      withLedger(async ({ ledger, bus, settle }, hand) => {
        const readings: { message: Message; reading: Promise<LedgerReading> }[] = []
        const observer = await observe(bus, (message) => {
          if (message.op !== 'clear') readings.push({ message, reading: readOne(ledger, 'app:1:a') })
        })
        for (let at = 0; at < 10; at++) {
          const isDelete = at % 4 === 3
          const { stamp } = isDelete ? await hand.delete('app:1:a') : await hand.set('app:1:a', `${at}`)
          await until(settle, () => observer.heard(stamp), `message ${at}`)
          const rung = readings.find(({ message }) => message.serial === hand.serial)
          isTrue(rung !== undefined, `message ${at}`)
          const reading = await rung.reading
          isTrue(
            isAtOrAfter(reading.asOf, stamp),
            `read ${at} stands at ${reading.asOf.sequence}, not ${stamp.sequence}`,
          )
          same(textOf(reading.entry), ledger.keepsData && !isDelete ? `${at}` : undefined, `read ${at}`)
        }
      }),
    )

    test(
      'a reader that was rung for a mutation among many finds it done',
      withLedger(async ({ ledger, bus, other = ledger, settle }, hand) => {
        const checks: Promise<void>[] = []
        const observer = await observe(bus, (message) => {
          const check = async (): Promise<void> => {
            const { asOf, entry } = await readOne(ledger, message.keys[0] as string)
            isTrue(isAtOrAfter(asOf, message.stamp), `${message.serial} rang before it was done`)
            if (ledger.keepsData)
              isTrue(entry?.stamp !== undefined && isAtOrAfter(entry.stamp, message.stamp), 'stamp')
          }
          checks.push(check())
          // The rejection is looked at below; it must not be unhandled until then.
          checks.at(-1)?.catch(() => {})
        })
        const commits = Array.from({ length: 60 }, (_, at) =>
          at % 2 === 0
            ? hand.set(`app:1:${at % 6}`, `${at}`)
            : other.commit(setOf(`app:1:${at % 6}`, `${at}`), { id: OTHER_ORIGIN, serial: at }),
        )
        const stamps = (await Promise.all(commits)).map(({ stamp }) => stamp)
        await until(settle, () => stamps.every((stamp) => observer.heard(stamp)), 'sixty messages')
        await Promise.all(checks)
        isTrue(checks.length >= 60, `${checks.length} messages`)
      }),
    )

    test(
      'a probe says where each partition stands',
      withLedger(async ({ ledger, bus }, hand) => {
        await observe(bus)
        const before = await ledger.probe('one')
        same(
          before.map(({ partition }) => partition),
          before.map((_, at) => at),
          'one stamp for each partition, in order',
        )
        same(before.length, ledger.partitions + 1, 'those of keys, and the tag partition')
        const { stamp } = await hand.set('app:1:a', 'value')
        const after = await ledger.probe('two')
        same(
          after,
          before.map((stood, partition) => (partition === stamp.partition ? stamp : stood)),
        )
        same((await readOne(ledger, 'app:1:a')).asOf, after[stamp.partition])
      }),
    )

    test(
      'an echo comes behind every message that was committed before its probe',
      withLedger(async ({ ledger, bus, other = ledger, settle }, hand) => {
        const observer = await observe(bus)
        for (let round = 0; round < 10; round++) {
          const commits: Promise<Committed>[] = []
          for (let at = 0; at < 5; at++) {
            commits.push(hand.set(`app:1:${at}`, `${round}`))
            commits.push(
              other.commit(
                { op: 'delete', key: `app:1:${at}` },
                { id: OTHER_ORIGIN, serial: round * 5 + at + 1 },
              ),
            )
          }
          const stamps = (await Promise.all(commits)).map(({ stamp }) => stamp)
          const token = `round-${round}`
          await ledger.probe(token)
          await until(settle, () => observer.echoOf(token) !== undefined, `the echo of ${token}`)
          const echo = observer.echoOf(token)
          for (const stamp of stamps) {
            const at = observer.events.findIndex(
              (event) => event.kind === 'message' && isSame(event.message.stamp, stamp),
            )
            isTrue(
              (at >= 0 && at < (echo?.at ?? -1)) || (at < 0 && observer.heard(stamp)),
              `${token}: the echo came before message ${stamp.sequence} of partition ${stamp.partition}`,
            )
            const stood = echo?.stamps[stamp.partition]
            isTrue(
              stood !== undefined && isAtOrAfter(stood, stamp),
              `${token}: the echo stands before the commit`,
            )
          }
        }
        same(observer.disorder, [])
      }),
    )

    test(
      'a hundred commits at once get a place each, and the log agrees with the data',
      withLedger(async ({ ledger, other = ledger }) => {
        const start = await ledger.probe('start')
        const keys = Array.from({ length: 10 }, (_, at) => `app:1:${at}`)
        const commits = Array.from({ length: 100 }, (_, at) => {
          const key = keys[at % 10] as string
          const mutation: Mutation = at % 7 === 6 ? { op: 'delete', key } : setOf(key, `${at}`)
          return (at % 2 === 0 ? ledger : other).commit(mutation, { id: ORIGIN, serial: at + 1 })
        })
        const committed = await Promise.all(commits)
        const places = new Set(
          committed.map(({ stamp }) => `${stamp.partition}/${stamp.epoch}/${stamp.sequence}`),
        )
        same(places.size, 100, 'different places')

        const last = new Map<string, string | undefined>()
        const serials: number[] = []
        for (const stamp of start) {
          const messages = listOf(await ledger.since(stamp))
          checkChain(messages, stamp)
          for (const message of messages) {
            serials.push(message.serial)
            same(message.stamp, committed[message.serial - 1]?.stamp, `serial ${message.serial}`)
            last.set(message.keys[0] as string, message.op === 'set' ? `${message.serial - 1}` : undefined)
          }
        }
        same(
          serials.toSorted((left, right) => left - right),
          committed.map((_, at) => at + 1),
          'all are in the log',
        )
        if (!ledger.keepsData) return
        for (const key of keys) same(textOf((await readOne(ledger, key)).entry), last.get(key), key)
      }),
    )

    test(
      'keys are told apart to the last bit, in data, log and messages',
      withLedger(async ({ ledger, bus, settle }, hand) => {
        const observer = await observe(bus)
        const start = await ledger.probe('start')
        const stamps: Stamp[] = []
        for (const [at, key] of hostileKeys.entries()) stamps.push((await hand.set(key, `${at}`)).stamp)
        const readings = await ledger.read(hostileKeys)
        for (const [at, { entry, asOf }] of readings.entries()) {
          if (ledger.keepsData) same(textOf(entry), `${at}`, JSON.stringify(hostileKeys[at]))
          isTrue(isAtOrAfter(asOf, stamps[at] as Stamp), 'asOf')
        }
        const logged: Message[] = []
        for (const stamp of start) logged.push(...listOf(await ledger.since(stamp)))
        await until(settle, () => stamps.every((stamp) => observer.heard(stamp)), 'a message for each key')
        for (const messages of [logged, observer.messages]) {
          const told = new Map(messages.map((message) => [message.serial, message.keys]))
          for (const [at, key] of hostileKeys.entries()) same([...(told.get(at + 1) ?? [])], [key])
        }
        for (const key of hostileKeys)
          same((await hand.delete(key)).existed, ledger.keepsData, JSON.stringify(key))
      }),
    )

    test(
      'a ledger without data refuses what depends on data, and nothing has happened',
      withLedger(async ({ ledger }, hand) => {
        if (ledger.keepsData) return
        const before = await ledger.probe('before')
        const key = 'app:1:a'
        const refused: Mutation[] = [
          addOf(key, 'value'),
          swapOf(key, undefined, 'value'),
          { op: 'increment', key, delta: 1, from: 0 },
          { op: 'touch', key, remainingMs: 1_000 },
          { op: 'move', key, to: 'app:2:a' },
        ]
        for (const mutation of refused) {
          const isRefusal = (error: unknown) => (error as { code?: unknown }).code === 'CACHE_NOT_SUPPORTED'
          await rejects(hand.commit(mutation), isRefusal, mutation.op)
        }
        same(await ledger.probe('after'), before)
      }),
    )

    test(
      'an add stores only where no live entry is',
      withLedger(async ({ ledger, advance }, hand) => {
        if (!ledger.keepsData) return
        const first = await hand.commit(addOf('app:1:a', 'first', 1_000))
        same([first.applied, first.existed, first.number], [true, false, undefined])
        const read = await readOne(ledger, 'app:1:a')
        same([textOf(read.entry), read.entry?.stamp, read.asOf], ['first', first.stamp, first.stamp])
        const second = await hand.commit(addOf('app:1:a', 'second'))
        same([second.applied, second.existed, second.stamp], [false, true, first.stamp])
        same(textOf((await readOne(ledger, 'app:1:a')).entry), 'first')
        await advance(1_000)
        same((await hand.commit(addOf('app:1:a', 'third'))).applied, true, 'after its deadline')
        same(textOf((await readOne(ledger, 'app:1:a')).entry), 'third')
        await hand.delete('app:1:a')
        same((await hand.commit(addOf('app:1:a', 'fourth', 0))).applied, true, 'without remaining time')
        same((await readOne(ledger, 'app:1:a')).entry, undefined)
      }),
    )

    test(
      'a swap stores only in place of the bytes that are expected',
      withLedger(async ({ ledger }, hand) => {
        if (!ledger.keepsData) return
        const told: boolean[] = []
        for (const [expected, text] of [
          ['x', '1'],
          [undefined, '2'],
          [undefined, '3'],
          ['1', '4'],
          ['2', '5'],
          ['5', ''],
          ['5', '6'],
          ['', '7'],
        ] as const)
          told.push((await hand.commit(swapOf('app:1:a', expected, text))).applied)
        same(told, [false, true, false, false, true, true, false, true])
        same(textOf((await readOne(ledger, 'app:1:a')).entry), '7')
      }),
    )

    test(
      'an increment adds to the digits, and keeps what is before them and the remaining time',
      withLedger(async ({ ledger, clock }, hand) => {
        if (!ledger.keepsData) return
        const key = 'app:1:n'
        const increment = (delta: number) => hand.commit({ op: 'increment', key, delta, from: 4 })
        const absent = await increment(1)
        same([absent.applied, absent.existed, absent.number], [false, false, undefined])
        await hand.set(key, 'head41', 60_000)
        const startedAt = clock.now()
        const up = await increment(1)
        same([up.applied, up.existed, up.number], [true, true, 42])
        const { entry } = await readOne(ledger, key)
        same([textOf(entry), entry?.stamp], ['head42', up.stamp])
        const remainingMs = entry?.remainingMs ?? Number.NaN
        isTrue(
          remainingMs <= 60_001 && remainingMs >= 59_500 - (clock.now() - startedAt),
          `remaining ${remainingMs}`,
        )
        same((await increment(-50)).number, -8)
        same((await increment(8)).number, 0)
        same(textOf((await readOne(ledger, key)).entry), 'head0')
        same((await increment(Number.MAX_SAFE_INTEGER)).number, Number.MAX_SAFE_INTEGER)
        const stood = (await readOne(ledger, key)).asOf
        await throws(increment(1), RangeError)
        same(textOf((await readOne(ledger, key)).entry), `head${Number.MAX_SAFE_INTEGER}`)
        await hand.set(key, 'head4.5')
        await throws(increment(1), TypeError)
        same(textOf((await readOne(ledger, key)).entry), 'head4.5')
        isTrue((await readOne(ledger, key)).asOf.sequence > stood.sequence, 'the set took a place')
        await hand.set(key, 'head7')
        same((await increment(1)).number, 8, 'without a deadline')
        same((await readOne(ledger, key)).entry?.remainingMs, Infinity)
      }),
    )

    test(
      'a touch gives a live entry a new remaining time',
      withLedger(async ({ ledger, advance }, hand) => {
        if (!ledger.keepsData) return
        const touch = (remainingMs: number) => hand.commit({ op: 'touch', key: 'app:1:a', remainingMs })
        same((await touch(1_000)).applied, false, 'nothing there')
        await hand.set('app:1:a', 'value')
        same((await touch(1_000)).applied, true)
        const { entry } = await readOne(ledger, 'app:1:a')
        isTrue(entry !== undefined && entry.remainingMs <= 1_001, `remaining ${entry?.remainingMs}`)
        await advance(1_000)
        same((await touch(1_000)).applied, false, 'after its deadline')
        await hand.set('app:1:a', 'value', 1_000)
        await touch(Infinity)
        same((await readOne(ledger, 'app:1:a')).entry?.remainingMs, Infinity)
        const gone = await touch(0)
        same([gone.applied, gone.existed], [true, true])
        same((await readOne(ledger, 'app:1:a')).entry, undefined)
      }),
    )

    test(
      'a move takes bytes and remaining time along, in place of what is there, and rings once with both keys',
      withLedger(async ({ ledger, bus, clock, settle }, hand) => {
        if (!ledger.keepsData) return
        const observer = await observe(bus)
        const move = (key: string, to: string) => hand.commit({ op: 'move', key, to })
        same((await move('app:1:a', 'app:2:a')).applied, false, 'nothing there')
        await hand.set('app:1:a', 'value', 60_000)
        const startedAt = clock.now()
        await hand.set('app:2:a', 'in the way')
        const { stamp, applied, existed } = await move('app:1:a', 'app:2:a')
        same([applied, existed], [true, true])
        const [from, to] = (await ledger.read(['app:1:a', 'app:2:a'])) as [LedgerReading, LedgerReading]
        same([textOf(from.entry), textOf(to.entry), to.entry?.stamp], [undefined, 'value', stamp])
        const remainingMs = to.entry?.remainingMs ?? Number.NaN
        isTrue(
          remainingMs <= 60_001 && remainingMs >= 59_500 - (clock.now() - startedAt),
          `remaining ${remainingMs}`,
        )
        await until(settle, () => observer.heard(stamp), 'the move')
        const rung = observer.messages.filter(({ serial }) => serial === hand.serial)
        same(
          rung.map(({ op, keys }) => [op, ...keys]),
          [['move', 'app:1:a', 'app:2:a']],
        )
        await throws(move('app:2:a', 'app:2:a'), TypeError)
        if (ledger.partitions > 1) {
          const keys = Array.from({ length: 2_000 }, (_, at) => `app:1:key:${at}`)
          const readings = await ledger.read(keys)
          const other = keys.find((_, at) => readings[at]?.asOf.partition !== stamp.partition) as string
          await throws(move('app:2:a', other), TypeError)
        }
        same(textOf((await readOne(ledger, 'app:2:a')).entry), 'value')
      }),
    )

    test(
      'a mutation that does not apply takes no place and rings nothing; one that does takes one',
      withLedger(async ({ ledger, bus, settle }, hand) => {
        if (!ledger.keepsData) return
        const observer = await observe(bus)
        const key = 'app:1:a'
        await hand.set(key, 'n1')
        const before = await ledger.probe('before')
        const idle: Mutation[] = [
          addOf(key, 'other'),
          swapOf(key, 'x', 'other'),
          swapOf(key, undefined, 'other'),
          { op: 'increment', key: 'app:1:none', delta: 1, from: 0 },
          { op: 'touch', key: 'app:1:none', remainingMs: 1_000 },
          { op: 'move', key: 'app:1:none', to: 'app:2:none' },
        ]
        for (const mutation of idle) same((await hand.commit(mutation)).applied, false, mutation.op)
        same(await ledger.probe('after'), before)
        const start = (await readOne(ledger, key)).asOf
        const last = hand.serial
        const busy: Mutation[] = [
          { op: 'increment', key, delta: 1, from: 1 },
          { op: 'touch', key, remainingMs: 10_000 },
          swapOf(key, 'n2', 'n3'),
          { op: 'move', key, to: 'app:2:a' },
          addOf(key, 'again'),
        ]
        const stamps: Stamp[] = []
        for (const mutation of busy) stamps.push((await hand.commit(mutation)).stamp)
        const messages = listOf(await ledger.since(start))
        checkChain(messages, start)
        same(
          messages.map(({ op, keys, serial }) => [op, serial - last, ...keys]),
          [
            ['set', 1, key],
            ['set', 2, key],
            ['set', 3, key],
            ['move', 4, key, 'app:2:a'],
            ['set', 5, key],
          ],
        )
        same(
          messages.map(({ stamp }) => stamp),
          stamps,
        )
        await until(settle, () => stamps.every((stamp) => observer.heard(stamp)), 'five messages')
        same(
          observer.messages.filter(({ serial }) => serial > 1 && serial <= last).length,
          0,
          'of the idle ones',
        )
        same(observer.disorder, [])
      }),
    )

    test(
      'of many adds of one key one stores, and no increment is lost',
      withLedger(async ({ ledger, other = ledger }, hand) => {
        if (!ledger.keepsData) return
        const by = (at: number): Ledger => (at % 2 === 0 ? ledger : other)
        const adds = await Promise.all(
          Array.from({ length: 20 }, (_, at) =>
            by(at).commit(addOf('app:1:a', `${at}`), { id: OTHER_ORIGIN, serial: at + 1 }),
          ),
        )
        same(adds.filter(({ applied }) => applied).length, 1)
        await hand.set('app:1:n', '0')
        const sums = await Promise.all(
          Array.from({ length: 40 }, (_, at) =>
            by(at).commit(
              { op: 'increment', key: 'app:1:n', delta: 1, from: 0 },
              { id: OTHER_ORIGIN, serial: at + 21 },
            ),
          ),
        )
        same(new Set(sums.map(({ number }) => number)).size, 40)
        same(textOf((await readOne(ledger, 'app:1:n')).entry), '40')
      }),
    )

    test(
      'an invalidation of tags takes one place in the tag partition, and rings with their names',
      withLedger(async ({ ledger, bus, settle }, hand) => {
        const observer = await observe(bus)
        await hand.set('app:1:a', 'value')
        const before = await ledger.probe('before')
        const names = hostileKeys.slice(0, 64)
        const start = before.at(-1) as Stamp
        const first = await hand.tags(names, 'delete')
        const second = await hand.tags(['app:users'], 'expire')
        same([first.applied, first.existed, first.number], [true, false, undefined])
        same(first.stamp.partition, ledger.partitions)
        const after = await ledger.probe('after')
        same(after, [...before.slice(0, -1), second.stamp], 'the others stand where they stood')
        const messages = listOf(await ledger.since(start))
        checkChain(messages, start)
        same(
          messages.map(({ op, keys, stamp, origin }) => ({ op, keys: [...keys], stamp, origin })),
          [
            { op: 'delete-tags', keys: names, stamp: first.stamp, origin: ORIGIN },
            { op: 'expire-tags', keys: ['app:users'], stamp: second.stamp, origin: ORIGIN },
          ],
        )
        await until(settle, () => observer.heard(first.stamp) && observer.heard(second.stamp), 'two messages')
        same([...(observer.messages.find(({ serial }) => serial === hand.serial)?.keys ?? [])], ['app:users'])
        same(observer.disorder, [])
        same(textOf((await readOne(ledger, 'app:1:a')).entry), ledger.keepsData ? 'value' : undefined)
        const key = await hand.set('app:1:a', 'later')
        isTrue(isAfter(key.stamp, before[key.stamp.partition] as Stamp), 'keys go on in their own order')
      }),
    )

    test(
      'the last invalidations of a tag can be read, each kind by itself',
      withLedger(async ({ ledger, other = ledger }, hand) => {
        const fresh = await ledger.readTags(['app:a'])
        same(fresh.tags, [{ expired: undefined, deleted: undefined }])
        same((await ledger.readTags([])).tags, [])
        const expired = (await hand.tags(['app:a', 'app:b'], 'expire')).stamp
        const deleted = (await hand.tags(['app:b', 'app:c'], 'delete')).stamp
        const again = (await hand.tags(['app:c'], 'delete')).stamp
        for (const handle of [ledger, other]) {
          const reading = await handle.readTags(['app:c', 'app:a', 'app:b', 'app:none', 'app:a'])
          same(reading.tags, [
            { expired: undefined, deleted: again },
            { expired, deleted: undefined },
            { expired, deleted },
            { expired: undefined, deleted: undefined },
            { expired, deleted: undefined },
          ])
          same(reading.asOf, again)
          isTrue(isAtOrAfter(expired, reading.floor), 'nothing was forgotten')
          isTrue(!isAfter(reading.floor, fresh.asOf), 'the floor is not above where the order began')
        }
      }),
    )

    test(
      'tags that are forgotten raise the floor, the oldest first',
      withLedger(async ({ ledger, maxTags }, hand) => {
        if (maxTags === undefined) return
        const stamps: Stamp[] = []
        for (let at = 0; at < maxTags + 20; at++)
          stamps.push((await hand.tags([`app:${at}`], 'delete')).stamp)
        const { tags, floor } = await ledger.readTags(stamps.map((_, at) => `app:${at}`))
        const forgotten = tags.filter(({ deleted }) => deleted === undefined).length
        isTrue(forgotten <= 20, `${forgotten} of ${maxTags + 20} forgotten`)
        for (const [at, { deleted }] of tags.entries()) {
          if (at < forgotten) isTrue(isAtOrAfter(floor, stamps[at] as Stamp), `tag ${at} is below the floor`)
          else same(deleted, stamps[at], `tag ${at}`)
        }
      }),
    )

    test(
      'after the backend lost its memory nothing is known of tags from before',
      withLedger(async ({ ledger, reset }, hand) => {
        if (reset === undefined) return
        const { stamp } = await hand.tags(['app:a'], 'delete')
        await reset()
        const { asOf, floor, tags } = await ledger.readTags(['app:a'])
        same(tags, [{ expired: undefined, deleted: undefined }])
        isTrue(isAfter(floor, stamp), 'the floor is above what was known')
        isTrue(isAtOrAfter(asOf, floor), 'where it stands is not below the floor')
        const next = await hand.tags(['app:a'], 'expire')
        isTrue(isAfter(next.stamp, stamp), 'stamps go on growing')
        same((await ledger.readTags(['app:a'])).tags, [{ expired: next.stamp, deleted: undefined }])
      }),
    )

    test(
      'another handle on the same backend keeps the same order',
      withLedger(async ({ ledger, other }, hand) => {
        if (other === undefined) return
        same(
          [other.channel, other.partitions, other.keepsData],
          [ledger.channel, ledger.partitions, ledger.keepsData],
        )
        const { asOf } = await readOne(other, 'app:1:a')
        const first = await hand.set('app:1:a', 'first')
        same((await readOne(other, 'app:1:a')).asOf, first.stamp)
        same(await other.populate(writeOf('app:1:a', 'loaded'), asOf), 'refused')
        const second = await other.commit(setOf('app:1:a', 'second'), { id: OTHER_ORIGIN, serial: 1 })
        isTrue(isAfter(second.stamp, first.stamp), 'it comes after')
        same(await ledger.populate(writeOf('app:1:a', 'loaded'), first.stamp), 'refused')
        same(
          listOf(await ledger.since(asOf)).map(({ origin }) => origin),
          [ORIGIN, OTHER_ORIGIN],
        )
        same(textOf((await readOne(ledger, 'app:1:a')).entry), ledger.keepsData ? 'second' : undefined)
      }),
    )

    test(
      'a backend that lost its memory begins a larger epoch',
      withLedger(async ({ ledger, reset }, hand) => {
        if (reset === undefined) return
        const { stamp } = await hand.set('app:1:a', 'value')
        await reset()
        const { entry, asOf } = await readOne(ledger, 'app:1:a')
        same(entry, undefined)
        isTrue(asOf.epoch > stamp.epoch, `epoch ${asOf.epoch} comes after ${stamp.epoch}`)
        same(await ledger.since(stamp), 'gap')
        same(await ledger.populate(writeOf('app:1:a', 'loaded'), stamp), 'refused')
        const next = await hand.set('app:1:a', 'value')
        isTrue(isAfter(next.stamp, stamp), 'stamps go on growing')
        same(listOf(await ledger.since(asOf)).length, 1)
      }),
    )
  })
}

/** Commits under one origin, and counts. */
class Hand {
  readonly #ledger: Ledger
  serial = 0
  /** Runs between what a mutation needs and the mutation. */
  prepared: (() => Promise<void>) | undefined

  constructor(ledger: Ledger) {
    this.#ledger = ledger
  }

  commit(mutation: Mutation): Promise<Committed> {
    const origin: Origin = { id: ORIGIN, serial: ++this.serial }
    return this.#ledger.commit(mutation, origin)
  }

  set(key: string, text: string, remainingMs: number = Infinity): Promise<Committed> {
    return this.commit(setOf(key, text, remainingMs))
  }

  delete(key: string): Promise<Committed> {
    return this.commit({ op: 'delete', key })
  }

  clear(prefix: string): Promise<Committed> {
    return this.commit({ op: 'clear', prefix })
  }

  tags(tags: readonly string[], how: TagFate): Promise<Committed> {
    return this.commit({ op: 'tags', tags, how })
  }

  /** Has `key` hold what the mutation needs, runs `prepared`, and commits what must apply then. */
  async applied(mutation: Mutation, key: string, needs?: string): Promise<void> {
    if (needs === undefined) await this.delete(key)
    else await this.set(key, needs)
    await this.prepared?.()
    same((await this.commit(mutation)).applied, true, mutation.op)
  }
}

/** Waits for a rejection with an error of this kind. */
async function throws(work: Promise<unknown>, kind: new () => Error): Promise<void> {
  await rejects(work, (error) => error instanceof kind, kind.name)
}

async function observe(bus: Bus, hear?: (message: Message) => void): Promise<BusObserver> {
  const observer = new BusObserver(hear)
  observer.begin(await bus.subscribe(observer))
  return observer
}

/** Keys that live in one partition: that of the first, or the one named. */
async function keysOfOnePartition(ledger: Ledger, count: number, partition?: number): Promise<string[]> {
  const keys = Array.from({ length: 2_000 }, (_, at) => `app:1:key:${at}`)
  const readings = await ledger.read(keys)
  const wanted = partition ?? readings[0]?.asOf.partition
  const found = keys.filter((_, at) => readings[at]?.asOf.partition === wanted).slice(0, count)
  same(found.length, count, `2,000 keys have so few in partition ${wanted}`)
  return found
}

/** Each message says it comes right after the one before it, and comes after it. */
function checkChain(messages: readonly Message[], start: Stamp): void {
  let last = start
  for (const { stamp, after } of messages) {
    same(
      [stamp.partition, stamp.epoch, after],
      [last.partition, last.epoch, last.sequence],
      'partition, epoch, after',
    )
    isTrue(stamp.sequence > last.sequence, `${stamp.sequence} comes after ${last.sequence}`)
    last = stamp
  }
}

function listOf(answer: Message[] | 'gap'): Message[] {
  isTrue(answer !== 'gap', 'since answered a gap')
  return answer
}

async function readOne(ledger: Ledger, key: string): Promise<LedgerReading> {
  const [reading] = await ledger.read([key])
  isTrue(reading !== undefined, `no reading for ${key}`)
  return reading
}

function isSame(stamp: Stamp, other: Stamp): boolean {
  return isAtOrAfter(stamp, other) && isAtOrAfter(other, stamp)
}

function isAfter(stamp: Stamp, other: Stamp): boolean {
  return isAtOrAfter(stamp, other) && !isAtOrAfter(other, stamp)
}

function setOf(key: string, text: string, remainingMs: number = Infinity): Mutation {
  return { op: 'set', key, bytes: bytesOf(text), remainingMs }
}

function addOf(key: string, text: string, remainingMs: number = Infinity): Mutation {
  return { op: 'add', key, bytes: bytesOf(text), remainingMs }
}

function swapOf(key: string, expected: string | undefined, text: string): Mutation {
  const known = expected === undefined ? undefined : bytesOf(expected)
  return { op: 'swap', key, bytes: bytesOf(text), remainingMs: Infinity, expected: known }
}

function writeOf(key: string, text: string): { key: string; bytes: Uint8Array; remainingMs: number } {
  return { key, bytes: bytesOf(text), remainingMs: Infinity }
}

function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}

function textOf(entry: TierEntry | undefined): string | undefined {
  return entry === undefined ? undefined : new TextDecoder().decode(entry.bytes)
}
