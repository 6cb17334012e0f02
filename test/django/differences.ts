// Where tierwheel differs from Django on purpose, by the number of the behaviour. A test of such a behaviour checks what
// is done instead. docs/guide/coming-from-django.md has them with the reasons.

import type { DjangoBackend } from '../support/django-worlds.ts'

interface Difference {
  readonly on: (backend: DjangoBackend) => boolean
  readonly why: string
}

const everywhere = (): boolean => true

export const differences: ReadonlyMap<number, Difference> = new Map<number, Difference>([
  [32, { on: everywhere, why: 'functions and classes have no bytes: storing one is refused' }],
  [
    49,
    {
      on: ({ backend }) => backend !== 'locmem',
      why: 'only locmem is bounded by MAX_ENTRIES: a directory and a server have bounds of their own',
    },
  ],
  [50, { on: ({ backend }) => backend !== 'locmem', why: 'as 49' }],
  [51, { on: ({ backend }) => backend !== 'locmem', why: 'as 49' }],
  [97, { on: everywhere, why: 'has and touch look at the entry, and a look is a use' }],
])
