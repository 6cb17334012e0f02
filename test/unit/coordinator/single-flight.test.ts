import { describe, expect, test } from 'vitest'
import { SingleFlight } from '../../../src/coordinator/single-flight.ts'
import { ManualClock } from '../../../src/testing/manual-clock.ts'
import { deferred } from '../../support/caches.ts'

function flights(joinableMs = Number.POSITIVE_INFINITY) {
  const clock = new ManualClock()
  return { clock, flights: new SingleFlight(clock, joinableMs) }
}

describe('a single flight', () => {
  test('runs one task for all who come while it is under way, and the next one after it', async () => {
    const { flights: single } = flights()
    const first = deferred<number>()
    const joined = [single.run('a', () => first.promise), single.run('a', async () => 2)]
    expect(single.size).toBe(1)
    first.resolve(1)
    expect(await Promise.all(joined)).toEqual([1, 1])
    expect(await single.run('a', async () => 3)).toBe(3)
    expect(single.size).toBe(0)
  })

  test('gives its failure to everyone and lets the next caller try again, also from within a handler', async () => {
    const { flights: single } = flights()
    const failure = new Error('down')
    const retried = single
      .run('a', () => Promise.reject(failure))
      .catch(() => single.run('a', async () => 'again'))
    await expect(single.run('a', async () => 'joined')).rejects.toBe(failure)
    expect(await retried).toBe('again')
  })

  test('is not joined once it is forgotten, and leaves a younger one in its place', async () => {
    const { flights: single } = flights()
    const older = deferred<string>()
    const younger = deferred<string>()
    const first = single.run('a', () => older.promise)
    single.forget('a')
    const second = single.run('a', () => younger.promise)
    older.resolve('older')
    expect(await first).toBe('older')
    expect(single.has('a')).toBe(true)
    younger.resolve('younger')
    expect(await second).toBe('younger')
    single.forgetAll()
  })

  test('is not joined when it began too long ago', async () => {
    const { clock, flights: single } = flights(3_000)
    const old = deferred<string>()
    const first = single.run('a', () => old.promise)
    clock.advance(3_000)
    expect(single.has('a')).toBe(true)
    clock.advance(1)
    expect(single.has('a')).toBe(false)
    expect(await single.run('a', async () => 'new')).toBe('new')
    old.resolve('old')
    expect(await first).toBe('old')
  })
})
