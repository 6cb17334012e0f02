import { describe, expect, test } from 'vitest'
import { GRACE_MS, Journal, type Write } from '../../../../examples/demo/journal.js'

const A = 0
const B = 1

/** A journal with writes of product 7; what is not said is acknowledged by A at 100, as version 2. */
function journalOf(...writes: Partial<Write>[]): Journal {
  const journal = new Journal()
  for (const write of writes) {
    journal.noteWrite({ product: 7, server: A, version: 2, invalidatedAt: 99, acknowledgedAt: 100, ...write })
  }
  return journal
}

describe('an answer at the acknowledging server', () => {
  test('is stale when it was asked for after the acknowledgement and is older than the write', () => {
    const journal = journalOf({})
    journal.noteRead({ product: 7, server: A, version: 1, sentAt: 100 })
    expect(journal.judge([[], []])).toMatchObject({
      staleAtAcknowledging: 1,
      staleAtOther: 0,
      olderInWindow: 0,
    })
  })

  test.each([
    ['carries the version written', { version: 2, sentAt: 100 }],
    ['carries a later one', { version: 3, sentAt: 100 }],
    ['was asked for before the acknowledgement had arrived', { version: 1, sentAt: 99.9 }],
    ['is of another product', { product: 8, version: 1, sentAt: 200 }],
  ])('is not stale when it %s', (_, read) => {
    const journal = journalOf({})
    journal.noteRead({ product: 7, server: A, ...read })
    expect(journal.judge([[], []])).toMatchObject({
      staleAtAcknowledging: 0,
      staleAtOther: 0,
      olderInWindow: 0,
    })
  })

  test('is stale when it misses the earlier of two writes, whoever took the later one', () => {
    const journal = journalOf({}, { server: B, version: 3, acknowledgedAt: 200 })
    journal.noteRead({ product: 7, server: A, version: 1, sentAt: 201 })
    expect(journal.judge([[], []])).toMatchObject({
      staleAtAcknowledging: 1,
      staleAtOther: 0,
      olderInWindow: 0,
    })
  })
})

describe('an older answer at the other server', () => {
  test.each([
    ['before it has heard of the write', 100.5, [[7, 101]], 'olderInWindow'],
    ['from the moment it has heard of it', 101, [[7, 101]], 'staleAtOther'],
    ['when it had heard before the acknowledgement', 100, [[7, 98]], 'staleAtOther'],
    ['until the grace is over, when it never heard', 99.9 + GRACE_MS, [], 'olderInWindow'],
    ['after the grace, when it never heard', 100 + GRACE_MS, [], 'staleAtOther'],
    ['after the grace, when it heard later still', 100 + GRACE_MS, [[7, 900]], 'staleAtOther'],
  ] as const)('%s counts as that', (_, sentAt, heard, kind) => {
    const journal = journalOf({})
    journal.noteRead({ product: 7, server: B, version: 1, sentAt })
    const verdict = journal.judge([[], heard.map(([product, at]) => [product, at])])
    expect(verdict).toMatchObject({ staleAtAcknowledging: 0, staleAtOther: 0, olderInWindow: 0, [kind]: 1 })
  })

  test('is judged by the write it has missed longest', () => {
    const journal = journalOf({}, { version: 3, acknowledgedAt: 200 })
    journal.noteRead({ product: 7, server: B, version: 1, sentAt: 200.5 })
    journal.noteRead({ product: 7, server: B, version: 2, sentAt: 200.5 })
    const heard: [number, number][] = [
      [7, 101],
      [7, 201],
    ]
    expect(journal.judge([[], heard])).toMatchObject({ staleAtOther: 1, olderInWindow: 1 })
  })
})

describe('news', () => {
  test('belong to the writes of their product, in order, and not to writes of the server that got them', () => {
    const journal = journalOf(
      { invalidatedAt: 100 },
      { product: 8, invalidatedAt: 110 },
      { server: B, version: 3, invalidatedAt: 120 },
      { version: 4, invalidatedAt: 130 },
    )
    const verdict = journal.judge([
      [[7, 125]],
      [
        [7, 101],
        [8, 109],
        [7, 133],
      ],
    ])
    expect(verdict.heardAfterMs.sort((a, b) => a - b)).toEqual([-1, 1, 3, 5])
    expect(verdict.unheard).toBe(0)
  })

  test('that do not match the writes of a product in number are not relied on', () => {
    const journal = journalOf({}, { version: 3, acknowledgedAt: 200 })
    journal.noteRead({ product: 7, server: B, version: 2, sentAt: 300 })
    const verdict = journal.judge([[], [[7, 101]]])
    expect(verdict).toMatchObject({ unheard: 2, heardAfterMs: [], olderInWindow: 1, staleAtOther: 0 })
  })
})
