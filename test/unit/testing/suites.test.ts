// Proof that the published suites can fail: each is run against implementations with one fault each, and
// has to find it in the test that is about it. A sound implementation has to pass all of them.

import { describe, expect, test } from 'vitest'
import type { Bus, BusListener } from '../../../src/bus/bus.ts'
import { Hub, inProcessBus } from '../../../src/bus/in-process.ts'
import type { Message } from '../../../src/message.ts'
import type { Stamp } from '../../../src/stamp.ts'
import {
  type BusUnderTest,
  busContract,
  type LedgerUnderTest,
  ledgerContract,
  ManualClock,
  type Runner,
  type TierUnderTest,
  tierContract,
} from '../../../src/testing/index.ts'
import type { Ledger } from '../../../src/tiers/ledger.ts'
import { memoryTier } from '../../../src/tiers/memory.ts'
import type { Tier, TierEntry, TierWrite } from '../../../src/tiers/tier.ts'

/** Runs what a suite declares, one after the other; the names of the tests that failed. */
async function failuresOf(declare: (runner: Runner) => void): Promise<string[]> {
  const tests: [string, () => Promise<void> | void][] = []
  declare({ describe: (_, body) => body(), test: (name, body) => tests.push([name, body]) })
  expect(tests.length).toBeGreaterThan(5)
  const failures: string[] = []
  for (const [name, body] of tests) {
    try {
      await body()
    } catch {
      failures.push(name)
    }
  }
  return failures
}

/** `target` with some of its members replaced. */
function changed<T extends object>(target: T, changes: Partial<T>): T {
  return new Proxy(target, {
    get(_, name) {
      if (Object.hasOwn(changes, name)) return changes[name as keyof T]
      const value: unknown = Reflect.get(target, name, target)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}

/** Lets other calls have their turn: what makes two steps of one. */
const turn = (): Promise<void> => Promise.resolve()

function openTier(breakIt: (tier: Tier, clock: ManualClock) => Tier): () => Promise<TierUnderTest> {
  return async () => {
    const clock = new ManualClock()
    const hub = new Hub({ clock })
    const tier = breakIt(memoryTier({ hub }), clock)
    return { tier, other: memoryTier({ hub }), clock, advance: (byMs) => clock.advance(byMs) }
  }
}

/** A tier that changes writes before it stores them, in every method that writes. */
function rewriting(tier: Tier, rewrite: (write: TierWrite) => TierWrite): Tier {
  return changed(tier, {
    set: (write) => tier.set(rewrite(write)),
    setMany: (writes) => tier.setMany(writes.map(rewrite)),
    add: (write) => tier.add(rewrite(write)),
    compareAndSet: (write, expected) => tier.compareAndSet(rewrite(write), expected),
  })
}

/** A tier that sees keys through `fold`. */
function folding(tier: Tier, fold: (key: string) => string): Tier {
  const folded = rewriting(tier, (write) => ({ ...write, key: fold(write.key) }))
  return changed(folded, {
    get: (key) => tier.get(fold(key)),
    getMany: (keys) => tier.getMany(keys.map(fold)),
    delete: (key) => tier.delete(fold(key)),
    touch: (key, remainingMs) => tier.touch(fold(key), remainingMs),
  })
}

/** A tier that gives back the very arrays it was given. */
function withoutCopies(tier: Tier): Tier {
  const arrays = new Map<string, Uint8Array>()
  const given = (key: string, entry: TierEntry | undefined): TierEntry | undefined =>
    entry && { ...entry, bytes: arrays.get(key) ?? entry.bytes }
  return changed(tier, {
    set: (write) => {
      arrays.set(write.key, write.bytes)
      return tier.set(write)
    },
    get: async (key) => given(key, await tier.get(key)),
  })
}

const tierMutants: [what: string, caughtBy: string, breakIt: (tier: Tier, clock: ManualClock) => Tier][] = [
  [
    'forgets deadlines',
    'there before its deadline',
    (tier) => rewriting(tier, (write) => ({ ...write, remainingMs: write.remainingMs > 0 ? Infinity : 0 })),
  ],
  [
    'lives a millisecond too long',
    'gone at it',
    (tier) => rewriting(tier, (write) => ({ ...write, remainingMs: write.remainingMs + 1 })),
  ],
  [
    'dies a millisecond early',
    'there before its deadline',
    (tier) => rewriting(tier, (write) => ({ ...write, remainingMs: write.remainingMs - 1 })),
  ],
  [
    'answers with the remaining time of the write',
    'remaining times count down',
    (tier) =>
      changed(tier, {
        get: async (key) => ((entry) => entry && { ...entry, remainingMs: 10_000 })(await tier.get(key)),
      }),
  ],
  [
    'cuts long times to 30 days',
    'fractions, very long times',
    (tier) =>
      rewriting(tier, (write) => ({ ...write, remainingMs: Math.min(write.remainingMs, 2_592_000_000) })),
  ],
  [
    'stores what has no remaining time',
    'zero or a negative',
    (tier) => rewriting(tier, (write) => ({ ...write, remainingMs: Math.max(write.remainingMs, 1) })),
  ],
  [
    'keeps the entry that a write without time replaces',
    'zero or a negative',
    (tier) => changed(tier, { set: async (write) => (write.remainingMs > 0 ? tier.set(write) : undefined) }),
  ],
  ['keeps the array it was given', 'the tier keeps a copy', withoutCopies],
  [
    'takes no bytes for no entry',
    'no bytes and all byte values',
    (tier) =>
      changed(tier, {
        get: async (key) => ((entry) => (entry?.bytes.length === 0 ? undefined : entry))(await tier.get(key)),
      }),
  ],
  [
    'cuts values at 64 KiB',
    'a million bytes',
    (tier) => rewriting(tier, (write) => ({ ...write, bytes: write.bytes.subarray(0, 65_536) })),
  ],
  [
    'loses stamps',
    'a stamp comes back',
    (tier) => rewriting(tier, ({ key, bytes, remainingMs }) => ({ key, bytes, remainingMs })),
  ],
  [
    'keeps stamps in 32 bits',
    'a stamp comes back',
    (tier) =>
      rewriting(tier, (write) =>
        write.stamp === undefined
          ? write
          : { ...write, stamp: { ...write.stamp, sequence: write.stamp.sequence | 0 } },
      ),
  ],
  ['folds case', 'keys are told apart', (tier) => folding(tier, (key) => key.toLowerCase())],
  ['normalises Unicode', 'keys are told apart', (tier) => folding(tier, (key) => key.normalize('NFC'))],
  ['cuts keys at NUL', 'keys are told apart', (tier) => folding(tier, (key) => key.split('\0', 1)[0] ?? '')],
  ['trims keys', 'keys are told apart', (tier) => folding(tier, (key) => key.trim())],
  ['cuts keys at 250 bytes', 'keys are told apart', (tier) => folding(tier, (key) => key.slice(0, 250))],
  [
    'keeps keys as property names',
    'names of properties',
    (tier) =>
      changed(tier, {
        get: async (key) =>
          key in {} ? { bytes: new Uint8Array(0), remainingMs: Infinity, stamp: undefined } : tier.get(key),
      }),
  ],
  [
    'answers getMany without doubles',
    'getMany answers',
    (tier) => changed(tier, { getMany: (keys) => tier.getMany([...new Set(keys)]) }),
  ],
  [
    'answers getMany in the order of keys',
    'getMany answers',
    (tier) => changed(tier, { getMany: (keys) => tier.getMany(keys.toSorted()) }),
  ],
  [
    'looks before it adds',
    'of a hundred adds',
    (tier) =>
      changed(tier, {
        add: async (write) => {
          if ((await tier.get(write.key)) !== undefined) return false
          await tier.set(write)
          return true
        },
      }),
  ],
  [
    'compares before it sets',
    'of a hundred compareAndSet',
    (tier) =>
      changed(tier, {
        compareAndSet: async (write, expected) => {
          const bytes = (await tier.get(write.key))?.bytes
          await turn()
          return String(bytes) === String(expected) ? tier.set(write).then(() => true) : false
        },
      }),
  ],
  [
    'compares lengths only',
    'compareAndSet stores only',
    (tier) =>
      changed(tier, {
        compareAndSet: async (write, expected) => {
          const bytes = (await tier.get(write.key))?.bytes
          return bytes?.length === expected?.length ? tier.compareAndSet(write, bytes) : false
        },
      }),
  ],
  [
    'takes an expired entry for one that is there',
    'add stores only',
    (tier) => {
      const added = new Set<string>()
      return changed(tier, {
        add: async (write) => (added.has(write.key) ? false : added.add(write.key) && tier.add(write)),
      })
    },
  ],
  [
    'reads before it increments',
    'a hundred increments',
    (tier) =>
      changed(tier, {
        increment: async (key, delta, from) => {
          const entry = await tier.get(key)
          if (entry === undefined) return undefined
          const sum = Number(new TextDecoder().decode(entry.bytes.subarray(from))) + delta
          await tier.set({ ...entry, key, bytes: new TextEncoder().encode(String(sum)) })
          return sum
        },
      }),
  ],
  [
    'gives an incremented entry no deadline',
    'increment adds',
    (tier) =>
      changed(tier, {
        increment: async (key, delta, from) => {
          const sum = await tier.increment(key, delta, from)
          await tier.touch(key, Infinity)
          return sum
        },
      }),
  ],
  [
    'increments from nothing',
    'increment adds',
    (tier) =>
      changed(tier, {
        increment: async (key, delta, from) => {
          await tier.add({ key, bytes: new TextEncoder().encode('0'), remainingMs: Infinity })
          return tier.increment(key, delta, from)
        },
      }),
  ],
  [
    'increments text',
    'increment refuses',
    (tier) =>
      changed(tier, { increment: (key, delta, from) => tier.increment(key, delta, from).catch(() => 1) }),
  ],
  [
    'touches what is not there',
    'touch gives',
    (tier) => changed(tier, { touch: (key, remainingMs) => tier.touch(key, remainingMs).then(() => true) }),
  ],
  [
    'says that it deleted what was not there',
    'delete and deleteMany',
    (tier) => changed(tier, { delete: (key) => tier.delete(key).then(() => true) }),
  ],
  [
    'counts keys, not entries',
    'delete and deleteMany',
    (tier) => changed(tier, { deleteMany: (keys) => tier.deleteMany(keys).then(() => keys.length) }),
  ],
  [
    'clears siblings',
    'clear removes a prefix',
    (tier) => changed(tier, { clear: (prefix) => tier.clear(prefix.slice(0, -1)) }),
  ],
  [
    'takes a prefix for a pattern',
    'clear removes a prefix',
    (tier) => changed(tier, { clear: (prefix) => tier.clear(prefix.replace(/[*%_?].*$/, '')) }),
  ],
  ['clears nothing', 'clear of everything', (tier) => changed(tier, { clear: async () => {} })],
  [
    'prunes the living',
    'prune reclaims',
    (tier) =>
      changed(tier, {
        prune: async () => {
          const pruned = await tier.prune()
          await tier.delete('long')
          return pruned
        },
      }),
  ],
  ['never prunes', 'prune reclaims', (tier) => changed(tier, { prune: async () => 0 })],
  ['answers after it was closed', 'a closed tier', (tier) => changed(tier, { close: async () => {} })],
  [
    'does what it says it cannot',
    'add stores only',
    (tier) => changed(tier, { supports: { ...tier.supports, add: false } }),
  ],
]

function openLedger(
  breakIt: (ledger: Ledger, hub: Hub) => Ledger,
  partitions = 16,
): () => Promise<LedgerUnderTest> {
  return async () => {
    const clock = new ManualClock()
    const hub = new Hub({ clock, logMessages: 128, maxTags: 32, partitions })
    const bus = inProcessBus({ hub })
    return {
      ledger: breakIt(hub, hub),
      other: hub,
      bus,
      clock,
      logMessages: 128,
      maxTags: 32,
      advance: (byMs) => clock.advance(byMs),
      settle: turn,
      reset: () => hub.reset(),
      close: () => bus.close(),
    }
  }
}

/** A ledger that commits in another way. */
function committing(ledger: Ledger, commit: Ledger['commit']): Ledger {
  return changed(ledger, { commit })
}

const nothing = new Uint8Array(0)
const knownAs = (hub: Hub, key: string): Promise<Stamp> =>
  hub.read([key]).then(([reading]) => reading?.asOf as Stamp)

const ledgerMutants: [what: string, caughtBy: string, breakIt: (ledger: Ledger, hub: Hub) => Ledger][] = [
  [
    'fences no populate',
    'refused when a set came',
    (ledger, hub) =>
      changed(ledger, { populate: async (write) => hub.populate(write, await knownAs(hub, write.key)) }),
  ],
  [
    'forgets that a deleted key was changed',
    'refused when a delete came',
    (ledger, hub) =>
      changed(ledger, {
        populate: async (write, asOf) => {
          const later = await hub.since(asOf)
          const isDeletedOnly =
            later !== 'gap' && later.every(({ op, keys }) => op === 'delete' || keys[0] !== write.key)
          return hub.populate(write, isDeletedOnly ? await knownAs(hub, write.key) : asOf)
        },
      }),
  ],
  [
    'fences sets and deletes, not clears',
    'refused when a clear of its prefix',
    (ledger, hub) =>
      changed(ledger, {
        populate: async (write, asOf) => {
          const later = await hub.since(asOf)
          const isFree =
            later !== 'gap' && !later.some(({ op, keys }) => op !== 'clear' && keys[0] === write.key)
          return isFree ? hub.populate(write, await knownAs(hub, write.key)) : 'refused'
        },
      }),
  ],
  [
    'fences the whole partition',
    'only other keys changed',
    (ledger, hub) =>
      changed(ledger, {
        populate: async (write, asOf) => {
          const later = await hub.since(asOf)
          return later !== 'gap' && later.length === 0 ? hub.populate(write, asOf) : 'refused'
        },
      }),
  ],
  [
    'trusts other epochs',
    'not known here',
    (ledger, hub) =>
      changed(ledger, {
        populate: async (write, asOf) =>
          hub.populate(write, { ...asOf, epoch: (await knownAs(hub, write.key)).epoch }),
      }),
  ],
  [
    'trusts sequences that it never gave out',
    'not known here',
    (ledger, hub) =>
      changed(ledger, {
        populate: async (write, asOf) => {
          const stood = await knownAs(hub, write.key)
          return hub.populate(write, { ...asOf, sequence: Math.min(asOf.sequence, stood.sequence) })
        },
      }),
  ],
  [
    'checks the fence, then stores',
    'races with a commit',
    (ledger, hub) =>
      changed(ledger, {
        populate: async (write, asOf) => {
          const answer = await hub.populate({ ...write, remainingMs: 0 }, asOf)
          await turn()
          if (answer === 'stored') hub.entries.store({ ...write, stamp: asOf })
          return answer
        },
      }),
  ],
  [
    'rings for populates',
    'a populate is stored when nothing',
    (ledger, hub) =>
      changed(ledger, {
        populate: async (write) => {
          await hub.commit({ ...write, op: 'set' }, { id: '0123456789abcdef', serial: 99 })
          return 'stored'
        },
      }),
  ],
  [
    'stores nothing on a populate',
    'a populate is stored when nothing',
    (ledger, hub) =>
      changed(ledger, { populate: (write, asOf) => hub.populate({ ...write, remainingMs: 0 }, asOf) }),
  ],
  [
    'forgets the first mutation',
    'since tells every mutation',
    (ledger, hub) =>
      changed(ledger, {
        since: async (after) =>
          ((later) => (later === 'gap' ? later : later.slice(1)))(await hub.since(after)),
      }),
  ],
  [
    'forgets the last mutation',
    'since tells every mutation',
    (ledger, hub) =>
      changed(ledger, {
        since: async (after) =>
          ((later) => (later === 'gap' ? later : later.slice(0, -1)))(await hub.since(after)),
      }),
  ],
  [
    'tells the newest first',
    'since tells every mutation',
    (ledger, hub) =>
      changed(ledger, {
        since: async (after) =>
          ((later) => (later === 'gap' ? later : later.toReversed()))(await hub.since(after)),
      }),
  ],
  [
    'answers nothing where it should say gap',
    'since answers a gap',
    (ledger, hub) =>
      changed(ledger, {
        since: async (after) => ((later) => (later === 'gap' ? [] : later))(await hub.since(after)),
      }),
  ],
  [
    'hides what its log forgot',
    'a log that is full',
    (ledger, hub) =>
      changed(ledger, {
        since: async (after) => {
          const later = await hub.since(after)
          if (later !== 'gap' || after.sequence !== 0) return later
          const stood = (await hub.probe('x'))[after.partition] as Stamp
          return hub.since({ ...stood, sequence: stood.sequence - 10 })
        },
      }),
  ],
  [
    'loses serials',
    'since tells every mutation',
    (ledger, hub) =>
      changed(ledger, { commit: (mutation, origin) => hub.commit(mutation, { ...origin, serial: 1 }) }),
  ],
  [
    'loses origins',
    'says who made it',
    (ledger, hub) =>
      changed(ledger, {
        commit: (mutation, { serial }) => hub.commit(mutation, { id: '0000000000000000', serial }),
      }),
  ],
  [
    'says that nothing was there',
    'whether a live entry was there',
    (ledger, hub) =>
      changed(ledger, {
        commit: async (mutation, origin) => ({ ...(await hub.commit(mutation, origin)), existed: false }),
      }),
  ],
  [
    'takes expired entries for live ones',
    'whether a live entry was there',
    (ledger, hub) => {
      const written = new Set<string>()
      return changed(ledger, {
        commit: async (mutation, origin) => {
          const committed = await hub.commit(mutation, origin)
          if (mutation.op === 'clear' || mutation.op === 'tags') return committed
          const existed = written.has(mutation.key)
          if (mutation.op === 'set') written.add(mutation.key)
          else written.delete(mutation.key)
          return { ...committed, existed }
        },
      })
    },
  ],
  [
    'rings before it stores',
    'that was rung for a mutation finds it done',
    (ledger, hub) =>
      changed(ledger, {
        commit: async (mutation, origin) => {
          if (mutation.op !== 'set') return hub.commit(mutation, origin)
          const committed = await hub.commit({ ...mutation, bytes: nothing, remainingMs: 0 }, origin)
          for (let turns = 0; turns < 3; turns++) await turn()
          hub.entries.store({ ...mutation, stamp: committed.stamp })
          return committed
        },
      }),
  ],
  [
    'keeps the array it was given',
    'a read after a commit',
    (ledger, hub) => {
      const arrays = new Map<string, Uint8Array>()
      return changed(ledger, {
        commit: (mutation, origin) => {
          if (mutation.op === 'set') arrays.set(mutation.key, mutation.bytes)
          return hub.commit(mutation, origin)
        },
        read: async (keys) =>
          (await hub.read(keys)).map(({ entry, asOf }, at) => ({
            asOf,
            entry: entry && { ...entry, bytes: arrays.get(keys[at] as string) ?? entry.bytes },
          })),
      })
    },
  ],
  [
    'gives one stamp to commits made at once',
    'a hundred commits at once',
    (ledger, hub) =>
      changed(ledger, {
        commit: async (mutation, origin) => {
          const committed = await hub.commit(mutation, origin)
          return {
            ...committed,
            stamp:
              mutation.op === 'clear' || mutation.op === 'tags'
                ? ((await hub.probe('x'))[0] as Stamp)
                : await knownAs(hub, mutation.key),
          }
        },
      }),
  ],
  [
    'reads where a partition stood before',
    'a read after a commit',
    (ledger, hub) =>
      changed(ledger, {
        read: async (keys) =>
          (await hub.read(keys)).map(({ entry, asOf }) => ({
            entry,
            asOf: { ...asOf, sequence: Math.max(0, asOf.sequence - 1) },
          })),
      }),
  ],
  [
    'answers a read in the order of keys',
    'in the order asked',
    (ledger, hub) => changed(ledger, { read: (keys) => hub.read(keys.toSorted()) }),
  ],
  [
    'deals versions of a key to many partitions',
    'all versions of a key',
    (ledger, hub) =>
      changed(ledger, { read: (keys) => hub.read(keys.map((key) => key.replaceAll(':', ';'))) }),
  ],
  [
    'takes a clear for one partition only',
    'a clear removes its prefix',
    (ledger, hub) =>
      changed(ledger, {
        commit: async (mutation, origin) => {
          if (mutation.op !== 'clear') return hub.commit(mutation, origin)
          hub.entries.clear(mutation.prefix)
          return hub.commit({ op: 'delete', key: mutation.prefix }, origin)
        },
      }),
  ],
  [
    'clears siblings',
    'a clear removes its prefix',
    (ledger, hub) =>
      changed(ledger, {
        commit: (mutation, origin) =>
          hub.commit(
            mutation.op === 'clear' ? { op: 'clear', prefix: mutation.prefix.slice(0, 3) } : mutation,
            origin,
          ),
      }),
  ],
  [
    'begins again with the same epoch',
    'a backend that lost its memory',
    (ledger, hub) =>
      changed(ledger, {
        read: async (keys) =>
          (await hub.read(keys)).map(({ entry, asOf }) => ({
            entry,
            asOf: { ...asOf, epoch: 1_700_000_000_000_000 },
          })),
      }),
  ],
  [
    'adds over what is there',
    'an add stores only',
    (ledger, hub) =>
      committing(ledger, (mutation, origin) =>
        hub.commit(mutation.op === 'add' ? { ...mutation, op: 'set' } : mutation, origin),
      ),
  ],
  [
    'looks, then adds',
    'of many adds of one key one stores',
    (ledger, hub) =>
      committing(ledger, async (mutation, origin) => {
        if (mutation.op !== 'add' || hub.entries.has(mutation.key)) return hub.commit(mutation, origin)
        await turn()
        return hub.commit({ ...mutation, op: 'set' }, origin)
      }),
  ],
  [
    'swaps whatever is there',
    'a swap stores only',
    (ledger, hub) =>
      committing(ledger, (mutation, origin) => {
        if (mutation.op !== 'swap' || !hub.entries.has(mutation.key)) return hub.commit(mutation, origin)
        return hub.commit({ ...mutation, op: 'set' }, origin)
      }),
  ],
  [
    'begins the life of a number anew',
    'an increment adds to the digits',
    (ledger, hub) =>
      committing(ledger, async (mutation, origin) => {
        const committed = await hub.commit(mutation, origin)
        if (mutation.op === 'increment') hub.entries.touch(mutation.key, Infinity)
        return committed
      }),
  ],
  [
    'touches what is not there',
    'a touch gives a live entry',
    (ledger, hub) =>
      committing(ledger, async (mutation, origin) => ({
        ...(await hub.commit(mutation, origin)),
        ...(mutation.op === 'touch' ? { applied: true } : {}),
      })),
  ],
  [
    'copies instead of moving',
    'a move takes bytes and remaining time along',
    (ledger, hub) =>
      committing(ledger, async (mutation, origin) => {
        const entry = mutation.op === 'move' ? hub.entries.get(mutation.key) : undefined
        const committed = await hub.commit(mutation, origin)
        if (mutation.op === 'move' && entry !== undefined) hub.entries.store({ ...entry, key: mutation.key })
        return committed
      }),
  ],
  [
    'takes a place for what did not apply',
    'takes no place and rings nothing',
    (ledger, hub) =>
      committing(ledger, async (mutation, origin) => {
        const committed = await hub.commit(mutation, origin)
        if (!committed.applied && 'key' in mutation) {
          await hub.commit({ op: 'delete', key: 'app:1:none' }, origin)
        }
        return committed
      }),
  ],
  [
    'orders tags among keys',
    'takes one place in the tag partition',
    (ledger, hub) =>
      committing(ledger, (mutation, origin) =>
        hub.commit(
          mutation.op === 'tags' ? { op: 'delete', key: mutation.tags[0] as string } : mutation,
          origin,
        ),
      ),
  ],
  [
    'takes one kind of invalidation for the other',
    'each kind by itself',
    (ledger, hub) =>
      committing(ledger, (mutation, origin) =>
        hub.commit(mutation.op === 'tags' ? { ...mutation, how: 'delete' } : mutation, origin),
      ),
  ],
  [
    'forgets tags without saying so',
    'raise the floor',
    (ledger, hub) =>
      changed(ledger, {
        readTags: async (names) => {
          const { floor, ...reading } = await hub.readTags(names)
          return { ...reading, floor: { ...floor, sequence: 0 } }
        },
      }),
  ],
  [
    'keeps the floor when all is lost',
    'nothing is known of tags from before',
    (ledger, hub) =>
      changed(ledger, {
        readTags: async (names) => {
          const { floor, ...reading } = await hub.readTags(names)
          return { ...reading, floor: { ...floor, epoch: 0 } }
        },
      }),
  ],
  [
    'echoes another token',
    'an echo comes behind',
    (ledger, hub) => changed(ledger, { probe: () => hub.probe('another') }),
  ],
  [
    'echoes before it has read the log',
    'an echo comes behind',
    (ledger, hub) =>
      changed(ledger, {
        probe: async (token) => {
          const stamps = await hub.probe(token)
          for (const link of hub.links) {
            link.hold()
            link.queue.sort((left, right) => Number(right.kind === 'echo') - Number(left.kind === 'echo'))
            link.release()
          }
          return stamps
        },
        commit: async (mutation, origin) => {
          for (const link of hub.links) link.hold()
          return hub.commit(mutation, origin)
        },
      }),
  ],
]

function openBus(breakIt: (bus: Bus, hub: Hub) => Bus): () => Promise<BusUnderTest> {
  return async () => {
    const hub = new Hub()
    return { bus: breakIt(inProcessBus({ hub }), hub), other: inProcessBus({ hub }), settle: turn }
  }
}

/** A bus that puts something between itself and its listener. */
function listening(bus: Bus, between: (listener: BusListener) => Partial<BusListener>): Bus {
  return changed(bus, { subscribe: (listener) => bus.subscribe(changed(listener, between(listener))) })
}

const busMutants: [what: string, caughtBy: string, breakIt: (bus: Bus, hub: Hub) => Bus][] = [
  [
    'swaps messages',
    'told every commit of either, in order',
    (bus) =>
      listening(bus, (listener) => {
        const waiting = new Map<number, Message>()
        return {
          onMessage: (message) => {
            const earlier = waiting.get(message.stamp.partition)
            if (message.serial % 5 === 1 && earlier === undefined)
              waiting.set(message.stamp.partition, message)
            else {
              waiting.delete(message.stamp.partition)
              listener.onMessage(message)
              if (earlier !== undefined) listener.onMessage(earlier)
            }
          },
        }
      }),
  ],
  [
    'loses a message',
    'told every commit of either, in order',
    (bus) =>
      listening(bus, (listener) => ({
        onMessage: (message) => {
          if (message.serial !== 7) listener.onMessage(message)
        },
      })),
  ],
  [
    'loses the last message',
    'a process is told',
    (bus) =>
      listening(bus, (listener) => {
        let last: Message | undefined
        return {
          onMessage: (message) => {
            if (last !== undefined) listener.onMessage(last)
            last = message
          },
        }
      }),
  ],
  [
    'says of every message that it follows on the one before',
    'order of their stamps',
    (bus) =>
      listening(bus, (listener) => ({
        onMessage: (message) => {
          if (message.serial % 9 !== 0) listener.onMessage({ ...message, after: message.stamp.sequence })
        },
      })),
  ],
  [
    'does not tell what the process did itself',
    'told what it committed itself',
    (bus) => {
      const own = new Set<string>()
      const ledger = changed(bus.ledger, {
        commit: (mutation, origin) => {
          own.add(`${origin.id}/${origin.serial}`)
          return bus.ledger.commit(mutation, origin)
        },
      })
      return changed(
        listening(bus, (listener) => ({
          onMessage: (message) => {
            if (!own.has(`${message.origin}/${message.serial}`)) listener.onMessage(message)
          },
        })),
        { ledger },
      )
    },
  ],
  [
    'echoes too early',
    'an echo comes behind',
    (bus) =>
      listening(bus, (listener) => {
        const waiting: Message[] = []
        return {
          onMessage: (message) => {
            waiting.push(message)
            void Promise.resolve()
              .then(turn)
              .then(turn)
              .then(() => {
                const next = waiting.shift()
                if (next !== undefined) listener.onMessage(next)
              })
          },
        }
      }),
  ],
  [
    'echoes other tokens',
    'an echo comes behind',
    (bus) => listening(bus, (listener) => ({ onEcho: (_, stamps) => listener.onEcho('', stamps) })),
  ],
  [
    'says where it stood at first',
    'an echo comes behind',
    (bus) => {
      let first: readonly Stamp[] = []
      return changed(bus, {
        subscribe: async (listener) => {
          first = await bus.subscribe(changed(listener, { onEcho: (token) => listener.onEcho(token, first) }))
          return [...first]
        },
      })
    },
  ],
  [
    'says at subscribe that nothing happened yet',
    'subscribe says where',
    (bus) =>
      changed(bus, {
        subscribe: async (listener) =>
          (await bus.subscribe(listener)).map((stamp) => ({ ...stamp, sequence: 0 })),
      }),
  ],
  [
    'listens only after a while',
    'while a process subscribes',
    (bus, hub) =>
      changed(bus, {
        subscribe: async (listener) => {
          const stamps = await hub.probe('early')
          for (let turns = 0; turns < 3; turns++) await turn()
          await bus.subscribe(listener)
          return stamps
        },
      }),
  ],
  [
    'tells a clear once',
    'a clear is told in every partition',
    (bus) =>
      listening(bus, (listener) => ({
        onMessage: (message) => {
          if (message.op !== 'clear' || message.stamp.partition === 0) listener.onMessage(message)
        },
      })),
  ],
  [
    'trims keys',
    'keys arrive as they were',
    (bus) =>
      changed(bus, {
        ledger: changed(bus.ledger, {
          commit: (mutation, origin) =>
            bus.ledger.commit(
              'key' in mutation ? { ...mutation, key: mutation.key.trim() } : mutation,
              origin,
            ),
        }),
      }),
  ],
  [
    'goes on after it was closed',
    'a closed bus tells nothing',
    (bus) => changed(bus, { close: async () => {} }),
  ],
  [
    'tells both listeners',
    'takes the place of the first',
    (bus, hub) => changed(bus, { subscribe: async (listener) => hub.link(listener).stamps }),
  ],
]

describe('tierContract', () => {
  test('a sound tier passes', async () => {
    expect(
      await failuresOf((runner) =>
        tierContract(
          'sound',
          openTier((tier) => tier),
          runner,
        ),
      ),
    ).toEqual([])
  })

  test('a sound tier that supports little passes', async () => {
    const little = { expiry: false, prefixClear: false, add: false, increment: false, compareAndSet: false }
    const refuse = async (): Promise<never> =>
      Promise.reject(Object.assign(new Error('no'), { code: 'CACHE_NOT_SUPPORTED' }))
    const open = openTier((tier) =>
      changed(tier, {
        supports: little,
        add: refuse,
        increment: refuse,
        compareAndSet: refuse,
        clear: (prefix) => (prefix === '' ? tier.clear('') : refuse()),
      }),
    )
    expect(await failuresOf((runner) => tierContract('little', open, runner))).toEqual([])
  })

  for (const [what, caughtBy, breakIt] of tierMutants) {
    test(`a tier that ${what} is caught`, async () => {
      const failures = await failuresOf((runner) => tierContract(what, openTier(breakIt), runner))
      expect(failures.join('\n')).toContain(caughtBy)
    })
  }
})

describe('ledgerContract', () => {
  test('a sound ledger passes', async () => {
    expect(
      await failuresOf((runner) =>
        ledgerContract(
          'sound',
          openLedger((ledger) => ledger),
          runner,
        ),
      ),
    ).toEqual([])
  })

  for (const [what, caughtBy, breakIt] of ledgerMutants) {
    test(`a ledger that ${what} is caught`, async () => {
      const failures = await failuresOf((runner) => ledgerContract(what, openLedger(breakIt), runner))
      expect(failures.join('\n')).toContain(caughtBy)
    })
  }
})

describe('busContract', () => {
  test('a sound bus passes', async () => {
    expect(
      await failuresOf((runner) =>
        busContract(
          'sound',
          openBus((bus) => bus),
          runner,
        ),
      ),
    ).toEqual([])
  })

  test('a bus that doubles messages and tells of gaps passes', async () => {
    const open = openBus((bus, hub) =>
      listening(bus, (listener) => ({
        onMessage: (message) => {
          if (message.serial % 10 === 3) {
            // Lost, but told: the listener learns where the bus goes on.
            listener.onGap(message.stamp.partition, [message.stamp], `lost on ${hub.channel}`)
          } else {
            listener.onMessage(message)
            listener.onMessage(message)
          }
        },
      })),
    )
    const failures = await failuresOf((runner) => busContract('lossy', open, runner))
    // These two ask for the message itself, where a gap says too little.
    const asksForMessages = [
      'both processes are told every commit of either, in order',
      'keys arrive as they were committed, to the last bit',
    ]
    expect(failures.filter((name) => !asksForMessages.includes(name))).toEqual([])
  })

  for (const [what, caughtBy, breakIt] of busMutants) {
    test(`a bus that ${what} is caught`, async () => {
      const failures = await failuresOf((runner) => busContract(what, openBus(breakIt), runner))
      expect(failures.join('\n')).toContain(caughtBy)
    })
  }
})
