import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { expect, test } from 'vitest'
import { createCache } from '../../../src/create-cache.ts'
import { publishEvents } from '../../../src/metrics/diagnostics.ts'

test('events that are named arrive on their channels, until it is ended', async () => {
  const cache = createCache({ ttl: '1m' })
  const heard: unknown[] = []
  const listen = (message: unknown): void => void heard.push(message)
  subscribe('tierwheel:load.failed', listen)
  subscribe('tierwheel:load.finished', listen)
  const end = publishEvents(cache, 'users', ['load.failed', 'entry.missed'])
  const failure = new Error('down')
  const fail = () => cache.getOrSet('a', () => Promise.reject(failure)).catch(() => {})
  await fail()
  await cache.getOrSet('b', () => 1)
  expect(heard).toEqual([
    {
      cache: 'users',
      event: { key: 'a', durationMs: expect.any(Number), error: failure, servedStale: false },
    },
  ])
  end()
  await fail()
  expect(heard).toHaveLength(1)
  unsubscribe('tierwheel:load.failed', listen)
  unsubscribe('tierwheel:load.finished', listen)
})
