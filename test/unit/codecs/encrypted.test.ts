import { describe, expect, test } from 'vitest'
import type { Codec } from '../../../src/codecs/codec.ts'
import { compressedCodec } from '../../../src/codecs/compressed.ts'
import { type EncryptionKey, encryptedCodec } from '../../../src/codecs/encrypted.ts'
import { jsonCodec } from '../../../src/codecs/json.ts'
import { XaesGcm } from '../../../src/codecs/xaes.ts'
import { createCache } from '../../../src/create-cache.ts'
import { same } from '../../../src/testing/expect.ts'
import { memoryTier } from '../../../src/tiers/memory.ts'
import { damaged } from '../../support/damage.ts'

const keyOf = (id: string, fill: number): EncryptionKey => ({ id, key: new Uint8Array(32).fill(fill) })
const old = keyOf('2026-10', 1)
const next = keyOf('2026-11', 2)
const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text)

/** A codec of bytes, so that a test says what is encrypted. */
const raw: Codec = {
  id: 200,
  name: 'raw',
  encode: (value) => value as Uint8Array,
  decode: (bytes) => Uint8Array.from(bytes),
}

describe('encrypted', () => {
  test('what was encrypted comes back, and never looks the same twice', () => {
    const codec = encryptedCodec(jsonCodec(), { keys: [old] })
    const value = { card: '4111 1111 1111 1111' }
    const one = codec.encode(value)
    const other = codec.encode(value)
    same(codec.decode(one), value)
    same(codec.decode(other), value)
    expect(Buffer.from(one).equals(other)).toBe(false)
    expect(Buffer.from(one).includes('4111')).toBe(false)
  })

  test('keys rotate without a moment in which an entry cannot be read', () => {
    const steps = [[old], [old, next], [next, old], [next]].map((keys) =>
      encryptedCodec(jsonCodec(), { keys }),
    )
    for (const [at, writer] of steps.slice(0, 3).entries()) {
      // While one step is rolled out, machines of it and of the step before run side by side.
      same(
        (steps[at + 1] as Codec).decode(at === 2 ? writer.encode(1) : writer.encode('value')),
        at === 2 ? 1 : 'value',
      )
      same((steps[Math.max(at - 1, 0)] as Codec).decode(writer.encode('value')), 'value')
    }
    expect(() => (steps[3] as Codec).decode((steps[0] as Codec).encode(1))).toThrow(
      'no key with the id that they name',
    )
  })

  test('the same id with another key, and another codec inside, are refused', () => {
    const bytes = encryptedCodec(jsonCodec(), { keys: [old] }).encode('value')
    expect(() => encryptedCodec(jsonCodec(), { keys: [keyOf(old.id, 9)] }).decode(bytes)).toThrow(
      'they were changed',
    )
    expect(() => encryptedCodec(raw, { keys: [old] }).decode(bytes)).toThrow('codec 1 is inside, and not 200')
  })

  test('bytes of another entry are refused, under compression as well', () => {
    const inner = encryptedCodec(jsonCodec(), { keys: [old] })
    for (const codec of [inner, compressedCodec(inner), encryptedCodec(inner, { keys: [next] })]) {
      const bytes = codec.encode('of a', 'app::a')
      same(codec.decode(bytes, 'app::a'), 'of a')
      for (const name of ['app::b', 'app::', 'app::a ', '', undefined]) {
        expect(() => codec.decode(bytes, name), `${codec.name}, ${name}`).toThrow('made for another entry')
      }
      expect(() => codec.decode(codec.encode('of nobody'), 'app::a')).toThrow('made for another entry')
    }
  })

  test('the format that did not say which entry it is for is refused', () => {
    const head = Uint8Array.of(1, raw.id, 1, 0x61)
    const nonce = new Uint8Array(24).fill(3)
    const sealed = new XaesGcm(keyOf('a', 1).key).seal(nonce, bytesOf('value'), head)
    const codec = encryptedCodec(raw, { keys: [keyOf('a', 1)] })
    for (const name of ['app::a', undefined]) {
      expect(() => codec.decode(Buffer.concat([head, nonce, sealed]), name)).toThrow('of no format of it')
    }
  })

  test('a value that is put under another key in the tier is a miss there, and a moved one is not', async () => {
    const tier = memoryTier()
    const codec = encryptedCodec(jsonCodec(), { keys: [old] })
    const cache = createCache({ prefix: 'app', l1: false, tiers: [tier], codec, ttl: null })
    await cache.set('alice', 'of alice')
    await cache.set('bob', 'of bob')
    const stored = await tier.get('app:1:alice')
    await tier.set({ key: 'app:1:bob', bytes: stored?.bytes as Uint8Array, remainingMs: 60_000 })
    expect(await cache.get('alice')).toBe('of alice')
    expect(await cache.get('bob')).toBe(undefined)
    await cache.incrVersion('alice')
    expect(await cache.get('alice', { version: 2 })).toBe('of alice')
    await cache.close()
  })

  test('no changed, cut or doubled byte is taken for a value, without a checksum', () => {
    const codec = encryptedCodec(raw, { keys: [old] })
    for (const [what, bytes] of damaged(codec.encode(bytesOf('a secret')))) {
      expect(() => codec.decode(bytes), what).toThrow(
        expect.objectContaining({ code: 'CACHE_DECODE_FAILED' }),
      )
    }
  })

  test('no message and no error says what a key is', () => {
    const secret = 'hunter2-hunter2-hunter2-hunter2-'
    const wrong: unknown[] = [
      secret,
      [secret],
      [{ id: 'a', key: secret }],
      [{ id: secret.repeat(2), key: bytesOf(secret) }],
      [{ id: 'a', key: bytesOf(`${secret}x`) }],
      [keyOf('a', 1), keyOf('a', 2)],
      [],
      undefined,
    ]
    for (const keys of wrong) {
      const make = () => encryptedCodec(jsonCodec(), { keys: keys as EncryptionKey[] })
      expect(make).toThrow(/^keys/)
      expect(make).not.toThrow(/hunter2/)
    }
    const codec = encryptedCodec(jsonCodec(), { keys: [{ id: 'a', key: bytesOf(secret) }] })
    try {
      codec.decode(new Uint8Array(60).fill(1))
    } catch (error) {
      expect(String((error as Error).stack)).not.toContain('hunter2')
    }
  })

  test('a key that is changed afterwards changes nothing', () => {
    const key = new Uint8Array(32).fill(5)
    const codec = encryptedCodec(jsonCodec(), { keys: [{ id: 'a', key }] })
    const bytes = codec.encode('value')
    key.fill(0)
    same(codec.decode(bytes), 'value')
  })
})
