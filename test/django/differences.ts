// Where tierwheel differs from Django on purpose, by the number of the behaviour. A test of such a behaviour checks what
// is done instead. docs/guide/coming-from-django.md has them with the reasons.

import type { DjangoBackend } from '../support/django-worlds.ts'

interface Difference {
  readonly on: (backend: DjangoBackend) => boolean
  readonly why: string
}

const everywhere = (): boolean => true
const isNotLocmem = ({ backend }: DjangoBackend): boolean => backend !== 'locmem'

export const differences: ReadonlyMap<number, Difference> = new Map<number, Difference>([
  [32, { on: everywhere, why: 'functions and classes have no bytes: storing one is refused' }],
  [
    49,
    {
      on: isNotLocmem,
      why: 'files and tables keep below MAX_ENTRIES, but the oldest go, and not a third of all at once; servers have bounds of their own',
    },
  ],
  [50, { on: isNotLocmem, why: 'as 49: no cull empties a directory or a table' }],
  [77, { on: everywhere, why: 'rows that have expired are left to the bound, so there is no second query' }],
  [78, { on: everywhere, why: 'each removal has its place in the order of changes, which others hear of' }],
  [97, { on: everywhere, why: 'has and touch look at the entry, and a look is a use' }],
  [103, { on: everywhere, why: 'no client needs to be closed at the end of a request' }],
  [111, { on: everywhere, why: 'a backend that fails is a miss for reads; writes reject' }],
  [115, { on: everywhere, why: 'settings are plain data' }],
  [122, { on: everywhere, why: 'a replica is behind: what was just written would not be found' }],
  [125, { on: everywhere, why: 'the client is yours, and announces itself' }],
  [129, { on: everywhere, why: 'connections outlive requests: closeAll() ends them with the program' }],
])
