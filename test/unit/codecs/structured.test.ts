import { describe, expect, test } from 'vitest'
import { structuredCodec } from '../../../src/codecs/structured.ts'
import { same } from '../../../src/testing/expect.ts'

const codec = structuredCodec()

describe('structured', () => {
  test('cycles, shared references, errors and expressions survive', () => {
    const shared = { at: new Date(5) }
    const value: Record<string, unknown> = {
      one: shared,
      other: shared,
      match: /a+/gi,
      failed: new RangeError('no'),
    }
    value.self = value
    const back = codec.decode(codec.encode(value)) as typeof value
    same(back, value)
    expect(back.one).toBe(back.other)
    expect(back.self).toBe(back)
  })

  test('the bytes name the engine, and those of another are refused whatever follows', () => {
    const bytes = codec.encode({ a: 1 })
    const name = new TextDecoder().decode(bytes.subarray(1, 1 + (bytes[0] as number)))
    const [major, minor] = process.versions.v8.split('.')
    expect(name).toBe(`node ${process.versions.node.split('.')[0]} v8-${major}.${minor}`)
    for (const other of [name.replace('node', 'deno'), name.replace(/\d$/, 'x'), `${name}0`, '']) {
      const text = new TextEncoder().encode(other)
      const theirs = Uint8Array.of(text.length, ...text, ...bytes.subarray(1 + (bytes[0] as number)))
      expect(() => codec.decode(theirs), other).toThrow(`were not written by ${name}`)
    }
  })
})
