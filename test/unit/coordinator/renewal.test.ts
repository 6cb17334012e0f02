import { describe, expect, test } from 'vitest'
import { isDue, noteOf } from '../../../src/coordinator/renewal.ts'

describe('renewal before the end', () => {
  test('a share of the ttl is a mark that far before the end', () => {
    expect(noteOf(0.75, 1_000, undefined, undefined)).toMatchObject({ aheadMs: 250, spreadMs: 0 })
    expect(noteOf(0.75, Number.POSITIVE_INFINITY, 5, undefined)).toBeUndefined()
    expect(noteOf(undefined, 1_000, 5, undefined)).toBeUndefined()
  })

  test('XFetch marks twenty times its mean before the end, and leaves half a life without a question', () => {
    expect(noteOf({ beta: 2 }, 10_000, 10, undefined)).toMatchObject({ aheadMs: 400, spreadMs: 20 })
    expect(noteOf({ beta: 1 }, 10_000, 9_000, undefined)).toMatchObject({ aheadMs: 5_000, spreadMs: 9_000 })
    expect(noteOf({ beta: 1 }, 10_000, undefined, undefined)).toBeUndefined()
  })

  test('validators are noted without a mark', () => {
    const validators = { etag: '"1"', lastModified: undefined }
    expect(noteOf(undefined, 1_000, 5, validators)).toEqual({ aheadMs: 0, spreadMs: 0, validators })
  })

  test('a share is due at its mark, whatever is drawn', () => {
    const note = noteOf(0.75, 1_000, undefined, undefined)
    expect(isDue(note, 250, () => 0.999)).toBe(false)
    expect(isDue(note, 249, () => 0)).toBe(true)
    expect(isDue(undefined, 1, () => 0.999)).toBe(false)
  })

  test('XFetch is due where spread times -ln(1 - draw) reaches the time left', () => {
    const note = noteOf({ beta: 1 }, 10_000, 100, undefined)
    const draw = (): number => 1 - Math.exp(-2)
    expect(isDue(note, 200.001, draw)).toBe(false)
    expect(isDue(note, 199.999, draw)).toBe(true)
    expect(isDue(note, 0.001, () => 0)).toBe(false)
  })
})
