// The backends that Django's behaviours are tried on, each bare and under a first level.

import { setTimeout as sleep } from 'node:timers/promises'
import { vi } from 'vitest'
import type { Clock } from '../../src/clock.ts'
import {
  type CacheSettings,
  type Caches,
  type ConfigureOptions,
  configureCaches,
} from '../../src/django/index.ts'
import { ManualClock } from '../../src/testing/manual-clock.ts'
import { redisTier } from '../../src/tiers/redis.ts'
import { makeFolder, removeFolder } from './folder.ts'
import type { Connections } from './redis-clients.ts'

/** One store and its time. */
export interface World {
  readonly caches: Caches
  /** Keys that were warned of. */
  readonly warnings: string[]
  readonly location: string
  pass(ms: number): Promise<void>
  close(): Promise<void>
}

/** A backend to try. */
export interface DjangoBackend {
  readonly name: string
  readonly backend: 'dummy' | 'locmem' | 'filebased' | 'redis'
  readonly isTiered: boolean
  /**
   * A fresh store with these aliases; what an alias leaves out is the backend's own. `default` is always there.
   */
  open(aliases?: Record<string, Partial<CacheSettings>>, options?: ConfigureOptions): Promise<World>
}

let stores = 0

async function open(
  { backend, isTiered }: Pick<DjangoBackend, 'backend' | 'isTiered'>,
  connections: (() => Connections) | undefined,
  aliases: Record<string, Partial<CacheSettings>> = {},
  options: ConfigureOptions = {},
): Promise<World> {
  const clock = connections === undefined ? new ManualClock() : undefined
  const folder = backend === 'filebased' ? makeFolder() : undefined
  const location = folder ?? `store-${++stores}`
  const settings: Record<string, CacheSettings> = {}
  for (const [alias, each] of Object.entries({ default: {}, ...aliases })) {
    const own = { BACKEND: backend, LOCATION: location, ...each }
    if (isTiered) settings[`under ${alias}`] = own
    settings[alias] = isTiered ? { ...own, BACKEND: 'tiered', LOCATION: 'under default' } : own
  }
  const warnings: string[] = []
  const caches = configureCaches(settings, {
    // Many worlds share the machine: how fast it answers is not what is tried here.
    tierTimeout: '15s',
    onWarning: ({ message }) => warnings.push(message),
    ...(clock === undefined ? {} : { clock: clock as Clock }),
    ...options,
    backends: {
      redis: ({ locations: [keyspace = ''] }) => {
        if (connections === undefined) throw new Error('this world has no Redis')
        return { tiers: [redisTier({ client: connections().client, keyspace })] }
      },
      ...options.backends,
    },
  })
  // Until the bus listens, copies are not used, and what is loaded meanwhile is not kept.
  const { cache } = caches('default')
  await vi.waitUntil(() => cache.health().copiesTrusted, { interval: 2, timeout: 5_000 })
  return {
    caches,
    warnings,
    location,
    pass: async (ms) => {
      if (clock === undefined) await sleep(ms + 20)
      else await clock.run(ms, 200)
    },
    close: async () => {
      await caches.closeAll()
      if (folder !== undefined) removeFolder(folder)
    },
  }
}

/** A backend, bare and under a first level. */
export function bothWays(
  backend: DjangoBackend['backend'],
  connections?: () => Connections,
): readonly DjangoBackend[] {
  return [false, true].map((isTiered) => ({
    name: isTiered ? `tiered over ${backend}` : backend,
    backend,
    isTiered,
    open: (aliases, options) => open({ backend, isTiered }, connections, aliases, options),
  }))
}
