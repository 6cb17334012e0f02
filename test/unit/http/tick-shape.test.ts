// What `process.nextTick` makes looks the same for as long as one of them lives: an HTTP cache keeps one, and one only.

import assert from 'node:assert/strict'
import { createHook } from 'node:async_hooks'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { test } from 'vitest'
import { createCache } from '../../../src/create-cache.ts'
import { httpCache } from '../../../src/http/index.ts'

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

/** The ticks that `act` asks for in its own turn. */
function ticksOf(act: () => void): WeakRef<object>[] {
  const ticks: WeakRef<object>[] = []
  const hook = createHook({
    init: (_id, type, _trigger, tick) => {
      if (type === 'TickObject') ticks.push(new WeakRef(tick))
    },
  }).enable()
  act()
  hook.disable()
  return ticks
}

/** How many of them a full collection leaves; references live to the end of a turn. */
async function livingOf(ticks: readonly WeakRef<object>[]): Promise<number> {
  for (let turn = 0; turn < 5; turn++) {
    await new Promise((resolve) => setImmediate(resolve))
    collectGarbage()
  }
  return ticks.filter((tick) => tick.deref() !== undefined).length
}

test('one tick of the process is kept, whatever number of HTTP caches there is', async () => {
  const cache = createCache()
  try {
    const others = ticksOf(() => process.nextTick(() => {}))
    assert.deepEqual([others.length, await livingOf(others)], [1, 0], 'a tick that nobody keeps is garbage')
    const first = ticksOf(() => httpCache({ cache }))
    assert.equal(await livingOf(first), 1)
    const second = ticksOf(() => httpCache({ cache }))
    assert.deepEqual([second.length, await livingOf(first)], [0, 1])
  } finally {
    await cache.close()
  }
})
