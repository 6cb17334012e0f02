// The checker of a fleet's record finds what must not be, in records made by hand.

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { makeFolder, removeFolder } from '../support/folder.ts'
import { type Account, checkRecord, type Deed } from './fleet/record.ts'

const LEASE_MS = 1_000
const folder = makeFolder()
afterAll(() => removeFolder(folder))

/** What two processes wrote: instant, process, what. */
type Entry = readonly [t: number, by: 'here' | 'there', e: string, more: object]

function check(entries: readonly Entry[], deeds: readonly Deed[] = []): Account {
  const logs = new Map(['here', 'there'].map((name) => [name, join(folder, `${name}.jsonl`)]))
  for (const [name, path] of logs) {
    const lines = entries.filter(([, by]) => by === name)
    writeFileSync(path, lines.map(([t, , e, more]) => `${JSON.stringify({ t, e, ...more })}\n`).join(''))
  }
  return checkRecord(logs, deeds, LEASE_MS)
}

const loaded = (t: number, by: Entry[1], a: number, value: string): Entry[] => [
  [t, by, 'ask', { a, key: 'k', how: 'getOrSet' }],
  [t + 1, by, 'load', { a, value }],
  [t + 2, by, 'loaded', { value }],
  [t + 3, by, 'answer', { a, value }],
]
const deleted = (t: number, by: Entry[1], m: number): Entry[] => [
  [t, by, 'mutate', { m, keys: ['k'], isOfTag: false }],
  [t + 1, by, 'acknowledged', { m }],
]
const answered = (t: number, by: Entry[1], a: number, how: string, value: string): Entry[] => [
  [t, by, 'ask', { a, key: 'k', how }],
  [t + 1, by, 'answer', { a, value }],
]

test('what is right is counted', () => {
  const entries = [
    ...loaded(10, 'here', 1, 'old'),
    ...deleted(20, 'here', 2),
    ...loaded(30, 'here', 3, 'new'),
  ]
  expect(check(entries)).toEqual({ reads: 2, answers: 2, writes: 1, acknowledged: 1, loads: 2 })
  // Elsewhere the old value may be answered for a lease.
  check([...entries, ...answered(900, 'there', 1, 'get', 'old')])
})

test.each<[promise: string, late: Entry[]]>([
  ['C1: 0 instead of 1', answered(30, 'here', 3, 'get', 'old')],
  ['C3: 0 instead of 1', [...loaded(30, 'there', 3, 'new'), ...answered(40, 'there', 4, 'l1', 'old')]],
  ['C5: 0 instead of 1', answered(1_022, 'there', 3, 'getOrSet', 'old')],
  ['C6: 0 instead of 1', answered(30, 'there', 3, 'authority', 'old')],
  ['C1: made up, which never was', answered(30, 'there', 3, 'get', 'made up')],
  ['C8: a second load', [...loaded(30, 'there', 3, 'new').slice(0, 2), ...loaded(40, 'there', 4, 'newer')]],
  [
    'C9: a read in there rejected',
    [
      [30, 'there', 'ask', { a: 3, key: 'k', how: 'get' }],
      [31, 'there', 'failed', { a: 3, message: 'no' }],
    ],
  ],
  [
    'C2: a mutation was rejected with',
    [
      [30, 'there', 'mutate', { m: 3, keys: ['k'], isOfTag: false }],
      [31, 'there', 'rejected', { m: 3, message: 'no', code: 'EPIPE' }],
    ],
  ],
])('%s', (promise, late) => {
  const before = [...loaded(10, 'here', 1, 'old'), ...deleted(20, 'here', 2)]
  expect(() => check([...before, ...late])).toThrow(promise)
})

test('what a server lost is not asked for, and what came after is', () => {
  const before = [...loaded(10, 'here', 1, 'old'), ...deleted(20, 'here', 2)]
  const lost: Deed[] = [{ t: 40, e: 'lost', from: 15 }]
  const late = answered(50, 'here', 3, 'authority', 'old')
  check([...before, ...late], lost)
  expect(() => check([...before, ...deleted(45, 'here', 4), ...late], lost)).toThrow('C1')
})
