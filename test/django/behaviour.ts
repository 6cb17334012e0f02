// What a behaviour is, and how one is declared.

import { expect } from 'vitest'
import { KeyNotFoundError } from '../../src/django/index.ts'
import type { DjangoBackend, World } from '../support/django-worlds.ts'

export interface Behaviour {
  /** In Django's design notes. */
  readonly number: number
  readonly title: string
  readonly on: (backend: DjangoBackend) => boolean
  run(backend: DjangoBackend): Promise<void>
}

/** All that were declared. */
export const behaviours: Behaviour[] = []

export type Aliases = Parameters<DjangoBackend['open']>[0]
export type Configure = Parameters<DjangoBackend['open']>[1]
export type DjangoCache = ReturnType<World['caches']>
export type Try = (world: World, cache: DjangoCache, backend: DjangoBackend) => Promise<void>

/** Declares that `attempt` passes on each backend that `on` names. */
export function behaviour(
  number: number,
  title: string,
  on: Behaviour['on'],
  attempt: Try,
  aliases?: Aliases,
  configure?: Configure,
): void {
  behaviours.push({
    number,
    title,
    on,
    run: async (backend) => {
      const world = await backend.open(aliases, configure)
      try {
        await attempt(world, world.caches('default'), backend)
      } finally {
        await world.close()
      }
    },
  })
}

/** Everything but `dummy`. */
export const all = ({ backend }: DjangoBackend): boolean => backend !== 'dummy'

export const only =
  (name: DjangoBackend['backend']) =>
  ({ backend }: DjangoBackend): boolean =>
    backend === name

/** Without a first level. */
export const bare =
  (name: DjangoBackend['backend']) =>
  ({ backend, isTiered }: DjangoBackend): boolean =>
    backend === name && !isTiered

export const missing = async (call: Promise<unknown>): Promise<void> => {
  await expect(call).rejects.toBeInstanceOf(KeyNotFoundError)
}

/** Django's ten operations that take keys, each for `key`. */
export const callsWith = (cache: DjangoCache, key: string): (() => Promise<unknown>)[] => [
  () => cache.add(key, 1),
  () => cache.get(key),
  () => cache.set(key, 1),
  () => cache.incr(key),
  () => cache.decr(key),
  () => cache.touch(key),
  () => cache.delete(key),
  () => cache.getMany([key, 'b']),
  () => cache.setMany({ [key]: 1, b: 2 }),
  () => cache.deleteMany([key, 'b']),
]
