import { describe, expect, test } from 'vitest'
import { CircuitBreaker } from '../../../src/coordinator/circuit-breaker.ts'
import { defaultLimits, Guard } from '../../../src/coordinator/guard.ts'
import { CacheError } from '../../../src/errors.ts'
import { Events } from '../../../src/metrics/events.ts'
import { ManualClock } from '../../../src/testing/manual-clock.ts'
import { deferred } from '../../support/caches.ts'

function guarded() {
  const clock = new ManualClock()
  const events = new Events()
  const failures: string[] = []
  events.on('tier.failed', ({ tier, operation, error }) =>
    failures.push(`${tier} ${operation} ${error.code}`),
  )
  return { clock, failures, guard: new Guard('redis', clock, events, defaultLimits) }
}

const fails = () => Promise.reject(new Error('refused'))

describe('a guard', () => {
  test('hands through what a call answers, and leaves no timer of its own', async () => {
    const { clock, guard, failures } = guarded()
    expect(await guard.demand('get', async () => 1)).toBe(1)
    expect(await guard.attempt('get', async () => undefined)).toBeUndefined()
    expect(clock.timers).toBe(1)
    await clock.run(defaultLimits.deadlineMs)
    expect(clock.timers).toBe(0)
    expect(failures).toEqual([])
  })

  test('turns a failure into CACHE_TIER_FAILED with the cause, or into a miss; both are an event', async () => {
    const { guard, failures } = guarded()
    const cause = new Error('refused')
    await expect(guard.demand('set', () => Promise.reject(cause))).rejects.toMatchObject({
      code: 'CACHE_TIER_FAILED',
      tier: 'redis',
      cause,
      message: 'redis: set failed: refused',
    })
    expect(
      await guard.attempt('get', () => {
        throw cause
      }),
    ).toBeUndefined()
    expect(failures).toEqual(['redis set CACHE_TIER_FAILED', 'redis get CACHE_TIER_FAILED'])
    expect(guard.failures).toBe(2)
  })

  test('waits no longer than the deadline for a call that never settles', async () => {
    const { clock, guard } = guarded()
    const call = expect(guard.demand('get', () => new Promise(() => {}))).rejects.toMatchObject({
      code: 'CACHE_TIER_FAILED',
      message: 'redis: get took longer than 500 ms (deadline)',
    })
    await clock.run(500)
    await call
  })

  test('ignores what comes after the deadline, also a rejection', async () => {
    const { clock, guard } = guarded()
    const late = deferred<number>()
    const call = guard.attempt('get', () => late.promise)
    await clock.run(500)
    expect(await call).toBeUndefined()
    late.reject(new Error('late'))
    await clock.run(1)
  })

  test('rule 3.2.7: leaves a part alone after five failures in a row, and lets one call through each second', async () => {
    const { clock, guard } = guarded()
    for (let call = 0; call < 5; call++) await guard.attempt('get', fails)
    expect(guard.state).toBe('open')
    let called = 0
    const count = async () => ++called
    await expect(guard.demand('set', count)).rejects.toBeInstanceOf(CacheError)
    expect(called).toBe(0)
    await clock.run(1_000)
    await Promise.all([guard.attempt('get', fails), guard.attempt('get', count)])
    expect(called).toBe(0)
    expect(guard.state).toBe('open')
    await clock.run(1_000)
    expect(await guard.attempt('get', count)).toBe(1)
    expect(guard.state).toBe('closed')
  })
})

test('an input that a part refuses does not close the way for others', async () => {
  const { guard } = guarded()
  for (let call = 0; call < 9; call++) {
    await expect(
      guard.demand('set', () => Promise.reject(new RangeError('too large'))),
    ).rejects.toMatchObject({
      code: 'CACHE_TIER_FAILED',
      cause: new RangeError('too large'),
    })
  }
  expect(guard.state).toBe('closed')
})

test('a breaker counts failures in a row only', () => {
  const breaker = new CircuitBreaker(new ManualClock(), { failures: 2, openMs: 10 })
  breaker.failed()
  breaker.succeeded()
  breaker.failed()
  expect(breaker.state).toBe('closed')
  breaker.failed()
  expect(breaker.state).toBe('open')
  expect(breaker.admits()).toBe(false)
})
