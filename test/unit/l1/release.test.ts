// What has left the cache is garbage: no slot, queue or timer holds a value any longer.

import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { describe, expect, test } from 'vitest'
import { createL1 } from '../../../src/create-l1.ts'
import type { L1, RemovalListener } from '../../../src/l1/l1.ts'
import { ManualClock } from '../../../src/testing/manual-clock.ts'

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

interface Held {
  bytes: Uint8Array
}

/** Resolves to whether what `held` refers to has been collected; references live to the end of a turn. */
async function isCollected(held: WeakRef<object>): Promise<boolean> {
  for (let turn = 0; turn < 10; turn++) {
    await new Promise((resolve) => setImmediate(resolve))
    collectGarbage()
    if (held.deref() === undefined) return true
  }
  return false
}

/** Puts a value under `key` that nothing else refers to. */
function put(l1: L1<Held>, key: string, ttl: number | null = null): WeakRef<Held> {
  const value = { bytes: new Uint8Array(100_000) }
  l1.set(key, value, { ttl })
  return new WeakRef(value)
}

const other: Held = { bytes: new Uint8Array(1) }

const ends: Record<string, (l1: L1<Held>, clock: ManualClock) => void> = {
  evicted: (l1) => {
    l1.set('b', other)
    l1.set('c', other)
  },
  replaced: (l1) => l1.set('key', other),
  deleted: (l1) => l1.delete('key'),
  'given a ttl of 0': (l1) => l1.set('key', other, { ttl: 0 }),
  cleared: (l1) => l1.clear(),
  'found expired': (l1, clock) => {
    clock.advance(100)
    l1.get('key')
  },
  swept: (_, clock) => clock.advance(1_000),
  'expired and replaced': (l1, clock) => {
    clock.advance(100)
    l1.set('key', other)
  },
}

describe.each([
  ['without a listener', undefined],
  ['with a listener', (() => undefined) as RemovalListener<Held>],
])('%s a value is let go of', (_, onRemoval) => {
  test.each(Object.keys(ends))('when its entry is %s', async (name) => {
    const clock = new ManualClock()
    const l1 = createL1<Held>({ maxEntries: 2, policy: 'lru', clock, ...(onRemoval && { onRemoval }) })
    const held = put(l1, 'key', 100)
    collectGarbage()
    expect(held.deref()).toBeDefined()
    ends[name]?.(l1, clock)
    expect(await isCollected(held)).toBe(true)
    // The cache itself is still in use.
    expect(l1.size).toBeLessThanOrEqual(2)
  })
})

test('a value that is in the cache stays', async () => {
  const l1 = createL1<Held>({ maxEntries: 2 })
  const held = put(l1, 'key')
  expect(await isCollected(held)).toBe(false)
  expect(l1.get('key')).toBe(held.deref())
})

test('a cache that everyone has forgotten is collected though its timers run', async () => {
  const started: (() => void)[] = []
  const clock = new ManualClock()
  const kept = {
    now: () => clock.now(),
    wallNow: () => clock.wallNow(),
    setTimer: (run: () => void) => {
      started.push(run)
      return { cancel: () => undefined }
    },
  }
  const open = (): WeakRef<L1<Held>> => {
    const l1 = createL1<Held>({ maxEntries: 2, clock: kept })
    put(l1, 'key', 100)
    l1.get('key')
    return new WeakRef(l1)
  }
  const held = open()
  expect(started.length).toBe(2)
  expect(await isCollected(held)).toBe(true)
  for (const run of started) run()
})
