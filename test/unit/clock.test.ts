import { afterEach, describe, expect, test, vi } from 'vitest'

import { LONGEST_DELAY_MS, systemClock } from '../../src/clock.ts'

afterEach(() => {
  vi.restoreAllMocks()
  vi.unstubAllGlobals()
})

describe('systemClock', () => {
  test('the monotonic clock never goes back', () => {
    let last = systemClock.now()
    for (let reading = 0; reading < 10_000; reading++) {
      const now = systemClock.now()
      expect(now).toBeGreaterThanOrEqual(last)
      last = now
    }
  })

  test('the wall clock counts from 1970', () => {
    const before = Date.now()
    const now = systemClock.wallNow()
    expect(now).toBeGreaterThanOrEqual(before)
    expect(now).toBeLessThanOrEqual(Date.now())
  })

  test('a timer runs once', async () => {
    const runs = await new Promise<number>((resolve) => {
      let count = 0
      systemClock.setTimer(() => count++, 0)
      systemClock.setTimer(() => count++, -5)
      // Keeps the process alive, as the timers above do not.
      setTimeout(() => resolve(count), 20)
    })
    expect(runs).toBe(2)
  })

  test('a cancelled timer does not run, and cancelling again or late does nothing', async () => {
    const ran: string[] = []
    const cancelled = systemClock.setTimer(() => ran.push('cancelled'), 0)
    const kept = systemClock.setTimer(() => ran.push('kept'), 0)
    cancelled.cancel()
    cancelled.cancel()
    await new Promise((resolve) => setTimeout(resolve, 20))
    kept.cancel()
    cancelled.cancel()
    expect(ran).toEqual(['kept'])
  })

  test('a timer does not keep the process alive', () => {
    const set = vi.spyOn(globalThis, 'setTimeout')
    const timer = systemClock.setTimer(() => {}, 60_000)
    expect(set.mock.results.map((result) => (result.value as NodeJS.Timeout).hasRef())).toEqual([false])
    timer.cancel()
  })

  test.each([2 ** 31, 1e12, Number.MAX_SAFE_INTEGER, Number.POSITIVE_INFINITY])(
    'a delay of %d ms waits 24 days instead of running at once',
    async (delayMs) => {
      const set = vi.spyOn(globalThis, 'setTimeout')
      const warned = vi.fn()
      process.on('warning', warned)
      let ran = false
      const timer = systemClock.setTimer(() => {
        ran = true
      }, delayMs)
      expect(set.mock.calls[0]?.[1]).toBe(LONGEST_DELAY_MS)
      await new Promise((resolve) => setTimeout(resolve, 10))
      process.off('warning', warned)
      timer.cancel()
      expect(ran).toBe(false)
      expect(warned).not.toHaveBeenCalled()
    },
  )

  test('the longest delay is one that timers can take', () => {
    expect(LONGEST_DELAY_MS).toBeLessThanOrEqual(2 ** 31 - 1)
    expect(LONGEST_DELAY_MS).toBe(24 * 86_400_000)
  })

  test('a runtime whose timers are numbers is served too', () => {
    const cleared: unknown[] = []
    vi.stubGlobal('setTimeout', () => 42)
    vi.stubGlobal('clearTimeout', (timer: unknown) => cleared.push(timer))
    systemClock.setTimer(() => {}, 5).cancel()
    expect(cleared).toEqual([42])
  })
})
