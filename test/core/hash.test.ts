import { expect, test } from 'vitest'
import { createL1 } from '../../src/create-l1.ts'
import { encode, keyOf, openCore, openTestingCore, set, type TestingCore } from './open-core.ts'

/** wyhash final version 4 with the default secret: the i-th text under seed i. Source: wyhash's test_vector.cpp. */
const vectors: [string, bigint][] = [
  ['', 0x0409638ee2bde459n],
  ['a', 0xa8412d091b5fe0a9n],
  ['abc', 0x32dd92e4b2915153n],
  ['message digest', 0x8619124089a3a16bn],
  ['abcdefghijklmnopqrstuvwxyz', 0x7a43afb61d7f5f40n],
  ['ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789', 0xff42329b90e50d58n],
  ['1234567890'.repeat(8), 0xc39cab13b115aad3n],
]

const defaultSecret = [0xa0761d6478bd642fn, 0xe7037ed1a0b428dbn, 0x8ebc6af09c88c6e3n, 0x589965cc75374cc3n]

function secretOf(core: { memory: WebAssembly.Memory; SEED_AT: WebAssembly.Global }): BigUint64Array {
  return new BigUint64Array(core.memory.buffer, core.SEED_AT.value + 8, 4)
}

function hash(core: TestingCore, text: string, seed: bigint): bigint {
  const at = core.scratchAt()
  new Uint8Array(core.memory.buffer, at).set(encode(text).bytes)
  return BigInt.asUintN(64, core.wyhash(at, text.length, seed))
}

test.each(vectors)('wyhash of %j is the published one', (text, expected) => {
  const core = openTestingCore({ maxEntries: 1 })
  secretOf(core).set(defaultSecret)
  const seed = BigInt(vectors.findIndex(([known]) => known === text))
  expect(hash(core, text, seed).toString(16)).toBe(expected.toString(16))
})

test('every length from 1 to 200 takes each of its bytes into account', () => {
  const core = openTestingCore({ maxEntries: 1 })
  for (let length = 1; length <= 200; length++) {
    const plain = 'x'.repeat(length)
    const seen = new Set([hash(core, plain, 1n)])
    for (let at = 0; at < length; at++) {
      seen.add(hash(core, `${plain.slice(0, at)}y${plain.slice(at + 1)}`, 1n))
    }
    expect(seen.size, `length ${length}`).toBe(length + 1)
  }
})

test('secrets are odd, have four bits in each byte and differ from each other in 32 bits', () => {
  const ones = (value: bigint) => [...value.toString(2)].filter((digit) => digit === '1').length
  for (const start of [0n, 1n, 0xffff_ffff_ffff_ffffn, 0x0123_4567_89ab_cdefn]) {
    const core = openTestingCore({ maxEntries: 1 })
    // A second core, made from chosen random bytes; `create` works only once per instance.
    const chosen = openSeeded(start)
    const secrets = [...secretOf(chosen)]
    expect(new Set(secrets).size).toBe(4)
    for (const [index, secret] of secrets.entries()) {
      expect(secret & 1n).toBe(1n)
      for (let byte = 0n; byte < 8n; byte++) expect(ones((secret >> (byte * 8n)) & 255n)).toBe(4)
      for (const other of secrets.slice(0, index)) expect(ones(secret ^ other)).toBe(32)
    }
    expect(start === 0n || secrets.join() !== [...secretOf(core)].join()).toBe(true)
  }
})

test('keys of different encodings with the same bytes have different hashes', () => {
  const core = openCore({ maxEntries: 8 })
  const asInteger = set(core, 7) >> 3
  const sameBytes = String.fromCharCode(...new Uint8Array(new Float64Array([7]).buffer))
  const asText = set(core, sameBytes) >> 3
  expect(keyOf(core, asInteger)).toBe(7)
  expect(keyOf(core, asText)).toBe(sameBytes)
  expect(core.check()).toBe(0)
})

function openSeeded(start: bigint): TestingCore {
  return openTestingCore({ maxEntries: 1, seed: [start, start + 1n, start + 2n, start, start] })
}

test('keys made to collide under the published secret have probes as short as any', {
  timeout: 60_000,
}, () => {
  const count = 100_000
  // Bytes 0-3 and 8-11 are the second secret, so the first factor is 0 and the other bytes do not matter.
  const colliding = (number: number): string => {
    const bytes = new DataView(new ArrayBuffer(16))
    bytes.setUint32(0, 0xe703_7ed1, true)
    bytes.setUint32(8, 0xa0b4_28db, true)
    bytes.setUint32(4, number)
    return String.fromCharCode(...new Uint8Array(bytes.buffer))
  }
  const core = openTestingCore({ maxEntries: 1 })
  secretOf(core).set(defaultSecret)
  const seen = Array.from({ length: 1_000 }, (_, number) => hash(core, colliding(number), BigInt(number)))
  expect(new Set(seen).size).toBe(1)

  const probeLength = (keyFor: (number: number) => string) => {
    const l1 = createL1<number>({ maxEntries: count, policy: 'lru' })
    for (let number = 0; number < count; number++) l1.set(keyFor(number), number)
    expect(l1.size).toBe(count)
    return l1.stats().probeLength
  }
  const ordinary = probeLength((number) => `user:${number}:profile`)
  expect(ordinary).toBeLessThan(1.06)
  expect(Math.abs(probeLength(colliding) - ordinary)).toBeLessThan(0.01)
})
