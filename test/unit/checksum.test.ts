import { crc32 as crc32OfZlib } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'

import { crc32, crc32c } from '../../src/checksum.ts'
import { holds, seed } from '../support/seed.ts'

/** The definition, a bit at a time. */
function slowCrc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff
  for (const byte of bytes) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1
  }
  return ~crc >>> 0
}

describe('crc32c', () => {
  const upwards = Uint8Array.from({ length: 32 }, (_, at) => at)

  // RFC 3720 appendix B.4 writes the checksum as bytes on the wire, least significant first.
  test.each([
    ['nothing', new Uint8Array(0), 0x00000000],
    ['32 bytes of zeros', new Uint8Array(32), 0x8a9136aa],
    ['32 bytes of ones', new Uint8Array(32).fill(0xff), 0x62a8ab43],
    ['32 bytes upwards', upwards, 0x46dd794e],
    ['32 bytes downwards', upwards.toReversed(), 0x113fdb5c],
    ['the digits', new TextEncoder().encode('123456789'), 0xe3069283],
  ])('of %s is the published one', (_, bytes, expected) => {
    expect(crc32c(bytes)).toBe(expected)
  })

  test('of an iSCSI read command is the published one', () => {
    const command = new Uint8Array(48)
    command.set([0x01, 0xc0], 0)
    command[16] = 0x14
    command[22] = 0x04
    command[27] = 0x14
    command[31] = 0x18
    command[32] = 0x28
    command[40] = 0x02
    expect(crc32c(command)).toBe(0xd9963a56)
  })

  test('agrees with the definition at every length and alignment', () => {
    holds(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(8), (bytes, offset) => {
        const shifted = new Uint8Array(bytes.length + offset)
        shifted.set(bytes, offset)
        expect(crc32c(shifted.subarray(offset)), `SEED=${seed}`).toBe(slowCrc32c(bytes))
      }),
    )
  })

  test('of a part is that of the part alone', () => {
    holds(
      fc.property(
        fc.uint8Array({ minLength: 1, maxLength: 100 }),
        fc.nat(99),
        fc.nat(99),
        (bytes, one, other) => {
          const [start, end] = [one % bytes.length, other % bytes.length].toSorted(
            (left, right) => left - right,
          )
          expect(crc32c(bytes, start, end), `SEED=${seed}`).toBe(slowCrc32c(bytes.subarray(start, end)))
        },
      ),
    )
  })

  test('every change of one or two bits and every burst of up to four bytes shows', () => {
    const bytes = Uint8Array.from({ length: 64 }, (_, at) => (at * 37) & 0xff)
    const whole = crc32c(bytes)
    const seen = new Set<number>()
    for (let one = 0; one < 512; one++) {
      for (let other = one; other < 512; other++) {
        const changed = Uint8Array.from(bytes)
        changed[one >> 3] = (changed[one >> 3] as number) ^ (1 << (one & 7))
        if (other !== one) changed[other >> 3] = (changed[other >> 3] as number) ^ (1 << (other & 7))
        seen.add(crc32c(changed))
      }
    }
    for (let at = 0; at < 60; at++) {
      const changed = Uint8Array.from(bytes)
      for (let byte = at; byte < at + 4; byte++) changed[byte] = ~(changed[byte] as number) & 0xff
      seen.add(crc32c(changed))
    }
    expect(seen.has(whole)).toBe(false)
  })
})

describe('crc32', () => {
  test('of the digits is the published one', () => {
    expect(crc32(new TextEncoder().encode('123456789'))).toBe(0xcbf43926)
  })

  test('agrees with zlib at every length', () => {
    holds(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        expect(crc32(bytes), `SEED=${seed}`).toBe(crc32OfZlib(bytes))
      }),
    )
  })
})
