// The suite that every tier passes, unchanged. What only one backend does goes into that tier's own test.
//
// A tier cannot opt out of a test: the suite reads `supports`, and where that says `false` it expects the
// call to reject. Deadlines are checked by the clock that comes with the tier, so a real backend that
// waited too long is not blamed for it, while a double whose clock stands still is held to the millisecond.
//
// It is one list of tests and nothing else, so it stays in one file.

import type { Clock } from '../clock.ts'
import type { Stamp } from '../stamp.ts'
import type { Tier, TierEntry, TierSupports, TierWrite } from '../tiers/tier.ts'
import { isTrue, type Runner, rejects, same } from './expect.ts'
import { hostileKeys } from './hostile-keys.ts'

/** A fresh, empty tier and the time it lives by. */
export interface TierUnderTest {
  readonly tier: Tier
  /** A second handle on the same backend, as another process has it; left out where there can be none. */
  readonly other?: Tier
  /** The time the backend lives by. */
  readonly clock: Clock
  /** Lets at least `byMs` pass for the backend: a real one waits, a test double is moved. */
  advance(byMs: number): Promise<void> | void
  /** Releases what `open` made beside the tiers, after they were closed. */
  close?(): Promise<void> | void
}

/** A tier measures in whole milliseconds, or less: what it says may be off by this much. */
const ROUNDING_MS = 1

/**
 * Declares the tests of the tier contract.
 *
 * @param open - Makes a fresh, empty tier for each test; the suite closes it.
 * @example
 * tierContract('memory', async () => {
 *   const clock = new ManualClock()
 *   return { tier: memoryTier({ clock }), clock, advance: (byMs) => clock.advance(byMs) }
 * }, { describe, test })
 */
export function tierContract(name: string, open: () => Promise<TierUnderTest>, runner: Runner): void {
  const { describe, test } = runner

  const withTier = (body: (underTest: TierUnderTest) => Promise<void>) => async (): Promise<void> => {
    const underTest = await open()
    try {
      await body(underTest)
    } finally {
      await underTest.tier.close()
      await underTest.other?.close()
      await underTest.close?.()
    }
  }

  describe(`tier contract: ${name}`, () => {
    test(
      'a tier says its name, its scope and what it supports',
      withTier(async ({ tier }) => {
        isTrue(typeof tier.name === 'string' && /^[a-z][a-z0-9-]*$/.test(tier.name), `name: ${tier.name}`)
        isTrue(['process', 'machine', 'fleet'].includes(tier.scope), `scope: ${tier.scope}`)
        for (const ability of ['expiry', 'prefixClear', 'add', 'increment', 'compareAndSet'] as const) {
          same(typeof tier.supports[ability], 'boolean', `supports.${ability}`)
        }
      }),
    )

    test(
      'an entry comes back as it was stored',
      withTier(async ({ tier }) => {
        same(await tier.get('key'), undefined, 'before')
        same(await tier.set(write('key', 'value')), undefined, 'what set resolves to')
        const entry = await tier.get('key')
        same(entry?.bytes, bytesOf('value'))
        same(entry?.remainingMs, Infinity)
        same(entry?.stamp, undefined)
        isTrue(entry?.bytes instanceof Uint8Array, 'bytes come back as a Uint8Array')
      }),
    )

    test(
      'set replaces bytes, deadline and stamp together',
      withTier(async ({ tier }) => {
        await tier.set({ ...write('key', 'a longer first value', 60_000), stamp: stampOf(1) })
        await tier.set(write('key', 'second'))
        const entry = await tier.get('key')
        same(textOf(entry), 'second')
        same(entry?.remainingMs, Infinity)
        same(entry?.stamp, undefined)
      }),
    )

    test(
      'a stamp comes back as it was stored, up to the largest',
      withTier(async ({ tier }) => {
        const stamps = [
          stampOf(0),
          stampOf(7),
          { partition: 15, epoch: 1_700_000_000_000_000, sequence: 2 ** 53 - 1 },
        ]
        for (const [at, stamp] of stamps.entries()) await tier.set({ ...write(`key:${at}`, 'value'), stamp })
        await tier.setMany(stamps.map((stamp, at) => ({ ...write(`many:${at}`, 'value'), stamp })))
        for (const [at, stamp] of stamps.entries()) {
          same((await tier.get(`key:${at}`))?.stamp, stamp, 'set')
          same((await tier.get(`many:${at}`))?.stamp, stamp, 'setMany')
        }
      }),
    )

    test(
      'no bytes and all byte values are values like others',
      withTier(async ({ tier }) => {
        const every = Uint8Array.from({ length: 256 }, (_, byte) => byte)
        await tier.set({ key: 'none', bytes: new Uint8Array(0), remainingMs: Infinity })
        await tier.set({ key: 'every', bytes: every, remainingMs: Infinity })
        same((await tier.get('none'))?.bytes, new Uint8Array(0))
        same((await tier.get('every'))?.bytes, every)
        same(await tier.delete('none'), true, 'an entry without bytes is an entry')
      }),
    )

    test(
      'a million bytes come back unharmed',
      withTier(async ({ tier }) => {
        const large = new Uint8Array(2 ** 20)
        for (let at = 0; at < large.length; at++) large[at] = (at * 31 + (at >>> 8)) & 0xff
        await tier.set({ key: 'large', bytes: large, remainingMs: Infinity })
        same((await tier.get('large'))?.bytes, large)
        same((await tier.getMany(['large']))[0]?.bytes, large)
      }),
    )

    test(
      'the tier keeps a copy, whatever becomes of the array it was given',
      withTier(async ({ tier }) => {
        const around = bytesOf('<<value>>')
        const inside = around.subarray(2, 7)
        await tier.set({ key: 'set', bytes: inside, remainingMs: Infinity })
        await tier.setMany([{ key: 'many', bytes: inside, remainingMs: Infinity }])
        if (tier.supports.add) await tier.add({ key: 'add', bytes: inside, remainingMs: Infinity })
        if (tier.supports.compareAndSet) {
          await tier.compareAndSet({ key: 'swapped', bytes: inside, remainingMs: Infinity }, undefined)
        }
        around.fill(0)
        same(textOf(await tier.get('set')), 'value', 'set')
        same(textOf(await tier.get('many')), 'value', 'setMany')
        if (tier.supports.add) same(textOf(await tier.get('add')), 'value', 'add')
        if (tier.supports.compareAndSet) same(textOf(await tier.get('swapped')), 'value', 'compareAndSet')
      }),
    )

    test(
      'what get returned stays as it was when the entry changes',
      withTier(async ({ tier }) => {
        await tier.set(write('key', 'first'))
        const entry = await tier.get('key')
        await tier.set(write('key', 'other'))
        await tier.delete('key')
        same(textOf(entry), 'first')
      }),
    )

    test(
      'an entry is there before its deadline and gone at it',
      withTier(async ({ tier, clock, advance }) => {
        const started = clock.now()
        await tier.set(write('key', 'value', 1_000))
        await advance(999)
        const entry = await tier.get('key')
        const many = await tier.getMany(['key'])
        if (clock.now() - started < 1_000) {
          same(textOf(entry), 'value', 'get')
          same(textOf(many[0]), 'value', 'getMany')
        }
        await advance(1)
        same(await tier.get('key'), undefined, 'get')
        same(await tier.getMany(['key']), [undefined], 'getMany')
        same(await tier.touch('key', 1_000), false, 'touch')
        same(await tier.delete('key'), false, 'delete')
        same(await tier.get('key'), undefined, 'after touch and delete')
      }),
    )

    test(
      'remaining times count down',
      withTier(async ({ tier, clock, advance }) => {
        const before = clock.now()
        await tier.set(write('key', 'value', 10_000))
        const after = clock.now()
        await advance(400)
        const early = clock.now()
        const entry = await tier.get('key')
        const late = clock.now()
        const remainingMs = entry?.remainingMs ?? Number.NaN
        isTrue(
          remainingMs >= before + 10_000 - late - ROUNDING_MS &&
            remainingMs <= after + 10_000 - early + ROUNDING_MS,
          `10,000 ms less ${late - before} leave ${remainingMs}`,
        )
      }),
    )

    test(
      'zero or a negative remaining time leaves no live entry',
      withTier(async ({ tier }) => {
        for (const remainingMs of [0, -0, -1, -1e15, -Infinity]) {
          await tier.set(write('set', 'old'))
          await tier.set(write('set', 'new', remainingMs))
          same(await tier.get('set'), undefined, `set with ${remainingMs}`)
          await tier.setMany([write('many', 'old'), write('beside', 'old')])
          await tier.setMany([write('many', 'new', remainingMs), write('beside', 'new')])
          same(await tier.get('many'), undefined, `setMany with ${remainingMs}`)
          same(textOf(await tier.get('beside')), 'new', 'the write beside it')
          same(await tier.delete('set'), false, `delete after ${remainingMs}`)
        }
      }),
    )

    test(
      'fractions, very long times and Infinity are times',
      withTier(async ({ tier, clock, advance }) => {
        const started = clock.now()
        const farMs = 400 * 24 * 3_600_000
        await tier.set(write('fraction', 'value', 60_000.75))
        await tier.set(write('far', 'value', farMs))
        await tier.set(write('farther', 'value', 1e15))
        await tier.set(write('ever', 'value', Infinity))
        await advance(1_000)
        same(textOf(await tier.get('fraction')), 'value', 'a fraction')
        const far = (await tier.get('far'))?.remainingMs ?? Number.NaN
        const elapsedMs = clock.now() - started
        isTrue(
          far <= farMs - 1_000 + ROUNDING_MS && far >= farMs - elapsedMs - ROUNDING_MS,
          `400 days less ${elapsedMs} ms are not ${far}`,
        )
        isTrue(((await tier.get('farther'))?.remainingMs ?? 0) > 9e14, 'thirty thousand years')
        same((await tier.get('ever'))?.remainingMs, Infinity, 'Infinity')
      }),
    )

    test(
      'keys are told apart to the last bit',
      withTier(async ({ tier }) => {
        for (const [at, key] of hostileKeys.entries()) await tier.set(write(key, `one ${at}`))
        for (const [at, key] of hostileKeys.entries())
          same(textOf(await tier.get(key)), `one ${at}`, named(key))

        await tier.setMany(hostileKeys.map((key, at) => write(key, `many ${at}`)))
        const entries = await tier.getMany(hostileKeys)
        for (const [at, key] of hostileKeys.entries()) same(textOf(entries[at]), `many ${at}`, named(key))

        for (const [at, key] of hostileKeys.entries()) {
          same(await tier.touch(key, 60_000), true, `touch of ${named(key)}`)
          same(await tier.delete(key), true, `delete of ${named(key)}`)
          same(await tier.delete(key), false, `second delete of ${named(key)}`)
          const next = hostileKeys[at + 1]
          if (next !== undefined)
            same(textOf(await tier.get(next)), `many ${at + 1}`, `${named(next)} after a delete`)
        }
      }),
    )

    test(
      'names of properties are absent until they are stored',
      withTier(async ({ tier }) => {
        for (const key of ['__proto__', 'constructor', 'toString', 'hasOwnProperty', 'length']) {
          same(await tier.get(key), undefined, key)
          same(await tier.delete(key), false, key)
          same(await tier.getMany([key]), [undefined], key)
        }
      }),
    )

    test(
      'getMany answers for each key in the order asked, doubles included',
      withTier(async ({ tier }) => {
        await tier.setMany([write('c', '3'), write('a', '1'), write('b', '2'), write('gone', '4', 0)])
        const entries = await tier.getMany(['b', 'missing', 'a', 'b', 'gone', 'c', 'a'])
        same(entries.map(textOf), ['2', undefined, '1', '2', undefined, '3', '1'])
        same(await tier.getMany([]), [], 'no keys')
      }),
    )

    test(
      'a thousand entries go and come in one call each',
      withTier(async ({ tier }) => {
        const numbers = Array.from({ length: 1_000 }, (_, number) => number)
        await tier.setMany(numbers.map((number) => write(`key:${number}`, `value ${number}`)))
        const entries = await tier.getMany(numbers.map((number) => `key:${999 - number}`))
        same(
          entries.map(textOf),
          numbers.map((number) => `value ${999 - number}`),
        )
        same(await tier.deleteMany(numbers.map((number) => `key:${2 * number}`)), 500)
        same(textOf(await tier.get('key:501')), 'value 501')
        same(await tier.get('key:500'), undefined)
        await tier.setMany([])
      }),
    )

    test(
      'add stores only where no live entry is',
      withTier(async ({ tier, advance }) => {
        if (!(await isAble(tier, 'add', () => tier.add(write('key', 'value'))))) return
        same(await tier.add({ ...write('key', 'first', 1_000), stamp: stampOf(5) }), true)
        same((await tier.get('key'))?.stamp, stampOf(5))
        same(await tier.add(write('key', 'second')), false)
        same(textOf(await tier.get('key')), 'first')
        await advance(1_000)
        same(await tier.add(write('key', 'third')), true, 'after the deadline')
        const entry = await tier.get('key')
        same(textOf(entry), 'third')
        same(entry?.remainingMs, Infinity)
        same(await tier.add(write('nothing', 'value', 0)), true, 'with no remaining time')
        same(await tier.get('nothing'), undefined)
      }),
    )

    test(
      'of a hundred adds at once one stores',
      withTier(async ({ tier, other = tier }) => {
        if (!tier.supports.add) return
        const calls = Array.from({ length: 100 }, (_, at) =>
          (at % 2 === 0 ? tier : other).add(write('key', `${at}`)),
        )
        const answers = await Promise.all(calls)
        const winners = answers.flatMap((stored, at) => (stored ? [`${at}`] : []))
        same(winners.length, 1, `winners ${winners.join(' ')}`)
        same(textOf(await tier.get('key')), winners[0])
      }),
    )

    test(
      'compareAndSet stores only over the bytes that were expected',
      withTier(async ({ tier, advance }) => {
        if (
          !(await isAble(tier, 'compareAndSet', () => tier.compareAndSet(write('key', 'value'), undefined)))
        )
          return
        same(
          await tier.compareAndSet(write('key', 'a'), bytesOf('')),
          false,
          'expecting no bytes where no entry is',
        )
        same(await tier.get('key'), undefined)
        same(await tier.compareAndSet({ ...write('key', 'a', 1_000), stamp: stampOf(3) }, undefined), true)
        same((await tier.get('key'))?.stamp, stampOf(3))
        same(await tier.compareAndSet(write('key', 'b'), undefined), false, 'expecting no entry where one is')
        for (const wrong of ['', 'b', 'aa', 'A']) {
          same(await tier.compareAndSet(write('key', 'b'), bytesOf(wrong)), false, `expecting "${wrong}"`)
        }
        same(textOf(await tier.get('key')), 'a')
        same(await tier.compareAndSet(write('key', 'b', 1_000), bytesOf('a')), true)
        same(textOf(await tier.get('key')), 'b')
        await advance(1_000)
        same(await tier.compareAndSet(write('key', 'c'), bytesOf('b')), false, 'expecting what has expired')
        same(await tier.compareAndSet(write('key', 'c'), undefined), true, 'over what has expired')
        same((await tier.get('key'))?.remainingMs, Infinity)
        same(await tier.compareAndSet(write('key', 'd', 0), bytesOf('c')), true, 'with no remaining time')
        same(await tier.get('key'), undefined)
      }),
    )

    test(
      'of a hundred compareAndSet at once one stores',
      withTier(async ({ tier, other = tier }) => {
        if (!tier.supports.compareAndSet) return
        await tier.set(write('key', 'start'))
        const calls = Array.from({ length: 100 }, (_, at) =>
          (at % 2 === 0 ? tier : other).compareAndSet(write('key', `${at}`), bytesOf('start')),
        )
        const winners = (await Promise.all(calls)).flatMap((stored, at) => (stored ? [`${at}`] : []))
        same(winners.length, 1, `winners ${winners.join(' ')}`)
        same(textOf(await tier.get('key')), winners[0])
      }),
    )

    test(
      'increment adds to the number behind the first bytes and keeps the rest',
      withTier(async ({ tier, clock, advance }) => {
        if (!(await isAble(tier, 'increment', () => tier.increment('key', 1, 0)))) return
        same(await tier.increment('key', 1, 0), undefined, 'without an entry')
        same(await tier.get('key'), undefined, 'increment makes no entry')
        await tier.set(write('key', '9'))
        same(await tier.increment('key', 1, 0), 10)
        same(textOf(await tier.get('key')), '10')
        same(await tier.increment('key', -110, 0), -100)
        same(textOf(await tier.get('key')), '-100')
        same(await tier.increment('key', 100, 0), 0)
        same(textOf(await tier.get('key')), '0')

        const started = clock.now()
        await tier.set({ key: 'headed', bytes: Uint8Array.of(0, 255, 0x39, 0x39, 0x39), remainingMs: 1_000 })
        await advance(400)
        const answer = await tier.increment('headed', 1, 2)
        const entry = await tier.get('headed')
        if (clock.now() - started < 1_000) {
          same(answer, 1_000)
          same(entry?.bytes, Uint8Array.of(0, 255, 0x31, 0x30, 0x30, 0x30))
          isTrue(
            (entry?.remainingMs ?? Infinity) <= 600 + ROUNDING_MS,
            `it has ${entry?.remainingMs} ms left`,
          )
        }
        await advance(600)
        same(await tier.increment('headed', 1, 2), undefined, 'after the deadline')
      }),
    )

    test(
      'increment refuses what is not a number and what leaves the safe integers',
      withTier(async ({ tier }) => {
        if (!tier.supports.increment) return
        for (const value of ['', 'x', '1x', ' 1', '1.5', '1e3', '0x10', '--1', '-', '\u0661']) {
          await tier.set(write('key', value))
          await rejects(tier.increment('key', 1, 0), isNamed('TypeError'), `"${value}" is no integer`)
          same(textOf(await tier.get('key')), value, 'it stays as it was')
        }
        await tier.set(write('key', '5'))
        await rejects(tier.increment('key', 1, 1), isNamed('TypeError'), 'nothing behind the first bytes')
        await tier.set(write('key', String(Number.MAX_SAFE_INTEGER)))
        await rejects(tier.increment('key', 1, 0), isNamed('RangeError'), 'above')
        same(textOf(await tier.get('key')), String(Number.MAX_SAFE_INTEGER))
        same(await tier.increment('key', -1, 0), Number.MAX_SAFE_INTEGER - 1)
        await tier.set(write('key', String(Number.MIN_SAFE_INTEGER)))
        await rejects(tier.increment('key', -1, 0), isNamed('RangeError'), 'below')
        same(textOf(await tier.get('key')), String(Number.MIN_SAFE_INTEGER))
      }),
    )

    test(
      'a hundred increments at once all count',
      withTier(async ({ tier, other = tier }) => {
        if (!tier.supports.increment) return
        await tier.set(write('key', '0'))
        const calls = Array.from({ length: 100 }, (_, at) =>
          (at % 2 === 0 ? tier : other).increment('key', 1, 0),
        )
        const answers = await Promise.all(calls)
        same(
          answers.toSorted((left, right) => Number(left) - Number(right)),
          Array.from(answers, (_, at) => at + 1),
        )
        same(textOf(await tier.get('key')), '100')
      }),
    )

    test(
      'touch gives a live entry a new remaining time and keeps the rest',
      withTier(async ({ tier, clock, advance }) => {
        same(await tier.touch('key', 1_000), false, 'without an entry')
        same(await tier.get('key'), undefined, 'touch makes no entry')
        const started = clock.now()
        await tier.set({ ...write('longer', 'value', 1_000), stamp: stampOf(9) })
        await tier.set(write('shorter', 'value', 60_000))
        await tier.set(write('bounded', 'value', Infinity))
        const answers = [
          await tier.touch('longer', 60_000),
          await tier.touch('shorter', 1_000),
          await tier.touch('bounded', 1_000),
        ]
        if (clock.now() - started < 1_000) same(answers, [true, true, true])
        await advance(1_000)
        const entry = await tier.get('longer')
        same(textOf(entry), 'value', 'longer')
        same(entry?.stamp, stampOf(9))
        same(await tier.get('shorter'), undefined, 'shorter')
        same(await tier.get('bounded'), undefined, 'bounded')
        same(await tier.touch('longer', Infinity), true)
        same((await tier.get('longer'))?.remainingMs, Infinity)
        same(await tier.touch('longer', 0), true, 'zero removes, and there was one')
        same(await tier.get('longer'), undefined)
        same(await tier.touch('longer', 1_000), false)
      }),
    )

    test(
      'delete and deleteMany say what live entries they removed',
      withTier(async ({ tier, advance }) => {
        await tier.setMany([write('a', '1'), write('b', '2'), write('c', '3'), write('short', '4', 1_000)])
        await advance(1_000)
        same(await tier.delete('a'), true)
        same(await tier.delete('a'), false)
        same(await tier.deleteMany(['a', 'b', 'b', 'missing', 'short', 'c']), 2)
        same(await tier.getMany(['a', 'b', 'c', 'short']), [undefined, undefined, undefined, undefined])
        same(await tier.deleteMany([]), 0)
      }),
    )

    test(
      'clear of everything leaves nothing',
      withTier(async ({ tier }) => {
        await tier.clear('')
        await tier.setMany(hostileKeys.map((key) => write(key, 'value')))
        await tier.clear('')
        for (const [at, entry] of (await tier.getMany(hostileKeys)).entries()) {
          same(entry, undefined, named(hostileKeys[at] as string))
        }
        await tier.set(write('key', 'value'))
        same(textOf(await tier.get('key')), 'value', 'stored after the clear')
      }),
    )

    test(
      'clear removes a prefix and nothing else',
      withTier(async ({ tier }) => {
        if (!(await isAble(tier, 'prefixClear', () => tier.clear('a:')))) return
        const keys = [
          'a',
          'a:',
          'a:1',
          'a:1:x',
          'a#1',
          'ab:1',
          'A:1',
          'b:a:1',
          '\u00e9:1',
          'e\u0301:1',
          '*:1',
          '%:1',
          'a_1',
          '\u{1f600}:1',
        ]
        for (const prefix of [
          'a:',
          'a:1',
          'a',
          'ab:',
          'A',
          '\u00e9',
          'e',
          '*',
          '%',
          'a_',
          '_',
          '?',
          '[',
          '.',
          '\u{1f600}',
          '__proto__',
          'a:1:x:longer',
        ]) {
          await tier.setMany(keys.map((key) => write(key, key)))
          same(await tier.clear(prefix), undefined, 'what clear resolves to')
          const left = (await tier.getMany(keys)).map(textOf)
          same(
            left,
            keys.map((key) => (key.startsWith(prefix) ? undefined : key)),
            `clear("${prefix}")`,
          )
        }
      }),
    )

    test(
      'prune reclaims what has expired and nothing else',
      withTier(async ({ tier, clock, advance }) => {
        const started = clock.now()
        await tier.setMany([write('live', '1', Infinity), write('long', '2', 600_000)])
        await tier.setMany(Array.from({ length: 20 }, (_, at) => write(`short:${at}`, 'x', 1_000)))
        const early = await tier.prune()
        if (clock.now() - started < 1_000) same(early, 0, 'before the deadline')
        await advance(1_000)
        let reclaimed = early
        for (let call = 0; call < 50; call++) {
          const count = await tier.prune()
          isTrue(Number.isSafeInteger(count) && count >= 0, `prune resolved to ${count}`)
          reclaimed += count
        }
        // A backend that expires by itself may have been faster; any other has to get there in the end.
        if (!tier.supports.expiry) same(reclaimed, 20)
        isTrue(reclaimed <= 20, `${reclaimed} reclaimed of 20`)
        same((await tier.getMany(['live', 'long'])).map(textOf), ['1', '2'])
      }),
    )

    test(
      'another handle on the same backend sees the same entries',
      withTier(async ({ tier, other, clock, advance }) => {
        if (other === undefined) return
        const started = clock.now()
        await tier.set({ ...write('key', 'value', 1_000), stamp: stampOf(4) })
        await other.set(write('other', 'value'))
        const found = await other.get('key')
        if (clock.now() - started < 1_000) same(found?.stamp, stampOf(4))
        same(textOf(await tier.get('other')), 'value')
        same(await tier.delete('other'), true)
        same(await other.get('other'), undefined)
        await advance(1_000)
        same(await other.get('key'), undefined)
        await tier.close()
        await other.set(write('key', 'still open'))
        same(textOf(await other.get('key')), 'still open')
      }),
    )

    test(
      'a closed tier refuses every call, and closing twice is no harm',
      withTier(async ({ tier }) => {
        await tier.set(write('key', 'value'))
        await tier.close()
        same(await tier.close(), undefined)
        const calls: readonly [string, () => Promise<unknown>][] = [
          ['get', () => tier.get('key')],
          ['getMany', () => tier.getMany(['key'])],
          ['set', () => tier.set(write('key', 'value'))],
          ['setMany', () => tier.setMany([write('key', 'value')])],
          ['touch', () => tier.touch('key', 1)],
          ['delete', () => tier.delete('key')],
          ['deleteMany', () => tier.deleteMany(['key'])],
          ['clear', () => tier.clear('')],
          ['prune', () => tier.prune()],
        ]
        for (const [method, call] of calls) await rejects(call(), isCoded('CACHE_CLOSED'), method)
        if (tier.supports.add) await rejects(tier.add(write('key', 'value')), isCoded('CACHE_CLOSED'), 'add')
        if (tier.supports.increment)
          await rejects(tier.increment('key', 1, 0), isCoded('CACHE_CLOSED'), 'increment')
        if (tier.supports.compareAndSet) {
          await rejects(
            tier.compareAndSet(write('key', 'value'), undefined),
            isCoded('CACHE_CLOSED'),
            'compareAndSet',
          )
        }
      }),
    )
  })
}

/** Whether the tier supports something; where it says that it does not, the call must be refused. */
async function isAble(
  tier: Tier,
  ability: keyof TierSupports,
  call: () => Promise<unknown>,
): Promise<boolean> {
  if (!tier.supports[ability])
    await rejects(call(), isCoded('CACHE_NOT_SUPPORTED'), `supports.${ability} is false`)
  return tier.supports[ability]
}

function isCoded(code: string): (error: unknown) => boolean {
  return (error) => (error as { code?: unknown } | null)?.code === code
}

function isNamed(name: string): (error: unknown) => boolean {
  return (error) => error instanceof Error && error.name === name
}

function write(key: string, text: string, remainingMs: number = Infinity): TierWrite {
  return { key, bytes: bytesOf(text), remainingMs }
}

function stampOf(sequence: number): Stamp {
  return { partition: 0, epoch: 1, sequence }
}

function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}

function textOf(entry: TierEntry | undefined): string | undefined {
  return entry === undefined ? undefined : new TextDecoder('utf-8', { ignoreBOM: true }).decode(entry.bytes)
}

function named(key: string): string {
  return `key ${JSON.stringify(key.length > 40 ? `${key.slice(0, 40)}…` : key)}`
}
